//! The truth about passes that should open no more: a lock without a network goes on opening for them until
//! somebody's phone brings it a newer list.

use crate::bulletins;
use crate::lock_state;
use crate::passes::Place;
use crate::store::locks::Lock;
use crate::store::passes::{Kind, Pass, Under};
use crate::store::{StoreError, bulletins as stored};
use doorstep::door::MARKS;
use doorstep::door::state::State;
use doorstep::time::Timestamp;
use rusqlite::Connection;

/// When a pass that should open no more opens no more. What is worse comes later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TakesEffect {
    /// It opens no more, by all that is known.
    Now,
    /// When a lock takes the list that names it.
    WhenListDelivered,
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
            Self::WhenListDelivered => "when_list_delivered",
            Self::WhenProvisioned => "when_provisioned",
            Self::AtExpiry => "at_expiry",
        }
    }
}

/// What is known of one revoked pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Truth {
    pub(crate) takes_effect: TakesEffect,
    /// Since when it opens none of its locks.
    pub(crate) done_at: Option<Timestamp>,
}

/// What is true of a revoked pass.
pub(crate) fn truth(
    connection: &Connection,
    pass: &Pass,
    revoked_at: Timestamp,
    place: &Place,
    now: Timestamp,
) -> Result<Truth, StoreError> {
    let mut all = Truth { takes_effect: TakesEffect::Now, done_at: Some(revoked_at) };
    // What was never handed out opens nothing.
    for lock in place.locks.iter().filter(|_| pass.under.is_some()) {
        let one = at_lock(connection, lock, pass, revoked_at, now)?;
        all.takes_effect = all.takes_effect.max(one.takes_effect);
        all.done_at = all.done_at.zip(one.done_at).map(|(all, one)| all.max(one));
    }
    Ok(all)
}

fn at_lock(
    connection: &Connection,
    lock: &Lock,
    pass: &Pass,
    revoked_at: Timestamp,
    now: Timestamp,
) -> Result<Truth, StoreError> {
    let done = |at| Truth { takes_effect: TakesEffect::Now, done_at: Some(at) };
    if let Some(at) = stored::done_at(connection, pass.seq, lock.seq)? {
        return Ok(done(at));
    }
    let until = pass.window.until();
    if until <= lock_state::pass_not_over(lock, now)? {
        let over = lock_state::pass_over_at(lock, until).filter(|over| *over <= now);
        if over.is_none() && lock_state::is_unconfirmed(lock) {
            // Over for the bundle that was made; the one before it may be at the door.
            return Ok(Truth { takes_effect: TakesEffect::WhenProvisioned, done_at: None });
        }
        return Ok(done(over.unwrap_or(now)));
    }
    if !bulletins::may_open(connection, lock, pass)? {
        return Ok(done(revoked_at));
    }
    let takes_effect = match pass.under {
        Some(Under::Lock { generation, .. }) if generation != lock.generation => {
            TakesEffect::WhenProvisioned
        }
        _ if bulletins::plan(connection, lock, now)?.lists(pass) => TakesEffect::WhenListDelivered,
        _ => TakesEffect::AtExpiry,
    };
    Ok(Truth { takes_effect, done_at: None })
}

