//! A lock as firmware, so that its flash, memory and instructions can be measured: what is typed and what is held
//! to it comes over a serial line, and so do seconds and power cuts; what is to be durable and what the lock
//! answers go back. `run.py` is at the other end.
//!
//! One byte says what comes: `L` a lock to be, `E` a record that the hardware makes, `T` digits that are
//! typed, `P` a pass or a rider, `S` that the state is stored and read back, `M` asks for what was measured, `Q`
//! ends.

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
use doorstep::keypad::record::{RECORD_LENGTH, Record};
use doorstep::pass::claims::Audience;
use doorstep::pass::key::TrustedKeys;
use doorstep::pass::presented::MAX_PRESENTED;
use doorstep::pass::reader::{Groups, Reader};
use doorstep::refusal::Refusal;
use doorstep::secret::Secret;
use doorstep::time::{Timestamp, Window};
use lock::{Door, Memory};

/// A lock, its clock and its memory from a root, a profile, an oscillator, a policy and a time; and for passes its
/// name, its group, its issuer's key, and the issuer's root.
#[inline(never)]
fn install() -> Option<(Door, Memory)> {
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
    let (name, group) = (receive_name()?, receive_name()?);
    let keys = TrustedKeys::provisioned(&[(receive_key()?, Window::ALWAYS)])?;
    let reader = Reader::new(name, Groups::of(&[group])?, root.clone(), receive_key());
    let door = Door { lock: Lock::new(root, profile), reader, clock };
    Some((door, Memory::new(clock, keys, now)))
}

fn receive<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    bytes.fill_with(board::receive);
    bytes
}

fn receive_name() -> Option<Audience> {
    let mut name = [0; Audience::MAX];
    Audience::parse(core::str::from_utf8(receive_into(&mut name)?).ok()?)
}

#[inline(never)]
fn receive_key() -> Option<Signer> {
    IssuerPublicKey::from_bytes(&receive::<32>()).ok().map(Signer::Ed25519)
}

/// As many bytes as two before them say.
fn receive_into(bytes: &mut [u8]) -> Option<&[u8]> {
    let length = u16::from_be_bytes(receive());
    let bytes = bytes.get_mut(..usize::from(length))?;
    bytes.fill_with(board::receive);
    Some(bytes)
}

/// Does what `answer` does, says what came of it, and how many ticks it took.
fn measured(answer: impl FnOnce() -> Result<(), Refusal>) -> u32 {
    board::paint_stack();
    board::start_timer();
    let answer = answer();
    let took = board::ticks();
    if let Err(refusal) = answer {
        board::send(b"R");
        board::send(refusal.code().as_bytes());
        board::send(b"\n");
    }
    took
}

/// Types what comes next.
fn type_next(door: &Door, memory: &mut Memory) -> Option<u32> {
    let mut typed = [0; 255];
    let typed = core::str::from_utf8(receive_into(&mut typed)?).ok()?;
    Some(measured(|| memory.type_in(door, typed)))
}

/// Holds what comes next to the reader.
fn present_next(door: &Door, memory: &mut Memory) -> Option<u32> {
    let mut presented = [0; MAX_PRESENTED];
    let presented = receive_into(&mut presented)?;
    Some(measured(|| memory.present(door, presented, None)))
}

pub(crate) extern "C" fn main() -> ! {
    let mut installed = None;
    let mut took = 0;
    loop {
        let mut timed = |ticks: Option<u32>| {
            took = ticks.unwrap_or_default();
            ticks.is_some()
        };
        let understood = match (board::receive(), &mut installed) {
            (b'L', installed) => {
                *installed = install();
                installed.is_some()
            }
            (b'E', Some((door, memory))) => {
                let record = Record::from_bytes(&receive::<RECORD_LENGTH>());
                record.map(|record| memory.note(door, &record)).is_some()
            }
            (b'T', Some((door, memory))) => timed(type_next(door, memory)),
            (b'P', Some((door, memory))) => timed(present_next(door, memory)),
            (b'S', Some((door, memory))) => memory.restart(door).is_some(),
            (b'M', Some((door, memory))) => {
                for size in [size_of_val(door), size_of_val(memory)] {
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
