//! The deliveries' story, a day of a shop and two drivers: what is planned, what happens at the doors, and what the server makes of it.

use super::next_day;
use super::report::Report;
use super::stage::Role;
use super::world::{LINK, World};
use crate::device::journal::Journal;
use crate::error::CliError;
use crate::text::rfc3339;
use doorstep::code::Code;
use doorstep::handover::check::Check;
use doorstep::handover::tag::Tag;
use doorstep::id::DeliveryId;
use serde_json::Value;

const CSV: &str = include_str!("../../../../examples/deliveries.csv");

const BY_HAND: &str = r#"  doorstep init --test
  doorstep key create --name me --out doorstep.key
  doorstep serve &
  doorstep delivery add --reference A-1 --recipient Zoe --phone "+44 20 7946 0000" --address "1 High St"
  doorstep driver invite Ana > ana.ticket; doorstep driver enrol --ticket ana.ticket --dir ana
  doorstep delivery plan A-1 --driver Ana --at +30m; doorstep driver sync --dir ana; sleep 1
  kill %1; cat doorstep-data/messages.jsonl   # what the customer was sent
  doorstep driver handover 1 "the code in it" --dir ana   # twice, if you like
  doorstep serve & sleep 1; doorstep driver sync --dir ana; sleep 1; doorstep delivery show A-1
"#;

/// A stop of the story, with what its customers were sent.
pub(super) struct Stop {
    pub(super) id: String,
    pub(super) reference: String,
    pub(super) name: String,
}

/// What a customer reads in the message.
pub(super) struct Sms {
    pub(super) code: String,
    link: String,
}

pub(super) fn tell(world: &mut World, report: &mut Report) -> Result<(), CliError> {
    let stops = prepare(world, report)?;
    let messages = send(world, report, &stops)?;
    online(world, report, &stops)?;
    world.stop(Role::Server)?;
    report.chapter("The server is stopped. At the doors there is no network");
    let reply = world.run(&["driver", "sync", "--dir", "ana"])?;
    report.expect("Ana's device cannot sync", &reply, "unreachable");
    at_anas_doors(world, report, &stops, &messages)?;
    at_bojans_doors(world, report, &stops, &messages)?;
    home(world, report, &stops)?;
    next_day::tell(world, report, &stops)?;
    report.by_hand(BY_HAND);
    Ok(())
}

/// Monday noon: an issuer, a server, deliveries from the shop's file, two drivers, four stops.
fn prepare(world: &mut World, report: &mut Report) -> Result<Vec<Stop>, CliError> {
    report.chapter("Monday 12:00. A shop starts its server and reads its deliveries");
    world.must(&["init", "--test", "--at", World::dawn(), "--seed", "1000"])?;
    world.must(&["key", "create", "--name", "dispatcher", "--out", "api.key"])?;
    world.start_server()?;
    let csv = world.path("deliveries.csv");
    std::fs::write(&csv, CSV).map_err(|error| CliError::io("write", &csv, &error))?;
    let reply = world.must(&["delivery", "import", "deliveries.csv"])?;
    let list = world.must(&["delivery", "list", "--limit", "7"])?;
    report.expect("70 deliveries are taken in, or none", &reply, "done");
    let stops: Vec<Stop> = list.json["data"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|delivery| Stop {
            id: text(&delivery["id"]),
            reference: text(&delivery["reference"]),
            name: text(&delivery["recipients"][0]["name"]),
        })
        .collect();
    if stops.len() < 7 {
        return Err(CliError::new("the shipped deliveries are not in the list"));
    }
    for (name, dir, seed) in [("Ana", "ana", "2001"), ("Bojan", "bojan", "2002")] {
        let invited = world.must(&["driver", "invite", name])?;
        let file = format!("{dir}.ticket");
        let path = world.path(&file);
        std::fs::write(&path, invited.text("ticket"))
            .map_err(|error| CliError::io("write", &path, &error))?;
        let reply =
            world.run(&["driver", "enrol", "--ticket", &file, "--dir", dir, "--seed", seed])?;
        report.expect(
            &format!("{name}'s device is enrolled with a one-time ticket"),
            &reply,
            "done",
        );
    }
    report.chapter("Ana gets four stops, Bojan one, and one more is to be checked online");
    for (index, driver, time, variance) in [
        (0, "Ana", "14:00", "1h"),
        (1, "Ana", "14:30", "1h"),
        (2, "Ana", "13:00", "15m"),
        (3, "Ana", "15:00", "1h"),
        (4, "Bojan", "15:30", "1h"),
    ] {
        let stop = at(&stops, index)?;
        let plan = ["delivery", "plan", &stop.reference, "--driver", driver, "--at", time];
        let reply = world.run(&[&plan[..], &["--variance", variance]].concat())?;
        report.expect(&format!("{} is planned for {time}", stop.name), &reply, "done");
    }
    let stop = at(&stops, 5)?;
    let reply = world.run(&["delivery", "plan", &stop.reference, "--online", "--at", "14:40"])?;
    report.expect(&format!("{} is planned in online mode", stop.name), &reply, "done");
    for dir in ["ana", "bojan"] {
        let reply = world.must(&["driver", "sync", "--dir", dir])?;
        let stops = reply.json["stops"].to_string();
        let expected = if dir == "ana" { "4" } else { "1" };
        report.step(
            &format!("stops handed out to {dir}'s device"),
            &reply.command,
            expected,
            &stops,
        );
    }
    Ok(stops)
}

