//! What a database that was set back cannot know, and what is therefore void in it. Everything that was
//! used, sent, handed out or ended since the backup may have been; whatever would harm if it happened twice
//! ends here.

use super::value::{At, Count, all};
use super::{StoreError, accounts, authenticators, idempotency, meta};
use doorstep::otp::record::Event;
use doorstep::time::Timestamp;
use rusqlite::{Connection, params};

/// Accounts that are read at a time.
const PAGE: u32 = 1000;

/// Who may talk to the server after a restoring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nobody who could before: a key, a device or a receiver of events may have been given up since the backup.
    Ended,
    /// Everybody who could at the backup, since somebody says that none was given up.
    Kept,
}

/// What was made void, counted. The names are those of the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Voided {
    /// Codes that the server itself would have checked.
    pub online_codes: usize,
    /// Plans that no device had: one may have them by now.
    pub plans: usize,
    /// Messages that were due, and may have been sent: they wait for somebody's word.
    pub messages_held: usize,
    /// API keys.
    pub api_keys: usize,
    /// Drivers' devices.
    pub devices: usize,
    /// Receivers of events, which wait until somebody says that each is still meant.
    pub webhooks: usize,
    /// Tickets of devices that were not enrolled.
    pub invitations: usize,
    /// Authenticators that count, and so cannot be told which codes were used.
    pub counting_authenticators: usize,
    /// Authenticators that go by the clock, whose codes up to now are spent.
    pub steps_spent: usize,
    /// Recovery codes.
    pub recovery_codes: usize,
    /// Challenges that were not answered.
    pub challenges: usize,
    /// Passes that nobody had collected: their tickets.
    pub pass_tickets: usize,
    /// Answers that were kept for requests with an `Idempotency-Key`.
    pub kept_answers: usize,
}

/// What the restoring could not find out: it is counted, and somebody has to look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Open {
    /// Deliveries whose code a device checks; their outcomes come home with the devices.
    pub deliveries_out: usize,
    /// Messages whose time comes later; they go out then.
    pub messages_waiting: usize,
    /// Locks with PINs or passes that may still open: others may have been given, and these cancelled.
    pub locks: usize,
    /// Accounts: one may have been disabled since.
    pub accounts: usize,
}

/// Voids what a database that was set back cannot vouch for, and raises its epoch to `now`.
pub(crate) fn void(
    connection: &Connection,
    access: Access,
    now: Timestamp,
) -> Result<(u64, Voided), StoreError> {
    let epoch = meta::epoch(connection)?.saturating_add(1).max(now.seconds());
    meta::set(connection, meta::EPOCH, &epoch.to_string())?;
    meta::remove(connection, meta::BACKUP)?;
    // So do the places of events: whoever has read beyond the backup goes on where he was.
    connection.execute(
        "UPDATE sqlite_sequence SET seq = max(seq, ?1) WHERE name = 'events'",
        [Count(epoch)],
    )?;
    connection.execute(
        "INSERT INTO sqlite_sequence (name, seq) SELECT 'events', ?1
         WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'events')",
        [Count(epoch)],
    )?;
    connection.execute(
        "INSERT OR REPLACE INTO meta (key, value) SELECT ?1, ?2 WHERE EXISTS (SELECT 1 FROM locks)",
        params![meta::ROTATIONS_LOST, now.seconds().to_string()],
    )?;
    let mut voided = Voided::default();
    deliveries(connection, now, &mut voided)?;
    accounts_of(connection, now, &mut voided)?;
    let run = |sql: &str| Ok::<_, StoreError>(connection.execute(sql, [At(now)])?);
    if access == Access::Ended {
        voided.api_keys = run("UPDATE api_keys SET revoked_at = ?1 WHERE revoked_at IS NULL")?;
        voided.devices =
            run("UPDATE devices SET state = 'lost', state_at = ?1 WHERE state = 'enrolled'")?;
        voided.webhooks = connection
            .execute("UPDATE webhooks SET state = 'paused' WHERE state = 'active'", [])?;
    }
    // What an answer says was made may have been ended since, or be void now.
    voided.kept_answers = idempotency::lose_all(connection)?;
    voided.invitations = run(
        "UPDATE devices SET ticket_expires_at = 0 WHERE state = 'invited' AND ticket_expires_at > ?1",
    )?;
    // Nobody knows a ticket of this hash; one that was used since would bind a second holder.
    voided.pass_tickets = run("UPDATE passes SET ticket = randomblob(32)
         WHERE ticket IS NOT NULL AND collected_at IS NULL AND revoked_at IS NULL AND until_at > ?1")?;
    Ok((epoch, voided))
}

