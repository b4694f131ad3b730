//! What an operator would look at before he trusts a server, looked at in one go. Nothing is changed,
//! and a server may run meanwhile.

use crate::Mode;
use crate::config::Config;
use crate::config::messages::Provider;
use crate::health::{LEAST_ROOM, room};
use crate::init::{DATABASE, KEYS};
use crate::keys::Keys;
use crate::messages::Messenger;
use crate::store::value::parsed;
use crate::store::{self, StoreError, condition, meta, numbers};
use crate::tls::{Tls, certificates};
use doorstep::id::IssuerId;
use doorstep::time::Timestamp;
use doorstep_files::{FileError, private};
use rusqlite::Connection;
use serde::Serialize;
use std::error::Error;
use std::fs;
use std::path::Path;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

/// Less room than this is told before it runs out.
const LITTLE_ROOM: u64 = 16 * LEAST_ROOM;
/// A certificate that ends within so many seconds should have been renewed: two weeks.
const SOON: u64 = 14 * DAY;
const DAY: u64 = 24 * 60 * 60;
/// Messages that are due for so long wait for something.
const STUCK_AFTER: u64 = 10 * 60;
/// Clocks of other machines may be ahead of ours by so much.
const CLOCKS_DIFFER: u64 = 60;

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it should be.
    Good,
    /// It works, and may not for long.
    Look,
    /// It does not work, or is not safe.
    Bad,
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// What.
    pub about: &'static str,
    /// How it is.
    pub verdict: Verdict,
    /// What was seen.
    pub seen: String,
    /// What to do about it, if anything.
    pub hint: Option<&'static str>,
}

impl Finding {
    fn good(about: &'static str, seen: impl Into<String>) -> Self {
        Self { about, verdict: Verdict::Good, seen: seen.into(), hint: None }
    }

    fn look(about: &'static str, seen: impl Into<String>, hint: &'static str) -> Self {
        Self { about, verdict: Verdict::Look, seen: seen.into(), hint: Some(hint) }
    }

    fn bad(about: &'static str, seen: impl Into<String>, hint: &'static str) -> Self {
        Self { about, verdict: Verdict::Bad, seen: seen.into(), hint: Some(hint) }
    }
}

/// Looks at everything that the settings name.
#[must_use]
pub fn examine(config: &Config, now: Timestamp) -> Vec<Finding> {
    let mut findings = vec![directory(&config.data_dir), disk(&config.data_dir)];
    findings.extend(database(config, now));
    findings.extend(certificate(config, now));
    findings
}

const MINE_ALONE: &str = "make it private: chmod -R go-rwx on the data directory";

/// Whether other users of the machine are kept out.
fn directory(dir: &Path) -> Finding {
    const ABOUT: &str = "data directory";
    let mut open = Vec::new();
    let files = match fs::read_dir(dir) {
        Ok(files) => files,
        Err(error) => {
            let seen = format!("{} cannot be read: {error}", dir.display());
            return Finding::bad(ABOUT, seen, "make it with doorstep init, or name it with --data");
        }
    };
    let names = files.filter_map(|file| Some(file.ok()?.path()));
    for path in names.chain([dir.to_owned()]) {
        if others_may(&path) {
            open.push(path.display().to_string());
        }
    }
    if open.is_empty() {
        return Finding::good(ABOUT, format!("{} is private", dir.display()));
    }
    open.sort();
    Finding::bad(ABOUT, format!("other users may use {}", open.join(", ")), MINE_ALONE)
}

