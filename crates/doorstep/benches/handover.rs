//! How fast the core is, in memory: what an issuer makes, what a device opens, one check at the
//! door, and how long a device takes to remember its day. Durable storage is measured where it is,
//! in the program (`crates/doorstep-cli/benches`).

use criterion::{BatchSize, Criterion, Throughput};
use doorstep::code::{Code, Shape};
use doorstep::cose::encrypt::Sealed;
use doorstep::cose::keys::{IssuerKey, SoftwareKey};
use doorstep::handover::Subject;
use doorstep::handover::claim::{Claim, Evidence, Outcome};
use doorstep::handover::device::Device;
use doorstep::handover::event::{Identity, Record};
use doorstep::handover::issue::{Checked, Generation, Order, code_mac, make};
use doorstep::handover::judge::{Held, Verdict, judge};
use doorstep::handover::route::Route;
use doorstep::handover::stop::Whose;
use doorstep::id::{DeliveryId, DeviceId, IssuerId};
use doorstep::ledger::Receipt;
use doorstep::refusal::Refusal;
use doorstep::secret::Secret;
use doorstep::time::{Timestamp, Window};
use doorstep::verifier::Grant;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use std::time::Duration;

/// Stops of one route.
const ROUTE: usize = 500;
/// Stops of a long day.
const DAY: usize = 1000;
const MORNING: Timestamp = Timestamp::from_seconds(1_800_000_000);
const PEPPER: Secret<32> = Secret::from_bytes([4; 32]);

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    codes(&mut criterion);
    routes(&mut criterion);
    door(&mut criterion);
    claims(&mut criterion);
    replay(&mut criterion);
    criterion.final_summary();
}

fn codes(criterion: &mut Criterion) {
    let world = World::new();
    let mut rng = rng();
    let mut group = criterion.benchmark_group("codes");
    group.throughput(Throughput::Elements(1));
    group.bench_function("one code drawn", |b| b.iter(|| Code::make(Shape::DIGITS_8, &mut rng)));
    let order = world.order(0);
    group.bench_function("one generation, 2 slots", |b| b.iter(|| make(&order, &mut rng)));
    group.finish();
}

