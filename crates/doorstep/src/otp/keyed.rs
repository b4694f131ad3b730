//! A secret made ready: the two HMAC states that depend on the key alone, so that a code costs two
//! compressions and not four.

use super::{Algorithm, Digits, OtpSecret};
use core::fmt;
use hmac::digest::Digest;
use sha1::Sha1;
use sha2::{Sha256, Sha512};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// The HMAC states of a secret (RFC 2104). They are worth as much as the secret.
#[derive(Clone)]
pub struct Keyed(States);

#[derive(Clone)]
enum States {
    Sha1 { inner: [u32; 5], outer: [u32; 5] },
    Sha256 { inner: [u32; 8], outer: [u32; 8] },
    Sha512 { inner: [u64; 8], outer: [u64; 8] },
}

const SHA1: [u32; 5] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
const SHA256: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];
const SHA512: [u64; 8] = [
    0x6a09_e667_f3bc_c908,
    0xbb67_ae85_84ca_a73b,
    0x3c6e_f372_fe94_f82b,
    0xa54f_f53a_5f1d_36f1,
    0x510e_527f_ade6_82d1,
    0x9b05_688c_2b3e_6c1f,
    0x1f83_d9ab_fb41_bd6b,
    0x5be0_cd19_137e_2179,
];

impl Keyed {
    /// The states of `secret` under `algorithm`.
    #[must_use]
    pub fn new(secret: &OtpSecret, algorithm: Algorithm) -> Self {
        Self(match algorithm {
            Algorithm::Sha1 => {
                let mut key = block::<64>(secret, |secret, out| fill(out, &Sha1::digest(secret)));
                let (mut inner, mut outer) = (SHA1, SHA1);
                pad(&mut key, 0x36);
                sha1::block_api::compress(&mut inner, &[key]);
                pad(&mut key, 0x36 ^ 0x5c);
                sha1::block_api::compress(&mut outer, &[key]);
                key.zeroize();
                States::Sha1 { inner, outer }
            }
            Algorithm::Sha256 => {
                let mut key = block::<64>(secret, |secret, out| fill(out, &Sha256::digest(secret)));
                let (mut inner, mut outer) = (SHA256, SHA256);
                pad(&mut key, 0x36);
                sha2::block_api::compress256(&mut inner, &[key]);
                pad(&mut key, 0x36 ^ 0x5c);
                sha2::block_api::compress256(&mut outer, &[key]);
                key.zeroize();
                States::Sha256 { inner, outer }
            }
            Algorithm::Sha512 => {
                let mut key =
                    block::<128>(secret, |secret, out| fill(out, &Sha512::digest(secret)));
                let (mut inner, mut outer) = (SHA512, SHA512);
                pad(&mut key, 0x36);
                sha2::block_api::compress512(&mut inner, &[key]);
                pad(&mut key, 0x36 ^ 0x5c);
                sha2::block_api::compress512(&mut outer, &[key]);
                key.zeroize();
                States::Sha512 { inner, outer }
            }
        })
    }

    /// The HOTP value of `counter` (RFC 4226 section 5.3) in `digits` digits, as a number.
    pub(crate) fn number(&self, counter: u64, digits: Digits) -> u64 {
        let counter = counter.to_be_bytes();
        let bits = match &self.0 {
            States::Sha1 { inner, outer } => {
                let (mut state, mut last) = (*inner, *outer);
                sha1::block_api::compress(&mut state, &[closed::<64>(&counter)]);
                sha1::block_api::compress(&mut last, &[closed::<64>(&words::<5, 20>(&state))]);
                let [a, b, c, d, e] = last;
                truncate([a, b, c, d, e], e)
            }
            States::Sha256 { inner, outer } => {
                let (mut state, mut last) = (*inner, *outer);
                sha2::block_api::compress256(&mut state, &[closed::<64>(&counter)]);
                let message: [u8; 32] = words(&state);
                sha2::block_api::compress256(&mut last, &[closed::<64>(&message)]);
                let [a, b, c, d, e, _, _, h] = last;
                truncate([a, b, c, d, e], h)
            }
            States::Sha512 { inner, outer } => {
                let (mut state, mut last) = (*inner, *outer);
                sha2::block_api::compress512(&mut state, &[closed::<128>(&counter)]);
                let message: [u8; 64] = words64(&state);
                sha2::block_api::compress512(&mut last, &[closed::<128>(&message)]);
                let [a, b, c, .., h] = last;
                let (a, b, c) = (halves(a), halves(b), halves(c));
                truncate([a.0, a.1, b.0, b.1, c.0], halves(h).1)
            }
        };
        reduce(bits, digits)
    }
}

impl Drop for Keyed {
    fn drop(&mut self) {
        match &mut self.0 {
            States::Sha1 { inner, outer } => {
                inner.zeroize();
                outer.zeroize();
            }
            States::Sha256 { inner, outer } => {
                inner.zeroize();
                outer.zeroize();
            }
            States::Sha512 { inner, outer } => {
                inner.zeroize();
                outer.zeroize();
            }
        }
    }
}

impl ZeroizeOnDrop for Keyed {}

impl fmt::Debug for Keyed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyed(..)")
    }
}

/// Dynamic truncation (RFC 4226 section 5.3) of a hash that begins with `first` and ends with
/// `last`: 31 bits. It reads the same words whatever the offset is.
pub(crate) fn truncate(first: [u32; 5], last: u32) -> u32 {
    let offset = last & 0xF;
    let [a, b, c, d, e] = first;
    let pairs = [(a, b), (b, c), (c, d), (d, e)];
    let shift = (offset & 3) << 3_u32;
    let mut bits = 0;
    for (index, (high, low)) in (0_u32..).zip(pairs) {
        let wide = (u64::from(high) << 32_u32) | u64::from(low);
        let shifted = wide.checked_shr(32_u32.saturating_sub(shift)).unwrap_or(0);
        // All ones when this is the word that the offset lies in.
        let mask = u32::from(index == offset >> 2_u32).wrapping_neg();
        bits |= u32::try_from(shifted & u64::from(u32::MAX)).unwrap_or(0) & mask;
    }
    bits & 0x7FFF_FFFF
}

