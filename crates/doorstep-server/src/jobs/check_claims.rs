//! Judges claims: the issuer knows whole codes where the device could check only a few bits.
//!
//! One comparison counts per generation, and at most two generations of a delivery per driver, so
//! that uploads are no place to guess at.

use crate::context::Context;
use crate::http::problem::Problem;
use crate::store::claims::{self, Damaged, Open, Verdict};
use crate::store::deliveries::{self, State as DeliveryState};
use crate::store::generations::{self, Generation, HeldCode, State as GenerationState};
use crate::store::messages::{self, State as MessageState};
use crate::store::{StoreError, devices, meta};
use doorstep::code::Shape;
use doorstep::cose::keys::PublicKey;
use doorstep::handover::Subject;
use doorstep::handover::claim::{Claim, Evidence, Outcome};
use doorstep::handover::judge::{self, Held, Span};
use doorstep::id::DeliveryId;
use doorstep::time::Timestamp;
use rusqlite::Connection;
use std::collections::BTreeSet;
use std::num::NonZero;
use std::sync::Arc;

const BATCH: u32 = 500;
/// Generations of one delivery whose codes are compared for one driver.
const MAX_COMPARED: usize = 2;

/// Judges all claims that wait.
pub(crate) async fn run(context: &Arc<Context>) -> Result<(), Problem> {
    let (mut examined, mut last) = (Vec::new(), 0);
    loop {
        // While the writer concludes what was examined, what follows is examined.
        let (next, ()) =
            tokio::try_join!(examine_after(context, last), conclude_all(context, examined))?;
        let Some(newest) = next.last() else { return Ok(()) };
        last = match newest {
            Ok(examined) => examined.open.log_seq,
            Err(damaged) => damaged.log_seq,
        };
        examined = next;
    }
}

/// Looks at the next claims that wait, of those after one. Key agreements by the hundred keep a processor
/// busy: the writer is not the one to do them, and each processor has its share.
async fn examine_after(context: &Arc<Context>, last: u64) -> Result<Vec<Looked>, Problem> {
    let files = context.store.read(move |connection| open_files(connection, last)).await?;
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    let share = files.len().div_ceil(processors);
    let mut files = files.into_iter().peekable();
    let mut shares = Vec::with_capacity(processors);
    while files.peek().is_some() {
        let (inner, files) = (Arc::clone(context), files.by_ref().take(share).collect::<Vec<_>>());
        shares.push(tokio::task::spawn_blocking(move || {
            files.into_iter().map(|file| examine(&inner, file)).collect::<Result<Vec<_>, _>>()
        }));
    }
    let mut examined = Vec::new();
    for share in shares {
        examined.extend(share.await.map_err(|error| Problem::internal(&error))??);
    }
    Ok(examined)
}

async fn conclude_all(context: &Arc<Context>, examined: Vec<Looked>) -> Result<(), Problem> {
    if examined.is_empty() {
        return Ok(());
    }
    let now = context.now();
    let concluding = context.store.write(move |connection| {
        let mut touched = BTreeSet::new();
        for claim in &examined {
            touched.extend(conclude(connection, claim)?);
        }
        touched.iter().try_for_each(|delivery| settle(connection, delivery, now))
    });
    Ok(concluding.await?)
}

/// A claim with what it is looked at with. None of it ever changes.
struct File {
    open: Open,
    key: PublicKey,
    /// Of the generation that it names; `None` when that was never this device's.
    codes: Option<(Shape, Vec<HeldCode>)>,
}

fn open_files(
    connection: &Connection,
    last: u64,
) -> Result<Vec<Result<File, Damaged>>, StoreError> {
    claims::open(connection, last, BATCH)?
        .into_iter()
        .map(|open| match open {
            Ok(open) => {
                let (log_seq, delivery) = (open.log_seq, open.delivery);
                match file(connection, open) {
                    Ok(file) => Ok(Ok(file)),
                    Err(error) => claims::damaged(log_seq, Some(delivery), error).map(Err),
                }
            }
            Err(damaged) => Ok(Err(damaged)),
        })
        .collect()
}

