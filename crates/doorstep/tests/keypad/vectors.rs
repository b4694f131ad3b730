//! Every vector, at a whole lock: made and recomputed by an implementation that is not ours.

use crate::support::{Door, at};
use doorstep::clock::{AfterPowerLoss, Belief, Clock, Clue, Event, Oscillator};
use doorstep::id::LockId;
use doorstep::keypad::issue::Pin;
use doorstep::keypad::key::RootKey;
use doorstep::keypad::lock::{Entry, Lock};
use doorstep::keypad::odds::Odds;
use doorstep::keypad::profile::Profile;
use doorstep::keypad::state::State;
use doorstep::keypad::tuple::{Class, Form, PinDigits, Tuple};
use doorstep::refusal::Refusal;
use doorstep::secret::Secret;
use doorstep::time::Window;
use serde_json::Value;

fn read(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

fn small<T: TryFrom<u64, Error: std::fmt::Debug>>(value: &Value) -> T {
    T::try_from(number(value)).unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn class(value: &Value) -> Class {
    Class {
        duration: small(&value["duration"]),
        quantum: small(&value["quantum"]),
        phase: small(&value["phase"]),
        one_time: value["once"].as_bool().unwrap(),
    }
}

fn tuple(value: &Value) -> Tuple {
    Tuple {
        class: class(&value["class"]),
        index: small(&value["index"]),
        holder: small(&value["holder"]),
        generation: small(&value["generation"]),
    }
}

fn root(names: &Value) -> RootKey {
    let site = text(&names["site"]);
    let bytes: Vec<u8> = (0..32)
        .map(|place| u8::from_str_radix(&site[2 * place..2 * place + 2], 16).unwrap())
        .collect();
    let site = Secret::from_bytes(bytes.try_into().unwrap());
    let lock = LockId::parse(text(&names["lock"])).unwrap();
    RootKey::derive(&site, &lock, small(&names["lock_generation"]))
}

fn profile(case: &Value) -> Profile {
    match text(&case["profile"]) {
        "courts" => Profile::courts(),
        "general" => Profile::general(),
        "stays" => {
            let [check_in, check_out] = ["check_in", "check_out"].map(|key| small(&case[key]));
            Profile::stays(check_in, check_out, small(&case["nights"]))
        }
        _ => {
            let classes: Vec<Class> =
                case["classes"].as_array().unwrap().iter().map(class).collect();
            Profile::new(&classes, case["exclusive"].as_bool().unwrap())
        }
    }
    .unwrap()
}

fn clock(case: &Value) -> Clock {
    let named = |one: &Oscillator| one.name() == text(&case["oscillator"]);
    let policies = [AfterPowerLoss::NeedTime, AfterPowerLoss::Trust90Min];
    Clock {
        oscillator: Oscillator::ALL.into_iter().find(named).unwrap(),
        after_power_loss: policies
            .into_iter()
            .find(|one| one.name() == text(&case["policy"]))
            .unwrap(),
    }
}

fn event(step: &Value) -> Event {
    let time = || at(number(&step["time"]));
    match text(&step["event"]) {
        "elapsed" => Event::Elapsed { seconds: number(&step["seconds"]) },
        "power_lost" => Event::PowerLost,
        "signed" => Event::Signed(time()),
        "token" => Event::Token { time: time(), age: small(&step["age"]) },
        "reset" => Event::Reset { time: time(), age: small(&step["age"]) },
        "set_time" => Event::SetTime { time: time() },
        "missed" => Event::Missed { code: small(&step["code"]), by: small(&step["by"]) },
        "heard" => Event::Heard(Clue {
            about: at(number(&step["about"])),
            spread: small(&step["spread"]),
            reach: small(&step["reach"]),
            code: small(&step["code"]),
        }),
        other => panic!("{other}"),
    }
}

fn cases(document: &Value) -> &Vec<Value> {
    document["cases"].as_array().unwrap()
}

#[test]
fn pins() {
    for case in cases(&read(include_str!("../../../../vectors/kp1/pins.json"))) {
        let digits = PinDigits::new(small(&case["digits"])).unwrap();
        // Any profile of 2 x 2 lanes derives the same.
        let profile = Profile::courts().unwrap().with_digits(digits);
        let pin = Pin::derive(&root(case), small(&case["epoch"]), &profile, &tuple(&case["tuple"]));
        let pin = pin.unwrap();
        let same = [(Form::Pin, "pin"), (Form::Long, "long")]
            .iter()
            .all(|(form, key)| pin.code(*form).expose() == text(&case[*key]).as_bytes());
        assert_eq!(same, case["match"].as_bool().unwrap(), "{}", case["name"]);
    }
}

#[test]
fn bookings() {
    for case in cases(&read(include_str!("../../../../vectors/kp1/bookings.json"))) {
        let wanted = Window::new(at(number(&case["from"])), at(number(&case["until"]))).unwrap();
        let fit = profile(case).fit(&wanted, case["once"].as_bool().unwrap());
        match &case["fit"] {
            Value::Null => assert_eq!(fit, None, "{}", case["name"]),
            expected => {
                let fit = fit.unwrap();
                let window =
                    Window::new(at(number(&expected["begins"])), at(number(&expected["ends"])));
                assert_eq!(
                    (fit.class, fit.index),
                    (class(&expected["class"]), small(&expected["index"]))
                );
                assert_eq!(Some(fit.window), window, "{}", case["name"]);
            }
        }
    }
}

#[test]
fn odds() {
    for case in cases(&read(include_str!("../../../../vectors/kp1/odds.json"))) {
        let profile = profile(case);
        assert_eq!(Odds::new(&profile).acceptable, number(&case["acceptable"]), "{}", case["name"]);
        assert_eq!(u64::from(profile.digits().get()), number(&case["digits"]), "{}", case["name"]);
    }
}

#[test]
fn beliefs() {
    for case in cases(&read(include_str!("../../../../vectors/kp1/beliefs.json"))) {
        let mut belief = Belief::new(clock(case), at(number(&case["now"])));
        for (place, step) in case["steps"].as_array().unwrap().iter().enumerate() {
            belief = belief.then(&event(step));
            let then = &step["then"];
            let name = format!("{}, step {place}", case["name"]);
            assert_eq!(belief.floor(), at(number(&then["floor"])), "{name}");
            assert_eq!(belief.probable(), at(number(&then["probable"])), "{name}");
            assert_eq!(belief.rate(), then["rate"].as_i64().unwrap(), "{name}");
            let now = belief.now().map(|now| (now.earliest, now.latest));
            let time = |key: &str| then[key].as_u64().map(at);
            assert_eq!(now, time("earliest").zip(time("latest")), "{name}");
        }
    }
}

/// What a lock answers, as the vectors write it.
fn present<const N: usize>(door: &mut Door<N>, typed: &str) -> Value {
    let answer = match door.lock.read(typed) {
        Err(refusal) => Err(refusal),
        Ok(Entry::Pin(_)) => door.open(typed).map(|found| {
            let Tuple { class, index, holder, generation } = found.tuple;
            let Class { duration, quantum, phase, one_time } = class;
            let class = serde_json::json!({
                "duration": duration, "quantum": quantum, "phase": phase, "once": one_time,
            });
            serde_json::json!({ "opened": {
                "class": class, "index": index, "holder": holder, "generation": generation,
            }})
        }),
        Ok(Entry::Control(_)) => door.order(typed).map(|command| {
            use doorstep::keypad::control::Command;
            let command = match command {
                Command::SetTime { .. } => "set_time",
                Command::Cancel { .. } => "cancel",
                Command::Announce { .. } => "announce",
                Command::EndEpoch { .. } => "end_epoch",
            };
            serde_json::json!({ "obeyed": command })
        }),
    };
    let refused = |refusal: Refusal| serde_json::json!({ "refused": refusal.code() });
    answer.unwrap_or_else(refused)
}

fn check_door<const N: usize>(case: &Value, root: RootKey) {
    let mut door: Door<N> = Door::new(profile(case), 0);
    door.pause = 0;
    door.lock = Lock::new(root, profile(case));
    door.state = State::new(Belief::new(clock(case), at(number(&case["now"]))));
    for step in case["before"].as_array().unwrap() {
        match step["typed"].as_str() {
            Some(typed) => drop(present(&mut door, typed)),
            None => door.clock(event(step)),
        }
    }
    assert_eq!(present(&mut door, text(&case["typed"])), case["answer"], "{}", case["name"]);
}

#[test]
fn doors() {
    let document = read(include_str!("../../../../vectors/kp1/doors.json"));
    for case in cases(&document) {
        let root = root(&document["common"]);
        match number(&case["room"]) {
            4 => check_door::<4>(case, root),
            8 => check_door::<8>(case, root),
            _ => check_door::<32>(case, root),
        }
    }
}
