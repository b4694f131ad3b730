//! Issues a pass for a lock, a group of locks, or a booking.

use super::terms::{AskedTerms, AskedUses};
use super::view::PassView;
use crate::api::v1::{bookings, locks};
use crate::context::Context;
use crate::http::extract::ApiJson;
use crate::http::problem::{Code, Problem, ProblemBody};
use crate::passes::{self, Place, Terms};
use crate::store::lock_groups;
use crate::store::passes::Kind;
use crate::{text, utc};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use doorstep::pass::issue::LONGEST_WINDOW;
use doorstep::time::{Timestamp, Window};
use rusqlite::Connection;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// A pass to be: for one of a lock, a group and a booking.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreatePass {
    /// The lock's id.
    #[schema(example = "lck_01m7zpcgdg2c2rbw8qte4qcp8y")]
    #[serde(default)]
    lock: Option<String>,
    /// A group of locks, all of which it opens.
    #[serde(default)]
    group: Option<String>,
    /// The id of a booking, for exactly the window that it was asked for.
    #[serde(default)]
    booking: Option<String>,
    /// When it begins, in any zone; not with a booking. A lock opens from a quarter of an hour before.
    #[schema(example = "2026-11-22T18:00:00+01:00")]
    #[serde(default)]
    from: Option<String>,
    /// When it ends, at most 400 days after; not with a booking. A lock opens until a quarter of an hour after.
    #[schema(example = "2026-11-22T19:00:00+01:00")]
    #[serde(default)]
    until: Option<String>,
    /// `signed` (when left out), `mac` under the lock's own key, which is shorter, or `encrypted` under such a key,
    /// which nobody else can read.
    #[schema(example = "signed")]
    #[serde(default)]
    kind: Option<String>,
    /// Whose it is. `bearer` (when left out): whoever shows it. A public key as `p256:` or `ed25519:` and base64url
    /// of its 33 or 32 bytes: the phone that has the private one. `collect`: the phone that shows the ticket first.
    #[schema(example = "collect")]
    #[serde(default)]
    holder: Option<String>,
    /// `many` (when left out), `once`, or a number from 1 to 255. What is counted opens one lock.
    #[serde(default)]
    uses: Option<AskedUses>,
    /// For how many minutes from its first use it opens, at one lock; its whole window when left out.
    #[schema(minimum = 1, example = 120)]
    #[serde(default)]
    lasts_minutes: Option<u32>,
    /// Whether the lock must know the time within a quarter of an hour.
    #[serde(default)]
    exact: bool,
    /// Whether the door may be held open.
    #[serde(default)]
    passage: bool,
    /// The business's own name for it, 1 to 64 characters.
    #[schema(min_length = 1, max_length = 64)]
    #[serde(default)]
    reference: Option<String>,
    /// Of a signed pass: `ed25519` (when left out) or `esp256`.
    #[serde(default)]
    algorithm: Option<String>,
}

/// Where and when.
enum Asked {
    Lock(String, Window),
    Group(String, Window),
    Booking(String),
}

/// Issues a pass. The answer has its document, or the ticket with which a phone collects it.
#[utoipa::path(post, path = "/v1/passes", tag = "passes", operation_id = "create_pass",
    security(("api_key" = [])), request_body = CreatePass,
    responses((status = 201, description = "the pass", body = PassView), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json"), (status = 503, description = "the server's clock went back",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    ApiJson(request): ApiJson<CreatePass>,
) -> Result<(StatusCode, Json<PassView>), Problem> {
    let now = context.now();
    let reference = request.reference.clone();
    if let Some(reference) = &reference {
        text::reference(reference).map_err(|error| Problem::field("reference", error))?;
    }
    let (asked, terms) = request.read(now)?;
    let inner = Arc::clone(&context);
    let view = context
        .store
        .write(move |connection| {
            let (place, window, booking) = find(connection, asked, &terms, now)?;
            let of = (booking, reference);
            let issued = passes::issue(connection, &inner, &place, window, of, &terms, now)?;
            PassView::issued(connection, &issued, &place, now)
        })
        .await?;
    Ok((StatusCode::CREATED, Json(view)))
}

