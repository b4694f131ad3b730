//! A virtual lock at its keypad: what opens, what is shown and what is not, without power, and in bad
//! weather.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod support;

use doorstep::clock::{AfterPowerLoss, Clock, Oscillator};
use doorstep::door::bundle::Bundle;
use doorstep::keypad::control::Command as Order;
use doorstep::keypad::profile::Profile;
use doorstep::keypad::tuple::{Form, Tuple};
use serde_json::Value;
use std::process::Command;
use support::Reply;
use support::court::{Court, DAY, HOUR, MIDNIGHT, bundle, bundle_with_steps, wrong_pin};

/// What the keypad shows, and what is behind it.
fn told(pressed: &Reply) -> (i32, &str, &str) {
    (pressed.status, pressed.json["shown"].as_str().unwrap(), pressed.outcome())
}

/// What a press answers to people.
fn text(court: &Court, arguments: &[&str]) -> (String, Option<i32>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_doorstep"));
    command.args(["lock", "press"]).args(arguments);
    court.surround(&mut command);
    let output = command.output().unwrap();
    assert!(output.stderr.is_empty());
    (String::from_utf8(output.stdout).unwrap(), output.status.code())
}

const OPENED: (i32, &str, &str) = (0, "opened", "granted");
const DONE: (i32, &str, &str) = (0, "done", "granted");

#[test]
fn a_pin_opens_in_its_window_and_not_around_it() {
    let court = Court::new(bundle());
    let pin = court.pin(&court.book(MIDNIGHT + 2 * HOUR, HOUR, false));
    for (seconds, expected) in [
        (HOUR, (3, "refused", "not_yet_valid")),
        (2 * HOUR - 700, (3, "refused", "not_yet_valid")),
        (2 * HOUR - 590, OPENED),
        (2 * HOUR + 60, OPENED),
        (3 * HOUR + 290, OPENED),
        (3 * HOUR + 900, (3, "refused", "expired")),
        (9 * HOUR, (3, "refused", "wrong_code")),
    ] {
        court.set_clock(MIDNIGHT + seconds);
        assert_eq!(told(&court.press(&pin)), expected, "after {seconds} s");
    }
}

#[test]
fn the_keypad_tells_no_more_than_a_keypad_does() {
    let court = Court::new(bundle());
    let late = court.pin(&court.book(MIDNIGHT + 2 * HOUR, HOUR, false));
    let spaced = format!("{} {}-{}", &late[..4], &late[4..7], &late[7..]);
    let text = |arguments: &[&str]| text(&court, arguments);
    // An early PIN looks like a wrong one, and like what is no PIN at all.
    for typed in [late.as_str(), &wrong_pin(&late, 0), "1234", "x"] {
        assert_eq!(text(&[typed]), ("refused\n".to_owned(), Some(3)));
    }
    // The clock learns of it, once.
    let journal = court.must(&["journal"]).json["records"].clone();
    let missed = |record: &&Value| record["kind"] == "missed";
    let heard: Vec<&Value> = journal.as_array().unwrap().iter().filter(missed).collect();
    assert_eq!(heard.len(), 1, "{journal}");
    assert!(
        (6590..=6600).contains(&heard[0]["about"]["by_seconds"].as_u64().unwrap()),
        "{journal}"
    );
    assert!(court.status()["clock"]["uncertainty_seconds"].as_u64().unwrap() >= 900);
    let (said, _) = text(&["--why", &late]);
    assert!(said.contains("not yet valid, only from 01:50"), "{said}");
    assert!(said.contains("PIN for 02:00 to 03:00, holder 0, generation 0"), "{said}");
    court.set_clock(MIDNIGHT + 2 * HOUR);
    assert_eq!(text(&[&spaced]), ("opened\n".to_owned(), Some(0)));
    let digits: Vec<&str> = spaced.split(' ').collect();
    assert_eq!(text(&digits), ("opened\n".to_owned(), Some(0)), "digits in several arguments");
    let full_width: String =
        late.chars().map(|c| char::from_u32(u32::from(c) + 0xFEE0).unwrap()).collect();
    assert_eq!(told(&court.press(&full_width)), (3, "refused", "mistyped"));
}

