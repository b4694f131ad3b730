//! What customers read, and who takes it to them.

mod content;
mod exec;
mod http;
mod log;
mod provider;
mod smtp;
mod template;
pub(crate) mod times;
mod twilio;

pub(crate) use content::Content;
pub(crate) use provider::{Outcome, Provider};

use crate::config::Config;
use crate::context::Context;
use crate::ids::make_id;
use crate::store::value::named;
use crate::store::{StoreError, messages};
use crate::utc;
use doorstep::id::DeliveryId;
use doorstep::time::{Timestamp, Window};
use jiff::tz::TimeZone;
use rusqlite::Connection;
use serde::Serialize;
use std::fmt;
use template::{Languages, Name, Words};
use times::QuietHours;
use zeroize::Zeroizing;

named! {
    /// What a message says.
    enum Kind {
        /// A code.
        Code = "code",
        /// That the code which was sent is not needed any more.
        Cancelled = "cancelled",
        /// That messages arrive.
        Test = "test",
    }
}

/// Why messages cannot be sent by these settings.
#[derive(Debug)]
pub struct MessagesError {
    setting: &'static str,
    what: String,
}

impl MessagesError {
    fn new(setting: &'static str, what: impl ToString) -> Self {
        Self { setting, what: what.to_string() }
    }

    fn missing(setting: &'static str) -> Self {
        Self::new(setting, "is needed by this provider")
    }
}

impl fmt::Display for MessagesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "setting messages.{}: {}", self.setting, self.what)
    }
}

impl std::error::Error for MessagesError {}

/// A message in words, as a provider takes it.
pub(crate) struct Outgoing {
    pub(crate) id: String,
    pub(crate) kind: Kind,
    /// The time of this try.
    pub(crate) at: Timestamp,
    /// The phone number.
    pub(crate) to: String,
    /// For providers that have such a thing; it holds no code.
    pub(crate) subject: String,
    pub(crate) text: Zeroizing<String>,
    pub(crate) language: String,
    pub(crate) about: Option<About>,
    /// What must not be in an error of the provider's that is kept.
    hidden: Vec<Zeroizing<String>>,
}

/// The code that a message is about.
#[derive(Clone, Debug)]
pub(crate) struct About {
    pub(crate) delivery: DeliveryId,
    pub(crate) reference: String,
    pub(crate) generation: u32,
    pub(crate) slot: u8,
}

/// A message as JSON: a line of the file of `log`, what a program reads, what is posted.
#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    kind: &'static str,
    at: String,
    to: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    slot: Option<u8>,
    language: &'a str,
    text: &'a str,
}

impl Outgoing {
    fn line(&self) -> Line<'_> {
        let about = self.about.as_ref();
        Line {
            id: &self.id,
            kind: self.kind.as_str(),
            at: utc::write(self.at),
            to: &self.to,
            delivery: about.map(|about| about.delivery.as_str()),
            reference: about.map(|about| about.reference.as_str()),
            generation: about.map(|about| about.generation),
            slot: about.map(|about| about.slot),
            language: &self.language,
            text: &self.text,
        }
    }

    fn json(&self) -> Zeroizing<Vec<u8>> {
        // Texts and numbers can always be written.
        Zeroizing::new(serde_json::to_vec(&self.line()).unwrap_or_default())
    }

    /// What a provider said, short, in one line, and without what it was told in confidence.
    pub(crate) fn without_secrets(&self, error: &str) -> String {
        let mut text: String =
            error.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        for hidden in &self.hidden {
            text = text.replace(hidden.as_str(), "…");
        }
        text.trim().chars().take(200).collect()
    }
}

/// What a message has to say.
pub(crate) enum Says<'a> {
    Code {
        content: &'a Content,
        window: Window,
        /// The recipient has, or may have, an earlier code.
        replaces: bool,
    },
    Cancelled,
    Test,
}

/// Where the customer is and what he reads, as far as the delivery says so.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place {
    pub(crate) language: Option<String>,
    pub(crate) zone: Option<String>,
}

/// Seconds in which a number gets so many messages at most.
const DAY: u64 = 24 * 3600;

