//! The QR codes with which Google Authenticator moves accounts: a protobuf message in base64 in an
//! `otpauth-migration://` URI, read as hostile input and written for the same app.
//!
//! The format carries no period: every entry with a clock has one of 30 seconds.

use super::hotp::Hotp;
use super::otpauth::{Entry, Kind, after_scheme, decode, encode, trim};
use super::totp::Totp;
use super::{Algorithm, Digits, OtpSecret};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use zeroize::Zeroizing;

/// The longest URI that is read, in bytes; more does not fit a QR code.
pub const MAX_URI_LENGTH: usize = 8192;

/// The entries that one QR code holds.
pub const ENTRIES_PER_CODE: usize = 10;

/// The most entries that are read from one URI.
const MAX_ENTRIES: usize = 100;

/// One QR code of a migration.
#[derive(Clone, Debug)]
pub struct Payload {
    /// The authenticators.
    pub entries: Vec<Entry>,
    /// Its place among several QR codes.
    pub batch: Batch,
}

/// Which QR code of how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// How many there are.
    pub size: u32,
    /// Which one this is, from 0.
    pub index: u32,
    /// The same number on all of them.
    pub id: i32,
}

/// Why a text is no migration that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadMigration {
    /// Longer than [`MAX_URI_LENGTH`], or more entries than anyone has.
    TooLong,
    /// Not `otpauth-migration://offline` with `data`.
    Scheme,
    /// The data are not base64.
    Base64,
    /// The data break off, or are no message of this kind.
    Message,
    /// An entry has a hash, a length, a type or a counter that is not known: which one, from 0.
    Entry(usize),
    /// The format cannot carry an entry: which one, from 0.
    Unwritable(usize),
}

impl fmt::Display for BadMigration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => f.write_str("longer than any migration QR code"),
            Self::Scheme => f.write_str("not an otpauth-migration URI"),
            Self::Base64 => f.write_str("the data of the migration are not base64"),
            Self::Message => f.write_str("the data of the migration are damaged"),
            Self::Entry(index) => write!(f, "entry {index} of the migration cannot be used"),
            Self::Unwritable(index) => write!(f, "a migration cannot carry entry {index}"),
        }
    }
}

impl core::error::Error for BadMigration {}

/// Reads one QR code's text.
///
/// # Errors
/// [`BadMigration`] says what is wrong with it.
pub fn parse(text: &str) -> Result<Payload, BadMigration> {
    let text = trim(text);
    if text.len() > MAX_URI_LENGTH {
        return Err(BadMigration::TooLong);
    }
    let rest = after_scheme(text, "otpauth-migration://").ok_or(BadMigration::Scheme)?;
    let (host, query) = rest.split_once('?').ok_or(BadMigration::Scheme)?;
    if !host.trim_end_matches('/').eq_ignore_ascii_case("offline") {
        return Err(BadMigration::Scheme);
    }
    let query = query.split_once('#').map_or(query, |(query, _)| query);
    let data = query.split('&').find_map(|pair| after_scheme(pair, "data="));
    let data = decode(data.ok_or(BadMigration::Scheme)?).map_err(|_| BadMigration::Base64)?;
    let message = from_base64(&data).ok_or(BadMigration::Base64)?;
    let mut payload = Payload { entries: Vec::new(), batch: Batch { size: 1, index: 0, id: 0 } };
    for field in Fields(&message) {
        let (number, value) = field?;
        let small = |value: u64| u32::try_from(value).map_err(|_| BadMigration::Message);
        match (number, value) {
            (1, Value::Bytes(bytes)) => {
                let index = payload.entries.len();
                if index >= MAX_ENTRIES {
                    return Err(BadMigration::TooLong);
                }
                payload.entries.push(entry(bytes, index)?);
            }
            (3, Value::Number(value)) => payload.batch.size = small(value)?,
            (4, Value::Number(value)) => payload.batch.index = small(value)?,
            // A negative number has ten bytes, of which the low 32 bits count.
            (5, Value::Number(value)) => {
                let [.., a, b, c, d] = value.to_be_bytes();
                payload.batch.id = i32::from_be_bytes([a, b, c, d]);
            }
            _ => {}
        }
    }
    if payload.entries.is_empty() {
        return Err(BadMigration::Message);
    }
    Ok(payload)
}

