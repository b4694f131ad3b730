//! HOTP, TOTP and OCRA: codes that an authenticator and a verifier compute from a shared secret,
//! each without the other (`docs/otp.md`).
//!
//! [`hotp`], [`totp`] and [`ocra`] compute; [`verify`] decides, over the crate's one pipeline.
//! None of it allocates. [`otpauth`] and [`migration`] read and write what other programs hand
//! over, and need the feature `otpauth`.

pub mod hotp;
pub mod keyed;
#[cfg(feature = "otpauth")]
pub mod migration;
pub mod ocra;
#[cfg(feature = "otpauth")]
pub mod otpauth;
pub mod record;
pub mod recovery;
mod scan;
pub mod text;
pub mod totp;
pub mod verify;
pub mod window;

use crate::code::{Alphabet, Shape};
use crate::refusal::Refusal;
use core::fmt;
use rand_core::CryptoRng;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// The longest secret that is read, in bytes: twice the largest block of a hash, beyond which a
/// longer key adds nothing.
pub const MAX_SECRET_LENGTH: usize = 256;

/// How long the secrets are that are made here, in bytes: 160 bits, as RFC 4226 recommends.
pub const MADE_SECRET_LENGTH: usize = 20;

/// Secrets shorter than this, in bytes, are read with a warning (RFC 4226, R6: at least 128 bits).
pub const SOUND_SECRET_LENGTH: usize = 16;

/// What the holder of an authenticator can do about a refusal; [`Refusal::hint`] is for deliveries.
#[must_use]
pub const fn hint(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::AlreadyUsed { .. } => "each code works once; wait for the next one",
        Refusal::ClockUnset => "the clock of the verifier is not set; tell who runs it",
        Refusal::Expired { .. } => "that took too long; begin again",
        Refusal::LedgerFull => "tell who runs the verifier; room comes back with time",
        Refusal::Mistyped => "type all the digits that the authenticator shows, and nothing else",
        Refusal::NotYetValid { .. } => "compare the clocks: this authenticator begins later",
        Refusal::Revoked => "the account is disabled; ask who runs it",
        Refusal::Throttled { until: None } => "use a recovery code, or ask who runs this",
        Refusal::Throttled { until: Some(_) } => {
            "wait until then, use a device that was let in before, or use a recovery code"
        }
        Refusal::Unknown | Refusal::WrongVerifier | Refusal::IssuedForOfflineUse => {
            "check the name of the account, and that an authenticator is enrolled for it"
        }
        Refusal::Superseded => "this was replaced by a newer one; use that",
        Refusal::WrongCode { .. } => {
            "check that it is the entry of this account, and the clock of the device that shows it"
        }
    }
}

/// The hash under the HMAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Algorithm {
    /// SHA-1, which HMAC keeps sound: what nearly every authenticator uses.
    #[default]
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Sha1, Self::Sha256, Self::Sha512];

    /// The name as `otpauth` and OCRA suites write it: `SHA1`, `SHA256`, `SHA512`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
            Self::Sha512 => "SHA512",
        }
    }

    /// Bytes of a hash: 20, 32 or 64.
    #[must_use]
    pub const fn output_length(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    /// Reads a name as people and programs write it: any case, `SHA256`, `SHA-256`, `SHA_256`,
    /// each also after `HMAC`. Every other name is `None`: falling back would give wrong codes.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let plain = |name: &str, wanted: &str| {
            let kept = name.bytes().filter(|byte| !matches!(byte, b'-' | b'_'));
            kept.map(|byte| byte.to_ascii_uppercase()).eq(wanted.bytes())
        };
        if name.len() > 16 {
            return None;
        }
        let wanted = |algorithm: &Self| match algorithm {
            Self::Sha1 => plain(name, "SHA1") || plain(name, "HMACSHA1"),
            Self::Sha256 => plain(name, "SHA256") || plain(name, "HMACSHA256"),
            Self::Sha512 => plain(name, "SHA512") || plain(name, "HMACSHA512"),
        };
        Self::ALL.into_iter().find(wanted)
    }
}

/// How many digits a code has: 6 to 10, or 4 and 5 in OCRA suites.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Digits(u8);

impl Digits {
    /// Six, what nearly every authenticator shows.
    pub const SIX: Self = Self(6);
    /// Eight.
    pub const EIGHT: Self = Self(8);

    /// 6 to 10 digits; `None` for other numbers. Ten digits begin with 0, 1 or 2, since 31 bits of
    /// the HMAC are used.
    #[must_use]
    pub const fn new(digits: u8) -> Option<Self> {
        match digits {
            6..=10 => Some(Self(digits)),
            _ => None,
        }
    }

    /// 6 to 8 digits, what an authenticator is enrolled with: not every program shows more.
    #[must_use]
    pub const fn for_enrolment(digits: u8) -> Option<Self> {
        match digits {
            6..=8 => Some(Self(digits)),
            _ => None,
        }
    }

