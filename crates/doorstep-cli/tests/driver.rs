//! What a driver does with a device: takes deliveries on, hands them over, fails to, guards the device
//! with a PIN, and loses it.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod support;

use doorstep_qr::Qr;
use rusqlite::Connection;
use std::fs;
use std::process::Command;
use support::{Shop, WRITES, code_in, copy, killed_at, link_in, wrong};

fn handover(shop: &Shop, more: &[&str]) -> support::Reply {
    let mut arguments = vec!["driver", "handover", "--dir", "ana"];
    arguments.extend(more);
    shop.run(&arguments)
}

#[test]
fn a_driver_takes_a_delivery_that_nobody_has() {
    let shop = Shop::open();
    shop.driver("ana");
    shop.driver("leo");
    let delivery = shop.delivery("A-17");
    let take = |name: &str, delivery: &str, at: &str| {
        shop.run(&["driver", "take", delivery, "--at", at, "--variance", "45m", "--dir", name])
    };
    let taken = take("ana", "A-17", "+30m");
    assert_eq!(taken.status, 0, "{} {}", taken.json, taken.stderr);
    assert_eq!(
        (&taken.json["delivery"], &taken.json["stops"]),
        (&delivery.as_str().into(), &1.into())
    );
    let code = code_in(&shop.message(&delivery, 1, 0));
    assert_eq!(handover(&shop, &["1", &code]).outcome(), "granted");

    for (name, what, at, status, code) in [
        ("leo", "A-17", "+30m", 1, "needs_dispatcher"),
        ("leo", "A-18", "+30m", 1, "delivery_not_found"),
        ("leo", "A-17", "soon", 2, "usage"),
    ] {
        let refused = take(name, what, at);
        assert_eq!((refused.status, refused.outcome()), (status, code), "{}", refused.json);
    }
    let stray =
        shop.run(&["driver", "take", "A-17", "--at", "+1h", "--variance", "90s", "--dir", "leo"]);
    assert_eq!(stray.status, 2, "{}", stray.json);
}

#[test]
fn a_failed_attempt_is_told_and_the_code_is_taken_afterwards() {
    let mut shop = Shop::open();
    let (delivery, code) = shop.one_stop("ana");
    shop.stop();
    let fail = |reason: &str, note: &str| {
        shop.run(&["driver", "fail", "1", "--reason", reason, "--note", note, "--dir", "ana"])
    };
    for (reason, note) in [("gone", ""), ("absent", "a\nb"), ("absent", &"x".repeat(201))] {
        assert_eq!(fail(reason, note).status, 2, "{reason}");
    }
    assert_eq!(shop.status("ana")["waiting_to_sync"], 0);
    let failed = fail("refused-by-recipient", "wants it on Monday");
    assert_eq!((failed.status, failed.outcome()), (0, "failed"), "{}", failed.json);
    assert_eq!(failed.json["reference"], "ORDER-ana");
    assert_eq!(shop.stop_of("ana")["failed"]["reason"], "refused_by_recipient");
    let status = shop.status("ana");
    assert_eq!((&status["delivered_waiting"], &status["failed_waiting"]), (&0.into(), &1.into()));
    shop.start();
    shop.sync("ana");
    let shown = shop.wait_for(&delivery, "failed");
    assert_eq!(shown["failure"]["note"], "wants it on Monday");
    let text = shop.plain(&["delivery", "show", &delivery]);
    let why = "refused_by_recipient at 2026-03-02T12:00:00Z: wants it on Monday";
    assert!(text.contains(why), "{text}");
    assert_eq!(handover(&shop, &["1", &code]).outcome(), "granted");
    let again = shop.run(&["driver", "fail", "1", "--reason", "absent", "--dir", "ana"]);
    assert_eq!((again.status, again.outcome()), (3, "already_used"));
    shop.sync("ana");
    shop.wait_for(&delivery, "delivered");
}

