//! The comparisons of the core, run with their secrets marked as undefined memory: valgrind then
//! reports every branch and every address that depends on one (`scripts/constant-time`).
//!
//! The one thing that may depend on a secret is the answer itself, right or wrong.

use doorstep::clock::{AfterPowerLoss, Belief, Clock, Oscillator};
use doorstep::code::{Code, Shape};
use doorstep::handover::issue::code_mac;
use doorstep::handover::judge::AtServer;
use doorstep::id::DeliveryId;
use doorstep::keypad::control::Command;
use doorstep::keypad::issue::derive_control;
use doorstep::keypad::key::RootKey;
use doorstep::keypad::lock::{Entry, Lock};
use doorstep::keypad::profile::Profile;
use doorstep::keypad::state::State as LockState;
use doorstep::ledger::{Head, Place};
use doorstep::otp::record::{Event, Presenter, State};
use doorstep::otp::recovery::{self, Held};
use doorstep::otp::totp::Totp;
use doorstep::otp::verify::{Authenticator, Enrolled, begin};
use doorstep::otp::{Algorithm, OtpSecret};
use doorstep::secret::Secret;
use doorstep::throttle::{Bucket, Budget, Pace};
use doorstep::time::{Timestamp, Window};
use doorstep::verifier::{Attempt, Means, Standing};
use std::arch::asm;

/// `VG_USERREQ__MAKE_MEM_UNDEFINED` of memcheck.h.
const MAKE_UNDEFINED: usize = 0x4d43_0001;

/// Asks valgrind something; does nothing where it does not run. See valgrind.h.
fn request(what: usize, start: *const u8, length: usize) {
    let arguments = [what, start.addr(), length, 0, 0, 0];
    // SAFETY: four rotations by 128 bits in all and an exchange of a register with itself.
    unsafe {
        asm!(
            "rol rdi, 3", "rol rdi, 13", "rol rdi, 61", "rol rdi, 51", "xchg rbx, rbx",
            in("rax") arguments.as_ptr(), inout("rdx") 0_usize => _,
        );
    }
}

/// From here on, nothing may branch on these bytes.
fn secret<const N: usize>(bytes: [u8; N]) -> [u8; N] {
    let bytes = std::hint::black_box(bytes);
    request(MAKE_UNDEFINED, bytes.as_ptr(), N);
    bytes
}

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

fn anybody() -> Presenter {
    Presenter::anybody(Bucket::full(Pace::AUTHENTICATOR, NOW))
}

/// A clock that is known to run wrong, so that two windows are searched, with a used step in one.
fn one_time_codes(algorithm: Algorithm) -> bool {
    let key = OtpSecret::from_bytes(&secret([7; 20])).expect("twenty bytes are a secret");
    let authenticator = Authenticator::totp(&key, Totp { algorithm, ..Totp::default() });
    let used = Event::Accepted { authenticator: 1, step: 60_000_000 - 6, drift: -5 };
    let state = State::new(Timestamp::from_seconds(0)).then(NOW, &used);
    let enrolled = [Enrolled { number: 1, authenticator: &authenticator, state }];
    let (attempt, _) =
        begin(&enrolled, &anybody(), "123456", NOW, Head::EMPTY).expect("nothing stops it");
    let receipt = attempt.place().appended();
    attempt.counted(receipt).expect("its own receipt").compare().is_ok()
}

fn recovery_codes() -> bool {
    let pepper = Secret::from_bytes(secret([9; 32]));
    let code = Code::parse("7KQ2M0XZ41RT", Shape::RECOVERY).expect("a code");
    let held: Vec<Held> = (0..recovery::SET)
        .map(|number| Held {
            number,
            mac: recovery::derive_mac(&pepper, b"acc_1", &code),
            used: None,
        })
        .collect();
    let (attempt, _) =
        recovery::begin(&held, &pepper, b"acc_1", &anybody(), "7KQ2-M0XZ-41RV", NOW, Head::EMPTY)
            .expect("nothing stops it");
    let receipt = attempt.place().appended();
    attempt.counted(receipt).expect("its own receipt").compare().is_ok()
}

