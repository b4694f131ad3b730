//! A driver's device: a state folded from its journal, and the decisions taken on it.
//!
//! Nothing here changes by itself. Each decision names a [`Record`]; the caller appends it to the
//! journal by compare-and-swap and [applies](Device::apply) it. A lost append means: read the
//! journal again and decide again.

mod outcome;
mod trouble;

pub use outcome::{Claiming, Failing};
pub use trouble::{Corrupted, RouteRefused};

use super::check::Check;
use super::claim::{Acknowledgement, Claim, Outcome, Upload};
use super::decode_exact;
use super::event::{Attempted, Event, Identity, Record};
use super::failure::Reason;
use super::route::{Route, RouteRequest};
use super::stop::{AtDoor, Presented, ScanText, Stop, Whose};
use super::take::Take;
use crate::code::Code;
use crate::cose::Invalid;
use crate::cose::keys::PublicKey;
use crate::cose::sign1::Signed;
use crate::id::DeliveryId;
use crate::ledger::{Head, Place};
use crate::refusal::Refusal;
use crate::throttle::Budget;
use crate::time::Timestamp;
use crate::verifier::{Attempt, Means, Standing};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

/// The clock is written down when it went on by this many seconds.
const TICK: u64 = 60;

/// How long a finished stop is remembered, so that it cannot be handed out again: 30 days.
const TOMBSTONE: u64 = 30 * 24 * 60 * 60;

/// A device's state.
#[derive(Clone, Debug)]
pub struct Device {
    identity: Identity,
    key: PublicKey,
    heads: Vec<[u8; 32]>,
    mark: Timestamp,
    signed_time: Timestamp,
    version: u64,
    stops: BTreeMap<(DeliveryId, u32), Known>,
    claims: Vec<Vec<u8>>,
    last_claim: [u8; 32],
    received: u64,
    acknowledgement: Option<Acknowledgement>,
}

/// Outcomes that wait to be synced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Of deliveries handed over.
    pub delivered: u64,
    /// Of attempts that failed.
    pub failed: u64,
}

/// A stop and what happened at it.
#[derive(Clone, Debug)]
pub struct Known {
    /// As it was handed out.
    pub stop: Stop,
    /// Typed attempts so far.
    pub attempts: u8,
    /// When it was handed over, if it was.
    pub spent: Option<Timestamp>,
    /// The last time that it was tried in vain, and why.
    pub failed: Option<(Timestamp, Reason)>,
    /// Whether the issuer took it back.
    pub withdrawn: bool,
}

impl Known {
    const fn standing(&self) -> Standing {
        Standing {
            window: self.stop.window,
            budget: Budget::new(self.stop.budget, self.attempts),
            spent: self.spent,
        }
    }
}

impl Device {
    /// The first record of a new journal.
    #[must_use]
    pub fn enrol(identity: Identity, at: Timestamp) -> Record {
        Record::new(&Event::Enrolled(identity, at), Head::EMPTY)
    }

