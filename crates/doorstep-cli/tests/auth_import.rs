//! What other apps export comes in whole or not at all, and what goes out comes in again.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod support;

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use support::desk::{Desk, HOTP, SECRET};

fn vector(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../vectors/aegis").join(name);
    path.to_str().unwrap().to_owned()
}

const USABLE: [&str; 4] = ["Example:ana@example.com", "Bank:jürgen", "Old VPN:ana", ":no issuer"];

#[test]
fn an_aegis_export_comes_in_and_steam_is_refused_by_name() {
    let desk = Desk::new();
    let refused = desk.run(&["import", &vector("plain.json")]);
    assert_eq!((refused.status, refused.outcome()), (3, "unusable"));
    let details = refused.json["details"].as_array().unwrap();
    let names: Vec<_> = details.iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Steam: player", "Mobile: ana", "Odd: ten digits"]);
    assert!(details[0]["remarks"].as_str().unwrap().contains("Steam"));
    assert!(!desk.path("vault").exists(), "nothing was added");

    let taken = desk.must(&["import", &vector("plain.json"), "--skip-refused"]).json;
    let counts = ["added", "known", "refused"].map(|name| taken[name].as_u64().unwrap());
    assert_eq!(counts, [4, 0, 3]);
    assert_eq!(desk.names(), USABLE);
    assert_eq!(desk.must(&["code", "example"]).json["code"], "287082");
    assert_eq!(desk.must(&["code", "old vpn"]).json["code"], HOTP[7]);
    let listed = desk.must(&["list"]).json;
    let bank = &listed["authenticators"][1];
    assert_eq!(
        (&bank["algorithm"], &bank["digits"], &bank["period"]),
        (&"SHA256".into(), &8.into(), &60.into())
    );

    let again = desk.must(&["import", &vector("plain.json"), "--skip-refused"]).json;
    assert_eq!((&again["added"], &again["known"]), (&0.into(), &4.into()));
    assert_eq!(desk.counter(2), 8, "the counter was not set back");
}

#[test]
fn a_sealed_aegis_export_opens_under_its_passphrase_only() {
    let desk = Desk::new();
    desk.write("theirs", "test passphrase\n");
    let wrong =
        desk.run(&["import", &vector("sealed.json"), "--file-passphrase-file", "passphrase"]);
    assert_eq!((wrong.status, wrong.outcome()), (3, "wrong_file_passphrase"));
    desk.must(&["import", &vector("sealed.json"), "--file-passphrase-file", "theirs"]);
    assert_eq!(desk.names(), USABLE);
}