impl CreatePass {
    fn read(self, now: Timestamp) -> Result<(Asked, Terms), Problem> {
        let window = || window(self.from.as_deref(), self.until.as_deref(), now);
        let asked = match (self.lock, self.group, self.booking) {
            (Some(lock), None, None) => Asked::Lock(lock, window()?),
            (None, Some(group), None) => Asked::Group(group, window()?),
            (None, None, Some(booking)) => {
                for (field, time) in [("from", &self.from), ("until", &self.until)] {
                    if time.is_some() {
                        return Err(Problem::field(field, "is the booking's own"));
                    }
                }
                Asked::Booking(booking)
            }
            _ => {
                return Err(Problem::field(
                    "lock",
                    "is missing; name one of lock, group and booking",
                ));
            }
        };
        let terms = AskedTerms {
            kind: self.kind,
            holder: self.holder,
            uses: self.uses,
            lasts_minutes: self.lasts_minutes,
            exact: self.exact,
            passage: self.passage,
            algorithm: self.algorithm,
        };
        Ok((asked, terms.read("")?))
    }
}

fn window(from: Option<&str>, until: Option<&str>, now: Timestamp) -> Result<Window, Problem> {
    let read = |field: &str, text: Option<&str>| {
        let text = text.ok_or_else(|| Problem::field(field, "is missing"))?;
        utc::read(text).map_err(|error| Problem::field(field, error))
    };
    let (from, until) = (read("from", from)?, read("until", until)?);
    let window =
        Window::new(from, until).ok_or_else(|| Problem::field("until", "is not after from"))?;
    if window.length() > LONGEST_WINDOW {
        return Err(Problem::field("until", "is more than 400 days after from"));
    }
    if until <= now {
        return Err(Problem::field("until", "is over"));
    }
    Ok(window)
}

/// Finds where the pass is to open. What is counted opens one lock, since no other one would know of its uses;
/// and what is under a lock's own key opens that lock alone.
fn find(
    connection: &Connection,
    asked: Asked,
    terms: &Terms,
    now: Timestamp,
) -> Result<(Place, Window, Option<i64>), Problem> {
    Ok(match asked {
        Asked::Lock(id, window) => (Place::of_lock(locks::find(connection, &id)?), window, None),
        Asked::Booking(id) => {
            let (booking, lock) = bookings::find_standing(connection, &id)?;
            if booking.asked.until() <= now {
                return Err(Problem::new(Code::BookingOver, "this booking is over")
                    .hint("make a new one: POST /v1/bookings"));
            }
            (Place::of_lock(lock), booking.asked, Some(booking.seq))
        }
        Asked::Group(name, window) => {
            for (field, is_wrong) in [
                ("uses", terms.scope.uses.most().is_some()),
                ("lasts_minutes", terms.lasts.is_some()),
                ("kind", terms.kind != Kind::Signed),
            ] {
                if is_wrong {
                    return Err(Problem::field(field, "needs one lock, not a group"));
                }
            }
            let group = lock_groups::find(connection, &name)?.ok_or_else(|| {
                Problem::new(Code::UnknownGroup, "no lock is in a group of this name")
                    .hint("groups are named when a lock is made: POST /v1/locks")
            })?;
            (Place::of_group(connection, group)?, window, None)
        }
    })
}

#[cfg(test)]
mod tests {
    use crate::test_lock::{at, seconds};
    use crate::test_pass::{TestPhone, bytes, content};
    use crate::test_server::TestServer;
    use doorstep::pass::document::Content;
    use doorstep::pass::text;
    use serde_json::{Value, json};

