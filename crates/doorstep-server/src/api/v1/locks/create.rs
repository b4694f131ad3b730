//! Makes a lock, and shows the bundle that it is provisioned with.

use super::profile::CreateProfile;
use super::{LockView, ProvisionedLock, find};
use crate::context::Context;
use crate::http::extract::ApiJson;
use crate::http::problem::{Code, FieldError, Problem, ProblemBody};
use crate::ids::make_id;
use crate::lock_keys;
use crate::store::locks::{self, Lock};
use crate::store::{set_times, sites};
use crate::text;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use doorstep::clock::{AfterPowerLoss, Clock, Oscillator};
use doorstep::id::LockId;
use doorstep::ledger::Head;
use doorstep::otp::Digits;
use doorstep::otp::totp::{PERIOD_30, Totp};
use serde::Deserialize;
use std::num::NonZeroU64;
use std::sync::Arc;
use utoipa::ToSchema;

/// Seconds that the codes of a door may be current.
const PERIODS: std::ops::RangeInclusive<u64> = 10..=300;

/// A lock to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateLock {
    /// Where it is: 1 to 64 characters. A site that is named for the first time gets a key of its own.
    #[schema(example = "Riverside", min_length = 1, max_length = 64)]
    site: String,
    /// What it is called: 1 to 64 characters, and no other lock of the site is.
    #[schema(example = "Court 3", min_length = 1, max_length = 64)]
    name: String,
    profile: CreateProfile,
    /// What counts its seconds: `crystal` (when left out), `compensated` or `calibrated`.
    #[schema(example = "crystal")]
    #[serde(default)]
    oscillator: Option<String>,
    /// What it does when its power was off: `need_time` (when left out) opens for nobody until somebody sets
    /// the time; `trust_90min` goes on, and who can cut the power can stretch a PIN by as long.
    #[schema(example = "need_time")]
    #[serde(default)]
    after_power_loss: Option<String>,
    /// For a door that also takes TOTP codes.
    #[serde(default)]
    totp: Option<CreateTotp>,
}

/// The TOTP codes of a door.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateTotp {
    /// 6 to 8, and not as many as PINs have; 8 when left out.
    #[schema(minimum = 6, maximum = 8)]
    #[serde(default)]
    digits: Option<u8>,
    /// Seconds that a code is current, 10 to 300; 30 when left out.
    #[schema(minimum = 10, maximum = 300)]
    #[serde(default)]
    period: Option<u64>,
}

/// Makes a lock. Its bundle is shown once.
#[utoipa::path(post, path = "/v1/locks", tag = "locks", operation_id = "create_lock",
    security(("api_key" = [])), request_body = CreateLock,
    responses((status = 201, description = "the lock and its bundle", body = ProvisionedLock), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    ApiJson(request): ApiJson<CreateLock>,
) -> Result<(StatusCode, Json<ProvisionedLock>), Problem> {
    let (mut lock, totp) = request.read(&context)?;
    let id = lock.id.to_string();
    if let Some(totp) = totp {
        lock.steps = Some(lock_keys::make_steps(&context, &id, totp)?);
    }
    let sealed_key = lock_keys::make_site_key(&context, &lock.site)?;
    let inner = Arc::clone(&context);
    let answer = context
        .store
        .write(move |connection| {
            let now = lock.provisioned_at;
            let site = match sites::find(connection, &lock.site)? {
                Some(site) => site.seq,
                None => sites::insert(connection, &lock.site, &sealed_key, now)?,
            };
            locks::insert(connection, site, &lock)?.ok_or_else(duplicate)?;
            set_times::tell(connection, now)?;
            let lock = find(connection, &id)?;
            let bundle = lock_keys::bundle(&inner.keys, inner.mode(), &lock)?;
            Ok::<_, Problem>(ProvisionedLock::new(LockView::new(&lock, now)?, &bundle))
        })
        .await?;
    Ok((StatusCode::CREATED, Json(answer)))
}

impl CreateLock {
    fn read(self, context: &Context) -> Result<(Lock, Option<Totp>), Problem> {
        let mut errors = Vec::new();
        let mut note = |field: &str, message: String| {
            errors.push(FieldError { row: None, field: field.to_owned(), message });
        };
        for (field, text) in [("site", &self.site), ("name", &self.name)] {
            if let Err(error) = text::reference(text) {
                note(field, error.to_string());
            }
        }
        let oscillator = match self.oscillator.as_deref() {
            None => Some(Oscillator::Crystal),
            Some(name) => Oscillator::parse(name),
        };
        if oscillator.is_none() {
            note("oscillator", "is none of crystal, compensated, calibrated".to_owned());
        }
        let after_power_loss = match self.after_power_loss.as_deref() {
            None => Some(AfterPowerLoss::NeedTime),
            Some(name) => AfterPowerLoss::parse(name),
        };
        if after_power_loss.is_none() {
            note("after_power_loss", "is none of need_time, trust_90min".to_owned());
        }
        let profile = self.profile.read();
        let pins = profile.as_ref().ok().map(|(_, _, profile)| profile.digits().get());
        let totp = self.totp.map(|totp| totp.read(pins)).transpose();
        match (profile, totp, oscillator, after_power_loss) {
            (Ok((kind, uses, profile)), Ok(totp), Some(oscillator), Some(after_power_loss))
                if errors.is_empty() =>
            {
                let now = context.now();
                let id = context.with_rng(|rng| make_id("lck", now, rng));
                let id = LockId::parse(&id).map_err(|error| Problem::internal(&error))?;
                let lock = Lock {
                    seq: 0,
                    id,
                    site: self.site,
                    sealed_key: Vec::new(),
                    name: self.name,
                    generation: 1,
                    epoch: 0,
                    announced: false,
                    pending: None,
                    kind,
                    uses,
                    profile,
                    clock: Clock { oscillator, after_power_loss },
                    steps: None,
                    created_at: now,
                    provisioned_at: now,
                    head: Head::EMPTY,
                    state: None,
                    last_contact: None,
                    forked_at: None,
                };
                Ok((lock, totp))
            }
            (profile, totp, ..) => {
                errors.extend(profile.err());
                errors.extend(totp.err());
                Err(Problem::fields(errors))
            }
        }
    }
}

impl CreateTotp {
    fn read(&self, pins: Option<u8>) -> Result<Totp, FieldError> {
        let wrong = |field: &str, message: String| FieldError {
            row: None,
            field: format!("totp.{field}"),
            message,
        };
        let digits = self.digits.map_or(Some(Digits::EIGHT), Digits::for_enrolment);
        let digits = digits.ok_or_else(|| wrong("digits", "is not 6 to 8".to_owned()))?;
        if pins == Some(digits.get()) {
            let message = format!(
                "are {}, as many as PINs have: the keypad could not tell them apart",
                digits.get()
            );
            return Err(wrong("digits", message));
        }
        let period = self.period.unwrap_or(PERIOD_30.get());
        let period = NonZeroU64::new(period).filter(|period| PERIODS.contains(&period.get()));
        let period =
            period.ok_or_else(|| wrong("period", "is not 10 to 300 seconds".to_owned()))?;
        Ok(Totp { digits, period, ..Totp::default() })
    }
}

fn duplicate() -> Problem {
    Problem::new(Code::DuplicateName, "another lock of this site has this name")
        .hint("GET /v1/locks?site=...&name=... shows it")
}
