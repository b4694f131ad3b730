//! How often anybody may ask, in whole minutes: each API key; each API key whose codes are refused,
//! whatever accounts they are for; and each address that fails to prove who it is. The attempts at
//! one account or delivery are counted elsewhere, durably; these counts keep a flood from the rest
//! and end with the process.

use super::auth::Caller;
use super::peer::{self, Peer};
use super::problem::{Code, Problem};
use crate::api::access::{self, Access, Effect, Route};
use crate::context::Context;
use axum::body::{Body, to_bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use doorstep::time::Timestamp;
use serde::Deserialize;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

const MINUTE: u64 = 60;
/// Beyond so many, those of minutes that are over are dropped, and new ones are not counted.
const MOST: usize = 100_000;
/// Answers about codes are shorter.
const LONGEST_VERDICT: usize = 64 * 1024;

const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");

/// What is counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Who {
    /// Requests of an API key.
    Requests(Arc<str>),
    /// Codes that were refused to an API key.
    Refusals(Arc<str>),
    /// Failures of an address to prove who it is.
    Failures(IpAddr),
}

#[derive(Clone, Copy, Debug)]
struct Counted {
    minute: u64,
    count: u32,
}

/// How often everybody asked in the current minute.
#[derive(Default)]
pub(crate) struct Limits(Mutex<HashMap<Who, Counted>>);

impl Limits {
    /// How often this minute.
    fn count(&self, who: &Who, now: Timestamp) -> u32 {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let minute = now.seconds() / MINUTE;
        counts
            .get(who)
            .filter(|counted| counted.minute == minute)
            .map_or(0, |counted| counted.count)
    }

    /// Counts one more, and says how many there are now.
    fn add(&self, who: Who, now: Timestamp) -> u32 {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let minute = now.seconds() / MINUTE;
        if counts.len() >= MOST && !counts.contains_key(&who) {
            counts.retain(|_, counted| counted.minute == minute);
            if counts.len() >= MOST {
                return 0;
            }
        }
        let counted = counts.entry(who).or_insert(Counted { minute, count: 0 });
        if counted.minute != minute {
            *counted = Counted { minute, count: 0 };
        }
        counted.count = counted.count.saturating_add(1);
        counted.count
    }
}

fn too_many(what: String, now: Timestamp) -> Problem {
    let wait = MINUTE - now.seconds() % MINUTE;
    Problem::new(Code::TooManyRequests, what)
        .hint(format!("wait {wait} s; doorstep config show says how many are taken a minute"))
        .retry_after(wait)
}

/// Refuses addresses that failed too often, before they cost a look-up or a signature.
pub(crate) async fn by_address(
    State(context): State<Arc<Context>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let most = context.config.server.failures_per_minute;
    let path = request.extensions().get::<MatchedPath>();
    let route = path.and_then(|path| access::find(request.method(), path.as_str()));
    let peer = request.extensions().get::<Peer>().copied();
    let is_open = route.is_some_and(|route| route.access == Access::Open);
    let (false, true, Some(peer)) = (is_open, most > 0, peer) else {
        return Ok(next.run(request).await);
    };
    let proxies = &context.config.server.trusted_proxies;
    let address = peer::network(peer::client(peer, request.headers(), proxies));
    let (who, now) = (Who::Failures(address), context.now());
    if context.limits.count(&who, now) >= most {
        return Err(too_many(format!("{address} failed {most} times in this minute"), now));
    }
    let response = next.run(request).await;
    let failed = response.extensions().get::<Code>().is_some_and(|code| {
        matches!(code, Code::Unauthorized | Code::SignatureInvalid | Code::TicketInvalid)
    });
    if failed {
        context.limits.add(who, now);
    }
    Ok(response)
}

