//! Whatever is presented to a lock: what nobody signed opens nothing and moves no clock, and of what was signed
//! nothing opens more often than it may or by a copied proof, nothing is rolled back, and every record reads back.

#![no_main]

use doorstep::clock::{AfterPowerLoss, Belief, Clock, Event, Oscillator};
use doorstep::cose::keys::{IssuerKey, Signer};
use doorstep::keypad::key::RootKey;
use doorstep::ledger::{Head, Place, Receipt};
use doorstep::pass::claims::{Audience, HolderKey, Pass};
use doorstep::pass::document::{Content, Document};
use doorstep::pass::issue::{encrypted, maced};
use doorstep::pass::key::TrustedKeys;
use doorstep::pass::presented::{Presented, with_timed_proof};
use doorstep::pass::proof::timed_transcript;
use doorstep::pass::reader::{Groups, Moment, Reader};
use doorstep::pass::record::Record;
use doorstep::pass::state::State;
use doorstep::pass::text;
use doorstep::refusal::Refusal;
use doorstep::secret::Secret;
use doorstep::time::Timestamp;
use std::collections::BTreeMap;

/// Few, so that they fill up.
const MARKS: usize = 3;

struct Lock {
    reader: Reader,
    belief: Belief,
    state: State<MARKS>,
}

impl Lock {
    fn moment(&self) -> Moment {
        Moment { belief: self.belief, epoch: 0, elapsed: 0 }
    }

    fn append(&mut self, place: &Place, record: &Record) -> Receipt {
        let bytes = record.to_bytes();
        assert_eq!(Record::from_bytes(bytes.as_ref()), Some(*record));
        let (floor, bulletin) = (self.belief.floor(), self.state.bulletin());
        let rotation = self.state.rotation();
        self.belief = record.believed(self.belief);
        self.state.fold(&self.belief, record);
        let mut snapshot = [0; State::<MARKS>::LENGTH];
        self.state.write(&mut snapshot).expect("its length");
        assert_eq!(State::read(&snapshot), Some(self.state));
        assert!(self.belief.floor() >= floor, "the floor fell");
        assert!((bulletin..=bulletin + 1_000).contains(&self.state.bulletin()));
        assert!((rotation..=rotation + 1_000).contains(&self.state.rotation()));
        place.appended()
    }

    fn show(&mut self, bytes: &[u8]) -> Result<Content, Refusal> {
        let (reader, head) = (self.reader.clone(), Head::EMPTY);
        match Presented::parse(bytes)? {
            Presented::Pass(pass) => {
                let begun = reader.begin(&self.moment(), &self.state, &pass, None, head);
                let (attempt, tried) = begun?;
                let receipt = self.append(attempt.place(), &tried);
                let matched = attempt.counted(receipt).expect("its own").compare()?;
                let (learning, verified) = reader.verified(&self.moment(), &matched, head);
                let receipt = self.append(learning.place(), &verified);
                let learned = learning.learned(receipt).expect("its own");
                let moment = self.moment();
                let spent = reader.spend(&moment, &self.state, &learned, head);
                let (spending, opened) = spent?;
                let receipt = self.append(spending.place(), &opened);
                Ok(Content::Pass(*spending.granted(receipt).expect("its own").found()))
            }
            Presented::Rider(rider) => {
                let begun = reader.begin_rider(&self.moment(), &self.state, &rider, None, head);
                let (attempt, tried) = begun?;
                let receipt = self.append(attempt.place(), &tried);
                let matched = attempt.counted(receipt).expect("its own").compare()?;
                let spent = reader.spend_rider(&self.moment(), &self.state, &matched, head);
                let (spending, taken) = spent?;
                let receipt = self.append(spending.place(), &taken);
                Ok(Content::Rider(*spending.granted(receipt).expect("its own").found()))
            }
        }
    }
}

/// The lock of the vectors (`vectors/dp1/presented.json`), with a key that is not theirs.
fn lock() -> (Lock, RootKey) {
    let clock =
        Clock { oscillator: Oscillator::Crystal, after_power_loss: AfterPowerLoss::NeedTime };
    let keys = RootKey::from_secret(Secret::from_bytes([0xA5; 32]));
    let name = |text| Audience::parse(text).expect("a name");
    let reader = Reader::new(
        name("lk-00042"),
        Groups::of(&[name("club")]).expect("one is few"),
        keys.clone(),
        None,
    );
    let now = Timestamp::from_seconds(1_800_057_600);
    let state = State::new(TrustedKeys::NONE, 0, 0, now);
    (Lock { reader, belief: Belief::new(clock, now), state }, keys)
}

