//! The locks' story: bookings open a door that never talks to the server, with a clock that drifts, for
//! more than a year.

use super::naive::NaiveLock;
use super::passes;
use super::report::Report;
use super::world::{Reply, World};
use crate::error::CliError;
use serde_json::Value;
use std::cell::Cell;

const COURT: &str = "Court 3";
const LOCKER: &str = "Locker 7";
/// By how many millionths the court's crystal is too fast, and as billionths.
const DRIFT: &str = "20";
const DRIFT_PPB: i64 = 20_000;

pub(super) fn tell(world: &mut World, report: &mut Report) -> Result<(), CliError> {
    let court = Court::default();
    set_up(world, report)?;
    early_and_late(world, report, &court)?;
    once(world, report, &court)?;
    a_lost_pin(world, report, &court)?;
    the_next_party(world, report, &court)?;
    cancelled(world, report, &court)?;
    passes::tell(world, report, &court.opened)?;
    vandal(world, report, &court)?;
    robot(world, report, &court)?;
    a_lost_clock(world, report)?;
    four_hundred_days(world, report, &court)?;
    home(world, report, &court)
}

/// The court's lock, and how often it opened.
#[derive(Default)]
struct Court {
    opened: Cell<u32>,
}

impl Court {
    fn press(&self, world: &World, typed: &str) -> Result<Reply, CliError> {
        let reply = press(world, "court", typed)?;
        self.opened.set(self.opened.get() + u32::from(reply.text("shown") == "opened"));
        Ok(reply)
    }
}

/// Monday noon: two locks at the server, and two processes that will never talk to it.
fn set_up(world: &mut World, report: &mut Report) -> Result<(), CliError> {
    report.chapter("Monday 12:00. A club provisions two locks without a network");
    world.must(&["init", "--test", "--at", World::dawn(), "--seed", "5000"])?;
    world.must(&["key", "create", "--name", "booking", "--out", "api.key"])?;
    world.start_server()?;
    let new = ["lock", "new", COURT, "--site", "harbour", "--uses", "both", "--totp"];
    let court = world.run(&[&new[..], &["--bundle", "court.bundle"]].concat())?;
    report.expect(
        "a court, whose PINs open often or once, and which also takes TOTP codes",
        &court,
        "done",
    );
    let install = ["lock", "install", "court.bundle", "--dir", "court", "--drift-ppm", DRIFT];
    report.expect("the bundle goes into the lock", &world.run(&install)?, "done");
    let new = ["lock", "new", LOCKER, "--site", "harbour", "--png", "locker.png"];
    report.expect("a locker, by a QR code", &world.run(&new)?, "done");
    let install = world.run(&["lock", "install", "locker.png", "--dir", "locker"])?;
    report.expect("which the installer photographs", &install, "done");
    let odds = &court.json["lock"]["odds"];
    report.note(&format!(
        "a guess at the court opens it 1 time in {:.0}; a robot that never stops, within a year, {:.2} %",
        1.0 / odds["guess"].as_f64().unwrap_or(f64::NAN),
        100.0 * odds["robot_year"].as_f64().unwrap_or(f64::NAN),
    ));
    report.table(&["case", "at the lock"]);
    Ok(())
}

fn early_and_late(world: &World, report: &mut Report, court: &Court) -> Result<(), CliError> {
    report.chapter("A booking from 14:00 to 15:00, for two");
    let booking = world.run(&book(COURT, "14:00", "1h", &["--holders", "2"]))?;
    report.expect("the server answers with two PINs", &booking, "done");
    let (ana, ben) = (pin(&booking, 0)?, pin(&booking, 1)?);
    world.advance("1h 45m")?;
    report.expect("13:45, Ana is early", &court.press(world, &ana)?, "not_yet_valid");
    world.advance("7m")?;
    report.expect("13:52, within the grace of ten minutes", &court.press(world, &ana)?, "granted");
    report.expect("her PIN at the locker", &press(world, "locker", &ana)?, "wrong_code");
    world.advance("30m")?;
    let spaced = booking.json["holders"][1]["pin_spaced"].as_str().unwrap_or_default().to_owned();
    report.expect("14:22, Ben's PIN, typed in groups", &court.press(world, &spaced)?, "granted");
    report.expect("Ana goes in again", &court.press(world, &ana)?, "granted");
    world.advance("44m")?;
    report.expect("15:06, the hour is over", &court.press(world, &ben)?, "expired");
    report.row(&["13:45 early, 15:06 late", "refused"]);
    report.row(&["within the window and its grace", "opens, as often as they come"]);
    Ok(())
}

