//! How soon lists and searches are answered with a million deliveries, the worst questions included:
//! words that are everywhere, pairs that are never together, filters that fit nothing.
//!
//! Filling a shop with a million takes minutes. With `BENCH_LISTS_IN` set to a directory it is
//! filled once, there, and used again.

use crate::figures::{Stopwatch, tell};
use crate::shop::{Client, Shop, text};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use criterion::{Criterion, SamplingMode};
use rusqlite::{Connection, params};
use serde_json::json;
use std::cell::OnceCell;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;

const DELIVERIES: usize = 1_000_000;
/// Deliveries in a transaction, as of an import.
const ROWS: usize = 10_000;
const DRIVERS: usize = 200;

/// Names of questions, and the questions. `DEEP` stands for the cursor after 900,000 deliveries.
const QUESTIONS: &[(&str, &str)] = &[
    ("all", ""),
    ("all, deep", "cursor=DEEP"),
    ("all, 200 on a page", "limit=200"),
    ("a state of many", "state=delivered"),
    ("a state of many, deep", "state=delivered&cursor=DEEP"),
    ("a state of one", "state=disputed"),
    ("a driver", "driver=Driver%207"),
    ("a driver, deep", "driver=Driver%207&cursor=DEEP"),
    ("a driver of two devices", "driver=Twice"),
    ("a driver of two devices with nothing", "driver=Idle"),
    ("a driver and a state of one", "driver=Driver%207&state=disputed"),
    ("a driver and a state of none", "driver=Driver%207&state=cancelled"),
    ("a day", "expected_from=2026-03-20T00:00:00Z&expected_until=2026-03-21T00:00:00Z"),
    ("a day and a state of none", "expected_from=2026-03-20T00:00:00Z&state=cancelled"),
    ("a day and a driver", "expected_from=2026-03-20T00:00:00Z&driver=Driver%207"),
    ("a reference", "reference=ORDER20260302N0777777"),
    ("a reference's beginning, of all", "reference_prefix=ORDER"),
    ("a reference's beginning, of ten", "reference_prefix=ORDER20260302N077777"),
    ("a reference's beginning and a state of none", "reference_prefix=ORDER&state=cancelled"),
    ("a word in all", "q=barcelona"),
    ("a word in all, deep", "q=barcelona&cursor=DEEP"),
    ("a word in all, 200 on a page", "q=barcelona&limit=200"),
    ("the first 3 letters of it", "q=bar"),
    ("the first 4", "q=barc"),
    ("the first 6", "q=barcel"),
    ("the first 8, deep", "q=barcelon&cursor=DEEP"),
    ("10 letters in all", "q=provenza12"),
    ("13 letters of every reference", "q=order20260302"),
    ("15 letters of a tenth of them", "q=order20260302n0"),
    ("19 letters of ten", "q=order20260302n07777"),
    ("a name of some", "q=karo"),
    ("a name and a surname", "q=karo+tenlaver"),
    ("a word of one", "q=unicornio"),
    ("a word of none", "q=zzzzzz"),
    ("a number", "q=%2B34+600+777+777"),
    ("a number's beginning, of all", "q=34600"),
    ("a word in all, one of one", "q=barcelona+unicornio"),
    ("the beginning of one in all, one of one", "q=barc+unicornio"),
    ("a word in all, a state of none", "q=barcelona&state=cancelled"),
    ("a word in all, a state of one", "q=barcelona&state=disputed"),
    ("a word in all, a driver", "q=barcelona&driver=Driver%207"),
    ("two words, each in half, never together", "q=even+oddly"),
    ("two of half, together once, at the end", "q=even+last"),
    ("three words in all", "q=barcelona+street+order"),
    ("eight words in all", "q=bar+barc+barce+barcel+barcelo+barcelon+street+order"),
    ("a word in all, twice, deep", "q=barcelona+street&cursor=DEEP"),
    ("a word of none and one in all", "q=barcelona+zzzzzz"),
];

pub(crate) fn run(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group(format!("lists of {DELIVERIES} deliveries"));
    group
        .sampling_mode(SamplingMode::Flat)
        .warm_up_time(Duration::from_millis(1))
        .measurement_time(Duration::from_millis(500));
    let shop = OnceCell::new();
    let mut all = Vec::new();
    for (name, question) in QUESTIONS {
        let mut times = Vec::new();
        let mut length = 0;
        group.bench_function(*name, |b| {
            let shop = shop.get_or_init(filled);
            let client = shop.client();
            let deep = URL_SAFE_NO_PAD.encode(900_000_i64.to_be_bytes());
            let path = format!("/v1/deliveries?{}", question.replace("DEEP", &deep));
            // The connection is open before the clock starts.
            length = listed(&client, &path);
            b.iter_custom(|count| {
                let mut sum = Duration::ZERO;
                for _ in 0..count {
                    let mut watch = Stopwatch::start();
                    listed(&client, &path);
                    let time = watch.lap();
                    times.push(time);
                    sum += time;
                }
                sum
            });
        });
        if !times.is_empty() {
            tell(&format!("{name}, {length} on the page"), times.clone());
            all.append(&mut times);
        }
    }
    if !all.is_empty() {
        tell("all of these", all);
    }
    group.finish();
}

