"""CBOR in its one deterministic encoding (RFC 8949, section 4.2.1), as far as DP1 needs it."""


class Malformed(ValueError):
    pass


class Tag(tuple):
    """(number, content)"""


def head(kind, number):
    for size, extra in ((0, 24), (1, 2**8), (2, 2**16), (4, 2**32), (8, 2**64)):
        if number < extra:
            first = number if size == 0 else 23 + (1, 2, 4, 8).index(size) + 1
            return bytes([kind << 5 | first]) + (number.to_bytes(size, "big") if size else b"")
    raise Malformed("number")


def encode(value):
    if isinstance(value, bool):
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, Tag):
        return head(6, value[0]) + encode(value[1])
    if isinstance(value, (list, tuple)):
        return head(4, len(value)) + b"".join(map(encode, value))
    if isinstance(value, dict):
        pairs = sorted((encode(key), encode(item)) for key, item in value.items())
        return head(5, len(pairs)) + b"".join(key + item for key, item in pairs)
    raise TypeError(value)


def decode(data):
    """The value of one whole item that is encoded in the one way."""
    value, rest = item(data)
    if rest or encode(value) != data:
        raise Malformed("encoding")
    return value


def item(data):
    if not data:
        raise Malformed("end")
    kind, first, rest = data[0] >> 5, data[0] & 31, data[1:]
    if kind == 7 and first in (20, 21):
        return first == 21, rest
    if first > 27 or kind == 7:
        raise Malformed("kind")
    number = first
    if first >= 24:
        size = 1 << (first - 24)
        if len(rest) < size:
            raise Malformed("end")
        number, rest = int.from_bytes(rest[:size], "big"), rest[size:]
    if kind == 0:
        return number, rest
    if kind == 1:
        return -1 - number, rest
    if kind in (2, 3):
        if len(rest) < number:
            raise Malformed("end")
        part, rest = rest[:number], rest[number:]
        try:
            return (part if kind == 2 else part.decode()), rest
        except UnicodeDecodeError:
            raise Malformed("text") from None
    if kind == 6:
        value, rest = item(rest)
        return Tag((number, value)), rest
    if number > len(rest):
        raise Malformed("end")
    if kind == 4:
        values = []
        for _ in range(number):
            value, rest = item(rest)
            values.append(value)
        return values, rest
    values = {}
    for _ in range(number):
        key, rest = item(rest)
        value, rest = item(rest)
        if type(key) is not int or key in values:
            raise Malformed("key")
        values[key] = value
    return values, rest
