//! What is stored and appended, field by field, big-endian: fixed layouts, and what varies in length.

use crate::time::Timestamp;

/// What is stored in one layout. Its fields are named once, and so are written and read by the same lines.
pub(crate) trait Stored {
    /// Names the fields in their order. What cannot be read stays as it was, since it is then seen to differ.
    fn fields(&mut self, layout: &mut Layout<'_>);

    /// Fills `out` with the fields, and then with zeros; `None` when it is too short.
    fn store(mut self, out: &mut [u8]) -> Option<()>
    where
        Self: Sized,
    {
        let mut layout = Layout { way: Way::Write(out), fits: true };
        self.fields(&mut layout);
        layout.end()
    }

    /// Reads the fields; `None` for all that [`Stored::store`] does not write.
    fn load(&mut self, bytes: &[u8]) -> Option<()> {
        self.fields(&mut Layout { way: Way::Read(bytes), fits: true });
        let mut layout = Layout { way: Way::Compare(bytes), fits: true };
        self.fields(&mut layout);
        layout.end()
    }
}

/// The bytes of something [`Stored`], which its fields are written to, read from or compared with.
pub(crate) struct Layout<'a> {
    way: Way<'a>,
    fits: bool,
}

enum Way<'a> {
    Write(&'a mut [u8]),
    Read(&'a [u8]),
    Compare(&'a [u8]),
}

impl Layout<'_> {
    /// Whether the fields are being set.
    #[cfg(feature = "lock")]
    pub(crate) const fn is_read(&self) -> bool {
        matches!(self.way, Way::Read(_))
    }

    /// The next bytes.
    #[inline(never)]
    pub(crate) fn bytes(&mut self, field: &mut [u8]) {
        match &mut self.way {
            Way::Write(out) => {
                let Some((place, rest)) = core::mem::take(out).split_at_mut_checked(field.len())
                else {
                    self.fits = false;
                    return;
                };
                place.copy_from_slice(field);
                *out = rest;
            }
            Way::Read(from) => {
                let Some((place, rest)) = from.split_at_checked(field.len()) else { return };
                field.copy_from_slice(place);
                *from = rest;
            }
            Way::Compare(with) => match with.strip_prefix(&*field) {
                Some(rest) => *with = rest,
                None => self.fits = false,
            },
        }
    }

    pub(crate) fn byte(&mut self, field: &mut u8) {
        self.bytes(core::slice::from_mut(field));
    }

    pub(crate) fn flag(&mut self, field: &mut bool) {
        let mut byte = u8::from(*field);
        self.byte(&mut byte);
        *field = byte == 1;
    }

    pub(crate) fn half(&mut self, field: &mut u16) {
        let mut bytes = field.to_be_bytes();
        self.bytes(&mut bytes);
        *field = u16::from_be_bytes(bytes);
    }

    #[cfg(feature = "lock")]
    pub(crate) fn word(&mut self, field: &mut u32) {
        let mut bytes = field.to_be_bytes();
        self.bytes(&mut bytes);
        *field = u32::from_be_bytes(bytes);
    }

    pub(crate) fn long(&mut self, field: &mut u64) {
        let mut bytes = field.to_be_bytes();
        self.bytes(&mut bytes);
        *field = u64::from_be_bytes(bytes);
    }

    pub(crate) fn signed(&mut self, field: &mut i64) {
        let mut bytes = field.to_be_bytes();
        self.bytes(&mut bytes);
        *field = i64::from_be_bytes(bytes);
    }

    pub(crate) fn time(&mut self, field: &mut Timestamp) {
        let mut seconds = field.seconds();
        self.long(&mut seconds);
        *field = Timestamp::from_seconds(seconds);
    }

    /// After the last field are zeros.
    fn end(self) -> Option<()> {
        let zeros = match self.way {
            Way::Write(rest) => {
                rest.fill(0);
                true
            }
            Way::Read(rest) | Way::Compare(rest) => rest.iter().all(|byte| *byte == 0),
        };
        (self.fits && zeros).then_some(())
    }
}

/// Writes what varies in length, up to `N` bytes; fields beyond them are a defect that the first test of a layout
/// shows.
#[cfg(all(feature = "otp", feature = "pass"))]
pub(crate) struct Writer<const N: usize>([u8; N], usize);

#[cfg(all(feature = "otp", feature = "pass"))]
impl<const N: usize> Writer<N> {
    pub(crate) const fn new() -> Self {
        Self([0; N], 0)
    }

    pub(crate) fn put(&mut self, bytes: &[u8]) {
        for (place, byte) in self.0.iter_mut().skip(self.1).zip(bytes) {
            *place = *byte;
        }
        self.1 = self.1.saturating_add(bytes.len());
    }

    pub(crate) const fn finish(self) -> [u8; N] {
        self.0
    }

    /// How many bytes were put so far.
    pub(crate) const fn length(&self) -> usize {
        self.1
    }
}

/// Reads what varies in length; `None` where the bytes end.
#[cfg(feature = "pass")]
pub(crate) struct Reader<'a>(&'a [u8]);

