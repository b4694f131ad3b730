//! The envelope of a vault: Argon2id (RFC 9106) makes a key of the passphrase, XChaCha20-Poly1305
//! seals the content under it. The layout is in `docs/auth.md`.

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305};
use doorstep::secret::Secret;
use rand_core::CryptoRng;
use std::ops::RangeInclusive;
use zeroize::Zeroizing;

/// Follows the seven bytes of the vault's kind.
const VERSION: u8 = 1;
const HEADER_LENGTH: usize = 7 + 1 + 1 + 12 + SALT_LENGTH + CHECK_LENGTH + NONCE_LENGTH;
const SALT_LENGTH: usize = 16;
const CHECK_LENGTH: usize = 32;
const NONCE_LENGTH: usize = 24;

/// What Argon2id costs: the second choice that RFC 9106 recommends (64 MiB, 3 passes, 4 lanes).
const COST: Cost = Cost { memory: 1 << 16, passes: 3, lanes: 4 };

/// What is read: nothing cheaper than was ever written, and nothing that a changed file could use
/// to exhaust a machine.
const MEMORY: RangeInclusive<u32> = (1 << 16)..=(1 << 20);
const PASSES: RangeInclusive<u32> = 3..=16;
const LANES: RangeInclusive<u32> = 1..=16;

/// The parameters of Argon2id: memory in KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cost {
    memory: u32,
    passes: u32,
    lanes: u32,
}

/// Why a file is no vault that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadVault {
    /// It does not begin like one.
    NotOne,
    /// A newer doorstep wrote it.
    Version,
    /// It breaks off, or its head cannot be.
    Head,
    /// The passphrase is right and the content is not what was written.
    Content,
}

/// The passphrase is not the one that the vault was sealed under.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct WrongPassphrase;

/// What a passphrase opens, as long as the vault keeps its salt.
pub(crate) struct Key {
    kind: [u8; 7],
    test: bool,
    cost: Cost,
    salt: [u8; SALT_LENGTH],
    /// Tells a wrong passphrase from a damaged file, and binds the content to one key.
    check: [u8; CHECK_LENGTH],
    secret: Secret<32>,
}

impl Key {
    /// The key of a new vault, or of one whose passphrase changes. `test` marks it for ever.
    pub(crate) fn make(
        passphrase: &str,
        kind: [u8; 7],
        test: bool,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Self {
        let mut salt = [0; SALT_LENGTH];
        rng.fill_bytes(&mut salt);
        Self::derive(passphrase, kind, test, COST, salt)
    }

    fn derive(
        passphrase: &str,
        kind: [u8; 7],
        test: bool,
        cost: Cost,
        salt: [u8; SALT_LENGTH],
    ) -> Self {
        let mut output = Zeroizing::new([0; 64]);
        let derived = Params::new(cost.memory, cost.passes, cost.lanes, Some(output.len()))
            .and_then(|params| {
                Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password_into(
                    passphrase.as_bytes(),
                    &salt,
                    output.as_mut(),
                )
            });
        derived.expect("parameters are within Argon2's own limits, passphrases shorter than 4 GiB");
        let (mut secret, mut check) = (Zeroizing::new([0; 32]), [0; CHECK_LENGTH]);
        for (place, byte) in secret.iter_mut().chain(&mut check).zip(output.iter()) {
            *place = *byte;
        }
        Self { kind, test, cost, salt, check, secret: Secret::from_bytes(*secret) }
    }

    pub(crate) const fn is_test(&self) -> bool {
        self.test
    }

    /// Seals a vault's content under a fresh nonce.
    pub(crate) fn seal(&self, content: &[u8], rng: &mut (impl CryptoRng + ?Sized)) -> Vec<u8> {
        let mut nonce = [0; NONCE_LENGTH];
        rng.fill_bytes(&mut nonce);
        let mut file = Vec::with_capacity(HEADER_LENGTH + content.len() + 16);
        file.extend(self.kind);
        file.push(VERSION);
        file.push(u8::from(self.test));
        for number in [self.cost.memory, self.cost.passes, self.cost.lanes] {
            file.extend(number.to_be_bytes());
        }
        file.extend(self.salt);
        file.extend(self.check);
        file.extend(nonce);
        let payload = Payload { msg: content, aad: &file };
        let sealed = self.cipher().encrypt(&nonce.into(), payload);
        file.extend(sealed.expect("a vault is shorter than the 256 GiB of this cipher"));
        file
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.secret.expose().into())
    }
}

/// A vault as it lies on the disk: its head is open, its content sealed.
pub(crate) struct Envelope<'a> {
    head: &'a [u8],
    kind: [u8; 7],
    test: bool,
    cost: Cost,
    salt: [u8; SALT_LENGTH],
    check: [u8; CHECK_LENGTH],
    nonce: [u8; NONCE_LENGTH],
    sealed: &'a [u8],
}