fn once(world: &World, report: &mut Report, court: &Court) -> Result<(), CliError> {
    report.chapter("A delivery at 15:30: a PIN that opens once");
    let booking = world.must(&book(COURT, "15:30", "30m", &["--once"]))?;
    let code = pin(&booking, 0)?;
    world.advance("30m")?;
    report.expect("its first use", &court.press(world, &code)?, "granted");
    report.expect("its second", &court.press(world, &code)?, "already_used");
    let long = long_form(&booking)?;
    report.expect("and its long form", &court.press(world, &long)?, "already_used");
    report.row(&["single use, replayed", "already used"]);
    Ok(())
}

fn a_lost_pin(world: &World, report: &mut Report, court: &Court) -> Result<(), CliError> {
    report.chapter("16:00. Carla's PIN was seen by somebody; she gets another one");
    let booking = world.must(&book(COURT, "16:00", "1h", &[]))?;
    let old = pin(&booking, 0)?;
    world.advance("24m")?;
    report.expect("the PIN that was seen", &court.press(world, &old)?, "granted");
    let id = booking.text("id").to_owned();
    let renewed = world.run(&["booking", "renew", &id, "--holder", "0"])?;
    report.expect("a new PIN", &renewed, "done");
    let truth = text(&renewed.json["revocations"][0]["takes_effect"]);
    report.step("  what ends the old one, says the server", "", "when_successor_used", &truth);
    report.expect("the old one, before that", &court.press(world, &old)?, "granted");
    report.expect("the new one", &court.press(world, &pin(&renewed, 0)?)?, "granted");
    report.expect("the old one, after", &court.press(world, &old)?, "superseded");
    report.row(&["a PIN that was replaced", "opens until the new one is used, then superseded"]);
    Ok(())
}

fn the_next_party(world: &World, report: &mut Report, court: &Court) -> Result<(), CliError> {
    report.chapter("17:10. A party whose window is rounded up, and the next one");
    let first = world.must(&book(COURT, "17:10", "1h", &[]))?;
    let until = text(&first.json["opens_until"]);
    report.step(
        "their hour ends at 18:10; their PIN opens until",
        &first.command,
        "2026-03-02T18:30:00Z",
        &until,
    );
    let early = world.run(&book(COURT, "18:15", "1h", &[]))?;
    report.expect("18:15 for the next party", &early, "window_unavailable");
    let id = first.text("id").to_owned();
    let moved = world.run(&["booking", "change", &id, "--from", "18:45", "--for", "1h"])?;
    report.expect("they move to 18:45, so that others can come at 17:15", &moved, "done");
    let next = world.must(&book(COURT, "17:15", "1h", &[]))?;
    let moved = world.must(&["booking", "show", &id])?;
    let truth = text(&moved.json["revocations"][0]["takes_effect"]);
    report.step("  what ends their old PIN", &moved.command, "when_successor_used", &truth);
    let (old, new) = (pin(&first, 0)?, pin(&next, 0)?);
    world.advance("1h 12m")?;
    report.expect("17:12, somebody tries the old one", &court.press(world, &old)?, "granted");
    world.advance("5m")?;
    report.expect("17:17, the next party comes", &court.press(world, &new)?, "granted");
    report.expect("and the old one ended", &court.press(world, &old)?, "superseded");
    world.advance("1h")?;
    Ok(())
}

