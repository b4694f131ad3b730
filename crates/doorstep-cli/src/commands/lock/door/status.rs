//! `doorstep lock status`: what the lock believes and remembers. Nothing of it is secret.

use super::At;
use super::passes::{state_json, state_lines};
use crate::error::CliError;
use crate::lock::journal::Known;
use crate::lock::{VirtualLock, Woken};
use crate::output::{Answer, BAD, GOOD, WARN};
use crate::text::{clock_face, exact_face, rfc3339, span_text};
use doorstep::clock::{AfterPowerLoss, Belief};
use doorstep::door::MARKS;
use doorstep::door::state::State;
use doorstep::keypad::record::Source;
use doorstep::throttle::Bucket;
use doorstep::time::Timestamp;
use serde_json::{Map, Value, json};

pub(crate) fn run(at: &At) -> Result<Answer, CliError> {
    let mut lock = at.open()?;
    let no_power_until = match lock.wake()? {
        Woken::Dark { until } => Some(until),
        Woken::Awake(_) => None,
    };
    let (installed, _) = lock.base()?;
    // Without power it knows what it wrote down last, and will know no more when it wakes.
    let (known, state) = lock.look()?;
    let status = Status { lock, installed, known, state, no_power_until };
    Ok(Answer::new(status.json(), status.text()))
}

struct Status {
    lock: VirtualLock,
    installed: Timestamp,
    /// At the last record.
    known: Known,
    /// Now.
    state: State<MARKS>,
    no_power_until: Option<Timestamp>,
}

impl Status {
    fn attempts(&self) -> Vec<Attempts> {
        Attempts::all(&self.state, self.lock.door().totp().is_some())
    }

    /// When codes begin to fail if nothing is heard until then, and in how many seconds. Those of steps may
    /// fail earlier than PINs.
    fn fails(&self) -> Option<(Timestamp, u64)> {
        let lasts = self.lock.door().lasts(&self.state);
        (lasts > 0).then(|| (self.state.keypad.belief().probable().later(lasts), lasts))
    }

    fn json(&self) -> Value {
        let (door, keypad) = (self.lock.door(), &self.state.keypad);
        let (belief, marks) = (keypad.belief(), keypad.marks());
        let (clock, now, fails) = (door.clock(), belief.now(), self.fails());
        let attempts = self.attempts().into_iter().map(|kind| {
            let (left, of) = (kind.left(), kind.bucket.pace().burst);
            let next = json!({ "left": left, "of": of, "next_in_seconds": kind.next() });
            (kind.name.to_owned(), next)
        });
        json!({
            "lock": door.id().as_str(), "generation": door.generation(), "test": self.lock.is_test(),
            "installed_at": rfc3339(self.installed),
            "no_power_until": self.no_power_until.map(rfc3339),
            "epoch": keypad.epoch(), "next_epoch_announced": keypad.is_announced(),
            "clock": {
                "oscillator": clock.oscillator.name(),
                "after_power_loss": clock.after_power_loss.name(),
                "is_set": now.is_some(), "is_lost": belief.is_lost(),
                "earliest": now.map(|now| rfc3339(now.earliest)),
                "probable": rfc3339(belief.probable()),
                "latest": now.map(|now| rfc3339(now.latest)),
                "floor": rfc3339(belief.floor()),
                "uncertainty_seconds": belief.uncertainty(), "rate_ppb": belief.rate(),
                "lasts_seconds": fails.map_or(0, |(_, lasts)| lasts),
                "fails_on": fails.map(|(day, _)| rfc3339(day)),
            },
            "marks": {
                "used": marks.iter().count(), "of": MARKS,
                "room_for_single_use": marks.room(true), "room_for_revocations": marks.room(false),
            },
            "attempts": attempts.collect::<Map<_, _>>(),
            "passes": door.reader().map(|reader| state_json(reader, &self.state.passes, belief)),
            "journal": {
                "records": self.known.head.seq, "kept": self.lock.ledger().records.len(),
            },
            "pin_digits": door.lock().profile().digits().get(),
        })
    }

