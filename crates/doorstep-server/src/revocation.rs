//! The truth about PINs that should open no more. A lock without a network goes on opening for them until
//! something reaches it, and the issuer says what that will be.

use crate::lock_state::{self, Known};
use crate::store::StoreError;
use crate::store::locks::Lock;
use crate::store::pins::{self, Pin};
use doorstep::code::Code;
use doorstep::keypad::control::Command;
use doorstep::keypad::issue::derive_control;
use doorstep::keypad::key::RootKey;
use doorstep::keypad::mark::{self, Mark, What};
use doorstep::time::Timestamp;
use rusqlite::Connection;

/// When a PIN that should open no more opens no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TakesEffect {
    /// It opens no more, by all that is known.
    Now,
    /// When another PIN that was given is used for the first time.
    WhenSuccessorUsed,
    /// When somebody types its cancel code.
    WhenTyped,
    /// When the lock is given its new bundle.
    WhenProvisioned,
    /// When its window is over.
    AtExpiry,
}

impl TakesEffect {
    /// The name in the API.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Now => "now",
            Self::WhenSuccessorUsed => "when_successor_used",
            Self::WhenTyped => "when_typed",
            Self::WhenProvisioned => "when_provisioned",
            Self::AtExpiry => "at_expiry",
        }
    }
}

/// What is known of one PIN.
pub(crate) struct Truth {
    pub(crate) takes_effect: TakesEffect,
    /// What staff type to make it true at once.
    pub(crate) cancel_code: Option<Code>,
    /// From when on there is such a code, where its window is too far ahead.
    pub(crate) cancel_code_from: Option<Timestamp>,
    pub(crate) done_at: Option<Timestamp>,
}

/// What is true of a PIN that should open no more. `root` is that of the lock's newest generation.
pub(crate) fn truth(
    connection: &Connection,
    (lock, root): (&Lock, &RootKey),
    pin: &Pin,
    known: &Known,
    now: Timestamp,
) -> Result<Truth, StoreError> {
    let over = lock_state::over_at(lock, pin.opens.until());
    let done_at = pin.done_at.or_else(|| over.filter(|over| *over <= now));
    let of = |takes_effect, cancel_code| Truth {
        takes_effect,
        cancel_code,
        cancel_code_from: None,
        done_at,
    };
    if done_at.is_some() {
        return Ok(of(TakesEffect::Now, None));
    }
    if pin.lock_generation != lock.generation {
        return Ok(of(TakesEffect::WhenProvisioned, None));
    }
    let cancel = Command::Cancel { tuple: pin.tuple, epoch: pin.epoch };
    // Where a lock that goes on after its power was off still takes the PIN, it is that far behind.
    let latest = if lock_state::goes_on(lock) { pin.opens.until() } else { known.floor };
    let floor = known.floor.min(latest);
    let mark = Mark { what: What::Cancelled, tuple: pin.tuple, epoch: pin.epoch, at: now };
    let has_room = known.marks.has_room(&[Some(mark)], pin.epoch);
    let is_found = cancel.is_found(&lock.profile, floor);
    let code = || derive_control(root, lock.epoch, &lock.profile, &cancel);
    let code = (has_room && is_found).then(code).flatten();
    let found_from = cancel.found_from(&lock.profile);
    let is_far = has_room && found_from > floor;
    let truth = if has_successor(connection, lock, pin, known, now)? {
        of(TakesEffect::WhenSuccessorUsed, code)
    } else if code.is_some() {
        of(TakesEffect::WhenTyped, code)
    } else {
        of(TakesEffect::AtExpiry, None)
    };
    Ok(Truth { cancel_code_from: is_far.then(|| known.reaches(found_from)), ..truth })
}

/// Whether the use of another PIN, which somebody has and may use before this one's window is over, ends
/// it.
fn has_successor(
    connection: &Connection,
    lock: &Lock,
    pin: &Pin,
    known: &Known,
    now: Timestamp,
) -> Result<bool, StoreError> {
    // A lock that is behind takes no PIN of the epoch in which all are that may come.
    if known.is_behind {
        return Ok(false);
    }
    if pin.epoch < lock.epoch
        && pins::any_open(connection, lock, lock.epoch, (now, pin.opens.until()))?
    {
        return Ok(true);
    }
    let others = pins::meeting(connection, (lock, lock.generation), &pin.opens)?;
    Ok(others.iter().any(|other| {
        // A lock that cannot remember a use lets nobody in.
        let marks = mark::of_use(&other.tuple, other.epoch, now, &lock.profile);
        let may_come = other.ended.is_none()
            && other.opens.until() > now
            && known.marks.has_room(&marks, other.epoch);
        let (used, this) = ((&other.tuple, other.epoch), (&pin.tuple, pin.epoch));
        may_come && mark::ends(used, this, &lock.profile)
    }))
}

