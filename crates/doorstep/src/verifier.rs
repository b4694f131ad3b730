//! The one pipeline: counted before compared, spent before granted, both durable.
//!
//! The steps are types without public constructors. [`Attempt`] names a record; only the receipt
//! of that record turns it into [`Counted`], which can be compared; a match names a second
//! record, and only its receipt is a [`Grant`]:
//!
//! ```compile_fail
//! // A grant cannot be made, only reached.
//! let grant = doorstep::verifier::Grant { found: 0_u8, at: doorstep::time::Timestamp::from_seconds(0) };
//! ```
//!
//! When an append is lost to another process, the caller reads the state again. An attempt that
//! was lost was not counted and starts over; a match whose spending was lost keeps its count and
//! tries [`Matched::spend`] again on the new state, which may by then be spent.

use crate::ledger::{Place, Receipt};
use crate::refusal::Refusal;
use crate::throttle::Budget;
use crate::time::{Position, Timestamp, Window};

/// What a verifier's ledger says about a credential at one moment, as far as the pipeline asks.
///
/// [`Standing`] answers for credentials that are used once; those that are used many times
/// ([`crate::otp`]) answer from what they accepted last.
pub trait Ledgered<F> {
    /// Whether an attempt may be made at all, and how many typed ones are left after it.
    ///
    /// # Errors
    /// The refusal, before anything is compared.
    fn admit(&self, means: Means, now: Timestamp) -> Result<Option<u8>, Refusal>;

    /// Whether what a comparison found may be spent.
    ///
    /// # Errors
    /// The refusal when it is spent already, or may no longer be used.
    fn still(&self, found: &F, now: Timestamp) -> Result<(), Refusal>;
}

/// What a verifier's ledger says about one credential at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// When it may be used.
    pub window: Window,
    /// Typed attempts, counted over everything that was ever presented.
    pub budget: Budget,
    /// When it was spent, if it was.
    pub spent: Option<Timestamp>,
}

impl Standing {
    fn open(&self, now: Timestamp) -> Result<(), Refusal> {
        if let Some(at) = self.spent {
            return Err(Refusal::AlreadyUsed { at });
        }
        match self.window.position(now) {
            Position::Before => Err(Refusal::NotYetValid { from: self.window.from() }),
            Position::Inside => Ok(()),
            Position::After => Err(Refusal::Expired { until: self.window.until() }),
        }
    }
}

impl Ledgered<u8> for Standing {
    fn admit(&self, means: Means, now: Timestamp) -> Result<Option<u8>, Refusal> {
        self.open(now)?;
        match means {
            Means::Typed => Ok(Some(self.budget.take()?.left())),
            Means::Scanned => Ok(None),
        }
    }

    fn still(&self, _: &u8, now: Timestamp) -> Result<(), Refusal> {
        self.open(now)
    }
}

/// How something was presented, which decides what an attempt costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "handover", derive(minicbor::Encode, minicbor::Decode), cbor(index_only))]
pub enum Means {
    /// A short code: guessable, so each attempt takes one from the budget.
    #[cfg_attr(feature = "handover", n(1))]
    Typed,
    /// A 128-bit secret: not guessable, so it takes nothing and is taken when the budget is used up.
    #[cfg_attr(feature = "handover", n(2))]
    Scanned,
}

impl Means {
    /// What it is called.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Typed => "typed",
            Self::Scanned => "scanned",
        }
    }
}

/// A method's comparison. It runs once, over all slots or steps, in time that does not depend on
/// what differs.
pub trait Compare {
    /// What a match tells: the slot of a delivery, the step of an authenticator.
    type Found: Copy;

    /// The one whose code was presented.
    fn compare(&self) -> Option<Self::Found>;
}

/// A presentation that may be compared once its record is appended.
#[derive(Debug)]
#[must_use = "an attempt does nothing until its record is appended"]
pub struct Attempt<M> {
    method: M,
    place: Place,
    left: Option<u8>,
}

impl<M: Compare> Attempt<M> {
    /// Asks whether an attempt may be made at all.
    ///
    /// `place` is that of the caller's record of "this credential was tried", which, folded into the
    /// ledger's state, must take one from the budget if the means are [`Means::Typed`].
    ///
    /// # Errors
    /// The refusal: already used, outside the window, or throttled.
    pub fn begin(
        method: M,
        means: Means,
        standing: &impl Ledgered<M::Found>,
        now: Timestamp,
        place: Place,
    ) -> Result<Self, Refusal> {
        let left = standing.admit(means, now)?;
        Ok(Self { method, place, left })
    }

    /// Where the record that counts this attempt must be appended.
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// The attempt is counted.
    ///
    /// # Errors
    /// [`WrongReceipt`] when the receipt was given for another record.
    pub fn counted(self, receipt: Receipt) -> Result<Counted<M>, WrongReceipt> {
        if receipt.fits(&self.place) { Ok(Counted(self)) } else { Err(WrongReceipt) }
    }
}

/// An attempt whose count is durable.
#[derive(Debug)]
#[must_use = "a counted attempt is to be compared"]
pub struct Counted<M>(Attempt<M>);

