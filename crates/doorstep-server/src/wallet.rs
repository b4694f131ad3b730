//! What a phone without an account shows the service: a ticket with which it collects one pass, and the
//! token that it gets with the pass. The database has the hash of a ticket, and nothing of a token: it is
//! derived from the pass and its holder under a key outside.

use crate::context::Context;
use crate::http::problem::{Code, Problem};
use crate::ids::{make_token, symbols};
use crate::keys::Keys;
use crate::store::passes::{Pass, key_bytes};
use crate::utc;
use doorstep::throttle::{Bucket, Pace};
use doorstep::time::Timestamp;
use hkdf::Hkdf;
use sha2::Sha256;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// Draws a ticket: `pas_live_` or `pas_test_`, then 128 random bits.
pub(crate) fn make_ticket(context: &Context) -> Zeroizing<String> {
    let prefix = format!("pas_{}_", context.mode());
    Zeroizing::new(context.with_rng(|rng| make_token(&prefix, rng)))
}

/// The token of a pass that is a phone's; `None` before one collected it, and of a bearer pass. It is handed
/// out where a pass is collected, or took the place of one that was.
pub(crate) fn token(keys: &Keys, pass: &Pass) -> Option<Zeroizing<String>> {
    let holder = pass.holder.as_ref()?;
    let secret = match &pass.ticket {
        Some(ticket) => ticket.as_slice(),
        None => key_bytes(holder),
    };
    let mut bytes = Zeroizing::new([0; 16]);
    let info = [b"doorstep/wallet-token/v1".as_slice(), pass.id.as_bytes(), secret];
    let key = Hkdf::<Sha256>::new(None, keys.pepper().expose());
    // 16 bytes are less than one block, which HKDF never refuses.
    key.expand_multi_info(&info, bytes.as_mut()).ok()?;
    Some(Zeroizing::new(format!("pst_{}", symbols(u128::from_be_bytes(*bytes)))))
}

/// Whether this is the token of a pass, in time that depends on its length alone.
pub(crate) fn fits(keys: &Keys, pass: &Pass, shown: &str) -> bool {
    token(keys, pass).is_some_and(|token| token.as_bytes().ct_eq(shown.as_bytes()).into())
}

/// How often the phone of one pass may ask: tickets and tokens are not guessed, this is for the work that a
/// request makes.
const PACE: Pace = Pace { burst: 20, refill: 6 };

/// Passes whose requests are counted; beyond it all begin anew.
const MOST: usize = 10_000;

/// How often the phones of passes asked lately. It need not survive a restart.
#[derive(Default)]
pub(crate) struct Wallets(Mutex<HashMap<i64, Bucket>>);

impl Wallets {
    /// Counts a request about a pass.
    pub(crate) fn take(&self, pass: i64, now: Timestamp) -> Result<(), Problem> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST {
            all.clear();
        }
        let bucket = all.entry(pass).or_insert_with(|| Bucket::full(PACE, now));
        let Ok(taken) = bucket.take(now) else {
            let soon = now.later(u64::from(PACE.refill));
            return Err(Problem::new(Code::Throttled, "the phone of this pass asks too often")
                .hint(format!("try again at {}", utc::write(soon))));
        };
        *bucket = taken;
        Ok(())
    }
}