#[test]
fn single_use_opens_once_and_its_neighbours_still_do() {
    let court = Court::new(bundle());
    let (once, many) = (court.pin_now(true), court.pin_now(false));
    assert_eq!(told(&court.press(&once)), OPENED);
    assert_eq!(told(&court.press(&once)), (3, "already_used", "already_used"));
    let spaced = format!("{} {}", &once[..2], &once[2..]);
    assert_eq!(told(&court.press(&spaced)), (3, "refused", "wrong_code"), "from memory");
    let long = court.code(&court.book(MIDNIGHT, HOUR, true), 0, Form::Long);
    assert_eq!(told(&court.press(&long)), (3, "already_used", "already_used"), "another spelling");
    for _ in 0..3 {
        assert_eq!(told(&court.press(&many)), OPENED);
    }
    let tuple = court.book(MIDNIGHT, HOUR, true);
    let friend = court.pin(&Tuple { holder: 1, ..tuple });
    assert_eq!(told(&court.press(&friend)), OPENED);
    let renewed = court.pin(&Tuple { generation: 1, ..tuple });
    assert_eq!(told(&court.press(&renewed)), OPENED);
}

#[test]
fn ten_codes_of_a_vandal_leave_the_long_form_to_the_guest() {
    let court = Court::new(bundle());
    let tuple = court.book(MIDNIGHT, 4 * HOUR, false);
    let (pin, long) = (court.pin(&tuple), court.code(&tuple, 0, Form::Long));
    for nth in 0..10 {
        let wrong = wrong_pin(&pin, nth);
        let pressed = court.press(&wrong);
        assert_eq!(told(&pressed), (3, "refused", "wrong_code"));
        assert_eq!(pressed.json["attempts_left"], 9 - nth);
        assert_eq!(told(&court.press(&wrong)), (3, "refused", "wrong_code"));
        assert_eq!(court.status()["attempts"]["pin"]["left"], 9 - nth, "the same again is free");
    }
    let refused = court.press(&pin);
    assert_eq!(told(&refused), (3, "wait", "throttled"));
    assert_eq!(refused.json["wait_seconds"], 8640);
    assert_eq!(told(&court.press(&long)), OPENED);
    court.advance(HOUR);
    let waits = court.press(&pin).json["wait_seconds"].as_u64().unwrap();
    assert!((5040..=5041).contains(&waits), "{waits}: by the floor, which is a little slow");
    assert_eq!(court.status()["attempts"]["pin"]["next_in_seconds"], waits);
    // The floor takes a counted second for a little less.
    court.advance(waits + 1);
    assert_eq!(told(&court.press(&pin)), OPENED);
}

#[test]
fn staff_cancel_a_pin_and_end_an_epoch() {
    let court = Court::new(bundle());
    let tuple = court.book(MIDNIGHT, HOUR, false);
    let cancel = court.order(0, &Order::Cancel { tuple, epoch: 0 });
    let other = if cancel.ends_with('0') { "1" } else { "0" };
    let forged = format!("{}{other}", &cancel[..cancel.len() - 1]);
    for (code, outcome) in [(forged.as_str(), "wrong_code"), (&cancel[1..], "mistyped")] {
        assert_eq!(told(&court.press(code)), (3, "refused", outcome));
    }
    assert_eq!(told(&court.press(&cancel)), DONE);
    assert_eq!(told(&court.press(&court.pin(&tuple))), (3, "refused", "revoked"));
    let friend = Tuple { holder: 1, ..tuple };
    assert_eq!(told(&court.press(&court.pin(&friend))), OPENED);

    let next = court.code(&friend, 1, Form::Pin);
    assert_eq!(told(&court.press(&next)), (3, "refused", "wrong_code"));
    let announce = court.order(0, &Order::Announce { epoch: 1 });
    let done = court.press(&announce);
    assert_eq!(told(&done), DONE);
    assert_eq!(done.json["command"]["kind"], "announce_epoch");
    assert_eq!(court.status()["next_epoch_announced"], true);
    assert_eq!(told(&court.press(&court.pin(&friend))), OPENED, "the old ones still open");
    assert_eq!(told(&court.press(&next)), OPENED);
    assert_eq!(court.status()["epoch"], 1);
    assert_eq!(told(&court.press(&court.pin(&friend))), (3, "refused", "wrong_code"));

    let end = court.order(1, &Order::EndEpoch { epoch: 2 });
    assert_eq!(told(&court.press(&end)), DONE);
    assert_eq!(told(&court.press(&next)), (3, "refused", "wrong_code"));
    assert_eq!(told(&court.press(&end)), (3, "refused", "wrong_code"), "it works once");
}

