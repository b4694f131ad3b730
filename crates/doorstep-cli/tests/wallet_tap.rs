//! A phone held to a lock: both are the real program, and speak over the lock's sockets.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod support;

use doorstep::pass::claims::{Audience, Pass};
use doorstep::pass::document::Content;
use doorstep::pass::issue::encrypted;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, accept, bind,
    listen, recv, send, socket_with,
};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread::JoinHandle;
use std::time::Duration;
use support::court::{Court, HOUR, bundle, count};
use support::guest::Guest;
use support::meeting::Listening;
use support::pass::{booking, name, once, signed};
use support::{Reply, reply};

/// The same, for this guest alone.
fn of(guest: &Guest, pass: Pass) -> Pass {
    Pass { holder: Some(guest.key()), ..pass }
}

fn guest_with(court: &Court, passes: &[Pass]) -> Guest {
    let guest = Guest::new();
    guest.set_clock(court.now());
    for pass in passes {
        assert_eq!(guest.add(&signed(of(&guest, *pass))).status, 0);
    }
    guest
}

fn tap(guest: &Guest, court: &Court, options: &[&str]) -> Reply {
    let dir = court.path("lock");
    let tap = ["tap", options[0], "--lock", dir.to_str().unwrap()];
    guest.run(&[&tap, &options[1..]].concat())
}

#[test]
fn a_phone_opens_by_every_way_there_is() {
    let court = Court::new(bundle());
    let guest = guest_with(&court, &[booking(&court, 1)]);
    for (replies, ways) in [
        ("244", &[&["1"][..], &["1", "--ble"], &["1", "--ble", "--fragment", "182"]][..]),
        ("20", &[&["1", "--ble", "--fragment", "20"], &["1", "--ble"]]),
    ] {
        let _lock = Listening::start(&court, &["--fragment", replies]);
        for way in ways {
            let opened = tap(&guest, &court, way);
            assert_eq!(opened.status, 0, "{way:?}: {} {}", opened.json, opened.stderr);
            assert_eq!(opened.json["answer"], "opened", "{way:?}");
            assert_eq!(opened.json["lock"], name(&court).as_str());
            // Nobody could take a journal from this guest: the pass came from no service.
            assert!(opened.json["journal"].is_null());
        }
    }
    assert_eq!(count(&court, "opened"), 5, "{}", court.must(&["journal"]).json);
}

#[test]
fn a_lock_says_no_with_its_reason_and_what_to_do() {
    let court = Court::new(bundle());
    let later = Pass {
        window: doorstep::time::Window::new(
            doorstep::time::Timestamp::from_seconds(court.now() + 24 * HOUR),
            doorstep::time::Timestamp::from_seconds(court.now() + 25 * HOUR),
        )
        .unwrap(),
        ..booking(&court, 3)
    };
    let guest = guest_with(&court, &[once(&court, 1), later]);
    let _lock = Listening::start(&court, &[]);
    assert_eq!(tap(&guest, &court, &["1"]).status, 0);
    for (pass, why) in [("1", "already_used"), ("2", "not_yet_valid")] {
        let refused = tap(&guest, &court, &[pass]);
        assert_eq!((refused.status, refused.outcome()), (3, why), "{}", refused.stderr);
        assert!(!refused.text("hint").is_empty() && refused.json["answer"] == why);
    }
    court.advance(27 * HOUR);
    let expired = tap(&guest, &court, &["2"]);
    assert_eq!((expired.status, expired.outcome()), (3, "expired"));
    // A bearer pass opens as it is.
    assert_eq!(guest.add(&signed(booking(&court, 4))).status, 0);
    assert_eq!(tap(&guest, &court, &["3"]).status, 0);
}

#[test]
fn a_pass_is_shown_to_no_other_lock_than_its_own() {
    let court = Court::new(bundle());
    let elsewhere = Pass { audience: Audience::parse("lk-00042"), ..booking(&court, 1) };
    let club = Pass { audience: Audience::parse("g-courts"), ..booking(&court, 2) };
    let strangers = Pass { audience: Audience::parse("g-gym"), ..booking(&court, 3) };
    let guest = guest_with(&court, &[elsewhere, club, strangers]);
    let _lock = Listening::start(&court, &[]);
    let other = tap(&guest, &court, &["1"]);
    assert_eq!((other.status, other.outcome()), (3, "other_lock"));
    assert!(other.text("message").contains("lk-00042"), "{}", other.json);
    assert_eq!(count(&court, "tried"), 0, "the lock has seen nothing of it");
    assert_eq!(tap(&guest, &court, &["2"]).status, 0, "one of the group's locks");
    let refused = tap(&guest, &court, &["3"]);
    assert_eq!((refused.status, refused.outcome()), (3, "wrong_code"), "not in that group");
}

