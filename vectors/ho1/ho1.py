"""HO1 by its specification (docs/ho1.md), with nothing but Python's standard library.

A second implementation to compare the vectors with: short, not fast, not constant-time.
"""

import hashlib
import hmac

DIGITS = "0123456789"
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
SYMBOLS = {10: DIGITS, 32: CROCKFORD}


class Mistyped(Exception):
    """Typed or scanned text that is none."""


def canonical(typed, alphabet, length):
    """Section 3.1."""
    if len(typed.encode()) > 32:
        raise Mistyped("too long")
    code = ""
    for symbol in typed:
        if symbol in " -":
            continue
        if alphabet == 32:
            if "a" <= symbol <= "z":
                symbol = symbol.upper()
            symbol = {"O": "0", "I": "1", "L": "1"}.get(symbol, symbol)
        if symbol not in SYMBOLS[alphabet]:
            raise Mistyped("symbol")
        code += symbol
    if len(code) != length:
        raise Mistyped("length")
    return code


def tag_bits(alphabet, length):
    """Section 2."""
    return ((alphabet**length).bit_length() - 1) // 2


def fingerprint(public_key):
    return hashlib.sha256(public_key).digest()[:16]


def named(name):
    return bytes([len(name)]) + name.encode("ascii")


def subject(issuer, delivery, generation, slot, device):
    """Section 3.2; `device` is a fingerprint."""
    place = generation.to_bytes(4, "big") + bytes([slot])
    return named(issuer) + named(delivery) + place + device


def tag(salt, bits, alphabet, length, subject, code):
    """Section 3.3."""
    message = b"doorstep/HO1/tag/v1" + bytes([bits, alphabet, length]) + subject + code.encode("ascii")
    return int.from_bytes(hmac.digest(salt, message, "sha256"), "big") >> (256 - bits)


def full_hash(salt, memory, passes, alphabet, length, subject, code):
    """Section 3.6."""
    message = b"doorstep/HO1/full/v1" + bytes([alphabet, length]) + subject + code.encode("ascii")
    return argon2id(message, salt, memory, passes)


