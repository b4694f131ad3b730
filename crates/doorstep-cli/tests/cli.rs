//! What users meet: help, mistakes, wrong files, and answers that machines can read.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod support;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorstep::cose::keys::{IssuerKey, SoftwareKey};
use doorstep::handover::enrolment::Welcome;
use doorstep::id::{DeviceId, IssuerId};
use doorstep::secret::Secret;
use doorstep::time::Timestamp;
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use support::{Shop, reply};

fn doorstep(arguments: &[&str]) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_doorstep")).args(arguments).output().unwrap()
}

#[test]
fn every_command_has_help() {
    let commands: [&[&str]; 27] = [
        &[],
        &["demo"],
        &["init"],
        &["serve"],
        &["key"],
        &["key", "create"],
        &["delivery"],
        &["delivery", "add"],
        &["delivery", "import"],
        &["delivery", "plan"],
        &["delivery", "send-now"],
        &["delivery", "verify"],
        &["driver"],
        &["driver", "invite"],
        &["driver", "enrol"],
        &["driver", "pin"],
        &["driver", "take"],
        &["driver", "handover"],
        &["driver", "scan"],
        &["driver", "fail"],
        &["driver", "journal", "export"],
        &["driver", "lose"],
        &["driver", "carry"],
        &["driver", "sync"],
        &["clock"],
        &["clock", "advance"],
        &["odds"],
    ];
    for command in commands {
        let output = doorstep(&[command, &["--help"]].concat());
        assert!(output.status.success(), "{command:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("Usage: doorstep"), "{command:?}");
        assert!(!command.is_empty() || text.contains("Exit status"), "{text}");
    }
}

#[test]
fn wrong_usage_is_told_apart_from_failure() {
    assert_eq!(doorstep(&["driver", "handover"]).status.code(), Some(2));
    assert_eq!(doorstep(&["driver", "chek"]).status.code(), Some(2));
    let output = doorstep(&["driver", "status", "--dir", "/nonexistent"]);
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.starts_with("error: ") && stderr.contains("\nhint: "), "{stderr}");
}

#[test]
fn machines_are_told_of_wrong_usage_as_well() {
    for arguments in [
        &["delivery", "add"][..],
        &["driver", "chek"],
        &["clock", "advance", "soon", "--from", "12:00"],
    ] {
        let output = doorstep(&[&["--json"], arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(answer["error"]["code"], "usage", "{arguments:?}");
    }
}

#[test]
fn advancing_a_clock_overwrites_nothing_but_a_clock() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("letter");
    let advance = |from: &str| {
        let path = file.to_str().unwrap();
        doorstep(&["clock", "advance", "1h", "--from", from, "--clock", path]).status.code()
    };
    std::fs::write(&file, "dear Zoe").unwrap();
    assert_eq!(advance("2026-03-02T12:00:00Z"), Some(1));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "dear Zoe");
    std::fs::remove_file(&file).unwrap();
    assert_eq!(advance("2026-03-02T12:00:00Z"), Some(0), "a new one");
    assert_eq!(advance("2026-03-02T13:00:00Z"), Some(0), "and again");
    assert_eq!(advance("2101-01-01T00:00:00Z"), Some(2));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "1772460000\n");
}

#[test]
fn a_key_that_cannot_be_written_down_is_not_made() {
    let shop = Shop::open();
    assert_eq!(shop.run(&["key", "create", "--name", "b", "--out", "api.key"]).status, 1);
    assert_eq!(shop.run(&["key", "create", "--name", "", "--out", "b.key"]).status, 1);
    assert!(!shop.path("b.key").exists(), "and no empty file stays behind");
    assert_eq!(shop.run(&["key", "create", "--name", "b", "--out", "b.key"]).status, 0);
    let exposed = std::fs::Permissions::from_mode(0o640);
    std::fs::set_permissions(shop.path("b.key"), exposed).unwrap();
    let reply = shop.run(&["delivery", "list", "--key-file", "b.key"]);
    assert_eq!((reply.status, reply.outcome()), (1, "key_exposed"), "{}", reply.json);
    assert!(reply.stderr.contains("chmod 600 b.key"), "{}", reply.stderr);
    std::fs::write(shop.path("b.key"), "ds_test_\u{7f}").unwrap();
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(shop.path("b.key"), private).unwrap();
    let reply = shop.run(&["delivery", "list", "--key-file", "b.key"]);
    assert!(reply.stderr.contains("does not hold one API key"), "{}", reply.stderr);
    let reply = shop.run(&["delivery", "list", "--server", "nonsense"]);
    assert!(reply.stderr.contains("not the address of a server"), "{}", reply.stderr);
}

