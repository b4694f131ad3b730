//! Passes for the lock's eyes only.

use crate::support::*;
use doorstep::pass::claims::{Audience, HolderKey, Pass, PassId, Scope, Uses};
use doorstep::pass::document::{Content, Document, Malformed};
use doorstep::pass::issue::encrypted;
use doorstep::pass::presented::{MAX_PRESENTED, Presented};
use doorstep::pass::proof::{timed_transcript, transcript};
use doorstep::pass::rider::{Rider, Token};
use doorstep::pass::text;
use std::num::NonZeroU32;

#[test]
fn it_opens_like_any_other_pass() {
    let mut lock: Lock = Lock::new(NOW);
    assert_eq!(lock.show(&encrypt(booking(), 0)), Ok(Content::Pass(booking())));
    let bare = Pass { audience: None, issued_at: None, ..booking() };
    assert_eq!(lock.show(&encrypt(bare, 0)), Ok(Content::Pass(bare)));
    assert_eq!(lock.state.attempts().left(), 4);
    let single = once(Pass { id: id(1), ..booking() });
    assert_eq!(lock.code(&encrypt(single, 0)), "opened");
    assert_eq!(lock.code(&encrypt(single, 0)), "already_used");
    assert_eq!(lock.code(&issuer().pass(single)), "already_used", "signed as well: by the id");
    let over = Pass { window: window(NOW - DAY, NOW - HOUR), ..booking() };
    assert_eq!(lock.code(&encrypt(over, 0)), "expired", "the reason is told to who has a pass");
    lock.epoch = 300;
    assert_eq!(lock.code(&encrypt(bare, 299)), "wrong_code", "of an ended epoch");
    assert_eq!(lock.code(&encrypt(bare, 301)), "wrong_code", "of the next");
    assert_eq!(lock.code(&encrypt(bare, 0)), "wrong_code");
    assert_eq!(lock.code(&encrypt(bare, 300)), "opened");
    // What it says of the time reaches the clock, when it is authentic.
    let made = Pass { issued_at: Some(at(NOW + DAY)), ..over };
    lock.code(&encrypt(made, 300));
    assert_eq!(lock.belief.floor(), at(NOW + DAY));
}

#[test]
fn its_holder_proves_it_in_either_way() {
    let mut lock: Lock = Lock::new(NOW);
    let pass = encrypt(bound(), 0);
    let answered = phone().prove(&pass, "lk-00042", &[7; 16]);
    assert!(lock.answer(&answered, Some(challenge(7))).is_ok());
    let shown = phone().prove_at(&pass, NOW);
    assert_eq!(lock.code(&shown), "opened");
    assert_eq!(lock.code(&shown), "already_used");
    assert_eq!(lock.answer(&answered, Some(challenge(8))), Err(UNPROVEN));
    assert_eq!(lock.code(&pass), "wrong_code");
    // A proof is for one document: the same pass, signed or encrypted again, is another.
    let again = encrypted(&Content::Pass(bound()), 0, &root_key().encryption(0), [2; 12]).unwrap();
    lock.wait(4);
    for other in [again.as_ref().to_vec(), issuer().pass(bound()), mac(Content::Pass(bound()), 0)] {
        let moved = [&[0x82], &other[..], &answered[answered.len() - 66..]].concat();
        assert_eq!(lock.answer(&moved, Some(challenge(7))), Err(UNPROVEN));
    }
    let parsed = Document::parse(&pass).unwrap();
    let name = name("lk-00042");
    assert_ne!(
        transcript(&parsed, &name, &[0; 16]).as_ref(),
        timed_transcript(&parsed, &name, 0).as_ref()
    );
}

