//! Verification of one-time codes beside other libraries, in one run. First all of them must agree
//! on which codes are right; only then are they measured.

use criterion::Criterion;
use doorstep::ledger::Head;
use doorstep::otp::OtpSecret;
use doorstep::otp::hotp::Hotp;
use doorstep::otp::record::{Presenter, State};
use doorstep::otp::totp::Totp;
use doorstep::otp::verify::{Authenticator, Drift, Enrolled, Method, begin};
use doorstep::otp::window::Window;
use doorstep::throttle::{Bucket, Pace};
use doorstep::time::Timestamp;
use doorstep::verifier::Compare as _;
use doorstep_peers::{Floor, init, liboath_hotp, liboath_totp};
use std::ffi::CString;
use std::hint::black_box;
use std::time::Duration;

const SECRET: &[u8; 20] = b"12345678901234567890";
const NOW: u64 = 1_800_000_000;
const STEP: u64 = NOW / 30;
/// Counters that a resync looks at.
const REACH: u16 = 1000;

fn main() {
    assert!(init(), "liboath does not start");
    let mut criterion = Criterion::default()
        .sample_size(50)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    verify(&mut criterion);
    resync(&mut criterion);
    generate(&mut criterion);
    criterion.final_summary();
}

fn secret() -> OtpSecret {
    OtpSecret::from_bytes(SECRET).expect("twenty bytes are a secret")
}

fn anybody() -> Presenter {
    Presenter::anybody(Bucket::full(Pace::AUTHENTICATOR, now()))
}

fn now() -> Timestamp {
    Timestamp::from_seconds(NOW)
}

/// The window of one step to either side; the peers as their documentation uses them.
fn verify(criterion: &mut Criterion) {
    let floor = Floor::new(SECRET);
    let (right, wrong) = (floor.code(STEP + 1), 123_456);
    assert_eq!(floor.compare(right, STEP - 1..=STEP + 1), Some(STEP + 1));
    assert_eq!(floor.compare(wrong, STEP - 1..=STEP + 1), None);
    let (right_text, wrong_text) = (format!("{right:06}"), format!("{wrong:06}"));
    let c_text = |text: &str| CString::new(text).expect("digits have no end in them");
    let (right_c, wrong_c) = (c_text(&right_text), c_text(&wrong_text));

    let method =
        Method::Totp { totp: Totp::default(), window: Window::ONE_EACH, drift: Drift::NONE };
    let authenticator = Authenticator::new(&secret(), method);
    let enrolled =
        [Enrolled { number: 1, authenticator: &authenticator, state: State::new(now()) }];
    let presenter = anybody();
    let present = |typed: &str| {
        let (attempt, _) =
            begin(&enrolled, &presenter, typed, now(), Head::EMPTY).expect("nothing stops it");
        let receipt = attempt.place().appended();
        attempt.counted(receipt).expect("its own receipt").compare()
    };
    let matched = present(&right_text).expect("the right code");
    assert_eq!(matched.found().step, STEP + 1);
    assert!(present(&wrong_text).is_err());

    let rfc_secret = totp_rfc::Secret::new(SECRET).expect("twenty bytes");
    let rfc = totp_rfc::Totp::new(totp_rfc::Algorithm::Sha1, totp_rfc::Digits::SIX, 30, 0)
        .expect("a period");
    let rfc_window = totp_rfc::ValidationWindow::new(1, 1);
    let rfc_verify = |typed: &str| {
        rfc.verify_window(&rfc_secret, NOW, rfc_window, typed).expect("six digits and a time")
    };
    assert_eq!(rfc_verify(&right_text).map(|found| found.counter()), Some(STEP + 1));
    assert!(rfc_verify(&wrong_text).is_none());

    let rs = totp_rs::Builder::new().with_secret(*SECRET).with_skew(1).build().expect("a TOTP");
    assert_eq!(rs.check(&right_text, NOW), Some(STEP + 1));
    assert_eq!(rs.check(&wrong_text, NOW), None);

    let time = i64::try_from(NOW).expect("a time of this century");
    assert!(liboath_totp(SECRET, time, 1, &right_c).is_some());
    assert!(liboath_totp(SECRET, time, 1, &wrong_c).is_none());

    let mut group = criterion.benchmark_group("verify, window +-1, wrong code");
    group.bench_function("floor", |b| {
        b.iter(|| floor.compare(black_box(wrong), STEP - 1..=black_box(STEP) + 1));
    });
    // It takes the same time for every code, so what was matched is compared again.
    group.bench_function("doorstep, compare", |b| b.iter(|| black_box(matched.method()).compare()));
    group.bench_function("doorstep, attempt counted and compared", |b| {
        b.iter(|| present(black_box(&wrong_text)).is_err());
    });
    group.bench_function("totp-rs", |b| b.iter(|| rs.check(black_box(&wrong_text), NOW)));
    group.bench_function("totp-rfc", |b| b.iter(|| rfc_verify(black_box(&wrong_text))));
    group.bench_function("liboath", |b| {
        b.iter(|| liboath_totp(black_box(SECRET), time, 1, &wrong_c));
    });
    group.finish();
}

