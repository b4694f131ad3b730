"""KP1 by its specification (docs/kp1.md), with nothing but Python's standard library.

A second implementation to compare the vectors with: short, not fast, not constant-time.
"""

import hashlib
import hmac

from clock import Belief

GRID = [15, 30, 60, 120, 180, 360, 720, 1440]
COURTS = [30, 60, 90, 120, 180, 240]
GENERAL = [30, 60, 90, 120, 180, 240, 360, 480, 720, 1440, 2880, 4320, 7200, 10080, 20160, 40320]


def u(number, size):
    return number.to_bytes(size, "big")


def hkdf(key, info):
    """RFC 5869 without salt, one block."""
    fresh = hmac.digest(bytes(32), key, "sha256")
    return hmac.digest(fresh, info + b"\1", "sha256")


def lock_root(site, lock, generation):
    """Section 2."""
    return hkdf(site, b"doorstep/lock-root/v1" + u(len(lock), 1) + lock.encode() + u(generation, 4))


def class_of(duration, quantum, phase=0, once=False):
    return {"duration": duration, "quantum": quantum, "phase": phase, "once": once}


def profile(name, **own):
    """Section 4, and `own` profiles of the vectors."""
    exclusive = True
    if name == "courts":
        classes = [class_of(duration, 15) for duration in COURTS]
    elif name == "general":
        fit = lambda duration: max([q for q in GRID if q <= duration // 8] or [15])
        classes, exclusive = [class_of(duration, fit(duration)) for duration in GENERAL], False
    elif name == "stays":
        gap = (own["check_in"] - own["check_out"]) % 1440
        nights = range(1, own["nights"] + 1)
        classes = [class_of(n * 1440 - gap, 1440, own["check_in"]) for n in nights]
    else:
        classes, exclusive = own["classes"], own["exclusive"]
    whole = {"classes": classes, "exclusive": exclusive, "holders": 2, "generations": 2}
    whole["digits"] = default_digits(whole)
    return whole


def acceptable(profile):
    """Section 5."""
    lanes = profile["holders"] * profile["generations"]
    length = lambda one: 60 * one["duration"] + 600 + 300 + 2 * 2700
    return 2 * lanes * sum(1 + length(one) // (60 * one["quantum"]) for one in profile["classes"])


def robot_year(profile, digits):
    return 1 - (1 - acceptable(profile) / (9 * 10 ** (digits - 1))) ** 3660


def default_digits(profile):
    return next(digits for digits in range(6, 11) if robot_year(profile, digits) < 0.01)


def begins(tuple_):
    one = tuple_["class"]
    return 60 * (tuple_["index"] * one["quantum"] + one["phase"])


def ends(tuple_):
    return begins(tuple_) + 60 * tuple_["class"]["duration"]


def class_bytes(one):
    return u(one["duration"], 4) + u(one["quantum"], 2) + u(one["phase"], 2) + u(int(one["once"]), 1)


def tuple_bytes(tuple_):
    place = u(tuple_["index"], 4) + u(tuple_["holder"], 1) + u(tuple_["generation"], 1)
    return class_bytes(tuple_["class"]) + place


def word(root, epoch, generations, tuple_):
    """Section 3."""
    lane = tuple_["holder"] * generations + tuple_["generation"]
    message = b"KP1" + class_bytes(tuple_["class"]) + u(tuple_["index"], 4) + u(lane // 4, 1)
    words = hmac.digest(hkdf(root, b"kp1-pin" + u(epoch, 4)), message, "sha256")
    place = 8 * (lane % 4)
    return int.from_bytes(words[place : place + 8], "big")


def pins(word, digits):
    """The PIN and the long form."""
    least = 10 ** (digits - 1)
    pin = least + word % (9 * least)
    return str(pin), f"{pin}{word // (9 * least) % 10**5:05}"


def fit(profile, start, until, once):
    """Section 4: class and index of the rounded window, or None."""
    best = None
    for one in profile["classes"]:
        index = (start // 60 - one["phase"]) // one["quantum"]
        tuple_ = {"class": one, "index": index, "holder": 0, "generation": 0}
        if one["once"] != once or index < 0 or ends(tuple_) < until:
            continue
        rank = one["duration"], -begins(tuple_)
        if best is None or rank < best[0]:
            best = rank, tuple_
    return best and best[1]


def control_mac(root, epoch, message):
    key = hkdf(root, b"kp1-control" + u(epoch, 4))
    return int.from_bytes(hmac.digest(key, message, "sha256")[:8], "big") % 10**7


def control_code(root, epoch, profile, command):
    """Section 9."""
    kind = command["command"]
    if kind == "set_time":
        body = f"01{command['index'] % 100_000:05}"
        mac = control_mac(root, epoch, u(1, 1) + u(command["index"], 4))
    elif kind == "cancel":
        tuple_ = command["tuple"]
        number = profile["classes"].index(tuple_["class"])
        body = f"02{number:02}{tuple_['index'] % 10_000:04}"
        mac = control_mac(root, command["epoch"], u(2, 1) + tuple_bytes(tuple_))
    else:
        digit = {"announce": 0, "end_epoch": 1}[kind]
        body = f"03{digit}"
        mac = control_mac(root, command["epoch"], u(3 + digit, 1) + u(command["epoch"], 4))
    return f"{body}{mac:07}"


class Refused(Exception):
    pass


class Door:
    """Sections 6 to 10: a lock, and what it remembers."""

    def __init__(self, root, profile, oscillator, policy, now, room=32):
        self.root, self.profile, self.room = root, profile, room
        self.belief = Belief(oscillator, policy, now)
        self.epoch, self.announced, self.marks, self.wrong = 0, False, [], []
        self.buckets = {kind: [0, now] for kind in ("pin", "long", "control")}

    def floor(self):
        return self.belief.floor // 10**9

    def clock(self, event):
        before = self.belief.floor
        self.belief.then(event)
        if event["event"] == "reset" and event["age"] <= 600:
            self.end_epoch(self.epoch + 1)
            for bucket in self.buckets.values():
                bucket[1] = min(bucket[1], self.floor())
        if event["event"] != "elapsed":
            self.wrong = []
        self.prune()

    def end_epoch(self, epoch):
        if epoch > self.epoch:
            self.epoch, self.announced = epoch, False

    def take(self, kind):
        used, since = self.buckets[kind]
        back = min(max(self.floor() - since, 0) // 8640, used)
        used -= back
        since = max(since, self.floor()) if used == 0 else since + 8640 * back
        if used == 10:
            raise Refused("throttled")
        self.buckets[kind] = [used + 1, since]

    def give_back(self, kind):
        self.buckets[kind][0] -= 1

    def present(self, typed):
        try:
            if len(typed.encode()) > 32:
                raise Refused("mistyped")
            code = typed.replace(" ", "").replace("-", "")
            if not code or not set(code) <= set("0123456789"):
                raise Refused("mistyped")
            if code[0] == "0":
                return {"obeyed": self.obey(code)}
            return {"opened": self.open(code)}
        except Refused as refused:
            return {"refused": str(refused)}
        finally:
            self.prune()

    def epochs(self):
        return [self.epoch] + [self.epoch + 1] * self.announced

    def open(self, code):
        digits = self.profile["digits"]
        if len(code) not in (digits, digits + 5):
            raise Refused("mistyped")
        form = int(len(code) > digits)
        kind = ("pin", "long")[form]
        self.wrong = [(known, at) for known, at in self.wrong if self.floor() - at < 120]
        if any(known == code for known, _ in self.wrong):
            raise Refused("wrong_code")
        if not self.belief.now():
            raise Refused("clock_unset")
        self.take(kind)
        found = self.find(code, form)
        if not found:
            self.wrong = [(code, self.floor())] + self.wrong[:3]
            raise Refused("wrong_code")
        tuple_, epoch = found
        try:
            self.allow(tuple_, epoch)
        except Refused as refused:
            if str(refused) in ("not_yet_valid", "expired"):
                self.miss(tuple_, epoch)
            raise
        self.give_back(kind)
        self.end_epoch(epoch)
        self.prune()
        for mark in self.marks_of_use(tuple_, epoch):
            self.insert(mark)
        name = self.name(tuple_)
        spread = max(12 * 60, 60 * tuple_["class"]["duration"] // 5)
        about = begins(tuple_)
        self.belief.then({"event": "heard", "about": about, "spread": spread, "reach": 600, "code": name})
        return tuple_

    def name(self, tuple_):
        return max(int.from_bytes(hashlib.sha256(tuple_bytes(tuple_)).digest()[:4], "big"), 1)

    def meets(self, tuple_, around=0):
        earliest, latest = self.belief.now()
        return begins(tuple_) - 600 <= latest + around and ends(tuple_) + 300 > earliest - around

    def find(self, code, form):
        earliest, latest = self.belief.now()
        near, around = None, None
        for epoch in self.epochs():
            for one in self.profile["classes"]:
                first = (earliest - 60 * one["duration"] - 20_000) // 60 // one["quantum"] - 1
                last = (latest + 20_000) // 60 // one["quantum"] + 1
                for index in range(max(first, 0), last):
                    for lane in range(self.profile["holders"] * self.profile["generations"]):
                        holder, generation = divmod(lane, self.profile["generations"])
                        tuple_ = {"class": one, "index": index, "holder": holder, "generation": generation}
                        if not self.meets(tuple_, 4 * 3600):
                            continue
                        its = word(self.root, epoch, self.profile["generations"], tuple_)
                        if pins(its, self.profile["digits"])[form] == code:
                            if self.meets(tuple_):
                                near = tuple_, epoch
                            else:
                                around = tuple_, epoch
        return near or around

    def allow(self, tuple_, epoch):
        if epoch < self.epoch:
            raise Refused("revoked")
        earliest, latest = self.belief.now()
        if begins(tuple_) - 600 > latest:
            raise Refused("not_yet_valid")
        if ends(tuple_) + 300 <= earliest:
            raise Refused("expired")
        self.unmarked(tuple_, epoch)
        if not self.has_room(self.marks_of_use(tuple_, epoch), epoch):
            raise Refused("ledger_full")

    def miss(self, tuple_, epoch):
        try:
            self.unmarked(tuple_, epoch)
        except Refused:
            return
        earliest, latest = self.belief.now()
        by = max(begins(tuple_) - 600 - latest, earliest - ends(tuple_) - 300 + 1)
        self.clock({"event": "missed", "code": self.name(tuple_), "by": by})

    def unmarked(self, tuple_, epoch):
        """Section 10."""
        for kind, marked, its_epoch in self.marks:
            same = all(marked[part] == tuple_[part] for part in ("class", "index", "holder"))
            generation, limit = tuple_["generation"], marked["generation"]
            refusal = {
                "spent": same and generation == limit and "already_used",
                "cancelled": same and generation <= limit and "revoked",
                "successor": same and generation < limit and "superseded",
                "began": begins(tuple_) < begins(marked) < ends(tuple_) and "superseded",
            }[kind]
            if refusal and its_epoch == epoch:
                raise Refused(refusal)

    def marks_of_use(self, tuple_, epoch):
        kinds = ["spent"] * tuple_["class"]["once"] + ["successor"] * (tuple_["generation"] > 0)
        kinds += ["began"] * self.profile["exclusive"]
        return [(kind, tuple_, epoch) for kind in kinds]

    @staticmethod
    def covers(mark, other):
        (kind, one, epoch), (other_kind, two, other_epoch) = mark, other
        if (kind, epoch) != (other_kind, other_epoch):
            return False
        if kind == "began":
            return begins(one) == begins(two)
        same = all(one[part] == two[part] for part in ("class", "index", "holder"))
        if kind == "spent":
            return one == two
        return same and one["generation"] >= two["generation"]

    def insert(self, mark):
        if not any(self.covers(known, mark) for known in self.marks):
            self.marks = [known for known in self.marks if not self.covers(mark, known)] + [mark]

    def has_room(self, marks, epoch):
        before = self.marks
        self.marks = [known for known in before if known[2] >= epoch]
        try:
            for mark in marks:
                most = self.room - {"spent": self.room // 4, "began": 0}.get(mark[0], self.room // 8)
                covered = any(self.covers(known, mark) for known in self.marks)
                if not covered and len(self.marks) >= most:
                    return False
                self.insert(mark)
            return True
        finally:
            self.marks = before

    def prune(self):
        longest = 60 * max(one["duration"] for one in self.profile["classes"])
        over = lambda time: time + 300 <= self.floor()
        newest = [begins(t) for kind, t, epoch in self.marks if kind == "began" and epoch == self.epoch]

        def kept(mark):
            kind, tuple_, epoch = mark
            if epoch < self.epoch:
                return False
            if kind != "began":
                return not over(ends(tuple_))
            newer = newest and max(newest) > begins(tuple_) and over(max(newest))
            return not newer and not over(begins(tuple_) + longest)

        self.marks = [mark for mark in self.marks if kept(mark)]

    def obey(self, code):
        """Section 9."""
        if (len(code), code[:2]) not in ((14, "01"), (15, "02"), (10, "03")):
            raise Refused("mistyped")
        self.take("control")
        command = self.meant(code)
        if not command:
            raise Refused("wrong_code")
        kind = command["command"]
        if kind == "set_time" and 300 * command["index"] <= self.floor():
            raise Refused("already_used")
        mark = kind == "cancel" and ("cancelled", command["tuple"], command["epoch"])
        if mark and not self.has_room([mark], self.epoch):
            raise Refused("ledger_full")
        self.give_back("control")
        self.wrong = []
        if kind == "set_time":
            self.belief.then({"event": "set_time", "time": 300 * command["index"]})
        elif kind == "cancel":
            self.insert(mark)
        elif kind == "announce":
            self.announced = True
        else:
            self.end_epoch(command["epoch"])
        return kind

    def meant(self, code):
        candidates = []
        if code[:2] == "01":
            least = self.floor() // 300
            first = least + (int(code[2:7]) - least) % 100_000
            for span in range(10):
                candidates.append({"command": "set_time", "index": first + 100_000 * span})
        elif code[:2] == "02" and int(code[2:4]) < len(self.profile["classes"]):
            one = self.profile["classes"][int(code[2:4])]
            oldest = max(self.floor() - 60 * one["duration"] - 300, 0)
            least = max((oldest // 60 - one["phase"]) // one["quantum"], 0)
            index = least + (int(code[4:8]) - least) % 10_000
            for lane in range(self.profile["holders"] * self.profile["generations"]):
                holder, generation = divmod(lane, self.profile["generations"])
                tuple_ = {"class": one, "index": index, "holder": holder, "generation": generation}
                for epoch in self.epochs():
                    candidates.append({"command": "cancel", "tuple": tuple_, "epoch": epoch})
        elif code[:2] == "03":
            for command in ("announce", "end_epoch"):
                candidates.append({"command": command, "epoch": self.epoch + 1})
        for epoch in self.epochs():
            for command in candidates:
                if control_code(self.root, epoch, self.profile, command) == code:
                    return command
        return None
