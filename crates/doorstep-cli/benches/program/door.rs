//! One check at the door as the driver runs it: a process that starts, reads its journal, appends
//! and flushes two records, and answers.

use crate::shop::{Shop, copy, must, scratch, text};
use criterion::{BatchSize, Criterion};
use std::cell::OnceCell;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// Stops on the device.
const STOPS: usize = 1000;

pub(crate) fn run(criterion: &mut Criterion) {
    let device = OnceCell::new();
    let mut group =
        criterion.benchmark_group(format!("driver handover, {STOPS} stops on the device"));
    group.sample_size(30).measurement_time(Duration::from_secs(3));
    for (name, right, status) in [("granted", true, 0), ("refused", false, 3)] {
        group.bench_function(name, |b| {
            let device = device.get_or_init(Device::prepare);
            b.iter_batched(
                || device.at_the_door(right),
                |(mut check, dir)| {
                    let ended = check.status().expect("the program runs");
                    assert_eq!(ended.code(), Some(status));
                    dir
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

/// A device's directory as it is in the morning, and one of its codes.
struct Device {
    shop: TempDir,
    delivery: String,
    code: String,
}

impl Device {
    fn prepare() -> Self {
        let shop = Shop::open();
        let ticket = text(&must(shop.command(&["driver", "invite", "Ana"])), "ticket");
        fs::write(shop.path().join("ticket"), ticket).expect("a file");
        let enrolled = ["driver", "enrol", "--ticket", "ticket", "--dir", "ana"];
        let id = text(&must(shop.command(&enrolled)), "device");
        shop.plan(&[(&id, STOPS)]);
        must(shop.command(&["driver", "sync", "--dir", "ana"]));
        let (delivery, code) = shop.codes(1).swap_remove(0);
        Self { shop: shop.close(), delivery, code }
    }

    fn at_the_door(&self, right: bool) -> (Command, TempDir) {
        let dir = scratch();
        copy(&self.shop.path().join("ana"), dir.path());
        (self.check(dir.path(), right), dir)
    }

    fn check(&self, dir: &Path, right: bool) -> Command {
        let code = if right { self.code.clone() } else { other(&self.code) };
        let mut command = Command::new(env!("CARGO_BIN_EXE_doorstep"));
        command
            .args(["driver", "handover", &self.delivery, &code])
            .env("DOORSTEP_DEVICE", dir)
            .env("DOORSTEP_CLOCK", self.shop.path().join("data/clock"))
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null());
        command
    }
}

/// Another code; one in 4,096 would pass as well, and then this stops with a wrong status.
fn other(code: &str) -> String {
    let rest = code.get(1..).unwrap_or_default();
    if code.starts_with('0') { format!("1{rest}") } else { format!("0{rest}") }
}
