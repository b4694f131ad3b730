//! The journal on its way home: it tells what the lock knows, and nobody else can write one.

use crate::support::{DAY, Installed, NOON, bundle};
use doorstep::clock::Event;
use doorstep::door::Door;
use doorstep::door::bundle::Bundle;
use doorstep::door::journal::{Journal, JournalError, Writer};
use doorstep::keypad::key::RootKey;
use doorstep::ledger::Head;
use doorstep::secret::Secret;

fn lived() -> Installed {
    let mut door = Installed::new(bundle());
    for day in 0..3 {
        let truth = NOON + day * DAY;
        let code = door.step(truth);
        door.press(&code).unwrap();
        let tuple = door.booking(truth, 3600, day == 1);
        let pin = door.pin(&tuple);
        door.press(&pin).unwrap();
        assert!(door.press("000 000 00").is_err());
        door.wait(DAY);
    }
    door.clock(Event::PowerLost);
    door
}

fn export(door: &Installed) -> Vec<u8> {
    let (mut bytes, installed) = (Vec::new(), Installed::new(door.bundle.clone()));
    let count = u32::try_from(door.records.len()).unwrap();
    let out = |piece: &[u8]| bytes.extend_from_slice(piece);
    let mut writer = Writer::new(&door.door, &installed.state, Head::EMPTY, count, out);
    for record in &door.records {
        writer.record(record);
    }
    writer.finish();
    bytes
}

#[test]
fn what_comes_home_folds_to_what_the_lock_knows() {
    let door = lived();
    let bytes = export(&door);
    let journal = Journal::read(&door.door, &bytes).unwrap();
    let steps: Vec<_> = journal.steps(&door.door).collect();
    assert_eq!(steps.len(), door.records.len());
    let (_, state, head) = steps.last().unwrap();
    // The codes that were wrong in the last minutes stay at the lock.
    assert_eq!(state.keypad.belief(), door.state.keypad.belief());
    assert_eq!(state.keypad.marks(), door.state.keypad.marks());
    assert_eq!((state.steps, state.attempts), (door.state.steps, door.state.attempts));
    assert_eq!(*head, door.head);
}

#[test]
fn a_changed_cut_or_foreign_journal_is_refused() {
    let door = lived();
    let bytes = export(&door);
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(Journal::read(&door.door, &changed).is_err(), "byte {at}");
        assert!(Journal::read(&door.door, &bytes[..at]).is_err(), "cut at {at}");
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(Journal::read(&door.door, &longer).is_err());
    let read = |bundle: &Bundle| Journal::read(&Door::new(bundle), &bytes).unwrap_err();
    assert_eq!(read(&Bundle { generation: 3, ..bundle() }), JournalError::Foreign);
    let lock = doorstep::id::LockId::parse("court-4").unwrap();
    assert_eq!(read(&Bundle { lock, ..bundle() }), JournalError::Foreign);
    let root = RootKey::from_secret(Secret::from_bytes([8; 32]));
    assert_eq!(read(&Bundle { root, ..bundle() }), JournalError::Forged);
}

#[test]
fn a_journal_says_how_many_records_it_has() {
    let door = lived();
    for count in [door.records.len() + 1, door.records.len() - 1] {
        let mut bytes = Vec::new();
        let count = u32::try_from(count).unwrap();
        let out = |piece: &[u8]| bytes.extend_from_slice(piece);
        let mut writer = Writer::new(&door.door, &door.state, Head::EMPTY, count, out);
        for record in &door.records {
            writer.record(record);
        }
        writer.finish();
        assert_eq!(Journal::read(&door.door, &bytes).unwrap_err(), JournalError::Malformed);
    }
}

/// The lock's own key is under it, and behind the last record is something that is none.
#[test]
fn nothing_follows_the_last_record() {
    let door = lived();
    for rest in [&[1, 2, 3][..], &[]] {
        let (mut bytes, count) = (Vec::new(), u32::try_from(door.records.len()).unwrap());
        let out = |piece: &[u8]| bytes.extend_from_slice(piece);
        let mut writer = Writer::new(&door.door, &door.state, Head::EMPTY, count, out);
        for record in door.records.iter().map(Vec::as_slice).chain([rest]) {
            writer.record(record);
        }
        writer.finish();
        assert_eq!(Journal::read(&door.door, &bytes).unwrap_err(), JournalError::Malformed);
    }
}
