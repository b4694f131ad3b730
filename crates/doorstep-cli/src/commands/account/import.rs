//! `doorstep account import`: hardware tokens and secrets of another system, every one or none.

use super::{pskc, table};
use crate::client::Client;
use crate::commands::code::warn;
use crate::error::CliError;
use crate::output::{Answer, GOOD};
use serde_json::{Value, json};
use std::path::Path;
use zeroize::Zeroizing;

/// Longer files are no list of tokens.
const LONGEST_FILE: u64 = 16 * 1024 * 1024;

/// One authenticator as a file has it.
#[derive(Debug, Default)]
pub(super) struct Row {
    /// Where it stands in the file, for telling faults: `line 3`.
    pub(super) place: String,
    pub(super) account: String,
    pub(super) label: String,
    pub(super) kind: String,
    pub(super) secret: Zeroizing<String>,
    pub(super) encoding: String,
    pub(super) algorithm: Option<String>,
    pub(super) digits: Option<u64>,
    pub(super) period: Option<u64>,
    pub(super) window: Option<String>,
    pub(super) counter: Option<u64>,
    pub(super) suite: Option<String>,
}

impl Row {
    fn to_json(&self) -> Value {
        let mut authenticator = json!({
            "kind": self.kind, "label": self.label, "secret": *self.secret,
            "encoding": self.encoding,
        });
        for (name, value) in [
            ("algorithm", self.algorithm.clone().map(Value::from)),
            ("digits", self.digits.map(Value::from)),
            ("period", self.period.map(Value::from)),
            ("window", self.window.clone().map(Value::from)),
            ("counter", self.counter.map(Value::from)),
            ("suite", self.suite.clone().map(Value::from)),
        ] {
            if let Some(value) = value {
                authenticator[name] = value;
            }
        }
        json!({ "account": self.account, "authenticator": authenticator })
    }
}

pub(super) fn run(file: &Path, client: &Client) -> Result<Answer, CliError> {
    let text = read(file)?;
    let trimmed = text.trim_start_matches('\u{feff}').trim_start();
    let rows = if trimmed.starts_with('<') { pskc::read(trimmed) } else { table::read(trimmed) };
    let rows = rows.map_err(|faults| {
        CliError::new(untouched(file))
            .details(faults.into_iter().map(Into::into).collect())
            .hint("mend the file and import it again; every row is imported, or none")
            .code("malformed_file")
    })?;
    let body = json!({ "rows": rows.iter().map(Row::to_json).collect::<Vec<_>>() });
    let answer = client.post("/v1/accounts/import", &body).map_err(|error| {
        error.retell(untouched(file), |row, fault| {
            Some(format!("{}, {}", rows.get(row)?.place, in_columns(fault)))
        })
    })?;
    for warning in answer["warnings"].as_array().into_iter().flatten() {
        let row = warning["row"].as_u64().and_then(|row| usize::try_from(row).ok());
        if let Some(row) = row.and_then(|row| rows.get(row)) {
            warn(&format!("{}: the secret is shorter than 128 bits", row.place));
        }
    }
    let told = format!(
        "{GOOD}imported{GOOD:#} {} authenticators from {}; {} accounts were made",
        rows.len(),
        file.display(),
        answer["accounts_made"]
    );
    Ok(Answer::new(answer, told))
}

fn untouched(file: &Path) -> String {
    format!("{} was not imported; nothing was changed", file.display())
}

/// A fault that the server found in a field, told of the column that the field came from.
fn in_columns(fault: &str) -> String {
    let fault = fault.strip_prefix("authenticator.").unwrap_or(fault);
    match fault.split_once(": ") {
        Some((field, what)) => format!("{field}: {what}"),
        None => fault.to_owned(),
    }
}

fn read(file: &Path) -> Result<Zeroizing<String>, CliError> {
    let size = std::fs::metadata(file).map_err(|error| CliError::io("read", file, &error))?.len();
    if size > LONGEST_FILE {
        return Err(CliError::new(format!("{} is larger than 16 MiB", file.display()))
            .hint("split it; 5,000 rows are imported at a time"));
    }
    let bytes = std::fs::read(file).map_err(|error| CliError::io("read", file, &error))?;
    String::from_utf8(bytes).map(Zeroizing::new).map_err(|_| {
        CliError::new(format!("{} is not UTF-8", file.display())).hint("save it as UTF-8")
    })
}
