//! The server as a product, from outside: settings in layers, API keys, TLS, metrics, doctor.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod support;

use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use support::{Shop, reply};

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn setting<'a>(shown: &'a Value, name: &str) -> &'a Value {
    let all = shown["settings"].as_array().unwrap();
    all.iter().find(|setting| setting["setting"] == name).unwrap()
}

#[test]
fn settings_come_in_layers_and_say_who_set_them() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("doorstep.toml");
    fs::write(&file, "[server]\nlisten = \"127.0.0.1:1\"\nrequest_timeout = \"5s\"\n").unwrap();
    mode(&file, 0o600);
    let show = |variables: &[(&str, &str)], arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_doorstep"));
        command.args(["--json", "config", "show", "--data"]).arg(dir.path()).args(arguments);
        reply(&command.envs(variables.iter().copied()).output().unwrap())
    };
    let shown = show(&[("DOORSTEP_SERVER_LISTEN", "127.0.0.1:2")], &[]);
    assert_eq!(shown.status, 0);
    let listen = setting(&shown.json, "server.listen");
    assert_eq!(
        (&listen["value"], &listen["source"]),
        (&json!("127.0.0.1:2"), &json!("DOORSTEP_SERVER_LISTEN"))
    );
    let timeout = setting(&shown.json, "server.request_timeout");
    assert_eq!(timeout["source"], format!("{}:3", file.display()));
    assert_eq!(setting(&shown.json, "deliveries.code")["source"], "default");

    let refused = show(&[("DOORSTEP_SERVER_LISTNE", "x")], &[]);
    assert_eq!((refused.status, refused.outcome()), (1, "config"));
    assert_eq!(refused.json["error"]["hint"], "did you mean listen?");
    let none = dir.path().join("none.toml");
    assert_eq!(show(&[], &["--config", none.to_str().unwrap()]).status, 1);
    mode(&file, 0o662);
    assert_eq!(show(&[], &[]).status, 1, "others may write it");
}

#[test]
fn a_key_may_what_its_scopes_say_until_it_is_rotated_or_revoked() {
    let shop = Shop::open();
    let made = shop.must(&[
        "key",
        "create",
        "--name",
        "login",
        "--scopes",
        "gate,accounts:read",
        "--out",
        "gate.key",
    ]);
    let id = made.text("id");
    let with = |file: &str, arguments: &[&str]| {
        reply(&shop.command(arguments).args(["--key-file", file]).output().unwrap())
    };
    assert_eq!(with("gate.key", &["account", "list"]).status, 0);
    let refused = with("gate.key", &["delivery", "list"]);
    assert_eq!((refused.status, refused.outcome()), (1, "missing_scope"));
    assert_eq!(with("gate.key", &["key", "list"]).outcome(), "missing_scope");

    let refused = shop.run(&["key", "rotate", &id, "--overlap", "8d", "--out", "new.key"]);
    assert_eq!(refused.outcome(), "invalid_fields");
    assert!(!shop.path("new.key").exists(), "no empty file is left");
    shop.must(&["key", "rotate", &id, "--overlap", "10m", "--out", "new.key"]);
    for file in ["gate.key", "new.key"] {
        assert_eq!(with(file, &["account", "list"]).status, 0, "{file}");
    }
    shop.must(&["clock", "advance", "10m"]);
    assert_eq!(with("gate.key", &["account", "list"]).outcome(), "unauthorized");
    assert_eq!(with("new.key", &["account", "list"]).status, 0);
    shop.must(&["key", "revoke", &id]);
    assert_eq!(with("new.key", &["account", "list"]).outcome(), "unauthorized");
    let listed = shop.must(&["key", "list"]);
    assert_eq!(listed.json["data"][1]["scopes"], json!(["accounts:read", "gate"]));
    let wrong = shop.run(&["key", "create", "--name", "x", "--scopes", "gate,everything"]);
    assert_eq!((wrong.status, wrong.outcome()), (2, "usage"));
}

#[test]
fn a_key_lives_by_the_clock_of_its_data() {
    let shop = Shop::open();
    shop.must(&["key", "create", "--name", "s", "--expires", "1h", "--out", "s.key"]);
    let list = || shop.run(&["key", "list", "--key-file", "s.key"]);
    assert_eq!(list().status, 0);
    shop.advance("59m");
    assert_eq!(list().status, 0);
    shop.advance("1m");
    assert_eq!(list().outcome(), "unauthorized");
    let dir = tempfile::tempdir().unwrap();
    let live = Shop::live(dir.path());
    let clock = shop.path("data/clock");
    let refused = live.run(&["key", "create", "--name", "x", "--clock", clock.to_str().unwrap()]);
    assert_eq!(refused.status, 1);
    assert!(refused.stderr.contains("this data is real"), "{}", refused.stderr);
}

#[test]
fn a_key_that_may_only_write_acts_on_ids() {
    let shop = Shop::open();
    let delivery = shop.delivery("A-17");
    shop.must(&["key", "create", "--name", "w", "--scopes", "deliveries:write", "--out", "w.key"]);
    let cancel = |name: &str| shop.run(&["delivery", "cancel", name, "--key-file", "w.key"]);
    assert_eq!(cancel("A-17").status, 1, "it cannot look for the reference");
    assert_eq!(cancel(&delivery).status, 0);
}

#[test]
fn doctor_finds_a_running_server_healthy_and_says_what_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let shop = Shop::live(dir.path());
    let found = shop.run(&["doctor"]);
    assert_eq!(found.json["healthy"], true, "{}", found.json);
    assert_eq!(found.status, 0);
    mode(&shop.path("data/keys/master.key"), 0o644);
    let found = shop.run(&["doctor"]);
    assert_eq!((found.status, &found.json["healthy"]), (3, &json!(false)));
    let keys = found.json["findings"].as_array().unwrap().iter();
    let keys: Vec<_> = keys.filter(|finding| finding["about"] == "keys").collect();
    assert_eq!(keys[0]["verdict"], "bad");
    assert!(keys[0]["hint"].as_str().unwrap().contains("chmod"));
}