#[cfg(test)]
mod tests {
    use crate::test_lock::TestLock;
    use crate::test_server::TestServer;
    use crate::utc;
    use rand_chacha::ChaCha20Rng;
    use rand_core::{Rng as _, SeedableRng as _};
    use serde_json::{Value, json};

    fn time(value: &Value) -> u64 {
        utc::read(value.as_str().unwrap()).unwrap().seconds()
    }

    fn text(value: &Value) -> &str {
        value.as_str().unwrap_or_default()
    }

    /// A PIN that was given, as its guest has it.
    #[derive(Clone, Debug)]
    struct Known {
        booking: String,
        name: (Value, Value, Value),
        pin: String,
        from: u64,
        until: u64,
    }

    /// A lock, everybody who was ever given a PIN, and chance.
    struct World {
        server: TestServer,
        lock: TestLock,
        guests: Vec<Known>,
        rng: ChaCha20Rng,
        told: [usize; 3],
    }

    impl World {
        async fn new(kind: &str, seed: u64) -> Self {
            let server = TestServer::new().await;
            let lock =
                server.lock("1", json!({"kind": kind, "holders": 4, "generations": 4})).await;
            let rng = ChaCha20Rng::seed_from_u64(seed);
            Self { server, lock, guests: Vec::new(), rng, told: [0; 3] }
        }

        fn below(&mut self, count: u64) -> u64 {
            self.rng.next_u64() % count
        }

        fn index(&mut self, count: usize) -> usize {
            usize::try_from(self.below(u64::try_from(count.max(1)).unwrap())).unwrap()
        }

        fn window(&mut self) -> Value {
            let from = self.server.now() / 900 * 900 + 900 * self.below(12);
            let until = from + 900 * (1 + self.below(14));
            let write = |at| utc::write(doorstep::time::Timestamp::from_seconds(at));
            json!({"lock": self.lock.id, "from": write(from), "until": write(until), "holders": 1})
        }

        /// Remembers the PINs of an answer, as its guests do.
        fn remember(&mut self, booking: &Value) {
            for holder in booking["holders"].as_array().into_iter().flatten() {
                let name = ["holder", "generation", "epoch"].map(|field| holder[field].clone());
                let [number, generation, epoch] = name;
                let known = Known {
                    booking: text(&booking["id"]).to_owned(),
                    name: (number, generation, epoch),
                    pin: text(&holder["pin"]).to_owned(),
                    from: time(&booking["opens_from"]),
                    until: time(&booking["opens_until"]),
                };
                if !self.guests.iter().any(|guest| guest.pin == known.pin) {
                    self.guests.push(known);
                }
            }
        }

        async fn bookings(&mut self) -> Vec<Value> {
            let path = format!("/v1/bookings?lock={}&limit=200", self.lock.id);
            let (_, list) = self.server.get(&path).await;
            let list = list["data"].as_array().unwrap().clone();
            list.iter().for_each(|booking| self.remember(booking));
            list
        }

        async fn epoch(&mut self, how: &str) {
            let path = format!("/v1/locks/{}/epoch", self.lock.id);
            let (status, code) = self.server.post(&path, json!({"how": how})).await;
            if status != 200 {
                assert_eq!(code["code"], "epoch_pending");
                return;
            }
            self.lock.press(text(&code["code"]), self.server.now()).unwrap();
            // Else the journal says so.
            if self.below(2) == 0 {
                let body = json!({"epoch": code["epoch"]});
                let (status, _) = self.server.post(&format!("{path}/confirm"), body).await;
                assert_eq!(status, 200);
            }
        }

        async fn step(&mut self) {
            let all = self.bookings().await;
            let now = self.server.now();
            let place = self.index(all.len());
            let one = all.get(place).map(|booking| text(&booking["id"]).to_owned());
            let body = self.window();
            let guest = self.index(self.guests.len());
            match (self.below(16), one) {
                (0..=5, _) => drop(self.server.post("/v1/bookings", body).await),
                (6, Some(one)) => {
                    drop(self.server.post(&format!("/v1/bookings/{one}/cancel"), json!({})).await)
                }
                (7, Some(one)) => {
                    let body = json!({"from": body["from"], "until": body["until"]});
                    self.server.post(&format!("/v1/bookings/{one}/change"), body).await;
                }
                (8, Some(one)) => {
                    let holder = all[place]["holders"][0]["holder"].clone();
                    self.server
                        .post(&format!("/v1/bookings/{one}/holders/{holder}/renew"), json!({}))
                        .await;
                }
                (9, Some(one)) => {
                    drop(self.server.post(&format!("/v1/bookings/{one}/holders"), json!({})).await)
                }
                (10, _) => {
                    let how = if self.below(2) == 0 { "announce" } else { "end" };
                    self.epoch(how).await;
                }
                (11, Some(_)) => {
                    let codes = all[place]["revocations"].as_array().unwrap();
                    if let Some(code) = codes.iter().find_map(|one| one["cancel_code"].as_str()) {
                        self.lock.press(code, now).unwrap();
                    }
                }
                (12 | 13, _) if !self.guests.is_empty() => {
                    let pin = self.guests[guest].pin.clone();
                    let _ = self.lock.press(&pin, now);
                }
                _ => {
                    let minutes = self.below(25);
                    self.server.clock.advance(60 * minutes);
                }
            }
        }