    #[tokio::test]
    async fn a_pass_opens_its_lock_in_its_window_and_no_other_lock() {
        let server = TestServer::new().await;
        let mut court = server.lock("1", json!({"kind": "courts"})).await;
        let other = server.lock("2", json!({"kind": "courts"})).await;
        let pass = server.pass(&court.id, "10:00", "11:00", json!({"reference": "R-1"})).await;
        assert_eq!((&pass["state"], &pass["kind"]), (&json!("issued"), &json!("signed")));
        assert_eq!((&pass["lock"], &pass["group"]), (&json!(court.id), &Value::Null));
        assert_eq!((&pass["bearer"], &pass["holder"]), (&json!(true), &Value::Null));
        assert_eq!((&pass["uses"], &pass["uses_seen"]), (&json!("many"), &json!(0)));
        assert_eq!((&pass["from"], &pass["until"]), (&json!(at("10:00")), &json!(at("11:00"))));
        assert_eq!((&pass["warnings"], &pass["revocation"]), (&json!([]), &Value::Null));
        let id = pass["id"].as_str().unwrap();
        assert_eq!(id.len(), 16);
        let document = bytes(&pass["document"]);
        assert!(document.len() <= 123, "{}", document.len());
        assert_eq!(pass["qr"]["version"], 8);
        assert!(pass["qr"]["svg"].as_str().unwrap().starts_with("<svg"));
        let read = text::read(pass["text"].as_str().unwrap()).unwrap();
        assert_eq!(read.as_ref(), document);
        let Content::Pass(said) = content(&pass["document"]) else { panic!("a rider") };
        assert_eq!(crate::hex::encode(said.id.as_bytes()), id);
        assert_eq!(said.issued_at.unwrap().seconds(), server.now());
        assert_eq!(court.refuses_pass(&pass, seconds("09:44")), Some("not_yet_valid"));
        assert_eq!(court.refuses_pass(&pass, seconds("11:16")), Some("expired"));
        assert_eq!(other.refuses_pass(&pass, seconds("10:00")), Some("wrong_code"));
        for time in ["09:46", "10:30", "11:14"] {
            court.tap(&pass, seconds(time)).unwrap();
        }
        server.clock.set(seconds("11:15"));
        let told = court.bring_home(&server).await;
        assert_eq!((&told["openings"], &told["refused"]), (&json!(3), &json!(0)));
        let shown = server.shown_pass(&pass).await;
        assert_eq!(
            (&shown["uses_seen"], &shown["first_used_at"]),
            (&json!(3), &json!(at("09:46")))
        );
        assert_eq!(shown["state"], "expired");
        assert!(shown.get("document").is_none());
    }

    #[tokio::test]
    async fn a_pass_of_a_holder_needs_the_holders_key() {
        let server = TestServer::new().await;
        let mut lock = server.lock("1", json!({"kind": "courts"})).await;
        let (phone, thief) = (TestPhone::new(1), TestPhone::new(2));
        let more = json!({"holder": phone.holder(), "passage": true, "exact": true});
        let pass = server.pass(&lock.id, "10:00", "11:00", more).await;
        assert_eq!((&pass["holder"], &pass["bearer"]), (&json!(phone.holder()), &json!(false)));
        assert!(bytes(&pass["document"]).len() <= 168);
        assert_eq!(pass["qr"]["version"], 9);
        let ten = seconds("10:00");
        assert_eq!(lock.refuses_pass(&pass, ten), Some("wrong_code"), "a copy");
        let refused = lock.clone().tap_with(&thief, &pass, ten).unwrap_err();
        assert_eq!(refused.code(), "wrong_code");
        lock.tap_with(&phone, &pass, ten).unwrap();
    }

    #[tokio::test]
    async fn counted_passes_open_as_often_as_they_say() {
        let server = TestServer::new().await;
        let mut lock = server.lock("1", json!({"kind": "courts"})).await;
        let once = server.pass(&lock.id, "10:00", "14:00", json!({"uses": "once"})).await;
        let thrice = server.pass(&lock.id, "10:00", "14:00", json!({"uses": 3})).await;
        let hours = server.pass(&lock.id, "10:00", "20:00", json!({"lasts_minutes": 120})).await;
        assert_eq!((&thrice["uses"], &hours["lasts_seconds"]), (&json!(3), &json!(7200)));
        let ten = seconds("10:00");
        lock.tap(&once, ten).unwrap();
        assert_eq!(lock.refuses_pass(&once, ten), Some("already_used"));
        for _ in 0..3 {
            lock.tap(&thrice, ten).unwrap();
        }
        assert_eq!(lock.refuses_pass(&thrice, ten), Some("already_used"));
        lock.tap(&hours, seconds("11:00")).unwrap();
        assert_eq!(lock.refuses_pass(&hours, seconds("13:00")), None);
        assert_eq!(lock.refuses_pass(&hours, seconds("13:16")), Some("expired"));
    }

