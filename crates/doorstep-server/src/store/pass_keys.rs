//! Keys that passes are signed with, still sealed, and which of them a lock was provisioned with.

use super::StoreError;
use super::value::{At, named, parsed};
use doorstep::cose::keys::{IssuerPublicKey, PublicKey, Signer};
use doorstep::time::{Timestamp, Window};
use rusqlite::{Connection, Row, named_params, params};

named! {
    /// How a key signs.
    enum Algorithm {
        Ed25519 = "ed25519",
        Esp256 = "esp256",
    }
}

impl Algorithm {
    pub(crate) fn of(key: &Signer) -> Self {
        match key {
            Signer::Ed25519(_) => Self::Ed25519,
            Signer::P256(_) => Self::Esp256,
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct PassKey {
    /// The place in the list, in order of creation, and what other tables name it by.
    pub(crate) seq: i64,
    pub(crate) id: String,
    pub(crate) public: Signer,
    pub(crate) sealed: Vec<u8>,
    /// It signs from then on.
    pub(crate) from: Timestamp,
    /// And until then.
    pub(crate) until: Option<Timestamp>,
    pub(crate) created_at: Timestamp,
}

impl PassKey {
    /// Whether it signs nothing any more.
    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    /// When it signs.
    pub(crate) fn window(&self) -> Window {
        let until = self.until.unwrap_or(Window::ALWAYS.until());
        Window::new(self.from, until).unwrap_or(Window::ALWAYS)
    }

    /// Whether it signs at this time.
    pub(crate) fn signs(&self, at: Timestamp) -> bool {
        self.from <= at && !self.is_over(at)
    }
}

/// Stores a key that was just made.
pub(crate) fn insert(connection: &Connection, new: &PassKey) -> Result<i64, StoreError> {
    let public = match &new.public {
        Signer::Ed25519(key) => key.to_bytes().to_vec(),
        Signer::P256(key) => key.to_bytes().to_vec(),
    };
    connection
        .prepare_cached(
            "INSERT INTO pass_keys (id, algorithm, public_key, sealed_key, from_at, created_at)
             VALUES (:id, :algorithm, :public, :sealed, :from, :created)",
        )?
        .execute(named_params! {
            ":id": new.id, ":algorithm": Algorithm::of(&new.public).as_str(), ":public": public,
            ":sealed": new.sealed, ":from": At(new.from), ":created": At(new.created_at),
        })?;
    Ok(connection.last_insert_rowid())
}

/// Ends a key.
pub(crate) fn end(connection: &Connection, seq: i64, until: Timestamp) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE pass_keys SET until_at = ?2 WHERE seq = ?1")?
        .execute(params![seq, At(until)])?;
    Ok(())
}

const COLUMNS: &str =
    "seq, id, algorithm, public_key, sealed_key, from_at, until_at, created_at FROM pass_keys";

/// Those first about which the latest statement is the oldest.
const ORDER: &str =
    "ORDER BY (SELECT max(sequence) FROM rotations WHERE pass_key = pass_keys.seq), seq";

/// All keys, those first about which the latest statement is the oldest.
pub(crate) fn all(connection: &Connection) -> Result<Vec<PassKey>, StoreError> {
    select(connection, &format!("SELECT {COLUMNS} {ORDER}"), params![])
}

/// The keys that a lock was provisioned with.
pub(crate) fn of_lock(connection: &Connection, lock: i64) -> Result<Vec<PassKey>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} WHERE seq IN (SELECT pass_key FROM lock_pass_keys WHERE lock = ?1) {ORDER}"
    );
    select(connection, &sql, params![lock])
}

/// Notes which keys a lock is provisioned with, instead of those before.
pub(crate) fn provision(
    connection: &Connection,
    lock: i64,
    keys: &[PassKey],
) -> Result<(), StoreError> {
    connection.prepare_cached("DELETE FROM lock_pass_keys WHERE lock = ?1")?.execute([lock])?;
    let mut insert =
        connection.prepare_cached("INSERT INTO lock_pass_keys (lock, pass_key) VALUES (?1, ?2)")?;
    for key in keys {
        insert.execute(params![lock, key.seq])?;
    }
    Ok(())
}

fn select(
    connection: &Connection,
    sql: &str,
    values: &[&dyn rusqlite::ToSql],
) -> Result<Vec<PassKey>, StoreError> {
    super::value::all(connection, sql, values, read)
}

fn read(row: &Row<'_>) -> Result<PassKey, StoreError> {
    let algorithm = row.get_ref(2)?.as_str().unwrap_or_default();
    let public: Vec<u8> = row.get(3)?;
    let public = match parsed("pass_keys.algorithm", algorithm, Algorithm::parse)? {
        Algorithm::Ed25519 => IssuerPublicKey::from_bytes(&public).map(Signer::Ed25519),
        Algorithm::Esp256 => PublicKey::from_bytes(&public).map(Signer::P256),
    };
    Ok(PassKey {
        seq: row.get(0)?,
        id: row.get(1)?,
        public: public.map_err(|_| StoreError::Corrupt { column: "pass_keys.public_key" })?,
        sealed: row.get(4)?,
        from: row.get::<_, At>(5)?.0,
        until: row.get::<_, Option<At>>(6)?.map(|at| at.0),
        created_at: row.get::<_, At>(7)?.0,
    })
}