#[test]
fn an_exclusive_place_goes_to_the_next_party_with_its_first_use() {
    let profile = Profile::courts().unwrap();
    let court = Court::new(Bundle { profile, ..bundle() });
    let first = court.pin(&court.book(MIDNIGHT, 2 * HOUR, false));
    let second = court.pin(&court.book(MIDNIGHT + HOUR, 2 * HOUR, false));
    court.set_clock(MIDNIGHT + HOUR + 60);
    assert_eq!(told(&court.press(&first)), OPENED);
    assert_eq!(told(&court.press(&second)), OPENED);
    assert_eq!(told(&court.press(&first)), (3, "refused", "superseded"));
    assert_eq!(told(&court.press(&first)), (3, "refused", "wrong_code"), "from memory");
    assert_eq!(court.status()["attempts"]["pin"]["left"], 9);
    assert_eq!(told(&court.press(&second)), OPENED);
}

#[test]
fn without_power_nothing_answers_and_afterwards_it_takes_a_set_time_code() {
    let court = Court::new(bundle());
    let pin = court.pin(&court.book(MIDNIGHT, 10 * HOUR, false));
    court.set_clock(MIDNIGHT + HOUR);
    let pulled = court.must(&["pull-power", "--for", "3h"]);
    assert_eq!(pulled.text("no_power_until"), "2027-01-16T04:00:00Z");
    for seconds in [HOUR, 2 * HOUR, 4 * HOUR - 1] {
        court.set_clock(MIDNIGHT + seconds);
        let pressed = court.press(&pin);
        assert_eq!((pressed.status, pressed.outcome()), (1, "no_power"));
        assert!(pressed.stderr.contains("no power until 04:00"), "{}", pressed.stderr);
        assert_eq!(court.status()["no_power_until"], "2027-01-16T04:00:00Z");
    }
    court.set_clock(MIDNIGHT + 4 * HOUR);
    assert_eq!(told(&court.press(&pin)), (3, "clock_unset", "clock_unset"));
    court.advance(HOUR);
    assert_eq!(
        told(&court.press(&pin)),
        (3, "clock_unset", "clock_unset"),
        "two PINs set no clock"
    );
    let status = court.status();
    assert_eq!(
        (&status["clock"]["is_lost"], &status["clock"]["lasts_seconds"]),
        (&true.into(), &0.into())
    );
    assert_eq!(status["attempts"]["pin"]["left"], 10, "nothing was compared");
    let code = court.set_time();
    assert_eq!(told(&court.press(&code)), DONE);
    assert_eq!(told(&court.press(&code)), (3, "already_used", "already_used"));
    assert_eq!(told(&court.press(&pin)), OPENED);
    let behind = court.must(&["weather"]).json["ahead_seconds"].as_i64().unwrap();
    assert!(behind.abs() <= 600, "a set-time code is good to ten minutes: {behind}");
}

#[test]
fn where_it_was_opted_for_a_cut_of_90_minutes_is_trusted() {
    let clock =
        Clock { oscillator: Oscillator::Crystal, after_power_loss: AfterPowerLoss::Trust90Min };
    let court = Court::new(Bundle { clock, ..bundle() });
    let pin = court.pin(&court.book(MIDNIGHT, 12 * HOUR, false));
    court.set_clock(MIDNIGHT + HOUR);
    court.must(&["pull-power", "--for", "80m"]);
    court.advance(80 * 60);
    assert_eq!(told(&court.press(&pin)), OPENED);
    let status = court.status();
    let seconds = |name: &str| court.seconds(status["clock"][name].as_str().unwrap());
    assert!(seconds("earliest").abs_diff(MIDNIGHT + HOUR) < 10, "{status}");
    assert!(seconds("latest").abs_diff(MIDNIGHT + HOUR + 90 * 60) < 60, "{status}");
    // Another cut adds nothing, and a lost flag is noted once.
    court.must(&["pull-power", "--for", "0s"]);
    assert_eq!(told(&court.press(&pin)), OPENED);
    let journal = court.must(&["journal"]).json;
    let kinds = journal["records"].as_array().unwrap().iter().map(|record| record["kind"].clone());
    assert_eq!(kinds.filter(|kind| kind == "power_lost").count(), 2);
}

