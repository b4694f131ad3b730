//! `doorstep wallet sync`: news of the passes, things for locks, and locks' journals on their way home.

use super::At;
use crate::client::Client;
use crate::error::CliError;
use crate::output::{Answer, GOOD, WARN};
use crate::refused::Stop;
use crate::wallet::Vault;
use crate::wallet::pass::HeldPass;
use crate::wallet::service::{Delivery, News, Question, learn, questions};
use serde_json::{Value, json};

pub(crate) const EXAMPLES: &str = "Examples:\n  doorstep wallet sync\n\nAsks each service about the passes that were collected there, and brings it the journals that locks gave.\nA service that cannot be reached is asked again next time; what is local needs none.";

pub(crate) fn run(at: &At) -> Result<Answer, Stop> {
    let now = at.clock.now()?;
    let mut wallet = at.open()?;
    let questions = questions(wallet.content(), now);
    let mut servers: Vec<String> = Vec::new();
    for question in &questions {
        if !servers.contains(&question.source.server) {
            servers.push(question.source.server.clone());
        }
    }
    let mut synced = Vec::new();
    for server in servers {
        let asked = questions.iter().filter(|question| question.source.server == server);
        synced.push(sync(&mut wallet, &server, asked)?);
    }
    answer(&synced)
}

/// What came of one service.
struct Synced {
    server: String,
    passes: Vec<Value>,
    lines: Vec<String>,
    unreachable: Option<CliError>,
}

fn sync<'q>(
    wallet: &mut Vault,
    server: &str,
    questions: impl Iterator<Item = &'q Question>,
) -> Result<Synced, Stop> {
    let client = Client::anonymous(server);
    let server = server.to_owned();
    let mut synced = Synced { server, passes: vec![], lines: vec![], unreachable: None };
    for question in questions {
        match question.ask(&client) {
            Ok(news) => {
                synced.tell(question, &news);
                wallet.update(|wallet| {
                    learn(wallet, question, news);
                    Ok(())
                })?;
            }
            Err(error) if error.name() == "unreachable" => {
                synced.unreachable = Some(error);
                break;
            }
            Err(error) => {
                let (name, lock) = (error.name(), &question.lock);
                synced.passes.push(json!({ "id": question.id, "lock": lock, "problem": name }));
                synced.lines.push(format!("{WARN}{}{WARN:#}: {name}", question.id));
            }
        }
    }
    Ok(synced)
}

impl Synced {
    fn tell(&mut self, question: &Question, news: &News) {
        let journal = match &news.journal {
            None => Value::Null,
            Some(Delivery::Taken { records, new_records }) => {
                json!({ "records": records, "new_records": new_records })
            }
            Some(Delivery::Refused { problem }) => json!({ "problem": problem }),
        };
        self.passes.push(json!({
            "id": question.id, "lock": question.lock, "state": news.state,
            "riders": news.riders.len(), "time": news.time_token.is_some(), "journal": journal,
            "successor": news.successor.as_ref().map(HeldPass::id_text),
        }));
        let mut line = format!("{}: {}", question.id, news.state);
        if let Some(successor) = &news.successor {
            line.push_str(&format!("; {} takes its place", successor.id_text()));
        }
        if news.time_token.is_some() {
            line.push_str("; the time for its lock");
        }
        match &news.journal {
            None => {}
            Some(Delivery::Taken { new_records, .. }) => {
                line.push_str(&format!(
                    "; the lock's journal was taken, {new_records} new records"
                ));
            }
            Some(Delivery::Refused { problem }) => {
                line.push_str(&format!(
                    "; {WARN}the lock's journal was not taken: {problem}{WARN:#}"
                ));
            }
        }
        self.lines.push(line);
    }

    fn to_json(&self) -> Value {
        json!({
            "server": self.server, "reached": self.unreachable.is_none(), "passes": self.passes,
        })
    }
}

fn answer(all: &[Synced]) -> Result<Answer, Stop> {
    let reached = all.iter().filter(|synced| synced.unreachable.is_none()).count();
    if let Some(synced) = all.first().filter(|_| reached == 0) {
        return Err(CliError::new(format!("cannot reach the service at {}", synced.server))
            .hint("try again with a network; the passes open without it, and nothing is lost")
            .code("unreachable")
            .into());
    }
    let json = json!({ "servers": all.iter().map(Synced::to_json).collect::<Vec<_>>() });
    if all.is_empty() {
        return Ok(Answer::new(
            json,
            "nothing to ask: no pass of this wallet was collected from a service",
        ));
    }
    let mut text = String::new();
    for synced in all {
        let how = match &synced.unreachable {
            None => format!("{GOOD}synced{GOOD:#} with"),
            Some(_) => format!("{WARN}not reached{WARN:#}:"),
        };
        text.push_str(&format!("{how} {}\n", synced.server));
        text.extend(synced.lines.iter().map(|line| format!("  {line}\n")));
    }
    Ok(Answer::new(json, text))
}
