//! `doorstep receipt`: the issuer's signed word that a delivery ended well.

use super::Connection;
use super::delivery::find;
use super::evidence::{Issuer, read_document, write_document};
use crate::error::CliError;
use crate::output::{Answer, BOLD, GOOD};
use crate::refused::Refused;
use crate::text::{from_base64url, rfc3339, safe};
use doorstep::handover::receipt::{Basis, DeliveryReceipt, Holder};
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Show the receipt of a delivery, and write it to a file
    #[command(
        after_help = "Examples:\n  doorstep receipt show A-17\n  doorstep receipt show A-17 --out a-17.receipt"
    )]
    Show {
        /// Its id, or your reference
        delivery: String,
        /// Write the signed receipt to this new file
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        #[command(flatten)]
        connection: Connection,
    },
    /// Verify a receipt without the server
    #[command(
        after_help = "Example:\n  doorstep receipt verify a-17.receipt --issuer issuer.pub\n\nExit status 3: not a receipt of this issuer, or changed since."
    )]
    Verify {
        /// The receipt
        file: PathBuf,
        /// File with the issuer's public key, from doorstep evidence key
        #[arg(long, value_name = "FILE")]
        issuer: PathBuf,
    },
}

pub(crate) fn run(command: &Command) -> Result<Answer, CliError> {
    match command {
        Command::Show { delivery, out, connection } => {
            let client = connection.open()?;
            let answer = client.get(&find::path(&client, delivery, "/receipt")?)?;
            let document = from_base64url(answer["receipt"].as_str().unwrap_or_default())?;
            // Shown is what the document says, with the key that the server names now.
            let issuer = Issuer::ask(&client)?;
            let receipt =
                DeliveryReceipt::verify(&document, issuer.id, issuer.key).map_err(|error| {
                    CliError::new(format!("the server's receipt does not hold: {error}"))
                })?;
            if let Some(path) = out {
                write_document(path, &document)?;
            }
            Ok(Answer::new(to_json(&receipt), told(&receipt)))
        }
        Command::Verify { file, issuer } => {
            let issuer = Issuer::read(issuer)?;
            let document = read_document(file)?;
            match DeliveryReceipt::verify(&document, issuer.id, issuer.key) {
                Ok(receipt) => {
                    let text =
                        format!("{GOOD}a receipt of {}{GOOD:#}\n{}", issuer.id, told(&receipt));
                    Ok(Answer::new(to_json(&receipt), text))
                }
                Err(error) => Ok(Refused::new(
                    "not_authentic",
                    format!("not a receipt that {} signed: {error}", issuer.id),
                    "ask the issuer for it again, and for its public key by another way",
                )
                .answer()),
            }
        }
    }
}

fn to_json(receipt: &DeliveryReceipt) -> Value {
    let mut json = json!({
        "outcome": "delivered",
        "issuer": receipt.issuer.as_str(),
        "delivery": receipt.delivery.as_str(),
        "reference": receipt.reference,
        "generation": receipt.generation,
        "at": rfc3339(receipt.at),
        "issued_at": rfc3339(receipt.issued),
    });
    match &receipt.basis {
        Basis::Claim(claim) => {
            json["basis"] = json!("claim");
            json["claim"] = json!({
                "device": claim.device.as_str(),
                "holder": holder(claim.holder),
                "means": claim.means.as_str(),
                "not_before": rfc3339(claim.not_before),
                "not_after": rfc3339(claim.not_after),
                "epoch": claim.epoch,
                "log": claim.log.seq,
            });
        }
        Basis::Issuer => json["basis"] = json!("issuer"),
        Basis::Operator => json["basis"] = json!("operator"),
    }
    json
}

const fn holder(holder: Holder) -> &'static str {
    match holder {
        Holder::Recipient => "recipient",
        Holder::Spare => "spare",
    }
}

fn told(receipt: &DeliveryReceipt) -> String {
    let mut lines = vec![
        ("delivery", receipt.delivery.to_string()),
        ("reference", safe(&receipt.reference)),
        ("delivered", rfc3339(receipt.at)),
    ];
    match &receipt.basis {
        Basis::Claim(claim) => {
            let spare = "whoever had the spare code";
            let who = if claim.holder == Holder::Spare { spare } else { "the recipient" };
            lines.push(("code", format!("the right one, {} by {who}", claim.means.as_str())));
            lines.push(("device", claim.device.to_string()));
            lines.push((
                "certainly",
                format!("between {} and {}", rfc3339(claim.not_before), rfc3339(claim.not_after)),
            ));
            lines.push((
                "log",
                format!("claim {} of the issuer's log, epoch {}", claim.log.seq, claim.epoch),
            ));
        }
        Basis::Issuer => {
            lines.push(("code", "the right one, checked by the issuer itself".to_owned()))
        }
        Basis::Operator => {
            lines.push(("basis", "an operator's word that ended a dispute; no code".to_owned()));
        }
    }
    lines.push(("written", rfc3339(receipt.issued)));
    lines.iter().map(|(name, value)| format!("{BOLD}{name:<10}{BOLD:#} {value}\n")).collect()
}
