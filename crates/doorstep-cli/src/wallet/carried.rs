//! What a phone carries between a service and its locks: riders to the lock, sealed journals back. It can
//! judge none of it; how much it keeps is bounded.

use super::stored::Bytes;
use doorstep::clock::NONCE_LIFETIME;
use doorstep::pass::document::{Content, Document};
use doorstep::pass::rider::{Rider, advances, follows};
use doorstep::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The most locks and groups whose lists of revoked passes are kept.
const MAX_LOCKS: usize = 200;

/// The most services whose statements about keys are kept, and how many of each; the newest stay.
const MAX_SERVICES: usize = 50;
const MAX_ROTATIONS: usize = 100;

/// The most questions of locks for the time.
const MAX_TIMES: usize = 16;

/// The most journals; the newest stay.
const MAX_JOURNALS: usize = 8;

/// The longest sealed journal that is taken along; a lock's has some 200 KB.
pub(crate) const MAX_JOURNAL: usize = 512 << 10;

/// A journal has at least twice as many of its lock's last records, so a newer one says all of an older one that
/// is no more than this behind.
const COVERED: u64 = 1_000;

/// What a wallet carries. Whose locks they are is said by the service's address.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Carried {
    rotations: Vec<Rotations>,
    bulletins: Vec<NewestBulletin>,
    times: Vec<WantedTime>,
    journals: Vec<Journal>,
}

/// A service's statements about keys. They are for all of its locks, whether the phone has met them or not.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Rotations {
    server: String,
    /// By their numbers.
    documents: BTreeMap<u32, Bytes>,
}

/// The newest list of revoked passes for the locks of one name.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct NewestBulletin {
    server: String,
    /// What the lock, or its group, is called in passes.
    name: String,
    /// Its number and itself; none was needed so far.
    newest: Option<(u32, Bytes)>,
}

/// The time that a lock asked for.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct WantedTime {
    server: String,
    lock: String,
    nonce: Bytes,
    /// When it asked, by the phone's clock.
    asked_at: u64,
    /// The service's answer.
    token: Option<Bytes>,
}

/// A lock's journal on its way home.
#[derive(Clone, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Journal {
    pub(crate) server: String,
    pub(crate) lock: String,
    /// How many records the lock had written by then, as it said.
    pub(crate) records: u64,
    pub(crate) sealed: Bytes,
}

/// A rider on its way to a lock.
#[derive(Clone)]
pub(crate) struct Lacking {
    pub(crate) kind: &'static str,
    pub(crate) sequence: u32,
    pub(crate) document: Bytes,
}

impl Carried {
    /// Takes in what a service gave, for a lock or a group if it has a `name`. What is no rider for it is dropped.
    pub(crate) fn take_riders(
        &mut self,
        server: &str,
        name: Option<&str>,
        documents: Vec<Vec<u8>>,
    ) {
        let mut rotations = self.take_out_rotations(server);
        let mut list = name.map(|name| self.take_out_bulletin(server, name));
        for document in documents {
            match (read(&document), &mut list) {
                (Some(Rider::Rotation(rotation)), _) => {
                    rotations.documents.insert(rotation.sequence, document.into());
                }
                (Some(Rider::Bulletin(bulletin)), Some(list))
                    if bulletin.audience.as_str() == list.name =>
                {
                    let known = list.newest.as_ref().map_or(0, |(sequence, _)| *sequence);
                    if bulletin.sequence >= known {
                        list.newest = Some((bulletin.sequence, document.into()));
                    }
                }
                _ => {}
            }
        }
        while rotations.documents.len() > MAX_ROTATIONS {
            rotations.documents.pop_first();
        }
        if !rotations.documents.is_empty() {
            push(&mut self.rotations, rotations, MAX_SERVICES);
        }
        if let Some(list) = list {
            push(&mut self.bulletins, list, MAX_LOCKS);
        }
    }

    fn take_out_rotations(&mut self, server: &str) -> Rotations {
        match self.rotations.iter().position(|known| known.server == server) {
            Some(place) => self.rotations.remove(place),
            None => Rotations { server: server.to_owned(), documents: BTreeMap::new() },
        }
    }

    fn take_out_bulletin(&mut self, server: &str, name: &str) -> NewestBulletin {
        let is_it = |known: &NewestBulletin| known.server == server && known.name == name;
        match self.bulletins.iter().position(is_it) {
            Some(place) => self.bulletins.remove(place),
            None => {
                NewestBulletin { server: server.to_owned(), name: name.to_owned(), newest: None }
            }
        }
    }