/// The last `digits` digits of 31 bits. Each divisor is a constant, so that none is divided by in
/// time that depends on the number.
pub(crate) fn reduce(bits: u32, digits: Digits) -> u64 {
    u64::from(match digits.get() {
        4 => bits % 10_000,
        5 => bits % 100_000,
        6 => bits % 1_000_000,
        7 => bits % 10_000_000,
        8 => bits % 100_000_000,
        9 => bits % 1_000_000_000,
        _ => bits,
    })
}

/// The key as HMAC wants it: hashed when it is longer than a block, then filled with zeros.
fn block<const N: usize>(secret: &OtpSecret, hash: impl FnOnce(&[u8], &mut [u8; N])) -> [u8; N] {
    let mut block = [0; N];
    if secret.expose().len() > N {
        hash(secret.expose(), &mut block);
    } else {
        fill(&mut block, secret.expose());
    }
    block
}

fn fill<const N: usize>(out: &mut [u8; N], bytes: &[u8]) {
    for (place, byte) in out.iter_mut().zip(bytes) {
        *place = *byte;
    }
}

fn pad<const N: usize>(block: &mut [u8; N], byte: u8) {
    for place in block {
        *place ^= byte;
    }
}

/// The last block of a message that follows one block: the bytes, the end mark, the length.
fn closed<const N: usize>(message: &[u8]) -> [u8; N] {
    let mut block = [0; N];
    fill(&mut block, message);
    if let Some(mark) = block.get_mut(message.len()) {
        *mark = 0x80;
    }
    let bits = u64::try_from(N.saturating_add(message.len())).unwrap_or(0).saturating_mul(8);
    for (place, byte) in block.iter_mut().rev().zip(bits.to_le_bytes()) {
        *place = byte;
    }
    block
}

fn words<const W: usize, const B: usize>(state: &[u32; W]) -> [u8; B] {
    let mut bytes = [0; B];
    for (place, word) in bytes.chunks_exact_mut(4).zip(state) {
        place.copy_from_slice(&word.to_be_bytes());
    }
    bytes
}

fn words64(state: &[u64; 8]) -> [u8; 64] {
    let mut bytes = [0; 64];
    for (place, word) in bytes.chunks_exact_mut(8).zip(state) {
        place.copy_from_slice(&word.to_be_bytes());
    }
    bytes
}

fn halves(word: u64) -> (u32, u32) {
    let half = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).unwrap_or(0);
    (half(word >> 32_u32), half(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hmac::{Hmac, KeyInit, Mac};
    use proptest::prelude::*;
    use std::vec::Vec;

    fn by_the_book(algorithm: Algorithm, secret: &[u8], counter: u64) -> u32 {
        let message = counter.to_be_bytes();
        let hash: Vec<u8> = match algorithm {
            Algorithm::Sha1 => Hmac::<Sha1>::new_from_slice(secret)
                .unwrap()
                .chain_update(message)
                .finalize()
                .into_bytes()
                .to_vec(),
            Algorithm::Sha256 => Hmac::<Sha256>::new_from_slice(secret)
                .unwrap()
                .chain_update(message)
                .finalize()
                .into_bytes()
                .to_vec(),
            Algorithm::Sha512 => Hmac::<Sha512>::new_from_slice(secret)
                .unwrap()
                .chain_update(message)
                .finalize()
                .into_bytes()
                .to_vec(),
        };
        let offset = usize::from(hash.last().unwrap() & 15);
        u32::from_be_bytes(hash[offset..offset + 4].try_into().unwrap()) & 0x7FFF_FFFF
    }

    proptest! {
        #[test]
        fn cached_states_give_what_the_book_gives(
            secret in proptest::collection::vec(any::<u8>(), 1..=256),
            counter in any::<u64>(),
        ) {
            for algorithm in Algorithm::ALL {
                let keyed = Keyed::new(&OtpSecret::from_bytes(&secret).unwrap(), algorithm);
                let wanted = by_the_book(algorithm, &secret, counter);
                prop_assert_eq!(keyed.number(counter, Digits::new(10).unwrap()), u64::from(wanted));
                prop_assert_eq!(keyed.number(counter, Digits::SIX), u64::from(wanted) % 1_000_000);
            }
        }

        #[test]
        fn truncation_takes_the_bytes_at_the_offset(words in any::<[u32; 5]>(), last in any::<u32>()) {
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
            let offset = usize::try_from(last & 15).unwrap();
            let wanted = u32::from_be_bytes(bytes[offset..offset + 4].try_into().unwrap()) & 0x7FFF_FFFF;
            prop_assert_eq!(truncate(words, last), wanted);
        }
    }

    #[test]
    fn keys_at_the_edge_of_a_block_are_hashed_only_beyond_it() {
        for algorithm in Algorithm::ALL {
            for length in [1, 63, 64, 65, 127, 128, 129, 256] {
                let secret: Vec<u8> = (0..=255).cycle().take(length).collect();
                let keyed = Keyed::new(&OtpSecret::from_bytes(&secret).unwrap(), algorithm);
                let ten = Digits::new(10).unwrap();
                assert_eq!(
                    keyed.number(7, ten),
                    u64::from(by_the_book(algorithm, &secret, 7)),
                    "{algorithm:?} {length}"
                );
            }
        }
    }
}
