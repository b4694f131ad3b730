"""DP1 by its specification (docs/dp1.md), with nothing but Python's standard library."""

import hashlib
import hmac
import pathlib
import re
import sys

import aes
import cbor
import curves

sys.path.append(str(pathlib.Path(__file__).parent.parent / "kp1"))
from clock import Belief  # noqa: E402
from kp1 import hkdf  # noqa: E402

GRACE, EXACT, PROOF, PHONE, ADVANCE, LARGEST = 900, 900, 30, 60, 1_000, 48
ED25519, ESP256, HMAC, A256GCM = -19, -9, 4, 3
AUD, EXP, NBF, IAT, CTI, CNF, SCOPE, NONCE, EXI, REVOKED, SEQUENCE = 3, 4, 5, 6, 7, 8, 9, 10, 40, -65537, -65538
CONTEXT = {"pass": b"dp1", "proof": b"dp-h", "bulletin": b"dp-r", "token": b"dp-t", "rotation": b"dp-k"}


class Refused(Exception):
    pass


def require(fact):
    if not fact:
        raise cbor.Malformed("claims")


# Section 2


def mac_key(root, epoch):
    return hkdf(root, b"dp1-mac" + epoch.to_bytes(4, "big"))


def encryption_key(root, epoch):
    return hkdf(root, b"dp1-encrypt" + epoch.to_bytes(4, "big"))


def nonce(root, starts, number):
    """The challenge of this number since the lock started so many times."""
    message = starts.to_bytes(4, "big") + number.to_bytes(4, "big")
    return hmac.digest(hkdf(root, b"dp1-nonce"), message, hashlib.sha256)[:16]


def name_of(key):
    return hashlib.sha256(b"dp1-kid" + key).digest()[:4]


# Section 3


def structure(context, protected, kind, payload):
    return cbor.encode([context, protected, CONTEXT[kind], payload])


def verify(algorithm, key, message, check):
    if algorithm == HMAC:
        return hmac.compare_digest(hmac.digest(key, message, hashlib.sha256)[:8], check)
    return (curves.ed25519 if algorithm == ED25519 else curves.esp256)(key, message, check)


class Document:
    def __init__(self, data):
        require(len(data) <= 320)
        self.data, tag = data, cbor.decode(data)
        require(isinstance(tag, cbor.Tag) and isinstance(tag[1], list))
        self.encrypted = tag[0] == 16
        require(len(tag[1]) == (3 if self.encrypted else 4))
        self.protected, unprotected, self.payload, self.check = [*tag[1], b""][:4]
        require(all(isinstance(part, bytes) for part in (self.protected, self.payload, self.check)))
        require(isinstance(unprotected, dict))
        header = cbor.decode(self.protected)
        require(isinstance(header, dict) and list(header) == [1, 4])
        self.algorithm, self.name = header[1], header[4]
        require(type(self.algorithm) is int and isinstance(self.name, bytes))
        require(self.algorithm in {16: (A256GCM,), 17: (HMAC,), 18: (ED25519, ESP256)}.get(tag[0], ()))
        self.maced = self.algorithm == HMAC
        if self.maced or self.encrypted:
            require(1 <= len(self.name) <= 4)
            require(self.name == b"\0" or self.name[0] != 0)
        else:
            require(len(self.name) == 4)
        if self.encrypted:
            require(list(unprotected) == [5] and isinstance(unprotected[5], bytes) and len(unprotected[5]) == 12)
            require(16 <= len(self.payload) <= 256)
            self.iv, self.claims, self.kind = unprotected[5], None, "pass"
        else:
            require(unprotected == {} and len(self.check) == (8 if self.maced else 64))
            self.read(self.payload)

    def read(self, payload):
        self.claims = cbor.decode(payload)
        require(isinstance(self.claims, dict))
        self.kind = kind_of(self.claims, self.maced or self.encrypted)

    def decrypt(self, key):
        """Whether it could be, and is a pass."""
        data = cbor.encode(["Encrypt0", self.protected, CONTEXT["pass"]])
        payload = aes.opened(key, self.iv, self.payload, data)
        if payload is None:
            return False
        try:
            self.read(payload)
        except cbor.Malformed:
            return False
        return self.kind == "pass"

    def digest(self):
        return hashlib.sha256(self.data if self.encrypted else self.message()).digest()

    def message(self):
        context = "MAC0" if self.maced else "Signature1"
        return structure(context, self.protected, self.kind, self.payload)


