//! BLE: requests and replies in fragments, since a packet holds 20 bytes at least and 244 at most.

use super::message::{MAX_REPLY, MAX_REQUEST, Request, Status};
use crate::bytes::Short;
use core::fmt;
use core::str::FromStr;

/// The bit of a fragment's first byte that marks the last one; the others number it, from 0.
const LAST: u8 = 0x80;

/// How many bytes a fragment may have, with its first one: what two devices agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FragmentSize(u8);

impl FragmentSize {
    /// What every device takes.
    pub const LEAST: Self = Self(20);

    /// The most.
    pub const MOST: Self = Self(244);

    /// From 20 to 244 bytes; `None` for any other size.
    #[must_use]
    pub const fn new(bytes: u8) -> Option<Self> {
        if Self::LEAST.0 <= bytes && bytes <= Self::MOST.0 { Some(Self(bytes)) } else { None }
    }

    /// Bytes.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// Not from 20 to 244 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoFragmentSize;

impl fmt::Display for NoFragmentSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a fragment has 20 to 244 bytes")
    }
}

impl core::error::Error for NoFragmentSize {}

impl FromStr for FragmentSize {
    type Err = NoFragmentSize;

    fn from_str(text: &str) -> Result<Self, NoFragmentSize> {
        text.parse().ok().and_then(Self::new).ok_or(NoFragmentSize)
    }
}

/// A fragment.
pub type Fragment = Short<244>;

/// The fragments of a message, in order.
pub fn fragments(message: &[u8], size: FragmentSize) -> impl Iterator<Item = Fragment> {
    let parts = message.chunks(usize::from(size.0.saturating_sub(1)));
    let last = parts.len().saturating_sub(1);
    parts.enumerate().map(move |(index, part)| {
        let number = u8::try_from(index).unwrap_or(0) & !LAST;
        let mut fragment = Fragment::EMPTY;
        let _ = fragment.push(&[if index == last { number | LAST } else { number }]);
        let _ = fragment.push(part);
        fragment
    })
}

/// Puts fragments together to messages of at most `N` bytes.
#[derive(Debug)]
pub struct Assembler<const N: usize> {
    message: Short<N>,
    /// The number of the fragment that must come next.
    next: u8,
    /// What came does not fit together: nothing is taken until a message begins.
    broken: bool,
}

/// Where a phone puts a lock's replies together.
pub type Replies = Assembler<MAX_REPLY>;

impl<const N: usize> Default for Assembler<N> {
    fn default() -> Self {
        Self { message: Short::EMPTY, next: 0, broken: false }
    }
}

impl<const N: usize> Assembler<N> {
    /// Takes a fragment; the message when it was the last one. Number 0 begins a message, whatever came
    /// before.
    ///
    /// # Errors
    /// [`Status::WrongParts`] for a fragment that does not follow the one before, or holds nothing;
    /// [`Status::WrongLength`] for a fragment or a message that is too long. The rest of that message is then passed
    /// over without a word.
    pub fn take(&mut self, fragment: &[u8]) -> Result<Option<&[u8]>, Status> {
        let (first, part) = fragment.split_first().ok_or(Status::WrongParts)?;
        let (number, is_last) = (first & !LAST, first & LAST != 0);
        if number == 0 {
            *self = Self::default();
        } else if self.broken {
            return Ok(None);
        }
        // As long as it is not known to be well.
        self.broken = true;
        if number != self.next || part.is_empty() {
            return Err(Status::WrongParts);
        }
        if fragment.len() > usize::from(FragmentSize::MOST.0) || number == !LAST && !is_last {
            return Err(Status::WrongLength);
        }
        self.message.push(part).ok_or(Status::WrongLength)?;
        self.broken = false;
        self.next = if is_last { 0 } else { number.saturating_add(1) };
        Ok(is_last.then_some(self.message.as_ref()))
    }
}

/// The lock's end: fragments go in, requests come out. Its replies go out in [`fragments`].
#[derive(Debug, Default)]
pub struct Peripheral {
    requests: Assembler<MAX_REQUEST>,
    greeted: bool,
}

impl Peripheral {
    /// Takes a fragment; `None` when others follow, and nothing is to be answered.
    ///
    /// # Errors
    /// The status to answer with. Nothing was done then.
    pub fn take(&mut self, fragment: &[u8]) -> Result<Option<Request<'_>>, Status> {
        let Some(message) = self.requests.take(fragment)? else { return Ok(None) };
        let (operation, body) = message.split_first().ok_or(Status::WrongParts)?;
        Request::parse(*operation, body, &mut self.greeted).map(Some)
    }
}

/// The phone's end: a request as the message that is sent in [`fragments`].
#[must_use]
pub fn message(request: &Request<'_>) -> Short<MAX_REQUEST> {
    let (operation, body) = request.parts();
    let mut message = Short::EMPTY;
    // There is room for the longest body.
    let _ = message.push(&[operation]).and_then(|()| message.push(body.as_ref()));
    message
}
