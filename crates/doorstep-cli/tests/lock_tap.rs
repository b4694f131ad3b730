//! Passes and riders held to a virtual lock: what opens, what it says else, what it writes down, and that dying at
//! any write opens nothing twice.

mod support;

use doorstep::cose::keys::IssuerKey;
use doorstep::door::Door;
use doorstep::door::bundle::Bundle;
use doorstep::door::journal::Journal;
use doorstep::door::record::Record;
use doorstep::pass::claims::{Audience, Pass, Scope};
use doorstep::pass::document::Content;
use doorstep::pass::record::Event;
use doorstep::secret::Secret;
use doorstep_qr::Qr;
use serde_json::Value;
use std::num::NonZeroU32;
use support::Reply;
use support::court::{Court, HOUR, MIDNIGHT, at_every_write, bundle, count};
use support::pass::{
    booking, bound, bulletin, mac, next_key, once, proven, rotation, sign, signed, text, timed,
};

/// Holds it to the lock's reader.
fn tap(court: &Court, presented: &[u8]) -> Reply {
    court.write("pass", presented);
    court.run(&["tap", "pass"])
}

/// What the lock said, in a word.
fn said(court: &Court, presented: &[u8]) -> String {
    tap(court, presented).text("shown")
}

#[test]
fn a_pass_opens_in_whatever_form_it_comes() {
    let court = Court::new(bundle());
    let pass = signed(booking(&court, 1));
    let text = text(&pass);
    court.write("pass.bin", &pass);
    court.write("pass.txt", format!("{text}\r\n"));
    court.write("pass.png", &*Qr::of_text(&text).unwrap().png(6));
    for source in ["pass.bin", "pass.txt", "pass.png", &text] {
        let opened = court.run(&["tap", source]);
        assert_eq!((opened.status, opened.text("shown")), (0, "opened".to_owned()), "{source}");
        assert_eq!(opened.json["about"]["id"], "0101020304050607");
    }
    let mut command = court.command(&["tap", "-"]);
    command.stdin(std::fs::File::open(court.path("pass.txt")).unwrap());
    assert_eq!(support::reply(&command.output().unwrap()).text("shown"), "opened");
    assert_eq!(
        said(&court, &mac(&court, Pass { audience: None, issued_at: None, ..booking(&court, 2) })),
        "opened"
    );

    // What is none is told before anything is held to the lock.
    court.write("empty", "");
    court.write("other.png", &*Qr::of_text("DSLOCK1:ABC").unwrap().png(6));
    court.write("blank.png", b"\x89PNG");
    for (source, code) in [
        ("nothing.png", "failed"),
        ("empty", "not_a_pass"),
        ("other.png", "not_a_pass"),
        ("blank.png", "bad_image"),
        ("DP1:!", "not_a_pass"),
        ("DP1:AAAA", "not_a_pass"),
    ] {
        let refused = court.run(&["tap", source]);
        assert_eq!((refused.status, refused.outcome()), (1, code), "{source}: {}", refused.json);
        assert!(refused.stderr.contains("hint:") || code == "failed", "{}", refused.stderr);
    }
}

