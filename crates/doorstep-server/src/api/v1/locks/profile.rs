//! A lock's profile as it is asked for and shown: what windows it has, for how many holders, and how
//! likely a guess opens.

use crate::http::problem::FieldError;
use crate::store::locks::{Kind, Lock, parse_uses, uses_name};
use doorstep::door::Steps;
use doorstep::keypad::odds::Odds;
use doorstep::keypad::profile::{Profile, ProfileError, Uses};
use doorstep::keypad::tuple::{Class, PinDigits};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Minutes of a day.
const DAY: u32 = 24 * 60;

/// Nights of a profile of stays when nobody says otherwise.
const NIGHTS: u8 = 14;

/// What windows a lock is to have.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateProfile {
    /// `courts`: 30 minutes to 4 hours, each quarter of an hour, one party at a time. `general`: half an
    /// hour to 28 days, several parties at once. `stays`: nights, one party at a time.
    #[schema(example = "courts")]
    kind: String,
    /// For stays: the hour of arrival, in UTC. Where clocks change, the earlier one of the year.
    #[schema(example = "14:00")]
    #[serde(default)]
    check_in: Option<String>,
    /// For stays: the hour of departure, in UTC, at most 12 hours before that of arrival, over midnight or
    /// not. Where clocks change, the later one of the year.
    #[schema(example = "10:00")]
    #[serde(default)]
    check_out: Option<String>,
    /// For stays: the most nights, 1 to 32; 14 when left out.
    #[schema(minimum = 1, maximum = 32)]
    #[serde(default)]
    nights: Option<u8>,
    /// How often PINs open: `many` (when left out), `once`, or `both` for bookings of either kind.
    #[schema(example = "many")]
    #[serde(default)]
    uses: Option<String>,
    /// How many have PINs for one window at once; 2 when left out. With generations at most 16.
    #[schema(minimum = 1, maximum = 16)]
    #[serde(default)]
    holders: Option<u8>,
    /// How many PINs each holder of a window can have, one after the other; 2 when left out.
    #[schema(minimum = 1, maximum = 16)]
    #[serde(default)]
    generations: Option<u8>,
    /// Digits of a PIN, 6 to 10; when left out, the least that keep a robot that types for a year below 1 %.
    #[schema(minimum = 6, maximum = 10)]
    #[serde(default)]
    digits: Option<u8>,
}

impl CreateProfile {
    /// Reads the profile.
    pub(crate) fn read(&self) -> Result<(Kind, Uses, Profile), FieldError> {
        let kind = Kind::parse(&self.kind)
            .map_err(|()| wrong("kind", "is none of courts, general, stays"))?;
        let uses = self.uses.as_deref().map_or(Ok(Uses::Many), parse_uses);
        let uses = uses.map_err(|()| wrong("uses", "is none of many, once, both"))?;
        if kind != Kind::Stays {
            let given = [
                ("check_in", self.check_in.is_some()),
                ("check_out", self.check_out.is_some()),
                ("nights", self.nights.is_some()),
            ];
            if let Some((field, _)) = given.iter().find(|(_, given)| *given) {
                return Err(wrong(field, "is for stays only"));
            }
        }
        let profile = match kind {
            Kind::Courts => Profile::courts(),
            Kind::General => Profile::general(),
            Kind::Stays => {
                let check_in = hour("check_in", self.check_in.as_deref())?;
                let check_out = hour("check_out", self.check_out.as_deref())?;
                let nights = self.nights.unwrap_or(NIGHTS);
                if nights == 0 {
                    return Err(wrong("nights", "is 0"));
                }
                Profile::stays(check_in, check_out, nights)
            }
        };
        let lanes = (self.holders.unwrap_or(2), self.generations.unwrap_or(2));
        let profile = profile
            .and_then(|profile| profile.with_holders(lanes.0, lanes.1))
            .and_then(|profile| profile.with_uses(uses))
            .map_err(|error| {
                let field = match error {
                    ProfileError::CheckOut => "profile.check_out",
                    _ => "profile",
                };
                FieldError { row: None, field: field.to_owned(), message: error.to_string() }
            })?;
        let Some(digits) = self.digits else { return Ok((kind, uses, profile)) };
        let digits = PinDigits::new(digits).ok_or_else(|| wrong("digits", "is not 6 to 10"))?;
        Ok((kind, uses, profile.with_digits(digits)))
    }
}

fn wrong(field: &str, message: &str) -> FieldError {
    FieldError { row: None, field: format!("profile.{field}"), message: message.to_owned() }
}

