//! What a lock does with what is typed at it and held to it: a keypad and a reader with one clock, and a journal
//! at the other end of the line, as it would be in flash.

use crate::{board, known};
use doorstep::clock::{Belief, Clock, Event as Clue};
use doorstep::keypad::lock::{Entry, Lock, TypedControl, TypedPin};
use doorstep::keypad::record::{Event, Record};
use doorstep::keypad::state::State;
use doorstep::ledger::{Head, Place, Receipt};
use doorstep::pass::key::TrustedKeys;
use doorstep::pass::presented::{Presented, PresentedPass, PresentedRider};
use doorstep::pass::proof::Challenge;
use doorstep::pass::reader::{Learned, Moment, Reader};
use doorstep::pass::verification::Verification;
use doorstep::pass::{record, state};
use doorstep::refusal::Refusal;
use doorstep::time::Timestamp;
use doorstep::verifier::{Compare, Counted, Matched};

/// Room for marks of PINs, and as many of passes.
pub(crate) const MARKS: usize = 32;

/// What a lock is provisioned with.
pub(crate) struct Door {
    pub(crate) lock: Lock,
    pub(crate) reader: Reader,
    pub(crate) clock: Clock,
}

/// What it keeps in memory.
pub(crate) struct Memory {
    keypad: State<MARKS>,
    passes: state::State<MARKS>,
    head: Head,
}

// What is never inlined here keeps its own part of the stack, which then is given back, and is measured.
impl Memory {
    pub(crate) fn new(clock: Clock, keys: TrustedKeys, now: Timestamp) -> Self {
        Self {
            keypad: State::new(Belief::new(clock, now)),
            passes: state::State::new(keys, 0, 0, now),
            head: Head::EMPTY,
        }
    }

    fn append(&mut self, door: &Door, place: &Place, record: &Record) -> Receipt {
        self.note(door, record);
        self.head = place.after;
        place.appended()
    }

    fn append_pass(&mut self, door: &Door, place: &Place, record: &record::Record) -> Receipt {
        self.note_pass(door, record);
        self.head = place.after;
        place.appended()
    }

    #[inline(never)]
    pub(crate) fn note(&mut self, door: &Door, record: &Record) {
        write(&record.to_bytes());
        let epoch = self.keypad.epoch();
        door.lock.fold(&mut self.keypad, record);
        let reset = matches!(record.event, Event::Clock(Clue::Reset { .. }));
        if reset && self.keypad.epoch() != epoch {
            self.passes.follow_reset(self.keypad.belief());
        }
    }

    /// The chain goes on from a record that was read.
    pub(crate) fn follow(&mut self, record: &[u8]) {
        self.head = self.head.then(record);
    }

    /// The clock hears of it as of what is typed.
    #[inline(never)]
    pub(crate) fn note_pass(&mut self, door: &Door, record: &record::Record) {
        write(record.to_bytes().as_ref());
        let nothing = Clue::Elapsed { seconds: 0 };
        let clue = record.event.clock().unwrap_or(nothing);
        let heard = Record { elapsed: record.elapsed, event: Event::Clock(clue) };
        door.lock.fold(&mut self.keypad, &heard);
        self.passes.fold(self.keypad.belief(), record);
    }

    /// What a restart does with the state; that power was lost is then for the hardware to say.
    pub(crate) fn restart(&mut self, door: &Door) {
        self.restore_keypad(door.clock);
        self.restore_passes();
    }

    #[inline(never)]
    fn restore_keypad(&mut self, clock: Clock) {
        let mut stored = [0; State::<MARKS>::LENGTH];
        known(self.keypad.write(&mut stored));
        self.forget_keypad(clock);
        known(self.keypad.restore(&stored));
    }

    #[inline(never)]
    fn forget_keypad(&mut self, clock: Clock) {
        self.keypad = State::new(Belief::new(clock, Timestamp::from_seconds(0)));
    }

    #[inline(never)]
    fn forget_passes(&mut self) {
        self.passes = state::State::new(TrustedKeys::NONE, 0, 0, Timestamp::from_seconds(0));
    }

    #[inline(never)]
    fn restore_passes(&mut self) {
        let mut stored = [0; state::State::<MARKS>::LENGTH];
        known(self.passes.write(&mut stored));
        self.forget_passes();
        known(self.passes.restore(&stored));
    }

    /// What a keypad does with digits.
    #[inline(never)]
    pub(crate) fn type_in(&mut self, door: &Door, typed: &[u8]) -> Result<(), Refusal> {
        match door.lock.read(typed)? {
            Entry::Pin(pin) => self.open(door, pin),
            Entry::Control(order) => self.obey(door, order),
        }
    }

    #[inline(never)]
    fn open(&mut self, door: &Door, pin: TypedPin) -> Result<(), Refusal> {
        let lock = &door.lock;
        let wrong = lock.wrong(&pin);
        let (attempt, tried) = lock.begin(&self.keypad, 0, pin, self.head)?;
        let receipt = self.append(door, attempt.place(), &tried);
        let counted = attempt.counted(receipt).map_err(|_| Refusal::Unknown)?;
        let matched = counted.compare().inspect_err(|_| self.note(door, &wrong))?;
        let spending = lock.spend(&self.keypad, 0, &matched, self.head);
        let (spending, opened) = spending.inspect_err(|_| {
            if let Some(missed) = lock.missed(&self.keypad, 0, &matched) {
                self.note(door, &missed);
            }
        })?;
        let receipt = self.append(door, spending.place(), &opened);
        spending.granted(receipt).map(|_| ()).map_err(|_| Refusal::Unknown)
    }

