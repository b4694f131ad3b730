//! The state file: a journal of accounts, of what was presented, and of sessions that ended.

use crate::account::{Account, Attempts, Chain};
use crate::name::Name;
use doorstep::ledger::Head;
use doorstep::otp::record::{RECORD_LENGTH, Record};
use doorstep::time::Timestamp;
use doorstep_files::journal::Folded;
use minicbor::{Decode, Encode};
use std::collections::BTreeMap;

/// Numbers from here on are decoys, which stand in for names that nobody has: so many that nobody
/// uses up the attempts of many, to see then which names share them.
pub(crate) const DECOYS: u32 = 0xFFFF_0000;

/// The most ended sessions that are remembered.
pub(crate) const MOST_ENDED: usize = 10_000;

/// After so many presentations the file is written anew, without them.
pub(crate) const COMPACT_AFTER: u32 = 1024;

/// One record of the state file.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(crate) enum Entry {
    /// The first record.
    #[n(0)]
    Gate(#[n(0)] About),
    /// An account as an operator left it, in place of what was known of it.
    #[n(1)]
    Account(#[n(0)] Account),
    /// An account is gone.
    #[n(2)]
    Removed(#[n(0)] u32),
    /// A code was presented for an account, or for a decoy: a record of the core.
    #[n(3)]
    Presented(#[n(0)] u32, #[cbor(n(1), with = "minicbor::bytes")] [u8; RECORD_LENGTH]),
    /// A device was let in and will be known again.
    #[n(4)]
    Device {
        #[n(0)]
        account: u32,
        #[n(1)]
        source: u16,
        #[cbor(n(2), with = "minicbor::bytes")]
        hash: [u8; 32],
        #[n(3)]
        at: u64,
    },
    /// Sessions of this name before this epoch are void; without a name, all are.
    #[n(5)]
    Epoch(#[n(0)] Option<Name>, #[n(1)] u64),
    /// One session was ended by who had it; it would have lasted until then.
    #[n(6)]
    Ended(#[cbor(n(0), with = "minicbor::bytes")] [u8; 16], #[n(1)] u64),
    /// What is left of a decoy.
    #[n(7)]
    Decoy(#[n(0)] u32, #[n(1)] Attempts, #[n(2)] Chain),
    /// By what the service knows this host as a device of an account, sealed.
    #[n(8)]
    Token(#[n(0)] Name, #[cbor(n(1), with = "minicbor::bytes")] Vec<u8>),
}

impl Entry {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        // Writing to memory never fails.
        minicbor::to_vec(self).unwrap_or_default()
    }

    pub(crate) fn presented(account: u32, record: &Record) -> Self {
        Self::Presented(account, record.to_bytes())
    }
}

/// What never changes.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[cbor(array)]
pub(crate) struct About {
    /// Whether this is test data, for ever.
    #[n(0)]
    pub(crate) test: bool,
    /// The key file that belongs to it.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(crate) check: [u8; 32],
    #[n(2)]
    pub(crate) made: u64,
}

/// Everything that the state file says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct GateState {
    pub(crate) about: About,
    pub(crate) accounts: BTreeMap<u32, Account>,
    pub(crate) decoys: BTreeMap<u32, Account>,
    pub(crate) epoch: u64,
    pub(crate) epochs: BTreeMap<Name, u64>,
    pub(crate) ended: BTreeMap<[u8; 16], u64>,
    pub(crate) tokens: BTreeMap<Name, Vec<u8>>,
    /// Presentations since the file was written anew.
    pub(crate) presented: u32,
}

impl GateState {
    pub(crate) fn account(&self, name: &Name) -> Option<&Account> {
        self.accounts.values().find(|account| account.name == *name)
    }

    /// The account with this number, or the decoy, which is fresh until somebody tries it.
    pub(crate) fn subject(&self, number: u32) -> Option<Account> {
        if number < DECOYS {
            return self.accounts.get(&number).cloned();
        }
        Some(self.decoys.get(&number).cloned().unwrap_or_else(|| decoy(number, self.about.made)))
    }

    pub(crate) fn next_number(&self) -> u32 {
        self.accounts.last_key_value().map_or(1, |(last, _)| last.saturating_add(1))
    }

    /// In which epoch a session of this name begins.
    pub(crate) fn epoch_of(&self, name: &Name) -> u64 {
        self.epochs.get(name).copied().unwrap_or(0)
    }

    /// The records of a file that says the same in fewer words.
    pub(crate) fn summary(&self, now: Timestamp) -> Vec<Vec<u8>> {
        let mut entries = vec![Entry::Gate(self.about.clone())];
        entries.extend(self.accounts.values().cloned().map(Entry::Account));
        // One that has all its attempts is as good as fresh.
        let tried = |decoy: &&Account| decoy.attempts.bucket().filled(now).used() > 0;
        entries.extend(
            self.decoys
                .values()
                .filter(tried)
                .map(|decoy| Entry::Decoy(decoy.number, decoy.attempts, decoy.chain)),
        );
        // No clock says when an ended session may be forgotten, as one that was wrong would bring it
        // back. Rather everybody signs in once more.
        let forgets = self.ended.len() > MOST_ENDED;
        let epoch = if forgets { self.epoch.saturating_add(1) } else { self.epoch };
        if epoch > 0 {
            entries.push(Entry::Epoch(None, epoch));
        }
        entries.extend(
            self.epochs.iter().map(|(name, epoch)| Entry::Epoch(Some(name.clone()), *epoch)),
        );
        let token = |(name, sealed): (&Name, &Vec<u8>)| Entry::Token(name.clone(), sealed.clone());
        entries.extend(self.tokens.iter().map(token));
        let ended = self.ended.iter().filter(|_| !forgets);
        entries.extend(ended.map(|(session, until)| Entry::Ended(*session, *until)));
        entries.iter().map(Entry::to_bytes).collect()
    }

    fn take_in(&mut self, entry: Entry) -> Result<(), String> {
        let unknown = |number| format!("a record is about account {number}, which there is not");
        match entry {
            Entry::Gate(_) => return Err("it begins twice".to_owned()),
            Entry::Account(account) => {
                self.accounts.insert(account.number, account);
            }
            Entry::Removed(number) => {
                self.accounts.remove(&number).ok_or_else(|| unknown(number))?;
            }
            Entry::Presented(number, record) => {
                let record = Record::from_bytes(&record).ok_or("a record says nothing known")?;
                self.presented = self.presented.saturating_add(1);
                let account = if number >= DECOYS {
                    let made = self.about.made;
                    self.decoys.entry(number).or_insert_with(|| decoy(number, made))
                } else {
                    self.accounts.get_mut(&number).ok_or_else(|| unknown(number))?
                };
                account.apply(&record);
            }
            Entry::Device { account, source, hash, at } => {
                let known = self.accounts.get_mut(&account).ok_or_else(|| unknown(account))?;
                known.remember(source, hash, Timestamp::from_seconds(at));
            }
            Entry::Epoch(None, epoch) => self.epoch = self.epoch.max(epoch),
            Entry::Epoch(Some(name), epoch) => {
                let known = self.epochs.entry(name).or_default();
                *known = epoch.max(*known);
            }
            Entry::Ended(session, until) => {
                self.ended.insert(session, until);
            }
            Entry::Token(name, sealed) => {
                self.tokens.insert(name, sealed);
            }
            Entry::Decoy(number, attempts, chain) => {
                let decoy = Account { attempts, chain, ..decoy(number, self.about.made) };
                self.decoys.insert(number, decoy);
            }
        }
        Ok(())
    }
}

fn decoy(number: u32, made: u64) -> Account {
    // The name is never looked up: decoys are found by number.
    let attempts = Attempts::full(Timestamp::from_seconds(made));
    Account { chain: Chain(Head::EMPTY), ..Account::new(number, Name::nobody(), attempts) }
}

impl Folded for GateState {
    const MAGIC: &'static [u8] = b"doorstep gate 1\n";

    fn replay(records: &[&[u8]]) -> Result<Self, String> {
        let (first, rest) = records.split_first().ok_or("it is empty")?;
        let Entry::Gate(about) = read(first)? else {
            return Err("it does not begin with what it is".to_owned());
        };
        let mut state = Self {
            about,
            accounts: BTreeMap::new(),
            decoys: BTreeMap::new(),
            epoch: 0,
            epochs: BTreeMap::new(),
            ended: BTreeMap::new(),
            tokens: BTreeMap::new(),
            presented: 0,
        };
        for record in rest {
            state.apply(record)?;
        }
        Ok(state)
    }

    fn apply(&mut self, record: &[u8]) -> Result<(), String> {
        self.take_in(read(record)?)
    }
}

fn read(record: &[u8]) -> Result<Entry, String> {
    let mut decoder = minicbor::Decoder::new(record);
    let entry = decoder.decode().map_err(|error| format!("a record cannot be read: {error}"))?;
    if decoder.position() == record.len() { Ok(entry) } else { Err("a record goes on".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ended_sessions_are_forgotten_only_with_all_others() {
        let about = About { test: true, check: [0; 32], made: 0 };
        let mut state = GateState::replay(&[&Entry::Gate(about).to_bytes()]).unwrap();
        let written_anew = |state: &GateState| {
            let summary = state.summary(Timestamp::from_seconds(u64::MAX));
            let records: Vec<_> = summary.iter().map(Vec::as_slice).collect();
            let anew = GateState::replay(&records).unwrap();
            (anew.ended.len(), anew.epoch)
        };
        state.ended =
            (0..MOST_ENDED).map(|id| (u128::try_from(id).unwrap().to_be_bytes(), 0)).collect();
        assert_eq!(written_anew(&state), (MOST_ENDED, 0));
        state.ended.insert([0xff; 16], 0);
        assert_eq!(written_anew(&state), (0, 1));
    }
}
