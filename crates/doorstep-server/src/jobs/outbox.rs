//! Hands messages that are due to the provider. A code leaves its seal only here, and is erased once
//! the provider has it.
//!
//! That a message is about to be sent is on disk before the provider is asked, so that none is sent
//! twice without a record that says so.

use crate::context::Context;
use crate::health::Heartbeat;
use crate::http::problem::Problem;
use crate::messages::{About, Content, Kind, Outcome, Outgoing, Says};
use crate::seal::Place;
use crate::store::StoreError;
use crate::store::deliveries::{self, State as DeliveryState};
use crate::store::message_tries::{self as tries, Outcome as Came};
use crate::store::messages::{self as stored, Due, State};
use doorstep::time::Timestamp;
use rusqlite::Connection;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use zeroize::Zeroizing;

/// Messages that are taken in one transaction at most.
const MOST: usize = 1000;

/// The messages that are with the provider at the moment.
#[derive(Default)]
pub(crate) struct Outbox {
    ids: Mutex<HashSet<String>>,
    left: Notify,
    /// It looked for what is due.
    pub(crate) heartbeat: Heartbeat,
}

impl Outbox {
    fn ids(&self) -> MutexGuard<'_, HashSet<String>> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a message is not with the provider.
    async fn wait_for(&self, id: &str) {
        loop {
            let mut left = std::pin::pin!(self.left.notified());
            left.as_mut().enable();
            if !self.ids().contains(id) {
                return;
            }
            left.await;
        }
    }
}

/// Messages that this process alone sends, for as long as it has this.
struct Flight {
    outbox: Arc<Outbox>,
    entered: Vec<String>,
    messages: Vec<Taken>,
}

/// A message in words, and what decides over another try.
struct Taken {
    outgoing: Outgoing,
    tries_now: u32,
    until: Timestamp,
}

impl Flight {
    fn new(outbox: &Arc<Outbox>) -> Self {
        Self { outbox: Arc::clone(outbox), entered: Vec::new(), messages: Vec::new() }
    }

    /// False if another has it.
    fn enter(&mut self, id: &str) -> bool {
        let entered = self.outbox.ids().insert(id.to_owned());
        if entered {
            self.entered.push(id.to_owned());
        }
        entered
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut ids = self.outbox.ids();
        for id in &self.entered {
            ids.remove(id);
        }
        drop(ids);
        self.outbox.left.notify_waiters();
    }
}

/// Sends all messages that are due, many at a time, for as long as `goes_on` says. Those that are
/// under way are always waited for.
pub(crate) async fn run(
    context: &Arc<Context>,
    goes_on: impl Fn() -> bool + Send,
) -> Result<(), Problem> {
    let messenger = &context.messenger;
    let batch = messenger.provider.batch();
    let mut sending = JoinSet::new();
    let mut result = Ok(());
    loop {
        context.outbox.heartbeat.beat();
        let free = messenger.parallel.saturating_sub(sending.len());
        if result.is_ok() && free > 0 && goes_on() {
            match take_due(context, free.saturating_mul(batch).min(MOST)).await {
                Ok(flights) => {
                    for flight in flights {
                        sending.spawn(send(Arc::clone(context), flight));
                    }
                }
                Err(problem) => result = Err(problem),
            }
        }
        // Others fall due while these are under way.
        let pause = tokio::time::sleep(context.config.server.job_interval);
        let mut ended = tokio::select! {
            ended = sending.join_next() => match ended {
                None => return result,
                ended => ended,
            },
            () = pause => None,
        };
        // All that ended meanwhile make room at once: taking messages costs a transaction.
        while let Some(one) = ended {
            match one {
                Ok(Ok(())) => {}
                Ok(Err(problem)) => result = Err(problem),
                Err(error) => result = Err(Problem::internal(&error)),
            }
            ended = sending.try_join_next();
        }
    }
}

/// Sends these messages, if they are due, and returns when they were sent.
pub(crate) async fn send_now(context: &Arc<Context>, ids: Vec<String>) -> Result<(), Problem> {
    let inner = Arc::clone(context);
    let wanted = ids.clone();
    // A task of its own: who asked may go away, and what was begun is finished.
    let sending = tokio::spawn(async move {
        let flight = take(&inner, wanted).await?;
        send(inner, flight).await
    });
    sending.await.unwrap_or_else(|error| Err(Problem::internal(&error)))?;
    for id in &ids {
        context.outbox.wait_for(id).await;
    }
    Ok(())
}

