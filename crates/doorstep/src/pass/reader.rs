//! A lock that takes passes: what may be verified, what is learnt from it, and what must be durable before the
//! bolt moves.
//!
//! The order is fixed by types: an attempt is counted, the signature is checked, what was signed reaches the
//! clock, and only then may the pass be refused for a reason, or open.

use super::claims::{Audience, Pass};
use super::document::{Header, Kind, Malformed};
#[cfg(feature = "encrypt")]
use super::key::EncryptionKey;
use super::key::{PassKey, TrustedKeys, is_named, name_of};
use super::presented::{PresentedPass, PresentedRider};
use super::proof::Challenge;
use super::record::{Event, Record, Remembered};
use super::rider::{Rider, advances, follows};
use super::starts::Starting;
use super::state::State;
use super::verification::{Keys, UNPROVEN, Verification};
use crate::clock::Belief;
use crate::cose::keys::Signer;
use crate::keypad::key::RootKey;
use crate::ledger::{Head, Place, Receipt};
use crate::refusal::Refusal;
use crate::time::Timestamp;
use crate::verifier::{Attempt, Compare, Ledgered, Matched, Means, Spending, WrongReceipt};

/// By how many seconds the window of a pass may be missed, on either side.
pub const GRACE: u64 = 15 * 60;

/// The longest interval in which it may be, in seconds, for a pass that needs an exact clock.
const EXACT: u64 = 15 * 60;

/// How many groups a lock is in.
pub const MAX_GROUPS: usize = 4;

impl From<Malformed> for Refusal {
    /// A lock does not say what is wrong with something that nobody signed.
    fn from(_: Malformed) -> Self {
        UNPROVEN
    }
}

/// The groups that a lock is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Groups([Option<Audience>; MAX_GROUPS]);

impl Groups {
    /// These groups; `None` when they are too many.
    #[must_use]
    pub fn of<'a>(groups: impl IntoIterator<Item = &'a Audience>) -> Option<Self> {
        let (mut all, mut groups) = ([None; MAX_GROUPS], groups.into_iter());
        for place in &mut all {
            *place = groups.next().copied();
        }
        groups.next().is_none().then_some(Self(all))
    }

    /// The groups.
    pub fn iter(&self) -> impl Iterator<Item = &Audience> {
        self.0.iter().filter_map(Option::as_ref)
    }
}

/// What a lock is called, alone and with others.
#[derive(Clone, Copy, Debug)]
struct Names {
    own: Audience,
    groups: Groups,
}

impl Names {
    /// Whether what is for this audience, or for nobody in particular, is for this lock.
    fn are_meant(&self, audience: Option<&Audience>) -> bool {
        let group = |meant| self.groups.iter().any(|group| group == meant);
        audience.is_none_or(|meant| *meant == self.own || group(meant))
    }
}

/// What a lock is provisioned with for passes. The issuer's keys change, and are in its [`State`].
#[derive(Clone, Debug)]
pub struct Reader {
    names: Names,
    keys: RootKey,
    /// The key of the epoch in which locks begin, and most stay.
    first: PassKey,
    issuer: Option<Signer>,
}

/// What a lock knows when something is presented to it.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// What it believes about the time, with these seconds counted.
    pub belief: Belief,
    /// Its epoch.
    pub epoch: u32,
    /// Seconds counted since the record before.
    pub elapsed: u32,
}

impl Moment {
    const fn record(&self, event: Event) -> Record {
        Record { elapsed: self.elapsed, event }
    }
}