#[test]
fn a_picture_opens_once_and_a_stale_one_not_at_all() {
    let court = Court::new(bundle());
    let guest = guest_with(&court, &[booking(&court, 1)]);
    let picture = |file: &str| {
        guest.set_clock(court.now());
        guest.must(&["show", "1", "--png", file]);
        guest.path(file).to_str().unwrap().to_owned()
    };
    let hold = |picture: &str| court.run(&["tap", picture]);
    court.advance(5);
    let first = picture("first.png");
    assert_eq!(hold(&first).status, 0, "{}", hold(&first).json);
    assert_eq!(hold(&first).status, 3, "a photograph of it");
    court.advance(5);
    let second = picture("second.png");
    assert_eq!(hold(&first).status, 3);
    assert_eq!(hold(&second).status, 0);
    // Taken now, shown when the crystal surely knows that it is old.
    let stale = picture("stale.png");
    court.advance(2 * HOUR);
    assert_eq!(hold(&stale).status, 3);
    // The pass itself, without its holder.
    let bare = guest.path("pass.bin");
    assert_eq!(court.run(&["tap", bare.to_str().unwrap()]).status, 3);
}

#[test]
fn a_pass_that_only_its_lock_can_read_opens_with_and_without_a_holder() {
    let court = Court::new(bundle());
    let guest = guest_with(&court, &[]);
    let key = court.bundle.root.encryption(0);
    let passes = [of(&guest, booking(&court, 1)), booking(&court, 2), {
        let stranger = Guest::new();
        of(&stranger, booking(&court, 3))
    }];
    for (place, pass) in passes.into_iter().enumerate() {
        let iv = [u8::try_from(place).unwrap(); 12];
        let document = encrypted(&Content::Pass(pass), 0, &key, iv).unwrap();
        let added = guest.add(document.as_ref());
        assert_eq!(added.status, 0, "{}", added.stderr);
        assert!(added.stderr.contains("only its lock"), "{}", added.stderr);
        assert_eq!(guest.add(document.as_ref()).outcome(), "duplicate");
    }
    let listed = guest.must(&["list"]).json["passes"][0].clone();
    assert_eq!((&listed["kind"], &listed["standing"]), (&"encrypted".into(), &"unknown".into()));
    for unknown in ["from", "lock", "uses", "bearer", "holder"] {
        assert!(listed[unknown].is_null(), "{unknown}: {listed}");
    }
    let _lock = Listening::start(&court, &[]);
    for (number, ends) in [("1", 0), ("2", 0), ("3", 3)] {
        assert_eq!(tap(&guest, &court, &[number]).status, ends, "{number}");
    }
    // A picture of it is for a lock that the guest names, since nobody here can read which one it is.
    for (number, options, ends) in
        [("2", &[][..], 0), ("1", &[], 3), ("1", &["--lock", name(&court).as_str()], 0)]
    {
        let file = format!("{number}-{}.png", options.len());
        guest.must(&[&["show", number, "--png", &file], options].concat());
        let picture = guest.path(&file);
        let held = court.run(&["tap", picture.to_str().unwrap()]);
        assert_eq!(held.status, ends, "{file}: {} {}", held.json, held.stderr);
    }
}

