#!/usr/bin/env python3
"""Writes the vectors. Not part of the checks: it needs PyPI's `cryptography` and `cbor2`, which
sign and seal the documents independently of the Rust code. Its output never changes by itself:
all keys, salts and codes are derived from their names.
"""

import hashlib
import json
import pathlib

import cbor2
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

import ho1

HERE = pathlib.Path(__file__).parent
NINE = 1_800_000_000
HOUR = 3600
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def bytes_of(name, length):
    return hashlib.shake_256(b"doorstep vectors: " + name.encode()).digest(length)


def write(name, about, common, cases):
    names = [case["name"] for case in cases]
    assert len(set(names)) == len(names), name
    document = {"about": about, "common": common, "cases": cases}
    (HERE / f"{name}.json").write_text(json.dumps(document, indent=1, ensure_ascii=True) + "\n")


class Curve:
    """A P-256 key pair."""

    def __init__(self, name):
        self.scalar = bytes_of(name, 32)
        self.private = ec.derive_private_key(int.from_bytes(self.scalar, "big"), ec.SECP256R1())
        self.public = self.private.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint
        )
        self.fingerprint = ho1.fingerprint(self.public)

    def sign(self, message, high_s=None):
        der = self.private.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
        r, s = decode_dss_signature(der)
        if high_s is not None and (s > ORDER // 2) != high_s:
            s = ORDER - s
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


class Signer:
    """An Ed25519 key pair."""

    def __init__(self, name):
        self.seed = bytes_of(name, 32)
        self.private = ed25519.Ed25519PrivateKey.from_private_bytes(self.seed)
        self.public = self.private.public_key().public_bytes_raw()

    def sign(self, message):
        return self.private.sign(message)


ISSUER = "iss_4nv0"
DEVICE_ID = "dev_7tqe"
SIGNING, FORGER = Signer("issuer signing"), Signer("another issuer signing")
AGREEMENT, DEVICE, OTHER = Curve("issuer agreement"), Curve("device"), Curve("another device")
CROCKFORD, DIGITS = (32, 8), (10, 8)


def context(kind):
    return f"doorstep/HO1/{kind}/v1".encode()


def longer(document, content):
    """The same document, with the length of one byte string written longer than it needs to be."""
    before, after = document.split(content)
    assert cbor2.dumps(content)[:-len(content)] == before[-len(cbor2.dumps(content)) + len(content) :]
    head = cbor2.dumps(content)[: -len(content)]
    size = {1: 1, 2: 2, 3: 4}[len(head)]
    kind = {1: b"\x58", 2: b"\x59", 4: b"\x5a"}[size]
    return before[: -len(head)] + kind + len(content).to_bytes(size, "big") + content + after


def sign1(kind, key, key_id, payload, algorithm=None, tagged=True, more=None, **options):
    algorithm = algorithm or (-19 if isinstance(key, Signer) else -9)
    protected = cbor2.dumps({1: algorithm, 4: key_id.encode(), **(more or {})})
    if not isinstance(payload, bytes):
        payload = cbor2.dumps(payload)
    message = cbor2.dumps(["Signature1", protected, context(kind), payload])
    body = [protected, {}, payload, key.sign(message, **options)]
    return cbor2.dumps(cbor2.CBORTag(18, body) if tagged else body)


def seal(kind, recipient, content, name, bind_ephemeral=True, turn_y=False):
    ephemeral = Curve("ephemeral " + name)
    iv = bytes_of("iv " + name, 12)
    peer = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), recipient.public)
    shared = ephemeral.private.exchange(ec.ECDH(), peer)
    direct = cbor2.dumps({1: -25})
    other = context(kind) + (ephemeral.public if bind_ephemeral else b"")
    nobody = [None, None, None]
    info = [3, nobody, [recipient.fingerprint, None, None], [256, direct, other]]
    key = HKDF(hashes.SHA256(), 32, salt=None, info=cbor2.dumps(info)).derive(shared)
    protected = cbor2.dumps({1: 3})
    aad = cbor2.dumps(["Encrypt", protected, context(kind)])
    ciphertext = AESGCM(key).encrypt(iv, content, aad)
    sign_of_y = (ephemeral.public[0] == 3) != turn_y
    point = {1: 2, -1: 1, -2: ephemeral.public[1:], -3: sign_of_y}
    return cbor2.dumps(
        cbor2.CBORTag(96, [protected, {5: iv}, ciphertext, [[direct, {-1: point}, b""]]])
    )


def subject(delivery, generation, slot, device=DEVICE, issuer=ISSUER):
    return ho1.subject(issuer, delivery, generation, slot, device.fingerprint)


def codes():
    def case(name, typed, canonical, shape=DIGITS):
        return {"name": name, "typed": typed, "alphabet": shape[0], "length": shape[1], "canonical": canonical}

    ten = (10, 10)
    write(
        "codes",
        "Typed text and its canonical form; null is mistyped (section 3.1).",
        {},
        [
            case("eight digits", "48291635", "48291635"),
            case("two groups", "4829 1635", "48291635"),
            case("hyphens and spaces around", " 48-29-16-35 ", "48291635"),
            case("a separator around each symbol", "- 4 8 2 9 1 6 3 5 -", "48291635"),
            case("leading zeros", "00000042", "00000042"),
            case("ten digits", "00482 91635", "0048291635", ten),
            case("crockford", "7Z4KQ0XW", "7Z4KQ0XW", CROCKFORD),
            case("crockford in lower case", "7z4k-q0xw", "7Z4KQ0XW", CROCKFORD),
            case("crockford O for 0, I and L for 1", "oOiIlL7z", "0011117Z", CROCKFORD),
            case("empty", "", None),
            case("only separators", " - - ", None),
            case("one digit short", "4829163", None),
            case("one digit long", "482916350", None),
            case("leading zeros dropped", "42", None),
            case("full-width digits", "\uff14\uff18\uff12\uff19\uff11\uff16\uff13\uff15", None),
            case("arabic-indic digits", "\u0664\u0668\u0662\u0669\u0661\u0666\u0663\u0665", None),
            case("superscript digits", "\u2074\u2078\u00b2\u2079\u00b9\u2076\u00b3\u2075", None),
            case("mathematical digits", "\U0001d7d2\U0001d7d6\U0001d7d0\U0001d7d7", None),
            case("a plus sign", "+48291635", None),
            case("a minus sign of unicode", "\u221248291635", None),
            case("an underscore", "4829_1635", None),
            case("a decimal point", "4829.1635", None),
            case("an exponent", "4829163e5", None),
            case("hexadecimal", "0x482916", None),
            case("a tab", "4829\t1635", None),
            case("a line break", "48291635\n", None),
            case("a no-break space", "4829\u00a01635", None),
            case("a zero-width space", "4829\u200b1635", None),
            case("an en dash", "4829\u20131635", None),
            case("a null byte", "48291635\u0000", None),
            case("a letter O among digits", "4829163O", None),
            case("more than 32 bytes of separators", "4 8 2 9 1 6 3 5" + " " * 18, None),
            case("crockford with U", "7Z4KQ0XU", None, CROCKFORD),
            case("crockford with a full-width letter", "7Z4KQ0X\uff37", None, CROCKFORD),
            case("crockford with a kelvin sign", "7Z4\u212aQ0XW", None, CROCKFORD),
            case("crockford with a check symbol", "7Z4KQ0X*", None, CROCKFORD),
            case("eight digits where ten are due", "48291635", None, ten),
        ],
    )


