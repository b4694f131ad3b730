#!/usr/bin/env python3
"""Writes the vectors from the second implementation beside this file. What each case is meant to show is said
by hand: a case whose answer is another one is an error here. Signatures are made with the `cryptography`
package, so that a published library signs what this project verifies.
"""

import hashlib
import json
import pathlib
import random
import sys

sys.dont_write_bytecode = True  # nothing is left behind
import cbor
import curves
import dp1
from dp1 import AUD, CNF, CTI, EXI, EXP, IAT, NBF, NONCE, REVOKED, SCOPE, SEQUENCE

HERE = pathlib.Path(__file__).parent
NOW = 1_800_057_600
HOUR, DAY = 3600, 86_400
ROOT = bytes(range(32))


class Key:
    """A private key of the cases."""

    def __init__(self, algorithm, seed):
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec, ed25519

        self.algorithm = algorithm
        if algorithm == dp1.ED25519:
            self.private = ed25519.Ed25519PrivateKey.from_private_bytes(bytes([seed] * 32))
            self.public = self.private.public_key().public_bytes_raw()
        else:
            self.private = ec.derive_private_key(int.from_bytes(bytes([seed] * 32), "big"), ec.SECP256R1())
            form = serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint
            self.public = self.private.public_key().public_bytes(*form)

    def sign(self, message):
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

        if self.algorithm == dp1.ED25519:
            return self.private.sign(message)
        algorithm = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
        pair = decode_dss_signature(self.private.sign(message, algorithm))
        return b"".join(number.to_bytes(32, "big") for number in pair)

    def cose(self):
        if self.algorithm == dp1.ED25519:
            return {1: {1: 1, -1: 6, -2: self.public}}
        return {1: {1: 2, -1: 1, -2: self.public[1:], -3: self.public[0] == 3}}


class MacKey:
    algorithm = dp1.HMAC

    def __init__(self, epoch=0):
        self.epoch = epoch

    def sign(self, message):
        import hmac

        return hmac.digest(dp1.mac_key(ROOT, self.epoch), message, hashlib.sha256)[:8]


class SealKey:
    algorithm = dp1.A256GCM

    def __init__(self, epoch=0):
        self.epoch = epoch


