//! Plans a delivery: chooses who checks its code and when.
//!
//! Planning again makes a new generation; everything of the one before is void at once, except on
//! a device that has it already and is offline.

use super::{DeliveryDetail, carry_out, detail, id_in_path, not_found};
use crate::config::deliveries::{Check, Deliveries as Policy};
use crate::context::Context;
use crate::http::extract::ApiJson;
use crate::http::problem::{FieldError, Problem, ProblemBody};
use crate::store::generations::{CodeCheck, Generation, Mode};
use crate::store::{deliveries, messages};
use crate::utc;
use axum::Json;
use axum::extract::{Path, State};
use doorstep::handover::take::Take;
use doorstep::id::DeviceId;
use doorstep::time::{Timestamp, Window};
use rusqlite::Connection;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use utoipa::ToSchema;

const MINUTE: u64 = 60;
/// How far ahead a delivery can be planned, in seconds: 60 days.
const HORIZON: u64 = 60 * 24 * 3600;

/// How a delivery is to be carried out.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlanDelivery {
    /// The driver's device; needed in mode `offline`.
    #[serde(default)]
    device: Option<String>,
    /// When the driver should be there, with its zone: from now to 60 days ahead.
    #[schema(example = "2026-11-21T17:30:00Z", format = DateTime)]
    expected_at: String,
    /// How much earlier or later it may be, in minutes: 1 to 720, and no window may be longer than
    /// the server's policy; the policy's when left out.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 720, example = 60)]
    variance_minutes: Option<u64>,
    /// How long before the expected time the message is sent, in minutes: 0 to 1440; the policy's when
    /// left out.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 1440, example = 30)]
    lead_minutes: Option<u64>,
    /// Who checks the code: `offline`, the driver's device without network, or `online`, this
    /// server within 15 minutes of the message; `offline` when left out.
    #[serde(default)]
    #[schema(example = "offline", default = "offline")]
    mode: Option<String>,
    /// How much of the code the device checks: `split`, a few bits, or `full`, all of it, which only
    /// a managed device may; the server's policy when left out.
    #[serde(default)]
    #[schema(example = "split")]
    check: Option<String>,
}

/// A plan whose fields were checked.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) device: Option<DeviceId>,
    pub(crate) check: Option<CodeCheck>,
    pub(crate) expected_at: Timestamp,
    pub(crate) window: Window,
    pub(crate) send_at: Timestamp,
}

/// Plans a delivery and makes its codes. Codes of an earlier plan are void.
#[utoipa::path(post, path = "/v1/deliveries/{id}/plan", tag = "deliveries",
    operation_id = "plan_delivery", security(("api_key" = [])), request_body = PlanDelivery,
    params(("id" = String, Path, description = "the delivery's id")),
    responses((status = 200, description = "the delivery as it is now planned", body = DeliveryDetail), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
    ApiJson(request): ApiJson<PlanDelivery>,
) -> Result<Json<DeliveryDetail>, Problem> {
    let id = id_in_path(&id)?;
    let now = context.now();
    let plan = check(&request, &context.config.deliveries, now).map_err(Problem::fields)?;
    // Whoever comes in between has planned it, so this ends.
    loop {
        let inner = Arc::clone(&context);
        let order = context
            .store
            .read(move |connection| {
                let delivery = deliveries::find(connection, &id)?.ok_or_else(not_found)?;
                carry_out::order(&inner, connection, &delivery, &plan)
            })
            .await?;
        let inner = Arc::clone(&context);
        let codes = carry_out::make(&context, order).await?;
        let planned = context
            .store
            .write(move |connection| {
                match carry_out::record(&inner, connection, &plan, codes, now)? {
                    Some(_) => Ok(detail(connection, &id)?),
                    None => Ok::<_, Problem>(None),
                }
            })
            .await?;
        if let Some(planned) = planned {
            return Ok(Json(planned));
        }
    }
}

