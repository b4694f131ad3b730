//! What opens a lock, what does not, and what it says then.

use crate::support::*;
use doorstep::clock::Event;
use doorstep::cose::keys::SoftwareKey;
use doorstep::pass::claims::{Pass, Scope, Uses};
use doorstep::pass::document::Content;
use doorstep::pass::mark::Mark;
use doorstep::pass::presented::{Presented, with_proof};
use doorstep::pass::proof::Challenge;
use doorstep::pass::reader::{Groups, Reader};
use doorstep::pass::record::Event as Recorded;
use doorstep::refusal::Refusal;
use doorstep::secret::Secret;
use std::num::NonZeroU32;

const GRACE: u64 = 900;

#[test]
fn a_pass_opens_its_lock_as_often_as_it_says() {
    let mut lock: Lock = Lock::new(NOW);
    let many = issuer().pass(booking());
    for _ in 0..9 {
        assert_eq!(lock.show(&many), Ok(Content::Pass(booking())));
    }
    assert_eq!(lock.state.marks().room(), 4, "what is not counted takes no room");
    assert_eq!(lock.state.attempts().left(), 4, "and no attempts");

    let single = issuer().pass(once(Pass { id: id(1), ..booking() }));
    assert_eq!(lock.code(&single), "opened");
    assert_eq!(lock.code(&single), "already_used");

    let scope = Scope { uses: Uses::times(3).unwrap(), passage: true, exact: false };
    let thrice = issuer().pass(Pass { id: id(2), scope, ..booking() });
    let answers = [(); 5].map(|()| lock.code(&thrice));
    assert_eq!(answers, ["opened", "opened", "opened", "already_used", "already_used"]);
    let renewed = Pass { id: id(2), scope, window: window(NOW, NOW + DAY), ..booking() };
    assert_eq!(lock.code(&issuer().pass(renewed)), "already_used", "uses are counted by the id");
}

#[test]
fn every_way_to_make_a_pass_opens() {
    let reader = Lock::<4>::new(NOW).reader;
    let p256 = Key::p256(5);
    let mut lock: Lock = Lock::with(reader, &[issuer().public(), p256.public()], NOW);
    assert_eq!(lock.code(&issuer().pass(booking())), "opened");
    assert_eq!(lock.code(&p256.pass(booking())), "opened");
    assert_eq!(lock.code(&mac(Content::Pass(booking()), 0)), "opened");
    let bare = Pass { audience: None, issued_at: None, ..booking() };
    assert_eq!(lock.code(&mac(Content::Pass(bare), 0)), "opened");
    lock.epoch = 300;
    assert_eq!(lock.code(&mac(Content::Pass(bare), 0)), "wrong_code", "of an ended epoch");
    assert_eq!(lock.code(&mac(Content::Pass(bare), 301)), "wrong_code", "of the next");
    assert_eq!(lock.code(&mac(Content::Pass(bare), 300)), "opened");
}

#[test]
fn the_window_has_a_quarter_of_an_hour_of_grace_on_either_side() {
    let pass = issuer().pass(booking());
    // A lock that was just installed knows the time within a second.
    let answer = |now| Lock::<4>::new(now).code(&pass);
    assert_eq!(answer(NOW - GRACE), "opened");
    assert_eq!(answer(NOW - GRACE - 2), "not_yet_valid");
    assert_eq!(answer(NOW + HOUR + GRACE - 1), "opened");
    assert_eq!(answer(NOW + HOUR + GRACE), "expired");
    let refusal = Lock::<4>::new(NOW - HOUR).show(&pass);
    assert_eq!(refusal, Err(Refusal::NotYetValid { from: at(NOW - GRACE) }));
}