fn entry(bytes: &[u8], index: usize) -> Result<Entry, BadMigration> {
    let unknown = BadMigration::Entry(index);
    let (mut secret, mut account, mut issuer) = (None, String::new(), String::new());
    let (mut algorithm, mut digits, mut counts, mut counter) =
        (Algorithm::Sha1, Digits::SIX, false, 0);
    for field in Fields(bytes) {
        let name = |bytes: &[u8]| {
            let name = core::str::from_utf8(bytes).ok();
            name.filter(|name| !name.contains(char::is_control)).map(String::from).ok_or(unknown)
        };
        match field? {
            (1, Value::Bytes(bytes)) => secret = OtpSecret::from_bytes(bytes),
            (2, Value::Bytes(bytes)) => account = name(bytes)?,
            (3, Value::Bytes(bytes)) => issuer = name(bytes)?,
            (4, Value::Number(value)) => {
                algorithm = match value {
                    0 | 1 => Algorithm::Sha1,
                    2 => Algorithm::Sha256,
                    3 => Algorithm::Sha512,
                    _ => return Err(unknown),
                }
            }
            (5, Value::Number(value)) => {
                digits = match value {
                    0 | 1 => Digits::SIX,
                    2 => Digits::EIGHT,
                    _ => return Err(unknown),
                }
            }
            (6, Value::Number(value)) => {
                counts = match value {
                    0 | 2 => false,
                    1 => true,
                    _ => return Err(unknown),
                }
            }
            (7, Value::Number(value)) => {
                // An int64: what is above its largest value is negative.
                counter = i64::try_from(value).map(i64::unsigned_abs).map_err(|_| unknown)?;
            }
            (1..=7, _) => return Err(unknown),
            _ => {}
        }
    }
    let kind = if counts {
        Kind::Hotp { hotp: Hotp { algorithm, digits }, counter }
    } else {
        Kind::Totp(Totp { algorithm, digits, ..Totp::default() })
    };
    Ok(Entry { issuer, account, secret: secret.ok_or(unknown)?, kind })
}

/// Writes entries as the texts of as many QR codes as they need. They hold the secrets: never for
/// a log.
///
/// # Errors
/// [`BadMigration::Unwritable`] for an entry of 7 digits, of another period than 30 s, or with a
/// counter over 2^63.
pub fn write(entries: &[Entry], id: i32) -> Result<Vec<Zeroizing<String>>, BadMigration> {
    let codes = entries.len().div_ceil(ENTRIES_PER_CODE);
    let mut texts = Vec::with_capacity(codes);
    for (index, chunk) in entries.chunks(ENTRIES_PER_CODE).enumerate() {
        let mut message = Zeroizing::new(Vec::new());
        for (place, entry) in chunk.iter().enumerate() {
            let place = index.saturating_mul(ENTRIES_PER_CODE).saturating_add(place);
            let encoded = encode_entry(entry).ok_or(BadMigration::Unwritable(place))?;
            put_bytes(&mut message, 1, &encoded);
        }
        put_number(&mut message, 2, 1);
        put_number(&mut message, 3, u64::try_from(codes).unwrap_or(u64::MAX));
        put_number(&mut message, 4, u64::try_from(index).unwrap_or(u64::MAX));
        put_number(&mut message, 5, u64::from_be_bytes(i64::from(id).to_be_bytes()));
        let mut text = Zeroizing::new(String::from("otpauth-migration://offline?data="));
        // Writing into a string does not fail.
        let _ = encode(&to_base64(&message), &mut text);
        texts.push(text);
    }
    Ok(texts)
}

