//! Forgets the answers that were kept for repetitions with an `Idempotency-Key`.

use crate::context::Context;
use crate::http::idempotency::KEPT;
use crate::http::problem::Problem;
use crate::store::{StoreError, idempotency};
use std::sync::Arc;

const BATCH: u32 = 500;

/// Forgets what is older than a day, a batch at a time.
pub(crate) async fn run(context: &Arc<Context>) -> Result<(), Problem> {
    let before = context.now().earlier(KEPT);
    while context.store.read(move |connection| idempotency::any_before(connection, before)).await? {
        context
            .store
            .write(move |connection| {
                idempotency::forget_before(connection, before, BATCH)?;
                Ok::<_, StoreError>(())
            })
            .await?;
    }
    Ok(())
}
