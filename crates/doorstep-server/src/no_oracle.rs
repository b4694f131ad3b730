//! Nobody without an API key learns whether a code was right: two worlds from one seed, in which all is
//! the same but that a device once took the right code and once another that passes its check. What a
//! driver or a customer can see, in answers, messages and the work that was done for them, must be the
//! same.

use crate::api::access::{Access, ROUTES};
use crate::http::base64url::read;
use crate::test_server::{TestDevice, TestServer};
use axum::http::HeaderValue;
use doorstep::handover::claim::Acknowledgement;
use serde_json::{Value, json};

/// Which code the device takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum World {
    Right,
    Wrong,
}

/// Something that can be seen from outside.
#[derive(Debug, PartialEq)]
struct Seen {
    what: String,
    status: u16,
    /// Without the request's id, which is counted, and the date, which is the machine's.
    headers: Vec<(String, String)>,
    body: Value,
    /// What the database was asked to do for it, in order: the same work takes the same time.
    work: Vec<String>,
}

/// What has to differ, because what was claimed differs, is written as its length.
fn blurred(world: &TestServer, device: &TestDevice, mut body: Value) -> Value {
    if let Some(text) = body["acknowledgement"].as_str() {
        let document = read("acknowledgement", text).unwrap();
        let key = world.context.keys.signing.public();
        let id = device.device.identity().device;
        let said = Acknowledgement::verify(&document, world.context.issuer(), key, id).unwrap();
        body["acknowledgement"] = json!([
            document.len(),
            said.received,
            said.epoch,
            said.log.seq,
            said.time.seconds(),
            said.prove,
            said.nonce.to_vec(),
        ]);
    }
    if let Some(routes) = body["routes"].as_array() {
        body["routes"] = routes.iter().map(|route| json!(route.as_str().unwrap().len())).collect();
    }
    body
}

struct Watch<'s> {
    server: &'s TestServer,
    seen: Vec<Seen>,
}

impl Watch<'_> {
    async fn post(&mut self, what: &str, device: &TestDevice, path: &str, body: &Value) -> Value {
        self.request(what, device, "POST", path, body).await
    }

    /// Sends a request as somebody without a key does, and notes everything that comes of it.
    async fn request(
        &mut self,
        what: &str,
        device: &TestDevice,
        method: &str,
        path: &str,
        body: &Value,
    ) -> Value {
        let ran = &self.server.context.store.ran;
        ran.lock().unwrap().clear();
        let headers = [("content-type", "application/json")];
        let answer = self.server.request(method, path, &headers, body.to_string()).await;
        let mut shown = blurred(self.server, device, answer.json.clone());
        if let Some(fields) = shown.as_object_mut() {
            fields.remove("request_id");
        }
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        let headers = answer.headers.iter().filter(|(name, _)| *name != "x-request-id");
        let seen = Seen {
            what: what.to_owned(),
            status: answer.status,
            headers: headers.map(|(name, value)| (name.to_string(), text(value))).collect(),
            body: shown,
            work: ran.lock().unwrap().clone(),
        };
        self.seen.push(seen);
        answer.json
    }

    async fn sync(&mut self, what: &str, device: &mut TestDevice) {
        let upload = device.upload_body();
        let answer = self.post(what, device, "/v1/claims", &upload).await;
        device.acknowledged(self.server, &answer);
        let request = device.route_body();
        let answer = self.post(what, device, "/v1/routes", &request).await;
        device.take_in(self.server, &answer);
    }

    /// Everything that answers without an API key, to a request that means nothing.
    async fn walk(&mut self, what: &str, device: &TestDevice) {
        for route in ROUTES.iter().filter(|route| !matches!(route.access, Access::Key(_))) {
            let path = route.path.replace("{provider}", "log");
            let what = format!("{what}: {} {path}", route.method);
            self.request(&what, device, route.method, &path, &json!({})).await;
        }
    }
}

/// Plays the story of one world and gives back all that was seen, and the verdict.
async fn play(world: World) -> (Vec<Seen>, String) {
    let server = TestServer::new().await;
    let mut device = server.device("Leo").await;
    let delivery = server.delivery_for("A", &["+34 612 345 678", "+34 698 765 432"]).await;
    let other = server.delivery("B").await;
    server.plan(&delivery, device.id()).await;
    let stop = device.sync(&server).await.remove(0);
    // The second recipient's code is put off, as by quiet hours, to after the claim.
    server.execute("UPDATE messages SET next_at = 1800000000 + 2 * 3600 + 600 WHERE slot = 1");
    server.clock.advance(2 * 3600);
    server.run_jobs().await;
    assert_eq!(server.messages().len(), 1);
    let right = server.code(0);
    let forged = device.forged(&stop, &right);
    let now = server.clock.now();
    let code = if world == World::Right { right } else { forged };
    device.present(&delivery, &code, now).unwrap();

    let again = device.upload_body();
    let mut watch = Watch { server: &server, seen: Vec::new() };
    watch.sync("the claim comes in", &mut device).await;
    watch.walk("before the verdict", &device).await;
    server.run_jobs().await;
    let shown = server.shown(&delivery).await;
    let verdict = shown["claims"][0]["verdict"].as_str().unwrap().to_owned();
    watch.sync("after the verdict", &mut device).await;
    watch.walk("after the verdict", &device).await;
    // The same claim again, as after an acknowledgement that got lost.
    watch.post("the claim again", &device, "/v1/claims", &again).await;
    // Something new for the driver.
    server.plan_at(&other, device.id(), "2027-01-15T10:30:00Z").await;
    watch.sync("another stop", &mut device).await;
    server.clock.advance(1200);
    server.run_jobs().await;
    let messages = server.messages();
    let told: Vec<Value> = messages
        .into_iter()
        .map(|mut message| {
            // The plan of another delivery draws its code after the claim was judged.
            message["text"] = json!(message["text"].as_str().unwrap().len());
            message
        })
        .collect();
    watch.seen.push(Seen {
        what: "what customers were told".to_owned(),
        status: 0,
        headers: Vec::new(),
        body: json!(told),
        work: Vec::new(),
    });
    // The window ends, and nothing is told of that either.
    server.clock.advance(24 * 3600);
    server.run_jobs().await;
    watch.sync("the day after", &mut device).await;
    watch.walk("the day after", &device).await;
    (watch.seen, verdict)
}

#[test]
fn nobody_without_a_key_sees_whether_a_code_was_right() {
    // One thread, so that all of the work is in one order.
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(1)
            .build()
            .unwrap()
    };
    let (right, verdict) = runtime().block_on(play(World::Right));
    assert_eq!(verdict, "match");
    let (wrong, verdict) = runtime().block_on(play(World::Wrong));
    assert_eq!(verdict, "mismatch");
    assert_eq!(right.len(), wrong.len());
    assert!(right.len() > 20, "{}", right.len());
    for (right, wrong) in right.iter().zip(&wrong) {
        assert_eq!(right, wrong, "{}", right.what);
    }
    let worked = right.iter().filter(|seen| !seen.work.is_empty()).count();
    assert!(worked > 6, "the work was looked at");
}
