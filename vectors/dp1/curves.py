"""Signatures checked by their specifications (RFC 8032, FIPS 186-5) with nothing but Python's standard
library. It is slow and gives away what it computes with, which matters to no public key.
"""

import hashlib


class Curve25519:
    P = 2**255 - 19
    L = 2**252 + 27742317777372353535851937790883648493
    D = -121665 * pow(121666, -1, P) % P

    @classmethod
    def point(cls, data):
        """A decoded point in extended coordinates, or None."""
        y = int.from_bytes(data, "little")
        sign, y = y >> 255, y & (2**255 - 1)
        if y >= cls.P:
            return None
        square = (y * y - 1) * pow(cls.D * y * y + 1, -1, cls.P) % cls.P
        x = pow(square, (cls.P + 3) // 8, cls.P)
        if (x * x - square) % cls.P:
            x = x * pow(2, (cls.P - 1) // 4, cls.P) % cls.P
        if (x * x - square) % cls.P or (x == 0 and sign):
            return None
        if x & 1 != sign:
            x = cls.P - x
        return x, y, 1, x * y % cls.P

    @classmethod
    def base(cls):
        return cls.point((4 * pow(5, -1, cls.P) % cls.P).to_bytes(32, "little"))

    @classmethod
    def add(cls, a, b):
        p = cls.P
        e, f = (a[1] - a[0]) * (b[1] - b[0]) % p, (a[1] + a[0]) * (b[1] + b[0]) % p
        g, h = 2 * a[3] * b[3] * cls.D % p, 2 * a[2] * b[2] % p
        x, y, z, t = f - e, h - g, h + g, f + e
        return x * y % p, z * t % p, y * z % p, x * t % p

    @classmethod
    def times(cls, number, point):
        result = (0, 1, 1, 0)
        while number:
            if number & 1:
                result = cls.add(result, point)
            point, number = cls.add(point, point), number >> 1
        return result

    @classmethod
    def same(cls, a, b):
        return not ((a[0] * b[2] - b[0] * a[2]) % cls.P or (a[1] * b[2] - b[1] * a[2]) % cls.P)


def ed25519(key, message, signature):
    curve = Curve25519
    a, r = curve.point(key), curve.point(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    small = lambda point: curve.same(curve.times(8, point), (0, 1, 1, 0))
    if a is None or r is None or s >= curve.L or small(a) or small(r):
        return False
    hashed = hashlib.sha512(signature[:32] + key + message).digest()
    h = int.from_bytes(hashed, "little") % curve.L
    return curve.same(curve.times(s, curve.base()), curve.add(r, curve.times(h, a)))


class P256:
    P = 2**256 - 2**224 + 2**192 + 2**96 - 1
    N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
    G = (
        0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
        0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
    )

    @classmethod
    def point(cls, data):
        x = int.from_bytes(data[1:], "big")
        if data[0] not in (2, 3) or x >= cls.P:
            return None
        square = (x * x * x - 3 * x + cls.B) % cls.P
        y = pow(square, (cls.P + 1) // 4, cls.P)
        if (y * y - square) % cls.P:
            return None
        return x, y if y & 1 == data[0] & 1 else cls.P - y

    @classmethod
    def add(cls, a, b):
        if a is None or b is None:
            return a or b
        if a[0] == b[0] and (a[1] + b[1]) % cls.P == 0:
            return None
        if a == b:
            slope = (3 * a[0] * a[0] - 3) * pow(2 * a[1], -1, cls.P) % cls.P
        else:
            slope = (b[1] - a[1]) * pow(b[0] - a[0], -1, cls.P) % cls.P
        x = (slope * slope - a[0] - b[0]) % cls.P
        return x, (slope * (a[0] - x) - a[1]) % cls.P

    @classmethod
    def times(cls, number, point):
        result = None
        while number:
            if number & 1:
                result = cls.add(result, point)
            point, number = cls.add(point, point), number >> 1
        return result


def esp256(key, message, signature):
    point = P256.point(key)
    r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
    if point is None or not (0 < r < P256.N and 0 < s < P256.N):
        return False
    z, w = int.from_bytes(hashlib.sha256(message).digest(), "big"), pow(s, -1, P256.N)
    sum_ = P256.add(P256.times(z * w % P256.N, P256.G), P256.times(r * w % P256.N, point))
    return sum_ is not None and sum_[0] % P256.N == r