    fn text(&self) -> String {
        let (door, keypad) = (self.lock.door(), &self.state.keypad);
        let (belief, marks) = (keypad.belief(), keypad.marks());
        let face = |at: Timestamp| clock_face(at, belief.probable());
        let test = if self.lock.is_test() { " (test)" } else { "" };
        let power = self.no_power_until.map_or_else(
            || "on".to_owned(),
            |until| format!("{WARN}none{WARN:#} until {} true time", face(until)),
        );
        let opens = if door.totp().is_some() { "every kind of code opens" } else { "opens" };
        let lasts = match self.fails() {
            Some((day, lasts)) => {
                format!("{opens} until {} if it hears nothing ({})", face(day), span_text(lasts))
            }
            None if belief.now().is_some() => "not every kind of code opens now".to_owned(),
            None => "nothing opens now".to_owned(),
        };
        let after = match door.clock().after_power_loss {
            AfterPowerLoss::NeedTime => "opens for nobody until a set-time code is typed",
            AfterPowerLoss::Trust90Min => "trusts that it was off for 90 minutes at most",
        };
        let announced = if keypad.is_announced() { ", the next one is announced" } else { "" };
        let mut lines = vec![
            (
                "lock",
                format!(
                    "{} generation {}{test}, installed {}",
                    door.id(),
                    door.generation(),
                    face(self.installed)
                ),
            ),
            ("power", power),
            ("clock", clock_text(belief)),
            (
                "floor",
                format!("{} has certainly passed", exact_face(belief.floor(), belief.probable())),
            ),
            ("lasts", lasts),
            ("power cut", after.to_owned()),
            ("epoch", format!("{}{announced}", keypad.epoch())),
            (
                "marks",
                format!(
                    "{} of {MARKS}; room for {} PINs that open once, {} revocations",
                    marks.iter().count(),
                    marks.room(true),
                    marks.room(false)
                ),
            ),
        ];
        for kind in self.attempts() {
            let next = kind.next().map(|next| format!(", one more in {}", span_text(next)));
            let (left, of) = (kind.left(), kind.bucket.pace().burst);
            let text = format!("{left} of {of} at {}{}", kind.label, next.unwrap_or_default());
            lines.push(("attempts", text));
        }
        if let Some(reader) = door.reader() {
            lines.extend(state_lines(reader, &self.state.passes, belief));
        }
        lines.push(("journal", format!("{} records", self.known.head.seq)));
        lines.iter().map(|(name, text)| format!("{name:<10} {text}\n")).collect()
    }
}

fn clock_text(belief: &Belief) -> String {
    let exact = |at: Timestamp| exact_face(at, belief.probable());
    match belief.now() {
        Some(now) => format!(
            "{GOOD}set{GOOD:#}: probably {}, from {} to {} (give or take {})",
            exact(now.probable),
            exact(now.earliest),
            exact(now.latest),
            span_text(now.uncertainty()),
        ),
        None if belief.is_lost() => {
            format!("{BAD}lost{BAD:#} with the power; it takes a set-time code")
        }
        None => format!(
            "{BAD}too uncertain{BAD:#}, by {}; it takes a set-time code",
            span_text(belief.uncertainty())
        ),
    }
}

/// The attempts at one kind of code.
pub(super) struct Attempts {
    name: &'static str,
    pub(super) label: &'static str,
    bucket: Bucket,
    /// The time by which they come back.
    now: Timestamp,
}

impl Attempts {
    /// All kinds that a lock takes. Those at the keypad come back by the trusted floor, those at steps by
    /// the estimate.
    pub(super) fn all(state: &State<MARKS>, totp: bool) -> Vec<Self> {
        let belief = state.keypad.belief();
        let keypad = [
            ("pin", "PINs", Source::Pin),
            ("long_form", "long forms", Source::Long),
            ("control_code", "control codes", Source::Control),
        ];
        let keypad = keypad.map(|(name, label, source)| {
            let bucket = *state.keypad.bucket(source);
            Self { name, label, bucket, now: belief.floor() }
        });
        let (bucket, now) = (state.attempts, belief.probable());
        let steps = Self { name: "step_code", label: "codes of steps", bucket, now };
        keypad.into_iter().chain(totp.then_some(steps)).collect()
    }

    pub(super) fn left(&self) -> u8 {
        self.bucket.filled(self.now).left()
    }

    /// Seconds until one more comes back; `None` when none is missing.
    pub(super) fn next(&self) -> Option<u64> {
        let filled = self.bucket.filled(self.now);
        let next = filled.as_of().later(u64::from(filled.pace().refill));
        (filled.used() > 0).then(|| next.since(self.now))
    }
}