#[cfg(unix)]
fn others_may(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    // A message file of `log` may be read by a group on purpose, and settings by anybody.
    let meant = [crate::config::layers::FILE, "clock"];
    let is_meant = path.file_name().is_some_and(|name| meant.iter().any(|meant| name == *meant));
    !is_meant && fs::symlink_metadata(path).is_ok_and(|found| found.mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn others_may(_: &Path) -> bool {
    false
}

fn disk(dir: &Path) -> Finding {
    const ABOUT: &str = "disk";
    const HINT: &str = "make room on it: a full disk stops the server";
    match room(dir) {
        Ok(room) => {
            let seen = format!("{} MiB free", room / 1024 / 1024);
            match room {
                0..LEAST_ROOM => Finding::bad(ABOUT, seen, HINT),
                LEAST_ROOM..LITTLE_ROOM => Finding::look(ABOUT, seen, HINT),
                _ => Finding::good(ABOUT, seen),
            }
        }
        Err(error) => Finding::bad(ABOUT, error.to_string(), "look at the disk"),
    }
}

fn database(config: &Config, now: Timestamp) -> Vec<Finding> {
    const ABOUT: &str = "database";
    let path = config.data_dir.join(DATABASE);
    if !path.is_file() {
        let seen = format!("there is no {}", path.display());
        return vec![Finding::bad(ABOUT, seen, "make it with: doorstep init")];
    }
    let mut findings = Vec::new();
    match condition::durability(&path) {
        Ok(()) => findings.push(Finding::good(
            "durability",
            "write-ahead log, full synchronisation: what was answered survives a power cut",
        )),
        Err(error) => findings.push(Finding::bad(
            "durability",
            chain(&error),
            "put the data directory on a local disk",
        )),
    }
    let opened = condition::schema(&path).and_then(|()| store::open_to_read(&path));
    let connection = match opened {
        Ok(connection) => connection,
        Err(error @ StoreError::Older { .. }) => {
            let hint = "start doorstep serve on it once, after a backup";
            findings.push(Finding::look(ABOUT, chain(&error), hint));
            return findings;
        }
        Err(error) => {
            let hint = "use the newer doorstep that wrote it, or bring it back from its backup";
            findings.push(Finding::bad(ABOUT, chain(&error), hint));
            return findings;
        }
    };
    findings.push(match condition::damage(&connection) {
        Ok(None) => Finding::good(ABOUT, "whole, with the schema of this program"),
        Ok(Some(seen)) => Finding::bad(ABOUT, seen, "bring it back from its backup"),
        Err(error) => Finding::bad(ABOUT, chain(&error), "bring it back from its backup"),
    });
    findings.push(keys(config, &connection));
    findings.push(messages(config, &connection));
    findings.push(clock(&connection, now));
    findings.extend(work(&connection, now));
    findings
}

fn keys(config: &Config, connection: &Connection) -> Finding {
    const ABOUT: &str = "keys";
    let dir = config.data_dir.join(KEYS);
    let read = |key, column| meta::get(connection, key)?.ok_or(StoreError::Corrupt { column });
    let known = read(meta::ISSUER, "meta.issuer").and_then(|issuer| {
        let issuer = parsed("meta.issuer", &issuer, IssuerId::parse)?;
        Ok((issuer, read(meta::KEY_CHECK, "meta.key_check")?))
    });
    let (issuer, check) = match known {
        Ok(known) => known,
        Err(error) => return Finding::bad(ABOUT, chain(&error), "bring the database back"),
    };
    match Keys::open(&dir, issuer, &check) {
        Ok(_) if others_may(&dir) => {
            Finding::bad(ABOUT, format!("other users may look into {}", dir.display()), MINE_ALONE)
        }
        Ok(_) => Finding::good(ABOUT, format!("private, and those of issuer {issuer}")),
        Err(error) => Finding::bad(ABOUT, chain(&error), error.hint()),
    }
}

/// Whether a server would take the settings of messages, and their provider is there.
fn messages(config: &Config, connection: &Connection) -> Finding {
    const ABOUT: &str = "messages";
    let messenger = match Messenger::open(config) {
        Ok(messenger) => messenger,
        Err(error) => {
            return Finding::bad(ABOUT, chain(&error), "doorstep config show says where it is set");
        }
    };
    let is_live = meta::get(connection, meta::MODE)
        .is_ok_and(|mode| mode.as_deref().map(Mode::parse) == Some(Ok(Mode::Live)));
    if is_live && config.messages.provider == Provider::Log {
        return Finding::look(
            ABOUT,
            format!("no customer gets any: they go to {}", config.messages_file().display()),
            "set messages.provider, unless a gateway of yours follows that file",
        );
    }
    match messenger.provider.reach() {
        Ok(seen) => Finding::good(ABOUT, format!("their words and secrets can be read; {seen}")),
        Err(seen) => Finding::bad(
            ABOUT,
            format!("provider {}: {seen}", messenger.provider.name()),
            "look at [messages] in doorstep config show, at the network and at the provider",
        ),
    }
}

fn clock(connection: &Connection, now: Timestamp) -> Finding {
    const ABOUT: &str = "clock";
    match condition::latest(connection) {
        Ok(latest) if latest > now.later(CLOCKS_DIFFER) => Finding::bad(
            ABOUT,
            format!("it is {} s behind a time that was signed or written down", latest.since(now)),
            "set it right: windows and limits go by it, and locks take no time that goes back",
        ),
        Ok(_) => Finding::good(ABOUT, "not behind anything that was signed or written down"),
        Err(error) => Finding::bad(ABOUT, chain(&error), "bring the database back"),
    }
}

/// What is left lying.
fn work(connection: &Connection, now: Timestamp) -> Vec<Finding> {
    const OUTBOX: &str = "outbox";
    let found = match numbers::read(connection, now) {
        Ok(found) => found,
        Err(error) => return vec![Finding::bad(OUTBOX, chain(&error), "bring the database back")],
    };
    let seen = format!(
        "{} messages due, the oldest for {} s; {} that no provider took",
        found.messages_due, found.message_lag, found.messages_failed
    );
    let outbox = if found.message_lag >= STUCK_AFTER {
        Finding::bad(
            OUTBOX,
            seen,
            "is the server running, and the provider reachable? look in its log",
        )
    } else if found.messages_failed > 0 {
        Finding::look(OUTBOX, seen, "customers wait for these: doorstep message list")
    } else {
        Finding::good(OUTBOX, seen)
    };
    let seen = format!("{} claims to judge, {} disputes", found.claims_waiting, found.disputes);
    let claims = if found.disputes > 0 {
        Finding::look("claims", seen, "somebody has to decide these: doorstep dispute list")
    } else {
        Finding::good("claims", seen)
    };
    vec![outbox, claims]
}

fn certificate(config: &Config, now: Timestamp) -> Vec<Finding> {
    const ABOUT: &str = "certificate";
    let (Some(path), Some(key)) = (&config.server.tls_certificate, &config.server.tls_key) else {
        return match Tls::open(&config.server) {
            Ok(_) if config.server.listen.ip().is_loopback() => Vec::new(),
            Ok(_) => vec![Finding::look(
                ABOUT,
                format!("{} is answered without TLS", config.server.listen),
                "set server.tls_certificate and server.tls_key, or listen on 127.0.0.1 behind a proxy",
            )],
            Err(error) => vec![Finding::bad(ABOUT, chain(&error), error.hint())],
        };
    };
    let mut findings = Vec::new();
    if matches!(private::refuse_exposed(key), Err(FileError::Exposed { .. })) {
        let seen = format!("other users may use the key {}", key.display());
        findings.push(Finding::bad(ABOUT, seen, "make it private: chmod 600"));
    }
    if let Err(error) = Tls::open(&config.server) {
        findings.push(Finding::bad(ABOUT, chain(&error), error.hint()));
        return findings;
    }
    let ends = certificates(path).ok().and_then(|chain| {
        let first = Certificate::from_der(chain.first()?).ok()?;
        let until = first.tbs_certificate().validity().not_after.to_unix_duration();
        Some(Timestamp::from_seconds(until.as_secs()))
    });
    const RENEW: &str = "renew it, then send the server SIGHUP";
    findings.push(match ends {
        None => Finding::bad(ABOUT, format!("{} cannot be read", path.display()), RENEW),
        Some(ends) if ends <= now => {
            Finding::bad(ABOUT, format!("it ended {} days ago", now.since(ends) / DAY), RENEW)
        }
        Some(ends) if ends.since(now) < SOON => {
            Finding::look(ABOUT, format!("it ends in {} days", ends.since(now) / DAY), RENEW)
        }
        Some(ends) => Finding::good(ABOUT, format!("good for {} days", ends.since(now) / DAY)),
    });
    findings
}

/// An error with its causes.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::messages::Messages;
    use crate::test_server::{START, TestServer};
    use std::io::Read as _;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::PathBuf;

    fn now() -> Timestamp {
        Timestamp::from_seconds(START)
    }

    fn about(findings: &[Finding], about: &str) -> Verdict {
        let all: Vec<_> = findings.iter().filter(|finding| finding.about == about).collect();
        assert!(!all.is_empty(), "{about} was not looked at");
        let worst = [Verdict::Bad, Verdict::Look, Verdict::Good];
        worst.into_iter().find(|verdict| all.iter().any(|found| found.verdict == *verdict)).unwrap()
    }

    async fn served() -> (TestServer, Config) {
        let server = TestServer::new().await;
        fs::set_permissions(server.dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let config = Config::new(server.dir.path().to_owned());
        (server, config)
    }

    #[tokio::test]
    async fn a_new_server_is_in_good_health_while_it_runs() {
        let (server, config) = served().await;
        server.get("/v1/keys").await;
        for finding in examine(&config, now()) {
            assert!(finding.verdict == Verdict::Good || finding.about == "disk", "{finding:?}");
            assert!(!finding.seen.contains("ds_test_"));
        }
    }

    #[tokio::test]
    async fn messages_that_reach_nobody_are_told_of() {
        let (server, mut config) = served().await;
        assert_eq!(about(&examine(&config, now()), "messages"), Verdict::Good);
        config.messages.templates = Some(server.dir.path().join("none"));
        assert_eq!(about(&examine(&config, now()), "messages"), Verdict::Bad);
        config.messages.templates = None;
        server.execute("UPDATE meta SET value = 'live' WHERE key = 'mode'");
        assert_eq!(about(&examine(&config, now()), "messages"), Verdict::Look);
    }

    #[tokio::test]
    async fn the_provider_of_messages_is_reached_and_sent_nothing() {
        let (server, mut config) = served().await;
        let secret = server.dir.path().join("secret");
        private::create(&secret, b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/in", listener.local_addr().unwrap());
        config.messages = Messages {
            provider: Provider::Http,
            http_url: Some(url),
            http_secret_file: Some(secret.clone()),
            allow_private: true,
            allow_http: true,
            timeout_seconds: 5,
            ..Messages::default()
        };
        let told = |config: &Config| {
            let findings = examine(config, now()).into_iter();
            findings.into_iter().find(|finding| finding.about == "messages").unwrap()
        };
        let found = told(&config);
        assert_eq!(found.verdict, Verdict::Good, "{found:?}");
        assert!(found.seen.contains("only one tells: doorstep message test"), "{found:?}");
        let mut heard = Vec::new();
        listener.accept().unwrap().0.read_to_end(&mut heard).unwrap();
        assert_eq!(heard, b"");
        let guarded = |change: fn(&mut Messages)| {
            let mut config = config.clone();
            change(&mut config.messages);
            told(&config)
        };
        for found in [
            guarded(|messages| messages.allow_private = false),
            guarded(|messages| messages.http_url = Some("http://nowhere.invalid/".to_owned())),
            {
                drop(listener);
                told(&config)
            },
        ] {
            assert_eq!(found.verdict, Verdict::Bad, "{found:?}");
            assert!(found.seen.starts_with("provider http: not reached"), "{found:?}");
        }
        let program = |path: &Path| {
            let messages = Messages {
                provider: Provider::Exec,
                exec_program: Some(path.to_owned()),
                ..Messages::default()
            };
            told(&Config { messages, ..config.clone() }).verdict
        };
        assert_eq!(program(Path::new("/bin/true")), Verdict::Good);
        assert_eq!(program(Path::new("/bin/nowhere")), Verdict::Bad);
        assert_eq!(program(&secret), Verdict::Bad, "nobody may run it");
    }

    #[tokio::test]
    async fn each_fault_is_found() {
        let (server, config) = served().await;
        let dir = server.dir.path();
        let mode = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        mode(&dir.join(DATABASE), 0o644);
        assert_eq!(about(&examine(&config, now()), "data directory"), Verdict::Bad);
        mode(&dir.join(DATABASE), 0o600);
        mode(&dir.join(KEYS).join("master.key"), 0o640);
        assert_eq!(about(&examine(&config, now()), "keys"), Verdict::Bad);
        mode(&dir.join(KEYS).join("master.key"), 0o600);

        server.get("/v1/keys").await;
        assert_eq!(about(&examine(&config, now().earlier(CLOCKS_DIFFER)), "clock"), Verdict::Good);
        assert_eq!(
            about(&examine(&config, now().earlier(CLOCKS_DIFFER + 1)), "clock"),
            Verdict::Bad
        );

        let device = server.device("Marta").await;
        let delivery = server.delivery("A").await;
        server.plan(&delivery, device.id()).await;
        let due = "UPDATE messages SET state = 'waiting', next_at = 1800000000 WHERE slot = 0";
        server.execute(due);
        let at = |later| examine(&config, now().later(later));
        assert_eq!(about(&at(STUCK_AFTER - 1), "outbox"), Verdict::Good);
        assert_eq!(about(&at(STUCK_AFTER), "outbox"), Verdict::Bad);

        server.execute("PRAGMA user_version = 1");
        assert_eq!(about(&examine(&config, now()), "database"), Verdict::Look);
        server.execute("PRAGMA user_version = 99");
        assert_eq!(about(&examine(&config, now()), "database"), Verdict::Bad);
        let nowhere = Config::new(dir.join("nowhere"));
        assert_eq!(about(&examine(&nowhere, now()), "data directory"), Verdict::Bad);
        assert_eq!(about(&examine(&nowhere, now()), "database"), Verdict::Bad);
    }

    #[tokio::test]
    async fn certificates_are_told_before_they_end() {
        let (_server, mut config) = served().await;
        let testdata = |name: &str| -> PathBuf {
            Path::new(env!("CARGO_MANIFEST_DIR")).join("src/testdata/tls").join(name)
        };
        config.server.listen = "0.0.0.0:443".parse().unwrap();
        assert_eq!(about(&examine(&config, now()), "certificate"), Verdict::Look, "no TLS");
        config.server.tls_certificate = Some(testdata("first.pem"));
        assert_eq!(about(&examine(&config, now()), "certificate"), Verdict::Bad, "no key");
        let key = tempfile::NamedTempFile::new().unwrap();
        fs::copy(testdata("second.key"), key.path()).unwrap();
        fs::set_permissions(key.path(), fs::Permissions::from_mode(0o600)).unwrap();
        config.server.tls_key = Some(key.path().to_owned());
        assert_eq!(about(&examine(&config, now()), "certificate"), Verdict::Bad, "another's key");
        fs::copy(testdata("first.key"), key.path()).unwrap();
        fs::set_permissions(key.path(), fs::Permissions::from_mode(0o600)).unwrap();
        let first = certificates(&testdata("first.pem")).unwrap().remove(0);
        let validity = *Certificate::from_der(&first).unwrap().tbs_certificate().validity();
        let ends = Timestamp::from_seconds(validity.not_after.to_unix_duration().as_secs());
        for (at, verdict) in [
            (ends.earlier(SOON), Verdict::Good),
            (ends.earlier(SOON - 1), Verdict::Look),
            (ends, Verdict::Bad),
        ] {
            assert_eq!(about(&certificate(&config, at), "certificate"), verdict);
        }
        fs::set_permissions(key.path(), fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(about(&certificate(&config, now()), "certificate"), Verdict::Bad, "exposed key");
    }
}
