//! Checks a code that the server itself is to check. A code that a device checks offline is never
//! accepted here, nor compared: the server would be a second place to guess at.

use super::{id_in_path, not_found};
use crate::context::Context;
use crate::http::extract::{ApiJson, secret_text};
use crate::http::problem::{Code as ProblemCode, Problem, ProblemBody};
use crate::store::StoreError;
use crate::store::deliveries::{self, State as DeliveryState};
use crate::store::generations::{self, Generation, Mode, State as GenerationState};
use crate::store::messages::{self, Message, State as MessageState};
use crate::utc::Utc;
use axum::Json;
use axum::extract::{Path, State};
use doorstep::code::Code;
use doorstep::handover::BUDGET;
use doorstep::handover::judge::AtServer;
use doorstep::id::DeliveryId;
use doorstep::ledger::{Head, Place};
use doorstep::refusal::Refusal;
use doorstep::throttle::Budget;
use doorstep::time::{Timestamp, Window};
use doorstep::verifier::{Attempt, Grant, Means, Standing, WrongReceipt};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use zeroize::Zeroize as _;

/// A code as it was typed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VerifyCode {
    /// The code; spaces and hyphens in it do not matter.
    #[serde(deserialize_with = "secret_text")]
    #[schema(example = "4829 1635")]
    code: String,
}

impl Drop for VerifyCode {
    fn drop(&mut self) {
        self.code.zeroize();
    }
}

/// Yes or no. A no is an answer, not an error.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct Verification {
    /// `granted` or `refused`.
    #[schema(example = "granted")]
    outcome: &'static str,
    /// Whose code it was: the recipient's slot.
    #[serde(skip_serializing_if = "Option::is_none")]
    slot: Option<u8>,
    /// When it was granted.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<Utc>,
    /// Why not: `mistyped`, `wrong_code`, `not_yet_valid`, `expired`, `already_used`,
    /// `throttled` or `issued_for_offline_use`.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// The reason in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// What can be done about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'static str>,
    /// For `wrong_code`: how often another one is compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts_left: Option<u8>,
    /// For `not_yet_valid`: from when on.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Utc>,
    /// For `expired`: since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Utc>,
    /// For `already_used`: when.
    #[serde(skip_serializing_if = "Option::is_none")]
    accepted_at: Option<Utc>,
}

impl From<Result<Grant, Refusal>> for Verification {
    fn from(outcome: Result<Grant, Refusal>) -> Self {
        let refusal = match outcome {
            Ok(grant) => {
                return Self {
                    outcome: "granted",
                    slot: Some(grant.slot()),
                    at: Some(Utc(grant.at())),
                    ..Self::default()
                };
            }
            Err(refusal) => refusal,
        };
        let mut refused = Self {
            outcome: "refused",
            reason: Some(refusal.code()),
            message: Some(refusal.to_string()),
            hint: Some(hint(&refusal)),
            ..Self::default()
        };
        match refusal {
            Refusal::AlreadyUsed { at } => refused.accepted_at = Some(Utc(at)),
            Refusal::Expired { until } => refused.until = Some(Utc(until)),
            Refusal::NotYetValid { from } => refused.from = Some(Utc(from)),
            Refusal::WrongCode { left } => refused.attempts_left = left,
            _ => {}
        }
        refused
    }
}

/// What a dispatcher can do about it; the core's hints are for who stands at the door with a device.
const fn hint(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Throttled { until: None }
        | Refusal::WrongCode { left: Some(0) }
        | Refusal::Expired { .. }
        | Refusal::Revoked => "plan the delivery again; a new code will be sent",
        Refusal::WrongCode { .. } => {
            "check that this is the right delivery, and ask for the code of the last message"
        }
        Refusal::Superseded => "a newer code was sent; ask for the code of the last message",
        Refusal::NotYetValid { .. } => {
            "no code was sent yet; wait for the message, or send it at once"
        }
        Refusal::IssuedForOfflineUse => "the driver's device checks this code, at the door",
        Refusal::Unknown | Refusal::WrongVerifier => "check that this is the right delivery",
        Refusal::AlreadyUsed { .. }
        | Refusal::ClockUnset
        | Refusal::LedgerFull
        | Refusal::Mistyped
        | Refusal::Throttled { until: Some(_) } => refusal.hint(),
    }
}

