//! Control codes: set the time, cancel a PIN, end an epoch.

use crate::support::{DAY, Door, HOUR, MIDNIGHT, at, lockers, wrong_code};
use doorstep::clock::Event;
use doorstep::keypad::control::Command;
use doorstep::keypad::tuple::Tuple;
use doorstep::refusal::Refusal;

fn door() -> Door {
    Door::new(lockers(), MIDNIGHT)
}

#[test]
fn a_lost_clock_is_healed_by_a_set_time_code_and_by_no_old_one() {
    let mut door = door();
    door.clock(Event::PowerLost);
    let set = |now: u64| Command::set_time(at(now));
    for old in [MIDNIGHT - DAY, MIDNIGHT - 300, MIDNIGHT] {
        assert!(door.order(&door.control(0, &set(old))).is_err(), "{old}");
    }
    let code = door.control(0, &set(MIDNIGHT + 2 * DAY + 100));
    assert_eq!(code.len(), 14);
    assert_eq!(
        door.order(&code),
        Ok(Command::SetTime { index: u32::try_from((MIDNIGHT + 2 * DAY) / 300).unwrap() })
    );
    assert_eq!(door.state.belief().floor(), at(MIDNIGHT + 2 * DAY));
    let tuple = door.booking(MIDNIGHT + 2 * DAY, HOUR);
    assert!(door.open(&door.pin(&tuple, 0)).is_ok());
    // The same code after the next cut.
    door.clock(Event::PowerLost);
    assert!(door.order(&code).is_err() && door.state.belief().is_lost());
    // One of another epoch.
    assert!(wrong_code(door.order(&door.control(1, &set(MIDNIGHT + 3 * DAY)))));
}

#[test]
fn a_year_in_a_drawer_takes_two_set_time_codes() {
    let mut door = door();
    door.clock(Event::PowerLost);
    let later = MIDNIGHT + 800 * DAY;
    let (first, second) = (Command::set_time(at(later - 300)), Command::set_time(at(later)));
    door.order(&door.control(0, &first)).unwrap();
    assert!(door.state.belief().is_lost());
    door.order(&door.control(0, &first)).unwrap();
    assert!(door.state.belief().is_lost(), "twice the same is one");
    door.order(&door.control(0, &second)).unwrap();
    assert_eq!(door.state.belief().floor().seconds() / 300, later / 300);
}

#[test]
fn a_cancel_code_ends_one_holders_pin_and_no_other() {
    let mut door = door();
    let tuple = door.booking(MIDNIGHT, HOUR);
    let friend = Tuple { holder: 1, ..tuple };
    let cancel = |tuple| Command::Cancel { tuple, epoch: 0 };
    let code = door.control(0, &cancel(tuple));
    assert_eq!((code.len(), &code[..4]), (15, "0200"));
    let mut forged = code.clone();
    forged.replace_range(14.., if code.ends_with('7') { "8" } else { "7" });
    assert!(wrong_code(door.order(&forged)));
    assert!(door.open(&door.pin(&tuple, 0)).is_ok());
    door.order(&code).unwrap();
    for typed in [door.pin(&tuple, 0), door.long(&tuple, 0)] {
        assert_eq!(door.open(&typed), Err(Refusal::Revoked));
    }
    assert!(door.open(&door.pin(&friend, 0)).is_ok());
    assert!(
        door.open(&door.pin(&Tuple { generation: 1, ..tuple }, 0)).is_ok(),
        "a newer one opens"
    );
    // A booking in the future, as far as its index reaches.
    let future = door.booking(MIDNIGHT + 90 * DAY, HOUR);
    door.order(&door.control(0, &cancel(future))).unwrap();
    door.wait(90 * DAY);
    door.clock(Event::Token { time: at(MIDNIGHT + 90 * DAY + 60), age: 1 });
    assert_eq!(door.open(&door.pin(&future, 0)), Err(Refusal::Revoked));
}

