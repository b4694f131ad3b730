//! `otpauth://` URIs, as QR codes carry them at enrolment: read by one policy where other programs
//! differ, and written so that all of them read the same.
//!
//! The policy is in `docs/otp.md` and, case by case, in `vectors/otp/otpauth_cases.json`.

use super::hotp::Hotp;
use super::text::{BadSecret, hex_value, read_base32, write_base32};
use super::totp::{PERIOD_30, Totp};
use super::{Algorithm, Digits, OtpSecret};
use crate::time::Timestamp;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write as _};
use core::num::NonZeroU64;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The longest URI that is read, in bytes.
pub const MAX_URI_LENGTH: usize = 2048;

/// The longest period that is read and written, in seconds.
pub const MAX_PERIOD: u64 = 86_400;

/// How an authenticator moves on, and where it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// By a counter.
    Hotp {
        /// How its codes are made.
        hotp: Hotp,
        /// The first counter.
        counter: u64,
    },
    /// By a clock.
    Totp(Totp),
}

/// One authenticator as programs hand it over.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Who keeps the account; may be empty.
    pub issuer: String,
    /// The account; may be empty.
    pub account: String,
    /// The shared secret.
    pub secret: OtpSecret,
    /// How its codes are made.
    pub kind: Kind,
}

impl Entry {
    /// Whether two entries are the same.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.issuer == other.issuer
            && self.account == other.account
            && self.kind == other.kind
            && bool::from(self.secret.ct_eq(&other.secret))
    }

    /// Whether both are one authenticator, wherever their counters stand: two that count on their
    /// own would give the same codes twice.
    #[must_use]
    pub fn is_copy_of(&self, other: &Self) -> bool {
        let counter = |kind| match kind {
            Kind::Hotp { hotp, .. } => Kind::Hotp { hotp, counter: 0 },
            Kind::Totp(totp) => Kind::Totp(totp),
        };
        self.issuer == other.issuer
            && self.account == other.account
            && counter(self.kind) == counter(other.kind)
            && bool::from(self.secret.ct_eq(&other.secret))
    }
}

/// Something odd that did not stop the reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Warning {
    /// The label names another issuer than the parameter, which was taken.
    IssuerMismatch,
    /// The secret is shorter than 128 bits.
    WeakSecret,
    /// The secret's last character carries stray bits, which another program might refuse.
    NonCanonicalBase32,
}

impl Warning {
    /// A stable name for interfaces: lower case, underscores.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::IssuerMismatch => "issuer_mismatch",
            Self::WeakSecret => "weak_secret",
            Self::NonCanonicalBase32 => "non_canonical_base32",
        }
    }
}

/// Why a text is no `otpauth` URI that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadUri {
    /// Longer than [`MAX_URI_LENGTH`].
    TooLong,
    /// It does not begin with `otpauth://`.
    Scheme,
    /// Neither `totp` nor `hotp`.
    Type,
    /// Codes for Steam, which no RFC describes.
    Steam,
    /// No secret, or a bad one.
    Secret(BadSecret),
    /// A parameter is given twice with different values.
    Twice(&'static str),
    /// A parameter is not a plain decimal number.
    Number(&'static str),
    /// A number is out of range.
    Range(&'static str),
    /// A hash that is not SHA-1, SHA-256 or SHA-512.
    Algorithm,
    /// `hotp` without its counter.
    Counter,
    /// A T0 other than 0.
    T0,
    /// Not UTF-8 after percent-decoding.
    Utf8,
    /// A control character in the label or the issuer.
    Control,
    /// The entry cannot be written so that every program reads the same.
    Unwritable,
}

impl fmt::Display for BadUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "longer than any otpauth URI",
            Self::Scheme => "not an otpauth URI",
            Self::Type => "an otpauth URI is for totp or hotp",
            Self::Steam => "Steam codes follow no standard and are not supported",
            Self::Secret(why) => return why.fmt(f),
            Self::Twice(name) => return write!(f, "{name} is given twice with different values"),
            Self::Number(name) => return write!(f, "{name} is not a plain number"),
            Self::Range(name) => return write!(f, "{name} is out of range"),
            Self::Algorithm => "the algorithm is not SHA1, SHA256 or SHA512",
            Self::Counter => "hotp needs its counter",
            Self::T0 => "a T0 other than 0 is not supported",
            Self::Utf8 => "not UTF-8",
            Self::Control => "a control character in the name",
            Self::Unwritable => "this cannot be written so that other programs read the same",
        })
    }
}

