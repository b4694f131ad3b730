//! `doorstep evidence`: everything that was claimed about a delivery, in one signed file, and its
//! examination without the server.

use super::Connection;
use super::delivery::find;
use crate::client::Client;
use crate::error::CliError;
use crate::output::{Answer, BAD, BOLD, DIM, GOOD, WARN};
use crate::refused::Refused;
use crate::text::{base64url, from_base64url, rfc3339, safe};
use doorstep::cose::keys::IssuerPublicKey;
use doorstep::handover::bundle::{Bundle, Check, Examined, Filed, Finding, Making};
use doorstep::handover::claim::{Claim, Outcome};
use doorstep::id::IssuerId;
use doorstep_files::private;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Longer files are no bundles.
const LONGEST: u64 = 64 * 1024 * 1024;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Print the issuer's public key, with which receipts and evidence are verified
    #[command(
        after_help = "Example:\n  doorstep evidence key > issuer.pub\n\nWhoever verifies has to get it by a way that the other side of a dispute does not control."
    )]
    Key {
        #[command(flatten)]
        connection: Connection,
    },
    /// Write everything that was claimed about a delivery to a file
    #[command(after_help = "Example:\n  doorstep evidence fetch A-17 --out a-17.bundle")]
    Fetch {
        /// Its id, or your reference
        delivery: String,
        /// Write the signed bundle to this new file
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        #[command(flatten)]
        connection: Connection,
    },
    /// Examine such a file without the server
    #[command(
        after_help = "Example:\n  doorstep evidence verify a-17.bundle --issuer issuer.pub\n\nChecks of each claim: enrolment (the issuer vouches for the device's key), signature (the device\nsigned), subject (this delivery), log (its place in the issuer's log), chain (the device's claims are\nnumbered and linked), times, standing (the verdict fits whose delivery it was).\n\nExit status 3: not signed by this issuer, changed since, or a check fails."
    )]
    Verify {
        /// The bundle
        file: PathBuf,
        /// File with the issuer's public key, from doorstep evidence key
        #[arg(long, value_name = "FILE")]
        issuer: PathBuf,
    },
}

/// Whose signatures are believed.
pub(super) struct Issuer {
    pub(super) id: IssuerId,
    pub(super) key: IssuerPublicKey,
}

impl Issuer {
    /// As the server names it now.
    pub(super) fn ask(client: &Client) -> Result<Self, CliError> {
        let answer = client.get("/v1/issuer")?;
        let text = |name: &str| answer[name].as_str().unwrap_or_default();
        Self::new(text("issuer"), text("signing_key"))
            .ok_or_else(|| CliError::new("the server's answer does not hold an issuer's key"))
    }

    /// From a file with a line as `doorstep evidence key` prints it.
    pub(super) fn read(path: &Path) -> Result<Self, CliError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| CliError::io("read the issuer's key from", path, &error))?;
        text.trim().split_once(':').and_then(|(id, key)| Self::new(id, key)).ok_or_else(|| {
            CliError::new(format!("{} does not hold an issuer's public key", path.display()))
                .hint("make it with: doorstep evidence key > issuer.pub")
        })
    }

    fn new(id: &str, key: &str) -> Option<Self> {
        let bytes = from_base64url(key).ok()?;
        Some(Self { id: IssuerId::parse(id).ok()?, key: IssuerPublicKey::from_bytes(&bytes).ok()? })
    }

    fn line(&self) -> String {
        format!("{}:{}", self.id, base64url(&self.key.to_bytes()))
    }
}

pub(crate) fn run(command: &Command) -> Result<Answer, CliError> {
    match command {
        Command::Key { connection } => {
            let issuer = Issuer::ask(&connection.open()?)?;
            let line = issuer.line();
            Ok(Answer::new(json!({ "issuer": issuer.id.as_str(), "public_key": line }), line))
        }
        Command::Fetch { delivery, out, connection } => {
            let client = connection.open()?;
            let answer = client.get(&find::path(&client, delivery, "/evidence")?)?;
            let document = from_base64url(answer["bundle"].as_str().unwrap_or_default())?;
            write_document(out, &document)?;
            let claims = &answer["claims"];
            let json = json!({ "file": out, "claims": claims, "bytes": document.len() });
            let text = format!("{GOOD}written{GOOD:#} {}: {claims} claims", out.display());
            Ok(Answer::new(json, text))
        }
        Command::Verify { file, issuer } => {
            let issuer = Issuer::read(issuer)?;
            let document = read_document(file)?;
            match Bundle::verify(&document, issuer.id, issuer.key) {
                Ok(bundle) => Ok(examined(&bundle, &bundle.examine(issuer.key))),
                Err(error) => Ok(Refused::new(
                    "not_authentic",
                    format!("not evidence that {} signed: {error}", issuer.id),
                    "ask the issuer for it again, and for its public key by another way",
                )
                .answer()),
            }
        }
    }
}