    /// 4 to 10 digits, what an OCRA suite may name.
    #[must_use]
    pub const fn for_ocra(digits: u8) -> Option<Self> {
        match digits {
            4..=10 => Some(Self(digits)),
            _ => None,
        }
    }

    /// The number of digits.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// The shape of the codes.
    #[must_use]
    pub fn shape(self) -> Shape {
        Shape::new(Alphabet::Digits, self.0).unwrap_or(Shape::DIGITS_10)
    }
}

/// The secret that an authenticator and its verifier share: 1 to [`MAX_SECRET_LENGTH`] bytes.
#[derive(Clone)]
pub struct OtpSecret {
    bytes: [u8; MAX_SECRET_LENGTH],
    length: usize,
}

impl OtpSecret {
    /// Takes over secret bytes; `None` when there are none, or too many.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut builder = SecretBuilder::new();
        for byte in bytes {
            builder.push(*byte)?;
        }
        builder.finish()
    }

    /// Draws a secret of [`MADE_SECRET_LENGTH`] bytes.
    pub fn make(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut bytes = [0; MAX_SECRET_LENGTH];
        if let Some(used) = bytes.get_mut(..MADE_SECRET_LENGTH) {
            rng.fill_bytes(used);
        }
        Self { bytes, length: MADE_SECRET_LENGTH }
    }

    /// The bytes, for a primitive, sealed storage or the enrolment itself; never for a log.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// Whether it is shorter than the 128 bits that RFC 4226 asks for, as the 16 base32 characters
    /// are that many services hand out. Such a secret works; making one is refused.
    #[must_use]
    pub const fn is_weak(&self) -> bool {
        self.length < SOUND_SECRET_LENGTH
    }
}

impl Drop for OtpSecret {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl ZeroizeOnDrop for OtpSecret {}

impl ConstantTimeEq for OtpSecret {
    fn ct_eq(&self, other: &Self) -> subtle::Choice {
        self.length.ct_eq(&other.length) & self.bytes.ct_eq(&other.bytes)
    }
}

impl fmt::Debug for OtpSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OtpSecret(..)")
    }
}

/// A secret as its bytes come in, wiped when the reading is given up.
pub(crate) struct SecretBuilder(OtpSecret);

impl SecretBuilder {
    pub(crate) const fn new() -> Self {
        Self(OtpSecret { bytes: [0; MAX_SECRET_LENGTH], length: 0 })
    }

    /// Takes one byte more; `None` when there are too many.
    pub(crate) fn push(&mut self, byte: u8) -> Option<()> {
        let place = self.0.bytes.get_mut(self.0.length)?;
        *place = byte;
        self.0.length = self.0.length.saturating_add(1);
        Some(())
    }

    /// The secret; `None` when there is no byte.
    pub(crate) fn finish(self) -> Option<OtpSecret> {
        (self.0.length > 0).then_some(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    #[test]
    fn secret_length_is_asserted_where_secrets_are_made() {
        let secret = OtpSecret::make(&mut ChaCha20Rng::seed_from_u64(1));
        assert_eq!(secret.expose().len() * 8, 160);
        assert!(!secret.is_weak());
        assert!(secret.expose().iter().any(|byte| *byte != 0));
        assert!(OtpSecret::from_bytes(&[1; 15]).unwrap().is_weak());
        assert!(!OtpSecret::from_bytes(&[1; 16]).unwrap().is_weak());
        assert!(OtpSecret::from_bytes(&[]).is_none());
        assert!(OtpSecret::from_bytes(&[1; MAX_SECRET_LENGTH]).is_some());
        assert!(OtpSecret::from_bytes(&[1; MAX_SECRET_LENGTH + 1]).is_none());
    }

    #[test]
    fn a_secret_is_never_printed() {
        let secret = OtpSecret::from_bytes(b"hunter2").unwrap();
        assert_eq!(std::format!("{secret:?}"), "OtpSecret(..)");
    }

    #[test]
    fn an_unknown_algorithm_is_none_and_never_another_one() {
        for name in ["sha1", "SHA-1", "HmacSHA1", "HMAC-SHA-1", "hmac_sha_1"] {
            assert_eq!(Algorithm::parse(name), Some(Algorithm::Sha1), "{name}");
        }
        assert_eq!(Algorithm::parse("sha_512"), Some(Algorithm::Sha512));
        let long = "-".repeat(20) + "SHA1";
        for name in ["", "SHA", "SHA2-256", "SHA224", "SHA3-256", "MD5", "none", "ＳＨＡ1", &long]
        {
            assert_eq!(Algorithm::parse(name), None, "{name}");
        }
    }

    #[test]
    fn digits_have_named_limits() {
        let count = |new: fn(u8) -> Option<Digits>| {
            (0..=255).filter_map(new).map(Digits::get).collect::<std::vec::Vec<_>>()
        };
        assert_eq!(count(Digits::new), [6, 7, 8, 9, 10]);
        assert_eq!(count(Digits::for_enrolment), [6, 7, 8]);
        assert_eq!(count(Digits::for_ocra), [4, 5, 6, 7, 8, 9, 10]);
    }
}
