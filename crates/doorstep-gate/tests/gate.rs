//! The state file and the gate's own verdict: one yes for one code, whoever asks at the same time,
//! and none for what was used, ended or never was.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use doorstep::otp::otpauth::{Entry, Kind};
use doorstep::otp::totp::Totp;
use doorstep::refusal::Refusal;
use doorstep::time::Timestamp;
use doorstep_files::FileError;
use doorstep_gate::GateError;
use doorstep_gate::config::{self, Config};
use doorstep_gate::gate::Gate;
use doorstep_gate::name::Name;
use doorstep_gate::session::Terms;
use doorstep_gate::verify::{DeviceToken, Granted, How};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::sync::Barrier;

const NOW: u64 = 1_772_452_800;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

struct Host {
    dir: tempfile::TempDir,
    rng: ChaCha20Rng,
}

impl Host {
    fn new() -> Self {
        let host = Self { dir: tempfile::tempdir().unwrap(), rng: ChaCha20Rng::seed_from_u64(7) };
        std::fs::write(host.path("gate.toml"), "verify = \"local\"\n").unwrap();
        Gate::create(&host.config(), true, at(NOW), &mut host.rng.clone()).unwrap();
        host
    }

    fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    fn config(&self) -> Config {
        Config::read(&self.path("gate.toml")).unwrap()
    }

    fn open(&self) -> Gate {
        Gate::open(&self.config()).unwrap()
    }

    /// An account with an active authenticator, whose first code was the one of `NOW`.
    fn enrolled(&mut self, text: &str) -> Entry {
        let mut gate = self.open();
        let kind = Kind::Totp(Totp::default());
        let entry = gate.enrol(&name(text), kind, "tests", at(NOW), &mut self.rng).unwrap().entry;
        gate.activate(&name(text), &code(&entry, NOW), at(NOW)).unwrap().unwrap();
        entry
    }
}

fn code(entry: &Entry, now: u64) -> String {
    let Kind::Totp(totp) = entry.kind else { panic!("not by a clock") };
    let code = totp.code_at(&totp.keyed(&entry.secret), at(now)).unwrap();
    String::from_utf8(code.expose().to_vec()).unwrap()
}

/// A code that is not right within minutes of `now`.
fn wrong(entry: &Entry, now: u64) -> String {
    let right: Vec<_> = (0..20).map(|step| code(entry, now - 300 + step * 30)).collect();
    (0..).map(|number| format!("{number:06}")).find(|code| !right.contains(code)).unwrap()
}

fn present(gate: &mut Gate, who: &str, typed: &str, now: u64) -> Result<Granted, Refusal> {
    gate.verify(Some(&name(who)), typed, None, at(now)).unwrap()
}

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

#[test]
fn one_of_several_authenticators_is_found_again_or_removed() {
    let mut host = Host::new();
    let (old, new) = (host.enrolled("ana"), host.enrolled("ana"));
    let mut gate = host.open();
    let codes = [code(&old, NOW + 7200), code(&old, NOW + 7230)];
    let both = [codes[0].as_str(), codes[1].as_str()];
    let ana = name("ana");
    assert!(matches!(gate.resync(&ana, None, both, at(NOW + 30)), Err(GateError::Unfit(_))));
    assert!(matches!(gate.resync(&ana, Some(3), both, at(NOW + 30)), Err(GateError::Unfit(_))));
    assert!(gate.resync(&ana, Some(2), both, at(NOW + 30)).unwrap().is_err());
    assert_eq!(gate.resync(&ana, Some(1), both, at(NOW + 30)).unwrap().unwrap().authenticator, 1);

    let mut rng = ChaCha20Rng::seed_from_u64(4);
    let session = gate.begin_session(ana.clone(), &TERMS, at(NOW), &mut rng).unwrap();
    let cookie = gate.write_session(&session);
    assert!(matches!(gate.remove_authenticator(&ana, 3), Err(GateError::Unfit(_))));
    gate.remove_authenticator(&ana, 1).unwrap();
    assert_eq!(gate.read_session(&cookie, &TERMS, at(NOW)).unwrap(), None);
    assert!(present(&mut gate, "ana", &code(&old, NOW + 7290), NOW + 90).is_err());
    assert!(present(&mut gate, "ana", &code(&new, NOW + 90), NOW + 90).is_ok());
    assert!(matches!(gate.remove_authenticator(&ana, 2), Err(GateError::Unfit(_))), "the last");
}

