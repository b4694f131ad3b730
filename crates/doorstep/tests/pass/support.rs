//! A lock with its belief, its state and its journal in memory, and an issuer beside it.

use doorstep::clock::{self, AfterPowerLoss, Belief, Clock, Oscillator};
use doorstep::cose::keys::{IssuerKey, Signer, SoftwareKey};
use doorstep::keypad::key::RootKey;
use doorstep::ledger::{Head, Place, Receipt};
use doorstep::pass::claims::{Audience, HolderKey, Pass, PassId, Scope, Uses};
use doorstep::pass::document::{Content, Document};
use doorstep::pass::issue::{Unsigned, encrypted, maced};
use doorstep::pass::key::TrustedKeys;
use doorstep::pass::presented::{Presented, with_proof, with_timed_proof};
use doorstep::pass::proof::{Challenge, timed_transcript, transcript};
use doorstep::pass::reader::{Groups, Moment, Reader};
use doorstep::pass::record::Record;
use doorstep::pass::rider::Rider;
use doorstep::pass::state::State;
use doorstep::refusal::Refusal;
use doorstep::secret::Secret;
use doorstep::time::{Timestamp, Window};

pub(crate) const NOW: u64 = 1_800_057_600;
pub(crate) const HOUR: u64 = 3600;
pub(crate) const DAY: u64 = 86_400;

pub(crate) const CLOCK: Clock =
    Clock { oscillator: Oscillator::Crystal, after_power_loss: AfterPowerLoss::NeedTime };

pub(crate) const UNPROVEN: Refusal = Refusal::WrongCode { left: None };