#[test]
fn cuts_again_and_again_do_not_stretch_a_pin() {
    let clock =
        Clock { oscillator: Oscillator::Crystal, after_power_loss: AfterPowerLoss::Trust90Min };
    let court = Court::new(Bundle { clock, ..bundle() });
    let yesterday = court.pin_now(false);
    for _ in 0..26 {
        court.advance(59 * 60);
        court.must(&["pull-power", "--for", "1s"]);
        court.advance(1);
    }
    assert_ne!(told(&court.press(&yesterday)), OPENED);
    let status = court.status();
    for time in ["floor", "earliest", "probable"] {
        let at = court.seconds(status["clock"][time].as_str().unwrap());
        assert!(court.now().saturating_sub(at) <= 26 * 300, "{time}: {status}");
    }
    // What was counted before a long cut is not part of its 90 minutes.
    let court = Court::new(Bundle { clock, ..bundle() });
    court.advance(59 * 60);
    court.must(&["pull-power", "--for", "85m"]);
    court.advance(85 * 60);
    let guest = court.pin(&court.book(MIDNIGHT + 150 * 60, HOUR, false));
    assert_eq!(told(&court.press(&guest)), OPENED);
}

#[test]
fn a_far_set_time_code_only_announces_and_the_lock_says_so() {
    let court = Court::new(bundle());
    court.must(&["pull-power", "--for", "40d"]);
    court.advance(40 * DAY);
    let first = court.press(&court.set_time());
    assert_eq!(told(&first), DONE, "all that a keypad shows");
    assert_eq!(first.json["command"]["second_needed"], true, "{}", first.json);
    assert_eq!(court.status()["clock"]["is_lost"], true);
    court.advance(300);
    let (why, _) = text(&court, &["--why", &court.set_time()]);
    assert!(why.contains("the time was set"), "{why}");
    assert_eq!(told(&court.press(&court.pin_now(false))), OPENED);
    let journal = court.must(&["journal"]).json;
    let orders = journal["records"].as_array().unwrap().iter();
    let needed: Vec<Value> = orders
        .filter(|record| record["kind"] == "control")
        .map(|record| record["about"]["second_needed"].clone())
        .collect();
    assert_eq!(needed, [true, false], "{journal}");
    // In words as well, and only of a far one.
    court.must(&["pull-power", "--for", "40d"]);
    court.advance(40 * DAY);
    let (why, _) = text(&court, &["--why", &court.set_time()]);
    assert!(why.contains("a second") && !why.contains("was set"), "{why}");
}

#[test]
fn a_dead_pin_costs_one_attempt_however_often_it_is_typed() {
    let court = Court::new(bundle());
    let left = || court.status()["attempts"]["pin"]["left"].as_u64().unwrap();
    let (once, late) = (court.pin_now(true), court.pin_now(false));
    let booked = court.book(MIDNIGHT, 2 * HOUR, false);
    court.must(&["press", &court.order(0, &Order::Cancel { tuple: booked, epoch: 0 })]);
    assert_eq!(told(&court.press(&once)), OPENED);
    court.advance(HOUR + 10 * 60);
    for (nth, (pin, outcome)) in
        [(late, "expired"), (court.pin(&booked), "revoked"), (once, "expired")].iter().enumerate()
    {
        assert_eq!(court.press(pin).outcome(), *outcome);
        for _ in 0..5 {
            assert_eq!(told(&court.press(pin)), (3, "refused", "wrong_code"));
        }
        assert_eq!(left(), 9 - u64::try_from(nth).unwrap(), "{outcome}");
    }
    let once = court.pin_now(true);
    assert_eq!(told(&court.press(&once)), OPENED);
    for outcome in ["already_used", "wrong_code", "wrong_code"] {
        assert_eq!(court.press(&once).outcome(), outcome);
    }
    assert_eq!(left(), 6);
    // After two minutes it is compared again.
    court.advance(125);
    assert_eq!(told(&court.press(&once)), (3, "already_used", "already_used"));
    assert_eq!(left(), 5);
    // One that comes early is compared each time: it may be right in a moment.
    let early = court.pin(&court.book(court.now() / HOUR * HOUR + HOUR, HOUR, false));
    for _ in 0..2 {
        assert_eq!(court.press(&early).outcome(), "not_yet_valid");
    }
    assert_eq!(left(), 3);
}