# Section 4


def cose_key(cnf):
    """The algorithm and the key's bytes."""
    require(isinstance(cnf, dict) and list(cnf) == [1] and isinstance(cnf[1], dict))
    key = cnf[1]
    require(type(key.get(1)) is int and type(key.get(-1)) is int)
    if key.get(1) == 1:
        require(list(key) == [1, -1, -2] and key[-1] == 6)
    else:
        require(list(key) == [1, -1, -2, -3] and key[1] == 2 and key[-1] == 1)
        require(isinstance(key[-3], bool))
    require(isinstance(key[-2], bytes) and len(key[-2]) == 32)
    return (ED25519, key[-2]) if key[1] == 1 else (ESP256, bytes([2 + key[-3]]) + key[-2])


def scope_of(claims):
    """(uses or None, exact)"""
    scope = claims.get(SCOPE)
    if scope is None:
        return None, False
    require(isinstance(scope, bytes) and len(scope) in (1, 2) and not scope[0] & ~0x0D)
    once = bool(scope[0] & 1)
    if len(scope) == 2:
        require(not once and scope[1] >= 2)
    else:
        require(scope[0])
    return (scope[1] if len(scope) == 2 else 1 if once else None), bool(scope[0] & 8)


def kind_of(claims, own):
    number = lambda label: type(claims.get(label)) is int and 0 <= claims[label] < 2**32
    labels = set(claims)
    if AUD in labels:
        require(isinstance(claims[AUD], str) and re.fullmatch(r"[a-z0-9_-]{1,16}", claims[AUD], re.A))
    for label in labels & {EXP, NBF, IAT, EXI, SEQUENCE}:
        require(number(label))
    if NONCE in labels:
        require(labels == {IAT, NONCE} and isinstance(claims[NONCE], bytes) and len(claims[NONCE]) == 16)
        return "token"
    if REVOKED in labels:
        require(labels == {AUD, IAT, REVOKED, SEQUENCE} and isinstance(claims[REVOKED], bytes))
        prefixes = prefixes_of(claims)
        require(len(claims[REVOKED]) % 4 == 0 and len(prefixes) <= LARGEST)
        require(prefixes == sorted(set(prefixes)))
        return "bulletin"
    if SEQUENCE in labels:
        require(labels == {EXP, NBF, IAT, CNF, SEQUENCE} and claims[NBF] < claims[EXP])
        algorithm, key = cose_key(claims[CNF])
        point = curves.Curve25519.point if algorithm == ED25519 else curves.P256.point
        require(point(key))
        return "rotation"
    require({EXP, NBF, CTI} <= labels <= {AUD, EXP, NBF, IAT, CTI, CNF, SCOPE, EXI})
    require(own or {AUD, IAT} <= labels)
    require(claims[NBF] < claims[EXP] and claims.get(EXI) != 0)
    require(isinstance(claims[CTI], bytes) and 4 <= len(claims[CTI]) <= 16)
    scope_of(claims)
    if CNF in labels:
        cose_key(claims[CNF])
    return "pass"


def prefixes_of(claims):
    return [claims[REVOKED][at : at + 4] for at in range(0, len(claims[REVOKED]), 4)]


# Section 5


def transcript(document, lock, fresh):
    """What a holder signs: `fresh` is the nonce, or the phone's time."""
    return structure("Signature1", b"", "proof", cbor.encode([fresh, lock, document.digest()[:16]]))


