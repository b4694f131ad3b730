//! An expected no, told by a command: with a reason for machines, and what to do next.

use crate::error::CliError;
use crate::output::{Answer, BAD};
use serde_json::{Value, json};

/// Why a command ends early: the answer is no, or something is broken.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Everything works, and the answer is no.
    Refused(Refused),
    /// A malfunction.
    Failed(CliError),
}

/// An expected no.
#[derive(Debug)]
pub(crate) struct Refused {
    /// A stable name: lower case, underscores.
    pub(crate) reason: &'static str,
    /// What is known.
    pub(crate) message: String,
    /// What to do next.
    pub(crate) hint: String,
    /// What machines are told beside it.
    pub(crate) details: Value,
    /// The same for people: whole lines.
    pub(crate) listing: String,
}

impl Stop {
    /// What a command answers with: a refusal is an answer, a malfunction is none.
    pub(crate) fn settle(said: Result<Answer, Self>) -> Result<Answer, CliError> {
        match said {
            Ok(answer) => Ok(answer),
            Err(Self::Refused(refused)) => Ok(refused.answer()),
            Err(Self::Failed(error)) => Err(error),
        }
    }
}

impl Refused {
    pub(crate) fn new(
        reason: &'static str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        let (message, hint) = (message.into(), hint.into());
        Self { reason, message, hint, details: Value::Null, listing: String::new() }
    }

    /// The refusal as a command's answer.
    pub(crate) fn answer(&self) -> Answer {
        let json = json!({
            "outcome": "refused", "reason": self.reason, "message": self.message,
            "hint": self.hint, "details": self.details,
        });
        let text =
            format!("{BAD}refused{BAD:#}: {}\n{}hint: {}", self.message, self.listing, self.hint);
        Answer::refused(json, text)
    }
}

impl From<CliError> for Stop {
    fn from(error: CliError) -> Self {
        Self::Failed(error)
    }
}

impl From<Refused> for Stop {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}
