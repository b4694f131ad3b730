#!/usr/bin/env python3
"""Recomputes the vectors from the specification, so that no value in them is only what the Rust code happens
to answer. Signatures are checked by `curves.py`; make.py made them with a published library.
"""

import json
import pathlib
import sys

sys.dont_write_bytecode = True  # a check leaves nothing behind
import dp1
import make

HERE = pathlib.Path(__file__).parent


def read(name):
    return json.loads((HERE / f"{name}.json").read_text())


def presented(case, common):
    return make.judge(common, case) == case["answer"]


def challenges(case, common):
    return dp1.nonce(bytes.fromhex(common["root"]), case["starts"], case["number"]).hex() == case["nonce"]


def texts(case, _):
    data = dp1.from_text(case["text"])
    if data is None or case["bytes"] is None:
        return data is case["bytes"]
    return data.hex() == case["bytes"] and dp1.to_text(data) == case["text"]


ACCEPTED = {
    "presented": lambda case: "refused" not in case["answer"],
    "texts": lambda case: case["bytes"] is not None,
}


def main():
    failed = 0
    for check in (presented, challenges, texts):
        name = check.__name__
        document = read(name)
        cases = document["cases"]
        accepted = sum(map(ACCEPTED.get(name, bool), cases))
        if name in ACCEPTED and not 0 < 3 * accepted <= len(cases) - accepted:
            counts = f"{accepted} acceptances, {len(cases) - accepted} refusals"
            raise SystemExit(f"{name}.json: {counts}; three to one, please")
        for case in cases:
            if not check(case, document.get("common")):
                failed += 1
                print(f"{name}.json: {case['name']}", file=sys.stderr)
        print(f"{name}.json: {len(cases)} cases")
    if failed:
        raise SystemExit(f"{failed} cases differ from the specification")


if __name__ == "__main__":
    main()
