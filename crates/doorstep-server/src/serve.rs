//! Binds, answers requests, runs the jobs, and stops in order when it is told to.

use crate::api::{monitoring, router};
use crate::context::{Context, OpenError};
use crate::http::peer::Peer;
use crate::jobs;
use crate::stalled::Stalled;
use crate::store::StoreError;
use crate::tls::{Tls, TlsError};
use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// How long to wait after a connection could not be taken.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why serving ended, or did not begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The address cannot be had.
    #[error("cannot listen on {address}")]
    Bind {
        /// What was asked for.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The data directory cannot be served.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database takes nothing.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The certificate cannot be served.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl ServeError {
    /// What the operator can do.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Bind { .. } => "choose another address with --listen; port 0 takes any free one",
            Self::Open(error) => error.hint(),
            Self::Store(_) => "check the disk, and run doorstep doctor",
            Self::Tls(error) => error.hint(),
        }
    }
}

/// Serves until `shutdown` is ready: then no connection is taken any more, requests under way are
/// finished (for at most `shutdown_timeout`), and the jobs stop. `bound` is told the address, which
/// matters for port 0.
///
/// # Errors
/// [`ServeError`]; a regular shutdown is none.
pub async fn serve(
    context: Arc<Context>,
    bound: impl FnOnce(SocketAddr),
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let _lock = context.lock()?;
    context.prepare()?;
    crate::phone::prepare();
    if let Some(tls) = Tls::open(&context.config.server)? {
        // Nobody else sets it: a second server on this context got no lock.
        drop(context.tls.set(tls));
    }
    let (stop, stopped) = watch::channel(false);
    let watching = match context.config.server.metrics_listen {
        Some(address) => {
            let listener = bind(address).await?;
            let (context, mut stopped) = (Arc::clone(&context), stopped.clone());
            Some(tokio::spawn(async move {
                let ended = async { drop(stopped.wait_for(|stopped| *stopped).await) };
                answer(&context, listener, monitoring(&context), Speech::Plain, ended).await
            }))
        }
        None => None,
    };
    let listener = bind(context.config.server.listen).await?;
    bound(
        listener
            .local_addr()
            .map_err(|source| ServeError::Bind { address: context.config.server.listen, source })?,
    );
    let mut jobs = tokio::spawn(jobs::run(Arc::clone(&context), stopped));
    let connections =
        answer(&context, listener, router(&context), Speech::OfSettings, shutdown).await;
    stop.send_replace(true);
    let patience = context.config.server.shutdown_timeout;
    if tokio::time::timeout(patience, connections.shutdown()).await.is_err() {
        tracing::warn!("requests that did not end in time are cut off");
    }
    if let Some(watching) = watching {
        watching.abort();
    }
    // A message under way is waited for: what is cut off is sent twice.
    let patience = patience.max(Duration::from_secs(context.config.messages.timeout_seconds));
    let ended = tokio::time::timeout(patience, &mut jobs).await;
    if ended.is_err() {
        tracing::warn!("jobs that did not end in time are cut off");
        jobs.abort();
    }
    Ok(())
}

async fn bind(address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).await.map_err(|source| ServeError::Bind { address, source })
}

/// What is spoken on a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speech {
    Plain,
    /// TLS if there is a certificate.
    OfSettings,
}

/// Takes connections until `shutdown` is ready, and gives back those that are still open.
async fn answer(
    context: &Arc<Context>,
    listener: TcpListener,
    router: Router,
    speech: Speech,
    shutdown: impl Future<Output = ()>,
) -> GracefulShutdown {
    let service = TowerToHyperService::new(router);
    let patience = context.config.server.request_timeout;
    let mut http = http1::Builder::new();
    // A request's own time begins when its head is read; this bounds the head, and idle
    // connections with it.
    http.timer(TokioTimer::new()).header_read_timeout(patience);
    let connections = GracefulShutdown::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut shutdown => return connections,
        };
        match accepted {
            Ok((stream, peer)) => {
                let tls = context.tls.get().filter(|_| speech == Speech::OfSettings);
                let tls = tls.map(Tls::acceptor);
                let (http, watcher, service) =
                    (http.clone(), connections.watcher(), service.clone());
                let service = service_fn(move |mut request: hyper::Request<Incoming>| {
                    request.extensions_mut().insert(Peer(peer.ip()));
                    service.call(request)
                });
                let stream = Stalled::new(stream, patience);
                tokio::spawn(async move {
                    let served = match tls {
                        None => {
                            let io = TokioIo::new(stream);
                            watcher.watch(http.serve_connection(io, service)).await
                        }
                        Some(tls) => match tokio::time::timeout(patience, tls.accept(stream)).await
                        {
                            Ok(Ok(stream)) => {
                                let io = TokioIo::new(stream);
                                watcher.watch(http.serve_connection(io, service)).await
                            }
                            Ok(Err(error)) => {
                                return tracing::debug!(%error, "no TLS came about");
                            }
                            Err(_) => return tracing::debug!("a client was too slow for TLS"),
                        },
                    };
                    if let Err(error) = served {
                        tracing::debug!(%error, "a connection broke off");
                    }
                });
            }
            Err(error) => {
                // Often too many open files, which passes.
                tracing::warn!(%error, "cannot take a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::test_server::TestServer;
    use crate::tls::certificates;
    use std::path::{Path, PathBuf};
    use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use tokio::sync::oneshot;
    use tokio_rustls::{TlsConnector, client, rustls};

    type Running =
        (SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<Result<(), ServeError>>);

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
            TestServer::with(|config| config.server.request_timeout = Duration::from_millis(200))
                .await;
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
        let plain =
            server(|config| config.server.request_timeout = Duration::from_millis(300)).await;
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
        let server =
            server(|config| config.server.tls_certificate = Some(testdata("first.pem"))).await;
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
}