/// How many are on a page.
fn listed(client: &Client, path: &str) -> usize {
    client.get(path)["data"].as_array().expect("a list").len()
}

/// The server of a shop with a million deliveries.
fn filled() -> Shop {
    let Some(kept) = std::env::var_os("BENCH_LISTS_IN").map(PathBuf::from) else {
        return Shop::start_again(fill());
    };
    if !kept.join("data").exists() {
        crate::shop::copy(fill().path(), &kept);
    }
    Shop::reopen(&kept)
}

/// A shop with devices whose database is then filled as the server fills it, without a request for each
/// delivery: to import and plan a million takes half an hour.
fn fill() -> TempDir {
    let shop = Shop::open();
    let client = shop.client();
    let mut devices = Vec::new();
    let drivers = (0..DRIVERS).map(|number| format!("Driver {number}"));
    for driver in drivers.chain(["Twice", "Twice", "Idle", "Idle"].map(str::to_owned)) {
        let device = client.post("/v1/devices", &json!({ "driver": driver }));
        devices.push(text(&device, "id"));
    }
    let dir = shop.close();
    let mut connection = Connection::open(dir.path().join("data/doorstep.db")).expect("a database");
    connection.execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -200000").expect("SQL");
    for first in (0..DELIVERIES).step_by(ROWS) {
        insert(&mut connection, first..first + ROWS, &devices).expect("SQL");
    }
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").expect("SQL");
    dir
}

fn insert(
    connection: &mut Connection,
    numbers: Range<usize>,
    devices: &[String],
) -> Result<(), rusqlite::Error> {
    let transaction = connection.transaction()?;
    for number in numbers {
        let seq = i64::try_from(number + 1).expect("a small number");
        let order = Order::number(number);
        let id = format!("dlv_{number:026}");
        transaction
            .prepare_cached(
                // 40,000 a day from 1 March on, three quarters of them behind us.
                "INSERT INTO deliveries (seq, id, reference, address, generation, device, state,
                                         expected_at, created_at, updated_at)
                 VALUES (?1, ?2, ?3, ?4, 1, ?5,
                         CASE WHEN ?1 = 777000 THEN 'disputed' WHEN ?1 % 50 = 1 THEN 'failed'
                              WHEN ?1 < 750000 THEN 'delivered' WHEN ?1 % 3 = 0 THEN 'notified'
                              ELSE 'planned' END,
                         1772323200 + (?1 / 40000) * 86400 + (?1 * 7919) % 86400, 1772323200,
                         1772323200)",
            )?
            .execute(params![
                seq,
                id,
                order.reference,
                order.address,
                device(number + 1, devices)
            ])?;
        transaction
            .prepare_cached("INSERT INTO recipients VALUES (?1, 0, ?2, ?3)")?
            .execute(params![id, order.name, order.phone])?;
        transaction
            .prepare_cached(
                "INSERT INTO delivery_words (rowid, text)
                 SELECT seq, text FROM delivery_texts WHERE id = ?1",
            )?
            .execute([id])?;
    }
    transaction.commit()
}

/// One of a thousand is for the two devices of one driver, the others are for all drivers alike.
fn device(seq: usize, devices: &[String]) -> &str {
    let place = if seq % 1000 == 5 { DRIVERS + seq / 1000 % 2 } else { seq % DRIVERS };
    devices.get(place).expect("a device")
}

struct Order {
    reference: String,
    address: String,
    name: String,
    phone: String,
}

impl Order {
    /// With words that are in all, in half and in one of them; names and streets as they come.
    fn number(number: usize) -> Self {
        // Multiples of an odd number: as good as drawn, and the same each time.
        let mixed = number.wrapping_mul(2_654_435_761) >> 7;
        let (first, last) = (word(mixed, 2), word(mixed / 225, 3));
        let half = if number.is_multiple_of(2) { "even" } else { "oddly" };
        let only = match number {
            777_777 => " unicornio",
            999_998 => " last",
            number if number % 2 == 1 => " last",
            _ => "",
        };
        let (house, street) = (mixed % 190, word(mixed / 31, 3));
        Self {
            reference: format!("ORDER20260302N{number:07}"),
            address: format!("{house} {street} street, provenza123, barcelona {half}{only}"),
            name: format!("{first} {last}"),
            phone: format!("+34600{number:06}"),
        }
    }
}

fn word(mut seed: usize, length: usize) -> String {
    const SYLLABLES: [&str; 15] = [
        "ka", "ro", "mi", "ten", "la", "ver", "so", "ni", "da", "pu", "el", "gra", "bor", "fin",
        "va",
    ];
    let mut word = String::new();
    for _ in 0..length {
        word.push_str(SYLLABLES.get(seed % SYLLABLES.len()).expect("a syllable"));
        seed /= SYLLABLES.len();
    }
    word
}
