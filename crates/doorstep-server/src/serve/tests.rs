//! A server on a real port, and clients of all kinds.

use super::*;
use crate::config::Config;
use crate::test_server::TestServer;
use crate::tls::certificates;
use std::path::{Path, PathBuf};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_rustls::{TlsConnector, client, rustls};

type Running = (SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<Result<(), ServeError>>);

async fn running(context: &Arc<Context>) -> Running {
    let (address, bound) = oneshot::channel();
    let (stop, stopped) = oneshot::channel::<()>();
    let context = Arc::clone(context);
    let bind = |bound| address.send(bound).unwrap();
    let task = tokio::spawn(serve(context, bind, async { drop(stopped.await) }));
    (bound.await.unwrap(), stop, task)
}

/// A server on a free port, with other settings.
async fn server(change: impl FnOnce(&mut Config)) -> TestServer {
    TestServer::with(|config| {
        config.server.listen.set_port(0);
        change(config);
    })
    .await
}

const HEALTH: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

async fn talk(mut stream: impl AsyncRead + AsyncWrite + Unpin, said: &[u8]) -> String {
    // The server may have hung up already.
    drop(stream.write_all(said).await);
    let mut heard = Vec::new();
    // Ends because the server closes; else the test would hang.
    drop(stream.read_to_end(&mut heard).await);
    String::from_utf8_lossy(&heard).into_owned()
}

async fn ask(address: SocketAddr) -> String {
    talk(TcpStream::connect(address).await.unwrap(), HEALTH).await
}

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/testdata/tls").join(name)
}

fn with_tls(config: &mut Config, dir: &Path) {
    for (file, to) in [("first.pem", "tls.pem"), ("first.key", "tls.key")] {
        std::fs::copy(testdata(file), dir.join(to)).unwrap();
    }
    config.server.tls_certificate = Some(dir.join("tls.pem"));
    config.server.tls_key = Some(dir.join("tls.key"));
}

/// A connection under TLS, and the certificate that was shown.
async fn secure(address: SocketAddr) -> (client::TlsStream<TcpStream>, Vec<u8>) {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificates(&testdata("ca.pem")).unwrap().remove(0)).unwrap();
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .unwrap()
    .with_root_certificates(roots)
    .with_no_client_auth();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = "localhost".try_into().unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    let shown = stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
    (stream, shown)
}

#[tokio::test]
async fn answers_and_stops_when_told() {
    let server = server(|_| ()).await;
    let (address, stop, task) = running(&server.context).await;
    assert!(ask(address).await.starts_with("HTTP/1.1 200 OK"));
    let lock = server.dir.path().join("serve.lock").metadata().unwrap();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&lock.permissions()) & 0o077, 0);
    stop.send(()).unwrap();
    task.await.unwrap().unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_head_that_never_ends_is_hung_up_on() {
    let server =
        TestServer::with(|config| config.server.request_timeout = Duration::from_millis(200)).await;
    let (address, stop, task) = running(&server.context).await;
    let stream = TcpStream::connect(address).await.unwrap();
    let heard = talk(stream, b"GET /healthz HTTP/1.1\r\nhost:").await;
    assert!(!heard.starts_with("HTTP/1.1 200"));
    stop.send(()).unwrap();
    task.await.unwrap().unwrap();
}

/// What a slow client sends, and how the answer begins.
const SLOW: [(&[u8], &str); 3] = [
    (b"GET /healthz HTTP/1.1\r\nhost:", ""),
    (b"POST /v1/wallet/collect HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{", "HTTP/1.1 503"),
    (b"POST /v1/wallet/collect HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n", "HTTP/1.1 503"),
];

fn oversized() -> Vec<u8> {
    let head = "POST /v1/wallet/collect HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: 5000\r\n\r\n";
    [head.as_bytes(), &[b' '; 5000]].concat()
}

