//! What a wallet asks the service that made a pass: the pass for a ticket, and news of it. Nothing else of the
//! wallet goes over a network.

use super::carried::Journal;
use super::pass::{BadPass, HeldPass, Source, Told};
use super::{Wallet, key};
use crate::client::Client;
use crate::error::CliError;
use crate::text::{base64url, from_base64url, parse_time, safe};
use doorstep::pass::claims::{Audience, HolderKey};
use doorstep::time::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use zeroize::Zeroizing;

/// How tickets of test issuers begin, and of all others.
const TEST_TICKET: &str = "pas_test_";
const LIVE_TICKET: &str = "pas_live_";

/// A ticket, as whoever made the pass gave it to the guest.
pub(crate) struct Ticket(Zeroizing<String>);

impl Ticket {
    /// Reads a ticket; spaces around it are dropped.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let rest = text.strip_prefix(TEST_TICKET).or_else(|| text.strip_prefix(LIVE_TICKET))?;
        let plain = !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_alphanumeric());
        (plain && text.len() <= 100).then(|| Self(Zeroizing::new(text.to_owned())))
    }

    /// Whether its issuer keeps test data only.
    pub(crate) fn is_test(&self) -> bool {
        self.0.starts_with(TEST_TICKET)
    }
}

/// A pass that was collected, and what is to be brought to its lock.
pub(crate) struct Collected {
    pub(crate) held: HeldPass,
    pub(crate) riders: Vec<Vec<u8>>,
}

/// Asks for the pass that a ticket stands for.
pub(crate) fn collect(
    server: &str,
    ticket: &Ticket,
    wallet: &Wallet,
) -> Result<Collected, CliError> {
    let holder = wallet.key.public();
    let body = json!({ "ticket": *ticket.0, "holder": key::text(&holder) });
    let answer = Client::anonymous(server).post("/v1/wallet/collect", &body)?;
    let held = given(&answer, server, &holder)?;
    Ok(Collected { held, riders: documents(&answer["riders"])? })
}

/// A pass for the phone with this key, and its token, as a service gives them.
fn given(answer: &Value, server: &str, holder: &HolderKey) -> Result<HeldPass, CliError> {
    let pass = &answer["pass"];
    let document = Zeroizing::new(from_base64url(word(pass, "document")?)?);
    let label = pass["lock"]["label"].as_str().map(safe);
    let source = Source {
        server: server.trim_end_matches('/').to_owned(),
        token: Zeroizing::new(word(answer, "token")?.to_owned()),
    };
    let told = told(pass, key::text(holder))?;
    let held = HeldPass::collected(document, label, source, told);
    let held = held.map_err(|bad| unusable(&bad))?;
    if held.id_text() != word(pass, "id")? || held.holder() != Some(holder) {
        return Err(bad_answer("the pass is not the one that it says"));
    }
    Ok(held)
}

/// What the service says of a pass, since the phone cannot read every kind.
fn told(pass: &Value, holder: String) -> Result<Told, CliError> {
    let now = Timestamp::from_seconds(0);
    let time = |name: &str| Ok::<_, CliError>(parse_time(word(pass, name)?, now)?.seconds());
    Ok(Told {
        id: word(pass, "id")?.to_owned(),
        lock: pass["lock"]["name"].as_str().map(str::to_owned),
        from: time("from")?,
        until: time("until")?,
        uses: match &pass["uses"] {
            Value::String(uses) if uses == "once" => 1,
            uses => uses.as_u64().and_then(|uses| u8::try_from(uses).ok()).unwrap_or(0),
        },
        lasts_seconds: pass["lasts_seconds"].as_u64().and_then(|lasts| u32::try_from(lasts).ok()),
        holder: (pass["bearer"] != json!(true)).then_some(holder),
    })
}

/// One question about a pass.
#[derive(Clone)]
pub(crate) struct Question {
    /// The id of the pass.
    pub(crate) id: String,
    pub(crate) source: Source,
    /// Whose the pass is, and what takes its place.
    pub(crate) holder: Option<HolderKey>,
    /// The lock that it is about, and whether the service has to be told.
    pub(crate) lock: Option<String>,
    pub(crate) says_lock: bool,
    pub(crate) time_nonce: Option<Vec<u8>>,
    pub(crate) journal: Option<Journal>,
}

