//! A virtual lock that dies at each of its writes, or is used by sixteen processes at once: nothing opens
//! twice that opens once, no attempt is free, and it always opens again.

mod support;

use doorstep::door::Door;
use doorstep::door::journal::Journal;
use doorstep::keypad::control::Command as Order;
use support::Reply;
use support::court::{
    Court, HOUR, MIDNIGHT, at_every_write, bundle, count, count_seconds, wrong_pin,
};

#[test]
fn killed_at_every_write_a_pin_that_opens_once_never_opens_twice() {
    let court = Court::new(bundle());
    let pin = court.pin_now(true);
    at_every_write(&court, &["press", &pin], |point, said| {
        let after = court.press(&pin).outcome().to_owned();
        match said {
            Some(said) => {
                assert_eq!(
                    (said.outcome(), after.as_str()),
                    ("granted", "already_used"),
                    "{point}"
                );
            }
            // It may have been spent and not told; at most once is what is promised.
            None => {
                assert!(["granted", "already_used"].contains(&after.as_str()), "{point}: {after}")
            }
        }
        assert_ne!(court.press(&pin).outcome(), "granted", "{point}");
        assert_eq!(count(&court, "opened"), 1, "{point}");
        assert_eq!(court.press(&court.pin_now(false)).outcome(), "granted", "{point}");
    });
}

#[test]
fn killed_at_every_write_no_attempt_is_free() {
    let court = Court::new(bundle());
    let pin = court.pin_now(false);
    let wrong = wrong_pin(&pin, 0);
    let left = || court.status()["attempts"]["pin"]["left"].as_u64().unwrap();
    at_every_write(&court, &["press", &wrong], |point, said| {
        let after = left();
        assert!(after == 9 || (after == 10 && said.is_none()), "{point}: {after} left");
        assert_eq!(court.press(&pin).outcome(), "granted", "{point}");
        assert_eq!(left(), after, "{point}: a success takes none");
    });
}

#[test]
fn killed_at_every_write_a_pin_that_opens_many_times_opens_again() {
    let court = Court::new(bundle());
    let pin = court.pin_now(false);
    let left = || court.status()["attempts"]["pin"]["left"].as_u64().unwrap();
    at_every_write(&court, &["press", &pin], |point, said| {
        // What was counted and not opened stays counted.
        let after = left();
        assert!(after == 10 || (after == 9 && said.is_none()), "{point}: {after} left");
        assert_eq!(court.press(&pin).outcome(), "granted", "{point}");
    });
}

#[test]
fn killed_at_every_write_a_revocation_that_was_told_holds() {
    let court = Court::new(bundle());
    let tuple = court.book(MIDNIGHT, HOUR, false);
    let (pin, cancel) = (court.pin(&tuple), court.order(0, &Order::Cancel { tuple, epoch: 0 }));
    at_every_write(&court, &["press", &cancel], |point, said| {
        let after = court.press(&pin).outcome().to_owned();
        assert!(after == "revoked" || (after == "granted" && said.is_none()), "{point}: {after}");
        assert_eq!(court.press(&cancel).status, 0, "{point}");
        assert_eq!(court.press(&pin).outcome(), "revoked", "{point}");
        assert_eq!(court.press(&court.pin_now(true)).outcome(), "granted", "{point}");
    });
}

#[test]
fn killed_at_every_write_a_power_loss_is_never_overlooked() {
    let court = Court::new(bundle());
    let pin = court.pin(&court.book(MIDNIGHT, 12 * HOUR, true));
    court.set_clock(MIDNIGHT + 2 * HOUR);
    court.must(&["pull-power", "--for", "1h"]);
    court.set_clock(MIDNIGHT + 3 * HOUR + 100);
    at_every_write(&court, &["press", &pin], |point, said| {
        assert!(said.is_none_or(|said| said.outcome() == "clock_unset"), "{point}");
        court.advance(50);
        assert_eq!(court.press(&pin).outcome(), "clock_unset", "{point}");
        let losses = count(&court, "power_lost");
        assert!((1..=2).contains(&losses), "{point}: {losses} losses");
        court.advance(50);
        assert_eq!(court.press(&court.set_time()).status, 0, "{point}");
        let ahead = court.must(&["weather"]).json["ahead_seconds"].as_i64().unwrap();
        assert!(ahead.abs() <= 600, "{point}: {ahead}");
        court.advance(HOUR);
        let later = court.must(&["weather"]).json["ahead_seconds"].as_i64().unwrap();
        assert_eq!(later, ahead, "{point}: it counts each second once");
        assert_eq!(court.press(&pin).outcome(), "granted", "{point}");
        assert_eq!(court.press(&pin).outcome(), "already_used", "{point}");
    });
}

