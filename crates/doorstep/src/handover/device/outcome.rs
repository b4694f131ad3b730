//! What a device says came of a delivery: the claims of a grant and of a failure.

use super::super::claim::{Claim, Evidence, Outcome};
use super::super::event::{Event, Record};
use super::super::failure::{Note, Reason};
use super::super::stop::{AtDoor, Stop};
use super::Device;
use crate::cose::Invalid;
use crate::cose::sign1::Unsigned;
use crate::id::DeliveryId;
use crate::ledger::{Head, Place};
use crate::refusal::Refusal;
use crate::time::Timestamp;
use crate::verifier::{Matched, Spending, Standing};
use alloc::vec::Vec;
use rand_core::CryptoRng;

impl Device {
    /// Writes the claim for a match, on the state as it is now. When its append is lost, read the
    /// journal again and write the claim again: the attempt stays counted.
    ///
    /// # Errors
    /// The refusal, when the delivery was spent, withdrawn or given a newer code in between; [`Invalid::Key`] never,
    /// once a device is enrolled.
    pub fn claim<'m>(
        &self,
        matched: &'m Matched<AtDoor>,
        clock: Timestamp,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Result<Claiming<'m>, Refusal>, Invalid> {
        let Stop { delivery, generation, .. } = matched.method().stop;
        let newest = self.stop(delivery);
        let Some(known) = newest.filter(|known| known.stop.generation >= generation) else {
            return Ok(Err(Refusal::Unknown));
        };
        if known.stop.generation > generation || (known.withdrawn && known.spent.is_none()) {
            return Ok(Err(Refusal::Superseded));
        }
        if let Some(at) = known.spent {
            return Ok(Err(Refusal::AlreadyUsed { at }));
        }
        let presented = &matched.method().presented;
        let agreement_key = self.identity.agreement_key()?;
        let evidence =
            Evidence::seal(delivery, generation, matched.slot(), presented, &agreement_key, rng)?;
        let at = self.now(clock);
        let outcome = Outcome::Granted { slot: matched.slot(), means: presented.means(), evidence };
        let unsigned = self.next(&known.stop, at, outcome).unsigned(&self.key);
        Ok(Ok(Claiming { matched, standing: known.standing(), head: self.head(), at, unsigned }))
    }

    fn next(&self, stop: &Stop, at: Timestamp, outcome: Outcome) -> Claim {
        Claim {
            issuer: self.identity.issuer,
            device: self.identity.device,
            number: self.next_claim(),
            previous: self.last_claim,
            delivery: stop.delivery,
            generation: stop.generation,
            at,
            signed_time: self.signed_time,
            outcome,
        }
    }

    /// Writes the claim that a delivery was not handed over. Nothing is spent: its code goes on to
    /// be taken in its window. When the append is lost, read the journal again and decide again.
    ///
    /// # Errors
    /// The refusal, when the device does not have the delivery, or handed it over.
    pub fn fail(
        &self,
        delivery: DeliveryId,
        reason: Reason,
        note: Note,
        clock: Timestamp,
    ) -> Result<Failing, Refusal> {
        let known = self.stop(delivery).ok_or(Refusal::Unknown)?;
        if let Some(at) = known.spent {
            return Err(Refusal::AlreadyUsed { at });
        }
        if known.withdrawn {
            return Err(Refusal::Superseded);
        }
        let at = self.now(clock);
        let claim = self.next(&known.stop, at, Outcome::Failed { reason, note });
        Ok(Failing { head: self.head(), at, unsigned: claim.unsigned(&self.key) })
    }
}

/// A claim that waits for the device's signature.
#[derive(Debug)]
pub struct Claiming<'m> {
    matched: &'m Matched<AtDoor>,
    standing: Standing,
    head: Head,
    at: Timestamp,
    unsigned: Unsigned,
}

impl Claiming<'_> {
    /// The bytes that the device's key signs.
    #[must_use]
    pub fn to_be_signed(&self) -> Vec<u8> {
        self.unsigned.to_be_signed()
    }

    /// The record that spends the delivery.
    ///
    /// # Errors
    /// The refusal, when the window ended meanwhile.
    pub fn signed(self, signature: &[u8; 64]) -> Result<(Record, Spending), Refusal> {
        let event = Event::Claimed(self.unsigned.signed(signature), self.at);
        let record = Record::new(&event, self.head);
        let place = Place::of(self.head, record.body());
        let spending = self.matched.spend(&self.standing, self.at, place)?;
        Ok((record, spending))
    }
}

/// A claim of a failure that waits for the device's signature.
#[derive(Debug)]
pub struct Failing {
    head: Head,
    at: Timestamp,
    unsigned: Unsigned,
}

impl Failing {
    /// The bytes that the device's key signs.
    #[must_use]
    pub fn to_be_signed(&self) -> Vec<u8> {
        self.unsigned.to_be_signed()
    }

    /// The record of the failure.
    #[must_use]
    pub fn signed(self, signature: &[u8; 64]) -> Record {
        Record::new(&Event::Claimed(self.unsigned.signed(signature), self.at), self.head)
    }
}
