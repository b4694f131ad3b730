//! Attackers who hold valid PINs or an authenticator, control the power, or type anything.

use crate::support::{DAY, NEED_TIME, NOON, TRUSTING, after, at, elapsed, pin, step};
use doorstep::clock::{Belief, Clue, Event};

/// Two PINs never set a lost clock, nor do two hundred.
#[test]
fn pins_never_set_a_lost_clock() {
    let lost = Belief::new(NEED_TIME, at(NOON)).then(&elapsed(DAY)).then(&Event::PowerLost);
    let codes = (1..=200).map(|code| pin(NOON + 30 * DAY + u64::from(code), code));
    let codes: Vec<Event> = codes.collect();
    let after = after(lost, &codes);
    assert_eq!(after, lost);
    assert_eq!(after.now(), None);
}

/// The power is cut while a code is valid, and comes back a day later: the code stays dead.
#[test]
fn power_cut_to_stretch_a_code() {
    let cut = Belief::new(NEED_TIME, at(NOON)).then(&elapsed(3600)).then(&Event::PowerLost);
    assert_eq!(cut.now(), None);
    assert_eq!(cut.then(&elapsed(DAY)).now(), None, "waiting does not help");
    // Where that was opted for, the stretch is what the documents say and no more.
    let cut = Belief::new(TRUSTING, at(NOON)).then(&elapsed(3600)).then(&Event::PowerLost);
    let now = cut.now().unwrap();
    assert!(now.latest.since(at(NOON + 3600)) <= 90 * 60 + 1);
}

/// A hundred cuts at once are worth no more than one: neither the estimate nor the ceiling, to which codes
/// that are far ahead may pull it, moves on.
#[test]
fn power_cut_again_and_again() {
    let start = Belief::new(TRUSTING, at(NOON)).then(&elapsed(3600));
    let one = start.then(&Event::PowerLost);
    let many = after(start, &[Event::PowerLost; 100]);
    assert_eq!(many, one);
    let ahead = (1..=50).map(|code| step(NOON + DAY, code));
    let pulled = after(many, &ahead.collect::<Vec<_>>()).now().unwrap();
    let most = at(NOON + 3600 + 90 * 60 + 1);
    assert!(pulled.latest <= most && pulled.probable.later(60) > most, "{pulled:?}");
}

/// A clock set back by its battery revives nothing: the stored floor stands.
#[test]
fn clock_set_back() {
    let belief = Belief::new(NEED_TIME, at(NOON)).then(&elapsed(90 * DAY));
    let stored = belief.to_bytes();
    let restarted = Belief::from_bytes(NEED_TIME, &stored).unwrap().then(&Event::PowerLost);
    assert_eq!((restarted.floor(), restarted.now()), (belief.floor(), None));
    for event in [
        Event::Signed(at(NOON)),
        Event::SetTime { time: at(NOON + DAY) },
        Event::Token { time: at(NOON + DAY), age: 1 },
        pin(NOON, 1),
        step(NOON, 2),
    ] {
        let after = restarted.then(&event);
        assert_eq!((after.floor(), after.now()), (belief.floor(), None), "{event:?}");
    }
}

/// A set-time code is typed again after the power was cut on the next day.
#[test]
fn set_time_code_replayed_after_a_power_cut() {
    let set = Event::SetTime { time: at(NOON + DAY) };
    let healed = Belief::new(NEED_TIME, at(NOON)).then(&Event::PowerLost).then(&set);
    let now = healed.now().unwrap();
    assert!(now.earliest >= at(NOON + DAY));
    // Not even if it was cut within the second.
    for seconds in [0, 1, 299, 7200] {
        let again = healed.then(&elapsed(seconds)).then(&Event::PowerLost).then(&set);
        assert_eq!(again.now(), None, "{seconds}");
    }
}

/// A pass that was signed after the cut says only that it is later than that.
#[test]
fn old_pass_after_a_power_cut() {
    let lost = Belief::new(NEED_TIME, at(NOON)).then(&Event::PowerLost);
    let shown = lost.then(&Event::Signed(at(NOON + 2 * DAY)));
    assert_eq!((shown.floor(), shown.now()), (at(NOON + 2 * DAY), None));
}

/// One signed time far ahead, by a mistaken or stolen key, must not end a lock's life.
#[test]
fn floor_jump_over_seven_days_needs_a_nonce() {
    let belief = Belief::new(NEED_TIME, at(NOON));
    assert_eq!(belief.then(&Event::Signed(at(NOON + 7 * DAY))).floor(), at(NOON + 7 * DAY));
    for time in [NOON + 7 * DAY + 1, NOON + 365 * DAY, u64::MAX] {
        assert_eq!(belief.then(&Event::Signed(at(time))), belief, "{time}");
        // An answer to an old nonce is not fresh.
        assert_eq!(belief.then(&Event::Token { time: at(time), age: 601 }), belief, "{time}");
    }
    let token = Event::Token { time: at(NOON + 365 * DAY), age: 5 };
    assert_eq!(belief.then(&token).floor(), at(NOON + 365 * DAY));
}

