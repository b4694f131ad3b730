//! A virtual lock that listens: what phones and it say to each other over real sockets, what a challenge is good
//! for, and that nobody who abuses a socket is in the way of others.

mod support;

use doorstep::clock::Event as ClockEvent;
use doorstep::door::Door;
use doorstep::door::journal::Journal;
use doorstep::door::record::Record;
use doorstep::door::sealed;
use doorstep::keypad::record::Event;
use doorstep::pass::document::Content;
use doorstep::pass::exchange::message::{PART, Request, Status};
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use support::court::{Court, DAY, HOUR, bundle, count};
use support::meeting::{Listening, Phone};
use support::pass::{
    booking, bound, bulletin, name, next_key, once, proven, rotation, sign, signed, token,
};
use support::wait;

#[test]
fn phones_meet_it_over_nfc_and_over_ble_in_fragments_of_every_size() {
    let court = Court::new(bundle());
    let pass = signed(bound(&court, 1));
    for (fragment, sizes) in [("20", [20, 182]), ("182", [244, 20]), ("244", [182, 244])] {
        let lock = Listening::start(&court, &["--fragment", fragment]);
        let mut phones = vec![Phone::nfc(&court)];
        phones.extend(sizes.map(|size| Phone::ble(&court, size)));
        for (index, phone) in phones.iter().enumerate() {
            let greeting = phone.greet();
            assert_eq!((greeting.lock, greeting.time_nonce), (name(&court), None));
            assert_eq!((greeting.rotation, greeting.bulletin), (0, 0));
            assert_eq!(greeting.journal, court.status()["journal"]["records"]);
            let presented = proven(&court, &pass, &greeting.nonce);
            assert!(presented.len() > 182 && presented.len() < 244);
            assert_eq!(phone.present(&presented).0, "opened", "{fragment} {index}");
            let line = lock.line();
            assert_eq!(line["carrier"], if index == 0 { "nfc" } else { "ble" });
            assert_eq!((&line["shown"], &line["outcome"]), (&"opened".into(), &"granted".into()));
            assert_eq!(line["about"]["id"], "0101020304050607");
        }
        assert_eq!(lock.end(Signal::INT), Some(0));
    }
    assert_eq!(count(&court, "opened"), 9);
}

#[test]
fn a_challenge_is_answered_once_by_whom_it_was_sent_to_and_soon() {
    let court = Court::new(bundle());
    let _lock = Listening::start(&court, &[]);
    let pass = signed(bound(&court, 1));
    let (phone, other) = (Phone::nfc(&court), Phone::ble(&court, 244));
    let (first, others) = (phone.greet().nonce, other.greet().nonce);
    assert_ne!(first, others);

    let answer = proven(&court, &pass, &first);
    let (said, second) = phone.present(&answer);
    assert_eq!((said, second == first), ("opened", false));
    assert_eq!(phone.present(&answer).0, "wrong_code", "the same transcript again");
    let relayed = Phone::nfc(&court);
    relayed.greet();
    assert_eq!(relayed.present(&answer).0, "wrong_code", "and at another meeting");
    assert_eq!(
        phone.present(&proven(&court, &pass, &second)).0,
        "wrong_code",
        "a nonce that passed"
    );
    // What is refused costs an attempt, and one comes back each second.
    court.advance(4);
    assert_eq!(phone.present(&proven(&court, &pass, &others)).0, "wrong_code", "another phone's");
    assert_eq!(phone.present(&pass).0, "wrong_code", "no proof");

    // Whatever is answered uses up the nonce, and gives the next.
    let (said, next) = phone.present(&[1, 2, 3]);
    assert_eq!(said, "wrong_code");
    assert_eq!(phone.present(&proven(&court, &pass, &next)).0, "opened");
    let again = phone.greet().nonce;
    assert_eq!(phone.present(&proven(&court, &pass, &next)).0, "wrong_code");
    court.advance(4);
    let third = phone.greet().nonce;
    assert_ne!(again, third, "each greeting has its own");
    assert_eq!(phone.present(&proven(&court, &pass, &again)).0, "wrong_code");

    let nonce = phone.greet().nonce;
    court.advance(30);
    let (said, nonce) = phone.present(&proven(&court, &pass, &nonce));
    assert_eq!(said, "opened");
    court.advance(31);
    assert_eq!(phone.present(&proven(&court, &pass, &nonce)).0, "wrong_code", "too late");
    assert_eq!(other.present(&proven(&court, &pass, &others)).0, "wrong_code", "too late as well");
}

