//! Guests, their phones, a lock and the service that makes the passes: all of them the real program.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod support;

use serde_json::{Value, json};
use support::guest::Guest;
use support::meeting::Listening;
use support::{Reply, Shop, killed_at};

/// A service with one lock, which has never heard of it since it was installed.
struct Harbour {
    shop: Shop,
}

impl Harbour {
    fn open() -> Self {
        let shop = Shop::open();
        shop.must(&["lock", "new", "Court 3", "--site", "harbour", "--bundle", "court.bundle"]);
        shop.must(&["lock", "install", "court.bundle", "--dir", "court"]);
        Self { shop }
    }

    fn court_of_the_group(&self, name: &str) {
        let bundle = format!("{name}.bundle");
        let new = ["lock", "new", name, "--site", "harbour", "--group", "courts", "--bundle"];
        self.shop.must(&[&new[..], &[&bundle]].concat());
        self.shop.must(&["lock", "install", &bundle, "--dir", name]);
    }

    fn guest(&self) -> Guest {
        Guest::at_clock(self.shop.path("data/clock"))
    }

    fn listen(&self, dir: &str) -> Listening {
        Listening::run(self.shop.command(&["lock", "listen", "--dir", dir]))
    }

    /// A ticket for a pass of the next hour, with these options.
    fn ticket(&self, options: &[&str]) -> Reply {
        let issue = ["pass", "issue", "--from", "+0m", "--for", "1h", "--collect"];
        let place: &[&str] =
            if options.contains(&"--group") { &[] } else { &["--lock", "Court 3"] };
        self.shop.must(&[&issue, place, options].concat())
    }

    fn collect(&self, guest: &Guest, ticket: &str) -> Reply {
        guest.run(&["collect", ticket, "--server", self.shop.url()])
    }

    /// A guest who has collected a pass with these options, and the pass's id.
    fn guest_with(&self, options: &[&str]) -> (Guest, String) {
        let guest = self.guest();
        let collected = self.collect(&guest, &self.ticket(options).text("ticket"));
        assert_eq!(collected.status, 0, "{} {}", collected.json, collected.stderr);
        let id = collected.json["collected"]["id"].as_str().unwrap().to_owned();
        (guest, id)
    }

    fn tap(&self, guest: &Guest, options: &[&str]) -> Reply {
        self.tap_at(guest, "court", options)
    }

    fn tap_at(&self, guest: &Guest, dir: &str, options: &[&str]) -> Reply {
        let dir = self.shop.path(dir);
        guest.run(&[&["tap", "1", "--lock", dir.to_str().unwrap()], options].concat())
    }

    fn pass(&self, id: &str) -> Value {
        self.shop.must(&["pass", "show", id]).json
    }
}

fn opened(reply: &Reply) {
    assert_eq!((reply.status, &reply.json["answer"]), (0, &json!("opened")), "{}", reply.json);
}

/// What was brought to the lock, and what it said.
fn brought(reply: &Reply) -> Vec<(String, String)> {
    let all = reply.json["brought"].as_array().unwrap();
    let word = |one: &Value, name: &str| one[name].as_str().unwrap().to_owned();
    all.iter().map(|one| (word(one, "kind"), word(one, "answer"))).collect()
}

fn pair(kind: &str, answer: &str) -> (String, String) {
    (kind.to_owned(), answer.to_owned())
}

#[test]
fn a_ticket_becomes_a_pass_that_opens_and_the_journal_comes_home() {
    let harbour = Harbour::open();
    let (guest, id) = harbour.guest_with(&["--once"]);
    let listed = guest.must(&["list"]).json["passes"][0].clone();
    assert_eq!(
        (listed["label"].as_str(), listed["uses"].as_str()),
        (Some("Court 3"), Some("once"))
    );
    assert_eq!(
        (listed["bearer"].as_bool(), listed["kind"].as_str()),
        (Some(false), Some("signed"))
    );
    let _lock = harbour.listen("court");
    let tapped = harbour.tap(&guest, &[]);
    opened(&tapped);
    assert!(tapped.json["journal"]["bytes"].as_u64().unwrap() > 0, "{}", tapped.json);
    assert_eq!(harbour.tap(&guest, &["--ble"]).outcome(), "already_used");
    assert_eq!(harbour.pass(&id)["uses_seen"], 0, "nobody has told the service");
    let synced = guest.must(&["sync"]).json["servers"][0].clone();
    assert_eq!(synced["reached"], true);
    assert_eq!(synced["passes"][0]["state"], "issued");
    assert!(synced["passes"][0]["journal"]["new_records"].as_u64().unwrap() > 0, "{synced}");
    assert_eq!(harbour.pass(&id)["uses_seen"], 1);
    let again = guest.must(&["sync"]).json["servers"][0]["passes"].clone();
    assert_eq!(again.as_array().unwrap().len(), 1);
    assert!(again[0]["journal"].is_null(), "it was delivered: {again}");
}

