//! A disaster in each test: a backup, then life goes on, then only the backup is left.

mod authenticators;

use super::*;
use crate::context::Context;
use crate::http::base64url::write;
use crate::test_pass::TestPhone;
use crate::test_server::{TestDevice, TestServer, proof};
use doorstep::cose::Kind;
use doorstep::cose::keys::SoftwareKey;
use doorstep::handover::bundle::{Bundle, Finding};
use doorstep::handover::claim::Upload;
use doorstep::handover::stop::Stop;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use serde_json::{Value, json};
use std::sync::Arc;

const EVENING: &str = "2027-01-15T16:00:00Z";

/// A backup, and the directory that it is in.
fn backup_of(server: &TestServer) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("backup.db");
    let made = backup(server.dir.path(), &out, server.clock.now()).unwrap();
    assert_eq!(made.bytes, fs::metadata(&out).unwrap().len());
    (dir, out)
}

fn order<'a>(file: &'a Path, data: &'a Path, access: Access, now: Timestamp) -> Restoring<'a> {
    Restoring { file, data, keys: None, access, now, is_simulated: true, rehearsal: false }
}

/// A directory that has the keys of another, and nothing else.
fn keys_of(server: &TestServer) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let keys = dir.path().join(KEYS);
    make_private_dirs(&keys).unwrap();
    for entry in fs::read_dir(server.dir.path().join(KEYS)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), keys.join(entry.file_name())).unwrap();
    }
    dir
}

/// Loses the server's directory and brings the backup back into another.
fn brought_back(server: TestServer, file: &Path, access: Access) -> (TestServer, Restored) {
    let dir = keys_of(&server);
    let restored = restore(&order(file, dir.path(), access, server.clock.now())).unwrap();
    (server.moved_to(dir), restored)
}

#[tokio::test]
async fn a_backup_is_whole_private_and_no_server_runs_on_it() {
    let server = TestServer::new().await;
    server.delivery("A").await;
    let (_kept, file) = backup_of(&server);
    server.delivery("B").await;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert!(matches!(
        backup(server.dir.path(), &file, server.clock.now()),
        Err(BackupError::Exists { .. })
    ));
    assert!(BESIDE.iter().all(|suffix| !with_suffix(&file, suffix).exists()));
    // As somebody would who knows no other way.
    let dir = keys_of(&server);
    fs::copy(&file, dir.path().join(DATABASE)).unwrap();
    let rng = Box::new(ChaCha20Rng::seed_from_u64(9));
    let config = crate::Config::new(dir.path().to_owned());
    let refused = Context::open(config, server.clock.clone(), rng).err().unwrap();
    assert!(matches!(refused, crate::OpenError::Backup { .. }), "{refused}");

    let (server, restored) = brought_back(server, &file, Access::Kept);
    assert_eq!(restored.backup_at, Some(server.clock.now()));
    assert_eq!(restored.voided, Voided::default());
    let references: Vec<_> =
        server.deliveries().await.iter().map(|one| one["reference"].clone()).collect();
    assert_eq!(references, ["A"]);
}

#[tokio::test]
async fn acknowledged_outcomes_come_home_again() {
    let server = TestServer::new().await;
    let mut device = server.device("Marta").await;
    let delivery = server.delivery("A").await;
    server.plan(&delivery, device.id()).await;
    device.sync(&server).await;
    server.clock.advance(2 * 3600);
    server.run_jobs().await;
    let (_kept, file) = backup_of(&server);
    device.present(&delivery, &server.code(0), server.clock.now()).unwrap();
    device.sync(&server).await;
    server.run_jobs().await;
    assert_eq!(
        (&server.shown(&delivery).await["state"], device.device.received()),
        (&json!("delivered"), 1)
    );

    let (server, restored) = brought_back(server, &file, Access::Kept);
    assert_eq!((restored.open.deliveries_out, restored.epoch), (1, server.clock.now().seconds()));
    assert_eq!(server.shown(&delivery).await["state"], "notified");
    // The first sync tells the device that the server has less, the second brings it.
    device.sync(&server).await;
    device.sync(&server).await;
    server.run_jobs().await;
    assert_eq!(server.shown(&delivery).await["state"], "delivered");
    assert_eq!(server.query("SELECT count(*) FROM claims"), 1);
    assert!(device.sync(&server).await.is_empty());
}

