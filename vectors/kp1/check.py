#!/usr/bin/env python3
"""Recomputes the vectors from the specification, so that no value in them is only what the Rust
code happens to answer.
"""

import json
import pathlib
import sys

sys.dont_write_bytecode = True  # a check leaves nothing behind
import door
import kp1
import make
from clock import Belief

HERE = pathlib.Path(__file__).parent


def pins(case):
    same = make.derive(case) == {"pin": case["pin"], "long": case["long"]}
    return same == case["match"]


def bookings(case):
    fit = kp1.fit(make.profile_of(case), case["from"], case["until"], case["once"])
    if fit is None or case["fit"] is None:
        return fit == case["fit"]
    window = kp1.begins(fit), kp1.ends(fit)
    same = (fit["class"], fit["index"], *window) == tuple(case["fit"].values())
    return same and window[0] <= case["from"] and case["until"] <= window[1]


def odds(case):
    profile = make.profile_of(case)
    return (kp1.acceptable(profile), profile["digits"]) == (case["acceptable"], case["digits"])


def doors(case):
    return make.at_door(case) == case["answer"]


def beliefs(case):
    belief = Belief(case["oscillator"], case["policy"], case["now"])
    for step in case["steps"]:
        belief.then({key: value for key, value in step.items() if key != "then"})
        if belief.status() != step["then"]:
            return False
    return True


def bundles(case):
    """The line of an acceptance, white space aside, is the one line of its bundle."""
    if "refused" in case:
        return door.fault(case["text"]) == case["refused"]
    line = "".join(case["text"].split()).upper()
    return line == door.text(door.content(case["bundle"]))


def journals(case):
    if "refused" in case:
        return door.journal_fault(make.BUNDLE, bytes.fromhex(case["journal"])) == case["refused"]
    whole = door.journal(make.BUNDLE, make.MIDNIGHT, case["events"])
    told = door.after(make.BUNDLE, make.MIDNIGHT, case["events"])
    return (whole.hex(), told) == (case["journal"], case["after"])


ACCEPTED = {
    "bundles": lambda case: "refused" not in case,
    "journals": lambda case: "refused" not in case,
    "pins": lambda case: case["match"],
    "bookings": lambda case: case["fit"],
    "doors": lambda case: "refused" not in case["answer"],
}
CHECKS = [pins, bookings, odds, doors, beliefs, bundles, journals]


def main():
    failed = 0
    for check in CHECKS:
        path = HERE / f"{check.__name__}.json"
        cases = json.loads(path.read_text())["cases"]
        if check.__name__ in ACCEPTED:
            accepted = sum(bool(ACCEPTED[check.__name__](case)) for case in cases)
            if not 0 < 3 * accepted <= len(cases) - accepted:
                counts = f"{accepted} acceptances, {len(cases) - accepted} refusals"
                raise SystemExit(f"{path.name}: {counts}; three to one, please")
        for case in cases:
            if not check(case):
                failed += 1
                print(f"{path.name}: {case['name']}", file=sys.stderr)
        print(f"{path.name}: {len(cases)} cases")
    if failed:
        raise SystemExit(f"{failed} cases differ from the specification")


if __name__ == "__main__":
    main()