fn cancelled(world: &World, report: &mut Report, court: &Court) -> Result<(), CliError> {
    report.chapter("20:00. A booking is cancelled; the lock cannot know");
    let booking = world.must(&book(COURT, "20:00", "1h", &[]))?;
    let code = pin(&booking, 0)?;
    let id = booking.text("id").to_owned();
    let cancelled = world.run(&["booking", "cancel", &id])?;
    report.expect("it is cancelled", &cancelled, "done");
    let revocation = &cancelled.json["revocations"][0];
    let truth = text(&revocation["takes_effect"]);
    report.step("  when its PIN ends, says the server", "", "when_typed", &truth);
    world.advance("1h 45m")?;
    report.expect("20:02, the PIN still opens, as it said", &court.press(world, &code)?, "granted");
    let cancel = text(&revocation["cancel_code"]);
    report.expect("staff type the cancel code", &court.press(world, &cancel)?, "granted");
    report.expect("now it opens no more", &court.press(world, &code)?, "revoked");
    report.row(&["cancelled", "opens until the cancel code is typed, then revoked"]);
    Ok(())
}

fn vandal(world: &World, report: &mut Report, court: &Court) -> Result<(), CliError> {
    report.chapter("Wednesday 21:30. A passer-by types ten wrong codes");
    world.advance("1d")?;
    let booking = world.must(&book(COURT, "21:30", "1h", &[]))?;
    let (code, long) = (pin(&booking, 0)?, long_form(&booking)?);
    world.advance("1h 30m")?;
    let mut wrong = 0;
    for guess in guesses(&code).take(10) {
        wrong += u32::from(court.press(world, &guess)?.outcome() == "wrong_code");
    }
    report.step("wrong codes, each of them counted", "", "10", &wrong.to_string());
    let reply = court.press(world, &code)?;
    report.expect("the guest's PIN", &reply, "throttled");
    report.expect("the long form from the guest's message", &court.press(world, &long)?, "granted");
    report.row(&["ten wrong codes by a passer-by", "wait; the guest's long form opens"]);
    Ok(())
}

/// Twelve guesses a day. Ten attempts come back in a day, counted by the slow end of the oscillator.
fn robot(world: &World, report: &mut Report, court: &Court) -> Result<(), CliError> {
    report.chapter("A robot at the keypad, for twenty days");
    world.advance("1d")?;
    let mut guesses = guesses("");
    let (mut opened, mut compared) = (0, 0);
    for _ in 0..20 {
        for guess in guesses.by_ref().take(12) {
            match court.press(world, &guess)?.outcome().as_str() {
                "granted" => opened += 1,
                "wrong_code" => compared += 1,
                _ => {}
            }
        }
        world.advance("1d")?;
    }
    report.step("guesses of 240 that were compared at all", "", "190", &compared.to_string());
    report.step("doors opened by them", "", "0", &opened.to_string());
    Ok(())
}

fn a_lost_clock(world: &World, report: &mut Report) -> Result<(), CliError> {
    report.chapter("The locker's battery falls out for three hours");
    let booking = world.must(&book(LOCKER, "+4h", "1h", &[]))?;
    let code = pin(&booking, 0)?;
    world.must(&["lock", "pull-power", "--for", "3h", "--dir", "locker"])?;
    report.expect("without power", &press(world, "locker", &code)?, "no_power");
    world.advance("4h 30m")?;
    report.expect(
        "with power again, the PIN of the hour",
        &press(world, "locker", &code)?,
        "clock_unset",
    );
    let made = world.run(&["lock", "set-time", LOCKER])?;
    report.expect("staff ask the server for a set-time code", &made, "done");
    let set = made.text("code").to_owned();
    report.expect("and type it", &press(world, "locker", &set)?, "granted");
    report.expect("the PIN", &press(world, "locker", &code)?, "granted");
    report.expect("the set-time code again", &press(world, "locker", &set)?, "already_used");
    report.row(&["a lost clock", "opens nothing until a set-time code is typed"]);
    Ok(())
}

