//! `doorstep account export`: every secret of a data directory, in plain, for moving away.

use crate::commands::code::warn;
use crate::commands::serve::chain;
use crate::error::CliError;
use crate::output::{Answer, GOOD};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::ValueEnum;
use doorstep::otp::otpauth::{self, Entry};
use doorstep::otp::text::write_hex;
use doorstep_files::private;
use doorstep_server::{ExportedAuthenticator, ExportedKind, export};
use serde_json::json;
use std::fmt::Write as _;
use std::path::PathBuf;
use zeroize::Zeroizing;

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// One otpauth URI a line; OCRA is left out
    Otpauth,
    /// As `account import` reads it; OCRA is left out
    Csv,
    /// RFC 6030; OCRA with a PIN is left out
    Pskc,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The new file (mode 0600)
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// What to write
    #[arg(long, value_enum, default_value = "otpauth")]
    format: Format,
    /// Who the accounts are with, in otpauth URIs
    #[arg(long, default_value = "")]
    issuer: String,
    /// The issuer's directory
    #[arg(long, env = "DOORSTEP_DATA", default_value = "doorstep-data", value_name = "DIR")]
    data: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<Answer, CliError> {
    let mut file = Zeroizing::new(String::new());
    let (mut count, mut left_out) = (0_usize, Vec::new());
    if let Some(head) = head(args.format) {
        file.push_str(head);
    }
    let inactive = export(&args.data, |one| {
        let entry = match args.format {
            Format::Otpauth => uri(&one, &args.issuer),
            Format::Csv => row(&one),
            Format::Pskc => package(&one),
        };
        match entry {
            Some(entry) => {
                file.push_str(&entry);
                count += 1;
            }
            None => left_out.push(json!({ "id": one.id, "account": one.account })),
        }
    })
    .map_err(|error| CliError::new(chain(&error)).hint(error.hint()))?;
    if matches!(args.format, Format::Pskc) {
        file.push_str("</pskc:KeyContainer>\n");
    }
    private::create(&args.out, file.as_bytes())
        .map_err(|error| CliError::new(error.to_string()).hint("name a new file"))?;
    warn("this file holds every secret in plain: whoever reads it makes all the codes");
    let mut told =
        format!("{GOOD}written{GOOD:#} {count} authenticators to {}", args.out.display());
    if inactive > 0 {
        told.push_str(&format!("; {inactive} are pending or disabled, and were left out"));
    }
    for one in &left_out {
        let (id, account) = (super::text(one, "id"), super::text(one, "account"));
        told.push_str(&format!("\nleft out, has no place in this format: {id} of {account}"));
    }
    let answer = json!({
        "file": args.out, "exported": count, "left_out": left_out, "inactive": inactive,
    });
    Ok(Answer::new(answer, told))
}

const fn head(format: Format) -> Option<&'static str> {
    match format {
        Format::Otpauth => None,
        Format::Csv => {
            Some("serial,account,secret,encoding,kind,digits,period,window,counter,algorithm\n")
        }
        Format::Pskc => Some(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<pskc:KeyContainer Version=\"1.0\" \
             xmlns:pskc=\"urn:ietf:params:xml:ns:keyprov:pskc\">\n",
        ),
    }
}

fn uri(one: &ExportedAuthenticator, issuer: &str) -> Option<Zeroizing<String>> {
    let kind = match one.kind {
        ExportedKind::Totp { totp, .. } => otpauth::Kind::Totp(totp),
        ExportedKind::Hotp { hotp, next } => otpauth::Kind::Hotp { hotp, counter: next },
        ExportedKind::Ocra { .. } => return None,
    };
    let (account, issuer) = (one.account.clone(), issuer.to_owned());
    let entry = Entry { issuer, account, secret: one.secret.clone(), kind };
    let mut line = otpauth::write(&entry).ok()?;
    line.push('\n');
    Some(line)
}