fn encode_entry(entry: &Entry) -> Option<Zeroizing<Vec<u8>>> {
    let (algorithm, digits, kind, counter) = match &entry.kind {
        Kind::Hotp { hotp, counter } => (hotp.algorithm, hotp.digits, 1, Some(*counter)),
        Kind::Totp(totp) => {
            let plain = Totp { algorithm: totp.algorithm, digits: totp.digits, ..Totp::default() };
            (*totp == plain).then_some((totp.algorithm, totp.digits, 2, None))?
        }
    };
    let algorithm = match algorithm {
        Algorithm::Sha1 => 1,
        Algorithm::Sha256 => 2,
        Algorithm::Sha512 => 3,
    };
    let digits = match digits {
        Digits::SIX => 1,
        Digits::EIGHT => 2,
        _ => return None,
    };
    let mut out = Zeroizing::new(Vec::new());
    put_bytes(&mut out, 1, entry.secret.expose());
    put_bytes(&mut out, 2, entry.account.as_bytes());
    put_bytes(&mut out, 3, entry.issuer.as_bytes());
    put_number(&mut out, 4, algorithm);
    put_number(&mut out, 5, digits);
    put_number(&mut out, 6, kind);
    if let Some(counter) = counter {
        i64::try_from(counter).ok()?;
        put_number(&mut out, 7, counter);
    }
    Some(out)
}

/// A field of a protobuf message.
enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Skipped,
}

struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn number(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..70_u32).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            let bits = u64::from(byte & 0x7F);
            let shifted = bits.checked_shl(shift)?;
            // The tenth byte has room for one bit.
            if shifted >> shift != bits {
                return None;
            }
            number |= shifted;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn bytes(&mut self, length: u64) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(usize::try_from(length).ok()?)?;
        self.0 = rest;
        Some(bytes)
    }

    fn field(&mut self) -> Option<(u64, Value<'a>)> {
        let tag = self.number()?;
        let value = match tag & 7 {
            0 => Value::Number(self.number()?),
            1 => self.bytes(8).map(|_| Value::Skipped)?,
            2 => {
                let length = self.number()?;
                Value::Bytes(self.bytes(length)?)
            }
            5 => self.bytes(4).map(|_| Value::Skipped)?,
            _ => return None,
        };
        Some((tag >> 3_u32, value)).filter(|(number, _)| *number > 0)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), BadMigration>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field().ok_or(BadMigration::Message);
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

fn put_number(out: &mut Vec<u8>, field: u8, value: u64) {
    out.push(field << 3_u32);
    put_varint(out, value);
}

