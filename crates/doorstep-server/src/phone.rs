//! Phone numbers: read as people write them, kept as E.164, so that one number is one text.

use phonenumber::country;
use phonenumber::metadata::DATABASE;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;

/// Reads the tables of all countries, which the first number would have to wait for.
pub(crate) fn prepare() {
    let _ = DATABASE.by_code(&34);
}

/// A country whose way to write numbers is meant where none is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region(country::Id);

impl Region {
    /// What its numbers begin with when they are called from abroad.
    pub(crate) fn calling_code(self) -> Option<u16> {
        DATABASE.by_id(self.0.as_ref()).map(|metadata| metadata.country_code())
    }
}

/// No country has this code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no country; two letters of ISO 3166, such as ES, name one")]
pub struct UnknownRegion;

impl FromStr for Region {
    type Err = UnknownRegion;

    fn from_str(text: &str) -> Result<Self, UnknownRegion> {
        let code = text.to_ascii_uppercase();
        let known = code.len() == 2 && DATABASE.by_id(code.as_str()).is_some();
        code.parse().ok().filter(|_| known).map(Self).ok_or(UnknownRegion)
    }
}

impl Serialize for Region {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_ref())
    }
}

impl<'de> Deserialize<'de> for Region {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|error| de::Error::custom(format!("\"{text}\" {error}")))
    }
}

/// Why a text is no phone number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PhoneError {
    #[error("must not be empty")]
    Blank,
    #[error("has {0} characters, more than 40")]
    Long(usize),
    #[error("has {0:?}, which no phone number has")]
    Character(char),
    #[error("has a + that is not in front")]
    Plus,
    #[error("has {0} digits; a phone number has 6 to 15")]
    Digits(usize),
    #[error("names no country; write it as in +34 612 34 56 78, or say of which region it is")]
    NoCountry,
    #[error("was read as {0}, and no country has numbers that begin so")]
    UnknownCountry(String),
    #[error("was read as {read}, and +{country} has no numbers of {length} digits")]
    Length { read: String, country: u16, length: usize },
}

/// A phone number as providers take it: `+34612345678`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PhoneNumber(String);

impl PhoneNumber {
    /// Reads a number as people write it: `+34 612 34 56 78`, `0034-612/345678`, `+44 (0)20 7946 0000`,
    /// and with a region also `(030) 901820`. That the number is in use is not asked, since lists of
    /// that grow old; that the country has numbers so long is.
    pub(crate) fn parse(text: &str, region: Option<Region>) -> Result<Self, PhoneError> {
        let digits = plain(text)?;
        let country = region.map(|Region(country)| country);
        let digits = match digits.strip_prefix("00") {
            Some(rest) if country.is_none() => format!("+{rest}"),
            _ => digits,
        };
        if country.is_none() && !digits.starts_with('+') {
            return Err(PhoneError::NoCountry);
        }
        let unknown = || PhoneError::UnknownCountry(digits.clone());
        // Nothing but digits and a plus gets this far.
        let number = phonenumber::parse(country, &digits).map_err(|_| unknown())?;
        let code = number.country().code();
        let national = number.national().to_string();
        let read = format!("+{code}{national}");
        let metadata = DATABASE.by_code(&code).ok_or_else(unknown)?;
        let lengths = metadata.iter().flat_map(|country| {
            let kinds = country.descriptors();
            let kinds = [
                kinds.fixed_line(),
                kinds.mobile(),
                kinds.voip(),
                kinds.personal_number(),
                kinds.uan(),
            ];
            kinds.into_iter().flatten().flat_map(|kind| kind.possible_length())
        });
        let mut lengths = lengths.map(|length| usize::from(*length));
        if !lengths.any(|length| length == national.len()) {
            return Err(PhoneError::Length { read, country: code, length: national.len() });
        }
        Ok(Self(read))
    }

    pub(crate) fn into_string(self) -> String {
        self.0
    }
}

