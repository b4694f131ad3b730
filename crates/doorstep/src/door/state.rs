//! What a door remembers: its keypad and clock, the last step it took and the attempts at steps, and passes.

use crate::bytes::{Layout, Stored};
use crate::clock::{Belief, Clock};
use crate::keypad::odds::PIN_PACE;
use crate::keypad::state as keypad;
use crate::otp::record as otp;
use crate::pass::key::TrustedKeys;
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
        if out.len() == Self::LENGTH { self.store(out) } else { None }
    }

    /// Reads a snapshot; `None` for anything else.
    #[must_use]
    pub fn read(clock: Clock, bytes: &[u8]) -> Option<Self> {
        let zero = Timestamp::from_seconds(0);
        let passes = pass::State::new(TrustedKeys::NONE, 0, 0, zero);
        let mut state = Self::new(clock, 0, passes, zero);
        if bytes.len() != Self::LENGTH {
            return None;
        }
        state.load(bytes)?;
        Some(state)
    }
}

impl<const N: usize> Stored for State<N> {
    fn fields(&mut self, layout: &mut Layout<'_>) {
        self.keypad.fields(layout);
        self.steps.fields(layout);
        self.attempts.fields(layout);
        self.passes.fields(layout);
    }
}
