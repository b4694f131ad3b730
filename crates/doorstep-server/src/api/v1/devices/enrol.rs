//! Redeems a ticket: binds the device's key to its id and tells it whom it works for.

use crate::context::Context;
use crate::http::base64url::{read, write};
use crate::http::extract::{ApiJson, secret_text};
use crate::http::problem::{Code, Problem, ProblemBody};
use crate::store::devices::{self, Enrolled};
use crate::ticket::Ticket;
use axum::Json;
use axum::extract::State;
use doorstep::cose::keys::PublicKey;
use doorstep::handover::enrolment;
use doorstep::id::DeviceId;
use doorstep::time::Timestamp;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use zeroize::Zeroize as _;

/// A device that wants to belong to an issuer.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EnrolDevice {
    /// The one-time ticket.
    #[serde(deserialize_with = "secret_text")]
    #[schema(example = "tkt_live_...")]
    ticket: String,
    /// Its P-256 key, a compressed point in base64url.
    public_key: String,
    /// COSE_Sign1 under that key over the ticket's secret and the key, in base64url.
    proof: String,
}

impl Drop for EnrolDevice {
    fn drop(&mut self) {
        self.ticket.zeroize();
    }
}

/// The device is taken in.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EnrolledDevice {
    /// The device's id.
    device: String,
    /// Who carries it.
    driver: String,
    /// A signed welcome (HO1), in base64url: the issuer, its keys, its clock, and whether it is a
    /// test. The device believes it if its ticket names the keys.
    welcome: String,
}

/// Enrols a device by its ticket. The same ticket with the same key may be sent again.
#[utoipa::path(post, path = "/v1/devices/enrol", tag = "devices", operation_id = "enrol_device",
    request_body = EnrolDevice,
    responses((status = 200, description = "whom the device works for", body = EnrolledDevice), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    ApiJson(request): ApiJson<EnrolDevice>,
) -> Result<Json<EnrolledDevice>, Problem> {
    let ticket = Ticket::parse(&request.ticket).ok_or_else(invalid_ticket)?;
    let key = PublicKey::from_bytes(&read("public_key", &request.public_key)?)
        .map_err(|error| Problem::field("public_key", error))?;
    prove(&ticket, &key, &read("proof", &request.proof)?)?;
    let now = context.now();
    let hash = ticket.hash();
    let (id, driver, managed) =
        context.store.write(move |connection| enrol(connection, &hash, &key, now)).await?;
    let welcome = context.welcome(id, &key, managed, now);
    let welcome = write(&welcome.issue(&context.keys.signing));
    Ok(Json(EnrolledDevice { device: id.to_string(), driver, welcome }))
}

/// Makes sure that who holds the ticket holds the key as well.
fn prove(ticket: &Ticket, key: &PublicKey, proof: &[u8]) -> Result<(), Problem> {
    enrolment::verify_request(proof, ticket.secret(), key).map_err(|_| {
        Problem::new(
            Code::SignatureInvalid,
            "the proof is not signed with this key over this ticket",
        )
    })
}

fn enrol(
    connection: &Connection,
    ticket: &[u8; 32],
    key: &PublicKey,
    now: Timestamp,
) -> Result<(DeviceId, String, bool), Problem> {
    let invitation = devices::by_ticket(connection, ticket)?.ok_or_else(invalid_ticket)?;
    match invitation.public_key {
        Some(known) if known == *key => {
            return Ok((invitation.id, invitation.driver, invitation.managed));
        }
        Some(_) => return Err(invalid_ticket()),
        None => {}
    }
    if invitation.expires_at <= now {
        return Err(invalid_ticket());
    }
    match devices::enrol(connection, &invitation.id, key, now)? {
        Enrolled::Yes => Ok((invitation.id, invitation.driver, invitation.managed)),
        Enrolled::KeyTaken => {
            Err(Problem::new(Code::DeviceKeyTaken, "another device has this key")
                .hint("each device draws its own key; copies of a device are not enrolled"))
        }
    }
}

/// The same for unknown, used and expired ones: who has no valid ticket learns nothing.
fn invalid_ticket() -> Problem {
    Problem::new(Code::TicketInvalid, "the ticket is unknown, used or expired")
        .hint("ask the dispatcher for a new one: doorstep driver invite")
}

#[cfg(test)]
mod tests {
    use crate::http::base64url::write;
    use crate::test_server::{TestServer, proof};
    use doorstep::cose::Kind;
    use doorstep::cose::keys::SoftwareKey;
    use doorstep::secret::Secret;
    use serde_json::{Value, json};