/// The plan of a driver who takes a delivery on, by the rules for any plan. What he leaves open is as it
/// was planned before.
pub(crate) fn for_driver(
    policy: &Policy,
    connection: &Connection,
    last: Option<&Generation>,
    take: &Take,
    now: Timestamp,
) -> Result<Plan, Problem> {
    let mut variance = take.variance_minutes.map(u64::from);
    let (mut lead, mut whole) = (None, false);
    if let Some(last) = last.filter(|last| last.mode == Mode::Offline) {
        let most = policy.longest_window.as_secs() / MINUTE / 2;
        let before = last.window.until().since(last.expected_at) / MINUTE;
        variance = variance.or_else(|| Some(before).filter(|before| (1..=most).contains(before)));
        let messages = messages::of_generation(connection, &last.delivery, last.number)?;
        let send_at = messages.iter().map(|message| message.send_at).min();
        lead = send_at.map(|at| last.expected_at.since(at) / MINUTE);
        // Under a policy of whole codes, the policy decides for this device.
        whole = last.check == CodeCheck::Full && policy.check == Check::Split;
    }
    let request = PlanDelivery {
        device: Some(take.device.to_string()),
        expected_at: utc::write(take.expected_at),
        variance_minutes: variance,
        lead_minutes: lead,
        mode: None,
        check: whole.then(|| CodeCheck::Full.as_str().to_owned()),
    };
    check(&request, policy, now).map_err(Problem::fields)
}

pub(super) fn check(
    request: &PlanDelivery,
    policy: &Policy,
    now: Timestamp,
) -> Result<Plan, Vec<FieldError>> {
    let mut errors = Vec::new();
    let mut wrong = |field: &str, message: String| {
        errors.push(FieldError { row: None, field: field.to_owned(), message });
    };
    let expected_at = match utc::read(&request.expected_at) {
        Ok(at) if at < now => {
            wrong("expected_at", format!("is in the past: it is {}", utc::write(now)));
            None
        }
        Ok(at) if at.since(now) > HORIZON => {
            wrong("expected_at", "is more than 60 days ahead".to_owned());
            None
        }
        Ok(at) => Some(at),
        Err(error) => {
            wrong("expected_at", error.to_string());
            None
        }
    };
    let minutes = |span: Duration| span.as_secs() / MINUTE;
    let variance = request.variance_minutes.unwrap_or_else(|| minutes(policy.variance));
    let most = minutes(policy.longest_window) / 2;
    if !(1..=most).contains(&variance) {
        wrong("variance_minutes", format!("{variance} is not between 1 and {most}"));
    }
    let mode = match request.mode.as_deref() {
        None => Mode::Offline,
        Some(text) => Mode::parse(text).unwrap_or_else(|()| {
            wrong("mode", "is neither offline nor online".to_owned());
            Mode::Offline
        }),
    };
    let usual_lead = match mode {
        Mode::Offline => policy.lead,
        Mode::Online => policy.online_lead,
    };
    let lead = request.lead_minutes.unwrap_or_else(|| minutes(usual_lead));
    if lead > 1440 {
        wrong("lead_minutes", format!("{lead} is not between 0 and 1440"));
    }
    let device = match (mode, &request.device) {
        (Mode::Offline, None) => {
            wrong("device", "is needed in mode offline: it checks the code".to_owned());
            None
        }
        (Mode::Online, Some(_)) => {
            wrong("device", "has no part in mode online: the server checks the code".to_owned());
            None
        }
        (_, Some(text)) => {
            let id = DeviceId::parse(text);
            if id.is_err() {
                wrong("device", "is not the id of a device".to_owned());
            }
            id.ok()
        }
        (Mode::Online, None) => None,
    };
    let code_check = request.check.as_deref().and_then(|text| {
        let known = CodeCheck::parse(text).ok().filter(|_| mode == Mode::Offline);
        if known.is_none() {
            wrong("check", "is neither split nor full, or not of mode offline".to_owned());
        }
        known
    });
    let spread = variance.saturating_mul(MINUTE);
    let plan = expected_at.and_then(|expected_at| {
        Some(Plan {
            device,
            check: code_check,
            expected_at,
            window: Window::new(expected_at.earlier(spread), expected_at.later(spread))?,
            send_at: expected_at.earlier(lead.saturating_mul(MINUTE)),
        })
    });
    match plan {
        Some(plan) if errors.is_empty() => Ok(plan),
        _ => Err(errors),
    }
}

