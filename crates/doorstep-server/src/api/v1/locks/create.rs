//! Makes a lock, and shows the bundle that it is provisioned with.

use super::passes::{self, Asked};
use super::profile::CreateProfile;
use super::{LockView, ProvisionedLock, find};
use crate::context::Context;
use crate::http::extract::ApiJson;
use crate::http::problem::{Code, FieldError, Problem, ProblemBody};
use crate::ids::make_id;
use crate::lock_keys;
use crate::store::locks::{self, Lock};
use crate::store::{set_times, sites};
use crate::text;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use doorstep::clock::{AfterPowerLoss, Clock, Oscillator};
use doorstep::id::LockId;
use doorstep::ledger::Head;
use doorstep::otp::Digits;
use doorstep::otp::totp::{PERIOD_30, Totp};
use doorstep::pass::claims::Audience;
use serde::Deserialize;
use std::num::NonZeroU64;
use std::sync::Arc;
use utoipa::ToSchema;

/// Seconds that the codes of a door may be current.
const PERIODS: std::ops::RangeInclusive<u64> = 10..=300;

/// A lock to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateLock {
    /// Where it is: 1 to 64 characters. A site that is named for the first time gets a key of its own.
    #[schema(example = "Riverside", min_length = 1, max_length = 64)]
    site: String,
    /// What it is called: 1 to 64 characters, and no other lock of the site is.
    #[schema(example = "Court 3", min_length = 1, max_length = 64)]
    name: String,
    profile: CreateProfile,
    /// What counts its seconds: `crystal` (when left out), `compensated` or `calibrated`.
    #[schema(example = "crystal")]
    #[serde(default)]
    oscillator: Option<String>,
    /// What it does when its power was off: `need_time` (when left out) opens for nobody until somebody sets
    /// the time; `trust_90min` goes on, and who can cut the power can stretch a PIN by as long.
    #[schema(example = "need_time")]
    #[serde(default)]
    after_power_loss: Option<String>,
    /// For a door that also takes TOTP codes. It needs `need_time`.
    #[serde(default)]
    totp: Option<CreateTotp>,
    /// Which passes it takes: `signed` (when left out) takes those of every kind, `mac` those under its own key,
    /// for locks too small for signatures, `none` no pass.
    #[schema(example = "signed")]
    #[serde(default)]
    passes: Option<String>,
    /// Groups of locks of the site that it is in, at most 4: 1 to 14 characters of `a-z 0-9 _ -`. A signed pass
    /// may open all locks of a group.
    #[serde(default)]
    groups: Vec<String>,
}

/// The TOTP codes of a door.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateTotp {
    /// 6 to 8, and not as many as PINs have; 8 when left out.
    #[schema(minimum = 6, maximum = 8)]
    #[serde(default)]
    digits: Option<u8>,
    /// Seconds that a code is current, 10 to 300; 30 when left out.
    #[schema(minimum = 10, maximum = 300)]
    #[serde(default)]
    period: Option<u64>,
}

/// Makes a lock. Its bundle is shown once.
#[utoipa::path(post, path = "/v1/locks", tag = "locks", operation_id = "create_lock",
    security(("api_key" = [])), request_body = CreateLock,
    responses((status = 201, description = "the lock and its bundle", body = ProvisionedLock), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    ApiJson(request): ApiJson<CreateLock>,
) -> Result<(StatusCode, Json<ProvisionedLock>), Problem> {
    let asked = request.read(&context)?;
    loop {
        let made = make(&context, asked.clone()).await?;
        if let Some(made) = made {
            return Ok((StatusCode::CREATED, Json(made)));
        }
    }
}

