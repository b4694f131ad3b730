//! Passes at a door: they share its belief about the time, its epoch and its journal with the keypad.

use crate::support::{DAY, Installed, NOON, at, bundle, issuer, issuer_key};
use doorstep::clock::{AfterPowerLoss, Clock, Event, Oscillator};
use doorstep::door::bundle::Bundle;
use doorstep::door::journal::{Journal, JournalError, Writer};
use doorstep::door::sealed;
use doorstep::door::state::State;
use doorstep::door::{Door, MARKS};
use doorstep::ledger::Head;
use doorstep::pass::claims::{Audience, Pass, PassId, Scope, Uses};
use doorstep::pass::document::Content;
use doorstep::pass::issue::{Unsigned, maced};
use doorstep::pass::proof::Challenge;
use doorstep::pass::rider::{Bulletin, Revoked, Rider, Rotation, Token};
use doorstep::refusal::Refusal;
use doorstep::secret::Secret;
use doorstep::time::Window;
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng as _;

const NEED_TIME: Clock =
    Clock { oscillator: Oscillator::Crystal, after_power_loss: AfterPowerLoss::NeedTime };

fn pass(id: u8, from: u64, until: u64) -> Pass {
    Pass {
        audience: Audience::parse("court-3"),
        window: Window::new(at(from), at(until)).unwrap(),
        issued_at: Some(at(from)),
        id: PassId::from_bytes(&[id; 8]).unwrap(),
        holder: None,
        scope: Scope::default(),
        lasts: None,
    }
}

fn signed(content: Content, seed: u8) -> Vec<u8> {
    let unsigned = Unsigned::new(&content, &issuer(seed)).unwrap();
    unsigned.signed(&issuer_key(seed).sign(unsigned.to_be_signed())).as_ref().to_vec()
}

fn once(pass: Pass) -> Pass {
    Pass { scope: Scope { uses: Uses::Once, ..pass.scope }, ..pass }
}

fn bulletin(sequence: u32, issued_at: u64) -> Vec<u8> {
    let revoked = Revoked::from_prefixes(&[[9; 4]]).unwrap();
    let audience = Audience::parse("court-3").unwrap();
    let rider = Bulletin { audience, issued_at: at(issued_at), sequence, revoked };
    signed(Content::Rider(Rider::Bulletin(rider)), 1)
}

fn rotation(sequence: u32) -> Vec<u8> {
    let rotation =
        Rotation { issued_at: at(NOON), sequence, key: issuer(5), window: Window::ALWAYS };
    let until = at(u64::from(u32::MAX));
    let rotation = Rotation { window: Window::new(at(0), until).unwrap(), ..rotation };
    signed(Content::Rider(Rider::Rotation(rotation)), 2)
}

#[test]
fn a_pass_opens_beside_pins_and_steps_by_one_belief() {
    let mut door = Installed::new(bundle());
    door.wait(DAY);
    let step = door.step(NOON + DAY);
    door.press(&step).unwrap();
    let before = *door.state.keypad.belief();
    let one = once(pass(1, NOON + DAY, NOON + DAY + 3600));
    assert_eq!(door.tap(&signed(Content::Pass(one), 1), None), Ok(Content::Pass(one)));
    assert!(door.state.keypad.belief().floor() > before.floor(), "it was signed a moment ago");
    assert!(door.state.keypad.belief().floor() >= at(NOON + DAY));
    let again = door.tap(&signed(Content::Pass(one), 1), None);
    assert!(matches!(again, Err(Refusal::AlreadyUsed { .. })));
    let booked = door.booking(NOON + DAY, 3600, false);
    let pin = door.pin(&booked);
    door.press(&pin).unwrap();
    // A wrong PIN is not given back by a pass.
    assert!(door.press("000 000 00").is_err());
    let attempts = *door.state.keypad.bucket(doorstep::keypad::record::Source::Pin);
    let many = pass(2, NOON + DAY, NOON + DAY + 3600);
    door.tap(&signed(Content::Pass(many), 1), None).unwrap();
    assert_eq!(*door.state.keypad.bucket(doorstep::keypad::record::Source::Pin), attempts);
}

