//! OCRA (RFC 6287): the response to a challenge, which may also cover a counter, a PIN, a session
//! and the time; one-way, mutual, and for plain signatures.

pub mod suite;
pub mod verify;

use super::keyed::{reduce, truncate};
use super::text::hex_value;
use super::{Algorithm, OtpSecret};
use crate::code::Code;
use core::fmt;
use hmac::{Hmac, KeyInit, Mac};
use rand_core::CryptoRng;
use sha1::{Digest, Sha1};
use sha2::{Sha256, Sha512};
use subtle::{Choice, ConstantTimeEq};
use suite::{Format, Suite};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Bytes of a challenge in the computation, whatever its format.
const QUESTION_LENGTH: usize = 128;

/// The most symbols a challenge has, of one party.
const MAX_CHALLENGE_LENGTH: usize = 64;

/// What one party asks: 1 to 64 symbols of its suite's format.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Challenge {
    text: [u8; MAX_CHALLENGE_LENGTH],
    length: u8,
    format: Format,
}

impl Challenge {
    /// Reads a challenge, or what is to be signed; it may be shorter than the suite allows, as in
    /// the RFC. `None` when it is empty, too long, or not of the suite's symbols.
    #[must_use]
    pub fn parse(suite: &Suite, text: &str) -> Option<Self> {
        let fits = |byte: u8| match suite.format() {
            Format::Alphanumeric => byte.is_ascii_alphanumeric(),
            Format::Numeric => byte.is_ascii_digit(),
            Format::Hexadecimal => byte.is_ascii_hexdigit(),
        };
        let length = u8::try_from(text.len()).ok()?;
        if length == 0 || length > suite.challenge_length() || !text.bytes().all(fits) {
            return None;
        }
        let mut bytes = [0; MAX_CHALLENGE_LENGTH];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(Self { text: bytes, length, format: suite.format() })
    }

    /// Draws a challenge as long as the suite allows, each one equally likely. Letters are upper
    /// case, since a person may have to type them.
    pub fn make(suite: &Suite, rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let symbols: &[u8] = match suite.format() {
            Format::Alphanumeric => b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
            Format::Numeric => b"0123456789",
            Format::Hexadecimal => b"0123456789ABCDEF",
        };
        let size = u8::try_from(symbols.len()).unwrap_or(1);
        // Bytes at or above the largest multiple of the size would make some symbols likelier.
        let fair = 255_u8.saturating_sub(
            256_u16
                .checked_rem(u16::from(size))
                .and_then(|rest| u8::try_from(rest).ok())
                .unwrap_or(0),
        );
        let mut text = [0; MAX_CHALLENGE_LENGTH];
        for place in text.iter_mut().take(usize::from(suite.challenge_length())) {
            let byte = loop {
                let mut byte = [0];
                rng.fill_bytes(&mut byte);
                let [byte] = byte;
                if byte <= fair {
                    break byte;
                }
            };
            let index = usize::from(byte.checked_rem(size).unwrap_or(0));
            *place = symbols.get(index).copied().unwrap_or(b'0');
        }
        Self { text, length: suite.challenge_length(), format: suite.format() }
    }

    /// The challenge as it is shown.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(self.symbols()).unwrap_or_default()
    }

    fn symbols(&self) -> &[u8] {
        self.text.get(..usize::from(self.length)).unwrap_or_default()
    }
}

impl fmt::Debug for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A challenge, or two of them, in the 128 bytes that are hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question([u8; QUESTION_LENGTH]);

impl Question {
    /// The question of a one-way challenge, or the text of a plain signature.
    #[must_use]
    pub fn one_way(challenge: &Challenge) -> Self {
        Self::of(challenge.format, challenge.symbols().iter().copied())
    }

    /// The question of mutual authentication. The server answers the client's challenge followed
    /// by its own; the client answers the server's challenge followed by its own. So `asked` is
    /// the challenge of the other side, `own` that of the side which computes.
    ///
    /// `None` unless both are as long as the suite says. They are joined without their lengths, so
    /// that of shorter ones another pair, or a single challenge, would make the same question.
    #[must_use]
    pub fn mutual(suite: &Suite, asked: &Challenge, own: &Challenge) -> Option<Self> {
        let whole = |one: &Challenge| {
            one.length == suite.challenge_length() && one.format == suite.format()
        };
        let symbols = asked.symbols().iter().chain(own.symbols()).copied();
        (whole(asked) && whole(own)).then(|| Self::of(asked.format, symbols))
    }

