//! Claims synced per second: each is verified, chained and on the disk before it is acknowledged.

use crate::device::Phone;
use crate::shop::{Client, Shop};
use criterion::{BatchSize, Criterion, SamplingMode, Throughput};
use doorstep::handover::claim::MAX_UPLOAD;
use serde_json::Value;
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::time::Duration;
use tempfile::TempDir;

pub(crate) fn run(criterion: &mut Criterion) {
    for fleet in [
        Fleet { phones: 32, stops: MAX_UPLOAD, batch: MAX_UPLOAD },
        Fleet { phones: 32, stops: 25, batch: 1 },
    ] {
        measure(criterion, fleet);
    }
}

/// Devices that come back at the same time.
#[derive(Clone, Copy)]
struct Fleet {
    phones: usize,
    stops: usize,
    batch: usize,
}

fn measure(criterion: &mut Criterion, fleet: Fleet) {
    let Fleet { phones, stops, batch } = fleet;
    let total = phones * stops;
    let mut group =
        criterion.benchmark_group(format!("{total} claims of {phones} devices, {batch} at a time"));
    group
        .throughput(Throughput::Elements(u64::try_from(total).expect("a small number")))
        // No time to fill, so each sample is one run, for which everything is prepared anew.
        .sampling_mode(SamplingMode::Flat)
        .warm_up_time(Duration::from_millis(1))
        .measurement_time(Duration::from_millis(1));
    // Preparing takes far longer than measuring, and a filter may leave this one out.
    let evening = OnceCell::new();
    for (name, judged) in [("stored and acknowledged", false), ("stored and judged", true)] {
        group.bench_function(name, |b| {
            let evening = evening.get_or_init(|| Evening::prepare(fleet));
            b.iter_batched(
                || evening.come_back(),
                |back| {
                    back.upload(evening);
                    if judged {
                        back.wait_for_verdicts();
                    }
                    // Its server is stopped after the clock.
                    back
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

/// All deliveries made and no outcome told: the server's directory, and what each device will
/// upload.
struct Evening {
    data: TempDir,
    phones: Vec<(Phone, Vec<String>)>,
}

impl Evening {
    fn prepare(fleet: Fleet) -> Self {
        let shop = Shop::open();
        let client = shop.client();
        let mut phones: Vec<Phone> =
            (1..).take(fleet.phones).map(|number| Phone::enrol(&client, number)).collect();
        let plans: Vec<(&str, usize)> =
            phones.iter().map(|phone| (phone.id(), fleet.stops)).collect();
        let total = fleet.phones * fleet.stops;
        let seconds = timed(|| shop.plan(&plans));
        eprintln!("prepared: {total} deliveries imported and planned in {seconds:.1} s");
        for phone in &mut phones {
            phone.sync(&client);
        }
        let codes: BTreeMap<String, String> = shop.codes(total).into_iter().collect();
        let phones = std::thread::scope(|scope| {
            let ready: Vec<_> = phones
                .into_iter()
                .map(|mut phone| {
                    scope.spawn(|| {
                        phone.deliver(&codes);
                        let uploads = phone.uploads(fleet.batch);
                        (phone, uploads)
                    })
                })
                .collect();
            ready.into_iter().map(|thread| thread.join().expect("a device")).collect()
        });
        Self { data: shop.close(), phones }
    }

    fn come_back(&self) -> ComeBack {
        let shop = Shop::reopen(self.data.path());
        let clients: Vec<Client> = self.phones.iter().map(|_| shop.client()).collect();
        for client in &clients {
            client.get("/healthz");
        }
        ComeBack { clients, _shop: shop }
    }
}

/// A server that nobody has told anything, and an open connection for each device.
struct ComeBack {
    clients: Vec<Client>,
    _shop: Shop,
}

impl ComeBack {
    fn upload(&self, evening: &Evening) {
        std::thread::scope(|scope| {
            for (client, (phone, uploads)) in self.clients.iter().zip(&evening.phones) {
                scope.spawn(move || {
                    let mut last = Value::Null;
                    for upload in uploads {
                        last = client.post_text("/v1/claims", upload);
                    }
                    assert_eq!(phone.received(&last), phone.claims());
                });
            }
        });
    }

    fn wait_for_verdicts(&self) {
        let client = self.clients.first().expect("a device");
        loop {
            let open = client.get("/v1/deliveries?state=reported&limit=1");
            if open["data"].as_array().is_some_and(Vec::is_empty) {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let delivered = client.get("/v1/deliveries?state=delivered&limit=1");
        assert!(delivered["data"].as_array().is_some_and(|data| !data.is_empty()));
    }
}

/// Seconds that something takes.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn timed(work: impl FnOnce()) -> f64 {
    let start = std::time::Instant::now();
    work();
    start.elapsed().as_secs_f64()
}
