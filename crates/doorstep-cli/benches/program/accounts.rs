//! Logins per second: codes of authenticators, each verified, spent for ever and on the disk before it
//! is answered, by 32 clients at once; with a thousand authenticators and with a million.

use crate::shop::Shop;
use criterion::{Criterion, SamplingMode, Throughput};
use doorstep::otp::totp::Totp;
use doorstep::time::Timestamp;
use serde_json::{Value, json};
use std::cell::OnceCell;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Mutex;
use std::time::Duration;

/// Requests under way at once.
const CLIENTS: usize = 32;
/// Codes that are verified in one sample.
const LOGINS: usize = 10_000;
/// Rows of an import.
const ROWS: usize = 5000;
/// 2026-03-02T12:00:00Z, when the clock of the shop begins.
const NOON: u64 = 1_772_452_800;

pub(crate) fn run(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group(format!("{LOGINS} logins of {CLIENTS} clients"));
    group
        .throughput(Throughput::Elements(u64::try_from(LOGINS).expect("a small number")))
        .sampling_mode(SamplingMode::Flat)
        .warm_up_time(Duration::from_millis(1))
        .measurement_time(Duration::from_millis(1));
    for accounts in [1_000, 1_000_000] {
        let users = OnceCell::new();
        group.bench_function(format!("accounts {accounts}"), |b| {
            let users = users.get_or_init(|| Users::prepare(accounts));
            b.iter_custom(|samples| (0..samples).map(|_| users.log_in()).sum());
        });
        if let Some(users) = users.get() {
            users.tell();
        }
    }
    group.finish();
}

/// A server with many accounts, one authenticator each.
struct Users {
    shop: Shop,
    accounts: usize,
    state: Mutex<State>,
}

/// Where the last sample ended.
struct State {
    now: u64,
    /// The next account to log in.
    next: usize,
    latencies: Vec<Duration>,
}

impl Users {
    fn prepare(accounts: usize) -> Self {
        let shop = Shop::open();
        let client = shop.client();
        for first in (0..accounts).step_by(ROWS) {
            let rows: Vec<Value> = (first..accounts.min(first + ROWS)).map(row).collect();
            client.post("/v1/accounts/import", &json!({ "rows": rows }));
        }
        let state = State { now: NOON, next: 0, latencies: Vec::new() };
        Self { shop, accounts, state: Mutex::new(state) }
    }

    /// Logs in `LOGINS` times, in rounds in which nobody logs in twice, and says how long it took.
    #[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
    fn log_in(&self) -> Duration {
        let mut state = self.state.lock().expect("no sample failed");
        let mut took = Duration::ZERO;
        let mut connections: Vec<Connection> =
            (0..CLIENTS).map(|_| Connection::open(&self.shop)).collect();
        let round = self.accounts.min(LOGINS);
        for _ in 0..LOGINS / round {
            state.now += 30;
            self.shop.set_clock(state.now);
            let requests: Vec<String> = (0..round)
                .map(|n| {
                    // Far apart, as people come; a prime step visits everybody before anybody twice.
                    let user = (state.next + n * 7919) % self.accounts;
                    login(user, state.now)
                })
                .collect();
            state.next = (state.next + round * 7919) % self.accounts;
            let start = std::time::Instant::now();
            let latencies = std::thread::scope(|scope| {
                let share = round.div_ceil(CLIENTS);
                let threads: Vec<_> = connections
                    .iter_mut()
                    .zip(requests.chunks(share))
                    .map(|(connection, share)| scope.spawn(|| connection.log_in(share)))
                    .collect();
                threads.into_iter().flat_map(|thread| thread.join().expect("granted")).collect()
            });
            took += start.elapsed();
            let mut latencies: Vec<Duration> = latencies;
            state.latencies.append(&mut latencies);
        }
        took
    }

    /// Says how long single requests took.
    fn tell(&self) {
        let mut latencies = self.state.lock().expect("no sample failed").latencies.clone();
        latencies.sort_unstable();
        let at = |part: usize| latencies.get(latencies.len() * part / 1000).copied();
        eprintln!(
            "{} accounts: half within {:?}, 99 % within {:?}, 99.9 % within {:?}",
            self.accounts,
            at(500).unwrap_or_default(),
            at(990).unwrap_or_default(),
            at(999).unwrap_or_default()
        );
    }
}

fn secret(user: usize) -> String {
    format!("{user:040x}")
}

fn row(user: usize) -> Value {
    let authenticator = json!({"kind": "totp", "secret": secret(user), "encoding": "hex"});
    json!({"account": format!("user{user}@example.com"), "authenticator": authenticator})
}

/// The body of a request with the right code.
fn login(user: usize, now: u64) -> String {
    let secret = doorstep::otp::text::read_hex(&secret(user)).expect("hex");
    let totp = Totp::default();
    let code = totp.code_at(&totp.keyed(&secret), Timestamp::from_seconds(now)).expect("after T0");
    let code: String = code.expose().iter().map(|digit| char::from(*digit)).collect();
    format!("{{\"account\":\"user{user}@example.com\",\"code\":\"{code}\"}}")
}

/// A connection that is kept open, with as little work on this side as can be: client and server
/// share the cores.
struct Connection {
    stream: BufReader<TcpStream>,
    head: String,
}

impl Connection {
    fn open(shop: &Shop) -> Self {
        let address = shop.address();
        let stream = TcpStream::connect(address).expect("the server listens");
        stream.set_nodelay(true).expect("a socket");
        let key = shop.key();
        let head = format!(
            "POST /v1/accounts/verify HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\n\
             content-type: application/json\r\ncontent-length: "
        );
        Self { stream: BufReader::new(stream), head }
    }

    #[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
    fn log_in(&mut self, bodies: &[String]) -> Vec<Duration> {
        let mut latencies = Vec::with_capacity(bodies.len());
        for body in bodies {
            let start = std::time::Instant::now();
            let mut request = self.head.clone();
            write!(request, "{}\r\n\r\n{body}", body.len()).expect("a text");
            self.stream.get_mut().write_all(request.as_bytes()).expect("a connection");
            let answer = self.answer();
            assert!(answer.contains("\"granted\""), "{answer}");
            latencies.push(start.elapsed());
        }
        latencies
    }

    fn answer(&mut self) -> String {
        let (mut length, mut line) = (0, String::new());
        loop {
            line.clear();
            self.stream.read_line(&mut line).expect("a head");
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.trim().parse().expect("a number");
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).expect("a body");
        String::from_utf8(body).expect("text")
    }
}