impl<M: Compare> Counted<M> {
    /// Compares what was presented.
    ///
    /// # Errors
    /// [`Refusal::WrongCode`] with the typed attempts left.
    pub fn compare(self) -> Result<Matched<M>, Refusal> {
        let Attempt { method, left, .. } = self.0;
        match method.compare() {
            Some(found) => Ok(Matched { method, found }),
            None => Err(Refusal::WrongCode { left }),
        }
    }
}

/// A right code that is not spent yet. It grants nothing.
#[derive(Debug)]
#[must_use = "a match grants nothing until its spending is appended"]
pub struct Matched<M: Compare> {
    method: M,
    found: M::Found,
}

impl<M: Compare<Found = u8>> Matched<M> {
    /// The slot whose code was presented.
    #[must_use]
    pub const fn slot(&self) -> u8 {
        self.found
    }
}

impl<M: Compare> Matched<M> {
    /// What the comparison found.
    #[must_use]
    pub const fn found(&self) -> &M::Found {
        &self.found
    }

    /// What was presented, to be sealed into the record.
    pub const fn method(&self) -> &M {
        &self.method
    }

    /// Asks whether the credential may be spent, on the state read last, by the record that belongs at `place`.
    ///
    /// # Errors
    /// The refusal when the credential was spent, or its window ended, in between.
    pub fn spend(
        &self,
        standing: &impl Ledgered<M::Found>,
        now: Timestamp,
        place: Place,
    ) -> Result<Spending<M::Found>, Refusal> {
        standing.still(&self.found, now)?;
        Ok(Spending { found: self.found, at: now, place })
    }
}

/// The spending of a credential, not yet appended.
#[derive(Debug)]
#[must_use = "nothing is granted until the spending is appended"]
pub struct Spending<F = u8> {
    found: F,
    at: Timestamp,
    place: Place,
}

impl<F> Spending<F> {
    /// Where the record must be appended.
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// The credential is spent, so it is granted.
    ///
    /// # Errors
    /// [`WrongReceipt`] when the receipt was given for another record.
    pub fn granted(self, receipt: Receipt) -> Result<Grant<F>, WrongReceipt> {
        if !receipt.fits(&self.place) {
            return Err(WrongReceipt);
        }
        Ok(Grant { found: self.found, at: self.at })
    }
}

/// The yes. It exists only after the spending is durable.
#[derive(Debug)]
pub struct Grant<F = u8> {
    found: F,
    at: Timestamp,
}

impl Grant {
    /// The slot whose code was presented.
    #[must_use]
    pub const fn slot(&self) -> u8 {
        self.found
    }
}

impl<F> Grant<F> {
    /// What the comparison found.
    #[must_use]
    pub const fn found(&self) -> &F {
        &self.found
    }

    /// When, by the verifier's clock.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        self.at
    }
}

/// A receipt was shown for a record it was not given for: a defect of the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongReceipt;

impl core::fmt::Display for WrongReceipt {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("a receipt belongs to another record; this is a defect of the caller")
    }
}

impl core::error::Error for WrongReceipt {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Head;

    #[derive(Debug)]
    struct Right;

    impl Compare for Right {
        type Found = u8;

        fn compare(&self) -> Option<u8> {
            Some(3)
        }
    }

    const NOW: Timestamp = Timestamp::from_seconds(15);

    fn standing(used: u8) -> Standing {
        let at = Timestamp::from_seconds;
        Standing {
            window: Window::new(at(10), at(20)).unwrap(),
            budget: Budget::new(5, used),
            spent: None,
        }
    }

    fn attempt(head: Head) -> Attempt<Right> {
        Attempt::begin(Right, Means::Typed, &standing(0), NOW, Place::of(head, b"tried")).unwrap()
    }

    #[test]
    fn only_the_receipt_of_the_attempt_counts_it() {
        let elsewhere = Head::EMPTY.then(b"another");
        for place in [
            Place::of(Head::EMPTY, b"another record"),
            Place::of(Head::EMPTY, b"tried "),
            Place::of(elsewhere, b"tried"),
        ] {
            assert_eq!(attempt(Head::EMPTY).counted(place.appended()).unwrap_err(), WrongReceipt);
        }
        let attempt = attempt(Head::EMPTY);
        let receipt = attempt.place().appended();
        assert!(attempt.counted(receipt).is_ok());
    }

    #[test]
    fn only_the_receipt_of_the_spending_grants() {
        let attempt = attempt(Head::EMPTY);
        let counted = *attempt.place();
        let matched = attempt.counted(counted.appended()).unwrap().compare().unwrap();
        let spent = Place::of(counted.after, b"spent");
        let spend = || matched.spend(&standing(5), NOW, spent).unwrap();
        for place in
            [counted, Place::of(counted.after, b"spent twice"), Place::of(Head::EMPTY, b"spent")]
        {
            assert_eq!(spend().granted(place.appended()).unwrap_err(), WrongReceipt);
        }
        let spending = spend();
        let receipt = spending.place().appended();
        let grant = spending.granted(receipt).unwrap();
        assert_eq!((grant.slot(), grant.at()), (3, NOW));
    }
}
