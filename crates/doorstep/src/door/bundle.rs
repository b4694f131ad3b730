//! What a lock is provisioned with, as one line of text: in a file, or in a QR code that an installer's
//! phone reads.

use super::{Passes, Steps};
use crate::bytes::{Reader, Writer};
use crate::clock::{AfterPowerLoss, Clock, Oscillator};
use crate::cose::keys::Signer;
use crate::id::LockId;
use crate::keypad::key::RootKey;
use crate::keypad::profile::Profile;
use crate::otp::text::{base32_bytes, write_base32_bytes};
use crate::otp::totp::Totp;
use crate::otp::{Algorithm, Digits, MAX_SECRET_LENGTH, OtpSecret};
use crate::pass::claims::{Audience, HolderKey};
use crate::pass::key::{MAX_KEYS, TrustedKey, TrustedKeys};
use crate::pass::reader::{Groups, MAX_GROUPS};
use crate::secret::Secret;
use crate::time::{Timestamp, Window};
use core::fmt;
use core::num::NonZeroU64;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// How the text begins. Upper case and digits only, so that a QR code stays small.
pub const PREFIX: &str = "DSLOCK1:";

/// Bytes of a checksum: a bundle is typed or photographed, and half a key opens nothing.
const CHECK: usize = 4;

/// The most bytes of an encoded bundle.
const MAX_LENGTH: usize = 128 + Profile::LENGTH + MAX_SECRET_LENGTH + MAX_PASSES;

/// The most bytes of what is in it for passes.
const MAX_PASSES: usize = 2 + MAX_GROUPS * (1 + Audience::MAX) + MAX_KEYS * 50 + 42;

/// What a lock is provisioned with. Whoever reads it can derive all of this lock's codes.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// Its name.
    pub lock: LockId,
    /// Which provisioning of the lock it is: each has a root of its own.
    pub generation: u32,
    /// The epoch that it begins in.
    pub epoch: u32,
    /// When it was made. A lock is not installed before.
    pub made_at: Timestamp,
    /// How the lock keeps time.
    pub clock: Clock,
    /// What its keypad takes.
    pub profile: Profile,
    /// The root of its keys.
    pub root: RootKey,
    /// The TOTP secret that it shares with its issuer, if it does.
    pub steps: Option<Steps>,
    /// Whose passes it takes, if it takes any.
    pub passes: Option<Passes>,
    /// Whether it is test data, for ever.
    pub test: bool,
}

/// Why a text is no bundle. It says nothing of what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BundleError {
    /// It does not begin as a bundle does.
    Prefix,
    /// A character is wrong, or some are missing: the checksum does not fit.
    Damaged,
    /// The checksum fits, and the content is not one that this version knows.
    Content,
}

impl BundleError {
    /// What to do about it.
    #[must_use]
    pub const fn hint(self) -> &'static str {
        match self {
            Self::Prefix => {
                "a bundle is one line that begins with DSLOCK1: and comes from `doorstep lock new`"
            }
            Self::Damaged => "copy it again, or provision the lock anew at the server",
            Self::Content => "use the version of doorstep that made it, or a newer one",
        }
    }
}

impl fmt::Display for BundleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prefix => "this is no bundle of a lock",
            Self::Damaged => "this bundle is damaged: its checksum does not fit",
            Self::Content => "this bundle holds something that this version does not know",
        })
    }
}

impl core::error::Error for BundleError {}

impl Bundle {
    /// Whether every code that may be typed is of one kind only: codes of steps have other numbers of digits
    /// than PINs, and at most eight, since ten are an epoch code's.
    #[must_use]
    pub fn is_unambiguous(&self) -> bool {
        self.steps.as_ref().is_none_or(|steps| {
            let digits = steps.totp.digits.get();
            (6..=8).contains(&digits) && digits != self.profile.digits().get()
        })
    }

