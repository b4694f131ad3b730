//! An authenticator's vault: codes, concurrency, sudden death, wrong passphrases and damaged files.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod support;

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use support::desk::{Desk, HOTP, SECRET};
use support::{killed_at, reply, wait_at_lock};

#[test]
fn codes_are_those_of_the_rfcs() {
    let desk = Desk::with_all_kinds();
    assert_eq!(desk.names(), ["GitHub:ana", "Bank:ana", "VPN:bo"]);
    let totp = desk.must(&["code", "github"]).json;
    assert_eq!(
        (totp["code"].as_str(), totp["seconds_left"].as_u64(), totp["next"].as_str()),
        (Some("287082"), Some(1), Some("359152")),
        "RFC 6238 at 59 s is HOTP's step 1"
    );
    for (counter, code) in HOTP.iter().enumerate() {
        let shown = desk.must(&["code", "bank"]).json;
        assert_eq!(
            (shown["code"].as_str(), shown["counter"].as_u64()),
            (Some(*code), u64::try_from(counter).ok())
        );
    }
    // RFC 6287, appendix C.1.
    for (challenge, response) in
        [("00000000", "237653"), ("11111111", "243178"), ("99999999", "294470")]
    {
        let shown = desk.must(&["code", "vpn", "--challenge", challenge]).json;
        assert_eq!(shown["response"], response, "{challenge}");
    }
}

#[test]
fn time_zones_do_not_matter_and_the_ends_of_time_have_codes() {
    let desk = Desk::with_all_kinds();
    for zone in ["UTC", "Pacific/Kiritimati", "America/St_Johns", ":/nowhere", ""] {
        let output = desk.command(&["code", "github"]).env("TZ", zone).output().unwrap();
        assert_eq!(reply(&output).json["code"], "287082", "{zone}");
    }
    desk.set_clock(0);
    assert_eq!(desk.must(&["code", "github"]).json["code"], "755224");
    desk.set_clock(u64::MAX);
    let last = desk.must(&["code", "github"]).json;
    assert_eq!(
        (last["code"].as_str().unwrap().len(), last["step"].as_u64()),
        (6, Some(u64::MAX / 30))
    );
    desk.set_clock(59 + 40);
    assert_eq!(desk.must(&["code", "github"]).json["code"], "969429", "40 s of drift");
}

#[test]
fn a_counter_at_its_end_gives_no_code_twice() {
    let desk = Desk::new();
    desk.add_uri(&format!("otpauth://hotp/A:x?secret={SECRET}&counter={}", u64::MAX - 1));
    assert_eq!(desk.must(&["code", "a"]).json["counter"], u64::MAX - 1);
    for _ in 0..2 {
        let shown = desk.run(&["code", "a"]);
        assert_eq!((shown.status, shown.outcome()), (3, "counter_used_up"));
    }
}

#[test]
fn a_challenge_that_is_refused_costs_no_counter() {
    let desk = Desk::new();
    desk.write("secret", "3132333435363738393031323334353637383930313233343536373839303132");
    desk.write("pin", "1234");
    let suite = "OCRA-1:HOTP-SHA256-8:C-QN08-PSHA1";
    desk.must(&["add", "--account", "c", "--secret-file", "secret", "--hex", "--ocra", suite]);
    let asked = ["code", "c", "--pin-file", "pin", "--challenge", "12345678"];
    // RFC 6287, appendix C.1.
    for (counter, response) in ["65347737", "86775851", "78192410", "71565254"].iter().enumerate() {
        for bad in [&asked[..2], &asked[..4], &[&asked[..5], &["1234567x"]].concat()] {
            assert_ne!(desk.run(bad).status, 0, "{bad:?}");
        }
        let shown = desk.must(&asked).json;
        assert_eq!(shown["response"], **response);
        assert_eq!(shown["counter"].as_u64(), u64::try_from(counter).ok());
    }
    assert_eq!(desk.counter(0), 4);
}

