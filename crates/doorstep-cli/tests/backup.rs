//! Backups and the way back, with the real program: a server that writes meanwhile, and drivers who come
//! home to a server that was set back.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod support;

use serde_json::{Value, json};
use std::process::Stdio;
use support::Shop;

/// Loses the data directory and brings the backup back into its place; the clock went on.
fn lose_and_restore(shop: &mut Shop, more: &[&str]) -> Value {
    shop.stop();
    std::fs::rename(shop.path("data"), shop.path("lost")).unwrap();
    std::fs::create_dir(shop.path("data")).unwrap();
    std::fs::copy(shop.path("lost/clock"), shop.path("data/clock")).unwrap();
    let restored = shop.must(&[&["restore", "b.db"], more].concat()).json;
    shop.start();
    restored
}

const WITH_KEYS: [&str; 4] = ["--keys", "b.db.keys", "--passphrase-file", "phrase"];

fn backed_up(shop: &Shop) {
    std::fs::write(shop.path("phrase"), "correct horse battery staple\n").unwrap();
    let made = shop.must(&["backup", "b.db", "--with-keys", "--passphrase-file", "phrase"]).json;
    assert_eq!((&made["mode"], &made["keys"]), (&json!("test"), &json!("b.db.keys")));
}

#[test]
fn a_driver_who_was_acknowledged_brings_the_outcome_to_a_server_that_forgot_it() {
    let mut shop = Shop::open();
    let (delivery, code) = shop.one_stop("ana");
    backed_up(&shop);
    assert_eq!(shop.check("ana", &delivery, &code).outcome(), "granted");
    shop.sync("ana");
    shop.wait_for(&delivery, "delivered");
    let restored = lose_and_restore(&mut shop, &[&WITH_KEYS[..], &["--keep-access"]].concat());
    assert_eq!(
        (&restored["void"]["devices"], &restored["look_at"]["deliveries_out"]),
        (&json!(0), &json!(1))
    );
    assert_eq!(shop.must(&["delivery", "show", &delivery]).json["state"], "notified");
    shop.sync("ana");
    shop.wait_for(&delivery, "delivered");
    assert_eq!(shop.status("ana")["waiting_to_sync"], 0);
}

#[test]
fn without_a_word_for_them_keys_and_devices_start_anew() {
    let mut shop = Shop::open();
    let (delivery, code) = shop.one_stop("ana");
    backed_up(&shop);
    assert_eq!(shop.check("ana", &delivery, &code).outcome(), "granted");
    let restored = lose_and_restore(&mut shop, &WITH_KEYS);
    assert_eq!(
        (&restored["void"]["devices"], &restored["void"]["api_keys"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(shop.run(&["delivery", "list"]).status, 1);
    std::fs::remove_file(shop.path("api.key")).unwrap();
    shop.must(&["key", "create", "--name", "again", "--out", "api.key"]);
    assert_eq!(shop.run(&["driver", "sync", "--dir", "ana"]).status, 3, "nothing is handed out");
    shop.wait_for(&delivery, "delivered");
}

#[test]
fn a_backup_is_made_while_the_server_writes() {
    let shop = Shop::open();
    let rows = (0..400).map(|n| format!("W-{n},Zoe,+442079460000,1 High St\n"));
    let file = "reference,recipient,phone,address\n".to_owned() + &rows.collect::<String>();
    std::fs::write(shop.path("rows.csv"), file).unwrap();
    let mut import = shop.command(&["delivery", "import", "rows.csv"]);
    let mut import = import.stdout(Stdio::null()).spawn().unwrap();
    for n in 0..5 {
        let out = format!("b{n}.db");
        shop.must(&["backup", &out]);
        let rehearsed = shop.must(&["restore", &out, "--data", "elsewhere", "--dry-run"]).json;
        assert_eq!(rehearsed["dry_run"], true);
        assert!(!shop.path("elsewhere").exists());
    }
    assert!(import.wait().unwrap().success());
}

#[test]
fn words_for_people_say_what_is_void_and_what_to_do() {
    let shop = Shop::open();
    let (_, _) = shop.one_stop("ana");
    backed_up(&shop);
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_doorstep"));
    command.args(["restore", "b.db", "--data", "elsewhere", "--dry-run"]);
    shop.surround(&mut command);
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    for said in [
        "this would be void",
        "1 API keys: make new ones",
        "1 deliveries are with devices",
        "end it again",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
}

#[test]
fn what_is_wrong_is_said_and_changes_nothing() {
    let shop = Shop::open();
    backed_up(&shop);
    std::fs::write(shop.path("wrong"), "another passphrase\n").unwrap();
    for (name, status, arguments) in [
        ("a backup over another", 1, &["backup", "b.db"][..]),
        ("nothing to copy", 1, &["backup", "c.db", "--data", "nowhere"]),
        ("a passphrase for nothing", 2, &["backup", "c.db", "--passphrase-file", "phrase"]),
        ("onto data", 1, &["restore", "b.db"]),
        ("no such file", 1, &["restore", "none.db", "--data", "elsewhere"]),
        ("no keys", 1, &["restore", "b.db", "--data", "elsewhere"]),
        ("no backup", 1, &["restore", "b.db.keys", "--data", "elsewhere"]),
        (
            "another passphrase",
            3,
            &[
                "restore",
                "b.db",
                "--data",
                "elsewhere",
                "--keys",
                "b.db.keys",
                "--passphrase-file",
                "wrong",
            ],
        ),
        (
            "no keys file",
            1,
            &[
                "restore",
                "b.db",
                "--data",
                "elsewhere",
                "--keys",
                "b.db",
                "--passphrase-file",
                "phrase",
            ],
        ),
    ] {
        let reply = shop.run(arguments);
        assert_eq!(reply.status, status, "{name}: {} {}", reply.json, reply.stderr);
        assert!(
            status == 2 || reply.stderr.contains("hint:") || reply.json["hint"].is_string(),
            "{name}: {}",
            reply.stderr
        );
        assert!(!shop.path("elsewhere").exists() && !shop.path("c.db").exists(), "{name}");
    }
    // Sealed, and not by name only.
    let keys = std::fs::read_to_string(shop.path("data/keys/master.key")).unwrap();
    let sealed = std::fs::read(shop.path("b.db.keys")).unwrap();
    assert!(!sealed.windows(64).any(|part| part == keys.trim().as_bytes()));
}