#[cfg(test)]
mod tests {
    use crate::test_server::TestServer;
    use serde_json::{Value, json};
    use std::time::Duration;

    #[tokio::test]
    async fn a_plan_makes_a_generation_with_a_message_for_each_slot() {
        let server = TestServer::new().await;
        let device = server.device("Marta").await;
        let delivery = server.delivery("A").await;
        let (status, planned) = server.plan(&delivery, device.id()).await;
        assert_eq!(status, 200, "{planned}");
        assert_eq!((&planned["state"], &planned["generation"]), (&json!("planned"), &json!(1)));
        assert_eq!((&planned["driver"], &planned["mode"]), (&json!("Marta"), &json!("offline")));
        assert_eq!(planned["starts_at"], "2027-01-15T09:00:00Z");
        assert_eq!(planned["ends_at"], "2027-01-15T11:00:00Z");
        let states: Vec<_> =
            planned["messages"].as_array().unwrap().iter().map(|m| &m["state"]).collect();
        assert_eq!(states, [&json!("waiting"), &json!("spare")]);
        assert_eq!(planned["messages"][0]["send_at"], "2027-01-15T09:30:00Z");
    }

    #[tokio::test]
    async fn planning_again_voids_what_was_planned() {
        let server = TestServer::new().await;
        let device = server.device("Marta").await;
        let delivery = server.delivery("A").await;
        server.plan(&delivery, device.id()).await;
        let (_, planned) = server.plan(&delivery, device.id()).await;
        assert_eq!(planned["generation"], 2);
        let left: i64 = server
            .query("SELECT count(*) FROM messages WHERE generation = 1 AND sealed IS NOT NULL")
            + server.query(
                "SELECT count(*) FROM generations WHERE generation = 1 AND sealed_stop IS NOT NULL",
            );
        assert_eq!(left, 0, "nothing of the first is left to be sent or handed out");
    }

    #[tokio::test]
    async fn plans_that_make_no_sense_are_refused() {
        let server = TestServer::new().await;
        let device = server.device("Marta").await;
        let delivery = server.delivery("A").await;
        let path = format!("/v1/deliveries/{delivery}/plan");
        let good = json!({"device": device.id(), "expected_at": "2027-01-15T10:00:00Z"});
        let with = |name: &str, value: Value| {
            let mut body = good.clone();
            body[name] = value;
            body
        };
        for (field, body) in [
            ("expected_at", with("expected_at", json!("2027-01-15T07:59:59Z"))),
            ("expected_at", with("expected_at", json!("2027-03-17T08:00:00Z"))),
            ("expected_at", with("expected_at", json!("1970-01-01T00:00:00Z"))),
            ("expected_at", with("expected_at", json!("9999-12-30T00:00:00Z"))),
            ("expected_at", with("expected_at", json!("tomorrow"))),
            ("expected_at", with("expected_at", json!(1_800_010_000))),
            ("variance_minutes", with("variance_minutes", json!(0))),
            ("variance_minutes", with("variance_minutes", json!(721))),
            ("variance_minutes", with("variance_minutes", json!(-60))),
            ("variance_minutes", with("variance_minutes", json!(1.5))),
            ("variance_minutes", with("variance_minutes", json!("60"))),
            ("lead_minutes", with("lead_minutes", json!(1441))),
            ("lead_minutes", with("lead_minutes", json!(u64::MAX))),
            ("check", with("check", json!("none"))),
            ("check", with("check", json!(1))),
            ("mode", with("mode", json!("both"))),
            ("mode", with("mode", json!(true))),
            ("device", with("device", json!(null))),
            ("device", with("device", json!("Marta!"))),
            ("device", with("mode", json!("online"))),
            ("budget", with("budget", json!(99))),
        ] {
            let (status, problem) = server.post(&path, body.clone()).await;
            assert_eq!(
                (status, &problem["errors"][0]["field"]),
                (422, &json!(field)),
                "{body} {problem}"
            );
        }
        let shown = server.shown(&delivery).await;
        assert_eq!((&shown["state"], &shown["generation"]), (&json!("created"), &json!(0)));
    }