#[cfg(feature = "pass")]
impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    /// The next `length` bytes.
    #[cfg(feature = "otp")]
    pub(crate) fn slice(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// All that is left.
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// Whether nothing is left.
    #[cfg(feature = "otp")]
    pub(crate) const fn is_done(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn time(&mut self) -> Option<Timestamp> {
        self.take().map(|bytes| Timestamp::from_seconds(u64::from_be_bytes(bytes)))
    }
}

/// Up to `N` bytes.
#[cfg(feature = "pass")]
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Short<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

#[cfg(feature = "pass")]
impl<const N: usize> Short<N> {
    pub(crate) const EMPTY: Self = Self { bytes: [0; N], length: 0 };

    /// Puts in what `write` writes, which says how many bytes it has; `None` when there is no room for them.
    pub(crate) fn fill(&mut self, write: impl FnOnce(&mut [u8]) -> usize) -> Option<()> {
        let length = write(&mut self.bytes);
        self.length = length.min(N);
        (length <= N).then_some(())
    }

    /// Adds bytes; `None`, and nothing is added, when there is no room for them.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Option<()> {
        let end = self.length.checked_add(bytes.len())?;
        self.bytes.get_mut(self.length..end)?.copy_from_slice(bytes);
        self.length = end;
        Some(())
    }
}

#[cfg(feature = "encrypt")]
impl<const N: usize> AsMut<[u8]> for Short<N> {
    fn as_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(..self.length).unwrap_or_default()
    }
}

#[cfg(feature = "pass")]
impl<const N: usize> AsRef<[u8]> for Short<N> {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

#[cfg(feature = "pass")]
impl<const N: usize> core::fmt::Debug for Short<N> {
    /// Without the bytes: a pass is as good as its key.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} bytes", self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Pair(u8, bool);

    impl Stored for Pair {
        fn fields(&mut self, layout: &mut Layout<'_>) {
            layout.byte(&mut self.0);
            layout.flag(&mut self.1);
        }
    }

    #[test]
    fn what_is_stored_has_one_encoding() {
        let (mut out, mut read) = ([9; 4], Pair(0, false));
        assert_eq!(Pair(7, true).store(&mut out), Some(()));
        assert_eq!(out, [7, 1, 0, 0]);
        assert_eq!((read.load(&out), read), (Some(()), Pair(7, true)));
        assert_eq!(read.load(&out[..2]), Some(()), "as short as it may be");
        for other in [&[7, 2, 0, 0][..], &[7, 1, 0, 1], &[7, 1, 1, 0], &[7], &[]] {
            assert_eq!(Pair(0, false).load(other), None, "{other:?}");
        }
        assert_eq!(Pair(7, true).store(&mut out[..1]), None);
    }
}