def encrypted(key, claims, protected=None, payload=None, iv=bytes(range(12)), kind="pass", tag=b"\xd0", unprotected=None,
              context="Encrypt0", secret=None, parts=b"\x83", more=b""):
    """A pass for the lock's eyes only; every part may be given as other bytes, under a tag that fits them."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    protected = cbor.encode({1: key.algorithm, 4: name(key)}) if protected is None else protected
    payload = cbor.encode(claims) if payload is None else payload
    data = cbor.encode([context, protected, dp1.CONTEXT[kind]])
    sealed = AESGCM(secret or dp1.encryption_key(ROOT, key.epoch)).encrypt(iv, payload, data)
    unprotected = cbor.encode({5: iv}) if unprotected is None else unprotected
    return tag + parts + cbor.encode(protected) + unprotected + cbor.encode(sealed) + more


def name(key):
    if key.algorithm in (dp1.HMAC, dp1.A256GCM):
        return key.epoch.to_bytes(max(1, (key.epoch.bit_length() + 7) // 8), "big")
    return dp1.name_of(key.public)


def document(key, kind, claims, protected=None, payload=None, unprotected=b"\xa0", tag=None, check=None):
    """A document; every part may be given as other bytes, under a signature that fits them."""
    protected = cbor.encode({1: key.algorithm, 4: name(key)}) if protected is None else protected
    payload = cbor.encode(claims) if payload is None else payload
    maced = key.algorithm == dp1.HMAC
    context = "MAC0" if maced else "Signature1"
    check = check or key.sign(dp1.structure(context, protected, kind, payload))
    tag = (b"\xd1" if maced else b"\xd2") if tag is None else tag
    return tag + b"\x84" + cbor.encode(protected) + unprotected + cbor.encode(payload) + cbor.encode(check)


def proven(holder, data, lock="lk-00042", nonce=bytes([7] * 16)):
    parts = dp1.Document(data)
    return b"\x82" + data + cbor.encode(holder.sign(dp1.transcript(parts, lock, nonce)))


def timed(holder, data, time=NOW, lock="lk-00042"):
    signature = holder.sign(dp1.transcript(dp1.Document(data), lock, time))
    return b"\x83" + data + cbor.encode(time) + cbor.encode(signature)


IDENTITY = (1).to_bytes(32, "little")


def of_small_order(key, seed, message):
    """What an owner of a key can sign with a point of small order, and a lax reader takes."""
    scalar = int.from_bytes(hashlib.sha512(bytes([seed] * 32)).digest()[:32], "little")
    scalar = scalar & ~7 & (2**254 - 1) | 2**254
    hashed = int.from_bytes(hashlib.sha512(IDENTITY + key.public + message).digest(), "little")
    order = curves.Curve25519.L
    return IDENTITY + (hashed % order * scalar % order).to_bytes(32, "little")


def everybodys():
    """A signature that fits every message under the neutral point as a key, for whoever takes that for one."""
    curve, s = curves.Curve25519, 5
    x, y, z, _ = curve.times(s, curve.base())
    x, y = (one * pow(z, -1, curve.P) % curve.P for one in (x, y))
    return (y | (x & 1) << 255).to_bytes(32, "little") + s.to_bytes(32, "little")


def twin(data):
    """The same with the other signature that fits, (r, n - s)."""
    s = curves.P256.N - int.from_bytes(data[-32:], "big")
    return data[:-32] + s.to_bytes(32, "big")


def write(file, about, cases, **common):
    names = [case["name"] for case in cases]
    assert len(set(names)) == len(names), [n for n in names if names.count(n) > 1]
    text = json.dumps({"about": about, **({"common": common} if common else {}), "cases": cases}, indent=1)
    (HERE / f"{file}.json").write_text(text + "\n")
    print(f"{file}.json: {len(cases)} cases")


def claims(**other):
    """A pass for an hour from now, for whoever has it."""
    labels = dict(aud=AUD, exp=EXP, nbf=NBF, iat=IAT, cti=CTI, cnf=CNF, scope=SCOPE, exi=EXI)
    base = {AUD: "lk-00042", EXP: NOW + HOUR, NBF: NOW, IAT: NOW - DAY, CTI: bytes([0xA1, 2, 3, 4, 5, 6, 7, 8])}
    base |= {labels[key]: value for key, value in other.items()}
    return {label: value for label, value in base.items() if value is not None}


def bulletin(sequence, *revoked, **other):
    return {AUD: "lk-00042", IAT: NOW - DAY, REVOKED: b"".join(revoked), SEQUENCE: sequence} | other


def rotation(key, sequence=1, **other):
    labels = dict(exp=EXP, nbf=NBF, iat=IAT)
    base = {EXP: NOW + 30 * DAY, NBF: NOW - 2 * DAY, IAT: NOW - DAY, CNF: key.cose(), SEQUENCE: sequence}
    return base | {labels[label]: value for label, value in other.items()}


def raw(*pairs):
    """A map of encoded pairs, in the order given."""
    return bytes([0xA0 + len(pairs)]) + b"".join(pairs)


def presented():
    issuer, p256, root = Key(dp1.ED25519, 1), Key(dp1.ESP256, 5), Key(dp1.ED25519, 2)
    stranger, phone, other_phone = Key(dp1.ED25519, 8), Key(dp1.ESP256, 3), Key(dp1.ED25519, 6)
    mac = MacKey()
    common = {
        "name": "lk-00042", "groups": ["club"], "root": ROOT.hex(), "issuer_root": root.public.hex(),
        "keys": [issuer.public.hex(), p256.public.hex()], "oscillator": "crystal", "policy": "need_time", "room": 4,
    }
    cases = []

    def case(title, data, answer, before=(), now=NOW, epoch=0, nonce=None, age=0):
        step = {"presented": data.hex()}
        if nonce is not None:
            step |= {"nonce": nonce.hex(), "age": age}
        one = {"name": title, "now": now, "epoch": epoch, "before": list(before), **step, "answer": answer}
        got = judge(common, one)
        assert got == answer, (title, got)
        cases.append(one)

    shown = lambda data: {"presented": data.hex()}
    wait = lambda seconds: {"event": "elapsed", "seconds": seconds}
    opened = lambda body: {"opened": body[CTI].hex()}
    refused = lambda code: {"refused": code}
    unproven = refused("wrong_code")
    seven = bytes([7] * 16)

    # Three ways to make a pass, and everything that can be wrong with a document.
    for way, key in (("Ed25519", issuer), ("ESP256", p256), ("HMAC", mac)):
        body = claims()
        good = document(key, "pass", body)
        case(f"{way}", good, opened(body))
        algorithm, label = cbor.encode(key.algorithm), cbor.encode(name(key))
        wrong_name = bytes(4) if key is not mac else b"\x01"
        faults = {
            "another lock": document(key, "pass", claims(aud="lk-00043")),
            "the name of the lock in capitals": document(key, "pass", claims(aud="LK-00042")),
            "another key's name": document(key, "pass", body, cbor.encode({1: key.algorithm, 4: wrong_name})),
            "a signature that covers another algorithm": document(
                key, "pass", body, cbor.encode({1: -7, 4: name(key)})
            ),
            "the last bit of the signature": good[:-1] + bytes([good[-1] ^ 1]),
            "a bit of the payload": good.replace(b"lk-00042", b"lk-00043"),
            "cut by a byte": good[:-1],
            "a byte more": good + b"\0",
            "signed as a bulletin": document(key, "bulletin", body),
            "signed as a holder's proof": document(key, "proof", body),
            "headers in the other order": document(key, "pass", body, raw(b"\x04" + label, b"\x01" + algorithm)),
            "a critical header": document(
                key, "pass", body, raw(b"\x01" + algorithm, b"\x02\x81\x05", b"\x04" + label, b"\x05\x40")
            ),
            "a header that is not protected": document(key, "pass", body, unprotected=b"\xa1\x05\x40"),
            "the tag of a CWT around it": b"\xd8\x3d" + good,
            "without a tag": good[1:],
            "a tag in two bytes": document(key, "pass", body, tag=b"\xd8" + bytes([good[0] & 31])),
            "a time in more bytes than it needs": document(
                key, "pass", body, payload=cbor.encode(body).replace(b"\x04\x1a", b"\x04\x1b\0\0\0\0")
            ),
            "claims in another order": document(
                key, "pass", body, payload=raw(*(cbor.encode(k) + cbor.encode(v) for k, v in reversed(body.items())))
            ),
            "a claim twice": document(
                key, "pass", body,
                payload=raw(*(cbor.encode(k) + cbor.encode(v) for k, v in (*body.items(), (CTI, body[CTI])))),
            ),
            "claims without a stated number": document(
                key, "pass", body, payload=b"\xbf" + cbor.encode(body)[1:] + b"\xff"
            ),
            "an unknown claim": document(key, "pass", body | {11: 1}),
            "an unknown bit of the scope": document(key, "pass", claims(scope=b"\x02")),
            "an empty scope": document(key, "pass", claims(scope=b"\0")),
            "once, said as a number": document(key, "pass", claims(scope=b"\0\x01")),
            "once, and twice": document(key, "pass", claims(scope=b"\x01\x02")),
            "no end": document(key, "pass", claims(exp=None)),
            "no beginning": document(key, "pass", claims(nbf=None)),
            "no id": document(key, "pass", claims(cti=None)),
            "an id of three bytes": document(key, "pass", claims(cti=bytes(3))),
            "an id of 17 bytes": document(key, "pass", claims(cti=bytes(17))),
            "an empty window": document(key, "pass", claims(nbf=NOW + HOUR)),
            "a time as text": document(key, "pass", claims(exp=str(NOW + HOUR))),
            "a time beyond 32 bits": document(key, "pass", claims(exp=2**32)),
            "a negative time": document(key, "pass", claims(nbf=-1)),
            "no seconds from the first use": document(key, "pass", claims(exi=0)),
            "bytes for the name of the lock": document(key, "pass", claims(aud=b"lk-00042")),
            "a claim of a bulletin": document(key, "pass", body | {SEQUENCE: 1}),
        }
        if key is not mac:
            other = dp1.ESP256 if key is issuer else dp1.ED25519
            faults |= {
                "the other algorithm that there is": document(key, "pass", body, cbor.encode({1: other, 4: name(key)})),
                "no lock": document(key, "pass", claims(aud=None)),
                "no time when it was made": document(key, "pass", claims(iat=None)),
                "a MAC's tag": document(key, "pass", body, tag=b"\xd1"),
            }
        else:
            faults |= {
                "a signature's tag": document(key, "pass", body, tag=b"\xd2"),
                "of the next epoch": document(MacKey(1), "pass", body),
                "an epoch with a zero before it": document(key, "pass", body, cbor.encode({1: 4, 4: b"\0\0"})),
                "no epoch": document(key, "pass", body, cbor.encode({1: 4, 4: b""})),
                "under 32 bytes of MAC": document(key, "pass", body, check=bytes(32)),
            }
        for fault, data in faults.items():
            assert data != good, fault
            case(f"{way}: {fault}", data, unproven)
    sealed, body, iv = SealKey(), claims(), bytes(range(12))
    bare = claims(aud=None, iat=None)
    good, label = encrypted(sealed, body), cbor.encode(b"\0")
    case("A256GCM", good, opened(body))
    case("A256GCM: a bare one, of a later epoch", encrypted(SealKey(300), bare), opened(bare), epoch=300)
    case("A256GCM: a bare one, of an ended epoch", encrypted(SealKey(299), bare), unproven, epoch=300)
    as_pairs = lambda pairs: raw(*(cbor.encode(k) + cbor.encode(v) for k, v in pairs))
    for fault, data in {
        "another lock": encrypted(sealed, claims(aud="lk-00043")),
        "the first bit of the ciphertext": good[:26] + bytes([good[26] ^ 0x80]) + good[27:],
        "the last bit of the tag": good[:-1] + bytes([good[-1] ^ 1]),
        "another initialisation vector": good.replace(iv, iv[:-1] + b"\0"),
        "cut by a byte": good[:-1],
        "a byte more": good + b"\0",
        "of the next epoch": encrypted(SealKey(1), body),
        "the epoch of another key": encrypted(sealed, body, secret=dp1.encryption_key(ROOT, 1)),
        "under the key of MACs": encrypted(sealed, body, secret=dp1.mac_key(ROOT, 0)),
        "under the key of another lock": encrypted(sealed, body, secret=bytes(32)),
        "an epoch with a zero before it": encrypted(sealed, body, cbor.encode({1: 3, 4: b"\0\0"})),
        "no epoch": encrypted(sealed, body, cbor.encode({1: 3, 4: b""})),
        "an epoch of five bytes": encrypted(sealed, body, cbor.encode({1: 3, 4: b"\1" + bytes(4)})),
        "A128GCM": encrypted(sealed, body, cbor.encode({1: 1, 4: b"\0"})),
        "HMAC for its algorithm": encrypted(sealed, body, cbor.encode({1: 4, 4: b"\0"})),
        "headers in the other order": encrypted(sealed, body, raw(b"\x04" + label, b"\x01\x03")),
        "a critical header": encrypted(sealed, body, raw(b"\x01\x03", b"\x02\x81\x05", b"\x04" + label)),
        "encrypted as a bulletin": encrypted(sealed, body, kind="bulletin"),
        "encrypted for several": encrypted(sealed, body, context="Encrypt"),
        "the tag of a signature": encrypted(sealed, body, tag=b"\xd2"),
        "the tag of a MAC": encrypted(sealed, body, tag=b"\xd1"),
        "the tag of COSE_Encrypt": encrypted(sealed, body, tag=b"\xd8\x60"),
        "a tag in two bytes": encrypted(sealed, body, tag=b"\xd8\x10"),
        "without a tag": encrypted(sealed, body, tag=b""),
        "four parts": encrypted(sealed, body, parts=b"\x84", more=b"\x40"),
        "parts without a stated number": encrypted(sealed, body, parts=b"\x9f", more=b"\xff"),
        "no initialisation vector": encrypted(sealed, body, unprotected=b"\xa0"),
        "a protected initialisation vector": encrypted(sealed, body, raw(b"\x01\x03", b"\x04" + label, b"\x05\x4c" + iv), unprotected=b"\xa0"),
        "a partial initialisation vector": encrypted(sealed, body, unprotected=b"\xa1\x06\x4c" + iv),
        "an initialisation vector of 13 bytes": encrypted(sealed, body, iv=iv + b"\0"),
        "an initialisation vector of 11 bytes": encrypted(sealed, body, iv=iv[1:]),
        "another header that is not protected": encrypted(sealed, body, unprotected=b"\xa2\x04" + label + b"\x05\x4c" + iv),
        "nothing but a tag": encrypted(sealed, body, payload=b""),
        "less than a tag": encrypted(sealed, body)[:24] + b"\x4f" + bytes(15),
        "a tag of 8 bytes": good[:24] + cbor.encode(good[26:-8]),
        "an unknown claim": encrypted(sealed, body | {11: 1}),
        "claims in another order": encrypted(sealed, body, payload=as_pairs(reversed(body.items()))),
        "claims and a byte more": encrypted(sealed, body, payload=cbor.encode(body) + b"\0"),
        "no end": encrypted(sealed, claims(exp=None)),
        "no id": encrypted(sealed, claims(cti=None)),
        "a bulletin": encrypted(sealed, bulletin(1)),
        "a token": encrypted(sealed, {IAT: NOW, NONCE: seven}),
        "a rotation": encrypted(sealed, rotation(stranger)),
        "more than a document holds": encrypted(sealed, body, payload=bytes(300)),
    }.items():
        assert data != good, fault
        case(f"A256GCM: {fault}", data, unproven, nonce=seven)
    once = encrypted(sealed, claims(scope=b"\x01"))
    case("A256GCM: once, replayed", once, refused("already_used"), [shown(once)])
    over = claims(nbf=NOW - DAY, exp=NOW - HOUR)
    case("A256GCM: expired", encrypted(sealed, over), refused("expired"))
    elsewhere = shown(encrypted(sealed, claims(aud="lk-00043", iat=NOW + DAY)))
    case("A256GCM: for another lock, four times", good, refused("throttled"), [elsewhere] * 4)
    case("A256GCM: for another lock, which tells no time", good, opened(body), [elsewhere])
    far = encrypted(sealed, claims(iat=NOW + DAY, exp=NOW - HOUR, nbf=NOW - DAY))
    case("A256GCM: its time reaches the clock", good, refused("clock_unset"), [shown(far)])
    for kind, holder in (("P-256", phone), ("Ed25519", other_phone)):
        body = claims(cnf=holder.cose())
        pass_ = encrypted(sealed, body)
        case(f"A256GCM: a holder's proof, {kind}", proven(holder, pass_), opened(body), nonce=seven)
        case(f"A256GCM: a holder's proof by time, {kind}", timed(holder, pass_), opened(body))
        again, plain = encrypted(sealed, body, iv=bytes(12)), document(issuer, "pass", body)
        for fault, data, code in (
            ("none", pass_, "wrong_code"),
            ("of another key", proven(Key(holder.algorithm, 9), pass_), "wrong_code"),
            ("for another lock", proven(holder, pass_, "lk-00043"), "wrong_code"),
            ("of the same pass, encrypted again", b"\x82" + pass_ + proven(holder, again)[-66:], "wrong_code"),
            ("of the same pass, signed", b"\x82" + pass_ + proven(holder, plain)[-66:], "wrong_code"),
            ("of the same pass under a MAC", b"\x82" + pass_ + proven(holder, document(mac, "pass", body))[-66:], "wrong_code"),
            ("for the signed one, of this one", b"\x82" + plain + proven(holder, pass_)[-66:], "wrong_code"),
            ("by an old time", timed(holder, pass_, NOW - 61), "expired"),
        ):
            case(f"A256GCM: a holder's proof, {kind}: {fault}", data, refused(code), nonce=seven)
    body = claims()
    case("a bare MAC, of a later epoch", document(MacKey(300), "pass", bare), opened(bare), epoch=300)
    case("a bare MAC of an ended epoch", document(MacKey(299), "pass", bare), unproven, epoch=300)
    case("nothing", b"", unproven)
    case("another issuer", document(stranger, "pass", claims()), unproven)
    case("the issuer's root signs no passes", document(root, "pass", claims()), unproven)
    message = dp1.Document(document(issuer, "pass", claims())).message()
    lax = document(issuer, "pass", claims(), check=of_small_order(issuer, 1, message))
    case("a signature with a point of small order", lax, unproven)
    beyond = document(issuer, "pass", claims())
    s = int.from_bytes(beyond[-32:], "little") + curves.Curve25519.L
    case("a signature beyond the group's order", beyond[:-32] + s.to_bytes(32, "little"), unproven)
    as_ours = cbor.encode({1: dp1.ED25519, 4: name(issuer)})
    case("another issuer that names our key", document(stranger, "pass", claims(), as_ours), unproven)
    expired = claims(nbf=NOW - DAY, exp=NOW - HOUR)
    case("expired, and not ours: only that it is not ours", document(stranger, "pass", expired), unproven)

    # Window
    data, body = document(issuer, "pass", claims()), claims()
    case("the first second of grace", data, opened(body), now=NOW - 900)
    case("before it", data, refused("not_yet_valid"), now=NOW - 902)
    case("a day before", data, refused("not_yet_valid"), now=NOW - DAY)
    case("the last second of grace", data, opened(body), now=NOW + HOUR + 899)
    case("after it", data, refused("expired"), now=NOW + HOUR + 900)
    case("a day after", data, refused("expired"), now=NOW + DAY)
    case("after a power cut", data, refused("clock_unset"), [{"event": "power_lost"}])
    exact = document(issuer, "pass", claims(scope=b"\x08", exp=NOW + 400 * DAY))
    case("an exact clock", exact, opened(body))
    case("an exact clock is asked for, after 300 days", exact, refused("clock_unset"), [wait(300 * DAY)])
    lasts = document(issuer, "pass", claims(exi=7200, exp=NOW + DAY))
    case("two hours from the first use", lasts, opened(body), [shown(lasts), wait(2 * HOUR)])
    case("two hours and a half", lasts, refused("expired"), [shown(lasts), wait(5 * HOUR // 2)])
    case("a minute after it, over all the same", lasts, refused("expired"), [shown(lasts), wait(DAY + 960)])

    # What was signed tells the time, also when the pass is refused.
    ahead = document(issuer, "pass", claims(iat=NOW + DAY, nbf=NOW + 2 * DAY, exp=NOW + 3 * DAY))
    slow = [{"event": "elapsed", "seconds": 300 * DAY}]
    tomorrow = document(issuer, "pass", claims(exp=NOW + DAY))
    case("the day of a pass that opens nothing", tomorrow, refused("clock_unset"), [shown(ahead)])
    forged = document(stranger, "pass", claims(iat=NOW + DAY, nbf=NOW + 2 * DAY, exp=NOW + 3 * DAY))
    case("the day of a pass that nobody signed", tomorrow, opened(body), [shown(forged)])
    later = NOW + 300 * DAY
    near = document(issuer, "pass", claims(iat=later - 60, nbf=NOW, exp=NOW + HOUR))
    edge = document(issuer, "pass", claims(nbf=NOW, exp=later - 1000))
    case("before an expired pass told the time", edge, opened(body), slow)
    case("after an expired pass told the time", edge, refused("expired"), [*slow, shown(near)])
    far = document(issuer, "pass", claims(iat=NOW + 8 * DAY, exp=NOW + 9 * DAY))
    case("a time that is too far ahead is not believed", tomorrow, opened(body), [shown(far)])

    # How often
    once, twice = document(issuer, "pass", claims(scope=b"\x01")), document(issuer, "pass", claims(scope=b"\0\x02"))
    case("once", once, opened(body))
    case("once, replayed", once, refused("already_used"), [shown(once)])
    renewed = document(p256, "pass", claims(scope=b"\x01", exp=NOW + DAY))
    case("once, replayed as another document with its id", renewed, refused("already_used"), [shown(once)])
    case("once, replayed under a MAC", document(mac, "pass", claims(scope=b"\x01")), refused("already_used"), [shown(once)])
    slowly = document(issuer, "pass", claims(scope=b"\x01", exp=later + HOUR))
    used = [*slow, shown(slowly), wait(HOUR + 960)]
    case("once, replayed when it is over by the estimate, not by the floor", slowly, refused("already_used"), used)
    case("twice", twice, opened(body), [shown(twice)])
    case("thrice", twice, refused("already_used"), [shown(twice), shown(twice)])
    malleable = document(p256, "pass", claims(scope=b"\x01"))
    case("the twin of its signature", twin(malleable), opened(body))
    case("the twin, when it is used", twin(malleable), refused("already_used"), [shown(malleable)])
    case("used, when the twin is", malleable, refused("already_used"), [shown(twin(malleable))])
    ids = [document(issuer, "pass", claims(scope=b"\x01", cti=bytes([n] * 8))) for n in range(1, 6)]
    case("no room", ids[4], refused("ledger_full"), map(shown, ids[:4]))
    case("a group", document(issuer, "pass", claims(aud="club")), opened(body))
    for limit, other in (("once", {"scope": b"\x01"}), ("twice", {"scope": b"\0\x02"}), ("from its first use", {"exi": 60})):
        shared = document(issuer, "pass", claims(aud="club", **other))
        case(f"a group, {limit}", shared, refused("wrong_verifier"))
    broken = data[:-1] + bytes([data[-1] ^ 1])
    case("after four that failed", data, refused("throttled"), [shown(broken)] * 4)
    case("after four that failed, two seconds later", data, opened(body), [shown(broken)] * 4 + [wait(2)])
    dull = shown(document(issuer, "pass", claims(nbf=NOW + DAY, exp=NOW + 2 * DAY)))
    case("after four authentic ones that were refused", data, refused("throttled"), [dull] * 4)
    case("after four authentic ones that were refused, two seconds later", data, opened(body), [dull] * 4 + [wait(2)])
    case("after five that opened", data, opened(body), [shown(data)] * 5)
    reset = [shown(once), wait(2 * HOUR), shown(broken), {"event": "reset", "time": NOW, "age": 0}]
    case("a clock that was reset revives nothing", once, refused("expired"), reset)

    # Holders
    for kind, holder in (("P-256", phone), ("Ed25519", other_phone)):
        body = claims(cnf=holder.cose())
        pass_ = document(issuer, "pass", body)
        good = proven(holder, pass_)
        case(f"a holder's proof, {kind}", good, opened(body), nonce=seven, age=30)
        another = document(issuer, "pass", body | {CTI: bytes(8)})
        for fault, data, nonce, age in (
            ("none", pass_, None, 0),
            ("none, where one is asked for", pass_, seven, 0),
            ("for no challenge", good, None, 0),
            ("for another challenge", good, bytes(16), 0),
            ("too late", good, seven, 31),
            ("for another lock", proven(holder, pass_, "lk-00043"), seven, 0),
            ("of another key", proven(Key(holder.algorithm, 9), pass_), seven, 0),
            ("of another pass", b"\x82" + another + good[-66:], seven, 0),
            ("a bit of it", good[:-1] + bytes([good[-1] ^ 1]), seven, 0),
            ("cut", good[:-1], seven, 0),
            ("a byte more", good + b"\0", seven, 0),
            ("no bytes", good[:-66] + b"\x40", seven, 0),
            ("three parts", b"\x83" + good[1:] + b"\0", seven, 0),
        ):
            case(f"a holder's proof, {kind}: {fault}", data, unproven, nonce=nonce, age=age)
    for kind, holder in (("P-256", phone), ("Ed25519", other_phone)):
        body = claims(cnf=holder.cose())
        pass_ = document(issuer, "pass", body)
        good = timed(holder, pass_)
        case(f"a proof by time, {kind}", good, opened(body))
        case(f"a proof by time, {kind}: where a challenge was sent", good, opened(body), nonce=seven)
        case(f"a proof by time, {kind}: a minute slow", timed(holder, pass_, NOW - 60), opened(body))
        case(f"a proof by time, {kind}: a minute fast", timed(holder, pass_, NOW + 61), opened(body))
        case(f"a proof by time, {kind}: a newer one", timed(holder, pass_, NOW + 1), opened(body), [shown(good)])
        another = document(issuer, "pass", body | {CTI: bytes(8)})
        proof, answered = good[-66:], proven(holder, pass_, nonce=bytes(12) + NOW.to_bytes(4, "big"))
        for fault, data, code in (
            ("a minute and a second slow", timed(holder, pass_, NOW - 61), "expired"),
            ("a minute and a second fast", timed(holder, pass_, NOW + 62), "not_yet_valid"),
            ("of the first second", timed(holder, pass_, 0), "expired"),
            ("of the last second", timed(holder, pass_, 2**32 - 1), "not_yet_valid"),
            ("for another lock", timed(holder, pass_, NOW, "lk-00043"), "wrong_code"),
            ("of another key", timed(Key(holder.algorithm, 9), pass_), "wrong_code"),
            ("of another pass", b"\x83" + another + good[-71:], "wrong_code"),
            ("with another time", good[:-67] + bytes([good[-67] ^ 1]) + proof, "wrong_code"),
            ("a bit of it", good[:-1] + bytes([good[-1] ^ 1]), "wrong_code"),
            ("as the answer to a challenge", b"\x82" + pass_ + proof, "wrong_code"),
            ("from the answer to a challenge", b"\x83" + pass_ + cbor.encode(NOW) + answered[-66:], "wrong_code"),
            ("cut", good[:-1], "wrong_code"),
            ("a byte more", good + b"\0", "wrong_code"),
            ("without its time", b"\x83" + pass_ + proof, "wrong_code"),
            ("with its time only", good[:-66], "wrong_code"),
            ("with the time last", b"\x83" + pass_ + proof + cbor.encode(NOW), "wrong_code"),
            ("with the time in more bytes than it needs", good[:-71] + b"\x1b\0\0\0\0" + good[-70:], "wrong_code"),
            ("with a negative time", good[:-71] + b"\x3a" + good[-70:], "wrong_code"),
            ("with a time of four bytes", good[:-71] + b"\x44" + good[-70:], "wrong_code"),
            ("with no time", good[:-71] + b"\xf6" + proof, "wrong_code"),
        ):
            case(f"a proof by time, {kind}: {fault}", data, refused(code), nonce=seven)
        minute = timed(holder, pass_, NOW + 60)
        for fault, data, code, before in (
            ("copied", good, "already_used", [shown(good)]),
            ("an older one", timed(holder, pass_, NOW - 1), "already_used", [shown(good)]),
            ("a picture of it, two minutes later", good, "expired", [wait(120)]),
            ("copied, when the clock was reset", good, "already_used", [shown(good), wait(600), {"event": "reset", "time": NOW, "age": 0}]),
            ("after a power cut", good, "clock_unset", [{"event": "power_lost"}]),
            ("a copy that another document with its id brought", timed(holder, document(p256, "pass", body)), "already_used", [shown(good)]),
            ("one that waits for its minute", minute, "already_used", [shown(minute), wait(60)]),
        ):
            case(f"a proof by time, {kind}: {fault}", data, refused(code), before)
    once = document(issuer, "pass", claims(cnf=phone.cose(), scope=b"\x01"))
    case("once, proven by time", timed(phone, once), opened(body))
    again = timed(phone, once, NOW + 1)
    case("once, proven by time again", again, refused("already_used"), [shown(timed(phone, once))])
    late = proven(phone, once)
    case("once, proven by time and by an answer", late, refused("already_used"), [shown(timed(phone, once))], nonce=seven)
    thrice = document(issuer, "pass", claims(cnf=phone.cose(), scope=b"\0\x03"))
    between = [shown(timed(phone, thrice)), {**shown(proven(phone, thrice)), "nonce": seven.hex(), "age": 0}]
    case("a copy of a proof by time, after an answer", timed(phone, thrice), refused("already_used"), between)
    held = [document(issuer, "pass", claims(cnf=phone.cose(), cti=bytes([n] * 8))) for n in range(1, 6)]
    filled = [shown(timed(phone, one)) for one in held[:4]]
    case("a proof by time takes room", timed(phone, held[4]), refused("ledger_full"), filled)
    case("a proof by time gives its room back", timed(phone, held[4], NOW + 2 * HOUR), refused("expired"), [*filled, wait(2 * HOUR)])
    season = [document(issuer, "pass", claims(cnf=phone.cose(), cti=bytes([n] * 8), exp=NOW + 30 * DAY)) for n in range(1, 6)]
    filled_long = [shown(timed(phone, one)) for one in season[:4]]
    case("a season of proofs by time takes room for a moment", timed(phone, season[4], NOW + 2 * HOUR), opened({CTI: bytes([5] * 8)}), [*filled_long, wait(2 * HOUR), shown(broken)])
    case("an answer to a challenge takes none", proven(phone, held[4]), opened({CTI: bytes([5] * 8)}), filled, nonce=seven)
    over = [shown(timed(phone, held[0])), wait(2 * HOUR), shown(broken), {"event": "reset", "time": NOW, "age": 0}]
    case("a clock that was reset revives no proof by time", timed(phone, held[0]), refused("already_used"), over)
    slowly = document(issuer, "pass", claims(cnf=phone.cose(), exp=later + HOUR))
    case("a proof by time where the lock is uncertain", timed(phone, slowly, later + 300), opened(body), slow)
    case("a proof by time is no news to the clock", tomorrow, opened(body), [shown(timed(phone, held[0], NOW + 61))])
    everybody = document(issuer, "pass", claims())
    case("a bearer pass that nobody proves", b"\x83" + everybody + timed(phone, held[0])[-71:], opened(claims()))
    first = document(issuer, "bulletin", bulletin(1))
    case("a bulletin with a proof by time", b"\x83" + first + timed(phone, held[0])[-71:], unproven)
    odd = claims(cnf={1: {1: 1, -1: 6, -2: phone.public}})
    case("a holder's key of 33 bytes", document(issuer, "pass", odd), unproven, nonce=seven)
    odd = claims(cnf={1: {1: 1, -1: 4, -2: bytes(32)}})
    case("a holder's key on another curve", document(issuer, "pass", odd), unproven, nonce=seven)
    again = (curves.Curve25519.P + 1).to_bytes(32, "little")
    for how, point in [("", IDENTITY), (", in its second encoding", again)]:
        odd = document(issuer, "pass", claims(cnf={1: {1: 1, -1: 6, -2: point}}))
        case(f"a holder's key of small order{how}", b"\x82" + odd + cbor.encode(everybodys()), unproven, nonce=seven)
    odd = claims(cnf={3: bytes(8)})
    case("a holder's key by its name only", document(issuer, "pass", odd), unproven, nonce=seven)

    # Riders
    body, prefix = claims(), claims()[CTI][:4]
    data = document(issuer, "pass", body)
    first = document(issuer, "bulletin", bulletin(1, prefix))
    cleared = document(p256, "bulletin", bulletin(2))
    case("a bulletin", first, {"taken": "bulletin"})
    case("a bulletin under a MAC", document(mac, "bulletin", bulletin(1000, prefix)), {"taken": "bulletin"})
    case("revoked", data, refused("revoked"), [shown(first)])
    case("revoked, under a MAC as well", document(mac, "pass", body), refused("revoked"), [shown(first)])
    case("revoked no more", data, opened(body), [shown(first), shown(cleared)])
    case("an old bulletin", first, refused("already_used"), [shown(first), shown(cleared)])
    case("a bulletin again", first, refused("already_used"), [shown(first)])
    case("a bulletin too far ahead", document(issuer, "bulletin", bulletin(1001)), refused("already_used"))
    case("a bulletin at the end of its numbers", document(issuer, "bulletin", bulletin(2**32 - 1)), refused("already_used"))
    case("a bulletin without a number", document(issuer, "bulletin", bulletin(0)), refused("already_used"))
    for fault, one in (
        ("of another issuer", document(stranger, "bulletin", bulletin(1, prefix))),
        ("for another lock", document(issuer, "bulletin", bulletin(1, prefix, **{}) | {AUD: "lk-00043"})),
        ("under the root", document(root, "bulletin", bulletin(1, prefix))),
        ("signed as a pass", document(issuer, "pass", bulletin(1, prefix))),
        ("not ascending", document(issuer, "bulletin", bulletin(1, bytes([2] * 4), bytes([1] * 4)))),
        ("one twice", document(issuer, "bulletin", bulletin(1, prefix, prefix))),
        ("half a prefix", document(issuer, "bulletin", bulletin(1, prefix[:2]))),
        ("49 of them", document(issuer, "bulletin", bulletin(1, *(n.to_bytes(4, "big") for n in range(49))))),
        ("with an end", document(issuer, "bulletin", bulletin(1, prefix) | {EXP: NOW + DAY})),
        ("with a proof", b"\x82" + first + b"\x58\x40" + bytes(64)),
    ):
        case(f"a bulletin {fault}", one, unproven)
        case(f"a bulletin {fault}: nothing is revoked", data, opened(body), [shown(one)])
    token = document(issuer, "token", {IAT: NOW, NONCE: seven})
    cut = [{"event": "power_lost"}]
    case("fresh time", token, {"taken": "token"}, cut, nonce=seven, age=20)
    case("fresh time under a MAC", document(mac, "token", {IAT: NOW, NONCE: seven}), {"taken": "token"}, cut, nonce=seven)
    heard = {"presented": token.hex(), "nonce": seven.hex(), "age": 20}
    case("opened by fresh time", data, opened(body), [*cut, heard], now=NOW - DAY)
    for fault, one, nonce, age, code in (
        ("without a challenge", token, None, 0, "wrong_code"),
        ("for another challenge", token, bytes(16), 0, "wrong_code"),
        ("of another issuer", document(stranger, "token", {IAT: NOW, NONCE: seven}), seven, 0, "wrong_code"),
        ("signed as a pass", document(issuer, "pass", {IAT: NOW, NONCE: seven}), seven, 0, "wrong_code"),
        ("for a challenge of 15 bytes", document(issuer, "token", {IAT: NOW, NONCE: seven[1:]}), seven, 0, "wrong_code"),
        ("too late", token, seven, 601, "already_used"),
        ("before the floor", document(issuer, "token", {IAT: NOW - DAY, NONCE: seven}), seven, 0, "already_used"),
    ):
        case(f"fresh time {fault}", one, refused(code), cut, nonce=nonce, age=age)
        step = {"presented": one.hex()} | ({"nonce": nonce.hex(), "age": age} if nonce else {})
        case(f"fresh time {fault}: nothing opens", data, refused("clock_unset"), [*cut, step])
    new = Key(dp1.ED25519, 20)
    turned = document(root, "rotation", rotation(new))
    by_new = document(new, "pass", body)
    case("a key before its rotation", by_new, unproven)
    case("a rotation", turned, {"taken": "rotation"})
    case("a key after its rotation", by_new, opened(body), [shown(turned)])
    case("a rotation to P-256", document(root, "rotation", rotation(Key(dp1.ESP256, 21))), {"taken": "rotation"})
    old = document(new, "pass", claims(iat=NOW - 3 * DAY))
    case("a key before its window", old, unproven, [shown(turned)])
    case("a key after its window", document(new, "pass", claims(exp=NOW + 40 * DAY)), unproven, [shown(turned), wait(31 * DAY)])
    ended = document(root, "rotation", rotation(issuer, 2, nbf=NOW - 9 * DAY, exp=NOW - HOUR))
    case("an ended key", data, unproven, [shown(document(root, "rotation", rotation(issuer, 1, nbf=NOW - 9 * DAY, exp=NOW - HOUR)))])
    case("a rotation again", turned, refused("already_used"), [shown(turned)])
    case("an old rotation", turned, refused("already_used"), [shown(turned), shown(ended)])
    case("a rotation before which one is missing", document(root, "rotation", rotation(new, 2)), refused("not_yet_valid"))
    case("a rotation at the end of its numbers", document(root, "rotation", rotation(new, 2**32 - 1)), refused("not_yet_valid"))
    case("a rotation left out, after the next one was refused", turned, {"taken": "rotation"}, [shown(document(root, "rotation", rotation(new, 2)))])
    far = dict(nbf=NOW - 9 * DAY, iat=NOW + 8 * DAY)
    over = document(root, "rotation", rotation(issuer, exp=NOW + 8 * DAY, **far))
    case("a key that is over by its statement, not by the floor", data, unproven, [shown(over)])
    soon = document(root, "rotation", rotation(issuer, exp=NOW + 8 * DAY + 1, **far))
    case("a key that will be over", data, opened(body), [shown(soon)])
    unknown = document(root, "rotation", rotation(new, exp=NOW, iat=NOW))
    case("an end of a key that the lock has not", data, opened(body), [shown(unknown)])
    for fault, one in (
        ("under the issuer's key", document(issuer, "rotation", rotation(new))),
        ("under another root", document(stranger, "rotation", rotation(new))),
        ("under a MAC", document(mac, "rotation", rotation(new))),
        ("signed as a pass", document(root, "pass", rotation(new))),
        ("without an end", document(root, "rotation", {k: v for k, v in rotation(new).items() if k != EXP})),
        ("to no point of the curve", document(root, "rotation", rotation(new) | {CNF: {1: {1: 1, -1: 6, -2: b"\x02" + bytes(31)}}})),
    ):
        case(f"a rotation {fault}", one, unproven)
        case(f"a rotation {fault}: the key opens nothing", by_new, unproven, [shown(one)])
    about = (
        "What a lock answers: 'before' happens first, at a lock that was installed at 'now', then 'presented' is "
        "held to it, as the answer to the challenge 'nonce' of 'age' counted seconds if there is one"
    )
    write("presented", about, cases, **common)


def judge(common, case):
    key = lambda text: (dp1.ED25519 if len(text) == 64 else dp1.ESP256, bytes.fromhex(text))
    lock = dp1.Lock(
        common["name"], common["groups"], bytes.fromhex(common["root"]), key(common["issuer_root"]),
        [key(text) for text in common["keys"]], common["oscillator"], common["policy"],
        case["now"], case["epoch"], common["room"],
    )
    answer = None
    for step in [*case["before"], case]:
        if "event" in step:
            lock.then(step)
            continue
        nonce = bytes.fromhex(step["nonce"]) if "nonce" in step else None
        try:
            answer = lock.show(bytes.fromhex(step["presented"]), nonce, step.get("age", 0))
        except dp1.Refused as refusal:
            answer = {"refused": str(refusal)}
    return answer


def challenges():
    cases = []
    for starts in (1, 2, 300):
        for number in (0, 1, 255, 256, 1000):
            counts = {"starts": starts, "number": number}
            cases.append({"name": f"start {starts}, {number}", **counts, "nonce": dp1.nonce(ROOT, starts, number).hex()})
    write("challenges", "The nonce of a number since a start of the lock with this root", cases, root=ROOT.hex())


def texts():
    cases = []
    # RFC 9285, section 4, after the prefix.
    for text, data in (("BB8", b"AB"), ("%69 VD92EX0", b"Hello!!"), ("UJCLQE7W581", b"base-45"), ("QED8WEX0", b"ietf!")):
        assert dp1.to_text(data) == "DP1:" + text
        cases.append({"name": f"of RFC 9285: {data.decode()}", "text": "DP1:" + text, "bytes": data.hex()})
    rng = random.Random(9285)
    for length in (0, 1, 166, 235, 392):
        data = rng.randbytes(length)
        cases.append({"name": f"{length} bytes", "text": dp1.to_text(data), "bytes": data.hex()})
    for fault, text in (
        ("another prefix", "HC1:BB8"), ("no prefix", "BB8"), ("a small prefix", "dp1:BB8"), ("nothing", ""),
        ("small letters", "DP1:bb8"), ("one digit", "DP1:B"), ("one digit left", "DP1:BB80"), ("beyond 16 bits", "DP1:GGW"),
        ("far beyond 16 bits", "DP1::::"), ("beyond 8 bits", "DP1:V5"), ("far beyond 8 bits", "DP1:::"),
        ("a line's end", "DP1:BB8\n"), ("a space before it", " DP1:BB8"), ("a tab", "DP1:BB\t"), ("an underscore", "DP1:BB_"),
        ("an equals sign", "DP1:BB="), ("a digit of full width", "DP1:BB８"), ("a letter with a mark", "DP1:BÄ8"),
        ("393 bytes", dp1.to_text(bytes(393))),
        ("a zero byte", "DP1:BB\0"), ("a comma", "DP1:BB,"), ("a prefix without a colon", "DP1BB8"), ("a prefix cut", "DP"),
        ("a quotation mark", 'DP1:"BB8"'), ("a semicolon for the colon", "DP1;BB8"),
    ):
        assert dp1.from_text(text) is None, fault
        cases.append({"name": fault, "text": text, "bytes": None})
    for text in ("DP1:BB8DP1:B", "DP1:BB8BB8B", "DP1:ZZZZZZ"):
        assert dp1.from_text(text) is None, text
        cases.append({"name": f"not base45: {text}", "text": text, "bytes": None})
    write("texts", "Texts of QR codes and the bytes that they say, or null", cases)


if __name__ == "__main__":
    presented()
    challenges()
    texts()
