"""Runs the firmware under QEMU, types at it what the vectors say, and compares what it answers.

    run.py LOCK MEASURING FLASH FLASH_MEASURING STACK_TYPING STACK_PASSES STACK_RESTART INSTRUCTIONS

LOCK is the firmware of a lock and nothing else, MEASURING the one with the feature `measure`; of what follows there
may be that much at most. Both give all answers, and MEASURING is restarted in between. Prints what was measured: flash,
memory, instructions. Instructions are counted by QEMU's clock, of which each takes a nanosecond; the board's timer
ticks every five.
"""

import atexit
import json
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
VECTORS = HERE.parent.parent / "vectors"
sys.path.insert(0, str(VECTORS / "kp1"))
import kp1  # noqa: E402  the specification in Python

QEMU = ["qemu-system-arm", "-cpu", "cortex-m3", "-machine", "lm3s6965evb", "-icount", "shift=0"]
QEMU += ["-display", "none", "-monitor", "none", "-serial", "stdio"]
QEMU += ["-semihosting-config", "enable=on,target=native", "-kernel"]
RECORD = 25
# Of locks to which nothing is held; the key is the base point.
NO_PASSES = {"name": "lock", "group": "group", "keys": 2 * (bytes([0x58]) + bytes([0x66]) * 31)}
PROFILE = 5 + 32 * 9
TAKEN = {69: "bulletin", 70: "token", 71: "rotation"}
OBEYED = {4: "set_time", 5: "cancel", 6: "announce", 7: "end_epoch"}


def counted(data):
    return kp1.u(len(data), 2) + data


