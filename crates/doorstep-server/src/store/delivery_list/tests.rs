//! Pages against a list that is filtered by hand, with bounds so small that they are met all the time.

use super::super::Store;
use super::super::deliveries::{NewDelivery, Recipient};
use super::*;
use crate::messages::Place as Language;
use crate::store::open_to_read;
use doorstep::id::DeviceId;
use rusqlite::OpenFlags;
use tempfile::TempDir;

const WORDS: [&str; 9] =
    ["quay", "quarter", "harbour", "harbourmaster", "zoë", "Zoe", "no", "north", "even"];
const STATES: [State; 3] = [State::Created, State::Planned, State::Failed];
const DEVICES: [&str; 4] = ["one", "two", "three", "none"];

/// Numbers as good as drawn, and the same each time.
struct Draw(u64);

impl Draw {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888);
        usize::try_from(self.0 >> 33).unwrap() % most
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

/// What a delivery is, beside what the database knows of it.
struct Known {
    reference: String,
    words: Vec<&'static str>,
    state: State,
    device: &'static str,
    expected_at: u64,
}

impl Known {
    fn has(&self, beginning: &str) -> bool {
        let plain = |word: &str| word.to_lowercase().replace('ë', "e");
        let whole = beginning.chars().count() < 3;
        self.words.iter().map(|word| plain(word)).any(|word| {
            if whole { word == plain(beginning) } else { word.starts_with(&plain(beginning)) }
        })
    }
}

/// Ana has two devices, Leo one, and Idle one with nothing.
fn filled(count: usize) -> (TempDir, Connection, Vec<Known>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("doorstep.db");
    Store::make(&path, |_| Ok(())).unwrap();
    let connection = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
    for (device, driver) in [("one", "Ana"), ("two", "Ana"), ("three", "Leo"), ("none", "Idle")] {
        connection
            .execute(
                "INSERT INTO devices (id, driver, state, managed, ticket_hash, ticket_expires_at, created_at)
                 VALUES (?1, ?2, 'invited', 0, randomblob(32), 0, 0)",
                [device, driver],
            )
            .unwrap();
    }
    let mut draw = Draw(7);
    let mut all = Vec::new();
    for number in 0..count {
        let known = Known {
            reference: format!("R{:04}", (number * 37) % count),
            words: (0..draw.below(5)).map(|_| draw.of(&WORDS)).collect(),
            state: draw.of(&STATES),
            device: draw.of(&DEVICES[..3]),
            expected_at: u64::try_from(draw.below(20)).unwrap(),
        };
        let (address, name) = known.words.split_at(known.words.len() / 2);
        let new = NewDelivery {
            id: DeliveryId::parse(&format!("dlv_{number}")).unwrap(),
            reference: known.reference.clone(),
            address: address.join(" "),
            note: None,
            place: Language::default(),
            recipients: vec![Recipient { name: name.join(" "), phone: String::new() }],
        };
        deliveries::insert(&connection, &new, Timestamp::from_seconds(0)).unwrap();
        let device = DeviceId::parse(known.device).unwrap();
        let expected_at = Timestamp::from_seconds(known.expected_at);
        let now = Timestamp::from_seconds(0);
        deliveries::plan(&connection, &new.id, (1, Some(&device)), expected_at, now).unwrap();
        deliveries::set_state(&connection, &new.id, known.state, now).unwrap();
        all.push(known);
    }
    drop(connection);
    let connection = open_to_read(&path).unwrap();
    (dir, connection, all)
}

/// The references of all pages; each page begins after the one before, and costs no more than it may.
fn listed(connection: &Connection, filter: &Filter, limit: usize, bounds: &Bounds) -> Vec<String> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let (page, next) = page_within(connection, filter, after.as_ref(), limit, bounds).unwrap();
        assert!(page.len() <= limit.min(bounds.rows), "{filter:?}");
        all.extend(page.into_iter().map(|delivery| delivery.reference));
        if next.is_none() {
            return all;
        }
        assert!(next != after && all.len() < 1000, "{filter:?} goes on for ever");
        after = next;
    }
}