#[test]
fn what_goes_out_comes_in_again() {
    let desk = Desk::with_all_kinds();
    for (format, file) in [
        ("aegis", "plain.json"),
        ("otpauth", "uris.txt"),
        ("migration", "migration.txt"),
        ("qr", "one.png"),
        ("migration-qr", "all.png"),
    ] {
        let mut export = vec!["export", "--format", format, "--out", file];
        if format == "qr" {
            export.push("github");
        }
        let written = desk.must(&export);
        assert!(written.stderr.contains("has the secrets"), "{}", written.stderr);
        let left_out = u64::from(format != "qr");
        assert_eq!(written.json["left_out"], left_out, "{format}: OCRA is named");
        let mode = std::fs::metadata(desk.path(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{format}");
        let before = std::fs::read(desk.path(file)).unwrap();
        assert_eq!(desk.run(&export).outcome(), "file_exists", "{format}");
        assert_eq!(std::fs::read(desk.path(file)).unwrap(), before, "{format}");
        let other = format!("vault-{format}");
        let taken = desk.must(&["import", file, "--vault", &other]).json;
        assert_eq!(taken["added"], if format == "qr" { 1 } else { 2 }, "{format}");
        assert_eq!(desk.must(&["code", "github", "--vault", &other]).json["code"], "287082");
    }
    let sealed = [
        "export",
        "--format",
        "aegis",
        "--encrypt",
        "--file-passphrase-file",
        "passphrase",
        "--out",
        "sealed.json",
    ];
    let written = desk.must(&sealed);
    assert!(!written.stderr.contains("has the secrets"), "{}", written.stderr);
    let text = std::fs::read_to_string(desk.path("sealed.json")).unwrap();
    assert!(!text.contains(SECRET) && !text.contains("GitHub"));
    desk.must(&[
        "import",
        "sealed.json",
        "--file-passphrase-file",
        "passphrase",
        "--vault",
        "other",
    ]);
}

#[test]
fn several_codes_of_an_image_come_in_together() {
    let desk = Desk::with_all_kinds();
    desk.must(&["export", "--format", "qr", "--out", "codes.png"]);
    assert!(!desk.path("codes.png").exists(), "several images are numbered");
    desk.must(&["add", "--image", "codes-1.png", "--vault", "other"]);
    let again = desk.run(&["add", "--image", "codes-1.png", "--vault", "other"]);
    assert_eq!((again.status, again.outcome()), (3, "duplicate"));
    desk.must(&["import", "codes-2.png", "--vault", "other"]);
    assert_eq!(desk.must(&["code", "bank", "--vault", "other"]).json["code"], HOTP[0]);
}

#[test]
fn what_google_cannot_carry_is_not_exported_by_halves() {
    let desk = Desk::with_all_kinds();
    desk.add_uri(&format!("otpauth://totp/Slow:x?secret={SECRET}&period=60"));
    let refused = desk.run(&["export", "--format", "migration", "--out", "m.txt"]);
    assert_eq!((refused.status, refused.outcome()), (1, "unwritable"));
    assert!(refused.stderr.contains("Slow: x"));
    assert!(!desk.path("m.txt").exists());
    assert_eq!(desk.run(&["export", "--format", "otpauth"]).status, 2, "no secrets by chance");
    assert_eq!(desk.run(&["export", "--format", "qr", "--encrypt"]).status, 2);
    assert_eq!(desk.run(&["export", "--format", "otpauth", "--out", "v", "vpn"]).status, 1);
}

#[test]
fn hostile_files_add_nothing() {
    let desk = Desk::new();
    let png = doorstep_qr::Qr::of_text("https://example.com").unwrap().png(4);
    let steam = doorstep_qr::Qr::of_text(&format!("otpauth://steam/S:x?secret={SECRET}")).unwrap();
    let deep = "[".repeat(100_000);
    let escapes = format!(
        "{{\"version\":1,\"db\":{{\"version\":3,\"entries\":[{{\"type\":\"totp\",\"name\":\"a\\u001b[2J\",\
         \"info\":{{\"secret\":\"{SECRET}\",\"algo\":\"SHA1\",\"digits\":6,\"period\":30}}}}]}}}}"
    );
    let reorders = escapes.replace("\\u001b[2J", "\u{202E}evil");
    let hidden = escapes.replace("\\u001b[2J", "\u{200B}");
    // Cut at the limit, its first line would be taken in and its last one lost.
    let longest = 32 << 20;
    let uri = format!("otpauth://totp/a?secret={SECRET}\n");
    let long = format!("{uri}{}{uri}", "#\n".repeat((longest - uri.len()) / 2));
    for (name, content, why) in [
        ("long", long.as_bytes(), "failed"),
        ("reorders", reorders.as_bytes(), "unusable"),
        ("hidden", hidden.as_bytes(), "unusable"),
        ("empty", &b""[..], "nothing_found"),
        ("comments", b"# nothing\n\n", "nothing_found"),
        ("words", b"hello", "unusable"),
        ("binary", b"\x00\xFF\xFE", "failed"),
        ("json", b"{}", "bad_import"),
        ("deep", format!("{{\"version\":1,\"db\":{deep}").as_bytes(), "bad_import"),
        ("newer", b"{\"version\":2,\"db\":{}}", "bad_import"),
        ("escapes", escapes.as_bytes(), "unusable"),
        ("cut.png", &png[..60], "bad_image"),
        ("other.png", &png, "unusable"),
        ("steam.png", &steam.png(4), "unusable"),
    ] {
        desk.write(name, content);
        let refused = desk.run(&["import", name]);
        assert_eq!(refused.outcome(), why, "{name}");
        let said = format!("{}{}", refused.json, refused.stderr);
        let marks = ["\u{1b}", "u001b", "\u{202E}", "u202e", "\u{200B}", "u200b", SECRET];
        let clean = marks.iter().all(|mark| !said.contains(mark));
        assert!(clean, "{name}: {said}");
    }
    assert_eq!(desk.run(&["import", "missing"]).status, 1);
    assert!(!desk.path("vault").exists());
}
