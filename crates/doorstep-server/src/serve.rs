//! Binds, answers requests, runs the jobs, and stops in order when it is told to.

use crate::api::router;
use crate::context::{Context, OpenError};
use crate::jobs;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;

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
    /// The listener failed.
    #[error("cannot take connections any more")]
    Accept(#[source] io::Error),
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
            Self::Accept(_) => "start the server again",
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
    let jobs = tokio::spawn(jobs::run(Arc::clone(&context), stopped.clone()));
    let mut told = stopped.clone();
    let server = axum::serve(listener, router(&context)).with_graceful_shutdown(async move {
        // An error means that the sender is gone, which is a reason to stop as well.
        drop(told.wait_for(|stopped| *stopped).await);
    });
    let mut server = tokio::spawn(async move { server.await });

    let result = tokio::select! {
        () = shutdown => {
            stop.send_replace(true);
            match tokio::time::timeout(context.config.shutdown_timeout, &mut server).await {
                Ok(ended) => ended,
                Err(_) => {
                    tracing::warn!("requests that did not end in time are cut off");
                    server.abort();
                    Ok(Ok(()))
                }
            }
        }
        ended = &mut server => ended,
    };
    stop.send_replace(true);
    drop(jobs.await);
    match result {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(ServeError::Accept(error)),
        Err(join) => Err(ServeError::Accept(io::Error::other(join))),
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