#[test]
fn a_neighbour_is_asked_for_the_spare_code_and_no_other() {
    let shop = Shop::open();
    let (delivery, code) = shop.one_stop("ana");
    shop.must(&["delivery", "send-now", &delivery, "--spare", "--phone", "+44 20 7946 0001"]);
    let spare = code_in(&shop.message(&delivery, 1, 1));
    let refused = handover(&shop, &["1", &code, "--slot", "neighbour"]);
    assert_eq!((refused.status, refused.outcome()), (3, "wrong_code"), "a recipient's code");
    assert_eq!(refused.json["attempts_left"], 4, "it is counted");
    assert_eq!(handover(&shop, &["1", &spare, "--slot", "recipient"]).outcome(), "wrong_code");
    assert_eq!(handover(&shop, &["1", &spare, "--slot", "cellar"]).status, 2);
    let granted = handover(&shop, &["1", &spare, "--slot", "neighbour"]);
    assert_eq!(granted.outcome(), "granted");
    assert_eq!((&granted.json["slot"], &granted.json["spare"]), (&1.into(), &true.into()));
    shop.sync("ana");
    let shown = shop.wait_for(&delivery, "delivered");
    assert_eq!(shown["claims"][0]["slot"], 1);
}

#[test]
fn a_picture_of_the_code_is_scanned() {
    let shop = Shop::open();
    let (delivery, _) = shop.one_stop("ana");
    let link = link_in(&shop.message(&delivery, 1, 0));
    let picture = |name: &str, text: &str| {
        fs::write(shop.path(name), Qr::of_text(text).unwrap().png(4)).unwrap();
    };
    picture("door.png", &link);
    picture("poster.png", "https://example.com/");
    picture("other.png", &link.replace(":1:0:", ":2:0:"));
    fs::write(shop.path("noise"), [0, 159, 146, 150]).unwrap();
    let whole = fs::read(shop.path("door.png")).unwrap();
    fs::write(shop.path("cut.png"), &whole[..whole.len() / 2]).unwrap();
    let scan = |what: &str| shop.run(&["driver", "scan", what, "--dir", "ana"]);
    for (what, status, outcome) in [
        ("poster.png", 3, "no_code"),
        ("other.png", 3, "unknown"),
        ("cut.png", 1, "bad_image"),
        ("nowhere.png", 1, "no_such_file"),
        ("ana", 1, "no_such_file"),
        ("", 1, "no_such_file"),
        ("noise", 3, "no_code"),
        (&link[..link.len() - 1], 3, "mistyped"),
        ("door.png", 0, "granted"),
        ("door.png", 3, "already_used"),
        (&link, 3, "already_used"),
    ] {
        let reply = scan(what);
        assert_eq!((reply.status, reply.outcome()), (status, outcome), "{what}: {}", reply.json);
        assert!(!reply.json.to_string().contains("type all of it"), "{what}: {}", reply.json);
    }
}

#[test]
fn a_driver_names_a_delivery_as_its_label_does() {
    let shop = Shop::open();
    shop.driver("ana");
    let delivery = shop.delivery("A-17");
    let other = shop.delivery("1");
    for (name, at) in [("A-17", "+30m"), ("1", "+40m")] {
        let take = ["driver", "take", name, "--at", at, "--variance", "45m", "--dir", "ana"];
        assert_eq!(shop.run(&take).status, 0);
    }
    let listed = shop.must(&["driver", "list", "--dir", "ana"]).json;
    let references: Vec<&str> = listed["stops"]
        .as_array()
        .unwrap()
        .iter()
        .map(|stop| stop["reference"].as_str().unwrap())
        .collect();
    assert_eq!(references, ["A-17", "1"]);
    let list = shop.plain(&["driver", "list", "--dir", "ana"]);
    assert!(list.contains("A-17") && !list.contains("dlv_"), "{list}");
    let absent = ["driver", "fail", "A-17", "--reason", "absent", "--dir", "ana"];
    let noted = shop.plain(&absent);
    assert!(noted.contains("A-17: 12 Harbour Street, ") && noted.contains("absent"), "{noted}");
    let fail =
        |name: &str| shop.run(&["driver", "fail", name, "--reason", "absent", "--dir", "ana"]);
    assert_eq!(fail("1").status, 1, "the number of one and the reference of the other");
    for name in [other.as_str(), "2", "A-17"] {
        assert_eq!(fail(name).outcome(), "failed", "{name}");
    }
    for name in ["A-18", "3", "17 B", "01", "+2", "0"] {
        let unknown = fail(name);
        assert_eq!(unknown.status, 1, "{name} {}", unknown.json);
        assert!(unknown.stderr.contains(name), "{}", unknown.stderr);
    }
    let code = code_in(&shop.message(&delivery, 1, 0));
    assert_eq!(handover(&shop, &["A-17", &code]).outcome(), "granted");
}