#[test]
fn two_phones_with_one_single_use_open_once() {
    let court = Court::new(bundle());
    let _lock = Listening::start(&court, &[]);
    let single = signed(once(&court, 1));
    let (one, other) = (Phone::nfc(&court), Phone::ble(&court, 20));
    one.greet();
    other.greet();
    court.write("single", &single);
    let said = std::thread::scope(|scope| {
        let threads = [&one, &other].map(|phone| scope.spawn(|| phone.present(&single).0));
        let tapped = court.run(&["tap", "single"]).text("shown");
        let mut said = threads.map(|thread| thread.join().unwrap().to_owned()).to_vec();
        said.push(tapped);
        said
    });
    let of = |wanted: &str| said.iter().filter(|said| *said == wanted).count();
    assert_eq!((of("opened"), of("already_used")), (1, 2), "{said:?}");
}

#[test]
fn a_phone_brings_what_the_lock_lacks_and_carries_its_journal_home() {
    let court = Court::new(bundle());
    let _lock = Listening::start(&court, &["--fragment", "20"]);
    let phone = Phone::ble(&court, 20);
    phone.greet();
    let next = sign(&next_key(), &Content::Pass(booking(&court, 1)));
    assert_eq!(phone.present(&next).0, "wrong_code");
    assert_eq!(phone.present(&rotation(&court, 2)).0, "not_yet_valid");
    assert_eq!(phone.present(&rotation(&court, 1)).0, "taken");
    assert_eq!(phone.present(&bulletin(&court, 9, &[booking(&court, 2)])).0, "taken");
    assert_eq!(phone.present(&next).0, "opened");
    assert_eq!(phone.present(&signed(booking(&court, 2))).0, "revoked");
    let greeting = phone.greet();
    assert_eq!((greeting.rotation, greeting.bulletin), (1, 9));

    let door = Door::new(&court.bundle);
    let mut nonces = BTreeSet::new();
    for phone in [phone, Phone::nfc(&court)] {
        let records = phone.greet().journal;
        let early = phone.ask(&Request::ReadJournal { offset: 240 }).unwrap();
        assert_eq!(early.status(), Status::WrongOrder);
        let mut journal = Vec::new();
        loop {
            let offset = u32::try_from(journal.len()).unwrap();
            let reply = phone.ask(&Request::ReadJournal { offset }).unwrap();
            assert_eq!(reply.status(), Status::Done);
            journal.extend(reply.data());
            if reply.data().len() < PART {
                break;
            }
            // What happens meanwhile is not in it, and does not change it.
            assert_eq!(court.press(&court.pin_now(false)).outcome(), "granted");
        }
        assert!(sealed::is_sealed(&journal));
        // Behind the lock's id and its generation.
        let behind = 7 + 1 + door.id().as_str().len() + 4;
        assert!(nonces.insert(journal[behind..behind + 12].to_vec()), "a nonce for each");
        let opened = sealed::open(&door, &mut journal).unwrap();
        let journal = Journal::read(&door, opened).unwrap();
        assert_eq!(journal.steps(&door).last().unwrap().2.seq, records);
    }
}

#[test]
fn fresh_time_comes_by_a_phone_that_was_online_in_between() {
    let court = Court::new(bundle());
    let _lock = Listening::start(&court, &[]);
    court.must(&["pull-power", "--for", "0s"]);
    court.advance(3 * HOUR);
    let phone = Phone::nfc(&court);
    let asked = phone.greet().time_nonce.unwrap();
    assert_eq!(phone.present(&signed(booking(&court, 1))).0, "clock_unset");
    drop(phone);
    court.advance(500);
    let phone = Phone::ble(&court, 244);
    assert_eq!(phone.greet().time_nonce, Some(asked), "the same for ten minutes");
    assert_eq!(phone.present(&token(&court, [1; 16])).0, "wrong_code");
    assert_eq!(phone.present(&token(&court, phone.greet().nonce)).0, "wrong_code");
    assert_eq!(phone.greet().time_nonce, Some(asked), "rubbish does not end it");
    assert_eq!(phone.present(&token(&court, asked)).0, "taken");
    assert_eq!(phone.present(&token(&court, asked)).0, "wrong_code", "it is answered");
    assert_eq!(phone.greet().time_nonce, None);
    assert_eq!(phone.present(&signed(booking(&court, 1))).0, "opened");

    // An answer that took too long is for a nonce that is no more.
    court.must(&["pull-power", "--for", "0s"]);
    let phone = Phone::nfc(&court);
    let asked = phone.greet().time_nonce.unwrap();
    court.advance(600);
    let late = token(&court, asked);
    let phone = Phone::nfc(&court);
    let again = phone.greet().time_nonce.unwrap();
    assert_ne!(again, asked);
    assert_eq!(phone.present(&late).0, "wrong_code");
    assert_eq!(phone.present(&token(&court, again)).0, "taken");
}