/// Reads a signed document.
pub(super) fn read_document(path: &Path) -> Result<Vec<u8>, CliError> {
    let io = |error: &std::io::Error| CliError::io("read", path, error);
    let length = std::fs::metadata(path).map_err(|error| io(&error))?.len();
    if length > LONGEST {
        let told = format!("{} has {length} bytes, more than any such file", path.display());
        return Err(CliError::new(told).hint("name the file that was fetched from the server"));
    }
    std::fs::read(path).map_err(|error| io(&error))
}

/// Writes a signed document to a new file, which only its owner can read: it says who was where.
pub(super) fn write_document(path: &Path, document: &[u8]) -> Result<(), CliError> {
    private::create(path, document).map_err(|error| {
        CliError::new(error.to_string()).hint("name a new file, where you may write")
    })
}

fn examined(bundle: &Bundle, examined: &[Examined]) -> Answer {
    let fails = |examined: &Examined| {
        examined.findings.iter().any(|(_, finding)| *finding == Finding::Fails)
    };
    let sound = !examined.iter().any(fails);
    let claims: Vec<Value> =
        bundle.claims.iter().zip(examined).map(|(filed, found)| claim_json(filed, found)).collect();
    let json = json!({
        "outcome": if sound { "sound" } else { "refused" },
        "reason": if sound { Value::Null } else { json!("check_failed") },
        "issuer": bundle.issuer.as_str(),
        "epoch": bundle.epoch,
        "issued_at": rfc3339(bundle.issued),
        "delivery": bundle.delivery.as_str(),
        "reference": bundle.reference,
        "state": bundle.state,
        "generations": bundle.generations.iter().map(making_json).collect::<Vec<_>>(),
        "damaged_generations": bundle.damaged,
        "claims": claims,
        "resolutions": bundle.resolutions.iter().map(|word| json!({
            "outcome": word.outcome, "note": word.note, "by": word.by, "at": rfc3339(word.at),
        })).collect::<Vec<_>>(),
    });
    let text = told(bundle, examined, sound);
    if sound { Answer::new(json, text) } else { Answer::refused(json, text) }
}

fn making_json(making: &Making) -> Value {
    json!({
        "generation": making.generation,
        "device": making.device.map(|device| device.to_string()),
        "from": rfc3339(making.from),
        "until": rfc3339(making.until),
        "created_at": rfc3339(making.created),
        "state": making.state,
        "check": making.check.name(),
        "slots": making.slots,
    })
}

fn claim_json(filed: &Filed, found: &Examined) -> Value {
    let checks = found
        .findings
        .iter()
        .map(|(check, finding)| (check.name().to_owned(), json!(finding_name(*finding))));
    let mut json = json!({
        "log": filed.log,
        "received_at": rfc3339(filed.received),
        "verdict": filed.verdict,
        "late_possible": filed.late_possible,
        "forked": filed.forked,
        "checks": Value::Object(checks.collect()),
    });
    if let Some(claim) = &found.claim {
        let (outcome, slot, means, reason, note) = match &claim.outcome {
            Outcome::Granted { slot, means, .. } => {
                ("granted", Some(*slot), Some(means.as_str()), None, None)
            }
            Outcome::Failed { reason, note } => {
                ("failed", None, None, Some(reason.as_str()), Some(note.as_str()))
            }
        };
        json["outcome"] = json!(outcome);
        json["slot"] = json!(slot);
        json["means"] = json!(means);
        json["reason"] = json!(reason);
        json["note"] = json!(note);
        json["device"] = json!(claim.device.as_str());
        json["number"] = json!(claim.number);
        json["generation"] = json!(claim.generation);
        json["at"] = json!(rfc3339(claim.at));
        json["signed_time"] = json!(rfc3339(claim.signed_time));
    }
    json
}

const fn finding_name(finding: Finding) -> &'static str {
    match finding {
        Finding::Holds => "holds",
        Finding::Fails => "fails",
        Finding::Erased => "erased",
    }
}

