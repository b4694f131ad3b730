#!/usr/bin/env python3
"""Writes the vectors from the second implementation beside this file. What each case is meant to
show is said by hand: a case whose answer is another one is an error here.
"""

import json
import pathlib
import sys

sys.dont_write_bytecode = True  # nothing is left behind
import door
import kp1
from clock import Belief

HERE = pathlib.Path(__file__).parent
SITE = bytes(range(32))
# A multiple of every grid but the stays'.
MIDNIGHT = 1_800_057_600
HOUR, DAY = 3600, 86_400


def write(name, about, cases, **common):
    names = [case["name"] for case in cases]
    assert len(set(names)) == len(names), [n for n in names if names.count(n) > 1]
    document = {"about": about, **({"common": common} if common else {}), "cases": cases}
    (HERE / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")
    print(f"{name}.json: {len(cases)} cases")


def tuple_of(duration, quantum, index, phase=0, once=False, holder=0, generation=0):
    one = kp1.class_of(duration, quantum, phase, once)
    return {"class": one, "index": index, "holder": holder, "generation": generation}


def pins():
    base = {"site": SITE.hex(), "lock": "lck_court1", "lock_generation": 1, "epoch": 0, "digits": 9}
    index = MIDNIGHT // 900
    tuples = {
        "an hour": tuple_of(60, 15, index),
        "a second holder": tuple_of(60, 15, index, holder=1),
        "made anew": tuple_of(60, 15, index, generation=1),
        "opens once": tuple_of(60, 15, index, once=True),
        "three nights": tuple_of(3 * 1440 - 240, 1440, MIDNIGHT // DAY, phase=840),
        "28 days": tuple_of(40_320, 1440, 20_833),
        "the first window there is": tuple_of(30, 15, 0),
        "the last index": tuple_of(30, 15, 2**32 - 1),
    }
    faults = {
        "another lock": lambda case: case | {"lock": "lck_court2"},
        "another generation of the lock": lambda case: case | {"lock_generation": 2},
        "another epoch": lambda case: case | {"epoch": 1},
        "another site": lambda case: case | {"site": bytes(32).hex()},
        "the next window": lambda case: changed(case, index=(case["tuple"]["index"] + 1) % 2**32),
        "another holder": lambda case: changed(case, holder=1 - case["tuple"]["holder"]),
        "another making": lambda case: changed(case, generation=1 - case["tuple"]["generation"]),
        "another duration": lambda case: reclassed(case, duration=45),
        "another grid": lambda case: reclassed(case, quantum=10_000),
        "another phase": lambda case: reclassed(case, phase=7),
        "how often it opens": lambda case: reclassed(case, once=not case["tuple"]["class"]["once"]),
    }

    def changed(case, **parts):
        return case | {"tuple": case["tuple"] | parts}

    def reclassed(case, **parts):
        return changed(case, **{"class": case["tuple"]["class"] | parts})

    cases = []
    for number, (name, tuple_) in enumerate(tuples.items()):
        right = base | {"tuple": tuple_}
        codes = derive(right)
        cases.append({"name": name, **right, **codes, "match": True})
        kinds = list(faults)
        for kind in (kinds[(3 * number + step) % len(kinds)] for step in range(3)):
            wrong = faults[kind](right)
            assert derive(wrong)["pin"] != codes["pin"]
            cases.append({"name": f"{name}: of {kind}", **wrong, **codes, "match": False})
    for digits in (6, 7, 8, 10):
        right = base | {"tuple": tuples["an hour"], "digits": digits}
        codes = derive(right)
        cases.append({"name": f"{digits} digits", **right, **codes, "match": True})
        twisted = codes | {"pin": codes["pin"][:-2] + codes["pin"][:-3:-1]}
        if twisted == codes:
            twisted = codes | {"pin": codes["pin"][:-1] + str((int(codes["pin"][-1]) + 1) % 10)}
        cases.append({"name": f"{digits} digits: a typo", **right, **twisted, "match": False})
        for wrong in ("another epoch", "another holder"):
            other = faults[wrong](right)
            cases.append({"name": f"{digits} digits: of {wrong}", **other, **codes, "match": False})
    write("pins", "Keys, words, PINs and long forms (sections 2 and 3), with 2 x 2 lanes.", cases)


def derive(case):
    root = kp1.lock_root(bytes.fromhex(case["site"]), case["lock"], case["lock_generation"])
    pin, long = kp1.pins(kp1.word(root, case["epoch"], 2, case["tuple"]), case["digits"])
    return {"pin": pin, "long": long}


STAYS = {"profile": "stays", "check_in": 840, "check_out": 600, "nights": 14}
# Auckland in summer: the UTC day ends between check-out and check-in.
FAR_EAST = {"profile": "stays", "check_in": 120, "check_out": 1260, "nights": 3}
SOME = {
    "profile": "own",
    "exclusive": False,
    "classes": [kp1.class_of(60, 15), kp1.class_of(60, 15, once=True), kp1.class_of(240, 15)],
}


def profile_of(case):
    own = {key: case[key] for key in ("check_in", "check_out", "nights", "classes", "exclusive") if key in case}
    return kp1.profile(case["profile"], **own)


def bookings():
    cases = []

    def case(name, profile, start, until, fits, once=False):
        case = {"name": name, **profile, "from": start, "until": until, "once": once}
        fit = kp1.fit(profile_of(case), start, until, once)
        assert bool(fit) == fits, name
        case["fit"] = fit and {"class": fit["class"], "index": fit["index"], "begins": kp1.begins(fit), "ends": kp1.ends(fit)}
        cases.append(case)

    courts, general = {"profile": "courts"}, {"profile": "general"}
    case("on the grid", courts, MIDNIGHT, MIDNIGHT + HOUR, True)
    case("a minute off", courts, MIDNIGHT + 60, MIDNIGHT + HOUR + 60, True)
    case("a second too long", courts, MIDNIGHT, MIDNIGHT + HOUR + 1, True)
    case("ten days and an hour", general, MIDNIGHT + 1234, MIDNIGHT + 1234 + 10 * DAY + HOUR, True)
    case("the leap day", general, 1_835_395_200, 1_835_481_600, True)
    case("over the end of a year", general, 1_830_290_400, 1_830_304_800, True)
    case("two nights", STAYS, MIDNIGHT + 14 * HOUR, MIDNIGHT + 2 * DAY + 10 * HOUR, True)
    case("comes late", STAYS, MIDNIGHT + 23 * HOUR, MIDNIGHT + DAY + 10 * HOUR, True)
    case("two nights far east", FAR_EAST, MIDNIGHT + 2 * HOUR, MIDNIGHT + DAY + 21 * HOUR, True)
    case("once", SOME, MIDNIGHT, MIDNIGHT + 1800, True, once=True)
    case("longer than the longest court", courts, MIDNIGHT, MIDNIGHT + 4 * HOUR + 1, False)
    case("a whole court, a second off", courts, MIDNIGHT + 1, MIDNIGHT + 4 * HOUR + 1, False)
    case("a court once", courts, MIDNIGHT, MIDNIGHT + HOUR, False, once=True)
    case("a court for a day", courts, MIDNIGHT, MIDNIGHT + DAY, False)
    case("a month", general, MIDNIGHT, MIDNIGHT + 31 * DAY, False)
    case("28 days that begin in the day", general, MIDNIGHT + HOUR, MIDNIGHT + 28 * DAY + HOUR, False)
    case("general, once", general, MIDNIGHT, MIDNIGHT + HOUR, False, once=True)
    case("before there was a window", {"profile": "own", "exclusive": False, "classes": [kp1.class_of(60, 1440, 840)]}, 0, HOUR, False)
    case("ends before its grid", {"profile": "own", "exclusive": False, "classes": [kp1.class_of(60, 1440, 840)]}, MIDNIGHT + HOUR, MIDNIGHT + 2 * HOUR, False)
    case("stays past check-out", STAYS, MIDNIGHT + 14 * HOUR, MIDNIGHT + 14 * DAY + 10 * HOUR + 1, False)
    case("comes before check-in", STAYS, MIDNIGHT + 14 * HOUR - 1, MIDNIGHT + 14 * DAY + 10 * HOUR, False)
    case("far east past check-out", FAR_EAST, MIDNIGHT + 2 * HOUR, MIDNIGHT + 2 * DAY + 21 * HOUR + 1, False)
    case("far east before check-in", FAR_EAST, MIDNIGHT + 2 * HOUR - 1, MIDNIGHT + 2 * DAY + 21 * HOUR, False)
    case("far east, a night too many", FAR_EAST, MIDNIGHT + 2 * HOUR, MIDNIGHT + 3 * DAY + 21 * HOUR, False)
    case("a night too many", STAYS, MIDNIGHT + 14 * HOUR, MIDNIGHT + 15 * DAY + 10 * HOUR, False)
    case("a stay once", STAYS, MIDNIGHT + 14 * HOUR, MIDNIGHT + DAY, False, once=True)
    case("a stay that begins at check-out and ends at the last", STAYS, MIDNIGHT + 10 * HOUR, MIDNIGHT + 14 * DAY + 10 * HOUR, False)
    for hours in range(5, 18):
        case(f"{hours} hours on a court", courts, MIDNIGHT + 900 * hours, MIDNIGHT + 900 * hours + hours * HOUR, False)
    write("bookings", "Bookings rounded outward (section 4); `fit` is null where no class fits.", cases)


def odds():
    cases = []
    for name, profile in ("courts", {"profile": "courts"}), ("general", {"profile": "general"}), ("stays", STAYS), ("own", SOME):
        whole = profile_of(profile)
        acceptable = kp1.acceptable(whole)
        cases.append({"name": name, **profile, "acceptable": acceptable, "digits": whole["digits"]})
    write("odds", "V and the default digits (section 5).", cases)


def at_door(case):
    root = kp1.lock_root(SITE, "lck_door", 1)
    made = kp1.Door(root, profile_of(case), case["oscillator"], case["policy"], case["now"], case["room"])
    for step in case["before"]:
        if "typed" in step:
            made.present(step["typed"])
        else:
            made.clock(step)
    return made.present(case["typed"])


def doors():
    root = kp1.lock_root(SITE, "lck_door", 1)
    cases = []
    index = MIDNIGHT // 900

    def case(name, profile, now, before, typed, answer, room=32, policy="need_time"):
        case = {"name": name, **profile, "oscillator": "crystal", "policy": policy, "now": now, "room": room}
        case |= {"before": before, "typed": typed}
        case["answer"] = at_door(case)
        given = case["answer"].get("refused") or next(iter(case["answer"]))
        assert given == answer, (name, case["answer"])
        cases.append(case)

    def typed(tuple_, epoch=0, form=0, digits=9):
        return kp1.pins(kp1.word(root, epoch, 2, tuple_), digits)[form]

    def control(profile, key_epoch=0, **command):
        return kp1.control_code(root, key_epoch, profile_of(profile), command)

    def press(code):
        return {"typed": code}

    wait = lambda seconds: {"event": "elapsed", "seconds": seconds}
    lost = {"event": "power_lost"}
    court = {"profile": "courts"}
    hour = tuple_of(60, 15, index)
    pin, long = typed(hour), typed(hour, form=1)
    once = tuple_of(60, 15, index, once=True)
    newer = tuple_of(60, 15, index, generation=1)

    # The window, its grace, and a belief of 4 seconds either way, cut by floor and ceiling.
    case("in its window", SOME, MIDNIGHT, [], pin, "opened")
    case("the first second of its grace", SOME, MIDNIGHT - 601, [], pin, "opened")
    case("a second before its grace", SOME, MIDNIGHT - 602, [], pin, "not_yet_valid")
    case("the last second of its grace", SOME, MIDNIGHT + HOUR + 299, [], pin, "opened")
    case("the first second after its grace", SOME, MIDNIGHT + HOUR + 300, [], pin, "expired")
    case("hours early", SOME, MIDNIGHT - 4 * HOUR, [], pin, "not_yet_valid")
    case("out of sight", SOME, MIDNIGHT - 5 * HOUR, [], pin, "wrong_code")
    case("yesterday's", SOME, MIDNIGHT + DAY, [], pin, "wrong_code")
    year = [wait(300 * DAY)]
    case("early by what a year's drift allows", SOME, MIDNIGHT - 300 * DAY - 600 - 1800, year, pin, "opened")
    case("early by more", SOME, MIDNIGHT - 300 * DAY - 600 - 2700, year, pin, "not_yet_valid")
    case("late by more", SOME, MIDNIGHT - 300 * DAY + HOUR + 300 + 2700, year, pin, "expired")
    case("after two years untouched", SOME, MIDNIGHT - 730 * DAY, [wait(730 * DAY)], pin, "clock_unset")
    case("long form", SOME, MIDNIGHT, [], long, "opened")
    case("grouped", SOME, MIDNIGHT, [], f"{pin[:3]} {pin[3:6]}-{pin[6:]}", "opened")
    # Shapes.
    for name, text in {
        "nothing": "",
        "a digit short": pin[:-1],
        "a digit long": pin + "1",
        "a letter": pin[:-1] + "O",
        "a line break": pin + "\n",
        "digits of another script": "４" + pin[1:],
        "a leading zero": "0" + pin[1:],
        "a control code of no type": "04" + "0" * 12,
        "a control code too short": "01" + "0" * 11,
        "longer than is read": pin + " " * 30,
    }.items():
        case(name, SOME, MIDNIGHT, [], text, "mistyped")
    # Whose it is.
    case("of the other epoch", SOME, MIDNIGHT, [], typed(hour, 1), "wrong_code")
    case("one digit off", SOME, MIDNIGHT, [], f"{int(pin) ^ 1}", "wrong_code")
    case("a long form with another end", SOME, MIDNIGHT, [], f"{int(long) ^ 1}", "wrong_code")
    case("a class that the lock does not have", SOME, MIDNIGHT, [], typed(tuple_of(45, 15, index)), "wrong_code")
    # Single use.
    case("once", SOME, MIDNIGHT, [], typed(once), "opened")
    case("once, again", SOME, MIDNIGHT, [press(typed(once)), wait(60)], typed(once), "already_used")
    case("once, again by its long form", SOME, MIDNIGHT, [press(typed(once))], typed(once, form=1), "already_used")
    cut = [press(typed(once)), lost, {"event": "token", "time": MIDNIGHT + 60, "age": 1}]
    case("once, after a power cut", SOME, MIDNIGHT, cut, typed(once), "already_used")
    # Successors.
    case("made anew, the older one still unused", SOME, MIDNIGHT, [press(pin)], typed(newer), "opened")
    case("the older one after the newer", SOME, MIDNIGHT, [press(typed(newer))], pin, "superseded")
    case("the older long form after the newer", SOME, MIDNIGHT, [press(typed(newer))], long, "superseded")
    friend = tuple_of(60, 15, index, holder=1)
    case("another holder after the newer", SOME, MIDNIGHT, [press(typed(newer))], typed(friend), "opened")
    party = typed(tuple_of(240, 15, index - 4))
    case("overlapped by the next party", court, MIDNIGHT, [press(party), press(pin)], party, "superseded")
    case("back to back with the next party", court, MIDNIGHT, [press(pin)], typed(tuple_of(60, 15, index - 4)), "opened")
    chain = [press(typed(tuple_of(60, 15, index - 6))), wait(4100), press(pin)]
    case("ended by a party that is over itself", court, MIDNIGHT - 4500, chain, typed(tuple_of(120, 15, index - 8)), "superseded")
    # Room.
    full = [press(typed(tuple_of(60, 15, index - n, once=True))) for n in range(3)]
    case("once, without room", SOME, MIDNIGHT, full, typed(tuple_of(60, 15, index - 3, once=True)), "ledger_full", room=4)
    case("many times, without room", SOME, MIDNIGHT, full, pin, "opened", room=4)
    case("a revocation in the room kept for it", SOME, MIDNIGHT, full, typed(newer), "opened", room=4)
    case("a revocation without room", SOME, MIDNIGHT, full + [press(typed(newer))], typed(tuple_of(60, 15, index - 1, generation=1)), "ledger_full", room=4)
    cancelled = lambda epoch, count: [press(control(court, command="cancel", tuple=tuple_of(60, 15, index + n), epoch=epoch)) for n in range(4, 4 + count)]
    fresh = tuple_of(60, 15, index, generation=1)
    case("an eighth of the room is kept from cancellations", court, MIDNIGHT, cancelled(0, 7), cancelled(0, 8)[-1]["typed"], "ledger_full", room=8)
    case("a party when cancellations took all they may", court, MIDNIGHT, cancelled(0, 7), pin, "opened", room=8)
    case("made anew, when cancellations took all they may", court, MIDNIGHT, cancelled(0, 7), typed(fresh), "ledger_full", room=8)
    parties = [press(typed(tuple_of(60, 15, index - n))) for n in (1, 0)]
    case("the next party in a full exclusive lock", court, MIDNIGHT, cancelled(0, 7) + parties[:1], pin, "ledger_full", room=8)
    case("the same party in a full exclusive lock", court, MIDNIGHT, cancelled(0, 7) + parties[1:], pin, "opened", room=8)
    announced = [press(control(court, command="announce", epoch=1))]
    case("the marks of an epoch that ends give their room", court, MIDNIGHT, cancelled(0, 7) + announced + parties[:1], typed(fresh, 1), "opened", room=8)
    case("and so its older PIN is seen to be over", court, MIDNIGHT, cancelled(0, 7) + announced + parties[:1] + [press(typed(fresh, 1))], typed(tuple_of(60, 15, index), 1), "superseded", room=8)
    case("a cancellation of the next epoch ends none", court, MIDNIGHT, cancelled(0, 7) + announced, cancelled(1, 1)[0]["typed"], "ledger_full", room=8)
    # Throttle.
    wrong = [press(str(int(pin) ^ (n << 4))) for n in range(1, 11)]
    case("the right one after ten wrong ones", SOME, MIDNIGHT, wrong, pin, "throttled")
    case("the long form after ten wrong ones", SOME, MIDNIGHT, wrong, long, "opened")
    case("a wrong one after ten", SOME, MIDNIGHT, wrong, str(int(pin) ^ 1), "throttled")
    case("nine wrong ones", SOME, MIDNIGHT, wrong[:9], pin, "opened")
    case("one wrong one, ten times", SOME, MIDNIGHT, wrong[:1] * 10, pin, "opened")
    slow = [step for one in wrong[:1] * 10 for step in (one, wait(121))]
    case("one wrong one, ten times slowly", SOME, MIDNIGHT, slow, pin, "throttled")
    case("a wrong one again at once", SOME, MIDNIGHT, wrong[:1], wrong[0]["typed"], "wrong_code")
    later = tuple_of(60, 15, index + 10)
    case("a day's attempts, two hours and 24 minutes later", SOME, MIDNIGHT, wrong + [wait(8642)], typed(later), "opened")
    case("a second before that", SOME, MIDNIGHT, wrong + [wait(8640)], typed(later), "throttled")
    early = [step for n in range(10) for step in (press(typed(tuple_of(60, 15, index + 8 + n % 6, generation=n // 6))),)]
    case("ten that are too early", SOME, MIDNIGHT, early, pin, "throttled")
    # Power and clock.
    case("after a power cut", SOME, MIDNIGHT, [lost], pin, "clock_unset")
    case("the long form after a power cut", SOME, MIDNIGHT, [lost], long, "clock_unset")
    case("after a pass of unknown age", SOME, MIDNIGHT, [lost, {"event": "signed", "time": MIDNIGHT + 60}], pin, "clock_unset")
    case("after an answer to an old nonce", SOME, MIDNIGHT, [lost, {"event": "token", "time": MIDNIGHT + 60, "age": 601}], pin, "clock_unset")
    case("after fresh time", SOME, MIDNIGHT, [lost, {"event": "token", "time": MIDNIGHT + 60, "age": 600}], pin, "opened")
    case("where the power is trusted", SOME, MIDNIGHT + HOUR, [lost], pin, "opened", policy="trust_90min")
    case("where it is trusted, a PIN of long before", SOME, MIDNIGHT + 2 * HOUR, [lost], pin, "expired", policy="trust_90min")
    case("where it is trusted, a PIN of long after", SOME, MIDNIGHT - 2 * HOUR, [lost], pin, "not_yet_valid", policy="trust_90min")
    reset = [press(pin), {"event": "reset", "time": MIDNIGHT, "age": 1}]
    case("after a clock reset", SOME, MIDNIGHT, reset, pin, "wrong_code")
    case("after a clock reset, in the new epoch", SOME, MIDNIGHT, reset, typed(hour, 1), "opened")
    # Control codes.
    now = (MIDNIGHT + DAY) // 300
    set_time = control(SOME, command="set_time", index=now)
    case("set time", SOME, MIDNIGHT, [lost], set_time, "obeyed")
    case("set time, twice", SOME, MIDNIGHT, [lost, press(set_time)], set_time, "already_used")
    case("set time, replayed after a cut", SOME, MIDNIGHT, [lost, press(set_time), wait(60), lost], set_time, "already_used")
    case("set time, replayed after a later cut", SOME, MIDNIGHT, [lost, press(set_time), wait(600), lost], set_time, "wrong_code")
    case("set time of the past", SOME, MIDNIGHT, [lost], control(SOME, command="set_time", index=MIDNIGHT // 300 - 1), "wrong_code")
    case("set time of another epoch", SOME, MIDNIGHT, [lost], control(SOME, 1, command="set_time", index=now), "wrong_code")
    case("set time, one digit off", SOME, MIDNIGHT, [lost], set_time[:-1] + str(9 - int(set_time[-1])), "wrong_code")
    case("a PIN after set time", SOME, MIDNIGHT, [lost, press(set_time)], typed(tuple_of(60, 15, index + 96)), "opened")
    far = [press(control(SOME, command="set_time", index=now + 288 * 400 + n)) for n in (0, 1)]
    at_far = typed(tuple_of(60, 15, index + 96 * 401))
    case("a PIN after one set-time code 400 days on", SOME, MIDNIGHT, [lost] + far[:1], at_far, "clock_unset")
    case("a PIN after the same code twice", SOME, MIDNIGHT, [lost] + far[:1] * 2, at_far, "clock_unset")
    case("a PIN after both", SOME, MIDNIGHT, [lost] + far, at_far, "opened")
    cancel = control(SOME, command="cancel", tuple=hour, epoch=0)
    case("cancel", SOME, MIDNIGHT, [], cancel, "obeyed")
    case("cancel, one digit off", SOME, MIDNIGHT, [], cancel[:-1] + str(9 - int(cancel[-1])), "wrong_code")
    case("a cancelled PIN", SOME, MIDNIGHT, [press(cancel)], pin, "revoked")
    case("a cancelled PIN that was in use", SOME, MIDNIGHT, [press(pin), press(cancel)], pin, "revoked")
    case("a cancelled long form", SOME, MIDNIGHT, [press(cancel)], long, "revoked")
    case("made anew after it was cancelled", SOME, MIDNIGHT, [press(cancel)], typed(newer), "opened")
    case("the older one after the newer was cancelled", SOME, MIDNIGHT, [press(control(SOME, command="cancel", tuple=newer, epoch=0))], pin, "revoked")
    cancels = [press(control(SOME, command="cancel", tuple=tuple_of(60, 15, index + n), epoch=0)) for n in range(4)]
    case("cancel without room", SOME, MIDNIGHT, cancels, control(SOME, command="cancel", tuple=tuple_of(60, 15, index + 4), epoch=0), "ledger_full", room=4)
    announce = control(SOME, command="announce", epoch=1)
    end = control(SOME, command="end_epoch", epoch=1)
    case("announce", SOME, MIDNIGHT, [], announce, "obeyed")
    case("the old epoch while the next is announced", SOME, MIDNIGHT, [press(announce)], pin, "opened")
    case("the next epoch once announced", SOME, MIDNIGHT, [press(announce)], typed(hour, 1), "opened")
    case("the old epoch after the first PIN of the next", SOME, MIDNIGHT, [press(announce), press(typed(hour, 1))], pin, "wrong_code")
    case("announce, after the epoch ended", SOME, MIDNIGHT, [press(end)], announce, "wrong_code")
    case("end the epoch", SOME, MIDNIGHT, [], end, "obeyed")
    case("end the epoch, twice", SOME, MIDNIGHT, [press(end)], end, "wrong_code")
    case("end an epoch too far", SOME, MIDNIGHT, [], control(SOME, command="end_epoch", epoch=2), "wrong_code")
    case("a PIN of the ended epoch", SOME, MIDNIGHT, [press(end)], pin, "wrong_code")
    case("a PIN of the new epoch", SOME, MIDNIGHT, [press(end)], typed(hour, 1), "opened")
    case("a PIN of the new epoch, cancelled in the old", SOME, MIDNIGHT, [press(cancel), press(end)], typed(hour, 1), "opened")
    guesses = [press(f"030{n:07}") for n in range(10)]
    case("a control code after ten wrong ones", SOME, MIDNIGHT, guesses, end, "throttled")
    back = [wait(365 * DAY), guesses[0], {"event": "reset", "time": MIDNIGHT, "age": 1}] + guesses
    case("a control code after a reset by a year and ten wrong ones", SOME, MIDNIGHT, back, control(SOME, command="end_epoch", epoch=2), "throttled")
    case("and 8,640 s later", SOME, MIDNIGHT, back + [wait(8650)], control(SOME, command="end_epoch", epoch=2), "obeyed")
    # More refusals of the common faults, at a lock that is exclusive.
    for n in range(2, 26):
        late = MIDNIGHT + 900 * n
        if late >= MIDNIGHT + HOUR + 600:
            case(f"a court's PIN {n} quarters after it began", court, late, [], pin, "expired" if n < 21 else "wrong_code")
    for n in range(1, 25):
        case(f"a court's PIN {n} quarters before it begins", court, MIDNIGHT - 900 * n, [], pin, "not_yet_valid" if n < 17 else "wrong_code")
    write("doors", "A lock, what happened before, what is typed, and the answer (sections 6 to 10).", cases, site=SITE.hex(), lock="lck_door", lock_generation=1)


def beliefs():
    cases = []

    def case(name, events, oscillator="crystal", policy="need_time", now=MIDNIGHT):
        belief = Belief(oscillator, policy, now)
        steps = []
        for event in events:
            belief.then(event)
            steps.append(event | {"then": belief.status()})
        cases.append({"name": name, "oscillator": oscillator, "policy": policy, "now": now, "steps": steps})

    wait = lambda seconds: {"event": "elapsed", "seconds": seconds}
    heard = lambda about, code, spread=720, reach=600: {"event": "heard", "about": about, "spread": spread, "reach": reach, "code": code}
    lost = {"event": "power_lost"}
    for oscillator in ("crystal", "compensated", "calibrated"):
        case(f"{oscillator}, untouched", [wait(1), wait(3599), wait(1), wait(DAY), wait(30 * DAY), wait(400 * DAY)], oscillator)
        weekly = [step for week in range(1, 13) for step in (wait(7 * DAY + 24), heard(MIDNIGHT + week * 7 * DAY, week, 10, 60))]
        case(f"{oscillator}, 40 millionths fast, a step code a week", weekly, oscillator)
        guests = [step for n in range(1, 13) for step in (wait(9 * DAY + n), heard(MIDNIGHT + n * 9 * DAY + 900 * (n % 5 - 2), n))]
        case(f"{oscillator}, PINs of early and late guests", guests, oscillator)
    case("one code counts once", [wait(100 * DAY), heard(MIDNIGHT + 100 * DAY + 600, 5), heard(MIDNIGHT + 100 * DAY + 600, 5), heard(0, 0)])
    case("eight codes are remembered", [wait(100 * DAY)] + [heard(MIDNIGHT + 100 * DAY, n) for n in (*range(1, 10), 9, 2, 1)])
    case("far too early, far too late", [wait(200 * DAY), heard(2**64 - 1, 1), heard(0, 2)])
    missed = lambda code, by: {"event": "missed", "code": code, "by": by}
    case("dead codes", [wait(7 * DAY)] + [missed(n, 3600) for n in (1, 1, 2)] + [wait(DAY), missed(3, 60), missed(4, 3600), wait(DAY), missed(5, 2**32 - 1), wait(DAY), missed(6, 3600)])
    case("lost and healed", [wait(DAY), lost, wait(DAY), heard(MIDNIGHT, 1), missed(2, 60), {"event": "signed", "time": MIDNIGHT + 3 * DAY}, {"event": "token", "time": MIDNIGHT + 4 * DAY, "age": 601}, {"event": "token", "time": MIDNIGHT + 4 * DAY, "age": 600}])
    case("a token before the floor", [wait(DAY), {"event": "token", "time": MIDNIGHT, "age": 10}, lost, {"event": "token", "time": MIDNIGHT, "age": 10}])
    case("signed times", [{"event": "signed", "time": time} for time in (MIDNIGHT - 5, MIDNIGHT + 8 * DAY, MIDNIGHT + 7 * DAY, MIDNIGHT + 7 * DAY)], policy="trust_90min")
    case("set times", [lost] + [{"event": "set_time", "time": time} for time in (MIDNIGHT, MIDNIGHT + 29 * DAY, MIDNIGHT + 29 * DAY, MIDNIGHT + 80 * DAY, MIDNIGHT + 80 * DAY, MIDNIGHT + 200 * DAY, MIDNIGHT + 200 * DAY + 300)])
    case("trusted cuts", [wait(DAY), lost, lost, wait(600), lost, heard(MIDNIGHT + DAY + 600, 9), lost, wait(60 * DAY), wait(400 * DAY), lost], policy="trust_90min")
    ahead = [heard(MIDNIGHT + 2 * DAY, n, 10, 7200) for n in range(1, 21)]
    case("cuts without number, then codes that are far ahead", [wait(DAY)] + 100 * [lost] + ahead, policy="trust_90min")
    case("resets", [wait(DAY), {"event": "reset", "time": MIDNIGHT, "age": 601}, {"event": "reset", "time": MIDNIGHT, "age": 1}, wait(5)])
    case("the end of time", [wait(2**63), {"event": "set_time", "time": 2**64 - 1}, {"event": "token", "time": 2**64 - 1, "age": 0}, {"event": "reset", "time": 1, "age": 0}])
    case("the beginning of time", [wait(0), wait(1), {"event": "signed", "time": 1}], now=0)
    write("beliefs", "What a lock believes after each event (clock.md).", cases)


ROOT = kp1.lock_root(SITE, "lck_door", 1).hex()
STEPS = {"algorithm": "SHA1", "digits": 8, "period": 30, "t0": 0, "secret": b"12345678901234567890".hex()}
# Public keys of RFC 8032, section 7.1, and the base point of P-256.
ALWAYS = {"from": 0, "until": 2**64 - 1}
PASSES = {
    "groups": ["g-courts"],
    "keys": [{"key": "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"} | ALWAYS],
    "root": "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "rotation": 0, "bulletin": 0,
}
P256 = "036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
BUNDLE = {
    "lock": "lck_door", "lock_generation": 1, "epoch": 0, "made_at": MIDNIGHT, "oscillator": "crystal",
    "policy": "trust_90min", "test": False, "root": ROOT, "profile": kp1.profile("courts"), "steps": STEPS,
    "passes": PASSES,
}


def bundles():
    cases = []
    kinds = {
        "a court that takes steps": BUNDLE,
        "a locker": BUNDLE | {"lock": "l" * 40, "profile": profile_of(SOME), "steps": None, "passes": None, "test": True},
        "an inn, provisioned anew": BUNDLE | {
            "lock_generation": 2**32 - 1, "epoch": 3, "oscillator": "calibrated", "policy": "need_time",
            "profile": profile_of(STAYS), "steps": STEPS | {"algorithm": "SHA512", "period": 60, "t0": 7},
            "passes": {
                "groups": ["g-floor-1", "g-all", "g-sauna", "g-0123456789abcd"],
                "keys": PASSES["keys"] + 2 * [{"key": P256, "from": MIDNIGHT, "until": MIDNIGHT + DAY}],
                "root": None, "rotation": 7, "bulletin": 2**32 - 1,
            },
        },
    }
    for name, bundle in kinds.items():
        whole = door.content(bundle)
        line = door.text(whole)
        cases.append({"name": name, "text": line, "bundle": bundle})
        cases.append({"name": f"{name}, in lower case and by groups", "text": f" {line.lower()[:20]} {line.lower()[20:]}\n", "bundle": bundle})
        same = bundle["steps"] and bundle | {"steps": STEPS | {"digits": bundle["profile"]["digits"]}}
        at_profile = len(door.content(bundle | {"steps": None, "passes": None, "profile": {**bundle["profile"], "classes": []}})) - 7
        edit = lambda place, byte: whole[:place] + bytes([byte]) + whole[place + 1 :]
        faults = {
            "cut": (line[:-1], "damaged"),
            "one character wrong": (line[:50] + ("A" if line[50] != "A" else "B") + line[51:], "damaged"),
            "two characters swapped": (swapped(line), "damaged"),
            "a letter that base32 has not": (line[:50] + "0" + line[51:], "damaged"),
            "another version": (line.replace("LOCK1", "LOCK2"), "prefix"),
            "a link": ("otpauth://totp/" + line, "prefix"),
            "a byte too many": (door.text(whole + b"\0"), "content"),
            "a byte too few": (door.text(whole[:-1]), "content"),
            "an oscillator that there is not": (door.text(whole.replace(kp1.u(bundle["made_at"], 8), kp1.u(bundle["made_at"], 8) + b"\3", 1)), "content"),
            "no classes": (door.text(edit(at_profile, 0)), "content"),
            "eleven digits": (door.text(edit(at_profile + 4, 11)), "content"),
            "more lanes than there are": (door.text(edit(at_profile + 1, 17)), "content"),
        }
        passes = bundle["passes"] or PASSES
        changed = lambda **change: (door.text(door.content(bundle | {"passes": passes | change})), "content")
        always = lambda key: [{"key": key} | ALWAYS]
        faults |= {
            "five groups": changed(groups=5 * ["g-a"]),
            "a group without a name": changed(groups=[""]),
            "a group of seventeen characters": changed(groups=[17 * "a"]),
            "a group in capitals": changed(groups=["G-A"]),
            "five keys of the issuer": changed(keys=5 * PASSES["keys"]),
            "a key that is no point": changed(keys=always("02" + 32 * "ff")),
            "a key of 31 bytes": changed(keys=always(31 * "07")),
            "a key of no bytes": changed(keys=always("")),
            "a key whose window is empty": changed(keys=[{"key": P256, "from": 5, "until": 5}]),
            "a root that is no point": changed(root="04" + 32 * "00"),
        }
        if same:
            faults["steps as long as PINs"] = (door.text(door.content(same)), "content")
            for digits in (9, 10):
                long = bundle | {"profile": {**bundle["profile"], "digits": 6}, "steps": STEPS | {"digits": digits}}
                faults[f"steps of {digits} digits"] = (door.text(door.content(long)), "content")
        cases += [{"name": f"{name}: {fault}", "text": text, "refused": why} for fault, (text, why) in faults.items()]
    write("bundles", "Bundles (section 12): what they hold, or why they are refused.", cases)


def swapped(line):
    place = next(at for at in range(50, len(line)) if line[at] != line[at + 1])
    return line[:place] + line[place + 1] + line[place] + line[place + 2 :]


def journals():
    wait = lambda seconds: {"event": "elapsed", "seconds": seconds}
    first = MIDNIGHT // 30 + 2880
    stories = {
        "nothing happened": [],
        "a day, a step, a cut": [
            wait(DAY), {"event": "tried", "source": 0, "since": 40},
            {"event": "step", "accepted": False, "at": MIDNIGHT + DAY + 40, "step": 0, "drift": 0},
            {"event": "step", "accepted": True, "at": MIDNIGHT + DAY + 40, "step": first + 1, "drift": 0},
            {"event": "power_lost", "since": 3600}, {"event": "set_time", "time": MIDNIGHT + 2 * DAY, "since": 60},
        ],
        "a guest with a pass, another with one that opens once, and a third without": [
            wait(DAY), {"event": "pass_tried", "since": 7}, {"event": "pass_signed", "time": MIDNIGHT + DAY + 3},
            {"event": "pass_opened", "id": "a102030405060708"}, {"event": "pass_tried", "since": 300},
            {"event": "pass_signed", "time": MIDNIGHT}, {"event": "pass_counted", "id": "00010203", "until": MIDNIGHT + 2 * DAY},
            {"event": "pass_tried", "since": 2**16}, wait(40),
        ],
        "a clock that a pass proves to have stood still for too long": [
            wait(DAY), {"event": "pass_tried"}, {"event": "pass_signed", "time": MIDNIGHT + 3 * DAY}, wait(DAY),
        ],
        "a year of guests": [
            step for n in range(1, 40)
            for step in (wait(9 * DAY + n), {"event": "heard", "about": MIDNIGHT + n * 9 * DAY, "spread": 720, "reach": 600, "code": n, "since": 5})
        ],
    }
    cases = []
    for name, events in stories.items():
        whole = door.journal(BUNDLE, MIDNIGHT, events)
        cases.append({"name": name, "journal": whole.hex(), "events": events, "after": door.after(BUNDLE, MIDNIGHT, events)})
        other = lambda **change: door.journal(BUNDLE | change, MIDNIGHT, events)
        root = bytes.fromhex(ROOT)
        faults = {
            "one bit changed": (whole[:200] + bytes([whole[200] ^ 1]) + whole[201:], "forged"),
            "cut": (whole[:-1], "forged"),
            "another lock's": (other(lock="lck_back"), "foreign"),
            "from before it was provisioned anew": (other(lock_generation=2), "foreign"),
            "under another lock's key": (other(root=bytes(32).hex()), "forged"),
            "under the key of PINs": (door.journal(BUNDLE, MIDNIGHT, events, key=kp1.hkdf(root, b"kp1-pin" + bytes(4))), "forged"),
            "not a journal": (b"DSJRNL2" + whole[7:], "malformed"),
        }
        cases += [{"name": f"{name}: {fault}", "journal": bytes_.hex(), "refused": why} for fault, (bytes_, why) in faults.items()]
    write("journals", "Journals on their way home (section 12), of the first bundle of bundles.json.", cases, bundle=BUNDLE, installed=MIDNIGHT)


if __name__ == "__main__":
    pins()
    bookings()
    odds()
    doors()
    beliefs()
    bundles()
    journals()
