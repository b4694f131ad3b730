"""A lock's belief about the time by its specification (docs/clock.md), with nothing but Python's
standard library. Whole numbers throughout, as on a lock.
"""

from math import isqrt

SECOND = 10**9
NEVER = 2**64 - 1
# bound, rate's standard deviation, wander and offset an hour
OSCILLATORS = {
    "crystal": (120, 20_000, 41_667, 41_667),
    "compensated": (6, 2_000, 267, 41_667),
    "calibrated": (1_500, 300_000, 1_000_000, 4_166_667),
}
MOST = 45 * 60


def fine(seconds):
    return min(seconds * SECOND, NEVER)


def towards_zero(a, b):
    return a // b if a >= 0 else -(-a // b)


class Belief:
    def __init__(self, oscillator, policy, now):
        self.bound, self.deviation, self.wander, self.offset = OSCILLATORS[oscillator]
        self.policy = policy
        self.floor = self.time = fine(now)
        self.ceiling = min(self.floor + SECOND, NEVER)
        self.rate, self.P, self.C, self.R = 0, 1_000**2, 0, self.deviation**2
        self.pending = self.day = self.widened = self.announced = 0
        self.heard_names = [0] * 8

    def lost(self):
        return self.ceiling == NEVER

    def reach(self):
        return min(4 * isqrt(self.P) * 1_000_000, MOST * SECOND)

    def earliest(self):
        return max(self.time - self.reach(), self.floor, 0)

    def interval(self):
        """Section 1: in nanoseconds, or None."""
        earliest = self.earliest()
        latest = min(self.time + self.reach(), self.ceiling)
        needed = min(3 * isqrt(self.P) * 1_000_000, (self.ceiling - self.floor) // 2)
        if self.lost() or needed > MOST * SECOND:
            return None
        return earliest, latest

    def now(self):
        both = self.interval()
        return both and tuple(time // SECOND for time in both)

    def status(self):
        now = self.now()
        return {
            "floor": self.floor // SECOND,
            "probable": self.time // SECOND,
            "rate": self.rate,
            "earliest": now and now[0],
            "latest": now and now[1],
        }

    def limits(self):
        self.P = min(max(self.P, 1), 5 * 10**13)
        self.R = min(max(self.R, 1), 4 * 10**12)
        most = isqrt(self.P) * isqrt(self.R)
        self.C = min(max(self.C, -most), most)

    def then(self, event):
        """Sections 3 to 5."""
        getattr(self, event["event"])(**{k: v for k, v in event.items() if k != "event"})
        self.ceiling = max(self.ceiling, self.floor)
        self.time = min(max(self.time, self.floor), self.ceiling)
        bound = self.bound * 1_000
        self.rate = min(max(self.rate, -bound), bound)

    def elapsed(self, seconds):
        bound = self.bound * 1_000
        self.floor = min(self.floor + (SECOND - bound) * seconds, NEVER)
        self.ceiling = min(self.ceiling + (SECOND + bound) * seconds, NEVER)
        self.time = min(self.time + (SECOND + self.rate) * seconds, NEVER)
        hours, self.pending = divmod(self.pending + seconds, 3600)
        days, self.day = divmod(self.day + seconds, 86_400)
        if days:
            self.widened = 0
        for _ in range(min(hours, 87_600)):
            from_both, from_rate = towards_zero(72 * self.C, 10_000), 1_296 * self.R // 10**8
            self.P += from_both + from_rate + self.offset
            self.C += 36 * self.R // 10_000
            self.R += self.wander
            self.limits()

    def power_lost(self):
        if self.policy == "need_time" or self.lost():
            self.ceiling = NEVER
            return
        known, earliest = self.interval(), self.earliest()
        self.ceiling = min(max(self.ceiling, earliest + 2 * MOST * SECOND), NEVER)
        if known:
            self.time = earliest + MOST * SECOND
            self.C, self.P = 0, (MOST * 1_000 // 4) ** 2
            self.limits()

    def signed(self, time):
        time = fine(time)
        if time > self.floor + 7 * 86_400 * SECOND:
            return
        if time > self.ceiling + 60 * SECOND:
            self.power_lost()
            if time > self.ceiling:
                self.ceiling = NEVER
        elif time > self.ceiling:
            self.ceiling = time + 60 * SECOND
        self.floor = max(self.floor, time)

    def restart(self, earliest, latest):
        self.floor = max(self.floor, earliest)
        self.ceiling = max(latest, self.floor)
        half = (self.ceiling - self.floor) // 2
        self.time = self.floor + half
        self.rate, self.C, self.R = 0, 0, self.deviation**2
        self.P = ((half // SECOND + 1) * 1_000 // 4) ** 2
        self.announced = 0

    def token(self, time, age):
        latest = min(fine(time) + (age + 2) * SECOND, NEVER)
        if age <= 600 and latest >= self.floor:
            self.restart(fine(time), latest)

    def reset(self, time, age):
        if age <= 600:
            self.floor = 0
            self.restart(fine(time), min(fine(time) + (age + 2) * SECOND, NEVER))

    def set_time(self, time):
        time, far = fine(time), 30 * 86_400 * SECOND
        if time <= self.floor:
            return
        second = self.floor < self.announced < time <= self.announced + far
        if time > self.floor + far and not second:
            self.announced = time
            return
        self.restart(time, min(time + 600 * SECOND, NEVER))

    def is_news(self, name):
        return self.interval() is not None and name not in self.heard_names

    def remember(self, name):
        self.heard_names = [name] + self.heard_names[:-1]

    def heard(self, about, spread, reach, code):
        if not self.is_news(code):
            return
        self.remember(code)
        forward = max(reach * 1_000, self.reach() // 1_000_000)
        miss = towards_zero(fine(about) - self.time, 1_000_000)
        miss = min(max(miss, -(forward // 2)), forward)
        total = self.P + (max(spread, 1) * 1_000) ** 2
        g, h = 65_536 * self.P // total, towards_zero(65_536 * self.C, total)
        part = lambda whole, gain: towards_zero(whole * gain, 65_536)
        self.time += part(miss, g) * 1_000_000
        self.rate += part(miss, h)
        p, c = self.P, self.C
        self.P, self.R, self.C = p - part(p, g), self.R - part(c, h), c - part(c, g)
        self.limits()

    def missed(self, code, by):
        if not self.is_news(code):
            return
        self.remember(code)
        reach = self.reach() // 1_000_000
        more = min(by * 1_000, 15 * 60 * 1_000 - self.widened, max(MOST * 1_000 - reach, 0))
        self.P = max(self.P, (-(-(reach + more) // 4)) ** 2)
        self.widened += more
        self.limits()
