//! The gate's own verdict: one yes for one code, whoever asks at the same time, and none for what was
//! used or never was.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod support;

use doorstep::otp::otpauth::Kind;
use doorstep::otp::totp::Totp;
use doorstep::refusal::Refusal;
use doorstep_gate::gate::Gate;
use doorstep_gate::verify::{DeviceToken, How};
use std::sync::Barrier;
use support::{Host, NOW, at, code, name, present, wrong};

#[test]
fn a_code_is_accepted_once_also_after_a_restart_and_by_another_spelling() {
    let mut host = Host::new();
    let entry = host.enrolled("ana");
    let later = NOW + 60;
    let right = code(&entry, later);
    let mut gate = host.open();
    assert!(
        matches!(
            present(&mut gate, "ana", &code(&entry, NOW), NOW),
            Err(Refusal::AlreadyUsed { .. }),
        ),
        "the code that activated it"
    );
    assert!(matches!(present(&mut gate, "ana", &right, later).unwrap().how, How::Authenticator(_)));
    let spaced = format!("{} {}", &right[..3], &right[3..]);
    for typed in [right.as_str(), &spaced, &format!(" {right}-")] {
        for (gate, now) in [(&mut gate, later), (&mut host.open(), later + 30)] {
            let again = present(gate, "ANA", typed, now);
            assert!(matches!(again, Err(Refusal::AlreadyUsed { .. })), "{typed}: {again:?}");
        }
    }
}

#[test]
fn an_authenticator_opens_nothing_before_its_first_code() {
    let mut host = Host::new();
    host.enrolled("ana");
    let mut gate = host.open();
    let kind = Kind::Totp(Totp::default());
    for who in ["ana", "bo"] {
        let pending = gate.enrol(&name(who), kind, "tests", at(NOW), &mut host.rng).unwrap().entry;
        let right = code(&pending, NOW + 60);
        let refused = present(&mut gate, who, &right, NOW + 60).unwrap_err();
        assert_eq!(refused, Refusal::WrongCode { left: None }, "{who}");
        assert!(gate.activate(&name(who), &wrong(&pending, NOW), at(NOW + 60)).unwrap().is_err());
        gate.activate(&name(who), &right, at(NOW + 60)).unwrap().unwrap();
        let again = present(&mut gate, who, &right, NOW + 60);
        assert!(matches!(again, Err(Refusal::AlreadyUsed { .. })), "{again:?}");
        assert!(present(&mut gate, who, &code(&pending, NOW + 90), NOW + 90).is_ok());
    }
}

#[test]
fn empty_and_odd_texts_are_no_codes_and_cost_nothing() {
    let mut host = Host::new();
    host.enrolled("ana");
    let mut gate = host.open();
    for typed in [
        "",
        " ",
        "12345",
        "1234567",
        "12345a",
        "１２３４５６",
        "+12345",
        "1_23456",
        "123456\0",
        &"1".repeat(5000),
    ] {
        assert_eq!(
            present(&mut gate, "ana", typed, NOW + 60).unwrap_err(),
            Refusal::Mistyped,
            "{typed:?}"
        );
    }
    assert_eq!(gate.list(at(NOW)).unwrap()[0].attempts_left, 10);
}

