//! One durable place for what the issuer knows: writes go through one thread that commits in
//! groups, reads through a few read-only connections.
//!
//! SQL lives only in the modules below. Each is plain functions over a connection, so that one
//! writer job can call several and they stand or fall together.

pub(crate) mod accounts;
pub(crate) mod api_keys;
pub(crate) mod authenticators;
pub(crate) mod backup;
pub(crate) mod bookings;
pub(crate) mod bulletins;
pub(crate) mod challenges;
pub(crate) mod claims;
pub(crate) mod condition;
pub(crate) mod deliveries;
pub(crate) mod delivery_list;
pub(crate) mod devices;
pub(crate) mod disputes;
pub(crate) mod erasure;
pub(crate) mod events;
pub(crate) mod evidence;
pub(crate) mod generations;
pub(crate) mod idempotency;
pub(crate) mod known_devices;
pub(crate) mod lock_events;
pub(crate) mod lock_groups;
pub(crate) mod locks;
pub(crate) mod message_tries;
pub(crate) mod messages;
pub(crate) mod meta;
mod migrate;
pub(crate) mod numbers;
pub(crate) mod pass_keys;
pub(crate) mod passes;
pub(crate) mod pins;
pub(crate) mod ranking;
mod readers;
pub(crate) mod recovery_codes;
pub(crate) mod restore;
pub(crate) mod rotations;
pub(crate) mod routes;
pub(crate) mod set_times;
pub(crate) mod sites;
pub(crate) mod test_messages;
pub(crate) mod value;
pub(crate) mod webhooks;
mod word_walk;
pub(crate) mod words;
mod writer;

use readers::Readers;
use rusqlite::{Connection, OpenFlags};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use writer::Writer;

/// How long a connection waits for a lock that another process holds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Pages that the writer keeps in memory, in KiB: with a million accounts the inner pages of their
/// trees and many of the others.
const WRITER_CACHE: i64 = 64 * 1024;
/// Connections that only read; SQLite lets them run beside the writer.
const READERS: usize = 4;

/// A malfunction of the storage. What the domain refuses is not among these.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A stored value is not what this program writes.
    #[error("the database holds a value of {column} that this program does not write")]
    Corrupt {
        /// The table and column.
        column: &'static str,
    },
    /// SQLite found that the file is not whole.
    #[error("the database is damaged: {found}")]
    Damaged {
        /// What SQLite says of it.
        found: String,
    },
    /// A setting that durability depends on did not take.
    #[error(
        "the database runs with {setting} = {found}, which can lose accepted codes (wanted {wanted})"
    )]
    NotDurable {
        /// The PRAGMA.
        setting: &'static str,
        /// Its value, read back.
        found: String,
        /// The only value that is accepted.
        wanted: &'static str,
    },
    /// The file could not be made.
    #[error("cannot make {}", path.display())]
    Make {
        /// Where it should be.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The database was written by a later program.
    #[error("the database has schema {found}, this program reads up to {known}")]
    Newer {
        /// `PRAGMA user_version` of the file.
        found: i64,
        /// The last migration of this program.
        known: i64,
    },
    /// The database was not opened by this program's server yet.
    #[error("the database has schema {found}, and only a server brings it up to {known}")]
    Older {
        /// `PRAGMA user_version` of the file.
        found: i64,
        /// The last migration of this program.
        known: i64,
    },
    /// The file could not be opened.
    #[error("cannot open the database {}", path.display())]
    Open {
        /// Where it should be.
        path: PathBuf,
        /// What SQLite says.
        #[source]
        source: rusqlite::Error,
    },
    /// SQLite refused a statement; nothing of the job was kept.
    #[error("the database refused a statement")]
    Sqlite(#[from] rusqlite::Error),
    /// The writer ended, after a failed commit or at shutdown. Nothing is accepted any more.
    #[error("the store has stopped")]
    Stopped,
    /// The writer's thread could not be started.
    #[error("cannot start the thread that writes")]
    Thread(#[source] io::Error),
}

impl StoreError {
    /// Whether one stored value is to blame, so that others can be worked on; all else passes or
    /// concerns the whole database.
    pub(crate) const fn is_damage(&self) -> bool {
        use rusqlite::Error;
        matches!(
            self,
            Self::Corrupt { .. }
                | Self::Sqlite(
                    Error::FromSqlConversionFailure(..)
                        | Error::IntegralValueOutOfRange(..)
                        | Error::InvalidColumnType(..)
                        | Error::Utf8Error(..)
                )
        )
    }
}

/// The database, open.
pub(crate) struct Store {
    writer: Writer,
    readers: Readers,
    /// Which statements ran, in order.
    #[cfg(test)]
    pub(crate) ran: Ran,
}

#[cfg(test)]
pub(crate) type Ran = std::sync::Arc<std::sync::Mutex<Vec<String>>>;

impl Store {
    /// Makes a new database file with the current schema and what `fill` puts in, all or nothing.
    ///
    /// # Errors
    /// [`StoreError`], or `fill`'s.
    pub(crate) fn make(
        path: &Path,
        fill: impl FnOnce(&Connection) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        make_private_file(path)
            .map_err(|source| StoreError::Make { path: path.to_owned(), source })?;
        let mut connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        make_durable(&connection)?;
        migrate::run(&mut connection, fill)
    }

    /// Opens an existing database, brings its schema up to date and starts the writer.
    ///
    /// # Errors
    /// [`StoreError::NotDurable`] when WAL with full synchronisation is not to be had,
    /// [`StoreError::Newer`] for the database of a later program, else what SQLite says.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let mut connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        make_durable(&connection)?;
        // Negative: in KiB, not in pages.
        connection.pragma_update(None, "cache_size", -WRITER_CACHE)?;
        migrate::run(&mut connection, |_| Ok(()))?;
        let readers = (0..READERS)
            .map(|_| open(path, OpenFlags::SQLITE_OPEN_READ_ONLY))
            .collect::<Result<Vec<_>, _>>()?;
        #[cfg(test)]
        let (ran, readers) = (Ran::default(), readers.into_iter());
        #[cfg(test)]
        let (connection, readers) =
            (traced(connection, &ran), readers.map(|reader| traced(reader, &ran)).collect());
        Ok(Self {
            writer: Writer::start(connection)?,
            readers: Readers::new(readers),
            #[cfg(test)]
            ran,
        })
    }

    /// Runs `job` on the writer, in a transaction shared with the jobs that wait beside it. The
    /// answer arrives after the commit. A job that fails is rolled back alone; a failed commit
    /// fails all and stops the store.
    ///
    /// The job runs even when the caller stops waiting.
    ///
    /// # Errors
    /// The job's own, or the store's by way of `E`.
    pub(crate) async fn write<T, E>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.writer.run(job).await
    }

    /// As [`Self::write`], on the calling thread: for start-up, before there are requests.
    pub(crate) fn write_now<T, E>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.writer.run_now(job)
    }

    /// As [`Self::read`], on the calling thread: for start-up, before there are requests.
    pub(crate) fn read_now<T>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.readers.run_now(job)
    }

    /// Runs `job` on a connection that cannot write and sees all that was committed.
    ///
    /// # Errors
    /// The job's own, or the store's by way of `E`.
    pub(crate) async fn read<T, E>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.readers.run(job).await
    }
}