#[test]
fn nothing_of_a_test_works_on_a_real_issuer() {
    let dir = tempfile::tempdir().unwrap();
    let shop = Shop::live(dir.path());
    let ticket = shop.must(&["driver", "invite", "Ana"]).text("ticket");
    assert!(ticket.starts_with("tkt_live_"));
    std::fs::write(shop.path("ticket"), ticket).unwrap();
    std::fs::write(shop.path("clock"), "1800000000\n").unwrap();
    let enrol = ["driver", "enrol", "--ticket", "ticket", "--dir", "ana"];
    let seeded = shop.run(&[&enrol[..], &["--seed", "1", "--clock", "clock"]].concat());
    assert_eq!(seeded.status, 1);
    assert!(seeded.stderr.contains("this ticket is real"), "{}", seeded.stderr);
    assert!(!shop.path("ana/device.key").exists(), "no seeded key stays behind");
    assert_eq!(shop.run(&enrol).status, 0);
    let check = ["driver", "status", "--dir", "ana", "--clock", "clock"];
    assert_eq!(shop.run(&check).status, 1, "a real device takes no simulated clock");
}

#[test]
fn an_issuer_is_made_once_and_tests_stay_tests() {
    let dir = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_doorstep"));
        reply(&command.arg("--json").args(arguments).current_dir(dir.path()).output().unwrap())
    };
    assert_eq!(run(&["init", "--data", "live"]).status, 0);
    assert_eq!(run(&["init", "--data", "live"]).status, 1, "nothing is overwritten");
    assert_eq!(run(&["init", "--data", "other", "--seed", "1"]).status, 2, "a seed needs --test");
    std::fs::write(dir.path().join("clock"), "1800000000\n").unwrap();
    for extra in [["--clock", "clock"], ["--seed", "1"]] {
        let arguments =
            [&["serve", "--data", "live", "--listen", "127.0.0.1:0"][..], &extra].concat();
        let reply = run(&arguments);
        assert_eq!(reply.status, 1, "{extra:?}");
        assert!(reply.stderr.contains("test data"), "{}", reply.stderr);
    }
}