/// Puts messages in words, knows when they may go out, and who takes them.
pub(crate) struct Messenger {
    pub(crate) provider: Provider,
    pub(crate) languages: Languages,
    language: String,
    zone: Option<TimeZone>,
    quiet: Option<QuietHours>,
    shop: Option<String>,
    link_base: Option<String>,
    /// Seconds to wait before each further try.
    pub(crate) retry: Vec<u64>,
    per_phone_per_day: Option<u32>,
    pub(crate) parallel: usize,
}

impl Messenger {
    /// Reads the settings and the files that they name.
    pub(crate) fn open(config: &Config) -> Result<Self, MessagesError> {
        let settings = &config.messages;
        let languages = Languages::read(settings.templates.as_deref())
            .map_err(|error| MessagesError::new("templates", error))?;
        if !languages.has(&settings.language) {
            let names: Vec<&str> = languages.names().collect();
            let what = format!("\"{}\" is none of {}", settings.language, names.join(", "));
            return Err(MessagesError::new("language", what));
        }
        let zone = match &settings.zone {
            Some(name) => Some(times::zone(name).ok_or_else(|| {
                MessagesError::new("zone", format!("\"{name}\" is no zone such as Europe/Madrid"))
            })?),
            None => None,
        };
        let quiet = match &settings.quiet_hours {
            Some(text) => Some(QuietHours::parse(text).ok_or_else(|| {
                MessagesError::new("quiet_hours", format!("\"{text}\" is not like 22:00-07:00"))
            })?),
            None => None,
        };
        if quiet.is_some() && zone.is_none() {
            return Err(MessagesError::new("zone", "quiet hours need one"));
        }
        if settings.parallel == 0 || settings.parallel > 400 {
            return Err(MessagesError::new("parallel", "is not between 1 and 400"));
        }
        Ok(Self {
            provider: Provider::open(config)?,
            languages,
            language: settings.language.clone(),
            zone,
            quiet,
            shop: settings.shop.clone(),
            link_base: settings.link_base.clone(),
            retry: retry(&settings.retry)?,
            per_phone_per_day: settings.per_phone_per_day,
            parallel: settings.parallel,
        })
    }

    /// Why a number gets no more messages at the moment, if it had as many as it may have.
    pub(crate) fn had_enough(
        &self,
        connection: &Connection,
        phone: &str,
        now: Timestamp,
    ) -> Result<Option<String>, StoreError> {
        let Some(most) = self.per_phone_per_day else { return Ok(None) };
        let had = messages::sent_to(connection, phone, now.earlier(DAY))?;
        let why = format!("not sent: this number had {most} messages in the last 24 hours");
        Ok((had >= most).then_some(why))
    }

    /// When a message may go out that nobody asked for at once: at the end of the quiet hours that
    /// `now` is in, if the driver does not come before. `None` is now.
    pub(crate) fn quiet_until(
        &self,
        place: &Place,
        expected_at: Timestamp,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let end = self.quiet?.end(now, &self.zone_of(place)?)?;
        (end <= expected_at).then_some(end)
    }

    fn zone_of(&self, place: &Place) -> Option<TimeZone> {
        place.zone.as_deref().and_then(times::zone).or_else(|| self.zone.clone())
    }

