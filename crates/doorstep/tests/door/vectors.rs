//! Bundles and journals that an implementation made which is not ours.

use crate::support::written;
use doorstep::clock::{AfterPowerLoss, Oscillator};
use doorstep::cose::keys::Signer;
use doorstep::door::bundle::{Bundle, BundleError};
use doorstep::door::journal::{Journal, JournalError};
use doorstep::door::{Door, Passes};
use doorstep::pass::claims::{Audience, HolderKey};
use serde_json::{Value, json};

fn cases(text: &str) -> Vec<Value> {
    let document: Value = serde_json::from_str(text).unwrap();
    document["cases"].as_array().unwrap().clone()
}

fn bytes(value: &Value) -> Vec<u8> {
    let hex = value.as_str().unwrap();
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(byte).collect()
}

fn hold(bundle: &Bundle, said: &Value) -> bool {
    let number = |value: u64| Value::from(value);
    let same_steps = match (&bundle.steps, said["steps"].is_null()) {
        (None, true) => true,
        (Some(steps), false) => {
            let said = &said["steps"];
            said["algorithm"] == steps.totp.algorithm.name()
                && said["digits"] == steps.totp.digits.get()
                && said["period"] == number(steps.totp.period.get())
                && said["t0"] == number(steps.totp.t0.seconds())
                && bytes(&said["secret"]) == steps.secret.expose()
        }
        _ => false,
    };
    let same_passes = match (&bundle.passes, said["passes"].is_null()) {
        (None, true) => true,
        (Some(passes), false) => hold_passes(passes, &said["passes"]),
        _ => false,
    };
    let classes = said["profile"]["classes"].as_array().unwrap();
    let same_classes = classes.len() == bundle.profile.classes().len()
        && classes.iter().zip(bundle.profile.classes()).all(|(said, class)| {
            said["duration"] == class.duration
                && said["quantum"] == class.quantum
                && said["phase"] == class.phase
                && said["once"] == class.one_time
        });
    let profile = &said["profile"];
    same_steps
        && same_passes
        && same_classes
        && profile["holders"] == bundle.profile.holders()
        && profile["generations"] == bundle.profile.generations()
        && profile["exclusive"] == bundle.profile.is_exclusive()
        && profile["digits"] == bundle.profile.digits().get()
        && said["lock"] == bundle.lock.as_str()
        && said["lock_generation"] == bundle.generation
        && said["epoch"] == bundle.epoch
        && said["made_at"] == number(bundle.made_at.seconds())
        && said["test"] == bundle.test
        && Oscillator::parse(said["oscillator"].as_str().unwrap()) == Some(bundle.clock.oscillator)
        && AfterPowerLoss::parse(said["policy"].as_str().unwrap())
            == Some(bundle.clock.after_power_loss)
        && bytes(&said["root"]) == bundle.root.secret().expose()
}

fn hold_passes(passes: &Passes, said: &Value) -> bool {
    let groups: Vec<_> = passes.groups.iter().map(Audience::as_str).collect();
    let key = |key: &Signer| match HolderKey::of(key) {
        HolderKey::Ed25519(bytes) => hex(&bytes),
        HolderKey::P256(bytes) => hex(&bytes),
    };
    let keys: Vec<_> = passes
        .keys
        .iter()
        .map(|known| {
            let (from, until) = (known.window.from().seconds(), known.window.until().seconds());
            json!({"key": key(&known.key), "from": from, "until": until})
        })
        .collect();
    *said
        == json!({
            "groups": groups, "keys": keys, "root": passes.root.as_ref().map(key),
            "rotation": passes.rotation, "bulletin": passes.bulletin,
        })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn bundles() {
    for case in cases(include_str!("../../../../vectors/kp1/bundles.json")) {
        let line = case["text"].as_str().unwrap();
        match (Bundle::parse(line), case["refused"].as_str()) {
            (Ok(bundle), None) => {
                assert!(hold(&bundle, &case["bundle"]), "{}", case["name"]);
                let plain: String = line.split_whitespace().collect();
                assert_eq!(written(&bundle), plain.to_uppercase(), "{}", case["name"]);
            }
            (Err(error), Some(why)) => {
                let name = match error {
                    BundleError::Prefix => "prefix",
                    BundleError::Damaged => "damaged",
                    BundleError::Content => "content",
                };
                assert_eq!(name, why, "{}", case["name"]);
            }
            (found, _) => panic!("{}: {found:?}", case["name"]),
        }
    }
}

#[test]
fn journals() {
    let bundles = cases(include_str!("../../../../vectors/kp1/bundles.json"));
    let bundle = Bundle::parse(bundles[0]["text"].as_str().unwrap()).unwrap();
    let door = Door::new(&bundle);
    for case in cases(include_str!("../../../../vectors/kp1/journals.json")) {
        let sent = bytes(&case["journal"]);
        match (Journal::read(&door, &sent), case["refused"].as_str()) {
            (Ok(journal), None) => {
                let told = &case["after"];
                let last = journal.steps(&door).last();
                let (state, head) =
                    last.map_or((journal.before, journal.head), |(_, state, head)| (state, head));
                let belief = state.keypad.belief();
                let hash = hex(&head.hash);
                assert_eq!(told["records"], journal.count(), "{}", case["name"]);
                assert_eq!((&told["number"], &told["hash"]), (&head.seq.into(), &hash.into()));
                assert_eq!(told["clock"]["floor"], belief.floor().seconds(), "{}", case["name"]);
                assert_eq!(told["clock"]["probable"], belief.probable().seconds());
                assert_eq!(told["clock"]["rate"], belief.rate(), "{}", case["name"]);
                let now = belief.now().map(|now| (now.earliest.seconds(), now.latest.seconds()));
                let said = (told["clock"]["earliest"].as_u64(), told["clock"]["latest"].as_u64());
                assert_eq!(said.0.zip(said.1), now, "{}", case["name"]);
            }
            (Err(error), Some(why)) => {
                let name = match error {
                    JournalError::Malformed => "malformed",
                    JournalError::Foreign => "foreign",
                    JournalError::Forged => "forged",
                };
                assert_eq!(name, why, "{}", case["name"]);
            }
            (found, _) => panic!("{}: {found:?}", case["name"]),
        }
    }
}
