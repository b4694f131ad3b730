//! Fixed layouts: what is stored and appended, written and read field by field, big-endian.

use crate::time::Timestamp;

/// Writes `N` bytes; fields beyond them are a defect that the first test of a layout shows.
pub(crate) struct Writer<const N: usize>([u8; N], usize);

impl<const N: usize> Writer<N> {
    pub(crate) const fn new() -> Self {
        Self([0; N], 0)
    }

    pub(crate) fn put(&mut self, bytes: &[u8]) {
        self.1 = place(&mut self.0, self.1, bytes);
    }

    /// Leaves so many bytes as zeros.
    #[cfg(feature = "pass")]
    pub(crate) const fn skip(&mut self, bytes: usize) {
        self.1 = self.1.saturating_add(bytes);
    }

    pub(crate) const fn finish(self) -> [u8; N] {
        self.0
    }

    /// How many bytes were put so far.
    #[cfg(all(feature = "otp", feature = "pass"))]
    pub(crate) const fn length(&self) -> usize {
        self.1
    }
}

/// Puts bytes into others from a place on, and says where they end.
fn place(out: &mut [u8], from: usize, bytes: &[u8]) -> usize {
    for (place, byte) in out.iter_mut().skip(from).zip(bytes) {
        *place = *byte;
    }
    from.saturating_add(bytes.len())
}

/// Reads what a [`Writer`] wrote; `None` where the bytes end.
pub(crate) struct Reader<'a>(&'a [u8]);

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
    #[cfg(feature = "pass")]
    pub(crate) fn slice(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// All that is left.
    #[cfg(feature = "pass")]
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// Whether nothing is left.
    #[cfg(all(feature = "otp", feature = "pass"))]
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
