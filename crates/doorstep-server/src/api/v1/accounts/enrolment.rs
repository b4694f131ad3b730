//! What a caller says of an authenticator to be, read into what can be enrolled: shared by enrolment
//! and import.

use crate::context::Context;
use crate::http::extract::optional_secret_text;
use crate::http::problem::{Code, FieldError, Problem};
use crate::ids::make_id;
use crate::keys::Keys;
use crate::seal::SealError;
use crate::store::StoreError;
use crate::store::authenticators::{Authenticator, Kind, State};
use crate::{authenticators, text};
use doorstep::otp::hotp::Hotp;
use doorstep::otp::ocra::PinHash;
use doorstep::otp::ocra::suite::Suite;
use doorstep::otp::ocra::verify::codes_per_guess;
use doorstep::otp::otpauth::MAX_PERIOD;
use doorstep::otp::record::State as Remembered;
use doorstep::otp::text::{read_base32, read_hex};
use doorstep::otp::totp::{PERIOD_30, Totp};
use doorstep::otp::window::Window;
use doorstep::otp::{Algorithm, Digits, OtpSecret};
use doorstep::time::Timestamp;
use rusqlite::Connection;
use serde::Deserialize;
use std::num::NonZeroU64;
use subtle::ConstantTimeEq as _;
use utoipa::ToSchema;
use zeroize::Zeroize as _;

/// Shorter secrets, in bytes, are refused even from a token that cannot change: 80 bits.
const SHORTEST_SECRET: usize = 10;

/// Authenticators that an account may have, disabled ones aside: each is one more code that a guess
/// may hit.
const MOST: usize = 8;

/// Codes that one guess may hit, at most: those of the widest window of a clock that is followed.
const MOST_CODES: u64 = 42;

/// How an authenticator moves on.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum KindName {
    /// By a clock.
    Totp,
    /// By a counter.
    Hotp,
    /// By challenges.
    Ocra,
}

/// How a given secret is written.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Encoding {
    /// As `otpauth` has it.
    #[default]
    Base32,
    /// As vendors of hardware do.
    Hex,
}

/// An authenticator to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EnrolAuthenticator {
    kind: KindName,
    /// What tells it from the account's others: up to 64 characters.
    #[serde(default)]
    #[schema(example = "phone", max_length = 64)]
    label: String,
    /// Who the account is with, as the authenticator shows it: up to 64 characters.
    #[schema(example = "Example Ltd", max_length = 64)]
    issuer: Option<String>,
    /// `SHA1` (the default), `SHA256` or `SHA512`; not for OCRA, whose suite names it.
    #[schema(example = "SHA1")]
    algorithm: Option<String>,
    /// 6 (the default) to 8; not for OCRA.
    #[schema(minimum = 6, maximum = 8)]
    digits: Option<u8>,
    /// For TOTP: seconds of a step, 30 when left out.
    #[schema(minimum = 1, maximum = 86400)]
    period: Option<u64>,
    /// For TOTP, and OCRA with a clock: `current`, `current+half-previous`, `current+previous`,
    /// `+-1` (the default) to `+-10`.
    #[schema(example = "+-1")]
    window: Option<String>,
    /// For HOTP, and OCRA with a counter: the next counter, 0 when left out.
    counter: Option<u64>,
    /// For OCRA.
    #[schema(example = "OCRA-1:HOTP-SHA1-6:QN08")]
    suite: Option<String>,
    /// The secret of a token that has one already; made here when left out. At least 80 bits.
    #[serde(default, deserialize_with = "optional_secret_text")]
    secret: Option<String>,
    /// How the given secret is written; `base32` when left out.
    encoding: Option<Encoding>,
    /// For OCRA suites with a PIN; only its hash is kept.
    #[serde(default, deserialize_with = "optional_secret_text")]
    pin: Option<String>,
    /// Whether its codes are taken at once, without a first one: only with a given secret.
    active: Option<bool>,
}

impl Drop for EnrolAuthenticator {
    fn drop(&mut self) {
        self.secret.zeroize();
        self.pin.zeroize();
    }
}

/// What can be enrolled.
pub(crate) struct Enrolment {
    pub(crate) kind: Kind,
    pub(crate) label: String,
    pub(crate) issuer: String,
    /// The next counter.
    pub(crate) counter: u64,
    pin: Option<PinHash>,
    /// A given one.
    pub(crate) secret: Option<OtpSecret>,
    pub(crate) active: bool,
    /// What is odd about it and was taken all the same.
    pub(crate) warnings: Vec<&'static str>,
}

/// Collects what is wrong, so that all of it is told at once.
struct Faults {
    row: Option<usize>,
    prefix: &'static str,
    errors: Vec<FieldError>,
}

impl Faults {
    fn add(&mut self, field: &str, message: impl ToString) {
        let field = format!("{}{field}", self.prefix);
        self.errors.push(FieldError { row: self.row, field, message: message.to_string() });
    }

