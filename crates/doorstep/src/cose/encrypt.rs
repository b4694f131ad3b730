//! Sealed documents: COSE_Encrypt to one P-256 key (RFC 9052 section 5.1, RFC 9053 section 6.3):
//! ECDH-ES with a fresh key, HKDF-SHA-256, AES-256-GCM.

use super::keys::{PublicKey, Shared, SoftwareKey};
use super::sign1::to_bytes;
use super::{Invalid, Kind};
use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit};
use alloc::vec::Vec;
use hkdf::Hkdf;
use minicbor::Decoder;
use minicbor::data::Tag;
use rand_core::CryptoRng;
use sha2::Sha256;
use zeroize::Zeroizing;

const TAG: u64 = 96;
const HEADER_ALGORITHM: u8 = 1;
const HEADER_IV: u8 = 5;
const HEADER_EPHEMERAL_KEY: i8 = -1;
const A256GCM: u8 = 3;
const ECDH_ES_HKDF_256: i8 = -25;
const KEY_TYPE: u8 = 1;
const KEY_TYPE_EC2: u8 = 2;
const EC2_CURVE: i8 = -1;
const CURVE_P256: u8 = 1;
const EC2_X: i8 = -2;
const EC2_Y: i8 = -3;

/// Seals `content` to `recipient`, under a key pair drawn for this document alone.
///
/// # Errors
/// [`Invalid::Seal`] when the content is too long for the cipher, 64 GiB.
pub fn seal(
    kind: Kind,
    recipient: &PublicKey,
    content: &[u8],
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<Vec<u8>, Invalid> {
    let ephemeral = SoftwareKey::make(rng);
    let mut iv = [0; 12];
    rng.fill_bytes(&mut iv);
    let shared = ephemeral.agree(recipient);
    let cipher = cipher(kind, recipient, &ephemeral.public(), &shared)?;
    let payload = Payload { msg: content, aad: &enc_structure(kind) };
    let ciphertext = cipher.encrypt(&iv.into(), payload).map_err(|_| Invalid::Seal)?;
    Ok(encode(&iv, &ciphertext, &ephemeral.public()))
}

/// A sealed document, taken apart.
#[derive(Debug)]
pub struct Sealed<'a> {
    iv: [u8; 12],
    ciphertext: &'a [u8],
    ephemeral: PublicKey,
}

impl<'a> Sealed<'a> {
    /// Takes a document apart. Exactly one encoding is accepted.
    ///
    /// # Errors
    /// [`Invalid::Malformed`], [`Invalid::Key`].
    pub fn parse(document: &'a [u8]) -> Result<Self, Invalid> {
        let (iv, ciphertext, ephemeral) =
            decode(document).map_err(|_| Invalid::Malformed("sealed document"))?;
        let sealed = Self { iv, ciphertext, ephemeral: PublicKey::from_bytes(&ephemeral)? };
        if encode(&iv, ciphertext, &sealed.ephemeral) != document {
            return Err(Invalid::Malformed("encoding"));
        }
        Ok(sealed)
    }

    /// The key that the recipient's key must agree with to open this.
    #[must_use]
    pub const fn ephemeral(&self) -> &PublicKey {
        &self.ephemeral
    }

    /// The content, given what the two keys agree on.
    ///
    /// # Errors
    /// [`Invalid::Seal`] when it was sealed to another key, as another kind, or changed.
    pub fn open(
        &self,
        kind: Kind,
        recipient: &PublicKey,
        shared: &Shared,
    ) -> Result<Zeroizing<Vec<u8>>, Invalid> {
        let payload = Payload { msg: self.ciphertext, aad: &enc_structure(kind) };
        cipher(kind, recipient, &self.ephemeral, shared)?
            .decrypt(&self.iv.into(), payload)
            .map(Zeroizing::new)
            .map_err(|_| Invalid::Seal)
    }
}

fn cipher(
    kind: Kind,
    recipient: &PublicKey,
    ephemeral: &PublicKey,
    shared: &Shared,
) -> Result<Aes256Gcm, Invalid> {
    let mut key = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(None, shared.expose())
        .expand(&kdf_context(kind, recipient, ephemeral), key.as_mut())
        .map_err(|_| Invalid::Seal)?;
    Aes256Gcm::new_from_slice(key.as_ref()).map_err(|_| Invalid::Seal)
}

/// The COSE_KDF_Context of RFC 9053 section 5.2: the recipient is named by its key's fingerprint,
/// the kind and the whole ephemeral key stand in the public "other" field. ECDH uses only the x of
/// a point, so without the latter a document would open with the sign of y turned over as well.
fn kdf_context(kind: Kind, recipient: &PublicKey, ephemeral: &PublicKey) -> Vec<u8> {
    let other = [kind.context().as_bytes(), &ephemeral.to_bytes()].concat();
    to_bytes(|e| {
        e.array(4)?.u8(A256GCM)?;
        e.array(3)?.null()?.null()?.null()?;
        e.array(3)?.bytes(&recipient.fingerprint())?.null()?.null()?;
        e.array(3)?.u16(256)?.bytes(&recipient_header())?.bytes(&other)?;
        Ok(())
    })
}

