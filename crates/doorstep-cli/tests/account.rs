//! Accounts as people use them: the real server, the real command, an authenticator in the test's hand.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod support;

use serde_json::json;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use support::Shop;

const HEX: &str = "3132333435363738393031323334353637383930";

/// What `doorstep code` shows for a secret, at the shop's time and so many seconds later.
fn totp(shop: &Shop, secret: &str, later: i64) -> String {
    std::fs::write(shop.path("secret.txt"), secret).unwrap();
    let now: i64 =
        std::fs::read_to_string(shop.path("data/clock")).unwrap().trim().parse().unwrap();
    let now = (now + later).to_string();
    let code = shop.must(&["code", "totp", "--key-file", "secret.txt", "--now", &now]);
    code.json["codes"][0]["code"].as_str().unwrap().to_owned()
}

fn enrolled(shop: &Shop, name: &str) -> String {
    shop.must(&["account", "add", name]);
    let enrolled = shop.must(&["account", "enrol", name, "--label", "phone"]).json;
    let secret = enrolled["provisioning"]["secret"].as_str().unwrap().to_owned();
    shop.must(&["account", "activate", name, &totp(shop, &secret, 0)]);
    shop.advance("60s");
    secret
}

#[test]
fn every_command_has_help() {
    for verb in [
        "add",
        "list",
        "show",
        "enrol",
        "activate",
        "verify",
        "resync",
        "challenge",
        "answer",
        "recovery",
        "recover",
        "unlock",
        "disable",
        "enable",
        "import",
        "export",
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_doorstep"));
        let output = command.args(["account", verb, "--help"]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && text.contains("Usage: doorstep account"), "{verb}");
    }
}