/// Minutes of the day.
fn hour(field: &str, text: Option<&str>) -> Result<u16, FieldError> {
    let text = text.ok_or_else(|| wrong(field, "is needed for stays, as in 14:00 (UTC)"))?;
    let read = || {
        let (hours, minutes) = text.split_once(':')?;
        let number = |text: &str, below: u16| {
            let plain = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|number: &u16| plain && *number < below)
        };
        Some(number(hours, 24)?.saturating_mul(60).saturating_add(number(minutes, 60)?))
    };
    read().ok_or_else(|| wrong(field, "is not a time of the day in UTC, as in 14:00"))
}

/// A profile, with all that can be booked.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProfileView {
    /// `courts`, `general` or `stays`.
    kind: &'static str,
    /// For stays: the hour of arrival, in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    check_in: Option<String>,
    /// For stays: the hour of departure, in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    check_out: Option<String>,
    /// For stays: the most nights.
    #[serde(skip_serializing_if = "Option::is_none")]
    nights: Option<usize>,
    /// `many`, `once` or `both`.
    uses: &'static str,
    /// Digits of a PIN; its long form has five more.
    digits: u8,
    /// Whether one party at a time has the place: then the first use of a PIN ends those that began
    /// earlier.
    exclusive: bool,
    /// How many have PINs for one window at once.
    holders: u8,
    /// How many PINs each of them can have, one after the other.
    generations: u8,
    /// The kinds of windows. A booking is rounded outward to the shortest that holds it.
    grid: Vec<ClassView>,
    /// The longest window.
    longest_minutes: u64,
}

/// A kind of window.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ClassView {
    /// How long it is.
    minutes: u32,
    /// From one beginning to the next.
    quantum_minutes: u16,
    /// Beginnings are this long after multiples of the quantum since 1970, in UTC.
    phase_minutes: u16,
    /// Whether its PINs open once.
    once: bool,
}

impl From<&Lock> for ProfileView {
    fn from(lock: &Lock) -> Self {
        let profile = &lock.profile;
        let stays = if lock.kind == Kind::Stays { profile.classes() } else { &[] };
        let first = stays.first();
        let check_out = |class: &Class| {
            class.duration.saturating_add(class.phase.into()).checked_rem(DAY).unwrap_or(0)
        };
        let once = stays.iter().filter(|class| class.one_time).count();
        let classes = profile.classes().iter().map(|class| ClassView {
            minutes: class.duration,
            quantum_minutes: class.quantum,
            phase_minutes: class.phase,
            once: class.one_time,
        });
        Self {
            kind: lock.kind.as_str(),
            check_in: first.map(|class| clock_face(class.phase.into())),
            check_out: first.map(|class| clock_face(check_out(class))),
            nights: first.map(|_| once.max(stays.len().saturating_sub(once))),
            uses: uses_name(lock.uses),
            digits: profile.digits().get(),
            exclusive: profile.is_exclusive(),
            holders: profile.holders(),
            generations: profile.generations(),
            grid: classes.collect(),
            longest_minutes: profile.longest() / 60,
        }
    }
}

fn clock_face(minutes: u32) -> String {
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

/// What somebody gains who guesses at the keypad, with ten attempts and ten more a day.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OddsView {
    /// The most PINs that may open at once: at the largest uncertainty of the clock, over all windows,
    /// holders, generations and epochs.
    acceptable: u64,
    /// Chance that one guess opens.
    guess: f64,
    /// Chance that a robot that uses every attempt of a year opens.
    robot_year: f64,
    /// The same for codes of a TOTP door.
    #[serde(skip_serializing_if = "Option::is_none")]
    totp: Option<TotpOddsView>,
}

/// What somebody gains who guesses TOTP codes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TotpOddsView {
    /// The most codes that may open at once.
    codes_per_guess: u64,
    /// Chance that one guess opens.
    guess: f64,
    /// Chance that a robot that uses every attempt of a year opens.
    robot_year: f64,
}

impl From<&Lock> for OddsView {
    fn from(lock: &Lock) -> Self {
        let Odds { acceptable, guess, robot_year } = Odds::new(&lock.profile);
        let totp = lock.steps.as_ref().map(|steps| {
            let Odds { acceptable, guess, robot_year } = Steps::odds(&steps.totp);
            TotpOddsView { codes_per_guess: acceptable, guess, robot_year }
        });
        Self { acceptable, guess, robot_year, totp }
    }
}