    #[inline(never)]
    fn obey(&mut self, door: &Door, order: TypedControl) -> Result<(), Refusal> {
        let lock = &door.lock;
        let (attempt, tried) = lock.begin_control(&self.keypad, 0, order, self.head)?;
        let receipt = self.append(door, attempt.place(), &tried);
        let counted = attempt.counted(receipt).map_err(|_| Refusal::Unknown)?;
        let matched = counted.compare()?;
        let (spending, obeyed) = lock.spend_control(&self.keypad, 0, &matched, self.head)?;
        let receipt = self.append(door, spending.place(), &obeyed);
        spending.granted(receipt).map(|_| ()).map_err(|_| Refusal::Unknown)
    }

    /// What a reader does with bytes. `challenge` is what was sent before.
    #[inline(never)]
    pub(crate) fn present(
        &mut self,
        door: &Door,
        presented: &[u8],
        challenge: Option<Challenge>,
    ) -> Result<(), Refusal> {
        match &Presented::parse(presented) {
            Ok(Presented::Pass(pass)) => self.open_by_pass(door, pass, challenge),
            Ok(Presented::Rider(rider)) => self.take(door, rider, challenge),
            Err(malformed) => Err((*malformed).into()),
        }
    }

    fn moment(&self) -> Moment {
        Moment { belief: *self.keypad.belief(), epoch: self.keypad.epoch(), elapsed: 0 }
    }

    #[inline(never)]
    fn open_by_pass(
        &mut self,
        door: &Door,
        pass: &PresentedPass<'_>,
        challenge: Option<Challenge>,
    ) -> Result<(), Refusal> {
        let matched = self.count_pass(door, pass, challenge).and_then(compare);
        let learned = self.learn(door, matched.as_ref().map_err(|refusal| *refusal)?)?;
        self.spend_pass(door, &learned)
    }

    #[inline(never)]
    fn count_pass<'a>(
        &mut self,
        door: &'a Door,
        pass: &'a PresentedPass<'a>,
        challenge: Option<Challenge>,
    ) -> Result<Counted<Verification<'a, PresentedPass<'a>>>, Refusal> {
        let reader = &door.reader;
        let begun = reader.begin(&self.moment(), &self.passes, pass, challenge, self.head);
        let (attempt, tried) = begun?;
        let receipt = self.append_pass(door, attempt.place(), &tried);
        attempt.counted(receipt).map_err(|_| Refusal::Unknown)
    }

    #[inline(never)]
    fn learn<'m, 'a>(
        &mut self,
        door: &Door,
        matched: &'m Matched<Verification<'a, PresentedPass<'a>>>,
    ) -> Result<Learned<'m, 'a>, Refusal> {
        let (learning, verified) = door.reader.verified(&self.moment(), matched, self.head);
        let receipt = self.append_pass(door, learning.place(), &verified);
        learning.learned(receipt).map_err(|_| Refusal::Unknown)
    }

    #[inline(never)]
    fn spend_pass(&mut self, door: &Door, learned: &Learned<'_, '_>) -> Result<(), Refusal> {
        let spent = door.reader.spend(&self.moment(), &self.passes, learned, self.head);
        let (spending, opened) = spent?;
        let receipt = self.append_pass(door, spending.place(), &opened);
        spending.granted(receipt).map(|_| ()).map_err(|_| Refusal::Unknown)
    }

    #[inline(never)]
    fn take(
        &mut self,
        door: &Door,
        rider: &PresentedRider<'_>,
        challenge: Option<Challenge>,
    ) -> Result<(), Refusal> {
        let matched = self.count_rider(door, rider, challenge).and_then(compare);
        self.spend_rider(door, matched.as_ref().map_err(|refusal| *refusal)?)
    }

    #[inline(never)]
    fn count_rider<'a>(
        &mut self,
        door: &'a Door,
        rider: &'a PresentedRider<'a>,
        challenge: Option<Challenge>,
    ) -> Result<Counted<Verification<'a, PresentedRider<'a>>>, Refusal> {
        let reader = &door.reader;
        let begun = reader.begin_rider(&self.moment(), &self.passes, rider, challenge, self.head);
        let (attempt, tried) = begun?;
        let receipt = self.append_pass(door, attempt.place(), &tried);
        attempt.counted(receipt).map_err(|_| Refusal::Unknown)
    }

    #[inline(never)]
    fn spend_rider(
        &mut self,
        door: &Door,
        matched: &Matched<Verification<'_, PresentedRider<'_>>>,
    ) -> Result<(), Refusal> {
        let spent = door.reader.spend_rider(&self.moment(), &self.passes, matched, self.head);
        let (spending, taken) = spent?;
        let receipt = self.append_pass(door, spending.place(), &taken);
        spending.granted(receipt).map(|_| ()).map_err(|_| Refusal::Unknown)
    }
}

#[inline(never)]
fn compare<M: Compare>(counted: Counted<M>) -> Result<Matched<M>, Refusal> {
    counted.compare()
}

/// A record becomes durable.
fn write(record: &[u8]) {
    board::send(b"J");
    board::send(&[u8::try_from(record.len()).unwrap_or(u8::MAX)]);
    board::send(record);
}