#[test]
fn nothing_that_could_not_be_proven_is_told_from_anything_else() {
    let mut lock: Lock = Lock::new(NOW);
    let expired = Pass { window: window(NOW - DAY, NOW - HOUR), ..booking() };
    let elsewhere = Pass { audience: Some(name("lk-00043")), ..booking() };
    let good = issuer().pass(booking());
    let mut changed = good.clone();
    changed[40] ^= 1;
    let mut forged = Key::ed25519(8).pass(expired);
    // The name of the key that the lock trusts.
    let at = forged.windows(2).position(|pair| pair == [4, 0x44]).unwrap() + 2;
    forged[at..at + 4].copy_from_slice(&good[at..at + 4]);
    for (fault, document) in [
        ("another issuer", Key::ed25519(8).pass(booking())),
        ("another issuer who names ours, and expired", forged),
        ("another algorithm", Key::p256(5).pass(booking())),
        ("another lock", issuer().pass(elsewhere)),
        ("another lock, and expired", issuer().pass(Pass { window: expired.window, ..elsewhere })),
        ("changed", changed),
        ("cut", good[..good.len() - 1].to_vec()),
        ("longer", [&good[..], &[0]].concat()),
        ("nothing", Vec::new()),
        ("a poster", b"https://example.com/".to_vec()),
    ] {
        let floor = lock.belief.floor();
        assert_eq!(lock.show(&document), Err(UNPROVEN), "{fault}");
        assert_eq!(lock.belief.floor(), floor, "{fault}");
        lock.wait(2);
    }
    assert_eq!(lock.code(&good), "opened");
}

#[test]
fn a_group_opens_many_locks_and_counts_at_none() {
    let mut lock: Lock = Lock::new(NOW);
    let club = Pass { audience: Some(name("club")), ..booking() };
    assert_eq!(lock.code(&issuer().pass(club)), "opened");
    assert_eq!(lock.code(&issuer().pass(once(club))), "wrong_verifier");
    let lasts = Pass { lasts: NonZeroU32::new(7200), ..club };
    assert_eq!(lock.code(&issuer().pass(lasts)), "wrong_verifier");
    let scope = Scope { uses: Uses::times(2).unwrap(), ..Scope::default() };
    assert_eq!(lock.code(&issuer().pass(Pass { scope, ..club })), "wrong_verifier");
    let other = Pass { audience: Some(name("club2")), ..club };
    assert_eq!(lock.code(&issuer().pass(other)), "wrong_code");
}

#[test]
fn a_holder_proves_to_have_the_key() {
    for holder in [phone(), Key::ed25519(6)] {
        let mut lock: Lock = Lock::new(NOW);
        let pass = issuer().pass(Pass { holder: Some(holder.holder()), ..booking() });
        let proven = holder.prove(&pass, "lk-00042", &[7; 16]);
        assert!(lock.answer(&proven, Some(challenge(7))).is_ok());
        let other = issuer().pass(Pass { id: id(9), holder: Some(holder.holder()), ..booking() });
        let moved = with_proof(&other, proven[proven.len() - 64..].try_into().unwrap()).unwrap();
        let stranger = Key::p256(8).prove(&pass, "lk-00042", &[7; 16]);
        for (fault, shown, sent) in [
            ("a copied QR code", &pass[..], None),
            ("a copied QR code where a proof is asked for", &pass, Some(challenge(7))),
            ("a transcript that was relayed later", &proven, Some(challenge(8))),
            ("a proof of nothing", &proven, None),
            ("too late", &proven, Some(challenge(7).later(31))),
            (
                "a proof for another lock",
                &holder.prove(&pass, "lk-00043", &[7; 16]),
                Some(challenge(7)),
            ),
            ("the proof of another pass", moved.as_ref(), Some(challenge(7))),
            ("the proof of another key", &stranger, Some(challenge(7))),
        ] {
            assert_eq!(lock.answer(shown, sent), Err(UNPROVEN), "{fault}");
            lock.wait(2);
        }
        assert!(lock.answer(&proven, Some(challenge(7).later(30))).is_ok());
    }
}

#[test]
fn a_bearer_pass_may_come_with_any_proof() {
    let pass = issuer().pass(booking());
    let proven = with_proof(&pass, &[7; 64]).unwrap();
    assert_eq!(Lock::<4>::new(NOW).code(proven.as_ref()), "opened");
}