    /// The field of another kind of authenticator.
    fn foreign(&mut self, field: &str, given: bool) {
        if given {
            self.add(field, "is not for this kind of authenticator");
        }
    }
}

impl EnrolAuthenticator {
    /// Reads it; `active` says what holds when nothing is said. Faults are named by the path of
    /// their field, `prefix` in front.
    pub(crate) fn read(
        mut self,
        active: bool,
        row: Option<usize>,
        prefix: &'static str,
    ) -> Result<Enrolment, Vec<FieldError>> {
        let mut faults = Faults { row, prefix, errors: Vec::new() };
        let mut warnings = Vec::new();
        if let Err(error) = text::label(&self.label) {
            faults.add("label", error);
        }
        let issuer = self.issuer.take().unwrap_or_default().trim().to_owned();
        if let Err(error) = text::label(&issuer) {
            faults.add("issuer", error);
        }
        let kind = match self.kind {
            KindName::Totp => self.read_totp(&mut faults),
            KindName::Hotp => self.read_hotp(&mut faults),
            KindName::Ocra => self.read_ocra(&mut faults),
        };
        let pin = self.read_pin(kind, &mut faults);
        let secret = self.read_secret(&mut warnings, &mut faults);
        if self.active == Some(true) && self.secret.is_none() {
            faults.add("active", "needs the secret of a token; others show their first code");
        }
        let active = self.active.unwrap_or(active);
        match kind {
            Some(kind) if faults.errors.is_empty() => Ok(Enrolment {
                kind,
                label: std::mem::take(&mut self.label),
                issuer,
                counter: self.counter.unwrap_or(0),
                pin,
                secret,
                active,
                warnings,
            }),
            _ => Err(faults.errors),
        }
    }

    fn read_totp(&self, faults: &mut Faults) -> Option<Kind> {
        faults.foreign("counter", self.counter.is_some());
        faults.foreign("suite", self.suite.is_some());
        let (algorithm, digits) = self.read_shape(faults);
        let period = match self.period {
            None => Some(PERIOD_30),
            Some(period) => NonZeroU64::new(period).filter(|period| period.get() <= MAX_PERIOD),
        };
        if period.is_none() {
            faults.add("period", format!("is not between 1 and {MAX_PERIOD} seconds"));
        }
        let window = self.read_window(faults);
        let totp =
            Totp { algorithm: algorithm?, digits: digits?, period: period?, ..Totp::default() };
        Some(Kind::Totp { totp, window: window? })
    }

    fn read_hotp(&self, faults: &mut Faults) -> Option<Kind> {
        faults.foreign("period", self.period.is_some());
        faults.foreign("window", self.window.is_some());
        faults.foreign("suite", self.suite.is_some());
        let (algorithm, digits) = self.read_shape(faults);
        Some(Kind::Hotp(Hotp { algorithm: algorithm?, digits: digits? }))
    }

    fn read_ocra(&self, faults: &mut Faults) -> Option<Kind> {
        for (field, given) in [
            ("algorithm", self.algorithm.is_some()),
            ("digits", self.digits.is_some()),
            ("period", self.period.is_some()),
        ] {
            if given {
                faults.add(field, "is said by the suite");
            }
        }
        let window = self.read_window(faults);
        let Some(suite) = self.suite.as_deref() else {
            faults.add("suite", "is missing, as in OCRA-1:HOTP-SHA1-6:QN08");
            return None;
        };
        let suite = match Suite::parse(suite) {
            Ok(suite) => suite,
            Err(error) => {
                faults.add("suite", error);
                return None;
            }
        };
        if suite.digits().is_none_or(|digits| Digits::new(digits.get()).is_none()) {
            faults.add("suite", "must have 6 to 10 digits, to be typed and not guessed");
            return None;
        }
        faults.foreign("counter", self.counter.is_some() && !suite.has_counter());
        let window = window?;
        let codes = codes_per_guess(&suite, window);
        if codes > MOST_CODES {
            let message = format!(
                "leaves a guess {codes} codes to hit in this suite, more than {MOST_CODES}"
            );
            faults.add("window", message);
            return None;
        }
        Some(Kind::Ocra { suite, window })
    }

    fn read_shape(&self, faults: &mut Faults) -> (Option<Algorithm>, Option<Digits>) {
        let algorithm = match &self.algorithm {
            None => Some(Algorithm::Sha1),
            Some(name) => Algorithm::parse(name),
        };
        if algorithm.is_none() {
            faults.add("algorithm", "is not SHA1, SHA256 or SHA512");
        }
        let digits = self.digits.map_or(Some(Digits::SIX), Digits::for_enrolment);
        if digits.is_none() {
            faults.add("digits", "is not 6, 7 or 8");
        }
        (algorithm, digits)
    }

    fn read_window(&self, faults: &mut Faults) -> Option<Window> {
        let window = self.window.as_deref().map_or(Some(Window::ONE_EACH), Window::parse);
        if window.is_none() {
            faults.add(
                "window",
                "is not current, current+half-previous, current+previous or +-1 to +-10",
            );
        }
        window
    }

