//! The provider `smtp`: mail to a gateway that makes text messages of it.

use super::provider::{needed, provider_id, secret, timeout};
use super::{MessagesError, Outcome, Outgoing};
use crate::config::messages::{Messages, SmtpSecurity};
use lettre::message::{Mailbox, header::ContentType};
use lettre::transport::smtp::PoolConfig;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::response::Code;
use lettre::{Message, SmtpTransport, Transport as _};
use std::sync::{Arc, mpsc};
use std::time::{Duration, UNIX_EPOCH};
use tokio::sync::Semaphore;

/// What stands for the phone number's digits in an address.
const DIGITS: &str = "{digits}";

/// A mail server.
pub(crate) struct Smtp {
    transport: SmtpTransport,
    from: Mailbox,
    to: String,
    /// For a whole mail; the transport's own is for each line of the server's.
    timeout: Duration,
    /// Threads that may talk to the server: one that answers a byte at a time holds a thread for as
    /// long as it likes.
    threads: Arc<Semaphore>,
}

impl Smtp {
    pub(super) fn open(settings: &Messages) -> Result<Self, MessagesError> {
        let server = needed("smtp_server", settings.smtp_server.as_ref())?;
        let (host, port) = server
            .rsplit_once(':')
            .and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)))
            .filter(|(host, _)| !host.is_empty())
            .ok_or_else(|| {
                MessagesError::new(
                    "smtp_server",
                    "is not a host and a port, such as smtp.example.org:587",
                )
            })?;
        let from = needed("smtp_from", settings.smtp_from.as_ref())?
            .parse()
            .map_err(|error| MessagesError::new("smtp_from", error))?;
        let to = needed("smtp_to", settings.smtp_to.as_ref())?.clone();
        if to.matches(DIGITS).count() != 1 || address(&to, "+34600000000").is_none() {
            let what = "is not an address with {digits} once in it";
            return Err(MessagesError::new("smtp_to", what));
        }
        let tls = tls(settings, host)?;
        let local = matches!(host, "localhost" | "127.0.0.1" | "::1");
        if matches!(tls, Tls::None) && !local {
            let what = "\"none\" is for a server on this machine: codes would pass in the clear";
            return Err(MessagesError::new("smtp_security", what));
        }
        let connections = u32::try_from(settings.parallel).unwrap_or(u32::MAX);
        let mut transport = SmtpTransport::builder_dangerous(host)
            .port(port)
            .tls(tls)
            .timeout(Some(timeout(settings)?))
            .pool_config(PoolConfig::new().max_size(connections));
        if let Some(user) = &settings.smtp_user {
            let password = secret("smtp_password_file", settings.smtp_password_file.as_ref())?;
            transport = transport.credentials(Credentials::new(user.clone(), password.to_string()));
        }
        Ok(Self {
            transport: transport.build(),
            from,
            to,
            timeout: timeout(settings)?,
            threads: Arc::new(Semaphore::new(settings.parallel)),
        })
    }

    /// Says who we are and no more.
    pub(super) fn reach(&self) -> Result<String, String> {
        let (tell, told) = mpsc::channel();
        let transport = self.transport.clone();
        // A server that answers a byte at a time keeps the thread, and nobody waits for it.
        std::thread::spawn(move || tell.send(transport.test_connection()));
        match told.recv_timeout(self.timeout) {
            Ok(Ok(true)) => Ok("the mail server lets us in".to_owned()),
            Ok(Ok(false)) => Err("the mail server does not go on".to_owned()),
            Ok(Err(error)) => Err(chain(&error)),
            Err(_) => Err(format!("no answer within {} s", self.timeout.as_secs())),
        }
    }

    pub(super) async fn send(&self, message: &Outgoing) -> Outcome {
        let mail = match self.mail(message) {
            Ok(mail) => mail,
            Err(error) => return Outcome::Refused(error),
        };
        let transport = self.transport.clone();
        let thread = Arc::clone(&self.threads).acquire_owned();
        let Ok(Ok(thread)) = tokio::time::timeout(self.timeout, thread).await else {
            return Outcome::Failed("all connections wait for the server".to_owned());
        };
        let sending = tokio::task::spawn_blocking(move || {
            let _thread = thread;
            transport.send(&mail)
        });
        let error = match tokio::time::timeout(self.timeout, sending).await {
            Ok(Ok(Ok(response))) => {
                return Outcome::Taken(response.message().next().and_then(provider_id));
            }
            Ok(Ok(Err(error))) => error,
            Ok(Err(error)) => return Outcome::Unknown(error.to_string()),
            Err(_) => {
                let seconds = self.timeout.as_secs();
                return Outcome::Unknown(format!("did not end within {seconds} s"));
            }
        };
        let said = chain(&error);
        if error.is_permanent() && !error.status().is_some_and(is_about_the_account) {
            Outcome::Refused(said)
        } else if error.status().is_some()
            || error.is_tls()
            || error.is_client()
            || said.starts_with("Connection error")
            // Of the handshake, though the library counts it with what breaks off later.
            || said.contains("invalid peer certificate")
        {
            Outcome::Failed(said)
        } else {
            Outcome::Unknown(said)
        }
    }

    fn mail(&self, message: &Outgoing) -> Result<Message, String> {
        let to = address(&self.to, &message.to).ok_or("the number makes no address")?;
        Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(message.subject.clone())
            .date(UNIX_EPOCH + Duration::from_secs(message.at.seconds()))
            // The same in every try.
            .message_id(Some(format!("<{}@doorstep.invalid>", message.id)))
            .header(ContentType::TEXT_PLAIN)
            .body(message.text.to_string())
            .map_err(|error| error.to_string())
    }
}

/// The address of a phone number.
fn address(pattern: &str, phone: &str) -> Option<Mailbox> {
    let digits: String = phone.chars().filter(char::is_ascii_digit).collect();
    Some(Mailbox::new(None, pattern.replace(DIGITS, &digits).parse().ok()?))
}

/// The server asks who we are, or does not like the answer: a matter of the settings (RFC 4954).
fn is_about_the_account(code: Code) -> bool {
    matches!(u16::from(code), 530 | 534 | 535 | 538)
}

fn tls(settings: &Messages, host: &str) -> Result<Tls, MessagesError> {
    if settings.smtp_security == SmtpSecurity::None {
        return Ok(Tls::None);
    }
    let wrong = |error: &dyn std::error::Error| MessagesError::new("ca_file", chain(error));
    let mut parameters = TlsParameters::builder(host.to_owned());
    if let Some(path) = &settings.ca_file {
        let pem = std::fs::read(path).map_err(|error| {
            MessagesError::new("ca_file", format!("{}: {error}", path.display()))
        })?;
        let certificate = Certificate::from_pem(&pem).map_err(|error| wrong(&error))?;
        parameters =
            parameters.certificate_store(CertificateStore::None).add_root_certificate(certificate);
    }
    let parameters = parameters.build_rustls().map_err(|error| wrong(&error))?;
    Ok(match settings.smtp_security {
        SmtpSecurity::Tls => Tls::Wrapper(parameters),
        SmtpSecurity::Starttls | SmtpSecurity::None => Tls::Required(parameters),
    })
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        // Some repeat their cause.
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}