#[tokio::test]
async fn who_asks_and_never_reads_is_hung_up_on_also_under_tls() {
    let dir = tempfile::tempdir().unwrap();
    let patience = Duration::from_millis(300);
    let plain = server(|config| config.server.request_timeout = patience).await;
    let tls = server(|config| {
        config.server.request_timeout = patience;
        with_tls(config, dir.path());
    })
    .await;
    let (address, stop, task) = running(&plain.context).await;
    let (secured, stop_secured, task_secured) = running(&tls.context).await;
    // More than all buffers hold: it ends because the server hangs up; else the test would hang.
    let said = b"GET /v1/openapi.json HTTP/1.1\r\nhost: x\r\n\r\n".repeat(1 << 20);
    let mut stream = TcpStream::connect(address).await.unwrap();
    assert!(stream.write_all(&said).await.is_err());
    let mut stream = secure(secured).await.0;
    assert!(stream.write_all(&said).await.is_err());
    for (stop, task) in [(stop, task), (stop_secured, task_secured)] {
        stop.send(()).unwrap();
        task.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn slow_and_oversized_requests_are_ended_also_under_tls() {
    let dir = tempfile::tempdir().unwrap();
    let plain = server(|config| config.server.request_timeout = Duration::from_millis(300)).await;
    let tls = server(|config| {
        config.server.request_timeout = Duration::from_millis(300);
        with_tls(config, dir.path());
    })
    .await;
    let (address, stop, task) = running(&plain.context).await;
    let (secured, stop_secured, task_secured) = running(&tls.context).await;
    for (said, begins) in SLOW {
        let heard = talk(TcpStream::connect(address).await.unwrap(), said).await;
        assert!(heard.starts_with(begins) && !heard.starts_with("HTTP/1.1 200"), "{heard}");
        let heard = talk(secure(secured).await.0, said).await;
        assert!(heard.starts_with(begins) && !heard.starts_with("HTTP/1.1 200"), "{heard}");
    }
    let heard = talk(TcpStream::connect(address).await.unwrap(), &oversized()).await;
    assert!(heard.starts_with("HTTP/1.1 413"), "{heard}");
    let heard = talk(secure(secured).await.0, &oversized()).await;
    assert!(heard.starts_with("HTTP/1.1 413"), "{heard}");
    // Who says nothing at all in place of TLS, and who does not speak it.
    for said in [b"".as_slice(), HEALTH] {
        let heard = talk(TcpStream::connect(secured).await.unwrap(), said).await;
        assert!(!heard.contains("200 OK"), "{heard}");
    }
    for (stop, task) in [(stop, task), (stop_secured, task_secured)] {
        stop.send(()).unwrap();
        task.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_new_certificate_is_served_when_it_is_told_and_a_broken_one_never() {
    let dir = tempfile::tempdir().unwrap();
    let server = server(|config| with_tls(config, dir.path())).await;
    let (address, stop, task) = running(&server.context).await;
    let (stream, first) = secure(address).await;
    assert!(talk(stream, HEALTH).await.starts_with("HTTP/1.1 200 OK"));
    let put = |file: &str, to: &str| drop(std::fs::copy(testdata(file), dir.path().join(to)));
    put("second.pem", "tls.pem");
    assert_eq!(secure(address).await.1, first, "not before it is told");
    let error = server.context.reload_certificate().unwrap_err();
    assert!(matches!(error, TlsError::Refused { .. }), "the key is another one's");
    assert_eq!(secure(address).await.1, first);
    put("second.key", "tls.key");
    assert!(server.context.reload_certificate().unwrap());
    let (stream, second) = secure(address).await;
    assert_ne!(second, first);
    assert!(talk(stream, HEALTH).await.starts_with("HTTP/1.1 200 OK"));
    std::fs::write(dir.path().join("tls.pem"), "").unwrap();
    assert!(matches!(server.context.reload_certificate(), Err(TlsError::Malformed { .. })));
    std::fs::remove_file(dir.path().join("tls.key")).unwrap();
    assert!(server.context.reload_certificate().is_err());
    assert_eq!(secure(address).await.1, second);
    stop.send(()).unwrap();
    task.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_certificate_without_its_key_is_refused_at_the_start() {
    let server = server(|config| config.server.tls_certificate = Some(testdata("first.pem"))).await;
    let refused = serve(Arc::clone(&server.context), |_| (), async {}).await;
    assert!(matches!(refused, Err(ServeError::Tls(TlsError::Half))));
}

#[tokio::test]
async fn an_address_that_fails_too_often_is_refused_before_anything_is_looked_up() {
    let server = server(|config| {
        config.server.failures_per_minute = 2;
        config.server.trusted_proxies = vec![std::net::IpAddr::from([127, 0, 0, 1]).into()];
    })
    .await;
    let (address, stop, task) = running(&server.context).await;
    let ask = async |path: &str, authorization: &str, from: &str| {
        let said = format!(
            "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: {authorization}\r\nx-forwarded-for: 6.6.6.6, {from}\r\n\r\n"
        );
        let heard = talk(TcpStream::connect(address).await.unwrap(), said.as_bytes()).await;
        heard["HTTP/1.1 ".len()..][..3].to_owned()
    };
    let right = server.bearer().1;
    let (_, made) = server.post("/v1/keys", serde_json::json!({"name": "unused"})).await;
    let unused = format!("Bearer {}", made["secret"].as_str().unwrap());
    assert_eq!(ask("/v1/keys", "Bearer ds_test_0", "192.0.2.1").await, "401");
    assert_eq!(ask("/v1/keys", right, "192.0.2.1").await, "200");
    assert_eq!(ask("/v1/keys", "Bearer ds_test_0", "192.0.2.1").await, "401");
    assert_eq!(ask("/v1/keys", right, "192.0.2.1").await, "200", "known, and costs nothing");
    assert_eq!(ask("/v1/keys", &unused, "192.0.2.1").await, "429");
    assert_eq!(ask("/healthz", right, "192.0.2.1").await, "200");
    assert_eq!(ask("/v1/keys", right, "192.0.2.2").await, "200", "another address");
    server.clock.advance(60);
    assert_eq!(ask("/v1/keys", &unused, "192.0.2.1").await, "200");
    stop.send(()).unwrap();
    task.await.unwrap().unwrap();
}

#[tokio::test]
async fn metrics_have_an_address_of_their_own_where_nothing_else_is_answered() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = server(|config| config.server.metrics_listen = Some(free)).await;
    let (address, stop, task) = running(&server.context).await;
    let get = async |address, path: &str| {
        let said = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        talk(TcpStream::connect(address).await.unwrap(), said.as_bytes()).await
    };
    assert!(get(free, "/metrics").await.contains("doorstep_build_info"));
    assert!(get(free, "/healthz").await.starts_with("HTTP/1.1 200"));
    assert!(get(free, "/v1/keys").await.starts_with("HTTP/1.1 404"));
    assert!(get(address, "/metrics").await.starts_with("HTTP/1.1 401"));
    stop.send(()).unwrap();
    task.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_idle_connection_does_not_keep_the_server_up() {
    let server = server(|_| ()).await;
    let (address, stop, task) = running(&server.context).await;
    let _idle = TcpStream::connect(address).await.unwrap();
    stop.send(()).unwrap();
    task.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_second_server_on_the_same_data_is_refused() {
    let server = TestServer::new().await;
    let (_, stop, task) = running(&server.context).await;
    let second = serve(Arc::clone(&server.context), |_| (), async {}).await;
    assert!(matches!(second, Err(ServeError::Open(OpenError::Running { .. }))));
    stop.send(()).unwrap();
    task.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_address_in_use_is_refused() {
    let server = server(|_| ()).await;
    let (address, stop, task) = running(&server.context).await;
    let other = TestServer::with(|config| config.server.listen = address).await;
    let second = serve(Arc::clone(&other.context), |_| (), async {}).await;
    assert!(matches!(second, Err(ServeError::Bind { .. })));
    stop.send(()).unwrap();
    task.await.unwrap().unwrap();
}

/// Connections from an address of this machine that say nothing.
async fn silent(address: SocketAddr, from: [u8; 4], count: usize) -> Vec<TcpStream> {
    let mut held = Vec::new();
    for _ in 0..count {
        held.push(connect(address, from).await);
    }
    held
}

async fn connect(address: SocketAddr, from: [u8; 4]) -> TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind((from, 0).into()).unwrap();
    socket.connect(address).await.unwrap()
}

const CLIENT: [u8; 4] = [127, 0, 0, 1];
const PROXY: [u8; 4] = [127, 0, 0, 9];

#[tokio::test]
async fn who_holds_many_connections_is_hung_up_on_and_shuts_nobody_out() {
    let server = server(|config| {
        config.server.connections = 100;
        config.server.connections_per_address = 5;
        config.server.trusted_proxies = vec![std::net::IpAddr::from(PROXY).into()];
    })
    .await;
    let (address, stop, task) = running(&server.context).await;
    let held = silent(address, CLIENT, 5).await;
    for _ in 0..200 {
        assert_eq!(talk(connect(address, CLIENT).await, HEALTH).await, "");
    }
    assert!(talk(connect(address, [127, 0, 0, 2]).await, HEALTH).await.contains("200 OK"));
    let proxied = silent(address, PROXY, 50).await;
    assert!(talk(connect(address, PROXY).await, HEALTH).await.contains("200 OK"));
    drop(held);
    // The server learns of it when it reads; until then this is one too many.
    let mut tries = 0;
    while !talk(connect(address, CLIENT).await, HEALTH).await.contains("200 OK") {
        tries += 1;
        assert!(tries < 10_000, "who left still counts");
    }
    drop(proxied);
    stop.send(()).unwrap();
    task.await.unwrap().unwrap();
}

#[tokio::test]
async fn who_comes_when_all_connections_are_held_waits_until_the_slow_ones_are_hung_up_on() {
    let dir = tempfile::tempdir().unwrap();
    let few = |config: &mut Config| {
        config.server.connections = 3;
        config.server.request_timeout = Duration::from_millis(300);
    };
    let plain = server(few).await;
    let tls = server(|config| {
        few(config);
        with_tls(config, dir.path());
    })
    .await;
    let (address, stop, task) = running(&plain.context).await;
    let (secured, stop_secured, task_secured) = running(&tls.context).await;
    let held = silent(address, CLIENT, 9).await;
    assert!(ask(address).await.contains("200 OK"));
    let held_secured = silent(secured, CLIENT, 9).await;
    let (stream, _) = secure(secured).await;
    assert!(talk(stream, HEALTH).await.contains("200 OK"));
    drop((held, held_secured));
    // Held to the last: it stops all the same.
    let held = silent(address, CLIENT, 9).await;
    for (stop, task) in [(stop, task), (stop_secured, task_secured)] {
        stop.send(()).unwrap();
        task.await.unwrap().unwrap();
    }
    drop(held);
}
