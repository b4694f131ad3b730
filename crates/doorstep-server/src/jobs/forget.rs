//! Forgets what nobody finished: authenticators that were never activated, and challenges of
//! yesterday.

use crate::context::Context;
use crate::http::problem::Problem;
use crate::store::{StoreError, authenticators, challenges};
use std::sync::Arc;

/// Seconds that a pending authenticator waits for its first code, and that a challenge is known
/// after its end: a day.
pub(crate) const KEPT: u64 = 24 * 60 * 60;

/// Forgets what is older than a day.
pub(crate) async fn run(context: &Arc<Context>) -> Result<(), Problem> {
    let before = context.now().earlier(KEPT);
    // Looked for first, so that a server with nothing to do writes nothing.
    let any = context
        .store
        .read(move |connection| {
            Ok::<_, StoreError>(
                authenticators::any_pending(connection, before)?
                    || challenges::any_ended(connection, before)?,
            )
        })
        .await?;
    if !any {
        return Ok(());
    }
    context
        .store
        .write(move |connection| {
            challenges::forget_ended(connection, before)?;
            authenticators::forget_pending(connection, before)
        })
        .await?;
    Ok(())
}
