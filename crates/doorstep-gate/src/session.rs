//! Sessions: who was let in shows a signed cookie, so that every process of a gate, and the same
//! one after a restart, knows it again without having stored it.

use crate::config;
use crate::error::GateError;
use crate::gate::Gate;
use crate::name::Name;
use doorstep::crockford;
use doorstep::time::Timestamp;
use hmac::{Hmac, KeyInit as _, Mac as _};
use minicbor::{Decode, Encode};
use rand_core::CryptoRng;
use sha2::Sha256;
use std::fmt::Write as _;
use zeroize::Zeroizing;

/// Longer cookies are not ours.
const LONGEST: usize = 1024;

/// A session may begin this much in the future, by a clock that was set back a little.
pub(crate) const SKEW: u64 = 60;

/// Which start of the system this is, as the system names it.
pub type BootId = [u8; 16];

/// Who was let in, when, and under which circumstances it holds.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Session {
    #[cbor(n(0), with = "minicbor::bytes")]
    id: [u8; 16],
    /// The account.
    #[n(1)]
    pub name: Name,
    #[n(2)]
    issued: u64,
    #[n(3)]
    seen: u64,
    #[n(4)]
    epoch: u64,
    #[n(5)]
    name_epoch: u64,
    #[cbor(n(6), with = "minicbor::bytes")]
    boot: BootId,
}

/// What a session is judged by, besides the state file.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// How long it lasts.
    pub session: config::Session,
    /// Who decides about accounts.
    pub verify: config::Verify,
    /// This start of the system.
    pub boot: BootId,
}

impl Gate {
    /// Begins a session for who was just granted.
    ///
    /// # Errors
    /// [`GateError::File`].
    pub fn begin_session(
        &mut self,
        name: Name,
        terms: &Terms,
        now: Timestamp,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Session, GateError> {
        let mut id = [0; 16];
        rng.fill_bytes(&mut id);
        let state = self.refresh()?;
        let (epoch, name_epoch) = (state.epoch, state.epoch_of(&name));
        let (issued, boot) = (now.seconds(), terms.boot);
        Ok(Session { id, name, issued, seen: issued, epoch, name_epoch, boot })
    }

    /// Reads a session out of a cookie; `None` when it is forged, over, or void.
    ///
    /// # Errors
    /// [`GateError::File`]: what ended cannot be known, so nobody is let in.
    pub fn read_session(
        &mut self,
        cookie: &str,
        terms: &Terms,
        now: Timestamp,
    ) -> Result<Option<Session>, GateError> {
        let Some(session) = self.authentic(cookie) else { return Ok(None) };
        let state = self.refresh()?;
        let at = Timestamp::from_seconds;
        let limits = &terms.session;
        let lasts = now < at(session.issued).later(limits.lifetime)
            && at(session.issued.max(session.seen)) <= now.later(SKEW)
            && limits.idle.is_none_or(|idle| now < at(session.seen).later(idle));
        let known = match terms.verify {
            config::Verify::Local => {
                state.account(&session.name).is_some_and(|account| account.is_active())
            }
            config::Verify::Service => true,
        };
        let holds = session.epoch == state.epoch
            && session.name_epoch == state.epoch_of(&session.name)
            && !state.ended.contains_key(&session.id)
            && (limits.survive_reboot || session.boot == terms.boot);
        Ok((lasts && known && holds).then_some(session))
    }

    /// The cookie of a session that was just used, when the one that was shown is to be replaced:
    /// with an idle limit, once a tenth of it has passed.
    #[must_use]
    pub fn renew(&self, session: &Session, terms: &Terms, now: Timestamp) -> Option<String> {
        let idle = terms.session.idle?;
        let due = Timestamp::from_seconds(session.seen).later(idle / 10);
        (now >= due)
            .then(|| self.write_session(&Session { seen: now.seconds(), ..session.clone() }))
    }

    /// Ends a session for good.
    ///
    /// # Errors
    /// [`GateError::File`].
    pub fn end_session(&mut self, session: &Session, terms: &Terms) -> Result<(), GateError> {
        let until = Timestamp::from_seconds(session.issued).later(terms.session.lifetime);
        self.end(session.id, until)
    }

    /// The session as its cookie.
    #[must_use]
    pub fn write_session(&self, session: &Session) -> String {
        // Writing to memory never fails.
        let content = minicbor::to_vec(session).unwrap_or_default();
        let mut text = String::new();
        for byte in content.iter().copied().chain(self.sign(&content)) {
            let _ = write!(text, "{byte:02x}");
        }
        text
    }

    fn authentic(&self, cookie: &str) -> Option<Session> {
        if cookie.len() > LONGEST || !cookie.len().is_multiple_of(2) {
            return None;
        }
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let bytes: Option<Vec<u8>> = cookie
            .as_bytes()
            .chunks_exact(2)
            .map(|pair| match pair {
                [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
                _ => None,
            })
            .collect();
        let bytes = bytes?;
        let (content, signature) = bytes.split_last_chunk::<32>()?;
        keyed(self.keys().session.expose(), content).verify_slice(signature).ok()?;
        minicbor::decode(content).ok()
    }

    fn sign(&self, content: &[u8]) -> [u8; 32] {
        keyed(self.keys().session.expose(), content).finalize().into_bytes().into()
    }

    /// What a form must carry that was made for the browser with this cookie.
    #[must_use]
    pub fn form_token(&self, browser: &str) -> String {
        let whole: [u8; 32] = self.form_mac(browser).finalize().into_bytes().into();
        let half = whole.first_chunk().copied().unwrap_or_default();
        let text = crockford::encode(u128::from_be_bytes(half));
        text.iter().copied().map(char::from).collect()
    }

    /// Whether a form was made for the browser with this cookie.
    #[must_use]
    pub fn form_fits(&self, browser: &str, token: &str) -> bool {
        let half = crockford::decode(token).map(u128::to_be_bytes);
        half.is_some_and(|half| self.form_mac(browser).verify_truncated_left(&half).is_ok())
    }

    fn form_mac(&self, browser: &str) -> Hmac<Sha256> {
        keyed(self.keys().form.expose(), browser.as_bytes())
    }
}

fn keyed(key: &[u8; 32], content: &[u8]) -> Hmac<Sha256> {
    // HMAC fills a shorter key with zeros to its block.
    let mut block = Zeroizing::new([0; 64]);
    for (place, byte) in block.iter_mut().zip(key) {
        *place = *byte;
    }
    let mut mac = Hmac::<Sha256>::new((&*block).into());
    mac.update(content);
    mac
}
