//! The vectors of the RFCs, and our own for what no RFC prints, from `vectors/otp/`.

use crate::support::{algorithm, at, digits, from_hex, text};
use doorstep::otp::OtpSecret;
use doorstep::otp::hotp::Hotp;
use doorstep::otp::migration::{self, Batch};
use doorstep::otp::ocra::suite::Suite;
use doorstep::otp::ocra::{Challenge, Input, PinHash, Question, Response, respond};
use doorstep::otp::otpauth::{self, Entry, Kind};
use doorstep::otp::totp::Totp;
use serde_json::Value;
use std::num::NonZeroU64;

fn vectors(name: &str) -> Value {
    let path = format!("{}/../../vectors/otp/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn each(value: &Value) -> impl ExactSizeIterator<Item = &Value> {
    value.as_array().unwrap().iter()
}

fn string(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// Numbers stand as such, or as text where readers of JSON differ.
fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| string(value).parse().unwrap())
}

fn from_hex_secret(hex: &str) -> OtpSecret {
    OtpSecret::from_bytes(&from_hex(hex)).unwrap()
}

#[test]
fn hotp_is_that_of_rfc_4226_appendix_d() {
    let file = vectors("rfc4226.json");
    let secret = from_hex_secret(string(&file["secret_hex"]));
    let hotp = Hotp::default();
    let keyed = hotp.keyed(&secret);
    for vector in each(&file["vectors"]) {
        let counter = number(&vector["counter"]);
        assert_eq!(text(hotp.code(&keyed, counter).expose()), string(&vector["code"]));
        let whole = Hotp { digits: digits(10), ..hotp }.code(&keyed, counter);
        assert_eq!(text(whole.expose()), format!("{:010}", number(&vector["truncated_dec"])));
    }
    assert_eq!(each(&file["vectors"]).len(), 10);
}

#[test]
fn totp_is_that_of_rfc_6238_appendix_b_with_a_seed_for_each_hash() {
    let file = vectors("rfc6238.json");
    let show = |hash: &str, seed: &str, time| {
        let secret = from_hex_secret(string(&file["seeds"][seed]["hex"]));
        let totp = Totp { algorithm: algorithm(hash), digits: digits(8), ..Totp::default() };
        text(totp.code_at(&totp.keyed(&secret), at(time)).unwrap().expose())
    };
    for vector in each(&file["vectors"]) {
        let (hash, time) = (string(&vector["algorithm"]), number(&vector["time"]));
        assert_eq!(show(hash, hash, time), string(&vector["code"]));
        assert_eq!(Totp::default().step(at(time)), Some(number(&vector["step"])));
    }
    // What comes of one seed for every hash: no secret is ever stretched to fit.
    for case in each(&file["seed_confusion"]["cases"]) {
        let shown = show(string(&case["algorithm"]), "SHA1", number(&case["time"]));
        assert_eq!(shown, string(&case["code_with_20_byte_seed"]));
        assert_ne!(shown, string(&case["correct_code"]));
    }
    assert_eq!(each(&file["vectors"]).len(), 18);
}

#[test]
fn hotp_and_totp_beyond_the_rfcs() {
    let file = vectors("hotp_totp_own.json");
    for vector in each(&file["hotp"]) {
        let algorithm = algorithm(string(&vector["algorithm"]));
        let hotp = Hotp { algorithm, digits: digits(number(&vector["digits"])) };
        let keyed = hotp.keyed(&from_hex_secret(string(&vector["key_hex"])));
        let shown = text(hotp.code(&keyed, number(&vector["counter"])).expose());
        assert_eq!(shown, string(&vector["code"]), "{vector}");
    }
    for vector in each(&file["totp"]) {
        let period = NonZeroU64::new(number(&vector["period"])).unwrap();
        let t0 = at(number(&vector["t0"]));
        let totp = Totp { period, t0, digits: digits(8), ..Totp::default() };
        let time = at(number(&vector["time"]));
        assert_eq!(totp.step(time), Some(number(&vector["step"])), "{vector}");
        let shown = totp.code_at(&totp.keyed(&crate::support::secret()), time).unwrap();
        assert_eq!(text(shown.expose()), string(&vector["code"]), "{vector}");
    }
}