fn file(connection: &Connection, open: Open) -> Result<File, StoreError> {
    let key = devices::key(connection, &open.device)?
        .ok_or(StoreError::Corrupt { column: "claims.device" })?;
    let codes = match generation_of(connection, &open)? {
        Some(generation) => {
            let held = generations::held(connection, &open.delivery, open.generation)?;
            Some((generation.shape, held))
        }
        None => None,
    };
    Ok(File { open, key, codes })
}

fn generation_of(connection: &Connection, open: &Open) -> Result<Option<Generation>, StoreError> {
    let generation = generations::find(connection, &open.delivery, open.generation)?;
    Ok(generation.filter(|generation| generation.device.as_ref() == Some(&open.device)))
}

/// A claim that was looked at, and what it is worth if it is to be compared at all.
struct Examined {
    open: Open,
    comparison: Verdict,
}

type Looked = Result<Examined, Damaged>;

fn examine(context: &Context, file: Result<File, Damaged>) -> Result<Looked, StoreError> {
    let File { open, key, codes } = match file {
        Ok(file) => file,
        Err(damaged) => return Ok(Err(damaged)),
    };
    let comparison = match codes {
        // The signature was verified before the claim was stored; its cost is small beside the key
        // agreement's, and what changed since is found.
        Some((shape, held)) => match Claim::verify(&open.document, &key) {
            Ok(claim) => compare(context, &claim, &key, shape, &held),
            Err(_) => {
                let error = StoreError::Corrupt { column: "claims.document" };
                return claims::damaged(open.log_seq, Some(open.delivery), error).map(Err);
            }
        },
        None => Verdict::Void,
    };
    Ok(Ok(Examined { open, comparison }))
}

fn compare(
    context: &Context,
    claim: &Claim,
    key: &PublicKey,
    shape: Shape,
    held: &[HeldCode],
) -> Verdict {
    let Outcome::Granted { slot, .. } = claim.outcome else { return Verdict::Noted };
    if held.is_empty() {
        // Erased with an earlier claim: that says nothing against this one.
        return Verdict::Unchecked;
    }
    let Some(held) = held.iter().find(|held| held.slot == slot) else {
        return Verdict::Mismatch;
    };
    let Ok(presented) = Evidence::open(claim, &context.keys.agreement, shape) else {
        return Verdict::Mismatch;
    };
    let subject = Subject {
        issuer: context.issuer(),
        delivery: claim.delivery,
        generation: claim.generation,
        slot,
        device: key.fingerprint(),
    };
    let held = Held { code_mac: held.code_mac, scan: held.scan_hash };
    match judge::judge(context.keys.pepper(), &subject, &held, &presented) {
        judge::Verdict::Match => Verdict::Match,
        judge::Verdict::MatchWithTypo => Verdict::MatchWithTypo,
        judge::Verdict::Mismatch => Verdict::Mismatch,
    }
}

/// Gives a claim its verdict, on what is known at this moment, and names the delivery that it bears on.
fn conclude(connection: &Connection, examined: &Looked) -> Result<Option<DeliveryId>, StoreError> {
    let examined = match examined {
        Ok(examined) => examined,
        Err(damaged) => {
            let is_new = claims::judge(connection, damaged.log_seq, Verdict::Unchecked, false)?;
            // Whatever it said about the delivery, somebody has to look at it.
            return Ok(damaged.delivery.filter(|_| is_new));
        }
    };
    let open = &examined.open;
    let (verdict, late_possible) = match generation_of(connection, open)? {
        None if was_lost(connection, open)? => (Verdict::Unchecked, false),
        None => (Verdict::Void, false),
        // What it says of the delivery was drawn from it when it came in.
        Some(_) if examined.comparison == Verdict::Noted => (Verdict::Noted, false),
        Some(generation) => (
            decide(connection, examined, &generation)?,
            open.received_at >= generation.window.until(),
        ),
    };
    // A claim is concluded once, even if an earlier run was given up while its write was on the way.
    if !claims::judge(connection, open.log_seq, verdict, late_possible)?
        || matches!(verdict, Verdict::Void | Verdict::Noted)
    {
        return Ok(None);
    }
    let (delivery, number) = (&open.delivery, open.generation);
    if verdict == Verdict::Match {
        generations::end(connection, delivery, number, GenerationState::Closed)?;
        messages::end(connection, delivery, number, MessageState::Closed)?;
    }
    Ok(Some(*delivery))
}

