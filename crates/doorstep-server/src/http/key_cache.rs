//! API keys that were looked up before, so that a request does not cost a query. Only valid keys are
//! kept, and all are forgotten when one is revoked: this server alone revokes.

use doorstep::time::Timestamp;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Beyond so many keys all are looked up again.
const MOST: usize = 1000;

/// The hash that a key is stored as.
type KeyHash = [u8; 32];

/// Keys that are valid.
#[derive(Default)]
pub(crate) struct KeyCache(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    /// Raised by each revocation.
    revocations: u64,
    /// When the use of each key was last noted.
    noted: HashMap<KeyHash, Option<Timestamp>>,
}

/// The moment before a key is looked up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment(u64);

impl KeyCache {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a key is known to be valid, and if so whether its use is to be noted: the first who
    /// asks `every` seconds after the last time is told so.
    pub(crate) fn find(&self, hash: &KeyHash, now: Timestamp, every: u64) -> Option<bool> {
        let mut kept = self.kept();
        let noted = kept.noted.get_mut(hash)?;
        let due = noted.is_none_or(|noted| now.since(noted) >= every);
        if due {
            *noted = Some(now);
        }
        Some(due)
    }

    /// To be asked before a key is looked up.
    pub(crate) fn moment(&self) -> Moment {
        Moment(self.kept().revocations)
    }

    /// Keeps a key that was found to be valid, unless one was revoked since `moment`: it may have been
    /// this one.
    pub(crate) fn keep(&self, hash: KeyHash, noted: Option<Timestamp>, moment: Moment) {
        let mut kept = self.kept();
        if kept.revocations == moment.0 {
            if kept.noted.len() >= MOST {
                kept.noted.clear();
            }
            kept.noted.insert(hash, noted);
        }
    }

    /// Forgets all keys, once a revocation is durable and before it is answered.
    pub(crate) fn revoked(&self) {
        let mut kept = self.kept();
        kept.revocations = kept.revocations.wrapping_add(1);
        kept.noted.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1000);

    #[test]
    fn a_lookup_that_a_revocation_overtook_is_not_kept() {
        let cache = KeyCache::default();
        let before = cache.moment();
        cache.revoked();
        cache.keep([1; 32], Some(NOW), before);
        assert_eq!(cache.find(&[1; 32], NOW, 60), None);
        cache.keep([1; 32], Some(NOW), cache.moment());
        assert_eq!(cache.find(&[1; 32], NOW, 60), Some(false));
        assert_eq!(cache.find(&[2; 32], NOW, 60), None);
        cache.revoked();
        assert_eq!(cache.find(&[1; 32], NOW, 60), None);
    }

    #[test]
    fn use_is_noted_once_in_a_while_and_there_is_an_end_to_what_is_kept() {
        let cache = KeyCache::default();
        cache.keep([1; 32], None, cache.moment());
        for (after, due) in [(0, true), (1, false), (59, false), (60, true), (61, false)] {
            assert_eq!(cache.find(&[1; 32], NOW.later(after), 60), Some(due), "{after}");
        }
        for n in 0..2 * MOST {
            let mut hash = [0; 32];
            hash[..8].copy_from_slice(&n.to_be_bytes());
            cache.keep(hash, None, cache.moment());
        }
        assert!(cache.kept().noted.len() <= MOST);
    }
}