impl core::error::Error for BadUri {}

/// Reads a URI.
///
/// # Errors
/// [`BadUri`] says what is wrong with it.
pub fn parse(text: &str) -> Result<(Entry, Vec<Warning>), BadUri> {
    let text = trim(text);
    if text.len() > MAX_URI_LENGTH {
        return Err(BadUri::TooLong);
    }
    let rest = after_scheme(text, "otpauth://").ok_or(BadUri::Scheme)?;
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let query = query.split_once('#').map_or(query, |(query, _)| query);
    let (kind, label) = path.split_once('/').unwrap_or((path, ""));
    let counts = match kind {
        _ if kind.eq_ignore_ascii_case("totp") => false,
        _ if kind.eq_ignore_ascii_case("hotp") => true,
        _ if kind.eq_ignore_ascii_case("steam") => return Err(BadUri::Steam),
        _ => return Err(BadUri::Type),
    };
    let parameters = Parameters::parse(query)?;
    if parameters.encoder.as_ref().is_some_and(|value| value.eq_ignore_ascii_case("steam")) {
        return Err(BadUri::Steam);
    }
    for zero in [&parameters.t0, &parameters.epoch] {
        if zero.as_ref().is_some_and(|value| value.bytes().any(|byte| byte != b'0')) {
            return Err(BadUri::T0);
        }
    }
    let mut warnings = Vec::new();
    let secret = parameters.secret.as_ref().ok_or(BadUri::Secret(BadSecret::Empty))?;
    let secret = read_base32(secret).map_err(BadUri::Secret)?;
    if !secret.canonical {
        warnings.push(Warning::NonCanonicalBase32);
    }
    if secret.secret.is_weak() {
        warnings.push(Warning::WeakSecret);
    }
    let algorithm = match &parameters.algorithm {
        None => Algorithm::Sha1,
        Some(name) => Algorithm::parse(name).ok_or(BadUri::Algorithm)?,
    };
    let digits = match number(parameters.digits.as_ref(), "digits")? {
        None => Digits::SIX,
        Some(digits) => u8::try_from(digits)
            .ok()
            .and_then(Digits::for_enrolment)
            .ok_or(BadUri::Range("digits"))?,
    };
    let kind = if counts {
        let counter = number(parameters.counter.as_ref(), "counter")?.ok_or(BadUri::Counter)?;
        Kind::Hotp { hotp: Hotp { algorithm, digits }, counter }
    } else {
        let period = match number(parameters.period.as_ref(), "period")? {
            None => PERIOD_30,
            Some(period) => NonZeroU64::new(period)
                .filter(|period| period.get() <= MAX_PERIOD)
                .ok_or(BadUri::Range("period"))?,
        };
        Kind::Totp(Totp { algorithm, digits, period, t0: Timestamp::from_seconds(0) })
    };
    let label = String::from(&**decode(label)?);
    let given = parameters.issuer.as_ref().map_or("", |issuer| issuer.trim_matches(' '));
    if label.chars().chain(given.chars()).any(char::is_control) {
        return Err(BadUri::Control);
    }
    let (named, account) = split_label(&label, given);
    if !given.is_empty() && !named.is_empty() && given != named {
        warnings.push(Warning::IssuerMismatch);
    }
    let issuer = String::from(if given.is_empty() { named } else { given });
    Ok((Entry { issuer, account: String::from(account), secret: secret.secret, kind }, warnings))
}

