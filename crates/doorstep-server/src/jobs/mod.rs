//! What the service does by itself, a little at a time, for as long as it runs.
//!
//! A job is a function that looks for work, does it durably and comes back; it may be cut off at
//! any point and run again.

use crate::context::Context;
use std::sync::Arc;
use tokio::sync::watch;

/// Runs all jobs until `stop` says so, and finishes what is under way.
pub(crate) async fn run(context: Arc<Context>, mut stop: watch::Receiver<bool>) {
    loop {
        once(&context).await;
        let pause = tokio::time::sleep(context.config.job_interval);
        tokio::select! {
            () = pause => {}
            _ = stop.wait_for(|stopped| *stopped) => return,
        }
    }
}

/// Runs every job once. A job that fails is tried again next time and keeps none of the others up.
pub(crate) async fn once(_context: &Arc<Context>) {}