fn put_bytes(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    out.push(field << 3_u32 | 2);
    put_varint(out, u64::try_from(bytes.len()).unwrap_or(0));
    out.extend_from_slice(bytes);
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let low = u8::try_from(value & 0x7F).unwrap_or(0);
        value >>= 7_u32;
        if value == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Reads base64 in either alphabet, with or without padding; a space is a plus that a form ate.
fn from_base64(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let body = text.trim_end_matches('=');
    if body.is_empty() || body.len() % 4 == 1 || text.len().saturating_sub(body.len()) > 2 {
        return None;
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(body.len()));
    for chunk in body.as_bytes().chunks(4) {
        let mut bits = 0_u32;
        for index in 0..4 {
            let value = match chunk.get(index) {
                None => 0,
                Some(letter @ b'A'..=b'Z') => letter.saturating_sub(b'A'),
                Some(letter @ b'a'..=b'z') => letter.saturating_sub(b'a').saturating_add(26),
                Some(digit @ b'0'..=b'9') => digit.saturating_sub(b'0').saturating_add(52),
                Some(b'+' | b'-' | b' ') => 62,
                Some(b'/' | b'_') => 63,
                Some(_) => return None,
            };
            bits = (bits << 6_u32) | u32::from(value);
        }
        let [_, three @ ..] = bits.to_be_bytes();
        bytes.extend(three.iter().take(chunk.len().saturating_sub(1)));
    }
    Some(bytes)
}

fn to_base64(bytes: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::new());
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let bits = (byte(0) << 16_u32) | (byte(1) << 8_u32) | byte(2);
        for (index, shift) in [18_u32, 12, 6, 0].into_iter().enumerate() {
            let value = usize::try_from((bits >> shift) & 63).unwrap_or(0);
            let symbol = BASE64.get(value).filter(|_| index <= chunk.len());
            text.push(char::from(symbol.copied().unwrap_or(b'=')));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::num::NonZeroU64;
    use proptest::prelude::*;

    fn sample(kind: Kind) -> Entry {
        Entry {
            issuer: String::from("Ex"),
            account: String::from("Ex:jürgen"),
            secret: OtpSecret::from_bytes(&[7; 20]).unwrap(),
            kind,
        }
    }

    #[test]
    fn many_entries_become_several_codes() {
        let entries: Vec<Entry> =
            (0..23).map(|counter| sample(Kind::Hotp { hotp: Hotp::default(), counter })).collect();
        let texts = write(&entries, -5).unwrap();
        let read: Vec<Payload> = texts.iter().map(|text| parse(text).unwrap()).collect();
        let sizes: Vec<usize> = read.iter().map(|payload| payload.entries.len()).collect();
        assert_eq!(sizes, [10, 10, 3]);
        assert_eq!(read[2].batch, Batch { size: 3, index: 2, id: -5 });
        let all = read.iter().flat_map(|payload| &payload.entries);
        assert!(all.zip(&entries).all(|(read, entry)| read.is_same(entry)));
    }

    #[test]
    fn what_the_format_cannot_carry_is_not_written() {
        let totp = Totp::default();
        let sixty = Totp { period: NonZeroU64::new(60).unwrap(), ..totp };
        for kind in [
            Kind::Totp(sixty),
            Kind::Totp(Totp { digits: Digits::new(7).unwrap(), ..totp }),
            Kind::Hotp { hotp: Hotp::default(), counter: 1 << 63 },
        ] {
            let entries = [sample(Kind::Totp(totp)), sample(kind)];
            assert_eq!(write(&entries, 1).err(), Some(BadMigration::Unwritable(1)), "{kind:?}");
        }
    }

    fn uri(message: &[u8]) -> String {
        let mut text = String::from("otpauth-migration://offline?data=");
        encode(&to_base64(message), &mut text).unwrap();
        text
    }

    #[test]
    fn damaged_messages_are_refused() {
        for (message, why) in [
            (&b"\x0a\x00"[..], BadMigration::Entry(0)),
            (b"\x0a\x02\x0a\x00", BadMigration::Entry(0)),
            (b"\x0a\x05\x0a\x01k\x20\x04", BadMigration::Entry(0)),
            (b"\x0a\x05\x0a\x01k\x28\x03", BadMigration::Entry(0)),
            (b"\x0a\x05\x0a\x01k\x30\x03", BadMigration::Entry(0)),
            (b"\x0a\x06\x0a\x01k\x12\x01\xFF", BadMigration::Entry(0)),
            (b"\x0a\x06\x0a\x01k\x12\x01\x00", BadMigration::Entry(0)),
            (b"\x0a\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", BadMigration::Message),
            (b"\x0a\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F", BadMigration::Message),
            // A number of more than 64 bits is not cut down to one that fits.
            (
                b"\x0a\x03\x0a\x01k\x28\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x02",
                BadMigration::Message,
            ),
            (b"\x0b", BadMigration::Message),
            (b"\x02\x00", BadMigration::Message),
            (b"\x10\x01", BadMigration::Message),
        ] {
            assert_eq!(parse(&uri(message)).err(), Some(why), "{message:02x?}");
        }
        for text in ["", "otpauth-migration://online?data=CgA", "otpauth://offline?data=CgA"] {
            assert_eq!(parse(text).err(), Some(BadMigration::Scheme), "{text}");
        }
        for data in ["A", "AA===", "A!==", "=", ""] {
            let text = std::format!("otpauth-migration://offline?data={data}");
            assert_eq!(parse(&text).err(), Some(BadMigration::Base64), "{data}");
        }
        let many = b"\x0a\x03\x0a\x01k".repeat(101);
        assert_eq!(parse(&uri(&many)).err(), Some(BadMigration::TooLong));
    }

    proptest! {
        #[test]
        fn hostile_messages_never_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..200), text in any::<String>(),
        ) {
            let _ = parse(&uri(&bytes));
            let _ = parse(&text);
            let _ = parse(&std::format!("otpauth-migration://offline?data={text}"));
            // The same inside an entry.
            let mut nested = Vec::new();
            put_bytes(&mut nested, 1, &bytes);
            let _ = parse(&uri(&nested));
        }

        #[test]
        fn base64_reads_back(bytes in proptest::collection::vec(any::<u8>(), 1..100)) {
            prop_assert_eq!(&*from_base64(&to_base64(&bytes)).unwrap(), &bytes);
        }
    }
}