/// Splits a label into issuer and account: after the issuer that is known from elsewhere, which
/// may hold a colon itself, or else at the first colon.
pub(crate) fn split_label<'a>(label: &'a str, issuer: &str) -> (&'a str, &'a str) {
    let known = label.split_at_checked(issuer.len()).filter(|(start, _)| *start == issuer);
    let known = known.filter(|_| !issuer.is_empty());
    let split = known.and_then(|(start, rest)| Some((start, rest.strip_prefix(':')?)));
    let (issuer, account) = split.or_else(|| label.split_once(':')).unwrap_or(("", label));
    (issuer.trim_matches(' '), account.trim_start_matches(' '))
}

/// Writes a URI with every parameter, since programs differ in what they take for granted. It
/// holds the secret: for a QR code, never for a log.
///
/// # Errors
/// [`BadUri::Unwritable`] when it would not read back as the same entry: more than 8 digits, a T0,
/// a period over a day, control characters.
pub fn write(entry: &Entry) -> Result<Zeroizing<String>, BadUri> {
    let mut uri = Zeroizing::new(String::with_capacity(MAX_URI_LENGTH));
    write_parts(entry, &mut uri).map_err(|_| BadUri::Unwritable)?;
    let (read, _) = parse(&uri).map_err(|_| BadUri::Unwritable)?;
    if read.is_same(entry) { Ok(uri) } else { Err(BadUri::Unwritable) }
}

fn write_parts(entry: &Entry, out: &mut String) -> fmt::Result {
    let (name, algorithm, digits) = match &entry.kind {
        Kind::Hotp { hotp, .. } => ("hotp", hotp.algorithm, hotp.digits),
        Kind::Totp(totp) => ("totp", totp.algorithm, totp.digits),
    };
    write!(out, "otpauth://{name}/")?;
    encode(&entry.issuer, out)?;
    if !entry.issuer.is_empty() || entry.account.contains(':') {
        out.write_char(':')?;
    }
    encode(&entry.account, out)?;
    out.write_str("?secret=")?;
    write_base32(&entry.secret, out)?;
    if !entry.issuer.is_empty() {
        out.write_str("&issuer=")?;
        encode(&entry.issuer, out)?;
    }
    write!(out, "&algorithm={}&digits={}", algorithm.name(), digits.get())?;
    match &entry.kind {
        Kind::Hotp { counter, .. } => write!(out, "&counter={counter}"),
        Kind::Totp(totp) if totp.t0.seconds() != 0 => Err(fmt::Error),
        Kind::Totp(totp) => write!(out, "&period={}", totp.period),
    }
}

#[derive(Default)]
struct Parameters {
    secret: Option<Zeroizing<String>>,
    issuer: Option<Zeroizing<String>>,
    algorithm: Option<Zeroizing<String>>,
    digits: Option<Zeroizing<String>>,
    period: Option<Zeroizing<String>>,
    counter: Option<Zeroizing<String>>,
    encoder: Option<Zeroizing<String>>,
    t0: Option<Zeroizing<String>>,
    epoch: Option<Zeroizing<String>>,
}