/// A search over 1,000 counters whose last one is right.
fn resync(criterion: &mut Criterion) {
    let floor = Floor::new(SECRET);
    let last = u64::from(REACH) - 1;
    let right = floor.code(last);
    let text = format!("{right:06}");
    let c_text = CString::new(text.as_str()).expect("digits have no end in them");
    assert_eq!(floor.compare(right, 0..=last), Some(last), "no other counter shares the code");

    let authenticator = Authenticator::hotp(&secret(), Hotp::default());
    let enrolled = Enrolled { number: 1, authenticator: &authenticator, state: State::new(now()) };
    let presenter = anybody();
    let first = || {
        let (attempt, _) = enrolled
            .begin_first(&presenter, &text, REACH - 1, now(), Head::EMPTY)
            .expect("nothing stops it");
        let receipt = attempt.place().appended();
        attempt.counted(receipt).expect("its own receipt").compare().expect("the right code")
    };
    assert_eq!(first().found().step, last);

    let rfc_secret = totp_rfc::Secret::new(SECRET).expect("twenty bytes");
    let rfc = totp_rfc::Hotp::new(totp_rfc::Digits::SIX);
    let rfc_search = || rfc.verify_window(&rfc_secret, 0, REACH - 1, &text).expect("six digits");
    assert_eq!(rfc_search().map(|found| found.counter()), Some(last));

    // It knows no counters: the same number of steps, 500 to either side.
    let rs = totp_rs::Builder::new().with_secret(*SECRET).with_skew(500).build().expect("a TOTP");
    let rs_right = format!("{:06}", floor.code(STEP + 500));
    assert!(rs.check(&rs_right, NOW).is_some());

    assert_eq!(liboath_hotp(SECRET, 0, usize::from(REACH) - 1, &c_text), Some(999));

    let mut group = criterion.benchmark_group("resync over 1,000 counters");
    group.bench_function("floor", |b| b.iter(|| floor.compare(black_box(right), 0..=last)));
    group.bench_function("doorstep, attempt counted and compared", |b| b.iter(&first));
    group.bench_function("totp-rs", |b| b.iter(|| rs.check(black_box(&rs_right), NOW)));
    group.bench_function("totp-rfc", |b| b.iter(rfc_search));
    group.bench_function("liboath", |b| {
        b.iter(|| liboath_hotp(black_box(SECRET), 0, usize::from(REACH) - 1, &c_text));
    });
    group.finish();
}

fn generate(criterion: &mut Criterion) {
    let floor = Floor::new(SECRET);
    let hotp = Hotp::default();
    let keyed = hotp.keyed(&secret());
    let rfc_secret = totp_rfc::Secret::new(SECRET).expect("twenty bytes");
    let rfc = totp_rfc::Hotp::new(totp_rfc::Digits::SIX);
    let rs = totp_rs::Builder::new().with_secret(*SECRET).build().expect("a TOTP");
    assert_eq!(hotp.code(&keyed, 7).expose(), format!("{:06}", floor.code(7)).as_bytes());

    let mut group = criterion.benchmark_group("one code");
    group.bench_function("floor", |b| b.iter(|| floor.code(black_box(7))));
    group.bench_function("doorstep", |b| b.iter(|| hotp.code(&keyed, black_box(7))));
    group.bench_function("doorstep, with the key made ready", |b| {
        b.iter(|| hotp.code(&hotp.keyed(black_box(&secret())), 7));
    });
    group.bench_function("totp-rs", |b| b.iter(|| rs.generate(black_box(NOW))));
    group.bench_function("totp-rfc", |b| b.iter(|| rfc.generate(&rfc_secret, black_box(7))));
    group.finish();
}
