//! How often anybody may ask, in whole minutes: each API key; each API key whose codes are refused,
//! whatever accounts they are for; and each address that fails to prove who it is. The attempts at
//! one account or delivery are counted elsewhere, durably; these counts keep a flood from the rest
//! and end with the process.

use super::auth::{self, Caller};
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
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const MINUTE: u64 = 60;
/// Beyond so many in a minute, new ones are not counted.
const MOST: usize = 100_000;
/// Answers about codes are shorter.
const LONGEST_VERDICT: usize = 64 * 1024;

const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");

/// What is counted of an API key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Of {
    Requests(Arc<str>),
    /// Codes that were refused to it.
    Refusals(Arc<str>),
}

/// How often everybody asked in one minute.
struct Counts<K> {
    minute: u64,
    of: HashMap<K, u32>,
}

impl<K> Default for Counts<K> {
    fn default() -> Self {
        Self { minute: 0, of: HashMap::new() }
    }
}

/// A place among those that a minute has.
struct Place<K> {
    who: K,
    minute: u64,
    /// How many there are with it.
    count: u32,
}

impl<K: Clone + Eq + Hash> Counts<K> {
    /// Takes a place, unless `most` are taken. Whoever is looked at beyond [`MOST`] has no count.
    fn take(&mut self, who: &K, most: u32, now: Timestamp) -> Option<Place<K>> {
        let minute = now.seconds() / MINUTE;
        if self.minute != minute {
            *self = Self { minute, of: HashMap::new() };
        }
        let place = |count| Place { who: who.clone(), minute, count };
        if self.of.len() >= MOST && !self.of.contains_key(who) {
            return Some(place(0));
        }
        let count = self.of.entry(who.clone()).or_default();
        if *count >= most {
            return None;
        }
        *count = count.saturating_add(1);
        Some(place(*count))
    }

    fn give_back(&mut self, place: &Place<K>) {
        if self.minute == place.minute
            && let Some(count) = self.of.get_mut(&place.who)
        {
            *count = count.saturating_sub(1);
        }
    }
}

