//! How fast passes are, in memory: what an issuer does for one, and what a lock does from the bytes to the proof
//! that they are authentic. The same on a small processor is measured by `scripts/bare-metal`; with `--features
//! aws-lc`, by the library of servers and phones.

use criterion::{BenchmarkGroup, Criterion, Throughput, measurement::WallTime};
use doorstep::clock::{AfterPowerLoss, Belief, Clock, Oscillator};
use doorstep::cose::keys::{IssuerKey, Signer, SoftwareKey};
use doorstep::keypad::key::RootKey;
use doorstep::ledger::{Head, Place};
use doorstep::pass::claims::{Audience, HolderKey, Pass, PassId, Scope, Uses};
use doorstep::pass::document::Content;
use doorstep::pass::issue::{Unsigned, encrypted, maced};
use doorstep::pass::key::TrustedKeys;
use doorstep::pass::presented::Presented;
use doorstep::pass::reader::{Groups, Moment, Reader};
use doorstep::pass::record::{Event, Record};
use doorstep::pass::state::State;
use doorstep::secret::Secret;
use doorstep::time::{Timestamp, Window};
use ed25519_dalek::{Verifier as _, VerifyingKey};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use std::hint::black_box;
use std::time::Duration;

const NOW: Timestamp = Timestamp::from_seconds(1_800_057_600);

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(30)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    let (issuer, device) = (issuer(), device());
    let keys = [Signer::Ed25519(issuer.public()), Signer::P256(device.public())];
    let holder = SoftwareKey::from_secret(&Secret::from_bytes([3; 32])).expect("a key");
    let bound = Pass { holder: Some(HolderKey::of(&Signer::P256(holder.public()))), ..bearer() };
    let (signed, bearer) = (Content::Pass(bound), Content::Pass(bearer()));
    let p256 = Unsigned::new(&signed, &keys[1]).expect("a pass");
    let iv = [1; 12];
    let documents = [
        ("Ed25519, with a holder", sign(&issuer, &signed)),
        ("P-256, with a holder", p256.signed(&device.sign(p256.to_be_signed()))),
        ("under a MAC, bearer", maced(&bearer, 0, &root().passes(0)).expect("a pass")),
        ("encrypted, bearer", encrypted(&bearer, 0, &root().encryption(0), iv).expect("a pass")),
    ];

    let mut group = group(&mut criterion, "a pass taken apart");
    for (name, document) in &documents {
        group.bench_function(*name, |b| {
            b.iter(|| Presented::parse(black_box(document.as_ref())).is_ok());
        });
    }
    group.finish();

    let lock = Lock::new(&keys);
    let mut group = self::group(&mut criterion, "a pass verified, from its bytes");
    for (name, document) in &documents {
        assert!(lock.verifies(document.as_ref()), "{name}");
        group.bench_function(*name, |b| b.iter(|| lock.verifies(black_box(document.as_ref()))));
    }
    // What of each of them is for the journal, which libraries that keep no record have not to do.
    let tried = Record { elapsed: 0, event: Event::Tried };
    group.bench_function("of it the attempt's record", |b| {
        b.iter(|| Place::of(black_box(Head::EMPTY), black_box(&tried).to_bytes().as_ref()));
    });
    group.finish();
    floors(&mut criterion, &issuer);

    let mut group = self::group(&mut criterion, "a pass issued");
    group
        .bench_function("Ed25519, with a holder", |b| b.iter(|| sign(&issuer, black_box(&signed))));
    let key = root().passes(0);
    group.bench_function("under a MAC, bearer", |b| {
        b.iter(|| maced(black_box(&bearer), 0, &key).expect("a pass"));
    });
    group.finish();
    criterion.final_summary();
}

