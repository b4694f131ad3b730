//! `exec` with shell scripts.

use super::*;
use crate::config::messages::Provider as Name;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

fn exec(dir: &Path, script: &str, timeout_seconds: u64) -> Messenger {
    let path = dir.join("send");
    std::fs::write(&path, format!("#!/bin/sh\ncd '{}'\n{script}\n", dir.display())).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    open(Messages {
        provider: Name::Exec,
        exec_program: Some(path),
        timeout_seconds,
        ..Messages::default()
    })
}

async fn send(messenger: &Messenger) -> Outcome {
    messenger.provider.send(&[message(messenger)]).await.pop().unwrap()
}

#[tokio::test]
async fn the_program_gets_the_message_as_json_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let messenger =
        exec(dir.path(), "cat >got; echo \"$#\" >arguments; env >env; echo gw-1; echo more", 10);
    assert_eq!(send(&messenger).await, Outcome::Taken(Some("gw-1".to_owned())));
    let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
    let got: serde_json::Value = serde_json::from_str(&read("got")).unwrap();
    assert_eq!((&got["id"], &got["to"]), (&"msg_1".into(), &"+34612345678".into()));
    assert!(got["text"].as_str().unwrap().contains("0029 1635"));
    assert_eq!(read("arguments"), "0\n");
    let names: Vec<String> =
        read("env").lines().map(|line| line.split('=').next().unwrap().to_owned()).collect();
    assert!(
        names.iter().all(|name| ["PATH", "PWD", "OLDPWD", "SHLVL", "_"].contains(&name.as_str())),
        "{names:?}"
    );
}

#[tokio::test]
async fn its_exit_status_says_what_became_of_it() {
    for (script, outcome) in [
        ("exit 0", Outcome::Taken(None)),
        ("echo 'modem busy' >&2; exit 1", Outcome::Failed("exit status: 1: modem busy".to_owned())),
        (
            "echo 'bad number' >&2; exit 65",
            Outcome::Refused("exit status: 65: bad number".to_owned()),
        ),
        ("kill -9 $$", Outcome::Unknown("signal: 9 (SIGKILL): ".to_owned())),
        // It does not read, and says no.
        ("exec <&-; exit 2", Outcome::Failed("exit status: 2: ".to_owned())),
    ] {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(send(&exec(dir.path(), script, 10)).await, outcome, "{script}");
    }
}

#[tokio::test]
async fn a_program_that_does_not_end_is_ended_with_all_that_it_started() {
    let dir = tempfile::tempdir().unwrap();
    let messenger = exec(dir.path(), "sleep 1000 & echo $! >child; wait", 3);
    assert_eq!(send(&messenger).await, Outcome::Unknown("did not end within 3 s".to_owned()));
    let child = std::fs::read_to_string(dir.path().join("child")).unwrap();
    // Gone, or dead and not yet buried by whoever took it over; a moment after the signal.
    let ended = || match std::fs::read_to_string(format!("/proc/{}/stat", child.trim())) {
        Ok(stat) => stat.contains(") Z "),
        Err(_) => true,
    };
    for _ in 0..1000 {
        if ended() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{child} runs on");
}

#[tokio::test]
async fn a_program_that_talks_without_end_is_not_heard_to_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let endless = exec(dir.path(), "yes >&2", 2);
    assert_eq!(send(&endless).await, Outcome::Unknown("did not end within 2 s".to_owned()));
}

#[tokio::test]
async fn how_much_a_program_says_and_whom_it_leaves_behind_decide_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let much = "head -c 300000 /dev/zero | tr '\\0' x";
    let taken = exec(dir.path(), &format!("echo gw-1; {much}; {much} >&2; exit 0"), 20);
    assert_eq!(send(&taken).await, Outcome::Taken(Some("gw-1".to_owned())));
    let refused = exec(dir.path(), &format!("{much} >&2; exit 65"), 20);
    let Outcome::Refused(said) = send(&refused).await else { panic!("not refused") };
    assert_eq!(said.len(), "exit status: 65: ".len() + 4096);
    let left = exec(dir.path(), "echo gw-2; sleep 30 & echo $! >child; exit 0", 20);
    assert_eq!(send(&left).await, Outcome::Taken(Some("gw-2".to_owned())));
    let child = std::fs::read_to_string(dir.path().join("child")).unwrap();
    // It runs on: that it was there to be left behind is what makes this a test.
    assert!(std::process::Command::new("kill").arg(child.trim()).status().unwrap().success());
}