/// The afternoon, online: messages at their times, a spare code, a new driver.
fn send(world: &World, report: &mut Report, stops: &[Stop]) -> Result<Vec<Sms>, CliError> {
    report.chapter("Messages go out 30 minutes before each stop, and each code is then forgotten");
    let mut messages = Vec::new();
    let sent = world.messages().len();
    report.step("messages sent at 12:00", "", "0", &sent.to_string());
    for (span, index) in [("30m", 2), ("1h", 0), ("30m", 1), ("30m", 3)] {
        let now = world.advance(span)?;
        let stop = at(stops, index)?;
        let message = world.message(&stop.id, 1, 0)?;
        let time = rfc3339(now);
        report.note(&format!(
            "{} \"{}\"",
            time.get(11..16).unwrap_or_default(),
            without_link(&message)
        ));
        messages.push((index, message));
    }
    messages.sort_by_key(|(index, _)| *index);
    let mut messages =
        messages.into_iter().map(|(_, message)| read(&message)).collect::<Result<Vec<_>, _>>()?;

    let stop = at(stops, 4)?;
    let reply = world.run(&["delivery", "send-now", &stop.reference])?;
    report.expect(&format!("{}'s code is sent at once, on demand", stop.name), &reply, "done");
    messages.push(read(&world.message(&stop.id, 1, 0)?)?);

    let stop = at(stops, 1)?;
    let spare = ["delivery", "send-now", &stop.reference, "--spare", "--phone", "+44 20 7946 0999"];
    let reply = world.run(&spare)?;
    let slot = reply.json["messages"].as_array().into_iter().flatten();
    let slot = slot
        .filter(|message| message["state"] != "waiting")
        .filter_map(|message| message["slot"].as_u64())
        .max();
    report.expect(
        &format!("{}'s spare code is released to a neighbour", stop.name),
        &reply,
        "done",
    );
    messages.push(read(&world.message(&stop.id, 1, slot.unwrap_or_default())?)?);
    report.expect("and only once", &world.run(&spare)?, "already_sent");

    report.chapter("14:30. Ana is in a dead zone; one of her stops is given to Bojan");
    let stop = at(stops, 3)?;
    let reply =
        world.run(&["delivery", "plan", &stop.reference, "--driver", "Bojan", "--at", "15:00"])?;
    report.expect(&format!("{} has a new driver, so a new code", stop.name), &reply, "done");
    world.must(&["driver", "sync", "--dir", "bojan"])?;
    let message = world.message(&stop.id, 2, 0)?;
    report.note(&format!("14:30 \"{}\"", without_link(&message)));
    messages.push(read(&message)?);
    Ok(messages)
}

/// One delivery is checked by the server itself, which takes nothing that was made for offline use.
fn online(world: &World, report: &mut Report, stops: &[Stop]) -> Result<(), CliError> {
    report.chapter("A code that the server checks itself, for 15 minutes");
    let (stop, offline) = (at(stops, 5)?, at(stops, 0)?);
    world.must(&["delivery", "send-now", &stop.reference])?;
    let code = read(&world.message(&stop.id, 1, 0)?)?.code;
    let offline_code = read(&world.message(&offline.id, 1, 0)?)?.code;
    let reply = world.run(&["delivery", "verify", &offline.reference, &offline_code])?;
    report.expect("the right code of an offline delivery", &reply, "issued_for_offline_use");
    let reply = world.run(&["delivery", "verify", &stop.reference, &other(&code)])?;
    report.expect("a wrong code", &reply, "wrong_code");
    let reply = world.run(&["delivery", "verify", &stop.reference, &code])?;
    report.expect(&format!("{}'s code", stop.name), &reply, "granted");
    let reply = world.run(&["delivery", "verify", &stop.reference, &code])?;
    report.expect("the same code again", &reply, "already_used");
    Ok(())
}