#[test]
fn an_answer_to_its_challenge_sets_the_clock_of_the_keypad_too() {
    let mut door = Installed::new(Bundle { clock: NEED_TIME, ..bundle() });
    door.clock(Event::PowerLost);
    let truth = NOON + 3 * DAY;
    let booked = door.booking(truth, 3600, false);
    let pin = door.pin(&booked);
    assert_eq!(door.press(&pin), Err(Refusal::ClockUnset));
    let stale = signed(Content::Pass(pass(1, truth, truth + 3600)), 1);
    assert_eq!(door.tap(&stale, None), Err(Refusal::ClockUnset), "signed nobody knows when");
    assert_eq!(door.state.keypad.belief().floor(), at(truth), "but not before it was");
    let challenge = Challenge::make(&mut ChaCha8Rng::seed_from_u64(1));
    let token = Token { issued_at: at(truth), nonce: *challenge.nonce() };
    let token = signed(Content::Rider(Rider::Token(token)), 1);
    assert_eq!(door.tap(&token, None), Err(Refusal::WrongCode { left: None }), "nobody was asked");
    door.tap(&token, Some(challenge)).unwrap();
    door.press(&pin).unwrap();
    door.tap(&stale, None).unwrap();
}

#[test]
fn what_was_known_when_it_was_provisioned_is_not_rolled_back() {
    let mut door = Installed::new(bundle());
    for sequence in [1, 3] {
        let refused = door.tap(&rotation(sequence), None);
        assert!(matches!(refused, Err(Refusal::AlreadyUsed { .. })), "{sequence} {refused:?}");
    }
    assert_eq!(door.state.passes.keys().iter().count(), 1);
    for sequence in [1, 5] {
        door.wait(2);
        let refused = door.tap(&bulletin(sequence, NOON), None);
        assert!(matches!(refused, Err(Refusal::AlreadyUsed { .. })), "{sequence} {refused:?}");
    }
    let revoked = signed(Content::Pass(pass(9, NOON, NOON + 3600)), 1);
    door.tap(&revoked, None).unwrap();
    door.tap(&rotation(4), None).unwrap();
    door.tap(&bulletin(6, NOON), None).unwrap();
    assert_eq!((door.state.passes.rotation(), door.state.passes.bulletin()), (4, 6));
    assert_eq!(door.tap(&revoked, None), Err(Refusal::Revoked));
    door.tap(&signed(Content::Pass(pass(2, NOON, NOON + 3600)), 5), None).unwrap();
}

#[test]
fn an_epoch_ends_the_passes_under_its_key() {
    let mut door = Installed::new(bundle());
    let mac = |door: &Installed, epoch| {
        let content = Content::Pass(pass(1, NOON, NOON + 3600));
        maced(&content, epoch, &door.bundle.root.passes(epoch)).unwrap().as_ref().to_vec()
    };
    door.tap(&mac(&door, 4), None).unwrap();
    assert_eq!(door.tap(&mac(&door, 5), None), Err(Refusal::WrongCode { left: None }));
    door.clock(Event::Reset { time: at(NOON), age: 0 });
    assert_eq!(door.tap(&mac(&door, 4), None), Err(Refusal::WrongCode { left: None }));
    door.tap(&mac(&door, 5), None).unwrap();
    // Failed verifications wait for no time that was wrong.
    let mut fast = Installed::new(bundle());
    fast.clock(Event::Signed(at(NOON + 6 * DAY)));
    for _ in 0..4 {
        assert!(fast.tap(&mac(&fast, 0), None).is_err());
    }
    let forged = signed(Content::Pass(pass(1, NOON, NOON + 3600)), 1);
    let forged = [&forged[..forged.len() - 1], &[forged[forged.len() - 1] ^ 1]].concat();
    for _ in 0..4 {
        assert_eq!(fast.tap(&forged, None), Err(Refusal::WrongCode { left: None }));
    }
    assert!(matches!(fast.tap(&forged, None), Err(Refusal::Throttled { .. })));
    fast.clock(Event::Reset { time: at(NOON), age: 0 });
    fast.wait(2);
    assert_eq!(fast.tap(&forged, None), Err(Refusal::WrongCode { left: None }));
}