    /// Folds a journal from its first record.
    ///
    /// # Errors
    /// [`Corrupted`] when the records are not those of one device's journal.
    pub fn replay<'a>(records: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, Corrupted> {
        let mut records = records.into_iter();
        let wrong = |what| Corrupted { record: 1, what };
        let first = records.next().ok_or_else(|| wrong("is missing"))?;
        let Ok(Event::Enrolled(identity, at)) = Event::decode(first) else {
            return Err(wrong("is no enrolment"));
        };
        let key = identity.key().map_err(|_| wrong("holds no key"))?;
        let mut device = Self {
            identity,
            key,
            heads: alloc::vec![Head::EMPTY.then(first).hash],
            mark: at,
            signed_time: at,
            version: 0,
            stops: BTreeMap::new(),
            claims: Vec::new(),
            last_claim: [0; 32],
            received: 0,
            acknowledgement: None,
        };
        for record in records {
            device.apply(record)?;
        }
        Ok(device)
    }

    /// Takes in one more record of the journal.
    ///
    /// # Errors
    /// [`Corrupted`] when it cannot follow. The state is then of no use.
    pub fn apply(&mut self, record: &[u8]) -> Result<(), Corrupted> {
        let head = self.head().then(record);
        let corrupted = |what| Corrupted { record: head.seq, what };
        let event = Event::decode(record).map_err(|_| corrupted("is malformed"))?;
        self.mark = self.mark.max(event.at());
        self.fold(event).map_err(corrupted)?;
        self.heads.push(head.hash);
        Ok(())
    }

    fn fold(&mut self, event: Event) -> Result<(), &'static str> {
        match event {
            Event::Enrolled(..) => return Err("enrols a second time"),
            Event::Ticked(_) => {}
            Event::Routed(route, _) => {
                self.accept(&route).map_err(|_| "repeats a route")?;
                self.version = route.version;
                self.trust(route.time);
                for withdrawn in route.withdrawn {
                    if let Some(known) =
                        self.stops.get_mut(&(withdrawn.delivery, withdrawn.generation))
                    {
                        known.withdrawn = true;
                    }
                }
                for stop in route.stops {
                    let known =
                        Known { attempts: 0, spent: None, failed: None, withdrawn: false, stop };
                    self.stops.insert((known.stop.delivery, known.stop.generation), known);
                }
                // By signed time alone: a clock that ran ahead must not make the device forget.
                let signed = self.signed_time;
                self.stops.retain(|_, known| signed < known.stop.window.until().later(TOMBSTONE));
            }
            Event::Attempted(attempted, _) => {
                let known = self.known_mut(attempted.delivery, attempted.generation)?;
                if attempted.means == Means::Typed {
                    known.attempts = known.attempts.checked_add(1).ok_or("counts too far")?;
                }
            }
            Event::Claimed(document, at) => {
                let claim = unverified_claim(&document).ok_or("holds no claim")?;
                if (claim.number, claim.previous) != (self.next_claim(), self.last_claim) {
                    return Err("breaks the chain of claims");
                }
                let known = self.known_mut(claim.delivery, claim.generation)?;
                if known.spent.is_some() {
                    return Err("is about a delivery that was handed over");
                }
                match claim.outcome {
                    Outcome::Granted { .. } => known.spent = Some(at),
                    Outcome::Failed { reason, .. } => known.failed = Some((at, reason)),
                }
                self.last_claim = claim.hash();
                self.claims.push(document);
            }
            Event::Acknowledged(document, _) => {
                let acknowledgement =
                    self.verify_acknowledgement(&document).map_err(|_| "is not from the issuer")?;
                // A server that was set back asks for more than it has acknowledged before.
                self.received = acknowledgement.received.min(self.count_claims());
                self.trust(acknowledgement.time);
                self.acknowledgement = Some(acknowledgement);
            }
        }
        Ok(())
    }

    /// A newer signed time is worth more than every local reading before it.
    fn trust(&mut self, time: Timestamp) {
        if time > self.signed_time {
            self.signed_time = time;
            self.mark = time;
        }
    }

    fn known_mut(
        &mut self,
        delivery: DeliveryId,
        generation: u32,
    ) -> Result<&mut Known, &'static str> {
        self.stops.get_mut(&(delivery, generation)).ok_or("names an unknown stop")
    }

    /// The end of the journal.
    #[must_use]
    pub fn head(&self) -> Head {
        self.head_at(self.seq()).unwrap_or(Head::EMPTY)
    }

    fn seq(&self) -> u64 {
        u64::try_from(self.heads.len()).unwrap_or(u64::MAX)
    }

    /// The head as it was after record `seq`; `None` beyond the end.
    #[must_use]
    pub fn head_at(&self, seq: u64) -> Option<Head> {
        if seq == 0 {
            return Some(Head::EMPTY);
        }
        let index = usize::try_from(seq.checked_sub(1)?).ok()?;
        Some(Head { seq, hash: *self.heads.get(index)? })
    }

    /// Who this device is.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The time by which this device judges: never earlier than anything it has written down since
    /// the last signed time, nor than that.
    #[must_use]
    pub fn now(&self, clock: Timestamp) -> Timestamp {
        clock.max(self.mark).max(self.signed_time)
    }

    /// The last time the issuer signed.
    #[must_use]
    pub const fn signed_time(&self) -> Timestamp {
        self.signed_time
    }

    /// The newest route taken in; 0 for none.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// Every stop that is remembered, the newest generation of a delivery last.
    pub fn stops(&self) -> impl Iterator<Item = &Known> {
        self.stops.values()
    }

    /// The newest generation of a delivery.
    #[must_use]
    pub fn stop(&self, delivery: DeliveryId) -> Option<&Known> {
        self.stops.range((delivery, 0)..=(delivery, u32::MAX)).next_back().map(|(_, known)| known)
    }

    /// How many claims this device has made.
    #[must_use]
    pub fn count_claims(&self) -> u64 {
        u64::try_from(self.claims.len()).unwrap_or(u64::MAX)
    }

    /// How many of them the issuer has.
    #[must_use]
    pub const fn received(&self) -> u64 {
        self.received
    }

    /// What the issuer does not have yet: deliveries handed over, and attempts that failed.
    #[must_use]
    pub fn waiting(&self) -> Waiting {
        let mut waiting = Waiting::default();
        let from = usize::try_from(self.received).unwrap_or(usize::MAX);
        for claim in self.claims.iter().skip(from).filter_map(|claim| unverified_claim(claim)) {
            let count = match claim.outcome {
                Outcome::Granted { .. } => &mut waiting.delivered,
                Outcome::Failed { .. } => &mut waiting.failed,
            };
            *count = count.saturating_add(1);
        }
        waiting
    }

    fn next_claim(&self) -> u64 {
        self.count_claims().saturating_add(1)
    }

    /// A record of the time, when enough of it passed since the last.
    #[must_use]
    pub fn tick(&self, clock: Timestamp) -> Option<Record> {
        (clock.since(self.mark) >= TICK).then(|| Record::new(&Event::Ticked(clock), self.head()))
    }

    /// Decides whether a typed code may be compared at a delivery, and names the record that counts
    /// the attempt.
    ///
    /// # Errors
    /// The refusal.
    pub fn attempt_typed(
        &self,
        delivery: DeliveryId,
        typed: &str,
        whose: Whose,
        clock: Timestamp,
    ) -> Result<(Record, Attempt<AtDoor>), Refusal> {
        let known = self.stop(delivery).ok_or(Refusal::Unknown)?;
        let code = Code::parse(typed, known.stop.shape).map_err(|_| Refusal::Mistyped)?;
        self.attempt(known, Presented::Typed(code), whose, clock)
    }

    /// The same for a scanned text, which names its delivery itself.
    ///
    /// # Errors
    /// The refusal.
    pub fn attempt_scanned(
        &self,
        text: &str,
        clock: Timestamp,
    ) -> Result<(Record, Attempt<AtDoor>), Refusal> {
        let text = ScanText::parse(text).map_err(|_| Refusal::Mistyped)?;
        let known = self.stop(text.delivery).ok_or(Refusal::Unknown)?;
        if text.generation < known.stop.generation {
            return Err(Refusal::Superseded);
        }
        if text.generation > known.stop.generation {
            return Err(Refusal::Unknown);
        }
        self.attempt(known, Presented::Scanned(text.secret), Whose::Anybody, clock)
    }

    fn attempt(
        &self,
        known: &Known,
        presented: Presented,
        whose: Whose,
        clock: Timestamp,
    ) -> Result<(Record, Attempt<AtDoor>), Refusal> {
        if known.withdrawn && known.spent.is_none() {
            return Err(Refusal::Superseded);
        }
        let now = self.now(clock);
        let means = presented.means();
        let Stop { delivery, generation, .. } = known.stop;
        let event = Event::Attempted(Attempted { delivery, generation, means }, now);
        let record = Record::new(&event, self.head());
        let method = AtDoor {
            stop: known.stop.clone(),
            presented,
            whose,
            issuer: self.identity.issuer,
            device: self.key.fingerprint(),
        };
        let place = Place::of(self.head(), record.body());
        let attempt = Attempt::begin(method, means, &known.standing(), now, place)?;
        Ok((record, attempt))
    }

    /// The claims that the issuer does not have, oldest first, at most `limit`.
    #[must_use]
    pub fn upload(&self, limit: usize) -> Upload {
        let from = usize::try_from(self.received).unwrap_or(usize::MAX);
        let claims = self.claims.iter().skip(from).take(limit);
        Upload { device: self.identity.device, claims: claims.cloned().map(Into::into).collect() }
    }

    /// Checks that an acknowledgement is the issuer's and for this device.
    ///
    /// # Errors
    /// [`Invalid`].
    pub fn verify_acknowledgement(&self, document: &[u8]) -> Result<Acknowledgement, Invalid> {
        let key = self.identity.issuer_key()?;
        Acknowledgement::verify(document, self.identity.issuer, key, self.identity.device)
    }

    /// A record of the issuer's acknowledgement.
    ///
    /// # Errors
    /// [`Invalid`] when it is not the issuer's, or not for this device.
    pub fn acknowledge(&self, document: &[u8], clock: Timestamp) -> Result<Record, Invalid> {
        self.verify_acknowledgement(document)?;
        Ok(Record::new(&Event::Acknowledged(document.to_vec(), self.now(clock)), self.head()))
    }

    /// Asks for the next route; `None` before the first acknowledgement. A device that was set
    /// back asks as well, with a proof that does not hold, so that the issuer learns of it.
    #[must_use]
    pub fn request_route(&self) -> Option<RouteRequest> {
        let acknowledgement = self.acknowledgement.as_ref()?;
        Some(RouteRequest {
            device: self.identity.device,
            version: self.version,
            nonce: acknowledgement.nonce,
            proof: self.head_at(acknowledgement.prove).unwrap_or(Head::EMPTY),
            head: self.head(),
        })
    }

    /// Asks for a delivery; `None` before the first acknowledgement.
    #[must_use]
    pub fn take(
        &self,
        delivery: String,
        expected_at: Timestamp,
        variance_minutes: Option<u16>,
    ) -> Option<Take> {
        let nonce = self.acknowledgement.as_ref()?.nonce;
        let device = self.identity.device;
        Some(Take { device, nonce, delivery, expected_at, variance_minutes })
    }

    /// A record of a route that was [opened](Route::open).
    ///
    /// # Errors
    /// [`RouteRefused`] when it is a replay, or not for such a device.
    pub fn take_in(&self, route: Route, clock: Timestamp) -> Result<Record, RouteRefused> {
        self.accept(&route)?;
        Ok(Record::new(&Event::Routed(route, self.now(clock)), self.head()))
    }

    fn accept(&self, route: &Route) -> Result<(), RouteRefused> {
        if route.version <= self.version {
            return Err(RouteRefused::Stale { offered: route.version, held: self.version });
        }
        let mut named = BTreeSet::new();
        for stop in &route.stops {
            let newest = self.stop(stop.delivery).map_or(0, |known| known.stop.generation);
            if stop.generation <= newest || !named.insert(stop.delivery) {
                return Err(RouteRefused::Seen { delivery: stop.delivery });
            }
            if matches!(stop.check, Check::Full { .. }) && !self.identity.managed {
                return Err(RouteRefused::NotManaged { delivery: stop.delivery });
            }
        }
        Ok(())
    }
}

/// A claim out of the device's own journal, whose chain already covers it.
fn unverified_claim(document: &[u8]) -> Option<Claim> {
    decode_exact(Signed::parse(document).ok()?.unverified_payload()).ok()
}