def tags():
    base = {
        "issuer": ISSUER, "delivery": "dlv_9c", "generation": 1, "slot": 0,
        "device_key": DEVICE.public.hex(), "salt": bytes_of("salt of tags", 16).hex(),
        "alphabet": 10, "length": 8, "t": 13, "code": "48291635",
    }

    def tag_of(case):
        device = ho1.fingerprint(bytes.fromhex(case["device_key"]))
        about = ho1.subject(case["issuer"], case["delivery"], case["generation"], case["slot"], device)
        shape = case["alphabet"], case["length"]
        return ho1.tag(bytes.fromhex(case["salt"]), case["t"], *shape, about, case["code"])

    cases = []
    tag = tag_of(base)
    for name, change in [
        ("eight digits", {}),
        ("leading zeros", {"code": "00000042"}),
        ("all zeros", {"code": "00000000"}),
        ("ten digits, 16 bits", {"length": 10, "t": 16, "code": "0048291635"}),
        ("crockford, 20 bits", {"alphabet": 32, "t": 20, "code": "7Z4KQ0XW"}),
        ("the last generation and slot", {"generation": 2**32 - 1, "slot": 255}),
        ("ids of one and of forty characters", {"issuer": "i", "delivery": "d" * 40}),
    ]:
        right = tag_of({**base, **change})
        cases.append({"name": name, **change, "tag": right, "match": True})
        cases.append({"name": f"{name}: the lowest bit turned", **change, "tag": right ^ 1, "match": False})
    for name, change in [
        ("another code", {"code": "48291636"}),
        ("two digits swapped", {"code": "84291635"}),
        ("another salt", {"salt": bytes_of("another salt", 16).hex()}),
        ("another issuer", {"issuer": "iss_4nv1"}),
        ("another delivery", {"delivery": "dlv_9d"}),
        ("another generation", {"generation": 2}),
        ("another slot", {"slot": 1}),
        ("another device", {"device_key": OTHER.public.hex()}),
        ("generation and slot exchanged", {"generation": 0, "slot": 1}),
        ("a character moved from issuer to delivery", {"issuer": "iss_4nv", "delivery": "0dlv_9c"}),
        ("digits as crockford symbols", {"alphabet": 32, "t": 20}),
    ]:
        assert tag_of({**base, **change}) != tag, name
        cases.append({"name": name, **change, "tag": tag, "match": False})
    for name, wrong in [("the low bits of the hash", "low"), ("one bit more", "more"), ("no tag", "none")]:
        device = ho1.fingerprint(bytes.fromhex(base["device_key"]))
        about = ho1.subject(ISSUER, "dlv_9c", 1, 0, device)
        message = b"doorstep/HO1/tag/v1" + bytes([13, 10, 8]) + about + b"48291635"
        full = int.from_bytes(ho1.hmac.digest(bytes.fromhex(base["salt"]), message, "sha256"), "big")
        value = {"low": full % 2**13, "more": full >> (256 - 14), "none": 0}[wrong]
        assert value != tag
        cases.append({"name": name, "tag": value, "match": False})
    write("tags", "Whether a code has a tag (section 3.3).", base, cases)


def argon2id(salt, memory, passes, message):
    """By OpenSSL."""
    return Argon2id(salt=salt, length=32, iterations=passes, lanes=1, memory_cost=memory).derive(message)


def full():
    base = {
        "issuer": ISSUER, "delivery": "dlv_9c", "generation": 1, "slot": 0,
        "device_key": DEVICE.public.hex(), "salt": bytes_of("salt of full", 16).hex(),
        "alphabet": 32, "length": 10, "memory": 64, "passes": 2, "code": "7Z4KQ0XW3M",
    }

    def hash_of(case, label=b"doorstep/HO1/full/v1"):
        device = ho1.fingerprint(bytes.fromhex(case["device_key"]))
        about = ho1.subject(case["issuer"], case["delivery"], case["generation"], case["slot"], device)
        message = label + bytes([case["alphabet"], case["length"]]) + about + case["code"].encode()
        return argon2id(bytes.fromhex(case["salt"]), case["memory"], case["passes"], message)

    cases = []
    right = hash_of(base)
    for name, change in [
        ("ten symbols", {}),
        ("all zeros", {"code": "0000000000"}),
        ("the least cost", {"memory": 8, "passes": 1}),
        ("memory that is no multiple of four", {"memory": 130, "passes": 3}),
        ("more passes", {"memory": 40, "passes": 4}),
        ("the usual cost", {"memory": 19456, "passes": 2}),
        ("the last generation and slot", {"generation": 2**32 - 1, "slot": 255}),
        ("ids of one and of forty characters", {"issuer": "i", "delivery": "d" * 40}),
    ]:
        hashed = hash_of({**base, **change})
        cases.append({"name": name, **change, "hash": hashed.hex(), "match": True})
        turned = hashed[:-1] + bytes([hashed[-1] ^ 1])
        cases.append({"name": f"{name}: the lowest bit turned", **change, "hash": turned.hex(), "match": False})
    for name, change in [
        ("another code", {"code": "7Z4KQ0XW3N"}),
        ("two symbols swapped", {"code": "Z74KQ0XW3M"}),
        ("a symbol less", {"code": "7Z4KQ0XW3", "length": 9}),
        ("another salt", {"salt": bytes_of("another salt", 16).hex()}),
        ("another issuer", {"issuer": "iss_4nv1"}),
        ("another delivery", {"delivery": "dlv_9d"}),
        ("another generation", {"generation": 2}),
        ("another slot", {"slot": 1}),
        ("another device", {"device_key": OTHER.public.hex()}),
        ("more memory", {"memory": 68}),
        ("a pass less", {"passes": 1}),
        ("a character moved from issuer to delivery", {"issuer": "iss_4nv", "delivery": "0dlv_9c"}),
    ]:
        assert hash_of({**base, **change}) != right, name
        cases.append({"name": name, **change, "hash": right.hex(), "match": False})
    for name, wrong in [
        ("the input of a tag", hash_of(base, b"doorstep/HO1/tag/v1\x19")),
        ("the code alone", argon2id(bytes.fromhex(base["salt"]), 64, 2, b"7Z4KQ0XW3M")),
        ("a hash that is not slow", hashlib.sha256(b"doorstep/HO1/full/v1" + b"7Z4KQ0XW3M").digest()),
        ("all zero", bytes(32)),
    ]:
        cases.append({"name": name, "hash": wrong.hex(), "match": False})
    write("full", "Whether a code has a full hash (section 3.6).", base, cases)