#[test]
fn when_there_is_no_room_a_cancellation_is_refused() {
    let mut door: Door<4> = Door::new(lockers(), MIDNIGHT);
    let cancel = |hours: u64| {
        let tuple = door.booking(MIDNIGHT + hours * HOUR, HOUR);
        door.control(0, &Command::Cancel { tuple, epoch: 0 })
    };
    let codes: Vec<String> = (0..5).map(cancel).collect();
    for code in &codes[..4] {
        door.order(code).unwrap();
    }
    assert_eq!(door.order(&codes[4]), Err(Refusal::LedgerFull));
    assert!(door.order(&codes[0]).is_ok(), "again the same needs no room");
}

#[test]
fn an_epoch_ends_at_once_or_with_the_first_pin_of_the_next() {
    let mut door = door();
    let tuple = door.booking(MIDNIGHT, HOUR);
    let (old, new) = (door.pin(&tuple, 0), door.pin(&tuple, 1));
    assert!(wrong_code(door.open(&new)), "the look-ahead is on only after an announced change");
    let announce = door.control(0, &Command::Announce { epoch: 1 });
    assert_eq!(announce.len(), 10);
    door.order(&announce).unwrap();
    assert!(door.open(&old).is_ok() && door.open(&new).is_ok());
    assert_eq!((door.state.epoch(), door.state.is_announced()), (1, false));
    assert!(wrong_code(door.open(&old)));
    // Codes of an epoch work once, and only for the next.
    assert!(wrong_code(door.order(&announce)));
    assert!(wrong_code(door.order(&door.control(1, &Command::EndEpoch { epoch: 3 }))));
    door.order(&door.control(1, &Command::EndEpoch { epoch: 2 })).unwrap();
    assert_eq!(door.state.epoch(), 2);
    assert!(wrong_code(door.open(&new)));
}

#[test]
fn marks_end_with_their_epoch() {
    let mut door = door();
    let tuple = door.booking(MIDNIGHT, HOUR);
    door.order(&door.control(0, &Command::Cancel { tuple, epoch: 0 })).unwrap();
    door.order(&door.control(0, &Command::EndEpoch { epoch: 1 })).unwrap();
    assert_eq!(door.state.marks().iter().count(), 0);
    assert!(door.open(&door.pin(&tuple, 1)).is_ok(), "another PIN, which nobody cancelled");
}

#[test]
fn guests_who_use_up_their_attempts_keep_no_staff_out() {
    let mut door = door();
    let wrong: Vec<String> = door.wrong_pins().take(10).collect();
    for typed in wrong {
        door.open(&typed).unwrap_err();
    }
    assert!(door.order(&door.control(0, &Command::set_time(at(MIDNIGHT + 600)))).is_ok());
    for mac in 0..10 {
        assert!(wrong_code(door.order(&format!("031{mac:07}"))), "{mac}");
    }
    assert!(matches!(door.order("0310000099"), Err(Refusal::Throttled { until: Some(_) })));
}

/// What an issuer is told of a cancel code is what a lock does with it, however far ahead the window is.
#[test]
fn a_lock_finds_a_cancel_code_when_it_is_said_to() {
    let mut found = 0;
    for class in 0..3 {
        for quarter in (0..12_000).step_by(37).chain(9_970..10_030) {
            let mut door = door();
            let class = door.lock.profile().classes()[class];
            let index = class.index_at(at(MIDNIGHT - DAY)).unwrap() + quarter;
            let tuple = Tuple { class, index, holder: 1, generation: 1 };
            let cancel = Command::Cancel { tuple, epoch: 0 };
            let said = cancel.is_found(door.lock.profile(), door.state.belief().floor());
            let typed = door.order(&door.control(0, &cancel));
            // Of another window with the same number the MAC is wrong.
            assert_eq!(said, typed == Ok(cancel), "{class:?} {quarter}");
            found += u32::from(said);
        }
    }
    assert!((300..1000).contains(&found), "{found}");
}
