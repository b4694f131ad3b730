//! `doorstep lock status`: what the lock believes and remembers. Nothing of it is secret.

use super::At;
use super::journal::source_name;
use crate::error::CliError;
use crate::lock::Woken;
use crate::output::{Answer, BAD, GOOD, WARN};
use crate::text::{clock_face, exact_face, rfc3339, span_text};
use doorstep::clock::AfterPowerLoss;
use doorstep::door::MARKS;
use doorstep::door::state::State;
use doorstep::keypad::record::Source;
use doorstep::throttle::Bucket;
use doorstep::time::Timestamp;
use serde_json::{Map, Value, json};

pub(crate) fn run(at: &At) -> Result<Answer, CliError> {
    let mut lock = at.open()?;
    let dark = match lock.wake()? {
        Woken::Dark { until } => Some(until),
        Woken::Awake(_) => None,
    };
    let (installed, _) = lock.base()?;
    // Without power it knows what it wrote down last, and will know no more when it wakes.
    let (known, state) = lock.look()?;
    let door = lock.door();
    let belief = state.keypad.belief();
    let (interval, probable) = (belief.now(), belief.probable());
    let (lasts, lost) = (belief.lasts(), belief.is_lost());
    let fails_on = (lasts > 0).then(|| probable.later(lasts));
    let marks = state.keypad.marks().iter().count();
    let (once, revocations) = (state.keypad.marks().room(true), state.keypad.marks().room(false));
    let clock = door.clock();
    let kinds = kinds(&state, door.totp().is_some());
    let attempts: Map<String, Value> = kinds
        .iter()
        .map(|(name, bucket, now)| {
            let left = bucket.filled(*now);
            (
                (*name).to_owned(),
                json!({ "left": left.left(), "of": bucket.pace().burst, "next_in_seconds": next(bucket, *now) }),
            )
        })
        .collect();
    let json = json!({
        "lock": door.id().as_str(), "generation": door.generation(), "test": lock.is_test(),
        "installed_at": rfc3339(installed), "no_power_until": dark.map(rfc3339),
        "epoch": state.keypad.epoch(), "next_epoch_announced": state.keypad.is_announced(),
        "clock": {
            "oscillator": clock.oscillator.name(), "after_power_loss": clock.after_power_loss.name(),
            "is_set": interval.is_some(), "is_lost": lost,
            "earliest": interval.map(|now| rfc3339(now.earliest)), "probable": rfc3339(probable),
            "latest": interval.map(|now| rfc3339(now.latest)), "floor": rfc3339(belief.floor()),
            "uncertainty_seconds": belief.uncertainty(), "rate_ppb": belief.rate(),
            "lasts_seconds": lasts, "fails_on": fails_on.map(rfc3339),
        },
        "marks": { "used": marks, "of": MARKS, "room_for_single_use": once, "room_for_revocations": revocations },
        "attempts": attempts,
        "journal": { "records": known.head.seq, "kept": lock.ledger().records.len() },
        "pin_digits": door.lock().profile().digits().get(),
    });
    let face = |at: Timestamp| clock_face(at, probable);
    let exact = |at: Timestamp| exact_face(at, probable);
    let power = match dark {
        Some(until) => format!("{WARN}no power{WARN:#} until {} true time", face(until)),
        None => "on".to_owned(),
    };
    let belief_text = match interval {
        Some(now) => format!(
            "{GOOD}set{GOOD:#}: probably {}, from {} to {} (give or take {})",
            exact(now.probable),
            exact(now.earliest),
            exact(now.latest),
            span_text(now.uncertainty()),
        ),
        None if lost => format!("{BAD}lost{BAD:#} with the power; it takes a set-time code"),
        None => format!(
            "{BAD}too uncertain{BAD:#}, by {}; it takes a set-time code",
            span_text(belief.uncertainty())
        ),
    };
    let lasts_text = fails_on.map_or_else(
        || "nothing opens now".to_owned(),
        |day| format!("opens until {} if it hears nothing ({})", face(day), span_text(lasts)),
    );
    let after = match clock.after_power_loss {
        AfterPowerLoss::NeedTime => "opens for nobody until a set-time code is typed",
        AfterPowerLoss::Trust90Min => "trusts that it was off for 90 minutes at most",
    };
    let announced = if state.keypad.is_announced() { ", the next one is announced" } else { "" };
    let mut text = format!(
        "lock       {} generation {}{}, installed {}\npower      {power}\nclock      {belief_text}\nfloor      {} has certainly passed\nlasts      {lasts_text}\npower cut  {after}\nepoch      {}{announced}\nmarks      {marks} of {MARKS}; room for {once} PINs that open once, {revocations} revocations\n",
        door.id(),
        door.generation(),
        if lock.is_test() { " (test)" } else { "" },
        face(installed),
        exact(belief.floor()),
        state.keypad.epoch(),
    );
    for (name, bucket, now) in &kinds {
        let next = next(bucket, *now);
        let next =
            next.map_or(String::new(), |seconds| format!(", one more in {}", span_text(seconds)));
        let left = bucket.filled(*now).left();
        text.push_str(&format!(
            "attempts   {left} of {} at {}s{next}\n",
            bucket.pace().burst,
            name.replace('_', " ")
        ));
    }
    text.push_str(&format!("journal    {} records", known.head.seq));
    Ok(Answer::new(json, text))
}

/// The kinds of codes that have attempts of their own, and the time by which those come back.
pub(super) fn kinds(state: &State<MARKS>, totp: bool) -> Vec<(&'static str, Bucket, Timestamp)> {
    let (floor, probable) = (state.keypad.belief().floor(), state.keypad.belief().probable());
    let sources = [Source::Pin, Source::Long, Source::Control];
    let keypad = sources.map(|source| (source_name(source), *state.keypad.bucket(source), floor));
    let steps = totp.then_some(("step_code", state.attempts, probable));
    keypad.into_iter().chain(steps).collect()
}

/// Seconds until one more attempt comes back; `None` when none is missing.
pub(super) fn next(bucket: &Bucket, now: Timestamp) -> Option<u64> {
    let filled = bucket.filled(now);
    let next = filled.as_of().later(u64::from(filled.pace().refill)).since(now);
    (filled.used() > 0).then_some(next)
}