#[test]
fn a_clock_that_was_ahead_once_is_told_and_brings_no_session_back() {
    let mut host = Host::new();
    let entry = host.enrolled("ana");
    let mut gate = host.open();
    let mut rng = ChaCha20Rng::seed_from_u64(4);
    let session = gate.begin_session(name("ana"), &TERMS, at(NOW), &mut rng).unwrap();
    gate.end_session(&session, &TERMS).unwrap();
    assert_eq!(gate.list(at(NOW)).unwrap()[0].stalled_until, None);
    let ahead = NOW + 10 * 365 * 86_400;
    for _ in 0..1100 {
        assert!(present(&mut gate, "ana", "0000 0000 0000", ahead).is_err());
    }
    assert!(present(&mut gate, "ana", &wrong(&entry, ahead), ahead).is_err());
    let length = || std::fs::metadata(host.path("gate.state")).unwrap().len();
    let before = length();
    gate.compact(at(ahead)).unwrap();
    assert!(length() < before);
    let cookie = gate.write_session(&session);
    assert_eq!(gate.read_session(&cookie, &TERMS, at(NOW)).unwrap(), None);
    assert_eq!(gate.list(at(NOW)).unwrap()[0].stalled_until, Some(at(ahead)));
    gate.unlock(&name("ana"), at(NOW)).unwrap();
    assert_eq!(gate.list(at(NOW)).unwrap()[0].stalled_until, None);
}

const TERMS: Terms = Terms {
    session: config::Session { lifetime: 3600, idle: Some(600), survive_reboot: false },
    verify: config::Verify::Local,
    boot: [1; 16],
};

#[test]
fn a_session_ends_by_time_by_reboot_and_by_everything_that_signs_out() {
    let mut host = Host::new();
    host.enrolled("ana");
    host.enrolled("bo");
    let mut gate = host.open();
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let mut begin = |gate: &mut Gate, who: &str| {
        let session = gate.begin_session(name(who), &TERMS, at(NOW), &mut rng).unwrap();
        gate.write_session(&session)
    };
    let (ana, bo) = (begin(&mut gate, "ana"), begin(&mut gate, "bo"));
    let holds = |gate: &mut Gate, cookie: &str, now: u64| {
        gate.read_session(cookie, &TERMS, at(now)).unwrap()
    };
    assert_eq!(holds(&mut gate, &ana, NOW + 599).unwrap().name, name("ana"));
    for now in [NOW + 600, NOW + 3600, u64::MAX, NOW - 61, 0] {
        assert_eq!(holds(&mut gate, &ana, now), None, "at {now}");
    }
    let session = holds(&mut gate, &ana, NOW + 500).unwrap();
    let renewed = gate.renew(&session, &TERMS, at(NOW + 500)).unwrap();
    assert!(holds(&mut gate, &renewed, NOW + 1099).is_some());
    assert!(holds(&mut gate, &renewed, NOW + 1100).is_none());
    assert_eq!(gate.renew(&session, &TERMS, at(NOW + 59)), None);

    // CVE-2024-20301: a trusted session that survives a reboot.
    let rebooted = Terms { boot: [2; 16], ..TERMS };
    assert_eq!(gate.read_session(&ana, &rebooted, at(NOW)).unwrap(), None);
    let mut surviving = rebooted;
    surviving.session.survive_reboot = true;
    assert!(gate.read_session(&ana, &surviving, at(NOW)).unwrap().is_some());

    let mut other = host.open();
    other.end_session(&session, &TERMS).unwrap();
    assert_eq!(holds(&mut gate, &ana, NOW), None, "signed out by who had it, in another process");
    assert_eq!(holds(&mut gate, &renewed, NOW + 500), None, "and the renewed one with it");
    let again = begin(&mut gate, "ana");
    assert!(holds(&mut gate, &again, NOW).is_some());
    other.sign_out(Some(&name("ana"))).unwrap();
    assert_eq!(holds(&mut gate, &again, NOW), None);
    assert!(holds(&mut gate, &bo, NOW).is_some());
    other.sign_out(None).unwrap();
    assert_eq!(holds(&mut gate, &bo, NOW), None);
    let again = begin(&mut gate, "bo");
    other.remove(&name("bo")).unwrap();
    assert_eq!(holds(&mut gate, &again, NOW), None);
    host.enrolled("bo");
    assert_eq!(holds(&mut gate, &again, NOW), None, "a new account of the old name is another one");
}