#[test]
fn digits_may_come_by_standard_input() {
    let court = Court::new(bundle());
    let pin = court.pin_now(true);
    court.write("typed", format!("{} {}\n", &pin[..3], &pin[3..]));
    let from = |name: &str| {
        let mut command = court.command(&["press", "-"]);
        command.stdin(std::fs::File::open(court.path(name)).unwrap());
        support::reply(&command.output().unwrap())
    };
    assert_eq!(told(&from("typed")), OPENED);
    assert_eq!(told(&from("typed")), (3, "already_used", "already_used"));
    court.write("typed", "\n");
    assert_eq!(told(&from("typed")), (3, "refused", "mistyped"));
}

#[test]
fn a_lock_that_drifts_for_a_year_knows_how_far_off_it_may_be() {
    let court = Court::new(bundle());
    court.must(&["weather", "--drift-ppm", "20"]);
    court.advance(200 * DAY);
    // Winter: 0.034 x 35 x 35 = 41.65 ppm slower.
    let weather = court.must(&["weather", "--temperature", "-10"]).json;
    assert_eq!((&weather["ppm"], &weather["ahead_seconds"]), (&(-21.65).into(), &345.into()));
    court.advance(200 * DAY);
    let weather = court.must(&["weather"]).json;
    // 345.6 s fast, then 374.112 s slow.
    assert_eq!(weather["ahead_seconds"], -29);
    let clock = court.status()["clock"].clone();
    let seconds = |name: &str| court.seconds(clock[name].as_str().unwrap());
    assert!(seconds("floor") <= seconds("earliest") && seconds("earliest") <= court.now());
    assert!(seconds("latest") >= court.now());
    assert!((500..3600).contains(&clock["uncertainty_seconds"].as_u64().unwrap()), "{clock}");
    assert_eq!(told(&court.press(&court.pin_now(false))), OPENED);
}

#[test]
fn a_true_clock_that_is_set_back_revives_nothing() {
    let court = Court::new(bundle());
    let spent = court.pin_now(true);
    assert_eq!(told(&court.press(&spent)), OPENED);
    let over = court.pin_now(false);
    court.set_clock(MIDNIGHT + 6 * HOUR);
    assert_eq!(told(&court.press(&over)), (3, "refused", "wrong_code"));
    let floor = court.status()["clock"]["floor"].clone();
    for back in [MIDNIGHT, MIDNIGHT - 400 * DAY] {
        court.set_clock(back);
        assert_eq!(told(&court.press(&over)), (3, "refused", "wrong_code"));
        assert_eq!(court.status()["clock"]["floor"], floor);
    }
    assert_eq!(court.status()["attempts"]["pin"]["left"], 9, "typed again, it was free");
    // Where it was, it counts on.
    court.set_clock(MIDNIGHT + 7 * HOUR);
    assert_eq!(told(&court.press(&court.pin_now(false))), OPENED);
}