/// What verification cannot do without: the libraries alone, with their keys ready.
fn floors(criterion: &mut Criterion, issuer: &IssuerKey) {
    let unsigned = Unsigned::new(&Content::Pass(bearer()), &Signer::Ed25519(issuer.public()));
    let unsigned = unsigned.expect("a pass");
    let message = unsigned.to_be_signed();
    let (bytes, signature) = (issuer.public().to_bytes(), issuer.sign(message).into());
    let key = VerifyingKey::from_bytes(&bytes).expect("a key");
    let mac = Hmac::<Sha256>::new(&[7; 64].into());
    let mut group = group(criterion, "the libraries alone");
    group.bench_function("Ed25519, its key unpacked before", |b| {
        b.iter(|| key.verify(black_box(message), &signature).is_ok());
    });
    group.bench_function("Ed25519, its key unpacked as well", |b| {
        b.iter(|| {
            let key = VerifyingKey::from_bytes(black_box(&bytes));
            key.is_ok_and(|key| key.verify(black_box(message), &signature).is_ok())
        });
    });
    #[cfg(feature = "aws-lc")]
    group.bench_function("Ed25519 by AWS-LC", |b| {
        use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
        let key = UnparsedPublicKey::new(&ED25519, bytes);
        b.iter(|| key.verify(black_box(message), &signature.to_bytes()).is_ok());
    });
    // The HMAC over what is under a MAC, three blocks, and the chain's hash over the attempt, two.
    group.bench_function("HMAC, and the hash of one record", |b| {
        b.iter(|| {
            let mac = mac.clone().chain_update(black_box([1; 60])).finalize().into_bytes();
            (mac, Sha256::digest(black_box([2; 63])))
        });
    });
    group.finish();
}

fn group<'a>(criterion: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(1));
    group
}

fn issuer() -> IssuerKey {
    IssuerKey::from_seed(&Secret::from_bytes([1; 32]))
}

fn device() -> SoftwareKey {
    SoftwareKey::from_secret(&Secret::from_bytes([5; 32])).expect("a key")
}

fn root() -> RootKey {
    RootKey::from_secret(Secret::from_bytes([7; 32]))
}

fn bearer() -> Pass {
    Pass {
        audience: Audience::parse("lk-00042"),
        window: Window::new(NOW, NOW.later(3600)).expect("not empty"),
        issued_at: Some(NOW),
        id: PassId::from_bytes(&[1, 2, 3, 4, 5, 6, 7, 8]).expect("an id"),
        holder: None,
        scope: Scope { uses: Uses::Once, ..Scope::default() },
        lasts: None,
    }
}

fn sign(issuer: &IssuerKey, content: &Content) -> doorstep::pass::document::Bytes {
    let unsigned = Unsigned::new(content, &Signer::Ed25519(issuer.public())).expect("a pass");
    unsigned.signed(&issuer.sign(unsigned.to_be_signed()))
}

/// A lock as it is installed, with room for 32 marks.
struct Lock {
    reader: Reader,
    state: State<32>,
    moment: Moment,
}

impl Lock {
    fn new(keys: &[Signer]) -> Self {
        let clock =
            Clock { oscillator: Oscillator::Crystal, after_power_loss: AfterPowerLoss::NeedTime };
        let name = Audience::parse("lk-00042").expect("a name");
        let always =
            Window::new(Timestamp::from_seconds(0), NOW.later(1 << 30)).expect("not empty");
        let keys: Vec<_> = keys.iter().map(|key| (*key, always)).collect();
        let keys = TrustedKeys::provisioned(&keys).expect("two are few");
        let moment = Moment { belief: Belief::new(clock, NOW), epoch: 0, elapsed: 0 };
        let reader = Reader::new(name, Groups::default(), root(), None);
        Self { reader, state: State::new(keys, 0, 0, NOW), moment }
    }

    /// Up to what is authentic, with the attempt's record named and taken as written.
    fn verifies(&self, bytes: &[u8]) -> bool {
        let Ok(Presented::Pass(pass)) = Presented::parse(bytes) else { return false };
        let begun = self.reader.begin(&self.moment, &self.state, &pass, None, Head::EMPTY);
        let Ok((attempt, _)) = begun else { return false };
        let receipt = attempt.place().appended();
        attempt.counted(receipt).is_ok_and(|counted| counted.compare().is_ok())
    }
}
