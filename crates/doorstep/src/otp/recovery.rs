//! Recovery codes: what lets the holder in who has lost every authenticator. Each works once.
//!
//! They have 60 bits, so that nobody guesses them: presenting one takes no attempt, and whoever
//! used up an account's attempts cannot keep its holder from recovering it.

use super::record::{Event, Presenter, Record};
use crate::code::{Code, Shape};
use crate::ledger::Head;
use crate::refusal::Refusal;
use crate::secret::Secret;
use crate::time::Timestamp;
use crate::verifier::{Attempt, Compare, Ledgered, Matched, Means, Spending};
use core::fmt;
use hmac::{Hmac, KeyInit, Mac};
use rand_core::CryptoRng;
use sha2::Sha256;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

/// How many codes a set has.
pub const SET: u8 = 10;

/// What the holder of recovery codes can do about a refusal.
#[must_use]
pub const fn hint(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::AlreadyUsed { .. } => "each recovery code works once; use another one",
        Refusal::Mistyped => "type all twelve symbols of one recovery code, and nothing else",
        Refusal::Unknown => {
            "check the name of the account, and that recovery codes were made for it"
        }
        Refusal::WrongCode { .. } => {
            "check that it is the newest sheet of this account: each makes those before it void"
        }
        other => super::hint(other),
    }
}

/// Draws a recovery code: 12 Crockford symbols.
pub fn make(rng: &mut (impl CryptoRng + ?Sized)) -> Code {
    Code::make(Shape::RECOVERY, rng)
}

/// What is stored of a code: HMAC-SHA-256 under the verifier's `pepper` over
/// `"doorstep/recovery/v1" || u64 length of the account's name || name || code`. It is of no use for
/// another account.
#[must_use]
pub fn derive_mac(pepper: &Secret<32>, account: &[u8], code: &Code) -> [u8; 32] {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(pepper.expose()) else {
        return [0; 32];
    };
    mac.update(b"doorstep/recovery/v1");
    mac.update(&u64::try_from(account.len()).unwrap_or(u64::MAX).to_be_bytes());
    mac.update(account);
    mac.update(code.expose());
    mac.finalize().into_bytes().into()
}

/// A code that is held.
#[derive(Clone, Copy)]
pub struct Held {
    /// Its number in the account.
    pub number: u8,
    /// See [`derive_mac`].
    pub mac: [u8; 32],
    /// When it was used, if it was.
    pub used: Option<Timestamp>,
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("number", &self.number).finish_non_exhaustive()
    }
}

/// Asks for a typed recovery code to be compared. The record must be appended first.
///
/// # Errors
/// [`Refusal::Mistyped`]; [`Refusal::Unknown`] when the account has no recovery codes.
pub fn begin<'a>(
    held: &'a [Held],
    pepper: &Secret<32>,
    account: &[u8],
    presenter: &Presenter,
    typed: &str,
    now: Timestamp,
    head: Head,
) -> Result<(Attempt<Presented<'a>>, Record), Refusal> {
    let code = Code::parse(typed, Shape::RECOVERY).map_err(|_| Refusal::Mistyped)?;
    if held.is_empty() {
        return Err(Refusal::Unknown);
    }
    let method = Presented { held, mac: derive_mac(pepper, account, &code) };
    let record = presenter.record(now, Event::TriedRecovery);
    let standing = Standing { presenter, held };
    let attempt = Attempt::begin(method, Means::Scanned, &standing, now, record.place(head))?;
    Ok((attempt, record))
}

/// Names the record that spends a recovery code, on the codes read last.
///
/// # Errors
/// [`Refusal::AlreadyUsed`]; [`Refusal::Unknown`] when the set was replaced in between.
pub fn spend(
    matched: &Matched<Presented<'_>>,
    held: &[Held],
    presenter: &Presenter,
    now: Timestamp,
    head: Head,
) -> Result<(Spending<u8>, Record), Refusal> {
    let record = presenter.record(now, Event::Recovered { code: *matched.found() });
    let standing = Standing { presenter, held };
    Ok((matched.spend(&standing, now, record.place(head))?, record))
}

/// A recovery code, and those it is compared with.
pub struct Presented<'a> {
    held: &'a [Held],
    mac: [u8; 32],
}

impl fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Presented(..)")
    }
}

impl Compare for Presented<'_> {
    type Found = u8;

    fn compare(&self) -> Option<u8> {
        let (mut found, mut number) = (Choice::from(0), 0);
        for held in self.held {
            let same = held.mac.ct_eq(&self.mac);
            number.conditional_assign(&held.number, same);
            found |= same;
        }
        bool::from(found).then_some(number)
    }
}

struct Standing<'a> {
    presenter: &'a Presenter,
    held: &'a [Held],
}

impl Ledgered<u8> for Standing<'_> {
    fn admit(&self, means: Means, now: Timestamp) -> Result<Option<u8>, Refusal> {
        self.presenter.admit(means, now)
    }

    fn still(&self, found: &u8, _: Timestamp) -> Result<(), Refusal> {
        let held = self.held.iter().find(|held| held.number == *found);
        match held.ok_or(Refusal::Unknown)?.used {
            Some(at) => Err(Refusal::AlreadyUsed { at }),
            None => Ok(()),
        }
    }
}