#[test]
fn a_door_with_an_authenticator_takes_each_step_once() {
    let court = Court::new(bundle_with_steps());
    let step = |court: &Court, ago: u64| court.step(court.now() - ago);
    court.advance(HOUR);
    let pressed = court.press(&step(&court, 0));
    assert_eq!(told(&pressed), OPENED);
    assert_eq!(pressed.json["step"]["shift"], 0);
    assert_eq!(told(&court.press(&step(&court, 0))), (3, "already_used", "already_used"));
    assert_eq!(court.press(&step(&court, 30)).status, 3, "nor an older one");
    // Of which half an hour is in no record when it is typed.
    court.advance(40 * DAY + 1800);
    assert_eq!(told(&court.press(&step(&court, 0))), OPENED);
    assert_eq!(told(&court.press(&court.pin_now(false))), OPENED);
    for nth in 0..10 {
        assert_eq!(court.press(&wrong_pin("10000000", nth)).status, 3);
    }
    let refused = court.press(&step(&court, 0));
    assert_eq!(told(&refused), (3, "wait", "throttled"));
    let records = court.status()["journal"]["records"].clone();
    for _ in 0..3 {
        court.advance(1);
        assert_eq!(court.press(&step(&court, 0)).outcome(), "throttled");
    }
    assert_eq!(court.status()["journal"]["records"], records, "what waits pushes nothing out");
    court.set_clock(court.now() - 3);
    assert_eq!(refused.json["wait_seconds"], 8640);
    assert_eq!(
        told(&court.press(&court.pin_now(false))),
        OPENED,
        "PINs have attempts of their own"
    );
}

#[test]
fn codes_of_steps_fail_before_pins_and_the_status_says_when() {
    let (plain, court) = (Court::new(bundle()), Court::new(bundle_with_steps()));
    let lasts = |court: &Court| court.status()["clock"]["lasts_seconds"].as_u64().unwrap();
    let days = lasts(&court);
    assert!(days > DAY && days < lasts(&plain), "{days}");
    assert_eq!(
        court.seconds(court.status()["clock"]["fails_on"].as_str().unwrap()),
        court.now() + days
    );
    court.advance(days + 2 * DAY);
    let status = court.status();
    assert_eq!(
        (&status["clock"]["lasts_seconds"], &status["clock"]["is_set"]),
        (&0.into(), &true.into())
    );
    assert_eq!(told(&court.press(&court.pin_now(false))), OPENED);
}

/// A quarter of the room is kept from single use, so that revocations always fit.
#[test]
fn a_full_ledger_refuses_what_needs_a_mark_and_opens_the_rest() {
    let court = Court::new(bundle());
    let day = |nth: u32, holder: u8| Tuple {
        holder,
        ..court.book(MIDNIGHT, DAY * u64::from(nth + 1), true)
    };
    let mut single = Vec::new();
    // Windows of many lengths, two holders and two generations each.
    for nth in [0, 1, 2, 4, 6] {
        for (holder, generation) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
            single.push(court.pin(&Tuple { generation, ..day(nth, holder) }));
        }
    }
    let outcomes: Vec<String> =
        single.iter().map(|pin| court.press(pin).outcome().to_owned()).collect();
    let opened = outcomes.iter().filter(|outcome| *outcome == "granted").count();
    let full = outcomes.iter().filter(|outcome| *outcome == "ledger_full").count();
    assert_eq!(opened + full, single.len(), "{outcomes:?}");
    assert!(opened >= 12 && full > 0, "{outcomes:?}");
    let marks = court.status()["marks"].clone();
    assert_eq!(marks["room_for_single_use"], 0, "{marks}");
    let room = marks["room_for_revocations"].as_u64().unwrap();
    assert!(room >= 1, "{marks}");
    let many = court.book(MIDNIGHT, HOUR, false);
    assert_eq!(told(&court.press(&court.pin(&many))), OPENED);
    for nth in 0..room {
        let tuple = court.book(MIDNIGHT + nth * 2 * HOUR, HOUR, false);
        let cancel = court.order(0, &Order::Cancel { tuple, epoch: 0 });
        assert_eq!(told(&court.press(&cancel)), DONE, "{nth}");
    }
    let tuple = court.book(MIDNIGHT + 100 * HOUR, HOUR, false);
    let cancel = court.order(0, &Order::Cancel { tuple, epoch: 0 });
    assert_eq!(told(&court.press(&cancel)), (3, "refused", "ledger_full"));
    assert_eq!(
        told(&court.press(&court.pin(&many))),
        (3, "refused", "revoked"),
        "nothing is forgotten"
    );
    // Room comes back with the days.
    court.advance(DAY + HOUR);
    assert_eq!(told(&court.press(&court.pin_now(true))), OPENED);
    for pin in single.iter().take(opened) {
        assert_ne!(court.press(pin).status, 0);
    }
}
