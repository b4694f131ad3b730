//! A lock as firmware, so that its flash, memory and instructions can be measured: what is typed comes over a
//! serial line, and so do seconds and power cuts; what is to be durable and what the keypad shows go back.
//! `run.py` is at the other end.
//!
//! One byte says what comes: `L` a lock to be, `E` a record that the hardware makes, `T` digits that are
//! typed, `S` that the state is stored and read back, `M` asks for what was measured, `Q` ends.

#![no_std]
#![no_main]

mod board;

use doorstep::clock::{AfterPowerLoss, Belief, Clock, Oscillator};
use doorstep::keypad::key::RootKey;
use doorstep::keypad::lock::{Entry, Lock, TypedControl, TypedPin};
use doorstep::keypad::profile::Profile;
use doorstep::keypad::record::{RECORD_LENGTH, Record};
use doorstep::keypad::state::State;
use doorstep::ledger::{Head, Place, Receipt};
use doorstep::refusal::Refusal;
use doorstep::secret::Secret;
use doorstep::time::Timestamp;

/// Room for marks.
const MARKS: usize = 32;

/// What a lock keeps in memory. Its journal is at the other end of the line, as it would be in flash.
struct Memory {
    state: State<MARKS>,
    head: Head,
}

type Door = (Lock, Clock, Memory);

// What is never inlined here keeps its own part of the stack, which then is given back.
impl Memory {
    fn append(&mut self, lock: &Lock, place: &Place, record: &Record) -> Receipt {
        self.note(lock, record);
        self.head = place.after;
        place.appended()
    }

    #[inline(never)]
    fn note(&mut self, lock: &Lock, record: &Record) {
        board::send(b"J");
        board::send(&record.to_bytes());
        lock.fold(&mut self.state, record);
    }

    /// What a restart does with the state; that power was lost is then for the hardware to say.
    #[inline(never)]
    fn restart(&mut self, clock: Clock) -> Option<()> {
        let mut stored = [0; State::<MARKS>::LENGTH];
        self.state.write(&mut stored)?;
        self.state = State::read(clock, &stored)?;
        Some(())
    }

    /// What a keypad does with digits.
    fn type_in(&mut self, lock: &Lock, typed: &str) -> Result<(), Refusal> {
        match lock.read(typed)? {
            Entry::Pin(pin) => self.open(lock, pin),
            Entry::Control(order) => self.obey(lock, order),
        }
    }

    #[inline(never)]
    fn open(&mut self, lock: &Lock, pin: TypedPin) -> Result<(), Refusal> {
        let wrong = lock.wrong(&pin);
        let (attempt, tried) = lock.begin(&self.state, 0, pin, self.head)?;
        let receipt = self.append(lock, attempt.place(), &tried);
        let counted = attempt.counted(receipt).map_err(|_| Refusal::Unknown)?;
        let matched = counted.compare().inspect_err(|_| self.note(lock, &wrong))?;
        let spending = lock.spend(&self.state, 0, &matched, self.head);
        let (spending, opened) = spending.inspect_err(|_| {
            if let Some(missed) = lock.missed(&self.state, 0, &matched) {
                self.note(lock, &missed);
            }
        })?;
        let receipt = self.append(lock, spending.place(), &opened);
        spending.granted(receipt).map(|_| ()).map_err(|_| Refusal::Unknown)
    }

    #[inline(never)]
    fn obey(&mut self, lock: &Lock, order: TypedControl) -> Result<(), Refusal> {
        let (attempt, tried) = lock.begin_control(&self.state, 0, order, self.head)?;
        let receipt = self.append(lock, attempt.place(), &tried);
        let counted = attempt.counted(receipt).map_err(|_| Refusal::Unknown)?;
        let matched = counted.compare()?;
        let (spending, obeyed) = lock.spend_control(&self.state, 0, &matched, self.head)?;
        let receipt = self.append(lock, spending.place(), &obeyed);
        spending.granted(receipt).map(|_| ()).map_err(|_| Refusal::Unknown)
    }
}

/// A lock, its clock and its memory from a root, a profile, an oscillator, a policy and a time.
#[inline(never)]
fn install() -> Option<Door> {
    let root = RootKey::from_secret(Secret::from_bytes(receive()));
    let profile = Profile::from_bytes(&receive())?;
    let [oscillator, policy] = receive();
    let clock = Clock {
        oscillator: *Oscillator::ALL.get(usize::from(oscillator))?,
        after_power_loss: match policy {
            0 => AfterPowerLoss::NeedTime,
            _ => AfterPowerLoss::Trust90Min,
        },
    };
    let now = Timestamp::from_seconds(u64::from_be_bytes(receive()));
    let state = State::new(Belief::new(clock, now));
    Some((Lock::new(root, profile), clock, Memory { state, head: Head::EMPTY }))
}

fn receive<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    bytes.fill_with(board::receive);
    bytes
}

/// Types what comes next, and says how many ticks it took.
fn type_next((lock, _, memory): &mut Door) -> Option<u32> {
    let mut typed = [0; 64];
    let [length] = receive();
    let typed = typed.get_mut(..usize::from(length))?;
    typed.fill_with(board::receive);
    let typed = core::str::from_utf8(typed).ok()?;
    board::paint_stack();
    board::start_timer();
    let answer = memory.type_in(lock, typed);
    let took = board::ticks();
    if let Err(refusal) = answer {
        board::send(b"R");
        board::send(refusal.code().as_bytes());
        board::send(b"\n");
    }
    Some(took)
}

pub(crate) extern "C" fn main() -> ! {
    let mut door = None;
    let mut took = 0;
    loop {
        let understood = match (board::receive(), &mut door) {
            (b'L', door) => {
                *door = install();
                door.is_some()
            }
            (b'E', Some((lock, _, memory))) => {
                let record = Record::from_bytes(&receive::<RECORD_LENGTH>());
                record.map(|record| memory.note(lock, &record)).is_some()
            }
            (b'T', Some(door)) => {
                let ticks = type_next(door);
                took = ticks.unwrap_or_default();
                ticks.is_some()
            }
            (b'S', Some((_, clock, memory))) => memory.restart(*clock).is_some(),
            (b'M', Some((lock, _, memory))) => {
                for size in [size_of_val(lock), size_of_val(memory)] {
                    board::send(&u32::try_from(size).unwrap_or(u32::MAX).to_be_bytes());
                }
                board::send(&board::stack_painted_over().to_be_bytes());
                board::send(&took.to_be_bytes());
                true
            }
            (b'Q', _) => board::exit(0),
            _ => false,
        };
        board::send(if understood { b"+" } else { b"-" });
    }
}