#[test]
fn from_enrolment_to_a_login_and_a_lost_phone() {
    let shop = Shop::open();
    shop.must(&["account", "add", "Ana@example.com"]);
    let files = ["--svg", "ana.svg", "--png", "ana.png"];
    let enrol = ["account", "enrol", "ana@example.com", "--issuer", "Example Ltd"];
    let made = shop.must(&[&enrol[..], &files[..]].concat()).json;
    let secret = made["provisioning"]["secret"].as_str().unwrap().to_owned();
    for file in ["ana.svg", "ana.png"] {
        let mode = std::fs::metadata(shop.path(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let png = std::fs::read(shop.path("ana.png")).unwrap();
    let uri = made["provisioning"]["uri"].as_str().unwrap();
    assert_eq!(doorstep_qr::read(&png).unwrap()[0].as_slice(), uri.as_bytes());
    let again = shop.run(&[&enrol[..], &files[..]].concat());
    assert_eq!(again.status, 1, "no file is overwritten");
    assert_eq!(std::fs::read(shop.path("ana.png")).unwrap(), png);

    let code = totp(&shop, &secret, 0);
    assert_eq!(shop.run(&["account", "verify", "ana@example.com", &code]).status, 3);
    shop.must(&["account", "activate", "ana@example.com", &code]);
    shop.advance("30s");
    let code = totp(&shop, &secret, 0);
    let verify = ["account", "verify", "ANA@example.com", &code];
    assert_eq!(shop.must(&verify).outcome(), "granted");
    let replay = shop.run(&verify);
    assert_eq!((replay.status, replay.outcome()), (3, "already_used"));

    let codes = shop.must(&["account", "recovery", "ana@example.com"]).json["codes"].clone();
    let code = codes[0].as_str().unwrap();
    let recover = ["account", "recover", "ana@example.com", code];
    assert_eq!(shop.must(&recover).outcome(), "granted");
    assert_eq!(shop.run(&recover).outcome(), "already_used");
    let shown = shop.must(&["account", "show", "ana@example.com"]).json;
    assert_eq!(shown["recovery_codes_left"], 9);
    let id = shown["authenticators"][0]["id"].as_str().unwrap();
    let disable = ["account", "disable", "ana@example.com", "--authenticator", id];
    let shown = shop.must(&disable).json;
    assert_eq!(shown["authenticators"][0]["state"], "disabled");
    let code = totp(&shop, &secret, 60);
    assert_eq!(shop.run(&["account", "verify", "ana@example.com", &code]).outcome(), "unknown");
}

#[test]
fn the_terminal_shows_a_code_that_can_be_scanned_and_the_secret_beside_it() {
    let shop = Shop::open();
    shop.must(&["account", "add", "ana"]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_doorstep"));
    command.args(["account", "enrol", "ana"]);
    shop.surround(&mut command);
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.contains('▀') && text.contains("secret: "), "{text}");
    assert!(text.contains("doorstep account activate ana CODE"), "{text}");
}

#[test]
fn a_clock_hours_off_is_followed_after_a_resync_and_a_refusal_tells_the_time() {
    let shop = Shop::open();
    let secret = enrolled(&shop, "ana");
    let off = 2 * 3600;
    let refused = shop.run(&["account", "verify", "ana", &totp(&shop, &secret, off)]);
    assert_eq!((refused.status, refused.outcome()), (3, "wrong_code"));
    assert_eq!(refused.text("server_time"), "2026-03-02T12:01:00Z");
    let (first, second) = (totp(&shop, &secret, off), totp(&shop, &secret, off + 30));
    assert_eq!(shop.must(&["account", "resync", "ana", &first, &second]).outcome(), "granted");
    shop.advance("60s");
    let granted = shop.must(&["account", "verify", "ana", &totp(&shop, &secret, off)]).json;
    assert_eq!((&granted["outcome"], &granted["why"]), (&json!("granted"), &json!("drift")));
}

#[test]
fn a_lockout_does_not_hold_for_known_devices_and_ends_with_an_unlock() {
    let shop = Shop::open();
    let secret = enrolled(&shop, "ana");
    let code = totp(&shop, &secret, 0);
    let token = shop.must(&["account", "verify", "ana", &code, "--remember"]).text("known_device");
    std::fs::write(shop.path("token"), token).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_doorstep"));
    command.args(["account", "verify", "ana", "000000"]);
    shop.surround(&mut command);
    let output = command.output().unwrap();
    let told = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(told.matches("attempts left").count(), 1, "{told}");
    while shop.run(&["account", "verify", "ana", "000000"]).outcome() == "wrong_code" {}
    shop.advance("30s");
    let code = totp(&shop, &secret, 0);
    assert_eq!(shop.run(&["account", "verify", "ana", &code]).outcome(), "throttled");
    let known = ["account", "verify", "ana", &code, "--known-device-file", "token"];
    assert_eq!(shop.must(&known).outcome(), "granted");
    let shown = shop.must(&["account", "unlock", "ana"]).json;
    assert_eq!(shown["attempts_left"], 10);
    shop.must(&["account", "disable", "ana"]);
    shop.advance("30s");
    let code = totp(&shop, &secret, 0);
    assert_eq!(shop.run(&["account", "verify", "ana", &code]).outcome(), "revoked");
    shop.must(&["account", "enable", "ana"]);
    assert_eq!(shop.must(&["account", "verify", "ana", &code]).outcome(), "granted");
}

#[test]
fn a_challenge_is_answered_by_whoever_has_the_secret() {
    let shop = Shop::open();
    shop.must(&["account", "add", "ana"]);
    let suite = "OCRA-1:HOTP-SHA256-8:QN08-PSHA1";
    std::fs::write(shop.path("pin"), "1234\n").unwrap();
    let enrol =
        ["account", "enrol", "ana", "--kind", "ocra", "--suite", suite, "--pin-file", "pin"];
    let enrolled = shop.must(&enrol).json;
    assert_eq!(enrolled["provisioning"].get("uri"), None);
    let secret = enrolled["provisioning"]["secret"].as_str().unwrap();
    std::fs::write(shop.path("secret.txt"), secret).unwrap();
    let asked = shop.must(&["account", "challenge", "ana"]);
    let (id, challenge) = (asked.text("id"), asked.text("challenge"));
    let respond = [
        "code",
        "ocra",
        "--key-file",
        "secret.txt",
        "--suite",
        suite,
        "--question",
        &challenge,
        "--pin-file",
        "pin",
    ];
    let response = shop.must(&respond).text("response");
    assert_eq!(shop.must(&["account", "answer", &id, &response]).outcome(), "granted");
    assert_eq!(shop.run(&["account", "answer", &id, &response]).outcome(), "already_used");
}

#[test]
fn tokens_come_in_and_go_out_in_every_format_and_still_work() {
    let shop = Shop::open();
    let csv = format!(
        "serial,account,secret,encoding,kind,counter\n\
         T-1,ana,{HEX},hex,hotp,3\nT-2,bo,JBSWY3DPEHPK3PXP,base32,totp,\n"
    );
    std::fs::write(shop.path("tokens.csv"), csv).unwrap();
    let imported = shop.must(&["account", "import", "tokens.csv"]);
    assert_eq!(
        (&imported.json["imported"], &imported.json["accounts_made"]),
        (&json!(2), &json!(2))
    );
    assert!(imported.stderr.contains("line 3: the secret is shorter than 128 bits"));
    // RFC 4226, appendix D: the code of counter 3.
    assert_eq!(shop.must(&["account", "verify", "ana", "969429"]).outcome(), "granted");
    for (format, file) in [("csv", "out.csv"), ("pskc", "out.xml"), ("otpauth", "out.txt")] {
        // The server runs beside it.
        let exported = shop.must(&["account", "export", "--format", format, "--out", file]);
        assert_eq!(exported.json["exported"], 2);
        assert!(exported.stderr.contains("every secret in plain"));
        let mode = std::fs::metadata(shop.path(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = shop.run(&["account", "export", "--format", format, "--out", file]);
        assert_eq!(again.status, 1, "no file is overwritten");
    }
    for file in ["out.csv", "out.xml"] {
        let other = Shop::open();
        std::fs::copy(shop.path(file), other.path(file)).unwrap();
        other.must(&["account", "import", file]);
        assert_eq!(other.run(&["account", "verify", "ana", "969429"]).outcome(), "already_used");
        assert_eq!(other.must(&["account", "verify", "ana", "338314"]).outcome(), "granted");
        let code = totp(&other, "JBSWY3DPEHPK3PXP", 0);
        assert_eq!(other.must(&["account", "verify", "bo", &code]).outcome(), "granted");
    }
    let uris = std::fs::read_to_string(shop.path("out.txt")).unwrap();
    assert!(uris.lines().all(|uri| uri.starts_with("otpauth://")) && uris.contains("counter=4"));
}

#[test]
fn what_protects_an_account_is_not_undone_by_moving_it() {
    let shop = Shop::open();
    enrolled(&shop, "ana");
    let narrow = ["account", "enrol", "ana", "--label", "pending", "--window", "current"];
    shop.must(&narrow);
    enrolled(&shop, "bo");
    shop.must(&["account", "disable", "bo"]);
    std::fs::write(shop.path("secret"), HEX).unwrap();
    std::fs::write(shop.path("other"), "JBSWY3DPEHPK3PXP").unwrap();
    std::fs::write(shop.path("pin"), "1234").unwrap();
    let suite = "OCRA-1:HOTP-SHA1-6:QN08-PSHA1";
    shop.must(&["account", "add", "cy"]);
    let cy = ["account", "enrol", "cy", "--active"];
    let pin = ["--kind", "ocra", "--suite", suite, "--pin-file", "pin", "--secret-file", "other"];
    let id = shop.must(&[&cy[..], &pin].concat()).text("id");
    let current = ["--window", "current", "--secret-file", "secret", "--hex"];
    shop.must(&[&cy[..], &current].concat());
    let pskc = shop.must(&["account", "export", "--format", "pskc", "--out", "out.xml"]).json;
    assert_eq!((&pskc["exported"], &pskc["inactive"]), (&json!(2), &json!(2)), "{pskc}");
    assert_eq!(pskc["left_out"], json!([{ "id": id, "account": "cy" }]), "its PIN would be lost");
    assert!(!std::fs::read_to_string(shop.path("out.xml")).unwrap().contains("OCRA"));
    let csv = shop.must(&["account", "export", "--format", "csv", "--out", "out.csv"]).json;
    assert_eq!((&csv["exported"], &csv["inactive"]), (&json!(2), &json!(2)), "{csv}");
    let other = Shop::open();
    std::fs::copy(shop.path("out.csv"), other.path("out.csv")).unwrap();
    other.must(&["account", "import", "out.csv"]);
    let shown = other.must(&["account", "show", "cy"]).json;
    assert_eq!(shown["authenticators"][0]["window"], "current");
    assert_eq!(other.run(&["account", "show", "bo"]).status, 1);
}

#[test]
fn a_file_with_faults_changes_nothing_and_says_where_they_are() {
    let shop = Shop::open();
    for (content, faults) in [
        (
            "account,secret,digits\nana,JBSWY3DPEHPK3PXP,9\n",
            vec!["line 2, digits: is not 6, 7 or 8"],
        ),
        (
            "account,secret\nana,JBSWY3DP\nbo,0189\n",
            vec!["line 2, secret: has fewer", "line 3, secret: "],
        ),
        ("account,secret\nana\n", vec!["line 2: "]),
        ("JBSWY3DPEHPK3PXP\n", vec!["line 1: "]),
        ("<x/>", vec!["not PSKC"]),
    ] {
        std::fs::write(shop.path("bad"), content).unwrap();
        let reply = shop.run(&["account", "import", "bad"]);
        assert_eq!(reply.status, 1, "{content}");
        for fault in faults {
            assert!(reply.stderr.contains(fault), "{fault}: {}", reply.stderr);
        }
        assert!(!reply.stderr.contains("JBSWY3DP"), "{}", reply.stderr);
    }
    let many =
        (0..5001).fold("account,secret\n".to_owned(), |csv, n| csv + &format!("a{n},{HEX}\n"));
    std::fs::write(shop.path("many"), many).unwrap();
    let reply = shop.run(&["account", "import", "many"]);
    assert_eq!(reply.stderr.matches("5001 entries").count(), 1, "{}", reply.stderr);
    assert!(reply.stderr.contains("\nhint: "), "{}", reply.stderr);
    assert_eq!(shop.must(&["account", "list"]).json["data"], json!([]));
}

#[test]
fn recovery_codes_are_printed_on_a_sheet() {
    let shop = Shop::open();
    shop.must(&["account", "add", "<b>ana"]);
    shop.must(&["account", "recovery", "<b>ana", "--html", "sheet.html"]);
    let page = std::fs::read_to_string(shop.path("sheet.html")).unwrap();
    assert!(page.contains("&lt;b&gt;ana") && page.matches("<li>").count() == 10, "{page}");
    let code = page.split_once("<code>").unwrap().1.split_once("</code>").unwrap().0.to_owned();
    assert_eq!(shop.run(&["account", "recovery", "<b>ana", "--html", "sheet.html"]).status, 1);
    let recovered = shop.must(&["account", "recover", "<b>ana", &code]);
    assert_eq!(recovered.outcome(), "granted", "the refused one made no new codes");
}

#[test]
fn what_is_shown_once_has_its_file_before_it_is_made() {
    let shop = Shop::open();
    shop.must(&["account", "add", "ana"]);
    let code = shop.must(&["account", "recovery", "ana"]).json["codes"][0].clone();
    let nowhere = shop.run(&["account", "recovery", "ana", "--html", "nowhere/sheet.html"]);
    assert_eq!(nowhere.status, 1);
    assert!(nowhere.stderr.contains("\nhint: "), "{}", nowhere.stderr);
    let recover = ["account", "recover", "ana", code.as_str().unwrap()];
    assert_eq!(shop.must(&recover).outcome(), "granted", "the old codes still work");
    for option in ["--png", "--svg"] {
        assert_eq!(shop.run(&["account", "enrol", "ana", option, "nowhere/qr"]).status, 1);
    }
    let half = ["account", "enrol", "ana", "--svg", "qr.svg", "--png", "nowhere/qr"];
    assert_eq!(shop.run(&half).status, 1);
    let refused = ["account", "enrol", "ana", "--digits", "9", "--svg", "qr.svg"];
    assert_eq!(shop.run(&refused).status, 1);
    let shown = shop.must(&["account", "show", "ana"]).json;
    assert_eq!(shown["authenticators"], json!([]));
    assert!(!shop.path("qr.svg").exists(), "no empty file stays");
}

#[test]
fn a_file_is_imported_once_and_no_column_is_repeated() {
    let shop = Shop::open();
    let csv = format!("account,secret,encoding,kind\nana,{HEX},hex,hotp\n");
    std::fs::write(shop.path("tokens.csv"), csv).unwrap();
    shop.must(&["account", "import", "tokens.csv"]);
    let again = shop.run(&["account", "import", "tokens.csv"]);
    assert_eq!(again.status, 1);
    assert!(again.stderr.contains("line 2, secret: the account has this"), "{}", again.stderr);
    for column in ["encoding", "kind", "digits", "period", "window", "counter", "algorithm"] {
        for (secret, there) in [("JBSWY3DPEHPK3PXP", "hex"), (HEX, "totp")] {
            let csv = format!("account,{column},secret\nbo,{secret},{there}\n");
            std::fs::write(shop.path("swapped.csv"), csv).unwrap();
            let swapped = shop.run(&["account", "import", "swapped.csv"]);
            assert_eq!(swapped.status, 1, "{column}");
            let told = format!("{}{}", swapped.json, swapped.stderr).to_uppercase();
            assert!(!told.contains(secret), "{column}: {told}");
        }
    }
}

#[test]
fn what_is_not_there_is_told_with_a_hint() {
    let shop = Shop::open();
    shop.must(&["account", "add", "ana"]);
    for arguments in [
        &["account", "show", "nobody"][..],
        &["account", "enrol", "nobody"],
        &["account", "activate", "ana", "123456"],
        &["account", "resync", "ana", "123456", "123457"],
        &["account", "challenge", "ana"],
        &["account", "disable", "ana", "--authenticator", "aut_1"],
        &["account", "answer", "chl_1", "123456"],
        &["account", "show", "acc_1"],
    ] {
        let reply = shop.run(arguments);
        assert_eq!(reply.status, 1, "{arguments:?}");
        assert!(reply.stderr.contains("\nhint: "), "{arguments:?}: {}", reply.stderr);
    }
    let refused = shop.run(&["account", "verify", "nobody", "123456"]);
    assert_eq!((refused.status, refused.outcome()), (3, "unknown"));
}

#[test]
fn no_code_is_granted_twice_however_often_the_server_is_killed() {
    let mut shop = Shop::open();
    let csv: String = (0..40)
        .fold("account,secret,encoding,kind,counter\n".to_owned(), |csv, n| {
            csv + &format!("user{n},{HEX},hex,hotp,0\n")
        });
    std::fs::write(shop.path("tokens.csv"), csv).unwrap();
    shop.must(&["account", "import", "tokens.csv"]);
    let codes: Vec<String> = {
        std::fs::write(shop.path("secret.txt"), HEX).unwrap();
        let hotp = ["code", "hotp", "--hex", "--key-file", "secret.txt", "--window", "4"];
        let shown = shop.must(&hotp).json["codes"].clone();
        shown.as_array().unwrap().iter().map(|c| c["code"].as_str().unwrap().to_owned()).collect()
    };
    let key = std::fs::read_to_string(shop.path("api.key")).unwrap();
    let mut granted = std::collections::BTreeMap::new();
    for code in &codes {
        let address = shop.url().trim_start_matches("http://").to_owned();
        let (ready, go) = std::sync::mpsc::channel::<()>();
        let answers = std::sync::Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for n in 0..40 {
                let (address, key, ready, answers) =
                    (&address, key.trim(), ready.clone(), &answers);
                scope.spawn(move || {
                    let body = json!({"account": format!("user{n}"), "code": code}).to_string();
                    let answer = support::post(address, key, "/v1/accounts/verify", &body);
                    if answer.is_some_and(|answer| answer["outcome"] == "granted") {
                        answers.lock().unwrap().push((n, code.clone()));
                    }
                    // Nobody listens any more once the server was killed.
                    let _ = ready.send(());
                });
            }
            // Killed while some are answered and others wait.
            for _ in 0..10 {
                go.recv().unwrap();
            }
            shop.stop();
        });
        for answer in answers.into_inner().unwrap() {
            *granted.entry(answer).or_insert(0) += 1;
        }
        shop.start();
        let address = shop.url().trim_start_matches("http://").to_owned();
        for n in 0..40 {
            let body = json!({"account": format!("user{n}"), "code": code}).to_string();
            let answer = support::post(&address, key.trim(), "/v1/accounts/verify", &body).unwrap();
            if answer["outcome"] == "granted" {
                *granted.entry((n, code.clone())).or_insert(0) += 1;
            }
        }
    }
    assert!(granted.values().all(|count| *count == 1), "{granted:?}");
    // Those that were answered before the kill, in every round.
    assert!(granted.len() >= 10 * codes.len(), "{}", granted.len());
}
