//! The bench the tests stand on: an issuer, its devices, and a journal that is only memory.

use doorstep::code::{Code, Shape};
use doorstep::cose::Invalid;
use doorstep::cose::encrypt::Sealed;
use doorstep::cose::keys::{IssuerKey, SoftwareKey};
use doorstep::handover::check::{Check, Slot};
use doorstep::handover::claim::{Acknowledgement, Claim};
use doorstep::handover::device::Device;
use doorstep::handover::event::{Identity, Record};
use doorstep::handover::issue::{Checked, Generation, Order, make};
use doorstep::handover::route::{Route, Withdrawn};
use doorstep::handover::stop::{ScanText, Stop, Whose};
use doorstep::handover::tag::Tag;
use doorstep::id::{DeliveryId, DeviceId, IssuerId};
use doorstep::ledger::{Head, Receipt};
use doorstep::refusal::Refusal;
use doorstep::secret::Secret;
use doorstep::time::{Timestamp, Window};
use doorstep::verifier::{Grant, Means};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;

/// Nine in the morning of the day the tests play on.
pub(crate) const MORNING: u64 = 1_800_000_000;
/// Noon: inside every window made by [`Issuer::generation`].
pub(crate) const NOON: Timestamp = Timestamp::from_seconds(MORNING + 3 * HOUR);
pub(crate) const HOUR: u64 = 3600;

pub(crate) fn at(seconds: u64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

pub(crate) fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

pub(crate) fn delivery(name: &str) -> DeliveryId {
    DeliveryId::parse(name).unwrap()
}

/// Records with the head after each, as a device's file holds them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Journal {
    frames: Vec<(Vec<u8>, Head)>,
}

impl Journal {
    pub(crate) fn head(&self) -> Head {
        self.frames.last().map_or(Head::EMPTY, |(_, head)| *head)
    }

    /// Appends by compare-and-swap; `None` when the append is lost.
    pub(crate) fn append(&mut self, record: &Record) -> Option<Receipt> {
        if record.place().before != self.head() {
            return None;
        }
        self.frames.push((record.body().to_vec(), record.place().after));
        Some(record.place().appended())
    }

    pub(crate) fn device(&self) -> Device {
        Device::replay(self.bodies()).unwrap()
    }

    pub(crate) fn bodies(&self) -> impl Iterator<Item = &[u8]> {
        self.frames.iter().map(|(body, _)| body.as_slice())
    }

    pub(crate) fn len(&self) -> usize {
        self.frames.len()
    }

    /// The journal as it was after `length` records.
    pub(crate) fn cut(&self, length: usize) -> Self {
        Self { frames: self.frames[..length].to_vec() }
    }
}

/// A driver's device: its key and its journal.
#[derive(Clone)]
pub(crate) struct Phone {
    pub(crate) key: SoftwareKey,
    pub(crate) journal: Journal,
}

impl Phone {
    pub(crate) fn device(&self) -> Device {
        self.journal.device()
    }

    pub(crate) fn fingerprint(&self) -> [u8; 16] {
        self.key.public().fingerprint()
    }

    pub(crate) fn append(&mut self, record: &Record) {
        assert!(self.journal.append(record).is_some(), "nobody else appends");
    }

    pub(crate) fn open(&self, document: &[u8]) -> Result<Route, Invalid> {
        let sealed = Sealed::parse(document)?;
        let shared = self.key.agree(sealed.ephemeral());
        Route::open(&sealed, &shared, self.device().identity())
    }

    pub(crate) fn take_in(&mut self, document: &[u8], clock: Timestamp) {
        let route = self.open(document).unwrap();
        let record = self.device().take_in(route, clock).unwrap();
        self.append(&record);
    }

    pub(crate) fn tick(&mut self, clock: Timestamp) {
        if let Some(record) = self.device().tick(clock) {
            self.append(&record);
        }
    }

    /// Presents something; nobody else appends meanwhile.
    pub(crate) fn present(
        &mut self,
        presentation: &Presentation,
        clock: Timestamp,
    ) -> Result<Grant, Refusal> {
        let device = self.device();
        let (record, attempt) = presentation.attempt(&device, clock)?;
        let receipt = self.journal.append(&record).unwrap();
        let matched = attempt.counted(receipt).unwrap().compare()?;
        let claiming = self.device().claim(&matched, clock, &mut rng(99)).unwrap()?;
        let signature = self.key.sign(&claiming.to_be_signed());
        let (record, spending) = claiming.signed(&signature)?;
        let receipt = self.journal.append(&record).unwrap();
        Ok(spending.granted(receipt).unwrap())
    }

