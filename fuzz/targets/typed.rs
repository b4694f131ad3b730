//! What people type at a verifier, in any order and at any time: an accepted step is always newer
//! than the one before, and no more is compared than the attempts allow.

#![no_main]

use doorstep::ledger::Head;
use doorstep::otp::OtpSecret;
use doorstep::otp::hotp::Hotp;
use doorstep::otp::record::{Presenter, Record, State};
use doorstep::otp::totp::Totp;
use doorstep::otp::verify::{Authenticator, Enrolled, begin};
use doorstep::throttle::{Bucket, Pace};
use doorstep::time::Timestamp;

/// How the bytes of a case are read: a kind, then lines of `u8 action || u64 time || text`.
fn lines(bytes: &[u8]) -> impl Iterator<Item = (u8, Timestamp, String)> {
    bytes.split(|byte| *byte == b'\n').filter_map(|line| {
        let (action, line) = line.split_first()?;
        let (time, text) = line.split_first_chunk()?;
        let now = Timestamp::from_seconds(u64::from_be_bytes(*time));
        Some((*action, now, String::from_utf8_lossy(text).into_owned()))
    })
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let secret = OtpSecret::from_bytes(b"12345678901234567890").expect("a secret");
    let authenticator = match bytes.first() {
        Some(byte) if byte % 2 == 0 => Authenticator::hotp(&secret, Hotp::default()),
        _ => Authenticator::totp(&secret, Totp::default()),
    };
    let start = Timestamp::from_seconds(0);
    let pace = Pace { burst: 200, refill: 0 };
    let (mut state, mut bucket, mut head) =
        (State::new(start), Bucket::full(pace, start), Head::EMPTY);
    let mut compared = 0_u16;
    for (action, now, typed) in lines(bytes) {
        let presenter = Presenter::anybody(bucket);
        let mine = Enrolled { number: 1, authenticator: &authenticator, state };
        let all = [mine];
        let mut charge = |record: &Record| bucket = record.charge(bucket);
        let before = state.last_step();
        let accepted = match action % 3 {
            0 => begin(&all, &presenter, &typed, now, head).ok().and_then(|(attempt, tried)| {
                compared += 1;
                charge(&tried);
                head = attempt.place().after;
                let receipt = attempt.place().appended();
                let matched = attempt.counted(receipt).expect("its own").compare().ok()?;
                mine.spend(&matched, &presenter, now, head).ok().map(|(_, record)| record)
            }),
            1 => mine.begin_first(&presenter, &typed, 50, now, head).ok().and_then(
                |(attempt, tried)| {
                    compared += 1;
                    charge(&tried);
                    head = attempt.place().after;
                    let receipt = attempt.place().appended();
                    let matched = attempt.counted(receipt).expect("its own").compare().ok()?;
                    mine.spend_first(&matched, &presenter, now, head).ok().map(|(_, record)| record)
                },
            ),
            _ => mine.begin_second(&presenter, &typed, now, head).ok().and_then(
                |(attempt, tried)| {
                    compared += 1;
                    charge(&tried);
                    head = attempt.place().after;
                    let receipt = attempt.place().appended();
                    let matched = attempt.counted(receipt).expect("its own").compare().ok()?;
                    mine.spend_second(&matched, &presenter, now, head)
                        .ok()
                        .map(|(_, record)| record)
                },
            ),
        };
        if let Some(record) = accepted {
            charge(&record);
            state = state.then(record.at, &record.event);
            if action % 3 != 1 {
                assert!(state.last_step() > before, "an accepted step is new");
            }
            compared = compared.saturating_sub(u16::from(action % 3 != 1));
        }
        assert!(compared <= 200, "no more is compared than the attempts allow");
        assert_eq!(State::from_bytes(&state.to_bytes()), Some(state));
    }
});
