//! An advice for people, on a screen or two, and for programs.

use super::answers::command;
use super::needs::Concession;
use super::{Advice, Clash, Details, Fit, Grade, Property, Unfit, WayOut};
use crate::output::{BOLD, DIM, GOOD, WARN};
use serde_json::{Value, json};

/// Everything there is to say, for programs.
pub(crate) fn to_json(advice: &Advice) -> Value {
    let ways: Vec<Value> = advice.ways_out().iter().map(way_json).collect();
    json!({
        "recommended": advice.fits.first().map(|fit| fit.method.id()),
        "fits": advice.fits.iter().map(fit_json).collect::<Vec<_>>(),
        "unfit": advice.unfit.iter().map(unfit_json).collect::<Vec<_>>(),
        "what_has_to_give": ways,
        "assumed": advice.needs.assumption(),
        "command": command(&advice.needs),
    })
}

fn parameters_json(details: &Details) -> Vec<Value> {
    let all = details.parameters.iter();
    all.map(|(name, value)| json!({ "name": name, "value": value })).collect()
}

fn numbers_json(details: &Details) -> Vec<Value> {
    let all = details.numbers.iter().map(|number| {
        json!({
            "name": number.name, "value": number.to_json(), "text": number.value.to_string(),
            "label": number.label,
        })
    });
    all.collect()
}

fn fit_json(fit: &Fit) -> Value {
    let details = &fit.details;
    let properties: Vec<Value> = fit
        .properties
        .iter()
        .map(|property| {
            json!({
                "aspect": property.aspect.name(), "grade": property.grade.name(),
                "text": property.text,
            })
        })
        .collect();
    json!({
        "method": fit.method.id(), "name": fit.method.name(), "properties": properties,
        "parameters": parameters_json(details), "numbers": numbers_json(details),
        "not_protected": details.not_protected,
        "commands": details.commands,
    })
}

fn unfit_json(unfit: &Unfit) -> Value {
    let why: Vec<Value> = unfit
        .why
        .iter()
        .map(|clash| match clash {
            Clash::Fact(why) => json!({ "why": why }),
            Clash::Wish(gives, why) => {
                let (option, value) = gives.option();
                json!({ "why": why, "option": option, "would_be": value })
            }
        })
        .collect();
    json!({ "method": unfit.method.id(), "name": unfit.method.name(), "why": why })
}

fn way_json(way: &WayOut) -> Value {
    let gives: Vec<Value> = way
        .gives
        .iter()
        .map(|(gives, why)| {
            let (option, value) = gives.option();
            json!({ "option": option, "would_be": value, "why": why })
        })
        .collect();
    json!({
        "gives": gives, "method": way.method.id(), "name": way.method.name(),
        "parameters": parameters_json(&way.details), "numbers": numbers_json(&way.details),
        "command": command(&way.needs),
    })
}

/// The advice for people: the best in full, the others in a line each; all in full if that is wanted.
pub(crate) fn to_text(advice: &Advice, all: bool) -> String {
    let mut text = String::new();
    match advice.fits.split_first() {
        None => text.push_str(&nothing(advice)),
        Some((best, others)) => {
            text.push_str(&in_full("take", best));
            if all {
                others.iter().for_each(|fit| text.push_str(&in_full("or", fit)));
            } else if !others.is_empty() {
                heading(&mut text, "also possible, and what of it is lost or kept in part");
                others.iter().for_each(|fit| text.push_str(&in_a_line(fit)));
            }
        }
    }
    if !advice.fits.is_empty() && !advice.unfit.is_empty() {
        heading(&mut text, "ruled out");
        for unfit in &advice.unfit {
            let why = unfit.why.first().map(Clash::why).unwrap_or_default();
            text.push_str(&format!("  {:<15}{DIM}{why}{DIM:#}\n", unfit.method.short()));
        }
    }
    if let Some(assumption) = advice.needs.assumption() {
        text.push_str(&format!("\n{DIM}assumed:{DIM:#} {assumption}\n"));
    }
    if !advice.fits.is_empty() || advice.ways_out().is_empty() {
        let again = command(&advice.needs);
        text.push_str(&format!("\n{DIM}the same without questions:{DIM:#}\n  {again}\n"));
    }
    text
}

fn heading(text: &mut String, words: &str) {
    text.push_str(&format!("\n{BOLD}{words}{BOLD:#}\n"));
}

fn in_full(word: &str, fit: &Fit) -> String {
    let mut text = format!("{GOOD}{word}: {}{GOOD:#}\n\n", fit.method.name());
    let details = &fit.details;
    text.push_str(&parameters(details));
    heading(&mut text, "what it is worth");
    text.push_str(&numbers(details));
    heading(&mut text, "what it keeps, and what it does not");
    for grade in [Grade::Kept, Grade::Partly, Grade::Lost] {
        for Property { aspect, text: told, .. } in fit.of(grade) {
            text.push_str(&format!("  {:<7}{:<17}{told}\n", grade.name(), aspect.name()));
        }
    }
    heading(&mut text, "not protected");
    for line in &details.not_protected {
        text.push_str(&format!("  {line}\n"));
    }
    heading(&mut text, "to begin");
    for command in &details.commands {
        text.push_str(&format!("  {command}\n"));
    }
    text
}

/// What to set it to, a line each.
fn parameters(details: &Details) -> String {
    let all = details.parameters.iter();
    all.map(|(name, value)| format!("  {name:<22}{value}\n")).collect()
}

/// What it is worth, a line each.
fn numbers(details: &Details) -> String {
    let width = details.numbers.iter().map(|number| number.label.chars().count()).max();
    let width = width.unwrap_or(0).saturating_add(2);
    let all = details.numbers.iter();
    all.map(|number| format!("  {:<width$}{}\n", number.label, number.value)).collect()
}

fn in_a_line(fit: &Fit) -> String {
    let names = |grade: Grade| {
        let names: Vec<&str> = fit.of(grade).map(|property| property.aspect.name()).collect();
        (!names.is_empty()).then(|| format!("{}: {}", grade.name(), names.join(", ")))
    };
    let told: Vec<String> =
        [names(Grade::Lost), names(Grade::Partly)].into_iter().flatten().collect();
    format!("  {:<15}{DIM}{}{DIM:#}\n", fit.method.short(), told.join("; "))
}

/// Nothing fits: what has to give, or why nothing would help.
fn nothing(advice: &Advice) -> String {
    let ways = advice.ways_out();
    let mut text = format!("{WARN}no method keeps all of that{WARN:#}\n");
    if ways.is_empty() {
        text.push_str("\nit is not your wishes that rule them out, but how things are:\n");
        for Unfit { method, why } in &advice.unfit {
            let why = why.first().map(Clash::why).unwrap_or_default();
            text.push_str(&format!("  {:<15}{DIM}{why}{DIM:#}\n", method.short()));
        }
        return text;
    }
    for (place, way) in ways.iter().enumerate() {
        heading(&mut text, if place == 0 { "what has to give" } else { "or" });
        for (gives, why) in &way.gives {
            text.push_str(&format!("  {:<26}{DIM}{why}{DIM:#}\n", option(*gives)));
        }
        text.push_str(&format!("then: {GOOD}{}{GOOD:#}\n", way.method.name()));
        text.push_str(&parameters(&way.details));
        text.push_str(&numbers(&way.details));
        text.push_str(&format!("{DIM}in full:{DIM:#} {}\n", command(&way.needs)));
    }
    text
}

fn option(gives: Concession) -> String {
    let (option, value) = gives.option();
    format!("--{option} {value}")
}