/// Whether a claim names a generation that was made between a backup and its restoring, for all that is known:
/// what it would be judged by is lost, and somebody has to look at it. Everything else about it has to be
/// from before the restoring, or any device could dispute any delivery by inventing a generation.
fn was_lost(connection: &Connection, open: &Open) -> Result<bool, StoreError> {
    let epoch = meta::epoch(connection)?;
    let before = |at: Timestamp| at.seconds() <= epoch;
    if open.forked || u64::from(open.generation) > epoch || !before(open.signed_time) {
        return Ok(false);
    }
    let delivery = deliveries::find(connection, &open.delivery)?;
    let enrolled_at =
        devices::find(connection, &open.device)?.and_then(|device| device.enrolled_at);
    if !delivery.is_some_and(|delivery| before(delivery.created_at))
        || !enrolled_at.is_some_and(before)
    {
        return Ok(false);
    }
    let known = generations::numbers(connection, &open.delivery)?;
    let newest = known.into_iter().filter(|number| u64::from(*number) <= epoch).max();
    Ok(open.generation > newest.unwrap_or(0))
}

/// Draws the delivery's state from everything that was claimed, so that the order in which claims
/// arrive decides nothing. Only the code itself makes a delivery: a typo may be a driver's luck.
fn settle(
    connection: &Connection,
    delivery: &DeliveryId,
    now: Timestamp,
) -> Result<(), StoreError> {
    if claims::any_match(connection, delivery)? {
        return deliveries::set_state(connection, delivery, DeliveryState::Delivered, now);
    }
    let open =
        DeliveryState::ALL.iter().copied().filter(|state| *state != DeliveryState::Delivered);
    let open: Vec<DeliveryState> = open.collect();
    deliveries::advance(connection, delivery, &open, DeliveryState::Disputed, now)
}

fn decide(
    connection: &Connection,
    examined: &Examined,
    generation: &Generation,
) -> Result<Verdict, StoreError> {
    let open = &examined.open;
    if matches!(generation.state, GenerationState::Superseded | GenerationState::Cancelled) {
        return Ok(Verdict::Superseded);
    }
    let span = judge::span(generation.window, open.signed_time, open.received_at);
    if span == Span::Impossible {
        // Nothing that rests on the device's times can be said, and nothing is compared.
        return Ok(Verdict::Unchecked);
    }
    let compared = claims::compared(connection, &open.delivery, &open.device)?;
    if compared.contains(&open.generation) {
        return Ok(Verdict::Repeated);
    }
    if compared.len() >= MAX_COMPARED {
        return Ok(Verdict::Unchecked);
    }
    Ok(if span == Span::Outside { Verdict::OutsideWindow } else { examined.comparison })
}

#[cfg(test)]
mod tests {
    use crate::test_server::{TestDevice, TestServer, verdicts};
    use doorstep::handover::claim::Upload;
    use serde_json::json;

    #[tokio::test]
    async fn the_right_code_makes_it_delivered_after_the_job_and_not_before() {
        let (server, mut device, delivery, _, code) = TestServer::at_the_door().await;
        device.present(&delivery, &code, server.clock.now()).unwrap();
        device.sync(&server).await;
        let reported = server.shown(&delivery).await;
        assert_eq!((&reported["state"], verdicts(&reported)), (&json!("reported"), vec!["-"]));
        server.run_jobs().await;
        let delivered = server.shown(&delivery).await;
        assert_eq!(
            (&delivered["state"], verdicts(&delivered)),
            (&json!("delivered"), vec!["match"])
        );
        assert_eq!(delivered["claims"][0]["late_possible"], false);
        assert_eq!(
            server.query("SELECT count(*) FROM messages WHERE sealed IS NOT NULL"),
            0,
            "the spare is erased"
        );
    }

