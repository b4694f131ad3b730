//! One thing held to the lock: counted, verified, learned from, spent, opened. All of it happens while no other
//! process can append.

use super::Awake;
use super::door::defect;
use crate::error::CliError;
use doorstep::pass::claims::Pass;
use doorstep::pass::document::Content;
use doorstep::pass::exchange::answer::Answer;
use doorstep::pass::presented::{Presented, PresentedPass, PresentedRider};
use doorstep::pass::proof::Challenge;
use doorstep::pass::reader::{Moment, Reader};
use doorstep::pass::rider::Rider;
use doorstep::refusal::Refusal;

/// The challenges that a presentation may answer, as old as they are.
#[derive(Debug, Default)]
pub(crate) struct Challenges {
    /// What this phone was sent to prove its pass.
    pub(crate) proof: Option<Challenge>,
    /// What all phones are sent while the lock wants the time.
    pub(crate) time: Option<Challenge>,
}

/// What became of something presented.
#[derive(Debug)]
pub(crate) enum Judged {
    /// The bolt moves.
    Opened(Pass),
    /// A rider took effect.
    Taken(Rider),
    /// No.
    Refused {
        refusal: Refusal,
        /// The authentic pass or rider that it was.
        found: Option<Content>,
    },
}

impl Judged {
    /// What whoever presented it is told.
    pub(crate) const fn answer(&self) -> Answer {
        match self {
            Self::Opened(_) => Answer::Opened,
            Self::Taken(_) => Answer::Taken,
            Self::Refused { refusal, .. } => Answer::of(refusal),
        }
    }
}

/// A lock that was not provisioned for passes.
pub(crate) fn takes_none() -> CliError {
    CliError::new("this lock takes no passes")
        .hint("type a code: doorstep lock press. A lock takes passes if it was made so, at the server: doorstep lock new")
        .code("no_passes")
}

impl Awake<'_> {
    /// Judges a pass, with its proof if it has a holder, or a rider.
    pub(crate) fn present(
        &mut self,
        bytes: &[u8],
        challenges: Challenges,
    ) -> Result<Judged, CliError> {
        let door = self.door;
        let reader = door.reader().ok_or_else(takes_none)?;
        let refused = |refusal: Refusal| Judged::Refused { refusal, found: None };
        match Presented::parse(bytes) {
            Err(malformed) => Ok(refused(malformed.into())),
            Ok(Presented::Pass(pass)) => self.present_pass(reader, &pass, challenges.proof),
            Ok(Presented::Rider(rider)) => self.present_rider(reader, &rider, challenges.time),
        }
    }

    fn present_pass(
        &mut self,
        reader: &Reader,
        presented: &PresentedPass<'_>,
        challenge: Option<Challenge>,
    ) -> Result<Judged, CliError> {
        let no = |refusal, found| Ok(Judged::Refused { refusal, found });
        let (moment, head) = (self.moment(), self.known.head);
        let begun = reader.begin(&moment, &self.known.state.passes, presented, challenge, head);
        let (attempt, tried) = match begun {
            Ok(begun) => begun,
            Err(refusal) => return no(refusal, None),
        };
        let receipt = self.append_at(attempt.place(), tried.into())?;
        let matched = match attempt.counted(receipt).map_err(defect)?.compare() {
            Ok(matched) => matched,
            Err(refusal) => return no(refusal, None),
        };
        let (learning, verified) = reader.verified(&self.moment(), &matched, self.known.head);
        let receipt = self.append_at(learning.place(), verified.into())?;
        let learned = learning.learned(receipt).map_err(defect)?;
        let (moment, head) = (self.moment(), self.known.head);
        match reader.spend(&moment, &self.known.state.passes, &learned, head) {
            Ok((spending, opened)) => {
                let receipt = self.append_at(spending.place(), opened.into())?;
                Ok(Judged::Opened(*spending.granted(receipt).map_err(defect)?.found()))
            }
            Err(refusal) => no(refusal, Some(Content::Pass(*matched.found()))),
        }
    }

    fn present_rider(
        &mut self,
        reader: &Reader,
        presented: &PresentedRider<'_>,
        challenge: Option<Challenge>,
    ) -> Result<Judged, CliError> {
        let no = |refusal, found| Ok(Judged::Refused { refusal, found });
        let (moment, head) = (self.moment(), self.known.head);
        let state = &self.known.state.passes;
        let (attempt, tried) = match reader.begin_rider(&moment, state, presented, challenge, head)
        {
            Ok(begun) => begun,
            Err(refusal) => return no(refusal, None),
        };
        let receipt = self.append_at(attempt.place(), tried.into())?;
        let matched = match attempt.counted(receipt).map_err(defect)?.compare() {
            Ok(matched) => matched,
            Err(refusal) => return no(refusal, None),
        };
        let (moment, head) = (self.moment(), self.known.head);
        match reader.spend_rider(&moment, &self.known.state.passes, &matched, head) {
            Ok((spending, taken)) => {
                let receipt = self.append_at(spending.place(), taken.into())?;
                Ok(Judged::Taken(*spending.granted(receipt).map_err(defect)?.found()))
            }
            Err(refusal) => no(refusal, Some(Content::Rider(*matched.found()))),
        }
    }

    /// What the reader must know, at the last record.
    fn moment(&self) -> Moment {
        self.door.pass_moment(&self.known.state, self.elapsed())
    }
}