def scans():
    secret = bytes_of("scan secret", 16)
    common = {"issuer": ISSUER, "device_key": DEVICE.public.hex()}
    cases = []

    def hashed(name, text, about, match=True, over=None, **change):
        digest = ho1.scan_hash(about, over or ho1.parse_scan_text(text)[3]).hex()
        cases.append({"name": name, "text": text, "scan": digest, "match": match, **change})

    text = ho1.scan_text("dlv_9c", 1, 0, secret)
    about = subject("dlv_9c", 1, 0)
    hashed("a text", text, about)
    hashed("a link", "https://example.org/d?x=1#" + text, about)
    hashed("white space around", f"  {text}\n", about)
    hashed("two fragments: the last counts", f"https://example.org/#a#{text}", about)
    hashed("the smallest secret", ho1.scan_text("dlv_9c", 1, 0, bytes(16)), about)
    hashed("the largest secret", ho1.scan_text("dlv_9c", 1, 0, b"\xff" * 16), about)
    hashed("the last generation and slot", ho1.scan_text("dlv_9c", 2**32 - 1, 255, secret), subject("dlv_9c", 2**32 - 1, 255))
    hashed("the hash of another secret", text, about, False, bytes_of("another secret", 16))
    hashed("the hash of another delivery", text, subject("dlv_9d", 1, 0), False)
    hashed("the hash of another generation", text, subject("dlv_9c", 2, 0), False)
    hashed("the hash of another slot", text, subject("dlv_9c", 1, 1), False)
    hashed("the hash of another device", text, subject("dlv_9c", 1, 0, OTHER), False)
    hashed("the hash of another issuer", text, subject("dlv_9c", 1, 0, issuer="iss_4nv1"), False)
    for name, bad in [
        ("empty", ""),
        ("only the prefix", "HO1"),
        ("another version", "HO2" + text[3:]),
        ("the prefix in lower case", "ho1" + text[3:]),
        ("no secret", text[: -27]),
        ("a symbol short", text[:-1]),
        ("a symbol long", text + "0"),
        ("the secret in lower case", text[:-26] + text[-26:].lower()),
        ("a secret above 128 bits", text[:-26] + "8" + "0" * 25),
        ("a letter O in the secret", text[:-1] + "O"),
        ("one more part", text + ":"),
        ("a generation with a leading zero", text.replace(":1:0:", ":01:0:")),
        ("a generation with a plus sign", text.replace(":1:0:", ":+1:0:")),
        ("a generation too large", text.replace(":1:0:", ":4294967296:0:")),
        ("an empty generation", text.replace(":1:0:", "::0:")),
        ("a slot too large", text.replace(":1:0:", ":1:256:")),
        ("a delivery in upper case", text.replace("dlv", "DLV")),
        ("an empty delivery", text.replace("dlv_9c", "")),
        ("a delivery of 41 characters", text.replace("dlv_9c", "d" * 41)),
        ("full-width digits", text.replace(":1:0:", ":\uff11:0:")),
        ("a link of more than 300 bytes", "https://example.org/" + "x" * 250 + "#" + text),
        ("the code of eight digits", "48291635"),
    ]:
        cases.append({"name": name, "text": bad, "match": None})
    write("scans", "Scan texts and whether they have a scan hash; null is mistyped (section 3.4).", common, cases)


def code_macs():
    base = {"pepper": bytes_of("pepper", 32).hex(), "delivery": "dlv_9c", "generation": 1, "slot": 0,
            "alphabet": 10, "length": 8, "code": "48291635"}

    def mac_of(case):
        place = case["delivery"], case["generation"], case["slot"]
        return ho1.code_mac(bytes.fromhex(case["pepper"]), *place, case["code"]).hex()

    cases = []
    for name, change in [
        ("eight digits", {}),
        ("leading zeros", {"code": "00000042"}),
        ("ten digits", {"length": 10, "code": "0048291635"}),
        ("crockford", {"alphabet": 32, "code": "7Z4KQ0XW"}),
    ]:
        cases.append({"name": name, **change, "code_mac": mac_of({**base, **change}), "match": True})
    mac = mac_of(base)
    for name, change in [
        ("another code", {"code": "48291636"}),
        ("leading zeros dropped from a longer code", {"length": 10, "code": "0048291635"}),
        ("another pepper", {"pepper": bytes_of("another pepper", 32).hex()}),
        ("another delivery", {"delivery": "dlv_9d"}),
        ("another generation", {"generation": 2}),
        ("another slot", {"slot": 1}),
        ("two digits swapped", {"code": "84291635"}),
        ("a character moved from delivery to code", {"delivery": "dlv_9c4", "code": "8291635", "length": 7}),
        ("generation and slot exchanged", {"generation": 0, "slot": 1}),
    ]:
        assert mac_of({**base, **change}) != mac
        cases.append({"name": name, **change, "code_mac": mac, "match": False})
    plain = hashlib.sha256(b"doorstep/HO1/code/v1" + b"\x06dlv_9c" + b"\0\0\0\1\0" + b"48291635").hexdigest()
    for name, wrong in [("the hash without the pepper", plain), ("all zero", "00" * 32), ("one bit turned", mac[:-1] + f"{int(mac[-1], 16) ^ 1:x}")]:
        cases.append({"name": name, "code_mac": wrong, "match": False})
    write("code_macs", "Whether a code has a code mac (section 3.5).", base, cases)


def judge():
    code, secret = "01234567", bytes_of("scan secret to judge", 16)
    pepper = bytes_of("pepper", 32)
    about = subject("dlv_9c", 1, 0)
    common = {
        "issuer": ISSUER, "delivery": "dlv_9c", "generation": 1, "slot": 0,
        "device_key": DEVICE.public.hex(), "pepper": pepper.hex(), "alphabet": 10, "length": 8,
        "code_mac": ho1.code_mac(pepper, "dlv_9c", 1, 0, code).hex(),
        "scan": ho1.scan_hash(about, secret).hex(),
    }
    typed = [
        ("the code", code, "match"),
        ("the last digit another", "01234568", "match_with_typo"),
        ("the first digit another", "91234567", "match_with_typo"),
        ("the first two swapped", "10234567", "match_with_typo"),
        ("the last two swapped", "01234576", "match_with_typo"),
        ("two digits another", "11234568", "mismatch"),
        ("a swap over one", "21034567", "mismatch"),
        ("two swaps", "10325467", "mismatch"),
        ("a rotation", "12345670", "mismatch"),
        ("backward", "76543210", "mismatch"),
        ("all zero", "00000000", "mismatch"),
    ]
    cases = [{"name": name, "typed": text, "verdict": verdict} for name, text, verdict in typed]
    crockford = {"alphabet": 32, "code_mac": ho1.code_mac(pepper, "dlv_9c", 1, 0, "7Z4KQ0XW").hex()}
    for name, text, verdict in [
        ("crockford: the code", "7Z4KQ0XW", "match"),
        ("crockford: one symbol another", "7Z4KQ0XV", "match_with_typo"),
        ("crockford: two symbols another", "7Z4KQ0VV", "mismatch"),
    ]:
        cases.append({"name": name, **crockford, "typed": text, "verdict": verdict})
    for name, change in [
        ("the code of another slot", {"slot": 1}),
        ("the code of another generation", {"generation": 2}),
        ("the code of another delivery", {"delivery": "dlv_9d"}),
    ]:
        cases.append({"name": name, **change, "typed": code, "verdict": "mismatch"})
    cases.append({"name": "the scan secret", "scanned": secret.hex(), "verdict": "match"})
    for name, scanned, change in [
        ("another scan secret", bytes_of("another secret", 16), {}),
        ("the scan secret of another slot", secret, {"slot": 1}),
        ("the scan secret on another device", secret, {"device_key": OTHER.public.hex()}),
        ("one bit of the scan secret turned", bytes([secret[0] ^ 1]) + secret[1:], {}),
    ]:
        cases.append({"name": name, **change, "scanned": scanned.hex(), "verdict": "mismatch"})
    write("judge", "The issuer's verdict on what was presented (section 11.4).", common, cases)


