//! The demo, run as a reader of the README runs it, and what it leaves behind.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod support;

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use support::{Shop, code_in};

fn demo(arguments: &[&str], dir: &Path) -> (bool, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_doorstep"))
        .args(arguments)
        .current_dir(dir)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

/// Runs a story, or all of them, and gives what came of each step.
fn outcomes(story: &[&str]) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let (ok, stdout, stderr) = demo(&[&["demo", "--fast", "--json"], story].concat(), dir.path());
    assert!(ok, "{stderr}");
    let document: Value =
        serde_json::from_str(&stdout).expect("one JSON document on standard output");
    assert_eq!(document["ok"], true);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left behind");
    let steps = document["steps"].as_array().unwrap();
    steps.iter().map(|step| step["actual"].as_str().unwrap().to_owned()).collect()
}

fn shows(outcomes: &[String], wanted: &[&str]) {
    for wanted in wanted {
        assert!(outcomes.iter().any(|outcome| outcome == wanted), "it does not show {wanted}");
    }
}

#[test]
fn the_deliveries_go_as_they_must_each_time() {
    let first = outcomes(&["deliveries"]);
    shows(&first, &["granted", "already_used", "wrong_code", "mistyped", "expired", "throttled"]);
    shows(&first, &["issued_for_offline_use", "unreachable", "already_sent"]);
    shows(&first, &["delivered", "disputed"]);
    let wrong = first.iter().filter(|outcome| *outcome == "wrong_code").count();
    assert!(wrong >= 8, "five guesses, one at each other kind of door");
    assert_eq!(outcomes(&["deliveries"]), first, "it is seeded");
}

#[test]
fn the_logins_go_as_they_must() {
    let steps = outcomes(&["logins"]);
    shows(&steps, &["granted", "already_used", "wrong_code", "unknown", "throttled"]);
    shows(&steps, &["drift", "-1 window", "unreachable", "shown", "kept back"]);
}

#[test]
fn the_locks_go_as_they_must() {
    let steps = outcomes(&["locks"]);
    shows(&steps, &["granted", "not_yet_valid", "expired", "already_used", "wrong_code"]);
    shows(&steps, &["superseded", "revoked", "throttled", "no_power", "clock_unset"]);
    shows(&steps, &["when_typed", "when_successor_used", "57 of 57", "4 of 57", "attend"]);
}

#[test]
fn the_plain_demo_tells_every_story() {
    let steps = outcomes(&[]);
    shows(&steps, &["disputed", "drift", "clock_unset"]);
}

#[test]
fn a_demo_in_a_directory_that_exists_touches_nothing() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("mine"), "mine").unwrap();
    let (ok, _, stderr) = demo(&["demo", "--fast", "--keep", "."], dir.path());
    assert!(!ok);
    assert!(stderr.contains("hint:"), "{stderr}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_demo_that_is_told_to_stop_cleans_up_too() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_doorstep"))
        .args(["demo", "--fast", "--json"])
        .env("TMPDIR", dir.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let inside = || {
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        processes.filter(|process| {
            let cwd = std::fs::read_link(process.path().join("cwd"));
            cwd.is_ok_and(|cwd| cwd.starts_with(dir.path()))
        })
    };
    // The server works inside the demo's directory; commands of the demo come and go.
    let serving = || {
        inside().any(|process| {
            let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            holds(&line, b"\0serve\0")
        })
    };
    while !serving() {
        assert!(child.try_wait().unwrap().is_none(), "the demo ended before it was stopped");
    }
    let told = Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert!(told.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(!serving(), "the server is gone");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "and so is the directory");
}

