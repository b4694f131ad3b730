//! A depot's morning: 10,000 deliveries taken in from CSV, planned from CSV, and handed out to the
//! devices of 20 drivers, with the commands that a dispatcher types.

use crate::device::Phone;
use crate::figures::{Stopwatch, tell};
use crate::shop::{EXPECTED, Shop, must};
use criterion::{BatchSize, Criterion, SamplingMode, Throughput};
use std::fmt::Write as _;
use std::fs;
use std::sync::Mutex;
use std::time::Duration;

const DRIVERS: usize = 20;
/// Deliveries of each driver.
const STOPS: usize = 500;

pub(crate) fn run(criterion: &mut Criterion) {
    let total = DRIVERS * STOPS;
    let mut group = criterion.benchmark_group(format!("a morning of {total} deliveries"));
    group
        .throughput(Throughput::Elements(u64::try_from(total).expect("a small number")))
        .sampling_mode(SamplingMode::Flat)
        .warm_up_time(Duration::from_millis(1))
        .measurement_time(Duration::from_millis(1));
    let steps = Mutex::new([const { Vec::new() }; 3]);
    group.bench_function("imported, planned and handed out", |b| {
        b.iter_batched(
            Depot::prepare,
            |mut depot| {
                let mut watch = Stopwatch::start();
                depot.import();
                let imported = watch.lap();
                depot.plan();
                let planned = watch.lap();
                depot.hand_out();
                let taken = [imported, planned, watch.lap()];
                for (step, time) in steps.lock().expect("no sample failed").iter_mut().zip(taken) {
                    step.push(time);
                }
                // Its server is stopped after the clock.
                depot
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
    let steps = steps.into_inner().expect("no sample failed");
    for (name, times) in ["imported", "planned", "handed out"].iter().zip(steps) {
        if !times.is_empty() {
            tell(name, times);
        }
    }
}

/// A server, two files, and the devices of the drivers.
struct Depot {
    shop: Shop,
    phones: Vec<Phone>,
}

impl Depot {
    fn prepare() -> Self {
        let shop = Shop::open();
        let client = shop.client();
        let phones = (1..).take(DRIVERS).map(|number| Phone::enrol(&client, number)).collect();
        let mut orders = String::from("reference,recipient,phone,address,note\n");
        let mut plan = String::from("reference,driver,expected_at\n");
        for number in 0..DRIVERS * STOPS {
            let (street, house) = (number % 700, number % 90 + 1);
            let driver = number % DRIVERS + 1;
            writeln!(orders, "ORDER-{number:05},Zoë Łukasz {street},+34 6{number:08},{house} Harbour Street {street},")
                .expect("a text");
            writeln!(plan, "ORDER-{number:05},Driver {driver},{EXPECTED}").expect("a text");
        }
        fs::write(shop.path().join("orders.csv"), orders).expect("a file");
        fs::write(shop.path().join("plan.csv"), plan).expect("a file");
        Self { shop, phones }
    }

    fn import(&self) {
        let answer = must(self.shop.command(&["delivery", "import", "orders.csv"]));
        assert_eq!(answer["imported"], DRIVERS * STOPS);
    }

    fn plan(&self) {
        let answer = must(self.shop.command(&["delivery", "plan-file", "plan.csv"]));
        assert_eq!(answer["planned"], DRIVERS * STOPS);
    }

    /// All devices fetch their routes at the same time.
    fn hand_out(&mut self) {
        std::thread::scope(|scope| {
            for phone in &mut self.phones {
                let client = self.shop.client();
                scope.spawn(move || {
                    phone.sync(&client);
                    assert_eq!(phone.stops(), STOPS);
                });
            }
        });
    }
}