#[tokio::test]
async fn what_a_device_was_handed_since_is_not_handed_to_it_twice_and_no_number_comes_again() {
    let server = TestServer::new().await;
    let mut device = server.device("Marta").await;
    let delivery = server.delivery("A").await;
    server.plan(&delivery, device.id()).await;
    let (_kept, file) = backup_of(&server);
    // Handed out, planned anew and handed out again: the backup knows neither.
    device.sync(&server).await;
    server.plan(&delivery, device.id()).await;
    device.sync(&server).await;
    server.clock.advance(2 * 3600);
    server.run_jobs().await;
    let lost = server.code(0);
    let unsent = device.stop_of(&delivery).generation;

    let (server, restored) = brought_back(server, &file, Access::Kept);
    assert_eq!((restored.voided.plans, unsent), (1, 2));
    assert_eq!(server.shown(&delivery).await["state"], "expired");
    let told = "SELECT min(seq) FROM events WHERE type = 'delivery.expired'";
    assert!(u64::try_from(server.query(told)).unwrap() > restored.epoch, "nobody has read it yet");
    server.run_jobs().await;
    assert!(server.messages().is_empty(), "the code of the first plan is not sent");
    let (status, planned) = server.plan(&delivery, device.id()).await;
    assert_eq!((status, planned["state"].as_str()), (200, Some("planned")), "{planned}");
    assert!(planned["generation"].as_u64().unwrap() > restored.epoch);
    let stops = device.sync(&server).await;
    assert_eq!(stops.len(), 1, "the device does not take it for a replay");
    server.run_jobs().await;
    let now = server.clock.now();
    assert!(device.present(&delivery, &lost, now).is_err(), "the lost code is superseded");
    device.present(&delivery, &server.code(0), now).unwrap();
    device.sync(&server).await;
    server.run_jobs().await;
    assert_eq!(server.shown(&delivery).await["state"], "delivered");
    let fresh = server.delivery("B").await;
    let (_, planned) = server.plan_at(&fresh, device.id(), EVENING).await;
    assert_eq!(
        planned["generation"],
        restored.epoch + 1,
        "made in the very second of the restoring"
    );
    server.clock.advance(1);
    let later = server.delivery("C").await;
    let (_, planned) = server.plan_at(&later, device.id(), EVENING).await;
    assert_eq!(planned["generation"], 1, "nobody had one of it before");
}

#[tokio::test]
async fn a_claim_on_a_plan_that_was_lost_is_shown_to_somebody() {
    let server = TestServer::new().await;
    let mut device = server.device("Marta").await;
    let delivery = server.delivery("A").await;
    let (_kept, file) = backup_of(&server);
    server.plan(&delivery, device.id()).await;
    device.sync(&server).await;
    server.clock.advance(2 * 3600);
    server.run_jobs().await;
    device.present(&delivery, &server.code(0), server.clock.now()).unwrap();
    let (server, _) = brought_back(server, &file, Access::Kept);
    device.sync(&server).await;
    server.run_jobs().await;
    let disputed = server.shown(&delivery).await;
    assert_eq!(
        (&disputed["state"], &disputed["claims"][0]["verdict"]),
        (&json!("disputed"), &json!("unchecked"))
    );
    // The numbers of plans go on from the epoch, and evidence goes by the plans, not by their numbers.
    let (status, shown) = server.get(&format!("/v1/deliveries/{delivery}/evidence")).await;
    assert_eq!(status, 200);
    let key = server.context.keys.signing.public();
    let read = |shown: &Value| {
        let document = crate::http::base64url::read("bundle", shown["bundle"].as_str().unwrap());
        Bundle::verify(&document.unwrap(), server.context.issuer(), key).unwrap()
    };
    let fails = |bundle: &Bundle| {
        let findings = bundle.examine(key).into_iter().flat_map(|claim| claim.findings);
        findings.filter(|(_, finding)| *finding == Finding::Fails).collect::<Vec<_>>()
    };
    let bundle = read(&shown);
    assert_eq!((bundle.generations.len(), fails(&bundle)), (0, vec![]));
    let other = server.device("Leo").await;
    let (status, planned) = server.plan_at(&delivery, other.id(), EVENING).await;
    assert_eq!(status, 200, "what nobody can check keeps no plan out: {planned}");
    let (status, shown) = server.get(&format!("/v1/deliveries/{delivery}/evidence")).await;
    assert_eq!(status, 200);
    let bundle = read(&shown);
    assert_eq!((bundle.generations.len(), fails(&bundle)), (1, vec![]));
}

