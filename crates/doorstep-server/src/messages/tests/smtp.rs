//! `smtp` against aiosmtpd, an SMTP server of others.

use super::*;
use crate::config::messages::{Provider as Name, SmtpSecurity};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The server, which prints what it takes.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start(more: &[&str]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new("aiosmtpd")
            .args(["-n", "-l", &format!("127.0.0.1:{port}")])
            .args(more)
            .args(["-c", "aiosmtpd.handlers.Debugging", "stdout"])
            .env("PYTHONUNBUFFERED", "1")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("aiosmtpd is missing: apt-get install python3-aiosmtpd");
        let mut server = Self { child, port };
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(server.child.try_wait().unwrap().is_none(), "aiosmtpd ended");
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }

    /// What it took; it is over then.
    fn printed(mut self) -> String {
        self.child.kill().unwrap();
        let mut text = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        text
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn settings(port: u16) -> Messages {
    Messages {
        provider: Name::Smtp,
        smtp_server: Some(format!("localhost:{port}")),
        smtp_security: SmtpSecurity::None,
        smtp_from: Some("Casa Verde <codes@example.org>".to_owned()),
        smtp_to: Some("{digits}@sms.example.org".to_owned()),
        ..Messages::default()
    }
}

async fn send(messages: Messages) -> Outcome {
    let messenger = open(messages);
    messenger.provider.send(&[message(&messenger)]).await.pop().unwrap()
}

#[tokio::test]
async fn a_mail_goes_to_the_gateway_with_the_same_id_in_every_try() {
    let server = Server::start(&[]);
    let shop = Some("Größe\r\nBcc: all@example.org".to_owned());
    for _ in 0..2 {
        let outcome = send(Messages { shop: shop.clone(), ..settings(server.port) }).await;
        assert!(matches!(outcome, Outcome::Taken(_)), "{outcome:?}");
    }
    let printed = server.printed();
    assert_eq!(printed.matches("To: 34612345678@sms.example.org").count(), 2, "{printed}");
    assert_eq!(printed.matches("Message-ID: <msg_1@doorstep.invalid>").count(), 2, "{printed}");
    assert!(printed.contains("Date: Fri, 15 Jan 2027 08:00:00"), "{printed}");
    // What the server prints before them ends in an empty line as well.
    let (_, mail) = printed.split_once("From: ").unwrap();
    let headers = mail.split("\n\n").next().unwrap();
    assert!(headers.lines().any(|line| line.starts_with("Subject: ")), "{headers}");
    assert!(!headers.lines().any(|line| line.starts_with("Bcc")), "{printed}");
}

#[tokio::test]
async fn a_server_that_is_not_there_or_offers_no_tls_gets_nothing() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let outcome = send(settings(gone)).await;
    assert!(matches!(outcome, Outcome::Failed(_)), "{outcome:?}");
    let server = Server::start(&[]);
    let secured = Messages { smtp_security: SmtpSecurity::Starttls, ..settings(server.port) };
    let outcome = send(secured).await;
    assert!(matches!(outcome, Outcome::Failed(_)), "{outcome:?}");
    assert!(!server.printed().contains("0029"), "no code in the clear");
}

#[test]
fn a_server_that_answers_a_byte_at_a_time_holds_nothing_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // No read ever takes long, and the greeting has no end. Connections are counted.
    let (connected, connections) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = connected.send(());
            std::thread::spawn(move || {
                while (&stream).write_all(b"2").is_ok() {
                    std::thread::sleep(Duration::from_millis(50));
                }
            });
        }
    });
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let slow = Messages { timeout_seconds: 1, parallel: 1, ..settings(port) };
        let messenger = open(slow);
        let mut outcomes = Vec::new();
        for _ in 0..2 {
            outcomes.extend(messenger.provider.send(&[message(&messenger)]).await);
        }
        assert_eq!(outcomes[0], Outcome::Unknown("did not end within 1 s".to_owned()));
        assert_eq!(outcomes[1], Outcome::Failed("all connections wait for the server".to_owned()));
    });
    assert_eq!(connections.try_iter().count(), 1, "one thread is all that it holds");
    // As the service does: the thread is still there.
    runtime.shutdown_background();
}

fn certificate(dir: &Path) -> (String, String) {
    let path = |name: &str| dir.join(name).to_str().unwrap().to_owned();
    let (certificate, key) = (path("cert.pem"), path("key.pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", &key, "-out", &certificate])
        .output()
        .expect("openssl is missing: apt-get install openssl");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    (certificate, key)
}

#[tokio::test]
async fn tls_is_with_the_server_that_is_trusted_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let (certificate, key) = certificate(dir.path());
    let server = Server::start(&["--tlscert", &certificate, "--tlskey", &key]);
    let secured = || Messages { smtp_security: SmtpSecurity::Starttls, ..settings(server.port) };
    // Nobody public vouches for it.
    let outcome = send(secured()).await;
    assert!(matches!(outcome, Outcome::Failed(_)), "{outcome:?}");
    let trusting = Messages { ca_file: Some(certificate.clone().into()), ..secured() };
    let outcome = send(trusting.clone()).await;
    assert!(matches!(outcome, Outcome::Taken(_)), "{outcome:?}");
    // The certificate is of another name.
    let elsewhere =
        Messages { smtp_server: Some(format!("127.0.0.1:{}", server.port)), ..trusting };
    let outcome = send(elsewhere).await;
    assert!(matches!(outcome, Outcome::Failed(_)), "{outcome:?}");
    assert_eq!(server.printed().matches("Message-ID").count(), 1);
}

#[test]
fn a_mail_server_is_reached_without_a_mail() {
    let server = Server::start(&[]);
    let reach = |port| open(settings(port)).provider.reach();
    let seen = reach(server.port).unwrap();
    assert!(seen.contains("lets us in") && seen.contains("message test"), "{seen}");
    let port = server.port;
    assert!(!server.printed().contains("Message-ID"));
    let error = reach(port).unwrap_err();
    assert!(error.contains("refused"), "{error}");
    // It takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let hasty = Messages { timeout_seconds: 1, ..settings(port) };
    assert!(open(hasty).provider.reach().is_err());
}

#[test]
fn settings_of_mail_are_checked() {
    for (messages, said) in [
        (
            Messages { smtp_server: Some("example.org".to_owned()), ..settings(25) },
            "smtp_server: is not a host",
        ),
        (
            Messages { smtp_server: Some("example.org:25".to_owned()), ..settings(25) },
            "smtp_security: \"none\" is for",
        ),
        (Messages { smtp_from: Some("nobody".to_owned()), ..settings(25) }, "smtp_from: "),
        (
            Messages { smtp_to: Some("all@example.org".to_owned()), ..settings(25) },
            "smtp_to: is not an address with",
        ),
        (
            Messages { smtp_to: Some("{digits}".to_owned()), ..settings(25) },
            "smtp_to: is not an address with",
        ),
        (
            Messages { smtp_to: Some("{digits}@a.org\r\nBcc: b@c.org".to_owned()), ..settings(25) },
            "smtp_to: is not",
        ),
        (
            Messages { smtp_user: Some("u".to_owned()), ..settings(25) },
            "smtp_password_file: is needed",
        ),
    ] {
        let error = refused(messages);
        assert!(error.starts_with(&format!("setting messages.{said}")), "{error}");
    }
}
