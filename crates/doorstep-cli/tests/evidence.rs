//! Receipts, evidence and disputes, as the business and those who judge later meet them.

#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use support::{Shop, code_in, wait};

/// A delivery that was handed over with the right code, judged.
fn delivered(shop: &Shop) -> String {
    let (delivery, code) = shop.one_stop("ana");
    assert_eq!(shop.check("ana", &delivery, &code).outcome(), "granted");
    shop.sync("ana");
    shop.wait_for(&delivery, "delivered");
    delivery
}

/// A delivery that was given to another driver while the first was offline and handed it over.
fn disputed(shop: &Shop) -> String {
    let (delivery, code) = shop.one_stop("old");
    let new = shop.driver("new");
    shop.plan(&delivery, &new);
    assert_eq!(shop.check("old", &delivery, &code).outcome(), "granted");
    shop.sync("old");
    shop.wait_for(&delivery, "disputed");
    delivery
}

/// The file with one byte changed.
fn changed(shop: &Shop, name: &str) -> String {
    let mut bytes = std::fs::read(shop.path(name)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(shop.path("changed"), bytes).unwrap();
    "changed".to_owned()
}

#[test]
fn a_receipt_is_verified_without_the_server() {
    let mut shop = Shop::open();
    let delivery = delivered(&shop);
    let key = shop.must(&["evidence", "key"]).text("public_key");
    std::fs::write(shop.path("issuer.pub"), key).unwrap();
    let shown = shop.must(&["receipt", "show", "ORDER-ana", "--out", "a.receipt"]);
    assert_eq!(shown.json["basis"], "claim");
    shop.stop();
    let verify =
        |file: &str, issuer: &str| shop.run(&["receipt", "verify", file, "--issuer", issuer]);
    let read = verify("a.receipt", "issuer.pub");
    assert_eq!((read.status, read.text("delivery")), (0, delivery));
    assert_eq!(read.json["claim"]["holder"], "recipient");

    let reply = verify(&changed(&shop, "a.receipt"), "issuer.pub");
    assert_eq!((reply.status, reply.outcome()), (3, "not_authentic"));
    let other = Shop::open();
    let key = other.must(&["evidence", "key"]).text("public_key");
    // The same name with another's key.
    let own = std::fs::read_to_string(shop.path("issuer.pub")).unwrap();
    let (name, _) = own.split_once(':').unwrap();
    let (_, foreign) = key.split_once(':').unwrap();
    std::fs::write(shop.path("other.pub"), format!("{name}:{foreign}")).unwrap();
    let same_seed = own.trim() == format!("{name}:{foreign}");
    if !same_seed {
        assert_eq!(verify("a.receipt", "other.pub").outcome(), "not_authentic");
    }
    std::fs::write(shop.path("other.pub"), "no key").unwrap();
    assert_eq!(verify("a.receipt", "other.pub").status, 1);
    assert_eq!(verify("nowhere", "issuer.pub").status, 1);
    let again = shop.run(&["evidence", "verify", "a.receipt", "--issuer", "issuer.pub"]);
    assert_eq!((again.status, again.outcome()), (3, "not_authentic"), "a receipt is no bundle");
}

#[test]
fn a_dispute_is_examined_elsewhere_and_ended_by_a_word() {
    let shop = Shop::open();
    let delivery = disputed(&shop);
    let listed = shop.must(&["dispute", "list", "--state", "open"]);
    assert_eq!(listed.json["data"][0]["delivery"], delivery.as_str());
    let shown = shop.must(&["dispute", "show", "ORDER-old"]);
    assert_eq!(shown.json["delivery"]["claims"][0]["verdict"], "superseded");
    assert_eq!(shop.run(&["receipt", "show", &delivery]).outcome(), "not_delivered");

    let key = shop.must(&["evidence", "key"]).text("public_key");
    std::fs::write(shop.path("issuer.pub"), key).unwrap();
    shop.must(&["evidence", "fetch", "ORDER-old", "--out", "a.bundle"]);
    let examined = shop.must(&["evidence", "verify", "a.bundle", "--issuer", "issuer.pub"]);
    assert_eq!(examined.outcome(), "sound");
    let checks = examined.json["claims"][0]["checks"].as_object().unwrap();
    assert_eq!(checks.len(), 7);
    assert!(checks.values().all(|found| found == "holds"), "{checks:?}");
    let claim = &examined.json["claims"][0];
    assert_eq!((&claim["outcome"], &claim["means"]), (&"granted".into(), &"typed".into()));
    let made = &examined.json["generations"][1];
    assert_eq!((&made["check"], &made["slots"]), (&"split".into(), &2.into()));
    let told = shop.plain(&["evidence", "verify", "a.bundle", "--issuer", "issuer.pub"]);
    for said in [
        "generation 1: a split check on dev_",
        "2 slots",
        "granted: the code of slot 0, a recipient's, typed",
    ] {
        assert!(told.contains(said), "{said} in {told}");
    }
    assert!(!told.contains("forked:") && !told.contains("late:"), "{told}");
    let bundle = std::fs::read(shop.path("a.bundle")).unwrap();
    let code = code_in(&shop.message(&delivery, 1, 0)).replace(' ', "");
    assert!(!bundle.windows(code.len()).any(|window| window == code.as_bytes()));
    let reply =
        shop.run(&["evidence", "verify", &changed(&shop, "a.bundle"), "--issuer", "issuer.pub"]);
    assert_eq!((reply.status, reply.outcome()), (3, "not_authentic"));

    let word =
        ["dispute", "resolve", &delivery, "--outcome", "not-delivered", "--note", "in the van"];
    let resolved = shop.must(&word);
    assert_eq!(resolved.json["delivery"]["state"], "failed");
    assert_eq!(shop.run(&word).outcome(), "not_disputed");
    assert_eq!(
        shop.must(&["dispute", "list", "--state", "open"]).json["data"],
        serde_json::json!([])
    );
    assert_eq!(
        shop.run(&["dispute", "resolve", &delivery, "--outcome", "maybe", "--note", "x"]).status,
        2
    );
}

/// What speaks against a claim is said to people too.
#[test]
fn evidence_says_what_is_late_forked_or_failed() {
    let shop = Shop::open();
    let (delivery, code) = shop.one_stop("ana");
    support::copy(&shop.path("ana"), &shop.path("copy"));
    for (dir, note) in [("ana", "rang twice"), ("copy", "")] {
        let fail =
            ["driver", "fail", &delivery, "--reason", "no-access", "--note", note, "--dir", dir];
        assert_eq!(shop.run(&fail).status, 0);
    }
    assert_eq!(shop.check("ana", &delivery, &code).outcome(), "granted");
    shop.advance("1d");
    shop.sync("ana");
    shop.sync("copy");
    shop.wait_for(&delivery, "delivered");
    let key = shop.must(&["evidence", "key"]).text("public_key");
    std::fs::write(shop.path("issuer.pub"), key).unwrap();
    shop.must(&["evidence", "fetch", &delivery, "--out", "a.bundle"]);
    let told = shop.plain(&["evidence", "verify", "a.bundle", "--issuer", "issuer.pub"]);
    for said in [
        "failed: no access (\"rang twice\")",
        "failed: no access\n",
        "forked: ",
        "late: ",
        "every check holds",
    ] {
        assert!(told.contains(said), "{said} in {told}");
    }
}

#[test]
fn webhooks_ranking_and_erasure_are_commands_too() {
    let shop = Shop::open();
    let delivery = delivered(&shop);
    let url = "https://hooks.invalid/in";
    let made =
        shop.must(&["webhook", "add", url, "--type", "delivery.created", "--out", "hook.secret"]);
    assert!(made.json.get("secret").is_none(), "it is in the file alone");
    let secret = std::fs::read_to_string(shop.path("hook.secret")).unwrap();
    assert!(secret.starts_with("whsec_"));
    let id = made.text("id");
    assert_eq!(shop.must(&["webhook", "list"]).json["data"][0]["url"], url);
    let event = shop.must(&["webhook", "test", &id]).text("id");
    wait("the try to fail", || {
        let log = shop.must(&["webhook", "log", &id]).json;
        log["data"][0]["last_error"].is_string()
    });
    assert_eq!(shop.must(&["webhook", "replay", &id, "--event", &event]).json["events"], 1);
    assert_eq!(shop.run(&["webhook", "replay", &id]).status, 2);
    assert_eq!(shop.must(&["webhook", "change", &id, "--pause"]).text("state"), "paused");
    let rotated = shop.must(&["webhook", "rotate", &id]).text("secret");
    assert_ne!(rotated, secret.trim());
    shop.must(&["webhook", "remove", &id]);
    assert_eq!(shop.run(&["webhook", "show", &id]).outcome(), "webhook_not_found");
    assert_eq!(shop.run(&["webhook", "add", "http://127.0.0.1/in"]).outcome(), "invalid_fields");

    let ranking = shop.must(&["driver", "ranking"]);
    assert_eq!(ranking.json["data"][0]["granted"], 1);
    assert_eq!(ranking.json["data"][0]["chance"], 1.0);
    let erased = shop.must(&["delivery", "erase", &delivery]);
    assert_eq!(erased.json["recipients"][0]["phone"], "");
    shop.must(&["evidence", "fetch", &delivery, "--out", "a.bundle"]);
    let key = shop.must(&["evidence", "key"]).text("public_key");
    std::fs::write(shop.path("issuer.pub"), key).unwrap();
    let examined = shop.must(&["evidence", "verify", "a.bundle", "--issuer", "issuer.pub"]);
    assert_eq!(examined.outcome(), "sound");
}