#[tokio::test]
async fn a_restoring_is_no_leave_to_invent_plans() {
    let server = TestServer::new().await;
    let (mut honest, mut copied) = (server.device("Marta").await, server.device("Leo").await);
    let (old, own) = (server.delivery("A").await, server.delivery("B").await);
    server.plan(&own, honest.id()).await;
    let mut stop = honest.sync(&server).await.remove(0);
    copied.sync(&server).await;
    let (_kept, file) = backup_of(&server);
    let (server, _) = brought_back(server, &file, Access::Kept);
    server.clock.advance(60);
    let fresh = server.delivery("C").await;
    let mut stranger = server.device("Zoe").await;
    stop.generation = 7;
    let at = server.clock.now();
    let send = async |device: &mut TestDevice, stop: &Stop, code: &str| {
        let claim = device.claim_for(stop, code, at);
        let upload = Upload { device: device.device.identity().device, claims: vec![claim.into()] };
        assert_eq!(device.clone().send(&server, &upload).await.0, 200);
    };
    // Of a delivery that was made since; and of an old one, by a device that enrolled since, and by a claim
    // beside the device's chain.
    stop.delivery = doorstep::id::DeliveryId::parse(&fresh).unwrap();
    send(&mut honest, &stop, "00000000").await;
    send(&mut copied, &stop, "00000000").await;
    stop.delivery = doorstep::id::DeliveryId::parse(&old).unwrap();
    send(&mut copied, &stop, "00000001").await;
    send(&mut stranger, &stop, "00000000").await;
    server.run_jobs().await;
    assert_eq!(server.query("SELECT count(*) FROM claims WHERE verdict = 'void'"), 4);
    for delivery in [&old, &fresh] {
        assert_eq!(server.shown(delivery).await["state"], "created");
    }
}

#[tokio::test]
async fn a_claim_on_a_plan_that_never_was_says_nothing_without_a_restoring() {
    let server = TestServer::new().await;
    let mut device = server.device("Marta").await;
    let (delivery, other) = (server.delivery("A").await, server.delivery("B").await);
    server.plan(&delivery, device.id()).await;
    let mut stop = device.sync(&server).await.remove(0);
    stop.delivery = doorstep::id::DeliveryId::parse(&other).unwrap();
    let claim = device.claim_for(&stop, "00000000", server.clock.now());
    let upload = Upload { device: device.device.identity().device, claims: vec![claim.into()] };
    device.clone().send(&server, &upload).await;
    server.run_jobs().await;
    assert_eq!(server.shown(&other).await["state"], "created");
}

#[tokio::test]
async fn a_message_that_was_due_is_sent_again_only_when_somebody_says_so() {
    let server = TestServer::new().await;
    let mut device = server.device("Marta").await;
    let (now, later) = (server.delivery("A").await, server.delivery("B").await);
    server.plan(&now, device.id()).await;
    server.plan_at(&later, device.id(), EVENING).await;
    device.sync(&server).await;
    let (_kept, file) = backup_of(&server);
    server.clock.advance(95 * 60);
    server.run_jobs().await;
    let first = server.code(0);

    let (server, restored) = brought_back(server, &file, Access::Kept);
    assert_eq!((restored.voided.messages_held, restored.open.messages_waiting), (1, 1));
    server.run_jobs().await;
    assert!(server.messages().is_empty());
    assert_eq!(server.shown(&now).await["messages"][0]["state"], "failed");
    let (status, _) = server.post(&format!("/v1/deliveries/{now}/send"), json!({})).await;
    assert_eq!((status, server.code(0)), (200, first), "the same code, as its device has it");
    server.clock.advance(6 * 3600);
    server.run_jobs().await;
    assert_eq!(server.messages().len(), 2, "the later one went out by itself");
}

#[tokio::test]
async fn an_online_code_that_was_used_since_is_refused() {
    let server = TestServer::new().await;
    let delivery = server.delivery("A").await;
    let path = format!("/v1/deliveries/{delivery}");
    let body = json!({"mode": "online", "expected_at": "2027-01-15T08:05:00Z"});
    server.post(&format!("{path}/plan"), body.clone()).await;
    server.run_jobs().await;
    let code = server.code(0);
    let (_kept, file) = backup_of(&server);
    let verify = async |server: &TestServer, code: &str| {
        server.answer(&format!("{path}/verify"), json!({"code": code})).await
    };
    assert_eq!(verify(&server, &code).await["outcome"], "granted");

    let (server, restored) = brought_back(server, &file, Access::Kept);
    assert_eq!(restored.voided.online_codes, 1);
    for _ in 0..2 {
        assert_eq!(verify(&server, &code).await["reason"], "expired");
        server.run_jobs().await;
    }
    let (status, _) = server.post(&format!("{path}/plan"), body).await;
    server.run_jobs().await;
    assert_eq!(status, 200);
    assert_eq!(verify(&server, &code).await["outcome"], "refused");
    assert_eq!(verify(&server, &server.code(0)).await["outcome"], "granted");
}

