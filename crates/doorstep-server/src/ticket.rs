//! Tickets: what a dispatcher hands a driver, once, so that a device and an issuer that have never
//! met can trust each other. The issuer knows the device by the ticket's secret, the device knows
//! the issuer by the fingerprint of its keys.

use crate::Mode;
use crate::ids::{symbols, value};
use doorstep::secret::Secret;
use rand_core::CryptoRng;
use sha2::{Digest as _, Sha256};

const TEST_PREFIX: &str = "tkt_test_";
const LIVE_PREFIX: &str = "tkt_live_";
/// Crockford symbols of 16 bytes.
const HALF: usize = 26;

/// A one-time ticket: `tkt_test_` or `tkt_live_`, 26 symbols of secret, 26 symbols of fingerprint.
///
/// The prefix is for the device: what serves tests alone can be refused before anything is sent.
/// It proves nothing to the issuer, which knows its own mode.
#[derive(Clone, Debug)]
pub struct Ticket {
    mode: Mode,
    secret: Secret<16>,
    fingerprint: [u8; 16],
}

impl Ticket {
    /// Draws a ticket of an issuer of this mode, with these public keys.
    pub fn make(
        mode: Mode,
        signing_key: &[u8; 32],
        agreement_key: &[u8; 33],
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Self {
        Self {
            mode,
            secret: Secret::make(rng),
            fingerprint: fingerprint(signing_key, agreement_key),
        }
    }

    /// Reads a ticket; spaces around it are dropped.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (mode, text) = match text.strip_prefix(TEST_PREFIX) {
            Some(rest) => (Mode::Test, rest),
            None => (Mode::Live, text.strip_prefix(LIVE_PREFIX)?),
        };
        if text.len() != HALF * 2 {
            return None;
        }
        let (secret, fingerprint) = text.split_at_checked(HALF)?;
        Some(Self {
            mode,
            secret: Secret::from_bytes(value(secret)?.to_be_bytes()),
            fingerprint: value(fingerprint)?.to_be_bytes(),
        })
    }

    /// The whole ticket as text: for the driver, never for a log.
    #[must_use]
    pub fn reveal(&self) -> String {
        let secret = u128::from_be_bytes(*self.secret.expose());
        let prefix = match self.mode {
            Mode::Test => TEST_PREFIX,
            Mode::Live => LIVE_PREFIX,
        };
        format!("{prefix}{}{}", symbols(secret), symbols(u128::from_be_bytes(self.fingerprint)))
    }

    /// Whether its issuer keeps test data only.
    #[must_use]
    pub const fn is_test(&self) -> bool {
        matches!(self.mode, Mode::Test)
    }

    /// The secret part.
    #[must_use]
    pub const fn secret(&self) -> &Secret<16> {
        &self.secret
    }

    /// Whether these are the keys of the issuer that made the ticket.
    #[must_use]
    pub fn fits(&self, signing_key: &[u8; 32], agreement_key: &[u8; 33]) -> bool {
        fingerprint(signing_key, agreement_key) == self.fingerprint
    }

    /// What the issuer stores of it.
    pub(crate) fn hash(&self) -> [u8; 32] {
        Sha256::new_with_prefix(b"doorstep/ticket/v1")
            .chain_update(self.secret.expose())
            .finalize()
            .into()
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

    fn made(mode: Mode) -> Ticket {
        Ticket::make(mode, &[1; 32], &[2; 33], &mut ChaCha20Rng::seed_from_u64(1))
    }

    #[test]
    fn a_ticket_reads_back_and_knows_its_issuer() {
        let ticket = made(Mode::Live);
        let read = Ticket::parse(&format!(" {}\n", ticket.reveal())).unwrap();
        assert_eq!(read.secret().expose(), ticket.secret().expose());
        assert!(read.fits(&[1; 32], &[2; 33]));
        assert!(!read.fits(&[1; 32], &[3; 33]));
        assert!(!read.fits(&[3; 32], &[2; 33]));
        assert_eq!(format!("{ticket:?}").matches(&ticket.reveal()[9..35]).count(), 0);
    }

    #[test]
    fn a_ticket_says_whether_it_is_for_tests() {
        for (mode, prefix) in [(Mode::Test, "tkt_test_"), (Mode::Live, "tkt_live_")] {
            let text = made(mode).reveal();
            assert!(text.starts_with(prefix), "{text}");
            let read = Ticket::parse(&text).unwrap();
            assert_eq!((read.is_test(), read.reveal()), (mode == Mode::Test, text));
        }
        assert_eq!(made(Mode::Test).hash(), made(Mode::Live).hash(), "the secret alone is stored");
    }

    #[test]
    fn what_is_no_ticket_is_refused() {
        let text = made(Mode::Live).reveal();
        let rest = &text["tkt_live_".len()..];
        for bad in [
            "",
            "tkt_",
            "tkt_live_",
            rest,
            &format!("tkt_{rest}"),
            &format!("tkt_prod_{rest}"),
            &format!("tkt_test_tkt_live_{rest}"),
            &format!("ds_live_{rest}"),
            &text[..text.len() - 1],
            &format!("{text}0"),
            &text.to_uppercase(),
            &format!("tkt_live_{}", "z".repeat(52)),
            &format!("tkt_live_{}", "é".repeat(26)),
        ] {
            assert!(Ticket::parse(bad).is_none(), "{bad}");
        }
    }
}