#[test]
fn what_could_not_be_proven_is_told_from_nothing_else() {
    let court = Court::new(bundle());
    let good = signed(booking(&court, 1));
    let mut changed = good.clone();
    changed[good.len() - 70] ^= 1;
    let elsewhere = Audience::parse("elsewher").unwrap();
    let stranger = IssuerKey::from_seed(&Secret::from_bytes([99; 32]));
    let nobody = vec![
        vec![0],
        changed,
        signed(Pass { audience: Some(elsewhere), ..booking(&court, 1) }),
        sign(&stranger, &Content::Pass(booking(&court, 1))),
        signed(bound(&court, 1)),
        proven(&court, &signed(bound(&court, 1)), &[0; 16]),
    ];
    let mut answers: Vec<Value> = Vec::new();
    for presented in &nobody {
        let refused = tap(&court, presented);
        assert_eq!(refused.status, 3, "{}", refused.json);
        let mut shown = refused.json.clone();
        // For whoever runs the lock; no phone is told.
        shown.as_object_mut().unwrap().remove("about");
        answers.push(shown);
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(answers[0]["reason"], "wrong_code");
    assert_eq!(said(&court, &good), "opened");
}

#[test]
fn a_reader_that_is_held_rubbish_takes_no_more_than_four_in_a_second() {
    let court = Court::new(bundle());
    let mut forged = signed(booking(&court, 1));
    let last = forged.len() - 1;
    forged[last] ^= 1;
    for _ in 0..4 {
        assert_eq!(said(&court, &forged), "wrong_code");
    }
    let throttled = tap(&court, &forged);
    assert_eq!(
        (throttled.text("shown"), throttled.json["wait_seconds"].clone()),
        ("throttled".to_owned(), 1.into())
    );
    let records = court.status()["journal"]["records"].clone();
    assert_eq!(said(&court, &signed(booking(&court, 1))), "throttled");
    assert_eq!(court.status()["journal"]["records"], records, "and nothing is written");
    court.advance(2);
    assert_eq!(said(&court, &signed(booking(&court, 1))), "opened");
}

#[test]
fn it_says_why_where_it_may() {
    let court = Court::new(bundle());
    court.advance(HOUR);
    let day = 24 * HOUR;
    let pass = booking(&court, 1);
    let moved = |from: u64, until: u64| {
        let at = doorstep::time::Timestamp::from_seconds;
        Pass { window: doorstep::time::Window::new(at(from), at(until)).unwrap(), ..pass }
    };
    let now = court.now();
    assert_eq!(said(&court, &signed(moved(now - day, now - 1000))), "expired");
    assert_eq!(said(&court, &signed(moved(now + 1000, now + day))), "not_yet_valid");
    let group = Some(Audience::parse("g-courts").unwrap());
    assert_eq!(said(&court, &signed(Pass { audience: group, ..pass })), "opened");
    assert_eq!(
        said(&court, &signed(Pass { audience: group, ..once(&court, 2) })),
        "wrong_verifier"
    );
    let single = signed(once(&court, 3));
    assert_eq!(said(&court, &single), "opened");
    assert_eq!(said(&court, &single), "already_used");
    let lasts = Pass { lasts: NonZeroU32::new(600), ..booking(&court, 4) };
    let lasts = signed(Pass { window: moved(now, now + day).window, ..lasts });
    assert_eq!(said(&court, &lasts), "opened");
    court.advance(600 + 900 - 1);
    assert_eq!(said(&court, &lasts), "opened");
    court.advance(2);
    assert_eq!(said(&court, &lasts), "expired");

    court.write("pass", &single);
    let mut command = court.command(&["tap", "pass", "--why"]);
    let arguments: Vec<_> = command.get_args().skip(1).map(ToOwned::to_owned).collect();
    command = std::process::Command::new(command.get_program());
    command.args(arguments);
    court.surround(&mut command);
    let text = String::from_utf8(command.output().unwrap().stdout).unwrap();
    for part in
        ["refused: already used", "why: already used, at ", "it is pass 0301020304050607", "hint: "]
    {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn a_code_on_a_phones_screen_opens_and_its_copy_does_not() {
    let court = Court::new(bundle());
    let (pass, now) = (signed(bound(&court, 1)), court.now());
    let shown = timed(&court, &pass, now + 1);
    assert_eq!(said(&court, &shown), "opened");
    assert_ne!(said(&court, &shown), "opened", "a copy");
    assert_ne!(said(&court, &timed(&court, &pass, now)), "opened", "an older one");
    court.advance(30);
    assert_eq!(said(&court, &timed(&court, &pass, now + 30)), "opened");
    court.advance(300);
    assert_ne!(said(&court, &timed(&court, &pass, now + 60)), "opened", "a stale picture");
    assert_eq!(said(&court, &timed(&court, &pass, now + 330)), "opened");
    assert_eq!(count(&court, "opened"), 3);
}

#[test]
fn a_file_that_cannot_be_read_is_told_with_what_to_do() {
    let court = Court::new(bundle());
    for file in [".", "missing.png"] {
        let told = court.run(&["tap", file]);
        assert_eq!(told.status, 1, "{file}");
        assert!(told.json["error"]["hint"].is_string(), "{file}: {}", told.json);
    }
}

#[test]
fn bulletins_and_rotations_take_effect_and_are_never_taken_back() {
    let court = Court::new(bundle());
    let (one, other) = (booking(&court, 1), booking(&court, 2));
    let old = bulletin(&court, 1, &[other]);
    assert_eq!(said(&court, &signed(one)), "opened");
    let newer = bulletin(&court, 2, &[one]);
    let taken = tap(&court, &newer);
    assert_eq!((taken.status, taken.text("shown")), (0, "taken".to_owned()));
    assert_eq!(taken.json["about"]["sequence"], 2);
    assert_eq!(said(&court, &signed(one)), "revoked");
    assert_eq!(said(&court, &old), "already_used");
    assert_eq!(said(&court, &newer), "already_used");
    assert_eq!(said(&court, &bulletin(&court, 1003, &[])), "already_used", "too far ahead");
    // What changes nothing costs an attempt, and one comes back each second.
    court.advance(5);
    assert_eq!(said(&court, &signed(other)), "opened");
    assert_eq!(said(&court, &signed(one)), "revoked");

    let next = sign(&next_key(), &Content::Pass(booking(&court, 3)));
    assert_eq!(said(&court, &next), "wrong_code");
    assert_eq!(said(&court, &rotation(&court, 1)), "taken");
    assert_eq!(said(&court, &next), "opened");
    assert_eq!(said(&court, &rotation(&court, 1)), "already_used");

    // Nobody is sent for another pass because of a rider.
    let early = rotation(&court, 3);
    for (rider, answer, hint) in [
        (&newer, "already_used", "the lock knows this"),
        (&rotation(&court, 1), "already_used", "the lock knows this"),
        (&early, "not_yet_valid", "one before it is missing"),
    ] {
        let refused = tap(&court, rider);
        assert_eq!(refused.text("shown"), answer);
        assert!(refused.text("hint").contains(hint), "{}", refused.json);
    }

    let passes = court.status()["passes"].clone();
    assert_eq!((&passes["rotation"], &passes["bulletin"]["sequence"]), (&1.into(), &2.into()));
    assert_eq!(passes["bulletin"]["revoked"], serde_json::json!(["01010203"]));
    assert_eq!(passes["keys"].as_array().unwrap().len(), 2);
    assert_eq!(passes["keys"][1]["rotation"], 1);
    assert_eq!(passes["keys"][0]["until"], Value::Null);
    assert_eq!(passes["groups"], serde_json::json!(["g-courts"]));
    assert_eq!((count(&court, "bulletin"), count(&court, "rotation")), (1, 1));
    assert_eq!(count(&court, "opened"), 3);
}

#[test]
fn a_lock_without_passes_says_so_and_one_without_power_nothing() {
    let court = Court::new(Bundle { passes: None, ..bundle() });
    let pass = signed(booking(&court, 1));
    let none = tap(&court, &pass);
    assert_eq!((none.status, none.outcome()), (1, "no_passes"));
    assert_eq!(court.status()["passes"], Value::Null);
    let listen = court.run(&["listen"]);
    assert_eq!((listen.status, listen.outcome()), (1, "no_passes"));

    let court = Court::new(bundle());
    court.must(&["pull-power", "--for", "1h"]);
    let dark = tap(&court, &pass);
    assert_eq!((dark.status, dark.outcome()), (1, "no_power"));
    court.advance(HOUR);
    assert_eq!(said(&court, &pass), "clock_unset");
    assert_eq!(count(&court, "power_lost"), 1);
    // A pass that was made after the cut ends it only as far as its time is trusted.
    assert_eq!(said(&court, &signed(booking(&court, 9))), "clock_unset");
    court.advance(600);
    assert_eq!(court.press(&court.set_time()).status, 0);
    assert_eq!(said(&court, &signed(booking(&court, 9))), "opened");
}

#[test]
fn passes_and_pins_share_one_clock_and_go_home_in_one_journal() {
    let court = Court::new(bundle());
    let scope = Scope { passage: true, ..once(&court, 1).scope };
    let pass = Pass { scope, ..once(&court, 1) };
    assert_eq!(said(&court, &signed(pass)), "opened");
    assert_eq!(court.press(&court.pin_now(true)).outcome(), "granted");
    court.must(&["journal", "--out", "home"]);
    let door = Door::new(&court.bundle);
    let bytes = std::fs::read(court.path("home")).unwrap();
    let journal = Journal::read(&door, &bytes).unwrap();
    let opened: Vec<_> = journal
        .steps(&door)
        .filter_map(|(record, ..)| match record {
            Record::Pass(record) => match record.event {
                Event::Opened { id, .. } => Some(id),
                _ => None,
            },
            _ => None,
        })
        .collect();
    assert_eq!(opened, [pass.id]);
    let status = court.status();
    assert_eq!(status["passes"]["marks"]["passes"][0]["uses"], 1);
    assert_eq!(status["passes"]["attempts"]["left"], 4);
    assert_eq!(court.now(), MIDNIGHT);
}

#[test]
fn killed_at_every_write_a_pass_that_opens_once_never_opens_twice() {
    let court = Court::new(bundle());
    let (single, many) = (signed(once(&court, 1)), signed(booking(&court, 2)));
    court.write("single", &single);
    at_every_write(&court, &["tap", "single"], |point, told| {
        let after = said(&court, &single);
        match told {
            Some(told) => {
                let answers = (told.outcome(), after.as_str());
                assert_eq!(answers, ("granted", "already_used"), "{point}");
            }
            // It may have been spent and not told; at most once is what is promised.
            None => {
                assert!(["opened", "already_used"].contains(&after.as_str()), "{point}: {after}")
            }
        }
        assert_eq!(said(&court, &single), "already_used", "{point}");
        assert_eq!(count(&court, "opened"), 1, "{point}");
        assert_eq!(said(&court, &many), "opened", "{point}");
    });
}

#[test]
fn killed_at_every_write_a_pass_for_many_times_opens_again_and_no_attempt_is_free() {
    let court = Court::new(bundle());
    let many = signed(booking(&court, 1));
    let mut forged = many.clone();
    forged[many.len() - 1] ^= 1;
    court.write("many", &many);
    court.write("forged", &forged);
    let left = || court.status()["passes"]["attempts"]["left"].as_u64().unwrap();
    for (file, spent) in [("many", 4), ("forged", 3)] {
        at_every_write(&court, &["tap", file], |point, told| {
            let after = left();
            let counted = after == spent || told.is_none() && (3..=4).contains(&after);
            assert!(counted, "{file} {point}: {after} left");
            assert_eq!(said(&court, &many), "opened", "{file} {point}");
            assert_eq!(left(), after, "{file} {point}: a pass that opens takes none");
        });
        std::fs::remove_dir_all(court.path("before")).unwrap();
        court.advance(10);
    }
}

#[test]
fn killed_at_every_write_what_was_revoked_stays_so_and_a_key_is_there_or_not() {
    let court = Court::new(bundle());
    let one = booking(&court, 1);
    let (pass, revoked) = (signed(one), bulletin(&court, 7, &[one]));
    court.write("bulletin", &revoked);
    at_every_write(&court, &["tap", "bulletin"], |point, told| {
        let after = said(&court, &pass);
        assert!(after == "revoked" || (after == "opened" && told.is_none()), "{point}: {after}");
        let again = said(&court, &revoked);
        assert_eq!(again == "already_used", after == "revoked", "{point}: {again}");
        assert_eq!(said(&court, &pass), "revoked", "{point}");
    });

    let court = Court::new(bundle());
    let next = sign(&next_key(), &Content::Pass(booking(&court, 3)));
    court.write("rotation", rotation(&court, 1));
    at_every_write(&court, &["tap", "rotation"], |point, told| {
        let after = said(&court, &next);
        assert!(after == "opened" || (after == "wrong_code" && told.is_none()), "{point}: {after}");
        court.advance(5);
        assert!(court.run(&["tap", "rotation"]).status != 1, "{point}");
        assert_eq!(said(&court, &next), "opened", "{point}");
        assert_eq!(said(&court, &signed(booking(&court, 1))), "opened", "{point}: the old one too");
    });
}

#[test]
fn sixteen_processes_hold_one_pass_and_one_opens() {
    let court = Court::new(bundle());
    court.write("single", signed(once(&court, 1)));
    let journal = court.path("lock/journal");
    let replies = support::all_at_once(&journal, 16, || court.command(&["tap", "single"]));
    let said: Vec<_> = replies.iter().map(|reply| reply.text("shown")).collect();
    let of = |wanted: &str| said.iter().filter(|said| *said == wanted).count();
    // The first four that open nothing take the attempts.
    assert_eq!((of("opened"), of("already_used"), of("throttled")), (1, 4, 11), "{said:?}");
    assert_eq!(count(&court, "opened"), 1);
    assert_eq!(court.status()["passes"]["attempts"]["left"], 0);
    assert_eq!(court.status()["passes"]["marks"]["used"], 1);
}
