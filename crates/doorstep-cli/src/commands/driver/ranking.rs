//! `doorstep driver ranking`: whose claims chance does not explain (asks the server).

use crate::client::Client;
use crate::error::CliError;
use crate::output::{self, Answer, DIM};
use crate::text::safe;
use serde_json::Value;

pub(super) fn run(client: &Client, days: u64) -> Result<Answer, CliError> {
    let answer = client.get(&format!("/v1/devices/ranking?days={days}"))?;
    let columns = ["driver", "device", "granted", "mismatches", "typos", "late", "forks", "failed"];
    let mut head: Vec<String> = columns.map(str::to_owned).to_vec();
    head.extend(["per 1000".to_owned(), "by chance".to_owned()]);
    let mut rows = vec![head];
    for device in answer["data"].as_array().into_iter().flatten() {
        let mut row: Vec<String> = columns.map(|column| text(&device[column])).to_vec();
        row.push(format!("{:.1}", device["wrong_per_1000"].as_f64().unwrap_or_default()));
        row.push(match device["chance"].as_f64().unwrap_or(1.0) {
            chance if chance >= 0.001 => format!("{chance:.3}"),
            chance => format!("{chance:.1e}"),
        });
        rows.push(row);
    }
    let told = if rows.len() == 1 {
        format!("no device claimed anything in the last {days} days")
    } else {
        let what = "by chance: how likely so many wrong codes or more are, if every customer had used up all attempts";
        format!("{}{DIM}{what}{DIM:#}", output::table(&rows))
    };
    Ok(Answer::new(answer, told))
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), safe)
}
