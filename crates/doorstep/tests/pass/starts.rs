//! Challenges that are counted instead of drawn.

use crate::support::*;
use doorstep::keypad::key::RootKey;
use doorstep::pass::proof::Challenge;
use doorstep::pass::reader::{Groups, Reader};
use doorstep::pass::starts::Challenges;
use doorstep::secret::Secret;
use std::collections::BTreeSet;

fn start(lock: &mut Lock) -> Challenges {
    let (starting, record) = lock.reader.start(&lock.moment(), &lock.state, lock.head).unwrap();
    let receipt = lock.append(starting.place(), &record);
    starting.started(receipt).unwrap()
}

fn nonce(challenges: &mut Challenges) -> [u8; 16] {
    *challenges.draw().as_ref().map(Challenge::nonce).unwrap()
}

#[test]
fn no_two_challenges_are_the_same_after_any_number_of_starts() {
    let mut lock: Lock = Lock::new(NOW);
    let mut seen = BTreeSet::new();
    for starts in 1..50 {
        let mut challenges = start(&mut lock);
        assert_eq!(lock.state.starts(), starts);
        for _ in 0..50 {
            assert!(seen.insert(nonce(&mut challenges)));
        }
    }
    let root = RootKey::from_secret(Secret::from_bytes([8; 32]));
    let mut other: Lock = Lock::new(NOW);
    other.reader = Reader::new(name("lk-00042"), Groups::default(), root, None);
    assert!(seen.insert(nonce(&mut start(&mut other))), "of another lock");
}

#[test]
fn a_start_that_was_not_written_down_draws_nothing() {
    let mut lock: Lock = Lock::new(NOW);
    let first = |lock: &Lock| lock.reader.start(&lock.moment(), &lock.state, lock.head).unwrap().0;
    let (one, two, three) = (first(&lock), first(&lock), first(&lock));
    let tried =
        doorstep::pass::record::Record { elapsed: 0, event: doorstep::pass::record::Event::Tried };
    let elsewhere = doorstep::ledger::Place::of(lock.head, tried.to_bytes().as_ref());
    assert!(one.started(elsewhere.appended()).is_err(), "the receipt of another record");
    let mut counted = start(&mut lock);
    let receipt = first(&lock).place().appended();
    assert!(two.started(receipt).is_err(), "of a later start");
    // Two starts that ask for one place are one start: the second append finds another head.
    let place = *three.place();
    assert_ne!(place.before, lock.head);
    assert_eq!(nonce(&mut three.started(place.appended()).unwrap()), nonce(&mut counted));
}

#[test]
fn a_counted_challenge_is_answered_like_a_drawn_one() {
    let mut lock: Lock = Lock::new(NOW);
    let mut challenges = start(&mut lock);
    let (old, new) = (challenges.draw().unwrap(), challenges.draw().unwrap());
    let pass = issuer().pass(bound());
    let answered = phone().prove(&pass, "lk-00042", old.nonce());
    assert!(lock.answer(&answered, Some(old)).is_ok());
    assert_eq!(lock.answer(&answered, Some(new)), Err(UNPROVEN), "replayed");
    let again = start(&mut lock).draw();
    assert_eq!(lock.answer(&answered, again), Err(UNPROVEN), "after a restart");
    let text = format!("{challenges:?}");
    assert_eq!(text, "Challenges(1, Some(2))");
}
