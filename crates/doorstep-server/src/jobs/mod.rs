//! What the service does by itself, a little at a time, for as long as it runs.
//!
//! A job looks for work, does it durably and comes back; it may be cut off at any point and run
//! again.

pub(crate) mod check_claims;
pub(crate) mod expire;
pub(crate) mod forget;
pub(crate) mod forget_answers;
pub(crate) mod outbox;
pub(crate) mod webhooks;

use crate::context::Context;
use crate::http::problem::Problem;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Runs all jobs until `stop` says so, and finishes what is under way. Messages are sent beside the
/// others, since a provider may take its time.
pub(crate) async fn run(context: Arc<Context>, stop: watch::Receiver<bool>) {
    let stopped = stop.clone();
    let sender = Arc::clone(&context);
    // Ends with this one, if this one is cut off.
    let mut outbox = JoinSet::new();
    outbox.spawn(repeat(Arc::clone(&context), stop.clone(), move || {
        let (context, stopped) = (Arc::clone(&sender), stopped.clone());
        async move { send(&context, || !*stopped.borrow()).await }
    }));
    repeat(Arc::clone(&context), stop, move || {
        let context = Arc::clone(&context);
        async move {
            all_but_sending(&context).await;
            context.heartbeat.beat();
        }
    })
    .await;
    drop(outbox.join_next().await);
}

/// Does `work` again and again.
async fn repeat<W: Future<Output = ()>>(
    context: Arc<Context>,
    mut stop: watch::Receiver<bool>,
    work: impl Fn() -> W,
) {
    loop {
        work().await;
        let pause = tokio::time::sleep(context.config.server.job_interval);
        tokio::select! {
            () = pause => {}
            _ = stop.wait_for(|stopped| *stopped) => return,
        }
    }
}

/// Runs every job once.
#[cfg(test)]
pub(crate) async fn once(context: &Arc<Context>) {
    send(context, || true).await;
    all_but_sending(context).await;
}

async fn send(context: &Arc<Context>, goes_on: impl Fn() -> bool + Send) {
    note("outbox", outbox::run(context, goes_on).await);
}

/// A job that fails is tried again next time and keeps none of the others up.
async fn all_but_sending(context: &Arc<Context>) {
    note("check_claims", check_claims::run(context).await);
    note("expire", expire::run(context).await);
    note("forget", forget::run(context).await);
    note("forget_answers", forget_answers::run(context).await);
    note("webhooks", webhooks::run(context).await);
}

fn note(job: &str, result: Result<(), Problem>) {
    if let Err(problem) = result {
        // The cause is in the log already.
        tracing::error!(job, code = problem.code().as_str(), "a job failed; it is tried again");
    }
}
