//! Bundles: everything that was claimed about a delivery, as the devices signed it, in one document
//! that whoever judges a dispute can examine with nothing but the issuer's public key.
//!
//! The issuer signs the whole. What it says of itself (verdicts, times of arrival, an operator's word)
//! stands or falls with that signature; what devices said carries signatures of their own, which the
//! issuer could not have made.

use super::claim::Claim;
use super::enrolment::Welcome;
use super::judge::{self, Span};
use super::{Issued, decode_exact, read_issued, sign_issued};
use crate::cose::keys::{IssuerKey, IssuerPublicKey, PublicKey};
use crate::cose::sign1::Signed;
use crate::cose::{Invalid, Kind};
use crate::id::{DeliveryId, DeviceId, IssuerId};
use crate::ledger::Head;
use crate::time::{Timestamp, Window};
use alloc::string::String;
use alloc::vec::Vec;
use minicbor::bytes::{ByteArray, ByteVec};
use minicbor::{Decode, Encode};

/// Everything that was claimed about a delivery.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Bundle {
    /// Who says so.
    #[n(0)]
    pub issuer: IssuerId,
    /// Of the issuer's database, raised when it was set back.
    #[n(1)]
    pub epoch: u64,
    /// When this was written.
    #[n(2)]
    pub issued: Timestamp,
    /// The delivery.
    #[n(3)]
    pub delivery: DeliveryId,
    /// The business's own name for it.
    #[n(4)]
    pub reference: String,
    /// Its state, as the API names it.
    #[n(5)]
    pub state: String,
    /// Each making of its codes, in order, without anything of the codes.
    #[n(6)]
    pub generations: Vec<Making>,
    /// Makings of which the issuer cannot read any more what it stored.
    #[n(7)]
    pub damaged: Vec<u32>,
    /// The [welcome](Welcome) of each device that claimed something: its key, as the issuer took it in.
    #[n(8)]
    pub welcomes: Vec<ByteVec>,
    /// In the order of the issuer's log.
    #[n(9)]
    pub claims: Vec<Filed>,
    /// The parts of the issuer's log in which the claims stand.
    #[n(10)]
    pub log: Vec<Stretch>,
    /// What operators said, in order.
    #[n(11)]
    pub resolutions: Vec<Word>,
}

/// One making of a delivery's codes.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Making {
    /// Its number: 1, 2, ...
    #[n(0)]
    pub generation: u32,
    /// The device that was to check it; none when the issuer was.
    #[n(1)]
    pub device: Option<DeviceId>,
    /// The first second of its window.
    #[n(2)]
    pub from: Timestamp,
    /// The first second after it.
    #[n(3)]
    pub until: Timestamp,
    /// When it was made.
    #[n(4)]
    pub created: Timestamp,
    /// What became of it, as the API names it.
    #[n(5)]
    pub state: String,
    /// How much of a code the device checked.
    #[n(6)]
    pub check: CodeCheck,
    /// How many slots it had: the recipients and the spare.
    #[n(7)]
    pub slots: u8,
}

/// How much of a code a device checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum CodeCheck {
    /// A few bits: its owner may have searched it.
    #[n(1)]
    Split,
    /// All of it: the device is managed.
    #[n(2)]
    Full,
}

impl CodeCheck {
    /// What it is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Split => "split",
            Self::Full => "full",
        }
    }
}

/// A claim as the issuer filed it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Filed {
    /// Its number in the issuer's log.
    #[n(0)]
    pub log: u64,
    /// When it arrived.
    #[n(1)]
    pub received: Timestamp,
    /// What the issuer found, as the API names it; none while it waits.
    #[n(2)]
    pub verdict: Option<String>,
    /// It arrived after the window, so only the device's clock says that it was in time.
    #[n(3)]
    pub late_possible: bool,
    /// It does not continue the device's other claims.
    #[n(4)]
    pub forked: bool,
    /// The signed claim; empty once it was erased, when only its hash in the log is left.
    #[cbor(n(5), with = "minicbor::bytes")]
    pub document: Vec<u8>,
}

