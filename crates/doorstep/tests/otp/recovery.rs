//! Recovery codes: each works once, for its own account only, and whatever strangers tried.

use crate::support::{PATIENT, at, text};
use doorstep::code::{Code, Shape};
use doorstep::ledger::Head;
use doorstep::otp::record::{Event, Presenter};
use doorstep::otp::recovery::{Held, SET, begin, derive_mac, make, spend};
use doorstep::refusal::Refusal;
use doorstep::secret::Secret;
use doorstep::throttle::{Bucket, Pace};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

const NOON: u64 = 1_800_000_000;
const ACCOUNT: &[u8] = b"acc_1";

fn pepper() -> Secret<32> {
    Secret::from_bytes([7; 32])
}

fn set() -> (Vec<Code>, Vec<Held>) {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let codes: Vec<Code> = (0..SET).map(|_| make(&mut rng)).collect();
    let held = (0..).zip(&codes).map(|(number, code)| Held {
        number,
        mac: derive_mac(&pepper(), ACCOUNT, code),
        used: None,
    });
    let held = held.collect();
    (codes, held)
}

fn recover(held: &mut [Held], account: &[u8], typed: &str) -> Result<u8, Refusal> {
    let empty = Bucket::stored(Pace { burst: 1, refill: 0 }, 1, at(NOON));
    let (anybody, now) = (Presenter::anybody(empty), at(NOON));
    let read = held.to_vec();
    let (attempt, tried) = begin(&read, &pepper(), account, &anybody, typed, now, Head::EMPTY)?;
    assert_eq!((tried.event, tried.charge(empty)), (Event::TriedRecovery, empty));
    let head = attempt.place().after;
    let receipt = attempt.place().appended();
    let matched = attempt.counted(receipt).unwrap().compare()?;
    let (spending, spent) = spend(&matched, held, &anybody, now, head)?;
    let receipt = spending.place().appended();
    let number = *spending.granted(receipt).unwrap().found();
    assert_eq!(spent.event, Event::Recovered { code: number });
    held[usize::from(number)].used = Some(now);
    Ok(number)
}

#[test]
fn a_recovery_code_works_once_though_every_attempt_is_used_up() {
    let (codes, mut held) = set();
    for (number, code) in (0..SET).zip(&codes) {
        let mut grouped = String::new();
        code.write_grouped(&mut grouped).unwrap();
        assert_eq!((grouped.len(), grouped.split(' ').count()), (14, 3), "{number}");
        let spelled = grouped.to_lowercase().replace(' ', "-");
        assert_eq!(recover(&mut held, ACCOUNT, &spelled), Ok(number));
        let again = recover(&mut held, ACCOUNT, &text(code.expose()));
        assert_eq!(again, Err(Refusal::AlreadyUsed { at: at(NOON) }));
    }
}

#[test]
fn a_recovery_code_is_scoped_to_its_account() {
    let (codes, mut held) = set();
    let code = text(codes[0].expose());
    let wrong = Err(Refusal::WrongCode { left: None });
    for other in [b"acc_2".as_slice(), b"", b"acc_", b"acc_11"] {
        assert_eq!(recover(&mut held, other, &code), wrong);
    }
    assert_eq!(recover(&mut held, ACCOUNT, "0000 0000 0000"), wrong);
    assert_eq!(recover(&mut held, ACCOUNT, "000000"), Err(Refusal::Mistyped));
    assert_eq!(recover(&mut held, ACCOUNT, ""), Err(Refusal::Mistyped));
    assert_eq!(recover(&mut [], ACCOUNT, &code), Err(Refusal::Unknown));
    assert_eq!(recover(&mut held, ACCOUNT, &code), Ok(0));
}

#[test]
fn concurrent_uses_of_one_recovery_code_are_granted_once() {
    let (codes, mut held) = set();
    let (anybody, now) = (Presenter::anybody(Bucket::full(PATIENT, at(0))), at(NOON));
    let code = text(codes[3].expose());
    let read = held.clone();
    let matched: Vec<_> = (0..8)
        .map(|_| {
            let begun = begin(&read, &pepper(), ACCOUNT, &anybody, &code, now, Head::EMPTY);
            let (attempt, _) = begun.unwrap();
            let receipt = attempt.place().appended();
            attempt.counted(receipt).unwrap().compare().unwrap()
        })
        .collect();
    let mut grants = 0;
    for matched in &matched {
        if let Ok((spending, _)) = spend(matched, &held, &anybody, now, Head::EMPTY) {
            let receipt = spending.place().appended();
            held[usize::from(*spending.granted(receipt).unwrap().found())].used = Some(now);
            grants += 1;
        }
    }
    assert_eq!(grants, 1);
    // The holder made a new set in between.
    let replaced = spend(&matched[0], &[], &anybody, now, Head::EMPTY);
    assert_eq!(replaced.err(), Some(Refusal::Unknown));
}

#[test]
fn a_recovery_code_has_sixty_bits_and_is_never_printed() {
    assert_eq!(Shape::RECOVERY.codes(), 1 << 60);
    let (codes, held) = set();
    let (anybody, now) = (Presenter::anybody(Bucket::full(PATIENT, at(0))), at(NOON));
    let code = text(codes[0].expose());
    let (attempt, _) = begin(&held, &pepper(), ACCOUNT, &anybody, &code, now, Head::EMPTY).unwrap();
    let printed = format!("{attempt:?} {held:?} {:?}", codes[0]);
    assert!(!printed.contains(&code), "{printed}");
    assert!(!printed.contains(&held[0].mac[0].to_string()), "{printed}");
}
