//! The vectors in `vectors/ho1/`, made and checked outside this crate (docs/ho1.md, section 14).

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::indexing_slicing, reason = "a vector without its field fails the test")]

use doorstep::code::{Alphabet, Code, Shape};
use doorstep::cose::Invalid;
use doorstep::cose::encrypt::Sealed;
use doorstep::cose::keys::{IssuerKey, IssuerPublicKey, PublicKey, SoftwareKey};
use doorstep::cose::sign1::Signed;
use doorstep::handover::Subject;
use doorstep::handover::bundle::Bundle;
use doorstep::handover::check::{Check, CodeHash, Cost, Slot};
use doorstep::handover::claim::{Acknowledgement, Claim, Evidence, Outcome, Upload};
use doorstep::handover::device::Device;
use doorstep::handover::enrolment::{self, Welcome};
use doorstep::handover::event::{Event, Identity, Record};
use doorstep::handover::failure::{Note, Reason};
use doorstep::handover::issue::code_mac;
use doorstep::handover::judge::{Held, Verdict, judge};
use doorstep::handover::receipt::{Basis, DeliveryReceipt};
use doorstep::handover::route::{Route, RouteRequest, Withdrawn};
use doorstep::handover::stop::{Presented, ScanText, Stop, Whose};
use doorstep::handover::tag::{ScanSecret, Tag};
use doorstep::handover::take::Take;
use doorstep::id::{DeliveryId, DeviceId, IssuerId};
use doorstep::ledger::Head;
use doorstep::odds::tag_bits;
use doorstep::refusal::Refusal;
use doorstep::secret::Secret;
use doorstep::time::{Timestamp, Window};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use serde_json::{Value, json};

/// The cases of a file, each with the fields that all of them share.
fn cases(file: &str) -> Vec<Value> {
    let path = format!("{}/../../vectors/ho1/{file}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let document: Value = serde_json::from_str(&text).unwrap();
    let common = document["common"].as_object().unwrap();
    let cases = document["cases"].as_array().unwrap();
    assert!(!cases.is_empty(), "{path} holds no case");
    let whole = |case: &Value| {
        let mut whole = common.clone();
        whole.extend(case.as_object().unwrap().clone());
        Value::Object(whole)
    };
    cases.iter().map(whole).collect()
}

/// That there are at least three refusals for each acceptance.
fn balanced(file: &str, accepted: impl Fn(&Value) -> bool) {
    let all = cases(file);
    let accepted = all.iter().filter(|case| accepted(case)).count();
    assert!(accepted > 0 && all.len() >= 4 * accepted, "{file}: {accepted} of {}", all.len());
}

fn text<'a>(case: &'a Value, field: &str) -> &'a str {
    case[field].as_str().unwrap_or_else(|| panic!("{field} in {case}"))
}

fn number(case: &Value, field: &str) -> u64 {
    case[field].as_u64().unwrap_or_else(|| panic!("{field} in {case}"))
}

fn byte(case: &Value, field: &str) -> u8 {
    u8::try_from(number(case, field)).unwrap()
}

fn generation(case: &Value) -> u32 {
    u32::try_from(number(case, "generation")).unwrap()
}

fn time(case: &Value, field: &str) -> Timestamp {
    Timestamp::from_seconds(number(case, field))
}