    #[tokio::test]
    async fn a_group_is_opened_together_and_by_nothing_that_is_counted() {
        let server = TestServer::new().await;
        let make = |name: &str, site: &str, groups: Value| json!({"site": site, "name": name, "profile": {"kind": "courts"}, "groups": groups});
        let mut first = server.lock_with(make("1", "north", json!(["courts", "all"]))).await;
        let second = server.lock_with(make("2", "north", json!(["courts"]))).await;
        let alone = server.lock_with(make("3", "north", json!([]))).await;
        let (status, problem) = server.post("/v1/locks", make("1", "south", json!(["all"]))).await;
        assert_eq!((status, &problem["code"]), (409, &json!("group_taken")));
        let body = |more: Value| {
            let mut body = json!({"group": "courts", "from": at("10:00"), "until": at("11:00")});
            for (field, value) in more.as_object().unwrap() {
                body[field] = value.clone();
            }
            body
        };
        let (status, pass) = server.post("/v1/passes", body(json!({}))).await;
        assert_eq!((status, &pass["group"]), (201, &json!("courts")), "{pass}");
        let ten = seconds("10:00");
        first.tap(&pass, ten).unwrap();
        assert_eq!(second.refuses_pass(&pass, ten), None);
        assert_eq!(alone.refuses_pass(&pass, ten), Some("wrong_code"));
        for (more, field) in [
            (json!({"uses": "once"}), "uses"),
            (json!({"lasts_minutes": 5}), "lasts_minutes"),
            (json!({"kind": "mac"}), "kind"),
            (json!({"kind": "encrypted"}), "kind"),
        ] {
            let (status, problem) = server.post("/v1/passes", body(more)).await;
            assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!(field)));
        }
        let mut unknown = body(json!({}));
        unknown["group"] = json!("pools");
        let (status, problem) = server.post("/v1/passes", unknown).await;
        assert_eq!((status, &problem["code"]), (404, &json!("unknown_group")));
    }

    #[tokio::test]
    async fn locks_take_what_they_were_made_for() {
        let server = TestServer::new().await;
        let make = |name: &str, takes: &str| json!({"site": "s", "name": name, "profile": {"kind": "courts"}, "passes": takes});
        let mut small = server.lock_with(make("1", "mac")).await;
        let other = server.lock_with(make("2", "mac")).await;
        let none = server.lock_with(make("3", "none")).await;
        let signed = server.lock_with(make("4", "signed")).await;
        let kind = json!({"kind": "mac"});
        let pass = server.pass(&small.id, "10:00", "11:00", kind.clone()).await;
        assert!(bytes(&pass["document"]).len() <= 66);
        assert_eq!(pass["qr"]["version"], 5);
        small.tap(&pass, seconds("10:00")).unwrap();
        assert_eq!(other.refuses_pass(&pass, seconds("10:00")), Some("wrong_code"));
        let mut both = signed;
        for kind in ["mac", "encrypted"] {
            let pass = server.pass(&both.id, "10:00", "11:00", json!({"kind": kind})).await;
            assert_eq!((&pass["kind"], &pass["warnings"]), (&json!(kind), &json!([])));
            both.tap(&pass, seconds("10:00")).unwrap();
            assert_eq!(small.refuses_pass(&pass, seconds("10:00")), Some("wrong_code"));
        }
        let phone = TestPhone::new(3);
        let more = json!({"kind": "encrypted", "holder": phone.holder(), "uses": "once"});
        let pass = server.pass(&small.id, "10:00", "11:00", more).await;
        assert_eq!(small.refuses_pass(&pass, seconds("10:00")), Some("wrong_code"), "a copy");
        small.tap_with(&phone, &pass, seconds("10:00")).unwrap();
        let again = small.tap_with(&phone, &pass, seconds("10:00")).unwrap_err();
        assert_eq!(again.code(), "already_used");
        for (lock, more) in [(&small, json!({})), (&none, json!({})), (&none, kind)] {
            let (status, problem) = server.try_pass(&lock.id, "10:00", "11:00", more).await;
            assert_eq!((status, &problem["code"]), (422, &json!("not_taken")));
        }
    }

    #[tokio::test]
    async fn what_is_no_pass_is_refused_with_its_field() {
        let server = TestServer::new().await;
        let lock = server.lock("1", json!({"kind": "courts"})).await;
        for (more, field) in [
            (json!({"kind": "paper"}), "kind"),
            (json!({"holder": "me"}), "holder"),
            (json!({"holder": "p256:AAAA"}), "holder"),
            (json!({"uses": 0}), "uses"),
            (json!({"uses": 256}), "uses"),
            (json!({"uses": "twice"}), "uses"),
            (json!({"lasts_minutes": 0}), "lasts_minutes"),
            (json!({"lasts_minutes": 600_000}), "lasts_minutes"),
            (json!({"algorithm": "rsa"}), "algorithm"),
            (json!({"algorithm": "ed25519", "kind": "mac"}), "algorithm"),
            (json!({"reference": " x"}), "reference"),
            (json!({"until": at("10:00")}), "until"),
            (json!({"until": "2028-02-21T00:00:00Z"}), "until"),
            (json!({"from": at("06:00"), "until": at("07:00")}), "until"),
            (json!({"from": null}), "from"),
            (json!({"group": "courts"}), "lock"),
            (json!({"lock": null}), "lock"),
        ] {
            let (status, problem) = server.try_pass(&lock.id, "10:00", "11:00", more.clone()).await;
            assert_eq!(status, 422, "{more} {problem}");
            assert_eq!(problem["errors"][0]["field"], field, "{more} {problem}");
        }
        let (status, problem) =
            server.try_pass(&lock.id, "10:00", "11:00", json!({"algorithm": "esp256"})).await;
        assert_eq!((status, &problem["code"]), (409, &json!("no_such_key")));
        let (status, problem) = server.try_pass("lck_0", "10:00", "11:00", json!({})).await;
        assert_eq!((status, &problem["code"]), (404, &json!("unknown_lock")));
        assert_eq!(server.query("SELECT count(*) FROM passes"), 0);
    }

    /// The lock remembers 32; the 33rd would be refused at the door.
    #[tokio::test]
    async fn no_more_are_counted_than_the_lock_remembers() {
        let server = TestServer::new().await;
        let mut lock = server.lock("1", json!({"kind": "courts"})).await;
        let once = json!({"uses": "once"});
        let mut passes = Vec::new();
        for _ in 0..32 {
            passes.push(server.pass(&lock.id, "10:00", "11:00", once.clone()).await);
        }
        let (status, problem) = server.try_pass(&lock.id, "10:30", "12:00", once.clone()).await;
        assert_eq!((status, &problem["code"]), (409, &json!("lock_full")));
        server.pass(&lock.id, "10:00", "11:00", json!({})).await;
        server.pass(&lock.id, "15:00", "16:00", once.clone()).await;
        for pass in &passes {
            lock.tap(pass, seconds("10:00")).unwrap();
        }
        let waiting =
            server.pass(&lock.id, "20:00", "21:00", json!({"holder": "collect", "uses": 1}));
        let waiting = waiting.await;
        for _ in 0..31 {
            server.pass(&lock.id, "20:00", "21:00", once.clone()).await;
        }
        assert_eq!(server.try_pass(&lock.id, "20:00", "21:00", once.clone()).await.0, 409);
        server.revoke_pass(&waiting).await;
        server.pass(&lock.id, "20:00", "21:00", once).await;
    }

    #[tokio::test]
    async fn a_server_whose_clock_went_back_signs_nothing() {
        let server = TestServer::new().await;
        let lock = server.lock("1", json!({"kind": "courts"})).await;
        let pass = server.pass(&lock.id, "10:00", "11:00", json!({})).await;
        let revoked = server.pass(&lock.id, "10:00", "11:00", json!({})).await;
        server.revoke_pass(&revoked).await;
        server.clock.set(server.now() - 61);
        let (status, problem) = server.try_pass(&lock.id, "10:00", "11:00", json!({})).await;
        assert_eq!((status, &problem["code"]), (503, &json!("clock_disagrees")));
        let path = format!("/v1/passes/{}?document=true", pass["id"].as_str().unwrap());
        assert_eq!(server.get(&path).await.0, 503);
        assert_eq!(server.get(&format!("/v1/locks/{}/riders", lock.id)).await.0, 503);
        assert_eq!(server.query("SELECT count(*) FROM passes"), 2);
        server.clock.advance(1);
        server.pass(&lock.id, "10:00", "11:00", json!({})).await;
    }
}