/// Takes messages that are due, in flights of as many as the provider takes at a time.
async fn take_due(context: &Arc<Context>, limit: usize) -> Result<Vec<Flight>, Problem> {
    let now = context.now();
    let under_way = context.outbox.ids().len();
    let limit_with = limit.saturating_add(under_way);
    let mut ids =
        context.store.read(move |connection| stored::due(connection, now, limit_with)).await?;
    {
        let under_way = context.outbox.ids();
        ids.retain(|id| !under_way.contains(id));
    }
    ids.truncate(limit);
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut all = take(context, ids).await?;
    let batch = context.messenger.provider.batch();
    let mut flights = Vec::new();
    while all.messages.len() > batch {
        let mut flight = Flight::new(&context.outbox);
        flight.messages = all.messages.split_off(all.messages.len().saturating_sub(batch));
        for message in &flight.messages {
            all.entered.retain(|id| *id != message.outgoing.id);
            flight.entered.push(message.outgoing.id.clone());
        }
        flights.push(flight);
    }
    flights.push(all);
    Ok(flights)
}

/// Notes, durably, that these messages are about to be sent, and puts them in words. Those that are
/// not to be sent now are dealt with.
async fn take(context: &Arc<Context>, ids: Vec<String>) -> Result<Flight, Problem> {
    let now = context.now();
    let inner = Arc::clone(context);
    let taking = context.store.write(move |connection| {
        let mut flight = Flight::new(&inner.outbox);
        for id in ids {
            if flight.enter(&id) {
                match prepare(&inner, connection, &id, now) {
                    Ok(message) => flight.messages.extend(message),
                    Err(error) if error.is_damage() => {
                        unreadable(&inner, connection, &id, &error, now)?;
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok::<_, StoreError>(flight)
    });
    Ok(taking.await?)
}

fn prepare(
    context: &Context,
    connection: &Connection,
    id: &str,
    now: Timestamp,
) -> Result<Option<Taken>, StoreError> {
    let messenger = &context.messenger;
    let Some(due) = stored::find_due(connection, id, now)? else { return Ok(None) };
    if due.state == State::Sending {
        // Nobody sends it: the power went, or what came of it could not be noted.
        let error = "cut off before its outcome was noted";
        tries::end(connection, id, Came::Unknown, None, Some(error))?;
        later(context, connection, id, (due.tries_now, due.window.until()), now)?;
        return Ok(None);
    }
    if due.window.until() <= now {
        stored::expire(connection, id)?;
        return Ok(None);
    }
    if !due.urgent
        && let Some(end) = messenger.quiet_until(&due.place, due.expected_at, now)
    {
        stored::wait(connection, id, end)?;
        return Ok(None);
    }
    if let Some(error) = messenger.had_enough(connection, &due.phone, now)? {
        return give_up(context, connection, id, (Came::Refused, &error), now).map(|()| None);
    }
    let outgoing = word(context, &due, now)?;
    let number = stored::begin(connection, id)?;
    tries::begin(connection, id, number, messenger.provider.name(), now)?;
    Ok(Some(Taken {
        outgoing,
        tries_now: due.tries_now.saturating_add(1),
        until: due.window.until(),
    }))
}

/// The message as the provider takes it.
fn word(context: &Context, due: &Due, now: Timestamp) -> Result<Outgoing, StoreError> {
    let damaged = || StoreError::Corrupt { column: "messages.sealed" };
    let content = match (&due.sealed, due.kind) {
        (Some(sealed), Kind::Code) => {
            let place = Place { table: "messages", column: "sealed", row: &due.id };
            let content = context.keys.seal.open(place, sealed).map_err(|_| damaged())?;
            Some(Content::from_bytes(&content).ok_or_else(damaged)?)
        }
        (None, Kind::Cancelled) => None,
        _ => return Err(damaged()),
    };
    let says = match &content {
        Some(content) => Says::Code { content, window: due.window, replaces: due.replaces },
        None => Says::Cancelled,
    };
    let about = About {
        delivery: due.delivery,
        reference: due.reference.clone(),
        generation: due.generation,
        slot: due.slot,
    };
    context
        .messenger
        .word((&due.id, &due.phone), Some(about), &due.place, &says, now)
        .ok_or(StoreError::Corrupt { column: "generations.window_from" })
}

/// Sets a message aside that cannot be read, so that it keeps no other up.
fn unreadable(
    context: &Context,
    connection: &Connection,
    id: &str,
    error: &StoreError,
    now: Timestamp,
) -> Result<(), StoreError> {
    tracing::error!(id, %error, "a message cannot be read; it is set aside");
    give_up(context, connection, id, (Came::Failed, "it cannot be read back"), now)
}

/// Gives a message up without asking the provider.
fn give_up(
    context: &Context,
    connection: &Connection,
    id: &str,
    (outcome, error): (Came, &str),
    now: Timestamp,
) -> Result<(), StoreError> {
    let number = stored::begin(connection, id)?;
    tries::begin(connection, id, number, context.messenger.provider.name(), now)?;
    tries::end(connection, id, outcome, None, Some(error))?;
    stored::fail(connection, id)
}

/// Hands a flight to the provider and notes what came of it.
async fn send(context: Arc<Context>, mut flight: Flight) -> Result<(), Problem> {
    if flight.messages.is_empty() {
        return Ok(());
    }
    let messages = std::mem::take(&mut flight.messages);
    let (mut outgoing, mut limits) = (Vec::new(), Vec::new());
    for taken in messages {
        outgoing.push(taken.outgoing);
        limits.push((taken.tries_now, taken.until));
    }
    let outcomes = context.messenger.provider.send(&outgoing).await;
    let inner = Arc::clone(&context);
    let noting = context.store.write(move |connection| {
        let now = inner.now();
        for ((message, limits), outcome) in outgoing.iter().zip(limits).zip(outcomes) {
            note(&inner, connection, message, limits, outcome, now)?;
        }
        Ok::<_, StoreError>(())
    });
    noting.await?;
    // Not before: until it is noted, nobody else may take them.
    drop(flight);
    Ok(())
}

fn note(
    context: &Context,
    connection: &Connection,
    message: &Outgoing,
    limits: (u32, Timestamp),
    outcome: Outcome,
    now: Timestamp,
) -> Result<(), StoreError> {
    let id = message.id.as_str();
    let failed = |came: Came, error: &str| {
        let error = Zeroizing::new(message.without_secrets(error));
        tracing::warn!(id, outcome = came.as_str(), "a message was not sent");
        tries::end(connection, id, came, None, Some(&error))
    };
    match outcome {
        Outcome::Taken(provider_id) => {
            tries::end(connection, id, Came::Taken, provider_id.as_deref(), None)?;
            stored::sent(connection, id, now)?;
            if let (Kind::Code, Some(about)) = (message.kind, &message.about) {
                let from = [DeliveryState::Planned, DeliveryState::HandedOut];
                let to = DeliveryState::Notified;
                deliveries::advance(connection, &about.delivery, &from, to, now)?;
            }
            Ok(())
        }
        Outcome::Refused(error) => {
            failed(Came::Refused, &error)?;
            stored::fail(connection, id)
        }
        Outcome::Failed(error) => {
            failed(Came::Failed, &error)?;
            later(context, connection, id, limits, now)
        }
        Outcome::Unknown(error) => {
            failed(Came::Unknown, &error)?;
            later(context, connection, id, limits, now)
        }
    }
}

/// Puts a message off to its next try, or gives it up: after the last try, and when the next one
/// would come too late.
fn later(
    context: &Context,
    connection: &Connection,
    id: &str,
    (tries_now, until): (u32, Timestamp),
    now: Timestamp,
) -> Result<(), StoreError> {
    let made = usize::try_from(tries_now).unwrap_or(usize::MAX);
    let delay = context.messenger.retry.get(made.saturating_sub(1)).copied();
    // Up to a fifth more, so that what failed together is not tried together.
    let jitter = |delay: u64| {
        let drawn = u64::from(context.with_rng(|rng| rng.next_u32()));
        drawn.checked_rem((delay / 5).saturating_add(1)).unwrap_or_default()
    };
    let next = delay.map(|delay| now.later(delay.saturating_add(jitter(delay))));
    match next.filter(|next| *next < until) {
        Some(next) => stored::wait(connection, id, next),
        None => stored::fail(connection, id),
    }
}

#[cfg(test)]
mod tests;
