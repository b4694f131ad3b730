//! A lock as firmware, so that its flash, memory and instructions can be measured: what is typed and what is held
//! to it comes over a serial line, and so do seconds and power cuts; what is to be durable and what the lock
//! answers go back. `run.py` is at the other end.
//!
//! One byte says what comes: `L` a lock to be, `E` a record that the hardware makes, `T` digits that are
//! typed, `P` a pass or a rider, `Q` ends. With the feature `measure` also: `E` a record of passes that was written
//! before a restart, `S` that the state is stored and read back, `M` asks for what was measured. Without it this is a
//! lock that is never restarted, and nothing else, whose flash is counted.

#![no_std]
#![no_main]

mod board;
mod copy;
mod lock;

use doorstep::clock::{AfterPowerLoss, Clock, Oscillator};
use doorstep::cose::keys::{IssuerPublicKey, Signer};
use doorstep::keypad::key::RootKey;
use doorstep::keypad::lock::Lock;
use doorstep::keypad::profile::Profile;
use doorstep::keypad::record::Record;
use doorstep::pass::claims::Audience;
use doorstep::pass::key::TrustedKeys;
use doorstep::pass::presented::MAX_PRESENTED;
use doorstep::pass::reader::{Groups, Reader};
use doorstep::pass::record;
use doorstep::secret::Secret;
use doorstep::time::{Timestamp, Window};
use lock::{Door, Memory};

/// Whether stack and instructions are counted.
const MEASURE: bool = cfg!(feature = "measure");

/// What was understood; the emulation ends with anything else.
pub(crate) fn known<T>(value: Option<T>) -> T {
    value.unwrap_or_else(|| board::exit(3))
}

/// A lock and its clock from a root, a profile, an oscillator and a policy; and for passes its name, its group and its
/// issuer's root.
#[inline(never)]
fn install() -> Door {
    let root = RootKey::from_secret(Secret::from_bytes(receive()));
    let lock = Lock::new(root.clone(), known(Profile::from_bytes(&receive())));
    let [oscillator, policy] = receive();
    let clock = Clock {
        oscillator: *known(Oscillator::ALL.get(usize::from(oscillator))),
        after_power_loss: *known(AfterPowerLoss::ALL.get(usize::from(policy))),
    };
    let (name, groups) = (receive_name(), known(Groups::of(&[receive_name()])));
    Door { lock, reader: Reader::new(name, groups, root, Some(receive_key())), clock }
}

/// What it remembers first, from its issuer's key and a time.
#[inline(never)]
fn begin(clock: Clock) -> Memory {
    let keys = known(TrustedKeys::provisioned(&[(receive_key(), Window::ALWAYS)]));
    Memory::new(clock, keys, Timestamp::from_seconds(u64::from_be_bytes(receive())))
}

fn receive<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    bytes.fill_with(board::receive);
    bytes
}

#[inline(never)]
fn receive_name() -> Audience {
    known(Audience::from_bytes(receive_into(&mut [0; Audience::MAX])))
}

#[inline(never)]
fn receive_key() -> Signer {
    Signer::Ed25519(known(IssuerPublicKey::from_bytes(&receive::<32>()).ok()))
}

/// As many bytes as two before them say.
fn receive_into(bytes: &mut [u8]) -> &[u8] {
    let length = u16::from_be_bytes(receive());
    let bytes = known(bytes.get_mut(..usize::from(length)));
    bytes.fill_with(board::receive);
    bytes
}

/// A record of the hardware; or one that was written before power was lost, of which only the lock that is measured
/// knows those of passes.
#[inline(never)]
fn note(door: &Door, memory: &mut Memory, bytes: &[u8]) {
    match bytes.try_into().ok().and_then(Record::from_bytes) {
        Some(record) => memory.note(door, &record),
        None if MEASURE => memory.note_pass(door, &known(record::Record::from_bytes(bytes))),
        None => known(None),
    }
    memory.follow(bytes);
}

/// Does what is asked for with what comes next, says what came of it, and how many ticks it took.
#[inline(never)]
fn carry_out(asked: u8, door: &Door, memory: &mut Memory) -> u32 {
    let mut bytes = [0; MAX_PRESENTED];
    let bytes = receive_into(&mut bytes);
    if MEASURE {
        board::paint_stack();
        board::start_timer();
    }
    let answer = match asked {
        b'E' => {
            note(door, memory, bytes);
            Ok(())
        }
        b'T' => memory.type_in(door, bytes),
        b'P' => memory.present(door, bytes, None),
        b'S' if MEASURE => {
            memory.restart(door);
            Ok(())
        }
        _ => known(None),
    };
    let took = if MEASURE { board::ticks() } else { 0 };
    if let Err(refusal) = answer {
        board::send(b"R");
        board::send(refusal.code().as_bytes());
        board::send(b"\n");
    }
    took
}

/// A lock, until another one is asked for.
#[inline(never)]
fn serve() {
    let door = install();
    let mut memory = begin(door.clock);
    let mut took = 0;
    loop {
        board::send(b"+");
        match board::receive() {
            b'L' => return,
            b'M' if MEASURE => {
                let sizes = [size_of_val(&door), size_of_val(&memory)];
                let [door, memory] = sizes.map(|size| u32::try_from(size).unwrap_or(u32::MAX));
                for number in [door, memory, board::stack_painted_over(), took] {
                    board::send(&number.to_be_bytes());
                }
            }
            b'Q' => board::exit(0),
            asked => took = carry_out(asked, &door, &mut memory),
        }
    }
}

pub(crate) extern "C" fn main() -> ! {
    board::receive();
    loop {
        serve();
    }
}
