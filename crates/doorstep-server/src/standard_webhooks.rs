//! Signatures of the Standard Webhooks scheme: who receives a request learns that it comes from
//! here, is whole, and is not an old one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use doorstep::time::Timestamp;
use hmac::{Hmac, KeyInit as _, Mac as _};
use rand_core::CryptoRng;
use sha2::Sha256;
use std::fmt;
use subtle::{Choice, ConstantTimeEq as _};
use zeroize::Zeroizing;

const PREFIX: &str = "whsec_";
/// Bytes of a secret, by the specification.
const LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;
/// Bytes of the secrets that are made here.
const MADE: usize = 32;
/// How far a request's time may be from the receiver's, in seconds.
const TOLERANCE: u64 = 5 * 60;
/// Signatures of one request that are looked at; a rotation needs two.
const MOST_SIGNATURES: usize = 8;

/// The headers of a signed request.
pub(crate) const ID: &str = "webhook-id";
pub(crate) const TIMESTAMP: &str = "webhook-timestamp";
pub(crate) const SIGNATURE: &str = "webhook-signature";

/// A secret of both sides, written `whsec_` and base64.
#[derive(Clone)]
pub(crate) struct WebhookSecret(Zeroizing<Vec<u8>>);

/// Why a text is no secret. The message never repeats it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a secret of Standard Webhooks: whsec_ and 24 to 64 bytes in base64")]
pub(crate) struct SecretError;

/// Why a request is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum VerifyError {
    #[error("its time is missing, malformed or more than five minutes off")]
    Time,
    #[error("none of its signatures fits")]
    Signature,
}

