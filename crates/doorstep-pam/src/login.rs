//! What happens at a login: the service is asked first; only when it gives no verdict, the
//! authenticator that was enrolled for this host alone.

use crate::clock;
use crate::options::Options;
use doorstep::otp::hint;
use doorstep::refusal::Refusal;
use doorstep::time::Timestamp;
use doorstep_gate::GateError;
use doorstep_gate::config::Config;
use doorstep_gate::gate::Gate;
use doorstep_gate::name::Name;
use doorstep_gate::service::{Service, Verdict};
use getrandom::SysRng;
use rand_core::UnwrapErr;
use zeroize::Zeroizing;

/// What a login says to the person and to the log.
pub(crate) trait Conversation {
    /// A user's name in its one spelling; `None` for who is no user of this system.
    fn canonical(&self, user: &str) -> Option<String>;
    /// Asks, without showing what is typed; `None` when nobody answers.
    fn ask(&self, prompt: &str) -> Option<Zeroizing<String>>;
    /// Tells the person something.
    fn tell(&self, text: &str);
    /// Tells the operator something. Never what was typed.
    fn log(&self, text: &str);
}

/// How a login ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A code was right, and is spent.
    Granted,
    /// The user needs no code, by an option that says so.
    NotNeeded,
    /// Not let in.
    Refused,
    /// Something is out of order; not let in.
    Failed,
}

/// Longer texts are no codes.
const LONGEST: usize = 64;

pub(crate) fn login(user: &str, arguments: &[&str], person: &impl Conversation) -> Outcome {
    match attempt(user, arguments, person) {
        Ok(outcome) => outcome,
        Err(Trouble { what, hint }) => {
            person.log(&format!("{}: not let in: {what}; {hint}", shown(user)));
            person.tell("The gate for one-time codes is out of order.");
            Outcome::Failed
        }
    }
}

struct Trouble {
    what: String,
    hint: &'static str,
}

impl From<GateError> for Trouble {
    fn from(error: GateError) -> Self {
        Self { what: error.to_string(), hint: error.hint() }
    }
}

fn attempt(user: &str, arguments: &[&str], person: &impl Conversation) -> Result<Outcome, Trouble> {
    let options = Options::parse(arguments.iter().copied())
        .map_err(|what| Trouble { what, hint: "see docs/gate.md" })?;
    let config = Config::read(&options.file)?;
    let mut gate = Gate::open(&config)?;
    // A clock that cannot be used is better known before anybody types.
    now(&options, &gate)?;
    // Some systems know other spellings of a name, and would let them have attempts of their own.
    let canonical = person.canonical(user);
    let name = Name::exact(canonical.as_deref().unwrap_or(user));
    let service = config.service.as_ref().map(Service::open).transpose()?;
    let unenrolled = match name.as_ref().filter(|_| canonical.is_some()) {
        Some(name) => !gate.has_authenticator(name)?,
        // What is no name here, or nobody's, is refused below.
        None => false,
    };
    if options.optional_for_unenrolled && service.is_none() && unenrolled {
        person.log(&format!("{}: let in without a code, having no authenticator", shown(user)));
        return Ok(Outcome::NotNeeded);
    }
    let Some(mut typed) = answer(person, "doorstep code: ") else { return Ok(Outcome::Refused) };
    if let (Some(service), Some(name)) = (&service, &name) {
        let token = gate.service_token(name)?;
        let token = token.as_deref().map(String::as_str);
        match service.verify(name, &typed, token, true) {
            Ok(Verdict::Granted { known_device }) => {
                let kept = known_device
                    .map(Zeroizing::new)
                    .map(|token| gate.keep_service_token(name, &token, &mut UnwrapErr(SysRng)));
                if let Some(Err(error)) = kept {
                    person.log(&format!("the service will not know this host: {error}"));
                }
                return Ok(Outcome::Granted);
            }
            Ok(Verdict::Refused(refusal)) => {
                person.log(&format!("{}: refused by the service: {}", shown(user), refusal.code()));
                let now = now(&options, &gate)?;
                let refusal = gate.disguise(Some(name), &typed, refusal, now)?;
                compact(&mut gate, now, person);
                tell(&refusal, now, person);
                return Ok(Outcome::Refused);
            }
            // Only a verdict is one. Without it the code that was typed is not used here: it is
            // another authenticator's.
            Err(error) => {
                person.log(&format!("{}: {error}; asking for the code of this host", shown(user)));
                person.tell(
                    "The service gives no verdict. This host has an authenticator of its own.",
                );
                match answer(person, "doorstep code for this host: ") {
                    Some(again) => typed = again,
                    None => return Ok(Outcome::Refused),
                }
            }
        }
    }
    let now = now(&options, &gate)?;
    let verdict = gate.verify(name.as_ref(), &typed, None, now)?;
    compact(&mut gate, now, person);
    match verdict {
        Ok(_) => Ok(Outcome::Granted),
        Err(refusal) => {
            person.log(&format!("{}: refused: {}", shown(user), refusal.code()));
            tell(&refusal, now, person);
            Ok(Outcome::Refused)
        }
    }
}

fn compact(gate: &mut Gate, now: Timestamp, person: &impl Conversation) {
    if let Err(error) = gate.compact(now) {
        person.log(&format!("the state file grows: {error}; {}", error.hint()));
    }
}

fn tell(refusal: &Refusal, now: Timestamp, person: &impl Conversation) {
    let words = match refusal {
        Refusal::Throttled { until: Some(until) } => {
            format!("{refusal}, for {} minutes more", until.since(now).div_ceil(60))
        }
        _ => refusal.to_string(),
    };
    person.tell(&format!("Not let in: {words}. {}", hint(refusal)));
}

/// What was typed; `None` for nothing, and for what is too long to be a code.
fn answer(person: &impl Conversation, prompt: &str) -> Option<Zeroizing<String>> {
    let typed = person.ask(prompt)?;
    if typed.trim_ascii().is_empty() || typed.len() > LONGEST {
        person.log("no code was typed");
        return None;
    }
    Some(typed)
}

fn now(options: &Options, gate: &Gate) -> Result<Timestamp, Trouble> {
    match &options.clock {
        None => Ok(clock::system()),
        Some(_) if !gate.is_test() => Err(GateError::Real.into()),
        Some(path) => clock::simulated(path).ok_or_else(|| Trouble {
            what: "the clock file does not hold UTC seconds".to_owned(),
            hint: "see doorstep clock --help",
        }),
    }
}

/// A user's name as a log may hold it: whoever logs in at sshd chooses it.
fn shown(user: &str) -> String {
    user.chars()
        .take(64)
        .map(|symbol| if symbol.is_ascii_graphic() { symbol } else { '?' })
        .collect()
}