/// The seeds of the logins' story are in no file but those that are there to hold them, and on no
/// command's line.
#[test]
fn nothing_that_the_logins_wrote_holds_a_seed_or_a_key() {
    let dir = tempfile::tempdir().unwrap();
    let kept = dir.path().join("kept");
    let keep = ["demo", "logins", "--fast", "--json", "--keep", kept.to_str().unwrap()];
    let (ok, stdout, stderr) = demo(&keep, dir.path());
    assert!(ok, "{stderr}");
    let kept = kept.join("logins");
    let out = dir.path().join("seeds.xml");
    let (ok, _, stderr) = demo(
        &[
            "account",
            "export",
            "--format",
            "pskc",
            "--out",
            out.to_str().unwrap(),
            "--data",
            kept.join("data").to_str().unwrap(),
        ],
        dir.path(),
    );
    assert!(ok, "{stderr}");
    let exported = std::fs::read_to_string(out).unwrap();
    let mut secrets: Vec<Vec<u8>> = Vec::new();
    for seed in exported.split("PlainValue>").skip(1) {
        let text = seed.split('<').next().unwrap();
        let bytes = base64(text);
        if bytes.len() >= 10 {
            secrets.extend([base32(&bytes).into_bytes(), hex(&bytes).into_bytes(), bytes]);
            secrets.push(text.as_bytes().to_vec());
        }
    }
    assert!(secrets.len() >= 8, "the seeds of two authenticators: {}", secrets.len());
    for name in ["api.key", "gate.key", "data/keys/master.key", "phone/passphrase", "browser.token"]
    {
        let text = std::fs::read(kept.join(name)).unwrap_or_else(|_| panic!("{name} is made"));
        secrets.push(text.trim_ascii().to_vec());
    }
    let mut found = Vec::new();
    files(&kept, &mut found);
    found.retain(|path| !path.ends_with("phone/passphrase") && !path.ends_with("browser.token"));
    for name in ["doorstep.db", "server.log", "vault", "gate.state"] {
        assert!(found.iter().any(|path| path.ends_with(name)), "{name} is not scanned");
    }
    let mut written: Vec<(String, Vec<u8>)> = found
        .iter()
        .map(|path| (path.display().to_string(), std::fs::read(path).unwrap()))
        .collect();
    written.push(("standard output and arguments".to_owned(), stdout.into_bytes()));
    for (path, content) in &written {
        for secret in &secrets {
            assert!(!holds(content, secret), "{path} holds a secret of {} bytes", secret.len());
        }
    }
}

fn base64(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text.trim()).unwrap_or_default()
}

fn base32(bytes: &[u8]) -> String {
    let mut text = String::new();
    let secret = doorstep::otp::OtpSecret::from_bytes(bytes).unwrap();
    doorstep::otp::text::write_base32(&secret, &mut text).unwrap();
    text
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Every file below `dir`, but for those that are there to hold secrets.
fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if !is_secret(&path) {
            found.push(path);
        }
    }
}

fn is_secret(path: &Path) -> bool {
    path.extension().is_some_and(|extension| {
        ["key", "ticket", "secret"].iter().any(|secret| extension == *secret)
    })
}

