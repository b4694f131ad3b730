//! Messages by a program of the business's own: settings in a file, failures seen, and sent again.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod support;

use serde_json::json;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use support::{Shop, code_in, wait};

/// Lets the shop's messages go to a program that says `verdict`.
fn with_program(shop: &mut Shop, verdict: &str) {
    shop.stop();
    let program = shop.path("send");
    fs::write(&program, format!("#!/bin/sh\ncat >>'{}'\n{verdict}\n", shop.path("got").display()))
        .unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    let settings =
        format!("[messages]\nprovider = \"exec\"\nexec_program = \"{}\"\n", program.display());
    fs::write(shop.path("data/doorstep.toml"), settings).unwrap();
    shop.start();
}

#[test]
fn a_message_that_was_given_up_is_seen_and_sent_again() {
    let mut shop = Shop::open();
    let device = shop.driver("ana");
    with_program(&mut shop, "echo 'no such number' >&2; exit 65");
    let delivery = shop.delivery("A-17");
    shop.plan(&delivery, &device);
    shop.sync("ana");
    let failed = ["message", "list", "--state", "failed", "--delivery", "A-17"];
    wait("the message to be given up", || {
        shop.must(&failed).json["data"].as_array().is_some_and(|list| list.len() == 1)
    });
    let id = shop.must(&failed).json["data"][0]["id"].as_str().unwrap().to_owned();
    let shown = shop.must(&["message", "show", &id]).json;
    assert_eq!(shown["history"][0]["outcome"], "refused");
    assert_eq!(shown["history"][0]["error"], "exit status: 65: no such number");
    let test = shop.run(&["message", "test", "+34 612 34 56 78"]);
    assert_eq!((test.status, &test.json["outcome"]), (3, &json!("refused")), "{}", test.json);

    with_program(&mut shop, "echo gateway-7");
    let sent = shop.must(&["message", "resend", &id]).json;
    assert_eq!(
        (&sent["state"], &sent["history"][1]["provider_id"]),
        (&json!("sent"), &json!("gateway-7"))
    );
    assert_eq!(
        shop.must(&["message", "test", "+34 612 34 56 78"]).json["provider_id"],
        "gateway-7"
    );
    let again = shop.run(&["message", "resend", &id]);
    assert_eq!((again.status, again.outcome()), (1, "already_sent"));

    // What the program was given opens the door.
    let got = fs::read_to_string(shop.path("got")).unwrap();
    let message = got.lines().find(|line| line.contains("\"kind\":\"code\"")).unwrap();
    let message: serde_json::Value = serde_json::from_str(message).unwrap();
    let code = code_in(message["text"].as_str().unwrap());
    assert_eq!(shop.check("ana", &delivery, &code).outcome(), "granted");
}

#[test]
fn each_customer_reads_the_own_language_and_hours() {
    let shop = Shop::open();
    shop.set_clock("2026-03-02T12:00:00Z");
    let device = shop.driver("ana");
    let add = |reference: &'static str, place: &[&'static str]| {
        let mut add = vec!["delivery", "add", "--reference", reference, "--recipient", "Zoe"];
        add.extend(["--phone", "612 34 56 78", "--region", "ES", "--address", "Calle 1"]);
        add.extend(place);
        shop.run(&add)
    };
    let spanish = add("A-1", &["--language", "es", "--zone", "Europe/Madrid"]);
    let csv = "reference,recipient,phone,address,language,zone\n\
               A-2,Zoe,+49 30 901820,Weg 1,de,America/New_York\n";
    fs::write(shop.path("file.csv"), csv).unwrap();
    shop.must(&["delivery", "import", "file.csv"]);
    let german = shop.must(&["delivery", "show", "A-2"]).text("id");
    for delivery in [&spanish.text("id"), &german] {
        shop.plan(delivery, &device);
    }
    shop.sync("ana");
    let spanish = shop.message(&spanish.text("id"), 1, 0);
    assert!(spanish.contains("su c\u{f3}digo") && spanish.contains("14:30"), "{spanish}");
    let german = shop.message(&german, 1, 0);
    assert!(german.contains("Zustellcode") && german.contains("08:30"), "{german}");

    for place in [["--language", "xx"], ["--zone", "Madrid"]] {
        assert_eq!(add("A-3", &place).status, 1, "{place:?}");
    }
    fs::write(shop.path("file.csv"), csv.replace("de,", "xx,").replace("A-2", "A-4")).unwrap();
    let refused = shop.run(&["delivery", "import", "file.csv"]);
    assert!(refused.stderr.contains("line 2, column language: is none of"), "{}", refused.stderr);
}

#[test]
fn settings_that_cannot_work_stop_the_server_before_it_listens() {
    let mut shop = Shop::open();
    shop.stop();
    fs::write(shop.path("data/doorstep.toml"), "[messages]\nprovider = \"http\"\n").unwrap();
    let refused = shop.run(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(refused.status, 1, "{}", refused.json);
    let said = refused.json["error"].to_string();
    assert!(said.contains("setting messages.http_url: is needed by this provider"), "{said}");
    fs::write(shop.path("data/doorstep.toml"), "[messages]\nprovider = \"pigeon\"\n").unwrap();
    assert_ne!(shop.run(&["serve", "--listen", "127.0.0.1:0"]).status, 0);
}

#[test]
fn a_secret_is_made_once_in_a_file_of_its_owner() {
    let shop = Shop::open();
    shop.must(&["message", "secret", "--out", "http.secret"]);
    let text = fs::read_to_string(shop.path("http.secret")).unwrap();
    assert!(text.starts_with("whsec_") && text.len() == 50, "{}", text.len());
    let mode = fs::metadata(shop.path("http.secret")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_ne!(shop.run(&["message", "secret", "--out", "http.secret"]).status, 0);
    assert_eq!(fs::read_to_string(shop.path("http.secret")).unwrap(), text);
}
