//! A wallet: what a guest's phone does for its passes. It keeps them, with the one key that proves they are
//! its own, in a file under a passphrase; at a lock it needs no network.

pub(crate) mod find;
pub(crate) mod key;
pub(crate) mod pass;
pub(crate) mod present;

use crate::vault::{self, Content, Kind};
use key::HolderKey;
use pass::HeldPass;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// The most passes of a wallet.
pub(crate) const MAX_PASSES: usize = 500;

/// A wallet's file that is open.
pub(crate) type Vault = vault::Vault<Wallet>;

/// What a wallet keeps.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wallet {
    /// The phone's own key.
    pub(crate) key: HolderKey,
    /// The passes, in the order in which they came.
    pub(crate) passes: Vec<HeldPass>,
}

impl Wallet {
    /// An empty one.
    pub(crate) const fn new(key: HolderKey) -> Self {
        Self { key, passes: Vec::new() }
    }
}

impl Content for Wallet {
    const KIND: Kind = Kind {
        magic: *b"dsphone",
        name: "wallet",
        missing: "doorstep wallet init makes one; --wallet FILE names another",
        foreign: "give the wallet's own file with --wallet; a pass goes to doorstep wallet add",
    };

    fn write(&self) -> Zeroizing<Vec<u8>> {
        // Room enough that the buffer does not move, and leave a copy of the key behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(4096 + 2048 * self.passes.len()));
        serde_json::to_writer(&mut *bytes, self).expect("text is written into memory");
        bytes
    }

    fn read(content: &[u8]) -> Option<Self> {
        serde_json::from_slice(content).ok()
    }
}