impl Reader {
    /// A lock that is called `name`, with its own keys, and the root of its issuer under which keys are
    /// rotated.
    #[must_use]
    pub fn new(name: Audience, groups: Groups, keys: RootKey, issuer: Option<Signer>) -> Self {
        let (names, first) = (Names { own: name, groups }, keys.passes(0));
        Self { names, keys, first, issuer }
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &Audience {
        &self.names.own
    }

    /// The groups that it is in.
    #[must_use]
    pub const fn groups(&self) -> &Groups {
        &self.names.groups
    }

    /// Asks whether a pass may be verified. The record must be appended first. `challenge` is what the lock
    /// sent before, if it did.
    ///
    /// # Errors
    /// The refusal: throttled, or not for this lock under a key that it trusts, of which no more is said. The
    /// time of [`Refusal::Throttled`] is one of the trusted floor.
    pub fn begin<'a, const N: usize>(
        &'a self,
        moment: &Moment,
        state: &State<N>,
        presented: &'a PresentedPass<'a>,
        challenge: Option<Challenge>,
        head: Head,
    ) -> Result<(Attempt<Verification<'a, PresentedPass<'a>>>, Record), Refusal> {
        let PresentedPass { envelope, pass, .. } = presented;
        // Of what is encrypted nothing is known before it is decrypted, when the attempt is counted.
        let meant = self.is_meant(pass.as_ref().and_then(|pass| pass.audience.as_ref()));
        let issued_at = pass.as_ref().and_then(|pass| pass.issued_at);
        let keys = self.issuers(moment, &state.keys, &envelope.header, issued_at);
        let verification = Verification { reader: self, presented, keys, challenge };
        attempt(moment, state, verification, meant, head)
    }

    /// Asks whether a rider may be verified. The record must be appended first.
    ///
    /// # Errors
    /// As [`Reader::begin`].
    pub fn begin_rider<'a, const N: usize>(
        &'a self,
        moment: &Moment,
        state: &State<N>,
        presented: &'a PresentedRider<'a>,
        challenge: Option<Challenge>,
        head: Head,
    ) -> Result<(Attempt<Verification<'a, PresentedRider<'a>>>, Record), Refusal> {
        let PresentedRider { envelope, claims } = presented;
        let meant = self.is_meant(claims.audience.as_ref());
        let keys = match envelope.kind {
            Kind::KeyRotation => self.root(&envelope.header),
            _ => self.issuers(moment, &state.keys, &envelope.header, claims.issued_at()),
        };
        let verification = Verification { reader: self, presented, keys, challenge };
        attempt(moment, state, verification, meant, head)
    }

    /// The keys that the issuer may have made a document with.
    fn issuers(
        &self,
        moment: &Moment,
        keys: &TrustedKeys,
        header: &Header,
        issued_at: Option<Timestamp>,
    ) -> Keys {
        match *header {
            Header::Mac { epoch } if epoch == moment.epoch => Keys::Own(epoch),
            #[cfg(feature = "encrypt")]
            Header::Encrypted { epoch } if epoch == moment.epoch => Keys::Own(epoch),
            Header::Mac { .. } | Header::Encrypted { .. } => Keys::None,
            Header::Ed25519(_) | Header::Esp256(_) => {
                Keys::of(keys, header, issued_at, moment.belief.floor())
            }
        }
    }

    /// Whether what is for this audience, or for nobody in particular, is for this lock.
    pub(super) fn is_meant(&self, audience: Option<&Audience>) -> bool {
        self.names.are_meant(audience)
    }

    /// Whether a message is under the lock's own key of an epoch.
    pub(super) fn fits(&self, epoch: u32, message: &[&[u8]], mac: &[u8; 8]) -> bool {
        match epoch {
            0 => self.first.fits(message, mac),
            _ => self.keys.passes(epoch).fits(message, mac),
        }
    }

    #[cfg(feature = "encrypt")]
    pub(super) fn encryption_key(&self, epoch: u32) -> EncryptionKey {
        self.keys.encryption(epoch)
    }

    fn root(&self, header: &Header) -> Keys {
        let named = |root: &Signer| is_named(root, name_of(root), header);
        match self.issuer.filter(named) {
            Some(root) => Keys::Issuers([Some(root), None, None, None]),
            None => Keys::None,
        }
    }

    /// Names the record by which the clock learns when an authentic pass was made, whether or not it opens.
    pub fn verified<'m, 'a>(
        &self,
        moment: &Moment,
        matched: &'m Matched<Verification<'a, PresentedPass<'a>>>,
        head: Head,
    ) -> (Learning<'m, 'a>, Record) {
        let record = moment.record(Event::Verified { issued_at: matched.found().issued_at });
        (Learning { matched, place: record.place(head) }, record)
    }

    /// Names the record that spends a pass, on the state read last.
    ///
    /// # Errors
    /// The refusal: the clock is unset, too early or too late, made for another lock, revoked, already used,
    /// no proof of its holder, or no room to remember it.
    pub fn spend<const N: usize>(
        &self,
        moment: &Moment,
        state: &State<N>,
        learned: &Learned<'_, '_>,
        head: Head,
    ) -> Result<(Spending<Pass>, Record), Refusal> {
        let matched = learned.0;
        let pass = matched.found();
        let proven = matched.method().proven_at(pass);
        let until = if pass.is_counted() { Some(pass.window.until()) } else { proven };
        let remembered = until.map(|until| Remembered { until, proven });
        let record = moment.record(Event::Opened { id: pass.id, remembered });
        let (verification, remembered) = (matched.method(), remembered.is_some());
        let standing =
            Passes { reader: self, belief: &moment.belief, state, verification, remembered };
        let spending = matched.spend(&standing, moment.belief.probable(), record.place(head))?;
        Ok((spending, record))
    }

    /// Names the record by which an authentic rider takes effect.
    ///
    /// # Errors
    /// [`Refusal::AlreadyUsed`] when the lock knows all that it says, [`Refusal::NotYetValid`] when a rotation
    /// before it is missing, [`Refusal::WrongCode`] when it answers another challenge.
    pub fn spend_rider<const N: usize>(
        &self,
        moment: &Moment,
        state: &State<N>,
        matched: &Matched<Verification<'_, PresentedRider<'_>>>,
        head: Head,
    ) -> Result<(Spending<Rider>, Record), Refusal> {
        let challenge = &matched.method().challenge;
        let age = challenge.as_ref().map_or(u32::MAX, Challenge::age);
        let age = age.saturating_add(moment.elapsed);
        let record = moment.record(Event::of_rider(matched.found(), age));
        let standing = Riders {
            belief: &moment.belief,
            state,
            challenge: challenge.as_ref(),
            event: &record.event,
        };
        let spending = matched.spend(&standing, moment.belief.probable(), record.place(head))?;
        Ok((spending, record))
    }

    /// Names the record by which a lock without a random number generator tells this start from every other
    /// one, and may send challenges. `None` when it started as often as can be counted.
    #[must_use]
    pub fn start<const N: usize>(
        &self,
        moment: &Moment,
        state: &State<N>,
        head: Head,
    ) -> Option<(Starting, Record)> {
        let starts = state.starts.checked_add(1)?;
        let record = moment.record(Event::Started);
        let place = record.place(head);
        Some((Starting::new(&self.keys, starts, place), record))
    }
}

