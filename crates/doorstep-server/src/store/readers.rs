//! Read-only connections, lent to one job at a time on a thread that may block.

use super::StoreError;
use rusqlite::Connection;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;

pub(super) struct Readers {
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn new(connections: Vec<Connection>) -> Self {
        let permits = Arc::new(Semaphore::new(connections.len()));
        Self { idle: Arc::new(Mutex::new(connections)), permits }
    }

    pub(super) async fn run<T, E>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let Ok(permit) = Arc::clone(&self.permits).acquire_owned().await else {
            return Err(StoreError::Stopped.into());
        };
        let idle = Arc::clone(&self.idle);
        let task = tokio::task::spawn_blocking(move || {
            let result = lend(&idle, job);
            drop(permit);
            result
        });
        // A job that panicked has no answer.
        task.await.unwrap_or_else(|_| Err(StoreError::Stopped.into()))
    }

    pub(super) fn run_now<T>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        lend(&self.idle, job)
    }
}

fn lend<T, E: From<StoreError>>(
    idle: &Mutex<Vec<Connection>>,
    job: impl FnOnce(&Connection) -> Result<T, E>,
) -> Result<T, E> {
    let popped = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let Some(connection) = popped else {
        return Err(StoreError::Stopped.into());
    };
    // The connection outlives a panic: its transaction is rolled back while the stack unwinds.
    let result = catch_unwind(AssertUnwindSafe(|| {
        // One transaction, so that a job of several statements sees one moment.
        match connection.unchecked_transaction() {
            Ok(transaction) => job(&transaction),
            Err(error) => Err(StoreError::from(error).into()),
        }
    }));
    idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    result.unwrap_or_else(|panic| resume_unwind(panic))
}