def stop_of(name, delivery, generation, window, shape=DIGITS, slots=2, budget=5, codes=None, cost=None):
    """A stop, and the codes and scan texts of its slots. With a cost its check is full."""
    bits = ho1.tag_bits(*shape)
    made, presented = [], []
    for number in range(slots):
        drawn = int.from_bytes(bytes_of(f"{name} code {number}", 16), "big")
        symbols = ho1.SYMBOLS[shape[0]]
        code = "".join(symbols[drawn // shape[0] ** place % shape[0]] for place in range(shape[1]))
        code = (codes or {}).get(number, code)
        salt, secret = bytes_of(f"{name} salt {number}", 16), bytes_of(f"{name} secret {number}", 16)
        about = subject(delivery, generation, number)
        if cost:
            message = b"doorstep/HO1/full/v1" + bytes(shape) + about + code.encode()
            held = {"hash": argon2id(salt, *cost, message).hex()}
        else:
            held = {"tag": ho1.tag(salt, bits, *shape, about, code)}
        made.append({"number": number, "salt": salt.hex(), **held, "scan": ho1.scan_hash(about, secret).hex()})
        presented.append((code, ho1.scan_text(delivery, generation, number, secret)))
    stop = {
        "delivery": delivery, "generation": generation, "from": window[0], "until": window[1],
        "budget": budget, "alphabet": shape[0], "length": shape[1],
        **({"memory": cost[0], "passes": cost[1]} if cost else {"t": bits}),
        "reference": f"Order {name}", "label": name, "slots": made,
    }
    return stop, presented


def door():
    day = NINE, NINE + 6 * HOUR
    noon = NINE + 3 * HOUR
    main, a = stop_of("two recipients", "dlv_main", 2, day, codes={1: "00481635"})
    older, old = stop_of("its older generation", "dlv_main", 1, day)
    other, b = stop_of("a neighbour", "dlv_other", 1, day, CROCKFORD, 1)
    short, c = stop_of("a short window", "dlv_short", 1, (NINE + HOUR, NINE + 2 * HOUR), slots=1)
    last, d = stop_of("one attempt", "dlv_last", 1, day, slots=3, budget=1)
    whole, w = stop_of("a full check", "dlv_full", 1, day, (32, 10), cost=(8, 1))
    common = {
        "issuer": ISSUER, "issuer_key": SIGNING.public.hex(), "agreement_key": AGREEMENT.public.hex(),
        "device": DEVICE_ID, "device_secret": DEVICE.scalar.hex(), "device_key": DEVICE.public.hex(),
        "enrolled": NINE, "stops": [older, main, other, short, last, whole],
    }
    cases = []

    def typed(delivery, code, clock=noon):
        return {"delivery": delivery, "typed": code, "clock": clock}

    def scanned(text, clock=noon):
        return {"scanned": text, "clock": clock}

    def case(name, present, answer, *before):
        cases.append({"name": name, "before": list(before), "present": present, "answer": answer})

    def granted(slot):
        return {"granted": slot}

    def refused(reason, **more):
        return {"refused": reason, **more}

    def is_wrong(code, stop):
        about = [subject(stop["delivery"], stop["generation"], slot["number"]) for slot in stop["slots"]]
        shape = stop["t"], stop["alphabet"], stop["length"]
        tags = [ho1.tag(bytes.fromhex(slot["salt"]), *shape, of, code) for slot, of in zip(stop["slots"], about)]
        return all(tag != slot["tag"] for tag, slot in zip(tags, stop["slots"]))

    wrong = [f"{n:08}" for n in range(40) if is_wrong(f"{n:08}", main) and is_wrong(f"{n:08}", last)][:6]
    for code, stop in [(old[0][0], main), (c[0][0], main), (a[0][0], short)]:
        assert is_wrong(code, stop)
    five = [typed("dlv_main", code) for code in wrong[:5]]

    case("the first recipient's code", typed("dlv_main", a[0][0]), granted(0))
    case("the spare's zero-led code", typed("dlv_main", "0048 1635"), granted(1))
    case("crockford in lower case", typed("dlv_other", b[0][0].lower()), granted(0))
    case("a scan", scanned(a[0][1]), granted(0))
    case("a scanned link of the spare", scanned("https://example.org/#" + a[1][1]), granted(1))
    case("a scan that names another slot", scanned(a[0][1].replace(":2:0:", ":2:1:")), granted(0))
    case("the first second of the window", typed("dlv_short", c[0][0], NINE + HOUR), granted(0))
    case("the last second of the window", typed("dlv_short", c[0][0], NINE + 2 * HOUR - 1), granted(0))
    case("the fifth attempt", typed("dlv_main", a[0][0]), granted(0), *five[:4])
    case("a scan after the budget is used up", scanned(a[1][1]), granted(1), *five)
    case("the only attempt", typed("dlv_last", d[2][0]), granted(2))
    case("a clock set right after it ran ahead, by a signed time", typed("dlv_main", a[0][0]), granted(0),
         {"tick": NINE + 400 * 24 * HOUR}, {"signed_time": noon})
    case("a mistyped code costs no attempt", typed("dlv_last", d[0][0]), granted(0), typed("dlv_last", "123"))
    case("a withdrawn neighbour does not matter", typed("dlv_main", a[0][0]), granted(0),
         {"withdrawn": "dlv_other", "generation": 1})

    def near(code):
        return ("0" if code[0] != "0" else "1") + code[1:]

    def of(whose, presentation):
        return {**presentation, "whose": whose}

    gone = {"failed": "dlv_main", "clock": NINE + HOUR}
    case("a full check", typed("dlv_full", w[0][0]), granted(0))
    case("a full check, in groups and lower case", typed("dlv_full", f"{w[1][0][:5]}-{w[1][0][5:]}".lower()), granted(1))
    case("a full check, scanned", scanned(w[0][1]), granted(0))
    case("a neighbour's code is the spare's", of("neighbour", typed("dlv_main", "00481635")), granted(1))
    case("a recipient's code", of("recipient", typed("dlv_main", a[0][0])), granted(0))
    case("the code after a failed attempt to deliver", typed("dlv_main", a[0][0]), granted(0), gone)
    for name, code in [("one symbol another", near(w[0][0])), ("two symbols swapped", w[0][0][1] + w[0][0][0] + w[0][0][2:])]:
        assert code not in (w[0][0], w[1][0])
        case(f"a full check: {name}", typed("dlv_full", code), refused("wrong_code", left=4))
    case("a full check: a symbol less", typed("dlv_full", w[0][0][:9]), refused("mistyped"))
    case("a full check: a code of another stop", typed("dlv_full", a[0][0]), refused("mistyped"))
    case("a full check: used", typed("dlv_full", w[1][0]), refused("already_used"), typed("dlv_full", w[0][0]))
    case("a full check: five wrong codes", typed("dlv_full", w[0][0]), refused("throttled"),
         *[typed("dlv_full", near(w[0][0]))] * 5)
    case("a full check: another secret, scanned", scanned(a[0][1].replace("dlv_main:2", "dlv_full:1")), refused("wrong_code", left=None))
    case("a full check: the end of the window", typed("dlv_full", w[0][0], NINE + 6 * HOUR), refused("expired"))
    case("a full check: withdrawn", typed("dlv_full", w[0][0]), refused("superseded"), {"withdrawn": "dlv_full", "generation": 1})
    case("a full check: the spare's code after the recipient's", typed("dlv_full", w[1][0]), refused("already_used"), scanned(w[0][1]))
    case("a full check: ten full-width symbols", typed("dlv_full", "".join(chr(ord(s) + 0xFEE0) for s in w[0][0])), refused("mistyped"))
    case("a failed attempt to deliver, then a wrong code", typed("dlv_main", wrong[0]), refused("wrong_code", left=4), gone)
    case("withdrawn after a failed attempt", typed("dlv_main", a[0][0]), refused("superseded"), gone, {"withdrawn": "dlv_main", "generation": 2})
    case("a recipient's code said to be a neighbour's", of("neighbour", typed("dlv_main", a[0][0])), refused("wrong_code", left=4))
    case("the spare's code said to be a recipient's", of("recipient", typed("dlv_main", "00481635")), refused("wrong_code", left=4))
    case("a full check: a recipient's code said to be a neighbour's", of("neighbour", typed("dlv_full", w[0][0])), refused("wrong_code", left=4))
    case("a failed attempt to deliver gives no attempt back", typed("dlv_main", a[0][0]), refused("throttled"), *five, gone)
    case("a failed attempt to deliver, then the end of the window", typed("dlv_main", a[0][0], NINE + 6 * HOUR), refused("expired"), gone)
    case("handed over after a failed attempt, and again", typed("dlv_main", a[0][0]), refused("already_used"), gone, typed("dlv_main", a[0][0]))

    used = typed("dlv_main", a[0][0])
    case("the same code again", used, refused("already_used"), used)
    case("the same code in another spelling", typed("dlv_main", f" {a[0][0][:4]}-{a[0][0][4:]}"), refused("already_used"), used)
    case("the spare's code after the recipient's", typed("dlv_main", "00481635"), refused("already_used"), used)
    case("a scan after a code", scanned(a[0][1]), refused("already_used"), used)
    case("the same code with the clock set back", typed("dlv_main", a[0][0], 0), refused("already_used"), used)
    case("the same code after the window", typed("dlv_main", a[0][0], NINE + 7 * HOUR), refused("already_used"), used)
    case("used, then withdrawn", used, refused("already_used"), used, {"withdrawn": "dlv_main", "generation": 2})
    case("a wrong code", typed("dlv_main", wrong[0]), refused("wrong_code", left=4))
    case("the last of five wrong codes", typed("dlv_main", wrong[4]), refused("wrong_code", left=0), *five[:4])
    case("the right code after five wrong ones", used, refused("throttled"), *five)
    case("the spare's code after five wrong ones", typed("dlv_main", "00481635"), refused("throttled"), *five)
    case("five spellings of one wrong code are five attempts", used, refused("throttled"),
         *[typed("dlv_main", " " * n + wrong[0]) for n in range(5)])
    case("the only attempt is gone", typed("dlv_last", d[0][0]), refused("throttled"), typed("dlv_last", wrong[0]))
    case("the code of the older generation", typed("dlv_main", old[0][0]), refused("wrong_code", left=4))
    case("a scan of the older generation", scanned(old[0][1]), refused("superseded"))
    case("a scan of a generation to come", scanned(a[0][1].replace(":2:0:", ":3:0:")), refused("unknown"))
    case("the code of another stop", typed("dlv_main", c[0][0]), refused("wrong_code", left=4))
    case("a scan of another stop's secret", scanned(c[0][1].replace("dlv_short:1", "dlv_main:2")), refused("wrong_code", left=None))
    case("a code of another shape", typed("dlv_other", a[0][0][:7]), refused("mistyped"))
    case("an unknown delivery", typed("dlv_none", a[0][0]), refused("unknown"))
    case("a scan of an unknown delivery", scanned(a[0][1].replace("dlv_main", "dlv_none")), refused("unknown"))
    case("an empty code", typed("dlv_main", ""), refused("mistyped"))
    case("leading zeros dropped", typed("dlv_main", "481635"), refused("mistyped"))
    case("full-width digits", typed("dlv_main", "".join(chr(ord(s) + 0xFEE0) for s in a[0][0])), refused("mistyped"))
    case("a scan cut short", scanned(a[0][1][:-1]), refused("mistyped"))
    case("a second before the window", typed("dlv_short", c[0][0], NINE + HOUR - 1), refused("not_yet_valid"))
    case("the second after the window", typed("dlv_short", c[0][0], NINE + 2 * HOUR), refused("expired"))
    case("a clock at the end of time", typed("dlv_main", a[0][0], 2**64 - 1), refused("expired"))
    case("expired, then the clock set back", typed("dlv_main", a[0][0]), refused("expired"), {"tick": NINE + 6 * HOUR})
    case("a clock that stands still, and a signed time after the window", typed("dlv_main", a[0][0]), refused("expired"),
         {"signed_time": NINE + 6 * HOUR})
    case("ran ahead, and a signed time seen before", typed("dlv_main", a[0][0]), refused("expired"),
         {"tick": NINE + 400 * 24 * HOUR}, {"signed_time": NINE})
    case("expired, scanned", scanned(c[0][1], NINE + 2 * HOUR), refused("expired"))
    case("a second before the window, scanned", scanned(c[0][1], NINE + HOUR - 1), refused("not_yet_valid"))
    case("five wrong codes, then the clock set back", typed("dlv_main", a[0][0], 0), refused("throttled"), *five)
    case("a scan after a scan", scanned(a[0][1]), refused("already_used"), scanned(a[0][1]))
    case("the spare's scan after a scan", scanned(a[1][1]), refused("already_used"), scanned(a[0][1]))
    last_symbol = "0" if a[0][1][-1] != "0" else "1"
    case("a scan with one symbol another", scanned(a[0][1][:-1] + last_symbol), refused("wrong_code", left=None))
    case("a scan with its secret in lower case", scanned(a[0][1][:-26] + a[0][1][-26:].lower()), refused("mistyped"))
    case("a plus sign", typed("dlv_main", "+" + a[0][0]), refused("mistyped"))
    case("an underscore", typed("dlv_main", a[0][0][:4] + "_" + a[0][0][4:]), refused("mistyped"))
    case("a wrong code of a withdrawn stop", typed("dlv_main", wrong[0]), refused("superseded"), {"withdrawn": "dlv_main", "generation": 2})
    case("withdrawn", used, refused("superseded"), {"withdrawn": "dlv_main", "generation": 2})
    case("a scan of a withdrawn stop", scanned(a[0][1]), refused("superseded"), {"withdrawn": "dlv_main", "generation": 2})
    write("door", "A device's stops, what happened before, what is presented, and the answer (section 9).", common, cases)


def identity():
    return [ISSUER, SIGNING.public, AGREEMENT.public, DEVICE_ID, DEVICE.public, "https://example.org", True, True]


def stop_document(stop):
    shape = stop["alphabet"], stop["length"]
    held = lambda s: s["tag"] if "tag" in s else bytes.fromhex(s["hash"])
    slots = [[s["number"], bytes.fromhex(s["salt"]), held(s), bytes.fromhex(s["scan"])] for s in stop["slots"]]
    check = [1, *shape, stop["t"]] if "t" in stop else [2, *shape, stop["memory"], stop["passes"]]
    return [stop["delivery"], stop["generation"], stop["from"], stop["until"], stop["budget"], check,
            stop["reference"], stop["label"], slots]


def route_of(version, stops, withdrawn=(), **change):
    route = {"issuer": ISSUER, "device": DEVICE_ID, "fingerprint": DEVICE.fingerprint, "version": version,
             "time": NINE, "stops": stops, "withdrawn": list(withdrawn), **change}
    return list(route.values())


def evidence_of(means, presented, name, recipient=AGREEMENT, kind="evidence", slot=0, generation=1):
    return seal(kind, recipient, cbor2.dumps(["dlv_9c", generation, slot, means, presented]), name)


def claim_of(evidence, means=1, number=1, previous=bytes(32), slot=0, **change):
    claim = {"issuer": ISSUER, "device": DEVICE_ID, "number": number, "previous": previous,
             "delivery": "dlv_9c", "generation": 1, "at": NINE + HOUR, "signed": NINE,
             "outcome": [0, [slot, means, evidence]], **change}
    return list(claim.values())


def claim_hash(claim):
    return hashlib.sha256(context("claim") + cbor2.dumps(claim)).digest()


def journals():
    stop, presented = stop_of("a day", "dlv_9c", 1, (NINE, NINE + 6 * HOUR))
    evidence = evidence_of(1, presented[0][0].encode(), "journal evidence")
    claim = sign1("claim", DEVICE, DEVICE_ID, claim_of(evidence))
    acknowledgement = sign1("acknowledgement", SIGNING, ISSUER, [
        ISSUER, DEVICE_ID, 1, 1, [1, bytes_of("log", 32)], NINE + 2 * HOUR, 3, bytes_of("nonce", 16)])
    records = [cbor2.dumps(event) for event in [
        [0, [identity(), NINE]],
        [1, [route_of(1, [stop_document(stop)]), NINE + 10]],
        [5, [NINE + 70]],
        [2, [["dlv_9c", 1, 1], NINE + HOUR]],
        [3, [claim, NINE + HOUR]],
        [4, [acknowledgement, NINE + 2 * HOUR]],
    ]]
    head, frames = (0, bytes(32)), []
    for record in records:
        head = ho1.head_after(head, record)
        frames.append({"record": record.hex(), "head": head[1].hex()})

    def without(index):
        return frames[:index] + frames[index + 1 :]

    def swapped(i, j):
        copy = list(frames)
        copy[i], copy[j] = copy[j], copy[i]
        return copy

    edited = [dict(frame) for frame in frames]
    edited[3]["record"] = cbor2.dumps([2, [["dlv_9c", 1, 2], NINE + HOUR]]).hex()
    turned = [dict(frame) for frame in frames]
    turned[-1]["head"] = f"{int(turned[-1]['head'], 16) ^ 1:064x}"
    cases = [
        {"name": "a day", "records": frames, "whole": True},
        {"name": "only enrolled", "records": frames[:1], "whole": True},
        {"name": "a record dropped", "records": without(3), "whole": False},
        {"name": "the first record dropped", "records": without(0), "whole": False},
        {"name": "two records exchanged", "records": swapped(2, 3), "whole": False},
        {"name": "a record twice", "records": frames[:4] + frames[3:], "whole": False},
        {"name": "a typed attempt made a scan", "records": edited, "whole": False},
        {"name": "a head changed", "records": turned, "whole": False},
    ]
    common = {"attempts": 1, "claims": 1, "received": 1}
    write("journals", "Records with the head after each, and whether these fit (section 7).", common, cases)


def documents():
    stop, _ = stop_of("5 Long Lane", "dlv_9c", 1, (NINE, NINE + 6 * HOUR))
    three, _ = stop_of("12 High Street", "dlv_9d", 7, (NINE, NINE + 24 * HOUR), CROCKFORD, 3)
    stop, three = stop_document(stop), stop_document(three)
    cases = []

    def case(kind, name, document, content=None, **more):
        accept = content is not None
        cases.append({"name": f"{kind}: {name}", "kind": kind, "document": document.hex(), "accept": accept,
                      **({"content": content} if accept else {}), **more})

    def flipped(document, place):
        return document[:place] + bytes([document[place] ^ 1]) + document[place + 1 :]

    def route(name, version, stops, withdrawn=(), key=SIGNING, kind="route", key_id=ISSUER, recipient=DEVICE, options={}, **change):
        signed = sign1(kind, key, key_id, route_of(version, stops, withdrawn, **change))
        return seal("route", recipient, signed, name, **options)

    whole = route("two stops", 4, [stop, three], [["dlv_7a", 2]])
    case("route", "two stops, one withdrawn", whole,
         {"version": 4, "time": NINE, "deliveries": ["dlv_9c", "dlv_9d"], "withdrawn": ["dlv_7a"]})
    case("route", "nothing new", route("nothing", 1, []), {"version": 1, "time": NINE, "deliveries": [], "withdrawn": []})
    case("route", "one byte of the ciphertext changed", flipped(whole, 60))
    case("route", "the last byte cut off", whole[:-1])
    case("route", "one byte after the end", whole + b"\0")
    case("route", "the IV changed", flipped(whole, 12))
    _, headers, ciphertext, recipients = cbor2.loads(whole).value
    case("route", "the length of the IV in a longer form", longer(whole, headers[5]))
    case("route", "the length of the ciphertext in a longer form", longer(whole, ciphertext))
    case("route", "two recipients", cbor2.dumps(
        cbor2.CBORTag(96, [cbor2.dumps({1: 3}), headers, ciphertext, recipients * 2])))
    case("route", "the sign of the ephemeral y turned",
         route("two stops", 4, [stop, three], [["dlv_7a", 2]], options={"turn_y": True}))
    case("route", "the ephemeral key not bound in the KDF context", route("unbound", 4, [stop], options={"bind_ephemeral": False}))
    case("route", "sealed to another device", route("other", 4, [stop], recipient=OTHER))
    case("route", "sealed as evidence", seal("evidence", DEVICE, sign1("route", SIGNING, ISSUER, route_of(4, [stop])), "as evidence"))
    case("route", "signed by another issuer's key", route("forged", 4, [stop], key=FORGER))
    case("route", "signed by the device itself", route("own", 4, [stop], key=DEVICE))
    case("route", "signed as an acknowledgement", route("kind", 4, [stop], kind="acknowledgement"))
    case("route", "for another device id", route("id", 4, [stop], device="dev_7tqf"))
    case("route", "for another key of the device", route("key", 4, [stop], fingerprint=OTHER.fingerprint))
    case("route", "of another issuer id", route("issuer", 4, [stop], issuer="iss_4nv1"))
    case("route", "not sealed", sign1("route", SIGNING, ISSUER, route_of(4, [stop])))
    case("route", "not signed", seal("route", DEVICE, cbor2.dumps(route_of(4, [stop])), "unsigned"))

    def changed(place, value):
        copy = list(stop)
        copy[place] = value
        return copy

    slot = stop[8][0]
    for name, bad in [
        ("a stop with an unknown check", changed(5, [3, 10, 8, 13])),
        ("a stop with a split check of a field more", changed(5, [1, 10, 8, 13, 0])),
        ("a stop with an unknown alphabet", changed(5, [1, 36, 8, 13])),
        ("a stop with codes of three symbols", changed(5, [1, 10, 3, 4])),
        ("a stop with a tag of no bits", changed(5, [1, 10, 8, 0])),
        ("a stop without slots", changed(8, [])),
        ("a stop with four slots", changed(8, [[n, *slot[1:]] for n in range(4)])),
        ("a stop with a slot twice", changed(8, [slot, slot])),
        ("a stop with an empty window", changed(3, NINE)),
        ("a stop with a window of more than a day", changed(3, NINE + 24 * HOUR + 1)),
        ("a stop with a reference of 257 bytes", changed(6, "x" * 257)),
        ("a stop with a label of 201 bytes", changed(7, "x" * 201)),
        ("a stop with a salt of 15 bytes", changed(8, [[0, slot[1][1:], *slot[2:]]])),
        ("a stop with a delivery in upper case", changed(0, "DLV_9C")),
        ("a stop with a field more", stop + [0]),
        ("a stop with a field less", stop[:-1]),
    ]:
        case("route", name, route(name, 4, [bad]))
    whole_stop, _ = stop_of("a full check", "dlv_9e", 1, (NINE, NINE + HOUR), (32, 10), cost=(8, 1))
    whole_stop = stop_document(whole_stop)
    case("route", "a full check", route("full", 4, [whole_stop]),
         {"version": 4, "time": NINE, "deliveries": ["dlv_9e"], "withdrawn": []})
    for name, check, slots in [
        ("of eight symbols", [2, 32, 8, 8, 1], whole_stop[8]),
        ("of ten digits", [2, 10, 10, 8, 1], whole_stop[8]),
        ("of 7 KiB", [2, 32, 10, 7, 1], whole_stop[8]),
        ("of more than 64 MiB", [2, 32, 10, 65537, 1], whole_stop[8]),
        ("of no pass", [2, 32, 10, 8, 0], whole_stop[8]),
        ("of five passes", [2, 32, 10, 8, 5], whole_stop[8]),
        ("without its passes", [2, 32, 10, 8], whole_stop[8]),
        ("with tags", [2, 32, 10, 8, 1], stop[8]),
        ("whose slots are a split check's", [1, 32, 10, 25], whole_stop[8]),
    ]:
        bad = list(whole_stop)
        bad[5], bad[8] = check, slots
        case("route", f"a full check {name}", route(f"full {name}", 4, [bad]))
    payload = cbor2.dumps(route_of(4, []))
    for name, encoding in [
        ("a number in a longer form than needed", payload.replace(b"\x04\x1a", b"\x18\x04\x1a", 1)),
        ("an array of indefinite length", payload[:-2] + b"\x9f\xff" + payload[-1:]),
        ("bytes after the content", payload + b"\0"),
    ]:
        assert encoding != payload
        case("route", name, seal("route", DEVICE, sign1("route", SIGNING, ISSUER, encoding), name))

    typed = evidence_of(1, b"48291635", "typed")
    scanned = evidence_of(2, bytes_of("scan secret", 16), "scanned")
    first = claim_of(typed)
    second = claim_of(scanned, 2, 2, claim_hash(first))
    signed = sign1("claim", DEVICE, DEVICE_ID, first, high_s=False)
    case("claim", "a typed code", signed, {"number": 1, "hash": claim_hash(first).hex(), "presented": b"48291635".hex()})
    case("claim", "a scanned secret", sign1("claim", DEVICE, DEVICE_ID, second),
         {"number": 2, "hash": claim_hash(second).hex(), "presented": bytes_of("scan secret", 16).hex()})
    case("claim", "a high S", sign1("claim", DEVICE, DEVICE_ID, first, high_s=True),
         {"number": 1, "hash": claim_hash(first).hex(), "presented": b"48291635".hex()})
    gone = claim_of(None, number=3, previous=claim_hash(second), outcome=[1, [1, "nobody, twice rung"]])
    case("claim", "of a failure", sign1("claim", DEVICE, DEVICE_ID, gone),
         {"number": 3, "hash": claim_hash(gone).hex(), "reason": "absent", "note": "nobody, twice rung"})
    last = claim_of(None, outcome=[1, [6, "\u00e9" * 100]])
    case("claim", "of a failure with the longest note", sign1("claim", DEVICE, DEVICE_ID, last),
         {"number": 1, "hash": claim_hash(last).hex(), "reason": "other", "note": "\u00e9" * 100})
    for name, outcome in [
        ("a failure for no reason", [1, [0, ""]]),
        ("a failure for a reason that there is not", [1, [7, ""]]),
        ("a failure with a note of 201 bytes", [1, [1, "x" * 201]]),
        ("a failure with a line break in its note", [1, [1, "a\nb"]]),
        ("a failure with evidence", [1, [1, "", typed]]),
        ("a failure without a note", [1, [1]]),
        ("a failure whose note is bytes", [1, [1, b""]]),
        ("an outcome of neither kind", [2, [1, ""]]),
        ("no outcome", []),
    ]:
        case("claim", name, sign1("claim", DEVICE, DEVICE_ID, claim_of(None, outcome=outcome)))
    case("claim", "signed by another device", sign1("claim", OTHER, DEVICE_ID, first))
    case("claim", "signed as an upload", sign1("upload", DEVICE, DEVICE_ID, first))
    case("claim", "another key id than its device", sign1("claim", DEVICE, "dev_7tqf", first))
    case("claim", "signed by the issuer", sign1("claim", SIGNING, DEVICE_ID, first))
    case("claim", "the algorithm ES256", sign1("claim", DEVICE, DEVICE_ID, first, algorithm=-7))
    case("claim", "the algorithm of issuers over a device's signature", sign1("claim", DEVICE, DEVICE_ID, first, algorithm=-19))
    case("claim", "without its tag", sign1("claim", DEVICE, DEVICE_ID, first, tagged=False))
    case("claim", "one bit of the signature turned", flipped(signed, len(signed) - 1))
    case("claim", "a signature of zeros", signed[:-64] + bytes(64))
    protected, _, content, signature = cbor2.loads(signed).value
    case("claim", "an unprotected header", cbor2.dumps(cbor2.CBORTag(18, [protected, {4: b"dev"}, content, signature])))
    case("claim", "a protected header more", sign1("claim", DEVICE, DEVICE_ID, first, more={3: 0}))
    case("claim", "one byte after the end", signed + b"\0")
    case("claim", "the length of the payload in a longer form", longer(signed, content))
    case("claim", "the length of the signature in a longer form", longer(signed, signature))
    case("claim", "the tag in a longer form", b"\xd8\x12" + signed[1:])
    case("claim", "means of neither kind", sign1("claim", DEVICE, DEVICE_ID, claim_of(typed, 3)))
    case("claim", "a negative time", sign1("claim", DEVICE, DEVICE_ID, claim_of(typed, at=-1)))
    for name, bad in [
        ("evidence for another slot", claim_of(typed, slot=1)),
        ("evidence for another generation", claim_of(typed, generation=2)),
        ("evidence for another delivery", claim_of(typed, delivery="dlv_9d")),
        ("evidence of other means", claim_of(typed, 2)),
        ("evidence sealed to another key", claim_of(evidence_of(1, b"48291635", "astray", OTHER))),
        ("evidence sealed as a route", claim_of(evidence_of(1, b"48291635", "as route", kind="route"))),
        ("evidence with seven digits", claim_of(evidence_of(1, b"4829163", "short"))),
        ("evidence with a secret of 15 bytes", claim_of(evidence_of(2, bytes(15), "short secret"), 2)),
        ("evidence that is no document", claim_of(b"48291635")),
    ]:
        case("evidence", name, sign1("claim", DEVICE, DEVICE_ID, bad))

    def upload(name, claims, content=None, key=DEVICE, kind="upload", key_id=DEVICE_ID, device=DEVICE_ID):
        case("upload", name, sign1(kind, key, key_id, [device, claims]), content)

    upload("one claim", [signed], {"claims": 1})
    upload("nothing new", [], {"claims": 0})
    upload("five hundred claims", [b""] * 500, {"claims": 500})
    upload("one more than five hundred", [b""] * 501)
    upload("signed by another device", [signed], key=OTHER)
    upload("signed as a claim", [signed], kind="claim")
    upload("of another device than its key id", [signed], device="dev_7tqf")
    upload("a claim that is no bytes", [1])

    def request(name, content=None, key=DEVICE, key_id=DEVICE_ID, nonce=bytes_of("nonce", 16), device=DEVICE_ID, version=4):
        fields = [device, version, nonce, [3, bytes_of("proof", 32)], [9, bytes_of("head", 32)]]
        case("route request", name, sign1("route-request", key, key_id, fields), content)

    request("for what follows version 4", {"version": 4, "head": 9})
    request("signed by another device", key=OTHER)
    request("of another device than its key id", device="dev_7tqf")
    request("a nonce of 15 bytes", nonce=bytes(15))
    request("a negative version", version=-1)

    def take(name, content=None, key=DEVICE, kind="take", key_id=DEVICE_ID, **change):
        fields = {"device": DEVICE_ID, "nonce": bytes_of("nonce", 16), "delivery": "A-17",
                  "at": NINE + HOUR, "variance": 30, **change}
        case("take", name, sign1(kind, key, key_id, list(fields.values())), content)

    take("by its reference", {"delivery": "A-17", "expected_at": NINE + HOUR, "variance_minutes": 30})
    take("with the usual variance", {"delivery": "A-17", "expected_at": NINE + HOUR, "variance_minutes": None}, variance=None)
    take("signed by another device", key=OTHER)
    take("signed as a route request", kind="route-request")
    take("of another device than its key id", device="dev_7tqf")
    take("a nonce of 15 bytes", nonce=bytes(15))
    take("a delivery of 201 bytes", delivery="x" * 201)
    take("a variance above 16 bits", variance=65536)
    take("a negative time", at=-1)

    def acknowledgement(name, content=None, key=SIGNING, kind="acknowledgement", **change):
        fields = {"issuer": ISSUER, "device": DEVICE_ID, "received": 17, "epoch": 1, "log": [40, bytes_of("log", 32)],
                  "time": NINE + HOUR, "prove": 9, "nonce": bytes_of("nonce", 16), **change}
        case("acknowledgement", name, sign1(kind, key, ISSUER, list(fields.values())), content)

    acknowledgement("of seventeen claims", {"received": 17, "time": NINE + HOUR, "prove": 9})
    acknowledgement("of the largest numbers", {"received": 2**64 - 1, "time": 2**64 - 1, "prove": 2**64 - 1},
                    received=2**64 - 1, time=2**64 - 1, prove=2**64 - 1)
    acknowledgement("signed by another issuer's key", key=FORGER)
    acknowledgement("signed by the device", key=DEVICE)
    acknowledgement("signed as a route", kind="route")
    acknowledgement("for another device", device="dev_7tqf")
    acknowledgement("of another issuer id", issuer="iss_4nv1")
    acknowledgement("a number above 64 bits", received=2**64)
    acknowledgement("a nonce of 17 bytes", nonce=bytes(17))
    acknowledgement("a field more", extra=0)

    ticket = bytes_of("ticket", 16)

    def enrolment(name, content=None, key=DEVICE, kind="enrolment", secret=ticket, named=DEVICE, tail=b""):
        payload = secret + named.public + tail
        case("enrolment", name, sign1(kind, key, "enrolment", payload), content, ticket=ticket.hex())

    enrolment("by the ticket", {})
    enrolment("by another ticket", secret=bytes_of("another ticket", 16))
    enrolment("signed by another key", key=OTHER)
    enrolment("of another key than the one that signs", named=OTHER)
    enrolment("signed as a claim", kind="claim")
    enrolment("a byte more", tail=b"\0")

    def welcome(name, content=None, key=SIGNING, kind="welcome", **change):
        fields = {"issuer": ISSUER, "signing_key": SIGNING.public, "agreement_key": AGREEMENT.public,
                  "device": DEVICE_ID, "device_key": DEVICE.public, "time": NINE, "test": False, "managed": False, **change}
        case("welcome", name, sign1(kind, key, ISSUER, list(fields.values())), content)

    welcome("to a real issuer", {"issuer": ISSUER, "device": DEVICE_ID, "time": NINE, "test": False, "managed": False})
    welcome("to a test", {"issuer": ISSUER, "device": DEVICE_ID, "time": NINE, "test": True, "managed": True}, test=True, managed=True)
    welcome("signed by another issuer's key", key=FORGER)
    welcome("naming and signed by another issuer's key", key=FORGER, signing_key=FORGER.public)
    welcome("naming another agreement key", agreement_key=OTHER.public)
    welcome("of another device's key", device_key=OTHER.public)
    welcome("signed as an acknowledgement", kind="acknowledgement")
    welcome("test as a number", test=1)
    welcome("a field more", extra=0)

    def receipt(name, content=None, key=SIGNING, kind="receipt", claimed={}, **change):
        proof = {"device": DEVICE_ID, "holder": 2, "means": 1, "not_before": NINE, "not_after": NINE + 2 * HOUR,
                 "epoch": NINE - HOUR, "log": [40, bytes_of("log", 32)], **claimed}
        fields = {"issuer": ISSUER, "delivery": "dlv_9c", "reference": "A-17", "generation": 1, "at": NINE + HOUR,
                  "basis": [1, [list(proof.values())]], "issued": NINE + 3 * HOUR, **change}
        case("receipt", name, sign1(kind, key, ISSUER, list(fields.values())), content)

    said = {"delivery": "dlv_9c", "reference": "A-17", "at": NINE + HOUR}
    receipt("of a claim", {**said, "basis": "claim", "epoch": NINE - HOUR, "log": 40})
    receipt("of an operator's word", {**said, "basis": "operator"}, basis=[3, []])
    receipt("signed by another issuer's key", key=FORGER)
    receipt("signed as a bundle", kind="bundle")
    receipt("of another issuer id", issuer="iss_4nv1")
    receipt("an unknown basis", basis=[4, []])
    receipt("a holder of neither kind", claimed={"holder": 3})
    receipt("a log without its hash", claimed={"log": [40]})
    receipt("a claim without the epoch of its log", basis=[1, [[DEVICE_ID, 2, 1, NINE, NINE, [40, bytes_of("log", 32)]]]])
    receipt("a field more", extra=0)

    def bundle(name, content=None, key=SIGNING, kind="bundle", making={}, **change):
        made = {"generation": 1, "device": DEVICE_ID, "from": NINE, "until": NINE + HOUR, "created": NINE - HOUR,
                "state": "closed", "check": 2, "slots": 3, **making}
        fields = {"issuer": ISSUER, "epoch": NINE - HOUR, "issued": NINE + 3 * HOUR, "delivery": "dlv_9c",
                  "reference": "A-17", "state": "delivered", "generations": [list(made.values())], "damaged": [7],
                  "welcomes": [], "claims": [], "log": [], "resolutions": [], **change}
        case("bundle", name, sign1(kind, key, ISSUER, list(fields.values())), content)

    bundle("of one generation, and one that is damaged",
           {"delivery": "dlv_9c", "epoch": NINE - HOUR, "checks": [["full", 3]], "damaged": [7]})
    bundle("signed as a receipt", kind="receipt")
    bundle("of another issuer id", issuer="iss_4nv1")
    bundle("an unknown check", making={"check": 3})
    bundle("a generation that is no number", damaged=["7"])

    common = {
        "issuer": ISSUER, "device": DEVICE_ID,
        "issuer_seed": SIGNING.seed.hex(), "issuer_key": SIGNING.public.hex(),
        "agreement_secret": AGREEMENT.scalar.hex(), "agreement_key": AGREEMENT.public.hex(),
        "device_secret": DEVICE.scalar.hex(), "device_key": DEVICE.public.hex(), "alphabet": 10, "length": 8,
    }
    write("documents", "Signed and sealed documents: accepted with this content, or refused (sections 5 and 6).", common, cases)


for make in codes, tags, full, scans, code_macs, judge, journals, door, documents:
    make()