/// Checks a code of a delivery in mode `online`. Each code that is compared counts, right or wrong.
#[utoipa::path(post, path = "/v1/deliveries/{id}/verify", tag = "deliveries",
    operation_id = "verify_code", security(("api_key" = [])), request_body = VerifyCode,
    params(("id" = String, Path, description = "the delivery's id")),
    responses((status = 200, description = "granted or refused", body = Verification), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
    ApiJson(request): ApiJson<VerifyCode>,
) -> Result<Json<Verification>, Problem> {
    let id = id_in_path(&id)?;
    let now = context.now();
    let inner = Arc::clone(&context);
    // One job for all steps, so nothing comes between them; refusals leave it as a result and not
    // as an error, which would take the count back.
    let outcome = context
        .store
        .write(move |connection| present(&inner, connection, &id, &request.code, now))
        .await?;
    Ok(Json(outcome.into()))
}

fn present(
    context: &Context,
    connection: &Connection,
    id: &DeliveryId,
    typed: &str,
    now: Timestamp,
) -> Result<Result<Grant, Refusal>, Problem> {
    let delivery = deliveries::find(connection, id)?.ok_or_else(not_found)?;
    let Some(generation) = generations::find(connection, id, delivery.generation)? else {
        return Err(Problem::new(ProblemCode::NotPlanned, "the delivery has no code yet")
            .hint("plan it first, in mode online if this server is to check the code"));
    };
    if generation.mode == Mode::Offline {
        return Ok(Err(Refusal::IssuedForOfflineUse));
    }
    if generation.state == GenerationState::Cancelled {
        return Ok(Err(Refusal::Revoked));
    }
    let Ok(code) = Code::parse(typed, generation.shape) else {
        return Ok(Err(Refusal::Mistyped));
    };
    let messages = messages::of_generation(connection, id, generation.number)?;
    let lifetime = context.config.deliveries.online_lifetime.as_secs();
    let Some(open) = open_slots(&messages, lifetime, now) else {
        let first = messages.iter().map(|message| message.send_at).min();
        return Ok(Err(match generation.state {
            GenerationState::Expired => Refusal::Expired { until: generation.window.until() },
            _ => Refusal::NotYetValid { from: first.unwrap_or_else(|| generation.window.from()) },
        }));
    };
    let held = generations::held(connection, id, generation.number)?;
    let method = AtServer {
        delivery: *id,
        generation: generation.number,
        slots: held
            .iter()
            .filter(|code| open.slots.contains(&code.slot))
            .map(|code| (code.slot, code.code_mac))
            .collect(),
        code,
        pepper: context.keys.pepper().clone(),
    };
    Ok(decide(connection, &generation, open.window, method, now)?)
}

/// The codes that were sent, and while they live.
struct Open {
    window: Window,
    slots: Vec<u8>,
}

/// A code lives for `lifetime` seconds from its own message on; `None` when none was sent. When all of them
/// are over, the window is the last one's, and nothing is open.
fn open_slots(messages: &[Message], lifetime: u64, now: Timestamp) -> Option<Open> {
    let sent: Vec<(u8, Window)> = messages
        .iter()
        .filter_map(|message| {
            let sent_at = message.sent_at?;
            Some((message.slot, Window::new(sent_at, sent_at.later(lifetime))?))
        })
        .collect();
    let alive: Vec<&(u8, Window)> =
        sent.iter().filter(|(_, window)| now < window.until()).collect();
    let last = sent.iter().max_by_key(|(_, window)| window.until())?.1;
    let from = alive.iter().map(|(_, window)| window.from()).min().unwrap_or_else(|| last.from());
    Some(Open {
        window: Window::new(from, last.until())?,
        slots: alive.into_iter().map(|(slot, _)| *slot).collect(),
    })
}

