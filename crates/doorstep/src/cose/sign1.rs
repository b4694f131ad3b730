//! Signed documents: COSE_Sign1 (RFC 9052 section 4.2) with fully specified algorithms (RFC 9864).

pub use super::keys::Signer;
use super::{Invalid, Kind};
use alloc::string::String;
use alloc::vec::Vec;
use core::convert::Infallible;
use core::fmt;
use minicbor::data::Tag;
use minicbor::{Decoder, Encoder};

const TAG: u64 = 18;
const HEADER_ALGORITHM: u8 = 1;
const HEADER_KEY_ID: u8 = 4;

/// A document that waits for its signature.
pub struct Unsigned {
    protected: Vec<u8>,
    kind: Kind,
    payload: Vec<u8>,
}

impl fmt::Debug for Unsigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Unsigned({:?}, ..)", self.kind)
    }
}

impl Unsigned {
    /// A document of this kind, to be signed with `signer`, known to readers by `key_id`.
    #[must_use]
    pub fn new(kind: Kind, signer: &Signer, key_id: &str, payload: Vec<u8>) -> Self {
        let protected = encode_protected(signer.algorithm(), key_id);
        Self { protected, kind, payload }
    }

    /// The bytes that the key's holder signs (the Sig_structure of RFC 9052 section 4.4).
    #[must_use]
    pub fn to_be_signed(&self) -> Vec<u8> {
        sig_structure(&self.protected, self.kind, &self.payload)
    }

    /// The document with its signature.
    #[must_use]
    pub fn signed(&self, signature: &[u8; 64]) -> Vec<u8> {
        encode(&self.protected, &self.payload, signature)
    }
}

/// A signed document that nobody has verified yet.
pub struct Signed<'a> {
    protected: &'a [u8],
    algorithm: i8,
    key_id: &'a str,
    payload: &'a [u8],
    signature: &'a [u8; 64],
}

impl fmt::Debug for Signed<'_> {
    /// Without the payload: a route's holds what its codes are checked with.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signed({:?}, ..)", self.key_id)
    }
}

impl<'a> Signed<'a> {
    /// Takes a document apart. Exactly one encoding is accepted.
    ///
    /// # Errors
    /// [`Invalid::Malformed`] naming the part.
    pub fn parse(document: &'a [u8]) -> Result<Self, Invalid> {
        let mut d = Decoder::new(document);
        let part = |name| move |_| Invalid::Malformed(name);
        if d.tag().map_err(part("tag"))? != Tag::new(TAG)
            || d.array().map_err(part("envelope"))? != Some(4)
        {
            return Err(Invalid::Malformed("envelope"));
        }
        let protected = d.bytes().map_err(part("protected header"))?;
        if d.map().map_err(part("header"))? != Some(0) {
            return Err(Invalid::Malformed("header"));
        }
        let payload = d.bytes().map_err(part("payload"))?;
        let signature = d.bytes().map_err(part("signature"))?;
        let signature = signature.try_into().map_err(|_| Invalid::Malformed("signature"))?;
        let (algorithm, key_id) =
            parse_protected(protected).ok_or(Invalid::Malformed("protected header"))?;
        let again = encode(&encode_protected(algorithm, key_id), payload, signature);
        if again != document {
            return Err(Invalid::Malformed("encoding"));
        }
        Ok(Self { protected, algorithm, key_id, payload, signature })
    }

    /// Who is said to have signed. Only a way to find the key: nothing is proven yet.
    #[must_use]
    pub const fn key_id(&self) -> &'a str {
        self.key_id
    }

    /// The payload, once the signature fits the key, the algorithm and the kind.
    ///
    /// # Errors
    /// [`Invalid::Algorithm`], [`Invalid::Signature`].
    pub fn verify(&self, signer: &Signer, kind: Kind) -> Result<&'a [u8], Invalid> {
        if self.algorithm != signer.algorithm() {
            return Err(Invalid::Algorithm);
        }
        signer.verify(&[&sig_structure(self.protected, kind, self.payload)], self.signature)?;
        Ok(self.payload)
    }

    /// The payload of a document that is trusted for another reason, such as the journal it
    /// stands in, or the hash that it had when it was verified.
    #[must_use]
    pub(crate) const fn unverified_payload(&self) -> &'a [u8] {
        self.payload
    }
}