#[test]
fn every_kind_of_pass_and_of_key_is_collected_and_opens() {
    let harbour = Harbour::open();
    let _lock = harbour.listen("court");
    for (kind, algorithm) in
        [("signed", "ed25519"), ("mac", "p256"), ("encrypted", "ed25519"), ("encrypted", "p256")]
    {
        let guest = harbour.guest();
        std::fs::remove_file(guest.path("wallet")).unwrap();
        guest.must(&["init", "--algorithm", algorithm]);
        let ticket = harbour.ticket(&["--kind", kind, "--uses", "2"]).text("ticket");
        let collected = harbour.collect(&guest, &ticket);
        assert_eq!(collected.status, 0, "{kind}: {}", collected.stderr);
        let listed = guest.must(&["list"]).json["passes"][0].clone();
        assert_eq!((&listed["kind"], &listed["uses"]), (&json!(kind), &json!(2)), "{kind}");
        assert_eq!(listed["standing"], "open", "{kind}");
        assert!(listed["lock"].is_string() && listed["label"] == "Court 3", "{listed}");
        for ends in [0, 0, 3] {
            assert_eq!(harbour.tap(&guest, &[]).status, ends, "{kind}");
        }
    }
}

#[test]
fn an_answer_that_got_lost_loses_no_pass_and_a_ticket_is_good_once() {
    let harbour = Harbour::open();
    let ticket = harbour.ticket(&[]).text("ticket");
    let guest = harbour.guest();
    let url = harbour.shop.url().to_owned();
    // The service has answered, and the phone dies before it has written anything.
    for syscall in ["fsync", "rename"] {
        let surround = |command: &mut std::process::Command| guest.surround(command);
        let arguments = ["wallet", "collect", &ticket, "--server", &url];
        let (_, killed) = killed_at(surround, &arguments, syscall, 1);
        assert!(killed, "{syscall}");
        assert!(guest.ids().is_empty(), "{syscall}");
    }
    let thief = harbour.guest();
    let refused = harbour.collect(&thief, &ticket);
    assert_eq!((refused.status, refused.outcome()), (1, "ticket_invalid"), "{}", refused.stderr);
    for _ in 0..2 {
        assert_eq!(harbour.collect(&guest, &ticket).status, 0);
        assert_eq!(guest.ids().len(), 1, "the same pass");
    }
    assert!(thief.ids().is_empty());
    // What is no ticket, or one for other data, is not even sent.
    let live = ticket.replace("pas_test_", "pas_live_");
    for bad in [live.as_str(), "pas_test_", "missing", "DP1:ABC"] {
        let refused = harbour.collect(&thief, bad);
        assert!([1, 2].contains(&refused.status) && refused.outcome() != "ticket_invalid", "{bad}");
    }
    let output = thief
        .command(&["collect", &ticket, "--server", &url, "--wallet", "real"])
        .env_remove("DOORSTEP_CLOCK")
        .output()
        .unwrap();
    assert_eq!(support::reply(&output).outcome(), "no_wallet");
    // The ticket and what it became are nowhere in the clear.
    let wallet = guest.read("wallet");
    for secret in [ticket.as_bytes(), b"pst_", url.as_bytes(), b"Court 3"] {
        assert!(!wallet.windows(secret.len()).any(|window| window == secret));
    }
}

#[test]
fn a_revoked_pass_is_stopped_by_the_list_that_the_next_guest_brought() {
    let harbour = Harbour::open();
    let (stays, _) = harbour.guest_with(&[]);
    let (leaves, revoked) = harbour.guest_with(&[]);
    let _lock = harbour.listen("court");
    opened(&harbour.tap(&leaves, &[]));
    let told = harbour.shop.must(&["pass", "revoke", &revoked]).json;
    assert_eq!(told["revocation"]["takes_effect"], "when_list_delivered", "{told}");
    opened(&harbour.tap(&leaves, &[]));
    stays.must(&["sync"]);
    let tapped = harbour.tap(&stays, &[]);
    opened(&tapped);
    assert_eq!(brought(&tapped), [pair("bulletin", "taken")]);
    assert_eq!(harbour.tap(&leaves, &[]).outcome(), "revoked");
    let again = harbour.tap(&stays, &[]);
    opened(&again);
    assert_eq!(brought(&again), [], "the lock has it");
    assert!(harbour.pass(&revoked)["revocation"]["done_at"].is_null());
    stays.must(&["sync"]);
    assert!(harbour.pass(&revoked)["revocation"]["done_at"].is_string(), "the journal shows it");
    // The one whose pass it was is told as well.
    leaves.run(&["sync"]);
    assert_eq!(leaves.must(&["list"]).json["passes"][0]["state"], "revoked");
}