#[tokio::test]
async fn a_ticket_of_a_pass_that_was_used_since_brings_it_to_no_second_phone() {
    let server = TestServer::new().await;
    let lock = server.lock("1", json!({"kind": "courts"})).await;
    let made = server.pass(&lock.id, "10:00", "11:00", json!({"holder": "collect"})).await;
    let (phone, thief) = (TestPhone::new(1), TestPhone::new(2));
    let body = |phone: &TestPhone| json!({"ticket": made["ticket"], "holder": phone.holder()});
    let (_kept, file) = backup_of(&server);
    assert_eq!(server.ask_openly("/v1/wallet/collect", body(&phone)).await.0, 201);
    let (server, restored) = brought_back(server, &file, Access::Kept);
    assert_eq!(restored.voided.pass_tickets, 1);
    for phone in [&thief, &phone] {
        let (status, problem) = server.ask_openly("/v1/wallet/collect", body(phone)).await;
        assert_eq!((status, &problem["code"]), (401, &json!("ticket_invalid")));
    }
}

#[tokio::test]
async fn keys_devices_and_tickets_end_unless_somebody_vouches_for_them() {
    let server = TestServer::new().await;
    let mut device = server.device("Marta").await;
    let (_, invited) = server.post("/v1/devices", json!({"driver": "Leo"})).await;
    let delivery = server.delivery("A").await;
    server.plan(&delivery, device.id()).await;
    device.sync(&server).await;
    let (_, receiver) = server.post("/v1/webhooks", json!({"url": "https://shop.example/"})).await;
    let receiver = format!("/v1/webhooks/{}", receiver["id"].as_str().unwrap());
    let request = json!({"name": "wiki"}).to_string();
    let headers =
        [server.bearer(), ("content-type", "application/json"), ("idempotency-key", "one")];
    assert_eq!(server.request("POST", "/v1/keys", &headers, request.clone()).await.status, 201);
    let (_kept, file) = backup_of(&server);
    let (kept, restored) = brought_back(server, &file, Access::Kept);
    assert_eq!((restored.voided.api_keys, restored.voided.devices), (0, 0));
    assert_eq!((restored.voided.webhooks, restored.voided.kept_answers), (0, 1));
    assert_eq!(kept.get(&receiver).await.1["state"], "active");
    let headers = [kept.bearer(), ("content-type", "application/json"), ("idempotency-key", "one")];
    let again = kept.request("POST", "/v1/keys", &headers, request).await;
    assert_eq!((again.status, &again.json["code"]), (409, &json!("idempotency_lost")));
    assert_eq!(restored.voided.invitations, 1, "a ticket may have been used in any case");
    let (ticket, key) = (
        invited["ticket"].as_str().unwrap(),
        SoftwareKey::make(&mut ChaCha20Rng::seed_from_u64(3)),
    );
    let request = json!({"ticket": ticket, "public_key": write(&key.public().to_bytes()),
                         "proof": write(&proof(ticket, &key, Kind::Enrolment))});
    let (status, problem) = kept.post("/v1/devices/enrol", request).await;
    assert_eq!((status, &problem["code"]), (401, &json!("ticket_invalid")));
    assert_eq!(kept.get("/v1/deliveries").await.0, 200);
    device.sync(&kept).await;

    let (ended, restored) = brought_back(kept, &file, Access::Ended);
    assert_eq!((restored.voided.api_keys, restored.voided.devices), (2, 1));
    assert_eq!(restored.voided.webhooks, 1);
    assert_eq!(ended.query("SELECT count(*) FROM webhooks WHERE state = 'paused'"), 1);
    assert_eq!(ended.get("/v1/deliveries").await.0, 401);
    let (status, _) = device.upload(&ended).await;
    assert_eq!(status, 200, "outcomes are still taken");
    assert_eq!(device.fetch(&ended).await.0, 409, "and nothing is handed out");
}