/// Computes a vector's response. A question longer than the suite's is that of two parties.
fn response(vector: &Value, session: Option<&[u8]>) -> String {
    let suite = Suite::parse(string(&vector["suite"])).unwrap();
    let asked = string(&vector["question"]);
    let question = if asked.len() > usize::from(suite.challenge_length()) {
        let (first, second) = asked.split_at(asked.len() / 2);
        let challenge = |text| Challenge::parse(&suite, text).unwrap();
        Question::mutual(&suite, &challenge(first), &challenge(second)).unwrap()
    } else {
        Question::one_way(&Challenge::parse(&suite, asked).unwrap())
    };
    let pin = suite.pin().map(|algorithm| PinHash::derive(algorithm, string(&vector["pin"])));
    if let (Some(pin), Some(hash)) = (&pin, vector["pin_hash_hex"].as_str()) {
        assert_eq!(pin.expose(), from_hex(hash));
    }
    let time_step = match vector["time_steps_hex"].as_str() {
        Some(hex) => Some(u64::from_str_radix(hex, 16).unwrap()),
        None => vector["time_step"].as_u64(),
    };
    let counter = vector["counter"].as_u64();
    let input = Input { counter, question: &question, pin: pin.as_ref(), session, time_step };
    match respond(&suite, &from_hex_secret(string(&vector["key_hex"])), &input).unwrap() {
        Response::Code(code) => text(code.expose()),
        Response::Whole(whole) => whole.expose().iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

#[test]
fn ocra_is_that_of_rfc_6287_appendix_c_70_of_70() {
    let file = vectors("rfc6287.json");
    for vector in each(&file["vectors"]) {
        assert_eq!(response(vector, None), string(&vector["code"]), "{vector}");
    }
    assert_eq!(each(&file["vectors"]).len(), 70);
}

#[test]
fn ocra_beyond_the_rfc() {
    let file = vectors("ocra_own.json");
    for vector in each(&file["vectors"]) {
        let session = vector["session_hex"].as_str().map(from_hex);
        let shown = response(vector, session.as_deref());
        assert_eq!(shown, string(&vector["response"]), "{}", vector["note"]);
    }
    assert!(each(&file["vectors"]).len() > 60);
}

fn check(entry: &Entry, wanted: &Value, id: &Value) {
    assert_eq!(entry.issuer, string(&wanted["issuer"]), "{id}");
    assert_eq!(entry.account, string(&wanted["account"]), "{id}");
    assert_eq!(entry.secret.expose(), from_hex(string(&wanted["secret"])), "{id}");
    let (kind, hash, count, moves, code) = match entry.kind {
        Kind::Hotp { hotp, counter } => {
            let code = hotp.code(&hotp.keyed(&entry.secret), counter);
            ("hotp", hotp.algorithm, hotp.digits, counter, code)
        }
        Kind::Totp(totp) => {
            let code = totp.code_at(&totp.keyed(&entry.secret), at(1_111_111_109)).unwrap();
            ("totp", totp.algorithm, totp.digits, totp.period.get(), code)
        }
    };
    assert_eq!(kind, string(&wanted["type"]), "{id}");
    assert_eq!(hash.name(), string(&wanted["algorithm"]), "{id}");
    assert_eq!(u64::from(count.get()), number(&wanted["digits"]), "{id}");
    assert_eq!(moves, number(&wanted[if kind == "hotp" { "counter" } else { "period" }]), "{id}");
    assert_eq!(text(code.expose()), string(&wanted["code"]), "{id}");
}

#[test]
fn otpauth_uris_are_read_by_the_policy() {
    let file = vectors("otpauth_cases.json");
    let (mut read, mut refused) = (0, 0);
    for case in each(&file["cases"]) {
        let (id, wanted) = (&case["id"], &case["recommend"]);
        match (otpauth::parse(string(&case["uri"])), wanted["ok"].as_bool().unwrap()) {
            (Ok((entry, warnings)), true) => {
                check(&entry, wanted, id);
                let mut codes: Vec<&str> = warnings.iter().map(|warning| warning.code()).collect();
                let given = wanted["warnings"].as_array().map(Vec::as_slice).unwrap_or_default();
                let mut given: Vec<&str> = given.iter().map(string).collect();
                codes.sort_unstable();
                given.sort_unstable();
                assert_eq!(codes, given, "{id}");
                let again = otpauth::write(&entry).unwrap();
                assert!(otpauth::parse(&again).unwrap().0.is_same(&entry), "{id}");
                read += 1;
            }
            (Err(why), false) => {
                check_reason(&why.to_string(), string(&wanted["why"]), id);
                refused += 1;
            }
            (result, _) => panic!("{id}: {result:?}, but wanted is {wanted}"),
        }
    }
    assert_eq!(read + refused, 127);
}

/// That a URI is refused for the reason it is wrong, not for another.
fn check_reason(told: &str, wanted: &str, id: &Value) {
    let same = [
        ("given twice", "given twice"),
        ("not a plain number", "is not a plain number"),
        ("out of range", "is out of range"),
        ("unknown algorithm", "the algorithm is not"),
        ("unknown type", "is for totp or hotp"),
        ("not an otpauth URI", "not an otpauth URI"),
        ("hotp without counter", "hotp needs its counter"),
        ("T0 not supported", "T0"),
        ("control character", "control character"),
        ("invalid UTF-8", "not UTF-8"),
        ("secret missing or empty", "the secret is empty"),
        ("impossible base32 length", "no secret has this many"),
        ("secret is not base32", "never part of a secret"),
    ];
    let found = same.iter().find(|(vector, _)| wanted.contains(vector));
    let (_, ours) = found.unwrap_or_else(|| panic!("{id}: no words for {wanted}"));
    assert!(told.contains(ours), "{id}: {told}, but wanted is {wanted}");
}

#[test]
fn migration_codes_are_read_and_written() {
    let file = vectors("otpauth_migration.json");
    let mut read = 0;
    for case in each(&file["cases"]) {
        let note = &case["note"];
        let parsed = migration::parse(string(&case["uri"]));
        let Some(wanted) = case["entries"].as_array() else {
            assert!(parsed.is_err(), "{note}");
            continue;
        };
        let payload = parsed.unwrap();
        let batch = &case["batch"];
        let numbers = ["size", "index", "id"].map(|name| batch[name].as_i64().unwrap());
        let Batch { size, index, id } = payload.batch;
        assert_eq!([i64::from(size), i64::from(index), i64::from(id)], numbers, "{note}");
        assert_eq!(payload.entries.len(), wanted.len(), "{note}");
        for (entry, wanted) in payload.entries.iter().zip(wanted) {
            assert_eq!(entry.issuer, string(&wanted["issuer"]), "{note}");
            assert_eq!(entry.account, string(&wanted["name"]), "{note}");
            assert_eq!(entry.secret.expose(), from_hex(string(&wanted["secret_hex"])), "{note}");
            let (kind, hash, digits, counter) = match entry.kind {
                Kind::Hotp { hotp, counter } => {
                    ("hotp", hotp.algorithm, hotp.digits, Some(counter))
                }
                Kind::Totp(totp) => ("totp", totp.algorithm, totp.digits, None),
            };
            assert_eq!(kind, string(&wanted["type"]), "{note}");
            assert_eq!(hash.name(), string(&wanted["algorithm"]), "{note}");
            assert_eq!(u64::from(digits.get()), number(&wanted["digits"]), "{note}");
            assert_eq!(counter, wanted["counter"].as_u64(), "{note}");
        }
        let again = migration::write(&payload.entries, id).unwrap();
        let again = migration::parse(&again[0]).unwrap();
        assert!(again.entries.iter().zip(&payload.entries).all(|(a, b)| a.is_same(b)), "{note}");
        read += 1;
    }
    assert_eq!(read, 5);
}