#[test]
fn a_booking_that_moves_takes_the_guests_pass_along() {
    let harbour = Harbour::open();
    let add = ["booking", "add", "Court 3", "--from", "+0m", "--for", "1h"];
    let access = ["--access", "pass", "--collect"];
    let booking = harbour.shop.must(&[&add[..], &access].concat()).json;
    let guest = harbour.guest();
    let collected = harbour.collect(&guest, booking["passes"][0]["ticket"].as_str().unwrap());
    assert_eq!(collected.status, 0, "{}", collected.stderr);
    let before = guest.ids();
    let _lock = harbour.listen("court");
    opened(&harbour.tap(&guest, &[]));
    let id = booking["id"].as_str().unwrap();
    let moved = ["booking", "change", id, "--from", "+5m", "--for", "2h"];
    let moved = harbour.shop.must(&moved).json["passes"][1].clone();
    // Its news, with the journal of that opening, still come under the old id.
    let synced = guest.must(&["sync"]).json["servers"][0]["passes"][0].clone();
    assert_eq!((&synced["state"], &synced["successor"]), (&json!("revoked"), &moved["id"]));
    assert_eq!(guest.ids(), [moved["id"].as_str().unwrap()], "in its place");
    assert_ne!(guest.ids(), before);
    let held = guest.must(&["list"]).json["passes"][0].clone();
    assert_eq!((&held["label"], &held["until"]), (&json!("Court 3"), &moved["until"]));
    harbour.shop.advance("90m");
    let tapped = harbour.tap(&guest, &[]);
    opened(&tapped);
    assert!(brought(&tapped).contains(&pair("bulletin", "taken")), "{}", tapped.json);
    let synced = guest.must(&["sync"]).json["servers"][0]["passes"][0].clone();
    assert_eq!((&synced["state"], &synced["successor"]), (&json!("issued"), &Value::Null));
    harbour.shop.must(&["booking", "cancel", id]);
    guest.must(&["sync"]);
    assert_eq!(guest.must(&["list"]).json["passes"][0]["state"], "revoked");
}

#[test]
fn keys_come_to_the_lock_with_the_pass_that_needs_them() {
    let harbour = Harbour::open();
    let _lock = harbour.listen("court");
    for _ in 0..2 {
        harbour.shop.must(&["pass", "rotate"]);
    }
    let (guest, _) = harbour.guest_with(&[]);
    let tapped = harbour.tap(&guest, &["--ble", "--fragment", "20"]);
    opened(&tapped);
    let taken = pair("rotation", "taken");
    let rotations: Vec<_> =
        brought(&tapped).into_iter().filter(|(kind, _)| kind == "rotation").collect();
    assert_eq!(rotations, [taken.clone(), taken], "{}", tapped.json);
}

#[test]
fn a_pass_is_made_anew_when_the_key_that_signed_it_ends() {
    let harbour = Harbour::open();
    let _lock = harbour.listen("court");
    let (guest, id) = harbour.guest_with(&["--uses", "2"]);
    let (late, _) = harbour.guest_with(&[]);
    harbour.shop.must(&["pass", "rotate", "--ends-old", "now"]);
    harbour.shop.advance("1m");
    guest.must(&["sync"]);
    let tapped = harbour.tap(&guest, &[]);
    opened(&tapped);
    assert!(brought(&tapped).contains(&pair("rotation", "taken")), "{}", tapped.json);
    // Who has not asked since shows what the lock takes no more, until he does.
    assert_eq!(harbour.tap(&late, &[]).outcome(), "wrong_code");
    late.must(&["sync"]);
    opened(&harbour.tap(&late, &[]));
    assert_eq!(guest.ids(), [id]);
    assert_eq!(guest.must(&["list"]).json["passes"][0]["uses"], 2);
}

#[test]
fn a_lock_that_lost_the_time_is_told_it_by_a_phone() {
    let harbour = Harbour::open();
    let (guest, _) = harbour.guest_with(&[]);
    let _lock = harbour.listen("court");
    harbour.shop.must(&["lock", "pull-power", "--for", "10m", "--dir", "court"]);
    harbour.shop.advance("601s");
    let offline = harbour.tap(&guest, &["--offline"]);
    assert_eq!((offline.status, offline.outcome()), (3, "clock_unset"));
    assert_eq!(offline.json["time"], "offline");
    // The phone goes where it has a network, and comes back.
    let synced = guest.must(&["sync"]).json["servers"][0]["passes"][0].clone();
    assert_eq!(synced["time"], true, "{synced}");
    let back = harbour.tap(&guest, &["--offline"]);
    opened(&back);
    assert_eq!(brought(&back), [pair("time", "taken")]);
    // Or it asks while it stands there.
    harbour.shop.must(&["lock", "pull-power", "--for", "10m", "--dir", "court"]);
    harbour.shop.advance("601s");
    let online = harbour.tap(&guest, &[]);
    opened(&online);
    assert_eq!(brought(&online), [pair("time", "taken")]);
    assert!(online.json["time"].is_null());
}