fn decide(
    connection: &Connection,
    generation: &Generation,
    window: Window,
    method: AtServer,
    now: Timestamp,
) -> Result<Result<Grant, Refusal>, StoreError> {
    let lost = || StoreError::Corrupt { column: "generations.head_hash" };
    let standing = Standing {
        window,
        budget: Budget::new(BUDGET, generation.attempts),
        spent: generation.spent_at,
    };
    let place = |head: Head, what: &str| {
        Place::of(head, format!("{what} {} {}", generation.number, now.seconds()).as_bytes())
    };
    let counting = place(generation.head, "attempt");
    let attempt = match Attempt::begin(method, Means::Typed, &standing, now, counting) {
        Ok(attempt) => attempt,
        Err(refusal) => return Ok(Err(refusal)),
    };
    // No other job runs between reading the head and this, so a lost append is damage.
    let receipt =
        generations::count_attempt(connection, generation, &counting)?.ok_or_else(lost)?;
    let counted = attempt.counted(receipt).map_err(|WrongReceipt| lost())?;
    let matched = match counted.compare() {
        Ok(matched) => matched,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let spending = match matched.spend(&standing, now, place(counting.after, "spend")) {
        Ok(spending) => spending,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let receipt =
        generations::spend(connection, generation, spending.place(), now)?.ok_or_else(lost)?;
    let grant = spending.granted(receipt).map_err(|WrongReceipt| lost())?;
    messages::end(connection, &generation.delivery, generation.number, MessageState::Closed)?;
    deliveries::set_state(connection, &generation.delivery, DeliveryState::Delivered, now)?;
    Ok(Ok(grant))
}

#[cfg(test)]
mod tests {
    use crate::test_server::TestServer;
    use doorstep::refusal::Refusal;
    use serde_json::{Value, json};

    /// A server with one delivery in online mode, its message sent, and the code in it.
    async fn online() -> (TestServer, String, String) {
        let server = TestServer::new().await;
        let delivery = server.delivery("A").await;
        let body = json!({"mode": "online", "expected_at": "2027-01-15T08:05:00Z"});
        let (status, planned) = server.post(&format!("/v1/deliveries/{delivery}/plan"), body).await;
        assert_eq!(status, 200, "{planned}");
        server.run_jobs().await;
        let code = server.code(0);
        (server, delivery, code)
    }

    async fn verify(server: &TestServer, delivery: &str, code: &str) -> Value {
        let path = format!("/v1/deliveries/{delivery}/verify");
        let (status, answer) = server.post(&path, json!({"code": code})).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    /// A code that differs from the right one.
    fn wrong(code: &str, n: u64) -> String {
        format!("{:08}", (code.replace(' ', "").parse::<u64>().unwrap() + n) % 100_000_000)
    }

    #[tokio::test]
    async fn the_right_code_is_granted_once() {
        let (server, delivery, code) = online().await;
        let granted = verify(&server, &delivery, &code).await;
        assert_eq!(
            (&granted["outcome"], &granted["slot"]),
            (&json!("granted"), &json!(0)),
            "{granted}"
        );
        let again = verify(&server, &delivery, &code).await;
        assert_eq!(
            (&again["outcome"], &again["reason"]),
            (&json!("refused"), &json!("already_used"))
        );
        let shown = server.shown(&delivery).await;
        assert_eq!(shown["state"], "delivered");
        assert_eq!(
            server.query("SELECT count(*) FROM messages WHERE sealed IS NOT NULL"),
            0,
            "the spare is erased"
        );
    }

    #[tokio::test]
    async fn spellings_of_one_code_are_one_code() {
        let (server, delivery, code) = online().await;
        let spaced = code.replace(' ', "").chars().flat_map(|c| [c, '-']).collect::<String>();
        assert_eq!(verify(&server, &delivery, &spaced).await["outcome"], "granted");
        assert_eq!(
            verify(&server, &delivery, &format!(" {code} ")).await["reason"],
            "already_used"
        );
    }

    #[tokio::test]
    async fn wrong_codes_count_and_the_sixth_is_not_compared() {
        let (server, delivery, code) = online().await;
        for left in (0..5).rev() {
            let refused = verify(&server, &delivery, &wrong(&code, 1 + left)).await;
            assert_eq!(
                (&refused["reason"], &refused["attempts_left"]),
                (&json!("wrong_code"), &json!(left))
            );
        }
        let throttled = verify(&server, &delivery, &code).await;
        assert_eq!(throttled["reason"], "throttled", "the right one neither");
        assert_eq!(throttled["hint"], "plan the delivery again; a new code will be sent");
        assert_eq!(server.query("SELECT attempts FROM generations"), 5);
    }

    #[test]
    fn hints_are_for_a_dispatcher_without_a_device() {
        let at = doorstep::time::Timestamp::from_seconds(1);
        for refusal in [
            Refusal::AlreadyUsed { at },
            Refusal::Expired { until: at },
            Refusal::IssuedForOfflineUse,
            Refusal::Mistyped,
            Refusal::NotYetValid { from: at },
            Refusal::Throttled { until: None },
            Refusal::Unknown,
            Refusal::WrongCode { left: Some(0) },
            Refusal::WrongCode { left: Some(4) },
        ] {
            let hint = super::hint(&refusal);
            for word in ["scan", "sync", "dispatcher", "window"] {
                assert!(!hint.contains(word), "{refusal:?}: {hint}");
            }
        }
    }

    #[tokio::test]
    async fn mistyped_codes_are_refused_uncounted_and_wrong_types_are_not_codes() {
        let (server, delivery, code) = online().await;
        let fullwidth: String = code
            .replace(' ', "")
            .bytes()
            .map(|b| char::from_u32(0xFF10 + u32::from(b - b'0')).unwrap())
            .collect();
        for typed in [
            "",
            " ",
            "1234567",
            "123456789",
            "1234567a",
            "+1234567",
            "1_234567",
            &fullwidth,
            &format!("{code}\n"),
            &format!("{code}\0"),
            &"1".repeat(200_000),
        ] {
            assert_eq!(verify(&server, &delivery, typed).await["reason"], "mistyped", "{typed:?}");
        }
        let path = format!("/v1/deliveries/{delivery}/verify");
        let number: u64 = code.replace(' ', "").parse().unwrap();
        for body in [
            json!({"code": true}),
            json!({"code": null}),
            json!({"code": number}),
            json!({"code": [code]}),
            json!({"code": {"$ne": ""}}),
            json!({}),
            json!({"code": code, "force": true}),
            json!(code),
        ] {
            let (status, problem) = server.post(&path, body).await;
            assert_eq!((status, &problem["code"]), (422, &json!("invalid_fields")), "{problem}");
            assert!(
                !problem.to_string().contains(&number.to_string()),
                "the answer does not repeat the code"
            );
        }
        assert_eq!(server.query("SELECT attempts FROM generations"), 0);
        assert_eq!(verify(&server, &delivery, &code).await["outcome"], "granted");
    }

    #[tokio::test]
    async fn a_code_lives_fifteen_minutes_from_its_message() {
        let (server, delivery, code) = online().await;
        server.clock.advance(900);
        let refused = verify(&server, &delivery, &code).await;
        assert_eq!(
            (&refused["reason"], &refused["until"]),
            (&json!("expired"), &json!("2027-01-15T08:15:00Z"))
        );
        server.clock.advance(3 * 3600);
        server.run_jobs().await;
        assert_eq!(verify(&server, &delivery, &code).await["reason"], "expired");
        server.clock.set(crate::test_server::START + 899);
        assert_eq!(
            verify(&server, &delivery, &code).await["outcome"],
            "granted",
            "by the server's clock alone"
        );
    }

    #[tokio::test]
    async fn before_its_message_nothing_is_compared() {
        let server = TestServer::new().await;
        let delivery = server.delivery("A").await;
        let path = format!("/v1/deliveries/{delivery}/verify");
        let (status, problem) = server.post(&path, json!({"code": "12345678"})).await;
        assert_eq!((status, &problem["code"]), (409, &json!("not_planned")), "{problem}");
        let body = json!({"mode": "online", "expected_at": "2027-01-15T10:00:00Z"});
        server.post(&format!("/v1/deliveries/{delivery}/plan"), body).await;
        server.run_jobs().await;
        let refused = verify(&server, &delivery, "12345678").await;
        assert_eq!(
            (&refused["reason"], &refused["from"]),
            (&json!("not_yet_valid"), &json!("2027-01-15T09:55:00Z"))
        );
        assert_eq!(server.query("SELECT attempts FROM generations"), 0);
    }

    #[tokio::test]
    async fn a_code_for_a_device_is_never_taken() {
        let server = TestServer::new().await;
        let mut device = server.device("Marta").await;
        let delivery = server.delivery("A").await;
        server.plan(&delivery, device.id()).await;
        device.sync(&server).await;
        server.clock.advance(2 * 3600);
        server.run_jobs().await;
        for typed in [server.code(0), "00000000".to_owned(), "junk".to_owned()] {
            assert_eq!(
                verify(&server, &delivery, &typed).await["reason"],
                "issued_for_offline_use"
            );
        }
        assert_eq!(server.query("SELECT attempts FROM generations"), 0);
    }

    #[tokio::test]
    async fn of_many_at_once_one_is_granted_also_with_the_last_attempt() {
        let (server, delivery, code) = online().await;
        for n in 1..=4 {
            verify(&server, &delivery, &wrong(&code, n)).await;
        }
        let server = std::sync::Arc::new(server);
        let tasks: Vec<_> = (0..16)
            .map(|_| {
                let (server, delivery, code) =
                    (std::sync::Arc::clone(&server), delivery.clone(), code.clone());
                tokio::spawn(async move { verify(&server, &delivery, &code).await })
            })
            .collect();
        let mut granted = 0;
        for task in tasks {
            granted += i32::from(task.await.unwrap()["outcome"] == "granted");
        }
        assert_eq!(granted, 1);
        assert_eq!(server.query("SELECT attempts FROM generations"), 5);
    }

    #[tokio::test]
    async fn a_superseded_code_is_a_wrong_one() {
        let (server, delivery, code) = online().await;
        let body = json!({"mode": "online", "expected_at": "2027-01-15T08:06:00Z"});
        server.post(&format!("/v1/deliveries/{delivery}/plan"), body).await;
        server.clock.advance(60);
        server.run_jobs().await;
        assert_ne!(server.code(1), code);
        assert!(server.messages()[1]["text"].as_str().unwrap().contains("replaces"));
        assert_eq!(verify(&server, &delivery, &code).await["reason"], "wrong_code");
        assert_eq!(verify(&server, &delivery, &server.code(1)).await["outcome"], "granted");
    }
}
