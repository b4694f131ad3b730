//! `[deliveries]`: what a plan makes when it does not say otherwise.

use doorstep::code::Shape;
use serde::{Deserialize, Serialize};

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
}

impl Default for Deliveries {
    fn default() -> Self {
        Self { code: Shape::DIGITS_8, check: Check::Split, drivers_may_take: true }
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