#[test]
fn challenges_are_drawn_anew() {
    let mut rng = <rand_chacha::ChaCha20Rng as rand_core::SeedableRng>::seed_from_u64(1);
    let (one, two) = (Challenge::make(&mut rng), Challenge::make(&mut rng));
    assert_ne!(one.nonce(), two.nonce());
    assert_eq!(one.later(3).later(4).age(), 7);
}

#[test]
fn a_malleated_signature_changes_nothing() {
    let p256 = Key::p256(5);
    let reader = Lock::<4>::new(NOW).reader;
    let mut lock: Lock = Lock::with(reader, &[p256.public()], NOW);
    let Key::P256(ref holder) = phone() else { panic!("P-256") };
    let bound = Pass { holder: Some(phone().holder()), ..booking() };
    for (pass, twin) in [(once(booking()), false), (once(booking()), true)]
        .map(|(pass, twin)| (p256.pass(pass), twin))
    {
        let shown = if twin { malleated(&pass) } else { pass };
        let used = lock.state.marks().iter().next().is_some();
        assert_eq!(lock.code(&shown), if used { "already_used" } else { "opened" });
    }
    // A proof speaks of what was signed, so it fits the twin of the pass, and so does its own twin.
    let pass = p256.pass(Pass { id: id(2), ..bound });
    let proven = phone().prove(&pass, "lk-00042", &[7; 16]);
    let proof = proven.last_chunk().unwrap();
    let moved = with_proof(&malleated(&pass), proof).unwrap();
    assert!(lock.answer(moved.as_ref(), Some(challenge(7))).is_ok());
    assert!(lock.answer(&malleated(&proven), Some(challenge(7))).is_ok());
    assert_eq!(holder.public().to_bytes().len(), 33);
}

/// The same document with the other signature that fits, (r, n - s).
fn malleated(document: &[u8]) -> Vec<u8> {
    let order: [u8; 32] = [
        0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xBC,
        0xE6, 0xFA, 0xAD, 0xA7, 0x17, 0x9E, 0x84, 0xF3, 0xB9, 0xCA, 0xC2, 0xFC, 0x63, 0x25, 0x51,
    ];
    let mut twin = document.to_vec();
    let start = twin.len() - 32;
    let mut borrow = 0;
    for at in (0..32).rev() {
        let digit = i16::from(order[at]) - i16::from(document[start + at]) - borrow;
        borrow = i16::from(digit < 0);
        twin[start + at] = u8::try_from(digit + 256 * borrow).unwrap();
    }
    assert_ne!(twin, document);
    twin
}

#[test]
fn a_pass_may_end_hours_after_its_first_use() {
    let lasts = NonZeroU32::new(7200);
    let pass = issuer().pass(Pass { lasts, window: window(NOW, NOW + DAY), ..booking() });
    let mut lock: Lock = Lock::new(NOW);
    lock.wait(5 * HOUR);
    for _ in 0..3 {
        assert_eq!(lock.code(&pass), "opened");
        lock.wait(HOUR);
    }
    assert_eq!(lock.code(&pass), "expired", "three hours after the first use");
    // The end of the window comes first.
    let mut lock: Lock = Lock::new(NOW);
    lock.wait(DAY - HOUR);
    assert_eq!(lock.code(&pass), "opened");
    lock.wait(HOUR + GRACE + 60);
    assert_eq!(lock.code(&pass), "expired");
}

#[test]
fn an_exact_pass_needs_an_exact_clock() {
    let scope = Scope { exact: true, ..Scope::default() };
    let mut lock: Lock = Lock::new(NOW);
    let from = NOW + 300 * DAY;
    let exact = Pass { scope, window: window(NOW, from + DAY), ..booking() };
    assert_eq!(lock.code(&issuer().pass(exact)), "opened");
    lock.wait(300 * DAY);
    assert!(lock.belief.now().unwrap().uncertainty() > 450);
    assert_eq!(lock.code(&issuer().pass(exact)), "clock_unset");
    assert_eq!(lock.code(&issuer().pass(Pass { scope: Scope::default(), ..exact })), "opened");
}

