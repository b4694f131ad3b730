//! What phones bring along: revocations, fresh time, keys. None of it can be rolled back or pushed to its end.

use crate::documents::revoked;
use crate::support::*;
use doorstep::clock::Event;
use doorstep::pass::claims::Pass;
use doorstep::pass::document::Content;
use doorstep::pass::reader::{Groups, Reader};
use doorstep::pass::rider::{Bulletin, MAX_ADVANCE, Revoked, Rider, Rotation, Token};
use doorstep::refusal::Refusal;

fn bulletin(sequence: u32, revoked: Revoked) -> Rider {
    let (audience, issued_at) = (name("lk-00042"), at(NOW - DAY));
    Rider::Bulletin(Bulletin { audience, issued_at, sequence, revoked })
}

fn rotation(sequence: u32, key: &Key) -> Rider {
    let window = window(NOW - 2 * DAY, NOW + 30 * DAY);
    Rider::Rotation(Rotation { issued_at: at(NOW - DAY), sequence, key: key.public(), window })
}

fn one() -> Revoked {
    Revoked::from_prefixes(&[booking().id.prefix()]).unwrap()
}

#[test]
fn a_bulletin_revokes_until_a_newer_one_says_otherwise() {
    let mut lock: Lock = Lock::new(NOW);
    let pass = issuer().pass(booking());
    assert_eq!(lock.code(&pass), "opened");
    let first = issuer().rider(bulletin(1, one()));
    assert_eq!(lock.code(&first), "opened");
    assert_eq!(lock.code(&pass), "revoked");
    let other = Pass { id: id(7), ..booking() };
    assert_eq!(lock.code(&issuer().pass(other)), "opened");
    assert_eq!(lock.code(&mac(Content::Pass(booking()), 0)), "revoked", "however it was made");
    assert_eq!(lock.code(&issuer().rider(bulletin(2, Revoked::NONE))), "opened");
    assert_eq!(lock.code(&pass), "opened");
    assert_eq!(lock.code(&first), "already_used", "an older one");
    assert_eq!(lock.code(&pass), "opened");
    assert_eq!((lock.state.bulletin(), lock.state.revoked()), (2, &Revoked::NONE));
}

#[test]
fn a_bulletin_of_others_revokes_nothing() {
    let mut lock: Lock = Lock::new(NOW);
    let pass = issuer().pass(booking());
    let elsewhere = |audience| {
        let Rider::Bulletin(bulletin) = bulletin(1, one()) else { panic!("a bulletin") };
        issuer().rider(Rider::Bulletin(Bulletin { audience: name(audience), ..bulletin }))
    };
    assert_eq!(lock.code(&elsewhere("lk-00043")), "wrong_code");
    assert_eq!(lock.code(&Key::ed25519(8).rider(bulletin(1, one()))), "wrong_code");
    let old = mac(Content::Rider(bulletin(1, one())), 1);
    assert_eq!(lock.code(&old), "wrong_code", "another epoch");
    let root = issuer_root().rider(bulletin(1, one()));
    assert_eq!(lock.code(&root), "wrong_code", "the root signs rotations only");
    assert_eq!(lock.code(&pass), "opened");
    assert_eq!(lock.code(&elsewhere("club")), "opened");
    assert_eq!(lock.code(&pass), "revoked");
    assert_eq!(lock.code(&mac(Content::Rider(bulletin(2, Revoked::NONE)), 0)), "opened");
    assert_eq!(lock.code(&pass), "opened");
}

#[test]
fn sequences_do_not_go_back_or_far_ahead() {
    let mut lock: Lock = Lock::new(NOW);
    let mut show = |sequence, list| {
        let code = lock.code(&issuer().rider(bulletin(sequence, list)));
        lock.wait(2);
        (code, lock.state.bulletin())
    };
    assert_eq!(show(MAX_ADVANCE, one()), ("opened", 1000));
    assert_eq!(show(2001, Revoked::NONE).1, 1000, "too far ahead");
    assert_eq!(show(u32::MAX, Revoked::NONE).1, 1000);
    assert_eq!(show(1000, Revoked::NONE), ("already_used", 1000));
    assert_eq!(show(999, Revoked::NONE), ("already_used", 1000));
    assert_eq!(show(0, Revoked::NONE), ("already_used", 1000));
    assert_eq!(show(2000, revoked(48)), ("opened", 2000));
    assert_eq!(lock.state.revoked(), &revoked(48));
}

