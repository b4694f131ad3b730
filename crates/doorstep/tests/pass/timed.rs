//! Proofs by time, as a QR code shows them: good for a minute, once, and never for the clock.

use crate::support::*;
use doorstep::clock::Event;
use doorstep::pass::claims::{Pass, Scope, Uses};
use doorstep::pass::presented::{Presented, with_proof, with_timed_proof};
use doorstep::pass::proof::{timed_transcript, transcript};
use doorstep::refusal::Refusal;

const LAST: u64 = (1 << 32) - 1;

#[test]
fn the_phones_time_may_be_a_minute_off() {
    let pass = issuer().pass(bound());
    // A lock that was just installed knows the time within a second.
    let answer = |time| Lock::<4>::new(NOW).show(&phone().prove_at(&pass, time)).err();
    let opens = (NOW - 70..NOW + 70).filter(|time| answer(*time).is_none());
    assert!(opens.eq(NOW - 60..=NOW + 61));
    let (early, late) = (NOW + 62, NOW - 61);
    assert_eq!(answer(early), Some(Refusal::NotYetValid { from: at(early - 60) }));
    assert_eq!(answer(late), Some(Refusal::Expired { until: at(late + 61) }));
    for far in [0, NOW - 2 * DAY] {
        assert!(matches!(answer(far), Some(Refusal::Expired { .. })), "{far}");
    }
    for far in [NOW + 2 * DAY, LAST] {
        assert!(matches!(answer(far), Some(Refusal::NotYetValid { .. })), "{far}");
    }
}

#[test]
fn times_do_not_begin_again_when_32_bits_are_over() {
    // The pass ends with the last second that can be written, and has its grace beyond.
    let last =
        Pass { window: window(LAST - HOUR, LAST), issued_at: Some(at(LAST - DAY)), ..bound() };
    let pass = issuer().pass(last);
    let mut lock: Lock = Lock::new(LAST + 30);
    assert_eq!(lock.code(&phone().prove_at(&pass, 0)), "expired");
    assert_eq!(lock.code(&phone().prove_at(&pass, LAST)), "opened");
    assert_eq!(lock.code(&phone().prove_at(&pass, 30)), "already_used", "before the last one");
    assert_eq!(Lock::<4>::new(LAST + 62).code(&phone().prove_at(&pass, LAST)), "expired");
    // Before there was any: the minute before the first second is none.
    let first = Pass { window: window(0, HOUR), issued_at: Some(at(0)), ..bound() };
    let pass = issuer().pass(first);
    assert_eq!(Lock::<4>::new(0).code(&phone().prove_at(&pass, 0)), "opened");
    assert_eq!(Lock::<4>::new(0).code(&phone().prove_at(&pass, LAST)), "not_yet_valid");
}

#[test]
fn a_copy_opens_nothing_once_it_or_a_newer_one_was_shown() {
    let mut lock: Lock = Lock::new(NOW);
    let pass = issuer().pass(bound());
    let [first, second, third] = [10, 20, 30].map(|after| phone().prove_at(&pass, NOW + after));
    lock.wait(30);
    assert_eq!(lock.code(&second), "opened");
    assert_eq!(lock.show(&second), Err(Refusal::AlreadyUsed { at: at(NOW + 20) }));
    assert_eq!(lock.code(&first), "already_used", "an older one that nobody showed");
    assert_eq!(lock.code(&third), "opened", "as often as wanted, with a new one each time");
    assert_eq!(lock.code(&third), "already_used");
    assert_eq!(lock.state.marks().iter().count(), 1);
    // Of another document with the same id, too.
    lock.wait(4);
    let renewed = issuer().pass(Pass { window: window(NOW, NOW + DAY), ..bound() });
    assert_eq!(lock.code(&phone().prove_at(&renewed, NOW + 30)), "already_used");
    assert_eq!(lock.code(&phone().prove_at(&renewed, NOW + 31)), "opened");
    // The answer to a challenge needs no newer time, and takes none.
    let answered = phone().prove(&renewed, "lk-00042", &[7; 16]);
    assert!(lock.answer(&answered, Some(challenge(7))).is_ok());
    assert_eq!(lock.code(&phone().prove_at(&renewed, NOW + 31)), "already_used");
    assert_eq!(lock.state.marks().iter().next().unwrap().proven, Some(at(NOW + 31)));
}