/// A part of the issuer's log without a gap.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Stretch {
    /// Where it begins.
    #[n(0)]
    pub before: Head,
    /// The hashes of the claims that follow.
    #[n(1)]
    pub hashes: Vec<ByteArray<32>>,
    /// Where it ends.
    #[n(2)]
    pub after: Head,
}

/// An operator's word on a dispute.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Word {
    /// `delivered` or `not_delivered`.
    #[n(0)]
    pub outcome: String,
    /// Why.
    #[n(1)]
    pub note: String,
    /// The API key that it came with.
    #[n(2)]
    pub by: String,
    /// When.
    #[n(3)]
    pub at: Timestamp,
}

/// What is looked at in a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// The issuer welcomed the device, and so vouches for its key.
    Enrolment,
    /// The device signed the claim.
    Signature,
    /// The claim is about this delivery of this issuer.
    Subject,
    /// The claim stands at its place in the log, and the log's hashes fit.
    Log,
    /// The device's claims are numbered and chained, or the issuer says that they are not.
    Chain,
    /// The times fit each other, and what the issuer says of them.
    Times,
    /// The verdict fits whose delivery it was at that time.
    Standing,
}

impl Check {
    /// All of them, in the order in which they are made.
    pub const ALL: [Self; 7] = [
        Self::Enrolment,
        Self::Signature,
        Self::Subject,
        Self::Log,
        Self::Chain,
        Self::Times,
        Self::Standing,
    ];

    /// What it is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Enrolment => "enrolment",
            Self::Signature => "signature",
            Self::Subject => "subject",
            Self::Log => "log",
            Self::Chain => "chain",
            Self::Times => "times",
            Self::Standing => "standing",
        }
    }
}

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It holds.
    Holds,
    /// It does not.
    Fails,
    /// The claim was erased, so it cannot be looked at.
    Erased,
}

/// A claim of a bundle, examined.
#[derive(Clone, Debug)]
pub struct Examined {
    /// What the device said; none when that cannot be read any more.
    pub claim: Option<Claim>,
    /// One finding for each of [`Check::ALL`].
    pub findings: [(Check, Finding); 7],
}

impl Issued for Bundle {
    const KIND: Kind = Kind::Bundle;

    fn issuer(&self) -> IssuerId {
        self.issuer
    }
}

impl Bundle {
    /// Signs the bundle.
    #[must_use]
    pub fn issue(&self, issuer: &IssuerKey) -> Vec<u8> {
        sign_issued(self, issuer)
    }

    /// Reads a bundle that this issuer signed. What is in it is still to be [examined](Self::examine).
    ///
    /// # Errors
    /// [`Invalid`].
    pub fn verify(
        document: &[u8],
        issuer: IssuerId,
        key: IssuerPublicKey,
    ) -> Result<Self, Invalid> {
        read_issued(document, issuer, key)
    }

    /// Looks at every claim, one finding for each check.
    #[must_use]
    pub fn examine(&self, issuer: IssuerPublicKey) -> Vec<Examined> {
        let keys = self.device_keys(issuer);
        let mut before: Vec<Claim> = Vec::new();
        let mut examined = Vec::with_capacity(self.claims.len());
        for filed in &self.claims {
            let known = self.read(filed, &keys);
            let claim = known.as_ref().map(|(claim, _)| claim);
            let finding = |check: Check| match (check, &known) {
                // Of an erased claim the log still says where its hash stood.
                (Check::Log, _) => holds(self.stands(filed, claim)),
                (_, None) if filed.document.is_empty() => Finding::Erased,
                (_, None) => Finding::Fails,
                (Check::Enrolment, Some((claim, _))) => {
                    holds(keys.iter().any(|(device, _)| *device == claim.device))
                }
                (Check::Signature, Some((_, signed))) => holds(*signed),
                (Check::Subject, Some((claim, _))) => {
                    holds((claim.issuer, claim.delivery) == (self.issuer, self.delivery))
                }
                (Check::Chain, Some((claim, _))) => holds(filed.forked || follows(claim, &before)),
                (Check::Times, Some((claim, _))) => holds(self.times_fit(filed, claim)),
                (Check::Standing, Some((claim, _))) => holds(self.verdict_fits(filed, claim)),
            };
            let findings = Check::ALL.map(|check| (check, finding(check)));
            let claim = claim.cloned();
            // A copy's claims say nothing against those of the chain that the issuer holds to.
            before.extend(claim.clone().filter(|_| !filed.forked));
            examined.push(Examined { claim, findings });
        }
        examined
    }