    /// Puts a message in words. `None` if there are none.
    pub(crate) fn word(
        &self,
        (id, to): (&str, &str),
        about: Option<About>,
        place: &Place,
        says: &Says<'_>,
        at: Timestamp,
    ) -> Option<Outgoing> {
        let language = place.language.as_ref().unwrap_or(&self.language);
        let words = self.languages.words(language, &self.language)?;
        let mut values = Values::new(self.shop.as_deref(), about.as_ref());
        let digits = to.trim_start_matches('+');
        let numbers = [to, digits].into_iter().filter(|number| !number.is_empty());
        let mut hidden: Vec<_> = numbers.map(|number| Zeroizing::new(number.to_owned())).collect();
        let (kind, sentences) = match says {
            Says::Cancelled => (Kind::Cancelled, vec![&words.cancelled]),
            Says::Test => (Kind::Test, vec![&words.test]),
            Says::Code { content, window, replaces } => {
                values.code = content.code();
                let mut sentences = vec![&words.code];
                if *replaces {
                    sentences.push(&words.replaces);
                }
                if let Some(zone) = self.zone_of(place) {
                    values.times(words, *window, &zone)?;
                    sentences.push(&words.window);
                }
                sentences.push(&words.give);
                let about = about.as_ref()?;
                let scan = content.scan_text(about.delivery, about.generation, about.slot);
                if let Some(base) = &self.link_base {
                    // Behind a #, so that no server sees it.
                    values.link = Zeroizing::new(format!("{base}#{}", *scan));
                    sentences.push(&words.link);
                }
                hidden.push(Zeroizing::new(content.code().replace(' ', "")));
                hidden.push(Zeroizing::new(content.code().to_owned()));
                hidden.push(scan);
                (Kind::Code, sentences)
            }
        };
        let mut text = Zeroizing::new(String::new());
        for sentence in sentences {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(&sentence.fill(|name| values.get(name)));
        }
        Some(Outgoing {
            id: id.to_owned(),
            kind,
            at,
            to: to.to_owned(),
            subject: words.subject.fill(|name| values.get(name)).to_string(),
            text,
            language: language.clone(),
            about,
            hidden,
        })
    }
}

/// Tells everybody who got a code of a delivery that none is needed any more.
pub(crate) fn cancel(
    context: &Context,
    connection: &Connection,
    delivery: &DeliveryId,
    generation: u32,
    now: Timestamp,
) -> Result<(), StoreError> {
    for (slot, phone) in messages::holders(connection, delivery)? {
        let id = context.with_rng(|rng| make_id("msg", now, rng));
        messages::insert_cancelled(connection, delivery, generation, (&id, slot, &phone), now)?;
    }
    Ok(())
}

/// What stands in the braces of one message.
struct Values<'a> {
    sender: String,
    shop: &'a str,
    reference: String,
    code: &'a str,
    link: Zeroizing<String>,
    date: String,
    from: String,
    until: String,
}

impl<'a> Values<'a> {
    fn new(shop: Option<&'a str>, about: Option<&About>) -> Self {
        let reference = about.map(|about| about.reference.clone()).unwrap_or_default();
        let shop = shop.unwrap_or_default();
        let sender = match (shop, reference.as_str()) {
            ("", "") => "doorstep".to_owned(),
            ("", only) | (only, "") => only.to_owned(),
            (shop, reference) => format!("{shop}, {reference}"),
        };
        Self {
            sender,
            shop,
            reference,
            code: "",
            link: Zeroizing::default(),
            date: String::new(),
            from: String::new(),
            until: String::new(),
        }
    }

    fn times(&mut self, words: &Words, window: Window, zone: &TimeZone) -> Option<()> {
        let (from, until) =
            (times::there(window.from(), zone)?, times::there(window.until(), zone)?);
        // The format was tried when it was read.
        self.date = jiff::fmt::strtime::format(&words.date_format, from.date()).ok()?;
        self.from = from.strftime("%H:%M").to_string();
        self.until = until.strftime("%H:%M").to_string();
        Some(())
    }

    fn get(&self, name: Name) -> &str {
        match name {
            Name::Sender => &self.sender,
            Name::Shop => self.shop,
            Name::Reference => &self.reference,
            Name::Code => self.code,
            Name::Link => &self.link,
            Name::Date => &self.date,
            Name::From => &self.from,
            Name::Until => &self.until,
        }
    }
}

/// Reads `10s 1m 5m`: up to ten spans, none longer than a day.
fn retry(text: &str) -> Result<Vec<u64>, MessagesError> {
    let wrong = || MessagesError::new("retry", format!("\"{text}\" is not like 10s 1m 5m 1h"));
    let spans: Option<Vec<u64>> = text
        .split_whitespace()
        .map(|span| {
            let (number, unit) = span.split_at_checked(span.len().checked_sub(1)?)?;
            let seconds = match unit {
                "s" => 1,
                "m" => 60,
                "h" => 3600,
                _ => return None,
            };
            let number: u64 = number.parse().ok()?;
            number.checked_mul(seconds).filter(|span| (1..=24 * 3600).contains(span))
        })
        .collect();
    spans.filter(|spans| spans.len() <= 10).ok_or_else(wrong)
}

#[cfg(test)]
mod tests;