#[test]
fn a_lock_that_is_unsure_of_the_time_asks_for_it_and_grants_all_the_same() {
    let court = Court::new(bundle());
    court.advance(300 * DAY);
    let _lock = Listening::start(&court, &[]);
    let phone = Phone::nfc(&court);
    let nonce = phone.greet().time_nonce.unwrap();
    assert_eq!(phone.present(&token(&court, nonce)).0, "taken");
    assert_eq!(phone.greet().time_nonce, None);
    assert_eq!(phone.present(&signed(booking(&court, 1))).0, "opened");
}

#[test]
fn without_power_nobody_is_answered_and_challenges_are_forgotten() {
    let court = Court::new(bundle());
    let lock = Listening::start(&court, &[]);
    let pass = signed(bound(&court, 1));
    let (phone, idle) = (Phone::nfc(&court), Phone::ble(&court, 20));
    let nonce = phone.greet().nonce;
    idle.greet();
    court.must(&["pull-power", "--for", "1h"]);
    assert_eq!(phone.ask(&Request::Present(&proven(&court, &pass, &nonce))), None);
    assert_eq!(idle.receive(), None);
    let dark = Phone::nfc(&court);
    assert_eq!(dark.ask(&Request::Greet), None);
    assert!(lock.lines().is_empty());
    court.advance(HOUR);
    let phone = Phone::nfc(&court);
    assert!(phone.greet().time_nonce.is_some());
    court.advance(600);
    assert_eq!(court.press(&court.set_time()).status, 0);

    // A cut that another process finds first, and after which a little more was counted than before it.
    let nonce = phone.greet().nonce;
    court.must(&["pull-power", "--for", "0s"]);
    court.advance(610);
    court.status();
    let other = Phone::ble(&court, 244);
    let asked = other.greet().time_nonce.unwrap();
    assert_eq!(other.present(&token(&court, asked)).0, "taken");
    let door = Door::new(&court.bundle);
    let _ = std::fs::remove_file(court.path("home"));
    court.must(&["journal", "--out", "home"]);
    let bytes = std::fs::read(court.path("home")).unwrap();
    let lost = Event::Clock(ClockEvent::PowerLost);
    let steps = Journal::read(&door, &bytes).unwrap();
    let losses = steps
        .steps(&door)
        .filter(|(record, ..)| matches!(record, Record::Keypad(record) if record.event == lost));
    assert_eq!(losses.count(), 2);
    let pass = signed(bound(&court, 2));
    assert_eq!(phone.present(&proven(&court, &pass, &nonce)).0, "wrong_code");
    let nonce = phone.greet().nonce;
    assert_eq!(phone.present(&proven(&court, &pass, &nonce)).0, "opened");
}

#[test]
fn it_listens_alone_in_private_and_leaves_nothing_behind() {
    let court = Court::new(bundle());
    let sockets = [court.path("lock/nfc.sock"), court.path("lock/ble.sock")];
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let lock = Listening::start(&court, &[]);
        for socket in &sockets {
            let mode = std::fs::metadata(socket).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        let second = court.run(&["listen"]);
        assert_eq!((second.status, second.outcome()), (1, "already_listening"));
        let phone = Phone::nfc(&court);
        phone.greet();
        assert_eq!(lock.end(signal), Some(0));
        assert_eq!(phone.receive(), None);
        assert!(sockets.iter().all(|socket| !socket.exists()));
    }
    // One that was killed leaves its sockets, and the next replaces them.
    assert_eq!(Listening::start(&court, &[]).end(Signal::KILL), None);
    assert!(sockets.iter().all(|socket| socket.exists()));
    let lock = Listening::start(&court, &[]);
    Phone::ble(&court, 244).greet();
    assert_eq!(lock.end(Signal::INT), Some(0));

    court.write("lock/nfc.sock", "somebody's");
    let refused = court.run(&["listen"]);
    assert_eq!(refused.status, 1);
    assert!(refused.stderr.contains("nfc.sock is no socket"), "{}", refused.stderr);
    assert_eq!(std::fs::read(court.path("lock/nfc.sock")).unwrap(), b"somebody's");
    for size in ["0", "19", "245", "-1", "x"] {
        let usage = court.run(&["listen", &format!("--fragment={size}")]);
        assert_eq!(usage.status, 2, "{size}");
    }
}

