//! `doorstep wallet tap`: the phone held to a lock.

use super::At;
use crate::client::Client;
use crate::error::CliError;
use crate::output::{Answer as Said, BAD, DIM, GOOD};
use crate::refused::Stop;
use crate::text::parse_span;
use crate::wallet::carried::Journal;
use crate::wallet::find::find;
use crate::wallet::line::{Carrier, Line};
use crate::wallet::meeting::{Brought, Meeting};
use crate::wallet::pass::HeldPass;
use crate::wallet::service::{Question, learn};
use crate::wallet::{Vault, Wallet};
use doorstep::pass::exchange::answer::Answer;
use doorstep::pass::exchange::ble::FragmentSize;
use doorstep::time::Timestamp;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;

pub(crate) const EXAMPLES: &str = "Examples:\n  doorstep wallet tap 1 --lock court-3                      by NFC\n  doorstep wallet tap court --lock court-3 --ble            by BLE\n  doorstep wallet tap 1 --lock court-3 --ble --fragment 20  in the smallest fragments\n  doorstep wallet tap 1 --lock court-3 --offline            without asking the service for the time\n\nThe lock listens with: doorstep lock listen --dir court-3. The phone also brings the lock what it lacks\n(revoked passes, keys, the time) and takes its journal along, for `wallet sync` to bring home.\nExit status: 0 opened, 3 refused.";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which: its number in `wallet list`, how its id begins, or the name of the door
    #[arg(value_name = "ID")]
    pass: String,
    /// The directory of the lock
    #[arg(long, env = "DOORSTEP_LOCK", value_name = "DIR")]
    lock: PathBuf,
    /// By BLE, not by NFC
    #[arg(long)]
    ble: bool,
    /// Bytes of a fragment that the phone sends over BLE, 20 to 244
    #[arg(long, value_name = "BYTES", default_value = "244", requires = "ble")]
    fragment: FragmentSize,
    /// Ask the service for nothing, even if the lock wants the time
    #[arg(long)]
    offline: bool,
    /// How long the lock may be silent
    #[arg(long, value_name = "SPAN", default_value = "10s", value_parser = patience)]
    wait: Duration,
    #[command(flatten)]
    at: At,
}

fn patience(text: &str) -> Result<Duration, String> {
    let seconds = parse_span(text).map_err(|error| error.to_string())?;
    match seconds {
        1..=600 => Ok(Duration::from_secs(seconds)),
        _ => Err("1 s to 10 min".to_owned()),
    }
}

impl Args {
    fn meet(&self) -> Result<Meeting, CliError> {
        let carrier = if self.ble { Carrier::Ble(self.fragment) } else { Carrier::Nfc };
        Meeting::begin(Line::open(&self.lock, carrier, self.wait)?)
    }
}

pub(crate) fn run(args: &Args) -> Result<Said, Stop> {
    let now = args.at.clock.now()?;
    let mut wallet = args.at.open()?;
    let place = find(&wallet.content().passes, &args.pass)?;
    let Some(mut held) = wallet.content().passes.get(place).cloned() else {
        return Err(CliError::new("the wallet is empty").into());
    };
    let mut meeting = args.meet()?;
    meeting.refuse_other_lock(&held)?;
    let lock = meeting.greeting().lock;
    let question = question(wallet.content(), &held, lock.as_str());
    let server = question.as_ref().map(|question| question.source.server.clone());
    let server = server.unwrap_or_default();
    let time = match (meeting.greeting().time_nonce, question.clone()) {
        (Some(nonce), Some(question))
            if wallet.content().carried.token(&server, lock.as_str(), &nonce).is_none() =>
        {
            // Nobody else is kept waiting at the lock meanwhile; its question stays the same.
            drop(meeting);
            let asked = ask_time(&mut wallet, question, &nonce, args.offline, now)?;
            // The service may have made the pass anew.
            let id = held.id_text();
            let known = wallet.content().passes.iter().find(|known| known.id_text() == id);
            held = known.cloned().unwrap_or(held);
            meeting = args.meet()?;
            meeting.refuse_other_lock(&held)?;
            asked
        }
        (Some(_), None) => Some("no_service".to_owned()),
        _ => None,
    };
    meeting.bring_riders(&wallet.content().carried, &server, &held)?;
    let answer = meeting.show(wallet.content(), &held)?;
    let journal = question.map(|question| take_journal(&mut meeting, &mut wallet, &question));
    Ok(said(&held, &meeting, answer, time.as_deref(), journal))
}