/// Notes which revoked passes a lock opens for no more, by the list that its journal told.
pub(crate) fn settle(
    connection: &Connection,
    lock: &Lock,
    told: &State<MARKS>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (list, at) = (told.passes.revoked().prefixes(), told.keypad.belief().probable());
    let since = lock_state::pass_not_over(lock, now)?;
    for pass in crate::store::passes::revoked(connection, lock.seq, since)? {
        let reaches = match (pass.kind, pass.under) {
            // The bundle that it was made for is gone, or will be; no list speaks to it.
            (Kind::Mac | Kind::Encrypted, Some(Under::Lock { generation, .. })) => {
                generation == lock.generation
            }
            _ => true,
        };
        if reaches && list.contains(&pass.id.prefix()) {
            stored::done(connection, pass.seq, lock.seq, at.min(now))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::test_lock::{TestLock, seconds};
    use crate::test_pass::bytes;
    use crate::test_server::TestServer;
    use crate::utc;
    use doorstep::time::Timestamp;
    use rand_chacha::ChaCha20Rng;
    use rand_core::{Rng as _, SeedableRng as _};
    use serde_json::{Value, json};
    use std::collections::BTreeMap;

    /// A lock, every pass that was ever handed out for it, and chance.
    struct World {
        server: TestServer,
        lock: TestLock,
        handed_out: Vec<Value>,
        rng: ChaCha20Rng,
        seen: BTreeMap<String, usize>,
    }

    impl World {
        async fn new(seed: u64) -> Self {
            let server = TestServer::new().await;
            let body = json!({"site": "s", "name": "1", "profile": {"kind": "general"},
                "groups": ["all"]});
            let lock = server.lock_with(body).await;
            let rng = ChaCha20Rng::seed_from_u64(seed);
            Self { server, lock, handed_out: Vec::new(), rng, seen: BTreeMap::new() }
        }

        fn below(&mut self, count: u64) -> u64 {
            self.rng.next_u64() % count
        }

        fn any(&mut self) -> Option<Value> {
            let count = u64::try_from(self.handed_out.len()).unwrap();
            let place = self.below(count.max(1));
            self.handed_out.get(usize::try_from(place).unwrap()).cloned()
        }

        async fn issue(&mut self) {
            let time = |at| utc::write(Timestamp::from_seconds(at));
            let from = self.server.now() + 600 * self.below(6);
            let until = from + 900 * (1 + self.below(8));
            let uses = if self.below(2) == 0 { "once" } else { "many" };
            let mut body = json!({"from": time(from), "until": time(until)});
            match self.below(4) {
                0 => body["group"] = json!("all"),
                1 => {
                    body["lock"] = json!(self.lock.id);
                    body["kind"] = json!("mac");
                }
                _ => {
                    body["lock"] = json!(self.lock.id);
                    body["uses"] = json!(uses);
                }
            }
            let (status, pass) = self.server.post("/v1/passes", body).await;
            assert_eq!(status, 201, "{pass}");
            self.handed_out.push(pass);
        }

        async fn step(&mut self) {
            self.server.clock.advance(20 + 10 * self.rng.next_u64().rem_euclid(60));
            let now = self.server.now();
            self.lock.wait_until(now);
            match (self.below(12), self.any()) {
                (0..=3, _) => self.issue().await,
                (4..=5, Some(pass)) => drop(self.server.revoke_pass(&pass).await),
                (6..=7, Some(pass)) => drop(self.lock.tap(&pass, now)),
                (8, _) => {
                    let riders = self.server.riders(&self.lock.id).await;
                    bring(&mut self.lock, &riders["documents"], now);
                    self.server.clock.advance(20);
                }
                (9, _) => {
                    let told = self.lock.bring_home(&self.server).await;
                    assert_eq!(told["forked"], false);
                }
                (10, _) if self.below(3) == 0 => {
                    let time = utc::write(Timestamp::from_seconds(now + 600));
                    let body = match self.below(2) {
                        0 => json!({"algorithm": "ed25519"}),
                        _ => json!({"algorithm": "ed25519", "ends_old": time}),
                    };
                    drop(self.server.post("/v1/pass_keys", body).await);
                }
                _ => {}
            }
        }

        /// What is said of every pass is what the lock does.
        async fn agrees(&mut self) {
            let now = self.server.now();
            let riders = self.server.riders(&self.lock.id).await;
            let mut told = self.lock.clone();
            bring(&mut told, &riders["documents"], now);
            for pass in self.handed_out.clone() {
                let shown = self.server.shown_pass(&pass).await;
                let as_it_is = self.lock.refuses_pass(&pass, now);
                let after_riders = told.refuses_pass(&pass, now + 20);
                let said = shown["revocation"]["takes_effect"].as_str().unwrap_or("stands");
                *self.seen.entry(format!("{said} {as_it_is:?}")).or_default() += 1;
                match said {
                    "now" => assert!(as_it_is.is_some(), "{shown}"),
                    "when_list_delivered" => assert!(after_riders.is_some(), "{shown}"),
                    "stands" => {
                        let from = utc::read(pass["from"].as_str().unwrap()).unwrap().seconds();
                        let until = utc::read(pass["until"].as_str().unwrap()).unwrap().seconds();
                        let opens = (from..until).contains(&now) && shown["warnings"] == json!([]);
                        let used = shown["uses"] == "once" && as_it_is == Some("already_used");
                        assert!(!opens || as_it_is.is_none() || used, "{as_it_is:?} {shown}");
                        assert_ne!(after_riders, Some("revoked"), "{shown}");
                    }
                    other => panic!("{other} {shown}"),
                }
            }
        }
    }

    /// Brings riders to a lock, one every two seconds.
    fn bring(lock: &mut TestLock, documents: &Value, now: u64) {
        for (at, one) in (now..).step_by(2).zip(documents.as_array().unwrap()) {
            let _ = lock.present(&bytes(one), None, at);
        }
    }

    #[tokio::test]
    async fn what_is_said_of_a_pass_is_what_its_lock_does() {
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for seed in 0..4 {
            let mut world = World::new(seed).await;
            for _ in 0..50 {
                world.step().await;
                world.agrees().await;
            }
            for (what, times) in world.seen {
                *seen.entry(what).or_default() += times;
            }
        }
        for what in [
            "now Some(\"revoked\")",
            "when_list_delivered None",
            "when_list_delivered Some(\"revoked\")",
            "stands None",
            "stands Some(\"already_used\")",
        ] {
            assert!(seen.get(what).is_some_and(|times| *times > 3), "{what}: {seen:?}");
        }
    }

    /// A lock that goes on without power may open late for what is over, but not before the time of its bundle.
    #[tokio::test]
    async fn what_was_over_before_the_bundle_was_made_takes_no_place_of_a_list() {
        let server = TestServer::new().await;
        let body = json!({"site": "s", "name": "1", "profile": {"kind": "courts"},
            "after_power_loss": "trust_90min"});
        let lock = server.lock_with(body).await;
        let mut dead = Vec::new();
        for _ in 0..48 {
            dead.push(server.pass(&lock.id, "08:00", "09:00", json!({})).await);
        }
        let live = server.pass(&lock.id, "12:00", "13:00", json!({})).await;
        for pass in &dead {
            server.revoke_pass(pass).await;
        }
        server.clock.set(seconds("12:00"));
        let full = server.riders(&lock.id).await;
        assert_eq!(full["bulletin"]["revoked"], 48, "no journal, and the bundle is older");
        let (_, made) = server.post(&format!("/v1/locks/{}/provision", lock.id), json!({})).await;
        server.revoke_pass(&live).await;
        let riders = server.riders(&lock.id).await;
        assert_eq!(riders["bulletin"], json!({"sequence": 2, "revoked": 1, "left_out": 0}));
        let said = server.shown_pass(&dead[0]).await["revocation"].clone();
        assert_eq!(
            (&said["takes_effect"], &said["done_at"]),
            (&json!("when_provisioned"), &Value::Null)
        );
        assert_eq!(lock.refuses_pass(&dead[0], seconds("08:30")), None, "as late as that");
        let mut new = TestLock::install(&made, server.now());
        assert_eq!(new.refuses_pass(&dead[0], server.now()), Some("expired"));
        new.without_power_until(server.now() + 3600);
        assert_eq!(new.refuses_pass(&dead[0], server.now() + 3600), Some("expired"));
        assert_eq!(new.bring_riders(&riders["documents"], server.now() + 3600), 1);
        new.bring_home(&server).await;
        let said = server.shown_pass(&dead[0]).await["revocation"].clone();
        assert_eq!((&said["takes_effect"], said["done_at"].is_string()), (&json!("now"), true));
    }

    /// Of several uses and of time from the first use, a list can only say that they are over.
    #[tokio::test]
    async fn a_pass_whose_time_ran_out_before_is_named_and_one_used_in_part_is_told_of() {
        let server = TestServer::new().await;
        let mut old = server.lock("1", json!({"kind": "courts"})).await;
        let hour = server.pass(&old.id, "10:00", "18:00", json!({"lasts_minutes": 60})).await;
        let day = server.pass(&old.id, "10:00", "18:00", json!({"lasts_minutes": 240})).await;
        let thrice = server.pass(&old.id, "10:00", "18:00", json!({"uses": 3})).await;
        let once = server.pass(&old.id, "10:00", "18:00", json!({"uses": "once"})).await;
        let fresh = server.pass(&old.id, "10:00", "18:00", json!({"uses": 3})).await;
        let ten = seconds("10:00");
        server.clock.set(ten);
        for pass in [&hour, &day, &thrice, &thrice, &once] {
            old.tap(pass, ten).unwrap();
        }
        server.clock.set(seconds("12:00"));
        assert_eq!(old.refuses_pass(&hour, server.now()), Some("expired"));
        old.bring_home(&server).await;
        let (_, made) = server.post(&format!("/v1/locks/{}/provision", old.id), json!({})).await;
        let anew = json!([day["id"], thrice["id"]]);
        assert_eq!(made["passes_begin_anew"], anew, "what was up, or not used at all, is not told");
        let mut new = TestLock::install(&made, server.now());
        let riders = server.riders(&new.id).await;
        assert_eq!(riders["bulletin"]["revoked"], 2, "the one of an hour, and the single use");
        assert_eq!(new.refuses_pass(&hour, server.now()), None, "it forgot");
        assert_eq!(new.bring_riders(&riders["documents"], server.now()), 1);
        let now = server.now() + 2;
        assert_eq!(new.refuses_pass(&hour, now), Some("revoked"));
        assert_eq!(new.refuses_pass(&once, now), Some("revoked"));
        for pass in [&day, &thrice, &fresh] {
            assert_eq!(new.refuses_pass(pass, now), None);
        }
        // A quarter of an hour after four hours from its first use.
        server.clock.set(seconds("14:14"));
        assert_eq!(server.riders(&new.id).await["bulletin"]["revoked"], 2);
        server.clock.set(seconds("14:15"));
        assert_eq!(server.riders(&new.id).await["bulletin"]["revoked"], 3, "now the other one too");
    }

    #[tokio::test]
    async fn a_lock_that_was_provisioned_anew_is_told_what_was_used_up_before() {
        let server = TestServer::new().await;
        let mut old = server.lock("1", json!({"kind": "courts"})).await;
        let once = server.pass(&old.id, "10:00", "18:00", json!({"uses": "once"})).await;
        let spent = server.pass(&old.id, "10:00", "18:00", json!({"uses": "once"})).await;
        let fresh = server.pass(&old.id, "10:00", "18:00", json!({"uses": "once"})).await;
        let mac = server.pass(&old.id, "10:00", "18:00", json!({"kind": "mac"})).await;
        let gone = server.pass(&old.id, "10:00", "18:00", json!({})).await;
        server.revoke_pass(&gone).await;
        let riders = server.riders(&old.id).await;
        old.bring_riders(&riders["documents"], server.now());
        server.clock.set(seconds("10:00"));
        old.tap(&once, server.now()).unwrap();
        old.tap(&spent, server.now()).unwrap();
        old.bring_home(&server).await;
        let said = server.revoke_pass(&spent).await;
        assert_eq!(said["revocation"]["takes_effect"], "now", "it is used up");
        let riders = server.riders(&old.id).await;
        assert_eq!(riders["bulletin"]["revoked"], 1, "and needs no place");
        assert_eq!(server.shown_pass(&gone).await["revocation"]["takes_effect"], "now");
        let (_, made) = server.post(&format!("/v1/locks/{}/provision", old.id), json!({})).await;
        let said = server.shown_pass(&gone).await;
        assert_eq!(said["revocation"]["takes_effect"], "when_list_delivered", "it forgot");
        let warnings = json!(["bundle_not_confirmed", "hand_out_anew"]);
        assert_eq!(server.shown_pass(&mac).await["warnings"], warnings);
        let said = server.revoke_pass(&mac).await;
        assert_eq!(said["revocation"]["takes_effect"], "when_provisioned");
        let mut new = TestLock::install(&made, server.now());
        assert_eq!(new.refuses_pass(&once, server.now()), None, "its memory is empty");
        let riders = server.riders(&new.id).await;
        assert_eq!(riders["bulletin"], json!({"sequence": 2, "revoked": 4, "left_out": 0}));
        assert_eq!(new.bring_riders(&riders["documents"], server.now()), 1);
        let now = server.now() + 2;
        assert_eq!(new.refuses_pass(&once, now), Some("revoked"));
        assert_eq!(new.refuses_pass(&spent, now), Some("revoked"));
        assert_eq!(new.refuses_pass(&gone, now), Some("revoked"));
        assert_eq!(new.refuses_pass(&fresh, now), None);
        assert_eq!(new.refuses_pass(&mac, now), Some("wrong_code"));
        new.wait_until(now);
        new.bring_home(&server).await;
        assert_eq!(server.shown_pass(&mac).await["revocation"]["takes_effect"], "now");
        assert_eq!(server.shown_pass(&gone).await["revocation"]["takes_effect"], "now");
    }
}