    fn device_keys(&self, issuer: IssuerPublicKey) -> Vec<(DeviceId, PublicKey)> {
        let read = |document: &ByteVec| {
            let welcome = Welcome::read(document, self.issuer, issuer).ok()?;
            Some((welcome.device, PublicKey::from_bytes(&welcome.device_key).ok()?))
        };
        self.welcomes.iter().filter_map(read).collect()
    }

    /// The claim in a document, and whether its device signed it.
    fn read(&self, filed: &Filed, keys: &[(DeviceId, PublicKey)]) -> Option<(Claim, bool)> {
        let signed = Signed::parse(&filed.document).ok()?;
        let claim: Claim = decode_exact(signed.unverified_payload()).ok()?;
        let key = keys.iter().find(|(device, _)| *device == claim.device);
        let fits = key.is_some_and(|(_, key)| Claim::verify(&filed.document, key).is_ok());
        Some((claim, fits))
    }

    /// Whether a claim stands at its number in a stretch whose hashes fit its end.
    fn stands(&self, filed: &Filed, claim: Option<&Claim>) -> bool {
        self.log.iter().any(|stretch| {
            let mut head = stretch.before;
            let mut found = false;
            for hash in &stretch.hashes {
                head = head.then(hash.as_slice());
                let own = claim.is_none_or(|claim| claim.hash() == **hash);
                found |= head.seq == filed.log && own;
            }
            found && head == stretch.after
        })
    }

    fn making(&self, generation: u32) -> Option<&Making> {
        self.generations.iter().find(|making| making.generation == generation)
    }

    fn times_fit(&self, filed: &Filed, claim: &Claim) -> bool {
        let Some(making) = self.own_making(claim) else { return true };
        let Some(window) = Window::new(making.from, making.until) else { return false };
        let span = judge::span(window, claim.signed_time, filed.received);
        let told = match filed.verdict.as_deref() {
            Some("outside_window") => span == Span::Outside,
            Some("match" | "match_with_typo" | "mismatch") => span == Span::Possible,
            _ => true,
        };
        // Nothing is said of when an attempt failed, nor of what was not judged.
        let untold = matches!(filed.verdict.as_deref(), None | Some("noted" | "unchecked"));
        told && (untold || (filed.received >= making.until) == filed.late_possible)
    }

    fn may_be_lost(&self, generation: u32) -> bool {
        self.making(generation).is_none() && u64::from(generation) <= self.epoch
    }

    fn own_making(&self, claim: &Claim) -> Option<&Making> {
        self.making(claim.generation).filter(|making| making.device == Some(claim.device))
    }

    /// A claim on a generation that never was the device's is void, and no other is; one is superseded
    /// only where a newer generation was made, or the delivery was cancelled. What was made between a backup
    /// and its restoring is known no more: claims on it are unchecked. Of a damaged making nothing is known
    /// that could contradict a verdict.
    fn verdict_fits(&self, filed: &Filed, claim: &Claim) -> bool {
        if self.damaged.contains(&claim.generation) {
            return true;
        }
        let own = self.own_making(claim);
        match filed.verdict.as_deref() {
            None => true,
            Some("void") => own.is_none(),
            Some("superseded") => own.is_some_and(|making| {
                let newer = |other: &Making| other.generation > making.generation;
                self.generations.iter().any(newer)
                    || self.damaged.iter().any(|other| *other > making.generation)
                    || making.state == "cancelled"
            }),
            Some("unchecked") => own.is_some() || self.may_be_lost(claim.generation),
            Some(_) => own.is_some(),
        }
    }
}

const fn holds(fits: bool) -> Finding {
    if fits { Finding::Holds } else { Finding::Fails }
}

/// Whether a claim has no other of its device's in its place, and continues the one before if that
/// is here.
fn follows(claim: &Claim, before: &[Claim]) -> bool {
    before.iter().filter(|other| other.device == claim.device).all(|other| {
        let next = other.number.checked_add(1) == Some(claim.number);
        other.number < claim.number && (!next || claim.previous == other.hash())
    })
}