    /// Writes the bundle as text: for the lock and for nothing else.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, out: &mut impl fmt::Write) -> fmt::Result {
        let (bytes, length) = self.encode();
        let bytes = bytes.get(..length).unwrap_or_default();
        out.write_str(PREFIX)?;
        write_base32_bytes(bytes, out)
    }

    /// Reads a bundle; white space around it and within it does not matter.
    ///
    /// # Errors
    /// [`BundleError`].
    pub fn parse(text: &str) -> Result<Self, BundleError> {
        let text = text.trim();
        let (prefix, body) = text.split_at_checked(PREFIX.len()).ok_or(BundleError::Prefix)?;
        if !prefix.eq_ignore_ascii_case(PREFIX) {
            return Err(BundleError::Prefix);
        }
        let (mut bytes, mut length) = (Zeroizing::new([0; MAX_LENGTH]), 0_usize);
        let whole = base32_bytes(body, |byte| {
            *bytes.get_mut(length)? = byte;
            length = length.saturating_add(1);
            Some(())
        });
        let bytes = bytes.get(..length).unwrap_or_default();
        let (content, check) = bytes.split_last_chunk().ok_or(BundleError::Damaged)?;
        if whole != Ok(true) || checksum(content) != *check {
            return Err(BundleError::Damaged);
        }
        let bundle = Self::decode(content).filter(Self::is_unambiguous);
        bundle.ok_or(BundleError::Content)
    }

    /// `u8 length || lock id || u32 generation || u32 epoch || u64 made_at || u8 oscillator ||
    /// u8 after power loss || u8 test || root 32 || profile || u8 steps`, then, if it has steps, `u8 algorithm
    /// || u8 digits || u64 period || u64 t0 || u16 length || secret`; `u8 passes`, then, if it takes passes, what
    /// [`put_passes`] writes; and the checksum.
    fn encode(&self) -> (Zeroizing<[u8; MAX_LENGTH]>, usize) {
        let mut out = Writer::<MAX_LENGTH>::new();
        let id = self.lock.as_str().as_bytes();
        out.put(&u8::try_from(id.len()).unwrap_or(u8::MAX).to_be_bytes());
        out.put(id);
        out.put(&self.generation.to_be_bytes());
        out.put(&self.epoch.to_be_bytes());
        out.put(&self.made_at.seconds().to_be_bytes());
        out.put(&[self.clock.oscillator.number(), self.clock.after_power_loss.number()]);
        out.put(&[u8::from(self.test)]);
        out.put(self.root.secret().expose());
        self.profile.put(&mut out);
        out.put(&[u8::from(self.steps.is_some())]);
        if let Some(Steps { secret, totp }) = &self.steps {
            let algorithm = Algorithm::ALL.iter().position(|one| *one == totp.algorithm);
            let algorithm = algorithm.and_then(|at| u8::try_from(at).ok()).unwrap_or(u8::MAX);
            out.put(&[algorithm, totp.digits.get()]);
            out.put(&totp.period.get().to_be_bytes());
            out.put(&totp.t0.seconds().to_be_bytes());
            let secret = secret.expose();
            out.put(&u16::try_from(secret.len()).unwrap_or(u16::MAX).to_be_bytes());
            out.put(secret);
        }
        out.put(&[u8::from(self.passes.is_some())]);
        if let Some(passes) = &self.passes {
            put_passes(passes, &mut out);
        }
        let length = out.length();
        let mut bytes = Zeroizing::new(out.finish());
        let check = checksum(bytes.get(..length).unwrap_or_default());
        for (place, byte) in bytes.iter_mut().skip(length).zip(check) {
            *place = byte;
        }
        (bytes, length.saturating_add(CHECK))
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut from = Reader::new(bytes);
        let [length] = from.take()?;
        let lock = core::str::from_utf8(from.slice(usize::from(length))?).ok()?;
        let lock = LockId::parse(lock).ok()?;
        let generation = u32::from_be_bytes(from.take()?);
        let epoch = u32::from_be_bytes(from.take()?);
        let made_at = from.time()?;
        let [oscillator, after, test] = from.take()?;
        let clock = Clock {
            oscillator: Oscillator::from_number(oscillator)?,
            after_power_loss: AfterPowerLoss::from_number(after)?,
        };
        let root = RootKey::from_secret(Secret::from_bytes(from.take()?));
        let profile = Profile::take(&mut from)?;
        let steps = match from.take()? {
            [0] => None,
            [1] => Some(steps(&mut from)?),
            _ => return None,
        };
        let passes = match from.take()? {
            [0] => None,
            [1] => Some(passes(&mut from)?),
            _ => return None,
        };
        let whole = from.is_done() && test <= 1;
        whole.then_some(Self {
            lock,
            generation,
            epoch,
            made_at,
            clock,
            profile,
            root,
            steps,
            passes,
            test: test == 1,
        })
    }
}