#[test]
fn power_that_goes_in_the_middle_of_a_code_leaves_it_counted_and_spent_at_most_once() {
    let court = Court::new(bundle());
    let pin = court.pin(&court.book(MIDNIGHT, 12 * HOUR, true));
    at_every_write(&court, &["press", &pin], |point, said| {
        let left = court.status()["attempts"]["pin"]["left"].clone();
        court.must(&["pull-power", "--for", "2h"]);
        assert_eq!(court.press(&pin).outcome(), "no_power", "{point}");
        court.advance(2 * HOUR);
        assert_eq!(court.press(&pin).outcome(), "clock_unset", "{point}");
        assert_eq!(court.status()["attempts"]["pin"]["left"], left, "{point}");
        assert_eq!(court.press(&court.set_time()).status, 0, "{point}");
        let after = court.press(&pin).outcome().to_owned();
        let expected: &[&str] =
            if said.is_some() { &["already_used"] } else { &["granted", "already_used"] };
        assert!(expected.contains(&after.as_str()), "{point}: {after}");
        assert_eq!(count(&court, "opened"), 1, "{point}");
    });
}

#[test]
fn killed_at_every_write_a_journal_that_is_written_anew_is_whole() {
    let court = Court::new(bundle());
    let (spent, wrong) = (court.book(MIDNIGHT, 10 * HOUR, true), court.pin_now(false));
    assert_eq!(court.press(&court.pin(&spent)).outcome(), "granted");
    assert_eq!(court.press(&wrong_pin(&wrong, 0)).outcome(), "wrong_code");
    count_seconds(&court, 4093);
    let pin = court.pin(&court.book(MIDNIGHT, 4 * HOUR, true));
    let door = Door::new(&court.bundle);
    at_every_write(&court, &["press", &pin], |point, said| {
        let after = court.press(&pin).outcome().to_owned();
        assert!(
            after == "already_used" || (after == "granted" && said.is_none()),
            "{point}: {after}"
        );
        assert_eq!(court.press(&court.pin(&spent)).outcome(), "already_used", "{point}");
        // The window of `wrong` is over; its attempt is not forgotten.
        let status = court.status();
        assert!(status["attempts"]["pin"]["left"].as_u64().unwrap() <= 9, "{point}: {status}");
        assert_eq!(court.must(&["weather"]).json["ahead_seconds"], 0, "{point}");
        let _ = std::fs::remove_file(court.path("home"));
        court.must(&["journal", "--out", "home"]);
        let bytes = std::fs::read(court.path("home")).unwrap();
        let journal = Journal::read(&door, &bytes).unwrap();
        let (.., head) = journal.steps(&door).last().unwrap();
        assert_eq!(status["journal"]["records"], head.seq, "{point}");
        assert!(journal.head.seq >= 2049, "{point}: written anew in the end");
    });
}

#[test]
fn killed_at_every_write_an_installation_can_be_finished() {
    let court = Court::new(bundle());
    let pin = court.pin_now(true);
    // The lock that `at_every_write` brings back each time is not the one that is made.
    at_every_write(&court, &["install", "bundle", "--dir", "new"], |point, said| {
        let again = court.run(&["install", "bundle", "--dir", "new"]);
        let there = again.outcome() == "lock_exists";
        assert!(again.status == 0 || there, "{point}: {}", again.stderr);
        assert!(there || said.is_none(), "{point}: what was told is there");
        let press = |outcome: &str| {
            let pressed = court.run(&["press", &pin, "--dir", "new"]);
            assert_eq!(pressed.outcome(), outcome, "{point}");
        };
        press("granted");
        press("already_used");
        std::fs::remove_dir_all(court.path("new")).unwrap();
    });
}

