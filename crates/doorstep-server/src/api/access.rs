//! Who may call what: one row an endpoint. What has no row is answered to nobody.

use crate::scope::Scope;
use axum::http::Method;

/// What a caller has to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Nothing.
    Open,
    /// A proof in the request: a device's or a provider's signature, a ticket, a phone's token.
    Proof,
    /// An API key that may do this.
    Key(Scope),
}

/// What a repetition of a request with an `Idempotency-Key` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// The same again, or nothing: the header means nothing here.
    Plain,
    /// Makes something: with the header it is made once.
    Creates,
    /// Takes a code, where the answer to a repetition must not be yes again.
    Verifies,
}

/// One endpoint.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Route {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) access: Access,
    pub(crate) effect: Effect,
}

impl Route {
    const fn creates(self) -> Self {
        Self { effect: Effect::Creates, ..self }
    }

    const fn verifies(self) -> Self {
        Self { effect: Effect::Verifies, ..self }
    }
}

const fn get(path: &'static str, access: Access) -> Route {
    Route { method: "GET", path, access, effect: Effect::Plain }
}

const fn post(path: &'static str, access: Access) -> Route {
    Route { method: "POST", path, access, effect: Effect::Plain }
}

use Access::{Key, Open, Proof};
use Scope::{
    AccountsRead, AccountsWrite, Admin, DeliveriesRead, DeliveriesWrite, EventsRead, EventsWrite,
    Gate, LocksRead, LocksWrite, MessagesRead, MessagesWrite, PassesRead, PassesWrite,
};