#[test]
fn neither_proof_passes_for_the_other_nor_for_another_holder() {
    let mut lock: Lock = Lock::new(NOW);
    let pass = issuer().pass(bound());
    let parsed = doorstep::pass::document::Document::parse(&pass).unwrap();
    let time = u32::try_from(NOW).unwrap();
    let good = phone().prove_at(&pass, NOW);
    let by = |message: &[u8]| with_timed_proof(&pass, time, &phone().sign(message)).unwrap();
    let elsewhere = timed_transcript(&parsed, &name("lk-00043"), time);
    let other = issuer().pass(Pass { id: id(9), ..bound() });
    let mut nonce = [0; 16];
    nonce[12..].copy_from_slice(&time.to_be_bytes());
    let answer = transcript(&parsed, &name("lk-00042"), &nonce);
    for (fault, shown) in [
        ("by another key", Key::p256(9).prove_at(&pass, NOW)),
        ("for another lock", by(elsewhere.as_ref()).as_ref().to_vec()),
        ("of another time", {
            let message = timed_transcript(&parsed, &name("lk-00042"), time + 1);
            by(message.as_ref()).as_ref().to_vec()
        }),
        ("of a nonce that ends in the time", by(answer.as_ref()).as_ref().to_vec()),
        ("of another pass", [&[0x83], &other[..], &good[good.len() - 71..]].concat()),
        ("as an answer", with_proof(&pass, good.last_chunk().unwrap()).unwrap().as_ref().to_vec()),
        ("without its time", [&[0x83], &pass[..], &good[good.len() - 66..]].concat()),
        ("with its time only", good[..good.len() - 66].to_vec()),
        ("with the time last", {
            let (time, proof) = good[pass.len() + 1..].split_at(5);
            [&[0x83], &pass[..], proof, time].concat()
        }),
        ("with the time as text", {
            let mut text = good.clone();
            text[pass.len() + 1] = 0x64;
            text
        }),
        ("with a longer time", {
            let time = NOW.to_be_bytes();
            [&[0x83], &pass[..], &[0x1B], &time, &good[good.len() - 66..]].concat()
        }),
        ("with a byte more", [&good[..], &[0]].concat()),
    ] {
        assert_eq!(lock.answer(&shown, Some(challenge(0))), Err(UNPROVEN), "{fault}");
        lock.wait(2);
    }
    // A challenge whose nonce looks like the time.
    let shown = phone().prove_at(&pass, NOW + 30);
    let mut answered = vec![0x82];
    answered.extend_from_slice(&pass);
    answered.extend_from_slice(&shown[shown.len() - 66..]);
    assert_eq!(lock.answer(&answered, Some(challenge(0))), Err(UNPROVEN));
    assert_eq!(lock.code(&shown), "opened");
}

#[test]
fn small_times_have_one_encoding() {
    let pass = issuer().pass(bound());
    for (time, length) in [(0, 1), (23, 1), (24, 2), (255, 2), (256, 3), (65_535, 3), (65_536, 5)] {
        let shown = phone().prove_at(&pass, time);
        assert_eq!(shown.len(), 1 + pass.len() + length + 66);
        assert!(Presented::parse(&shown).is_ok(), "{time}");
        let proof = &shown[shown.len() - 66..];
        let longer = [&[0x1A][..], &u32::try_from(time).unwrap().to_be_bytes()].concat();
        let longer = [&[0x83][..], &pass, &longer, proof].concat();
        assert_eq!(Presented::parse(&longer).is_ok(), length == 5, "{time}");
    }
}

#[test]
fn a_proof_by_time_takes_room_though_nothing_is_counted() {
    let mut lock: Lock<2> = Lock::new(NOW);
    let show = |number, time| {
        let pass = issuer().pass(Pass { id: id(number), ..bound() });
        phone().prove_at(&pass, time)
    };
    assert_eq!(lock.code(&show(1, NOW)), "opened");
    assert_eq!(lock.code(&show(2, NOW)), "opened");
    assert_eq!(lock.code(&show(3, NOW)), "ledger_full");
    assert_eq!(lock.code(&show(1, NOW + 1)), "opened", "has its room");
    let third = issuer().pass(Pass { id: id(3), ..bound() });
    let answered = phone().prove(&third, "lk-00042", &[7; 16]);
    assert!(lock.answer(&answered, Some(challenge(7))).is_ok(), "needs none");
    assert_eq!(lock.code(&issuer().pass(booking())), "opened", "a bearer pass neither");
    // A holder's pass of a group is not counted, and so may be proven by time.
    let club = issuer().pass(Pass { audience: Some(name("club")), id: id(1), ..bound() });
    assert_eq!(lock.code(&phone().prove_at(&club, NOW + 2)), "opened");
    // What a bearer pass comes with is nobody's proof.
    let bearer = issuer().pass(Pass { id: id(7), ..booking() });
    assert_eq!(lock.code(&phone().prove_at(&bearer, NOW)), "opened");
    assert_eq!(lock.state.marks().iter().count(), 2);
}

#[test]
fn uses_are_counted_whatever_proves_them() {
    let mut lock: Lock = Lock::new(NOW);
    let pass = issuer().pass(once(bound()));
    assert_eq!(lock.code(&phone().prove_at(&pass, NOW)), "opened");
    assert_eq!(lock.code(&phone().prove_at(&pass, NOW + 1)), "already_used");
    let answered = phone().prove(&pass, "lk-00042", &[7; 16]);
    assert!(lock.answer(&answered, Some(challenge(7))).is_err());
}

