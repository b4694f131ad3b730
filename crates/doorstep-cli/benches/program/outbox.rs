//! Whether messages go out when they should: 100 fall due every second, by a real clock, and each is
//! late by as long as it takes from that second until the provider has it.

use crate::figures::tell;
use crate::shop::{Shop, text};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, SamplingMode};
use serde_json::{Value, json};
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Messages that fall due in a second.
const RATE: usize = 100;
/// Seconds in which they do.
const SECONDS: usize = 10;
/// Until the first is due: time to plan them all.
const HEAD_START: u64 = 10;
/// How long a gateway of text messages takes for an answer.
const ANSWERED_AFTER: Duration = Duration::from_millis(100);
const MINUTE: u64 = 60;

pub(crate) fn run(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group(format!("outbox: {RATE} messages a second"));
    group
        .sampling_mode(SamplingMode::Flat)
        .warm_up_time(Duration::from_millis(1))
        .measurement_time(Duration::from_millis(1));
    measure(&mut group, "late at a file", to_file);
    measure(&mut group, "late at a server", to_receiver);
    group.finish();
}

fn measure(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, send: impl Fn() -> Vec<Duration>) {
    let late = OnceCell::new();
    let mut next = 0_usize;
    group.bench_function(name, |b| {
        let late: &Vec<Duration> = late.get_or_init(&send);
        // Each sample is other messages of the one run.
        b.iter_custom(|count| {
            let mut sum = Duration::ZERO;
            for _ in 0..count {
                sum += late.get(next % late.len()).copied().unwrap_or_default();
                next += 37;
            }
            sum
        });
    });
    if let Some(late) = late.into_inner() {
        tell(name, late);
    }
}

/// The provider `log`.
fn to_file() -> Vec<Duration> {
    let shop = Shop::open_now(|_| String::new());
    let due = plan(&shop);
    let path = shop.path().join("data/messages.jsonl");
    let (arrivals, arrived) = channel();
    let total = due.len();
    std::thread::spawn(move || follow(&path, total, &arrivals));
    late(&due, arrived)
}

/// Reads the lines of a file as they come.
fn follow(path: &Path, total: usize, arrivals: &Sender<(String, Duration)>) {
    while !path.exists() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let mut lines = BufReader::new(File::open(path).expect("a file"));
    let (mut line, mut seen) = (String::new(), 0);
    while seen < total {
        if lines.read_line(&mut line).expect("text") == 0 || !line.ends_with('\n') {
            std::thread::sleep(Duration::from_millis(1));
            continue;
        }
        let message: Value = serde_json::from_str(&line).expect("JSON");
        arrivals.send((text(&message, "reference"), now())).expect("somebody counts them");
        line.clear();
        seen += 1;
    }
}

/// The provider `http`.
fn to_receiver() -> Vec<Duration> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let shop = Shop::open_now(|secret| {
        format!(
            "[messages]\nprovider = \"http\"\nhttp_url = \"{url}\"\nallow_http = true\n\
             allow_private = true\nhttp_secret_file = \"{}\"\n",
            secret.display()
        )
    });
    let due = plan(&shop);
    let (arrivals, arrived) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let arrivals = arrivals.clone();
            std::thread::spawn(move || receive(stream, &arrivals));
        }
    });
    late(&due, arrived)
}

/// Answers the requests of one connection, until it ends.
fn receive(stream: TcpStream, arrivals: &Sender<(String, Duration)>) {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut length, mut line) = (0, String::new());
        loop {
            line.clear();
            if stream.read_line(&mut line).unwrap_or_default() == 0 {
                return;
            }
            let lower = line.to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().expect("a number");
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).expect("a body");
        let event: Value = serde_json::from_slice(&body).expect("JSON");
        // Whoever counts may have seen enough.
        let _ = arrivals.send((text(&event["data"], "reference"), now()));
        std::thread::sleep(ANSWERED_AFTER);
        let answer = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n";
        if stream.get_mut().write_all(answer).is_err() {
            return;
        }
    }
}

/// Plans messages for seconds to come, and says of each reference when its message is due.
fn plan(shop: &Shop) -> BTreeMap<String, Duration> {
    let client = shop.client();
    let total = RATE * SECONDS;
    let orders: Vec<Value> = (0..total)
        .map(|number| {
            json!({"reference": format!("ORDER-{number}"), "address": "12 Harbour Street",
                   "recipients": [{"name": "Zoë", "phone": format!("+346{number:08}")}]})
        })
        .collect();
    client.post("/v1/deliveries/import", &json!({ "deliveries": orders }));
    let start = now().as_secs() + HEAD_START;
    let due = (0..total).map(|number| {
        let second = u64::try_from(number / RATE).expect("a small number");
        (format!("ORDER-{number}"), Duration::from_secs(start + second))
    });
    let due: BTreeMap<String, Duration> = due.collect();
    let plans: Vec<Value> = due
        .iter()
        .map(|(reference, at)| {
            let expected = Duration::from_secs(at.as_secs() + 5 * MINUTE);
            let expected = jiff::Timestamp::try_from(UNIX_EPOCH + expected).expect("a date");
            json!({"delivery": reference, "plan": {
                "mode": "online", "expected_at": expected.to_string(), "lead_minutes": 5,
                "variance_minutes": 30}})
        })
        .collect();
    for plans in plans.chunks(500) {
        let answer = client.post("/v1/deliveries/plan_many", &json!({ "plans": plans }));
        assert_eq!(answer["planned"], plans.len(), "{answer}");
    }
    assert!(now().as_secs() < start, "planning took too long: the first are late already");
    due
}

/// How late each message was; every one must come, and none early.
fn late(
    due: &BTreeMap<String, Duration>,
    arrived: impl IntoIterator<Item = (String, Duration)>,
) -> Vec<Duration> {
    let first: Vec<(String, Duration)> = arrived.into_iter().take(due.len()).collect();
    let different: BTreeMap<&str, ()> = first.iter().map(|(name, _)| (name.as_str(), ())).collect();
    assert_eq!(different.len(), due.len(), "a message came twice");
    first
        .iter()
        .map(|(reference, at)| {
            let due = due.get(reference).expect("a planned one");
            at.checked_sub(*due).expect("none is early")
        })
        .collect()
}

#[expect(clippy::disallowed_methods, reason = "messages are due by the real clock")]
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970")
}