fn deliveries(
    connection: &Connection,
    now: Timestamp,
    voided: &mut Voided,
) -> Result<(), StoreError> {
    // The server is the verifier of the first and has lost what it counted and spent. The second were on no
    // device; handed out a second time, a device would take them for a replay.
    let end = "UPDATE generations SET state = 'expired', sealed_stop = NULL,
                      route_version = coalesce(route_version, 0)";
    voided.online_codes = connection.execute(
        &format!("{end} WHERE mode = 'online' AND state IN ('planned', 'handed_out')"),
        [],
    )?;
    // A code lives from its message on, and of these none is known to have gone out.
    connection.execute(
        "UPDATE messages SET sent_at = NULL WHERE EXISTS (
             SELECT 1 FROM generations AS g WHERE g.delivery = messages.delivery
                 AND g.generation = messages.generation AND g.mode = 'online' AND g.state = 'expired')",
        [],
    )?;
    voided.plans = connection.execute(&format!("{end} WHERE state = 'planned'"), [])?;
    connection.execute(
        "UPDATE messages SET state = 'expired', sealed = NULL
         WHERE sealed IS NOT NULL AND EXISTS (
             SELECT 1 FROM generations AS g WHERE g.delivery = messages.delivery
                 AND g.generation = messages.generation AND g.state = 'expired')",
        [],
    )?;
    connection.execute(
        "UPDATE deliveries SET state = 'expired', updated_at = ?1
         WHERE state IN ('planned', 'handed_out', 'notified') AND EXISTS (
             SELECT 1 FROM generations AS g WHERE g.delivery = deliveries.id
                 AND g.generation = deliveries.generation AND g.state = 'expired')",
        [At(now)],
    )?;
    // A code that a device checks is good once, whatever the server forgot. Its message is not.
    voided.messages_held = connection.execute(
        "UPDATE messages SET state = 'failed'
         WHERE state = 'sending' OR (state = 'waiting' AND send_at <= ?1)",
        [At(now)],
    )?;
    Ok(())
}

fn accounts_of(
    connection: &Connection,
    now: Timestamp,
    voided: &mut Voided,
) -> Result<(), StoreError> {
    let mut after = 0;
    loop {
        let page = accounts::page(connection, after, PAGE)?;
        let Some(last) = page.last() else { break };
        after = last.seq;
        for account in &page {
            for row in authenticators::of_account(connection, account.seq)? {
                spend(connection, &row, now, voided)?;
            }
        }
    }
    voided.recovery_codes = connection
        .execute("UPDATE recovery_codes SET used_at = ?1 WHERE used_at IS NULL", [At(now)])?;
    voided.challenges = connection.execute(
        "UPDATE challenges SET answered_at = ?1 WHERE answered_at IS NULL AND expires_at > ?1",
        [At(now)],
    )?;
    Ok(())
}

/// Spends every code of an authenticator that may have been taken by `now`.
fn spend(
    connection: &Connection,
    row: &authenticators::Authenticator,
    now: Timestamp,
    voided: &mut Voided,
) -> Result<(), StoreError> {
    use authenticators::{Kind, State};
    if row.state == State::Disabled {
        return Ok(());
    }
    match row.kind {
        Kind::Totp { totp, window } => {
            let drift = row.remembered.drift();
            let ahead = window.most_steps().saturating_add(u64::try_from(drift).unwrap_or(0));
            let step = totp.step(now).unwrap_or(0).saturating_add(ahead);
            let spent = Event::Accepted { authenticator: row.number, step, drift };
            let remembered = row.remembered.then(now, &spent);
            authenticators::remember(connection, row, &remembered, None)?;
            voided.steps_spent = voided.steps_spent.saturating_add(1);
        }
        // However far it was counted since, no code tells a used one from a new one.
        Kind::Hotp(_) => {
            authenticators::disable(connection, row)?;
            voided.counting_authenticators = voided.counting_authenticators.saturating_add(1);
        }
        // An answer is good for its challenge alone.
        Kind::Ocra { .. } => {}
    }
    Ok(())
}

/// Counts what somebody has to look after.
pub(crate) fn open(connection: &Connection, now: Timestamp) -> Result<Open, StoreError> {
    let count = |sql: &str| -> Result<usize, StoreError> {
        let mut counts = all(connection, sql, &[&At(now)], |row| Ok(row.get::<_, i64>(0)?))?;
        Ok(counts.pop().and_then(|count| usize::try_from(count).ok()).unwrap_or(0))
    };
    Ok(Open {
        deliveries_out: count(
            "SELECT count(*) FROM generations WHERE mode = 'offline' AND state = 'handed_out' AND window_until > ?1",
        )?,
        messages_waiting: count(
            "SELECT count(*) FROM messages WHERE state = 'waiting' AND send_at > ?1",
        )?,
        locks: count(
            "SELECT count(*) FROM locks WHERE ?1 > 0 AND (
                 EXISTS (SELECT 1 FROM pins WHERE pins.lock = locks.seq AND opens_until > ?1)
                 OR EXISTS (SELECT 1 FROM passes WHERE passes.lock = locks.seq AND until_at > ?1))",
        )?,
        accounts: count("SELECT count(*) FROM accounts WHERE ?1 > 0 AND disabled_at IS NULL")?,
    })
}

/// Says whether a database is whole: what is wrong with it, in SQLite's words.
pub(crate) fn damage(connection: &Connection) -> Result<Option<String>, StoreError> {
    let told: String =
        connection.query_row("PRAGMA integrity_check(1)", params![], |row| row.get(0))?;
    if told != "ok" {
        return Ok(Some(told));
    }
    let mut orphans = connection.prepare("PRAGMA foreign_key_check")?;
    let mut rows = orphans.query([])?;
    Ok(match rows.next()? {
        Some(row) => {
            Some(format!("a row of {} names another that is missing", row.get::<_, String>(0)?))
        }
        None => None,
    })
}
