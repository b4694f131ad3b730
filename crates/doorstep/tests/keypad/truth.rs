//! Random lives of a lock, beside somebody who knows what time it is and what was promised: guests and
//! attackers type what they hold, pull the power and show old passes, and staff set the time.

use crate::support::{DAY, Door, HOUR, MIDNIGHT, at, lockers, once, root};
use doorstep::clock::{AfterPowerLoss, Belief, Clock, Clue, Event, Oscillator};
use doorstep::keypad::control::Command;
use doorstep::keypad::issue::derive_control;
use doorstep::keypad::state::State;
use doorstep::keypad::tuple::Tuple;
use doorstep::refusal::Refusal;
use proptest::prelude::*;
use std::collections::HashSet;

/// What happens next.
#[derive(Clone, Debug)]
enum Move {
    Wait {
        seconds: u64,
    },
    /// A PIN of a window that begins so many quarters of an hour from now.
    Type {
        quarters: i64,
        class: usize,
        holder: u8,
        generation: u8,
        long: bool,
    },
    /// Something that was typed before.
    TypeAgain {
        which: usize,
    },
    /// A code that nobody made.
    Guess {
        number: u64,
    },
    /// A step code of an authenticator whose clock is wrong.
    Step {
        ahead: i64,
        code: u32,
    },
    Cancel {
        quarters: i64,
    },
    PullPower {
        seconds: u64,
    },
    /// A pass that was signed so long ago.
    Pass {
        age: u64,
    },
    SetTime,
    SetTimeAgain,
    Token {
        age: u32,
        back: u32,
    },
}

fn any_move() -> impl Strategy<Value = Move> {
    let waits = prop_oneof![0..2 * HOUR, 0..2 * DAY, 0..60 * DAY];
    let quarters = || prop_oneof![4 => -8..3_i64, 1 => -40..40_i64];
    prop_oneof![
        5 => waits.prop_map(|seconds| Move::Wait { seconds }),
        8 => (quarters(), 0..3_usize, 0..2_u8, 0..2_u8, any::<bool>()).prop_map(
            |(quarters, class, holder, generation, long)| {
                Move::Type { quarters, class, holder, generation, long }
            }
        ),
        5 => any::<usize>().prop_map(|which| Move::TypeAgain { which }),
        1 => (100_000_000..1_000_000_000_u64).prop_map(|number| Move::Guess { number }),
        2 => (-7200..7200_i64, 1..u32::MAX).prop_map(|(ahead, code)| Move::Step { ahead, code }),
        1 => quarters().prop_map(|quarters| Move::Cancel { quarters }),
        2 => (0..3 * DAY).prop_map(|seconds| Move::PullPower { seconds }),
        1 => (0..40 * DAY).prop_map(|age| Move::Pass { age }),
        1 => Just(Move::SetTime),
        1 => Just(Move::SetTimeAgain),
        2 => (0..600_u32, 0..600_u32).prop_map(|(age, back)| Move::Token { age, back }),
    ]
}

/// A lock, the truth about it, and what was promised of it.
struct World {
    door: Door,
    clock: Clock,
    /// Nanoseconds, like the counted ones below, so that none is lost.
    now: u64,
    /// Millionths that the oscillator is fast.
    fast: i64,
    counted: u64,
    told: u64,
    /// Counted seconds, seconds without power and cuts since the last fresh time, and how exact that was.
    since: u64,
    off: u64,
    cuts: u64,
    exact: u64,
    typed: Vec<(Tuple, String)>,
    set_time: Vec<String>,
    /// What must never open again.
    dead: HashSet<Tuple>,
}

const SECOND: u64 = 1_000_000_000;

impl World {
    fn new(after_power_loss: AfterPowerLoss, fast: i64) -> Self {
        let clock = Clock { oscillator: Oscillator::Crystal, after_power_loss };
        let mut door = Door::new(lockers(), MIDNIGHT);
        door.state = State::new(Belief::new(clock, at(MIDNIGHT)));
        door.pause = 0;
        let now = MIDNIGHT * SECOND;
        let (typed, set_time, dead) = (Vec::new(), Vec::new(), HashSet::new());
        let (counted, told, since, off, cuts, exact) = (0, 0, 0, 0, 0, 1);
        Self {
            door,
            clock,
            now,
            fast,
            counted,
            told,
            since,
            off,
            cuts,
            exact,
            typed,
            set_time,
            dead,
        }
    }