#[tokio::test]
async fn restored_twice_from_one_backup_no_number_comes_again_either() {
    let server = TestServer::new().await;
    let device = server.device("Marta").await;
    let delivery = server.delivery("A").await;
    let (_kept, file) = backup_of(&server);
    let (server, first) = brought_back(server, &file, Access::Kept);
    let (_, planned) = server.plan(&delivery, device.id()).await;
    server.clock.advance(60);
    let (server, second) = brought_back(server, &file, Access::Kept);
    assert!(second.epoch > first.epoch);
    let (_, again) = server.plan(&delivery, device.id()).await;
    assert!(again["generation"].as_u64() > planned["generation"].as_u64());
}

#[tokio::test]
async fn a_lock_gets_no_root_twice() {
    let server = TestServer::new().await;
    let made = server.lock("Court", json!({"kind": "courts"})).await;
    let path = format!("/v1/locks/{}/provision", made.id);
    let (_kept, file) = backup_of(&server);
    let (_, lost) = server.post(&path, json!({})).await;
    let (server, restored) = brought_back(server, &file, Access::Kept);
    let (status, again) = server.post(&path, json!({})).await;
    assert_eq!(lost["lock"]["generation"], 2);
    assert_eq!(
        (status, again["lock"]["generation"].as_u64()),
        (201, Some(restored.epoch + 1)),
        "{again}"
    );
}

#[tokio::test]
async fn statements_about_keys_go_on_where_no_lock_is() {
    let server = TestServer::new().await;
    let mut lock = server.lock("1", json!({"kind": "courts"})).await;
    let rotate = async |server: &TestServer, body: Value| {
        let (status, keys) = server.post("/v1/pass_keys", body).await;
        assert_eq!(status, 201, "{keys}");
        keys["rotation"].as_u64().unwrap()
    };
    let (_kept, file) = backup_of(&server);
    server.clock.advance(60);
    let lost = rotate(&server, json!({"algorithm": "ed25519"})).await;
    // This lock hears of the key that is lost, another one does not.
    let riders = server.riders(&lock.id).await;
    assert_eq!(lock.bring_riders(&riders["documents"], server.now()), 1);
    let (server, _) = brought_back(server, &file, Access::Kept);
    server.clock.advance(60);
    let ended =
        rotate(&server, json!({"algorithm": "ed25519", "ends_old": "2027-01-15T08:02:00Z"})).await;
    assert_eq!((lost, ended), (1, 10));
    assert_eq!(
        server.query("SELECT count(*) FROM rotations"),
        10,
        "in one series, for the other locks"
    );
    let again = rotate(&server, json!({"algorithm": "ed25519"})).await;
    assert_eq!(again, 11, "once is enough");
    // The lock refuses what it had under the first number, and takes all that follows.
    let riders = server.riders(&lock.id).await;
    server.clock.advance(600);
    assert_eq!(lock.bring_riders(&riders["documents"], server.now()), 10);
}

#[tokio::test]
async fn a_rehearsal_says_what_would_be_void_and_leaves_nothing() {
    let server = TestServer::new().await;
    let device = server.device("Marta").await;
    let delivery = server.delivery("A").await;
    server.plan(&delivery, device.id()).await;
    let (_kept, file) = backup_of(&server);
    let before = fs::read(&file).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let data = elsewhere.path().join("data");
    let rehearsal =
        Restoring { rehearsal: true, ..order(&file, &data, Access::Ended, server.clock.now()) };
    let restored = restore(&rehearsal).unwrap();
    assert_eq!((restored.voided.plans, restored.voided.devices), (1, 1));
    assert!(!data.exists());
    assert_eq!(fs::read(&file).unwrap(), before);
    make_private_dirs(&data).unwrap();
    restore(&rehearsal).unwrap();
    assert_eq!(fs::read_dir(&data).unwrap().count(), 0, "nor beside what is there");
}