    fn of(format: Format, symbols: impl Iterator<Item = u8>) -> Self {
        let mut bytes = [0; QUESTION_LENGTH];
        match format {
            Format::Alphanumeric => {
                for (place, symbol) in bytes.iter_mut().zip(symbols) {
                    *place = symbol;
                }
            }
            Format::Hexadecimal => set_nibbles(&mut bytes, symbols.filter_map(hex_value)),
            Format::Numeric => {
                // The number in hexadecimal, written from the left as a text would be: an odd
                // number of nibbles shifts it by one.
                let mut number = [0_u8; MAX_CHALLENGE_LENGTH];
                for symbol in symbols {
                    let mut carry = u16::from(symbol.saturating_sub(b'0'));
                    for byte in number.iter_mut().rev() {
                        let sum = u16::from(*byte).saturating_mul(10).saturating_add(carry);
                        *byte = u8::try_from(sum & 0xFF).unwrap_or(0);
                        carry = sum >> 8_u32;
                    }
                }
                let nibbles = number.iter().flat_map(|byte| [byte >> 4_u32, byte & 0xF]);
                set_nibbles(&mut bytes, nibbles.skip_while(|nibble| *nibble == 0));
            }
        }
        Self(bytes)
    }
}

fn set_nibbles(bytes: &mut [u8; QUESTION_LENGTH], mut nibbles: impl Iterator<Item = u8>) {
    for byte in bytes {
        let (high, low) = (nibbles.next(), nibbles.next());
        *byte = high.unwrap_or(0) << 4_u32 | low.unwrap_or(0);
    }
}

/// The hash of a PIN or password, all that a verifier holds of it. A short PIN can be searched for
/// in it, as the RFC has no salt.
#[derive(Clone)]
pub struct PinHash {
    bytes: [u8; 64],
    algorithm: Algorithm,
}

impl PinHash {
    /// Hashes a PIN as the suite's `P` names it.
    #[must_use]
    pub fn derive(algorithm: Algorithm, pin: &str) -> Self {
        let mut bytes = [0; 64];
        let mut fill = |hash: &[u8]| {
            for (place, byte) in bytes.iter_mut().zip(hash) {
                *place = *byte;
            }
        };
        match algorithm {
            Algorithm::Sha1 => fill(&Sha1::digest(pin)),
            Algorithm::Sha256 => fill(&Sha256::digest(pin)),
            Algorithm::Sha512 => fill(&Sha512::digest(pin)),
        }
        Self { bytes, algorithm }
    }

    /// Takes over a stored hash; `None` when it is not as long as the algorithm's.
    #[must_use]
    pub fn from_bytes(algorithm: Algorithm, hash: &[u8]) -> Option<Self> {
        let mut bytes = [0; 64];
        if hash.len() != algorithm.output_length() {
            return None;
        }
        bytes.get_mut(..hash.len())?.copy_from_slice(hash);
        Some(Self { bytes, algorithm })
    }

    /// The hash, for sealed storage; never for a log.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.bytes.get(..self.algorithm.output_length()).unwrap_or_default()
    }
}

impl Drop for PinHash {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl ZeroizeOnDrop for PinHash {}

impl fmt::Debug for PinHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PinHash(..)")
    }
}

/// What goes into a response beside the secret. Exactly what the suite names must be there.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// `C`
    pub counter: Option<u64>,
    /// `Q`
    pub question: &'a Question,
    /// `P`
    pub pin: Option<&'a PinHash>,
    /// `S`: at most as many bytes as the suite says; filled with zero bytes on the left, as the
    /// RFC's own implementation does.
    pub session: Option<&'a [u8]>,
    /// `T`: the number of the time step since 1970.
    pub time_step: Option<u64>,
}

impl<'a> Input<'a> {
    /// The input of a suite that has only a challenge.
    #[must_use]
    pub const fn new(question: &'a Question) -> Self {
        Self { counter: None, question, pin: None, session: None, time_step: None }
    }
}

/// An input that the suite wants and that is missing, or the other way round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadInput {
    /// The suite has a counter and none was given, or the other way round.
    Counter,
    /// The same of the PIN, or its hash is of another algorithm.
    Pin,
    /// The same of the session, or it is too long.
    Session,
    /// The same of the time.
    Time,
}

