//! How fast locks are, in memory: what an issuer does for a booking, what a lock does for a PIN, and
//! what either does for a record. The same on a small processor is measured by `scripts/bare-metal`.

use criterion::{Criterion, Throughput};
use doorstep::clock::{AfterPowerLoss, Belief, Clock, Event, Oscillator};
use doorstep::keypad::issue::Pin;
use doorstep::keypad::key::{PinKey, RootKey};
use doorstep::keypad::lock::{Entry, Lock};
use doorstep::keypad::profile::Profile;
use doorstep::keypad::record::{self, Record, Source};
use doorstep::keypad::state::State;
use doorstep::keypad::tuple::{Form, Tuple};
use doorstep::ledger::Head;
use doorstep::secret::Secret;
use doorstep::time::{Timestamp, Window};
use std::time::Duration;

const NOW: Timestamp = Timestamp::from_seconds(1_800_057_600);
/// PINs of a lock that a new one must differ from.
const NEIGHBOURS: u64 = 20;

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    bookings(&mut criterion);
    verifications(&mut criterion);
    records(&mut criterion);
    criterion.final_summary();
}

fn root() -> RootKey {
    RootKey::from_secret(Secret::from_bytes([7; 32]))
}

fn profiles() -> [(&'static str, Profile); 2] {
    [("courts", Profile::courts()), ("general", Profile::general())]
        .map(|(name, profile)| (name, profile.expect("a profile of ours")))
}

fn pin(key: &PinKey, profile: &Profile, tuple: &Tuple) -> Pin {
    Pin::with_key(key, profile, tuple).expect("a holder of the profile")
}

/// A booking becomes a window, both holders' PINs and long forms, and differs from its neighbours, whose
/// PINs are derived as well: none is stored.
fn bookings(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("a booking issued");
    group.throughput(Throughput::Elements(1));
    for (name, profile) in profiles() {
        let fit = |from: Timestamp| {
            let wanted = Window::new(from, from.later(3600)).expect("not empty");
            profile.fit(&wanted, false).expect("an hour fits")
        };
        group.bench_function(format!("{name}, {NEIGHBOURS} neighbours"), |b| {
            b.iter(|| {
                let key = root().pins(0);
                let codes = |holder| {
                    let pin = pin(&key, &profile, &fit(NOW).tuple(holder, 0));
                    [pin.code(Form::Pin), pin.code(Form::Long)]
                };
                let mine = [0, 1].map(codes);
                let differs = (1..=NEIGHBOURS).all(|quarter| {
                    let tuple = fit(NOW.later(900 * quarter)).tuple(0, 0);
                    let other = pin(&key, &profile, &tuple).code(Form::Pin);
                    mine.iter().all(|[pin, _]| pin.expose() != other.expose())
                });
                (mine, differs)
            });
        });
    }
    group.finish();
}

fn state() -> State<32> {
    let clock =
        Clock { oscillator: Oscillator::Crystal, after_power_loss: AfterPowerLoss::NeedTime };
    State::new(Belief::new(clock, NOW))
}

/// A wrong PIN from the attempt's record to the refusal, when the clock is as uncertain as it may be.
fn verifications(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("a wrong PIN compared");
    for (name, profile) in profiles() {
        let lock = Lock::new(root(), profile);
        let later = record::Event::Clock(Event::Elapsed { seconds: 330 * 86_400 });
        let state = lock.then(&state(), &Record { elapsed: 0, event: later });
        group.bench_function(name, |b| {
            b.iter(|| {
                let typed = lock.read("123456789").expect("nine digits");
                let Entry::Pin(typed) = typed else { unreachable!("it does not begin with 0") };
                let (attempt, _) =
                    lock.begin(&state, 0, typed, Head::EMPTY).expect("nothing stops it");
                let receipt = attempt.place().appended();
                attempt.counted(receipt).expect("its own receipt").compare().is_err()
            });
        });
    }
    group.finish();
}

fn records(criterion: &mut Criterion) {
    let [_, (_, profile)] = profiles();
    let lock = Lock::new(root(), profile);
    let tuple = profile
        .fit(&Window::new(NOW, NOW.later(3600)).expect("not empty"), false)
        .expect("an hour fits")
        .tuple(0, 1);
    let opened = record::Event::Opened { tuple, epoch: 0, form: Form::Pin };
    let mut group = criterion.benchmark_group("a record folded");
    for (name, event) in [("attempt", record::Event::Tried(Source::Pin)), ("opened", opened)] {
        let (state, record) = (state(), Record { elapsed: 60, event });
        group.bench_function(name, |b| b.iter(|| lock.then(&state, &record)));
    }
    group.finish();
}