pub(crate) fn at(seconds: u64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

pub(crate) fn window(from: u64, until: u64) -> Window {
    Window::new(at(from), at(until)).unwrap()
}

pub(crate) fn name(text: &str) -> Audience {
    Audience::parse(text).unwrap()
}

pub(crate) fn root_key() -> RootKey {
    RootKey::from_secret(Secret::from_bytes([9; 32]))
}

/// A private key, as an operation.
pub(crate) enum Key {
    Ed25519(IssuerKey),
    P256(SoftwareKey),
}

impl Key {
    pub(crate) fn ed25519(byte: u8) -> Self {
        Self::Ed25519(IssuerKey::from_seed(&Secret::from_bytes([byte; 32])))
    }

    pub(crate) fn p256(byte: u8) -> Self {
        Self::P256(SoftwareKey::from_secret(&Secret::from_bytes([byte; 32])).unwrap())
    }

    pub(crate) fn public(&self) -> Signer {
        match self {
            Self::Ed25519(key) => Signer::Ed25519(key.public()),
            Self::P256(key) => Signer::P256(key.public()),
        }
    }

    pub(crate) fn holder(&self) -> HolderKey {
        HolderKey::of(&self.public())
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        match self {
            Self::Ed25519(key) => key.sign(message),
            Self::P256(key) => key.sign(message),
        }
    }

    pub(crate) fn document(&self, content: Content) -> Vec<u8> {
        let unsigned = Unsigned::new(&content, &self.public()).unwrap();
        unsigned.signed(&self.sign(unsigned.to_be_signed())).as_ref().to_vec()
    }

    pub(crate) fn pass(&self, pass: Pass) -> Vec<u8> {
        self.document(Content::Pass(pass))
    }

    pub(crate) fn rider(&self, rider: Rider) -> Vec<u8> {
        self.document(Content::Rider(rider))
    }

    /// `[pass, proof]` for the lock of this name.
    pub(crate) fn prove(&self, pass: &[u8], lock: &str, nonce: &[u8; 16]) -> Vec<u8> {
        let message = transcript(&Document::parse(pass).unwrap(), &name(lock), nonce);
        with_proof(pass, &self.sign(message.as_ref())).unwrap().as_ref().to_vec()
    }

    /// `[pass, time, proof]` for the lock of the tests.
    pub(crate) fn prove_at(&self, pass: &[u8], time: u64) -> Vec<u8> {
        let time = u32::try_from(time).unwrap();
        let message = timed_transcript(&Document::parse(pass).unwrap(), &name("lk-00042"), time);
        with_timed_proof(pass, time, &self.sign(message.as_ref())).unwrap().as_ref().to_vec()
    }
}

pub(crate) fn issuer() -> Key {
    Key::ed25519(1)
}

pub(crate) fn issuer_root() -> Key {
    Key::ed25519(2)
}

pub(crate) fn phone() -> Key {
    Key::p256(3)
}

pub(crate) fn mac(content: Content, epoch: u32) -> Vec<u8> {
    maced(&content, epoch, &root_key().passes(epoch)).unwrap().as_ref().to_vec()
}

pub(crate) fn encrypt(pass: Pass, epoch: u32) -> Vec<u8> {
    let key = root_key().encryption(epoch);
    encrypted(&Content::Pass(pass), epoch, &key, [0x1F; 12]).unwrap().as_ref().to_vec()
}

/// An hour from now at the lock of the tests, for whoever has it, as often as wanted.
pub(crate) fn booking() -> Pass {
    Pass {
        audience: Some(name("lk-00042")),
        window: window(NOW, NOW + HOUR),
        issued_at: Some(at(NOW - DAY)),
        id: PassId::from_bytes(&[0xA1, 2, 3, 4, 5, 6, 7, 8]).unwrap(),
        holder: None,
        scope: Scope::default(),
        lasts: None,
    }
}

/// The same, for the holder of the tests.
pub(crate) fn bound() -> Pass {
    Pass { holder: Some(phone().holder()), ..booking() }
}

pub(crate) fn once(pass: Pass) -> Pass {
    Pass { scope: Scope { uses: Uses::Once, ..pass.scope }, ..pass }
}

pub(crate) fn id(number: u64) -> PassId {
    PassId::from_bytes(&number.to_be_bytes()).unwrap()
}

#[derive(Clone)]
pub(crate) struct Lock<const N: usize = 4> {
    pub(crate) reader: Reader,
    pub(crate) belief: Belief,
    pub(crate) state: State<N>,
    pub(crate) epoch: u32,
    pub(crate) head: Head,
    pub(crate) journal: Vec<Record>,
    start: (Belief, State<N>),
}

impl<const N: usize> Lock<N> {
    pub(crate) fn new(now: u64) -> Self {
        let root = Some(issuer_root().public());
        let groups = [name("club")];
        let groups = Groups::of(&groups).unwrap();
        let reader = Reader::new(name("lk-00042"), groups, root_key(), root);
        Self::with(reader, &[issuer().public()], now)
    }

    pub(crate) fn with(reader: Reader, keys: &[Signer], now: u64) -> Self {
        let belief = Belief::new(CLOCK, at(now));
        let state = State::new(trusted(keys), 0, 0, at(now));
        let start = (belief, state);
        Self { reader, belief, state, epoch: 0, head: Head::EMPTY, journal: Vec::new(), start }
    }

    /// Installs it anew.
    pub(crate) fn install(&mut self, belief: Belief, keys: TrustedKeys) {
        (self.belief, self.state) = (belief, State::new(keys, 0, 0, belief.floor()));
        self.start = (self.belief, self.state);
        (self.head, self.journal) = (Head::EMPTY, Vec::new());
    }

    pub(crate) fn moment(&self) -> Moment {
        Moment { belief: self.belief, epoch: self.epoch, elapsed: 0 }
    }

    pub(crate) fn clock(&mut self, event: clock::Event) {
        self.belief = self.belief.then(&event);
        // What the journal of passes does not tell.
        self.start = (self.belief, self.state);
        self.journal.clear();
    }

    pub(crate) fn wait(&mut self, seconds: u64) {
        self.clock(clock::Event::Elapsed { seconds });
    }

    pub(crate) fn append(&mut self, place: &Place, record: &Record) -> Receipt {
        let bytes = record.to_bytes();
        assert_eq!(*place, Place::of(self.head, bytes.as_ref()));
        assert_eq!(Record::from_bytes(bytes.as_ref()), Some(*record));
        self.head = place.after;
        self.journal.push(*record);
        (self.belief, self.state) = after((self.belief, self.state), record);
        // What is read back after a power cut is what was.
        let again = self.journal.iter().fold(self.start, after);
        assert_eq!(again, (self.belief, self.state));
        let mut snapshot = vec![0; State::<N>::LENGTH];
        self.state.write(&mut snapshot).unwrap();
        assert_eq!(State::read(&snapshot), Some(self.state));
        place.appended()
    }

    /// Presents something.
    pub(crate) fn show(&mut self, bytes: &[u8]) -> Result<Content, Refusal> {
        self.answer(bytes, None)
    }

    /// Presents something that answers a challenge.
    pub(crate) fn answer(
        &mut self,
        bytes: &[u8],
        challenge: Option<Challenge>,
    ) -> Result<Content, Refusal> {
        let (reader, moment) = (self.reader.clone(), self.moment());
        match Presented::parse(bytes)? {
            Presented::Pass(pass) => {
                let begun = reader.begin(&moment, &self.state, &pass, challenge, self.head);
                let (attempt, tried) = begun?;
                let receipt = self.append(attempt.place(), &tried);
                let matched = attempt.counted(receipt).unwrap().compare()?;
                let (learning, verified) = reader.verified(&self.moment(), &matched, self.head);
                let receipt = self.append(learning.place(), &verified);
                let learned = learning.learned(receipt).unwrap();
                let moment = self.moment();
                let spent = reader.spend(&moment, &self.state, &learned, self.head);
                let (spending, opened) = spent?;
                let receipt = self.append(spending.place(), &opened);
                Ok(Content::Pass(*spending.granted(receipt).unwrap().found()))
            }
            Presented::Rider(rider) => {
                let begun = reader.begin_rider(&moment, &self.state, &rider, challenge, self.head);
                let (attempt, tried) = begun?;
                let receipt = self.append(attempt.place(), &tried);
                let matched = attempt.counted(receipt).unwrap().compare()?;
                let moment = self.moment();
                let spent = reader.spend_rider(&moment, &self.state, &matched, self.head);
                let (spending, taken) = spent?;
                let receipt = self.append(spending.place(), &taken);
                Ok(Content::Rider(*spending.granted(receipt).unwrap().found()))
            }
        }
    }

    pub(crate) fn code(&mut self, bytes: &[u8]) -> &'static str {
        self.show(bytes).map_or_else(|refusal| refusal.code(), |_| "opened")
    }
}

fn after<const N: usize>(
    (belief, state): (Belief, State<N>),
    record: &Record,
) -> (Belief, State<N>) {
    let belief = record.believed(belief);
    (belief, state.then(&belief, record))
}

/// Keys that are good without an end.
pub(crate) fn trusted(keys: &[Signer]) -> TrustedKeys {
    let keys: Vec<_> = keys.iter().map(|key| (*key, Window::ALWAYS)).collect();
    TrustedKeys::provisioned(&keys).unwrap()
}

/// A challenge whose nonce is known.
pub(crate) fn challenge(byte: u8) -> Challenge {
    struct Fixed(u8);
    impl rand_core::TryRng for Fixed {
        type Error = core::convert::Infallible;
        fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
            Ok(u32::from_be_bytes([self.0; 4]))
        }
        fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
            Ok(u64::from_be_bytes([self.0; 8]))
        }
        fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Self::Error> {
            out.fill(self.0);
            Ok(())
        }
    }
    impl rand_core::TryCryptoRng for Fixed {}
    Challenge::make(&mut Fixed(byte))
}