#[test]
fn killed_at_every_write_a_battery_is_in_or_out() {
    let court = Court::new(bundle());
    let pin = court.pin(&court.book(MIDNIGHT, 12 * HOUR, false));
    court.set_clock(MIDNIGHT + 2 * HOUR);
    at_every_write(&court, &["pull-power", "--for", "1h"], |point, said| {
        let now = court.press(&pin).outcome().to_owned();
        assert!(now == "no_power" || (now == "granted" && said.is_none()), "{point}: {now}");
        court.advance(HOUR);
        let later = court.press(&pin).outcome().to_owned();
        let expected = if now == "no_power" { "clock_unset" } else { "granted" };
        assert_eq!(later, expected, "{point}");
    });
}

#[test]
fn sixteen_processes_type_one_pin_and_one_opens() {
    let court = Court::new(bundle());
    let pin = court.pin_now(true);
    let journal = court.path("lock/journal");
    let replies = support::all_at_once(&journal, 16, || court.command(&["press", &pin]));
    let outcomes: Vec<&str> = replies.iter().map(Reply::outcome).collect();
    let of = |wanted: &str| outcomes.iter().filter(|outcome| **outcome == wanted).count();
    assert_eq!(of("granted"), 1, "{outcomes:?}");
    assert_eq!(of("already_used"), 1, "{outcomes:?}");
    assert_eq!(of("wrong_code"), 14, "the same again is answered from memory: {outcomes:?}");
    assert_eq!(count(&court, "opened"), 1);
    // Wrong codes are counted one by one as well.
    let court = Court::new(bundle());
    let wrong: Vec<String> = (0..16).map(|nth| wrong_pin(&pin, nth)).collect();
    let nth = std::cell::Cell::new(0);
    let replies = support::all_at_once(&court.path("lock/journal"), 16, || {
        nth.set(nth.get() + 1);
        court.command(&["press", &wrong[nth.get() - 1]])
    });
    let outcomes: Vec<&str> = replies.iter().map(Reply::outcome).collect();
    let wrong = outcomes.iter().filter(|outcome| **outcome == "wrong_code").count();
    assert_eq!(wrong, 10, "{outcomes:?}");
    assert_eq!(court.status()["attempts"]["pin"]["left"], 0);
}

#[test]
fn a_journal_that_is_written_anew_under_eight_processes_loses_nothing() {
    let court = Court::new(bundle());
    let pin = court.pin(&court.book(MIDNIGHT, 4 * HOUR, true));
    count_seconds(&court, 4097);
    let journal = court.path("lock/journal");
    let replies = support::all_at_once(&journal, 8, || court.command(&["press", &pin]));
    let outcomes: Vec<&str> = replies.iter().map(Reply::outcome).collect();
    let of = |wanted: &str| outcomes.iter().filter(|outcome| **outcome == wanted).count();
    assert_eq!((of("granted"), of("already_used")), (1, 1), "{outcomes:?}");
    assert_eq!(of("wrong_code"), 6, "{outcomes:?}");
    let status = court.status();
    // Those, two attempts, one opening and one refusal that is remembered.
    assert_eq!(status["journal"]["records"], 4097 + 2 + 1 + 1, "{status}");
    assert!(status["journal"]["kept"].as_u64().unwrap() < 2100, "{status}");
    assert_eq!(status["attempts"]["pin"]["left"], 9);
}

#[test]
fn a_power_loss_is_noted_once_however_many_find_it() {
    let court = Court::new(bundle());
    court.must(&["pull-power", "--for", "0s"]);
    let journal = court.path("lock/journal");
    let pin = court.pin_now(false);
    let replies = support::all_at_once(&journal, 8, || court.command(&["press", &pin]));
    assert!(replies.iter().all(|reply| reply.outcome() == "clock_unset"));
    assert_eq!(count(&court, "power_lost"), 1);
}
