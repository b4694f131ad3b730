"""AES-256-GCM by its specifications (FIPS 197, NIST SP 800-38D), to read what another library encrypted."""

import hmac


def times_x(byte):
    return (byte << 1) ^ (0x11B if byte & 0x80 else 0)


def product(a, b):
    """In the field of AES."""
    result = 0
    while b:
        result, a, b = result ^ (a if b & 1 else 0), times_x(a), b >> 1
    return result


def box():
    inverse = lambda byte: next((other for other in range(256) if product(byte, other) == 1), 0)
    turn = lambda byte, by: (byte << by | byte >> 8 - by) & 0xFF
    for byte in map(inverse, range(256)):
        yield byte ^ turn(byte, 1) ^ turn(byte, 2) ^ turn(byte, 3) ^ turn(byte, 4) ^ 0x63


BOX = bytes(box())


def schedule(key):
    """The 15 round keys of a key of 32 bytes."""
    words, constant = [key[at : at + 4] for at in range(0, 32, 4)], 1
    while len(words) < 60:
        word = words[-1]
        if len(words) % 8 == 0:
            word = bytes(BOX[byte] for byte in word[1:] + word[:1])
            word, constant = bytes([word[0] ^ constant]) + word[1:], times_x(constant)
        elif len(words) % 8 == 4:
            word = bytes(BOX[byte] for byte in word)
        words.append(bytes(a ^ b for a, b in zip(words[-8], word)))
    return [b"".join(words[at : at + 4]) for at in range(0, 60, 4)]


def block(keys, data):
    state = bytes(a ^ b for a, b in zip(data, keys[0]))
    for number, key in enumerate(keys[1:], 1):
        rows = bytes(BOX[state[(at + 4 * (at % 4)) % 16]] for at in range(16))
        if number < len(keys) - 1:
            column = lambda at: rows[at - at % 4 : at - at % 4 + 4]
            mixed = lambda c, row: product(c[row], 2) ^ product(c[row - 3], 3) ^ c[row - 2] ^ c[row - 1]
            rows = bytes(mixed(column(at), at % 4) for at in range(16))
        state = bytes(a ^ b for a, b in zip(rows, key))
    return state


def ghash(key, data):
    result, key = 0, int.from_bytes(key, "big")
    for at in range(0, len(data), 16):
        result ^= int.from_bytes(data[at : at + 16], "big")
        value, sum_ = key, 0
        for bit in range(127, -1, -1):
            sum_ ^= value if result >> bit & 1 else 0
            value = value >> 1 ^ (0xE1 << 120 if value & 1 else 0)
        result = sum_
    return result.to_bytes(16, "big")


def opened(key, iv, data, associated):
    """What was encrypted, or None: the last 16 bytes are its tag."""
    keys, sealed, tag = schedule(key), data[:-16], data[-16:]
    stream = lambda number: block(keys, iv + number.to_bytes(4, "big"))
    padded = lambda part: part + bytes(-len(part) % 16)
    lengths = (len(associated) * 8).to_bytes(8, "big") + (len(sealed) * 8).to_bytes(8, "big")
    hashed = ghash(block(keys, bytes(16)), padded(associated) + padded(sealed) + lengths)
    if not hmac.compare_digest(bytes(a ^ b for a, b in zip(hashed, stream(1))), tag):
        return None
    pads = b"".join(stream(2 + at) for at in range((len(sealed) + 15) // 16))
    return bytes(a ^ b for a, b in zip(sealed, pads))
