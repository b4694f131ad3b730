//! The one thread that writes, because many writers on SQLite starve each other: it takes all jobs
//! that wait, runs them in one transaction and answers after the commit, so a disk that manages
//! 240 commits a second still takes thousands of codes.

use super::StoreError;
use rusqlite::{Connection, ErrorCode};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};

/// Jobs that may wait; beyond it callers wait for a place, which slows them down to the disk.
const QUEUE: usize = 4096;
/// Jobs in one transaction at most, so that the first of a flood is answered soon.
const GROUP: usize = 1024;

/// Hands the answer to whoever asked, once it is known whether the transaction was committed.
type Answer = Box<dyn FnOnce(bool) + Send>;
type Job = Box<dyn FnOnce(&Connection) -> Answer + Send>;

pub(super) struct Writer {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(connection: Connection) -> Result<Self, StoreError> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("doorstep-store".to_owned())
            .spawn(move || serve(&connection, queue))
            .map_err(StoreError::Thread)?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    pub(super) async fn run<T, E>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        // The caller may have gone away; the job stands all the same.
        let boxed = boxed(job, move |answer| drop(sender.send(answer)));
        let Some(jobs) = &self.jobs else {
            return Err(StoreError::Stopped.into());
        };
        if jobs.send(boxed).await.is_err() {
            return Err(StoreError::Stopped.into());
        }
        receiver.await.unwrap_or_else(|_| Err(StoreError::Stopped.into()))
    }

    /// As [`Self::run`], on a thread that may wait.
    pub(super) fn run_now<T, E>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        let boxed = boxed(job, move |answer| drop(sender.send(answer)));
        let sent = self.jobs.as_ref().is_some_and(|jobs| jobs.try_send(boxed).is_ok());
        let answer = if sent { receiver.recv().ok() } else { None };
        answer.unwrap_or_else(|| Err(StoreError::Stopped.into()))
    }
}

fn boxed<T, E>(
    job: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    tell: impl FnOnce(Result<T, E>) + Send + 'static,
) -> Job
where
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
{
    Box::new(move |connection| {
        let result = in_savepoint(connection, job);
        Box::new(move |committed| {
            tell(if committed { result } else { Err(StoreError::Stopped.into()) });
        })
    })
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn serve(connection: &Connection, mut queue: mpsc::Receiver<Job>) {
    while let Some(first) = queue.blocking_recv() {
        if let Err(error) =
            connection.prepare_cached("BEGIN IMMEDIATE").and_then(|mut s| s.execute([]))
        {
            if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) {
                // Another process held the lock for too long. Nothing happened, so only this job
                // is given up; it answers as stopped when it is dropped.
                tracing::warn!("another process keeps the database locked");
                continue;
            }
            tracing::error!(%error, "a transaction cannot begin; the store stops");
            return;
        }
        let mut answers = Vec::new();
        let result = group(connection, first, &mut queue, &mut answers);
        let committed = result.is_ok();
        for answer in answers {
            answer(committed);
        }
        if let Err(error) = result {
            // After a failed fsync nobody knows what the disk holds, so nothing more is accepted:
            // a restart reads the truth from the file.
            tracing::error!(%error, "a commit failed; the store stops");
            return;
        }
    }
}

fn group(
    connection: &Connection,
    first: Job,
    queue: &mut mpsc::Receiver<Job>,
    answers: &mut Vec<Answer>,
) -> Result<(), rusqlite::Error> {
    let mut next = Some(first);
    while let Some(job) = next {
        if let Ok(answer) = catch_unwind(AssertUnwindSafe(|| job(connection))) {
            answers.push(answer);
        } else {
            tracing::error!("a writer job panicked; it is rolled back");
            connection.execute_batch("ROLLBACK TO job; RELEASE job")?;
        }
        // A full disk makes SQLite roll the whole transaction back by itself; the next job would
        // then commit alone and be reported as failed.
        if connection.is_autocommit() {
            return Err(rusqlite::Error::ExecuteReturnedResults);
        }
        next = if answers.len() < GROUP { queue.try_recv().ok() } else { None };
    }
    connection.prepare_cached("COMMIT")?.execute([])?;
    Ok(())
}

/// Runs one job so that its failure undoes it alone.
fn in_savepoint<T, E: From<StoreError>>(
    connection: &Connection,
    job: impl FnOnce(&Connection) -> Result<T, E>,
) -> Result<T, E> {
    let run = |sql: &str| -> Result<(), StoreError> {
        connection.prepare_cached(sql)?.execute([])?;
        Ok(())
    };
    run("SAVEPOINT job")?;
    let result = job(connection);
    if result.is_err() {
        run("ROLLBACK TO job")?;
    }
    run("RELEASE job")?;
    result
}
