//! What a door remembers: its keypad and clock, the last step it took and the attempts at steps, and passes.

use crate::bytes::{Reader, Writer};
use crate::clock::{Belief, Clock};
use crate::keypad::odds::PIN_PACE;
use crate::keypad::state as keypad;
use crate::otp::record as otp;
use crate::pass::state as pass;
use crate::throttle::Bucket;
use crate::time::Timestamp;

/// Bytes of the state of the steps, and of the attempts at them.
const STEPS: usize = otp::STATE_LENGTH + 9;

/// A door's state, with room for `N` marks of PINs and as many of passes. It holds no key and no code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State<const N: usize> {
    /// Its keypad and its clock.
    pub keypad: keypad::State<N>,
    /// The last step that was taken.
    pub steps: otp::State,
    /// The attempts at steps.
    pub attempts: Bucket,
    /// Whose passes it takes, and which it remembers.
    pub passes: pass::State<N>,
}

impl<const N: usize> State<N> {
    pub(super) fn new(clock: Clock, epoch: u32, passes: pass::State<N>, now: Timestamp) -> Self {
        let keypad = keypad::State::in_epoch(Belief::new(clock, now), epoch);
        let attempts = Bucket::full(PIN_PACE, now);
        Self { keypad, steps: otp::State::new(now), attempts, passes }
    }

    /// Bytes of an encoded state.
    pub const LENGTH: usize = keypad::State::<N>::LENGTH + STEPS + pass::State::<N>::LENGTH;

    /// Writes the state as a snapshot of the journal; `None` when `out` has not [`State::LENGTH`] bytes.
    #[must_use]
    pub fn write(&self, out: &mut [u8]) -> Option<()> {
        let (keypad, rest) = out.split_at_mut_checked(keypad::State::<N>::LENGTH)?;
        let (steps, passes) = rest.split_first_chunk_mut::<STEPS>()?;
        let mut bytes = Writer::new();
        bytes.put(&self.steps.to_bytes());
        bytes.put(&[self.attempts.used()]);
        bytes.put(&self.attempts.as_of().seconds().to_be_bytes());
        *steps = bytes.finish();
        self.keypad.write(keypad)?;
        self.passes.write(passes)
    }

    /// Reads a snapshot; `None` for anything else.
    #[must_use]
    pub fn read(clock: Clock, bytes: &[u8]) -> Option<Self> {
        let (keypad, rest) = bytes.split_at_checked(keypad::State::<N>::LENGTH)?;
        let (steps, passes) = rest.split_first_chunk::<STEPS>()?;
        let mut from = Reader::new(steps);
        let steps = otp::State::from_bytes(&from.take()?)?;
        let [used] = from.take()?;
        let attempts = Bucket::stored(PIN_PACE, used, from.time()?);
        let keypad = keypad::State::read(clock, keypad)?;
        Some(Self { keypad, steps, attempts, passes: pass::State::read(passes)? })
    }
}