/// Makes a lock; `None` when another one has the name that it would have in passes.
async fn make(
    context: &Arc<Context>,
    (mut lock, totp, asked): (Lock, Option<Totp>, Asked),
) -> Result<Option<ProvisionedLock>, Problem> {
    let id = context.with_rng(|rng| make_id("lck", lock.created_at, rng));
    lock.id = LockId::parse(&id).map_err(|error| Problem::internal(&error))?;
    lock.pass_name = Audience::of_lock(&lock.id);
    if let Some(totp) = totp {
        lock.steps = Some(lock_keys::make_steps(context, &id, totp)?);
    }
    let sealed_key = lock_keys::make_site_key(context, &lock.site)?;
    let inner = Arc::clone(context);
    context
        .store
        .write(move |connection| {
            let now = lock.provisioned_at;
            if locks::by_pass_name(connection, &lock.pass_name)?.is_some() {
                return Ok(None);
            }
            let site = match sites::find(connection, &lock.site)? {
                Some(site) => site.seq,
                None => sites::insert(connection, &lock.site, &sealed_key, now)?,
            };
            let seq = locks::insert(connection, site, &lock)?.ok_or_else(duplicate)?;
            let (rotation, _) = passes::provision(connection, (seq, lock.takes), now)?;
            locks::set_rotation(connection, seq, rotation)?;
            asked.join(connection, (site, seq), now)?;
            set_times::tell(connection, now)?;
            let lock = find(connection, &id)?;
            let passes = lock_keys::passes(connection, &lock)?;
            let bundle = lock_keys::bundle(&inner.keys, inner.mode(), &lock, passes)?;
            let view = LockView::new(connection, &lock, now)?;
            Ok::<_, Problem>(Some(ProvisionedLock::new(view, &bundle)))
        })
        .await
}

impl CreateLock {
    fn read(self, context: &Context) -> Result<(Lock, Option<Totp>, Asked), Problem> {
        let mut errors = Vec::new();
        let mut note = |field: &str, message: String| {
            errors.push(FieldError { row: None, field: field.to_owned(), message });
        };
        for (field, text) in [("site", &self.site), ("name", &self.name)] {
            if let Err(error) = text::reference(text) {
                note(field, error.to_string());
            }
        }
        let oscillator = match self.oscillator.as_deref() {
            None => Some(Oscillator::Crystal),
            Some(name) => Oscillator::parse(name),
        };
        if oscillator.is_none() {
            note("oscillator", "is none of crystal, compensated, calibrated".to_owned());
        }
        let after_power_loss = match self.after_power_loss.as_deref() {
            None => Some(AfterPowerLoss::NeedTime),
            Some(name) => AfterPowerLoss::parse(name),
        };
        if after_power_loss.is_none() {
            note("after_power_loss", "is none of need_time, trust_90min".to_owned());
        }
        // After a trusted cut the time is uncertain by 45 minutes, and no window of steps is as wide: such a
        // door would refuse every code, and say that its clock is set.
        if self.totp.is_some() && after_power_loss == Some(AfterPowerLoss::Trust90Min) {
            note("after_power_loss", "is need_time at a door that takes TOTP codes".to_owned());
        }
        let profile = self.profile.read();
        let pins = profile.as_ref().ok().map(|(_, _, profile)| profile.digits().get());
        let totp = self.totp.map(|totp| totp.read(pins)).transpose();
        let asked =
            Asked::read(self.passes.as_deref(), self.groups).map_err(|wrong| errors.push(wrong));
        match (profile, totp, oscillator, after_power_loss, asked) {
            (
                Ok((kind, uses, profile)),
                Ok(totp),
                Some(oscillator),
                Some(after_power_loss),
                Ok(asked),
            ) if errors.is_empty() => {
                let now = context.now();
                // Drawn when it is made.
                let id = LockId::parse("lck").map_err(|error| Problem::internal(&error))?;
                let lock = Lock {
                    seq: 0,
                    pass_name: Audience::of_lock(&id),
                    id,
                    site: self.site,
                    sealed_key: Vec::new(),
                    name: self.name,
                    generation: 1,
                    epoch: 0,
                    announced: false,
                    epoch_at: None,
                    pending: None,
                    kind,
                    uses,
                    profile,
                    clock: Clock { oscillator, after_power_loss },
                    steps: None,
                    takes: asked.takes,
                    rotation: 0,
                    bulletin: 0,
                    created_at: now,
                    provisioned_at: now,
                    head: Head::EMPTY,
                    state: None,
                    last_contact: None,
                    forked_at: None,
                };
                Ok((lock, totp, asked))
            }
            (profile, totp, ..) => {
                errors.extend(profile.err());
                errors.extend(totp.err());
                Err(Problem::fields(errors))
            }
        }
    }
}

impl CreateTotp {
    fn read(&self, pins: Option<u8>) -> Result<Totp, FieldError> {
        let wrong = |field: &str, message: String| FieldError {
            row: None,
            field: format!("totp.{field}"),
            message,
        };
        let digits = self.digits.map_or(Some(Digits::EIGHT), Digits::for_enrolment);
        let digits = digits.ok_or_else(|| wrong("digits", "is not 6 to 8".to_owned()))?;
        if pins == Some(digits.get()) {
            let message = format!(
                "are {}, as many as PINs have: the keypad could not tell them apart",
                digits.get()
            );
            return Err(wrong("digits", message));
        }
        let period = self.period.unwrap_or(PERIOD_30.get());
        let period = NonZeroU64::new(period).filter(|period| PERIODS.contains(&period.get()));
        let period =
            period.ok_or_else(|| wrong("period", "is not 10 to 300 seconds".to_owned()))?;
        Ok(Totp { digits, period, ..Totp::default() })
    }
}