    #[tokio::test]
    async fn a_forged_claim_is_disputed_and_its_answer_looks_like_any_other() {
        let (server, mut device, delivery, stop, code) = TestServer::at_the_door().await;
        let forged = device.forged(&stop, &code);
        device.present(&delivery, &forged, server.clock.now()).unwrap();
        let (status, answer) = device.upload(&server).await;
        assert_eq!((status, answer.as_object().unwrap().len()), (200, 1));
        assert_eq!(server.shown(&delivery).await["state"], "reported");
        server.run_jobs().await;
        let disputed = server.shown(&delivery).await;
        assert_eq!(
            (&disputed["state"], verdicts(&disputed)),
            (&json!("disputed"), vec!["mismatch"])
        );
        let (status, problem) = server.plan(&delivery, device.id()).await;
        assert_eq!((status, &problem["code"]), (409, &json!("delivery_closed")));
    }

    /// A stop given to a second driver while the first is offline, and handed over twice.
    async fn reassigned() -> (TestServer, [TestDevice; 2], String) {
        let (server, mut old, delivery, _, old_code) = TestServer::at_the_door().await;
        let mut new = server.device("Leo").await;
        server.plan_at(&delivery, new.id(), "2027-01-15T10:30:00Z").await;
        new.sync(&server).await;
        server.run_jobs().await;
        assert!(server.messages()[1]["text"].as_str().unwrap().contains("replaces"));
        assert!(
            new.present(&delivery, &old_code, server.clock.now()).is_err(),
            "the new device refuses the old code"
        );
        old.present(&delivery, &old_code, server.clock.now()).unwrap();
        new.present(&delivery, &server.code(1), server.clock.now()).unwrap();
        (server, [old, new], delivery)
    }

    #[tokio::test]
    async fn a_claim_on_a_reassigned_stop_is_void_and_kept() {
        let (server, [mut old, _], delivery) = reassigned().await;
        old.sync(&server).await;
        server.run_jobs().await;
        let disputed = server.shown(&delivery).await;
        assert_eq!(
            (&disputed["state"], verdicts(&disputed)),
            (&json!("disputed"), vec!["superseded"])
        );
        assert_eq!(disputed["claims"][0]["generation"], 1);
    }

    #[tokio::test]
    async fn a_claim_is_concluded_once() {
        let (server, [mut old, _], delivery) = reassigned().await;
        old.sync(&server).await;
        // As if a run was given up while its write was on the way, and another one began.
        let first = super::examine_after(&server.context, 0).await.unwrap();
        let second = super::examine_after(&server.context, 0).await.unwrap();
        super::conclude_all(&server.context, first).await.unwrap();
        assert_eq!(server.shown(&delivery).await["state"], "disputed");
        let third = server.device("Zoe").await;
        server.plan_at(&delivery, third.id(), "2027-01-15T10:30:00Z").await;
        super::conclude_all(&server.context, second).await.unwrap();
        assert_eq!(server.shown(&delivery).await["state"], "planned");
    }

    #[tokio::test]
    async fn a_third_driver_can_deliver_what_an_old_device_disputed() {
        let (server, [mut old, mut second], delivery) = reassigned().await;
        old.sync(&server).await;
        server.run_jobs().await;
        assert_eq!(server.shown(&delivery).await["state"], "disputed");
        let mut third = server.device("Zoe").await;
        let (status, planned) = server.plan_at(&delivery, third.id(), "2027-01-15T10:30:00Z").await;
        assert_eq!((status, &planned["state"]), (200, &json!("planned")), "{planned}");
        third.sync(&server).await;
        server.run_jobs().await;
        let code = server.code(2);
        third.present(&delivery, &code, server.clock.now()).unwrap();
        // The second driver's claim was superseded too, and disputes once more.
        second.sync(&server).await;
        server.run_jobs().await;
        third.sync(&server).await;
        server.run_jobs().await;
        let delivered = server.shown(&delivery).await;
        assert_eq!(delivered["state"], "delivered");
        assert_eq!(verdicts(&delivered), ["superseded", "superseded", "match"]);
        let (status, problem) = server.plan(&delivery, third.id()).await;
        assert_eq!((status, &problem["code"]), (409, &json!("delivery_closed")));
    }