fn steps(from: &mut Reader<'_>) -> Option<Steps> {
    let [algorithm, digits] = from.take()?;
    let algorithm = *Algorithm::ALL.get(usize::from(algorithm))?;
    let digits = Digits::new(digits)?;
    let period = NonZeroU64::new(u64::from_be_bytes(from.take()?))?;
    let t0 = from.time()?;
    let length = u16::from_be_bytes(from.take()?);
    let secret = OtpSecret::from_bytes(from.slice(usize::from(length))?)?;
    Some(Steps { secret, totp: Totp { algorithm, digits, period, t0 } })
}

/// `u8 groups || (u8 length || name) ... || u8 keys || (u8 length || key || u64 begin || u64 end) ... ||
/// u8 length || root || u32 rotation || u32 bulletin`; a root of no bytes is none.
fn put_passes(passes: &Passes, out: &mut Writer<MAX_LENGTH>) {
    let count = |count: usize| [u8::try_from(count).unwrap_or(u8::MAX)];
    let put = |out: &mut Writer<MAX_LENGTH>, bytes: &[u8]| {
        out.put(&count(bytes.len()));
        out.put(bytes);
    };
    out.put(&count(passes.groups.iter().count()));
    for group in passes.groups.iter() {
        put(out, group.as_str().as_bytes());
    }
    out.put(&count(passes.keys.iter().count()));
    for TrustedKey { key, window, .. } in passes.keys.iter() {
        put(out, HolderKey::of(key).bytes());
        out.put(&window.from().seconds().to_be_bytes());
        out.put(&window.until().seconds().to_be_bytes());
    }
    let root = passes.root.as_ref().map(HolderKey::of);
    put(out, root.as_ref().map_or(&[], HolderKey::bytes));
    out.put(&passes.rotation.to_be_bytes());
    out.put(&passes.bulletin.to_be_bytes());
}

fn passes(from: &mut Reader<'_>) -> Option<Passes> {
    fn short<'a>(from: &mut Reader<'a>) -> Option<&'a [u8]> {
        let [length] = from.take()?;
        from.slice(usize::from(length))
    }
    fn key(from: &mut Reader<'_>) -> Option<Signer> {
        HolderKey::from_bytes(short(from)?)?.signer()
    }
    let [count] = from.take()?;
    let mut groups = [None; MAX_GROUPS];
    for place in groups.get_mut(..usize::from(count))? {
        *place = Some(Audience::parse(core::str::from_utf8(short(from)?).ok()?)?);
    }
    let [count] = from.take()?;
    let mut keys = [None; MAX_KEYS];
    for place in keys.get_mut(..usize::from(count))? {
        *place = Some((key(from)?, Window::new(from.time()?, from.time()?)?));
    }
    let root = match short(from)? {
        [] => None,
        bytes => Some(HolderKey::from_bytes(bytes)?.signer()?),
    };
    Some(Passes {
        groups: Groups::of(groups.iter().flatten())?,
        keys: TrustedKeys::provisioned(keys.iter().flatten())?,
        root,
        rotation: u32::from_be_bytes(from.take()?),
        bulletin: u32::from_be_bytes(from.take()?),
    })
}

fn checksum(content: &[u8]) -> [u8; CHECK] {
    let hash: [u8; 32] = Sha256::digest(content).into();
    let [a, b, c, d, ..] = hash;
    [a, b, c, d]
}
