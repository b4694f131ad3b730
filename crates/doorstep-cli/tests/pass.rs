//! Passes as staff give them out: the real server, the real commands, and a virtual lock at the door.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod support;

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use support::{Reply, Shop};

/// A shop at Monday noon UTC with a court, and the virtual lock at its door.
fn court(more: &[&str]) -> Shop {
    let shop = Shop::open();
    shop.must(&[&["lock", "new", "Court 3", "--site", "harbour"], more].concat());
    shop
}

fn issue(shop: &Shop, words: &[&str]) -> Reply {
    let at = ["pass", "issue", "--lock", "Court 3", "--from", "+0s", "--for", "1h"];
    shop.run(&[&at, words].concat())
}

fn tap(shop: &Shop, file: &str) -> Reply {
    shop.run(&["lock", "tap", file, "--dir", "court-3"])
}

/// What a command says to people.
fn told(shop: &Shop, words: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_doorstep"));
    shop.surround(&mut command);
    let output = command.args(words).output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn passes(shop: &Shop) -> usize {
    shop.must(&["pass", "list"]).json["data"].as_array().unwrap().len()
}

#[test]
fn every_command_has_help() {
    for verb in ["issue", "list", "show", "revoke", "riders", "time-token", "keys", "rotate"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_doorstep"));
        let output = command.args(["pass", verb, "--help"]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && text.contains("Usage: doorstep"), "{verb}");
    }
}

#[test]
fn a_pass_opens_in_each_form_in_which_it_is_handed_out() {
    let shop = court(&[]);
    let issued = issue(&shop, &["--png", "pass.png"]);
    assert_eq!(issued.status, 0, "{}", issued.json);
    assert_eq!(tap(&shop, "pass.png").outcome(), "granted");
    let id = issued.text("id");
    for (form, file) in [("--svg", "pass.svg"), ("--sheet", "pass.html"), ("--bin", "pass.bin")] {
        let text = told(&shop, &["pass", "show", &id, form, file]);
        assert!(text.contains("whoever has a copy"), "{text}");
        assert!(!text.contains("DP1:"), "what went into a file is not shown as well: {text}");
        let mode = std::fs::metadata(shop.path(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
        let again = shop.run(&["pass", "show", &id, form, file]);
        assert_eq!(again.status, 1, "nothing is overwritten: {}", again.json);
    }
    assert_eq!(tap(&shop, "pass.bin").outcome(), "granted");
    let sheet = std::fs::read_to_string(shop.path("pass.html")).unwrap();
    assert!(sheet.contains("<h1>Court 3</h1>") && sheet.contains("<svg"), "{sheet}");
    let text = told(&shop, &["pass", "show", &id, "--text"]);
    let line = text.lines().find(|line| line.starts_with("DP1:")).unwrap();
    assert_eq!(tap(&shop, line).outcome(), "granted");
    let plain = shop.must(&["pass", "show", &id]);
    assert!(!plain.json.to_string().contains("DP1:"), "only where it is asked for");
}

#[test]
fn what_cannot_be_is_refused_and_leaves_no_pass_and_no_file() {
    let shop = court(&[]);
    shop.must(&["lock", "new", "Gate", "--site", "harbour", "--passes", "none"]);
    let far = ["--lock", "Court 3", "--from", "2027-01-01", "--until", "2029-01-01"];
    let gate = ["--lock", "Gate", "--from", "+0s", "--for", "1h"];
    let group = ["--group", "courts", "--from", "+0s", "--for", "1h"];
    let court = ["--lock", "Court 3", "--from", "+0s", "--for", "1h"];
    let cases: [(&[&str], &[&str], i32); 9] = [
        (&["--lock", "Court 3"], &[], 2),
        (&court, &["--group", "courts"], 2),
        (&court, &["--once", "--uses", "3"], 2),
        (&court, &["--collect", "--holder", "p256:AAAA"], 2),
        (&court, &["--lasts", "90s"], 2),
        (&court, &["--holder", "p256:AAAA"], 1),
        (&far, &[], 1),
        (&gate, &[], 1),
        (&group, &[], 1),
    ];
    for (place, more, status) in cases {
        let words = [&["pass", "issue", "--png", "no.png"], place, more].concat();
        let reply = shop.run(&words);
        assert_eq!(reply.status, status, "{words:?}: {}", reply.json);
        assert!(!shop.path("no.png").exists(), "{words:?}");
    }
    assert_eq!(passes(&shop), 0);
}

#[test]
fn a_revoked_pass_ends_when_staff_bring_the_riders() {
    let shop = court(&[]);
    let id = issue(&shop, &["--bin", "pass.bin"]).text("id");
    let riders = ["pass", "riders", "Court 3", "--dir"];
    let before = shop.must(&[&riders[..], &["before"]].concat());
    assert_eq!(before.json["bulletin"]["revoked"], 0, "{}", before.json);
    let revoked = told(&shop, &["pass", "revoke", &id]);
    assert!(revoked.contains("opens until somebody's phone brings"), "{revoked}");
    assert_eq!(tap(&shop, "pass.bin").outcome(), "granted", "the lock cannot know");
    let after = shop.must(&[&riders[..], &["after"]].concat());
    assert_eq!(after.json["bulletin"]["revoked"], 1, "{}", after.json);
    let mut files: Vec<_> = std::fs::read_dir(shop.path("after")).unwrap().collect();
    files.sort_by_key(|file| file.as_ref().unwrap().path());
    for file in files {
        let path = file.unwrap().path();
        assert_eq!(tap(&shop, path.to_str().unwrap()).outcome(), "granted", "{}", path.display());
    }
    assert_eq!(tap(&shop, "pass.bin").outcome(), "revoked");
    let shown = shop.run(&["pass", "show", &id, "--png", "gone.png"]);
    assert_ne!(shown.status, 0, "a revoked pass is handed out no more: {}", shown.json);
    assert!(!shop.path("gone.png").exists());
    shop.must(&["lock", "journal", "--out", "court.journal", "--dir", "court-3"]);
    shop.must(&["lock", "take-journal", "Court 3", "court.journal"]);
    let shown = told(&shop, &["pass", "show", &id]);
    assert!(shown.contains("opens no more") && shown.contains("used"), "{shown}");
}

#[test]
fn keys_are_listed_and_rotated_and_the_old_one_ends_at_the_lock() {
    let shop = court(&[]);
    let keys = shop.must(&["pass", "keys"]).json;
    assert_eq!(keys["data"].as_array().unwrap().len(), 1, "{keys}");
    assert_eq!((&keys["data"][0]["at_locks"], &keys["locks"]), (&1.into(), &1.into()), "{keys}");
    issue(&shop, &["--bin", "old.bin"]);
    let text = told(&shop, &["pass", "rotate", "--ends-old", "now"]);
    assert!(text.contains("ended") && text.contains("0 of 1"), "{text}");
    assert_eq!(tap(&shop, "old.bin").outcome(), "granted", "the lock has not heard of it");
    let riders = shop.must(&["pass", "riders", "Court 3", "--dir", "riders"]).json;
    for number in 1..=riders["documents"].as_array().unwrap().len() {
        shop.advance("2s");
        assert_eq!(tap(&shop, &format!("riders/{number:02}.bin")).outcome(), "granted");
    }
    assert_eq!(tap(&shop, "old.bin").outcome(), "wrong_code");
    issue(&shop, &["--bin", "new.bin"]);
    assert_eq!(tap(&shop, "new.bin").outcome(), "granted");
    let wrong = shop.run(&["pass", "rotate", "--algorithm", "rsa"]);
    assert_eq!(wrong.status, 1, "{}", wrong.json);
}

#[test]
fn a_booking_gives_a_pin_a_pass_or_both() {
    let shop = court(&[]);
    let book = |hour: &str, words: &[&str]| {
        let add = ["booking", "add", "Court 3", "--from", hour, "--for", "1h"];
        shop.must(&[&add, words].concat()).json
    };
    let pin = book("13:00", &[]);
    assert!(pin["passes"].as_array().is_none_or(Vec::is_empty), "{pin}");
    let both = book("14:00", &["--access", "both", "--holders", "2"]);
    assert_eq!(both["passes"].as_array().unwrap().len(), 2, "{both}");
    assert!(both["holders"][1]["pin"].is_string(), "{both}");
    let pass = book("15:00", &["--access", "pass", "--once"]);
    assert_eq!(pass["passes"][0]["uses"], "once", "{pass}");
    let holders = pass["holders"].as_array().into_iter().flatten();
    assert!(holders.into_iter().all(|holder| holder["pin"].is_null()), "{pass}");
    let id = pass["passes"][0]["id"].as_str().unwrap();
    shop.must(&["pass", "show", id, "--png", "ana.png"]);
    shop.advance("3h");
    assert_eq!(tap(&shop, "ana.png").outcome(), "granted");
    assert_eq!(tap(&shop, "ana.png").outcome(), "already_used");
    let booking = pass["id"].as_str().unwrap();
    let cancelled = told(&shop, &["booking", "cancel", booking]);
    assert!(cancelled.contains("old pass"), "{cancelled}");
}

#[test]
fn guests_are_told_of_their_pass_as_of_their_pin() {
    let shop = court(&[]);
    let book = |hour: &str, words: &[&str]| {
        let add = ["booking", "add", "Court 3", "--from", hour, "--for", "1h"];
        shop.must(&[&add, words].concat()).json
    };
    let message = |booking: &str, holder: &str| {
        told(&shop, &["booking", "message", booking, "--holder", holder])
    };
    let dp1 =
        |message: &str| message.lines().find(|line| line.starts_with("DP1:")).map(str::to_owned);
    let pass = book("12:00", &["--access", "pass", "--holders", "2"]);
    let id = pass["id"].as_str().unwrap();
    let (first, second) = (dp1(&message(id, "0")).unwrap(), dp1(&message(id, "1")).unwrap());
    assert_ne!(first, second);
    assert_eq!(tap(&shop, &first).outcome(), "granted");
    // After a change each is told of the one that took the place of his own.
    let change = ["booking", "change", id, "--from", "12:00", "--for", "2h"];
    let moved = shop.must(&change).json;
    shop.must(&["pass", "revoke", moved["passes"][2]["id"].as_str().unwrap()]);
    let gone = shop.run(&["booking", "message", id]);
    assert!(gone.status == 1 && gone.stderr.contains("revoked"), "{}", gone.stderr);
    let again = dp1(&message(id, "1")).unwrap();
    assert_eq!(tap(&shop, &again).outcome(), "granted");
    assert!(![first, second].contains(&again));
    let nobody = shop.run(&["booking", "message", id, "--holder", "2"]);
    assert!(nobody.stderr.contains("no holder 2"), "{}", nobody.stderr);
    let both = book("15:00", &["--access", "both"]);
    let text = message(both["id"].as_str().unwrap(), "0");
    assert!(text.contains("Your code: ") && dp1(&text).is_some(), "{text}");
    // A ticket is not kept.
    let waiting = book("16:00", &["--access", "both", "--collect"]);
    let text = message(waiting["id"].as_str().unwrap(), "0");
    assert!(text.contains("Your code: ") && text.contains("ticket"), "{text}");
    assert!(!text.contains("pas_"), "{text}");
    let waiting = book("17:00", &["--access", "pass", "--collect"]);
    let id = waiting["id"].as_str().unwrap();
    let refused = shop.run(&["booking", "message", id]);
    assert_eq!(refused.status, 1);
    let hint = format!("pass issue --booking {id} --collect");
    assert!(refused.stderr.contains(&hint), "{}", refused.stderr);
    // What the hint says works.
    shop.must(&["pass", "revoke", waiting["passes"][0]["id"].as_str().unwrap()]);
    assert!(shop.must(&["pass", "issue", "--booking", id, "--collect"]).json["ticket"].is_string());
}

#[test]
fn one_pass_opens_all_locks_of_its_group() {
    let shop = Shop::open();
    for name in ["Gate", "Court 1"] {
        shop.must(&["lock", "new", name, "--site", "harbour", "--group", "courts"]);
    }
    shop.must(&["lock", "new", "Bar", "--site", "harbour"]);
    let staff = ["pass", "issue", "--group", "courts", "--from", "+0s", "--for", "30d"];
    shop.must(&[&staff[..], &["--bin", "staff.bin"]].concat());
    let at = |dir: &str| shop.run(&["lock", "tap", "staff.bin", "--dir", dir]).outcome().to_owned();
    assert_eq!([at("gate"), at("court-1"), at("bar")], ["granted", "granted", "wrong_code"]);
    let counted = shop.run(&[&staff[..], &["--once"]].concat());
    assert_eq!(counted.status, 1, "no other lock would know of its uses: {}", counted.json);
}