/// Opens an existing database of this program's version, to read only.
///
/// # Errors
/// [`StoreError::Newer`] or [`StoreError::Older`] for another version, else what SQLite says.
pub(crate) fn open_to_read(path: &Path) -> Result<Connection, StoreError> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    migrate::require_known(&connection)?;
    Ok(connection)
}

/// The file is there, empty and readable by its owner alone, before SQLite opens it; the files that
/// SQLite puts beside it take over its mode.
fn make_private_file(path: &Path) -> io::Result<()> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.sync_all()
}

fn open(path: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = Connection::open_with_flags(path, flags).and_then(|connection| {
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.pragma_update(None, "foreign_keys", "ON")?;
        connection.set_prepared_statement_cache_capacity(128);
        Ok(connection)
    });
    opened.map_err(|source| StoreError::Open { path: path.to_owned(), source })
}

/// SQLite's defaults lost the last accepted code in most simulated power cuts; WAL with
/// `synchronous=FULL` lost none. Both are asked for and read back, because a file system without
/// shared memory silently keeps another journal mode.
fn make_durable(connection: &Connection) -> Result<(), StoreError> {
    let journal: String = connection.query_row("PRAGMA journal_mode=WAL", [], |row| row.get(0))?;
    require("journal_mode", &journal, "wal")?;
    connection
        .execute_batch("PRAGMA synchronous=FULL; PRAGMA fullfsync=ON; PRAGMA secure_delete=ON;")?;
    let level: i64 = connection.query_row("PRAGMA synchronous", [], |row| row.get(0))?;
    require("synchronous", &level.to_string(), "2")?;
    let wiping: i64 = connection.query_row("PRAGMA secure_delete", [], |row| row.get(0))?;
    require("secure_delete", &wiping.to_string(), "1")
}

/// Notes each statement that a connection begins to run.
#[cfg(test)]
fn traced(mut connection: Connection, ran: &Ran) -> Connection {
    use rusqlite::trace::{TraceEvent, TraceEventCodes};
    let ran = Ran::clone(ran);
    let note = move |event: TraceEvent<'_>| {
        if let TraceEvent::Stmt(_, sql) = event {
            ran.lock().unwrap().push(sql.to_owned());
        }
    };
    connection.trace_v2(TraceEventCodes::SQLITE_TRACE_STMT, Some(note)).unwrap();
    connection
}