/// No issuer gives one id to two passes, but this one may, and then the end of a window tells them apart.
fn name_of(pass: &Pass) -> (String, Timestamp) {
    (format!("{:?}", pass.id), pass.window.until())
}

// A case is steps of an action, a length in 16 bits and so many bytes.
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let (mut lock, keys) = lock();
    let (mut opened, mut proven) = (BTreeMap::new(), BTreeMap::new());
    let mut rest = bytes;
    while let Some(([action, high, low], after)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(after.len());
        let (step, after) = after.split_at(length);
        rest = after;
        match action % 4 {
            0 => {
                let before = lock.belief;
                assert!(lock.show(step).is_err(), "nobody made it");
                assert_eq!(lock.belief, before);
                if let Ok(line) = core::str::from_utf8(step) {
                    let _ = text::read(line);
                }
                if let Some(record) = Record::from_bytes(step) {
                    assert_eq!(record.to_bytes().as_ref(), step);
                }
            }
            1 => {
                let Ok(document) = Document::parse(step) else { continue };
                let Some(content) = document.content() else { continue };
                let Ok(signed) = maced(content, 0, &keys.passes(0)) else { continue };
                let mut line = String::new();
                text::write(signed.as_ref(), &mut line).expect("into memory");
                let read = text::read(&line).expect("what was written");
                assert_eq!(read.as_ref(), signed.as_ref());
                let Ok(Content::Pass(pass)) = lock.show(signed.as_ref()) else { continue };
                assert!(pass.holder.is_none(), "opened without a proof");
                assert!(!lock.state.revoked().prefixes().contains(&pass.id.prefix()));
                if let Some(most) = pass.scope.uses.most() {
                    let uses = opened.entry(name_of(&pass)).or_insert(0_u8);
                    *uses += 1;
                    assert!(*uses <= most, "opened too often");
                }
            }
            // By its holder, encrypted, at a time.
            2 => {
                let Some((time, step)) = step.split_first_chunk() else { continue };
                let Ok(document) = Document::parse(step) else { continue };
                let Some(Content::Pass(pass)) = document.content() else { continue };
                let time = u32::from_be_bytes(*time);
                let phone = IssuerKey::from_seed(&Secret::from_bytes([3; 32]));
                let holder = HolderKey::of(&Signer::Ed25519(phone.public()));
                let pass = Pass { holder: Some(holder), ..*pass };
                let sealed = encrypted(&Content::Pass(pass), 0, &keys.encryption(0), [7; 12]);
                let sealed = sealed.expect("a pass with a holder");
                let document = Document::parse(sealed.as_ref()).expect("what was made");
                let signed = timed_transcript(&document, lock.reader.name(), time);
                let proof = phone.sign(signed.as_ref());
                let shown = with_timed_proof(sealed.as_ref(), time, &proof).expect("a pass");
                assert!(lock.show(sealed.as_ref()).is_err(), "opened without a proof");
                let floor = lock.belief.floor();
                if lock.show(shown.as_ref()).is_ok() {
                    // What the pass says of the time may raise the floor; what the phone says may not.
                    assert!(pass.issued_at.is_some() || lock.belief.floor() == floor);
                    let now = lock.belief.now().expect("it opened");
                    let time = Timestamp::from_seconds(u64::from(time));
                    assert!(now.earliest <= time.later(60) && time <= now.latest.later(60));
                    assert!(lock.show(shown.as_ref()).is_err(), "opened by a copy");
                    let last = proven.insert(name_of(&pass), time);
                    assert!(last.is_none_or(|last| last < time), "opened by an older proof");
                    let uses = opened.entry(name_of(&pass)).or_insert(0_u8);
                    *uses = uses.saturating_add(1);
                    assert!(pass.scope.uses.most().is_none_or(|most| *uses <= most));
                }
            }
            _ => {
                let seconds = step.first_chunk().map_or(1, |four| u32::from_be_bytes(*four));
                lock.belief = lock.belief.then(&Event::Elapsed { seconds: u64::from(seconds) });
            }
        }
    }
});
