//! `doorstep account enrol`: an authenticator, its QR code and its secret, shown once.

use super::find;
use super::text;
use crate::commands::Connection;
use crate::commands::code::{read_line, warn};
use crate::commands::new_file::NewFile;
use crate::error::CliError;
use crate::output::{Answer, BOLD, GOOD};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::ValueEnum;
use doorstep_qr::Qr;
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// By the clock
    Totp,
    /// By a counter
    Hotp,
    /// By challenges
    Ocra,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The account's name, or its id
    account: String,
    /// How it moves on
    #[arg(long, value_enum, default_value = "totp")]
    kind: Kind,
    /// What tells it from the account's others, such as phone
    #[arg(long, default_value = "")]
    label: String,
    /// Who the account is with, as the authenticator shows it
    #[arg(long)]
    issuer: Option<String>,
    /// Hash: SHA1 (the default), SHA256 or SHA512
    #[arg(long)]
    algorithm: Option<String>,
    /// Digits of a code: 6 (the default) to 8
    #[arg(long)]
    digits: Option<u8>,
    /// Seconds of a step, 30 by default
    #[arg(long)]
    period: Option<u64>,
    /// Which steps are taken: current, current+half-previous, current+previous, +-1 to +-10
    #[arg(long)]
    window: Option<String>,
    /// The next counter
    #[arg(long)]
    counter: Option<u64>,
    /// OCRA suite
    #[arg(long)]
    suite: Option<String>,
    /// File that holds the secret that it has already; - reads it from standard input
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// That secret is hexadecimal, not base32
    #[arg(long, requires = "secret_file")]
    hex: bool,
    /// File that holds the PIN, for a suite with P
    #[arg(long, value_name = "FILE")]
    pin_file: Option<PathBuf>,
    /// Take its codes at once, without a first one
    #[arg(long, requires = "secret_file")]
    active: bool,
    /// Write the QR code to this new file (mode 0600), as SVG
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// The same as PNG
    #[arg(long, value_name = "FILE")]
    png: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
}

pub(super) fn run(args: &Args) -> Result<Answer, CliError> {
    // Before the secret is drawn: it is shown only once.
    let svg_file = args.svg.as_deref().map(NewFile::make).transpose()?;
    let png_file = args.png.as_deref().map(NewFile::make).transpose()?;
    let body = body(args)?;
    let client = args.connection.open()?;
    let path = find::path(&client, &args.account, "/authenticators")?;
    let enrolled = client.post(&path, &body)?;
    if enrolled["warnings"].as_array().is_some_and(|warnings| !warnings.is_empty()) {
        warn("this secret is shorter than the 128 bits that RFC 4226 asks for");
    }
    let shown = &enrolled["provisioning"];
    if let (Some(file), Some(svg)) = (svg_file, shown["qr_svg"].as_str()) {
        file.fill(svg.as_bytes())?;
    }
    if let (Some(file), Some(png)) = (png_file, shown["qr_png"].as_str()) {
        let png = STANDARD
            .decode(png)
            .map_err(|_| CliError::new("the server's answer holds something that is no PNG"))?;
        file.fill(&png)?;
    }
    let told = told(args, &enrolled)?;
    Ok(Answer::new(enrolled, told))
}

fn body(args: &Args) -> Result<Value, CliError> {
    let kind = args.kind.to_possible_value().map(|kind| kind.get_name().to_owned());
    let mut body = json!({ "kind": kind, "label": args.label });
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            body[name] = value;
        }
    };
    put("issuer", args.issuer.clone().map(Value::from));
    put("algorithm", args.algorithm.clone().map(Value::from));
    put("digits", args.digits.map(Value::from));
    put("period", args.period.map(Value::from));
    put("window", args.window.clone().map(Value::from));
    put("counter", args.counter.map(Value::from));
    put("suite", args.suite.clone().map(Value::from));
    put("active", args.active.then_some(Value::Bool(true)));
    if let Some(file) = &args.secret_file {
        put("secret", Some(json!(*read_line(file, "secret")?)));
        put("encoding", Some(json!(if args.hex { "hex" } else { "base32" })));
    }
    if let Some(file) = &args.pin_file {
        put("pin", Some(json!(*read_line(file, "PIN")?)));
    }
    Ok(body)
}

fn told(args: &Args, enrolled: &Value) -> Result<String, CliError> {
    let shown = &enrolled["provisioning"];
    let mut told = String::new();
    if let Some(uri) = shown["uri"].as_str() {
        let qr = Qr::of_text(uri)?;
        told.push_str(&qr.terminal());
    }
    told.push_str(&format!("{GOOD}enrolled{GOOD:#} as {}\n", text(enrolled, "id")));
    if let Some(secret) = shown["secret"].as_str() {
        told.push_str(&format!("secret: {BOLD}{secret}{BOLD:#} (shown once)\n"));
    }
    if let Some(suite) = enrolled["suite"].as_str() {
        told.push_str(&format!(
            "suite:  {BOLD}{suite}{BOLD:#}\nOCRA has no QR code: enter the secret and the suite by hand\n\
             next:   doorstep account challenge {}",
            args.account
        ));
    } else if enrolled["state"] == "pending" {
        told.push_str(&format!("next:   doorstep account activate {} CODE", args.account));
    }
    Ok(told)
}