fn row(one: &ExportedAuthenticator) -> Option<Zeroizing<String>> {
    let none = String::new;
    let (kind, algorithm, digits) = match one.kind {
        ExportedKind::Totp { totp, .. } => ("totp", totp.algorithm, totp.digits),
        ExportedKind::Hotp { hotp, .. } => ("hotp", hotp.algorithm, hotp.digits),
        ExportedKind::Ocra { .. } => return None,
    };
    let (period, window, counter) = match one.kind {
        ExportedKind::Totp { totp, window } => {
            (totp.period.to_string(), window.to_string(), none())
        }
        ExportedKind::Hotp { next, .. } => (none(), none(), next.to_string()),
        ExportedKind::Ocra { .. } => return None,
    };
    let (secret, digits) = (hex(one), digits.get().to_string());
    let cells = [
        &one.label,
        &one.account,
        secret.as_str(),
        "hex",
        kind,
        &digits,
        &period,
        &window,
        &counter,
        algorithm.name(),
    ];
    let line = cells.map(quoted).join(",");
    Some(Zeroizing::new(format!("{line}\n")))
}

/// A cell as it is, or in quotes where it holds what means something in CSV.
fn quoted(cell: &str) -> String {
    if cell.contains([',', '"']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

fn hex(one: &ExportedAuthenticator) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::new());
    // Writing to a text never fails.
    let _ = write_hex(&one.secret, &mut *text);
    text
}

/// `None` for OCRA with a PIN: only its hash is kept, and no element takes one.
fn package(one: &ExportedAuthenticator) -> Option<Zeroizing<String>> {
    let (name, suite, digits) = match one.kind {
        ExportedKind::Totp { totp, .. } => ("totp", hmac(totp.algorithm), totp.digits.get()),
        ExportedKind::Hotp { hotp, .. } => ("hotp", hmac(hotp.algorithm), hotp.digits.get()),
        ExportedKind::Ocra { suite, .. } if suite.pin().is_some() => return None,
        ExportedKind::Ocra { suite, .. } => {
            ("ocra", suite.as_str().to_owned(), suite.digits().map_or(0, |digits| digits.get()))
        }
    };
    let counter = match one.kind {
        ExportedKind::Totp { .. } => None,
        ExportedKind::Hotp { next, .. } => Some(next),
        ExportedKind::Ocra { next, .. } => next,
    };
    let mut xml = Zeroizing::new(String::with_capacity(1024));
    xml.push_str("<pskc:KeyPackage>\n");
    if !one.label.is_empty() {
        let serial = escaped(&one.label);
        put(
            &mut xml,
            &format!(
                "<pskc:DeviceInfo><pskc:SerialNo>{serial}</pskc:SerialNo></pskc:DeviceInfo>\n"
            ),
        );
    }
    put(
        &mut xml,
        &format!(
            "<pskc:Key Id=\"{}\" Algorithm=\"urn:ietf:params:xml:ns:keyprov:pskc:{name}\">\n\
             <pskc:AlgorithmParameters><pskc:Suite>{suite}</pskc:Suite>\
             <pskc:ResponseFormat Length=\"{digits}\" Encoding=\"DECIMAL\"/></pskc:AlgorithmParameters>\n",
            one.id
        ),
    );
    let secret = Zeroizing::new(STANDARD.encode(one.secret.expose()));
    xml.push_str("<pskc:Data><pskc:Secret><pskc:PlainValue>");
    xml.push_str(&secret);
    xml.push_str("</pskc:PlainValue></pskc:Secret>");
    if let Some(counter) = counter {
        put(&mut xml, &value("Counter", counter));
    }
    if let ExportedKind::Totp { totp, .. } = one.kind {
        put(&mut xml, &value("Time", 0));
        put(&mut xml, &value("TimeInterval", totp.period.get()));
    }
    put(
        &mut xml,
        &format!(
            "</pskc:Data>\n<pskc:UserId>{}</pskc:UserId>\n</pskc:Key>\n</pskc:KeyPackage>\n",
            escaped(&one.account)
        ),
    );
    Some(xml)
}

fn hmac(algorithm: doorstep::otp::Algorithm) -> String {
    format!("HMAC-{}", algorithm.name())
}

fn value(name: &str, value: u64) -> String {
    format!("<pskc:{name}><pskc:PlainValue>{value}</pskc:PlainValue></pskc:{name}>")
}

fn put(xml: &mut String, text: &str) {
    // Writing to a text never fails.
    let _ = xml.write_str(text);
}

fn escaped(text: &str) -> String {
    super::recovery::escaped(text)
}