// Apart, so that passes and riders share most of it: all that differs is what is moved.
#[inline(never)]
fn attempt<'a, P, const N: usize>(
    moment: &Moment,
    state: &State<N>,
    verification: Verification<'a, P>,
    meant: bool,
    head: Head,
) -> Result<(Attempt<Verification<'a, P>>, Record), Refusal>
where
    Verification<'a, P>: Compare,
{
    let known = !matches!(verification.keys, Keys::None);
    let standing = Attempts { state, floor: moment.belief.floor(), taken: known && meant };
    let (record, at) = (moment.record(Event::Tried), moment.belief.probable());
    let place = record.place(head);
    Ok((Attempt::begin(verification, Means::Scanned, &standing, at, place)?, record))
}

/// The record of what an authentic pass tells the clock, not yet appended.
#[derive(Debug)]
#[must_use = "a pass is judged after the clock learned from it"]
pub struct Learning<'m, 'a> {
    matched: &'m Matched<Verification<'a, PresentedPass<'a>>>,
    place: Place,
}

/// An authentic pass from which the clock has learned, durably.
#[derive(Debug)]
pub struct Learned<'m, 'a>(&'m Matched<Verification<'a, PresentedPass<'a>>>);

impl<'m, 'a> Learning<'m, 'a> {
    /// Where the record must be appended.
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// The record stands.
    ///
    /// # Errors
    /// [`WrongReceipt`] when the receipt was given for another record.
    pub fn learned(&self, receipt: Receipt) -> Result<Learned<'m, 'a>, WrongReceipt> {
        if receipt.fits(&self.place) { Ok(Learned(self.matched)) } else { Err(WrongReceipt) }
    }
}

/// Whether anything may be verified at all.
struct Attempts<'a, const N: usize> {
    state: &'a State<N>,
    floor: Timestamp,
    taken: bool,
}

impl<C, const N: usize> Ledgered<C> for Attempts<'_, N> {
    fn admit(&self, _: Means, _: Timestamp) -> Result<Option<u8>, Refusal> {
        self.state.attempts.take(self.floor)?;
        // Refused with the words of a signature that does not fit.
        if self.taken { Ok(None) } else { Err(UNPROVEN) }
    }

    fn still(&self, _: &C, _: Timestamp) -> Result<(), Refusal> {
        Ok(())
    }
}

