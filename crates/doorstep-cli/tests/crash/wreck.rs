//! What is left of a server that died, held against what it said.

use crate::load::{Facts, Login, code};
use doorstep::otp::record::State;
use rusqlite::{Connection, OpenFlags, ToSql};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

fn hold(so: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if so { Ok(()) } else { Err(otherwise()) }
}

/// The data directory of a server that died.
pub(crate) struct Wreck<'a> {
    data: &'a Path,
    database: Connection,
}

impl<'a> Wreck<'a> {
    pub(crate) fn open(data: &'a Path) -> Self {
        // As a program of its own would: the log is read, and whatever was not committed is not there.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
        let database = Connection::open_with_flags(data.join("doorstep.db"), flags).unwrap();
        Self { data, database }
    }

    pub(crate) fn count(&self, sql: &str, values: &[&dyn ToSql]) -> u64 {
        let count: i64 = self.database.query_row(sql, values, |row| row.get(0)).unwrap();
        u64::try_from(count).unwrap()
    }

    /// What the provider has: messages leave with it.
    pub(crate) fn provider(&self) -> String {
        std::fs::read_to_string(self.data.join("messages.jsonl")).unwrap_or_default()
    }

    /// Whether everything that was said is so.
    pub(crate) fn check(&self, facts: &Facts) -> Result<(), String> {
        let whole: String =
            self.database.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).unwrap();
        hold(whole == "ok", || whole)?;
        for id in &facts.taken {
            let found = self.count("SELECT count(*) FROM deliveries WHERE id = ?1", &[id]);
            hold(found == 1, || format!("{id} was taken in and is there {found} times"))?;
        }
        for (id, planned) in &facts.planned {
            let sql = "SELECT coalesce(max(generation), 0) FROM generations WHERE delivery = ?1";
            let found = self.count(sql, &[id]);
            hold(found >= *planned, || format!("{id} was planned as {planned} and is {found}"))?;
        }
        for (device, said) in &facts.acknowledged {
            let sql =
                "SELECT count(DISTINCT number) FROM claims WHERE device = ?1 AND number <= ?2";
            let found = self.count(sql, &[device, &i64::try_from(*said).unwrap()]);
            hold(found == *said, || {
                format!("{said} outcomes of {device} were acknowledged, {found} are there")
            })?;
        }
        let forked = self.count("SELECT count(*) FROM claims WHERE forked", &[]);
        hold(forked == 0, || format!("{forked} outcomes contradict others"))?;
        let twice = "SELECT count(*) FROM (SELECT 1 FROM claims WHERE verdict = 'match' GROUP BY delivery HAVING count(*) > 1)";
        hold(self.count(twice, &[]) == 0, || "a delivery was handed over twice".to_owned())?;
        for (id, times) in &facts.granted {
            let sql =
                "SELECT count(*) FROM generations WHERE delivery = ?1 AND spent_at IS NOT NULL";
            let spent = self.count(sql, &[id]);
            hold(*times <= 1, || format!("{id} was granted {times} times"))?;
            hold(spent >= u64::from(*times), || format!("{id} was granted and is not spent"))?;
        }
        for Login { account, counter } in &facts.logins {
            let sql =
                "SELECT remembered FROM authenticators JOIN accounts ON accounts.seq = account
                       WHERE accounts.name = ?1 AND last_used_at IS NOT NULL";
            let remembered = self.database.query_row(sql, [account], |row| row.get(0));
            let spent = remembered.ok().and_then(|bytes| State::from_bytes(&bytes)?.last_step());
            hold(spent >= Some(*counter), || {
                format!("{account} was let in by code {counter}, and {spent:?} was spent last")
            })?;
        }
        Ok(())
    }

    /// The provider has a message twice only if its row says that it was tried twice, and has each one
    /// that is said to be sent.
    pub(crate) fn check_messages(&self, provider: &str) -> Result<(), String> {
        let mut times: BTreeMap<String, u64> = BTreeMap::new();
        for line in provider.lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            *times.entry(line["id"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        let mut sent =
            self.database.prepare("SELECT id FROM messages WHERE state = 'sent'").unwrap();
        for id in sent.query_map([], |row| row.get::<_, String>(0)).unwrap() {
            let id = id.unwrap();
            hold(times.contains_key(&id), || format!("{id} is said to be sent, and was not"))?;
        }
        for (id, times) in times {
            let tries =
                self.count("SELECT coalesce(max(tries), 0) FROM messages WHERE id = ?1", &[&id]);
            hold(tries >= times, || {
                format!("{id} was sent {times} times and tried {tries} times")
            })?;
        }
        Ok(())
    }

    /// How many messages are due: their device has its route, or the server checks their code itself.
    pub(crate) fn due(&self) -> u64 {
        let now = std::fs::read_to_string(self.data.join("clock")).unwrap();
        let now: i64 = now.trim().parse().unwrap();
        let sql = "SELECT count(*) FROM messages AS m
                   JOIN generations AS g ON g.delivery = m.delivery AND g.generation = m.generation
                   WHERE m.state IN ('waiting', 'sending') AND m.phone IS NOT NULL AND m.next_at <= ?1
                     AND g.window_until > ?1
                     AND (g.state = 'handed_out' OR (g.state = 'planned' AND g.mode = 'online'))";
        self.count(sql, &[&now])
    }

    /// No message got lost: each was sent, waits for its time or its device, was given up after a try that
    /// says why, or ended because its code was needed no more.
    pub(crate) fn check_ends(&self) -> Result<(), String> {
        let due = self.due();
        hold(due == 0, || format!("{due} messages are due, and nobody sends them"))?;
        for (state, reason) in [
            (
                "failed",
                "SELECT 1 FROM message_tries AS t WHERE t.message = m.id AND t.outcome IS NOT NULL",
            ),
            (
                "superseded",
                "SELECT 1 FROM generations AS g
                 WHERE g.delivery = m.delivery AND g.generation > m.generation",
            ),
            (
                "closed",
                "SELECT 1 FROM generations AS g
                 WHERE g.delivery = m.delivery AND g.generation = m.generation
                   AND (g.spent_at IS NOT NULL
                        OR EXISTS (SELECT 1 FROM claims AS c WHERE c.delivery = g.delivery
                                     AND c.generation = g.generation AND c.outcome = 'granted'))",
            ),
        ] {
            let sql = format!(
                "SELECT count(*) FROM messages AS m WHERE m.state = ?1 AND NOT EXISTS ({reason})"
            );
            let without = self.count(&sql, &[&state]);
            hold(without == 0, || format!("{without} messages are {state} without a reason"))?;
        }
        let known = "SELECT count(*) FROM messages WHERE state NOT IN
                     ('waiting', 'spare', 'sent', 'delivered', 'failed', 'superseded', 'closed', 'expired')";
        let other = self.count(known, &[]);
        hold(other == 0, || format!("{other} messages are in a state that nothing here leads to"))?;
        let planned =
            "SELECT count(*) FROM generations AS g WHERE (SELECT count(*) FROM messages AS m
                         WHERE m.delivery = g.delivery AND m.generation = g.generation) <> g.slots";
        let lost = self.count(planned, &[]);
        hold(lost == 0, || format!("{lost} plans do not have a message for each slot"))
    }

    /// No code that any customer was sent is readable in what the server keeps.
    pub(crate) fn scan(&self) {
        let provider = self.data.join("messages.jsonl");
        let text = self.provider();
        let codes: Vec<String> = text
            .lines()
            .filter_map(|line| code(&serde_json::from_str(line).ok()?))
            .flat_map(|code| [code.replace(' ', ""), code])
            .collect();
        assert!(!codes.is_empty());
        let wanted: BTreeSet<&[u8]> = codes.iter().map(String::as_bytes).collect();
        let (plain, grouped) = (8, 9);
        for entry in std::fs::read_dir(self.data).unwrap() {
            let path = entry.unwrap().path();
            if path == provider || path.is_dir() {
                continue;
            }
            let bytes = std::fs::read(&path).unwrap();
            for length in [plain, grouped] {
                let found = bytes.windows(length).find(|part| wanted.contains(part));
                assert!(found.is_none(), "a code in {}", path.display());
            }
        }
    }
}
