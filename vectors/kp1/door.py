"""A door by its specification (docs/kp1.md, section 12), with nothing but Python's standard library:
the bundle that it is provisioned with, and the journal that it sends home.
"""

import base64
import hashlib
import hmac
import struct

import kp1
from clock import Belief

OSCILLATORS = ["crystal", "compensated", "calibrated"]
POLICIES = ["need_time", "trust_90min"]
ALGORITHMS = ["SHA1", "SHA256", "SHA512"]
PREFIX = "DSLOCK1:"


def profile_bytes(profile):
    head = [len(profile["classes"]), profile["holders"], profile["generations"]]
    head += [int(profile["exclusive"]), profile["digits"]]
    return bytes(head) + b"".join(map(kp1.class_bytes, profile["classes"]))


def content(bundle):
    lock = bundle["lock"].encode()
    out = kp1.u(len(lock), 1) + lock + kp1.u(bundle["lock_generation"], 4)
    out += kp1.u(bundle["epoch"], 4) + kp1.u(bundle["made_at"], 8)
    out += bytes([OSCILLATORS.index(bundle["oscillator"]), POLICIES.index(bundle["policy"])])
    out += bytes([int(bundle["test"])]) + bytes.fromhex(bundle["root"])
    out += profile_bytes(bundle["profile"])
    steps = bundle["steps"]
    if steps is None:
        out += b"\0"
    else:
        secret = bytes.fromhex(steps["secret"])
        out += bytes([1, ALGORITHMS.index(steps["algorithm"]), steps["digits"]])
        out += struct.pack(">QQH", steps["period"], steps["t0"], len(secret)) + secret
    return out + passes_bytes(bundle["passes"])


def short(part):
    return kp1.u(len(part), 1) + part


def passes_bytes(passes):
    if passes is None:
        return b"\0"
    out = b"\1" + kp1.u(len(passes["groups"]), 1) + b"".join(short(name.encode()) for name in passes["groups"])
    out += kp1.u(len(passes["keys"]), 1)
    for known in passes["keys"]:
        out += short(bytes.fromhex(known["key"])) + struct.pack(">QQ", known["from"], known["until"])
    return out + short(bytes.fromhex(passes["root"] or "")) + struct.pack(">II", passes["rotation"], passes["bulletin"])


def text(content):
    """The line of a bundle with this content."""
    whole = content + hashlib.sha256(content).digest()[:4]
    return PREFIX + base64.b32encode(whole).decode().rstrip("=")


def fault(line):
    """What the line itself shows to be wrong; a fault of the content shows to who parses it."""
    line = "".join(line.split()).upper()
    if not line.startswith(PREFIX):
        return "prefix"
    body = line[len(PREFIX) :]
    try:
        whole = base64.b32decode(body + "=" * (-len(body) % 8))
    except ValueError:
        return "damaged"
    one_way = base64.b32encode(whole).decode().rstrip("=") == body
    sound = hashlib.sha256(whole[:-4]).digest()[:4] == whole[-4:]
    return "content" if one_way and sound else "damaged"


def belief_bytes(belief):
    """clock.md, section 6."""
    times = belief.floor, belief.ceiling, belief.time, belief.announced
    out = struct.pack(">B4Q", 1, *times)
    out += struct.pack(">4q", belief.rate, belief.P, belief.C, belief.R)
    return out + struct.pack(">11I", belief.pending, belief.day, belief.widened, *belief.heard_names)


def snapshot(belief, now, epoch, passes):
    """Of a door that was just installed."""
    full = struct.pack(">BQ", 0, now)
    keypad = b"\1" + belief_bytes(belief) + kp1.u(epoch, 4) + b"\0" + 3 * full + b"\0" + bytes(32 * 28)
    steps = b"\1" + 2 * bytes(17) + bytes(16) + kp1.u(now, 8)
    return keypad + steps + full + passes_snapshot(now, passes)


def passes_snapshot(now, passes):
    """What a lock remembers of passes when it was just installed."""
    passes = passes or {"keys": [], "rotation": 0, "bulletin": 0}
    places = b""
    for known in passes["keys"]:
        places += short(bytes.fromhex(known["key"])).ljust(34, b"\0")
        places += struct.pack(">QQI", known["from"], known["until"], 0)
    numbers = struct.pack(">II", passes["rotation"], passes["bulletin"])
    revoked, attempts = bytes(1 + 48 * 4), struct.pack(">BQ", 0, now)
    return places.ljust(4 * 54, b"\0") + numbers + revoked + attempts + bytes(4 + 8 + 32 * 51)


