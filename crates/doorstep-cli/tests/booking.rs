//! Locks and bookings as staff use them: the real server, the real commands, and virtual locks at the doors.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod support;

use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use support::{Reply, Shop};

/// A shop at Monday noon UTC with a court, and the virtual lock at its door.
fn court(more: &[&str]) -> Shop {
    let shop = Shop::open();
    shop.must(&[&["lock", "new", "Court 3", "--site", "harbour"], more].concat());
    shop
}

fn book(shop: &Shop, words: &[&str]) -> Reply {
    shop.run(&[&["booking", "add", "Court 3"], words].concat())
}

fn pin(booking: &Value, holder: usize) -> String {
    booking["holders"][holder]["pin"].as_str().unwrap().to_owned()
}

fn press(shop: &Shop, typed: &str) -> Reply {
    shop.run(&["lock", "press", typed, "--dir", "court-3"])
}

/// What a command says to people.
fn told(shop: &Shop, words: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_doorstep"));
    shop.surround(&mut command);
    let output = command.args(words).output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_command_has_help() {
    let lock = [
        "new",
        "list",
        "show",
        "provision",
        "code",
        "set-time",
        "epoch",
        "take-journal",
        "events",
        "profiles",
    ];
    let booking = ["add", "list", "show", "change", "cancel", "friend", "renew", "message"];
    let all =
        lock.map(|verb| ("lock", verb)).into_iter().chain(booking.map(|verb| ("booking", verb)));
    for (noun, verb) in all {
        let mut command = Command::new(env!("CARGO_BIN_EXE_doorstep"));
        let output = command.args([noun, verb, "--help"]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && text.contains("Usage: doorstep"), "{noun} {verb}");
    }
}

#[test]
fn a_test_lock_works_in_one_step() {
    let shop = Shop::open();
    let made = shop.must(&["lock", "new", "--site", "demo"]);
    assert!(made.json["bundle"].is_null(), "what went into the lock is not shown as well");
    let id = made.json["lock"]["id"].as_str().unwrap();
    let booking = shop.must(&["booking", "add", id, "--from", "+1m", "--for", "1h"]).json;
    let opened = shop.must(&["lock", "press", &pin(&booking, 0), "--dir", "lock"]);
    assert_eq!(opened.outcome(), "granted");
    let again = shop.run(&["lock", "new", "--site", "demo"]);
    assert_eq!((again.status, again.outcome()), (1, "lock_exists"), "nothing is overwritten");
    let locks = shop.must(&["lock", "list"]).json;
    assert_eq!(locks["data"].as_array().unwrap().len(), 1, "and no lock is made in vain: {locks}");
}

#[test]
fn a_bundle_goes_into_private_files_and_is_not_shown_twice() {
    let shop = Shop::open();
    let new = [
        "lock",
        "new",
        "Gate",
        "--site",
        "harbour",
        "--bundle",
        "gate.bundle",
        "--png",
        "gate.png",
        "--svg",
        "gate.svg",
    ];
    let text = told(&shop, &new);
    assert!(!text.contains("DSLOCK1:"), "{text}");
    for file in ["gate.bundle", "gate.png", "gate.svg"] {
        let mode = std::fs::metadata(shop.path(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    assert!(!shop.path("gate").exists());
    shop.must(&["lock", "install", "gate.png", "--dir", "one"]);
    shop.must(&["lock", "install", "gate.bundle", "--dir", "two"]);
    let again = shop.run(&new);
    assert_eq!(again.status, 1, "{}", again.json);
    let shown = shop.must(&["lock", "show", "Gate"]).json.to_string();
    assert!(!shown.contains("DSLOCK1"), "{shown}");
}

#[test]
fn a_booking_is_read_in_the_zone_of_the_place() {
    let shop = court(&[]);
    let words = ["--from", "2026-03-02 14:10", "--until", "15:00", "--zone", "Europe/Madrid"];
    let booking = book(&shop, &words).json;
    assert_eq!(booking["from"], "2026-03-02T13:10:00Z");
    assert_eq!(booking["opens_from"], "2026-03-02T13:00:00Z", "rounded outward");
    assert_eq!(booking["opens_until"], "2026-03-02T14:00:00Z");
    let id = booking["id"].as_str().unwrap();
    let shown = told(&shop, &["booking", "show", id, "--zone", "Europe/Madrid"]);
    assert!(shown.contains("Mon 2 Mar 2026, 14:10 to 15:00"), "{shown}");
    assert!(shown.contains("Mon 2 Mar 2026, 14:00 to 15:00, rounded outward"), "{shown}");
    let message = told(&shop, &["booking", "message", id, "--zone", "Europe/Madrid"]);
    let spaced = booking["holders"][0]["pin_spaced"].as_str().unwrap();
    let long = booking["holders"][0]["long_form_spaced"].as_str().unwrap();
    assert!(message.contains("Court 3: Mon 2 Mar 2026, 14:10 to 15:00"), "{message}");
    assert!(message.contains(spaced) && message.contains(long), "{message}");

    let skipped = ["--from", "2026-03-29 02:30", "--for", "1h", "--zone", "Europe/Madrid"];
    assert_eq!(book(&shop, &skipped).status, 2);
    let twice = ["--from", "2026-10-25 02:30", "--for", "1h", "--zone", "Europe/Madrid"];
    let refused = book(&shop, &twice);
    assert!(refused.status == 2 && refused.stderr.contains("offset"), "{}", refused.stderr);
    // An hour that is 25 hours into the day on which clocks are set back.
    let over = ["--from", "2026-10-25T02:30:00+02:00", "--until", "2026-10-25T02:30:00+01:00"];
    let booking = book(&shop, &over).json;
    assert_eq!(booking["opens_until"], "2026-10-25T01:30:00Z", "{booking}");
}

#[test]
fn what_cannot_be_booked_is_refused_with_what_can() {
    let shop = court(&[]);
    let first = book(&shop, &["--from", "14:00", "--for", "1h"]);
    assert_eq!(first.status, 0, "{}", first.stderr);
    for (words, code) in [
        (&["--from", "14:15", "--for", "30m"][..], "window_unavailable"),
        (&["--from", "14:00", "--for", "1h"], "window_unavailable"),
        (&["--from", "16:00", "--for", "5h"], "too_long"),
        (&["--from", "16:00", "--for", "1h", "--once"], "no_such_use"),
    ] {
        let refused = book(&shop, words);
        assert_eq!((refused.status, refused.outcome()), (1, code), "{words:?}: {}", refused.stderr);
        assert!(refused.stderr.contains("hint:"), "{}", refused.stderr);
    }
    let backwards = book(&shop, &["--from", "2026-03-02 16:00", "--until", "2026-03-02 15:00"]);
    assert_ne!(backwards.status, 0);
    let nobody = shop.run(&["booking", "add", "Court 9", "--from", "14:00", "--for", "1h"]);
    assert_eq!(nobody.outcome(), "unknown_lock");
    let open = shop.run(&["booking", "add", "Court 3", "--from", "14:00"]);
    assert_eq!(open.status, 2, "until when?");
}

#[test]
fn a_friend_and_a_lost_pin() {
    let shop = court(&[]);
    let booking = book(&shop, &["--from", "12:00", "--for", "1h"]).json;
    let id = booking["id"].as_str().unwrap();
    let two = shop.must(&["booking", "friend", id]).json;
    assert_ne!(pin(&two, 0), pin(&two, 1));
    assert_eq!(pin(&two, 0), pin(&booking, 0), "who has one keeps it");
    let renewed = shop.must(&["booking", "renew", id, "--holder", "1"]).json;
    assert_eq!(renewed["revocations"][0]["takes_effect"], "when_successor_used");
    assert_eq!(press(&shop, &pin(&two, 1)).outcome(), "granted");
    assert_eq!(press(&shop, &pin(&renewed, 1)).outcome(), "granted");
    assert_eq!(press(&shop, &pin(&two, 1)).outcome(), "superseded");
    assert_eq!(
        press(&shop, &pin(&two, 0)).outcome(),
        "granted",
        "the other holder's is another matter"
    );
    let message = told(&shop, &["booking", "message", id, "--holder", "1"]);
    assert!(message.contains("replaces"), "{message}");
    assert_eq!(shop.run(&["booking", "message", id, "--holder", "7"]).status, 1);
}

#[test]
fn an_epoch_ends_everything_when_its_code_is_typed() {
    let shop = court(&[]);
    let booking = book(&shop, &["--from", "12:00", "--for", "1h"]).json;
    let (id, old) = (booking["id"].as_str().unwrap(), pin(&booking, 0));
    assert_eq!(shop.run(&["lock", "epoch", "Court 3", "confirm"]).status, 1, "nothing is pending");
    let made = shop.must(&["lock", "epoch", "Court 3", "end"]);
    assert_eq!(press(&shop, &old).outcome(), "granted", "it was not typed yet");
    assert_eq!(press(&shop, &made.text("code")).outcome(), "granted");
    assert_eq!(press(&shop, &old).outcome(), "wrong_code", "PINs of another epoch are not known");
    let done = shop.must(&["lock", "epoch", "Court 3", "confirm"]).json;
    assert_eq!(done["bookings_changed"], 1, "{done}");
    let new = pin(&shop.must(&["booking", "show", id]).json, 0);
    assert_ne!(new, old);
    assert_eq!(press(&shop, &new).outcome(), "granted");
}

#[test]
fn a_door_with_totp_takes_the_servers_code() {
    let shop = court(&["--totp", "6"]);
    let shown = told(&shop, &["lock", "show", "Court 3"]);
    assert!(shown.contains("TOTP codes of 6 digits"), "{shown}");
    let code = shop.must(&["lock", "code", "Court 3"]).text("code");
    assert_eq!((code.len(), press(&shop, &code).outcome()), (6, "granted"));
    assert_eq!(press(&shop, &code).outcome(), "already_used");
    shop.advance("200d");
    let code = shop.must(&["lock", "code", "Court 3"]).text("code");
    assert_eq!(press(&shop, &code).outcome(), "granted", "its crystal does not drift");
    shop.must(&["lock", "new", "Plain", "--site", "harbour"]);
    assert_eq!(shop.run(&["lock", "code", "Plain"]).outcome(), "no_totp");
}

#[test]
fn the_journal_comes_home() {
    let shop = court(&[]);
    let booking = book(&shop, &["--from", "12:00", "--for", "1h"]).json;
    let id = booking["id"].as_str().unwrap();
    press(&shop, &pin(&booking, 0));
    press(&shop, "111111111");
    let cancelled = shop.must(&["booking", "cancel", id]).json;
    let code = cancelled["revocations"][0]["cancel_code"].as_str().unwrap();
    assert_eq!(press(&shop, code).outcome(), "granted");
    assert_eq!(press(&shop, &pin(&booking, 0)).outcome(), "revoked");
    shop.must(&["lock", "journal", "--out", "journal.bin", "--dir", "court-3"]);
    let taken = shop.must(&["lock", "take-journal", "Court 3", "journal.bin"]).json;
    assert_eq!(
        (&taken["openings"], &taken["gap"], &taken["forked"]),
        (&1.into(), &false.into(), &false.into())
    );
    let known = shop.must(&["booking", "show", id]).json;
    assert_eq!(known["revocations"][0]["takes_effect"], "now", "{known}");
    let events = shop.must(&["lock", "events", "Court 3"]).json;
    let kinds: Vec<&str> =
        events["data"].as_array().unwrap().iter().filter_map(|one| one["kind"].as_str()).collect();
    assert_eq!(kinds, ["opened", "pin_cancelled"], "{events}");
    assert!(told(&shop, &["lock", "events", "Court 3"]).contains("opened by pin"));
    let mut changed = std::fs::read(shop.path("journal.bin")).unwrap();
    *changed.last_mut().unwrap() ^= 1;
    std::fs::write(shop.path("journal.bin"), changed).unwrap();
    assert_eq!(shop.run(&["lock", "take-journal", "Court 3", "journal.bin"]).status, 1);
}

#[test]
fn a_lock_provisioned_anew_has_other_pins() {
    let shop = court(&[]);
    let booking = book(&shop, &["--from", "12:00", "--for", "1h"]).json;
    let made = shop.must(&["lock", "provision", "Court 3", "--dir", "again"]).json;
    assert_eq!(made["bookings_changed"], 1, "{made}");
    assert_eq!(made["lock"]["generation"].as_u64().unwrap(), 2);
    let new = shop.must(&["booking", "show", booking["id"].as_str().unwrap()]).json;
    let at = |dir: &str, code: &str| {
        shop.run(&["lock", "press", code, "--dir", dir]).outcome().to_owned()
    };
    assert_eq!(at("again", &pin(&new, 0)), "granted");
    assert_eq!(at("again", &pin(&booking, 0)), "wrong_code");
    assert_eq!(at("court-3", &pin(&booking, 0)), "granted", "the old one knows nothing of it");
}

#[test]
fn profiles_tell_their_odds() {
    let shop = Shop::open();
    for profile in ["courts", "general", "stays"] {
        let shown = shop.must(&["lock", "profiles", "--profile", profile, "--zone", "UTC"]).json;
        let odds = shown["odds"].as_array().unwrap();
        let default = odds.iter().find(|odds| odds["default"] == true).unwrap();
        assert!(default["robot_year"].as_f64().unwrap() < 0.01, "{profile}");
    }
    let made = shop
        .must(&[
            "lock",
            "new",
            "Inn",
            "--site",
            "inn",
            "--profile",
            "stays",
            "--zone",
            "Pacific/Auckland",
        ])
        .json;
    let local =
        shop.must(&["lock", "profiles", "--profile", "stays", "--zone", "Pacific/Auckland"]).json;
    assert_eq!(made["lock"]["profile"]["grid"], local["grid"], "one rule on both sides");
    assert_eq!(shop.run(&["lock", "profiles", "--digits", "5"]).status, 2);
}