fn told(bundle: &Bundle, examined: &[Examined], sound: bool) -> String {
    let mut text = format!(
        "{GOOD}signed{GOOD:#} by {} at {}\n{BOLD}delivery{BOLD:#} {} ({}), {}\n",
        bundle.issuer,
        rfc3339(bundle.issued),
        bundle.delivery,
        safe(&bundle.reference),
        safe(&bundle.state),
    );
    for making in &bundle.generations {
        let checks = match making.device {
            Some(device) => format!("a {} check on {device}", making.check.name()),
            None => "checked by the issuer".to_owned(),
        };
        text.push_str(&format!(
            "generation {}: {checks}, {} slots, {} to {}, {}\n",
            making.generation,
            making.slots,
            rfc3339(making.from),
            rfc3339(making.until),
            safe(&making.state).replace('_', " "),
        ));
    }
    for number in &bundle.damaged {
        text.push_str(&format!(
            "generation {number}: {WARN}damaged{WARN:#}, the issuer cannot read it any more\n"
        ));
    }
    for (filed, found) in bundle.claims.iter().zip(examined) {
        let verdict = filed.verdict.as_deref().unwrap_or("not judged yet");
        let who = found.claim.as_ref().map_or_else(
            || "a claim that cannot be read".to_owned(),
            |claim| {
                format!(
                    "claim {} of {}, on generation {}",
                    claim.number, claim.device, claim.generation
                )
            },
        );
        text.push_str(&format!("\n{BOLD}{who}{BOLD:#}: {WARN}{}{WARN:#}\n", safe(verdict)));
        if let Some(claim) = &found.claim {
            text.push_str(&format!("  {}\n", outcome_text(bundle, claim)));
        }
        if filed.forked {
            text.push_str(&format!(
                "  {WARN}forked{WARN:#}: it does not continue the device's other claims\n"
            ));
        }
        if filed.late_possible {
            text.push_str(&format!(
                "  {WARN}late{WARN:#}: it came after the window; only the device's clock says that it was in time\n"
            ));
        }
        if let Some(claim) = &found.claim {
            text.push_str(&format!(
                "  {DIM}by its clock {}; certainly between {} and {}{DIM:#}\n",
                rfc3339(claim.at),
                rfc3339(claim.signed_time),
                rfc3339(filed.received),
            ));
        }
        for (check, finding) in found.findings {
            let style = match finding {
                Finding::Holds => GOOD,
                Finding::Fails => BAD,
                Finding::Erased => DIM,
            };
            let name = finding_name(finding);
            text.push_str(&format!("  {style}{name:<7}{style:#} {}\n", meaning(check)));
        }
    }
    for word in &bundle.resolutions {
        let outcome = safe(&word.outcome).replace('_', " ");
        let (by, at) = (safe(&word.by), rfc3339(word.at));
        text.push_str(&format!("\n{outcome} by the word of {by} at {at}: {}\n", safe(&word.note)));
    }
    let end = if sound { "\nevery check holds" } else { "\na check fails: see above" };
    text.push_str(end);
    text
}

/// What the device says came of it.
fn outcome_text(bundle: &Bundle, claim: &Claim) -> String {
    match &claim.outcome {
        Outcome::Granted { slot, means, .. } => {
            let making =
                bundle.generations.iter().find(|making| making.generation == claim.generation);
            let whose = match making {
                Some(making) if slot.checked_add(1) == Some(making.slots) => ", the spare",
                Some(_) => ", a recipient's",
                None => "",
            };
            format!("granted: the code of slot {slot}{whose}, {}", means.as_str())
        }
        Outcome::Failed { reason, note } => {
            let reason = reason.as_str().replace('_', " ");
            if note.as_str().is_empty() {
                format!("failed: {reason}")
            } else {
                format!("failed: {reason} (\"{}\")", safe(note.as_str()))
            }
        }
    }
}

const fn meaning(check: Check) -> &'static str {
    match check {
        Check::Enrolment => "enrolment: the issuer vouches for the device's key",
        Check::Signature => "signature: the device signed the claim",
        Check::Subject => "subject: it is about this delivery",
        Check::Log => "log: it stands at its place in the issuer's log",
        Check::Chain => "chain: it follows the device's other claims, or is said not to",
        Check::Times => "times: they fit each other and the verdict",
        Check::Standing => "standing: the verdict fits whose delivery it was",
    }
}