impl fmt::Display for BadInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Counter => "the counter and the suite do not fit",
            Self::Pin => "the PIN and the suite do not fit",
            Self::Session => "the session and the suite do not fit",
            Self::Time => "the time and the suite do not fit",
        })
    }
}

impl core::error::Error for BadInput {}

/// What an authenticator answers.
#[derive(Clone)]
pub enum Response {
    /// Digits, leading zeros kept.
    Code(Code),
    /// The whole HMAC, of a suite with 0 digits.
    Whole(Whole),
}

/// A whole HMAC: 20, 32 or 64 bytes.
#[derive(Clone)]
pub struct Whole {
    bytes: [u8; 64],
    length: usize,
}

impl Whole {
    /// The bytes; never for a log.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl ZeroizeOnDrop for Whole {}

impl ConstantTimeEq for Whole {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.length.ct_eq(&other.length) & self.bytes.ct_eq(&other.bytes)
    }
}

impl fmt::Debug for Whole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Whole(..)")
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Response(..)")
    }
}

/// Computes the response of an authenticator (RFC 6287 section 5).
///
/// # Errors
/// [`BadInput`] when the inputs are not exactly those of the suite.
pub fn respond(suite: &Suite, secret: &OtpSecret, input: &Input<'_>) -> Result<Response, BadInput> {
    let whole = mac(suite, secret, input)?;
    let Some(digits) = suite.digits() else {
        return Ok(Response::Whole(whole));
    };
    Ok(Response::Code(Code::from_number(reduce(bits(&whole), digits), digits.shape())))
}

fn bits(whole: &Whole) -> u32 {
    let mut first = [0; 5];
    let mut words = whole
        .expose()
        .chunks_exact(4)
        .map(|word| word.iter().fold(0_u32, |value, byte| (value << 8_u32) | u32::from(*byte)));
    for (place, word) in first.iter_mut().zip(words.by_ref()) {
        *place = word;
    }
    truncate(first, u32::from(whole.expose().last().copied().unwrap_or(0)))
}

fn mac(suite: &Suite, secret: &OtpSecret, input: &Input<'_>) -> Result<Whole, BadInput> {
    if suite.has_counter() != input.counter.is_some() {
        return Err(BadInput::Counter);
    }
    if suite.pin() != input.pin.map(|pin| pin.algorithm) {
        return Err(BadInput::Pin);
    }
    let session_length = suite.session().map(usize::from);
    if session_length.is_some() != input.session.is_some()
        || input
            .session
            .is_some_and(|session| session_length.is_some_and(|most| session.len() > most))
    {
        return Err(BadInput::Session);
    }
    if suite.period().is_some() != input.time_step.is_some() {
        return Err(BadInput::Time);
    }
    let feed = |sink: &mut dyn FnMut(&[u8])| {
        sink(suite.as_str().as_bytes());
        sink(&[0]);
        if let Some(counter) = input.counter {
            sink(&counter.to_be_bytes());
        }
        sink(&input.question.0);
        if let Some(pin) = input.pin {
            sink(pin.expose());
        }
        if let (Some(session), Some(length)) = (input.session, session_length) {
            for _ in session.len()..length {
                sink(&[0]);
            }
            sink(session);
        }
        if let Some(step) = input.time_step {
            sink(&step.to_be_bytes());
        }
    };
    Ok(match suite.algorithm() {
        Algorithm::Sha1 => hmac::<Hmac<Sha1>>(secret, feed),
        Algorithm::Sha256 => hmac::<Hmac<Sha256>>(secret, feed),
        Algorithm::Sha512 => hmac::<Hmac<Sha512>>(secret, feed),
    })
}

fn hmac<M: Mac + KeyInit>(secret: &OtpSecret, feed: impl Fn(&mut dyn FnMut(&[u8]))) -> Whole {
    let mut whole = Whole { bytes: [0; 64], length: 0 };
    // HMAC takes keys of any length.
    if let Ok(mut mac) = <M as KeyInit>::new_from_slice(secret.expose()) {
        feed(&mut |bytes| mac.update(bytes));
        let hash = mac.finalize().into_bytes();
        for (place, byte) in whole.bytes.iter_mut().zip(&hash) {
            *place = *byte;
        }
        whole.length = hash.len();
    }
    whole
}