#[test]
fn who_abuses_a_socket_is_in_nobodys_way() {
    let court = Court::new(bundle());
    let lock = Listening::start(&court, &[]);
    let honest = Phone::nfc(&court);
    honest.greet();
    let opens = |phone: &Phone| {
        court.advance(1);
        assert_eq!(phone.present(&signed(booking(&court, 1))).0, "opened");
    };
    opens(&honest);
    // Garbage is answered, or passed over.
    let noise = Phone::nfc(&court);
    for packet in [&[][..], &[0], &[0xFF; 4], &[0x80; 300], &[0; 511], &[7; 2000]] {
        if packet.is_empty() {
            continue;
        }
        assert!(noise.send(packet));
        assert_eq!(noise.receive().unwrap().len(), 2, "a status");
    }
    let noise = Phone::ble(&court, 20);
    for (packet, answered) in [
        (&[0x05, 1][..], true),
        (&[0x06, 1], false),
        (&[0x00; 20], false),
        (&[0x80; 300], true),
        (&[0x80, 0x77], true),
        (&[0x80, 0x20, 1], true),
    ] {
        assert!(noise.send(packet));
        if answered {
            assert!(noise.reply().unwrap().data().is_empty(), "{packet:?}");
        }
    }
    opens(&honest);
    // Half a request, and away.
    for half in 0..40 {
        let phone = if half % 2 == 0 { Phone::nfc(&court) } else { Phone::ble(&court, 20) };
        phone.send(&[0x90, 0x20, 0x00, 0x00, 2, 1, 2]);
        phone.send(&[0x00, 0x20, 1, 2]);
    }
    let after = Phone::ble(&court, 20);
    after.greet();
    opens(&after);
    // A hundred that say nothing: those that were silent for longest make room.
    let silent: Vec<Phone> =
        (0..50).flat_map(|_| [Phone::nfc(&court), Phone::ble(&court, 20)]).collect();
    let late = Phone::nfc(&court);
    late.greet();
    opens(&late);
    assert_eq!(silent[0].receive(), None, "dropped");
    drop(silent);
    assert!(lock.lines().iter().all(|line| line["shown"] == "opened"));
    // One that asks and asks, and never reads.
    let greedy = Phone::ble(&court, 244);
    greedy.greet();
    wait("the lock to drop it", || !(0..200).all(|_| greedy.send(&[0x80, 0xB0, 0, 0, 0, 0])));
    let after = Phone::nfc(&court);
    after.greet();
    opens(&after);
    assert_eq!(lock.end(Signal::INT), Some(0));
}

#[test]
fn a_lock_that_is_damaged_is_out_of_order_and_says_so() {
    let court = Court::new(bundle());
    let lock = Listening::start(&court, &[]);
    let phone = Phone::nfc(&court);
    phone.greet();
    let hardware = std::fs::read(court.path("lock/hardware.toml")).unwrap();
    std::fs::write(court.path("lock/hardware.toml"), "damaged").unwrap();
    let pass = signed(booking(&court, 1));
    let reply = phone.ask(&Request::Present(&pass)).unwrap();
    assert_eq!((reply.status(), reply.data()), (Status::Failed, &[][..]));
    assert!(lock.line()["error"]["message"].as_str().unwrap().contains("damaged"));
    std::fs::write(court.path("lock/hardware.toml"), hardware).unwrap();
    assert_eq!(phone.present(&pass).0, "opened");
}

#[test]
fn what_it_prints_is_for_people_too() {
    let court = Court::new(bundle());
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_doorstep"));
    command.args(["lock", "listen", "--why"]);
    court.surround(&mut command);
    let child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    wait("its sockets", || court.path("lock/ble.sock").exists());
    let phone = Phone::nfc(&court);
    phone.greet();
    assert_eq!(phone.present(&signed(bound(&court, 1))).0, "wrong_code");
    assert_eq!(phone.present(&signed(booking(&court, 1))).0, "opened");
    let id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(id, Signal::INT).unwrap();
    let text = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    for line in [
        "listening at lock/nfc.sock and lock/ble.sock",
        "00:00 nfc  refused: not proven to be for this lock",
        "it is pass 0101020304050607, 00:00 to 01:00, with its holder's phone",
        "hint: check that the pass is for this door",
        "00:00 nfc  opened",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}