#[test]
fn a_pass_that_was_renewed_on_the_way_to_the_time_opens_at_once() {
    let harbour = Harbour::open();
    let (guest, _) = harbour.guest_with(&["--once"]);
    harbour.shop.must(&["lock", "pull-power", "--for", "0s", "--dir", "court"]);
    let _lock = harbour.listen("court");
    harbour.shop.must(&["pass", "rotate", "--ends-old", "now"]);
    harbour.shop.advance("1m");
    let tapped = harbour.tap(&guest, &[]);
    opened(&tapped);
    assert!(brought(&tapped).contains(&pair("time", "taken")), "{}", tapped.json);
    assert!(brought(&tapped).contains(&pair("rotation", "taken")), "{}", tapped.json);
}

#[test]
fn a_service_that_is_gone_stops_nothing_at_the_door() {
    let mut harbour = Harbour::open();
    let (guest, _) = harbour.guest_with(&[]);
    let unused = harbour.ticket(&[]).text("ticket");
    harbour.shop.stop();
    let _lock = harbour.listen("court");
    opened(&harbour.tap(&guest, &[]));
    let sync = guest.run(&["sync"]);
    assert_eq!((sync.status, sync.outcome()), (1, "unreachable"));
    let collect = harbour.collect(&guest, &unused);
    assert_eq!((collect.status, collect.outcome()), (1, "unreachable"));
    assert!(collect.stderr.contains("still good"), "{}", collect.stderr);
    guest.must(&["list"]);
    guest.must(&["show", "1", "--qr"]);
    harbour.shop.must(&["lock", "pull-power", "--for", "10m", "--dir", "court"]);
    harbour.shop.advance("601s");
    let lost = harbour.tap(&guest, &[]);
    assert_eq!((lost.status, lost.outcome()), (3, "clock_unset"));
    assert_eq!(lost.json["time"], "unreachable");
    // It is there again, and has what was kept for it.
    let address = harbour.shop.url().trim_start_matches("http://").to_owned();
    harbour.shop.start_at(&address);
    let synced = guest.must(&["sync"]).json["servers"][0]["passes"][0].clone();
    assert!(synced["journal"]["new_records"].as_u64().unwrap() > 0, "{synced}");
}

#[test]
fn keys_come_to_a_groups_lock_that_the_phone_has_not_met() {
    let harbour = Harbour::open();
    for name in ["one", "two"] {
        harbour.court_of_the_group(name);
    }
    let (late, _) = harbour.guest_with(&["--group", "courts"]);
    harbour.shop.must(&["pass", "rotate", "--ends-old", "now"]);
    harbour.shop.advance("1m");
    let (guest, _) = harbour.guest_with(&["--group", "courts"]);
    late.must(&["sync"]);
    for (guest, dir) in [(&guest, "one"), (&late, "two")] {
        let _lock = harbour.listen(dir);
        let tapped = harbour.tap_at(guest, dir, &[]);
        opened(&tapped);
        assert!(brought(&tapped).contains(&pair("rotation", "taken")), "{dir}: {}", tapped.json);
    }
}

#[test]
fn a_pass_for_a_group_is_told_of_each_lock_that_was_met() {
    let harbour = Harbour::open();
    for name in ["one", "two"] {
        harbour.court_of_the_group(name);
    }
    let (guest, id) = harbour.guest_with(&["--group", "courts"]);
    assert_eq!(guest.must(&["list"]).json["passes"][0]["group"], "courts");
    let _locks = ["one", "two"].map(|dir| harbour.listen(dir));
    for dir in ["one", "two"] {
        opened(&harbour.tap_at(&guest, dir, &[]));
    }
    let synced = guest.must(&["sync"]).json["servers"][0]["passes"].clone();
    let synced = synced.as_array().unwrap();
    assert_eq!(synced.len(), 2, "{synced:?}");
    for news in synced {
        assert!(news["lock"].is_string() && news["state"] == "issued", "{news}");
        assert!(news["journal"]["new_records"].as_u64().unwrap() > 0, "{news}");
    }
    // Somebody else of the group is revoked: both locks hear of it from this phone.
    let (_, other) = harbour.guest_with(&["--group", "courts"]);
    harbour.shop.must(&["pass", "revoke", &other]);
    guest.must(&["sync"]);
    for dir in ["one", "two"] {
        let tapped = harbour.tap_at(&guest, dir, &[]);
        opened(&tapped);
        assert_eq!(brought(&tapped), [pair("bulletin", "taken")], "{dir}");
    }
    assert_eq!(harbour.pass(&id)["uses_seen"], 2);
}
