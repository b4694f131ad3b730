//! Plans a delivery: chooses who checks its code and when, and makes the codes.
//!
//! Planning again makes a new generation; everything of the one before is void at once, except on
//! a device that has it already and is offline.

use super::{DeliveryDetail, closed, detail, id_in_path, not_found};
use crate::config::deliveries::{Check, Deliveries as Policy};
use crate::context::Context;
use crate::http::extract::ApiJson;
use crate::http::problem::{Code, FieldError, Problem, ProblemBody};
use crate::ids::make_id;
use crate::messages::Content;
use crate::seal::Place;
use crate::store::deliveries::{self, Delivery, State as DeliveryState};
use crate::store::generations::{
    self, CodeCheck, Generation, HeldCode, Mode, State as GenerationState,
};
use crate::store::messages::{self, NewMessage, State as MessageState};
use crate::store::{claims, devices, erasure, meta};
use crate::utc;
use axum::Json;
use axum::extract::{Path, State};
use doorstep::handover::check::Cost;
use doorstep::handover::issue::{self, Checked, Order, code_mac};
use doorstep::handover::stop::MAX_LABEL_LENGTH;
use doorstep::handover::take::Take;
use doorstep::id::{DeliveryId, DeviceId};
use doorstep::ledger::Head;
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
pub(super) struct Plan {
    pub(super) device: Option<DeviceId>,
    pub(super) check: Option<CodeCheck>,
    pub(super) expected_at: Timestamp,
    pub(super) window: Window,
    pub(super) send_at: Timestamp,
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
    let inner = Arc::clone(&context);
    context
        .store
        .write(move |connection| {
            let delivery = deliveries::find(connection, &id)?.ok_or_else(not_found)?;
            carry_out(&inner, connection, &delivery, plan, now)?;
            detail(connection, &id)?.map(Json).ok_or_else(not_found)
        })
        .await
}