    #[tokio::test]
    async fn what_a_plan_leaves_out_is_the_policys_and_its_bounds_hold() {
        let server = TestServer::with(|config| {
            let policy = &mut config.deliveries;
            policy.variance = Duration::from_secs(20 * 60);
            policy.lead = Duration::from_secs(15 * 60);
            policy.longest_window = Duration::from_secs(3600);
        })
        .await;
        let device = server.device("Marta").await;
        let delivery = server.delivery("A").await;
        let (_, planned) = server.plan(&delivery, device.id()).await;
        assert_eq!(planned["starts_at"], "2027-01-15T09:40:00Z");
        assert_eq!(planned["messages"][0]["send_at"], "2027-01-15T09:45:00Z");
        for (minutes, status) in [(30, 200), (31, 422)] {
            let body = json!({"device": device.id(), "expected_at": "2027-01-15T10:00:00Z",
                              "variance_minutes": minutes});
            let (answered, _) = server.post(&format!("/v1/deliveries/{delivery}/plan"), body).await;
            assert_eq!(answered, status, "{minutes}");
        }
    }

    #[tokio::test]
    async fn unknown_and_unready_devices_and_deliveries_are_refused() {
        let server = TestServer::new().await;
        let device = server.device("Marta").await;
        let delivery = server.delivery("A").await;
        let (status, problem) = server.plan(&delivery, "dev_0").await;
        assert_eq!((status, &problem["code"]), (404, &json!("device_not_found")));
        let (_, invited) = server.post("/v1/devices", json!({"driver": "Leo"})).await;
        let (status, problem) = server.plan(&delivery, invited["id"].as_str().unwrap()).await;
        assert_eq!((status, &problem["code"]), (409, &json!("device_not_ready")));
        let (status, problem) = server.plan("dlv_0", device.id()).await;
        assert_eq!((status, &problem["code"]), (404, &json!("delivery_not_found")));
    }

    /// What the driver of a delivery with this address, note and these names sees.
    async fn label_of(address: &str, names: &[&str], note: &str) -> String {
        let server = TestServer::new().await;
        let mut device = server.device("Marta").await;
        let recipients: Vec<_> =
            names.iter().map(|name| json!({"name": name, "phone": "612345678"})).collect();
        let body = json!({"reference": "A", "address": address, "recipients": recipients,
            "note": note});
        let (status, made) = server.post("/v1/deliveries", body).await;
        assert_eq!(status, 201, "{made}");
        let (status, planned) = server.plan(made["id"].as_str().unwrap(), device.id()).await;
        assert_eq!(status, 200, "{planned}");
        device.sync(&server).await.remove(0).label
    }

    #[tokio::test]
    async fn the_driver_sees_the_address_the_names_and_the_note() {
        let label = label_of("Quay 1", &["Ana", "Bo"], "ring twice,\n2nd floor").await;
        assert_eq!(label, "Quay 1, Ana or Bo; ring twice, 2nd floor");
    }

    #[tokio::test]
    async fn long_names_and_notes_never_crowd_the_address_out() {
        let (long, note) = ("é".repeat(100), "word ".repeat(50));
        let label = label_of("Quay 1, 3rd floor", &[&long, &long], note.trim()).await;
        assert!(label.starts_with("Quay 1, 3rd floor, éé") && label.ends_with("é…"), "{label}");
        let label = label_of("Quay 1", &["Ana"], note.trim()).await;
        assert!(
            label.starts_with("Quay 1, Ana; word word") && label.ends_with(" word…"),
            "{label}"
        );
        assert!(label.len() > 190 && label.len() <= 200, "{label}");
    }

    #[tokio::test]
    async fn long_addresses_are_cut_at_a_character() {
        for length in 0..3 {
            let address = format!("{}{}", "a".repeat(length), "ß".repeat(290));
            let label = label_of(&address, &["Ana"], "ring").await;
            assert!(label.len() <= 200 && label.ends_with("ß…"), "{label}");
        }
    }
}
