//! A guest's wallet: what it takes in, what it brings out, and what becomes of its file.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod support;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use doorstep::pass::claims::{Audience, Pass, Scope, Uses};
use doorstep::pass::document::{Content, Document};
use doorstep::pass::presented::with_proof;
use doorstep::pass::proof::timed_transcript;
use doorstep_qr::Qr;
use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use support::guest::Guest;
use support::issuer::{NOW, bound, bulletin, document, pass, signed, text};
use support::{Reply, killed_at, reply, wait_at_lock};

const LOCK: &str = "lk-00042";

#[test]
fn a_pass_comes_in_every_form_and_goes_out_as_it_came() {
    let made = signed(pass(1, LOCK));
    let said = text(&made);
    let first = Guest::new();
    first.write("pass.bin", &made);
    first.write("pass.txt", format!("{said}\r\n"));
    first.write("pass.png", &*Qr::of_text(&said).unwrap().png(4));
    for source in ["pass.bin", "pass.txt", "pass.png", &said, "-"] {
        let guest = Guest::new();
        for name in ["pass.bin", "pass.txt", "pass.png"] {
            guest.write(name, first.read(name));
        }
        let added = guest.feed(&["add", source], said.as_bytes());
        assert_eq!(added.status, 0, "{source}: {}", added.stderr);
        assert_eq!(added.json["added"]["id"], "0101010101010101", "{source}");
        assert!(added.stderr.contains("whoever has a copy"), "{}", added.stderr);
        let shown = guest.must(&["show", "1", "--qr"]);
        assert_eq!(shown.json["text"], said, "{source}");
        assert!(shown.stderr.contains("photographs"), "{}", shown.stderr);
        guest.must(&["show", "1", "--bin", "out.bin"]);
        assert_eq!(guest.read("out.bin"), made, "{source}");
        guest.must(&["show", "1", "--png", "out.png"]);
        let codes = doorstep_qr::read(&guest.read("out.png")).unwrap();
        assert_eq!(codes.iter().map(|code| code.to_vec()).collect::<Vec<_>>(), [said.as_bytes()]);
        guest.must(&["show", "1", "--svg", "out.svg"]);
        assert!(guest.read("out.svg").starts_with(b"<svg"));
        for name in ["out.bin", "out.png", "out.svg"] {
            let mode = std::fs::metadata(guest.path(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        let again = guest.run(&["show", "1", "--bin", "out.bin"]);
        assert_eq!(again.status, 1, "nothing is overwritten");
        assert_eq!(guest.read("out.bin"), made);
        assert_eq!(guest.run(&["show", "1", "--bin", "a", "--png", "b"]).status, 2);
    }
}

#[test]
fn what_is_said_of_a_pass_is_what_it_says() {
    let guest = Guest::new();
    let club = Pass {
        scope: Scope { uses: Uses::times(5).unwrap(), passage: true, exact: true },
        lasts: std::num::NonZero::new(7200),
        ..pass(2, "g-club")
    };
    guest.add(&signed(bound(1, LOCK, guest.key())));
    guest.write("club", signed(club));
    guest.must(&["add", "club", "--label", "Club house"]);
    let listed = guest.must(&["list"]).json;
    let (one, two) = (&listed["passes"][0], &listed["passes"][1]);
    assert_eq!((one["lock"].as_str(), one["group"].as_str()), (Some(LOCK), None));
    assert_eq!((one["bearer"].as_bool(), &one["holder"]), (Some(false), &listed["key"]));
    assert_eq!((one["kind"].as_str(), one["uses"].as_str()), (Some("signed"), Some("many")));
    assert_eq!(
        (one["from"].as_str(), one["until"].as_str()),
        (Some("2027-01-15T23:00:00Z"), Some("2027-01-16T01:00:00Z"))
    );
    assert_eq!((two["lock"].as_str(), two["group"].as_str()), (None, Some("club")));
    assert_eq!((two["bearer"].as_bool(), two["label"].as_str()), (Some(true), Some("Club house")));
    assert_eq!((two["uses"].as_u64(), two["lasts_seconds"].as_u64()), (Some(5), Some(7200)));
    assert_eq!((two["exact"].as_bool(), two["passage"].as_bool()), (Some(true), Some(true)));
    for (clock, standing) in
        [(NOW - 3601, "not_yet"), (NOW - 3600, "open"), (NOW + 3599, "open"), (NOW + 3600, "over")]
    {
        guest.set_clock(clock);
        assert_eq!(guest.must(&["show", "1"]).json["pass"]["standing"], standing, "{clock}");
    }
}

#[test]
fn a_pass_with_a_holder_is_for_that_key_alone() {
    for algorithm in ["p256", "ed25519"] {
        let guest = Guest::without_wallet();
        guest.must(&["init", "--algorithm", algorithm]);
        let other = Guest::new();
        for holder in [other.key(), doorstep::pass::claims::HolderKey::Ed25519([9; 32])] {
            let refused = guest.add(&signed(bound(1, LOCK, holder)));
            assert_eq!((refused.status, refused.outcome()), (3, "other_holder"));
        }
        assert!(guest.ids().is_empty());
        let added = guest.add(&signed(bound(1, LOCK, guest.key())));
        assert_eq!(added.status, 0, "{}", added.stderr);
        assert!(!added.stderr.contains("bearer"), "{}", added.stderr);
    }
}

/// The proof in the text of a QR code, as a lock reads it: the pass, the time, the signature.
fn taken_apart(said: &str, document: &[u8]) -> (u32, [u8; 64]) {
    let bytes = doorstep::pass::text::read(said).unwrap();
    let rest = bytes.as_ref().strip_prefix(&[0x83]).unwrap().strip_prefix(document).unwrap();
    let (time, proof) = rest.strip_prefix(&[0x1A]).unwrap().split_first_chunk().unwrap();
    (u32::from_be_bytes(*time), proof.strip_prefix(&[0x58, 64]).unwrap().try_into().unwrap())
}

#[test]
fn a_picture_of_a_pass_with_a_holder_is_proven_by_the_phones_time() {
    for algorithm in ["p256", "ed25519"] {
        let guest = Guest::without_wallet();
        guest.must(&["init", "--algorithm", algorithm]);
        let made = signed(bound(1, LOCK, guest.key()));
        assert_eq!(guest.add(&made).status, 0);
        let read = Document::parse(&made).unwrap();
        let (lock, other) = (Audience::parse(LOCK).unwrap(), Audience::parse("lk-00043").unwrap());
        let key = guest.key().signer().unwrap();
        for clock in [NOW, NOW + 7] {
            guest.set_clock(clock);
            let shown = guest.must(&["show", "1", "--qr"]);
            assert!(!shown.stderr.contains("bearer"), "{}", shown.stderr);
            let (time, proof) = taken_apart(&shown.text("text"), &made);
            assert_eq!(u64::from(time), clock);
            let fits = |lock, time| {
                key.verify(&[timed_transcript(&read, lock, time).as_ref()], &proof).is_ok()
            };
            assert!(fits(&lock, time), "{algorithm}");
            assert!(!fits(&other, time) && !fits(&lock, time + 1), "{algorithm}");
        }
        let other = guest.run(&["show", "1", "--qr", "--lock", "lk-00043"]);
        assert_eq!(other.status, 2, "it is for one lock: {}", other.json);
        // One for a group is proven to the lock that the guest stands at.
        let club = signed(bound(2, "g-club", guest.key()));
        assert_eq!(guest.add(&club).status, 0);
        assert_eq!(guest.run(&["show", "2", "--qr"]).status, 2);
        assert_eq!(guest.run(&["show", "2", "--qr", "--lock", "Court 3"]).status, 2);
        let shown = guest.must(&["show", "2", "--qr", "--lock", LOCK]);
        let (time, proof) = taken_apart(&shown.text("text"), &club);
        let read = Document::parse(&club).unwrap();
        key.verify(&[timed_transcript(&read, &lock, time).as_ref()], &proof).unwrap();
    }
}

#[test]
fn what_is_no_pass_is_not_taken_in() {
    let guest = Guest::new();
    let good = signed(pass(1, LOCK));
    let rider = document(&Content::Rider(bulletin(1, LOCK, &[])));
    let proven = with_proof(&good, &[0; 64]).unwrap();
    let mut longer = good.clone();
    longer.push(0);
    let cases: [(&str, &[u8]); 10] = [
        ("nothing", b""),
        ("a byte less", &good[..good.len() - 1]),
        ("a byte more", &longer),
        ("a rider", &rider),
        ("with a proof", proven.as_ref()),
        ("another text", b"DP2:ABC"),
        ("no base45", b"DP1:abc"),
        ("the text of nothing", b"DP1:"),
        ("an image without a code", b"\x89PNG\r\n\x1a\n"),
        ("far too long", &[0xD2; 4096]),
    ];
    for (name, content) in cases {
        guest.write("bad", content);
        let refused = guest.run(&["add", "bad"]);
        assert_eq!(refused.status, 1, "{name}: {}", refused.json);
        assert!(["not_a_pass", "bad_image"].contains(&refused.outcome()), "{name}");
        assert!(refused.stderr.contains("hint: "), "{name}: {}", refused.stderr);
    }
    assert_eq!(guest.run(&["add", "missing"]).status, 1);
    assert_eq!(guest.run(&["add", "bad", "--label", "a\u{202e}b"]).status, 2);
    assert!(guest.ids().is_empty());
    assert_eq!(guest.add(&good).status, 0);
    let again = guest.add(&good);
    assert_eq!((again.status, again.outcome()), (3, "duplicate"));
    // The same id in another document: nobody can tell which is the true one, so the first stays.
    let other = guest.add(&signed(pass(1, "lk-00043")));
    assert_eq!((other.status, other.outcome()), (3, "duplicate"));
    guest.must(&["show", "1", "--bin", "kept"]);
    assert_eq!(guest.read("kept"), good);
}

#[test]
fn a_pass_is_meant_by_its_number_its_id_or_its_door() {
    let guest = Guest::new();
    for (id, label) in [(0x11, "Court 3"), (0x12, "Court 4"), (0xAB, "Gym")] {
        guest.write("pass", signed(pass(id, LOCK)));
        guest.must(&["add", "pass", "--label", label]);
    }
    let id = |name: &str| guest.must(&["show", name]).json["pass"]["id"].clone();
    for (name, found) in [
        ("1", "1111111111111111"),
        ("3", "abababababababab"),
        ("ab", "abababababababab"),
        ("ABAB", "abababababababab"),
        ("1212", "1212121212121212"),
        ("gym", "abababababababab"),
        ("court 4", "1212121212121212"),
    ] {
        assert_eq!(id(name), found, "{name}");
    }
    for (name, why) in [
        ("court", "ambiguous_pass"),
        ("0", "unknown_pass"),
        ("7", "unknown_pass"),
        ("", "unknown_pass"),
        (" ", "unknown_pass"),
        ("squash", "unknown_pass"),
    ] {
        assert_eq!(guest.run(&["show", name]).outcome(), why, "{name:?}");
    }
    assert_eq!(guest.run(&["remove", "gym"]).status, 2, "nobody was asked");
    assert_eq!(guest.run(&["remove", "court", "--yes"]).outcome(), "ambiguous_pass");
    guest.must(&["remove", "gym", "--yes"]);
    assert_eq!(guest.ids(), ["1111111111111111", "1212121212121212"]);
}

/// Whether any file of a directory holds these bytes.
fn on_disk(guest: &Guest, wanted: &[u8]) -> bool {
    let files = std::fs::read_dir(guest.path(".")).unwrap();
    files
        .map(|file| std::fs::read(file.unwrap().path()).unwrap())
        .any(|content| content.windows(wanted.len()).any(|window| window == wanted))
}

#[test]
fn nothing_of_a_pass_is_on_the_disk_in_the_clear() {
    let guest = Guest::new();
    let made = signed(pass(0x5A, LOCK));
    assert_eq!(guest.feed(&["add", "-", "--label", "Harbour gate"], &made).status, 0);
    guest.must(&["show", "1", "--qr"]);
    guest.must(&["list"]);
    let said = text(&made);
    let key = guest.must(&["key"]).text("key");
    for (name, secret) in [
        ("the document", &made[..]),
        ("its signature", &made[made.len() - 64..]),
        ("its id", &[0x5A; 8]),
        ("its id in digits", b"5a5a5a5a"),
        ("its text", &said.as_bytes()[..20]),
        ("base64url", URL_SAFE_NO_PAD.encode(&made[..30]).as_bytes()),
        ("base64", STANDARD.encode(&made[..30]).as_bytes()),
        ("its lock", LOCK.as_bytes()),
        ("its label", b"Harbour"),
        ("the public key", &key.as_bytes()[5..25]),
        ("JSON", b"\"p256\""),
    ] {
        assert!(!on_disk(&guest, secret), "{name}");
    }
    assert!(on_disk(&guest, b"correct horse"), "the search finds what is there");
    for name in ["wallet", "wallet.lock"] {
        let mode = std::fs::metadata(guest.path(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn a_wallet_is_not_made_twice() {
    let guest = Guest::new();
    let key = guest.must(&["key"]).text("key");
    let again = guest.run(&["init"]);
    assert_eq!((again.status, again.outcome()), (1, "wallet_exists"));
    assert_eq!(guest.must(&["key"]).text("key"), key);
    assert!(key.starts_with("p256:"));
    let nobody = Guest::without_wallet();
    for command in [&["list"][..], &["key"], &["add", "passphrase"], &["show", "1"]] {
        let missing = nobody.run(command);
        assert_eq!(missing.status, 1, "{command:?}");
        assert!(missing.stderr.contains("hint: "), "{}", missing.stderr);
    }
    assert!(!nobody.path("wallet").exists(), "looking makes nothing");
}

#[test]
fn six_who_add_at_once_lose_nothing() {
    let guest = Guest::new();
    let lock = File::create(guest.path("wallet.lock")).unwrap();
    lock.lock().unwrap();
    let children: Vec<_> = (1..=6)
        .map(|id| {
            let name = format!("pass{id}");
            guest.write(&name, signed(pass(id, LOCK)));
            let mut command = guest.command(&["add", &name]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    wait_at_lock(&lock, children.len());
    lock.unlock().unwrap();
    let replies: Vec<Reply> =
        children.into_iter().map(|child| reply(&child.wait_with_output().unwrap())).collect();
    assert!(replies.iter().all(|reply| reply.status == 0));
    let mut ids = guest.ids();
    ids.sort_unstable();
    assert_eq!(ids, (1..=6).map(|id| format!("{id:02x}").repeat(8)).collect::<Vec<_>>());
}

/// Every call by which the wallet's file, its name or its lock change.
const WRITES: [&str; 5] = ["flock", "unlink", "write", "fsync", "rename"];

#[test]
fn killed_at_every_write_the_wallet_is_the_old_or_the_new_one() {
    let old = Guest::new();
    assert_eq!(old.add(&signed(pass(1, LOCK))).status, 0);
    let mut kills = 0;
    for (arguments, repeated) in [
        (&["wallet", "init"][..], &["init"][..]),
        (&["wallet", "add", "new"], &["add", "new"]),
        (&["wallet", "remove", "1", "--yes"], &["remove", "01010101", "--yes"]),
    ] {
        let makes = arguments[1] == "init";
        for syscall in WRITES {
            for nth in 1.. {
                let guest = Guest::without_wallet();
                if !makes {
                    guest.write("wallet", old.read("wallet"));
                }
                guest.write("new", signed(pass(2, LOCK)));
                let surround = |command: &mut std::process::Command| guest.surround(command);
                let (_, killed) = killed_at(surround, arguments, syscall, nth);
                kills += u32::from(killed);
                let again = guest.run(repeated);
                let point = format!("{arguments:?} {syscall} {nth}");
                assert!([0, 1, 3].contains(&again.status), "{point}: {}", again.stderr);
                let wanted: &[&str] = match arguments[1] {
                    "init" => &[],
                    "add" => &["0101010101010101", "0202020202020202"],
                    _ => &[],
                };
                assert_eq!(guest.ids(), wanted, "{point}");
                if !killed {
                    break;
                }
            }
        }
    }
    assert!(kills >= 12, "only {kills} kills: the trace missed the writes");
}

#[test]
fn what_is_local_opens_no_socket() {
    let guest = Guest::new();
    guest.write("pass", signed(pass(1, LOCK)));
    for command in [
        &["wallet", "add", "pass"][..],
        &["wallet", "key", "--qr"],
        &["wallet", "list"],
        &["wallet", "show", "1", "--qr"],
        &["wallet", "remove", "1", "--yes"],
        &["wallet", "init", "--wallet", "another"],
    ] {
        let surround = |command: &mut std::process::Command| guest.surround(command);
        let (said, killed) = killed_at(surround, command, "socket", 1);
        assert!(!killed && said.status == 0, "{command:?}: {}", said.stderr);
    }
}

#[test]
fn wrong_passphrases_and_damaged_and_foreign_files_change_nothing() {
    let guest = Guest::new();
    guest.add(&signed(pass(1, LOCK)));
    for wrong in ["correct horse", "", "correct horse battery "] {
        guest.write("wrong", wrong);
        let refused = guest.run(&["list", "--passphrase-file", "wrong"]);
        assert_eq!((refused.status, refused.outcome()), (3, "wrong_passphrase"), "{wrong:?}");
    }
    let both = guest.run(&["add", "-", "--passphrase-file", "-"]);
    assert_eq!(both.status, 2, "one standard input cannot be both");
    let whole = guest.read("wallet");
    for (what, position, why) in [
        ("another kind", 2, "bad_wallet"),
        ("newer version", 7, "bad_wallet"),
        ("test flag", 8, "bad_wallet"),
        ("memory", 9, "bad_wallet"),
        ("salt", 21, "wrong_passphrase"),
        ("check", 40, "wrong_passphrase"),
        ("nonce", 70, "bad_wallet"),
        ("content", whole.len() - 20, "bad_wallet"),
        ("tag", whole.len() - 1, "bad_wallet"),
    ] {
        let mut damaged = whole.clone();
        damaged[position] ^= 0x40;
        guest.write("wallet", &damaged);
        let refused = guest.run(&["remove", "1", "--yes"]);
        assert_eq!(refused.outcome(), why, "{what}");
        assert!(refused.stderr.contains("hint") || refused.json["hint"].is_string(), "{what}");
        assert_eq!(guest.read("wallet"), damaged, "{what}");
    }
    for length in [0, 5, 50, 93, whole.len() - 1] {
        guest.write("wallet", &whole[..length]);
        assert_eq!(guest.run(&["list"]).outcome(), "bad_wallet", "{length} bytes");
    }
    // A vault of codes is no wallet, and a wallet no vault, whatever the passphrase.
    let auth = |arguments: &[&str]| {
        let mut command = guest.command(&[]);
        command = {
            let mut plain = std::process::Command::new(command.get_program());
            guest.surround(&mut plain);
            plain
        };
        command.args(["--json", "auth"]).args(arguments).env("DOORSTEP_VAULT", "vault");
        reply(&command.output().unwrap())
    };
    guest.write("uri", "otpauth://totp/A:x?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    assert_eq!(auth(&["add", "--uri-file", "uri"]).status, 0);
    guest.write("wallet", &whole);
    assert_eq!(guest.run(&["list", "--wallet", "vault"]).outcome(), "bad_wallet");
    assert_eq!(auth(&["list", "--vault", "wallet"]).outcome(), "bad_vault");
    assert_eq!(guest.ids().len(), 1);
}

#[test]
fn a_real_wallet_takes_no_simulated_clock() {
    let guest = Guest::without_wallet();
    let real = |arguments: &[&str]| {
        reply(&guest.command(arguments).env_remove("DOORSTEP_CLOCK").output().unwrap())
    };
    assert_eq!(real(&["init"]).status, 0);
    guest.write("pass", signed(pass(1, LOCK)));
    for command in [&["list"][..], &["add", "pass"], &["key"]] {
        let refused = guest.run(command);
        assert_eq!(refused.status, 2, "{command:?}");
        assert!(refused.stderr.contains("DOORSTEP_CLOCK"), "{}", refused.stderr);
    }
    assert_eq!(real(&["list"]).json["test"], false);
    assert_eq!(Guest::new().must(&["list"]).json["test"], true);
}
