//! Tickets: what a dispatcher hands a driver, once, so that a device and an issuer that have never
//! met can trust each other. The issuer knows the device by the ticket's secret, the device knows
//! the issuer by the fingerprint of its keys.

use crate::ids::{symbols, value};
use doorstep::secret::Secret;
use rand_core::CryptoRng;
use sha2::{Digest as _, Sha256};

const PREFIX: &str = "tkt_";
/// Crockford symbols of 16 bytes.
const HALF: usize = 26;

/// A one-time ticket: `tkt_`, 26 symbols of secret, 26 symbols of fingerprint.
#[derive(Clone, Debug)]
pub struct Ticket {
    secret: Secret<16>,
    fingerprint: [u8; 16],
}

impl Ticket {
    /// Draws a ticket of the issuer with these public keys.
    pub fn make(
        signing_key: &[u8; 32],
        agreement_key: &[u8; 33],
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Self {
        Self { secret: Secret::make(rng), fingerprint: fingerprint(signing_key, agreement_key) }
    }

    /// Reads a ticket; spaces around it are dropped.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().strip_prefix(PREFIX)?;
        if text.len() != HALF * 2 {
            return None;
        }
        let (secret, fingerprint) = text.split_at_checked(HALF)?;
        Some(Self {
            secret: Secret::from_bytes(value(secret)?.to_be_bytes()),
            fingerprint: value(fingerprint)?.to_be_bytes(),
        })
    }

    /// The whole ticket as text: for the driver, never for a log.
    #[must_use]
    pub fn reveal(&self) -> String {
        let secret = u128::from_be_bytes(*self.secret.expose());
        format!(
            "{PREFIX}{}{}",
            symbols(secret, 26),
            symbols(u128::from_be_bytes(self.fingerprint), 26)
        )
    }

    /// The secret part.
    #[must_use]
    pub const fn secret(&self) -> &[u8; 16] {
        self.secret.expose()
    }

    /// Whether these are the keys of the issuer that made the ticket.
    #[must_use]
    pub fn fits(&self, signing_key: &[u8; 32], agreement_key: &[u8; 33]) -> bool {
        fingerprint(signing_key, agreement_key) == self.fingerprint
    }

    /// What the issuer stores of it.
    pub(crate) fn hash(&self) -> [u8; 32] {
        Sha256::new_with_prefix(b"doorstep/ticket/v1").chain_update(self.secret()).finalize().into()
    }
}

fn fingerprint(signing_key: &[u8; 32], agreement_key: &[u8; 33]) -> [u8; 16] {
    let hash: [u8; 32] = Sha256::new_with_prefix(b"doorstep/issuer-keys/v1")
        .chain_update(signing_key)
        .chain_update(agreement_key)
        .finalize()
        .into();
    let mut short = [0; 16];
    short.copy_from_slice(hash.first_chunk::<16>().unwrap_or(&[0; 16]));
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng as _;

    #[test]
    fn a_ticket_reads_back_and_knows_its_issuer() {
        let ticket = Ticket::make(&[1; 32], &[2; 33], &mut ChaCha20Rng::seed_from_u64(1));
        let read = Ticket::parse(&format!(" {}\n", ticket.reveal())).unwrap();
        assert_eq!(read.secret(), ticket.secret());
        assert!(read.fits(&[1; 32], &[2; 33]));
        assert!(!read.fits(&[1; 32], &[3; 33]));
        assert!(!read.fits(&[3; 32], &[2; 33]));
        assert_eq!(format!("{ticket:?}").matches(&ticket.reveal()[4..30]).count(), 0);
    }

    #[test]
    fn what_is_no_ticket_is_refused() {
        let text = Ticket::make(&[1; 32], &[2; 33], &mut ChaCha20Rng::seed_from_u64(1)).reveal();
        for bad in [
            "",
            "tkt_",
            &text[4..],
            &text[..55],
            &format!("{text}0"),
            &text.to_uppercase(),
            &format!("tkt_{}", "z".repeat(52)),
            &format!("tkt_{}", "é".repeat(26)),
        ] {
            assert!(Ticket::parse(bad).is_none(), "{bad}");
        }
    }
}