#[test]
fn another_lock_cannot_read_it_and_this_one_takes_only_its_own() {
    let mut lock: Lock = Lock::new(NOW);
    let elsewhere = Pass { audience: Some(name("lk-00043")), ..booking() };
    let left = |lock: &Lock| lock.state.attempts().left();
    let made = Pass { issued_at: Some(at(NOW + 60)), ..elsewhere };
    assert_eq!(lock.show(&encrypt(made, 0)), Err(UNPROVEN));
    assert_eq!(lock.belief.floor(), at(NOW), "though it was encrypted for this lock");
    assert_eq!(left(&lock), 3, "the attempt was counted before anything was read");
    let club = Pass { audience: Some(name("club")), ..booking() };
    assert_eq!(lock.code(&encrypt(club, 0)), "opened");
    assert_eq!(lock.code(&encrypt(once(club), 0)), "wrong_verifier");
    // Under another lock's key, another use of this lock's key, and another epoch's that says it is this one's.
    let other =
        doorstep::keypad::key::RootKey::from_secret(doorstep::secret::Secret::from_bytes([8; 32]));
    for key in [other.encryption(0), root_key().encryption(1)] {
        let forged = encrypted(&Content::Pass(booking()), 0, &key, [1; 12]).unwrap();
        assert_eq!(lock.show(forged.as_ref()), Err(UNPROVEN));
        lock.wait(2);
    }
}

#[test]
fn nobody_else_reads_anything_in_it() {
    let pass = encrypt(bound(), 0);
    assert_eq!(Document::parse(&pass).unwrap().content(), None);
    let signed = issuer().pass(bound());
    let Some(HolderKey::P256(key)) = bound().holder else { panic!("P-256") };
    let stands =
        |document: &[u8], what: &[u8]| document.windows(what.len()).any(|bytes| bytes == what);
    for secret in [&b"lk-00042"[..], booking().id.as_bytes(), &key[1..]] {
        assert!(stands(&signed, secret) && !stands(&pass, secret));
    }
    let printed = format!("{:?} {:?}", Presented::parse(&pass).unwrap(), root_key().encryption(0));
    assert_eq!(
        printed,
        "Pass(PresentedPass(Encrypted { epoch: 0 }, None, proof: false)) \
         EncryptionKey(Secret(..))"
    );
}

#[test]
fn only_passes_are_encrypted() {
    let token = Token { issued_at: at(NOW), nonce: [7; 16] };
    let rider = Content::Rider(Rider::Token(token));
    let refused = encrypted(&rider, 0, &root_key().encryption(0), [0; 12]).err();
    assert_eq!(refused, Some(Malformed("claims")));
    let beyond = Pass { window: window(NOW, 1 << 32), ..booking() };
    let refused = encrypted(&Content::Pass(beyond), 0, &root_key().encryption(0), [0; 12]).err();
    assert_eq!(refused, Some(Malformed("claims")));
}

#[test]
fn the_largest_fits_and_the_smallest_is_small() {
    let long = Pass {
        audience: Some(Audience::parse("a-name-of-16-cha").unwrap()),
        id: PassId::from_bytes(&[0xFF; 16]).unwrap(),
        holder: Some(phone().holder()),
        scope: Scope { uses: Uses::times(255).unwrap(), passage: true, exact: true },
        lasts: NonZeroU32::new(u32::MAX),
        ..booking()
    };
    assert!(phone().prove_at(&encrypt(long, u32::MAX), NOW).len() <= MAX_PRESENTED);
    let full = Pass { scope: Scope { exact: true, ..Scope::default() }, ..bound() };
    assert_eq!(encrypt(full, 0).len(), 129, "less than with a signature");
    assert_eq!(phone().prove(&encrypt(full, 0), "lk-00042", &[7; 16]).len(), 196);
    let bare = Pass { audience: None, issued_at: None, ..booking() };
    assert_eq!(encrypt(bare, 0).len(), 65);
    let version = |bytes: &[u8]| {
        let mut line = String::new();
        text::write(bytes, &mut line).unwrap();
        let svg = doorstep_qr::Qr::of_text(&line).unwrap().svg();
        let side = svg.split("viewBox=\"0 0 ").nth(1).unwrap().split(' ').next().unwrap();
        (side.parse::<u32>().unwrap() - 8 - 17) / 4
    };
    // What a phone shows: a pass and its proof by time.
    assert_eq!(version(&phone().prove_at(&issuer().pass(full), NOW)), 11);
    assert_eq!(version(&phone().prove_at(&encrypt(full, 0), NOW)), 10);
}
