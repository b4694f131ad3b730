//! API keys that were looked up before, so that a request does not cost a query. Only valid keys are
//! kept, and all are forgotten when one is revoked: this server alone revokes.

use super::auth::Caller;
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
    keys: HashMap<KeyHash, Valid>,
}

/// A key that is valid for now.
#[derive(Clone, Debug)]
pub(crate) struct Valid {
    pub(crate) caller: Caller,
    /// From when on it has to be looked up, to learn what became of it.
    pub(crate) until: Option<Timestamp>,
    /// When its use was last noted.
    pub(crate) noted: Option<Timestamp>,
}

/// The moment before a key is looked up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment(u64);

impl KeyCache {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whose key this is if it is known to be valid, and whether its use is to be noted: the first who
    /// asks `every` seconds after the last time is told so.
    pub(crate) fn find(
        &self,
        hash: &KeyHash,
        now: Timestamp,
        every: u64,
    ) -> Option<(Caller, bool)> {
        let mut kept = self.kept();
        let key = kept.keys.get_mut(hash)?;
        if key.until.is_some_and(|until| now >= until) {
            return None;
        }
        let due = key.noted.is_none_or(|noted| now.since(noted) >= every);
        if due {
            key.noted = Some(now);
        }
        Some((key.caller.clone(), due))
    }

    /// Whether this key is known to be valid.
    pub(crate) fn knows(&self, hash: &KeyHash, now: Timestamp) -> bool {
        let kept = self.kept();
        kept.keys.get(hash).is_some_and(|key| key.until.is_none_or(|until| now < until))
    }

    /// To be asked before a key is looked up.
    pub(crate) fn moment(&self) -> Moment {
        Moment(self.kept().revocations)
    }

    /// Keeps a key that was found to be valid, unless one was revoked since `moment`: it may have been
    /// this one.
    pub(crate) fn keep(&self, hash: KeyHash, key: Valid, moment: Moment) {
        let mut kept = self.kept();
        if kept.revocations == moment.0 {
            if kept.keys.len() >= MOST {
                kept.keys.clear();
            }
            kept.keys.insert(hash, key);
        }
    }

    /// Forgets all keys, once a revocation or rotation is durable and before it is answered.
    pub(crate) fn revoked(&self) {
        let mut kept = self.kept();
        kept.revocations = kept.revocations.wrapping_add(1);
        kept.keys.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::Scopes;

    const NOW: Timestamp = Timestamp::from_seconds(1000);

    fn valid(noted: Option<Timestamp>, until: Option<Timestamp>) -> Valid {
        Valid { caller: Caller::new("key_1", Scopes::admin()), until, noted }
    }

    fn due(cache: &KeyCache, hash: [u8; 32], now: Timestamp) -> Option<bool> {
        cache.find(&hash, now, 60).map(|(_, due)| due)
    }

    #[test]
    fn a_lookup_that_a_revocation_overtook_is_not_kept() {
        let cache = KeyCache::default();
        let before = cache.moment();
        cache.revoked();
        cache.keep([1; 32], valid(Some(NOW), None), before);
        assert_eq!(due(&cache, [1; 32], NOW), None);
        cache.keep([1; 32], valid(Some(NOW), None), cache.moment());
        assert_eq!(due(&cache, [1; 32], NOW), Some(false));
        assert_eq!(due(&cache, [2; 32], NOW), None);
        cache.revoked();
        assert_eq!(due(&cache, [1; 32], NOW), None);
    }

    #[test]
    fn a_key_is_looked_up_again_once_it_is_over() {
        let cache = KeyCache::default();
        cache.keep([1; 32], valid(Some(NOW), Some(NOW.later(10))), cache.moment());
        assert_eq!(due(&cache, [1; 32], NOW.later(9)), Some(false));
        assert_eq!(due(&cache, [1; 32], NOW.later(10)), None);
    }

    #[test]
    fn use_is_noted_once_in_a_while_and_there_is_an_end_to_what_is_kept() {
        let cache = KeyCache::default();
        cache.keep([1; 32], valid(None, None), cache.moment());
        for (after, is_due) in [(0, true), (1, false), (59, false), (60, true), (61, false)] {
            assert_eq!(due(&cache, [1; 32], NOW.later(after)), Some(is_due), "{after}");
        }
        for n in 0..2 * MOST {
            let mut hash = [0; 32];
            hash[..8].copy_from_slice(&n.to_be_bytes());
            cache.keep(hash, valid(None, None), cache.moment());
        }
        assert!(cache.kept().keys.len() <= MOST);
    }
}
