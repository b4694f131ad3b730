//! `doorstep code` as a script meets it: keys by file and pipe, the options of oathtool, refusals.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

const KEY: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

fn code(arguments: &[&str], stdin: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_doorstep"))
        .arg("code")
        .args(arguments)
        .env("TZ", "XYZ-14")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The command may end before it reads.
    let _ = child.stdin.take().unwrap().write_all(stdin);
    child.wait_with_output().unwrap()
}

fn prints(arguments: &[&str], stdin: &str) -> String {
    let output = code(arguments, stdin.as_bytes());
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

fn fails(arguments: &[&str], stdin: &str) -> (i32, String) {
    let output = code(arguments, stdin.as_bytes());
    assert!(output.stdout.is_empty(), "{arguments:?}");
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn the_codes_of_the_rfcs_are_printed() {
    assert_eq!(prints(&["hotp"], KEY), "755224");
    assert_eq!(prints(&["hotp", "-c", "9"], KEY), "520489");
    assert_eq!(prints(&["hotp", "-c", "1", "-w", "2"], KEY), "287082\n359152\n969429");
    assert_eq!(prints(&["totp", "--now", "59", "-d", "8"], KEY), "94287082");
    let hex = "3132333435363738393031323334353637383930313233343536373839303132";
    let arguments = ["totp", "--hex", "--algorithm", "SHA256", "-d8", "-N", "1111111109"];
    assert_eq!(prints(&arguments, hex), "68084774");
    let arguments = ["ocra", "--suite", "OCRA-1:HOTP-SHA1-6:QN08", "--question", "11111111"];
    assert_eq!(prints(&arguments, KEY), "243178");
}

#[test]
fn every_kind_has_help() {
    for kind in [&["--help"][..], &["totp", "--help"], &["hotp", "--help"], &["ocra", "--help"]] {
        assert!(prints(kind, "").contains("Usage: doorstep code"), "{kind:?}");
    }
}

#[test]
fn one_time_has_many_spellings_and_no_zone() {
    for now in [
        "1111111109",
        "@1111111109",
        "2005-03-18T01:58:29Z",
        "2005-03-18 01:58:29 UTC",
        "2005-03-18T15:58:29+14:00",
    ] {
        assert_eq!(prints(&["totp", "--digits=8", "--now", now], KEY), "07081804", "{now}");
    }
    assert_eq!(prints(&["totp", "--now", "0"], KEY), "755224");
    assert_eq!(prints(&["totp", "--now", &u64::MAX.to_string()], KEY).len(), 6);
    assert_eq!(prints(&["totp", "--now", "129", "--t0", "100", "-s", "30"], KEY), "755224");
    assert_eq!(prints(&["totp", "--now", "60", "--time-step-size", "1m"], KEY), "287082");
}

#[test]
fn a_key_is_read_as_people_write_it() {
    for key in [
        "gezd gnbv gy3t qojq gezd gnbv gy3t qojq\n",
        "GEZDGNBV-GY3TQOJQ-GEZDGNBV-GY3TQOJQ",
        "\u{feff}GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ===\r\n",
    ] {
        assert_eq!(prints(&["hotp"], key), "755224", "{key:?}");
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("key");
    std::fs::write(&file, KEY).unwrap();
    assert_eq!(prints(&["hotp", "--key-file", file.to_str().unwrap()], ""), "755224");
}

#[test]
fn a_key_on_the_command_line_is_warned_of() {
    let output = code(&["hotp", "--key", KEY], b"");
    assert_eq!(output.stdout, b"755224\n");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("warning: a secret on the command line"), "{stderr}");
    let output = code(&["hotp"], b"GEZDGNBVGY3TQOJQ");
    assert!(output.status.success());
    assert!(String::from_utf8(output.stderr).unwrap().contains("128 bits"));
    let output = code(&["hotp"], KEY.as_bytes());
    assert!(output.stderr.is_empty(), "a sound key is not warned of");
}

#[test]
fn machines_get_one_document() {
    let json = prints(&["totp", "--json", "--now", "59", "-w", "1"], KEY);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["codes"][0]["code"], "287082");
    assert_eq!(json["codes"][1]["step"], 2);
    assert_eq!(json["codes"][0]["from"], "1970-01-01T00:00:30Z");
    assert_eq!((&json["seconds_left"], &json["algorithm"]), (&1.into(), &"SHA1".into()));
}

#[test]
fn ocra_takes_every_input() {
    let dir = tempfile::tempdir().unwrap();
    let pin = dir.path().join("pin");
    std::fs::write(&pin, "1234\n").unwrap();
    let pin = pin.to_str().unwrap();
    let key = "3132333435363738393031323334353637383930313233343536373839303132";
    let counted =
        ["ocra", "--hex", "--suite", "OCRA-1:HOTP-SHA256-8:C-QN08-PSHA1", "-q", "12345678"];
    assert_eq!(prints(&[&counted[..], &["-c", "0", "--pin-file", pin]].concat(), key), "65347737");
    let mutual = ["ocra", "--hex", "--suite", "OCRA-1:HOTP-SHA256-8:QA08", "-q", "CLI22220"];
    assert_eq!(prints(&[&mutual[..], &["--own", "SRV11110"]].concat(), key), "28247970");
    let whole = [
        "ocra",
        "--suite",
        "OCRA-1:HOTP-SHA1-0:QN08-S064-T1M",
        "-q",
        "1",
        "--session",
        "s",
        "-N",
        "0",
    ];
    assert_eq!(prints(&whole, KEY).len(), 40);
    for (more, hint) in [
        (&["-c", "0"][..], "give --pin-file"),
        (&["--pin-file", pin], "C --counter"),
        (&["-c", "0", "--pin-file", pin, "--now", "0"], "leave --now out"),
        (&["-c", "0", "--pin-file", "-"], "give --key-file"),
        (&["-c", "0", "--pin-file", pin, "--own", "ABC"], "1 to 8 symbols"),
    ] {
        let (status, stderr) = fails(&[&counted[..], more].concat(), key);
        assert_eq!(status, 1, "{more:?}");
        assert!(stderr.contains(hint), "{more:?}: {stderr}");
    }
}

#[test]
fn mistakes_are_told_with_a_hint_and_without_the_key() {
    for (arguments, stdin, status, words) in [
        (&["hotp"][..], "", 1, "does not hold one secret"),
        (&["hotp"], "A B\nC", 1, "does not hold one secret"),
        (&["hotp"], "GEZDGNB1", 1, "hint: base32 has"),
        (&["hotp"], "GEZ", 1, "hint: copy the secret again"),
        (&["hotp", "--hex"], "zz", 1, "never part of a secret"),
        (&["hotp", "--key-file", "/nonexistent"], "", 1, "cannot read the secret from"),
        (&["hotp", "--key", KEY, "--key-file", "x"], "", 2, "cannot be used with"),
        (&["hotp", "-d", "5"], KEY, 2, "6..=10"),
        (&["hotp", "-d", "11"], KEY, 2, "6..=10"),
        (&["hotp", "-c", "-1"], KEY, 2, "-1"),
        (&["hotp", "-c", "18446744073709551616"], KEY, 2, "18446744073709551616"),
        (&["hotp", "-w", "100000"], KEY, 2, "100000"),
        (&["totp", "-a", "md5"], KEY, 2, "sha1, sha256 or sha512"),
        (&["totp", "-s", "0"], KEY, 1, "period of 0"),
        (&["totp", "-s", "-30"], KEY, 2, ""),
        (&["totp", "-N", "0", "-S", "1"], KEY, 1, "before T0"),
        (&["totp", "-N", "someday"], KEY, 2, "not a time"),
        (&["ocra", "-q", "1", "--suite", "OCRA-1:HOTP-MD5-6:QN08"], KEY, 2, "SHA512"),
        (&["ocra", "-q", "12a", "--suite", "OCRA-1:HOTP-SHA1-6:QN08"], KEY, 1, "1 to 8 symbols"),
    ] {
        let (told, stderr) = fails(arguments, stdin);
        assert_eq!(told, status, "{arguments:?}: {stderr}");
        assert!(stderr.contains(words), "{arguments:?}: {stderr}");
        assert!(stdin.len() < 3 || !stderr.contains(stdin), "{stderr}");
    }
}
