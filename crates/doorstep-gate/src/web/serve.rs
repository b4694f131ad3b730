//! Takes connections and stops in order.

use super::{Peer, Web, router};
use axum::Extension;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// How long the head of a request may take; it bounds idle connections as well.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// How long requests under way are waited for.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);
/// How long to wait after a connection could not be taken.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers until `shutdown` is ready.
///
/// # Errors
/// When the address cannot be had.
pub async fn serve(
    web: Arc<Web>,
    bound: impl FnOnce(std::net::SocketAddr),
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let listener = TcpListener::bind(web.config.listen).await?;
    bound(listener.local_addr()?);
    let router = router(&web);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    let connections = GracefulShutdown::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut shutdown => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let service = router.clone().layer(Extension(Peer(peer.ip())));
                let connection =
                    http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
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
    if tokio::time::timeout(SHUTDOWN_TIMEOUT, connections.shutdown()).await.is_err() {
        tracing::warn!("requests that did not end in time are cut off");
    }
    Ok(())
}