fn by_hand(all: &[Known], filter: &Filter, words: &[&str]) -> Vec<String> {
    let drivers = |device| match device {
        "one" | "two" => "Ana",
        "three" => "Leo",
        _ => "Idle",
    };
    let mut fitting: Vec<(u64, usize, &Known)> = all
        .iter()
        .enumerate()
        .filter(|(_, known)| {
            words.iter().all(|word| known.has(word))
                && filter.state.is_none_or(|state| state == known.state)
                && filter.device.as_ref().is_none_or(|device| device == known.device)
                && filter.driver.as_ref().is_none_or(|driver| driver == drivers(known.device))
                && filter.expected_from.is_none_or(|from| known.expected_at >= from.seconds())
                && filter.expected_until.is_none_or(|until| known.expected_at < until.seconds())
                && filter.named.as_ref().is_none_or(|name| *name == known.reference)
                && filter.reference.as_ref().is_none_or(|reference| *reference == known.reference)
                && filter
                    .reference_prefix
                    .as_ref()
                    .is_none_or(|prefix| known.reference.starts_with(prefix))
        })
        .map(|(place, known)| (known.expected_at, place, known))
        .collect();
    match filter.order() {
        Order::Created => {}
        Order::Expected => fitting.sort_by_key(|(at, place, _)| (*at, *place)),
        Order::Reference => fitting.sort_by(|a, b| a.2.reference.cmp(&b.2.reference)),
    }
    fitting.into_iter().map(|(_, _, known)| known.reference.clone()).collect()
}

#[test]
fn pages_are_what_a_list_filtered_by_hand_is_without_gaps_or_doubles() {
    let (_dir, connection, all) = filled(400);
    let beginnings = [
        "quay", "qua", "quar", "har", "harbour", "harbourm", "zoe", "ZOË", "no", "nor", "even",
        "q", "nothing",
    ];
    let mut draw = Draw(11);
    let maybe = |draw: &mut Draw, one_in: usize| draw.below(one_in) == 0;
    let (mut found, mut some) = (0, 0);
    for _ in 0..1500 {
        let words: Vec<&str> = (0..draw.below(4)).map(|_| draw.of(&beginnings)).collect();
        let filter = Filter {
            state: maybe(&mut draw, 3).then(|| draw.of(&STATES)),
            device: maybe(&mut draw, 5).then(|| draw.of(&DEVICES).to_owned()),
            driver: maybe(&mut draw, 4).then(|| draw.of(&["Ana", "Leo", "Idle", "Bo"]).to_owned()),
            expected_from: maybe(&mut draw, 5).then(|| Timestamp::from_seconds(8)),
            expected_until: maybe(&mut draw, 5).then(|| Timestamp::from_seconds(12)),
            named: maybe(&mut draw, 9)
                .then(|| format!("{}{:04}", draw.of(&["R", "S"]), draw.below(400))),
            reference: maybe(&mut draw, 9).then(|| format!("R{:04}", draw.below(400))),
            reference_prefix: maybe(&mut draw, 6)
                .then(|| draw.of(&["R01", "R", "R039", "S"]).to_owned()),
            words: Question::new(&words.join(" "), None).unwrap(),
        };
        let bounds = Bounds { rows: 2 + draw.below(40), places: draw.below(400) };
        let expected = by_hand(&all, &filter, &words);
        let limit = 1 + draw.below(20);
        assert_eq!(listed(&connection, &filter, limit, &bounds), expected, "{filter:?}");
        found += expected.len();
        some += usize::from(!expected.is_empty());
    }
    assert!(some > 500 && found > 5000, "most questions have answers: {some}, {found}");
}