    /// What a service's lock lacks whose name, and whose group's, are these, in the order in which it is to be held
    /// to the lock: statements about keys, each after the one before, then the newest bulletin that it can take.
    pub(crate) fn lacking(
        &self,
        server: &str,
        names: &[&str],
        rotation: u32,
        bulletin: u32,
    ) -> Vec<Lacking> {
        let mut last = rotation;
        let mut lacking = Vec::new();
        let rotations = self.rotations.iter().filter(|known| known.server == server);
        for (sequence, document) in rotations.flat_map(|known| &known.documents) {
            if follows(last, *sequence) {
                last = *sequence;
                let (sequence, document) = (last, document.clone());
                lacking.push(Lacking { kind: "rotation", sequence, document });
            }
        }
        let is_it = |known: &&NewestBulletin| {
            known.server == server && names.contains(&known.name.as_str())
        };
        let lists = self.bulletins.iter().filter(is_it).filter_map(|known| known.newest.as_ref());
        let takeable = lists.filter(|(sequence, _)| advances(bulletin, *sequence));
        if let Some((sequence, document)) = takeable.max_by_key(|(sequence, _)| *sequence) {
            let (sequence, document) = (*sequence, document.clone());
            lacking.push(Lacking { kind: "bulletin", sequence, document });
        }
        lacking
    }

    /// Remembers what a lock asked, until its service can be asked.
    pub(crate) fn want_time(&mut self, server: &str, lock: &str, nonce: &[u8; 16], now: Timestamp) {
        let is_it = |time: &WantedTime| time.server == server && time.lock == lock;
        if self.times.iter().any(|time| is_it(time) && time.nonce.as_ref() == nonce) {
            return;
        }
        self.times.retain(|time| !is_it(time));
        let wanted = WantedTime {
            server: server.to_owned(),
            lock: lock.to_owned(),
            nonce: nonce.to_vec().into(),
            asked_at: now.seconds(),
            token: None,
        };
        push(&mut self.times, wanted, MAX_TIMES);
    }

    /// What a lock asked, if nobody has answered and it may still wait for that.
    pub(crate) fn wanted_time(&self, server: &str, lock: &str, now: Timestamp) -> Option<&Bytes> {
        let mut times = self.times.iter();
        let time = times.find(|time| time.server == server && time.lock == lock)?;
        let age = now.since(Timestamp::from_seconds(time.asked_at));
        (time.token.is_none() && age <= u64::from(NONCE_LIFETIME)).then_some(&time.nonce)
    }

    /// Keeps the service's answer.
    pub(crate) fn take_token(&mut self, server: &str, lock: &str, nonce: &[u8], token: Vec<u8>) {
        let is_it = |time: &&mut WantedTime| {
            time.server == server && time.lock == lock && time.nonce.as_ref() == nonce
        };
        if let Some(time) = self.times.iter_mut().find(is_it) {
            time.token = Some(token.into());
        }
    }

    /// A service's answer to what its lock asks.
    pub(crate) fn token(&self, server: &str, lock: &str, nonce: &[u8; 16]) -> Option<&Bytes> {
        let mut times = self.times.iter();
        let asked = |time: &&WantedTime| {
            time.server == server && time.lock == lock && time.nonce.as_ref() == nonce
        };
        times.find(asked).and_then(|time| time.token.as_ref())
    }

    /// Keeps a lock's journal until its service has it. Older ones of the lock stay if they say what it may not.
    pub(crate) fn take_journal(&mut self, journal: Journal) {
        let said = journal.records.saturating_sub(COVERED)..=journal.records;
        self.journals.retain(|older| {
            older.server != journal.server
                || older.lock != journal.lock
                || !said.contains(&older.records)
        });
        push(&mut self.journals, journal, MAX_JOURNALS);
    }

    /// The journals, oldest first.
    pub(crate) fn journals(&self) -> &[Journal] {
        &self.journals
    }

    /// Forgets a journal that its service has.
    pub(crate) fn delivered(&mut self, journal: &Journal) {
        self.journals.retain(|kept| kept != journal);
    }

    /// Forgets everything of the services, and of their locks, for which `keeps` says no.
    pub(crate) fn retain(&mut self, keeps: impl Fn(&str, Option<&str>) -> bool) {
        self.rotations.retain(|known| keeps(&known.server, None));
        self.bulletins.retain(|known| keeps(&known.server, Some(&known.name)));
        self.times.retain(|known| keeps(&known.server, Some(&known.lock)));
        self.journals.retain(|known| keeps(&known.server, Some(&known.lock)));
    }

    /// The names of a service's locks that were met, and of groups.
    pub(crate) fn names<'a>(&'a self, server: &'a str) -> impl Iterator<Item = &'a str> {
        let lists = self.bulletins.iter().map(|known| (&known.server, &known.name));
        let times = self.times.iter().map(|known| (&known.server, &known.lock));
        let journals = self.journals.iter().map(|known| (&known.server, &known.lock));
        let all = lists.chain(times).chain(journals);
        all.filter(move |(of, _)| *of == server).map(|(_, name)| name.as_str())
    }
}

/// Puts a thing last; the first one makes room.
fn push<T>(all: &mut Vec<T>, new: T, most: usize) {
    all.push(new);
    let beyond = all.len().saturating_sub(most);
    all.drain(..beyond);
}

fn read(document: &[u8]) -> Option<Rider> {
    match Document::parse(document).ok()?.content() {
        Some(Content::Rider(rider)) => Some(*rider),
        Some(Content::Pass(_)) | None => None,
    }
}

#[cfg(test)]
mod tests;