/// All endpoints.
pub(crate) const ROUTES: &[Route] = &[
    get("/healthz", Open),
    get("/readyz", Open),
    get("/metrics", Key(Scope::Metrics)),
    get("/v1/openapi.json", Open),
    // Deliveries and drivers
    post("/v1/deliveries", Key(DeliveriesWrite)).creates(),
    get("/v1/deliveries", Key(DeliveriesRead)),
    post("/v1/deliveries/import", Key(DeliveriesWrite)).creates(),
    get("/v1/deliveries/{id}", Key(DeliveriesRead)),
    post("/v1/deliveries/{id}/plan", Key(DeliveriesWrite)).creates(),
    post("/v1/deliveries/{id}/cancel", Key(DeliveriesWrite)),
    post("/v1/deliveries/plan_many", Key(DeliveriesWrite)).creates(),
    post("/v1/deliveries/reassign", Key(DeliveriesWrite)),
    post("/v1/deliveries/{id}/send", Key(DeliveriesWrite)).creates(),
    post("/v1/deliveries/{id}/verify", Key(DeliveriesWrite)).verifies(),
    get("/v1/deliveries/{id}/receipt", Key(DeliveriesRead)),
    get("/v1/deliveries/{id}/evidence", Key(DeliveriesRead)),
    post("/v1/deliveries/{id}/erase", Key(DeliveriesWrite)),
    get("/v1/devices/ranking", Key(DeliveriesRead)),
    get("/v1/disputes", Key(DeliveriesRead)),
    get("/v1/disputes/{delivery}", Key(DeliveriesRead)),
    post("/v1/disputes/{delivery}/resolve", Key(DeliveriesWrite)),
    get("/v1/issuer", Key(DeliveriesRead)),
    // Events and those who are told of them
    get("/v1/events", Key(EventsRead)),
    post("/v1/webhooks", Key(EventsWrite)).creates(),
    get("/v1/webhooks", Key(EventsRead)),
    get("/v1/webhooks/{id}", Key(EventsRead)),
    post("/v1/webhooks/{id}/change", Key(EventsWrite)),
    post("/v1/webhooks/{id}/remove", Key(EventsWrite)),
    post("/v1/webhooks/{id}/rotate", Key(EventsWrite)).creates(),
    post("/v1/webhooks/{id}/test", Key(EventsWrite)).creates(),
    get("/v1/webhooks/{id}/log", Key(EventsRead)),
    post("/v1/webhooks/{id}/replay", Key(EventsWrite)).creates(),
    // Drivers' devices
    post("/v1/devices", Key(DeliveriesWrite)).creates(),
    get("/v1/devices", Key(DeliveriesRead)),
    get("/v1/devices/{id}", Key(DeliveriesRead)),
    post("/v1/devices/{id}/lose", Key(DeliveriesWrite)),
    post("/v1/devices/{id}/claims", Key(DeliveriesWrite)),
    post("/v1/devices/enrol", Proof),
    post("/v1/claims", Proof),
    post("/v1/routes", Proof),
    post("/v1/routes/take", Proof),
    // Messages to customers
    get("/v1/messages", Key(MessagesRead)),
    post("/v1/messages/test", Key(MessagesWrite)).creates(),
    get("/v1/messages/{id}", Key(MessagesRead)),
    post("/v1/messages/{id}/resend", Key(MessagesWrite)).creates(),
    post("/v1/messages/status/{provider}", Proof),
    // Accounts and their authenticators
    post("/v1/accounts", Key(AccountsWrite)).creates(),
    get("/v1/accounts", Key(AccountsRead)),
    post("/v1/accounts/import", Key(AccountsWrite)).creates(),
    post("/v1/accounts/verify", Key(Gate)).verifies(),
    post("/v1/accounts/recover", Key(Gate)).verifies(),
    get("/v1/accounts/{id}", Key(AccountsRead)),
    post("/v1/accounts/{id}/authenticators", Key(AccountsWrite)).creates(),
    post("/v1/accounts/{id}/recovery-codes", Key(AccountsWrite)).creates(),
    post("/v1/accounts/{id}/unlock", Key(AccountsWrite)),
    post("/v1/accounts/{id}/disable", Key(AccountsWrite)),
    post("/v1/accounts/{id}/enable", Key(AccountsWrite)),
    post("/v1/authenticators/{id}/activate", Key(AccountsWrite)).verifies(),
    post("/v1/authenticators/{id}/resync", Key(AccountsWrite)).verifies(),
    post("/v1/authenticators/{id}/challenges", Key(Gate)),
    post("/v1/authenticators/{id}/disable", Key(AccountsWrite)),
    post("/v1/challenges/{id}/verify", Key(Gate)).verifies(),
    // Locks and bookings
    post("/v1/locks", Key(LocksWrite)).creates(),
    get("/v1/locks", Key(LocksRead)),
    get("/v1/locks/{id}", Key(LocksRead)),
    post("/v1/locks/{id}/provision", Key(LocksWrite)).creates(),
    post("/v1/locks/{id}/code", Key(LocksWrite)).creates(),
    post("/v1/locks/{id}/set_time", Key(LocksWrite)).creates(),
    post("/v1/locks/{id}/epoch", Key(LocksWrite)).creates(),
    post("/v1/locks/{id}/epoch/confirm", Key(LocksWrite)),
    post("/v1/locks/{id}/journal", Key(LocksWrite)),
    get("/v1/locks/{id}/events", Key(LocksRead)),
    get("/v1/locks/{id}/riders", Key(LocksRead)),
    post("/v1/locks/{id}/time_token", Key(LocksWrite)),
    post("/v1/bookings", Key(LocksWrite)).creates(),
    get("/v1/bookings", Key(LocksRead)),
    get("/v1/bookings/{id}", Key(LocksRead)),
    post("/v1/bookings/{id}/change", Key(LocksWrite)).creates(),
    post("/v1/bookings/{id}/cancel", Key(LocksWrite)),
    post("/v1/bookings/{id}/holders", Key(LocksWrite)).creates(),
    post("/v1/bookings/{id}/holders/{holder}/renew", Key(LocksWrite)).creates(),
    // Passes and phones
    post("/v1/passes", Key(PassesWrite)).creates(),
    get("/v1/passes", Key(PassesRead)),
    get("/v1/passes/{id}", Key(PassesRead)),
    post("/v1/passes/{id}/revoke", Key(PassesWrite)),
    post("/v1/pass_keys", Key(Admin)).creates(),
    get("/v1/pass_keys", Key(PassesRead)),
    post("/v1/wallet/collect", Proof),
    post("/v1/wallet/sync", Proof),
    // The service itself
    post("/v1/keys", Key(Admin)).creates(),
    get("/v1/keys", Key(Admin)),
    post("/v1/keys/{id}/rotate", Key(Admin)).creates(),
    post("/v1/keys/{id}/revoke", Key(Admin)),
];