    pub(crate) fn type_in(
        &mut self,
        delivery: DeliveryId,
        code: &str,
        clock: Timestamp,
    ) -> Result<Grant, Refusal> {
        self.present(&Presentation::Typed(delivery, code.into()), clock)
    }

    pub(crate) fn scan(&mut self, text: &str, clock: Timestamp) -> Result<Grant, Refusal> {
        self.present(&Presentation::Scanned(text.into()), clock)
    }

    /// The claims waiting to be uploaded, verified.
    pub(crate) fn claims(&self) -> Vec<Claim> {
        let upload = self.device().upload(500);
        let documents = upload.claims.iter();
        documents.map(|document| Claim::verify(document, &self.key.public()).unwrap()).collect()
    }
}

/// What a customer presents.
#[derive(Clone, Debug)]
pub(crate) enum Presentation {
    Typed(DeliveryId, String),
    Scanned(String),
}

impl Presentation {
    pub(crate) fn means(&self) -> Means {
        match self {
            Self::Typed(..) => Means::Typed,
            Self::Scanned(_) => Means::Scanned,
        }
    }

    pub(crate) fn attempt(
        &self,
        device: &Device,
        clock: Timestamp,
    ) -> Result<(Record, doorstep::verifier::Attempt<doorstep::handover::stop::AtDoor>), Refusal>
    {
        match self {
            Self::Typed(delivery, code) => {
                device.attempt_typed(*delivery, code, Whose::Anybody, clock)
            }
            Self::Scanned(text) => device.attempt_scanned(text, clock),
        }
    }
}

/// An issuer with seeded keys.
pub(crate) struct Issuer {
    pub(crate) id: IssuerId,
    pub(crate) signing: IssuerKey,
    pub(crate) agreement: SoftwareKey,
}

impl Issuer {
    pub(crate) fn new(name: &str, seed: u8) -> Self {
        Self {
            id: IssuerId::parse(name).unwrap(),
            signing: IssuerKey::from_seed(&Secret::from_bytes([seed; 32])),
            agreement: SoftwareKey::from_secret(&Secret::from_bytes([seed; 32])).unwrap(),
        }
    }

    /// A device enrolled in the morning.
    pub(crate) fn enrol(&self, name: &str, seed: u8) -> Phone {
        self.enrolled(name, seed, false)
    }

    /// The same, managed by the issuer.
    pub(crate) fn enrol_managed(&self, name: &str, seed: u8) -> Phone {
        self.enrolled(name, seed, true)
    }

    fn enrolled(&self, name: &str, seed: u8, managed: bool) -> Phone {
        let key = SoftwareKey::from_secret(&Secret::from_bytes([seed; 32])).unwrap();
        let identity = Identity {
            issuer: self.id,
            issuer_signing_key: self.signing.public().to_bytes(),
            issuer_agreement_key: self.agreement.public().to_bytes(),
            device: DeviceId::parse(name).unwrap(),
            device_key: key.public().to_bytes(),
            server: "https://example.org".into(),
            test: true,
            managed,
        };
        let mut journal = Journal::default();
        journal.append(&Device::enrol(identity, at(MORNING))).unwrap();
        Phone { key, journal }
    }

    pub(crate) fn order(&self, phone: &Phone, delivery: DeliveryId, generation: u32) -> Order {
        Order {
            issuer: self.id,
            delivery,
            generation,
            window: Window::new(at(MORNING), at(MORNING + 6 * HOUR)).unwrap(),
            check: Checked::Split(Shape::DIGITS_8),
            reference: "ORDER-1001".into(),
            label: "Zoë Żuk, 5 Long Lane".into(),
            slots: 2,
            device: phone.fingerprint(),
        }
    }

    /// Codes for a slot and the spare, from nine to three.
    pub(crate) fn generation(
        &self,
        phone: &Phone,
        delivery: DeliveryId,
        number: u32,
    ) -> Generation {
        let name: u64 = delivery.as_str().bytes().map(u64::from).sum();
        make(&self.order(phone, delivery, number), &mut rng(name * 1000 + u64::from(number)))
    }

    pub(crate) fn route(
        &self,
        phone: &Phone,
        version: u64,
        stops: &[&Stop],
        withdrawn: &[(DeliveryId, u32)],
    ) -> Route {
        Route {
            issuer: self.id,
            device: phone.device().identity().device,
            fingerprint: phone.fingerprint(),
            version,
            time: at(MORNING + version),
            stops: stops.iter().map(|stop| (*stop).clone()).collect(),
            withdrawn: withdrawn
                .iter()
                .map(|&(delivery, generation)| Withdrawn { delivery, generation })
                .collect(),
        }
    }