    fn seconds(&self) -> u64 {
        self.now / SECOND
    }

    fn floor(&self) -> u64 {
        self.door.state.belief().floor().seconds()
    }

    fn fresh(&mut self, exact: u64) {
        (self.since, self.off, self.cuts, self.exact) = (0, 0, 0, exact);
    }

    /// By how much what the lock believes may differ from the truth by what the documents say: the oscillator's
    /// class, both ways, since the last fresh time, and the time without power where that is trusted.
    fn late(&self) -> u64 {
        self.exact + self.since * 240 / 1_000_000 + 2 + self.off
    }

    fn early(&self) -> u64 {
        self.exact + self.since * 240 / 1_000_000 + 2 + self.cuts * 90 * 60
    }

    fn tuple(&self, quarters: i64, class: usize, holder: u8, generation: u8) -> Tuple {
        let index = (self.seconds() / 900).saturating_add_signed(quarters);
        let class = self.door.lock.profile().classes()[class];
        Tuple { class, index: u32::try_from(index).unwrap(), holder, generation }
    }

    /// Types a PIN, and holds the answer against the truth.
    fn type_in(&mut self, tuple: Tuple, typed: &str) {
        let Ok(found) = self.door.open(typed) else { return };
        assert_eq!(found.tuple, tuple);
        assert!(!self.dead.contains(&tuple), "it was spent, cancelled or superseded: {tuple:?}");
        let (from, until) = (tuple.from().seconds() - 600, tuple.until().seconds() + 300);
        let now = self.seconds();
        assert!(now + self.early() >= from, "{} s early", from - now);
        assert!(now < until + self.late(), "{} s late", now - until);
        if tuple.class == once(tuple.class) {
            self.dead.insert(tuple);
        }
        if tuple.generation > 0 {
            self.dead.insert(Tuple { generation: 0, ..tuple });
        }
    }

    fn step(&mut self, step: &Move) {
        let floor = self.floor();
        let mut staff = false;
        match *step {
            Move::Wait { seconds } => {
                self.now += seconds * SECOND;
                let nanoseconds = seconds * 1_000 * u64::try_from(1_000_000 + self.fast).unwrap();
                self.counted += nanoseconds;
                let whole = self.counted / SECOND;
                self.door.wait(whole - self.told);
                self.since += seconds + 1;
                self.told = whole;
                staff = true;
            }
            Move::Type { quarters, class, holder, generation, long } => {
                let tuple = self.tuple(quarters, class, holder, generation);
                let typed = if long { self.door.long(&tuple, 0) } else { self.door.pin(&tuple, 0) };
                self.typed.push((tuple, typed.clone()));
                self.type_in(tuple, &typed);
            }
            Move::TypeAgain { which } => {
                if !self.typed.is_empty() {
                    let (tuple, typed) = self.typed[which % self.typed.len()].clone();
                    self.type_in(tuple, &typed);
                }
            }
            Move::Guess { number } => drop(self.door.open(&number.to_string())),
            Move::Step { ahead, code } => {
                let about = at(self.seconds().saturating_add_signed(ahead));
                self.door.clock(Event::Heard(Clue { about, spread: 10, reach: 60, code }));
            }
            Move::Cancel { quarters } => {
                let tuple = self.tuple(quarters, 0, 0, 0);
                let code = self.door.control(0, &Command::Cancel { tuple, epoch: 0 });
                if self.door.order(&code).is_ok() {
                    self.dead.insert(tuple);
                }
            }
            Move::PullPower { seconds } => {
                self.now += seconds * SECOND;
                self.off += seconds;
                self.cuts += 1;
                let mut stored = vec![0; State::<32>::LENGTH];
                self.door.state.write(&mut stored).unwrap();
                self.door.state = State::read(self.clock, &stored).unwrap();
                self.door.clock(Event::PowerLost);
                if self.clock.after_power_loss == AfterPowerLoss::NeedTime {
                    assert_eq!(self.door.state.belief().now(), None);
                }
            }
            Move::Pass { age } => {
                self.cuts += 1;
                self.door.clock(Event::Signed(at(self.seconds() - age)));
                staff = true;
            }
            Move::SetTime => {
                let command = Command::set_time(at(self.seconds()));
                let code = self.door.control(0, &command);
                let _ = self.door.order(&code);
                self.set_time.push(code);
                if self.floor() > floor {
                    self.fresh(600);
                }
                staff = true;
            }
            Move::SetTimeAgain => {
                // Those that were typed and had their effect, or had none.
                let before = *self.door.state.belief();
                for code in self.set_time.clone() {
                    let _ = self.door.order(&code);
                }
                assert_eq!(self.door.state.belief(), &before, "a code was taken twice");
            }
            Move::Token { age, back } => {
                let time = at(self.seconds() - u64::from(back.min(age)));
                self.door.clock(Event::Token { time, age });
                self.fresh(u64::from(age) + 2);
                staff = true;
            }
        }
        assert!(self.floor() <= self.seconds(), "the floor has not passed");
        assert!(staff || self.floor() == floor, "what is typed, or pulled, moved the floor");
        if let Some(now) = self.door.state.belief().now() {
            assert!(now.latest.since(now.earliest) <= 90 * 60 + 1);
        }
    }