    #[tokio::test]
    async fn a_claim_that_waits_for_its_verdict_keeps_a_plan_out() {
        let (server, [mut old, mut new], delivery) = reassigned().await;
        old.sync(&server).await;
        server.run_jobs().await;
        new.sync(&server).await;
        let (status, problem) = server.plan(&delivery, new.id()).await;
        assert_eq!((status, &problem["code"]), (409, &json!("delivery_closed")), "{problem}");
    }

    #[tokio::test]
    async fn the_order_in_which_two_drivers_sync_decides_nothing() {
        for order in [[0, 1], [1, 0]] {
            let (server, mut devices, delivery) = reassigned().await;
            for index in order {
                devices[index].sync(&server).await;
                server.run_jobs().await;
            }
            let delivered = server.shown(&delivery).await;
            assert_eq!(delivered["state"], "delivered");
            let mut verdicts = verdicts(&delivered);
            verdicts.sort_unstable();
            assert_eq!(verdicts, ["match", "superseded"]);
        }
    }

    #[tokio::test]
    async fn a_device_that_syncs_gives_up_a_reassigned_stop() {
        let (server, mut old, delivery, _, old_code) = TestServer::at_the_door().await;
        let new = server.device("Leo").await;
        server.plan_at(&delivery, new.id(), "2027-01-15T10:30:00Z").await;
        old.sync(&server).await;
        let refused = old.present(&delivery, &old_code, server.clock.now()).unwrap_err();
        assert_eq!(refused.code(), "superseded");
        old.sync(&server).await;
        assert_eq!(server.query("SELECT count(*) FROM generations WHERE withdrawn"), 1);
    }

    #[tokio::test]
    async fn an_outcome_that_comes_after_the_window_counts_and_is_marked() {
        let (server, mut device, delivery, _, code) = TestServer::at_the_door().await;
        device.present(&delivery, &code, server.clock.now()).unwrap();
        server.clock.advance(24 * 3600);
        server.run_jobs().await;
        assert_eq!(server.shown(&delivery).await["state"], "expired");
        device.sync(&server).await;
        server.run_jobs().await;
        let late = server.shown(&delivery).await;
        assert_eq!((&late["state"], verdicts(&late)), (&json!("delivered"), vec!["match"]));
        assert_eq!(late["claims"][0]["late_possible"], true);
    }

    #[tokio::test]
    async fn an_outcome_certainly_after_the_window_is_disputed() {
        let (server, mut device, delivery, _, code) = TestServer::at_the_door().await;
        let honest = server.clock.now();
        device.present(&delivery, &code, honest).unwrap();
        // The claim as a device with a turned-back clock would write it after a later sync.
        server.execute(
            "UPDATE generations SET window_from = 1800000000 - 20, window_until = 1800000000 - 10",
        );
        device.sync(&server).await;
        server.run_jobs().await;
        let disputed = server.shown(&delivery).await;
        assert_eq!(
            (&disputed["state"], verdicts(&disputed)),
            (&json!("disputed"), vec!["outside_window"])
        );
    }

    #[tokio::test]
    async fn a_second_claim_on_one_generation_is_not_compared() {
        let (server, mut device, delivery, stop, code) = TestServer::at_the_door().await;
        let mut copy = device.clone();
        let forged = device.forged(&stop, &code);
        device.present(&delivery, &forged, server.clock.now()).unwrap();
        device.upload(&server).await;
        copy.present(&delivery, &code, server.clock.now()).unwrap();
        copy.upload(&server).await;
        server.run_jobs().await;
        let disputed = server.shown(&delivery).await;
        assert_eq!(
            (&disputed["state"], verdicts(&disputed)),
            (&json!("disputed"), vec!["mismatch", "repeated"])
        );
    }

