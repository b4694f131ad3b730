//! Signatures checked, and keys agreed on, by AWS-LC: assembly, for servers, phones and other large machines.
//!
//! What it gains is in `docs/benchmarks.md`. What fits is the same: a door and its issuer never judge one document
//! in two ways.

use crate::secret::Secret;
use aws_lc_rs::agreement::{self, ECDH_P256};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, UnparsedPublicKey};
use p256::elliptic_curve::sec1::ToSec1Point as _;
use p256::{PublicKey, Sec1Point, SecretKey};

/// Whether an Ed25519 signature fits (RFC 8032 section 5.1.7, without the cofactor).
pub(super) fn ed25519_fits(key: &[u8; 32], message: &[&[u8]], signature: &[u8; 64]) -> bool {
    UnparsedPublicKey::new(&ED25519, key).verify(&message.concat(), signature).is_ok()
}

/// Whether an ECDSA signature (`r || s`, SHA-256) on P-256 fits (FIPS 186-5 section 6.4.2).
pub(super) fn p256_fits(key: &PublicKey, message: &[&[u8]], signature: &[u8; 64]) -> bool {
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, uncompressed(key));
    key.verify(&message.concat(), signature).is_ok()
}

/// The x coordinate of the point that two keys agree on (ECDH, SP 800-56A); `None` without memory for it.
pub(super) fn p256_agree(secret: &SecretKey, other: &PublicKey) -> Option<Secret<32>> {
    let secret = Secret::from_bytes(secret.to_bytes().into());
    let secret = agreement::PrivateKey::from_private_key(&ECDH_P256, secret.expose()).ok()?;
    let other = agreement::UnparsedPublicKey::new(&ECDH_P256, uncompressed(other));
    let shared = agreement::agree(&secret, other, (), |x| x.try_into().map_err(|_| ()));
    shared.ok().map(Secret::from_bytes)
}

// Not compressed, or y would be computed once more.
fn uncompressed(key: &PublicKey) -> Sec1Point {
    key.to_sec1_point(false)
}

#[cfg(test)]
mod tests {
    use super::super::portable;
    use super::*;
    use crate::cose::keys::{IssuerKey, SoftwareKey};
    use curve25519_dalek::constants::EIGHT_TORSION;
    use curve25519_dalek::{EdwardsPoint, Scalar};
    use proptest::prelude::*;
    use serde_json::Value;
    use sha2::{Digest as _, Sha512};
    use std::vec::Vec;

    /// Each case of Wycheproof: key, message, signature.
    fn cases(document: &str) -> Vec<(Vec<u8>, Vec<u8>, [u8; 64])> {
        let document: Value = serde_json::from_str(document).unwrap();
        let mut cases = Vec::new();
        for group in document["groups"].as_array().unwrap() {
            for case in group["cases"].as_array().unwrap() {
                if let Ok(signature) = bytes(&case["signature"]).try_into() {
                    cases.push((bytes(&group["key"]), bytes(&case["message"]), signature));
                }
            }
        }
        cases
    }

    fn bytes(hex: &Value) -> Vec<u8> {
        let hex = hex.as_str().unwrap();
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        (0..hex.len()).step_by(2).map(byte).collect()
    }

    #[test]
    fn both_libraries_say_the_same_of_wycheproofs_signatures() {
        let mut fits = [0, 0];
        for (key, message, signature) in
            cases(include_str!("../../../../../vectors/wycheproof/ed25519.json"))
        {
            let key = key.try_into().unwrap();
            let verified = ed25519_fits(&key, &[&message], &signature);
            assert_eq!(verified, portable::ed25519_fits(&key, &[&message], &signature));
            fits[usize::from(verified)] += 1;
        }
        for (key, message, signature) in
            cases(include_str!("../../../../../vectors/wycheproof/p256.json"))
        {
            let key = PublicKey::from_sec1_bytes(&key).unwrap();
            let verified = p256_fits(&key, &[&message], &signature);
            assert_eq!(verified, portable::p256_fits(&key, &[&message], &signature));
            fits[usize::from(verified)] += 1;
        }
        assert!(fits.iter().all(|count| *count > 100), "{fits:?}");
    }

    /// Signatures on which libraries differ when one multiplies by the cofactor and another does not.
    #[test]
    fn both_libraries_say_the_same_under_keys_with_a_part_of_small_order() {
        let (secret, nonce) = (Scalar::from(0x1234_5678_9ABC_DEF0_u64), Scalar::from(7_u64));
        let mut fits = [0, 0];
        for (small, of_r) in EIGHT_TORSION.iter().zip(EIGHT_TORSION.iter().rev()) {
            let key = (EdwardsPoint::mul_base(&secret) + small).compress().to_bytes();
            for r in [EdwardsPoint::mul_base(&nonce), EdwardsPoint::mul_base(&nonce) + of_r] {
                let r = r.compress().to_bytes();
                for message in 0..=u8::MAX {
                    let hash = Sha512::new().chain_update(r).chain_update(key);
                    let hash = hash.chain_update([message]).finalize();
                    let k = Scalar::from_bytes_mod_order_wide(&hash.into());
                    let s = (nonce + k * secret).to_bytes();
                    let signature = [r, s].concat().try_into().unwrap();
                    let verified = ed25519_fits(&key, &[&[message]], &signature);
                    assert_eq!(verified, portable::ed25519_fits(&key, &[&[message]], &signature));
                    fits[usize::from(verified)] += 1;
                }
            }
        }
        // With the cofactor all of them would fit.
        assert!(fits.iter().all(|count| *count > 500), "{fits:?}");
    }

    proptest! {
        #[test]
        fn both_libraries_say_the_same_of_changed_signatures(
            seed: [u8; 32],
            message: [u8; 40],
            cut in 0..=40_usize,
            changed in prop::option::of(0..512_usize),
        ) {
            let change = |mut signature: [u8; 64]| {
                changed.into_iter().for_each(|bit| signature[bit / 8] ^= 1 << (bit % 8));
                signature
            };
            let (first, second) = message.split_at(cut);
            let issuer = IssuerKey::from_seed(&Secret::from_bytes(seed));
            let (key, signature) = (issuer.public().to_bytes(), change(issuer.sign(&message)));
            prop_assert_eq!(ed25519_fits(&key, &[first, second], &signature), changed.is_none());
            prop_assert_eq!(portable::ed25519_fits(&key, &[first, second], &signature), changed.is_none());

            let device = SoftwareKey::from_secret(&Secret::from_bytes(seed)).unwrap();
            let key = PublicKey::from_sec1_bytes(&device.public().to_bytes()).unwrap();
            let signature = change(device.sign(&message));
            prop_assert_eq!(p256_fits(&key, &[first, second], &signature), changed.is_none());
            prop_assert_eq!(portable::p256_fits(&key, &[first, second], &signature), changed.is_none());
        }

        #[test]
        fn both_libraries_agree_on_the_same_point(one: [u8; 32], other: [u8; 32]) {
            let [one, other] = [one, other].map(|bytes| SecretKey::from_slice(&bytes).unwrap());
            let shared = p256_agree(&one, &other.public_key()).unwrap();
            let same = one.diffie_hellman(&other.public_key());
            prop_assert_eq!(&shared.expose()[..], &same.raw_secret_bytes()[..]);
        }
    }
}