#[tokio::test]
async fn what_is_damaged_foreign_or_in_the_way_is_refused_and_nothing_is_left() {
    let server = TestServer::new().await;
    for reference in 0..200 {
        server.delivery(&format!("A-{reference}")).await;
    }
    let (_kept, file) = backup_of(&server);
    let now = server.clock.now();
    let refused = |file: &Path, data: &Path, now| {
        let count = |dir: &Path| fs::read_dir(dir).map_or(0, Iterator::count);
        let before = count(data);
        let error = restore(&order(file, data, Access::Kept, now)).unwrap_err();
        assert_eq!(count(data), before, "{error}");
        assert!(!error.hint().is_empty());
        error
    };
    let dir = keys_of(&server);
    let data = dir.path();
    assert!(matches!(refused(&data.join("none"), data, now), BackupError::Missing { .. }));
    let early = Timestamp::from_seconds(now.seconds() - 1);
    assert!(matches!(refused(&file, data, early), BackupError::ClockBehind { .. }));
    let foreign = keys_of(&TestServer::new().await);
    fs::write(foreign.path().join(KEYS).join("master.key"), "00".repeat(32)).unwrap();
    assert!(matches!(
        refused(&file, foreign.path(), now),
        BackupError::Keys(KeyError::Foreign { .. })
    ));
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(
        refused(&file, empty.path(), now),
        BackupError::Keys(KeyError::Missing { .. })
    ));

    let damaged = data.join("../damaged.db");
    let damaged = damaged.as_path();
    let good = fs::read(&file).unwrap();
    for (name, content) in [
        ("cut", good[..good.len() - 4096].to_vec()),
        ("empty", Vec::new()),
        ("text", b"not a database at all, but long enough to be looked at".to_vec()),
        ("a page overwritten", {
            let mut bytes = good.clone();
            let last = bytes.len() - 4096;
            bytes[last..].fill(0x5A);
            bytes
        }),
    ] {
        fs::write(damaged, content).unwrap();
        let error = refused(damaged, data, now);
        assert!(matches!(error, BackupError::Store(_)), "{name}: {error}");
    }
    // Every page can be read, and what one says is missing in another.
    fs::write(damaged, &good).unwrap();
    let connection = rusqlite::Connection::open(damaged).unwrap();
    let orphan = "PRAGMA foreign_keys = OFF; DELETE FROM deliveries WHERE reference = 'A-0'";
    connection.execute_batch(orphan).unwrap();
    drop(connection);
    let error = refused(damaged, data, now);
    assert!(matches!(error, BackupError::Store(StoreError::Damaged { .. })), "{error}");
    fs::remove_file(damaged).unwrap();
    for in_the_way in [DATABASE, "doorstep.db-wal"] {
        fs::write(data.join(in_the_way), "").unwrap();
        assert!(matches!(refused(&file, data, now), BackupError::Exists { .. }), "{in_the_way}");
        fs::remove_file(data.join(in_the_way)).unwrap();
    }
    // What a crash left half made is in nobody's way.
    fs::write(data.join("doorstep.db.new"), "half").unwrap();
    restore(&order(&file, data, Access::Kept, now)).unwrap();
}

#[tokio::test]
async fn a_copy_with_its_log_is_brought_back_whole() {
    let server = TestServer::new().await;
    server.delivery("A").await;
    let copy = tempfile::tempdir().unwrap();
    for name in [DATABASE, "doorstep.db-wal"] {
        fs::copy(server.dir.path().join(name), copy.path().join(name)).unwrap();
    }
    let (server, restored) = brought_back(server, &copy.path().join(DATABASE), Access::Kept);
    assert_eq!((restored.backup_at, server.deliveries().await.len()), (None, 1));
}

#[tokio::test]
async fn sealed_keys_come_back_with_the_database_and_lead_nowhere_else() {
    let server = TestServer::new().await;
    let (_kept, file) = backup_of(&server);
    let names = ["signing.key", "agreement.key", "master.key", "pass-root.key"];
    let files: Vec<(String, Zeroizing<String>)> = names
        .iter()
        .map(|name| {
            let content = fs::read_to_string(server.dir.path().join(KEYS).join(name)).unwrap();
            ((*name).to_owned(), Zeroizing::new(content))
        })
        .collect();
    let dir = tempfile::tempdir().unwrap();
    let (data, now) = (dir.path(), server.clock.now());
    let bring_back = |files: &KeyFiles| {
        restore(&Restoring { keys: Some(files), ..order(&file, data, Access::Kept, now) })
    };
    for name in ["../outside.key", "/tmp/outside.key", "..", ""] {
        let mut bad = files.clone();
        bad[0].0 = name.to_owned();
        assert!(matches!(bring_back(&bad), Err(BackupError::Keys(_))), "{name}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
    bring_back(&files).unwrap();
    let context = {
        let rng = Box::new(ChaCha20Rng::seed_from_u64(9));
        Context::open(crate::Config::new(dir.path().to_owned()), server.clock.clone(), rng)
    };
    assert!(Arc::new(context.unwrap()).issuer() == server.context.issuer());
}
