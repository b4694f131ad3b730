//! HOTP (RFC 4226): a code for each number of a counter.

use super::keyed::Keyed;
use super::{Algorithm, Digits, OtpSecret};
use crate::code::Code;

/// How an authenticator that counts makes its codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hotp {
    /// The hash; RFC 4226 knows only SHA-1.
    pub algorithm: Algorithm,
    /// Digits of a code.
    pub digits: Digits,
}

impl Default for Hotp {
    fn default() -> Self {
        Self { algorithm: Algorithm::Sha1, digits: Digits::SIX }
    }
}

impl Hotp {
    /// Makes the secret ready for many codes.
    #[must_use]
    pub fn keyed(&self, secret: &OtpSecret) -> Keyed {
        Keyed::new(secret, self.algorithm)
    }

    /// The code of `counter`, leading zeros kept.
    #[must_use]
    pub fn code(&self, keyed: &Keyed, counter: u64) -> Code {
        code(keyed, counter, self.digits)
    }
}

pub(crate) fn code(keyed: &Keyed, counter: u64, digits: Digits) -> Code {
    Code::from_number(keyed.number(counter, digits), digits.shape())
}