/// Refuses API keys that ask too often, or of whose codes too many were refused.
pub(crate) async fn by_key(
    State(context): State<Arc<Context>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let Some(caller) = request.extensions().get::<Caller>().cloned() else {
        return Ok(next.run(request).await);
    };
    let verifies = request
        .extensions()
        .get::<&'static Route>()
        .is_some_and(|route| route.effect == Effect::Verifies);
    let (server, now) = (&context.config.server, context.now());
    let refusals = Who::Refusals(Arc::clone(&caller.key));
    let most = server.refusals_per_minute;
    if verifies && most > 0 && context.limits.count(&refusals, now) >= most {
        let what = format!("the API key {} had {most} codes refused in this minute", caller.key);
        return Err(too_many(what, now));
    }
    let limit = server.requests_per_minute;
    let mut left = None;
    if limit > 0 {
        let count = context.limits.add(Who::Requests(Arc::clone(&caller.key)), now);
        if count > limit {
            let what = format!("the API key {} asked {limit} times in this minute", caller.key);
            return Err(too_many(what, now));
        }
        left = Some(limit - count);
    }
    let mut response = next.run(request).await;
    if verifies {
        let refused;
        (response, refused) = look_for_refusal(response).await;
        if refused {
            context.limits.add(refusals, now);
        }
    }
    if let Some(left) = left {
        response.headers_mut().insert(LIMIT, HeaderValue::from(limit));
        response.headers_mut().insert(REMAINING, HeaderValue::from(left));
    }
    Ok(response)
}

/// Whether an answer about a code is no. It is read off the answer itself, so that no endpoint can
/// forget to say so.
async fn look_for_refusal(response: Response) -> (Response, bool) {
    #[derive(Deserialize)]
    struct Verdict<'a> {
        outcome: &'a str,
    }

    let (parts, body) = response.into_parts();
    let body = to_bytes(body, LONGEST_VERDICT).await.unwrap_or_default();
    let refused = serde_json::from_slice::<Verdict<'_>>(&body)
        .is_ok_and(|verdict| verdict.outcome == "refused");
    (Response::from_parts(parts, Body::from(body)), refused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_server::TestServer;
    use serde_json::json;

    #[tokio::test]
    async fn a_key_that_asks_too_often_waits_for_the_next_minute_and_keeps_nobody_else_up() {
        let server = TestServer::with(|config| config.server.requests_per_minute = 3).await;
        let (_, other) = server.post("/v1/keys", json!({"name": "other"})).await;
        let bearer = format!("Bearer {}", other["secret"].as_str().unwrap());
        let header = [("authorization", bearer.as_str())];
        for left in ["2", "1", "0"] {
            let answer = server.request("GET", "/v1/keys", &header, "").await;
            assert_eq!((answer.status, answer.header("ratelimit-remaining")), (200, left));
        }
        let answer = server.request("GET", "/v1/keys", &header, "").await;
        assert_eq!((answer.status, &answer.json["code"]), (429, &json!("too_many_requests")));
        assert_eq!(answer.header("retry-after"), "60");
        assert_eq!(server.get("/v1/keys").await.0, 200, "the first key");
        server.clock.advance(59);
        assert_eq!(server.request("GET", "/v1/keys", &header, "").await.header("retry-after"), "1");
        server.clock.advance(1);
        assert_eq!(server.request("GET", "/v1/keys", &header, "").await.status, 200);
    }

    #[tokio::test]
    async fn refused_codes_count_across_accounts_and_right_ones_do_not() {
        let server = TestServer::with(|config| config.server.refusals_per_minute = 2).await;
        let verify = async |account: &str| {
            let body = json!({"account": account, "code": "000000"});
            server.post("/v1/accounts/verify", body).await
        };
        for account in ["ana", "leo"] {
            let (status, answer) = verify(account).await;
            assert_eq!((status, &answer["outcome"]), (200, &json!("refused")), "{answer}");
        }
        let (status, problem) = verify("mia").await;
        assert_eq!((status, &problem["code"]), (429, &json!("too_many_requests")));
        assert_eq!(server.get("/v1/keys").await.0, 200, "all else is answered");
        server.clock.advance(60);
        assert_eq!(verify("mia").await.0, 200);
    }

    #[test]
    fn there_is_an_end_to_what_is_counted() {
        let (limits, now) = (Limits::default(), Timestamp::from_seconds(6000));
        let who = |n: u32| Who::Failures(IpAddr::from(n.to_be_bytes()));
        for n in 0..u32::try_from(MOST).unwrap() + 10 {
            limits.add(who(n), now);
        }
        assert_eq!(limits.0.lock().unwrap().len(), MOST);
        assert_eq!(limits.add(who(1), now), 2, "who is known is still counted");
        assert_eq!(limits.add(who(u32::MAX), now.later(MINUTE)), 1, "old ones made room");
    }
}
