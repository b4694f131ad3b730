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
    /// RFC 6030
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
    let (mut count, mut left_out) = (0_usize, 0_usize);
    if let Some(head) = head(args.format) {
        file.push_str(head);
    }
    export(&args.data, |one| {
        let entry = match args.format {
            Format::Otpauth => uri(&one, &args.issuer),
            Format::Csv => row(&one),
            Format::Pskc => Some(package(&one)),
        };
        match entry {
            Some(entry) => {
                file.push_str(&entry);
                count += 1;
            }
            None => left_out += 1,
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
    if left_out > 0 {
        told.push_str(&format!("; {left_out} have no place in this format"));
    }
    Ok(Answer::new(json!({ "file": args.out, "exported": count, "left_out": left_out }), told))
}

const fn head(format: Format) -> Option<&'static str> {
    match format {
        Format::Otpauth => None,
        Format::Csv => {
            Some("serial,account,secret,encoding,kind,digits,period,counter,algorithm\n")
        }
        Format::Pskc => Some(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<pskc:KeyContainer Version=\"1.0\" \
             xmlns:pskc=\"urn:ietf:params:xml:ns:keyprov:pskc\">\n",
        ),
    }
}

fn uri(one: &ExportedAuthenticator, issuer: &str) -> Option<Zeroizing<String>> {
    let kind = match one.kind {
        ExportedKind::Totp(totp) => otpauth::Kind::Totp(totp),
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
    let (kind, algorithm, digits, period, counter) = match one.kind {
        ExportedKind::Totp(totp) => {
            ("totp", totp.algorithm, totp.digits, totp.period.to_string(), String::new())
        }
        ExportedKind::Hotp { hotp, next } => {
            ("hotp", hotp.algorithm, hotp.digits, String::new(), next.to_string())
        }
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

fn package(one: &ExportedAuthenticator) -> Zeroizing<String> {
    let (name, suite, digits) = match one.kind {
        ExportedKind::Totp(totp) => ("totp", hmac(totp.algorithm), totp.digits.get()),
        ExportedKind::Hotp { hotp, .. } => ("hotp", hmac(hotp.algorithm), hotp.digits.get()),
        ExportedKind::Ocra { suite, .. } => {
            ("ocra", suite.as_str().to_owned(), suite.digits().map_or(0, |digits| digits.get()))
        }
    };
    let counter = match one.kind {
        ExportedKind::Totp(_) => None,
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
    if let ExportedKind::Totp(totp) = one.kind {
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
    xml
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