fn unhex(text: &str) -> Vec<u8> {
    assert_eq!(text.len() % 2, 0);
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

fn bytes<const N: usize>(case: &Value, field: &str) -> [u8; N] {
    unhex(text(case, field)).try_into().unwrap()
}

fn shape(case: &Value) -> Shape {
    let alphabet = match number(case, "alphabet") {
        10 => Alphabet::Digits,
        32 => Alphabet::Crockford,
        other => panic!("alphabet {other}"),
    };
    Shape::new(alphabet, byte(case, "length")).unwrap()
}

fn delivery(case: &Value) -> DeliveryId {
    DeliveryId::parse(text(case, "delivery")).unwrap()
}

fn issuer(case: &Value) -> IssuerId {
    IssuerId::parse(text(case, "issuer")).unwrap()
}

fn fingerprint(case: &Value) -> [u8; 16] {
    PublicKey::from_bytes(&unhex(text(case, "device_key"))).unwrap().fingerprint()
}

fn subject(case: &Value) -> Subject {
    Subject {
        issuer: issuer(case),
        delivery: delivery(case),
        generation: generation(case),
        slot: byte(case, "slot"),
        device: fingerprint(case),
    }
}

fn code(case: &Value) -> Code {
    Code::parse(text(case, "code"), shape(case)).unwrap()
}

#[test]
fn codes() {
    for case in cases("codes") {
        let parsed = Code::parse(text(&case, "typed"), shape(&case)).ok();
        let canonical = parsed.as_ref().map(|code| std::str::from_utf8(code.expose()).unwrap());
        assert_eq!(canonical, case["canonical"].as_str(), "{}", case["name"]);
    }
    balanced("codes", |case| case["canonical"].is_string());
}

#[test]
fn tags() {
    for case in cases("tags") {
        let bits = tag_bits(shape(&case));
        assert_eq!(bits, byte(&case, "t"), "{}", case["name"]);
        let tag = Tag::derive(&bytes(&case, "salt"), bits, &subject(&case), &code(&case));
        let same = u64::from(tag.value()) == number(&case, "tag");
        assert_eq!(same, case["match"] == true, "{}", case["name"]);
    }
    balanced("tags", |case| case["match"] == true);
}

fn cost(case: &Value) -> Cost {
    let parameter = |name| u32::try_from(number(case, name)).unwrap();
    Cost::new(parameter("memory"), parameter("passes")).unwrap()
}

#[test]
fn full() {
    for case in cases("full") {
        let hash =
            CodeHash::derive(cost(&case), &bytes(&case, "salt"), &subject(&case), &code(&case));
        let known = CodeHash::from_bytes(bytes(&case, "hash"));
        assert_eq!(hash == Some(known), case["match"] == true, "{}", case["name"]);
    }
    balanced("full", |case| case["match"] == true);
}

#[test]
fn scans() {
    for case in cases("scans") {
        let parsed = ScanText::parse(text(&case, "text"));
        assert_eq!(parsed.is_err(), case["match"].is_null(), "{}", case["name"]);
        let Ok(parsed) = parsed else { continue };
        let subject = Subject {
            issuer: issuer(&case),
            delivery: parsed.delivery,
            generation: parsed.generation,
            slot: parsed.slot,
            device: fingerprint(&case),
        };
        let same = parsed.secret.hash(&subject) == bytes(&case, "scan");
        assert_eq!(same, case["match"] == true, "{}", case["name"]);
        let mut written = String::new();
        parsed.write(&mut written).unwrap();
        assert!(text(&case, "text").trim().ends_with(&written), "{}", case["name"]);
    }
    balanced("scans", |case| case["match"] == true);
}

#[test]
fn code_macs() {
    for case in cases("code_macs") {
        let pepper = Secret::from_bytes(bytes(&case, "pepper"));
        let place = (delivery(&case), generation(&case), byte(&case, "slot"));
        let mac = code_mac(&pepper, &place.0, place.1, place.2, &code(&case));
        let same = mac == bytes(&case, "code_mac");
        assert_eq!(same, case["match"] == true, "{}", case["name"]);
    }
    balanced("code_macs", |case| case["match"] == true);
}

#[test]
fn judgements() {
    for case in cases("judge") {
        let presented = match case["scanned"].as_str() {
            Some(_) => {
                Presented::Scanned(ScanSecret::new(Secret::from_bytes(bytes(&case, "scanned"))))
            }
            None => Presented::Typed(Code::parse(text(&case, "typed"), shape(&case)).unwrap()),
        };
        let held = Held { code_mac: bytes(&case, "code_mac"), scan: bytes(&case, "scan") };
        let pepper = Secret::from_bytes(bytes(&case, "pepper"));
        let verdict = match judge(&pepper, &subject(&case), &held, &presented) {
            Verdict::Match => "match",
            Verdict::MatchWithTypo => "match_with_typo",
            Verdict::Mismatch => "mismatch",
        };
        assert_eq!(verdict, text(&case, "verdict"), "{}", case["name"]);
    }
    balanced("judge", |case| case["verdict"] == "match");
}

#[test]
fn journals() {
    for case in cases("journals") {
        let records = case["records"].as_array().unwrap();
        let bodies: Vec<_> = records.iter().map(|record| unhex(text(record, "record"))).collect();
        let mut head = Head::EMPTY;
        let mut whole = true;
        for (record, body) in records.iter().zip(&bodies) {
            assert_eq!(&Event::decode(body).unwrap().encode(), body, "{}", case["name"]);
            head = head.then(body);
            whole &= head.hash == bytes(record, "head");
        }
        assert_eq!(whole, case["whole"] == true, "{}", case["name"]);
        if whole && bodies.len() > 1 {
            let device = Device::replay(bodies.iter().map(Vec::as_slice)).unwrap();
            let counted: u64 = device.stops().map(|known| u64::from(known.attempts)).sum();
            assert_eq!(device.head(), head);
            assert_eq!(counted, number(&case, "attempts"));
            assert_eq!(device.count_claims(), number(&case, "claims"));
            assert_eq!(device.received(), number(&case, "received"));
        }
    }
    balanced("journals", |case| case["whole"] == true);
}

/// The device of the door vectors: a state that is never cut, so no append is ever lost.
struct AtHome {
    device: Device,
    key: SoftwareKey,
    rng: ChaCha20Rng,
}

impl AtHome {
    fn new(case: &Value) -> Self {
        let key =
            SoftwareKey::from_secret(&Secret::from_bytes(bytes(case, "device_secret"))).unwrap();
        let identity = Identity {
            issuer: issuer(case),
            issuer_signing_key: bytes(case, "issuer_key"),
            issuer_agreement_key: bytes(case, "agreement_key"),
            device: DeviceId::parse(text(case, "device")).unwrap(),
            device_key: bytes(case, "device_key"),
            server: String::new(),
            test: true,
            managed: true,
        };
        assert_eq!(key.public().to_bytes(), identity.device_key);
        let enrolled = time(case, "enrolled");
        let first = Device::enrol(identity, enrolled);
        let device = Device::replay([first.body()]).unwrap();
        let mut home = Self { device, key, rng: ChaCha20Rng::seed_from_u64(1) };
        // A route names a delivery once, so each stop comes in one of its own.
        for stop in case["stops"].as_array().unwrap() {
            home.route(enrolled, vec![stop_of(stop)], vec![]);
        }
        home
    }

    fn route(&mut self, time: Timestamp, stops: Vec<Stop>, withdrawn: Vec<Withdrawn>) {
        let identity = self.device.identity();
        let route = Route {
            issuer: identity.issuer,
            device: identity.device,
            fingerprint: self.key.public().fingerprint(),
            version: self.device.version() + 1,
            time,
            stops,
            withdrawn,
        };
        // The clock of the presentation, not this one, is what the case is about.
        let record = self.device.take_in(route, Timestamp::default()).unwrap();
        self.append(&record);
    }

    fn append(&mut self, record: &Record) {
        self.device.apply(record.body()).unwrap();
        assert_eq!(self.device.head(), record.place().after);
    }

    fn happen(&mut self, event: &Value) {
        if event["tick"].is_u64() {
            if let Some(record) = self.device.tick(time(event, "tick")) {
                self.append(&record);
            }
        } else if event["signed_time"].is_u64() {
            self.route(time(event, "signed_time"), vec![], vec![]);
        } else if event["failed"].is_string() {
            let at = time(event, "clock");
            let failed = DeliveryId::parse(text(event, "failed")).unwrap();
            if let Ok(failing) = self.device.fail(failed, Reason::Absent, Note::default(), at) {
                let signature = self.key.sign(&failing.to_be_signed());
                self.append(&failing.signed(&signature));
            }
        } else if event["withdrawn"].is_string() {
            let delivery = DeliveryId::parse(text(event, "withdrawn")).unwrap();
            let withdrawn = Withdrawn { delivery, generation: generation(event) };
            self.route(self.device.signed_time(), vec![], vec![withdrawn]);
        } else {
            let _ = self.present(event);
        }
    }

    fn present(&mut self, event: &Value) -> Result<u8, Refusal> {
        let clock = time(event, "clock");
        let (record, attempt) = match event["scanned"].as_str() {
            Some(text) => self.device.attempt_scanned(text, clock)?,
            None => {
                let whose = match event["whose"].as_str() {
                    None => Whose::Anybody,
                    Some("recipient") => Whose::Recipient,
                    Some("neighbour") => Whose::Neighbour,
                    Some(other) => panic!("whose {other}"),
                };
                self.device.attempt_typed(delivery(event), text(event, "typed"), whose, clock)?
            }
        };
        self.append(&record);
        let matched = attempt.counted(record.place().appended()).unwrap().compare()?;
        let claiming = self.device.claim(&matched, clock, &mut self.rng).unwrap()?;
        let signature = self.key.sign(&claiming.to_be_signed());
        let (record, spending) = claiming.signed(&signature)?;
        self.append(&record);
        Ok(spending.granted(record.place().appended()).unwrap().slot())
    }
}

fn stop_of(stop: &Value) -> Stop {
    fn slot<C>(slot: &Value, code: C) -> Slot<C> {
        let (number, salt, scan) = (byte(slot, "number"), bytes(slot, "salt"), bytes(slot, "scan"));
        Slot { number, salt, code, scan }
    }
    let slots = stop["slots"].as_array().unwrap().iter();
    let check = if stop["t"].is_u64() {
        let tag = |slot| Tag::from_value(u32::try_from(number(slot, "tag")).unwrap());
        Check::Split {
            bits: byte(stop, "t"),
            slots: slots.map(|each| slot(each, tag(each))).collect(),
        }
    } else {
        let hash = |slot| CodeHash::from_bytes(bytes(slot, "hash"));
        Check::Full { cost: cost(stop), slots: slots.map(|each| slot(each, hash(each))).collect() }
    };
    Stop {
        delivery: delivery(stop),
        generation: generation(stop),
        window: Window::new(time(stop, "from"), time(stop, "until")).unwrap(),
        budget: byte(stop, "budget"),
        shape: shape(stop),
        reference: text(stop, "reference").to_owned(),
        label: text(stop, "label").to_owned(),
        check,
    }
}

#[test]
fn door() {
    for case in cases("door") {
        let mut home = AtHome::new(&case);
        for event in case["before"].as_array().unwrap() {
            home.happen(event);
        }
        let answer = match home.present(&case["present"]) {
            Ok(slot) => json!({ "granted": slot }),
            Err(refusal @ Refusal::WrongCode { left }) => {
                json!({ "refused": refusal.code(), "left": left })
            }
            Err(refusal) => json!({ "refused": refusal.code() }),
        };
        assert_eq!(answer, case["answer"], "{}", case["name"]);
    }
    balanced("door", |case| case["answer"]["granted"].is_u64());
}

/// What a document says, once it is believed.
fn read(case: &Value, document: &[u8]) -> Result<Value, Invalid> {
    let device_key = SoftwareKey::from_secret(&Secret::from_bytes(bytes(case, "device_secret")))?;
    let device = DeviceId::parse(text(case, "device")).unwrap();
    let public = device_key.public();
    let signing = IssuerPublicKey::from_bytes(&unhex(text(case, "issuer_key")))?;
    Ok(match text(case, "kind") {
        "route" => {
            let identity = Identity {
                issuer: issuer(case),
                issuer_signing_key: signing.to_bytes(),
                issuer_agreement_key: bytes(case, "agreement_key"),
                device,
                device_key: public.to_bytes(),
                server: String::new(),
                test: true,
                managed: true,
            };
            let sealed = Sealed::parse(document)?;
            let shared = device_key.agree(sealed.ephemeral());
            let route = Route::open(&sealed, &shared, &identity)?;
            let stops = route.stops.iter().map(|stop| stop.delivery.to_string());
            let withdrawn = route.withdrawn.iter().map(|stop| stop.delivery.to_string());
            json!({
                "version": route.version,
                "time": route.time.seconds(),
                "deliveries": stops.collect::<Vec<_>>(),
                "withdrawn": withdrawn.collect::<Vec<_>>(),
            })
        }
        "claim" | "evidence" => {
            let claim = Claim::verify(document, &public)?;
            let secret = Secret::from_bytes(bytes(case, "agreement_secret"));
            let agreement = SoftwareKey::from_secret(&secret)?;
            let (number, hash) = (claim.number, hex(&claim.hash()));
            if let Outcome::Failed { reason, note } = &claim.outcome {
                assert!(Evidence::open(&claim, &agreement, shape(case)).is_err());
                let (reason, note) = (reason.as_str(), note.as_str());
                return Ok(
                    json!({ "number": number, "hash": hash, "reason": reason, "note": note }),
                );
            }
            let presented = Evidence::open(&claim, &agreement, shape(case))?;
            json!({ "number": number, "hash": hash, "presented": hex(presented.expose()) })
        }
        "enrolment" => {
            let ticket = Secret::from_bytes(bytes(case, "ticket"));
            enrolment::verify_request(document, &ticket, &public)?;
            json!({})
        }
        "welcome" => {
            let named = (signing.to_bytes(), bytes(case, "agreement_key"));
            let welcome = Welcome::verify(document, &public, |a, b| (*a, *b) == named)?;
            json!({
                "issuer": welcome.issuer.as_str(),
                "device": welcome.device.as_str(),
                "time": welcome.time.seconds(),
                "test": welcome.test,
                "managed": welcome.managed,
            })
        }
        "upload" => {
            let upload = Upload::verify(&Signed::parse(document)?, &public)?;
            json!({ "claims": upload.claims.len() })
        }
        "route request" => {
            let request = RouteRequest::verify(&Signed::parse(document)?, &public)?;
            json!({ "version": request.version, "head": request.head.seq })
        }
        "take" => {
            let take = Take::verify(&Signed::parse(document)?, &public)?;
            json!({
                "delivery": take.delivery,
                "expected_at": take.expected_at.seconds(),
                "variance_minutes": take.variance_minutes,
            })
        }
        "acknowledgement" => {
            let read = Acknowledgement::verify(document, issuer(case), signing, device)?;
            json!({
                "received": read.received,
                "time": read.time.seconds(),
                "prove": read.prove,
            })
        }
        "receipt" => {
            let receipt = DeliveryReceipt::verify(document, issuer(case), signing)?;
            let mut said = json!({
                "delivery": receipt.delivery.as_str(),
                "reference": receipt.reference,
                "at": receipt.at.seconds(),
            });
            match &receipt.basis {
                Basis::Claim(claimed) => {
                    said["basis"] = json!("claim");
                    said["epoch"] = json!(claimed.epoch);
                    said["log"] = json!(claimed.log.seq);
                }
                Basis::Issuer => said["basis"] = json!("issuer"),
                Basis::Operator => said["basis"] = json!("operator"),
            }
            said
        }
        "bundle" => {
            let bundle = Bundle::verify(document, issuer(case), signing)?;
            let checks = bundle.generations.iter().map(|made| (made.check.name(), made.slots));
            json!({
                "delivery": bundle.delivery.as_str(),
                "epoch": bundle.epoch,
                "checks": checks.collect::<Vec<_>>(),
                "damaged": bundle.damaged,
            })
        }
        other => panic!("kind {other}"),
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn documents() {
    for case in cases("documents") {
        let read = read(&case, &unhex(text(&case, "document")));
        assert_eq!(read.is_ok(), case["accept"] == true, "{}: {read:?}", case["name"]);
        if let Ok(content) = read {
            assert_eq!(content, case["content"], "{}", case["name"]);
        }
        // A claim whose evidence is not what it says is a claim all the same: it is stored.
        if text(&case, "kind") == "evidence" {
            let key = PublicKey::from_bytes(&unhex(text(&case, "device_key"))).unwrap();
            Claim::verify(&unhex(text(&case, "document")), &key).unwrap();
        }
    }
    balanced("documents", |case| case["accept"] == true);
}

/// The keys of the vectors are those that their secrets make.
#[test]
fn keys() {
    let case = &cases("documents")[0];
    let seed = Secret::from_bytes(bytes(case, "issuer_seed"));
    assert_eq!(IssuerKey::from_seed(&seed).public().to_bytes(), bytes(case, "issuer_key"));
    for (secret, key) in [("device_secret", "device_key"), ("agreement_secret", "agreement_key")] {
        let secret = SoftwareKey::from_secret(&Secret::from_bytes(bytes(case, secret))).unwrap();
        assert_eq!(secret.public().to_bytes(), bytes(case, key));
    }
}