#[test]
fn a_rider_tells_the_time_also_when_it_is_old() {
    let mut lock: Lock = Lock::new(NOW - 3 * DAY);
    let Rider::Bulletin(first) = bulletin(5, Revoked::NONE) else { panic!("a bulletin") };
    let at = |issued_at| Bulletin { issued_at, ..first };
    let shown = |bulletin| issuer().rider(Rider::Bulletin(bulletin));
    assert_eq!(lock.code(&shown(at(crate::support::at(NOW - 2 * DAY)))), "opened");
    let old = Bulletin { sequence: 4, revoked: one(), ..at(crate::support::at(NOW - DAY)) };
    assert_eq!(lock.code(&shown(old)), "opened");
    assert_eq!(lock.belief.floor(), crate::support::at(NOW - DAY));
    assert_eq!((lock.state.bulletin(), lock.state.revoked()), (5, &Revoked::NONE));
}

#[test]
fn a_token_heals_a_lost_clock_and_answers_once() {
    let mut lock: Lock = Lock::new(NOW - DAY);
    lock.clock(Event::PowerLost);
    let pass = issuer().pass(booking());
    assert_eq!(lock.code(&pass), "clock_unset");
    let token = |key: &Key, time, byte| {
        key.rider(Rider::Token(Token { issued_at: at(time), nonce: [byte; 16] }))
    };
    let right = token(&issuer(), NOW, 7);
    for (fault, shown, sent) in [
        ("no challenge", &right, None),
        ("of another challenge", &right, Some(challenge(8))),
        ("of another issuer", &token(&Key::ed25519(8), NOW, 7), Some(challenge(7))),
    ] {
        assert_eq!(lock.answer(shown, sent), Err(UNPROVEN), "{fault}");
        lock.wait(2);
    }
    let slow = lock.answer(&right, Some(challenge(7).later(601)));
    assert_eq!(slow.unwrap_err().code(), "already_used");
    assert!(lock.belief.is_lost(), "the answer took too long");
    assert!(lock.answer(&right, Some(challenge(7).later(20))).is_ok());
    assert_eq!(lock.belief.floor(), at(NOW));
    assert_eq!(lock.code(&pass), "opened");
    lock.clock(Event::PowerLost);
    assert_eq!(lock.answer(&right, Some(challenge(9))), Err(UNPROVEN), "replayed");
    assert!(lock.belief.is_lost());
    let maced = Rider::Token(Token { issued_at: at(NOW + HOUR), nonce: [3; 16] });
    assert!(lock.answer(&mac(Content::Rider(maced), 0), Some(challenge(3))).is_ok());
    assert_eq!(lock.belief.floor(), at(NOW + HOUR));
}

#[test]
fn the_root_brings_another_key_and_ends_one() {
    let mut lock: Lock = Lock::new(NOW);
    let (next, pass) = (Key::p256(5), booking());
    assert_eq!(lock.code(&next.pass(pass)), "wrong_code");
    assert_eq!(lock.code(&issuer().rider(rotation(1, &next))), "wrong_code", "not the root");
    let other = Key::ed25519(8).rider(rotation(1, &next));
    assert_eq!(lock.code(&other), "wrong_code", "another root");
    assert_eq!(lock.code(&issuer_root().rider(rotation(1, &next))), "opened");
    assert_eq!(lock.code(&next.pass(pass)), "opened");
    assert_eq!(lock.code(&issuer_root().pass(pass)), "wrong_code", "the root opens nothing");
    // A key signs what was issued in its window.
    let before = Pass { issued_at: Some(at(NOW - 3 * DAY)), ..pass };
    assert_eq!(lock.code(&next.pass(before)), "wrong_code");
    // The first key is ended: what it signs from then on is refused.
    let ended = Rider::Rotation(Rotation {
        issued_at: at(NOW),
        sequence: 2,
        key: issuer().public(),
        window: window(NOW - 9 * DAY, NOW - HOUR),
    });
    assert_eq!(lock.code(&issuer().pass(pass)), "opened");
    assert_eq!(lock.code(&issuer_root().rider(ended)), "opened");
    assert_eq!(lock.code(&issuer().pass(pass)), "wrong_code");
    assert_eq!(lock.state.keys().iter().count(), 1, "what is over has no place");
    let again = rotation(1, &issuer());
    assert_eq!(lock.code(&issuer_root().rider(again)), "already_used", "rolled back");
    assert_eq!(lock.state.rotation(), 2);
}

#[test]
fn of_five_keys_the_oldest_makes_room() {
    let mut lock: Lock = Lock::new(NOW);
    for (sequence, byte) in (1..).zip(10..14) {
        let rider = issuer_root().rider(rotation(sequence, &Key::ed25519(byte)));
        assert_eq!(lock.code(&rider), "opened");
    }
    assert_eq!(lock.code(&issuer().pass(booking())), "wrong_code", "the one of its provisioning");
    for byte in 10..14 {
        assert_eq!(lock.code(&Key::ed25519(byte).pass(booking())), "opened", "{byte}");
    }
    let far = issuer_root().rider(rotation(6, &Key::ed25519(20)));
    assert_eq!(lock.show(&far), Err(Refusal::NotYetValid { from: lock.belief.probable() }));
}