#[test]
fn a_page_of_frequent_words_that_never_meet_ends_soon_and_says_where() {
    let (_dir, connection, _) = filled(400);
    let filter =
        Filter { words: Question::new("no even nothing", None).unwrap(), ..Filter::default() };
    let all = page_within(&connection, &filter, None, 50, &BOUNDS).unwrap();
    assert_eq!((all.0.len(), all.1), (0, None), "a word that nothing has leads to the end at once");
    let filter = Filter { words: Question::new("zoe quay", None).unwrap(), ..Filter::default() };
    let (_, next) =
        page_within(&connection, &filter, None, 50, &Bounds { rows: 2000, places: 1 }).unwrap();
    assert!(matches!(next, Some(After::Created(seq)) if seq < 100), "{next:?}");
}

#[test]
fn accents_make_no_difference_however_they_are_written() {
    let (_dir, connection, all) = filled(400);
    let expected = by_hand(&all, &Filter::default(), &["zoe"]);
    assert!(!expected.is_empty());
    for typed in ["zoe", "zoë", "zoe\u{308}", "ZOE\u{308}"] {
        let filter = Filter { words: Question::new(typed, None).unwrap(), ..Filter::default() };
        assert_eq!(listed(&connection, &filter, 50, &BOUNDS), expected, "{typed:?}");
    }
}

/// Each is found by all of it and by its beginning, at a cost that is counted.
#[test]
fn words_of_all_scripts_are_found() {
    let (dir, connection, _) = filled(0);
    drop(connection);
    let path = dir.path().join("doorstep.db");
    let connection = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
    let names = [
        ("अनिल नमस्ते", "नमस्"),
        ("ana\u{903}s", "ana\u{903}"),
        ("สมชาย ใจดี", "สมช"),
        ("مُحَمَّد عبدالله", "عبد"),
        ("Nguyễn Thị Hồng", "nguye\u{302}\u{303}n hong"),
        ("Zoë \"Z\" 🎁", "zoe \"z\" 🎁"),
        ("Ünal\u{0}Öz", "unal\u{0}oz"),
    ];
    for (number, (name, _)) in names.iter().enumerate() {
        let new = NewDelivery {
            id: DeliveryId::parse(&format!("dlv_{number}")).unwrap(),
            reference: format!("R{number}"),
            address: "Quay 1".to_owned(),
            note: None,
            place: Language::default(),
            recipients: vec![Recipient { name: (*name).to_owned(), phone: String::new() }],
        };
        deliveries::insert(&connection, &new, Timestamp::from_seconds(0)).unwrap();
    }
    for (number, (name, beginning)) in names.iter().enumerate() {
        for typed in [name, beginning] {
            let words = Question::new(typed, None).unwrap();
            assert!(words.is_some(), "{typed}");
            let filter = Filter { words, ..Filter::default() };
            let bounds = Bounds { rows: 2, places: 1 };
            assert_eq!(
                listed(&connection, &filter, 50, &bounds),
                [format!("R{number}")],
                "{typed:?}"
            );
        }
    }
}

#[test]
fn a_driver_without_devices_has_one_empty_page_whatever_else_is_asked() {
    let (_dir, connection, _) = filled(400);
    let bounds = Bounds { rows: 2, places: 1 };
    let nobody = || Filter { driver: Some("Bo".to_owned()), ..Filter::default() };
    for filter in [
        nobody(),
        Filter { driver: Some("Leo".to_owned()), device: Some("one".to_owned()), ..nobody() },
        Filter { expected_from: Some(Timestamp::from_seconds(0)), ..nobody() },
        Filter { reference_prefix: Some("R".to_owned()), ..nobody() },
        Filter { words: Question::new("no", None).unwrap(), ..nobody() },
    ] {
        let (page, next) = page_within(&connection, &filter, None, 50, &bounds).unwrap();
        assert!(page.is_empty() && next.is_none(), "{filter:?}: {next:?}");
    }
}