fn at_anas_doors(
    world: &World,
    report: &mut Report,
    stops: &[Stop],
    messages: &[Sms],
) -> Result<(), CliError> {
    let check = |stop: &Stop, code: &str| {
        world.run(&["driver", "handover", &stop.id, code, "--dir", "ana"])
    };
    let stop = at(stops, 0)?;
    report.chapter(&format!("Ana at {}'s door", stop.name));
    let code = &at(messages, 0)?.code;
    let search = |stop: &Stop, avoid: &[&str]| search(world, "ana", stop, false, avoid);
    report.expect("a wrong code", &check(stop, &search(stop, &[])?)?, "wrong_code");
    report.expect("the code of another stop", &check(stop, &at(messages, 1)?.code)?, "wrong_code");
    report.expect("half a code", &check(stop, "48 29")?, "mistyped");
    report.expect("the right code", &check(stop, code)?, "granted");
    report.expect("the same code again", &check(stop, code)?, "already_used");

    let stop = at(stops, 2)?;
    report.chapter(&format!("Ana at {}'s door, an hour too late", stop.name));
    report.expect("the right code", &check(stop, &at(messages, 2)?.code)?, "expired");

    let stop = at(stops, 1)?;
    report.chapter(&format!("Ana at {}'s door: somebody guesses", stop.name));
    let (own, spare) = (at(messages, 1)?, at(messages, 5)?);
    let mut tried: Vec<String> = Vec::new();
    for _ in 0..5 {
        let avoid: Vec<&str> = tried.iter().map(String::as_str).collect();
        let guess = search(stop, &avoid)?;
        report.expect("a wrong code", &check(stop, &guess)?, "wrong_code");
        tried.push(guess);
    }
    report.expect(
        "the right code, now too late to be typed",
        &check(stop, &own.code)?,
        "throttled",
    );
    report.expect(
        "the neighbour's spare code, typed: the budget is shared",
        &check(stop, &spare.code)?,
        "throttled",
    );
    let reply = world.run(&["driver", "scan", &spare.link, "--dir", "ana"])?;
    report.expect("the spare code's link, scanned: nobody guesses 128 bits", &reply, "granted");

    let stop = at(stops, 3)?;
    report
        .chapter(&format!("Ana at {}'s door: she has not heard that it is Bojan's now", stop.name));
    report.expect(
        "the old code, on the old device, still offline",
        &check(stop, &at(messages, 3)?.code)?,
        "granted",
    );
    Ok(())
}

fn at_bojans_doors(
    world: &World,
    report: &mut Report,
    stops: &[Stop],
    messages: &[Sms],
) -> Result<(), CliError> {
    let check = |stop: &Stop, code: &str| {
        world.run(&["driver", "handover", &stop.id, code, "--dir", "bojan"])
    };
    let stop = at(stops, 3)?;
    report.chapter(&format!("Bojan at {}'s door", stop.name));
    report.expect(
        "the old code, on the new device",
        &check(stop, &at(messages, 3)?.code)?,
        "wrong_code",
    );
    report.expect("the new code", &check(stop, &at(messages, 6)?.code)?, "granted");

    let stop = at(stops, 4)?;
    report.chapter(&format!(
        "Bojan never goes to {}: he opens his device and searches it",
        stop.name
    ));
    let forged = search(world, "bojan", stop, true, &[&at(messages, 4)?.code])?;
    report.note(
        "one code in 4,096 fits the few bits of one of its two slots; this is not the customer's",
    );
    report.expect("the forged code, on his own device", &check(stop, &forged)?, "granted");
    Ok(())
}