def head_after(number, hash_, record):
    number += 1
    return number, hashlib.sha256(b"doorstep/ledger/v1" + hash_ + kp1.u(number, 8) + record).digest()


def record(event):
    """The bytes of a record, from what it says."""
    if event["event"] in PASSES:
        return pass_record(event)
    kinds = {"elapsed": 16, "power_lost": 17, "signed": 18, "token": 19, "reset": 20, "missed": 21, "set_time": 22, "heard": 23, "tried": 1}
    kind = event["event"]
    if kind == "step":
        kind, authenticator = (2, 1) if event["accepted"] else (1, 0)
        return struct.pack(">BHHQQq", kind, 0, authenticator, event["at"], event["step"], event["drift"])
    fields = {
        "elapsed": lambda: kp1.u(event["seconds"], 8),
        "token": lambda: kp1.u(event["time"], 8) + kp1.u(event["age"], 4),
        "missed": lambda: kp1.u(event["code"], 4) + kp1.u(event["by"], 4),
        "heard": lambda: struct.pack(">QIII", event["about"], event["spread"], event["reach"], event["code"]),
        "tried": lambda: kp1.u(event["source"], 1),
    }
    fields |= {name: lambda: kp1.u(event["time"], 8) for name in ("signed", "set_time")}
    fields["reset"] = fields["token"]
    body = fields.get(kind, bytes)()
    return (kp1.u(kinds[kind], 1) + kp1.u(event.get("since", 0), 4) + body).ljust(25, b"\0")


PASSES = ["pass_tried", "pass_signed", "pass_opened", "pass_counted"]


def pass_record(event):
    """dp1.md, section 8."""
    kind = event["event"]
    id_ = bytes.fromhex(event.get("id", ""))
    number, body = {
        "pass_tried": (64, b""),
        "pass_signed": (66, kp1.u(event.get("time", 0), 8)),
        "pass_opened": (67, id_),
        "pass_counted": (68, kp1.u(event.get("until", 0), 8) + id_),
    }[kind]
    return kp1.u(number, 1) + kp1.u(event.get("since", 0), 4) + body


def journal(bundle, installed, events, number=0, hash_=bytes(32), key=None):
    """The journal of a door on which these events followed its installation."""
    belief = Belief(bundle["oscillator"], bundle["policy"], installed)
    lock = bundle["lock"].encode()
    out = b"DSJRNL1" + kp1.u(len(lock), 1) + lock + kp1.u(bundle["lock_generation"], 4)
    out += snapshot(belief, installed, bundle["epoch"], bundle["passes"]) + kp1.u(number, 8) + hash_
    records = [record(event) for event in events]
    out += kp1.u(len(records), 4) + b"".join(kp1.u(len(one), 1) + one for one in records)
    key = key or kp1.hkdf(bytes.fromhex(bundle["root"]), b"kp1-journal")
    return out + hmac.digest(key, out, "sha256")


def journal_fault(bundle, journal):
    lock = bundle["lock"].encode()
    if journal[:7] != b"DSJRNL1":
        return "malformed"
    if not journal[7:].startswith(kp1.u(len(lock), 1) + lock + kp1.u(bundle["lock_generation"], 4)):
        return "foreign"
    key = kp1.hkdf(bytes.fromhex(bundle["root"]), b"kp1-journal")
    return None if hmac.digest(key, journal[:-32], "sha256") == journal[-32:] else "forged"


def after(bundle, installed, events, number=0, hash_=bytes(32)):
    """What the journal tells: how many records, the chain's head, and the clock."""
    belief = Belief(bundle["oscillator"], bundle["policy"], installed)
    for event in events:
        number, hash_ = head_after(number, hash_, record(event))
        if event["event"] == "step":
            if event["accepted"]:
                period = bundle["steps"]["period"]
                about = bundle["steps"]["t0"] + event["step"] * period + period // 2 + 9
                belief.heard(about, period // 3, 2 * period, event["step"] % 2**32 or 1)
                belief.time = min(max(belief.time, belief.floor), belief.ceiling)
            continue
        belief.then({"event": "elapsed", "seconds": event.get("since", 0)})
        if event["event"] == "pass_signed":
            belief.then({"event": "signed", "time": event["time"]})
        elif event["event"] != "tried" and event["event"] not in PASSES:
            belief.then({key: value for key, value in event.items() if key != "since"})
    return {"records": len(events), "number": number, "hash": hash_.hex(), "clock": belief.status()}
