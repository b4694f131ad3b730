"""Makes passes.json anew: what a real service issued for a lock, and what the lock must answer.

    python3 checks/bare-metal/make.py target/debug/doorstep

Everything in it is random but the time; the lock is test data, so its keys open nothing.
"""

import base64
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
START, FROM, UNTIL = "2026-03-02T12:00:00Z", "2026-03-02T12:30:00Z", "2026-03-02T13:30:00Z"


class Bundle:
    """What the firmware is told of a bundle (docs/kp1.md, section 12)."""

    def __init__(self, line):
        body = line.removeprefix("DSLOCK1:")
        self.rest = base64.b32decode(body + "=" * (-len(body) % 8))
        (length,) = self.take(1)
        lock = self.take(length).decode()
        generation, epoch, made_at = self.number(4), self.number(4), self.number(8)
        assert (generation, epoch) == (1, 0)
        self.take(3)  # oscillator, policy, test
        root = self.take(32).hex()
        (classes,) = self.take(1)
        self.take(4 + 9 * classes)
        (steps,) = self.take(1)
        (passes,) = self.take(1)
        (groups,) = self.take(1)
        assert (steps, passes, groups) == (0, 1, 1)
        group = self.take(*self.take(1)).decode()
        (keys,) = self.take(1)
        issuer = self.take(*self.take(1)).hex()
        self.take(16)
        for _ in range(keys - 1):
            self.take(*self.take(1))
            self.take(16)
        issuer_root = self.take(*self.take(1)).hex()
        self.said = {"name": lock[-8:], "group": group, "root": root, "keys": issuer + issuer_root, "now": made_at}

    def take(self, length):
        part, self.rest = self.rest[:length], self.rest[length:]
        return part

    def number(self, length):
        return int.from_bytes(self.take(length), "big")


class Service:
    def __init__(self, doorstep, data):
        self.environment = os.environ | {"DOORSTEP_DATA": f"{data}/data", "DOORSTEP_CLOCK": f"{data}/data/clock"}
        self.doorstep = doorstep
        self.run("init", "--test", "--at", START)
        self.run("key", "create", "--name", "make", "--out", f"{data}/key")
        self.key = pathlib.Path(f"{data}/key").read_text().strip()
        command = [doorstep, "--json", "serve", "--listen", "127.0.0.1:0"]
        self.process = subprocess.Popen(command, env=self.environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        line = ""
        while "listening" not in line:
            line = self.process.stdout.readline()
        self.address = "http://" + line.split("http://")[1].split('"')[0].rstrip("/\n")

    def run(self, *arguments):
        subprocess.run([self.doorstep, *arguments], env=self.environment, check=True, capture_output=True)

    def ask(self, method, path, body=None):
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data, headers, method=method)
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)


def bytes_of(document):
    return base64.urlsafe_b64decode(document + "=" * (-len(document) % 4)).hex()


def main():
    steps = []

    def step(name, presented, answer):
        steps.append({"name": name, "presented": presented, "answer": answer})

    with tempfile.TemporaryDirectory() as data:
        service = Service(sys.argv[1], data)
        try:
            profile = {"kind": "courts"}
            made, other = (
                service.ask("POST", "/v1/locks", {"site": "demo", "name": name, "profile": profile, "groups": groups})
                for name, groups in (("Court 3", ["courts"]), ("Gate", []))
            )
            lock = made["lock"]["id"]
            window = {"from": FROM, "until": UNTIL}
            once, mac, group, revoked, elsewhere = (
                service.ask("POST", "/v1/passes", window | said)
                for said in (
                    {"lock": lock, "uses": "once"},
                    {"lock": lock, "kind": "mac"},
                    {"group": "courts"},
                    {"lock": lock, "reference": "revoked"},
                    {"lock": other["lock"]["id"]},
                )
            )
            service.ask("POST", f"/v1/passes/{revoked['id']}/revoke")
            riders = service.ask("GET", f"/v1/locks/{lock}/riders")["documents"]
        finally:
            service.process.terminate()
            service.process.wait()
    for name, issued in (("once", once), ("under a MAC", mac), ("for a group", group), ("before its revocation", revoked)):
        step(name, bytes_of(issued["document"]), {"opened": issued["id"]})
    step("once more", bytes_of(once["document"]), {"refused": "already_used"})
    step("another lock's", bytes_of(elsewhere["document"]), {"refused": "wrong_code"})
    for rider in riders:
        step("what revokes it", bytes_of(rider), {"taken": "bulletin"})
    step("after its revocation", bytes_of(revoked["document"]), {"refused": "revoked"})
    about = "What a service issued for a lock, and what the lock answers, in this order. Made by make.py."
    whole = {"about": about, "lock": Bundle(made["bundle"]).said, "steps": steps}
    (HERE / "passes.json").write_text(json.dumps(whole, indent=1) + "\n")


main()