/// Each week one code of the shared TOTP secret and one PIN. Half way the batteries are swapped.
fn four_hundred_days(world: &World, report: &mut Report, court: &Court) -> Result<(), CliError> {
    report.chapter(
        "400 days: a TOTP lock as they are usually built, and ours, with the same crystal",
    );
    let mut naive = NaiveLock::install(world, "court.bundle", DRIFT_PPB)?;
    let (mut theirs, mut steps, mut pins) = (0, 0, 0);
    let weeks = 57;
    for week in 0..weeks {
        world.advance("7d")?;
        if week == 28 {
            naive.pull_power(world, "20m")?;
            world.must(&["lock", "pull-power", "--for", "20m", "--dir", "court"])?;
            world.advance("30m")?;
            let set = world.must(&["lock", "set-time", COURT])?;
            let set = court.press(world, set.text("code"))?;
            report.expect(
                "week 29: new batteries, and staff type a set-time code at ours",
                &set,
                "granted",
            );
        }
        let code = world.must(&["lock", "code", COURT])?.text("code").to_owned();
        theirs += u32::from(naive.press(world, &code)?);
        steps += u32::from(court.press(world, &code)?.outcome() == "granted");
        let booking = world.must(&book(COURT, "+0s", "1h", &[]))?;
        pins += u32::from(court.press(world, &pin(&booking, 0)?)?.outcome() == "granted");
    }
    let of = |granted: u32| format!("{granted} of {weeks}");
    report.step("weekly codes that the usual lock took", "", "4 of 57", &of(theirs));
    report.step("weekly codes that ours took", "", "57 of 57", &of(steps));
    report.step("weekly PINs that ours took", "", "57 of 57", &of(pins));
    report.row(&["a year of drift, TOTP and no memory", "refuses honest guests from week 5 on"]);
    report.row(&["the same crystal, with a belief", "opens"]);
    Ok(())
}

fn home(world: &World, report: &mut Report, court: &Court) -> Result<(), CliError> {
    report.chapter("Somebody carries the lock's journal home");
    let before = world.must(&["lock", "show", COURT])?;
    let health = text(&before.json["clock"]["health"]);
    report.step(
        "the server last heard of this clock 400 days ago",
        &before.command,
        "attend",
        &health,
    );
    let out = world.run(&["lock", "journal", "--out", "court.journal", "--dir", "court"])?;
    report.expect("the lock writes its journal to a file", &out, "done");
    let taken = world.run(&["lock", "take-journal", COURT, "court.journal"])?;
    report.expect("the server takes it in", &taken, "done");
    let events = world.must(&["lock", "events", COURT, "--limit", "200"])?;
    let known = events.json["data"].as_array().into_iter().flatten();
    let known = known.filter(|event| event["kind"] == "opened").count();
    report.step(
        "  openings that it now knows of, as many as there were",
        &events.command,
        &court.opened.get().to_string(),
        &known.to_string(),
    );
    let again = world.must(&["lock", "take-journal", COURT, "court.journal"])?;
    report.step(
        "  records that are new when it comes twice",
        &again.command,
        "0",
        &again.json["new_records"].to_string(),
    );
    let after = world.must(&["lock", "show", COURT])?;
    let health = text(&after.json["clock"]["health"]);
    report.step("  how the lock's clock is", &after.command, "good", &health);
    let other = world.run(&["lock", "take-journal", LOCKER, "court.journal"])?;
    report.expect("as the journal of another lock", &other, "journal_invalid");
    Ok(())
}

/// The words of a booking.
fn book<'a>(lock: &'a str, from: &'a str, length: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["booking", "add", lock, "--from", from, "--for", length], more].concat()
}

fn press(world: &World, lock: &str, typed: &str) -> Result<Reply, CliError> {
    world.run(&["lock", "press", typed, "--dir", lock])
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn pin(booking: &Reply, holder: usize) -> Result<String, CliError> {
    digits(&booking.json["holders"][holder]["pin"])
}

fn long_form(booking: &Reply) -> Result<String, CliError> {
    digits(&booking.json["holders"][0]["long_form"])
}

fn digits(value: &Value) -> Result<String, CliError> {
    value
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| CliError::new("the server's answer holds no PIN"))
}

/// Codes of nine digits, all different, and not this one.
fn guesses(code: &str) -> impl Iterator<Item = String> {
    (1_u32..).map(|number| format!("1{:08}", number * 7919)).filter(move |guess| *guess != code)
}
