//! Tells receivers of events. Each receiver has a task of its own, so that a slow one keeps no other
//! up; what it is told is signed, tried again for days, and then given up visibly.

use crate::api::v1::events::EventView;
use crate::context::Context;
use crate::http::problem::Problem;
use crate::outgoing::{Client, Post};
use crate::seal::Place;
use crate::standard_webhooks::{ID, SIGNATURE, TIMESTAMP, WebhookSecret};
use crate::store::StoreError;
use crate::store::webhooks::{self, Due, State, Then, Tried, Webhook};
use doorstep::time::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::watch;
use zeroize::Zeroizing;

/// Requests to one receiver at a time.
const AT_ONCE: u32 = 4;
/// Seconds to wait after the first try, the second, ...: the schedule of Standard Webhooks.
const WAITS: [u64; 9] = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
/// Characters of an error that are kept.
const LONGEST_ERROR: usize = 200;

/// Which receivers are being told at the moment.
#[derive(Debug)]
pub(crate) struct Telling {
    pub(crate) client: Client,
    busy: watch::Sender<BTreeSet<String>>,
}

impl Telling {
    pub(crate) fn new(client: Client) -> Self {
        Self { client, busy: watch::Sender::new(BTreeSet::new()) }
    }

    /// Whether nobody was telling this receiver; from now on somebody is.
    fn begin(&self, id: &str) -> bool {
        self.busy.send_if_modified(|busy| busy.insert(id.to_owned()))
    }

    fn end(&self, id: &str) {
        self.busy.send_if_modified(|busy| busy.remove(id));
    }

    /// Waits until nobody is being told.
    #[cfg(test)]
    pub(crate) async fn idle(&self) {
        let _ = self.busy.subscribe().wait_for(BTreeSet::is_empty).await;
    }
}

/// Starts a task for each receiver that something is due to, unless it has one.
pub(crate) async fn run(context: &Arc<Context>) -> Result<(), Problem> {
    let now = context.now();
    let due = context.store.read(move |connection| webhooks::with_due(connection, now)).await?;
    for id in due {
        if context.telling.begin(&id) {
            let context = Arc::clone(context);
            tokio::spawn(async move {
                if let Err(problem) = tell(&context, &id).await {
                    tracing::error!(
                        webhook = id,
                        code = problem.code().as_str(),
                        "telling a receiver failed; it is tried again"
                    );
                }
                context.telling.end(&id);
            });
        }
    }
    Ok(())
}

/// Tells one receiver all that is due.
async fn tell(context: &Arc<Context>, id: &str) -> Result<(), Problem> {
    loop {
        let now = context.now();
        let name = id.to_owned();
        // As after a first try that failed, in case this server ends before the try does.
        let again = now.later(context.config.webhooks.timeout.as_secs().saturating_add(WAITS[0]));
        let taken = context
            .store
            .write(move |connection| {
                let webhook = webhooks::find(connection, &name)?;
                let Some(webhook) = webhook.filter(|webhook| webhook.state == State::Active) else {
                    return Ok(None);
                };
                let due = webhooks::take_due(connection, &name, AT_ONCE, now, again)?;
                Ok::<_, StoreError>((!due.is_empty()).then_some((webhook, due)))
            })
            .await?;
        let Some((webhook, due)) = taken else { return Ok(()) };
        let mut tasks = tokio::task::JoinSet::new();
        for due in due {
            let post = signed(context, &webhook, &due, now);
            let context = Arc::clone(context);
            tasks.spawn(async move { attempt(&context, post, &due).await });
        }
        let tried = tasks.join_all().await;
        let gone = tried.iter().any(|tried| tried.status == Some(410));
        let name = id.to_owned();
        context
            .store
            .write(move |connection| {
                tried.iter().try_for_each(|tried| webhooks::tried(connection, tried))?;
                if gone { webhooks::gone(connection, &name) } else { Ok::<_, StoreError>(()) }
            })
            .await?;
    }
}

/// The event as it is sent, signed with the secret, and with the one before as long as that is taken.
fn signed(context: &Context, webhook: &Webhook, due: &Due, now: Timestamp) -> Result<Post, String> {
    let url =
        context.telling.client.url(&webhook.url).map_err(|error| format!("the address {error}"))?;
    let id = due.event.id();
    let body = serde_json::to_vec(&EventView::from(due.event.clone()))
        .map_err(|error| error.to_string())?;
    let open = |column, sealed: &[u8]| {
        let place = Place { table: "webhooks", column, row: &webhook.id };
        let text = context.keys.seal.open(place, sealed).map_err(|error| error.to_string())?;
        let text = std::str::from_utf8(&text).map_err(|error| error.to_string())?;
        WebhookSecret::parse(text).map_err(|error| error.to_string())
    };
    let mut signature = open("secret", &webhook.secret)?.sign(&id, now, &body);
    if let Some((old, until)) = &webhook.old_secret
        && *until > now
    {
        signature = format!("{signature} {}", open("old_secret", old)?.sign(&id, now, &body));
    }
    let header = |name, value: String| (name, Zeroizing::new(value));
    let headers = vec![
        header("content-type", "application/json".to_owned()),
        header(ID, id),
        header(TIMESTAMP, now.seconds().to_string()),
        header(SIGNATURE, signature),
    ];
    Ok(Post { url, headers, body: Zeroizing::new(body) })
}

/// Sends it once, and says what follows.
async fn attempt(context: &Context, post: Result<Post, String>, due: &Due) -> Tried {
    let answer = match post {
        Ok(post) => context.telling.client.post(post).await.map_err(|error| error.to_string()),
        Err(error) => Err(error),
    };
    let (status, error) = match answer {
        Ok(answer) => (Some(answer.status), None),
        Err(error) => (None, Some(error.chars().take(LONGEST_ERROR).collect())),
    };
    let then = match status {
        Some(200..=299) => Then::Sent,
        Some(410) => Then::Failed,
        _ => match wait(context, due.tries) {
            Some(seconds) => Then::Again(context.now().later(seconds)),
            None => Then::Failed,
        },
    };
    Tried { seq: due.seq, status, error, then }
}

/// How long to wait after so many tries: a tenth more or less, so that those who failed together do
/// not come back together.
fn wait(context: &Context, tries: u32) -> Option<u64> {
    let index = usize::try_from(tries).ok()?.checked_sub(1)?;
    let wait = *WAITS.get(index)?;
    let spread = wait / 5;
    let drawn = context.with_rng(|rng| rng.next_u64()) % spread.saturating_add(1);
    Some(wait.saturating_sub(spread / 2).saturating_add(drawn))
}

#[cfg(test)]
mod tests;
