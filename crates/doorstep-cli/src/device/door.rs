//! What happens at the door: one presentation, counted, compared, spent, granted.

use super::journal::{Append, Journal};
use crate::clock::Clock;
use crate::error::CliError;
use crate::randomness::Source;
use doorstep::cose::keys::SoftwareKey;
use doorstep::handover::device::Device;
use doorstep::handover::event::Record;
use doorstep::handover::failure::{Note, Reason};
use doorstep::handover::stop::{AtDoor, ScanText, Whose};
use doorstep::id::DeliveryId;
use doorstep::refusal::Refusal;
use doorstep::time::Timestamp;
use doorstep::verifier::{Attempt, Grant};

/// What the customer presents.
#[derive(Debug)]
pub(crate) enum Presentation {
    /// A code typed at a selected delivery, and whose it is said to be.
    Typed(DeliveryId, String, Whose),
    /// The text of a link or QR code.
    Scanned(String),
}

impl Presentation {
    /// The delivery it is for; a scanned text names its own.
    pub(crate) fn delivery(&self) -> Option<DeliveryId> {
        match self {
            Self::Typed(delivery, _, _) => Some(*delivery),
            Self::Scanned(text) => ScanText::parse(text).ok().map(|text| text.delivery),
        }
    }

    fn attempt(
        &self,
        device: &Device,
        now: Timestamp,
    ) -> Result<(Record, Attempt<AtDoor>), Refusal> {
        match self {
            Self::Typed(delivery, code, whose) => {
                device.attempt_typed(*delivery, code, *whose, now)
            }
            Self::Scanned(text) => device.attempt_scanned(text, now),
        }
    }
}

/// Presents a code. Every append may be lost to another process of the same device; then the state
/// was read again and the step is decided again.
pub(crate) fn present(
    journal: &mut Journal,
    key: &SoftwareKey,
    presentation: &Presentation,
    clock: &Clock,
    rng: &mut Source,
) -> Result<Result<Grant, Refusal>, CliError> {
    let counted = loop {
        let (record, attempt) = match presentation.attempt(journal.device(), clock.now()?) {
            Ok(step) => step,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if let Append::Appended(receipt) = journal.append(&record)? {
            break attempt.counted(receipt).map_err(defect)?;
        }
    };
    let matched = match counted.compare() {
        Ok(matched) => matched,
        Err(refusal) => return Ok(Err(refusal)),
    };
    loop {
        let claiming = match journal.device().claim(&matched, clock.now()?, rng).map_err(defect)? {
            Ok(claiming) => claiming,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let signature = key.sign(&claiming.to_be_signed());
        let (record, spending) = match claiming.signed(&signature) {
            Ok(step) => step,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if let Append::Appended(receipt) = journal.append(&record)? {
            return spending.granted(receipt).map(Ok).map_err(defect);
        }
    }
}

/// Writes down that a delivery could not be handed over; gives back when.
pub(crate) fn fail(
    journal: &mut Journal,
    key: &SoftwareKey,
    delivery: DeliveryId,
    (reason, note): (Reason, &Note),
    clock: &Clock,
) -> Result<Result<Timestamp, Refusal>, CliError> {
    loop {
        let now = clock.now()?;
        let device = journal.device();
        let at = device.now(now);
        let failing = match device.fail(delivery, reason, note.clone(), now) {
            Ok(failing) => failing,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let signature = key.sign(&failing.to_be_signed());
        if let Append::Appended(_) = journal.append(&failing.signed(&signature))? {
            return Ok(Ok(at));
        }
    }
}

fn defect(error: impl std::fmt::Display) -> CliError {
    CliError::new(format!("a defect of doorstep itself: {error}")).hint("please report it")
}