/// The evening: the server is back, the devices sync twice, and the whole codes are compared.
fn home(world: &mut World, report: &mut Report, stops: &[Stop]) -> Result<(), CliError> {
    report.chapter("The server is back, and the devices sync, twice");
    world.advance("30m")?;
    world.start_server()?;
    for (round, expected) in [("first", ["3", "2"]), ("second", ["0", "0"])] {
        for (dir, expected) in ["ana", "bojan"].into_iter().zip(expected) {
            // The address is another one than at noon, as it may be after a restart.
            let reply = world.must(&["driver", "sync", "--dir", dir])?;
            let sent = reply.json["sent"].to_string();
            report.step(
                &format!("{round} sync of {dir}'s device, outcomes sent"),
                &reply.command,
                expected,
                &sent,
            );
        }
    }
    report.chapter("What the server makes of it, with the whole codes");
    report.table(&["stop", "what happened", "delivery", "claims"]);
    for (index, what, state, verdicts) in [
        (0, "right code, typed", "delivered", "Ana: match"),
        (1, "guesses, then the spare's link", "delivered", "Ana: match"),
        (2, "too late", "expired", ""),
        (3, "given to Bojan, old code at Ana", "delivered", "Ana: superseded, Bojan: match"),
        (4, "forged by its driver", "disputed", "Bojan: mismatch"),
        (5, "checked online", "delivered", ""),
    ] {
        let stop = at(stops, index)?;
        let shown = world.delivery(&stop.id, |shown| {
            shown["state"] == state && self::verdicts(shown) == verdicts
        })?;
        let actual = text(&shown["state"]);
        report.step(
            &format!("{}, {what}", stop.name),
            &format!("doorstep delivery show {}", stop.id),
            state,
            &actual,
        );
        let claims = self::verdicts(&shown);
        if !verdicts.is_empty() {
            report.step("  claims", "", verdicts, &claims);
        }
        report.row(&[&stop.name, what, &actual, &claims]);
    }
    Ok(())
}

/// `driver: verdict` of each claim, by driver.
fn verdicts(delivery: &Value) -> String {
    let claims = delivery["claims"].as_array().into_iter().flatten();
    let mut claims: Vec<String> = claims
        .map(|claim| format!("{}: {}", text(&claim["driver"]), text(&claim["verdict"])))
        .collect();
    claims.sort();
    claims.join(", ")
}

pub(super) fn at<T>(items: &[T], index: usize) -> Result<&T, CliError> {
    items.get(index).ok_or_else(|| CliError::new("the story has lost its thread"))
}

pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Reads a message as a customer does: the two groups of digits, and the link.
pub(super) fn read(message: &str) -> Result<Sms, CliError> {
    let words: Vec<&str> = message.split_whitespace().collect();
    let group = |word: &&str| {
        let word = word.trim_end_matches(['.', ',', ':']);
        (word.len() == 4 && word.bytes().all(|byte| byte.is_ascii_digit())).then(|| word.to_owned())
    };
    let code = words.windows(2).find_map(|pair| match pair {
        [a, b] => Some(format!("{} {}", group(a)?, group(b)?)),
        _ => None,
    });
    let link = words.iter().find(|word| word.starts_with(LINK)).map(|link| (*link).to_owned());
    match (code, link) {
        (Some(code), Some(link)) => Ok(Sms { code, link }),
        (Some(code), None) => Ok(Sms { code, link: String::new() }),
        _ => Err(CliError::new("a message holds no code")),
    }
}

fn without_link(message: &str) -> &str {
    message.split(" Or show this:").next().unwrap_or(message)
}

/// Another code than this one: it differs in the first digit.
fn other(code: &str) -> String {
    let digit = if code.starts_with('5') { "6" } else { "5" };
    format!("{digit}{}", code.get(1..).unwrap_or_default())
}

/// What whoever opens a device can do: try codes on its tags. Honest steps of the demo use it to
/// choose wrong codes that are known to fail, the dishonest driver to find one that passes.
fn search(
    world: &World,
    dir: &str,
    stop: &Stop,
    passing: bool,
    avoid: &[&str],
) -> Result<String, CliError> {
    let journal = Journal::open(&world.path(dir))?;
    let device = journal.device();
    let missing = || CliError::new("the device does not have the stop");
    let known =
        DeliveryId::parse(&stop.id).ok().and_then(|id| device.stop(id)).ok_or_else(missing)?;
    let fingerprint = device.identity().key().map_err(|_| missing())?.fingerprint();
    let stop = &known.stop;
    let Check::Split { bits, slots } = &stop.check else { return Err(missing()) };
    for number in 0..stop.shape.codes() {
        let digits = format!("{number:08}");
        let code = Code::parse(&digits, stop.shape).map_err(|_| missing())?;
        let passes = slots.iter().any(|slot| {
            let subject = stop.subject(device.identity().issuer, fingerprint, slot.number);
            slot.code == Tag::derive(&slot.salt, *bits, &subject, &code)
        });
        let shown = format!(
            "{} {}",
            digits.get(..4).unwrap_or_default(),
            digits.get(4..).unwrap_or_default()
        );
        if passes == passing && !avoid.contains(&shown.as_str()) {
            return Ok(shown);
        }
    }
    Err(missing())
}