#[test]
fn a_lock_that_lost_the_time_opens_nothing() {
    let mut lock: Lock = Lock::new(NOW);
    lock.clock(Event::PowerLost);
    assert_eq!(lock.code(&issuer().pass(booking())), "clock_unset");
}

#[test]
fn what_was_signed_reaches_the_clock_also_when_the_pass_is_refused() {
    let mut lock: Lock = Lock::new(NOW - 300 * DAY);
    lock.wait(300 * DAY);
    assert!(lock.belief.floor() < at(NOW - 1800), "as slow as the oscillator may be");
    let made = Pass { issued_at: Some(at(NOW - 600)), ..booking() };
    let expired = Pass { window: window(NOW - DAY, NOW - 3 * HOUR), ..made };
    assert_eq!(lock.code(&issuer().pass(expired)), "expired");
    assert_eq!(lock.belief.floor(), at(NOW - 600));
    let verified = Recorded::Verified { issued_at: Some(at(NOW - 600)) };
    assert!(lock.journal.iter().any(|record| record.event == verified));
    // Not by what nobody signed.
    let forged = Pass { issued_at: Some(at(NOW)), ..booking() };
    assert_eq!(lock.code(&Key::ed25519(8).pass(forged)), "wrong_code");
    assert_eq!(lock.belief.floor(), at(NOW - 600));
    // One mis-signed time far ahead does not end the lock's life.
    let far = Pass { issued_at: Some(at(NOW + 8 * DAY)), ..booking() };
    lock.code(&issuer().pass(far));
    assert_eq!(lock.belief.floor(), at(NOW - 600));
    // One that no oscillator of its class explains is a stop that nobody noticed.
    let tomorrow = Pass { issued_at: Some(at(NOW + DAY)), ..booking() };
    assert_eq!(lock.code(&issuer().pass(tomorrow)), "clock_unset");
    assert_eq!(lock.belief.floor(), at(NOW + DAY));
}

#[test]
fn four_verifications_a_second_may_fail() {
    let mut lock: Lock = Lock::new(NOW);
    let mut wrong = issuer().pass(booking());
    *wrong.last_mut().unwrap() ^= 1;
    let right = issuer().pass(booking());
    for _ in 0..4 {
        assert_eq!(lock.code(&wrong), "wrong_code");
    }
    let until = Some(at(NOW + 1));
    assert_eq!(lock.show(&right), Err(Refusal::Throttled { until }));
    assert_eq!(lock.show(&wrong), Err(Refusal::Throttled { until }));
    let foreign = Key::ed25519(8).pass(booking());
    assert_eq!(lock.show(&foreign), Err(Refusal::Throttled { until }), "told from no other");
    lock.wait(2);
    assert_eq!(lock.code(&right), "opened");
    let written = lock.journal.len();
    assert_eq!(lock.code(&foreign), "wrong_code");
    assert_eq!(lock.journal.len(), written, "what is not for this lock costs nothing");
}

#[test]
fn room_is_fixed_and_comes_back_by_the_floor_alone() {
    let mut lock: Lock<2> = Lock::new(NOW);
    let single = |number| issuer().pass(once(Pass { id: id(number), ..booking() }));
    assert_eq!(lock.code(&single(1)), "opened");
    assert_eq!(lock.code(&single(2)), "opened");
    assert_eq!(lock.code(&single(3)), "ledger_full");
    assert_eq!(lock.code(&single(1)), "already_used");
    assert_eq!(lock.code(&issuer().pass(booking())), "opened", "needs no room");
    lock.wait(HOUR + 800);
    assert_eq!(lock.code(&single(3)), "ledger_full");
    lock.wait(200);
    let late = Pass { window: window(NOW, NOW + 2 * HOUR), id: id(4), ..booking() };
    assert_eq!(lock.code(&issuer().pass(once(late))), "opened");
    assert_eq!(lock.state.marks().iter().count(), 1);
}

