//! Plans many deliveries at once: from CSV, and from one driver to another.

use super::find;
use super::sheet::{Columns, Layout, Sheet};
use crate::client::{Client, escape};
use crate::clock::Clock;
use crate::error::CliError;
use crate::output::{Answer, BAD, GOOD};
use crate::text::{parse_span, parse_time, rfc3339};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

const COLUMNS: Columns = Columns {
    known: &["reference", "driver", "device", "expected_at", "variance", "lead", "check"],
    required: &["reference", "expected_at"],
    done: "planned",
};
/// Plans in one request; the server takes up to 1,000.
const CHUNK: usize = 500;

#[derive(Debug, clap::Args)]
pub(crate) struct PlanMany {
    /// The file
    file: PathBuf,
    #[command(flatten)]
    layout: Layout,
    #[command(flatten)]
    clock: Clock,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Reassignment {
    /// The driver who has them
    #[arg(long, value_name = "DRIVER", required_unless_present = "from_device")]
    from: Option<String>,
    /// The device that has them
    #[arg(long, value_name = "DEVICE", conflicts_with = "from")]
    from_device: Option<String>,
    /// The driver who is to have them
    #[arg(long, value_name = "DRIVER", required_unless_present = "to_device")]
    to: Option<String>,
    /// The device that is to have them
    #[arg(long, value_name = "DEVICE", conflicts_with = "to")]
    to_device: Option<String>,
    /// Only these; everything that is open by default
    #[arg(long, value_delimiter = ',', value_name = "REFERENCE")]
    references: Option<Vec<String>>,
}

/// Plans what a file says. Faults of the file itself keep all of it back; what the server refuses is told
/// by line, and the others are planned.
pub(super) fn plan(many: &PlanMany, client: &Client) -> Result<Answer, CliError> {
    let sheet = Sheet::read(&many.file, &COLUMNS, &many.layout)?;
    if many.clock.is_simulated() && !client.is_test() {
        return Err(CliError::new(
            "a simulated clock is for test data, and this API key is for real data",
        ));
    }
    let plans = plans(&many.file, &sheet, &many.clock, client)?;
    let (mut results, mut planned) = (Vec::new(), 0_u64);
    for chunk in plans.chunks(CHUNK) {
        let answer = client.post("/v1/deliveries/plan_many", &json!({ "plans": chunk }))?;
        planned = planned.saturating_add(answer["planned"].as_u64().unwrap_or_default());
        results.extend(answer["results"].as_array().into_iter().flatten().cloned());
    }
    let lines: Vec<String> = sheet.rows.iter().map(|row| format!("line {}", row.line)).collect();
    Ok(answer(planned, results, |index| lines.get(index).cloned().unwrap_or_default()))
}

fn plans(
    file: &Path,
    sheet: &Sheet,
    clock: &Clock,
    client: &Client,
) -> Result<Vec<Value>, CliError> {
    let now = clock.now()?;
    let (mut devices, mut faults) = (HashMap::new(), Vec::new());
    let mut plans = Vec::with_capacity(sheet.rows.len());
    for row in &sheet.rows {
        let mut wrong = |column: &str, error: &CliError| {
            faults.push(format!("line {}, column {column}: {}", row.line, error.message()));
        };
        let mut plan = json!({ "check": row.cell("check") });
        match row.cell("expected_at").map(|text| parse_time(text, now)) {
            Some(Ok(at)) => plan["expected_at"] = json!(rfc3339(at)),
            Some(Err(error)) => wrong("expected_at", &error),
            None => {}
        }
        for (column, field) in [("variance", "variance_minutes"), ("lead", "lead_minutes")] {
            match row.cell(column).map(minutes) {
                Some(Ok(minutes)) => plan[field] = json!(minutes),
                Some(Err(error)) => wrong(column, &error),
                None => {}
            }
        }
        match (row.cell("device"), row.cell("driver")) {
            (Some(device), _) => plan["device"] = json!(device),
            (None, Some(driver)) => {
                // Each driver is looked for once.
                let found = devices
                    .entry(driver.to_owned())
                    .or_insert_with(|| find::device_of(client, driver));
                match found {
                    Ok(device) => plan["device"] = json!(device),
                    Err(error) => wrong("driver", error),
                }
            }
            (None, None) => wrong("driver", &CliError::new("is empty, and so is device")),
        }
        plans.push(json!({ "delivery": row.cell("reference"), "plan": plan }));
    }
    if faults.is_empty() { Ok(plans) } else { Err(COLUMNS.wrong(file, faults)) }
}

/// A span in whole minutes, as plans have them.
pub(super) fn minutes(text: &str) -> Result<u64, CliError> {
    match parse_span(text)? {
        seconds if seconds % 60 == 0 => Ok(seconds / 60),
        _ => Err(CliError::usage(format!("\"{text}\" is not a whole number of minutes"))),
    }
}

/// Gives what one driver has still to deliver to another.
pub(super) fn reassign(reassign: &Reassignment, client: &Client) -> Result<Answer, CliError> {
    let to = match (&reassign.to_device, &reassign.to) {
        (Some(device), _) => device.clone(),
        (None, Some(driver)) => find::device_of(client, driver)?,
        (None, None) => return Err(CliError::usage("say to whom: --to DRIVER")),
    };
    let from = match (&reassign.from_device, &reassign.from) {
        (Some(device), _) => vec![device.clone()],
        (None, Some(driver)) => holders(client, driver, &to)?,
        (None, None) => return Err(CliError::usage("say from whom: --from DRIVER")),
    };
    let (mut results, mut planned) = (Vec::new(), 0_u64);
    for device in &from {
        let body = json!({ "from": device, "to": to, "references": reassign.references });
        let answer = client.post("/v1/deliveries/reassign", &body)?;
        planned = planned.saturating_add(answer["planned"].as_u64().unwrap_or_default());
        results.extend(answer["results"].as_array().into_iter().flatten().cloned());
    }
    if from.len() > 1 {
        // Asked of each of the driver's devices, a reference is with one of them at most.
        let done: Vec<Value> = results
            .iter()
            .filter(|result| !result["generation"].is_null())
            .map(|result| result["reference"].clone())
            .collect();
        let mut told = Vec::new();
        results.retain(|result| {
            let reference = result["reference"].clone();
            let first = !told.contains(&reference);
            let own = !result["generation"].is_null();
            told.push(reference.clone());
            own || (first && !done.contains(&reference))
        });
    }
    Ok(answer(planned, results, |_| String::new()))
}

/// The devices of a driver, in whatever state: a lost one is what deliveries are taken from.
fn holders(client: &Client, driver: &str, to: &str) -> Result<Vec<String>, CliError> {
    let mut holders: Vec<String> = Vec::new();
    let query = format!("/v1/deliveries?limit=200&driver={}", escape(driver));
    let mut path = query.clone();
    loop {
        let page = client.get(&path)?;
        for delivery in page["data"].as_array().into_iter().flatten() {
            let open = matches!(
                delivery["state"].as_str(),
                Some("planned" | "handed_out" | "notified" | "failed")
            );
            let device = delivery["device"].as_str().filter(|device| open && *device != to);
            if let Some(device) = device.filter(|device| !holders.iter().any(|own| own == device)) {
                holders.push(device.to_owned());
            }
        }
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("{query}&cursor={}", escape(cursor));
    }
    if holders.is_empty() {
        return Err(CliError::new(format!("\"{driver}\" has no open delivery"))
            .hint("doorstep delivery list --driver NAME shows them; look at the spelling")
            .code("nothing_open"));
    }
    Ok(holders)
}

fn answer(planned: u64, results: Vec<Value>, place: impl Fn(usize) -> String) -> Answer {
    let refused: Vec<String> = results
        .iter()
        .enumerate()
        .filter(|(_, result)| result["generation"].is_null())
        .map(|(index, result)| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let place = [place(index), text(&result["reference"])];
            let place: Vec<String> = place.into_iter().filter(|part| !part.is_empty()).collect();
            let problem = &result["problem"];
            let fields = problem["errors"].as_array().into_iter().flatten();
            let fields: Vec<String> = fields
                .map(|error| format!("{}: {}", text(&error["field"]), text(&error["message"])))
                .collect();
            let what = if fields.is_empty() { text(&problem["detail"]) } else { fields.join("; ") };
            format!("  {}: {what}", place.join(", "))
        })
        .collect();
    let mut text = format!("{GOOD}planned{GOOD:#} {planned} deliveries");
    if !refused.is_empty() {
        text.push_str(&format!("\n{BAD}not planned{BAD:#} {}:\n", refused.len()));
        text.push_str(&refused.join("\n"));
    }
    let json = json!({ "planned": planned, "refused": refused.len(), "results": results });
    if refused.is_empty() { Answer::new(json, text) } else { Answer::refused(json, text) }
}
