//! What a verification costs at least, and a C library as Rust calls it: the two ends between which
//! the core is measured.

pub mod processor;
pub mod tokens;

use sha1::block_api::compress;
use std::ffi::{CStr, c_char, c_int, c_uint};

/// The least that must be done for HOTP with SHA-1: two compressions from states computed ahead, and
/// the truncation. Nothing is kept secret and nothing is checked.
pub struct Floor {
    inner: [u32; 5],
    outer: [u32; 5],
}

impl Floor {
    /// Computes the states of a secret of at most a block.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        let keyed = |byte: u8| {
            let mut block = [byte; 64];
            for (place, byte) in block.iter_mut().zip(secret) {
                *place ^= byte;
            }
            let mut state = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
            compress(&mut state, &[block]);
            state
        };
        Self { inner: keyed(0x36), outer: keyed(0x5c) }
    }

    /// The code of a counter, in six digits.
    #[must_use]
    pub fn code(&self, counter: u64) -> u32 {
        let mut block = [0; 64];
        block[..8].copy_from_slice(&counter.to_be_bytes());
        block[8] = 0x80;
        block[62..].copy_from_slice(&(72_u16 * 8).to_be_bytes());
        let mut state = self.inner;
        compress(&mut state, &[block]);
        let mut block = [0; 64];
        for (place, word) in block.chunks_exact_mut(4).zip(state) {
            place.copy_from_slice(&word.to_be_bytes());
        }
        block[20] = 0x80;
        block[62..].copy_from_slice(&(84_u16 * 8).to_be_bytes());
        let mut state = self.outer;
        compress(&mut state, &[block]);
        let mut hash = [0; 20];
        for (place, word) in hash.chunks_exact_mut(4).zip(state) {
            place.copy_from_slice(&word.to_be_bytes());
        }
        let offset = usize::from(hash[19] & 15);
        let bits: [u8; 4] = hash[offset..offset + 4].try_into().unwrap_or_default();
        (u32::from_be_bytes(bits) & 0x7FFF_FFFF) % 1_000_000
    }

    /// Compares a code with all counters of a range, and does not stop at a match.
    #[must_use]
    pub fn compare(&self, code: u32, counters: std::ops::RangeInclusive<u64>) -> Option<u64> {
        let mut found = u64::MAX;
        for counter in counters {
            let same = u64::from(self.code(counter) == code).wrapping_neg();
            found = (found & !same) | (counter & same);
        }
        (found != u64::MAX).then_some(found)
    }
}

unsafe extern "C" {
    fn oath_init() -> c_int;
    fn oath_totp_validate(
        secret: *const u8,
        length: usize,
        now: i64,
        period: c_uint,
        t0: i64,
        window: usize,
        code: *const c_char,
    ) -> c_int;
    fn oath_hotp_validate(
        secret: *const u8,
        length: usize,
        counter: u64,
        window: usize,
        code: *const c_char,
    ) -> c_int;
}

/// Makes liboath ready; once, before anything else of it is called.
#[must_use]
pub fn init() -> bool {
    // SAFETY: it takes nothing and may be called again.
    unsafe { oath_init() == 0 }
}

/// How far from now the step of `code` is, by liboath.
#[must_use]
pub fn liboath_totp(secret: &[u8], now: i64, window: usize, code: &CStr) -> Option<c_int> {
    // SAFETY: both pointers are valid for the call, and nothing is written through them.
    let found = unsafe {
        oath_totp_validate(secret.as_ptr(), secret.len(), now, 30, 0, window, code.as_ptr())
    };
    (found >= 0).then_some(found)
}

/// How far from `counter` the counter of `code` is, by liboath.
#[must_use]
pub fn liboath_hotp(secret: &[u8], counter: u64, window: usize, code: &CStr) -> Option<c_int> {
    // SAFETY: as above.
    let found = unsafe {
        oath_hotp_validate(secret.as_ptr(), secret.len(), counter, window, code.as_ptr())
    };
    (found >= 0).then_some(found)
}