#[test]
fn an_answer_in_between_does_not_make_a_copy_new() {
    let mut lock: Lock = Lock::new(NOW);
    let scope = Scope { uses: Uses::times(9).unwrap(), ..Scope::default() };
    let pass = issuer().pass(Pass { scope, ..bound() });
    let shown = phone().prove_at(&pass, NOW);
    assert_eq!(lock.code(&shown), "opened");
    let answered = phone().prove(&pass, "lk-00042", &[7; 16]);
    assert!(lock.answer(&answered, Some(challenge(7))).is_ok());
    assert_eq!(lock.show(&shown), Err(Refusal::AlreadyUsed { at: at(NOW) }));
    assert_eq!(lock.code(&phone().prove_at(&pass, NOW + 1)), "opened");
}

#[test]
fn the_phones_time_never_reaches_the_clock() {
    let mut lock: Lock = Lock::new(NOW - 300 * DAY);
    lock.wait(300 * DAY);
    let pass = issuer().pass(Pass { issued_at: Some(at(NOW - 300 * DAY)), ..bound() });
    let before = lock.belief;
    let now = before.now().unwrap();
    assert!(now.latest > at(NOW + 120) && now.earliest < at(NOW - 120), "uncertain by minutes");
    // Anywhere in what the lock believes, and a minute beyond.
    let (early, late) = (now.earliest.seconds() - 60, now.latest.seconds() + 60);
    assert_eq!(lock.code(&phone().prove_at(&pass, early - 1)), "expired");
    assert_eq!(lock.code(&phone().prove_at(&pass, early)), "opened");
    assert_eq!(lock.code(&phone().prove_at(&pass, late)), "opened");
    assert_eq!(lock.belief, before);
    assert_eq!(lock.code(&phone().prove_at(&pass, late + 1)), "not_yet_valid");
    assert_eq!(lock.belief, before);
    lock.clock(Event::PowerLost);
    assert_eq!(lock.code(&phone().prove_at(&pass, NOW)), "clock_unset");
    assert_eq!(lock.belief.now(), None);
}

/// Guests of a whole season show their screens, and none of them leaves a lock without room.
#[test]
fn a_proof_by_time_takes_room_for_a_quarter_of_an_hour_alone() {
    let mut lock: Lock = Lock::new(NOW);
    let season = |number| {
        let until = window(NOW, NOW + 300 * DAY);
        issuer().pass(Pass { id: id(number), window: until, ..bound() })
    };
    for number in 1..=4 {
        assert_eq!(lock.code(&phone().prove_at(&season(number), NOW)), "opened");
    }
    assert_eq!(lock.code(&phone().prove_at(&season(5), NOW)), "ledger_full");
    lock.wait(1000);
    let now = lock.belief.probable().seconds();
    assert_eq!(lock.code(&phone().prove_at(&season(5), now)), "opened");
    assert_eq!(lock.state.marks().iter().count(), 1);
    for (number, time) in [(1, NOW), (1, NOW + 10), (5, now)] {
        assert_ne!(
            lock.code(&phone().prove_at(&season(number), time)),
            "opened",
            "{number} {time}"
        );
    }
}

/// Whoever has a copy of a pass without its key can show it again and again, and each time is written down.
#[test]
fn an_authentic_pass_that_opens_nothing_costs_an_attempt() {
    let mut lock: Lock = Lock::new(NOW);
    let copy = issuer().pass(bound());
    for _ in 0..4 {
        assert_eq!(lock.code(&copy), "wrong_code");
    }
    let written = lock.journal.len();
    assert!(matches!(lock.show(&copy), Err(Refusal::Throttled { .. })));
    assert_eq!(lock.journal.len(), written);
    lock.wait(2);
    assert_eq!(lock.code(&phone().prove_at(&copy, NOW)), "opened");
}

#[test]
fn a_clock_that_is_reset_revives_no_copy() {
    let mut lock: Lock = Lock::new(NOW);
    let pass = issuer().pass(bound());
    let copy = phone().prove_at(&pass, NOW);
    assert_eq!(lock.code(&copy), "opened");
    lock.wait(600);
    lock.clock(Event::Reset { time: at(NOW), age: 0 });
    assert_eq!(lock.code(&copy), "already_used", "the mark is there");
    lock.wait(HOUR + 1000);
    assert_eq!(lock.code(&copy), "expired");
    assert_eq!(lock.state.marks().iter().count(), 0, "forgotten by the floor");
    lock.clock(Event::Reset { time: at(NOW), age: 0 });
    assert_eq!(lock.code(&copy), "already_used", "though the clock would let it open");
    let answered = phone().prove(&pass, "lk-00042", &[7; 16]);
    assert!(lock.answer(&answered, Some(challenge(7))).is_ok(), "what needs no memory");
}

#[test]
fn who_has_no_key_learns_nothing_of_what_was_shown() {
    let mut lock: Lock = Lock::new(NOW);
    let pass = issuer().pass(bound());
    let shown = phone().prove_at(&pass, NOW);
    assert_eq!(lock.code(&shown), "opened");
    for time in [NOW - DAY, NOW, NOW + DAY] {
        assert_eq!(lock.code(&Key::p256(9).prove_at(&pass, time)), "wrong_code");
    }
    let mut twin = shown.clone();
    *twin.last_mut().unwrap() ^= 1;
    assert_eq!(lock.code(&twin), "wrong_code");
}