/// Whoever leaves out the statement that a key is over, and brings the one after it, keeps nothing alive.
#[test]
fn no_rotation_can_be_left_out() {
    let mut lock: Lock = Lock::new(NOW);
    let ended = Rider::Rotation(Rotation {
        issued_at: at(NOW),
        sequence: 1,
        key: issuer().public(),
        window: window(NOW - 9 * DAY, NOW),
    });
    let next = issuer_root().rider(rotation(2, &Key::p256(5)));
    let (before, floor) = (lock.state, lock.belief.floor());
    assert_eq!(lock.code(&next), "not_yet_valid");
    assert_eq!((lock.state.keys(), lock.state.rotation()), (before.keys(), 0));
    assert_eq!(lock.belief.floor(), floor, "it had no effect at all");
    assert_eq!(lock.code(&issuer_root().rider(ended)), "opened");
    assert_eq!(lock.code(&next), "opened");
    assert_eq!(lock.code(&issuer().pass(booking())), "wrong_code");
    assert_eq!(lock.code(&Key::p256(5).pass(booking())), "opened");
}

/// The lock's floor may be far behind the day on which its issuer ended a key.
#[test]
fn a_key_that_is_over_is_over_at_a_lock_that_was_long_without_power() {
    let mut lock: Lock = Lock::new(NOW);
    let then = NOW + 30 * DAY;
    let end = |until| {
        let window = window(NOW - 9 * DAY, until);
        let (key, issued_at) = (issuer().public(), at(then));
        issuer_root().rider(Rider::Rotation(Rotation { issued_at, sequence: 1, key, window }))
    };
    let mut other = lock.clone();
    assert_eq!(lock.code(&end(then)), "opened");
    assert_eq!(lock.belief.floor(), at(NOW), "too far ahead to be believed alone");
    assert_eq!(lock.code(&issuer().pass(booking())), "wrong_code");
    assert_eq!(other.code(&end(then + 1)), "opened");
    assert_eq!(other.code(&issuer().pass(booking())), "opened", "it has a second more");
}

#[test]
fn keys_end_by_the_floor() {
    let mut lock: Lock = Lock::new(NOW);
    let next = Key::ed25519(10);
    assert_eq!(lock.code(&issuer_root().rider(rotation(1, &next))), "opened");
    let long = Pass { window: window(NOW, NOW + 40 * DAY), ..booking() };
    assert_eq!(lock.code(&next.pass(long)), "opened");
    lock.wait(30 * DAY + HOUR);
    assert_eq!(lock.code(&next.pass(long)), "wrong_code");
}

#[test]
fn no_document_passes_for_one_of_another_kind() {
    // The bytes of each kind, with a signature that was made for each other kind.
    use doorstep::pass::issue::Unsigned;
    let token = Rider::Token(Token { issued_at: at(NOW), nonce: [7; 16] });
    let contents = [
        Content::Pass(booking()),
        Content::Rider(bulletin(1, one())),
        Content::Rider(token),
        Content::Rider(rotation(1, &Key::ed25519(10))),
    ];
    let key = issuer();
    for content in contents {
        let unsigned = Unsigned::new(&content, &key.public()).unwrap();
        let own = unsigned.to_be_signed();
        for context in [&b"\x43dp1"[..], b"\x44dp-r", b"\x44dp-t", b"\x44dp-k", b"\x44dp-h"] {
            let at = own.windows(3).position(|w| w == [b'd', b'p', own_third(own)]).unwrap() - 1;
            let length = usize::from(own[at] & 31) + 1;
            let message = [&own[..at], context, &own[at + length..]].concat();
            let (groups, root) = (Groups::default(), Some(key.public()));
            let reader = Reader::new(name("lk-00042"), groups, root_key(), root);
            let mut lock: Lock = Lock::with(reader, &[key.public()], NOW);
            let document = unsigned.signed(&key.sign(&message));
            let answer = lock.answer(document.as_ref(), Some(challenge(7)));
            assert_eq!(answer.is_ok(), message == own, "{content:?} {context:?}");
        }
    }
}

/// The byte after "dp" in what is signed.
fn own_third(message: &[u8]) -> u8 {
    let at = message.windows(2).position(|pair| pair == b"dp").unwrap();
    message[at + 2]
}