/// Plans a delivery for the driver who asks for it, by the rules for any plan.
pub(crate) fn for_driver(
    context: &Context,
    connection: &Connection,
    delivery: &Delivery,
    take: &Take,
    now: Timestamp,
) -> Result<(), Problem> {
    let request = PlanDelivery {
        device: Some(take.device.to_string()),
        expected_at: utc::write(take.expected_at),
        variance_minutes: take.variance_minutes.map(u64::from),
        lead_minutes: None,
        mode: None,
        check: None,
    };
    let plan = check(&request, &context.config.deliveries, now).map_err(Problem::fields)?;
    carry_out(context, connection, delivery, plan, now)
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

pub(super) fn carry_out(
    context: &Context,
    connection: &Connection,
    delivery: &Delivery,
    plan: Plan,
    now: Timestamp,
) -> Result<(), Problem> {
    let is_closed = match delivery.state {
        DeliveryState::Reported | DeliveryState::Delivered | DeliveryState::Cancelled => true,
        // What an old device said about a stop that it had lost decides nothing, or it would keep
        // every later driver out.
        DeliveryState::Disputed => claims::any_of_weight(connection, &delivery.id)?,
        DeliveryState::Created
        | DeliveryState::Planned
        | DeliveryState::HandedOut
        | DeliveryState::Notified
        | DeliveryState::Failed
        | DeliveryState::Expired => false,
    };
    // Of one that was erased nobody knows whom to send the code to.
    if is_closed || erasure::erased_at(connection, &delivery.id)?.is_some() {
        return Err(closed(delivery, "planned"));
    }
    let (fingerprint, check) = match &plan.device {
        Some(device) => {
            let (fingerprint, managed) = key_of(connection, device)?;
            (fingerprint, check_on(plan.check, context.config.deliveries.check, managed)?)
        }
        // No device: the server checks, and its codes are bound to no key.
        None => ([0; 16], CodeCheck::Split),
    };
    if delivery.generation > 0 {
        let earlier = delivery.generation;
        generations::end(connection, &delivery.id, earlier, GenerationState::Superseded)?;
        messages::end(connection, &delivery.id, earlier, MessageState::Superseded)?;
    }
    let number = meta::next_number(connection, delivery.generation, delivery.created_at)?;
    // The recipients and the spare.
    let slots = u8::try_from(delivery.recipients.len().saturating_add(1)).unwrap_or(u8::MAX);
    let order = Order {
        issuer: context.issuer(),
        delivery: delivery.id,
        generation: number,
        window: plan.window,
        check: match check {
            CodeCheck::Split => Checked::Split(context.config.deliveries.code),
            CodeCheck::Full => Checked::Full(Cost::STANDARD),
        },
        label: label(delivery),
        slots,
        device: fingerprint,
    };
    let made = context.with_rng(|rng| issue::make(&order, rng));
    let codes: Vec<HeldCode> = made
        .holders
        .iter()
        .zip(made.stop.check.scans())
        .map(|(holder, (_, scan_hash))| HeldCode {
            slot: holder.slot,
            code_mac: code_mac(
                context.keys.pepper(),
                &delivery.id,
                number,
                holder.slot,
                &holder.code,
            ),
            scan_hash,
        })
        .collect();
    let generation = Generation {
        delivery: delivery.id,
        number,
        mode: if plan.device.is_some() { Mode::Offline } else { Mode::Online },
        device: plan.device,
        expected_at: plan.expected_at,
        window: plan.window,
        shape: order.check.shape(),
        slots,
        check,
        created_at: now,
        state: GenerationState::Planned,
        attempts: 0,
        spent_at: None,
        head: Head::EMPTY,
    };
    let sealed_stop = match plan.device {
        Some(_) => Some(seal_stop(context, &made.stop)?),
        None => None,
    };
    generations::insert(connection, &generation, sealed_stop.as_deref(), &codes)?;
    for holder in made.holders {
        let id = context.with_rng(|rng| make_id("msg", now, rng));
        let content = Content::new(holder.scan, &holder.code).to_bytes();
        let place = Place { table: "messages", column: "sealed", row: &id };
        let sealed = context.with_rng(|rng| context.keys.seal.seal(place, &content, rng))?;
        let recipient = delivery.recipients.get(usize::from(holder.slot));
        let message = NewMessage {
            slot: holder.slot,
            phone: recipient.map(|recipient| recipient.phone.clone()),
            send_at: plan.send_at,
            sealed,
            id,
        };
        messages::insert(connection, &delivery.id, number, &message)?;
    }
    let made = (number, plan.device.as_ref());
    deliveries::plan(connection, &delivery.id, made, plan.expected_at, now)?;
    Ok(())
}

/// How much of a code a device is to check.
fn check_on(asked: Option<CodeCheck>, policy: Check, managed: bool) -> Result<CodeCheck, Problem> {
    match (asked, policy) {
        (Some(CodeCheck::Full), _) if !managed => {
            Err(Problem::new(Code::DeviceNotManaged, "this device may not check whole codes").hint(
                "leave out check, or invite the driver anew: doorstep driver invite --managed",
            ))
        }
        (Some(asked), _) => Ok(asked),
        (None, Check::Full) if managed => Ok(CodeCheck::Full),
        (None, Check::Full | Check::Split) => Ok(CodeCheck::Split),
    }
}

/// The fingerprint of a device's key, and whether it is managed.
fn key_of(connection: &Connection, device: &DeviceId) -> Result<([u8; 16], bool), Problem> {
    let found = devices::find(connection, device)?.ok_or_else(|| {
        Problem::new(Code::DeviceNotFound, "no device has this id")
            .hint("GET /v1/devices lists them")
    })?;
    let key = devices::key(connection, device)?;
    match key.filter(|_| found.state == devices::State::Enrolled) {
        Some(key) => Ok((key.fingerprint(), found.managed)),
        None => Err(Problem::new(
            Code::DeviceNotReady,
            format!("the device of {} is {}", found.driver, found.state.as_str()),
        )
        .hint("enrol a device with a new ticket, and plan the delivery for that one")),
    }
}

/// The place of a sealed stop.
pub(crate) fn stop_row(delivery: &DeliveryId, generation: u32) -> String {
    format!("{delivery}/{generation}")
}

fn seal_stop(context: &Context, stop: &doorstep::handover::stop::Stop) -> Result<Vec<u8>, Problem> {
    let content =
        zeroize::Zeroizing::new(minicbor::to_vec(stop).map_err(|error| Problem::internal(&error))?);
    let row = stop_row(&stop.delivery, stop.generation);
    let place = Place { table: "generations", column: "sealed_stop", row: &row };
    Ok(context.with_rng(|rng| context.keys.seal.seal(place, &content, rng))?)
}

/// Where, to whom and how, as the driver sees it: what a stop cannot carry is cut off the end, so
/// the address is the last to go.
fn label(delivery: &Delivery) -> String {
    let names: Vec<&str> =
        delivery.recipients.iter().map(|recipient| recipient.name.as_str()).collect();
    let mut label = format!("{}, {}", delivery.address, names.join(" or "));
    if let Some(note) = &delivery.note {
        label.push(';');
        for word in note.split_whitespace() {
            label.push(' ');
            label.push_str(word);
        }
    }
    if label.len() > MAX_LABEL_LENGTH {
        cut(&mut label, MAX_LABEL_LENGTH);
    }
    label
}

/// A word longer than this in bytes is cut in two.
const LONGEST_WORD: usize = 24;

/// Shortens a text to `most` bytes, an ellipsis in it.
fn cut(text: &mut String, most: usize) {
    let ellipsis = '…';
    let mut end = most.saturating_sub(ellipsis.len_utf8());
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    // The space after a word that just fits is looked at too.
    let kept = text.get(..=end).or_else(|| text.get(..end)).unwrap_or_default();
    if let Some(space) = kept.rfind(' ').filter(|space| end.saturating_sub(*space) <= LONGEST_WORD)
    {
        end = space;
    }
    text.truncate(end);
    text.truncate(text.trim_end_matches([' ', ',', ';']).len());
    text.push(ellipsis);
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
        let (_, shown) = server.get(&format!("/v1/deliveries/{delivery}")).await;
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