fn body_header() -> Vec<u8> {
    to_bytes(|e| {
        e.map(1)?.u8(HEADER_ALGORITHM)?.u8(A256GCM)?;
        Ok(())
    })
}

fn recipient_header() -> Vec<u8> {
    to_bytes(|e| {
        e.map(1)?.u8(HEADER_ALGORITHM)?.i8(ECDH_ES_HKDF_256)?;
        Ok(())
    })
}

fn enc_structure(kind: Kind) -> Vec<u8> {
    to_bytes(|e| {
        e.array(3)?.str("Encrypt")?.bytes(&body_header())?.bytes(kind.context().as_bytes())?;
        Ok(())
    })
}

fn encode(iv: &[u8; 12], ciphertext: &[u8], ephemeral: &PublicKey) -> Vec<u8> {
    let [sign, x @ ..] = ephemeral.to_bytes();
    to_bytes(|e| {
        e.tag(Tag::new(TAG))?.array(4)?.bytes(&body_header())?;
        e.map(1)?.u8(HEADER_IV)?.bytes(iv)?;
        e.bytes(ciphertext)?;
        e.array(1)?.array(3)?.bytes(&recipient_header())?;
        e.map(1)?.i8(HEADER_EPHEMERAL_KEY)?;
        e.map(4)?.u8(KEY_TYPE)?.u8(KEY_TYPE_EC2)?.i8(EC2_CURVE)?.u8(CURVE_P256)?;
        // A compressed point starts with 2 for an even y and 3 for an odd one.
        e.i8(EC2_X)?.bytes(&x)?.i8(EC2_Y)?.bool(sign == 3)?;
        e.bytes(&[])?;
        Ok(())
    })
}

type Parts<'a> = ([u8; 12], &'a [u8], [u8; 33]);

/// Reads the fields only; that every other byte is as it must be is settled by encoding again.
fn decode(document: &[u8]) -> Result<Parts<'_>, minicbor::decode::Error> {
    let wrong = |_| minicbor::decode::Error::message("length");
    let mut d = Decoder::new(document);
    d.tag()?;
    d.array()?;
    d.bytes()?;
    d.map()?;
    d.u8()?;
    let iv = d.bytes()?.try_into().map_err(wrong)?;
    let ciphertext = d.bytes()?;
    d.array()?;
    d.array()?;
    d.bytes()?;
    d.map()?;
    d.i8()?;
    d.map()?;
    d.u8()?;
    d.u8()?;
    d.i8()?;
    d.u8()?;
    d.i8()?;
    let x: [u8; 32] = d.bytes()?.try_into().map_err(wrong)?;
    d.i8()?;
    let mut ephemeral = [if d.bool()? { 3 } else { 2 }; 33];
    for (to, from) in ephemeral.iter_mut().skip(1).zip(x) {
        *to = from;
    }
    d.bytes()?;
    Ok((iv, ciphertext, ephemeral))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;
    use rand_chacha::rand_core::SeedableRng as _;

    fn key(byte: u8) -> SoftwareKey {
        SoftwareKey::from_secret(&Secret::from_bytes([byte; 32])).unwrap()
    }

    fn open(document: &[u8], kind: Kind, key: &SoftwareKey) -> Result<Vec<u8>, Invalid> {
        let sealed = Sealed::parse(document)?;
        let shared = key.agree(sealed.ephemeral());
        sealed.open(kind, &key.public(), &shared).map(|content| content.to_vec())
    }

    #[test]
    fn only_the_recipient_opens_it_and_only_as_its_kind() {
        let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(1);
        let document = seal(Kind::Route, &key(1).public(), b"stops", &mut rng).unwrap();
        assert_eq!(open(&document, Kind::Route, &key(1)).unwrap(), b"stops");
        assert_eq!(open(&document, Kind::Route, &key(2)), Err(Invalid::Seal));
        assert_eq!(open(&document, Kind::Evidence, &key(1)), Err(Invalid::Seal));
    }

    #[test]
    fn no_bit_can_be_changed_cut_or_added() {
        let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(2);
        let document = seal(Kind::Route, &key(1).public(), b"stops", &mut rng).unwrap();
        for index in 0..document.len() {
            assert!(open(&document[..index], Kind::Route, &key(1)).is_err());
            for bit in 0..8 {
                let mut changed = document.clone();
                changed[index] ^= 1 << bit;
                assert!(open(&changed, Kind::Route, &key(1)).is_err(), "byte {index} bit {bit}");
            }
        }
        let mut longer = document;
        longer.push(0);
        assert!(open(&longer, Kind::Route, &key(1)).is_err());
    }
}