/// A device under the PIN 4711, with one stop.
fn under_a_pin(shop: &Shop) -> (String, String) {
    fs::write(shop.path("pin"), "4711\n").unwrap();
    fs::write(shop.path("wrong-pin"), "4712\n").unwrap();
    let (delivery, code) = shop.one_stop("ana");
    let set = shop.run(&["driver", "pin", "--new-pin-file", "pin", "--dir", "ana"]);
    assert_eq!(set.status, 0, "{}", set.stderr);
    (delivery, code)
}

#[test]
fn a_pin_is_asked_for_where_the_key_is_used_and_ten_wrong_ones_erase_it() {
    let shop = Shop::open();
    let (delivery, code) = under_a_pin(&shop);
    let key = fs::read(shop.path("ana/device.key")).unwrap();
    assert!(key.len() > 32, "sealed");
    assert_eq!(shop.status("ana")["pin"], true, "nothing is asked to look at it");
    let none = handover(&shop, &["1", &code]);
    assert_eq!(none.status, 1, "there is no terminal to ask at: {}", none.json);
    for left in [9, 8] {
        let refused = handover(&shop, &["1", &code, "--pin-file", "wrong-pin"]);
        assert_eq!((refused.status, refused.outcome()), (3, "wrong_pin"));
        assert_eq!(refused.json["details"]["tries_left"], left);
    }
    fs::write(shop.path("no-pin"), "47a1\n").unwrap();
    assert_eq!(handover(&shop, &["1", &code, "--pin-file", "no-pin"]).outcome(), "not_a_pin");
    assert_eq!(shop.stop_of("ana")["attempts"], 0, "no code was tried");

    // The right one takes the wrong ones back, and a new one takes its place.
    let changed =
        ["driver", "pin", "--pin-file", "pin", "--new-pin-file", "new-pin", "--dir", "ana"];
    fs::write(shop.path("new-pin"), "081500\n").unwrap();
    shop.must(&changed);
    let old = handover(&shop, &["1", &code, "--pin-file", "pin"]);
    assert_eq!((old.outcome(), &old.json["details"]["tries_left"]), ("wrong_pin", &9.into()));
    let granted = handover(&shop, &["1", &code, "--pin-file", "new-pin"]);
    assert_eq!(granted.outcome(), "granted", "{}", granted.json);

    for _ in 0..9 {
        let refused = handover(&shop, &["1", &code, "--pin-file", "wrong-pin"]);
        assert_eq!(refused.outcome(), "wrong_pin");
    }
    let sync = ["driver", "sync", "--dir", "ana", "--pin-file"];
    let erased = shop.run(&[&sync[..], &["wrong-pin"]].concat());
    assert_eq!((erased.status, erased.outcome()), (3, "key_erased"));
    assert!(!shop.path("ana/device.key").exists());
    let right = shop.run(&[&sync[..], &["new-pin"]].concat());
    assert_eq!(right.outcome(), "key_erased", "also for the right one");

    // What was handed over before is not lost: it is signed.
    let export = shop.must(&["driver", "journal", "export", "--with-claims", "--dir", "ana"]);
    let records = export.json["records"].as_array().unwrap();
    let lines: Vec<String> = records.iter().map(ToString::to_string).collect();
    fs::write(shop.path("ana.jsonl"), lines.join("\n")).unwrap();
    assert_eq!(shop.must(&["driver", "carry", "ana.jsonl"]).json["received"], 1);
    shop.wait_for(&delivery, "delivered");
    fs::write(shop.path("bare.jsonl"), &lines[0]).unwrap();
    assert_eq!(shop.run(&["driver", "carry", "bare.jsonl"]).status, 1);
    assert_eq!(shop.run(&["driver", "carry", "pin"]).status, 1);
}

/// Whoever kills the program at a wrong PIN has not tried for nothing.
#[test]
fn killed_at_every_write_no_pin_is_tried_for_nothing() {
    let shop = Shop::open();
    let (_, code) = under_a_pin(&shop);
    let fresh = shop.path("fresh");
    copy(&shop.path("ana"), &fresh);
    let tries = || {
        let text = fs::read_to_string(shop.path("ana/pin.tries")).unwrap_or_default();
        text.trim().parse::<u8>().unwrap_or(0)
    };
    let mut kills = 0;
    for syscall in WRITES {
        for nth in 1.. {
            copy(&fresh, &shop.path("ana"));
            let guess =
                ["driver", "handover", "1", &code, "--dir", "ana", "--pin-file", "wrong-pin"];
            let (said, killed) = killed_at(|command| shop.surround(command), &guess, syscall, nth);
            kills += u32::from(killed);
            let told = said.outcome() == "wrong_pin";
            let point = format!("{syscall} {nth}: {:?}, {} counted", said.outcome(), tries());
            assert!(tries() == 1 || (tries() == 0 && !told), "{point}");
            // The right one still works, whatever happened.
            if !killed {
                break;
            }
        }
    }
    assert!(kills >= 4, "only {kills} kills: the trace missed the writes");
    assert_eq!(handover(&shop, &["1", &code, "--pin-file", "pin"]).outcome(), "granted");
}

