#!/usr/bin/env python3
"""Recomputes the vectors from the specification, so that no value in them is only what the Rust
code happens to answer. `documents.json` needs curves: make.py made it with other libraries.
"""

import json
import pathlib
import sys

sys.dont_write_bytecode = True  # a check leaves nothing behind
import ho1

HERE = pathlib.Path(__file__).parent
unhex = bytes.fromhex


def subject_of(case):
    names = case["issuer"], case["delivery"], case["generation"], case["slot"]
    return ho1.subject(*names, ho1.fingerprint(unhex(case["device_key"])))


def mistyped(read, *arguments):
    try:
        read(*arguments)
    except ho1.Mistyped:
        return True
    return False


def codes(case):
    shape = case["alphabet"], case["length"]
    if case["canonical"] is None:
        return mistyped(ho1.canonical, case["typed"], *shape)
    return ho1.canonical(case["typed"], *shape) == case["canonical"]


def tags(case):
    shape = case["alphabet"], case["length"]
    derived = ho1.tag(unhex(case["salt"]), case["t"], *shape, subject_of(case), case["code"])
    return case["t"] == ho1.tag_bits(*shape) and (derived == case["tag"]) == case["match"]


def full(case):
    if case["memory"] * case["passes"] > 1024:
        return True  # minutes in Python; the libraries behind make.py and the Rust code agree on it
    shape = case["alphabet"], case["length"]
    cost = case["memory"], case["passes"]
    derived = ho1.full_hash(unhex(case["salt"]), *cost, *shape, subject_of(case), case["code"])
    return (derived.hex() == case["hash"]) == case["match"]


def scans(case):
    if "text" in case and case["match"] is None:
        return mistyped(ho1.parse_scan_text, case["text"])
    delivery, generation, slot, secret = ho1.parse_scan_text(case["text"])
    bare = case["text"].rpartition("#")[2].strip()
    same = ho1.scan_text(delivery, generation, slot, secret) == bare
    device = ho1.fingerprint(unhex(case["device_key"]))
    subject = ho1.subject(case["issuer"], delivery, generation, slot, device)
    return same and (ho1.scan_hash(subject, secret).hex() == case["scan"]) == case["match"]


def code_macs(case):
    place = case["delivery"], case["generation"], case["slot"]
    mac = ho1.code_mac(unhex(case["pepper"]), *place, case["code"])
    return (mac.hex() == case["code_mac"]) == case["match"]


def judge(case):
    if "scanned" in case:
        same = ho1.scan_hash(subject_of(case), unhex(case["scanned"])).hex() == case["scan"]
        return case["verdict"] == ("match" if same else "mismatch")
    place = unhex(case["pepper"]), case["delivery"], case["generation"], case["slot"]
    fits = lambda code: ho1.code_mac(*place, code).hex() == case["code_mac"]
    verdict = "mismatch"
    if fits(case["typed"]):
        verdict = "match"
    elif any(map(fits, ho1.typos(case["typed"], case["alphabet"]))):
        verdict = "match_with_typo"
    return verdict == case["verdict"]


def journals(case):
    head = 0, bytes(32)
    whole = True
    for record in case["records"]:
        head = ho1.head_after(head, unhex(record["record"]))
        whole = whole and head[1].hex() == record["head"]
    return whole == case["whole"]


def door(case):
    device = ho1.Device(case["issuer"], unhex(case["device_key"]), case["enrolled"], case["stops"])
    for event in case["before"]:
        device.apply(event)
    answer = device.present(case["present"])
    return all(answer.get(name) == value for name, value in case["answer"].items())


ACCEPTED = {
    "codes": lambda case: case["canonical"] is not None,
    "tags": lambda case: case["match"],
    "full": lambda case: case["match"],
    "scans": lambda case: case["match"] is True,
    "code_macs": lambda case: case["match"],
    "judge": lambda case: case["verdict"] == "match",
    "journals": lambda case: case["whole"],
    "door": lambda case: "granted" in case["answer"],
}
CHECKS = [codes, tags, full, scans, code_macs, judge, journals, door]


def main():
    failed = 0
    for check in CHECKS:
        path = HERE / f"{check.__name__}.json"
        document = json.loads(path.read_text())
        common, cases = document.get("common", {}), document["cases"]
        accepted = sum(ACCEPTED[check.__name__](case) for case in cases)
        if not 0 < 3 * accepted <= len(cases) - accepted:
            raise SystemExit(f"{path.name}: three refusals for each of {accepted} acceptances, please")
        for case in cases:
            if not check({**common, **case}):
                failed += 1
                print(f"{path.name}: {case['name']}", file=sys.stderr)
        print(f"{path.name}: {len(cases)} cases")
    if failed:
        raise SystemExit(f"{failed} cases differ from the specification")


if __name__ == "__main__":
    main()