fn duplicate() -> Problem {
    Problem::new(Code::DuplicateName, "another lock of this site has this name")
        .hint("GET /v1/locks?site=...&name=... shows it")
}

#[cfg(test)]
mod tests {
    use crate::test_lock::TestLock;
    use crate::test_server::TestServer;
    use doorstep::door::bundle::Bundle;
    use serde_json::{Value, json};

    #[tokio::test]
    async fn a_lock_says_all_that_can_be_booked_and_how_likely_a_guess_is() {
        let server = TestServer::new().await;
        let body = json!({"site": "demo", "name": "Court 3", "profile": {"kind": "courts"}});
        let (status, made) = server.post("/v1/locks", body).await;
        assert_eq!(status, 201, "{made}");
        let lock = &made["lock"];
        assert_eq!((&lock["generation"], &lock["epoch"]), (&json!(1), &json!(0)));
        assert_eq!((&lock["pending_epoch"], &lock["totp"]), (&Value::Null, &Value::Null));
        let profile = &lock["profile"];
        assert_eq!((&profile["digits"], &profile["exclusive"]), (&json!(9), &json!(true)));
        assert_eq!((&profile["holders"], &profile["generations"]), (&json!(2), &json!(2)));
        assert_eq!((&profile["uses"], &profile["longest_minutes"]), (&json!("many"), &json!(240)));
        assert_eq!(
            profile["grid"][2],
            json!({"minutes": 90, "quantum_minutes": 15, "phase_minutes": 0, "once": false})
        );
        assert!(profile["check_in"].is_null());
        assert_eq!(lock["odds"]["acceptable"], 768);
        assert!(lock["odds"]["robot_year"].as_f64().unwrap() < 0.01);
        let clock = &lock["clock"];
        assert_eq!(
            (&clock["oscillator"], &clock["after_power_loss"]),
            (&json!("crystal"), &json!("need_time"))
        );
        assert_eq!((&clock["health"], &clock["last_contact"]), (&json!("good"), &Value::Null));
        assert_eq!(clock["believes"]["probable"], "2027-01-15T08:00:00Z");
        let bundle = Bundle::parse(made["bundle"].as_str().unwrap()).unwrap();
        assert_eq!(bundle.lock.as_str(), lock["id"]);
        assert!(bundle.test && bundle.steps.is_none());
        let (_, shown) = server.get(&format!("/v1/locks/{}", lock["id"].as_str().unwrap())).await;
        assert_eq!(shown, *lock, "and the bundle is shown once");
    }

    #[tokio::test]
    async fn profiles_are_as_asked_for() {
        let server = TestServer::new().await;
        for (name, profile, grid, digits) in [
            ("a", json!({"kind": "general", "uses": "both", "digits": 10}), 32, 10),
            ("b", json!({"kind": "courts", "uses": "once", "holders": 4, "generations": 4}), 6, 10),
            ("c", json!({"kind": "courts", "holders": 1, "generations": 1, "digits": 6}), 6, 6),
            (
                "d",
                json!({"kind": "stays", "check_in": "13:30", "check_out": "09:00", "nights": 7}),
                7,
                8,
            ),
            (
                "f",
                json!({"kind": "stays", "check_in": "02:00", "check_out": "23:00", "nights": 3}),
                3,
                8,
            ),
            (
                "e",
                json!({"kind": "stays", "check_in": "14:00", "check_out": "14:00", "uses": "both"}),
                28,
                9,
            ),
        ] {
            let body = json!({"site": "demo", "name": name, "profile": profile});
            let (status, made) = server.post("/v1/locks", body).await;
            assert_eq!(status, 201, "{made}");
            let shown = &made["lock"]["profile"];
            assert_eq!(shown["grid"].as_array().unwrap().len(), grid, "{name}");
            assert_eq!(shown["digits"], digits, "{name}");
            for (field, asked) in profile.as_object().unwrap() {
                assert_eq!(shown[field], *asked, "{name} {field}");
            }
        }
    }