class Firmware:
    def __init__(self, path, measures):
        self.qemu = subprocess.Popen(QEMU + [path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        # It waits for ever for what is typed, also after whoever types has gone.
        atexit.register(self.qemu.kill)
        self.measures = measures
        self.journal = []
        self.most_stack = self.most_stack_passes = self.most_stack_restart = 0

    def send(self, data):
        self.qemu.stdin.write(data)
        self.qemu.stdin.flush()

    def read(self, length):
        data = self.qemu.stdout.read(length)
        if len(data) < length:
            sys.exit(f"the firmware stopped with status {self.qemu.wait()}: 1 is a fault, 2 a panic, 3 what it did not understand")
        return data

    def answer(self):
        """The refusal, if there is one; what was to be durable until then goes to the journal."""
        refusal = b""
        while True:
            kind = self.read(1)
            if kind == b"J":
                (length,) = self.read(1)
                self.journal.append(self.read(length))
            elif kind == b"R":
                while not refusal.endswith(b"\n"):
                    refusal += self.read(1)
            elif kind == b"+":
                return refusal[:-1].decode()
            else:
                sys.exit(f"the firmware did not understand: {kind}")

    def install(self, root, profile, oscillator, policy, now, passes=NO_PASSES):
        parts = profile["classes"], profile["holders"], profile["generations"]
        header = bytes([len(parts[0]), *parts[1:], profile["exclusive"], profile["digits"]])
        classes = b"".join(map(kp1.class_bytes, profile["classes"]))
        clock = ["crystal", "compensated", "calibrated"].index(oscillator)
        kind = ["need_time", "trust_90min"].index(policy)
        whole = (header + classes).ljust(PROFILE, b"\0")
        names = b"".join(counted(passes[name].encode()) for name in ("name", "group"))
        issuer = passes["keys"][32:] + passes["keys"][:32]
        self.provisioned = b"L" + root + whole + bytes([clock, kind]) + names + issuer + kp1.u(now, 8)
        self.begin()

    def begin(self):
        self.send(self.provisioned)
        assert not self.answer()
        self.journal = []

    def event(self, step):
        kind = {"elapsed": 16, "power_lost": 17, "signed": 18, "token": 19, "reset": 20}[step["event"]]
        fields = kp1.u(step["seconds"], 8) if kind == 16 else b""
        fields += kp1.u(step["time"], 8) if kind > 17 else b""
        fields += kp1.u(step["age"], 4) if kind > 18 else b""
        self.send(b"E" + counted((bytes([kind, 0, 0, 0, 0]) + fields).ljust(RECORD, b"\0")))
        assert not self.answer()

    def restart(self):
        """Forgets everything but its records, and reads them again; then everything but its state."""
        if not self.measures:
            return
        written = self.journal
        self.begin()
        for record in written:
            self.send(b"E" + counted(record))
            assert not self.answer()
        assert self.journal == written
        self.send(b"S" + counted(b""))
        assert not self.answer()
        self.most_stack_restart = max(self.most_stack_restart, self.measured()[2])

    def present(self, presented):
        """What is opened or taken, as the vectors of passes write it."""
        self.send(b"P" + counted(presented))
        refusal = self.answer()
        self.most_stack_passes = max(self.most_stack_passes, self.measured()[2])
        if refusal:
            return {"refused": refusal}
        last = self.journal[-1]
        if last[0] in TAKEN:
            return {"taken": TAKEN[last[0]]}
        return {"opened": last[5 + {67: 0, 68: 8, 72: 16}[last[0]] :].hex()}

    def type(self, typed):
        """The answer as the vectors write it."""
        typed = typed.encode()[:255]
        self.send(b"T" + counted(typed))
        refusal = self.answer()
        self.most_stack = max(self.most_stack, self.measured()[2])
        if refusal:
            return {"refused": refusal}
        last = self.journal[-1]
        if last[0] in OBEYED:
            return {"obeyed": OBEYED[last[0]]}
        return {"opened": last[5:20]}

    def measured(self):
        """Bytes of a lock, of its memory, and of the stack while the last was typed; its instructions."""
        if not self.measures:
            return 0, 0, 0, 0
        self.send(b"M")
        lock, memory, stack, ticks = (int.from_bytes(self.read(4), "big") for _ in range(4))
        assert not self.answer()
        return lock, memory, stack, 5 * ticks


def profile_of(case):
    own = {key: case[key] for key in ("classes", "exclusive", "check_in", "check_out", "nights") if key in case}
    return kp1.profile(case["profile"], **own)


def vectors(firmware):
    document = json.loads((VECTORS / "kp1" / "doors.json").read_text())
    common = document["common"]
    root = kp1.lock_root(bytes.fromhex(common["site"]), common["lock"], common["lock_generation"])
    count = 0
    for case in document["cases"]:
        if case["room"] != 32:
            continue  # this firmware has room for 32 marks
        firmware.install(root, profile_of(case), case["oscillator"], case["policy"], case["now"])
        for step in case["before"]:
            if "typed" in step:
                firmware.type(step["typed"])
            else:
                if step["event"] == "power_lost":
                    firmware.restart()
                firmware.event(step)
        wanted = case["answer"]
        if "opened" in wanted:
            wanted = {"opened": kp1.tuple_bytes(wanted["opened"])}
        if (got := firmware.type(case["typed"])) != wanted:
            sys.exit(f"{case['name']}: {got}, not {wanted}")
        count += 1
    return count


def vectors_of_passes(firmware):
    """Those of presented.json that this firmware can be asked: it knows no P-256 and sends no challenges."""
    document = json.loads((VECTORS / "dp1" / "presented.json").read_text())
    common = document["common"]
    keys = bytes.fromhex(common["keys"][0] + common["issuer_root"])
    passes = {"name": common["name"], "group": common["groups"][0], "keys": keys}
    counts = {}
    for case in document["cases"]:
        steps = [*case["before"], case]
        whole = "".join(step.get("presented", "") for step in steps)
        # The header of ESP256, a key on P-256, an encrypted pass; room for fewer marks.
        foreign = any(part in whole for part in ("49a20128", "a40102200121", "d083"))
        foreign |= case["epoch"] != 0 or case["answer"] == {"refused": "ledger_full"}
        if foreign or any("nonce" in step for step in steps):
            continue
        root = bytes.fromhex(common["root"])
        firmware.install(root, kp1.profile("courts"), common["oscillator"], common["policy"], case["now"], passes)
        for step in steps:
            if "presented" in step:
                got = firmware.present(bytes.fromhex(step["presented"]))
            else:
                firmware.event(step)
        if got != case["answer"]:
            sys.exit(f"{case['name']}: {got}, not {case['answer']}")
        (kind,) = case["answer"]
        counts[kind] = counts.get(kind, 0) + 1
    return counts


def issued(firmware):
    """What a service issued (make.py); and with any bit changed, it opens nothing."""
    document = json.loads((HERE / "passes.json").read_text())
    lock, steps = document["lock"], document["steps"]
    root, passes = bytes.fromhex(lock["root"]), lock | {"keys": bytes.fromhex(lock["keys"])}
    firmware.install(root, kp1.profile("courts"), "crystal", "need_time", lock["now"], passes)
    firmware.event({"event": "elapsed", "seconds": 2400})
    changed, signed = 0, 0
    for step in steps:
        presented = bytes.fromhex(step["presented"])
        for bit in range(changed % 29, 8 * len(presented), 29):
            whole = int.from_bytes(presented, "big") ^ 1 << bit
            got = firmware.present(whole.to_bytes(len(presented), "big"))
            if got != {"refused": "wrong_code"}:
                sys.exit(f"{step['name']}, bit {bit} changed: {got}")
            firmware.event({"event": "elapsed", "seconds": 1})
            changed += 1
        if (got := firmware.present(presented)) != step["answer"]:
            sys.exit(f"{step['name']}: {got}, not {step['answer']}")
        if "opened" in got:
            instructions = firmware.measured()[3]
            if instructions:
                print(f"a pass {step['name']}: {len(presented)} bytes, {instructions:,} instructions until it opens")
            signed = max(signed, instructions)
        # All of it is known again after a restart, where there is one.
        firmware.restart()
    print(f"{len(steps)} documents of a service: as expected; {changed} with a bit changed: refused")
    return signed


def hmacs(profile, now, uncertainty, epochs):
    """HMACs of one comparison: a block of four lanes of each window around now."""
    reach = uncertainty + 4 * 3600
    windows = 0
    for one in profile["classes"]:
        grid, phase = 60 * one["quantum"], 60 * one["phase"]
        first = -((-(now - reach - 300 - 60 * one["duration"] + 1 - phase)) // grid)
        windows += (now + reach + 600 - phase) // grid - first + 1
    return epochs * windows * -(-profile["holders"] * profile["generations"] // 4)


def instructions(firmware):
    """What one wrong PIN costs, and that it does not depend on which, nor on the lock's key."""
    now = 1_800_057_600
    for name in ("courts", "general"):
        profile = kp1.profile(name)
        for label, days, announced in [("a fresh clock", 0, 0), ("a year later", 330, 0), ("an epoch announced", 330, 1)]:
            costs = set()
            for seed in range(2):
                root = bytes([seed]) * 32
                for typed in ("123456789", "987654321", "900000000", "100000000"):
                    firmware.install(root, profile, "crystal", "need_time", now)
                    firmware.event({"event": "elapsed", "seconds": 86_400 * days})
                    if announced:
                        command = {"command": "announce", "epoch": 1}
                        code = kp1.control_code(root, 0, profile, command)
                        assert firmware.type(code) == {"obeyed": "announce"}
                    assert firmware.type(typed) == {"refused": "wrong_code"}
                    costs.add(firmware.measured()[3])
            least, most = min(costs), max(costs)
            if most - least > 5:
                sys.exit(f"{name}: {least} to {most} instructions, by what was typed or by the key")
            reach = [4, 45 * 60][days > 0]
            count = hmacs(profile, now + 86_400 * days, reach, 1 + announced)
            print(f"{name}, {label}: {most:,} instructions a PIN, about {count} HMACs")


def answers(firmware):
    """Asks all that has a known answer; the most instructions that a signed pass took."""
    print(f"{vectors(firmware)} vectors of doors: as expected")
    signed = issued(firmware)
    print(f"vectors of passes: as expected, {vectors_of_passes(firmware)}")
    return signed


def end(firmware):
    firmware.send(b"Q")
    if firmware.qemu.wait() != 0:
        sys.exit("the firmware did not end well")


def flash(path):
    sizes = subprocess.run(["size", path], check=True, capture_output=True, text=True)
    text, data, bss = map(int, sizes.stdout.splitlines()[1].split()[:3])
    if data or bss:
        sys.exit(f"{data + bss} bytes of static memory, where there were none")
    return text


def main():
    paths, ceilings = sys.argv[1:3], [int(most) for most in sys.argv[3:]]
    lock, firmware = Firmware(paths[0], measures=False), Firmware(paths[1], measures=True)
    answers(lock)
    end(lock)
    signed = answers(firmware)
    instructions(firmware)
    sizes = [flash(path) for path in paths]
    size, state, _, _ = firmware.measured()
    print(f"flash: {sizes[0]:,} bytes; {sizes[1]:,} where it is measured, and stores its state and reads it back")
    print(f"memory: {size:,} bytes for a lock, {state:,} for what it remembers, {firmware.most_stack:,} of stack while one types")
    print(f"memory: {firmware.most_stack_passes:,} of stack while a pass is judged, {firmware.most_stack_restart:,} at a restart")
    end(firmware)
    stacks = [firmware.most_stack, firmware.most_stack_passes, firmware.most_stack_restart]
    reached = [*sizes, *stacks, signed]
    if any(one > most for one, most in zip(reached, ceilings, strict=True)):
        sys.exit(
            "flash, flash where it is measured, stack of PINs, of passes and of a restart, instructions of a pass: "
            f"{reached}, more than {ceilings}"
        )


main()