/// A delivery's code at the server, beside the codes of two slots.
fn delivery_codes() -> bool {
    let pepper = Secret::from_bytes(secret([5; 32]));
    let delivery = DeliveryId::parse("dlv_1").expect("an id");
    let code = |text| Code::parse(text, Shape::DIGITS_8).expect("a code");
    let slots = [0, 1].map(|slot| (slot, code_mac(&pepper, &delivery, 1, slot, &code("48291635"))));
    let typed = code("48291636");
    let method = AtServer { delivery, generation: 1, slots: slots.to_vec(), code: typed, pepper };
    let window = Window::new(NOW, NOW.later(60)).expect("a window");
    let standing = Standing { window, budget: Budget::new(5, 0), spent: None };
    let place = Place::of(Head::EMPTY, b"tried");
    let attempt = Attempt::begin(method, Means::Typed, &standing, NOW, place);
    let attempt = attempt.expect("nothing stops it");
    let receipt = attempt.place().appended();
    attempt.counted(receipt).expect("its own receipt").compare().is_ok()
}

/// A lock that compares all lanes of a general profile.
fn lock() -> (Lock, LockState<32>) {
    let root = RootKey::from_secret(Secret::from_bytes(std::hint::black_box([6; 32])));
    let clock =
        Clock { oscillator: Oscillator::Crystal, after_power_loss: AfterPowerLoss::NeedTime };
    let profile = Profile::general().expect("a profile of ours");
    (Lock::new(root, profile), LockState::new(Belief::new(clock, NOW)))
}

/// From here on nothing may branch on the lock's root, and so on no PIN: all of the lock but its profile.
fn hide(lock: &Lock) {
    let bytes = |start: *const u8, length| start.addr()..start.addr() + length;
    let all = bytes(std::ptr::from_ref(lock).cast(), size_of::<Lock>());
    let known = bytes(std::ptr::from_ref(lock.profile()).cast(), size_of::<Profile>());
    for hidden in [all.start..known.start, known.end..all.end] {
        request(MAKE_UNDEFINED, std::ptr::without_provenance(hidden.start), hidden.len());
    }
}

/// A PIN or a long form.
fn keypad_codes(typed: &str) -> bool {
    let (lock, state) = lock();
    let Ok(Entry::Pin(typed)) = lock.read(typed) else { unreachable!("it is a PIN") };
    let (attempt, _) = lock.begin(&state, 0, typed, Head::EMPTY).expect("nothing stops it");
    let receipt = attempt.place().appended();
    hide(&lock);
    attempt.counted(receipt).expect("its own receipt").compare().is_ok()
}

/// Each kind of control code, with a MAC that is wrong.
fn control_codes(command: &Command) -> bool {
    let (lock, state) = lock();
    let elsewhere = RootKey::from_secret(Secret::from_bytes([8; 32]));
    let code = derive_control(&elsewhere, 0, lock.profile(), command).expect("a class of ours");
    let typed = std::str::from_utf8(code.expose()).expect("digits");
    let Ok(Entry::Control(typed)) = lock.read(typed) else { unreachable!("it is a control code") };
    let (attempt, _) = lock.begin_control(&state, 0, typed, Head::EMPTY).expect("nothing stops it");
    let receipt = attempt.place().appended();
    hide(&lock);
    attempt.counted(receipt).expect("its own receipt").compare().is_ok()
}

fn main() {
    // Read, so that nothing is optimised away.
    let mut answers = Algorithm::ALL.map(one_time_codes).to_vec();
    answers.extend([recovery_codes(), delivery_codes()]);
    answers.extend(["123456789", "12345678901234"].map(keypad_codes));
    let profile = Profile::general().expect("a profile of ours");
    let wanted = Window::new(NOW, NOW.later(3600)).expect("a window");
    let tuple = profile.fit(&wanted, false).expect("an hour fits").tuple(1, 1);
    let commands = [
        Command::set_time(NOW.later(600)),
        Command::Cancel { tuple, epoch: 0 },
        Command::Announce { epoch: 1 },
        Command::EndEpoch { epoch: 1 },
    ];
    answers.extend(commands.iter().map(control_codes));
    println!("compared {} times", answers.len());
}
