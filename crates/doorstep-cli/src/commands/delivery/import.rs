//! Takes in deliveries from CSV: every row or none, and every fault named by line and column.

use super::sheet::{Columns, Layout, Sheet};
use crate::client::Client;
use crate::error::CliError;
use crate::output::{Answer, GOOD, WARN};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const COLUMNS: Columns = Columns {
    known: &[
        "reference",
        "recipient",
        "phone",
        "recipient_2",
        "phone_2",
        "address",
        "note",
        "region",
        "language",
        "zone",
    ],
    required: &["reference", "recipient", "phone", "address"],
    done: "imported",
};
/// As many as the server takes at once.
const MAX_ROWS: usize = 10_000;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The file
    file: PathBuf,
    #[command(flatten)]
    layout: Layout,
    /// Country of phone numbers that name none, as ES; a column "region" says it row by row
    #[arg(long, value_name = "COUNTRY")]
    region: Option<String>,
    /// Check everything, also what is at the server, and take nothing in
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(import: &Args, client: &Client) -> Result<Answer, CliError> {
    let file = &import.file;
    let sheet = Sheet::read(file, &COLUMNS, &import.layout)?;
    let deliveries = deliveries(file, &sheet)?;
    let body = json!({
        "deliveries": deliveries, "region": import.region, "dry_run": import.dry_run,
    });
    let mut answer = client.post("/v1/deliveries/import", &body).map_err(|error| {
        error.retell(COLUMNS.not_done(file), |row, fault| {
            Some(format!("line {}, {}", sheet.rows.get(row)?.line, in_columns(fault)))
        })
    })?;
    let (count, name) = (sheet.rows.len(), file.display());
    let mut text = if import.dry_run {
        format!("{GOOD}all good{GOOD:#}: {count} deliveries in {name} could be imported")
    } else {
        format!("{GOOD}imported{GOOD:#} {count} deliveries from {name}")
    };
    if !sheet.left_out.is_empty() {
        text.push_str(&format!("\n{WARN}left out{WARN:#}: {}", sheet.left_out.join(", ")));
        answer["left_out"] = json!(sheet.left_out);
    }
    Ok(Answer::new(answer, text))
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

fn deliveries(file: &Path, sheet: &Sheet) -> Result<Vec<Value>, CliError> {
    let mut faults = Vec::new();
    if sheet.rows.len() > MAX_ROWS {
        let message = format!("{} has {} rows, more than 10,000", file.display(), sheet.rows.len());
        return Err(CliError::new(message)
            .hint("cut it into files of at most 10,000 rows; each is imported whole or not at all")
            .code("too_many_rows"));
    }
    let read = |row: &super::sheet::Row| {
        let line = row.line;
        let cell = |name| row.cell(name);
        let mut recipients = vec![json!({ "name": cell("recipient"), "phone": cell("phone") })];
        match (cell("recipient_2"), cell("phone_2")) {
            (Some(name), Some(phone)) => recipients.push(json!({ "name": name, "phone": phone })),
            (None, None) => {}
            (Some(_), None) => faults
                .push(format!("line {line}, column phone_2: is empty, but recipient_2 is not")),
            (None, Some(_)) => faults
                .push(format!("line {line}, column recipient_2: is empty, but phone_2 is not")),
        }
        json!({ "reference": cell("reference"), "address": cell("address"), "note": cell("note"),
                "region": cell("region"), "language": cell("language"), "zone": cell("zone"),
                "recipients": recipients })
    };
    let deliveries = sheet.rows.iter().map(read).collect();
    if faults.is_empty() { Ok(deliveries) } else { Err(COLUMNS.wrong(file, faults)) }
}