        /// The lock after a PIN was typed as soon as it may be, and when that was; `None` if it does not open.
        fn after(
            &self,
            lock: &TestLock,
            pin: &str,
            from: u64,
            now: u64,
        ) -> Option<(TestLock, u64)> {
            let (mut lock, at) = (lock.clone(), now.max(from));
            lock.press(pin, at).ok()?;
            Some((lock, at))
        }

        /// Compares what the service says of every PIN that was given up with what the lock does.
        async fn check(&mut self) {
            self.lock.wait_until(self.server.now());
            self.lock.bring_home(&self.server).await;
            let (all, now) = (self.bookings().await, self.server.now());
            let open: Vec<(String, u64, u64)> = all
                .iter()
                .flat_map(|booking| {
                    let span = (time(&booking["opens_from"]), time(&booking["opens_until"]));
                    let holders = booking["holders"].as_array().unwrap().iter();
                    holders.map(move |one| (text(&one["pin"]).to_owned(), span.0, span.1))
                })
                .filter(|(_, _, until)| *until > now)
                .collect();
            for booking in &all {
                for said in booking["revocations"].as_array().unwrap() {
                    self.check_one(booking, said, &open, now);
                }
            }
        }

        fn check_one(
            &mut self,
            booking: &Value,
            said: &Value,
            open: &[(String, u64, u64)],
            now: u64,
        ) {
            let name = ["holder", "generation", "epoch"].map(|field| said[field].clone());
            let [holder, generation, epoch] = name;
            let (from, until) = (time(&said["opens_from"]), time(&said["opens_until"]));
            let of = |guest: &&Known| {
                guest.booking == text(&booking["id"])
                    && guest.name == (holder.clone(), generation.clone(), epoch.clone())
                    && (guest.from, guest.until) == (from, until)
            };
            let old = self.guests.iter().find(of).expect("a guest has it").clone();
            if until <= now {
                return;
            }
            let opens = |lock: &TestLock, now| self.after(lock, &old.pin, from, now).is_some();
            let still = opens(&self.lock, now);
            let effect = text(&said["takes_effect"]);
            assert_eq!(still, effect != "now", "{said} {}", self.lock.id);
            assert_eq!(said["done_at"].is_null(), still, "{said}");
            if !still {
                self.told[0] += 1;
                return;
            }
            let ended_by = open.iter().any(|(pin, begin, end)| {
                let used = self.after(&self.lock, pin, *begin, now);
                used.is_some_and(|(lock, at)| at < until && at < *end && !opens(&lock, at))
            });
            assert_eq!(ended_by, effect == "when_successor_used", "{said} {open:?}");
            if let Some(code) = said["cancel_code"].as_str() {
                let mut lock = self.lock.clone();
                lock.press(code, now).unwrap();
                assert!(!opens(&lock, now), "{said}");
            }
            let kind = match effect {
                "when_successor_used" => 1,
                "when_typed" => 2,
                other => panic!("{other}"),
            };
            assert!(said["cancel_code"].is_string(), "{said}");
            self.told[kind] += 1;
        }
    }

    /// Bookings come, go, change and are renewed, guests and former guests type, staff end epochs: what is
    /// said of a PIN is what the lock does.
    #[tokio::test]
    async fn what_is_said_of_a_pin_is_what_the_lock_does() {
        let mut told = [0; 3];
        for (kind, seeds, steps) in [("courts", 0..4, 16), ("general", 4..5, 8)] {
            for seed in seeds {
                let mut world = World::new(kind, seed).await;
                for _ in 0..steps {
                    world.step().await;
                    world.step().await;
                    world.check().await;
                }
                for (sum, more) in told.iter_mut().zip(world.told) {
                    *sum += more;
                }
            }
        }
        assert!(told.iter().all(|count| *count > 20), "{told:?}");
    }
}