#[test]
fn a_forged_cut_or_foreign_cookie_is_none() {
    let mut host = Host::new();
    host.enrolled("ana");
    let mut other = Host { rng: ChaCha20Rng::seed_from_u64(8), ..Host::new() };
    std::fs::remove_file(other.path("gate.key")).unwrap();
    std::fs::remove_file(other.path("gate.state")).unwrap();
    Gate::create(&other.config(), true, at(NOW), &mut other.rng).unwrap();
    other.enrolled("ana");
    let mut gate = host.open();
    let session = gate.begin_session(name("ana"), &TERMS, at(NOW), &mut host.rng).unwrap();
    let cookie = gate.write_session(&session);
    let mut reads = |cookie: &str| gate.read_session(cookie, &TERMS, at(NOW)).unwrap().is_some();
    assert!(reads(&cookie));
    for length in 0..cookie.len() {
        assert!(!reads(&cookie[..length]), "cut at {length}");
        let mut forged = cookie.clone().into_bytes();
        forged[length] = if forged[length] == b'0' { b'1' } else { b'0' };
        assert!(!reads(str::from_utf8(&forged).unwrap()), "changed at {length}");
    }
    for odd in [
        cookie.to_uppercase(),
        format!("{cookie}00"),
        format!("00{cookie}"),
        "é".repeat(40),
        "0".repeat(64),
        "f".repeat(2000),
    ] {
        assert!(!reads(&odd), "{odd}");
    }
    assert_eq!(
        other.open().read_session(&cookie, &TERMS, at(NOW)).unwrap(),
        None,
        "another gate's"
    );
}

#[test]
fn a_state_file_written_anew_says_the_same() {
    let mut host = Host::new();
    let entry = host.enrolled("ana");
    let mut gate = host.open();
    let begin = |gate: &mut Gate, seed: u64| {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        gate.begin_session(name("ana"), &TERMS, at(NOW), &mut rng).unwrap()
    };
    let all_out = begin(&mut gate, 1);
    gate.sign_out(None).unwrap();
    let ana_out = begin(&mut gate, 2);
    gate.sign_out(Some(&name("ana"))).unwrap();
    let ended = begin(&mut gate, 3);
    gate.end_session(&ended, &TERMS).unwrap();
    let open = begin(&mut gate, 4);
    gate.make_recovery_codes(&name("ana"), &mut host.rng).unwrap();
    let granted = present(&mut gate, "ana", &code(&entry, NOW + 60), NOW + 60).unwrap();
    let token = gate.remember(&granted, at(NOW + 60), &mut host.rng).unwrap();
    let guess = wrong(&entry, NOW);
    for _ in 0..4 {
        assert!(present(&mut gate, "eve", &guess, NOW + 60).is_err());
    }
    // Recovery codes take no attempts, so that these are only many.
    for _ in 0..1100 {
        assert!(present(&mut gate, "ana", "0000 0000 0000", NOW + 60).is_err());
    }
    let size = || std::fs::metadata(host.path("gate.state")).unwrap().len();
    let (mut other, before) = (host.open(), size());
    gate.compact(at(NOW + 60)).unwrap();
    assert!(size() * 20 < before, "{} bytes of {before}", size());
    for gate in [&mut gate, &mut other, &mut host.open()] {
        assert!(matches!(
            present(gate, "ana", &code(&entry, NOW + 60), NOW + 60),
            Err(Refusal::AlreadyUsed { .. }),
        ));
        assert!(gate.knows(&name("ana"), &token).unwrap());
        for (session, holds) in
            [(&all_out, false), (&ana_out, false), (&ended, false), (&open, true)]
        {
            let cookie = gate.write_session(session);
            assert_eq!(gate.read_session(&cookie, &TERMS, at(NOW)).unwrap().is_some(), holds);
        }
        gate.compact(at(NOW + 60)).unwrap();
    }
    for nth in 4..12 {
        let refused = present(&mut gate, "eve", &guess, NOW + 60).unwrap_err();
        assert_eq!(matches!(refused, Refusal::Throttled { .. }), nth >= 10, "{nth}: {refused:?}");
    }
    assert!(
        other
            .verify(Some(&name("ana")), &code(&entry, NOW + 120), Some(&token), at(NOW + 120))
            .unwrap()
            .is_ok()
    );
}