#[test]
fn two_phones_at_once_are_both_heard() {
    let court = Court::new(bundle());
    let guests = [1, 2, 3].map(|id| guest_with(&court, &[once(&court, id)]));
    let _lock = Listening::start(&court, &[]);
    let dir = court.path("lock");
    let tap = ["tap", "1", "--lock", dir.to_str().unwrap()];
    let spawn = |guest: &Guest| {
        let mut command = guest.command(&tap);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    // Each guest twice: of one pass that opens once, one phone opens.
    let children: Vec<_> = guests.iter().chain(&guests).map(spawn).collect();
    let replies: Vec<Reply> =
        children.into_iter().map(|child| reply(&child.wait_with_output().unwrap())).collect();
    let opened = replies.iter().filter(|reply| reply.status == 0).count();
    let refused = replies.iter().filter(|reply| reply.outcome() == "already_used").count();
    assert_eq!((opened, refused), (3, 3), "{replies:?}");
}

#[test]
fn without_power_or_without_the_time_nothing_opens() {
    let court = Court::new(bundle());
    let guest = guest_with(&court, &[booking(&court, 1)]);
    let lock = Listening::start(&court, &[]);
    court.must(&["pull-power", "--for", "10m"]);
    let dark = tap(&guest, &court, &["1", "--wait", "1s"]);
    assert_eq!((dark.status, dark.outcome()), (1, "lock_silent"), "{}", dark.stderr);
    court.advance(601);
    let lost = tap(&guest, &court, &["1"]);
    assert_eq!((lost.status, lost.outcome()), (3, "clock_unset"), "{}", lost.stderr);
    assert_eq!(lost.json["time"], "no_service");
    drop(lock);
    let nobody = tap(&guest, &court, &["1", "--wait", "1s"]);
    assert_eq!((nobody.status, nobody.outcome()), (1, "no_lock"));
}

/// Something at a lock's socket that is none.
fn impostor(
    dir: &Path,
    socket_file: &str,
    act: impl FnOnce(OwnedFd) + Send + 'static,
) -> JoinHandle<()> {
    std::fs::create_dir_all(dir).unwrap();
    let (family, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC, None).unwrap();
    let path: PathBuf = dir.join(socket_file);
    bind(&socket, &SocketAddrUnix::new(&path).unwrap()).unwrap();
    listen(&socket, 4).unwrap();
    std::thread::spawn(move || act(accept(&socket).unwrap()))
}

/// Until the phone gives up.
fn keep_silent(phone: &OwnedFd) {
    let mut buffer = [0; 512];
    while recv(phone, &mut buffer[..], RecvFlags::empty()).is_ok_and(|(read, _)| read > 0) {}
}

/// One that takes as many packets as there are answers, then hangs up, or keeps silent.
fn answering(dir: &Path, answers: Vec<Vec<u8>>, hangs_up: bool) -> JoinHandle<()> {
    impostor(dir, "nfc.sock", move |phone| {
        let mut buffer = [0; 512];
        for answer in answers {
            let _ = recv(&phone, &mut buffer[..], RecvFlags::empty());
            let _ = send(&phone, &answer, SendFlags::NOSIGNAL);
        }
        if !hangs_up {
            keep_silent(&phone);
        }
    })
}

#[test]
fn a_lock_that_comes_to_no_end_holds_no_phone() {
    let court = Court::new(bundle());
    let guest = guest_with(&court, &[booking(&court, 1)]);
    let tap = |dir: &Path, wait| {
        let tap = ["tap", "1", "--ble", "--lock", dir.to_str().unwrap(), "--wait", wait];
        guest.run(&tap)
    };
    // It begins its reply again and again.
    let dir = guest.path("again");
    let thread = impostor(&dir, "ble.sock", |phone| {
        for _ in 0..100_000 {
            if send(&phone, &[0, 1], SendFlags::NOSIGNAL).is_err() {
                break;
            }
        }
    });
    let told = tap(&dir, "10m");
    assert_eq!((told.status, told.outcome()), (1, "lock_failed"), "{}", told.stderr);
    thread.join().unwrap();
    // It says a little of it at a time, and is never silent for as long as the phone waits.
    let dir = guest.path("slow");
    let thread = impostor(&dir, "ble.sock", |phone| {
        for number in 0..60 {
            std::thread::sleep(Duration::from_millis(200));
            if send(&phone, &[number, 1], SendFlags::NOSIGNAL).is_err() {
                return;
            }
        }
        keep_silent(&phone);
        panic!("it was heard to its end");
    });
    let told = tap(&dir, "1s");
    assert_eq!((told.status, told.outcome()), (1, "lock_silent"), "{}", told.stderr);
    thread.join().unwrap();
}

#[test]
fn whatever_stands_at_the_socket_the_phone_comes_back_and_tells() {
    let court = Court::new(bundle());
    let guest = guest_with(&court, &[booking(&court, 1)]);
    let greeting = |lock: &str, more: &[u8]| {
        let mut bytes = vec![0x86, 0x50];
        bytes.extend([0x11; 16]);
        bytes.push(0x60 + u8::try_from(lock.len()).unwrap());
        bytes.extend(lock.as_bytes());
        bytes.extend([0, 0, 0, 0xF6]);
        bytes.extend(more);
        bytes.extend([0x90, 0x00]);
        bytes
    };
    let lock = name(&court).as_str().to_owned();
    let cases: [(&str, Vec<Vec<u8>>, bool, &str); 9] = [
        ("silent at once", vec![], false, "lock_silent"),
        ("hung up at once", vec![], true, "lock_silent"),
        ("silent after the greeting", vec![greeting(&lock, &[])], false, "lock_silent"),
        ("hung up after the greeting", vec![greeting(&lock, &[])], true, "lock_silent"),
        ("nonsense", vec![b"hello, world".to_vec()], false, "lock_failed"),
        ("another card", vec![vec![0x6A, 0x82]], false, "lock_failed"),
        ("a byte more", vec![greeting(&lock, &[0])], false, "lock_failed"),
        ("another lock", vec![greeting("lk-00042", &[])], false, "other_lock"),
        (
            "an answer that is none",
            vec![greeting(&lock, &[]), [&[77][..], &[0; 16], &[0x90, 0]].concat()],
            false,
            "lock_failed",
        ),
    ];
    for (place, (what, answers, hangs_up, why)) in cases.into_iter().enumerate() {
        let dir = guest.path(&format!("lock{place}"));
        let thread = answering(&dir, answers, hangs_up);
        let told = guest.run(&["tap", "1", "--lock", dir.to_str().unwrap(), "--wait", "1s"]);
        assert_eq!(told.outcome(), why, "{what}: {} {}", told.json, told.stderr);
        assert_eq!(told.status, if why == "other_lock" { 3 } else { 1 }, "{what}");
        thread.join().unwrap();
    }
    assert_eq!(guest.ids().len(), 1);
}
