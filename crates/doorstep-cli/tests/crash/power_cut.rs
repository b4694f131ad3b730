//! The power of the machine goes, at any moment: only what was synced is surely there, and of the rest some
//! sectors, in any order.

use crate::disk::{Disk, Event, Unsynced, read};
use crate::kills::{draw, expected_at};
use crate::line::{Down, Line};
use crate::load::{Facts, Login, SECRET, codes, hotp, log_in, present};
use crate::phone::Phone;
use crate::support::Shop;
use crate::wreck::Wreck;
use serde_json::json;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

/// Rounds of work that are recorded.
const ROUNDS: usize = 10;
/// Moments at which the power goes.
const CUTS: usize = 40;
/// Calls that change files, make that durable, or answer.
const CALLS: &str = "trace=pwrite64,write,writev,sendto,sendmsg,ftruncate,fsync,fdatasync";

/// What was recorded: what was on the disk before, what the server did, and what it had said after so many
/// answers.
struct Story {
    shop: Shop,
    before: Disk,
    events: Vec<Event>,
    said: Vec<(usize, Facts)>,
}

fn record() -> Story {
    let mut shop = Shop::open();
    let key = std::fs::read_to_string(shop.path("api.key")).unwrap().trim().to_owned();
    let mut phone = Phone::enrol(&Line::new(shop.url(), &key), 1).unwrap();
    shop.stop();
    let before = Disk::of(&shop.path("data"));
    let mut command = Command::new("strace");
    command
        .args(["-f", "-qq", "-y", "-xx", "-s", "1000000", "-e", CALLS, "-o", "calls"])
        .arg(env!("CARGO_BIN_EXE_doorstep"))
        .args(["--json", "serve", "--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    shop.surround(&mut command);
    command.stdin(Stdio::null());
    let mut server = command.spawn().expect("strace is needed: apt-get install strace");
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let listening: serde_json::Value = serde_json::from_str(&line).unwrap();
    let url = listening["listening"].as_str().unwrap();
    let said = work(&Line::new(url, &key), &mut phone, &shop.path("data/messages.jsonl")).unwrap();
    let record = std::fs::read_to_string(shop.path("calls")).unwrap();
    let process = record.split(' ').next().unwrap().parse().unwrap();
    let process = rustix::process::Pid::from_raw(process).unwrap();
    rustix::process::kill_process(process, rustix::process::Signal::KILL).unwrap();
    server.wait().unwrap();
    let events = read(&std::fs::read_to_string(shop.path("calls")).unwrap());
    Story { shop, before, events, said }
}

/// One request after the other, so that the answers in the record are those that were heard, in order.
fn work(line: &Line, phone: &mut Phone, messages: &Path) -> Result<Vec<(usize, Facts)>, Down> {
    let mut facts = Facts::default();
    let mut said = Vec::new();
    let made = line.post("/v1/accounts", &json!({ "name": "ana" }))?;
    let path = format!("/v1/accounts/{}/authenticators", made["id"].as_str().unwrap());
    let fob = json!({ "kind": "hotp", "secret": SECRET, "encoding": "hex", "active": true, "counter": 0 });
    line.post(&path, &fob)?;
    for round in 0..ROUNDS {
        let ids = line.import((0..3).map(|n| format!("P{round}-{n}")))?;
        facts.taken.extend(ids.iter().cloned());
        said.push((line.answers(), facts.clone()));
        for (n, id) in ids.iter().enumerate() {
            let plan = if n == 0 {
                json!({ "expected_at": expected_at(5), "mode": "online" })
            } else {
                json!({ "expected_at": expected_at(30), "device": phone.id() })
            };
            let planned = line.post(&format!("/v1/deliveries/{id}/plan"), &plan)?;
            facts.planned.insert(id.clone(), planned["generation"].as_u64().unwrap());
            said.push((line.answers(), facts.clone()));
        }
        phone.sync(line)?;
        let mut sent = codes(messages);
        while !ids.iter().all(|id| sent.contains_key(id)) {
            line.get("/healthz")?;
            sent = codes(messages);
        }
        phone.deliver(&sent);
        phone.sync(line)?;
        facts.acknowledged.insert(phone.id().to_owned(), phone.received());
        said.push((line.answers(), facts.clone()));
        let online = &ids[0];
        assert!(present(line, online, &sent[online])?);
        facts.granted.insert(online.clone(), 1);
        said.push((line.answers(), facts.clone()));
        let counter = u64::try_from(round).unwrap();
        assert!(log_in(line, "ana", &hotp(counter))?);
        facts.logins = vec![Login { account: "ana".to_owned(), counter }];
        said.push((line.answers(), facts.clone()));
    }
    assert_eq!(phone.received(), u64::try_from(2 * ROUNDS).unwrap());
    Ok(said)
}

impl Story {
    /// Plays the story on a disk and cuts the power now and then; the first thing that was said and is not so.
    fn cut(&self, mut disk: Disk) -> Result<usize, String> {
        let data = self.shop.path("data");
        let (mut answers, mut cuts) = (0, 0);
        let every = self.events.len() / CUTS;
        for (number, event) in self.events.iter().enumerate() {
            disk.take(event);
            answers += usize::from(matches!(event, Event::Answered));
            // As soon as an answer is out, and at other moments.
            let dice = usize::try_from(draw(number) % 1_000_000).unwrap();
            if !dice.is_multiple_of(every) {
                continue;
            }
            cuts += 1;
            let said = self.said.iter().rfind(|(after, _)| *after <= answers);
            let nothing = Facts::default();
            let facts = said.map_or(&nothing, |(_, facts)| facts);
            let provider = disk.written(&data.join("messages.jsonl"));
            // Whole lines: the rest is not with the provider yet.
            let provider = String::from_utf8(provider).unwrap();
            let torn = [Unsynced::Torn(draw(number)), Unsynced::Torn(draw(number + 1))];
            for unsynced in [Unsynced::Lost, Unsynced::Kept].into_iter().chain(torn) {
                let left = tempfile::tempdir().unwrap();
                disk.cut(unsynced, left.path());
                let wreck = Wreck::open(left.path());
                wreck.check(facts).and_then(|()| wreck.check_messages(&provider)).map_err(
                    |what| {
                        format!("after call {number} and {answers} answers, {unsynced:?}: {what}")
                    },
                )?;
            }
        }
        Ok(cuts)
    }
}

#[test]
fn after_a_power_cut_everything_that_was_said_is_so() {
    let story = record();
    let answers = story.events.iter().filter(|event| matches!(event, Event::Answered)).count();
    let synced = story.events.iter().filter(|event| matches!(event, Event::Synced { .. })).count();
    let last = story.said.last().unwrap().0;
    assert_eq!(answers, last, "each answer is in the record");
    let cuts = story.cut(story.before.clone()).unwrap();
    println!(
        "{} calls, {synced} of them syncs, {answers} answers; {cuts} moments, each cut in 4 ways",
        story.events.len()
    );
    assert!(cuts > CUTS / 2);
    // The same story on a disk that syncs nothing: this test would see it.
    let lost = story.cut(story.before.dishonest()).unwrap_err();
    println!("and without syncs: {lost}");
}