#[test]
fn files_that_others_could_have_touched_let_nobody_in() {
    let mut host = Host::new();
    host.enrolled("ana");
    let (state, key, toml) =
        (host.path("gate.state"), host.path("gate.key"), host.path("gate.toml"));
    let config = host.config();
    let mode = |path: &PathBuf, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap()
    };
    for file in [&state, &key] {
        mode(file, 0o640);
        assert!(matches!(Gate::open(&config), Err(GateError::File(FileError::Exposed { .. }))));
        mode(file, 0o600);
    }
    mode(&toml, 0o664);
    assert!(matches!(Config::read(&toml), Err(GateError::File(FileError::Exposed { .. }))));
    mode(&toml, 0o644);
    let aside = host.path("aside");
    for file in [&state, &key] {
        std::fs::rename(file, &aside).unwrap();
        assert!(matches!(Gate::open(&config), Err(GateError::File(FileError::Missing { .. }))));
        symlink(&aside, file).unwrap();
        assert!(matches!(Gate::open(&config), Err(GateError::File(FileError::NotPlain { .. }))));
        std::fs::rename(&aside, file).unwrap();
    }
    mode(&host.dir.path().to_owned(), 0o777);
    assert!(matches!(Gate::open(&config), Err(GateError::File(FileError::Exposed { .. }))));
    mode(&host.dir.path().to_owned(), 0o700);
    // Two leavings of a crash.
    std::fs::write(host.path("gate.state.new"), "half").unwrap();
    let bytes = std::fs::read(&state).unwrap();
    std::fs::write(&state, [bytes.as_slice(), &[0, 0]].concat()).unwrap();
    let entry = host.enrolled("bo");
    assert!(present(&mut host.open(), "bo", &code(&entry, NOW + 60), NOW + 60).is_ok());
    let mut bytes = std::fs::read(&state).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&state, bytes).unwrap();
    assert!(matches!(Gate::open(&config), Err(GateError::File(FileError::Damaged { .. }))));
    let other = Host { rng: ChaCha20Rng::seed_from_u64(9), ..Host::new() };
    std::fs::remove_file(other.path("gate.key")).unwrap();
    std::fs::remove_file(other.path("gate.state")).unwrap();
    Gate::create(&other.config(), true, at(NOW), &mut other.rng.clone()).unwrap();
    std::fs::copy(other.path("gate.state"), &state).unwrap();
    assert!(matches!(Gate::open(&config), Err(GateError::WrongKey { .. })));
}

#[test]
fn the_state_file_holds_no_secret() {
    let mut host = Host::new();
    let entry = host.enrolled("ana");
    let codes = host.open().make_recovery_codes(&name("ana"), &mut host.rng).unwrap();
    let state = std::fs::read(host.path("gate.state")).unwrap();
    let holds = |secret: &[u8]| state.windows(secret.len()).any(|window| window == secret);
    assert!(holds(b"ana"));
    assert!(!holds(entry.secret.expose()));
    assert!(!holds(b"otpauth"));
    assert!(codes.iter().all(|code| !holds(code.expose())));
}
