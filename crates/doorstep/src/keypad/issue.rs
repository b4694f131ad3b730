//! The issuer's side: a booking becomes the PIN of a true window.

use super::control::Command;
use super::key::{PinKey, RootKey};
use super::profile::{Fit, Profile};
use super::tuple::{Form, PinDigits, Tuple, Word};
use crate::code::Code;

/// The codes of one tuple in one epoch. They are sent to the holder and can be derived again.
pub struct Pin {
    word: Word,
    digits: PinDigits,
}

impl Pin {
    /// Derives the codes of a tuple; `None` for a holder or a generation that the profile does not
    /// have.
    #[must_use]
    pub fn derive(root: &RootKey, epoch: u32, profile: &Profile, tuple: &Tuple) -> Option<Self> {
        Self::with_key(&root.pins(epoch), profile, tuple)
    }

    /// The same with an epoch's key that was derived before: five times as fast, for who compares
    /// many.
    #[must_use]
    pub fn with_key(key: &PinKey, profile: &Profile, tuple: &Tuple) -> Option<Self> {
        if tuple.holder >= profile.holders() || tuple.generation >= profile.generations() {
            return None;
        }
        let lane = profile.lane(tuple);
        let words = key.block(tuple, lane / 4);
        let word = *words.get(usize::from(lane % 4))?;
        Some(Self { word, digits: profile.digits() })
    }

    /// The PIN or its long form. Two tuples of a lock that may be acceptable at once must not have
    /// the same PIN: the issuer compares, and gives the other the next generation.
    #[must_use]
    pub fn code(&self, form: Form) -> Code {
        self.word.code(self.digits, form)
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.word);
    }
}

impl zeroize::ZeroizeOnDrop for Pin {}

impl core::fmt::Debug for Pin {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Pin(..)")
    }
}

impl Fit {
    /// The tuple of a holder and a generation.
    #[must_use]
    pub const fn tuple(&self, holder: u8, generation: u8) -> Tuple {
        Tuple { class: self.class, index: self.index, holder, generation }
    }
}

/// Derives the code that tells a lock a command; `None` for a class that the profile does not have.
#[must_use]
pub fn derive_control(
    root: &RootKey,
    epoch: u32,
    profile: &Profile,
    command: &Command,
) -> Option<Code> {
    command.code(&root.control(command.key_epoch(epoch)), profile)
}