    pub(crate) fn seal(&self, phone: &Phone, route: &Route) -> Vec<u8> {
        route.issue(&self.signing, &phone.key.public(), &mut rng(route.version)).unwrap()
    }

    /// Hands stops out, as a route of its own.
    pub(crate) fn hand_out(&self, phone: &mut Phone, version: u64, stops: &[&Stop]) {
        let document = self.seal(phone, &self.route(phone, version, stops, &[]));
        phone.take_in(&document, at(MORNING + version));
    }

    pub(crate) fn acknowledgement(
        &self,
        phone: &Phone,
        received: u64,
        time: Timestamp,
    ) -> Acknowledgement {
        Acknowledgement {
            issuer: self.id,
            device: phone.device().identity().device,
            received,
            epoch: 1,
            log: Head::EMPTY.then(b"log"),
            time,
            prove: 1,
            nonce: [7; 16],
        }
    }

    /// Acknowledges, and the device writes it down.
    pub(crate) fn acknowledge(
        &self,
        phone: &mut Phone,
        received: u64,
        time: Timestamp,
        clock: Timestamp,
    ) {
        let document = self.acknowledgement(phone, received, time).issue(&self.signing);
        let record = phone.device().acknowledge(&document, clock).unwrap();
        phone.append(&record);
    }
}

/// One device with one stop on it, and what its holders were sent.
pub(crate) struct Scene {
    pub(crate) issuer: Issuer,
    pub(crate) phone: Phone,
    pub(crate) delivery: DeliveryId,
    pub(crate) made: Generation,
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self::with_budget(doorstep::handover::BUDGET)
    }

    pub(crate) fn with_budget(budget: u8) -> Self {
        let issuer = Issuer::new("iss_1", 1);
        let mut phone = issuer.enrol("dev_1", 2);
        let delivery = delivery("dlv_1");
        let mut made = issuer.generation(&phone, delivery, 1);
        made.stop.budget = budget;
        issuer.hand_out(&mut phone, 1, &[&made.stop]);
        Self { issuer, phone, delivery, made }
    }

    /// The code of a slot as its holder types it.
    pub(crate) fn code(&self, slot: usize) -> String {
        text(&self.made.holders[slot].code)
    }

    /// Codes that are wrong for every slot, by more than one typo.
    pub(crate) fn wrong(&self) -> Vec<String> {
        wrong_codes(&self.made.stop, self.issuer.id, self.phone.fingerprint())
    }

    pub(crate) fn typed(&self, code: &str) -> Presentation {
        Presentation::Typed(self.delivery, code.into())
    }

    pub(crate) fn scan_text(&self, slot: usize) -> String {
        scan_text(&self.made, slot)
    }

    pub(crate) fn attempts(&self) -> u8 {
        self.phone.device().stop(self.delivery).unwrap().attempts
    }
}

pub(crate) fn text(code: &Code) -> String {
    String::from_utf8(code.expose().to_vec()).unwrap()
}

pub(crate) fn scan_text(made: &Generation, slot: usize) -> String {
    let holder = &made.holders[slot];
    let text = ScanText {
        delivery: made.stop.delivery,
        generation: made.stop.generation,
        slot: holder.slot,
        secret: holder.scan.clone(),
    };
    let mut written = String::new();
    text.write(&mut written).unwrap();
    written
}

/// The bits and slots of a split check.
pub(crate) fn split(stop: &Stop) -> (u8, &[Slot<Tag>]) {
    let Check::Split { bits, slots } = &stop.check else { panic!("a split check") };
    (*bits, slots)
}

/// Whether a device would show green for a code; a wrong one passes 13 bits once in 8,192.
pub(crate) fn passes(stop: &Stop, issuer: IssuerId, device: [u8; 16], code: &Code) -> bool {
    let (bits, slots) = split(stop);
    slots.iter().any(|slot| {
        let subject = stop.subject(issuer, device, slot.number);
        Tag::derive(&slot.salt, bits, &subject, code) == slot.code
    })
}

/// Ten codes that are known to fail.
pub(crate) fn wrong_codes(stop: &Stop, issuer: IssuerId, device: [u8; 16]) -> Vec<String> {
    let codes = (0..u32::MAX).map(|n| Code::parse(&format!("{n:08}"), stop.shape).unwrap());
    let wrong = codes.filter(|code| !passes(stop, issuer, device, code));
    wrong.take(10).map(|code| text(&code)).collect()
}