fn require(setting: &'static str, found: &str, wanted: &'static str) -> Result<(), StoreError> {
    if found.eq_ignore_ascii_case(wanted) {
        return Ok(());
    }
    Err(StoreError::NotDurable { setting, found: found.to_owned(), wanted })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("doorstep.db");
        (dir, path)
    }

    async fn count(store: &Store) -> i64 {
        store
            .read(|c| {
                Ok::<_, StoreError>(c.query_row("SELECT count(*) FROM meta", [], |r| r.get(0))?)
            })
            .await
            .unwrap()
    }

    fn put(key: &'static str) -> impl FnOnce(&Connection) -> Result<(), StoreError> {
        move |c| {
            c.execute("INSERT INTO meta(key, value) VALUES (?1, '')", [key])?;
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_failed_job_leaves_its_neighbours() {
        let (_dir, path) = scratch();
        Store::make(&path, |_| Ok(())).unwrap();
        let store = Store::open(&path).unwrap();
        let (one, two, three) = tokio::join!(
            store.write(put("a")),
            store.write(|c| {
                put("b")(c)?;
                Err::<(), _>(StoreError::Corrupt { column: "meta.value" })
            }),
            store.write(put("c")),
        );
        assert!(one.is_ok() && three.is_ok());
        assert!(matches!(two, Err(StoreError::Corrupt { .. })));
        assert_eq!(count(&store).await, 2);
    }

    #[tokio::test]
    async fn a_panicking_job_is_rolled_back_and_the_writer_goes_on() {
        let (_dir, path) = scratch();
        Store::make(&path, |_| Ok(())).unwrap();
        let store = Store::open(&path).unwrap();
        let panicked: Result<(), StoreError> = store
            .write(|c| {
                put("a")(c)?;
                panic!("planted")
            })
            .await;
        assert!(matches!(panicked, Err(StoreError::Stopped)));
        store.write(put("b")).await.unwrap();
        assert_eq!(count(&store).await, 1);
    }

    #[tokio::test]
    async fn a_failed_commit_answers_no_to_all_and_stops_the_store() {
        let (_dir, path) = scratch();
        Store::make(&path, |_| Ok(())).unwrap();
        let store = Store::open(&path).unwrap();
        // A foreign key that is checked at the commit makes the commit fail.
        let doom = |c: &Connection| {
            c.execute_batch(
                "PRAGMA defer_foreign_keys = ON;
                 INSERT INTO recipients VALUES ('dlv_none', 0, 'a', 'b')",
            )?;
            Ok::<_, StoreError>(())
        };
        let (one, two) = tokio::join!(store.write(put("a")), store.write(doom));
        assert!(matches!(two, Err(StoreError::Stopped)));
        // The first was in the same group, or in one that was committed before.
        assert_eq!(count(&store).await, i64::from(one.is_ok()));
        let later = store.write(put("b")).await;
        assert!(matches!(later, Err(StoreError::Stopped)), "nothing more is accepted");
    }

    #[tokio::test]
    async fn many_writers_share_commits_and_all_are_kept() {
        let (_dir, path) = scratch();
        Store::make(&path, |_| Ok(())).unwrap();
        let store = std::sync::Arc::new(Store::open(&path).unwrap());
        let tasks: Vec<_> = (0..500)
            .map(|n| {
                let store = std::sync::Arc::clone(&store);
                tokio::spawn(async move {
                    store
                        .write(move |c| {
                            c.execute("INSERT INTO meta VALUES (?1, '')", [n.to_string()])?;
                            Ok::<_, StoreError>(())
                        })
                        .await
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        assert_eq!(count(&store).await, 500);
    }

    #[tokio::test]
    async fn readers_cannot_write() {
        let (_dir, path) = scratch();
        Store::make(&path, |_| Ok(())).unwrap();
        let store = Store::open(&path).unwrap();
        let refused = store.read(put("a")).await;
        assert!(matches!(refused, Err(StoreError::Sqlite(_))));
        assert_eq!(count(&store).await, 0);
    }

    #[tokio::test]
    async fn panicking_readers_leave_their_connections() {
        let (_dir, path) = scratch();
        Store::make(&path, |_| Ok(())).unwrap();
        let store = Store::open(&path).unwrap();
        for _ in 0..2 * READERS {
            let panicked: Result<(), StoreError> = store.read(|_| panic!("planted")).await;
            assert!(matches!(panicked, Err(StoreError::Stopped)));
        }
        store.write(put("a")).await.unwrap();
        for _ in 0..2 * READERS {
            assert_eq!(count(&store).await, 1, "no transaction of a panicked one is left open");
        }
    }

    #[test]
    fn a_missing_and_a_later_database_are_refused() {
        let (_dir, path) = scratch();
        assert!(matches!(Store::open(&path), Err(StoreError::Open { .. })));
        Store::make(&path, |_| Ok(())).unwrap();
        Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
        assert!(matches!(Store::open(&path), Err(StoreError::Newer { found: 99, .. })));
    }

    #[test]
    fn a_database_that_cannot_do_wal_is_refused() {
        let connection = Connection::open_in_memory().unwrap();
        let refused = make_durable(&connection).unwrap_err();
        assert!(matches!(refused, StoreError::NotDurable { setting: "journal_mode", .. }));
    }
}
