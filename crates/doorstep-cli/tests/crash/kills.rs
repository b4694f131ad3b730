//! A server that is killed at random, again and again, on one directory, under everything at once.
//!
//! KILLS says how often; `scripts/kill` asks for 200.

use crate::line::Line;
use crate::load::{Facts, Load, Login, codes, hotp, log_in, present};
use crate::phone::Phone;
use crate::support::{Shop, wait};
use crate::wreck::Wreck;
use std::path::Path;
use std::sync::{Condvar, Mutex};

const KILLS: usize = 12;
const PHONES: u64 = 2;

/// 12:00 and so many minutes.
pub(crate) fn expected_at(minutes: usize) -> String {
    format!(
        "2026-03-{:02}T{:02}:{:02}:00Z",
        2 + (720 + minutes) / 1440,
        (720 + minutes) / 60 % 24,
        minutes % 60
    )
}

/// A number that looks random and comes again with every run of this test.
pub(crate) fn draw(n: usize) -> u64 {
    let mut x = u64::try_from(n).unwrap().wrapping_mul(0x9E37_79B9_7F4A_7C15);
    x ^= x >> 32;
    x = x.wrapping_mul(0xD6E8_FEB8_6659_FD93);
    x ^ (x >> 32)
}

#[test]
fn killed_at_random_under_load_a_server_keeps_what_it_said() {
    let kills = std::env::var("KILLS").map_or(KILLS, |text| text.parse().unwrap());
    let mut shop = Shop::open();
    let key = std::fs::read_to_string(shop.path("api.key")).unwrap().trim().to_owned();
    let line = Line::new(shop.url(), &key);
    let mut phones: Vec<Phone> =
        (1..=PHONES).map(|number| Phone::enrol(&line, number).unwrap()).collect();
    let (facts, heard) = (Mutex::new(Facts::default()), Condvar::new());
    let (data, messages) = (shop.path("data"), shop.path("data/messages.jsonl"));
    for run in 0..kills {
        let (at_door, online) = (expected_at(run + 30), expected_at(run + 5));
        let url = shop.url().to_owned();
        let load = Load {
            url: &url,
            key: &key,
            messages: &messages,
            run,
            expected_at: (&at_door, &online),
            facts: &facts,
            heard: &heard,
        };
        // It dies while it says the last of so many things of one kind, and is busy with all the others:
        // after a time instead, a slow machine would have said nothing.
        let kind = run % 4;
        let enough = facts.lock().unwrap().counts()[kind] + 1 + draw(run) % 12;
        load.until(&mut phones, |facts| facts.counts()[kind] >= enough, || shop.stop());
        let said = facts.lock().unwrap();
        let wreck = Wreck::open(&data);
        wreck.check(&said).unwrap();
        wreck.check_messages(&wreck.provider()).unwrap();
        drop(said);
        shop.advance("1m");
        shop.start();
        again(&shop, &key, &facts, &messages);
    }
    let line = Line::new(shop.url(), &key);
    for phone in &mut phones {
        phone.sync(&line).unwrap();
        assert_eq!(phone.received(), phone.claims());
    }
    let made: u64 = phones.iter().map(Phone::claims).sum();
    wait("all outcomes to be judged", || {
        Wreck::open(&data).count("SELECT count(*) FROM claims WHERE verdict IS NULL", &[]) == 0
    });
    wait("all messages that are due to be sent", || Wreck::open(&data).due() == 0);
    shop.stop();
    let wreck = Wreck::open(&data);
    wreck.check_ends().unwrap();
    wreck.check_messages(&wreck.provider()).unwrap();
    wreck.check(&facts.lock().unwrap()).unwrap();
    wreck.scan();
    let facts = facts.into_inner().unwrap();
    let judged =
        wreck.count("SELECT count(*) FROM claims WHERE verdict IN ('match', 'superseded')", &[]);
    assert_eq!(judged, made, "each outcome is there once, and was right");
    let twice = wreck.count("SELECT count(*) FROM messages WHERE tries > 1", &[]);
    println!(
        "{kills} kills: {} deliveries, {} plans, {} outcomes, {} online grants, {} logins; {twice} messages tried twice",
        facts.taken.len(),
        facts.planned.len(),
        made,
        facts.granted.values().sum::<u32>(),
        facts.logins.len(),
    );
    assert!(facts.counts().iter().all(|count| *count > 0));
}

/// What was accepted before the server died is refused by the one that follows it.
fn again(shop: &Shop, key: &str, facts: &Mutex<Facts>, messages: &Path) {
    let line = Line::new(shop.url(), key);
    let codes = codes(messages);
    let mut facts = facts.lock().unwrap();
    for Login { account, counter } in facts.logins.iter().rev().take(3) {
        assert!(!log_in(&line, account, &hotp(*counter)).unwrap(), "{account} was let in again");
    }
    let granted: Vec<String> =
        facts.granted.iter().filter(|(_, n)| **n > 0).map(|(id, _)| id.clone()).collect();
    for id in granted.iter().rev().take(20) {
        assert!(!present(&line, id, &codes[id]).unwrap(), "{id} was granted again");
    }
    // Whether the last ones were used is not known; by now they are, or get their one yes.
    let open: Vec<String> =
        facts.granted.iter().filter(|(_, n)| **n == 0).map(|(id, _)| id.clone()).collect();
    for id in open.iter().take(20) {
        let Some(code) = codes.get(id) else { continue };
        let times = (0..2).filter(|_| present(&line, id, code).unwrap()).count();
        *facts.granted.get_mut(id).unwrap() += u32::try_from(times).unwrap();
    }
}