#[test]
fn one_of_many_concurrent_presentations_is_granted_and_different_users_all_are() {
    let mut host = Host::new();
    let users: Vec<_> = (0..8).map(|user| format!("user{user}")).collect();
    let entries: Vec<_> = users.iter().map(|user| host.enrolled(user)).collect();
    let now = NOW + 90;
    let granted = |jobs: &[(String, String)]| {
        let start = Barrier::new(jobs.len());
        std::thread::scope(|scope| {
            let threads: Vec<_> = jobs
                .iter()
                .map(|(user, code)| {
                    scope.spawn(|| {
                        let mut gate = host.open();
                        start.wait();
                        present(&mut gate, user, code, now).is_ok()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).filter(|ok| *ok).count()
        })
    };
    let same: Vec<_> = (0..9).map(|_| (users[0].clone(), code(&entries[0], now))).collect();
    assert_eq!(granted(&same), 1);
    let all: Vec<_> = users
        .iter()
        .zip(&entries)
        .skip(1)
        .map(|(user, entry)| (user.clone(), code(entry, now)))
        .collect();
    assert_eq!(granted(&all), 7);
    let recovery = host.open().make_recovery_codes(&name("user0"), &mut host.rng.clone()).unwrap();
    let recovery = String::from_utf8(recovery[3].expose().to_vec()).unwrap();
    let same: Vec<_> = (0..9).map(|_| (users[0].clone(), recovery.clone())).collect();
    assert_eq!(granted(&same), 1, "of a recovery code as well");
}

#[test]
fn a_recovery_code_works_once_for_its_account_and_while_locked_out() {
    let mut host = Host::new();
    let entry = host.enrolled("ana");
    host.enrolled("bo");
    let mut gate = host.open();
    let codes = gate.make_recovery_codes(&name("ana"), &mut host.rng).unwrap();
    let text = |nth: usize| String::from_utf8(codes[nth].expose().to_vec()).unwrap();
    for _ in 0..10 {
        assert!(present(&mut gate, "ana", &wrong(&entry, NOW), NOW + 60).is_err());
    }
    assert!(matches!(
        present(&mut gate, "ana", &code(&entry, NOW + 60), NOW + 60),
        Err(Refusal::Throttled { until: Some(_) })
    ));
    assert_eq!(
        present(&mut gate, "bo", &text(0), NOW).unwrap_err(),
        Refusal::WrongCode { left: None }
    );
    let granted = present(&mut gate, "ana", &text(0).to_lowercase(), NOW + 60).unwrap();
    assert_eq!(granted.how, How::RecoveryCode { left: 9 });
    assert!(matches!(
        present(&mut host.open(), "ana", &text(0), NOW + 60),
        Err(Refusal::AlreadyUsed { .. })
    ));
    let fresh = gate.make_recovery_codes(&name("ana"), &mut host.rng).unwrap();
    assert_eq!(
        present(&mut gate, "ana", &text(1), NOW + 60).unwrap_err(),
        Refusal::WrongCode { left: None },
        "the old set is void"
    );
    let fresh = String::from_utf8(fresh[1].expose().to_vec()).unwrap();
    assert!(present(&mut gate, "ana", &fresh, NOW + 60).is_ok());
}

#[test]
fn a_name_that_nobody_has_looks_like_one_that_somebody_has() {
    let mut host = Host::new();
    let entry = host.enrolled("ana");
    let mut gate = host.open();
    let guess = wrong(&entry, NOW);
    let length = || std::fs::metadata(host.path("gate.state")).unwrap().len();
    for typed in [guess.as_str(), "ABCD EFGH JKMN", "12", "", &guess] {
        let (before, known) = (length(), present(&mut gate, "ana", typed, NOW + 60).unwrap_err());
        let (between, nobody) = (length(), present(&mut gate, "eve", typed, NOW + 60).unwrap_err());
        assert_eq!(known, nobody, "{typed:?}");
        // Numbers differ in length; what counts is that both are written and flushed.
        assert_eq!(between > before, length() > between, "{typed:?}");
    }
    for _ in 0..8 {
        for who in ["ana", "eve"] {
            assert_eq!(
                present(&mut gate, who, &guess, NOW + 60).unwrap_err(),
                Refusal::WrongCode { left: None }
            );
        }
    }
    let until = Some(at(NOW + 60 + 4 * 60 * 60));
    for who in ["ana", "eve"] {
        let refused = present(&mut gate, who, &guess, NOW + 90).unwrap_err();
        assert_eq!(refused, Refusal::Throttled { until }, "{who}");
        assert!(
            matches!(
                present(&mut host.open(), who, &guess, NOW + 60),
                Err(Refusal::Throttled { .. })
            ),
            "{who}"
        );
    }
}

#[test]
fn names_that_nobody_has_do_not_use_up_each_others_attempts() {
    let host = Host::new();
    let mut gate = host.open();
    for nth in 0..200 {
        for _ in 0..2 {
            let refused = present(&mut gate, &format!("eve{nth}"), "000000", NOW).unwrap_err();
            assert_eq!(refused, Refusal::WrongCode { left: None });
        }
    }
    let tried: Vec<_> = (0..200)
        .map(|nth| {
            (0..9)
                .take_while(|_| {
                    let refused = present(&mut gate, &format!("eve{nth}"), "000000", NOW);
                    matches!(refused, Err(Refusal::WrongCode { .. }))
                })
                .count()
        })
        .collect();
    assert!(tried.iter().filter(|tried| **tried == 8).count() >= 190, "{tried:?}");
}

#[test]
fn whoever_uses_up_the_attempts_does_not_lock_out_a_known_device() {
    let mut host = Host::new();
    let entry = host.enrolled("ana");
    let mut gate = host.open();
    let granted = present(&mut gate, "ana", &code(&entry, NOW + 60), NOW + 60).unwrap();
    let token = gate.remember(&granted, at(NOW + 60), &mut host.rng).unwrap();
    for _ in 0..10 {
        assert!(present(&mut gate, "ana", &wrong(&entry, NOW), NOW + 120).is_err());
    }
    let right = code(&entry, NOW + 120);
    assert!(matches!(present(&mut gate, "ana", &right, NOW + 120), Err(Refusal::Throttled { .. })));
    let forged = DeviceToken::parse("7ZZZZZZZZZZZZZZZZZZZZZZZZZ").unwrap();
    let refused = gate.verify(Some(&name("ana")), &right, Some(&forged), at(NOW + 120)).unwrap();
    assert!(matches!(refused, Err(Refusal::Throttled { .. })));
    let granted =
        gate.verify(Some(&name("ana")), &right, Some(&token), at(NOW + 120)).unwrap().unwrap();
    assert!(granted.known);
    // The device has a throttle as well.
    for _ in 0..10 {
        let refused =
            gate.verify(Some(&name("ana")), &wrong(&entry, NOW), Some(&token), at(NOW + 120));
        assert!(matches!(refused.unwrap(), Err(Refusal::WrongCode { .. })));
    }
    let refused =
        gate.verify(Some(&name("ana")), &code(&entry, NOW + 150), Some(&token), at(NOW + 150));
    assert!(matches!(refused.unwrap(), Err(Refusal::Throttled { .. })));
    gate.unlock(&name("ana"), at(NOW + 150)).unwrap();
    assert!(present(&mut gate, "ana", &code(&entry, NOW + 150), NOW + 150).is_ok());
    for _ in 0..20 {
        gate.remember(&granted, at(NOW + 200), &mut host.rng).unwrap();
    }
    assert_eq!(gate.list(at(NOW)).unwrap()[0].known_devices, 16);
    assert!(!gate.knows(&name("ana"), &token).unwrap(), "the one not seen for longest made room");
}

#[test]
fn a_clock_set_back_or_gone_wild_revives_nothing() {
    let mut host = Host::new();
    let entry = host.enrolled("ana");
    let mut gate = host.open();
    let right = code(&entry, NOW + 60);
    present(&mut gate, "ana", &right, NOW + 60).unwrap();
    for _ in 0..10 {
        assert!(present(&mut gate, "ana", &wrong(&entry, NOW), NOW + 60).is_err());
    }
    for now in [0, 59, NOW - 86_400, NOW, NOW + 60] {
        let again = present(&mut gate, "ana", &right, now);
        assert!(matches!(again, Err(Refusal::Throttled { .. })), "{now}: {again:?}");
    }
    assert!(present(&mut gate, "ana", &right, u64::MAX).is_err());
    let mut gate = host.open();
    gate.unlock(&name("ana"), at(NOW)).unwrap();
    for now in [0, NOW, u64::MAX] {
        assert!(present(&mut gate, "ana", &right, now).is_err(), "{now}");
    }
}

#[test]
fn resync_finds_a_clock_again_and_never_goes_back() {
    let mut host = Host::new();
    let entry = host.enrolled("ana");
    let mut gate = host.open();
    let ahead = NOW + 7200;
    let codes = [code(&entry, ahead), code(&entry, ahead + 30)];
    assert!(present(&mut gate, "ana", &codes[0], NOW + 30).is_err());
    let both = [codes[0].as_str(), codes[1].as_str()];
    assert!(gate.resync(&name("ana"), None, [both[1], both[0]], at(NOW + 30)).unwrap().is_err());
    gate.resync(&name("ana"), None, both, at(NOW + 30)).unwrap().unwrap();
    assert!(present(&mut gate, "ana", &code(&entry, ahead + 90), NOW + 90).is_ok());
    for old in [ahead, NOW + 300] {
        let [first, second] = [code(&entry, old), code(&entry, old + 30)];
        let again = gate.resync(&name("ana"), None, [&first, &second], at(NOW + 120)).unwrap();
        assert!(
            matches!(again, Err(Refusal::AlreadyUsed { .. } | Refusal::WrongCode { .. })),
            "{again:?}"
        );
    }
}

/// How many of nine threads, each with its own gate, are granted.
fn granted(host: &Host, present: impl Fn(&mut Gate) -> bool + Sync) -> usize {
    let start = Barrier::new(9);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..9)
            .map(|_| {
                scope.spawn(|| {
                    let mut gate = host.open();
                    start.wait();
                    present(&mut gate)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).filter(|ok| *ok).count()
    })
}

#[test]
fn of_many_who_activate_or_resync_with_the_same_codes_one_is_granted() {
    let mut host = Host::new();
    let kind = Kind::Totp(Totp::default());
    let entry =
        host.open().enrol(&name("ana"), kind, "tests", at(NOW), &mut host.rng).unwrap().entry;
    let first = code(&entry, NOW);
    let active = granted(&host, |gate| {
        gate.activate(&name("ana"), &first, at(NOW)).is_ok_and(|verdict| verdict.is_ok())
    });
    assert_eq!(active, 1);
    let codes = [code(&entry, NOW + 7200), code(&entry, NOW + 7230)];
    let [first, second] = [codes[0].as_str(), codes[1].as_str()];
    let found = granted(&host, |gate| {
        gate.resync(&name("ana"), None, [first, second], at(NOW + 30)).unwrap().is_ok()
    });
    assert_eq!(found, 1);
}
