//! `[deliveries]`: what a plan makes when it does not say otherwise.

use crate::phone::Region;
use doorstep::code::Shape;
use doorstep::handover::{LONGEST_WINDOW, ONLINE_LIFETIME};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What is made for deliveries.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Deliveries {
    /// What delivery codes look like. Codes that were made keep the shape they were made with.
    #[serde(with = "shape")]
    pub code: Shape,
    /// How much of a code managed devices check; others check a few bits, always.
    pub check: Check,
    /// Whether drivers take deliveries on themselves that nobody has.
    pub drivers_may_take: bool,
    /// Of which country phone numbers are that name none; without it those are refused.
    pub default_region: Option<Region>,
    /// How much earlier or later than expected a driver may be.
    #[serde(with = "span")]
    pub variance: Duration,
    /// How long before the expected time the message is sent.
    #[serde(with = "span")]
    pub lead: Duration,
    /// The same for codes that this server checks, which live for minutes.
    #[serde(with = "span")]
    pub online_lead: Duration,
    /// The longest time in which a code may be used offline; at most a day.
    #[serde(with = "span")]
    pub longest_window: Duration,
    /// How long a code lives that this server checks, from its message on; at most a day.
    #[serde(with = "span")]
    pub online_lifetime: Duration,
}

impl Default for Deliveries {
    fn default() -> Self {
        Self {
            code: Shape::DIGITS_8,
            check: Check::Split,
            drivers_may_take: true,
            default_region: None,
            variance: Duration::from_secs(60 * 60),
            lead: Duration::from_secs(30 * 60),
            // A code that lives for 15 minutes is of no use half an hour ahead.
            online_lead: Duration::from_secs(5 * 60),
            longest_window: Duration::from_secs(LONGEST_WINDOW),
            online_lifetime: Duration::from_secs(ONLINE_LIFETIME),
        }
    }
}

/// How much of a code a managed device checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Check {
    /// A few bits, as any other device.
    Split,
    /// All of it; its codes have ten Crockford symbols.
    Full,
}

/// Shapes by their names.
mod shape {
    use doorstep::code::Shape;
    use serde::{Deserialize as _, Deserializer, Serializer, de, ser};

    const NAMES: [(&str, Shape); 3] = [
        ("digits-8", Shape::DIGITS_8),
        ("digits-10", Shape::DIGITS_10),
        ("crockford-8", Shape::CROCKFORD_8),
    ];

    pub(super) fn serialize<S: Serializer>(
        shape: &Shape,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let named = NAMES.iter().find(|(_, named)| named == shape);
        match named {
            Some((name, _)) => serializer.serialize_str(name),
            None => Err(ser::Error::custom("a shape without a name")),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Shape, D::Error> {
        let name = String::deserialize(deserializer)?;
        NAMES.iter().find(|(named, _)| *named == name).map(|(_, shape)| *shape).ok_or_else(|| {
            de::Error::custom(format!("\"{name}\" is not digits-8, digits-10 or crockford-8"))
        })
    }
}

/// Whole minutes, at most a day.
mod span {
    use doorstep::handover::LONGEST_WINDOW;
    use jiff::fmt::serde::unsigned_duration::friendly::compact::required as friendly;
    use serde::{Deserializer, Serializer, de};
    use std::time::Duration;

    pub(super) fn serialize<S: Serializer>(
        span: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        friendly::serialize(span, serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        let span = friendly::deserialize(deserializer)?;
        if span > Duration::from_secs(LONGEST_WINDOW) {
            return Err(de::Error::custom("is longer than a day"));
        }
        if !span.as_secs().is_multiple_of(60) || span.subsec_nanos() != 0 {
            return Err(de::Error::custom("is not a whole number of minutes"));
        }
        Ok(span)
    }
}
