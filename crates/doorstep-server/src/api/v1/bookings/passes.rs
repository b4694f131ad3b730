//! The passes of a booking: given with it, moved with it, and revoked with it.

use crate::context::Context;
use crate::http::problem::Problem;
use crate::passes::{self, Issued, Place, Terms};
use crate::store::bookings::Booking;
use crate::store::locks::Lock;
use crate::store::passes as stored;
use doorstep::time::Timestamp;
use rusqlite::Connection;

/// Gives passes of one lock's bookings, inside a job that nothing comes between.
pub(super) struct Passes<'a> {
    pub(super) connection: &'a Connection,
    pub(super) now: Timestamp,
    context: &'a Context,
    place: Place,
}

impl<'a> Passes<'a> {
    pub(super) fn new(
        connection: &'a Connection,
        context: &'a Context,
        lock: &Lock,
        now: Timestamp,
    ) -> Self {
        Self { connection, now, context, place: Place::of_lock(lock.clone()) }
    }

    /// Gives a booking a pass for exactly the window that was asked for.
    pub(super) fn give(&self, booking: &Booking, terms: &Terms) -> Result<Issued, Problem> {
        let of = (Some(booking.seq), None);
        let Self { connection, context, ref place, now } = *self;
        passes::issue(connection, context, place, booking.asked, of, terms, now)
    }

    /// Gives a booking that has passes one more, as the first.
    pub(super) fn add(&self, booking: &Booking) -> Result<Vec<Issued>, Problem> {
        if !booking.access.has_passes() {
            return Ok(Vec::new());
        }
        let first = stored::of_booking(self.connection, booking.seq)?;
        let given = first.first().map(|first| self.give(booking, &Terms::for_another(first)));
        Ok(given.transpose()?.into_iter().collect())
    }

    /// Revokes the passes of a booking that stand, and gives each of them anew for its window of now. Phones
    /// that collected one are handed its successor as they sync.
    pub(super) fn move_to(&self, booking: &Booking) -> Result<Vec<Issued>, Problem> {
        let revoked = self.revoke(booking)?;
        let again = |pass: &stored::Pass| {
            let issued = self.give(booking, &Terms::of(pass))?;
            stored::replace(self.connection, pass.seq, issued.pass.seq)?;
            Ok(issued)
        };
        revoked.iter().map(again).collect()
    }

    /// Revokes the passes of a booking that stand.
    pub(super) fn revoke(&self, booking: &Booking) -> Result<Vec<stored::Pass>, Problem> {
        let mut standing = stored::of_booking(self.connection, booking.seq)?;
        standing.retain(|pass| pass.revoked_at.is_none());
        for pass in &standing {
            stored::revoke(self.connection, pass.seq, self.now)?;
        }
        Ok(standing)
    }
}

#[cfg(test)]
mod tests {
    use crate::test_lock::{at, pin, seconds};
    use crate::test_pass::TestPhone;
    use crate::test_server::TestServer;
    use serde_json::{Value, json};