def presented(data):
    """The document, and (the phone's time or None, the proof) or None."""
    if data[:1] not in (b"\x82", b"\x83"):
        return Document(data), None
    _, rest = cbor.item(data[1:])
    document = Document(data[1 : len(data) - len(rest)])
    time = None
    if data[:1] == b"\x83":
        stands, (time, rest) = rest, cbor.item(rest)
        require(type(time) is int and 0 <= time < 2**32 and cbor.encode(time) + rest == stands)
    require(document.kind == "pass" and len(rest) == 66 and rest[:2] == b"\x58\x40")
    return document, (time, rest[2:])


# Sections 6 to 8


class Lock:
    def __init__(self, name, groups, root, issuer_root, keys, oscillator, policy, now, epoch, room):
        self.names, self.name, self.root, self.epoch, self.room = [name, *groups], name, root, epoch, room
        self.issuer_root = issuer_root
        self.keys = [{"key": key, "from": 0, "until": 2**64 - 1, "sequence": 0} for key in keys]
        self.belief = Belief(oscillator, policy, now)
        self.used, self.since = 0, now
        self.bulletin, self.rotation, self.revoked = 0, 0, []
        self.marks, self.forgotten = {}, 0

    def then(self, event):
        self.belief.then(event)

    def floor(self):
        return self.belief.floor // 10**9

    def fill(self):
        back = min(max(self.floor() - self.since, 0), self.used)
        self.used -= back
        self.since = max(self.since, self.floor()) if self.used == 0 else self.since + back

    def show(self, data, nonce=None, age=0):
        """What it answers, section 6 in its order."""
        try:
            document, proof = presented(data)
        except cbor.Malformed:
            raise Refused("wrong_code") from None
        self.prune()
        self.fill()
        if self.used >= 4:
            raise Refused("throttled")
        keys = self.keys_of(document)
        if not keys or not (document.encrypted or self.is_meant(document)):
            raise Refused("wrong_code")
        self.used += 1
        if document.encrypted:
            if not document.decrypt(keys[0][1]) or not self.is_meant(document):
                raise Refused("wrong_code")
        elif not any(verify(algorithm, key, document.message(), document.check) for algorithm, key in keys):
            raise Refused("wrong_code")
        if document.kind != "pass":
            return self.take(document, nonce, age)
        if IAT in document.claims:
            self.sign(document.claims[IAT])
        opened = self.open(document, proof, nonce, age)
        self.used -= 1
        return opened

    def is_meant(self, document):
        return document.claims.get(AUD, self.name) in self.names

    def keys_of(self, document):
        claims, own = document.claims, int.from_bytes(document.name, "big") == self.epoch
        if document.encrypted:
            return [(A256GCM, encryption_key(self.root, self.epoch))] if own else []
        if document.kind == "rotation":
            known = [{"key": self.issuer_root, "from": 0, "until": 2**64}] if self.issuer_root else []
            known = [] if document.maced else known
        elif document.maced:
            return [(HMAC, mac_key(self.root, self.epoch))] if own else []
        else:
            known = [key for key in self.keys if key["from"] <= claims[IAT] < key["until"]]
        good = lambda key: key["until"] > self.floor() and key["key"][0] == document.algorithm
        return [key["key"] for key in known if good(key) and name_of(key["key"][1]) == document.name]

    def sign(self, time):
        self.belief.then({"event": "signed", "time": time})
        self.prune()

    def prune(self):
        for name, mark in list(self.marks.items()):
            if mark["until"] + GRACE <= self.floor():
                self.forgotten = max(self.forgotten, mark["until"])
                del self.marks[name]

    def open(self, document, proof, nonce, age):
        claims = document.claims
        (uses, exact), cti = scope_of(claims), claims[CTI]
        counted, mark = uses is not None or EXI in claims, self.marks.get(cti)
        time, proof = proof if proof and CNF in claims else (None, None)
        remembered = counted or time is not None
        now = self.belief.now()
        if now is None or (exact and now[1] - now[0] > EXACT):
            raise Refused("clock_unset")
        if now[1] < claims[NBF] - GRACE:
            raise Refused("not_yet_valid")
        until = claims[EXP]
        if mark and EXI in claims:
            until = min(until, mark["first"] + claims[EXI])
        if now[0] >= until + GRACE:
            raise Refused("expired")
        if counted and claims.get(AUD, self.name) != self.name:
            raise Refused("wrong_verifier")
        if cti[:4] in self.revoked:
            raise Refused("revoked")
        if mark is None and counted and claims[EXP] <= self.forgotten:
            raise Refused("expired")
        if mark and uses is not None and mark["uses"] >= uses:
            raise Refused("already_used")
        if CNF in claims:
            algorithm, key = cose_key(claims[CNF])
            fresh = time if time is not None else nonce if age <= PROOF else None
            if proof is None or fresh is None:
                raise Refused("wrong_code")
            if not verify(algorithm, key, transcript(document, self.name, fresh), proof):
                raise Refused("wrong_code")
        if time is not None:
            last = mark["proven"] if mark else self.forgotten or None
            if last is not None and time <= last:
                raise Refused("already_used")
            if now[1] < time - PHONE:
                raise Refused("not_yet_valid")
            if now[0] > time + PHONE:
                raise Refused("expired")
        if remembered:
            if mark is None and len(self.marks) >= self.room:
                raise Refused("ledger_full")
            at = self.belief.status()["probable"]
            until = claims[EXP] if counted else time
            mark = self.marks.setdefault(cti, {"uses": 0, "first": at, "until": until, "proven": None})
            mark["uses"] += 1
            mark["until"] = max(mark["until"], until)
            mark["proven"] = mark["proven"] if time is None else time
        return {"opened": cti.hex()}

    def take(self, document, nonce, age):
        claims = document.claims
        if document.kind == "token":
            if nonce != claims[NONCE]:
                raise Refused("wrong_code")
            before = dict(vars(self.belief))
            self.belief.then({"event": "token", "time": claims[IAT], "age": age})
            if vars(self.belief) == before:
                raise Refused("already_used")
            self.used -= 1
            return {"taken": "token"}
        known = self.bulletin if document.kind == "bulletin" else self.rotation
        most = known + (ADVANCE if document.kind == "bulletin" else 1)
        if document.kind == "rotation" and claims[SEQUENCE] > most:
            raise Refused("not_yet_valid")
        newer = known < claims[SEQUENCE] <= most
        before = dict(vars(self.belief))
        self.sign(claims[IAT])
        if not newer and vars(self.belief) == before:
            raise Refused("already_used")
        self.used -= 1
        if newer and document.kind == "bulletin":
            self.bulletin, self.revoked = claims[SEQUENCE], prefixes_of(claims)
        elif newer:
            self.rotation = claims[SEQUENCE]
            self.turn(claims)
        return {"taken": document.kind}

    def turn(self, claims):
        new = {"key": cose_key(claims[CNF]), "from": claims[NBF], "until": claims[EXP], "sequence": claims[SEQUENCE]}
        same = [key for key in self.keys if key["key"] == new["key"]]
        if same:
            self.keys.remove(same[0])
        if new["until"] <= claims[IAT]:
            return
        if len(self.keys) >= 4:
            self.keys.remove(min(self.keys, key=lambda key: key["sequence"]))
        self.keys.append(new)


# Section 9

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"


def to_text(data):
    text = "DP1:"
    for at in range(0, len(data), 2):
        pair = data[at : at + 2]
        number = int.from_bytes(pair, "big")
        for _ in range(len(pair) + 1):
            text, number = text + DIGITS[number % 45], number // 45
    return text


def from_text(text):
    """The bytes, or None."""
    if not text.startswith("DP1:"):
        return None
    data = b""
    for at in range(4, len(text), 3):
        digits = text[at : at + 3]
        if len(digits) == 1 or any(digit not in DIGITS for digit in digits):
            return None
        number = sum(DIGITS.index(digit) * 45**place for place, digit in enumerate(digits))
        if number >= 256 ** (len(digits) - 1):
            return None
        data += number.to_bytes(len(digits) - 1, "big")
    return data if len(data) <= 392 else None