/// The digits of a number, with its plus.
fn plain(text: &str) -> Result<String, PhoneError> {
    if text.trim().is_empty() {
        return Err(PhoneError::Blank);
    }
    let length = text.chars().count();
    if length > 40 {
        return Err(PhoneError::Long(length));
    }
    let digits = without_separators(text)?;
    // "(0)" after a country code says: leave this out when you call from abroad.
    let digits = if digits.starts_with('+') || digits.starts_with("00") {
        without_separators(&text.replacen("(0)", "", 1))?
    } else {
        digits
    };
    let count = digits.bytes().filter(u8::is_ascii_digit).count();
    // The two zeros in front are none of the number's.
    if !(6..=17).contains(&count) || (count > 15 && !digits.starts_with("00")) {
        return Err(PhoneError::Digits(count));
    }
    Ok(digits)
}

fn without_separators(text: &str) -> Result<String, PhoneError> {
    let mut digits = String::new();
    for c in text.chars() {
        match c {
            '0'..='9' => digits.push(c),
            '+' if digits.is_empty() => digits.push(c),
            '+' => return Err(PhoneError::Plus),
            ' ' | '\u{A0}' | '\u{202F}' | '-' | '.' | '/' | '(' | ')' => {}
            other => return Err(PhoneError::Character(other)),
        }
    }
    Ok(digits)
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PhoneNumber(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(region: &str, text: &str) -> Result<String, PhoneError> {
        PhoneNumber::parse(text, region.parse().ok()).map(PhoneNumber::into_string)
    }

    #[test]
    fn numbers_as_people_write_them() {
        for (region, text, number) in [
            ("", "+34 612 34 56 78", "+34612345678"),
            ("", "0034-612/345.678", "+34612345678"),
            ("", "+44 (0)20 7946 0000", "+442079460000"),
            ("", "0049 (0)171 39 200 55", "+491713920055"),
            ("", "+1\u{A0}202\u{A0}555\u{A0}0143", "+12025550143"),
            ("DE", "(030) 901820", "+4930901820"),
            ("GB", "(0)20 7946 0000", "+442079460000"),
            ("gb", "07700 900 142", "+447700900142"),
            ("ES", "612 34 56 78", "+34612345678"),
            // Named in the number, a country counts more than the region.
            ("ES", "+44 20 7946 0000", "+442079460000"),
            ("ES", "0044 20 7946 0000", "+442079460000"),
            ("US", "011 44 20 7946 0000", "+442079460000"),
            ("AU", "0011 44 20 7946 0000", "+442079460000"),
            // An Italian zero is part of the number.
            ("IT", "06 6982 0000", "+390669820000"),
        ] {
            assert_eq!(read(region, text).as_deref(), Ok(number), "{region} {text}");
        }
    }

    #[test]
    fn what_is_no_phone_number_is_refused() {
        assert_eq!(read("", ""), Err(PhoneError::Blank));
        assert_eq!(read("", "12345"), Err(PhoneError::Digits(5)));
        assert_eq!(read("", "1234567890123456"), Err(PhoneError::Digits(16)));
        assert_eq!(read("", "+"), Err(PhoneError::Digits(0)));
        assert_eq!(read("", "34+612345678"), Err(PhoneError::Plus));
        assert_eq!(read("", "++34612345678"), Err(PhoneError::Plus));
        assert_eq!(read("ES", "0800-FLOWERS"), Err(PhoneError::Character('F')));
        assert_eq!(read("ES", "６１２３４５６７８"), Err(PhoneError::Character('６')));
        assert_eq!(read("ES", "612345678\n"), Err(PhoneError::Character('\n')));
        assert_eq!(read("", &"1 ".repeat(40)), Err(PhoneError::Long(80)));
        assert_eq!(read("", "612345678"), Err(PhoneError::NoCountry));
        assert_eq!(read("", "+999 123 456"), Err(PhoneError::UnknownCountry("+999123456".into())));
        for (text, length) in [("+34 612 34 56 7", 8), ("+34 612 34 56 789", 10), ("6123456", 7)] {
            assert!(
                matches!(read("ES", text), Err(PhoneError::Length { country: 34, length: l, .. }) if l == length),
                "{text}"
            );
        }
    }

    #[test]
    fn a_region_is_two_letters_of_a_country() {
        assert_eq!("es".parse::<Region>(), "ES".parse());
        for text in ["", "E", "ESP", "XX", "34", "001", "É"] {
            assert_eq!(text.parse::<Region>(), Err(UnknownRegion), "{text}");
        }
    }
}