fn secrets_of(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut secrets = Vec::new();
    for name in [
        "data/keys/signing.key",
        "data/keys/agreement.key",
        "data/keys/master.key",
        "api.key",
        "ana/device.key",
        "bojan/device.key",
        "ana.ticket",
    ] {
        let bytes =
            std::fs::read(dir.join(name)).unwrap_or_else(|_| panic!("the demo makes {name}"));
        let trimmed = bytes.trim_ascii().to_vec();
        assert!(trimmed.len() >= 20);
        if let Ok(text) = std::str::from_utf8(&trimmed)
            && let Some(raw) = unhex(text)
        {
            secrets.push((format!("{name}, its bytes"), raw));
        } else {
            secrets.push((format!("{name}, in hexadecimal"), hex(&trimmed).into_bytes()));
        }
        secrets.push((name.to_owned(), trimmed));
    }
    secrets
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

fn holds(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[test]
fn nothing_that_the_demo_wrote_holds_a_key_or_a_code_that_was_not_sent() {
    let dir = tempfile::tempdir().unwrap();
    let kept = dir.path().join("kept");
    let (ok, stdout, stderr) = demo(
        &["demo", "deliveries", "--fast", "--json", "--keep", kept.to_str().unwrap()],
        dir.path(),
    );
    assert!(ok, "{stderr}");
    let kept = kept.join("deliveries");

    // Everything as the demo left it, with what it printed and the arguments of its commands.
    let mut found = Vec::new();
    files(&kept, &mut found);
    let mut written: Vec<(String, Vec<u8>)> = found
        .iter()
        .map(|path| (path.display().to_string(), std::fs::read(path).unwrap()))
        .collect();
    written.push(("standard output and arguments".to_owned(), stdout.into_bytes()));
    written.push(("standard error".to_owned(), stderr.into_bytes()));
    for name in ["doorstep.db", "messages.jsonl", "server.log", "journal"] {
        assert!(written.iter().any(|(path, _)| path.ends_with(name)), "{name} is not scanned");
    }
    for (secret, bytes) in secrets_of(&kept) {
        for (path, content) in &written {
            assert!(!holds(content, &bytes), "{path} holds {secret}");
        }
    }

    // Codes that were never sent: the spares. They are sealed, so the issuer itself must say them.
    let before = Shop::messages_in(&kept);
    let sent: Vec<String> =
        before.iter().map(|message| code_in(message["text"].as_str().unwrap())).collect();
    let shop = Shop::reopen(&kept);
    let mut unsent = Vec::new();
    for message in &before {
        let delivery = message["delivery"].as_str().unwrap();
        let spare = ["delivery", "send-now", delivery, "--spare", "--phone", "+44 20 7946 0111"];
        if shop.run(&spare).status == 0 {
            let text = shop.last_message(delivery);
            unsent.push(code_in(&text));
        }
    }
    unsent.retain(|code| !sent.contains(code));
    assert!(!unsent.is_empty(), "there are spare codes that the demo did not send");
    for code in unsent {
        for spelling in [code.clone(), code.replace(' ', "")] {
            for (path, content) in &written {
                assert!(
                    !holds(content, spelling.as_bytes()),
                    "{path} holds a code that was not sent"
                );
            }
        }
    }
}

#[test]
fn the_lines_to_type_by_hand_do_what_they_say() {
    let dir = tempfile::tempdir().unwrap();
    let (ok, stdout, _) = demo(&["demo", "deliveries", "--fast"], dir.path());
    assert!(ok);
    let (_, lines) = stdout.split_once("The same by hand, in an empty directory:\n").unwrap();
    assert_eq!(lines.trim_end().lines().count(), 10, "ten lines");
    // A person waits for what is to be seen; a script has to look for it.
    let lines = lines
        .replace("serve & sleep 1", "serve & up")
        .replace("serve &\n", "serve & up\n")
        .replace(
            "--dir ana; sleep 1\n",
            "--dir ana; look '[0-9]{4} [0-9]{4}' cat doorstep-data/messages.jsonl\n",
        )
        .replace("sleep 1; doorstep delivery show A-1", "look delivered doorstep delivery show A-1")
        .replace(
            "\"the code in it\"",
            "\"$(grep -oE '[0-9]{4} [0-9]{4}' doorstep-data/messages.jsonl)\"",
        );
    assert!(!lines.contains("sleep"), "{lines}");
    let script = format!(
        "set -m
         trap 'kill $(jobs -p)' EXIT
         look() {{ pattern=$1; shift; for i in $(seq 400); do if \"$@\" 2>&1 | grep -qE \"$pattern\"; then \"$@\"; return; fi; sleep 0.05; done; exit 7; }}
         up() {{ look '^id +reference' doorstep delivery list > up.log; }}
         {lines}
         exit 0"
    );
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(dir.path())
        .env("DOORSTEP_SERVER_LISTEN", port.to_string())
        .env("DOORSTEP_SERVER", format!("http://{port}"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    for seen in [
        "made issuer",
        "enrolled as",
        "1 stops received",
        "accepted: hand it over",
        "1 outcomes sent",
        "match",
    ] {
        assert!(text.contains(seen), "{seen} is not in: {text}");
    }
}
