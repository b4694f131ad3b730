//! Every case of `vectors/dp1/`.

use crate::support::*;
use doorstep::clock::{Belief, Event};
use doorstep::cose::keys::Signer;
use doorstep::keypad::key::RootKey;
use doorstep::pass::claims::HolderKey;
use doorstep::pass::document::Content;
use doorstep::pass::reader::{Groups, Reader};
use doorstep::pass::rider::Rider;
use doorstep::pass::text;
use doorstep::secret::Secret;
use serde_json::{Value, json};

fn bytes(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

fn key(value: &Value) -> Signer {
    let bytes = bytes(value);
    let key = match bytes.len() {
        32 => HolderKey::Ed25519(bytes.try_into().unwrap()),
        _ => HolderKey::P256(bytes.try_into().unwrap()),
    };
    key.signer().unwrap()
}

fn lock(common: &Value) -> Lock {
    let root = RootKey::from_secret(Secret::from_bytes(bytes(&common["root"]).try_into().unwrap()));
    let groups = common["groups"].as_array().unwrap();
    let groups: Vec<_> = groups.iter().map(|group| name(group.as_str().unwrap())).collect();
    let keys: Vec<_> = common["keys"].as_array().unwrap().iter().map(key).collect();
    let own = name(common["name"].as_str().unwrap());
    let reader =
        Reader::new(own, Groups::of(&groups).unwrap(), root, Some(key(&common["issuer_root"])));
    assert_eq!(number(&common["room"]), 4, "the lock of these tests has room for so many");
    Lock::with(reader, &keys, 0)
}

fn event(step: &Value) -> Event {
    match step["event"].as_str().unwrap() {
        "elapsed" => Event::Elapsed { seconds: number(&step["seconds"]) },
        "power_lost" => Event::PowerLost,
        "reset" => {
            let age = u32::try_from(number(&step["age"])).unwrap();
            Event::Reset { time: at(number(&step["time"])), age }
        }
        other => panic!("{other}"),
    }
}

fn answer(lock: &mut Lock, step: &Value) -> Value {
    let challenge = step.get("nonce").map(|nonce| {
        let nonce = bytes(nonce);
        assert!(nonce.iter().all(|byte| *byte == nonce[0]));
        challenge(nonce[0]).later(u32::try_from(number(&step["age"])).unwrap())
    });
    match lock.answer(&bytes(&step["presented"]), challenge) {
        Ok(Content::Pass(pass)) => json!({ "opened": format!("{:?}", pass.id) }),
        Ok(Content::Rider(Rider::Bulletin(_))) => json!({ "taken": "bulletin" }),
        Ok(Content::Rider(Rider::Token(_))) => json!({ "taken": "token" }),
        Ok(Content::Rider(Rider::Rotation(_))) => json!({ "taken": "rotation" }),
        Err(refusal) => json!({ "refused": refusal.code() }),
    }
}

#[test]
fn presented() {
    let document = include_str!("../../../../vectors/dp1/presented.json");
    let document: Value = serde_json::from_str(document).unwrap();
    let installed = lock(&document["common"]);
    for case in document["cases"].as_array().unwrap() {
        let now = at(number(&case["now"]));
        let keys = *installed.state.keys();
        let mut lock = installed.clone();
        lock.install(Belief::new(CLOCK, now), keys);
        lock.epoch = u32::try_from(number(&case["epoch"])).unwrap();
        for step in case["before"].as_array().unwrap() {
            match step.get("event") {
                Some(_) => lock.clock(event(step)),
                None => drop(answer(&mut lock, step)),
            }
        }
        assert_eq!(answer(&mut lock, case), case["answer"], "{}", case["name"]);
    }
}

#[test]
fn challenges() {
    let document = include_str!("../../../../vectors/dp1/challenges.json");
    let document: Value = serde_json::from_str(document).unwrap();
    let root = bytes(&document["common"]["root"]).try_into().unwrap();
    let root = RootKey::from_secret(Secret::from_bytes(root));
    let reader = Reader::new(name("lk-00042"), Groups::default(), root, None);
    for case in document["cases"].as_array().unwrap() {
        let mut lock: Lock = Lock::with(reader.clone(), &[], NOW);
        let mut challenges = None;
        for _ in 0..number(&case["starts"]) {
            let (starting, record) = reader.start(&lock.moment(), &lock.state, lock.head).unwrap();
            let receipt = lock.append(starting.place(), &record);
            challenges = starting.started(receipt).ok();
        }
        let mut drawn = std::iter::from_fn(|| challenges.as_mut().unwrap().draw());
        let number = usize::try_from(number(&case["number"])).unwrap();
        let nonce = *drawn.nth(number).unwrap().nonce();
        assert_eq!(nonce.to_vec(), bytes(&case["nonce"]), "{}", case["name"]);
    }
}

#[test]
fn texts() {
    let document = include_str!("../../../../vectors/dp1/texts.json");
    let document: Value = serde_json::from_str(document).unwrap();
    for case in document["cases"].as_array().unwrap() {
        let line = case["text"].as_str().unwrap();
        let read = text::read(line).ok();
        let wanted = case["bytes"].as_str().map(|_| bytes(&case["bytes"]));
        assert_eq!(read.map(|read| read.as_ref().to_vec()), wanted, "{}", case["name"]);
        if let Some(wanted) = wanted {
            let mut written = String::new();
            text::write(&wanted, &mut written).unwrap();
            assert_eq!(written, line);
        }
    }
}