/// Starts commands that all stand at the vault's lock, lets them go, and gives their replies.
fn at_once(desk: &Desk, commands: &[Vec<&str>]) -> Vec<support::Reply> {
    let lock = File::create(desk.path("vault.lock")).unwrap();
    lock.lock().unwrap();
    let children: Vec<_> = commands
        .iter()
        .map(|arguments| {
            let mut command = desk.command(arguments);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    wait_at_lock(&lock, commands.len());
    lock.unlock().unwrap();
    children.into_iter().map(|child| reply(&child.wait_with_output().unwrap())).collect()
}

#[test]
fn eight_at_once_get_eight_counters() {
    let desk = Desk::with_all_kinds();
    let replies = at_once(&desk, &vec![vec!["code", "bank"]; 8]);
    let codes: BTreeSet<&str> =
        replies.iter().map(|reply| reply.json["code"].as_str().unwrap()).collect();
    assert_eq!(codes, HOTP[..8].iter().copied().collect());
    assert_eq!(desk.counter(1), 8);
}

#[test]
fn two_who_add_at_once_lose_nothing() {
    let desk = Desk::with_all_kinds();
    let commands: Vec<Vec<String>> = (0..4)
        .map(|nth| {
            let file = format!("uri{nth}");
            desk.write(&file, format!("otpauth://totp/N:n{nth}?secret={SECRET}"));
            ["add", "--uri-file", &file].map(str::to_owned).to_vec()
        })
        .collect();
    let mut commands: Vec<Vec<&str>> =
        commands.iter().map(|words| words.iter().map(String::as_str).collect()).collect();
    commands.push(vec!["code", "bank"]);
    commands.push(vec!["remove", "vpn", "--yes"]);
    assert!(at_once(&desk, &commands).iter().all(|reply| reply.status == 0));
    let mut names = desk.names();
    names.sort_unstable();
    assert_eq!(names, ["Bank:ana", "GitHub:ana", "N:n0", "N:n1", "N:n2", "N:n3"]);
}

#[test]
fn two_who_make_the_vault_at_once_make_one() {
    let desk = Desk::new();
    desk.write("a", format!("otpauth://totp/A:a?secret={SECRET}"));
    desk.write("b", format!("otpauth://totp/B:b?secret={SECRET}"));
    let commands = ["a", "b"].map(|file| vec!["add", "--uri-file", file]);
    assert!(at_once(&desk, &commands).iter().all(|reply| reply.status == 0));
    assert_eq!(desk.names().len(), 2);
}

/// Every call by which the vault's file, its name or its lock change.
const VAULT_WRITES: [&str; 5] = ["flock", "unlink", "write", "fsync", "rename"];

#[test]
fn killed_at_every_write_no_code_of_a_counter_is_shown_twice() {
    let desk = Desk::new();
    desk.add_uri(&format!("otpauth://hotp/Bank:ana?secret={SECRET}&counter=0"));
    let mut kills = 0;
    let mut seen = BTreeSet::new();
    let mut before = 0;
    for syscall in VAULT_WRITES {
        for nth in 1.. {
            let surround = |command: &mut std::process::Command| desk.surround(command);
            let (said, killed) = killed_at(surround, &["auth", "code", "bank"], syscall, nth);
            kills += u32::from(killed);
            let after = desk.counter(0);
            let point = format!("{syscall} {nth}: {before} then {after}, said {}", said.json);
            assert!(after == before || after == before + 1, "{point}");
            if let Some(counter) = said.json["counter"].as_u64() {
                assert!(seen.insert(counter), "shown twice: {point}");
                assert!(after > counter, "shown before it was durable: {point}");
            }
            // Whoever comes next is never locked out.
            let next = desk.must(&["code", "bank"]).json["counter"].as_u64().unwrap();
            assert!(seen.insert(next), "shown twice: {point}");
            before = next + 1;
            if !killed {
                break;
            }
        }
    }
    assert!(kills >= 5, "only {kills} kills: the trace missed the writes");
}

#[test]
fn killed_at_every_write_the_vault_is_the_old_or_the_new_one() {
    let uri = format!("otpauth://totp/New:one?secret={SECRET}");
    let old = Desk::new();
    old.add_uri(&format!("otpauth://totp/Old:one?secret={SECRET}"));
    let mut kills = 0;
    for first in [true, false] {
        for syscall in VAULT_WRITES {
            for nth in 1.. {
                let desk = Desk::new();
                if !first {
                    std::fs::copy(old.path("vault"), desk.path("vault")).unwrap();
                }
                desk.write("new", &uri);
                let surround = |command: &mut std::process::Command| desk.surround(command);
                let add = ["auth", "add", "--uri-file", "new"];
                let (_, killed) = killed_at(surround, &add, syscall, nth);
                kills += u32::from(killed);
                let again = desk.run(&["add", "--uri-file", "new"]);
                assert!([0, 3].contains(&again.status), "{syscall} {nth}: {}", again.stderr);
                let names = desk.names();
                let all = if first { vec!["New:one"] } else { vec!["Old:one", "New:one"] };
                assert_eq!(names, all, "{syscall} {nth}");
                if !killed {
                    break;
                }
            }
        }
    }
    assert!(kills >= 12, "only {kills} kills: the trace missed the writes");
}

#[test]
fn no_command_opens_a_socket() {
    let desk = Desk::with_all_kinds();
    desk.write("more", format!("otpauth://totp/More:x?secret={SECRET}"));
    for command in [
        &["auth", "list"][..],
        &["auth", "code", "bank"],
        &["auth", "code", "vpn", "--challenge", "12345678"],
        &["auth", "add", "--uri-file", "more"],
        &["auth", "export", "--format", "aegis", "--out", "out.json"],
        &["auth", "import", "out.json"],
        &["auth", "remove", "more", "--yes"],
    ] {
        let surround = |command: &mut std::process::Command| desk.surround(command);
        let (said, killed) = killed_at(surround, command, "socket", 1);
        assert!(!killed && said.status == 0, "{command:?}: {}", said.stderr);
    }
}

#[test]
fn left_over_files_lock_nobody_out() {
    let desk = Desk::with_all_kinds();
    desk.write("vault.new", "half a vault");
    desk.write("vault.lock", "4711");
    assert_eq!(desk.must(&["code", "bank"]).json["code"], HOTP[0]);
    assert_eq!(desk.must(&["code", "bank"]).json["code"], HOTP[1]);
    assert!(!desk.path("vault.new").exists());
}

#[test]
fn files_are_for_their_owner_and_hold_nothing_in_the_clear() {
    let desk = Desk::with_all_kinds();
    for name in ["vault", "vault.lock"] {
        let mode = std::fs::metadata(desk.path(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let vault = std::fs::read(desk.path("vault")).unwrap();
    for clear in [SECRET.as_bytes(), b"12345678901234567890", b"GitHub", b"otpauth", b"OCRA"] {
        assert!(!vault.windows(clear.len()).any(|window| window == clear));
    }
    let nested = desk.command(&["list", "--vault", "deep/er/vault"]).output().unwrap();
    assert_eq!(reply(&nested).outcome(), "no_vault", "listing makes nothing");
    desk.must(&["add", "--uri-file", "uri", "--vault", "deep/er/vault"]);
    let mode = std::fs::metadata(desk.path("deep/er")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn a_link_stays_a_link() {
    let desk = Desk::with_all_kinds();
    std::fs::create_dir(desk.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink("../vault", desk.path("elsewhere/link")).unwrap();
    assert_eq!(desk.must(&["code", "bank", "--vault", "elsewhere/link"]).json["code"], HOTP[0]);
    assert!(desk.path("elsewhere/link").is_symlink());
    assert_eq!(desk.must(&["code", "bank"]).json["code"], HOTP[1]);
}

#[test]
fn the_wrong_passphrase_is_refused_and_a_changed_one_opens() {
    let desk = Desk::with_all_kinds();
    desk.write("new", "another passphrase\r\n");
    for (wrong, why) in [
        ("correct horse", "wrong_passphrase"),
        ("", "wrong_passphrase"),
        ("correct horse battery ", "wrong_passphrase"),
    ] {
        desk.write("wrong", wrong);
        let refused = desk.run(&["code", "bank", "--passphrase-file", "wrong"]);
        assert_eq!((refused.status, refused.outcome()), (3, why), "{wrong:?}");
    }
    assert_eq!(desk.counter(1), 0);
    let by_pipe = desk.feed(&["list", "--passphrase-file", "-"], "correct horse battery\n");
    assert_eq!(by_pipe.status, 0);
    desk.must(&["passphrase", "--new-passphrase-file", "new"]);
    assert_eq!(desk.run(&["list"]).outcome(), "wrong_passphrase");
    let listed = desk.must(&["list", "--passphrase-file", "new"]);
    assert_eq!(listed.json["authenticators"].as_array().unwrap().len(), 3);
    desk.write("empty", "\n");
    let empty =
        desk.run(&["passphrase", "--passphrase-file", "new", "--new-passphrase-file", "empty"]);
    assert_eq!((empty.status, empty.outcome()), (3, "empty_passphrase"));
    let both = desk.run(&["passphrase", "--passphrase-file", "-", "--new-passphrase-file", "-"]);
    assert_eq!(both.status, 2);
}

#[test]
fn a_damaged_vault_is_left_as_it_is() {
    let desk = Desk::with_all_kinds();
    let whole = std::fs::read(desk.path("vault")).unwrap();
    let cases = [
        ("other magic", 0, "bad_vault"),
        ("newer version", 7, "bad_vault"),
        ("test flag", 8, "bad_vault"),
        ("memory", 9, "bad_vault"),
        ("salt", 21, "wrong_passphrase"),
        ("check", 40, "wrong_passphrase"),
        ("nonce", 70, "bad_vault"),
        ("content", whole.len() - 20, "bad_vault"),
        ("tag", whole.len() - 1, "bad_vault"),
    ];
    for (what, position, why) in cases {
        let mut damaged = whole.clone();
        damaged[position] ^= 0x40;
        desk.write("vault", &damaged);
        let refused = desk.run(&["code", "bank"]);
        assert_eq!(refused.outcome(), why, "{what}");
        assert_eq!(std::fs::read(desk.path("vault")).unwrap(), damaged, "{what}");
    }
    for length in [0, 5, 50, 93, whole.len() - 1] {
        desk.write("vault", &whole[..length]);
        assert_eq!(
            desk.run(&["add", "--uri-file", "uri"]).outcome(),
            "bad_vault",
            "{length} bytes"
        );
    }
    desk.write("vault", &whole);
    assert_eq!(desk.must(&["code", "bank"]).json["code"], HOTP[0]);
}

#[test]
fn a_real_vault_takes_no_simulated_clock() {
    let desk = Desk::new();
    desk.write("uri", format!("otpauth://totp/A:x?secret={SECRET}"));
    let real = |arguments: &[&str]| {
        let output = desk.command(arguments).env_remove("DOORSTEP_CLOCK").output().unwrap();
        reply(&output)
    };
    assert_eq!(real(&["add", "--uri-file", "uri"]).status, 0);
    for command in [&["list"][..], &["code", "a"], &["add", "--uri-file", "uri"]] {
        let refused = desk.run(command);
        assert_eq!(refused.status, 2, "{command:?}");
        assert!(refused.stderr.contains("DOORSTEP_CLOCK"), "{}", refused.stderr);
    }
    assert_eq!(real(&["list"]).json["test"], false);
}

#[test]
fn duplicates_are_refused_by_name_and_weak_secrets_named() {
    let desk = Desk::with_all_kinds();
    desk.must(&["code", "bank"]);
    desk.write("again", format!("otpauth://hotp/Bank:ana?secret={SECRET}&counter=0"));
    let again = desk.run(&["add", "--uri-file", "again"]);
    assert_eq!((again.status, again.outcome()), (3, "duplicate"));
    assert!(again.text("message").contains("Bank: ana"));
    assert_eq!(desk.counter(1), 1, "the counter was not set back");
    let weak = desk.feed(&["add"], "otpauth://totp/Weak:x?secret=GEZDGNBVGY3TQOJQ\n");
    assert_eq!(weak.status, 0);
    assert!(weak.stderr.contains("128 bits"), "{}", weak.stderr);
    let seen = format!("otpauth://totp/Seen:x?secret={SECRET}");
    let seen = desk.must(&["add", &seen]);
    assert!(seen.stderr.contains("seen by others"));
    assert_eq!(desk.names().len(), 5);
    // One that is new and one that is known: all or nothing.
    desk.must(&["export", "github", "bank", "--format", "migration", "--out", "both"]);
    desk.must(&["remove", "github", "--yes"]);
    assert_eq!(desk.run(&["add", "--uri-file", "both"]).outcome(), "duplicate");
    assert_eq!(desk.names().len(), 4);
}

#[test]
fn hostile_uris_add_nothing_and_are_never_repeated() {
    let desk = Desk::new();
    for (uri, why) in [
        (format!("otpauth://steam/Steam:x?secret={SECRET}"), "unusable"),
        (format!("otpauth://totp/A:x?secret={SECRET}&period=0"), "unusable"),
        (format!("otpauth://totp/A:x?secret={SECRET}&digits=-6"), "unusable"),
        (format!("otpauth://hotp/A:x?secret={SECRET}&counter=99999999999999999999"), "unusable"),
        (format!("otpauth://totp/A%1b%5b2J?secret={SECRET}"), "unusable"),
        ("otpauth://totp/A:x?secret=".to_owned(), "unusable"),
        ("otpauth-migration://offline?data=AAAA".to_owned(), "unusable"),
        (format!("https://example.com/{SECRET}"), "unusable"),
        (String::new(), "failed"),
    ] {
        let refused = desk.feed(&["add"], &uri);
        assert_eq!(refused.outcome(), why, "{uri}");
        let said = format!("{}{}", refused.json, refused.stderr);
        assert!(!said.contains(SECRET) && !said.contains('\u{1b}'), "{said}");
    }
    assert!(!desk.path("vault").exists());
}

#[test]
fn a_name_may_be_a_part_and_must_be_clear() {
    let desk = Desk::with_all_kinds();
    for (name, code) in [("git", 0), ("GITHUB: ANA", 0), ("1", 0)] {
        assert_eq!(desk.must(&["code", name]).json["code"], "287082", "{name} {code}");
    }
    let ambiguous = desk.run(&["code", "ana"]);
    assert_eq!((ambiguous.status, ambiguous.outcome()), (1, "ambiguous_name"));
    assert!(ambiguous.stderr.contains("GitHub: ana") && ambiguous.stderr.contains("Bank: ana"));
    assert_eq!(desk.run(&["code", "nobody"]).outcome(), "unknown_name");
    assert_eq!(desk.run(&["remove", "bank"]).status, 2, "nobody was asked");
    assert_eq!(desk.run(&["remove", "ana", "--yes"]).outcome(), "ambiguous_name");
    desk.must(&["remove", "bank", "--yes"]);
    assert_eq!(desk.names(), ["GitHub:ana", "VPN:bo"]);
}