#[test]
fn nothing_is_forgotten_by_the_estimate() {
    let mut lock: Lock = Lock::new(NOW - 300 * DAY);
    lock.wait(300 * DAY);
    let single = issuer().pass(once(booking()));
    assert_eq!(lock.code(&single), "opened");
    lock.wait(HOUR + GRACE + 60);
    let over = booking().window.until().later(GRACE);
    assert!(lock.belief.probable() > over && lock.belief.floor() < over);
    assert_eq!(lock.code(&single), "already_used");
    assert_eq!(lock.state.marks().iter().count(), 1);
}

#[test]
fn a_clock_that_is_reset_revives_no_pass() {
    let mut lock: Lock = Lock::new(NOW);
    let single = issuer().pass(once(booking()));
    assert_eq!(lock.code(&single), "opened");
    lock.wait(HOUR + 1000);
    assert_eq!(lock.code(&single), "expired");
    assert_eq!(lock.state.marks().iter().count(), 0, "forgotten by the floor");
    lock.clock(Event::Reset { time: at(NOW), age: 0 });
    assert_eq!(lock.belief.floor(), at(NOW));
    assert_eq!(lock.code(&single), "expired", "though the clock would let it open");
    assert_eq!(lock.code(&issuer().pass(booking())), "opened", "one that is not counted");
    let longer = once(Pass { id: id(5), window: window(NOW, NOW + 2 * HOUR), ..booking() });
    assert_eq!(lock.code(&issuer().pass(longer)), "opened");
}

#[test]
fn at_most_one_of_two_who_show_it_at_once_gets_in() {
    let lock: Lock = Lock::new(NOW);
    let single = issuer().pass(once(booking()));
    let mut one = lock.clone();
    assert_eq!(one.code(&single), "opened");
    // The other one's spending is decided on the state read last.
    assert_eq!(one.code(&single), "already_used");
    let mark = one.state.marks().iter().next().copied().unwrap();
    let now = lock.belief.probable();
    let (id, until) = (booking().id, booking().window.until());
    let first = now;
    assert_eq!(mark, Mark { id, uses: 1, first, last: now, until, proven: None });
}

#[test]
fn a_lock_without_issuers_takes_its_own_key_alone() {
    let reader = Reader::new(name("lk-00042"), Groups::default(), root_key(), None);
    let mut lock: Lock = Lock::with(reader, &[], NOW);
    assert_eq!(lock.code(&issuer().pass(booking())), "wrong_code");
    assert_eq!(lock.code(&mac(Content::Pass(booking()), 0)), "opened");
    let other = SoftwareKey::from_secret(&Secret::from_bytes([4; 32])).unwrap();
    assert_eq!(lock.code(&Key::P256(other).pass(booking())), "wrong_code");
    assert_eq!(Groups::of(&[name("club"); 5]), None, "too many groups");
}

#[test]
fn only_the_record_of_what_was_signed_lets_a_pass_be_judged() {
    let mut lock: Lock = Lock::new(NOW);
    let (reader, shown) = (lock.reader.clone(), issuer().pass(booking()));
    let Ok(Presented::Pass(pass)) = Presented::parse(&shown) else { panic!("a pass") };
    let (moment, state, head) = (lock.moment(), lock.state, lock.head);
    let (attempt, tried) = reader.begin(&moment, &state, &pass, None, head).unwrap();
    let counted = lock.append(attempt.place(), &tried);
    let matched = attempt.counted(counted).unwrap().compare().unwrap();
    let (learning, _) = reader.verified(&lock.moment(), &matched, lock.head);
    assert!(learning.learned(counted).is_err(), "the receipt of the attempt");
    let elsewhere = reader.verified(&lock.moment(), &matched, head).0;
    assert!(learning.learned(elsewhere.place().appended()).is_err(), "of another place");
    assert!(learning.learned(learning.place().appended()).is_ok());
}
