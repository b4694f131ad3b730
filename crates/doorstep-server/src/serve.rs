//! Binds, answers requests, runs the jobs, and stops in order when it is told to.

use crate::api::router;
use crate::context::{Context, OpenError};
use crate::jobs;
use hyper::server::conn::http1;
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
}

impl ServeError {
    /// What the operator can do.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Bind { .. } => "choose another address with --listen; port 0 takes any free one",
            Self::Open(error) => error.hint(),
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
    address: SocketAddr,
    bound: impl FnOnce(SocketAddr),
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let _lock = context.lock()?;
    let bind = |source| ServeError::Bind { address, source };
    let listener = TcpListener::bind(address).await.map_err(bind)?;
    bound(listener.local_addr().map_err(bind)?);

    let (stop, stopped) = watch::channel(false);
    let jobs = tokio::spawn(jobs::run(Arc::clone(&context), stopped));
    let connections = answer(&context, listener, shutdown).await;
    stop.send_replace(true);
    let patience = context.config.server.shutdown_timeout;
    if tokio::time::timeout(patience, connections.shutdown()).await.is_err() {
        tracing::warn!("requests that did not end in time are cut off");
    }
    drop(jobs.await);
    Ok(())
}

/// Takes connections until `shutdown` is ready, and gives back those that are still open.
async fn answer(
    context: &Arc<Context>,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> GracefulShutdown {
    let service = TowerToHyperService::new(router(context));
    let mut http = http1::Builder::new();
    // A request's own time begins when its head is read; this bounds the head, and idle
    // connections with it.
    http.timer(TokioTimer::new()).header_read_timeout(context.config.server.request_timeout);
    let connections = GracefulShutdown::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut shutdown => return connections,
        };
        match accepted {
            Ok((stream, _)) => {
                let connection = http.serve_connection(TokioIo::new(stream), service.clone());
                let connection = connections.watch(connection);
                tokio::spawn(async move {
                    if let Err(error) = connection.await {
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
    use crate::test_server::TestServer;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use tokio::sync::oneshot;

    async fn running(
        context: &Arc<Context>,
    ) -> (SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<Result<(), ServeError>>) {
        let (address, bound) = oneshot::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let context = Arc::clone(context);
        let task = tokio::spawn(serve(
            context,
            SocketAddr::from(([127, 0, 0, 1], 0)),
            |bound| address.send(bound).unwrap(),
            async { drop(stopped.await) },
        ));
        (bound.await.unwrap(), stop, task)
    }

    async fn ask(address: SocketAddr) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            .await
            .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    }

    #[tokio::test]
    async fn answers_and_stops_when_told() {
        let server = TestServer::new().await;
        let (address, stop, task) = running(&server.context).await;
        assert!(ask(address).await.starts_with("HTTP/1.1 200 OK"));
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
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost:").await.unwrap();
        let mut rest = Vec::new();
        // Ends because the server closes; else the test would hang.
        drop(stream.read_to_end(&mut rest).await);
        assert!(!rest.starts_with(b"HTTP/1.1 200"));
        stop.send(()).unwrap();
        task.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn an_idle_connection_does_not_keep_the_server_up() {
        let server = TestServer::new().await;
        let (address, stop, task) = running(&server.context).await;
        let _idle = TcpStream::connect(address).await.unwrap();
        stop.send(()).unwrap();
        task.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_second_server_on_the_same_data_is_refused() {
        let server = TestServer::new().await;
        let (_, stop, task) = running(&server.context).await;
        let second = serve(
            Arc::clone(&server.context),
            SocketAddr::from(([127, 0, 0, 1], 0)),
            |_| (),
            async {},
        )
        .await;
        assert!(matches!(second, Err(ServeError::Open(OpenError::Running { .. }))));
        stop.send(()).unwrap();
        task.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn an_address_in_use_is_refused() {
        let server = TestServer::new().await;
        let other = TestServer::new().await;
        let (address, stop, task) = running(&server.context).await;
        let second = serve(Arc::clone(&other.context), address, |_| (), async {}).await;
        assert!(matches!(second, Err(ServeError::Bind { .. })));
        stop.send(()).unwrap();
        task.await.unwrap().unwrap();
    }
}