fn routes(criterion: &mut Criterion) {
    let world = World::new();
    let mut rng = rng();
    let mut group = criterion.benchmark_group(format!("a route of {ROUTE} stops"));
    group.bench_function("made", |b| b.iter(|| world.generations(0..ROUTE, &mut rng)));
    let route = world.route(1, &world.generations(0..ROUTE, &mut rng));
    group.bench_function("signed and sealed", |b| b.iter(|| world.seal(&route, &mut rng)));
    let document = world.seal(&route, &mut rng);
    let device = world.device();
    group.bench_function("opened and checked", |b| b.iter(|| world.open(&document, &device)));
    group.bench_function("taken in", |b| {
        b.iter_batched(
            || (device.clone(), route.clone()),
            |(mut device, route)| {
                let record = device.take_in(route, MORNING).expect("a new route");
                append(&mut device, &record);
                device
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

fn door(criterion: &mut Criterion) {
    let world = World::new();
    let mut rng = rng();
    let made = world.generations(0..ROUTE, &mut rng);
    let (device, _) = world.handed_out(&made);
    let stop = made.first().expect("there are stops");
    let right = text(stop);
    let wrong = wrong(&world, &device, stop);
    let mut group = criterion.benchmark_group(format!("the door, {ROUTE} stops on the device"));
    for (name, code) in [("granted", &right), ("refused", &wrong)] {
        group.bench_function(name, |b| {
            b.iter_batched(
                || device.clone(),
                |mut device| {
                    let answer = world.present(&mut device, stop, code, &mut rng);
                    (device, answer.is_ok())
                },
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

fn claims(criterion: &mut Criterion) {
    let world = World::new();
    let mut rng = rng();
    let made = world.generations(0..1, &mut rng);
    let (mut device, _) = world.handed_out(&made);
    let stop = made.first().expect("there is a stop");
    world.grant(&mut device, stop, &mut rng);
    let upload = device.upload(1);
    let document = upload.claims.first().expect("there is a claim");
    let key = world.key.public();
    let verify = || Claim::verify(document, &key).expect("this device signed it");
    let claim = verify();
    let mut group = criterion.benchmark_group("a claim at the issuer's");
    group.throughput(Throughput::Elements(1));
    group.bench_function("verified", |b| b.iter(verify));
    let held = world.held(stop);
    group.bench_function("opened and judged", |b| b.iter(|| world.judge(&claim, &held)));
    group.finish();
}

fn replay(criterion: &mut Criterion) {
    let world = World::new();
    let mut rng = rng();
    let made = world.generations(0..DAY, &mut rng);
    let (mut device, morning) = world.handed_out(&made);
    let mut evening = morning.clone();
    for stop in &made {
        let (_, records) = world.grant(&mut device, stop, &mut rng);
        evening.extend(records);
    }
    let mut group = criterion.benchmark_group(format!("a journal of {DAY} stops replayed"));
    for (name, journal) in [("handed out", morning), ("all accepted", evening)] {
        group.bench_function(name, |b| {
            b.iter(|| Device::replay(journal.iter().map(Vec::as_slice)).expect("a whole journal"));
        });
    }
    group.finish();
}

/// An issuer and one device of it.
struct World {
    issuer: IssuerId,
    signing: IssuerKey,
    agreement: SoftwareKey,
    key: SoftwareKey,
    /// Of the key; worked out once, as a server does.
    fingerprint: [u8; 16],
    identity: Identity,
}

impl World {
    fn new() -> Self {
        let key = |byte| {
            SoftwareKey::from_secret(&Secret::from_bytes([byte; 32])).expect("a scalar in range")
        };
        let issuer = IssuerId::parse("iss_06f9drb1t0000000000000000").expect("an id");
        let signing = IssuerKey::from_seed(&Secret::from_bytes([1; 32]));
        let identity = Identity {
            issuer,
            issuer_signing_key: signing.public().to_bytes(),
            issuer_agreement_key: key(2).public().to_bytes(),
            device: DeviceId::parse("dev_06f9drb1t0000000000000001").expect("an id"),
            device_key: key(3).public().to_bytes(),
            server: "https://doorstep.example".to_owned(),
            test: true,
            managed: false,
        };
        let fingerprint = key(3).public().fingerprint();
        Self { issuer, signing, agreement: key(2), key: key(3), fingerprint, identity }
    }

    fn order(&self, number: usize) -> Order {
        let delivery = format!("dlv_06f9drb1t{number:017}");
        Order {
            issuer: self.issuer,
            delivery: DeliveryId::parse(&delivery).expect("an id"),
            generation: 1,
            window: Window::new(MORNING, MORNING.later(7200)).expect("not empty"),
            check: Checked::Split(Shape::DIGITS_8),
            reference: "ORDER-1001".to_owned(),
            label: "Zoë Łukasz, 12 Harbour Street".to_owned(),
            slots: 2,
            device: self.fingerprint,
        }
    }

    fn generations(
        &self,
        numbers: std::ops::Range<usize>,
        rng: &mut ChaCha20Rng,
    ) -> Vec<Generation> {
        numbers.map(|number| make(&self.order(number), rng)).collect()
    }

    fn route(&self, version: u64, made: &[Generation]) -> Route {
        Route {
            issuer: self.issuer,
            device: self.identity.device,
            fingerprint: self.fingerprint,
            version,
            time: MORNING,
            stops: made.iter().map(|generation| generation.stop.clone()).collect(),
            withdrawn: Vec::new(),
        }
    }

    fn seal(&self, route: &Route, rng: &mut ChaCha20Rng) -> Vec<u8> {
        route.issue(&self.signing, &self.key.public(), rng).expect("the device's key is one")
    }

    fn open(&self, document: &[u8], device: &Device) -> Route {
        let sealed = Sealed::parse(document).expect("sealed here");
        let shared = self.key.agree(sealed.ephemeral());
        Route::open(&sealed, &shared, device.identity()).expect("for this device")
    }

    fn device(&self) -> Device {
        let first = Device::enrol(self.identity.clone(), MORNING);
        Device::replay([first.body()]).expect("an enrolment")
    }

    /// A device that was handed these stops in routes of [`ROUTE`], and its journal.
    fn handed_out(&self, made: &[Generation]) -> (Device, Vec<Vec<u8>>) {
        let mut device = self.device();
        let mut journal = vec![Device::enrol(self.identity.clone(), MORNING).body().to_vec()];
        for (version, stops) in (1..).zip(made.chunks(ROUTE)) {
            let record = device.take_in(self.route(version, stops), MORNING).expect("a new route");
            append(&mut device, &record);
            journal.push(record.body().to_vec());
        }
        (device, journal)
    }

    /// One whole presentation, as `doorstep driver check` makes it but for the disk.
    fn present(
        &self,
        device: &mut Device,
        stop: &Generation,
        code: &str,
        rng: &mut ChaCha20Rng,
    ) -> Result<(Grant, [Vec<u8>; 2]), Refusal> {
        let (attempted, attempt) =
            device.attempt_typed(stop.stop.delivery, code, Whose::Anybody, MORNING)?;
        let receipt = append(device, &attempted);
        let matched = attempt.counted(receipt).expect("its own receipt").compare()?;
        let claiming = device.claim(&matched, MORNING, rng).expect("the issuer's key is one")?;
        let signature = self.key.sign(&claiming.to_be_signed());
        let (claimed, spending) = claiming.signed(&signature)?;
        let grant = spending.granted(append(device, &claimed)).expect("its own receipt");
        Ok((grant, [attempted.body().to_vec(), claimed.body().to_vec()]))
    }

    /// What the issuer keeps of a generation's first slot.
    fn held(&self, generation: &Generation) -> Held {
        let stop = &generation.stop;
        let holder = generation.holders.first().expect("there are slots");
        let (_, scan) = *stop.check.scans().first().expect("there are slots");
        let mac = code_mac(&PEPPER, &stop.delivery, stop.generation, holder.slot, &holder.code);
        Held { code_mac: mac, scan }
    }

    fn judge(&self, claim: &Claim, held: &Held) -> Verdict {
        let presented = Evidence::open(claim, &self.agreement, Shape::DIGITS_8);
        let Outcome::Granted { slot, .. } = claim.outcome else { panic!("a failure") };
        let subject = Subject {
            issuer: self.issuer,
            delivery: claim.delivery,
            generation: claim.generation,
            slot,
            device: self.fingerprint,
        };
        let presented = presented.expect("sealed to this issuer");
        let verdict = judge(&PEPPER, &subject, held, &presented);
        assert_eq!(verdict, Verdict::Match);
        verdict
    }

    fn grant(
        &self,
        device: &mut Device,
        stop: &Generation,
        rng: &mut ChaCha20Rng,
    ) -> (Grant, [Vec<u8>; 2]) {
        self.present(device, stop, &text(stop), rng).expect("the right code in its window")
    }
}

/// Appends to a journal that is memory, which cannot be lost.
fn append(device: &mut Device, record: &Record) -> Receipt {
    device.apply(record.body()).expect("it follows");
    record.place().appended()
}

/// The code of a generation's first slot, as its holder types it.
fn text(generation: &Generation) -> String {
    let holder = generation.holders.first().expect("there are slots");
    let mut text = String::new();
    holder.code.write_grouped(&mut text).expect("strings take all");
    text
}

/// A code that is known to fail: one in 4,096 passes one of two tags.
fn wrong(world: &World, device: &Device, stop: &Generation) -> String {
    let code = (0..u32::MAX)
        .map(|code| format!("{code:08}"))
        .find(|code| world.present(&mut device.clone(), stop, code, &mut rng()).is_err());
    code.expect("most codes are wrong")
}

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(1)
}