    async fn ticket(server: &TestServer) -> String {
        let (_, made) = server.post("/v1/devices", json!({"driver": "Marta"})).await;
        made["ticket"].as_str().unwrap().to_owned()
    }

    fn key(byte: u8) -> SoftwareKey {
        SoftwareKey::from_secret(&Secret::from_bytes([byte; 32])).unwrap()
    }

    fn body(ticket: &str, key: &SoftwareKey) -> Value {
        json!({"ticket": ticket, "public_key": write(&key.public().to_bytes()),
               "proof": write(&proof(ticket, key, Kind::Enrolment))})
    }

    #[tokio::test]
    async fn a_ticket_enrols_one_key_and_again_the_same() {
        let server = TestServer::new().await;
        let ticket = ticket(&server).await;
        let (status, first) = server.post("/v1/devices/enrol", body(&ticket, &key(1))).await;
        assert_eq!(status, 200, "{first}");
        let (_, again) = server.post("/v1/devices/enrol", body(&ticket, &key(1))).await;
        assert_eq!(again, first, "a lost answer can be asked for again");
        let (status, problem) = server.post("/v1/devices/enrol", body(&ticket, &key(2))).await;
        assert_eq!((status, &problem["code"]), (401, &json!("ticket_invalid")));
        let (_, shown) =
            server.get(&format!("/v1/devices/{}", first["device"].as_str().unwrap())).await;
        assert_eq!(shown["state"], "enrolled");
    }

    #[tokio::test]
    async fn unknown_expired_and_malformed_tickets_are_refused() {
        let server = TestServer::new().await;
        let other = TestServer::new().await;
        other.context.with_rng(|rng| rng.next_u64());
        let foreign = ticket(&other).await;
        let good = ticket(&server).await;
        server.clock.advance(24 * 3600);
        for ticket in [foreign, good] {
            let (status, problem) = server.post("/v1/devices/enrol", body(&ticket, &key(1))).await;
            assert_eq!((status, &problem["code"]), (401, &json!("ticket_invalid")));
        }
        for text in ["", "tkt_", "tkt_test_", "junk", "tkt_test_zzzz"] {
            let mut body = json!({"public_key": "", "proof": ""});
            body["ticket"] = json!(text);
            let (status, _) = server.post("/v1/devices/enrol", body).await;
            assert_eq!(status, 401, "{text}");
        }
        let (_, list) = server.get("/v1/devices").await;
        assert_eq!(list["data"][0]["state"], "invited");
    }

    #[tokio::test]
    async fn a_key_without_proof_is_refused() {
        let server = TestServer::new().await;
        let ticket = ticket(&server).await;
        let good = body(&ticket, &key(1));
        let with = |name: &str, value: Value| {
            let mut body = good.clone();
            body[name] = value;
            body
        };
        let another_ticket = self::ticket(&server).await;
        for (status, code, body) in [
            (
                401,
                "signature_invalid",
                with("proof", json!(write(&proof(&ticket, &key(2), Kind::Enrolment)))),
            ),
            (
                401,
                "signature_invalid",
                with("proof", json!(write(&proof(&ticket, &key(1), Kind::Upload)))),
            ),
            (
                401,
                "signature_invalid",
                with("proof", json!(write(&proof(&another_ticket, &key(1), Kind::Enrolment)))),
            ),
            (401, "signature_invalid", with("proof", json!(""))),
            (422, "invalid_fields", with("proof", json!("!!!"))),
            (422, "invalid_fields", with("public_key", json!(""))),
            (422, "invalid_fields", with("public_key", json!(write(&[9; 33])))),
            (422, "invalid_fields", with("public_key", json!(7))),
            (422, "invalid_fields", with("ticket", json!(true))),
            (422, "invalid_fields", with("role", json!("admin"))),
        ] {
            let (got, problem) = server.post("/v1/devices/enrol", body).await;
            assert_eq!((got, &problem["code"]), (status, &json!(code)), "{problem}");
            assert!(!problem.to_string().contains(&ticket[4..]), "the ticket is not repeated");
        }
        assert_eq!(server.query("SELECT count(*) FROM devices WHERE state = 'enrolled'"), 0);
    }

    #[tokio::test]
    async fn one_key_is_one_device() {
        let server = TestServer::new().await;
        let (first, second) = (ticket(&server).await, ticket(&server).await);
        server.post("/v1/devices/enrol", body(&first, &key(1))).await;
        let (status, problem) = server.post("/v1/devices/enrol", body(&second, &key(1))).await;
        assert_eq!((status, &problem["code"]), (409, &json!("device_key_taken")));
    }
}