impl Parameters {
    fn parse(query: &str) -> Result<Self, BadUri> {
        let mut parameters = Self::default();
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            parameters.take(name, value)?;
        }
        Ok(parameters)
    }

    fn take(&mut self, name: &str, value: &str) -> Result<(), BadUri> {
        let (name, place): (&'static str, _) = match name {
            _ if name.eq_ignore_ascii_case("secret") => ("secret", &mut self.secret),
            _ if name.eq_ignore_ascii_case("issuer") => ("issuer", &mut self.issuer),
            _ if name.eq_ignore_ascii_case("algorithm") => ("algorithm", &mut self.algorithm),
            _ if name.eq_ignore_ascii_case("digits") => ("digits", &mut self.digits),
            _ if name.eq_ignore_ascii_case("period") => ("period", &mut self.period),
            _ if name.eq_ignore_ascii_case("counter") => ("counter", &mut self.counter),
            _ if name.eq_ignore_ascii_case("encoder") => ("encoder", &mut self.encoder),
            _ if name.eq_ignore_ascii_case("t0") => ("t0", &mut self.t0),
            _ if name.eq_ignore_ascii_case("epoch") => ("epoch", &mut self.epoch),
            _ => return Ok(()),
        };
        // A plus is a space only where forms are written, and separates groups of a secret.
        let value = match name {
            "issuer" => decode(&value.replace('+', " "))?,
            "secret" => Zeroizing::new(decode(value)?.replace('+', "")),
            _ => decode(value)?,
        };
        if value.is_empty() {
            return Ok(());
        }
        if place.as_ref().is_some_and(|before| *before != value) {
            return Err(BadUri::Twice(name));
        }
        *place = Some(value);
        Ok(())
    }
}

fn number(text: Option<&Zeroizing<String>>, name: &'static str) -> Result<Option<u64>, BadUri> {
    let Some(text) = text else { return Ok(None) };
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(BadUri::Number(name));
    }
    text.parse().map(Some).map_err(|_| BadUri::Range(name))
}

/// Drops white space and byte order marks at the ends.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\u{feff}')
}

/// What follows the scheme, in whatever case that is written.
pub(crate) fn after_scheme<'a>(text: &'a str, scheme: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(scheme.len())?;
    start.eq_ignore_ascii_case(scheme).then_some(rest)
}

/// Percent-decodes once; a percent sign that begins no escape stands for itself.
pub(crate) fn decode(text: &str) -> Result<Zeroizing<String>, BadUri> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escape = match after {
            [high, low, ..] if *first == b'%' => hex_value(*high).zip(hex_value(*low)),
            _ => None,
        };
        if let Some((high, low)) = escape {
            bytes.push(high << 4_u32 | low);
            rest = after.get(2..).unwrap_or_default();
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    let text = core::str::from_utf8(&bytes).map_err(|_| BadUri::Utf8)?;
    Ok(Zeroizing::new(String::from(text)))
}

