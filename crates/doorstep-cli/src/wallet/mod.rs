//! A wallet: what a guest's phone does for its passes. It keeps them, with the one key that proves they are
//! its own, in a file under a passphrase; at a lock it needs no network.

pub(crate) mod carried;
pub(crate) mod find;
pub(crate) mod key;
pub(crate) mod line;
pub(crate) mod meeting;
pub(crate) mod pass;
pub(crate) mod present;
pub(crate) mod service;
mod stored;

use crate::refused::{Refused, Stop};
use crate::vault::{self, Content, Kind};
use carried::Carried;
use key::HolderKey;
use pass::HeldPass;
use serde::{Deserialize, Serialize};
use std::io;
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
    /// What is on its way to locks, and back.
    pub(crate) carried: Carried,
}

impl Wallet {
    /// An empty one.
    pub(crate) fn new(key: HolderKey) -> Self {
        Self { key, passes: Vec::new(), carried: Carried::default() }
    }

    /// Takes in a pass that somebody handed over.
    pub(crate) fn add(&mut self, held: HeldPass) -> Result<(), Stop> {
        if held.holder().is_some_and(|holder| *holder != self.key.public()) {
            return Err(Refused::new(
                "other_holder",
                "this pass is bound to another phone's key",
                "nothing was added; ask for one for this wallet's key: doorstep wallet key",
            )
            .into());
        }
        // Nobody here can tell which of two passes with one id is the true one, so the first stays.
        if self.passes.iter().any(|known| known.id_text() == held.id_text()) {
            return Err(Refused::new(
                "duplicate",
                format!("the wallet has the pass {} already", held.id_text()),
                "nothing was added; doorstep wallet list shows what is there",
            )
            .into());
        }
        if self.passes.len() >= MAX_PASSES {
            return Err(Refused::new(
                "full",
                format!("the wallet has {MAX_PASSES} passes, and room for no more"),
                "nothing was added; remove some that are over: doorstep wallet remove",
            )
            .into());
        }
        self.passes.push(held);
        Ok(())
    }

    /// Takes in a pass that a service gave, in place of what it gave before under this id.
    pub(crate) fn take_in(&mut self, held: HeldPass, riders: Vec<Vec<u8>>) -> Result<(), Stop> {
        let server = |held: &HeldPass| held.source().map(|source| source.server.clone());
        self.passes
            .retain(|known| known.id_text() != held.id_text() || server(known) != server(&held));
        let (name, server) = (held.names().map(str::to_owned), server(&held));
        self.add(held)?;
        if let Some(server) = server {
            self.carried.take_riders(&server, name.as_deref(), riders);
        }
        Ok(())
    }

    /// Puts the pass that took another's place there, under the name that its owner gave the door. The same one
    /// is told again while the wallet has questions with the one before.
    pub(crate) fn replace(&mut self, id: &str, successor: HeldPass) {
        let has = |id: &str| self.passes.iter().position(|known| known.id_text() == id);
        let (Some(place), None) = (has(id), has(&successor.id_text())) else { return };
        if let Some(before) = self.passes.get_mut(place) {
            let own = before.label.take();
            *before = successor;
            if own.is_some() {
                before.label = own;
            }
        }
    }

    /// Removes a pass, and what is carried for nobody then.
    pub(crate) fn remove(&mut self, id: &str) {
        self.passes.retain(|pass| pass.id_text() != id);
        let passes = &self.passes;
        self.carried.retain(|server, name| {
            let of = |pass: &&HeldPass| pass.source().is_some_and(|source| source.server == server);
            let opens = |pass: &HeldPass| {
                // Which locks are in a group only the service knows.
                pass.group().is_some() || name.is_none_or(|name| pass.names() == Some(name))
            };
            passes.iter().filter(of).any(opens)
        });
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
        // Counted first, so that the buffer does not move, and leave a copy of the key behind.
        let mut length = Length(0);
        serde_json::to_writer(&mut length, self).expect("text is counted");
        let mut bytes = Zeroizing::new(Vec::with_capacity(length.0));
        serde_json::to_writer(&mut *bytes, self).expect("text is written into memory");
        bytes
    }

    fn read(content: &[u8]) -> Option<Self> {
        serde_json::from_slice(content).ok()
    }
}

/// Counts what is written, and keeps nothing of it.
struct Length(usize);

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.saturating_add(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