/// What the service says.
pub(crate) struct News {
    /// `issued`, `revoked` or `expired`.
    pub(crate) state: String,
    /// The pass, made anew.
    pub(crate) document: Option<Zeroizing<Vec<u8>>>,
    /// The pass that took its place.
    pub(crate) successor: Option<HeldPass>,
    pub(crate) riders: Vec<Vec<u8>>,
    pub(crate) time_token: Option<Vec<u8>>,
    /// What became of the journal that was sent.
    pub(crate) journal: Option<Delivery>,
}

/// What became of a journal.
#[derive(Clone, Debug)]
pub(crate) enum Delivery {
    Taken { records: u64, new_records: u64 },
    Refused { problem: String },
}

impl Question {
    /// The question about a pass at a lock, if anybody can be asked.
    pub(crate) fn about(held: &HeldPass, lock: Option<&str>) -> Option<Self> {
        let lock = lock.or_else(|| held.lock().map(Audience::as_str));
        Some(Self {
            id: held.id_text(),
            source: held.source()?.clone(),
            holder: held.holder().copied(),
            lock: lock.map(str::to_owned),
            says_lock: held.group().is_some(),
            time_nonce: None,
            journal: None,
        })
    }

    /// Asks.
    pub(crate) fn ask(&self, client: &Client) -> Result<News, CliError> {
        let mut body = json!({ "id": self.id, "token": *self.source.token });
        if let Some(lock) = self.lock.as_ref().filter(|_| self.says_lock) {
            body["lock"] = json!(lock);
        }
        if let Some(nonce) = &self.time_nonce {
            body["time_nonce"] = json!(hex(nonce));
        }
        if let Some(journal) = &self.journal {
            body["journal"] = json!(base64url(journal.sealed.as_ref()));
        }
        let answer = client.post("/v1/wallet/sync", &body)?;
        let token = answer["time_token"].as_str().map(from_base64url).transpose()?;
        let document = answer["document"].as_str().map(from_base64url).transpose()?;
        Ok(News {
            state: safe(word(&answer, "state")?),
            document: document.map(Zeroizing::new),
            successor: self.successor(&answer["successor"])?,
            riders: documents(&answer["riders"])?,
            time_token: token,
            journal: delivery(&answer["journal"]),
        })
    }

    fn successor(&self, answer: &Value) -> Result<Option<HeldPass>, CliError> {
        let holder = self.holder.as_ref().filter(|_| answer.is_object());
        holder.map(|holder| given(answer, &self.source.server, holder)).transpose()
    }
}

/// What is to be asked of the services: about each pass, and about each lock that was met with a group's pass. What
/// a lock asked goes with the first question about it, and its journals with one each.
pub(crate) fn questions(wallet: &Wallet, now: Timestamp) -> Vec<Question> {
    let mut questions: Vec<Question> = Vec::new();
    for held in &wallet.passes {
        let Some(source) = held.source() else { continue };
        let met =
            if held.group().is_some() { met(wallet, &source.server) } else { BTreeSet::new() };
        if met.is_empty() {
            questions.extend(Question::about(held, None));
        }
        questions.extend(met.into_iter().filter_map(|lock| Question::about(held, Some(lock))));
    }
    let mut asked = BTreeSet::new();
    let mut more = Vec::new();
    for question in &mut questions {
        let (Some(lock), server) = (&question.lock, &question.source.server) else { continue };
        if !asked.insert((server.clone(), lock.clone())) {
            continue;
        }
        let nonce = wallet.carried.wanted_time(server, lock, now);
        question.time_nonce = nonce.map(|nonce| nonce.as_ref().to_vec());
        let journals = wallet.carried.journals().iter();
        let journals = journals.filter(|one| one.server == *server && one.lock == *lock);
        let mut journals: Vec<Journal> = journals.cloned().collect();
        let first = if journals.is_empty() { None } else { Some(journals.remove(0)) };
        let next =
            |journal| Question { time_nonce: None, journal: Some(journal), ..question.clone() };
        more.extend(journals.into_iter().map(next));
        question.journal = first;
    }
    questions.extend(more);
    questions
}