    fn read_pin(&self, kind: Option<Kind>, faults: &mut Faults) -> Option<PinHash> {
        let wanted = match kind? {
            Kind::Ocra { suite, .. } => suite.pin(),
            Kind::Totp { .. } | Kind::Hotp(_) => None,
        };
        match (wanted, self.pin.as_deref()) {
            (Some(_), None | Some("")) => faults.add("pin", "is missing: the suite has one"),
            (None, Some(_)) => faults.foreign("pin", true),
            (Some(algorithm), Some(pin)) => return Some(PinHash::derive(algorithm, pin)),
            (None, None) => {}
        }
        None
    }

    fn read_secret(
        &self,
        warnings: &mut Vec<&'static str>,
        faults: &mut Faults,
    ) -> Option<OtpSecret> {
        let Some(text) = self.secret.as_deref() else {
            if self.encoding.is_some() {
                faults.add("encoding", "is of a given secret");
            }
            return None;
        };
        let read = match self.encoding.unwrap_or_default() {
            Encoding::Hex => read_hex(text),
            Encoding::Base32 => read_base32(text).map(|read| read.secret),
        };
        let secret = match read {
            Ok(secret) => secret,
            Err(error) => {
                faults.add("secret", format!("{error} ({})", error.hint()));
                return None;
            }
        };
        if secret.expose().len() < SHORTEST_SECRET {
            faults.add("secret", "has fewer than 80 bits");
            return None;
        }
        if secret.is_weak() {
            warnings.push("weak_secret");
        }
        Some(secret)
    }
}

/// An authenticator with its secret sealed, to be stored once its account is known.
pub(crate) struct Sealed {
    id: String,
    enrolment: Enrolment,
    sealed: Vec<u8>,
    sealed_pin: Option<Vec<u8>>,
    pub(crate) secret: OtpSecret,
}

impl Enrolment {
    /// Draws an id and, unless one was given, a secret.
    pub(crate) fn seal(self, context: &Context, now: Timestamp) -> Result<Sealed, SealError> {
        let id = context.with_rng(|rng| make_id("aut", now, rng));
        let secret = match &self.secret {
            Some(secret) => secret.clone(),
            None => context.with_rng(|rng| OtpSecret::make(rng)),
        };
        let sealed = authenticators::seal(context, &id, &secret)?;
        let sealed_pin =
            self.pin.as_ref().map(|pin| authenticators::seal_pin(context, &id, pin)).transpose()?;
        Ok(Sealed { id, enrolment: self, sealed, sealed_pin, secret })
    }
}

impl Sealed {
    /// Stores it as the account's next authenticator.
    pub(crate) fn store(
        &self,
        keys: &Keys,
        connection: &Connection,
        account: i64,
        now: Timestamp,
    ) -> Result<Result<Authenticator, Problem>, StoreError> {
        let others = crate::store::authenticators::of_account(connection, account)?;
        if others.iter().filter(|other| other.state != State::Disabled).count() >= MOST {
            return Ok(Err(too_many()));
        }
        if let Some(twin) = others.iter().find(|other| self.is_twin_of(keys, other)) {
            return Ok(Err(duplicate_secret(twin)));
        }
        // Numbers of disabled ones stay taken.
        let number = others.last().map_or(1, |last| last.number.saturating_add(1));
        let Enrolment { kind, label, counter, active, .. } = &self.enrolment;
        let authenticator = Authenticator {
            account,
            number,
            id: self.id.clone(),
            state: if *active { State::Active } else { State::Pending },
            kind: *kind,
            label: label.clone(),
            sealed: self.sealed.clone(),
            sealed_pin: self.sealed_pin.clone(),
            remembered: Remembered::counting_from(now, *counter),
            created_at: now,
            activated_at: active.then_some(now),
            last_used_at: None,
        };
        crate::store::authenticators::insert(connection, &authenticator)?;
        Ok(Ok(authenticator))
    }

    /// Whether it has the secret of `other`. Two with one secret would each take a code of it once.
    fn is_twin_of(&self, keys: &Keys, other: &Authenticator) -> bool {
        // One that does not open takes no codes.
        let secret = authenticators::secret(keys, other);
        secret.is_ok_and(|secret| bool::from(secret.ct_eq(&self.secret)))
    }

    pub(crate) const fn enrolment(&self) -> &Enrolment {
        &self.enrolment
    }
}

fn duplicate_secret(twin: &Authenticator) -> Problem {
    let state = twin.state.as_str();
    let message = format!("the account has this secret already, in {} ({state})", twin.id);
    Problem::new(Code::DuplicateSecret, message)
        .hint("a secret is enrolled once in an account, so that its codes are taken once")
}

fn too_many() -> Problem {
    Problem::new(Code::TooManyAuthenticators, format!("the account has {MOST} authenticators"))
        .hint("disable one that is not used any more")
}
