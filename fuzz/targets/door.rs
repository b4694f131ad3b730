//! What a door is provisioned with, what it stores and what it sends home: whatever is read and can be
//! written reads back the same, and a journal of any records folds.

#![no_main]

use doorstep::clock::{AfterPowerLoss, Clock, Oscillator};
use doorstep::door::bundle::{Bundle, PREFIX};
use doorstep::door::journal::{Journal, Writer};
use doorstep::door::record::Record;
use doorstep::door::state::State;
use doorstep::door::{Door, MARKS, Passes, Steps};
use doorstep::id::LockId;
use doorstep::keypad::key::RootKey;
use doorstep::keypad::profile::{Profile, Uses};
use doorstep::ledger::Head;
use doorstep::otp::text::{read_base32, write_base32};
use doorstep::otp::totp::Totp;
use doorstep::otp::{Digits, OtpSecret};
use doorstep::pass::key::TrustedKeys;
use doorstep::pass::reader::Groups;
use doorstep::secret::Secret;
use doorstep::time::Timestamp;
use sha2::{Digest as _, Sha256};

const CLOCK: Clock =
    Clock { oscillator: Oscillator::Crystal, after_power_loss: AfterPowerLoss::Trust90Min };

fn door() -> Door {
    let totp = Totp { digits: Digits::EIGHT, ..Totp::default() };
    let courts = Profile::courts().expect("courts");
    Door::new(&Bundle {
        lock: LockId::parse("lck_door").expect("an id"),
        generation: 1,
        epoch: 0,
        made_at: Timestamp::from_seconds(1_800_057_600),
        clock: CLOCK,
        profile: courts.with_uses(Uses::Both).expect("both"),
        root: RootKey::from_secret(Secret::from_bytes([7; 32])),
        steps: Some(Steps { secret: OtpSecret::from_bytes(&[1; 20]).expect("a secret"), totp }),
        passes: Some(Passes {
            groups: Groups::default(),
            keys: TrustedKeys::NONE,
            root: None,
            rotation: 0,
            bulletin: 0,
        }),
        test: true,
    })
}

/// The text of a bundle with these bytes and a checksum that fits.
fn bundle(content: &[u8]) -> Option<String> {
    let check = Sha256::digest(content);
    let bytes = OtpSecret::from_bytes(&[content, &check[..4]].concat())?;
    let mut text = PREFIX.to_owned();
    write_base32(&bytes, &mut text).ok()?;
    Some(text)
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let texts = [bundle(bytes), std::str::from_utf8(bytes).ok().map(str::to_owned)];
    for text in texts.into_iter().flatten() {
        if let Ok(read) = Bundle::parse(&text) {
            let mut written = String::new();
            read.write(&mut written).expect("a string takes everything");
            let again = Bundle::parse(&written).expect("what was written can be read");
            assert_eq!(
                (read.lock, read.profile, read.clock),
                (again.lock, again.profile, again.clock)
            );
        }
        let _ = read_base32(&text);
    }
    if let Some(state) = State::<MARKS>::read(CLOCK, bytes) {
        let mut written = [0; State::<MARKS>::LENGTH];
        assert!(state.write(&mut written).is_some());
    }

    let door = door();
    let before = door.install::<MARKS>(Timestamp::from_seconds(1_800_057_600));
    // Pieces as long as records of either kind, and now and then another length.
    let (mut pieces, mut rest) = (Vec::new(), bytes);
    while let Some((kind, after)) = rest.split_first() {
        let length = usize::from([25, 29, *kind][usize::from(*kind % 3)]).min(after.len());
        let (piece, after) = after.split_at(length);
        pieces.push(piece);
        rest = after;
    }
    let mut sent = Vec::new();
    let count = u32::try_from(pieces.len()).expect("few");
    let mut writer =
        Writer::new(&door, &before, Head::EMPTY, count, |part: &[u8]| sent.extend_from_slice(part));
    for piece in &pieces {
        writer.record(piece);
    }
    writer.finish();
    let all = pieces.iter().all(|piece| Record::from_bytes(piece).is_some());
    let read = Journal::read(&door, &sent);
    assert_eq!(read.is_ok(), all, "a journal of records is read, and no other");
    if let Ok(journal) = read {
        let (mut floor, mut heads) = (before.keypad.belief().floor(), Head::EMPTY);
        for ((record, state, head), piece) in journal.steps(&door).zip(&pieces) {
            heads = heads.then(piece);
            assert_eq!(head, heads);
            let reset = record.to_bytes().as_ref().first() == Some(&20);
            assert!(
                reset || state.keypad.belief().floor() >= floor,
                "only a reset lowers the floor"
            );
            floor = state.keypad.belief().floor();
        }
    }
    let _ = Journal::read(&door, bytes);
});