#[test]
fn a_door_without_passes_has_no_reader_and_one_without_keys_takes_its_own() {
    assert!(Installed::new(Bundle { passes: None, ..bundle() }).door.reader().is_none());
    let passes = bundle().passes.map(|passes| doorstep::door::Passes {
        keys: doorstep::pass::key::TrustedKeys::NONE,
        root: None,
        ..passes
    });
    let mut door = Installed::new(Bundle { passes, ..bundle() });
    let content = Content::Pass(pass(1, NOON, NOON + 3600));
    assert!(door.tap(&signed(content, 1), None).is_err());
    assert!(door.tap(&rotation(4), None).is_err());
    let own = maced(&content, 4, &door.bundle.root.passes(4)).unwrap();
    door.tap(own.as_ref(), None).unwrap();
}

/// A door with something of everything, and its journal.
fn lived() -> (Installed, Vec<u8>) {
    let mut door = Installed::new(bundle());
    for day in 1..4 {
        door.wait(DAY);
        let truth = NOON + day * DAY;
        door.tap(&signed(Content::Pass(once(pass(1, truth, truth + 3600))), 1), None).ok();
        let step = door.step(truth);
        door.press(&step).unwrap();
    }
    door.tap(&rotation(4), None).unwrap();
    door.tap(&bulletin(6, NOON), None).unwrap();
    let (mut bytes, installed) = (Vec::new(), Installed::new(door.bundle.clone()));
    let count = u32::try_from(door.records.len()).unwrap();
    let out = |piece: &[u8]| bytes.extend_from_slice(piece);
    let mut writer = Writer::new(&door.door, &installed.state, Head::EMPTY, count, out);
    for record in &door.records {
        writer.record(record);
    }
    writer.finish();
    (door, bytes)
}

#[test]
fn a_journal_and_a_snapshot_tell_all_of_it() {
    let (door, bytes) = lived();
    let journal = Journal::read(&door.door, &bytes).unwrap();
    let (_, state, head) = journal.steps(&door.door).last().unwrap();
    assert_eq!((state.passes, head), (door.state.passes, door.head));
    let mut snapshot = vec![0; State::<MARKS>::LENGTH];
    state.write(&mut snapshot).unwrap();
    let clock = *door.door.clock();
    assert_eq!(State::<MARKS>::read(clock, &snapshot), Some(state));
    // Each byte of it says something, or must be zero: none can be changed without being seen.
    for at in 0..snapshot.len() {
        let mut other = snapshot.clone();
        other[at] ^= 1;
        assert!(State::<MARKS>::read(clock, &other) != Some(state), "byte {at}");
        assert!(State::<MARKS>::read(clock, &snapshot[..at]).is_none(), "cut at {at}");
    }
}

#[test]
fn a_sealed_journal_opens_for_its_issuer_alone_and_shows_nothing() {
    let (door, journal) = lived();
    let seal = |nonce| {
        let mut body = journal.clone();
        let (header, tag) = sealed::seal(&door.door, nonce, &mut body);
        [header.as_ref(), &body, &tag].concat()
    };
    let whole = seal([7; 12]);
    assert!(sealed::is_sealed(&whole) && !sealed::is_sealed(&journal));
    let open = |door: &Door, bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        sealed::open(door, &mut bytes).map(|journal| journal.to_vec())
    };
    assert_eq!(open(&door.door, &whole).as_ref(), Ok(&journal));
    assert_ne!(seal([8; 12])[30..60], whole[30..60], "each with a nonce of its own");
    for piece in journal.windows(16).filter(|piece| piece.iter().any(|byte| *byte != 0)) {
        assert!(!whole.windows(16).any(|part| part == piece), "in plain text");
    }
    for at in (0..whole.len()).step_by(7).chain(0..64) {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        assert!(open(&door.door, &changed).is_err(), "byte {at}");
        assert!(open(&door.door, &whole[..at]).is_err(), "cut at {at}");
    }
    let other = |bundle: &Bundle| open(&Door::new(bundle), &whole).unwrap_err();
    assert_eq!(other(&Bundle { generation: 3, ..bundle() }), JournalError::Foreign);
    let root = doorstep::keypad::key::RootKey::from_secret(Secret::from_bytes([8; 32]));
    assert_eq!(other(&Bundle { root, ..bundle() }), JournalError::Forged);
}