/// An authenticator whose clock was set ahead pulls the estimate forward, step by step, for a year.
#[test]
fn authenticator_set_ahead() {
    let mut belief = Belief::new(NEED_TIME, at(NOON));
    let mut code = 0;
    for day in 1..=365_u64 {
        for _ in 0..10 {
            code += 1;
            let ahead = belief.now().unwrap().latest.seconds() + 300;
            belief = belief.then(&step(ahead, code)).then(&elapsed(8640));
        }
        // 120 millionths of the time since the last trusted one, and what the floor lags.
        let truth = NOON + day * DAY;
        let most = day * DAY * 120 / 1_000_000 + 2;
        assert!(belief.probable() <= at(truth + most), "day {day}");
    }
    let healed = belief.then(&Event::Token { time: at(NOON + 365 * DAY), age: 0 });
    assert!(healed.probable().seconds().abs_diff(NOON + 365 * DAY) <= 2);
}

/// A guest types each PIN he has late, every day, to hold the clock back.
#[test]
fn guests_typing_late() {
    let mut belief = Belief::new(NEED_TIME, at(NOON));
    for day in 1..=365_u64 {
        belief = belief.then(&elapsed(DAY));
        for code in 0..3_u32 {
            let now = belief.now().unwrap();
            let name = u32::try_from(day).unwrap() * 3 + code;
            belief = belief.then(&pin(now.earliest.seconds() - 3000, name));
        }
        let truth = NOON + day * DAY;
        let most = day * DAY * 120 / 1_000_000 + 2;
        assert!(belief.probable() >= at(truth - most), "day {day}");
    }
}

/// One code, typed a thousand times, moves the estimate once.
#[test]
fn one_code_counts_once() {
    let belief = Belief::new(NEED_TIME, at(NOON)).then(&elapsed(100 * DAY));
    let ahead = pin(belief.probable().seconds() + 3000, 5);
    let once = belief.then(&ahead);
    assert_ne!(once, belief);
    assert_eq!(after(once, &[ahead; 1000]), once);
    let missed = Event::Missed { code: 5, by: 900 };
    assert_eq!(once.then(&missed), once, "nor does it widen what it moved");
    let widened = belief.then(&missed);
    assert!(widened.uncertainty() > belief.uncertainty());
    assert_eq!(after(widened, &[missed; 1000]), widened);
}

/// Whoever has many dead codes widens the belief by 15 minutes a day, never beyond 45 in all, and
/// so never until the lock refuses everybody.
#[test]
fn dead_codes_widen_a_little_and_shut_nobody_out() {
    let mut belief = Belief::new(NEED_TIME, at(NOON)).then(&elapsed(310 * DAY));
    belief = belief.then(&step(belief.probable().seconds(), 999_999));
    let mut code = 0;
    for day in 0..30 {
        let before = belief.uncertainty();
        for _ in 0..50 {
            code += 1;
            belief = belief.then(&Event::Missed { code, by: 3600 }).then(&elapsed(600));
        }
        assert!(belief.uncertainty() <= before + 15 * 60 + 5);
        assert_eq!(belief.uncertainty() >= 45 * 60 - 5, day >= 2, "{day}");
        assert!(belief.now().is_some(), "{day}");
        belief = belief.then(&elapsed(DAY));
    }
    // An honest code heals what they did.
    let healed = belief.then(&pin(belief.probable().seconds(), 1_000_000));
    assert!(healed.uncertainty() < 35 * 60, "{}", healed.uncertainty());
    // Nor is a code with an absurd clue worth more than its reach.
    let wild = Clue { about: at(u64::MAX), spread: 0, reach: 0, code: 9999 };
    let before = belief.now().unwrap();
    assert!(belief.then(&Event::Heard(wild)).probable() <= before.latest);
}

/// The crystal is frozen: counted time stands still, and the first signed time gives it away.
#[test]
fn frozen_crystal() {
    let belief = Belief::new(NEED_TIME, at(NOON)).then(&elapsed(DAY));
    let shown = belief.then(&Event::Signed(at(NOON + 3 * DAY)));
    assert!(shown.is_lost(), "two days that no crystal of the class can lose");
    assert_eq!(shown.floor(), at(NOON + 3 * DAY));
    let trusting = Belief::new(TRUSTING, at(NOON)).then(&elapsed(DAY));
    let hour = trusting.then(&Event::Signed(at(NOON + DAY + 3600)));
    let now = hour.now().unwrap();
    assert!(now.earliest >= at(NOON + DAY + 3600) && now.latest > at(NOON + DAY + 3600 + 1200));
    let days = trusting.then(&Event::Signed(at(NOON + 3 * DAY)));
    assert!(
        days.is_lost(),
        "the pass may have been signed long ago, so this is no time to open by"
    );
    assert_eq!(days.floor(), at(NOON + 3 * DAY));
}