/// How the service can be asked about a lock: with the pass itself, or with another one for it.
fn question(wallet: &Wallet, held: &HeldPass, lock: &str) -> Option<Question> {
    let others = wallet.passes.iter().filter(|pass| pass.names() == Some(lock));
    let mut passes = std::iter::once(held).chain(others);
    passes.find_map(|pass| Question::about(pass, Some(lock)))
}

/// Asks the service for the time that the lock wants. What came of it, if that is not the token.
fn ask_time(
    wallet: &mut Vault,
    question: Question,
    nonce: &[u8; 16],
    offline: bool,
    now: Timestamp,
) -> Result<Option<String>, Stop> {
    let server = question.source.server.clone();
    let lock = question.lock.clone().unwrap_or_default();
    wallet.update(|wallet| {
        wallet.carried.want_time(&server, &lock, nonce, now);
        Ok(())
    })?;
    if offline {
        return Ok(Some("offline".to_owned()));
    }
    let question = Question { time_nonce: Some(nonce.to_vec()), ..question };
    match question.ask(&Client::hasty(&server)) {
        Ok(news) => {
            wallet.update(|wallet| {
                learn(wallet, &question, news);
                Ok(())
            })?;
            Ok(None)
        }
        // The pass may open all the same.
        Err(error) => Ok(Some(error.name().to_owned())),
    }
}

/// Takes the journal along. Whatever happens to it, the answer to the pass stands.
fn take_journal(
    meeting: &mut Meeting,
    wallet: &mut Vault,
    question: &Question,
) -> Result<usize, String> {
    let sealed = meeting.read_journal().map_err(|error| error.name().to_owned())?;
    let length = sealed.len();
    if length == 0 {
        return Ok(0);
    }
    let journal = Journal {
        server: question.source.server.clone(),
        lock: meeting.greeting().lock.as_str().to_owned(),
        records: meeting.greeting().journal,
        sealed: sealed.into(),
    };
    let kept = wallet.update(|wallet| {
        wallet.carried.take_journal(journal);
        Ok(())
    });
    match kept {
        Ok(()) => Ok(length),
        Err(Stop::Refused(refused)) => Err(refused.reason.to_owned()),
        Err(Stop::Failed(error)) => Err(error.name().to_owned()),
    }
}

fn said(
    held: &HeldPass,
    meeting: &Meeting,
    answer: Answer,
    time: Option<&str>,
    journal: Option<Result<usize, String>>,
) -> Said {
    let brought: Vec<Value> = meeting.brought.iter().map(brought_json).collect();
    let lock = meeting.greeting().lock;
    let mut json = json!({
        "pass": held.id_text(), "lock": lock.as_str(), "answer": answer.name(), "brought": brought,
        "time": time,
        "journal": match &journal {
            None => Value::Null,
            Some(Ok(bytes)) => json!({ "bytes": bytes }),
            Some(Err(problem)) => json!({ "problem": problem }),
        },
    });
    let mut lines: Vec<String> = meeting.brought.iter().map(brought_text).collect();
    match time {
        None => {}
        Some("no_service") => {
            lines.push("the lock wants the time, and this pass has no service to ask".to_owned())
        }
        Some(why) => {
            lines.push(format!("the lock wants the time, and the service gave none ({why})"))
        }
    }
    match &journal {
        None | Some(Ok(0)) => {}
        Some(Ok(_)) => {
            lines.push("took its journal along; doorstep wallet sync brings it home".to_owned())
        }
        Some(Err(problem)) => lines.push(format!("its journal was not taken along ({problem})")),
    }
    let lines: String = lines.iter().map(|line| format!("\n{DIM}{line}{DIM:#}")).collect();
    if answer.is_refusal() {
        json["outcome"] = json!("refused");
        json["reason"] = json!(answer.name());
        json["message"] = json!(answer.to_string());
        json["hint"] = json!(answer.hint());
        let text = format!("{BAD}refused{BAD:#}: {answer}{lines}\nhint: {}", answer.hint());
        return Said::refused(json, text);
    }
    json["outcome"] = json!("granted");
    Said::new(json, format!("{GOOD}{answer}{GOOD:#}: {}{lines}", held.name()))
}

fn brought_json(brought: &Brought) -> Value {
    json!({ "kind": brought.kind, "sequence": brought.sequence, "answer": brought.answer.name() })
}

fn brought_text(brought: &Brought) -> String {
    let what = match (brought.kind, brought.sequence) {
        ("rotation", Some(sequence)) => format!("a key of its issuer (number {sequence})"),
        ("bulletin", Some(sequence)) => format!("the list of revoked passes (number {sequence})"),
        _ => "the time".to_owned(),
    };
    format!("brought {what}: {}", brought.answer)
}