impl<'a> Envelope<'a> {
    /// Takes a file apart that is to be a vault of this kind.
    pub(crate) fn parse(file: &'a [u8], kind: [u8; 7]) -> Result<Self, BadVault> {
        let (head, sealed) = file.split_at_checked(HEADER_LENGTH).unwrap_or((file, &[]));
        let mut rest = head;
        if take(&mut rest) != Some(kind) {
            return Err(BadVault::NotOne);
        }
        match take(&mut rest) {
            Some([VERSION]) => {}
            Some(_) => return Err(BadVault::Version),
            None => return Err(BadVault::NotOne),
        }
        let test = match take(&mut rest) {
            Some([0]) => false,
            Some([1]) => true,
            _ => return Err(BadVault::Head),
        };
        let mut number = || take(&mut rest).map(u32::from_be_bytes).ok_or(BadVault::Head);
        let cost = Cost { memory: number()?, passes: number()?, lanes: number()? };
        let affordable = MEMORY.contains(&cost.memory)
            && PASSES.contains(&cost.passes)
            && LANES.contains(&cost.lanes);
        if !affordable {
            return Err(BadVault::Head);
        }
        let salt = take(&mut rest).ok_or(BadVault::Head)?;
        let check = take(&mut rest).ok_or(BadVault::Head)?;
        let nonce = take(&mut rest).ok_or(BadVault::Head)?;
        Ok(Self { head, kind, test, cost, salt, check, nonce, sealed })
    }

    /// Whether it was made under a simulated clock. Only true once [`Self::open`] has agreed.
    pub(crate) const fn is_test(&self) -> bool {
        self.test
    }

    /// The key that `passphrase` makes: this takes a while, by design.
    pub(crate) fn key(&self, passphrase: &str) -> Result<Key, WrongPassphrase> {
        let key = Key::derive(passphrase, self.kind, self.test, self.cost, self.salt);
        // Whoever has the file has the check; there is nothing to learn from how long this takes.
        if key.check == self.check { Ok(key) } else { Err(WrongPassphrase) }
    }

    /// Whether `key` is this vault's: its passphrase may have been changed by another process.
    pub(crate) fn fits(&self, key: &Key) -> bool {
        (self.kind, self.test, self.cost, self.salt, self.check)
            == (key.kind, key.test, key.cost, key.salt, key.check)
    }

    /// The content.
    pub(crate) fn open(&self, key: &Key) -> Result<Zeroizing<Vec<u8>>, BadVault> {
        let payload = Payload { msg: self.sealed, aad: self.head };
        let content = key.cipher().decrypt(&self.nonce.into(), payload);
        content.map(Zeroizing::new).map_err(|_| BadVault::Content)
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (bytes, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng as _;

    const CONTENT: &[u8] = b"the content";
    const KIND: [u8; 7] = *b"dsvault";

    fn parse(file: &[u8]) -> Result<Envelope<'_>, BadVault> {
        Envelope::parse(file, KIND)
    }

    fn sealed(test: bool) -> (Key, Vec<u8>) {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let key = Key::make("correct horse", KIND, test, &mut rng);
        let file = key.seal(CONTENT, &mut rng);
        (key, file)
    }

    #[test]
    fn a_vault_opens_under_its_passphrase_and_no_other() {
        let (_, file) = sealed(false);
        let envelope = parse(&file).unwrap();
        let key = envelope.key("correct horse").unwrap();
        assert_eq!(&*envelope.open(&key).unwrap(), CONTENT);
        for wrong in ["", "correct horse ", "Correct horse"] {
            assert_eq!(envelope.key(wrong).err(), Some(WrongPassphrase), "{wrong:?}");
        }
        assert!(!file.windows(CONTENT.len()).any(|window| window == CONTENT));
    }

    #[test]
    fn every_changed_byte_is_seen() {
        let (key, file) = sealed(false);
        for position in 0..file.len() {
            let mut changed = file.clone();
            changed[position] ^= 1;
            let opened = parse(&changed).and_then(|envelope| {
                if envelope.fits(&key) { envelope.open(&key) } else { Err(BadVault::Head) }
            });
            assert!(opened.is_err(), "byte {position}");
            let cut = parse(&file[..position]).and_then(|cut| cut.open(&key));
            assert!(cut.is_err(), "cut at {position}");
        }
    }

    #[test]
    fn a_real_vault_is_never_taken_for_a_test_by_a_changed_byte() {
        let (key, mut file) = sealed(false);
        file[8] = 1;
        let envelope = parse(&file).unwrap();
        assert!(envelope.is_test());
        assert_eq!(envelope.open(&key).err(), Some(BadVault::Content));
    }

    #[test]
    fn costs_beyond_reason_are_refused_before_they_are_paid() {
        let (_, file) = sealed(true);
        for (field, values) in [
            (9, [0, 65_535, (1 << 20) + 1, u32::MAX]),
            (13, [0, 2, 17, u32::MAX]),
            (17, [0, 17, 1 << 24, u32::MAX]),
        ] {
            for value in values {
                let mut costly = file.clone();
                costly[field..field + 4].copy_from_slice(&value.to_be_bytes());
                assert_eq!(parse(&costly).err(), Some(BadVault::Head), "{value}");
            }
        }
        let mut newer = file;
        newer[7] = 2;
        assert_eq!(parse(&newer).err(), Some(BadVault::Version));
        assert_eq!(parse(b"{}").err(), Some(BadVault::NotOne));
    }

    #[test]
    fn a_vault_of_one_kind_passes_for_no_other() {
        let (_, mut file) = sealed(false);
        assert_eq!(Envelope::parse(&file, *b"dsphone").err(), Some(BadVault::NotOne));
        file[..7].copy_from_slice(b"dsphone");
        assert_eq!(parse(&file).err(), Some(BadVault::NotOne));
        let renamed = Envelope::parse(&file, *b"dsphone").unwrap();
        let key = renamed.key("correct horse").unwrap();
        assert_eq!(renamed.open(&key).err(), Some(BadVault::Content));
    }

    #[test]
    fn no_two_seals_share_a_nonce() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let (key, _) = sealed(false);
        assert_ne!(key.seal(CONTENT, &mut rng), key.seal(CONTENT, &mut rng));
    }
}
