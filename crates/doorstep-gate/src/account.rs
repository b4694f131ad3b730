//! An account as the state file holds it. What is remembered of codes is the core's; here it only
//! gets its place in a row.

use crate::name::Name;
use doorstep::ledger::Head;
use doorstep::otp::record::{Event, Presenter, Record, State};
use doorstep::otp::recovery::Held;
use doorstep::throttle::{Bucket, Pace};
use doorstep::time::Timestamp;
use minicbor::decode::Error;
use minicbor::encode::Write;
use minicbor::{Decode, Decoder, Encode, Encoder};

/// The most devices that an account knows.
pub(crate) const MOST_DEVICES: u16 = 16;

/// An account.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[cbor(array)]
pub(crate) struct Account {
    #[n(0)]
    pub(crate) number: u32,
    #[n(1)]
    pub(crate) name: Name,
    #[n(2)]
    pub(crate) authenticators: Vec<Authenticator>,
    #[n(3)]
    pub(crate) attempts: Attempts,
    #[n(4)]
    pub(crate) devices: Vec<Device>,
    #[n(5)]
    pub(crate) recovery: Vec<RecoveryCode>,
    #[n(6)]
    pub(crate) chain: Chain,
}

/// An authenticator: its secret sealed, as an `otpauth` URI.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[cbor(array)]
pub(crate) struct Authenticator {
    #[n(0)]
    pub(crate) number: u16,
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(crate) sealed: Vec<u8>,
    /// Whether a first code was accepted. Before that it opens nothing.
    #[n(2)]
    pub(crate) active: bool,
    #[n(3)]
    pub(crate) state: Remembered,
}

/// A device that was let in before, and the attempts that are its own.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[cbor(array)]
pub(crate) struct Device {
    #[n(0)]
    pub(crate) source: u16,
    /// SHA-256 of its token.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(crate) hash: [u8; 32],
    #[n(2)]
    pub(crate) attempts: Attempts,
    #[n(3)]
    pub(crate) seen: u64,
}

/// A recovery code, hashed.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[cbor(array)]
pub(crate) struct RecoveryCode {
    #[n(0)]
    pub(crate) number: u8,
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(crate) mac: [u8; 32],
    #[n(2)]
    pub(crate) used: Option<u64>,
}

/// What is left of a bucket of attempts.
#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
#[cbor(array)]
pub(crate) struct Attempts {
    #[n(0)]
    used: u8,
    #[n(1)]
    as_of: u64,
}

impl Attempts {
    pub(crate) fn full(now: Timestamp) -> Self {
        Bucket::full(Pace::AUTHENTICATOR, now).into()
    }

    pub(crate) const fn bucket(self) -> Bucket {
        Bucket::stored(Pace::AUTHENTICATOR, self.used, Timestamp::from_seconds(self.as_of))
    }

    fn charge(&mut self, record: &Record) {
        *self = record.charge(self.bucket()).into();
    }
}

impl From<Bucket> for Attempts {
    fn from(bucket: Bucket) -> Self {
        Self { used: bucket.used(), as_of: bucket.as_of().seconds() }
    }
}

impl Account {
    pub(crate) const fn new(number: u32, name: Name, attempts: Attempts) -> Self {
        Self {
            number,
            name,
            authenticators: Vec::new(),
            attempts,
            devices: Vec::new(),
            recovery: Vec::new(),
            chain: Chain(Head::EMPTY),
        }
    }

    pub(crate) fn is_active(&self) -> bool {
        self.authenticators.iter().any(|one| one.active)
    }

    /// From when on attempts come back, of whoever waits longest.
    pub(crate) fn filled_from(&self) -> Option<Timestamp> {
        let devices = self.devices.iter().map(|device| device.attempts);
        devices.chain([self.attempts]).map(|attempts| attempts.bucket().as_of()).max()
    }

    /// Who presents, when the token with this hash is shown.
    pub(crate) fn presenter(&self, token: Option<&[u8; 32]>) -> Presenter {
        let known = token.and_then(|hash| self.devices.iter().find(|device| device.hash == *hash));
        match known {
            Some(device) => Presenter { source: device.source, bucket: device.attempts.bucket() },
            None => Presenter::anybody(self.attempts.bucket()),
        }
    }

    /// The number of a device that is new: a free one, or that of the one not seen for longest.
    pub(crate) fn next_source(&self) -> u16 {
        let taken = |source: &u16| self.devices.iter().any(|device| device.source == *source);
        let oldest = || self.devices.iter().min_by_key(|device| device.seen);
        (1..=MOST_DEVICES)
            .find(|source| !taken(source))
            .or_else(|| oldest().map(|device| device.source))
            .unwrap_or(1)
    }

    pub(crate) fn remember(&mut self, source: u16, hash: [u8; 32], now: Timestamp) {
        self.devices.retain(|device| device.source != source);
        let attempts = Attempts::full(now);
        self.devices.push(Device { source, hash, attempts, seen: now.seconds() });
    }

    /// The recovery codes as the core compares them.
    pub(crate) fn held(&self) -> Vec<Held> {
        let held = |code: &RecoveryCode| Held {
            number: code.number,
            mac: code.mac,
            used: code.used.map(Timestamp::from_seconds),
        };
        self.recovery.iter().map(held).collect()
    }

    /// The account after a record of a verification.
    pub(crate) fn apply(&mut self, record: &Record) {
        self.chain = Chain(self.chain.0.then(&record.to_bytes()));
        match self.devices.iter_mut().find(|device| device.source == record.source) {
            Some(device) => {
                device.attempts.charge(record);
                device.seen = record.at.seconds();
            }
            None => self.attempts.charge(record),
        }
        let touched = match record.event {
            Event::Accepted { authenticator, .. }
            | Event::First { authenticator, .. }
            | Event::Resynced { authenticator, .. }
            | Event::Answered { authenticator, .. } => Some(authenticator),
            Event::Recovered { code } => {
                let code = self.recovery.iter_mut().find(|held| held.number == code);
                if let Some(code) = code {
                    code.used = Some(record.at.seconds());
                }
                None
            }
            Event::Tried | Event::TriedRecovery => None,
        };
        let touched = touched
            .and_then(|number| self.authenticators.iter_mut().find(|one| one.number == number));
        if let Some(one) = touched {
            one.state.0 = one.state.0.then(record.at, &record.event);
            one.active |= matches!(record.event, Event::Accepted { .. });
        }
    }
}

/// The end of an account's chain of records.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Chain(pub(crate) Head);

impl<C> Encode<C> for Chain {
    fn encode<W: Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.array(2)?.u64(self.0.seq)?.bytes(&self.0.hash)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Chain {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, Error> {
        let wrong = || Error::message("the end of a chain");
        if d.array()? != Some(2) {
            return Err(wrong());
        }
        Ok(Self(Head { seq: d.u64()?, hash: d.bytes()?.try_into().map_err(|_| wrong())? }))
    }
}

/// What the core remembers of an authenticator.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Remembered(pub(crate) State);

impl<C> Encode<C> for Remembered {
    fn encode<W: Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(&self.0.to_bytes())?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Remembered {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, Error> {
        let state = d.bytes()?.try_into().ok().and_then(State::from_bytes);
        state.map(Self).ok_or_else(|| Error::message("the state of an authenticator"))
    }
}

impl<C> Encode<C> for Name {
    fn encode<W: Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.str(self.as_str())?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Name {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, Error> {
        Self::exact(d.str()?).ok_or_else(|| Error::message("a name"))
    }
}