    #[tokio::test]
    async fn profiles_that_are_none_are_refused_and_make_no_site() {
        let server = TestServer::new().await;
        let stays = json!({"kind": "stays", "check_in": "14:00", "check_out": "10:00"});
        let with = |field: &str, value: Value| {
            let mut stays = stays.clone();
            stays[field] = value;
            stays
        };
        for (profile, field) in [
            (json!({"kind": "hotel"}), "profile.kind"),
            (json!({"kind": "courts", "check_in": "14:00"}), "profile.check_in"),
            (json!({"kind": "general", "nights": 3}), "profile.nights"),
            (json!({"kind": "stays"}), "profile.check_in"),
            (with("check_in", json!("24:00")), "profile.check_in"),
            (with("check_in", json!("2 pm")), "profile.check_in"),
            (with("check_in", json!("14:0")), "profile.check_in"),
            (with("check_in", json!("+1:00")), "profile.check_in"),
            (with("check_out", json!("14:01")), "profile.check_out"),
            (with("nights", json!(0)), "profile.nights"),
            (with("nights", json!(33)), "profile"),
            (json!({"kind": "courts", "uses": "twice"}), "profile.uses"),
            (json!({"kind": "courts", "holders": 0}), "profile"),
            (json!({"kind": "courts", "holders": 5, "generations": 4}), "profile"),
            (json!({"kind": "courts", "holders": 128, "generations": 2}), "profile"),
            (json!({"kind": "courts", "digits": 5}), "profile.digits"),
            (json!({"kind": "courts", "digits": 11}), "profile.digits"),
            (json!({"kind": "courts", "grid": []}), "profile.grid"),
        ] {
            let body = json!({"site": "demo", "name": "1", "profile": profile});
            let (status, problem) = server.post("/v1/locks", body).await;
            assert_eq!((status, &problem["code"]), (422, &json!("invalid_fields")), "{profile}");
            assert_eq!(problem["errors"][0]["field"], field, "{profile} {problem}");
        }
        assert_eq!(server.query("SELECT count(*) FROM sites"), 0);
    }