impl WebhookSecret {
    pub(crate) fn make(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut bytes = Zeroizing::new(vec![0; MADE]);
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    pub(crate) fn parse(text: &str) -> Result<Self, SecretError> {
        let encoded = text.strip_prefix(PREFIX).ok_or(SecretError)?;
        let bytes = Zeroizing::new(STANDARD.decode(encoded).map_err(|_| SecretError)?);
        if !LENGTHS.contains(&bytes.len()) {
            return Err(SecretError);
        }
        Ok(Self(bytes))
    }

    /// The secret as it is handed over, once.
    pub(crate) fn reveal(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{PREFIX}{}", *Zeroizing::new(STANDARD.encode(&*self.0))))
    }

    fn mac(&self, id: &str, timestamp: &str, body: &[u8]) -> [u8; 32] {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else {
            // HMAC takes keys of any length.
            return [0; 32];
        };
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    /// The value of the header [`SIGNATURE`].
    pub(crate) fn sign(&self, id: &str, at: Timestamp, body: &[u8]) -> String {
        let mac = self.mac(id, &at.seconds().to_string(), body);
        format!("v1,{}", STANDARD.encode(mac))
    }

    /// Whether one of the signatures in a header is this secret's, and the request of now. All are
    /// compared, each in constant time. Those of other versions are passed over.
    pub(crate) fn verify(
        &self,
        (id, timestamp, signatures): (&str, &str, &str),
        body: &[u8],
        now: Timestamp,
    ) -> Result<(), VerifyError> {
        // As it was signed: digits and nothing else, no zeros in front.
        let at: u64 = timestamp.parse().map_err(|_| VerifyError::Time)?;
        if at.to_string() != timestamp || at.abs_diff(now.seconds()) > TOLERANCE {
            return Err(VerifyError::Time);
        }
        let mac = self.mac(id, timestamp, body);
        let mut fits = Choice::from(0);
        for signature in signatures.split(' ').take(MOST_SIGNATURES) {
            let decoded = signature.strip_prefix("v1,").and_then(|text| STANDARD.decode(text).ok());
            if let Some(decoded) = decoded {
                fits |= decoded.as_slice().ct_eq(&mac);
            }
        }
        if bool::from(fits) { Ok(()) } else { Err(VerifyError::Signature) }
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng as _;

    /// The example that the libraries of the specification are tested with.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const MESSAGE: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const AT: &str = "1614265330";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNED: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn signs_and_verifies_the_published_example() {
        let secret = WebhookSecret::parse(SECRET).unwrap();
        assert_eq!(secret.sign(MESSAGE, at(1_614_265_330), BODY), SIGNED);
        assert_eq!(secret.verify((MESSAGE, AT, SIGNED), BODY, at(1_614_265_330)), Ok(()));
        assert_eq!(*secret.reveal(), SECRET);
    }

    #[test]
    fn headers_have_the_names_of_the_specification() {
        assert_eq!(
            (ID, TIMESTAMP, SIGNATURE),
            ("webhook-id", "webhook-timestamp", "webhook-signature")
        );
    }

    #[test]
    fn one_of_several_signatures_is_enough_as_in_a_rotation() {
        let secret = WebhookSecret::parse(SECRET).unwrap();
        let other = WebhookSecret::make(&mut ChaCha20Rng::seed_from_u64(1));
        let now = at(1_614_265_330);
        let old = other.sign(MESSAGE, now, BODY);
        for header in [format!("{old} {SIGNED}"), format!("v1a,AAAA {SIGNED} {old}")] {
            assert_eq!(secret.verify((MESSAGE, AT, &header), BODY, now), Ok(()), "{header}");
            assert_eq!(other.verify((MESSAGE, AT, &header), BODY, now), Ok(()), "{header}");
        }
        let flood = format!("{}{SIGNED}", format!("{old} ").repeat(MOST_SIGNATURES));
        let refused = secret.verify((MESSAGE, AT, &flood), BODY, now);
        assert_eq!(refused, Err(VerifyError::Signature));
    }

    #[test]
    fn whatever_is_changed_does_not_fit() {
        let secret = WebhookSecret::parse(SECRET).unwrap();
        let now = at(1_614_265_330);
        let later = secret.sign(MESSAGE, at(1_614_265_331), BODY);
        for (id, signatures, body) in [
            ("msg_other", SIGNED, BODY),
            (MESSAGE, SIGNED, b"{}".as_slice()),
            (MESSAGE, SIGNED, b"".as_slice()),
            (MESSAGE, &SIGNED[..SIGNED.len() - 4], BODY),
            (MESSAGE, &SIGNED.replace("v1,", "v1a,"), BODY),
            (MESSAGE, &SIGNED.replace("v1,", "V1,"), BODY),
            (MESSAGE, &SIGNED.replace("v1,", ""), BODY),
            (MESSAGE, &later, BODY),
            (MESSAGE, "v1,", BODY),
            (MESSAGE, "", BODY),
        ] {
            let refused = secret.verify((id, AT, signatures), body, now);
            assert_eq!(refused, Err(VerifyError::Signature), "{id} {signatures}");
        }
    }

    #[test]
    fn old_requests_and_those_of_the_future_are_refused() {
        let secret = WebhookSecret::parse(SECRET).unwrap();
        let verify = |timestamp: &str, now| secret.verify((MESSAGE, timestamp, SIGNED), BODY, now);
        assert_eq!(verify(AT, at(1_614_265_330 + 300)), Ok(()));
        for now in [1_614_265_330 + 301, 1_614_265_330 - 301, 0, u64::MAX] {
            assert_eq!(verify(AT, at(now)), Err(VerifyError::Time), "{now}");
        }
        for timestamp in ["", " 1614265330", "+1614265330", "01614265330", "1614265330.0", "1e9"] {
            let refused = verify(timestamp, at(1_614_265_330));
            assert_eq!(refused, Err(VerifyError::Time), "{timestamp:?}");
        }
    }

    #[test]
    fn secrets_are_read_strictly_and_never_printed() {
        for text in [
            "",
            "whsec_",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_not base64",
            "whsec_c2hvcnQ=",
            &format!("whsec_{}", STANDARD.encode([1; 23])),
            &format!("whsec_{}", STANDARD.encode([1; 65])),
        ] {
            assert_eq!(WebhookSecret::parse(text).unwrap_err(), SecretError, "{text}");
        }
        let made = WebhookSecret::make(&mut ChaCha20Rng::seed_from_u64(2));
        let read = WebhookSecret::parse(&made.reveal()).unwrap();
        assert_eq!(*read.reveal(), *made.reveal());
        assert_eq!(format!("{made:?}"), "WebhookSecret(..)");
    }
}
