//! CBOR in the one encoding that a document has (RFC 8949, section 4.2.1), without a heap.
//!
//! Libraries also read what is written in another way, so that one has to write everything again to know
//! that it was not.

use crate::bytes::Short;

const UNSIGNED: u8 = 0x00;
const NEGATIVE: u8 = 0x20;
pub(super) const BYTES: u8 = 0x40;
const TEXT: u8 = 0x60;
pub(super) const ARRAY: u8 = 0x80;
pub(super) const MAP: u8 = 0xA0;
pub(super) const TAG: u8 = 0xC0;
pub(super) const NULL: u8 = 0xF6;

/// What the first byte of an item says besides its type: the argument, or in how many bytes it follows.
const INFO: u8 = 0x1F;

/// Reads items one after the other; `None` where another stands, or the same in another encoding.
#[derive(Clone)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// What was not read yet.
    pub(super) const fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// The end: what was read, if nothing is left.
    pub(super) fn end<T>(&self, read: T) -> Option<T> {
        self.0.is_empty().then_some(read)
    }

    /// An item's type and argument, which has as few bytes as it needs.
    fn head(&mut self) -> Option<(u8, u64)> {
        let [first] = *self.take()?;
        let (argument, least) = match first & INFO {
            info @ ..24 => (info.into(), 0),
            24 => (u8::from_be_bytes(*self.take()?).into(), 24),
            25 => (u16::from_be_bytes(*self.take()?).into(), 1 << 8),
            26 => (u32::from_be_bytes(*self.take()?).into(), 1 << 16),
            27 => (u64::from_be_bytes(*self.take()?), 1 << 32),
            _ => return None,
        };
        (argument >= least).then_some((first & !INFO, argument))
    }

    /// The argument of an item of this type.
    pub(super) fn argument(&mut self, kind: u8) -> Option<u64> {
        let (found, argument) = self.head()?;
        (found == kind).then_some(argument)
    }

    /// Items that are written already, exactly these.
    pub(super) fn exactly(&mut self, bytes: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(bytes)?;
        Some(())
    }

    pub(super) fn unsigned(&mut self) -> Option<u64> {
        self.argument(UNSIGNED)
    }

    /// An unsigned number of 32 bits.
    pub(super) fn word(&mut self) -> Option<u32> {
        self.unsigned()?.try_into().ok()
    }

    pub(super) fn integer(&mut self) -> Option<i32> {
        let (kind, argument) = self.head()?;
        let argument = i32::try_from(argument).ok()?;
        match kind {
            UNSIGNED => Some(argument),
            // -1 - argument
            NEGATIVE => Some(!argument),
            _ => None,
        }
    }

    fn string(&mut self, kind: u8) -> Option<&'a [u8]> {
        let length = self.argument(kind)?.try_into().ok()?;
        let (string, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(string)
    }

    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        self.string(BYTES)
    }

    /// A byte string of this length.
    pub(super) fn chunk<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        self.bytes()?.try_into().ok()
    }

    /// The next bytes, of which the items around them say how many there are.
    pub(super) fn take<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(taken)
    }

    /// A text, which may be no UTF-8.
    pub(super) fn text(&mut self) -> Option<&'a [u8]> {
        self.string(TEXT)
    }
}

/// Writes items one after the other. What finds no room is counted all the same.
pub(super) struct Writer<'a> {
    out: &'a mut [u8],
    length: usize,
}

impl Writer<'_> {
    /// Items that are written already.
    pub(super) fn put(&mut self, bytes: &[u8]) -> &mut Self {
        let end = self.length.saturating_add(bytes.len());
        if let Some(place) = self.out.get_mut(self.length..end) {
            place.copy_from_slice(bytes);
        }
        self.length = end;
        self
    }

    /// The beginning of an item.
    pub(super) fn head(&mut self, kind: u8, argument: u64) -> &mut Self {
        let bytes = argument.to_be_bytes();
        let [.., last] = bytes;
        let (info, length) = match argument {
            0..24 => return self.put(&[kind | last]),
            24..0x100 => (24, 1),
            0x100..0x1_0000 => (25, 2),
            0x1_0000..0x1_0000_0000 => (26, 4),
            _ => (27, 8),
        };
        let unused = bytes.len().saturating_sub(length);
        self.put(&[kind | info]).put(bytes.get(unused..).unwrap_or_default())
    }

    pub(super) fn array(&mut self, items: u64) -> &mut Self {
        self.head(ARRAY, items)
    }

    pub(super) fn map(&mut self, pairs: u64) -> &mut Self {
        self.head(MAP, pairs)
    }

    pub(super) fn unsigned(&mut self, number: impl Into<u64>) -> &mut Self {
        self.head(UNSIGNED, number.into())
    }

    pub(super) fn integer(&mut self, number: i32) -> &mut Self {
        let kind = if number < 0 { NEGATIVE } else { UNSIGNED };
        let argument = if number < 0 { !number } else { number };
        self.head(kind, u64::from(argument.unsigned_abs()))
    }

    fn string(&mut self, kind: u8, bytes: &[u8]) -> &mut Self {
        self.head(kind, u64::try_from(bytes.len()).unwrap_or(u64::MAX)).put(bytes)
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.string(BYTES, bytes)
    }

    /// A text, by its bytes: a lock has no use for more of UTF-8.
    pub(super) fn text(&mut self, text: &[u8]) -> &mut Self {
        self.string(TEXT, text)
    }
}