    #[tokio::test]
    async fn a_door_with_steps_trusts_no_power_cut() {
        let server = TestServer::new().await;
        let mut body = json!({"site": "demo", "name": "a", "profile": {"kind": "courts"},
            "after_power_loss": "trust_90min", "totp": {}});
        let (status, problem) = server.post("/v1/locks", body.clone()).await;
        assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!("after_power_loss")));
        body["totp"] = Value::Null;
        assert_eq!(server.post("/v1/locks", body.clone()).await.0, 201, "without steps");
        body["totp"] = json!({});
        body["name"] = json!("b");
        body["after_power_loss"] = json!("need_time");
        assert_eq!(server.post("/v1/locks", body).await.0, 201, "without trust");
    }

    #[tokio::test]
    async fn other_fields_that_are_wrong_are_named_together() {
        let server = TestServer::new().await;
        let body = json!({"site": " demo", "name": "", "profile": {"kind": "x"}, "oscillator": "quartz",
            "after_power_loss": "hope", "totp": {"digits": 9}});
        let (_, problem) = server.post("/v1/locks", body).await;
        let fields: Vec<_> = problem["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|error| error["field"].as_str().unwrap())
            .collect();
        assert_eq!(
            fields,
            ["site", "name", "oscillator", "after_power_loss", "profile.kind", "totp.digits"]
        );
        for totp in [
            json!({"digits": 5}),
            json!({"period": 0}),
            json!({"period": 9}),
            json!({"period": 301}),
        ] {
            let body =
                json!({"site": "demo", "name": "1", "profile": {"kind": "courts"}, "totp": totp});
            assert_eq!(server.post("/v1/locks", body).await.0, 422, "{totp}");
        }
        let body = json!({"site": "demo", "name": "1", "profile": {"kind": "courts", "digits": 8}, "totp": {}});
        let (_, problem) = server.post("/v1/locks", body).await;
        assert_eq!(
            problem["errors"][0]["field"], "totp.digits",
            "the keypad could not tell them apart"
        );
    }

    #[tokio::test]
    async fn a_name_is_one_lock_of_its_site() {
        let server = TestServer::new().await;
        let body = |site: &str| json!({"site": site, "name": "1", "profile": {"kind": "courts"}});
        assert_eq!(server.post("/v1/locks", body("north")).await.0, 201);
        assert_eq!(server.post("/v1/locks", body("south")).await.0, 201);
        let (status, problem) = server.post("/v1/locks", body("north")).await;
        assert_eq!((status, &problem["code"]), (409, &json!("duplicate_name")));
        assert_eq!(server.query("SELECT count(*) FROM locks"), 2);
        assert_eq!(server.query("SELECT count(DISTINCT sealed_key) FROM sites"), 2);
    }

    /// Two servers that draw the same: the second lock would have the first one's name in passes.
    #[tokio::test]
    async fn no_two_locks_have_one_name_in_passes() {
        let body = |name: &str| json!({"site": "s", "name": name, "profile": {"kind": "courts"}});
        let server = TestServer::new().await.restart();
        let (_, first) = server.post("/v1/locks", body("1")).await;
        let server = server.restart();
        server.clock.advance(60);
        let (status, second) = server.post("/v1/locks", body("2")).await;
        assert_eq!(status, 201, "{second}");
        let id = |made: &Value| made["lock"]["id"].as_str().unwrap().to_owned();
        let name = |made: &Value| made["lock"]["passes"]["name"].as_str().unwrap().to_owned();
        assert!(id(&first).ends_with(&name(&first)) && id(&second).ends_with(&name(&second)));
        assert_ne!(name(&first), name(&second));
    }

    #[tokio::test]
    async fn what_a_lock_takes_and_its_groups_are_named_rightly() {
        let server = TestServer::new().await;
        let body = |more: Value| {
            let mut body = json!({"site": "s", "name": "1", "profile": {"kind": "courts"}});
            for (field, value) in more.as_object().unwrap() {
                body[field] = value.clone();
            }
            body
        };
        for (more, field) in [
            (json!({"passes": "paper"}), "passes"),
            (json!({"groups": [""]}), "groups"),
            (json!({"groups": ["Courts"]}), "groups"),
            (json!({"groups": ["a23456789012345"]}), "groups"),
            (json!({"groups": ["a", "b", "c", "d", "e"]}), "groups"),
            (json!({"passes": "mac", "groups": ["a"]}), "groups"),
        ] {
            let (status, problem) = server.post("/v1/locks", body(more)).await;
            assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!(field)));
        }
        let groups = json!({"groups": ["b", "a2345678901234", "b", "c", "d"]});
        let (_, made) = server.post("/v1/locks", body(groups)).await;
        let passes = &made["lock"]["passes"];
        assert_eq!(passes["groups"], json!(["a2345678901234", "b", "c", "d"]));
        assert_eq!(
            (&passes["takes"], &passes["rotation"]["latest"]),
            (&json!("signed"), &json!(0))
        );
    }

    /// Whoever copies the database has no PIN, and can move no sealed key to another site.
    #[tokio::test]
    async fn the_database_holds_no_key_and_no_pin() {
        let server = TestServer::new().await;
        let body = json!({"site": "demo", "name": "1", "profile": {"kind": "courts"}, "totp": {}});
        let (_, made) = server.post("/v1/locks", body).await;
        let lock = TestLock::install(&made, server.now());
        let booking = server.book(&lock.id, "10:00", "11:00").await;
        lock.bring_home(&server).await;
        let bundle = Bundle::parse(made["bundle"].as_str().unwrap()).unwrap();
        let holder = &booking["holders"][0];
        let mut secrets = vec![
            bundle.root.secret().expose().to_vec(),
            bundle.steps.unwrap().secret.expose().to_vec(),
            made["bundle"].as_str().unwrap().as_bytes()[8..].to_vec(),
        ];
        for form in ["pin", "pin_spaced", "long_form", "long_form_spaced"] {
            secrets.push(holder[form].as_str().unwrap().as_bytes().to_vec());
        }
        let number: i64 = holder["pin"].as_str().unwrap().parse().unwrap();
        secrets.push(number.to_be_bytes()[4..].to_vec());
        let mut scanned = 0;
        for name in ["doorstep.db", "doorstep.db-wal"] {
            let bytes = std::fs::read(server.dir.path().join(name)).unwrap();
            scanned += bytes.len();
            for secret in &secrets {
                assert!(!bytes.windows(secret.len()).any(|window| window == secret), "{name}");
            }
        }
        assert!(scanned > 10_000);
        server
            .lock_with(json!({"site": "other", "name": "1", "profile": {"kind": "courts"}}))
            .await;
        server.execute("UPDATE sites SET sealed_key = (SELECT sealed_key FROM sites WHERE name = 'other') WHERE name = 'demo'");
        let (status, _) = server.try_book(&lock.id, "12:00", "13:00", json!({})).await;
        assert_eq!(status, 500, "a key that was moved opens nothing");
    }
}