/// Percent-encodes everything but the unreserved characters (RFC 3986).
pub(crate) fn encode(text: &str, out: &mut String) -> fmt::Result {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.write_char(char::from(byte))?;
        } else {
            write!(out, "%{byte:02X}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    #[test]
    fn a_steam_code_is_refused_by_its_name_and_never_by_an_issuer() {
        let steam = std::format!("otpauth://steam/Steam:al?secret={SECRET}");
        assert_eq!(parse(&steam).err(), Some(BadUri::Steam));
        let encoder = std::format!("otpauth://totp/Steam:al?secret={SECRET}&encoder=Steam");
        assert_eq!(parse(&encoder).err(), Some(BadUri::Steam));
        assert!(std::format!("{}", BadUri::Steam).contains("Steam"));
        let plain = std::format!("otpauth://totp/Steam:al?secret={SECRET}&issuer=Steam");
        assert_eq!(parse(&plain).unwrap().0.issuer, "Steam");
    }

    #[test]
    fn what_is_written_always_says_everything_and_injects_nothing() {
        let entry = Entry {
            issuer: String::from("A&B: x&secret=AAAA #1 %20 ü"),
            account: String::from("a+b@x.y:z"),
            secret: OtpSecret::from_bytes(b"12345678901234567890").unwrap(),
            kind: Kind::Totp(Totp::default()),
        };
        let uri = write(&entry).unwrap();
        for part in ["&algorithm=SHA1&digits=6&period=30", "?secret=GEZDG", "&issuer=A%26B%3A"] {
            assert!(uri.contains(part), "{part} in {}", *uri);
        }
        assert!(parse(&uri).unwrap().0.is_same(&entry));
    }

    #[test]
    fn a_copy_is_known_by_all_but_its_counter() {
        let read = |uri: &str| parse(&uri.replace("SECRET", SECRET)).unwrap().0;
        let first = read("otpauth://hotp/Ex:al?secret=SECRET&counter=1");
        let later = read("otpauth://hotp/Ex:al?secret=SECRET&counter=9");
        assert!(first.is_copy_of(&later) && !first.is_same(&later));
        for other in [
            "otpauth://hotp/Ex:al?secret=SECRET&counter=1&digits=8",
            "otpauth://hotp/Ex:bo?secret=SECRET&counter=1",
            "otpauth://hotp/Ex:al?secret=SECRETAA&counter=1",
            "otpauth://totp/Ex:al?secret=SECRET",
        ] {
            assert!(!first.is_copy_of(&read(other)), "{other}");
        }
    }

    #[test]
    fn what_others_would_read_differently_is_not_written() {
        let entry = |kind| Entry {
            issuer: String::from("Ex"),
            account: String::from("al"),
            secret: OtpSecret::from_bytes(&[7; 20]).unwrap(),
            kind,
        };
        let totp = Totp::default();
        for kind in [
            Totp { digits: Digits::new(10).unwrap(), ..totp },
            Totp { t0: Timestamp::from_seconds(1), ..totp },
            Totp { period: NonZeroU64::new(MAX_PERIOD + 1).unwrap(), ..totp },
        ] {
            assert_eq!(write(&entry(Kind::Totp(kind))).err(), Some(BadUri::Unwritable), "{kind:?}");
        }
        for account in ["al\n", "\0", " al"] {
            let entry = Entry { account: String::from(account), ..entry(Kind::Totp(totp)) };
            assert_eq!(write(&entry).err(), Some(BadUri::Unwritable), "{account:?}");
        }
        let long = Entry { account: "x".repeat(3000), ..entry(Kind::Totp(totp)) };
        assert_eq!(write(&long).err(), Some(BadUri::Unwritable));
    }

    proptest! {
        #[test]
        fn hostile_text_never_panics(text in any::<String>()) {
            let _ = parse(&text);
        }

        #[test]
        fn hostile_uris_never_panic(
            rest in "(totp|hotp|steam)?/?[a-z%:0-9 ]{0,12}\\?((secret|issuer|digits|period|counter|algorithm|t0|encoder)=[A-Z2-7a-z0-9%+=é-]{0,40}&?){0,5}#?.{0,5}",
        ) {
            if let Ok((entry, _)) = parse(&std::format!("otpauth://{rest}")) {
                // Whatever is read can be written, unless its account ends where reading trims.
                if let Ok(uri) = write(&entry) {
                    prop_assert!(parse(&uri).unwrap().0.is_same(&entry));
                }
            }
        }

        #[test]
        fn what_is_written_reads_back(
            issuer in "[^\\p{C}]{0,20}", account in "[^\\p{C}]{0,20}",
            secret in proptest::collection::vec(any::<u8>(), 1..=64),
            counter in any::<Option<u64>>(), digits in 6_u8..=8, period in 1..=MAX_PERIOD,
        ) {
            let digits = Digits::new(digits).unwrap();
            let algorithm = Algorithm::Sha256;
            let kind = match counter {
                Some(counter) => Kind::Hotp { hotp: Hotp { algorithm, digits }, counter },
                None => Kind::Totp(Totp { algorithm, digits, period: NonZeroU64::new(period).unwrap(), ..Totp::default() }),
            };
            let entry = Entry {
                issuer: String::from(issuer.trim_matches(' ')),
                account: String::from(account.trim_start_matches(' ')),
                secret: OtpSecret::from_bytes(&secret).unwrap(),
                kind,
            };
            let uri = write(&entry).unwrap();
            prop_assert!(uri.is_ascii());
            prop_assert!(parse(&uri).unwrap().0.is_same(&entry));
        }
    }
}