/// What `say` writes; `None` when there is no room for it.
pub(super) fn write<const N: usize>(say: impl FnOnce(&mut Writer<'_>)) -> Option<Short<N>> {
    let mut out = Short::EMPTY;
    let fits = out.fill(|bytes| {
        let mut writer = Writer { out: bytes, length: 0 };
        say(&mut writer);
        writer.length
    });
    fits.map(|()| out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn numbers_are_written_and_read_in_one_way() {
        // RFC 8949, appendix A.
        let numbers: [(u64, &[u8]); 9] = [
            (0, &[0x00]),
            (23, &[0x17]),
            (24, &[0x18, 0x18]),
            (100, &[0x18, 0x64]),
            (1000, &[0x19, 0x03, 0xE8]),
            (1_000_000, &[0x1A, 0x00, 0x0F, 0x42, 0x40]),
            (u64::from(u32::MAX), &[0x1A, 0xFF, 0xFF, 0xFF, 0xFF]),
            (1 << 32, &[0x1B, 0, 0, 0, 1, 0, 0, 0, 0]),
            (u64::MAX, &[0x1B, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]),
        ];
        for (number, bytes) in numbers {
            let written: Short<9> = write(|w| {
                w.unsigned(number);
            })
            .unwrap();
            assert_eq!(written.as_ref(), bytes);
            assert_eq!(Reader::new(bytes).unsigned(), Some(number));
            // In more bytes than it needs, and cut.
            for length in [1, 2, 4, 8].into_iter().filter(|length| length + 1 > bytes.len()) {
                let info = 24 + u8::try_from(usize::ilog2(length)).unwrap();
                let long = [&[info][..], &number.to_be_bytes()[8 - length..]].concat();
                assert_eq!(Reader::new(&long).unsigned(), None, "{long:02x?}");
            }
            let cut = bytes.split_last().unwrap().1;
            assert_eq!(Reader::new(cut).unsigned(), None);
        }
        for undefined in 28..=31 {
            assert_eq!(Reader::new(&[undefined, 0, 0]).unsigned(), None);
        }
    }

    #[test]
    fn numbers_below_zero_and_strings_stay_in_their_bounds() {
        for (number, bytes) in [
            (-1, &[0x20][..]),
            (-100, &[0x38, 0x63]),
            (-65_538, &[0x3A, 0, 1, 0, 1]),
            (i32::MIN, &[0x3A, 0x7F, 0xFF, 0xFF, 0xFF]),
        ] {
            let written: Short<5> = write(|w| {
                w.integer(number);
            })
            .unwrap();
            assert_eq!(written.as_ref(), bytes);
            assert_eq!(Reader::new(bytes).integer(), Some(number));
            assert_eq!(Reader::new(bytes).unsigned(), None);
        }
        assert_eq!(Reader::new(&[0x3A, 0x80, 0, 0, 0]).integer(), None, "beyond 32 bits");
        assert_eq!(Reader::new(&[0x42, 1, 2, 3]).bytes(), Some(&[1, 2][..]));
        for bytes in [&[][..], &[0x42, 1], &[0x62, 1, 2], &[0x5F, 0x41, 1, 0xFF], &[0x58, 2, 1, 2]]
        {
            assert_eq!(Reader::new(bytes).bytes(), None, "{bytes:02x?}");
        }
        let whole = [0x58, 24].into_iter().chain([7; 24]).collect::<Vec<_>>();
        let full: Short<26> = write(|w| {
            w.bytes(&[7; 24]);
        })
        .unwrap();
        assert_eq!(full.as_ref(), whole);
        let short: Option<Short<25>> = write(|w| {
            w.bytes(&[7; 24]);
        });
        assert_eq!(short, None, "no room");
    }
}
