//! What the service does by itself, a little at a time, for as long as it runs.
//!
//! A job looks for work, does it durably and comes back; it may be cut off at any point and run
//! again.

pub(crate) mod check_claims;
pub(crate) mod expire;
pub(crate) mod forget;
pub(crate) mod forget_answers;
pub(crate) mod outbox;

use crate::context::Context;
use crate::http::problem::Problem;
use std::sync::Arc;
use tokio::sync::watch;

/// Runs all jobs until `stop` says so, and finishes what is under way.
pub(crate) async fn run(context: Arc<Context>, mut stop: watch::Receiver<bool>) {
    loop {
        once(&context).await;
        context.heartbeat.beat();
        let pause = tokio::time::sleep(context.config.server.job_interval);
        tokio::select! {
            () = pause => {}
            _ = stop.wait_for(|stopped| *stopped) => return,
        }
    }
}

/// Runs every job once. A job that fails is tried again next time and keeps none of the others up.
pub(crate) async fn once(context: &Arc<Context>) {
    note("outbox", outbox::run(context).await);
    note("check_claims", check_claims::run(context).await);
    note("expire", expire::run(context).await);
    note("forget", forget::run(context).await);
    note("forget_answers", forget_answers::run(context).await);
}

fn note(job: &str, result: Result<(), Problem>) {
    if let Err(problem) = result {
        // The cause is in the log already.
        tracing::error!(job, code = problem.code().as_str(), "a job failed; it is tried again");
    }
}
