//! Binds, answers requests, runs the jobs, and stops in order when it is told to.

mod connections;

use crate::api::{monitoring, router};
use crate::context::{Context, OpenError};
use crate::http::peer::Peer;
use crate::jobs;
use crate::stalled::Stalled;
use crate::store::StoreError;
use crate::tls::{Tls, TlsError};
use axum::Router;
use connections::Connections;
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
    let bound = Connections::new(&context.config.server);
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = async { (bound.room().await, listener.accept().await) } => accepted,
            () = &mut shutdown => return connections,
        };
        match accepted {
            (room, Ok((stream, peer))) => {
                // Who has too many is hung up on: an answer would be one more to wait for.
                let Some(place) = bound.place(room, peer.ip()) else { continue };
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
                    let _until_it_ends = place;
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
            (_, Err(error)) => {
                // Often too many open files, which passes.
                tracing::warn!(%error, "cannot take a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

#[cfg(test)]
mod tests;