/// The endpoint that answers here; `path` is as it stands in the router.
pub(crate) fn find(method: &Method, path: &str) -> Option<&'static Route> {
    // The router answers HEAD as it answers GET.
    let method = if method == Method::HEAD { Method::GET.as_str() } else { method.as_str() };
    ROUTES.iter().find(|route| route.path == path && route.method == method)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_server::TestServer;
    use serde_json::{Value, json};
    use std::collections::BTreeSet;

    fn document() -> Value {
        serde_json::from_str(&crate::openapi_json()).unwrap()
    }

    /// A path with something in place of its ids.
    fn filled(path: &str) -> String {
        path.replace("{id}", "x").replace("{holder}", "0").replace("{provider}", "x")
    }

    #[test]
    fn the_table_and_the_openapi_document_name_the_same_endpoints() {
        let document = document();
        let mut documented = BTreeSet::new();
        for (path, operations) in document["paths"].as_object().unwrap() {
            for (method, operation) in operations.as_object().unwrap() {
                let route = find(&method.to_uppercase().parse().unwrap(), path);
                let route = route.unwrap_or_else(|| panic!("{method} {path} has no row"));
                let takes_key = operation["security"] == json!([{"api_key": []}]);
                assert_eq!(takes_key, matches!(route.access, Key(_)), "{method} {path}");
                documented.insert((route.method, route.path));
            }
        }
        let rows: BTreeSet<_> = ROUTES.iter().map(|route| (route.method, route.path)).collect();
        assert_eq!(rows.len(), ROUTES.len(), "no endpoint has two rows");
        assert_eq!(rows, documented);
    }

    #[tokio::test]
    async fn without_a_key_or_its_scope_nothing_of_the_business_is_answered() {
        let server = TestServer::new().await;
        for route in ROUTES {
            let Key(scope) = route.access else { continue };
            let path = filled(route.path);
            let json = ("content-type", "application/json");
            let answer = server.request(route.method, &path, &[json], "{}").await;
            assert_eq!(
                (answer.status, &answer.json["code"]),
                (401, &json!("unauthorized")),
                "{path}"
            );

            // A key that may do all but this.
            let others: Vec<&str> = Scope::ALL
                .iter()
                .filter(|other| !matches!(other, Admin) && **other != scope)
                .map(|scope| scope.as_str())
                .collect();
            let body = json!({"name": "others", "scopes": others});
            let (_, made) = server.post("/v1/keys", body).await;
            let bearer = format!("Bearer {}", made["secret"].as_str().unwrap());
            let headers = [("authorization", bearer.as_str()), json];
            let answer = server.request(route.method, &path, &headers, "{}").await;
            assert_eq!(
                (answer.status, &answer.json["code"]),
                (403, &json!("missing_scope")),
                "{path}"
            );
            assert!(answer.json["detail"].as_str().unwrap().contains(scope.as_str()), "{path}");
        }
    }

    #[tokio::test]
    async fn a_key_with_the_scope_and_no_other_reaches_its_endpoint() {
        let server = TestServer::new().await;
        for route in ROUTES {
            let Key(scope) = route.access else { continue };
            let body = json!({"name": "one", "scopes": [scope.as_str()]});
            let (_, made) = server.post("/v1/keys", body).await;
            let bearer = format!("Bearer {}", made["secret"].as_str().unwrap());
            let headers =
                [("authorization", bearer.as_str()), ("content-type", "application/json")];
            let answer =
                server.request(route.method, &filled(route.path), &headers, "{\"?\":0}").await;
            let code = answer.json["code"].as_str().unwrap_or_default();
            assert!(
                !["unauthorized", "missing_scope", "internal", "method_not_allowed", "not_found"]
                    .contains(&code),
                "{} {}: {code}",
                route.method,
                route.path
            );
        }
    }
}
