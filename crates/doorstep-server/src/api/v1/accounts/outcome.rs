//! Yes or no, as every endpoint that takes a code answers: a no is an answer, not an error.

use crate::presentation::Presentation;
use crate::utc::Utc;
use doorstep::otp;
use doorstep::otp::verify::Accepted;
use doorstep::refusal::Refusal;
use doorstep::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// Yes or no. A no is an answer, not an error.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Outcome {
    /// `granted`, `refused`, or `continue` after the first code of a resync, which opens nothing.
    #[schema(example = "granted")]
    outcome: &'static str,
    /// The server's time, so that a clock that is wrong is noticed.
    server_time: Utc,
    /// The account's id, if there is such an account.
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    /// The id of the authenticator whose code it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    authenticator: Option<String>,
    /// The step or counter that is spent now.
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<u64>,
    /// How many steps, or counters, it is from the expected one.
    #[serde(skip_serializing_if = "Option::is_none")]
    shift: Option<i64>,
    /// Why it was taken: `current`, `window`, `drift`, `look_ahead` or `resync`.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'static str>,
    /// When it was granted.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<Utc>,
    /// A token for the device that was let in, if one was asked for: whoever shows it has attempts of
    /// its own. Shown once.
    #[serde(skip_serializing_if = "Option::is_none")]
    known_device: Option<String>,
    /// After a recovery code: how many are left.
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery_codes_left: Option<usize>,
    /// Seconds of the authenticator's step, as its first code showed.
    #[serde(skip_serializing_if = "Option::is_none")]
    period: Option<u64>,
    /// After the first code of a resync: that the next one is awaited.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<&'static str>,
    /// Why not: `unknown`, `revoked`, `mistyped`, `wrong_code`, `already_used`, `throttled`,
    /// `not_yet_valid` or `expired`.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// The reason in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// What can be done about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'static str>,
    /// How often another code is compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts_left: Option<u8>,
    /// For `not_yet_valid`: from when on.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Utc>,
    /// For `throttled`: when another attempt is taken. For `expired`: since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Utc>,
    /// For `already_used`: when.
    #[serde(skip_serializing_if = "Option::is_none")]
    accepted_at: Option<Utc>,
}

impl Outcome {
    const fn new(outcome: &'static str, now: Timestamp) -> Self {
        Self {
            outcome,
            server_time: Utc(now),
            account: None,
            authenticator: None,
            step: None,
            shift: None,
            why: None,
            at: None,
            known_device: None,
            recovery_codes_left: None,
            period: None,
            next: None,
            reason: None,
            message: None,
            hint: None,
            attempts_left: None,
            from: None,
            until: None,
            accepted_at: None,
        }
    }

    /// The yes to a presentation.
    pub(crate) fn granted(presentation: &Presentation<'_>) -> Self {
        let now = presentation.now;
        Self {
            account: Some(presentation.account.id.clone()),
            at: Some(Utc(now)),
            ..Self::new("granted", now)
        }
    }

    /// The no to a presentation.
    pub(crate) fn refused(presentation: &Presentation<'_>, refusal: &Refusal) -> Self {
        Self {
            account: Some(presentation.account.id.clone()),
            attempts_left: Some(presentation.attempts_left()),
            ..Self::no(refusal, presentation.now)
        }
    }

    /// The no to whoever names an account that is not there.
    pub(crate) fn unknown(now: Timestamp) -> Self {
        Self::no(&Refusal::Unknown, now)
    }

    /// The no to anybody, before an account is looked for.
    pub(crate) fn no(refusal: &Refusal, now: Timestamp) -> Self {
        let mut no = Self {
            reason: Some(refusal.code()),
            message: Some(refusal.to_string()),
            hint: Some(otp::hint(refusal)),
            ..Self::new("refused", now)
        };
        match *refusal {
            Refusal::AlreadyUsed { at } => no.accepted_at = Some(Utc(at)),
            Refusal::Expired { until } => no.until = Some(Utc(until)),
            Refusal::NotYetValid { from } => no.from = Some(Utc(from)),
            Refusal::Throttled { until } => no.until = until.map(Utc),
            _ => {}
        }
        no
    }

    /// What can be done about it, where that is not about an authenticator's codes.
    pub(crate) fn hint(self, hint: &'static str) -> Self {
        Self { hint: Some(hint), ..self }
    }

    /// For what takes no attempts.
    pub(crate) fn without_attempts(self) -> Self {
        Self { attempts_left: None, ..self }
    }

    pub(crate) fn authenticator(self, id: &str) -> Self {
        Self { authenticator: Some(id.to_owned()), ..self }
    }

    pub(crate) fn accepted(self, accepted: &Accepted) -> Self {
        Self {
            step: Some(accepted.step),
            shift: Some(accepted.shift),
            why: Some(accepted.why.code()),
            ..self
        }
    }

    pub(crate) fn step(self, step: Option<u64>) -> Self {
        Self { step, ..self }
    }

    pub(crate) fn known_device(self, token: Option<String>) -> Self {
        Self { known_device: token, ..self }
    }

    pub(crate) fn recovery_codes_left(self, left: usize) -> Self {
        Self { recovery_codes_left: Some(left), ..self }
    }

    pub(crate) fn period(self, period: Option<u64>) -> Self {
        Self { period, ..self }
    }

    /// The first code of a resync was found; it opens nothing.
    pub(crate) fn first(self) -> Self {
        let next = Some("present the code that follows");
        Self { outcome: "continue", at: None, next, ..self }
    }
}