#[test]
fn an_export_of_the_journal_tells_support_what_happened_and_no_secret() {
    let shop = Shop::open();
    let (delivery, code) = shop.one_stop("ana");
    assert_eq!(handover(&shop, &["1", &wrong(&code, 0)]).outcome(), "wrong_code");
    shop.must(&[
        "driver",
        "fail",
        "1",
        "--reason",
        "other",
        "--note",
        "Zoë is ill",
        "--dir",
        "ana",
    ]);
    assert_eq!(handover(&shop, &["1", &code]).outcome(), "granted");
    let link = link_in(&shop.message(&delivery, 1, 0));
    let export = shop.must(&["driver", "journal", "export", "--dir", "ana"]);
    let records = export.json["records"].as_array().unwrap();
    let kinds: Vec<&str> = records.iter().map(|record| record["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "attempted").count(), 2, "{kinds:?}");
    assert_eq!((kinds[0], kinds[kinds.len() - 1]), ("enrolled", "claimed"));
    let written = export.json.to_string();
    let secret = link.rsplit(':').next().unwrap();
    for hidden in [
        code.as_str(),
        &code.replace(' ', ""),
        secret,
        "Zoë",
        "Harbour",
        "salt",
        "tag",
        "evidence",
        "document",
    ] {
        assert!(!written.contains(hidden), "{hidden}");
    }
    let with_claims = shop.must(&["driver", "journal", "export", "--with-claims", "--dir", "ana"]);
    assert!(with_claims.json.to_string().contains("document"));
}

#[test]
fn a_lost_device_gets_nothing_more_and_its_deliveries_are_planned_again() {
    let shop = Shop::open();
    let (delivery, _) = shop.one_stop("ana");
    let lost = shop.must(&["driver", "lose", "ana"]);
    assert_eq!(lost.json["deliveries"][0], delivery.as_str());
    let synced = shop.sync("ana");
    assert_eq!(
        (synced.status, synced.json["refused"]["error"]["code"].as_str()),
        (3, Some("device_lost"))
    );
    assert_eq!(
        shop.run(&["driver", "lose", "ana"]).outcome(),
        "driver_unknown",
        "it is lost already"
    );
    assert_eq!(shop.run(&["driver", "lose", "dev_0"]).outcome(), "device_not_found");
    let leo = shop.driver("leo");
    shop.plan(&delivery, &leo);
    assert_eq!(shop.sync("leo").json["stops"], 1);
}

#[test]
fn a_device_is_lost_by_its_driver_s_name_in_whatever_state_it_is() {
    let shop = Shop::open();
    shop.one_stop("ana");
    copy(&shop.path("ana"), &shop.path("copy"));
    for dir in ["ana", "copy"] {
        let fail = ["driver", "fail", "1", "--reason", "absent", "--note", dir, "--dir", dir];
        assert_eq!(shop.run(&fail).status, 0);
        shop.sync(dir);
    }
    assert_eq!(shop.sync("ana").json["refused"]["error"]["code"], "device_forked");
    shop.must(&["driver", "lose", "ana"]);
    assert_eq!(shop.sync("ana").json["refused"]["error"]["code"], "device_lost");
    shop.must(&["driver", "invite", "leo"]);
    shop.must(&["driver", "invite", "leo"]);
    let several = shop.run(&["driver", "lose", "leo"]);
    assert_eq!((several.status, several.outcome()), (1, "driver_ambiguous"));
    let told = several.json["error"].to_string();
    assert!(told.contains("(invited)") && told.contains("driver lose ID"), "{told}");
    let nobody = shop.run(&["driver", "lose", "zoe"]);
    assert_eq!((nobody.status, nobody.outcome()), (1, "driver_unknown"));
}

#[test]
fn an_enrolment_under_a_pin_leaves_no_open_key() {
    let shop = Shop::open();
    fs::write(shop.path("pin"), "4711").unwrap();
    let ticket = shop.must(&["driver", "invite", "Ana", "--managed"]).text("ticket");
    fs::write(shop.path("ticket"), ticket).unwrap();
    let enrol = |more: &[&str]| {
        let mut arguments = vec!["driver", "enrol", "--ticket", "ticket", "--dir", "ana"];
        arguments.extend(more);
        shop.run(&arguments)
    };
    assert_eq!(enrol(&["--pin-file", "pin"]).status, 2, "only with --pin");
    assert_eq!(enrol(&["--pin"]).status, 1, "there is no terminal to ask at");
    let enrolled = enrol(&["--pin", "--pin-file", "pin"]);
    assert_eq!(enrolled.status, 0, "{}", enrolled.stderr);
    assert_eq!((&enrolled.json["managed"], &enrolled.json["pin"]), (&true.into(), &true.into()));
    assert!(fs::read(shop.path("ana/device.key")).unwrap().starts_with(b"dsdrive"));
    let status = shop.status("ana");
    assert_eq!((&status["managed"], &status["pin"]), (&true.into(), &true.into()));
    assert_eq!(shop.run(&["driver", "sync", "--dir", "ana", "--pin-file", "pin"]).status, 0);
}

/// Claims that decide nothing, as many as the server takes from a device in a day.
fn use_up_the_day(shop: &Shop) {
    let database = Connection::open(shop.path("data/doorstep.db")).unwrap();
    database
        .execute_batch(
            "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
             INSERT INTO claims (log_seq, log_hash, device, number, hash, document, delivery, generation,
                                 outcome, reason, note, at, signed_time, received_at, forked, verdict, idle)
             SELECT i, randomblob(32), device, number, randomblob(32), document, delivery, generation,
                    outcome, reason, note, at, signed_time, received_at, forked, 'noted', 1
             FROM claims, n WHERE log_seq = 1",
        )
        .unwrap();
}

#[test]
fn a_device_that_failed_too_often_gets_its_route_and_its_outcomes_wait() {
    let mut shop = Shop::open();
    let (delivery, _) = shop.one_stop("ana");
    let fail = ["driver", "fail", "ORDER-ana", "--reason", "absent", "--dir", "ana"];
    shop.must(&fail);
    shop.sync("ana");
    shop.wait_for(&delivery, "failed");
    shop.stop();
    use_up_the_day(&shop);
    shop.start();
    shop.must(&fail);
    let next = shop.delivery("A-17");
    shop.plan(&next, shop.status("ana")["device"].as_str().unwrap());
    shop.advance("1m");

    let sync = ["driver", "sync", "--dir", "ana"];
    let mut told = Command::new(env!("CARGO_BIN_EXE_doorstep"));
    shop.surround(told.args(sync));
    let told = told.output().unwrap();
    let text = String::from_utf8(told.stdout).unwrap();
    assert_eq!(told.status.code(), Some(3), "{text}");
    for line in ["0 outcomes sent, 1 stops received", "outcomes wait until 2026-03-03 12:00: "] {
        assert!(text.contains(line), "{text}");
    }
    assert!(text.contains("waiting to sync: 0 (and 1 failed attempt)"), "{text}");
    assert!(!text.contains("no route"), "{text}");
    let again = shop.run(&sync);
    assert_eq!(again.status, 3, "{}", again.json);
    assert_eq!(again.json["postponed"]["error"]["code"], "too_many_requests");
    assert_eq!(again.json["postponed"]["until"], "2026-03-03T12:00:00Z");
    assert_eq!(
        (&again.json["refused"], &again.json["waiting_to_sync"]),
        (&serde_json::Value::Null, &1.into())
    );
    let code = code_in(&shop.message(&next, 1, 0));
    assert_eq!(handover(&shop, &["A-17", &code]).outcome(), "granted");
    shop.delivery("A-18");
    let take = ["driver", "take", "A-18", "--at", "+1h", "--dir", "ana"];
    let taken = shop.run(&take);
    assert_eq!((taken.status, &taken.json["stops"]), (0, &1.into()), "{}", taken.json);

    shop.set_clock("2026-03-03T12:00:00Z");
    let synced = shop.run(&sync);
    assert_eq!((synced.status, &synced.json["sent"]), (0, &2.into()), "{}", synced.json);
    shop.wait_for(&next, "delivered");
}
