//! A booking as its guest reads it: when it opens, and with which PIN or pass.

use crate::client::{Client, escape};
use crate::error::CliError;
use crate::output::Answer;
use crate::text::{span_face, time_of};
use jiff::tz::TimeZone;
use serde_json::{Value, json};

/// The message for one holder.
pub(super) fn message(
    client: &Client,
    booking: &Value,
    number: u8,
    zone: &TimeZone,
) -> Result<Answer, CliError> {
    if booking["state"] == "cancelled" {
        return Err(CliError::new(
            "this booking was cancelled, so there is nothing to tell its guest",
        ));
    }
    let id = booking["id"].as_str().unwrap_or_default();
    let mut holders = booking["holders"].as_array().into_iter().flatten();
    let pin = holders.find(|holder| holder["holder"] == number && holder["pin"].is_string());
    let pass = pass_of(booking, number);
    let told = match pass {
        None => None,
        Some(pass) => pass_text(client, pass)?,
    };
    let text = match (pin, told, pass) {
        (None, None, None) => {
            return Err(CliError::new(format!("this booking has no holder {number}"))
                .hint("doorstep booking show lists them; doorstep booking friend adds one"));
        }
        (None, None, Some(pass)) => return Err(nothing_to_tell(id, number, pass)),
        (pin, told, pass) => {
            let waits = pass.is_some_and(|pass| pass["state"] == "waiting");
            let ticket = "Your phone opens too, once it collected its pass with the ticket that you were given.\n";
            let told = told.or_else(|| waits.then(|| ticket.to_owned()));
            let pin = pin.map(|pin| pin_text(booking, number, pin)).unwrap_or_default();
            pin + &told.unwrap_or_default()
        }
    };
    let lock = booking["lock"].as_str().unwrap_or_default();
    let lock = client.get(&format!("/v1/locks/{}", escape(lock)))?;
    let name = lock["name"].as_str().unwrap_or_default();
    let when = span_face(time_of(&booking["from"])?, time_of(&booking["until"])?, zone);
    let text = format!("{name}: {when}\n{text}");
    Ok(Answer::new(json!({ "booking": id, "holder": number, "text": text }), text))
}

fn pin_text(booking: &Value, number: u8, pin: &Value) -> String {
    let word = |name: &str| pin[name].as_str().unwrap_or_default();
    let once = if booking["once"] == true { " It opens once." } else { "" };
    let mut before = booking["revocations"].as_array().into_iter().flatten();
    let again = if before.any(|old| old["holder"] == number) {
        " It replaces the code that you were sent before."
    } else {
        ""
    };
    format!(
        "Your code: {}, then Enter.{once}{again}\nIf the keypad says wait, type this instead: {}\n",
        word("pin_spaced"),
        word("long_form_spaced"),
    )
}

/// The pass of a holder, from 0 as PINs: the one that was given at that place, or what followed it as the booking
/// moved.
fn pass_of(booking: &Value, number: u8) -> Option<&Value> {
    let all = booking["passes"].as_array()?;
    let follows = |pass: &&Value| all.iter().any(|before| before["successor"] == pass["id"]);
    let mut pass = all.iter().filter(|pass| !follows(pass)).nth(usize::from(number))?;
    // Each follows one before it, so this ends.
    for _ in all {
        let next = all.iter().find(|next| next["id"] == pass["successor"]);
        pass = next.unwrap_or(pass);
    }
    Some(pass)
}

/// What a guest is told of a pass that was handed out, or that is a phone's; nothing of any other.
fn pass_text(client: &Client, pass: &Value) -> Result<Option<String>, CliError> {
    if pass["state"] != "issued" {
        return Ok(None);
    }
    let id = pass["id"].as_str().unwrap_or_default();
    let shown = client.get(&format!("/v1/passes/{}?document=true", escape(id)))?;
    let text = shown["text"].as_str().unwrap_or_default();
    let whose = if pass["holder"].is_string() {
        "Your pass, for your phone alone, which has it already if it collected it"
    } else {
        "Your pass, which opens for whoever has it"
    };
    Ok(Some(format!("{whose}:\n{text}\n")))
}

/// Why there is nothing to tell of a pass, and what helps.
fn nothing_to_tell(booking: &str, number: u8, pass: &Value) -> CliError {
    let id = pass["id"].as_str().unwrap_or_default();
    if pass["state"] == "waiting" {
        return CliError::new(format!(
            "no phone has collected the pass of holder {number} yet, and its ticket was shown once"
        ))
        .hint(format!(
            "send the ticket that you were shown; instead of a lost one make another pass: doorstep pass revoke {id}, then doorstep pass issue --booking {booking} --collect"
        ));
    }
    let state = pass["state"].as_str().unwrap_or_default();
    CliError::new(format!("the pass of holder {number} is {state}")).hint(format!(
        "doorstep booking show lists the passes; another one: doorstep pass issue --booking {booking}"
    ))
}
