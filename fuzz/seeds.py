"""Writes the project's vectors as single files, from which fuzzing starts: seeds.py DIRECTORY"""

import hashlib
import hmac
import json
import pathlib
import struct
import sys

VECTORS = pathlib.Path(__file__).parent.parent / "vectors"


def texts(node):
    """Every text in a JSON document."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for value in node.values():
            yield from texts(value)
    elif isinstance(node, list):
        for value in node:
            yield from texts(value)


def read(name):
    return texts(json.loads((VECTORS / name).read_text()))


def code(step):
    mac = hmac.digest(b"12345678901234567890", struct.pack(">Q", step), hashlib.sha1)
    offset = mac[-1] & 15
    return f"{(int.from_bytes(mac[offset : offset + 4]) & 0x7FFFFFFF) % 10**6:06}"


def seeds():
    for name in ("otp/otpauth_cases.json", "otp/otpauth_migration.json", "otp/ocra_own.json"):
        for text in read(name):
            if "otpauth" in text[:12] or text.startswith("OCRA-1:"):
                yield "otpauth", text.encode()
    for name in ("ho1/documents.json", "ho1/journals.json", "ho1/scans.json"):
        for text in read(name):
            try:
                yield "documents", bytes.fromhex(text)
            except ValueError:
                yield "documents", text.encode()
    for text in read("otp/otpauth_cases.json"):
        if text.startswith("otpauth://totp/Ex"):
            yield "image", text.encode()
    for kind in range(2):
        for actions in ((0, 0, 0), (1, 2, 0), (0, 1, 2), (2, 0, 1)):
            steps = [1, 2, 3] if kind else [0, 1, 2]
            lines = [
                bytes([action + 3 * kind]) + struct.pack(">Q", 30 * step) + code(step).encode()
                for action, step in zip(actions, steps)
            ]
            yield "typed", b"\n".join(lines)
    # A bundle without its checksum, and a day at the door: 25 bytes of the keypad, 29 of the steps.
    classes = struct.pack(">IHHB", 60, 15, 0, 0) + struct.pack(">IHHB", 60, 15, 0, 1)
    steps = b"\x01\x00\x08" + struct.pack(">QQH", 30, 0, 20) + bytes(20)
    head = b"\x08lck_door" + struct.pack(">IIQBBB", 1, 0, 1_800_057_600, 0, 1, 1) + bytes(32)
    yield "door", head + b"\x02\x02\x02\x01\x09" + classes + steps
    yield "door", head + b"\x01\x02\x02\x00\x08" + classes[:9] + b"\x00"
    keypad = lambda kind, body: b"\x00" + (struct.pack(">BI", kind, 60) + body).ljust(25, b"\x00")
    step = lambda kind, number: b"\x01" + struct.pack(
        ">BHHQQq", kind, 0, number and 1, 1_800_057_660, number, 0
    )
    tuple_ = struct.pack(">IHHBIBB", 60, 15, 0, 1, 2_000_064, 0, 1)
    day = keypad(16, struct.pack(">Q", 60)) + step(1, 0) + step(2, 60_001_922)
    yield "door", day + keypad(1, b"") + keypad(3, tuple_ + bytes(5)) + keypad(17, b"")
    # At the lock of the vectors, which have power cuts and fresh time in between.
    kinds = {"elapsed": 16, "power_lost": 17, "signed": 18, "token": 19, "reset": 20}
    for case in json.loads((VECTORS / "kp1/doors.json").read_text())["cases"]:
        lines = b""
        for step in case["before"] + [{"typed": case["typed"]}]:
            if "typed" in step:
                lines += (b"\0" + step["typed"].encode()[:31]).ljust(32, b"\0")
                continue
            line = struct.pack(">BBI", 1, kinds[step["event"]], 0)
            if step["event"] != "power_lost":
                line += struct.pack(">Q", step.get("seconds", step.get("time", 0)))
            line += struct.pack(">I", step["age"]) if "age" in step else b""
            lines += line.ljust(32, b"\0")
        yield "lock", lines
    # What is presented, as it is, under the key of the fuzzed lock, and encrypted and proven by time, and seconds
    # in between.
    for case in json.loads((VECTORS / "dp1/presented.json").read_text())["cases"]:
        steps = b""
        for step in case["before"] + [case]:
            shown = bytes.fromhex(step.get("presented", ""))
            seconds = struct.pack(">I", step.get("seconds", 1))
            timed = struct.pack(">I", case["now"]) + shown
            for action, body in ((0, shown), (1, shown), (2, timed)) if shown else ((3, seconds),):
                steps += struct.pack(">BH", action, len(body)) + body
        yield "pass", steps
    # The example of the specification, as commands and as fragments.
    example = (VECTORS.parent / "docs/dp1.md").read_text().split("### An example")[1]
    packets = [line.split("  #")[0] for line in example.splitlines() if line.startswith("    ")]
    packets = [bytes.fromhex(packet.replace(" ", "")) for packet in packets]
    for action in range(3):
        yield "exchange", b"".join(struct.pack(">BH", action, len(one)) + one for one in packets)
    for text in read("dp1/texts.json"):
        if text.startswith("DP1:"):
            yield "pass", struct.pack(">BH", 0, len(text.encode())) + text.encode()


for target, seed in seeds():
    directory = pathlib.Path(sys.argv[1]) / target
    directory.mkdir(parents=True, exist_ok=True)
    if seed:
        (directory / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