    #[tokio::test]
    async fn a_booking_gives_a_pin_a_pass_or_both() {
        let server = TestServer::new().await;
        let mut lock = server.lock("1", json!({"kind": "courts"})).await;
        let more = json!({"access": "both", "holders": 2, "pass": {"uses": "once"}});
        let (status, both) = server.try_book(&lock.id, "10:05", "10:50", more).await;
        assert_eq!((status, &both["access"]), (201, &json!("both")), "{both}");
        assert_eq!(both["holders"].as_array().unwrap().len(), 2);
        let passes = both["passes"].as_array().unwrap();
        assert_eq!((passes.len(), &passes[0]["uses"]), (2, &json!("once")));
        assert_eq!(passes[0]["from"], at("10:05"), "as it was asked for");
        lock.press(&pin(&both, 0), seconds("10:05")).unwrap();
        lock.tap(&passes[0], seconds("10:05")).unwrap();
        lock.tap(&passes[1], seconds("10:06")).unwrap();
        let (_, pass) =
            server.try_book(&lock.id, "12:00", "13:00", json!({"access": "pass"})).await;
        assert_eq!((&pass["holders"], &pass["access"]), (&json!([]), &json!("pass")));
        lock.tap(&pass["passes"][0], seconds("12:00")).unwrap();
        assert!(server.booking(&pass).await["passes"][0].get("document").is_none());
        let (status, problem) = server.try_book(&lock.id, "12:00", "13:00", json!({})).await;
        assert_eq!((status, &problem["code"]), (409, &json!("window_unavailable")), "it is taken");
        let path = format!("holders/{}/renew", 0);
        let path = format!("/v1/bookings/{}/{path}", pass["id"].as_str().unwrap());
        assert_eq!(server.post(&path, json!({})).await.0, 404, "it has no PIN");
        let pin_only = server.book(&lock.id, "14:00", "15:00").await;
        assert_eq!((&pin_only["access"], &pin_only["passes"]), (&json!("pin"), &json!([])));
        for (more, field) in [
            (json!({"access": "key"}), "access"),
            (json!({"pass": {}}), "pass"),
            (json!({"access": "pass", "pass": {"uses": "never"}}), "pass.uses"),
        ] {
            let (status, problem) = server.try_book(&lock.id, "16:00", "17:00", more).await;
            assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!(field)));
        }
        let none = server
            .lock_with(
                json!({"site": "s", "name": "2", "profile": {"kind": "courts"}, "passes": "none"}),
            )
            .await;
        let both = json!({"access": "both"});
        let (status, problem) = server.try_book(&none.id, "10:00", "11:00", both).await;
        assert_eq!((status, &problem["code"]), (422, &json!("not_taken")));
        assert_eq!(server.query("SELECT count(*) FROM bookings"), 3);
    }

    #[tokio::test]
    async fn passes_move_with_their_booking_and_end_with_it() {
        let server = TestServer::new().await;
        let mut lock = server.lock("1", json!({"kind": "courts"})).await;
        let phone = TestPhone::new(1);
        let more = json!({"access": "pass", "pass": {"holder": phone.holder()}});
        let (_, booking) = server.try_book(&lock.id, "10:00", "11:00", more).await;
        let to = json!({"from": at("10:00"), "until": at("11:00")});
        let same = server.to_booking(&booking, "change", to).await;
        assert_eq!(same["passes"].as_array().unwrap().len(), 1, "nothing moved");
        // The same window of PINs, and another of passes.
        let to = json!({"from": at("10:10"), "until": at("11:00")});
        let moved = server.to_booking(&booking, "change", to).await;
        let [old, new] = moved["passes"].as_array().unwrap().as_slice() else { panic!("{moved}") };
        assert_eq!((&old["state"], &new["state"]), (&json!("revoked"), &json!("issued")));
        assert_eq!(old["revocation"]["takes_effect"], "when_list_delivered");
        assert_eq!((&new["holder"], &new["from"]), (&json!(phone.holder()), &json!(at("10:10"))));
        lock.tap_with(&phone, new, seconds("10:10")).unwrap();
        let riders = server.riders(&lock.id).await;
        assert_eq!(lock.bring_riders(&riders["documents"], seconds("10:11")), 1);
        let first = &booking["passes"][0];
        let refused = lock.clone().tap_with(&phone, first, seconds("10:12")).unwrap_err();
        assert_eq!(refused.code(), "revoked");
        let friend = server.to_booking(&booking, "holders", json!({})).await;
        let friend = &friend["passes"][2];
        assert_eq!((&friend["state"], friend["ticket"].is_string()), (&json!("waiting"), true));
        let cancelled = server.to_booking(&booking, "cancel", json!({})).await;
        let said: Vec<&Value> = cancelled["passes"].as_array().unwrap().iter().collect();
        assert!(said.iter().all(|pass| pass["state"] == "revoked"));
        assert_eq!(said[1]["revocation"]["takes_effect"], "when_list_delivered");
        let never = &said[2]["revocation"];
        assert_eq!((&never["takes_effect"], never["done_at"].is_string()), (&json!("now"), true));
        server.clock.set(seconds("10:12"));
        lock.bring_home(&server).await;
        let booking = server.booking(&booking).await;
        let done = &booking["passes"][0]["revocation"];
        assert_eq!((&done["takes_effect"], done["done_at"].is_string()), (&json!("now"), true));
        assert_eq!(booking["passes"][1]["revocation"]["done_at"], Value::Null);
    }
}
