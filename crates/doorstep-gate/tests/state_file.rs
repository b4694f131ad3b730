//! The state file and sessions: what ended stays ended, what was written anew says the same, and
//! files that others could have touched let nobody in.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod support;

use doorstep::refusal::Refusal;
use doorstep_files::FileError;
use doorstep_gate::GateError;
use doorstep_gate::config::{self, Config};
use doorstep_gate::gate::Gate;
use doorstep_gate::session::Terms;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use support::{Host, NOW, at, code, name, present, wrong};

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
