//! Reads deliveries from CSV: every row or none, and every fault named by line and column.

use crate::client::Client;
use crate::error::CliError;
use crate::output::{Answer, GOOD};
use serde_json::{Value, json};
use std::path::Path;

const COLUMNS: [&str; 7] =
    ["reference", "recipient", "phone", "recipient_2", "phone_2", "address", "note"];
const REQUIRED: [&str; 4] = ["reference", "recipient", "phone", "address"];

pub(super) fn run(file: &Path, client: &Client) -> Result<Answer, CliError> {
    let (deliveries, lines) = read_csv(file)?;
    let body = json!({ "deliveries": deliveries });
    let answer = client.post("/v1/deliveries/import", &body).map_err(|error| {
        let message = format!("{} was not imported; nothing was changed", file.display());
        error.retell(message, |row, fault| {
            Some(format!("line {}, {}", lines.get(row)?, in_columns(fault)))
        })
    })?;
    let count = lines.len();
    Ok(Answer::new(
        answer,
        format!("{GOOD}imported{GOOD:#} {count} deliveries from {}", file.display()),
    ))
}

/// A fault that the server found in a field, told of the column that the field came from.
fn in_columns(fault: &str) -> String {
    let Some((field, what)) = fault.split_once(": ") else {
        return fault.to_owned();
    };
    let column = match field {
        "recipients[0].name" => "recipient",
        "recipients[0].phone" => "phone",
        "recipients[1].name" => "recipient_2",
        "recipients[1].phone" => "phone_2",
        field => field,
    };
    format!("column {column}: {what}")
}

/// Reads the rows, with the line on which each begins. Every fault is named by line and column.
fn read_csv(file: &Path) -> Result<(Vec<Value>, Vec<u64>), CliError> {
    let wrong = |details: Vec<String>| {
        CliError::new(format!("{} was not imported; nothing was changed", file.display()))
            .details(details.into_iter().map(Into::into).collect())
            .hint("mend the file and import it again; every row is imported, or none")
            .code("malformed_csv")
    };
    let bytes = std::fs::read(file).map_err(|error| CliError::io("read", file, &error))?;
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        let line =
            bytes.iter().take(error.valid_up_to()).filter(|byte| **byte == b'\n').count() + 1;
        wrong(vec![format!("line {line}: not UTF-8; save the file as UTF-8")])
    })?;
    let mut reader =
        csv::ReaderBuilder::new().from_reader(text.trim_start_matches('\u{feff}').as_bytes());
    let header = reader.headers().map_err(|error| wrong(vec![format!("line 1: {error}")]))?.clone();
    let mut faults: Vec<String> = header
        .iter()
        .filter(|name| !COLUMNS.contains(name))
        .map(|name| format!("line 1: unknown column {name:?}; known are {}", COLUMNS.join(", ")))
        .collect();
    for name in REQUIRED {
        if !header.iter().any(|column| column == name) {
            faults.push(format!("line 1: there is no column \"{name}\""));
        }
    }
    for name in COLUMNS {
        if header.iter().filter(|column| *column == name).count() > 1 {
            faults.push(format!("line 1: the column \"{name}\" appears twice"));
        }
    }
    if !faults.is_empty() {
        return Err(wrong(faults));
    }
    let (mut deliveries, mut lines) = (Vec::new(), Vec::new());
    for row in reader.records() {
        let row = match row {
            Ok(row) => row,
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                let what = match error.kind() {
                    csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                        format!("{len} columns where the first row has {expected_len}")
                    }
                    _ => "not readable as CSV".to_owned(),
                };
                faults.push(format!("line {line}: {what}"));
                continue;
            }
        };
        let line = row.position().map_or(0, csv::Position::line);
        let cell = |name: &str| {
            let index = header.iter().position(|column| column == name)?;
            row.get(index).map(str::trim).filter(|cell| !cell.is_empty())
        };
        for name in REQUIRED {
            if cell(name).is_none() {
                faults.push(format!("line {line}, column {name}: is empty"));
            }
        }
        let mut recipients = vec![json!({ "name": cell("recipient"), "phone": cell("phone") })];
        match (cell("recipient_2"), cell("phone_2")) {
            (Some(name), Some(phone)) => recipients.push(json!({ "name": name, "phone": phone })),
            (None, None) => {}
            (Some(_), None) => faults
                .push(format!("line {line}, column phone_2: is empty, but recipient_2 is not")),
            (None, Some(_)) => faults
                .push(format!("line {line}, column recipient_2: is empty, but phone_2 is not")),
        }
        let mut delivery = json!({ "reference": cell("reference"), "address": cell("address"), "recipients": recipients });
        if let Some(note) = cell("note") {
            delivery["note"] = json!(note);
        }
        deliveries.push(delivery);
        lines.push(line);
    }
    if deliveries.is_empty() && faults.is_empty() {
        faults.push("line 2: there are no rows".to_owned());
    }
    if faults.is_empty() { Ok((deliveries, lines)) } else { Err(wrong(faults)) }
}