    #[tokio::test]
    async fn a_claim_on_another_drivers_stop_says_nothing_about_it() {
        let (server, mut device, delivery, _, code) = TestServer::at_the_door().await;
        let mut thief = server.device("Theo").await;
        thief.upload(&server).await;
        // The route was copied off the first device by whatever means.
        let claim = thief.claim_for(device.stop_of(&delivery), &code, server.clock.now());
        let upload = Upload { device: thief.device.identity().device, claims: vec![claim.into()] };
        let (status, _) = thief.send(&server, &upload).await;
        assert_eq!(status, 200);
        server.run_jobs().await;
        let untouched = server.shown(&delivery).await;
        assert_eq!((&untouched["state"], verdicts(&untouched)), (&json!("notified"), vec!["void"]));
        device.present(&delivery, &code, server.clock.now()).unwrap();
        device.sync(&server).await;
        server.run_jobs().await;
        assert_eq!(server.shown(&delivery).await["state"], "delivered");
    }

    #[tokio::test]
    async fn claims_that_cannot_be_read_are_set_aside_and_keep_no_other_up() {
        let server = TestServer::new().await;
        let mut device = server.device("Marta").await;
        let references = ["A", "B", "C", "D"];
        let mut deliveries = Vec::new();
        for reference in references {
            let delivery = server.delivery(reference).await;
            server.plan(&delivery, device.id()).await;
            deliveries.push(delivery);
        }
        device.sync(&server).await;
        server.clock.advance(2 * 3600);
        server.run_jobs().await;
        for delivery in &deliveries {
            let sent = server.messages();
            let index = sent.iter().position(|sent| sent["delivery"] == **delivery).unwrap();
            device.present(delivery, &server.code(index), server.clock.now()).unwrap();
        }
        device.upload(&server).await;
        // A document that is none, one with another signature, and a generation out of bounds.
        let damages = [
            "document = x'00'".to_owned(),
            "document = CAST(substr(document, 1, length(document) - 1) || x'00' AS BLOB)"
                .to_owned(),
            "generation = -1".to_owned(),
        ];
        for (number, damage) in (1..).zip(&damages) {
            server.execute(&format!("UPDATE claims SET {damage} WHERE number = {number}"));
        }
        server.run_jobs().await;
        assert_eq!(server.query("SELECT count(*) FROM claims WHERE verdict IS NULL"), 0);
        assert_eq!(server.query("SELECT count(*) FROM claims WHERE verdict = 'unchecked'"), 3);
        for delivery in &deliveries[..3] {
            // What cannot be read cannot be listed either.
            let state =
                format!("SELECT state = 'disputed' FROM deliveries WHERE id = '{delivery}'");
            assert_eq!(server.query(&state), 1);
        }
        assert_eq!(server.shown(&deliveries[3]).await["state"], "delivered");
    }

    #[tokio::test]
    async fn a_claim_whose_codes_were_erased_is_not_called_wrong() {
        let (server, mut device, delivery, _, code) = TestServer::at_the_door().await;
        device.present(&delivery, &code, server.clock.now()).unwrap();
        server.execute("DELETE FROM held_codes");
        device.sync(&server).await;
        server.run_jobs().await;
        assert_eq!(verdicts(&server.shown(&delivery).await), ["unchecked"]);
    }

    #[tokio::test]
    async fn a_typo_that_passed_the_device_is_disputed_and_said() {
        let (server, mut device, delivery, stop, code) = TestServer::at_the_door().await;
        // A code one symbol off passes the device's 13 bits once in 8,192; the claim is made
        // without asking the device.
        let typo = format!("{}{}", if code.starts_with('1') { '2' } else { '1' }, &code[1..]);
        let claim = device.claim_for(&stop, &typo, server.clock.now());
        let upload = Upload { device: device.device.identity().device, claims: vec![claim.into()] };
        device.send(&server, &upload).await;
        server.run_jobs().await;
        let delivered = server.shown(&delivery).await;
        assert_eq!(
            (&delivered["state"], verdicts(&delivered)),
            (&json!("disputed"), vec!["match_with_typo"])
        );
    }
}