def argon2id(password, salt, memory, passes):
    """RFC 9106 with one lane, no secret, no associated data, 32 bytes; `memory` in KiB."""
    small = lambda number: number.to_bytes(4, "little")
    mask = 2**64 - 1

    def long_hash(data, size):
        data = small(size) + data
        if size <= 64:
            return hashlib.blake2b(data, digest_size=size).digest()
        block = hashlib.blake2b(data).digest()
        out = block[:32]
        while size - len(out) > 64:
            block = hashlib.blake2b(block).digest()
            out += block[:32]
        return out + hashlib.blake2b(block, digest_size=size - len(out)).digest()

    def words(data):
        return [int.from_bytes(data[at : at + 8], "little") for at in range(0, 1024, 8)]

    def mix(v, a, b, c, d):
        for turn_d, turn_b in (32, 24), (16, 63):
            v[a] = v[a] + v[b] + 2 * (v[a] & 0xFFFFFFFF) * (v[b] & 0xFFFFFFFF) & mask
            v[d] ^= v[a]
            v[d] = (v[d] >> turn_d | v[d] << 64 - turn_d) & mask
            v[c] = v[c] + v[d] + 2 * (v[c] & 0xFFFFFFFF) * (v[d] & 0xFFFFFFFF) & mask
            v[b] ^= v[c]
            v[b] = (v[b] >> turn_b | v[b] << 64 - turn_b) & mask

    def round_over(block, places):
        v = [block[place] for place in places]
        for column in range(4):
            mix(v, column, 4 + column, 8 + column, 12 + column)
        for column in range(4):
            mix(v, column, 4 + (column + 1) % 4, 8 + (column + 2) % 4, 12 + (column + 3) % 4)
        for place, word in zip(places, v):
            block[place] = word

    def compress(x, y):
        r = [a ^ b for a, b in zip(x, y)]
        z = list(r)
        for row in range(8):
            round_over(z, range(16 * row, 16 * row + 16))
        for column in range(8):
            round_over(z, [16 * row + 2 * column + side for row in range(8) for side in (0, 1)])
        return [a ^ b for a, b in zip(z, r)]

    start = b"".join(map(small, (1, 32, memory, passes, 0x13, 2)))
    start += small(len(password)) + password + small(len(salt)) + salt + small(0) + small(0)
    start = hashlib.blake2b(start).digest()
    count = memory // 4 * 4
    segment = count // 4
    blocks = [words(long_hash(start + small(number) + small(0), 1024)) for number in (0, 1)]
    blocks += [None] * (count - 2)
    zero = [0] * 128
    for one in range(passes):
        for part in range(4):
            for index in range(2 if one == 0 and part == 0 else 0, segment):
                at = part * segment + index
                if one == 0 and part < 2:
                    counter = [one, 0, part, count, passes, 2, index // 128 + 1]
                    addresses = compress(zero, compress(zero, counter + [0] * 121))
                    pseudo = addresses[index % 128]
                else:
                    pseudo = blocks[at - 1][0]
                known = at - 1 if one == 0 else count - segment + index - 1
                far = known * ((pseudo & 0xFFFFFFFF) ** 2 >> 32) >> 32
                begin = 0 if one == 0 or part == 3 else (part + 1) * segment
                made = compress(blocks[at - 1], blocks[(begin + known - 1 - far) % count])
                blocks[at] = made if one == 0 else [a ^ b for a, b in zip(made, blocks[at])]
    last = b"".join(word.to_bytes(8, "little") for word in blocks[-1])
    return long_hash(last, 32)


def scan_hash(subject, secret):
    """Section 3.4."""
    return hashlib.sha256(b"doorstep/HO1/scan/v1" + subject + secret).digest()


def scan_text(delivery, generation, slot, secret):
    number = int.from_bytes(secret, "big")
    symbols = "".join(CROCKFORD[number >> (5 * place) & 31] for place in reversed(range(26)))
    return f"HO1:{delivery}:{generation}:{slot}:{symbols}"


def parse_scan_text(text):
    """Reads a text by writing it again: there is one spelling."""
    if len(text.encode()) > 300:
        raise Mistyped("too long")
    text = text.rpartition("#")[2].strip(" \t\n\r\x0c")
    parts = text.split(":")
    if len(parts) != 5 or parts[0] != "HO1":
        raise Mistyped("shape")
    _, delivery, generation, slot, symbols = parts
    ids = set("abcdefghijklmnopqrstuvwxyz0123456789_-")
    if not 1 <= len(delivery) <= 40 or not set(delivery) <= ids:
        raise Mistyped("delivery")
    for number, limit in (generation, 2**32), (slot, 2**8):
        if not number or not set(number) <= set(DIGITS) or len(number) > 10 or int(number) >= limit:
            raise Mistyped("number")
    if len(symbols) != 26 or not set(symbols) <= set(CROCKFORD):
        raise Mistyped("secret")
    secret = 0
    for symbol in symbols:
        secret = secret * 32 + CROCKFORD.index(symbol)
    if secret >= 2**128:
        raise Mistyped("secret")
    secret = secret.to_bytes(16, "big")
    if scan_text(delivery, int(generation), int(slot), secret) != text:
        raise Mistyped("spelling")
    return delivery, int(generation), int(slot), secret


def code_mac(pepper, delivery, generation, slot, code):
    """Section 3.5."""
    place = generation.to_bytes(4, "big") + bytes([slot])
    message = b"doorstep/HO1/code/v1" + named(delivery) + place + code.encode("ascii")
    return hmac.digest(pepper, message, "sha256")


def typos(code, alphabet):
    """Section 11.4: one substitution, or one swap of neighbours."""
    for place, own in enumerate(code):
        for symbol in SYMBOLS[alphabet]:
            if symbol != own:
                yield code[:place] + symbol + code[place + 1 :]
    for place in range(len(code) - 1):
        yield code[:place] + code[place + 1] + code[place] + code[place + 2 :]


def head_after(head, record):
    """Section 7.1; a head is (number of records, hash)."""
    number, before = head
    number += 1
    hash = hashlib.sha256(b"doorstep/ledger/v1" + before + number.to_bytes(8, "big") + record)
    return number, hash.digest()


class Device:
    """Sections 8 and 9 on a state in memory."""

    def __init__(self, issuer, device_key, enrolled, stops):
        self.issuer = issuer
        self.device = fingerprint(device_key)
        self.mark = self.signed = enrolled
        self.stops = {(stop["delivery"], stop["generation"]): dict(stop) for stop in stops}
        for stop in self.stops.values():
            stop.update(attempts=0, spent=None, withdrawn=False)

    def apply(self, event):
        """Something that happens before the presentation; a presentation's answer is dropped."""
        if "tick" in event:
            if event["tick"] >= self.mark + 60:
                self.mark = event["tick"]
        elif "signed_time" in event:
            if event["signed_time"] > self.signed:
                self.signed = self.mark = event["signed_time"]
        elif "failed" in event:
            pass  # nothing is spent, and nothing given back
        elif "withdrawn" in event:
            self.stops[event["withdrawn"], event["generation"]]["withdrawn"] = True
        else:
            self.present(event)

    def present(self, presentation):
        now = max(presentation["clock"], self.mark, self.signed)
        scanned = None
        if "scanned" in presentation:
            try:
                scanned = parse_scan_text(presentation["scanned"])
            except Mistyped:
                return {"refused": "mistyped"}
        delivery = scanned[0] if scanned else presentation["delivery"]
        newest = max((g for d, g in self.stops if d == delivery), default=None)
        if newest is None:
            return {"refused": "unknown"}
        stop = self.stops[delivery, newest]
        if scanned:
            if scanned[1] != newest:
                return {"refused": "superseded" if scanned[1] < newest else "unknown"}
        else:
            try:
                code = canonical(presentation["typed"], stop["alphabet"], stop["length"])
            except Mistyped:
                return {"refused": "mistyped"}
        if stop["withdrawn"] and stop["spent"] is None:
            return {"refused": "superseded"}
        if stop["spent"] is not None:
            return {"refused": "already_used"}
        if now < stop["from"]:
            return {"refused": "not_yet_valid"}
        if now >= stop["until"]:
            return {"refused": "expired"}
        if not scanned:
            if stop["attempts"] >= stop["budget"]:
                return {"refused": "throttled"}
            stop["attempts"] += 1
        self.mark = max(self.mark, now)
        slots = stop["slots"]
        if "whose" in presentation:
            slots = slots[-1:] if presentation["whose"] == "neighbour" else slots[:-1]
        for slot in slots:
            about = subject(self.issuer, delivery, newest, slot["number"], self.device)
            if scanned:
                match = scan_hash(about, scanned[3]).hex() == slot["scan"]
            elif "t" in stop:
                shape = stop["t"], stop["alphabet"], stop["length"]
                match = tag(bytes.fromhex(slot["salt"]), *shape, about, code) == slot["tag"]
            else:
                asked = stop["memory"], stop["passes"], stop["alphabet"], stop["length"]
                hashed = full_hash(bytes.fromhex(slot["salt"]), *asked, about, code)
                match = hashed.hex() == slot["hash"]
            if match:
                stop["spent"] = now
                return {"granted": slot["number"]}
        left = None if scanned else stop["budget"] - stop["attempts"]
        return {"refused": "wrong_code", "left": left}