/// How often everybody asked in the current minute. Addresses are apart: there are more of them than
/// anybody hands out keys, and they must not take the keys' places.
#[derive(Default)]
pub(crate) struct Limits {
    keys: Mutex<Counts<Of>>,
    /// Failures to prove who one is.
    addresses: Mutex<Counts<IpAddr>>,
    /// That there is a proxy which nobody named is said once.
    warned: AtomicBool,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn too_many(what: String, now: Timestamp) -> Problem {
    let wait = MINUTE - now.seconds() % MINUTE;
    Problem::new(Code::TooManyRequests, what)
        .hint(format!("wait {wait} s; doorstep config show says how many are taken a minute"))
        .retry_after(wait)
}

/// Refuses addresses that failed too often, before they cost a look-up or a signature. An API key that
/// is known to be valid costs neither: whoever guesses keys does not shut out those behind the same
/// address who have one.
pub(crate) async fn by_address(
    State(context): State<Arc<Context>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let most = context.config.server.failures_per_minute;
    let path = request.extensions().get::<MatchedPath>();
    let access = path
        .and_then(|path| access::find(request.method(), path.as_str()))
        .map(|route| route.access);
    let now = context.now();
    let is_free = match access {
        Some(Access::Open) => true,
        Some(Access::Key(_)) => auth::is_known(&context, request.headers(), now),
        Some(Access::Proof) | None => false,
    };
    let peer = request.extensions().get::<Peer>().copied();
    let (false, true, Some(peer)) = (is_free, most > 0, peer) else {
        return Ok(next.run(request).await);
    };
    let proxies = &context.config.server.trusted_proxies;
    if peer::is_unnamed_proxy(peer, request.headers(), proxies)
        && !context.limits.warned.swap(true, Ordering::Relaxed)
    {
        tracing::warn!(
            "a proxy on this machine names its clients, and server.trusted_proxies does not name it: \
             who guesses behind it shuts out everybody behind it"
        );
    }
    let address = peer::network(peer::client(peer, request.headers(), proxies));
    // Taken before it is known how it ends, so that asking at once gains nothing; a request that is
    // broken off keeps its place.
    let Some(place) = locked(&context.limits.addresses).take(&address, most, now) else {
        let what =
            format!("{address} failed {most} times in this minute, or has as many under way");
        return Err(too_many(what, now));
    };
    let response = next.run(request).await;
    let failed = response.extensions().get::<Code>().is_some_and(|code| {
        matches!(code, Code::Unauthorized | Code::SignatureInvalid | Code::TicketInvalid)
    });
    if !failed {
        locked(&context.limits.addresses).give_back(&place);
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
    let limit = server.requests_per_minute;
    let mut left = None;
    if limit > 0 {
        let requests = Of::Requests(Arc::clone(&caller.key));
        let Some(place) = locked(&context.limits.keys).take(&requests, limit, now) else {
            let what = format!("the API key {} asked {limit} times in this minute", caller.key);
            return Err(too_many(what, now));
        };
        left = Some(limit.saturating_sub(place.count));
    }
    let most = server.refusals_per_minute;
    let mut response = if verifies && most > 0 {
        // As with addresses: codes that are asked about at once have a place each.
        let refusals = Of::Refusals(Arc::clone(&caller.key));
        let Some(place) = locked(&context.limits.keys).take(&refusals, most, now) else {
            let what = format!(
                "the API key {} had {most} codes refused in this minute, or has as many under way",
                caller.key
            );
            return Err(too_many(what, now));
        };
        let (response, refused) = look_for_refusal(next.run(request).await).await;
        if !refused {
            locked(&context.limits.keys).give_back(&place);
        }
        response
    } else {
        next.run(request).await
    };
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

    #[tokio::test]
    async fn codes_that_are_asked_about_at_once_are_no_more_than_the_limit() {
        let server = TestServer::with(|config| config.server.refusals_per_minute = 5).await;
        let server = Arc::new(server);
        let asked: Vec<_> = (0..40)
            .map(|n| {
                let server = Arc::clone(&server);
                tokio::spawn(async move {
                    let body = json!({"account": format!("a{n}"), "code": "000000"});
                    server.post("/v1/accounts/verify", body).await.0
                })
            })
            .collect();
        let mut answered = 0;
        for asked in asked {
            match asked.await.unwrap() {
                200 => answered += 1,
                status => assert_eq!(status, 429),
            }
        }
        assert_eq!(answered, 5);
    }

    #[test]
    fn a_place_is_given_back_in_its_own_minute_only() {
        let (mut counts, now) = (Counts::default(), Timestamp::from_seconds(6000));
        let first = counts.take(&1, 1, now).unwrap();
        assert!(counts.take(&1, 1, now).is_none());
        counts.give_back(&first);
        let second = counts.take(&1, 1, now).unwrap();
        let later = now.later(MINUTE);
        assert!(counts.take(&1, 1, later).is_some());
        counts.give_back(&second);
        assert!(counts.take(&1, 1, later).is_none(), "that place was another minute's");
    }

    #[test]
    fn there_is_an_end_to_what_is_counted() {
        let (mut counts, now) = (Counts::default(), Timestamp::from_seconds(6000));
        for n in 0..MOST + 10 {
            assert!(counts.take(&n, 2, now).is_some());
        }
        assert_eq!(counts.of.len(), MOST);
        assert_eq!(counts.take(&1, 2, now).unwrap().count, 2, "who is known is still counted");
        assert!(counts.take(&1, 2, now).is_none());
        assert_eq!(counts.take(&MOST, 2, now.later(MINUTE)).unwrap().count, 1, "a new minute");
        assert_eq!(counts.of.len(), 1);
    }
}