/// What the state says of an authentic pass.
struct Passes<'a, 'b, const N: usize> {
    reader: &'a Reader,
    belief: &'a Belief,
    state: &'a State<N>,
    verification: &'a Verification<'b, PresentedPass<'b>>,
    remembered: bool,
}

impl<const N: usize> Ledgered<Pass> for Passes<'_, '_, N> {
    fn admit(&self, _: Means, _: Timestamp) -> Result<Option<u8>, Refusal> {
        Ok(None)
    }

    fn still(&self, pass: &Pass, _: Timestamp) -> Result<(), Refusal> {
        let now = self.belief.now().ok_or(Refusal::ClockUnset)?;
        if pass.scope.exact && now.latest.since(now.earliest) > EXACT {
            return Err(Refusal::ClockUnset);
        }
        let from = pass.window.from().earlier(GRACE);
        if now.latest < from {
            return Err(Refusal::NotYetValid { from });
        }
        let marks = &self.state.marks;
        let lasts = pass.lasts.zip(marks.first(&pass.id));
        let end = lasts.map(|(lasts, first)| first.later(u64::from(lasts.get())));
        let until = pass.window.until();
        let until = end.map_or(until, |end| end.min(until)).later(GRACE);
        if now.earliest >= until {
            return Err(Refusal::Expired { until });
        }
        if pass.is_counted() && pass.audience.is_some_and(|meant| meant != self.reader.names.own) {
            return Err(Refusal::WrongVerifier);
        }
        if self.state.revoked.prefixes().contains(&pass.id.prefix()) {
            return Err(Refusal::Revoked);
        }
        marks.allow(pass)?;
        let (own, last) = (self.reader.name(), marks.proven(&pass.id));
        self.verification.prove(pass, own, &now, last)?;
        let room = !self.remembered || marks.has_room(&pass.id);
        if room { Ok(()) } else { Err(Refusal::LedgerFull) }
    }
}

/// What the state says of an authentic rider.
struct Riders<'a, const N: usize> {
    belief: &'a Belief,
    state: &'a State<N>,
    challenge: Option<&'a Challenge>,
    event: &'a Event,
}

impl<const N: usize> Ledgered<Rider> for Riders<'_, N> {
    fn admit(&self, _: Means, _: Timestamp) -> Result<Option<u8>, Refusal> {
        Ok(None)
    }

    fn still(&self, rider: &Rider, at: Timestamp) -> Result<(), Refusal> {
        let newer = match rider {
            Rider::Bulletin(bulletin) => advances(self.state.bulletin, bulletin.sequence),
            Rider::Rotation(rotation) => {
                let (known, new) = (self.state.rotation, rotation.sequence);
                if new > known && !follows(known, new) {
                    return Err(Refusal::NotYetValid { from: at });
                }
                follows(known, new)
            }
            Rider::Token(token) => {
                let answers = self.challenge.is_some_and(|sent| *sent.nonce() == token.nonce);
                answers.then_some(false).ok_or(UNPROVEN)?
            }
        };
        let tells = |event| self.belief.then(&event) != *self.belief;
        let news = newer || self.event.clock().is_some_and(tells);
        if news { Ok(()) } else { Err(Refusal::AlreadyUsed { at }) }
    }
}