fn encode(protected: &[u8], payload: &[u8], signature: &[u8; 64]) -> Vec<u8> {
    to_bytes(|e| {
        e.tag(Tag::new(TAG))?
            .array(4)?
            .bytes(protected)?
            .map(0)?
            .bytes(payload)?
            .bytes(signature)?;
        Ok(())
    })
}

fn encode_protected(algorithm: i8, key_id: &str) -> Vec<u8> {
    to_bytes(|e| {
        e.map(2)?
            .u8(HEADER_ALGORITHM)?
            .i8(algorithm)?
            .u8(HEADER_KEY_ID)?
            .bytes(key_id.as_bytes())?;
        Ok(())
    })
}

fn parse_protected(bytes: &[u8]) -> Option<(i8, &str)> {
    let mut d = Decoder::new(bytes);
    if d.map().ok()? != Some(2) || d.u8().ok()? != HEADER_ALGORITHM {
        return None;
    }
    let algorithm = d.i8().ok()?;
    if d.u8().ok()? != HEADER_KEY_ID {
        return None;
    }
    let key_id = core::str::from_utf8(d.bytes().ok()?).ok()?;
    Some((algorithm, key_id))
}

fn sig_structure(protected: &[u8], kind: Kind, payload: &[u8]) -> Vec<u8> {
    to_bytes(|e| {
        e.array(4)?
            .str("Signature1")?
            .bytes(protected)?
            .bytes(kind.context().as_bytes())?
            .bytes(payload)?;
        Ok(())
    })
}

/// Encodes into fresh memory, which cannot fail.
pub(crate) fn to_bytes(
    write: impl FnOnce(&mut Encoder<Vec<u8>>) -> Result<(), minicbor::encode::Error<Infallible>>,
) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    match write(&mut encoder) {
        Ok(()) => encoder.into_writer(),
        // The writer is infallible and no encoder here reports an error of its own.
        Err(_) => Vec::new(),
    }
}

/// The key id of a document, before anything else of it is believed.
///
/// # Errors
/// [`Invalid::Malformed`].
pub fn key_id_of(document: &[u8]) -> Result<String, Invalid> {
    Signed::parse(document).map(|signed| String::from(signed.key_id()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cose::keys::{IssuerKey, SoftwareKey};
    use crate::secret::Secret;
    use alloc::vec;

    fn device() -> SoftwareKey {
        SoftwareKey::from_secret(&Secret::from_bytes([7; 32])).unwrap()
    }

    fn document() -> Vec<u8> {
        let signer = Signer::P256(device().public());
        let unsigned = Unsigned::new(Kind::Claim, &signer, "dev_1", vec![1, 2, 3]);
        unsigned.signed(&device().sign(&unsigned.to_be_signed()))
    }

    #[test]
    fn opens_what_was_signed_and_nothing_else() {
        let document = document();
        let signed = Signed::parse(&document).unwrap();
        let signer = Signer::P256(device().public());
        assert_eq!(signed.key_id(), "dev_1");
        assert_eq!(signed.verify(&signer, Kind::Claim), Ok(&[1, 2, 3][..]));
        assert_eq!(signed.verify(&signer, Kind::Upload), Err(Invalid::Signature), "another kind");
        let other = SoftwareKey::from_secret(&Secret::from_bytes([8; 32])).unwrap();
        assert_eq!(
            signed.verify(&Signer::P256(other.public()), Kind::Claim),
            Err(Invalid::Signature),
            "another key"
        );
        let issuer = IssuerKey::from_seed(&Secret::from_bytes([7; 32]));
        assert_eq!(
            signed.verify(&Signer::Ed25519(issuer.public()), Kind::Claim),
            Err(Invalid::Algorithm)
        );
    }

    #[test]
    fn no_bit_can_be_changed_cut_or_added() {
        let document = document();
        let signer = Signer::P256(device().public());
        let opens = |bytes: &[u8]| {
            Signed::parse(bytes).is_ok_and(|s| s.verify(&signer, Kind::Claim).is_ok())
        };
        assert!(opens(&document));
        for index in 0..document.len() {
            assert!(!opens(&document[..index]));
            for bit in 0..8 {
                let mut changed = document.clone();
                changed[index] ^= 1 << bit;
                assert!(!opens(&changed), "byte {index} bit {bit}");
            }
        }
        let mut longer = document;
        longer.push(0);
        assert!(!opens(&longer));
    }
}
