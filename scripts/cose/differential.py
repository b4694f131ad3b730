"""Random documents for scripts/differential-cose: ours against `cwt` of Python and `cose-ts` of JavaScript.

Each document is made by all three and held to all three. What follows from the key and the content alone must be
the same bytes; everything must be refused with a bit changed, as a document of another kind, and under another key.
"""

import hashlib
import json
import random
import subprocess
import sys

import cbor2
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cwt import COSE, COSEKey

ROUNDS = 25
NOW = 1_800_057_600
HOUR, DAY = 3600, 86_400
ED25519, ESP256, HMAC = -19, -9, 4
CONTEXTS = {"pass": "dp1", "bulletin": "dp-r", "token": "dp-t", "rotation": "dp-k"}
PROOF = "dp-h"
ORDER_P256 = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


# Keys


class Key:
    """A private key, or the root of a lock in an epoch, as each of the three wants it."""

    def __init__(self, rng, algorithm):
        self.algorithm = algorithm
        self.secret = rng.randbytes(32)
        if algorithm == ED25519:
            self.own = ed25519.Ed25519PrivateKey.from_private_bytes(self.secret)
            self.point = self.own.public_key().public_bytes_raw()
            self.ours = {"ed25519": self.secret.hex()}
        elif algorithm == ESP256:
            number = rng.randrange(1, ORDER_P256)
            self.secret = number.to_bytes(32, "big")
            self.own = ec.derive_private_key(number, ec.SECP256R1())
            point = serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint
            self.point = self.own.public_key().public_bytes(*point)
            self.ours = {"p256": self.secret.hex()}
        else:
            self.epoch = rng.choice([0, 1, 255, 256, 65_536, 2**32 - 1, rng.randrange(2**32)])
            self.root = self.secret
            info = b"dp1-mac" + self.epoch.to_bytes(4, "big")
            self.secret = HKDF(hashes.SHA256(), 32, None, info).derive(self.root)
            self.ours = {"root": [self.root.hex(), self.epoch]}

    def name(self):
        if self.algorithm == HMAC:
            return self.epoch.to_bytes(4, "big").lstrip(b"\0") or b"\0"
        return hashlib.sha256(b"dp1-kid" + self.point).digest()[:4]

    def header(self):
        return {1: self.algorithm, 4: self.name()}

    def theirs(self, private, name):
        """The key for `cwt`, which knows all three algorithms. It tries those alone that have the name in a header."""
        key = {2: name, 3: self.algorithm}
        if self.algorithm == HMAC:
            return COSEKey.new(key | {1: 4, -1: self.secret})
        if self.algorithm == ED25519:
            key |= {1: 1, -1: 6, -2: self.point}
        else:
            numbers = self.own.public_key().public_numbers()
            key |= {1: 2, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        return COSEKey.new(key | ({-4: self.secret} if private else {}))

    def line(self, private):
        """The key for `cose-ts`."""
        secret = private or self.algorithm == HMAC
        part = {"secret": self.secret.hex()} if secret else {"point": self.point.hex()}
        return {"algorithm": self.algorithm} | part


# The three


class Lines:
    """A program that answers each line of JSON with one."""

    def __init__(self, *command):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.program = subprocess.Popen(command, **pipes)

    def ask(self, question):
        self.program.stdin.write(json.dumps(question) + "\n")
        self.program.stdin.flush()
        return json.loads(self.program.stdout.readline())


class Python:
    name = "cwt"
    cose = COSE.new(deterministic_header=True)

    def make(self, key, said, context, header):
        payload = cbor2.dumps(said, canonical=True)
        own = key.theirs(private=True, name=key.name())
        # It wants to be told the algorithm in the message; where it is not signed, a proof is the same.
        unprotected = {} if header else {1: key.algorithm}
        return self.cose.encode(payload, own, header, unprotected, external_aad=context.encode())

    def read(self, key, name, document, context):
        try:
            return self.cose.decode(document, key.theirs(private=False, name=name), external_aad=context.encode())
        except Exception:  # it has many
            return None


class JavaScript:
    name = "cose-ts"

    def __init__(self, script):
        self.lines = Lines("node", script)

    def make(self, key, said, context, header):
        """It puts claims in order by itself, so it gets them in another."""
        if isinstance(said, dict):
            said = dict(reversed(said.items()))
        header = cbor2.dumps(header, canonical=True) if header else b""
        line = {"key": key.line(private=True), "context": context}
        answer = self.lines.ask(line | {"header": header.hex(), "said": cbor2.dumps(said).hex()})
        return bytes.fromhex(answer["bytes"])

    def read(self, key, _, document, context):
        line = {"key": key.line(private=False), "context": context, "document": document.hex()}
        answer = self.lines.ask(line)
        return bytes.fromhex(answer["bytes"]) if "bytes" in answer else None


class Ours:
    def __init__(self, program):
        self.lines = Lines(program)

    def issue(self, key, content):
        return bytes.fromhex(self.lines.ask({"issue": {"key": key.ours, "content": content}})["bytes"])

    def prove(self, key, document, lock, fresh):
        order = {"key": key.ours, "pass": document.hex(), "lock": lock["name"], "fresh": fresh}
        return bytes.fromhex(self.lines.ask({"prove": order})["bytes"])

    def nonce(self, seed):
        return bytes.fromhex(self.lines.ask({"challenge": {"seed": seed}})["bytes"])

    def present(self, lock, presented, seed=None):
        order = {"lock": lock, "now": NOW, "presented": presented.hex(), "seed": seed}
        return self.lines.ask({"present": order})


# What documents say: as our issuer is told it, and as its claims


def text(rng):
    symbols = "abcdefghijklmnopqrstuvwxyz0123456789_-"
    return "".join(rng.choice(symbols) for _ in range(rng.randint(1, 16)))


def cose_key(key):
    if key.algorithm == ED25519:
        return {1: {1: 1, -1: 6, -2: key.point}}
    return {1: {1: 2, -1: 1, -2: key.point[1:], -3: key.point[0] == 3}}


def pass_of(rng, maced, lock, holder):
    begin, end = NOW - rng.randrange(30 * DAY), NOW + rng.randrange(1, 400 * DAY)
    claims = {4: end, 5: begin, 7: rng.randbytes(rng.randint(4, 16))}
    said = {"window": [begin, end], "id": claims[7].hex(), "passage": False, "exact": False}
    counted = rng.random() < 0.5
    if not maced or rng.random() < 0.5:
        # A pass that is counted is for one lock.
        claims[3] = said["audience"] = lock["name"] if counted else rng.choice([lock["name"], lock["groups"][0]])
    if not maced or rng.random() < 0.5:
        claims[6] = said["issued_at"] = begin - rng.randrange(DAY)
    if holder:
        claims[8] = cose_key(holder)
        said["holder"] = holder.point.hex()
    flags, uses = 0, b""
    if counted:
        said["uses"] = rng.choice([None, 1, 2, rng.randint(3, 255)])
        if said["uses"] == 1:
            flags |= 1
        elif said["uses"]:
            uses = bytes([said["uses"]])
        if said["uses"] is None or rng.random() < 0.3:
            claims[40] = said["lasts"] = rng.choice([1, 7200, 2**32 - 1])
    for field, flag in ("passage", 4), ("exact", 8):
        if rng.random() < 0.3:
            said[field] = True
            flags |= flag
    if flags or uses:
        claims[9] = bytes([flags]) + uses
    return {"pass": said}, claims


def rider_of(rng, kind, lock, nonce):
    made = NOW - rng.randrange(DAY)
    if kind == "token":
        made = NOW + rng.randrange(HOUR, DAY)  # else the lock learns nothing from it
        return {"token": {"issued_at": made, "nonce": nonce.hex()}}, {6: made, 10: nonce}
    sequence = rng.randint(1, 1000)
    if kind == "bulletin":
        prefixes = sorted({rng.randbytes(4) for _ in range(rng.choice([0, 1, 9, 48]))})
        claims = {3: lock["name"], 6: made, -65537: b"".join(prefixes), -65538: sequence}
        said = {"audience": claims[3], "issued_at": made, "revoked": claims[-65537].hex(), "sequence": sequence}
        return {"bulletin": said}, claims
    key, end = Key(rng, rng.choice([ED25519, ESP256])), rng.randrange(NOW, 2**32)
    # A lock takes no statement about a key but the next one.
    claims = {4: end, 5: made, 6: made, 8: cose_key(key), -65538: 1}
    said = {"issued_at": made, "key": key.point.hex(), "sequence": 1, "window": [made, end]}
    return {"rotation": said}, claims


# Comparing them


def flipped(rng, data):
    bit = rng.randrange(8 * len(data))
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


class Run:
    def __init__(self, ours, others, rng):
        self.ours, self.others, self.rng = ours, others, rng
        self.counts = {}

    def expect(self, what, fact, *details):
        if not fact:
            shown = [part.hex() if isinstance(part, bytes) else str(part) for part in details]
            sys.exit(f"{what}: {' '.join(shown)}")
        self.counts[what] = self.counts.get(what, 0) + 1

    def refused(self, lock, presented, seed=None):
        answer = self.ours.present(lock, presented, seed)
        self.expect("refused by ours", answer == {"refused": "wrong_code"}, presented, answer)

    def read_by_all(self, key, stranger, document, changed, context, payload):
        """Other libraries verify a document, and nothing else."""
        wrong = self.rng.choice([other for other in (*CONTEXTS.values(), PROOF) if other != context])
        for other in self.others:
            read = other.read(key, key.name(), document, context)
            self.expect(f"verified by {other.name}", read == payload, document, read)
            for by, shown, aad in (key, changed, context), (key, document, wrong), (stranger, document, context):
                read = other.read(by, key.name(), shown, aad)
                self.expect(f"refused by {other.name}", read is None, shown)

    def document(self, kind, algorithm, holder):
        """One document, from each of three to each of the others."""
        rng = self.rng
        key, stranger, root = (Key(rng, kind) for kind in (algorithm, algorithm, HMAC))
        issuer = key if kind == "rotation" else Key(rng, ED25519)
        own = key if algorithm == HMAC else root
        lock = {"name": text(rng), "groups": [text(rng)], "root": own.root.hex(), "epoch": own.epoch}
        lock["keys"] = [] if algorithm == HMAC else [stranger.point.hex(), key.point.hex()]
        lock["issuer"] = issuer.point.hex()
        # A holder answers the lock's challenge, or says the time.
        seed = rng.randrange(2**63)
        nonce = self.ours.nonce(seed)
        time = NOW + rng.randint(-60, 60)
        fresh = rng.choice([{"seed": seed}, {"time": time}])
        if kind == "pass":
            said, claims = pass_of(rng, algorithm == HMAC, lock, holder)
            wanted = {"opened": claims[7].hex()}
        else:
            said, claims = rider_of(rng, kind, lock, nonce)
            wanted = {"taken": CONTEXTS[kind]}
        context = CONTEXTS[kind]
        payload = cbor2.dumps(claims, canonical=True)

        document = self.ours.issue(key, said)
        self.read_by_all(key, stranger, document, flipped(rng, document), context, payload)
        for other in self.others:
            theirs = other.make(key, claims, context, key.header())
            signed = len(document) - (64 if algorithm == ESP256 else 0)
            self.expect(f"made alike by {other.name}", theirs[:signed] == document[:signed], theirs, document)
            present = self.proven(other, holder, theirs, lock, fresh)
            answer = self.ours.present(lock, present, seed)
            self.expect(f"made by {other.name}, taken by ours", answer == wanted, present, lock, answer)
            self.refused(lock, flipped(rng, present), seed)
            other_kind = rng.choice([aad for aad in CONTEXTS.values() if aad != context])
            self.refused(lock, other.make(key, claims, other_kind, key.header()), seed)
            unknown = Key(rng, algorithm)
            self.refused(lock, other.make(unknown, claims, context, key.header()), seed)
        if holder:
            self.proof(holder, document, lock, seed, fresh, wanted)

    def transcript(self, document, lock, fresh):
        """What a holder signs: the payload of a COSE_Sign1 without headers."""
        message = cbor2.loads(document)
        protected, _, payload, _ = message.value
        structure = [{17: "MAC0", 18: "Signature1"}[message.tag], protected, b"dp1", payload]
        hashed = hashlib.sha256(cbor2.dumps(structure)).digest()
        said = fresh["time"] if "time" in fresh else self.ours.nonce(fresh["seed"])
        return [said, lock["name"], hashed[:16]]

    def proven(self, other, holder, document, lock, fresh):
        """A pass with a proof that another library signed, or the document as it is."""
        if not holder:
            return document
        message = other.make(holder, self.transcript(document, lock, fresh), PROOF, {})
        proof = cbor2.dumps(cbor2.loads(message).value[3])
        if "time" in fresh:
            return b"\x83" + document + cbor2.dumps(fresh["time"]) + proof
        return b"\x82" + document + proof

    def proof(self, holder, document, lock, seed, fresh, wanted):
        presented = self.ours.prove(holder, document, lock, fresh)
        answer = self.ours.present(lock, presented, seed)
        self.expect("proven by ours, taken by ours", answer == wanted, presented, answer)
        transcript = cbor2.dumps(self.transcript(document, lock, fresh))
        proof = presented[-64:]
        message, changed = (
            cbor2.dumps(cbor2.CBORTag(18, [b"", {}, transcript, part])) for part in (proof, flipped(self.rng, proof))
        )
        self.read_by_all(holder, Key(self.rng, holder.algorithm), message, changed, PROOF, transcript)
        self.refused(lock, document, seed)
        elsewhere = self.ours.prove(holder, document, lock | {"name": "elsewhere"}, fresh)
        self.refused(lock, elsewhere, seed)
        if "seed" in fresh:
            self.refused(lock, presented, seed + 1)
            self.refused(lock, presented)
        else:
            later = cbor2.dumps(fresh["time"] + 1)
            self.refused(lock, presented[:-71] + later + presented[-66:], seed)


def main():
    program, script, seed = sys.argv[1:]
    rng = random.Random(seed)
    run = Run(Ours(program), [Python(), JavaScript(script)], rng)
    documents = 0
    for _ in range(ROUNDS):
        for algorithm in ED25519, ESP256, HMAC:
            for holder in None, ED25519, ESP256:
                run.document("pass", algorithm, holder and Key(rng, holder))
                documents += 1
            for kind in ["bulletin", "token"] + ["rotation"] * (algorithm != HMAC):
                run.document(kind, algorithm, None)
                documents += 1
    for what, count in sorted(run.counts.items()):
        print(f"{what}: {count}")
    print(f"{documents} documents, with seed {seed}")


if __name__ == "__main__":
    main()