#[test]
fn a_database_without_its_keys_is_of_no_use() {
    let mut shop = Shop::open();
    shop.stop();
    std::fs::rename(shop.path("data/keys"), shop.path("keys-elsewhere")).unwrap();
    let reply = shop.run(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(reply.status, 1);
    assert!(
        reply.stderr.contains("keys of issuer iss_")
            && reply.stderr.contains("hint: bring keys/ back"),
        "{}",
        reply.stderr
    );
    let other = shop.run(&["init", "--test", "--data", "other"]);
    assert_eq!(other.status, 0);
    std::fs::rename(shop.path("other/keys"), shop.path("data/keys")).unwrap();
    let reply = shop.run(&["serve", "--listen", "127.0.0.1:0"]);
    assert!(reply.stderr.contains("do not belong to issuer"), "{}", reply.stderr);
}

#[test]
fn a_csv_is_imported_whole_or_not_at_all() {
    let mut shop = Shop::open();
    let good = "reference,recipient,phone,address\nA-1,Zoë,+44 20 7946 0000,1 High St\n";
    let import = |text: &[u8]| {
        std::fs::write(shop.path("file.csv"), text).unwrap();
        shop.run(&["delivery", "import", "file.csv"])
    };
    let cases: [(&[u8], &str); 17] = [
        (b"", "line 1: there is no column \"reference\""),
        (b"reference,recipient,phone,address\n", "line 2: there are no rows"),
        (b"reference,recipient,phone\nA,B,+34612345678\n", "line 1: there is no column \"address\""),
        (b"reference,recipient,phone,address,colour\n", "line 1: unknown column \"colour\""),
        (b"reference,recipient,phone,address,phone\n", "line 1: the column \"phone\" appears twice"),
        (b"reference,recipient,phone,address\nA-1,Zo\n", "line 2: 2 columns where the first row has 4"),
        (b"reference,recipient,phone,address\nA-1,,+34612345678,1 High St\n", "line 2, column recipient: is empty"),
        (b"reference,recipient,phone,address\nA-1,Zo\xEB,+34612345678,1 High St\n", "line 2: not UTF-8"),
        (b"reference,recipient,phone,address\nA-1,Zo,call me,1 High St\n", "line 2, column phone"),
        (b"reference,recipient,phone,address\nA-1,Zo,+34612345678,1 High St\nA-1,Zo,+34612345678,2 High St\n", "line 3, column reference"),
        (b"reference,recipient,phone,address\nA-1,Zo,+34612345678,\"1 High\nSt\"\nA-2,Zo,1,2 High St\n", "line 4, column phone"),
        (b"reference,recipient,phone,address,recipient_2,phone_2\nA,Z,+34612345678,1 High St,Y,\n", "line 2, column phone_2: is empty"),
        (b"reference,recipient,phone,address,recipient_2,phone_2\nA,Z,+34612345678,1 High St,,+34612345678\n", "line 2, column recipient_2: is empty"),
        (b"\x00\x01\x02", "line 1"),
        (b"reference,recipient,phone,address\nA-1,Zo,612345678,1 High St\n", "line 2, column phone: names no country"),
        (b"\xFF\xFEr\0e\0f\0", "is UTF-16; save the file as \"CSV UTF-8\""),
        (b"reference;recipient;phone;address\n", "try --delimiter \";\""),
    ];
    for (text, fault) in cases {
        let reply = import(text);
        assert_eq!(reply.status, 1, "{fault}");
        assert!(reply.stderr.contains(fault), "{fault} is not in: {}", reply.stderr);
        let listed = shop.must(&["delivery", "list"]).json;
        assert_eq!(listed["data"], json!([]), "{fault}: nothing is half imported");
    }
    assert_eq!(import(good.as_bytes()).status, 0);
    assert_eq!(import(good.as_bytes()).status, 1, "the references are taken");
    let bom = format!("\u{feff}{}", good.replace("A-1", "A-2").replace('\n', "\r\n"));
    assert_eq!(import(bom.as_bytes()).status, 0, "as spreadsheets save it");
    assert_eq!(shop.must(&["delivery", "list"]).json["data"].as_array().unwrap().len(), 2);
    shop.stop();
    let reply = shop.run(&["delivery", "import", "file.csv"]);
    assert_eq!(reply.outcome(), "unreachable");
    assert!(reply.stderr.contains("cannot reach the server"), "{}", reply.stderr);
}

#[test]
fn a_shops_own_export_is_imported_as_it_is() {
    let shop = Shop::open();
    let export = "Pedido;Cliente;M\u{f3}vil;Direcci\u{f3}n;IVA\n7;Zoe;612 34 56 78;Calle 1;21\n";
    std::fs::write(shop.path("file.csv"), export).unwrap();
    let maps =
        ["reference=Pedido", "recipient=Cliente", "phone=M\u{f3}vil", "address=Direcci\u{f3}n"];
    let mut import = vec!["delivery", "import", "file.csv", "--delimiter", ";", "--region", "ES"];
    import.extend(maps.iter().flat_map(|map| ["--map", *map]));
    let dry: Vec<&str> = import.iter().copied().chain(["--dry-run"]).collect();
    let checked = shop.must(&dry).json;
    assert_eq!((&checked["checked"], &checked["imported"]), (&json!(1), &json!(0)));
    assert_eq!(checked["left_out"], json!(["IVA"]));
    assert_eq!(shop.must(&["delivery", "list"]).json["data"], json!([]));
    assert_eq!(shop.must(&import).json["imported"], 1);
    let listed = shop.must(&["delivery", "list"]).json;
    assert_eq!(listed["data"][0]["recipients"][0]["phone"], "+34612345678");
    assert_eq!(shop.run(&dry).status, 1, "the reference is taken");
    for (wrong, status) in [
        (["--map", "phone=Telephone"], 1),
        (["--map", "colour=Pedido"], 2),
        (["--map", "phone"], 2),
        (["--delimiter", ";;"], 2),
        (["--region", "Spain"], 1),
    ] {
        let typed = ["delivery", "import", "file.csv"].into_iter().chain(wrong);
        assert_eq!(shop.run(&typed.collect::<Vec<_>>()).status, status, "{wrong:?}");
    }
}

#[test]
fn what_is_typed_at_the_door_is_read_one_way() {
    let shop = Shop::open();
    let (delivery, code) = shop.one_stop("ana");
    for typed in [
        "",
        " ",
        "4829",
        "４８２９１６３５",
        "+4829163",
        "4829_163",
        "48291635\n",
        "482916350",
        "4829\u{a0}1635",
        "٤٨٢٩١٦٣٥",
    ] {
        assert_eq!(shop.check("ana", &delivery, typed).outcome(), "mistyped", "{typed:?}");
    }
    assert_eq!(shop.stop_of("ana")["attempts"], 0, "none of them was a guess");
    assert_eq!(shop.check("ana", "dlv_0", &code).outcome(), "unknown");
    assert_eq!(shop.check("ana", "DLV 0", &code).status, 1);
    let spelled: String = code.replace(' ', "").chars().flat_map(|digit| [digit, '-']).collect();
    assert_eq!(shop.check("ana", &delivery, &spelled).outcome(), "granted");
    assert_eq!(shop.check("ana", &delivery, &code).outcome(), "already_used", "in any spelling");
}

#[test]
fn a_device_belongs_to_the_issuer_of_its_ticket() {
    let shop = Shop::open();
    let other = Shop::open();
    let invited = shop.must(&["driver", "invite", "Ana"]).text("ticket");
    std::fs::write(shop.path("ticket"), &invited).unwrap();
    let enrol = |dir: &str, server: &str| {
        shop.run(&["driver", "enrol", "--ticket", "ticket", "--dir", dir, "--server", server])
    };
    assert_eq!(enrol("ana", other.url()).status, 1, "another server does not know the ticket");
    assert!(!shop.path("ana/journal").exists());
    assert_eq!(enrol("ana", shop.url()).status, 0);
    assert_eq!(enrol("ana", shop.url()).status, 1, "the directory is taken");
    assert_eq!(enrol("eva", shop.url()).outcome(), "ticket_invalid", "a ticket is used once");
    // A server that an attacker runs can say yes to any ticket, but not with the issuer's keys.
    let invited = shop.must(&["driver", "invite", "Max"]).text("ticket");
    std::fs::write(shop.path("ticket"), &invited).unwrap();
    let reply = enrol("max", &impostor());
    assert_eq!((reply.status, reply.outcome()), (1, "wrong_issuer"), "{}", reply.stderr);
    assert!(!shop.path("max/journal").exists());
    assert_eq!(enrol("max", shop.url()).status, 0, "the ticket is still good at the right server");
    std::fs::write(shop.path("ticket"), "tkt_nonsense").unwrap();
    assert!(enrol("max", shop.url()).stderr.contains("not a ticket"));
}

#[test]
fn a_time_of_day_is_meant_where_the_dispatcher_sits() {
    let shop = Shop::open();
    shop.driver("ana");
    shop.delivery("A-1");
    let mut command =
        shop.command(&["delivery", "plan", "A-1", "--driver", "ana", "--at", "16:30"]);
    // Two hours east of Greenwich, and no need of a zone database.
    let planned = reply(&command.env("TZ", "XYZ-2").output().unwrap());
    assert_eq!(planned.json["expected_at"], "2026-03-02T14:30:00Z", "{}", planned.stderr);
    shop.sync("ana");
    let mut command = Command::new(env!("CARGO_BIN_EXE_doorstep"));
    command.args(["driver", "list", "--dir", "ana"]);
    shop.surround(&mut command);
    let listed = command.env("TZ", "XYZ-2").output().unwrap();
    let text = String::from_utf8(listed.stdout).unwrap();
    assert!(text.contains("15:30 - 17:30"), "{text}");
}

/// A server with keys of its own that welcomes one device.
fn impostor() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let key = |byte| Secret::from_bytes([byte; 32]);
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        // Head and body come as one or two pieces; the body is the JSON at the end.
        let mut request = String::new();
        while !request.ends_with('}') {
            let mut piece = [0; 8192];
            let length = stream.read(&mut piece).unwrap();
            request.push_str(std::str::from_utf8(&piece[..length]).unwrap());
        }
        let (_, body) = request.split_once("\r\n\r\n").unwrap();
        let asked: serde_json::Value = serde_json::from_str(body).unwrap();
        let device_key = URL_SAFE_NO_PAD.decode(asked["public_key"].as_str().unwrap()).unwrap();
        let issuer = IssuerKey::from_seed(&key(2));
        let welcome = Welcome {
            issuer: IssuerId::parse("iss_1").unwrap(),
            signing_key: issuer.public().to_bytes(),
            agreement_key: SoftwareKey::from_secret(&key(1)).unwrap().public().to_bytes(),
            device: DeviceId::parse("dev_1").unwrap(),
            device_key: device_key.try_into().unwrap(),
            managed: false,
            time: Timestamp::from_seconds(1_772_452_800),
            test: true,
        };
        let welcome = URL_SAFE_NO_PAD.encode(welcome.issue(&issuer));
        let body = json!({ "device": "dev_1", "driver": "Max", "welcome": welcome }).to_string();
        let length = body.len();
        write!(stream, "HTTP/1.1 201 Created\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}").unwrap();
    });
    url
}

#[test]
fn the_odds_are_computed() {
    let output = doorstep(&["odds", "--json"]);
    let odds: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&odds[0]["code"], &odds[0]["bits"]), (&json!("8 digits"), &json!(13)));
    assert_eq!((&odds[2]["code"], &odds[2]["bits"]), (&json!("8 Crockford symbols"), &json!(20)));
    assert_eq!(doorstep(&["odds", "--alphabet", "digits", "--length", "3"]).status.code(), Some(1));
    assert_eq!(
        doorstep(&["odds", "--alphabet", "digits", "--length", "8", "--bits", "40"]).status.code(),
        Some(2)
    );
}