/// The locks of a service that were met and that no pass of its own for one lock asks about.
fn met<'a>(wallet: &'a Wallet, server: &'a str) -> BTreeSet<&'a str> {
    let own = |held: &&HeldPass| held.source().is_some_and(|source| source.server == server);
    let locks = wallet.passes.iter().filter(own).filter_map(HeldPass::lock);
    let asked: BTreeSet<&str> = locks.map(Audience::as_str).collect();
    let names = wallet.carried.names(server);
    let is_group = |name: &str| Audience::parse(name).is_some_and(|name| name.group().is_some());
    names.filter(|name| !is_group(name) && !asked.contains(name)).collect()
}

/// Keeps what the service said.
pub(crate) fn learn(wallet: &mut Wallet, question: &Question, news: News) {
    let server = &question.source.server;
    if let Some(held) = wallet.passes.iter_mut().find(|held| held.id_text() == question.id) {
        held.state = Some(news.state);
        if let Some(document) = news.document {
            held.renew(document);
        }
    }
    if let Some(successor) = news.successor {
        wallet.replace(&question.id, successor);
    }
    wallet.carried.take_riders(server, question.lock.as_deref(), news.riders);
    if let (Some(lock), Some(nonce), Some(token)) =
        (&question.lock, &question.time_nonce, news.time_token)
    {
        wallet.carried.take_token(server, lock, nonce, token);
    }
    if let (Some(journal), Some(_)) = (&question.journal, &news.journal) {
        wallet.carried.delivered(journal);
    }
}

fn documents(list: &Value) -> Result<Vec<Vec<u8>>, CliError> {
    let all = list.as_array().into_iter().flatten();
    all.map(|document| from_base64url(document.as_str().unwrap_or_default())).collect()
}

fn delivery(value: &Value) -> Option<Delivery> {
    if let Some(problem) = value["problem"].as_str() {
        return Some(Delivery::Refused { problem: safe(problem) });
    }
    let number = |name: &str| value[name].as_u64();
    Some(Delivery::Taken { records: number("records")?, new_records: number("new_records")? })
}

fn word<'a>(value: &'a Value, name: &str) -> Result<&'a str, CliError> {
    value[name].as_str().ok_or_else(|| bad_answer(&format!("it has no {name}")))
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing into a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn unusable(bad: &BadPass) -> CliError {
    bad_answer(match bad {
        BadPass::Malformed(_) => "the pass cannot be read",
        BadPass::Rider | BadPass::Proven => "it is no pass",
    })
}

fn bad_answer(why: &str) -> CliError {
    CliError::new(format!("the server's answer cannot be used: {why}"))
        .hint("is this a doorstep server, and this program no older?")
        .code("bad_answer")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wallet::pass::tests::{FROM, holder, signed};

    #[test]
    fn a_service_gives_the_pass_that_it_names_for_this_phone_or_none() {
        let (phone, other) = (holder(1), holder(2));
        let given = |number: u8, of: Option<HolderKey>| {
            let document = base64url(&signed(number, of, FROM));
            let answer = json!({"token": "pst_1", "pass": {
                "id": "0101010101010101", "document": document, "bearer": false, "uses": "many",
                "from": "2027-01-15T08:00:00Z", "until": "2027-01-15T09:00:00Z",
                "lasts_seconds": null, "lock": {"name": "court-3", "label": "Court 3"}}});
            given(&answer, "http://home/", &phone)
        };
        let held = given(1, Some(phone)).unwrap();
        assert_eq!((held.id_text().as_str(), held.holder()), ("0101010101010101", Some(&phone)));
        assert_eq!(held.source().unwrap().server, "http://home");
        for (number, of) in [(2, Some(phone)), (1, Some(other)), (1, None)] {
            let error = given(number, of).err().unwrap();
            assert_eq!(error.name(), "bad_answer", "{number} {of:?}");
        }
    }
}
