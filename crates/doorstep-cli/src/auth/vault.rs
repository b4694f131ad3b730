//! The vault of authenticators.

use super::authenticator::{Authenticator, read_all, write_all};
use crate::vault::{self, Content, Kind};
use zeroize::Zeroizing;

/// A vault of authenticators that is open.
pub(crate) type Vault = vault::Vault<Vec<Authenticator>>;

impl Content for Vec<Authenticator> {
    const KIND: Kind = Kind {
        magic: *b"dsvault",
        name: "vault",
        missing: "doorstep auth add makes one; --vault FILE names another",
        foreign: "give the vault's own file with --vault; other apps' files go to doorstep auth import",
    };

    fn write(&self) -> Zeroizing<Vec<u8>> {
        write_all(self)
    }

    fn read(content: &[u8]) -> Option<Self> {
        read_all(content)
    }
}

impl Vault {
    pub(crate) fn authenticators(&self) -> &[Authenticator] {
        self.content()
    }
}