    /// Whatever was done to it: with the next fresh time all is normal, and what is dead stays dead.
    fn heals(&mut self) {
        self.step(&Move::Token { age: 2, back: 1 });
        let now = self.door.state.belief().now().unwrap();
        assert!(now.earliest <= at(self.seconds()) && at(self.seconds()) <= now.latest);
        assert!(now.uncertainty() <= 4 && self.door.state.belief().rate() == 0);
        for (tuple, typed) in self.typed.clone() {
            self.type_in(tuple, &typed);
        }
        // Attempts come back, so nobody is shut out for longer than that.
        self.step(&Move::Wait { seconds: 8640 + 10 });
        self.step(&Move::Token { age: 0, back: 0 });
        let tuple = self.tuple(0, 2, 1, 1);
        let tuple = Tuple {
            generation: u8::from(self.dead.contains(&Tuple { generation: 0, ..tuple })),
            ..tuple
        };
        let answer = self.door.open(&self.door.long(&tuple, 0));
        let full = answer == Err(Refusal::LedgerFull) && tuple.generation > 0;
        assert!(answer.is_ok() || full, "{answer:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whoever_types_or_pulls_the_power_gains_what_is_stated_and_no_more(
        trusting in any::<bool>(),
        fast in -119..=119_i64,
        moves in proptest::collection::vec(any_move(), 1..60),
    ) {
        let policy = if trusting { AfterPowerLoss::Trust90Min } else { AfterPowerLoss::NeedTime };
        let mut world = World::new(policy, fast);
        for step in &moves {
            world.step(step);
        }
        world.heals();
    }
}

/// A set-time code that was made, and typed only after a cut, is worth what clock.md says: until the floor
/// has passed it, it sets a lost clock back to when it was made, and never below the floor.
#[test]
fn a_set_time_code_kept_back_is_worth_what_is_stated() {
    let mut world = World::new(AfterPowerLoss::NeedTime, 0);
    let made = MIDNIGHT + DAY;
    let kept = derive_control(&root(), 0, world.door.lock.profile(), &Command::set_time(at(made)));
    let kept = crate::support::text(kept.unwrap().expose());
    world.step(&Move::Wait { seconds: 12 * HOUR });
    world.step(&Move::PullPower { seconds: 2 * DAY });
    world.door.order(&kept).unwrap();
    assert_eq!(world.floor(), made);
    // With the time counted beyond it, it is worth nothing.
    world.door.wait(HOUR);
    world.door.clock(Event::PowerLost);
    assert!(world.door.order(&kept).is_err());
    assert!(world.door.state.belief().is_lost());
}
