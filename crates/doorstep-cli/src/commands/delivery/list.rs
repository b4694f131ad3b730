//! Lists deliveries, for people, and as CSV for spreadsheets.

use crate::client::{Client, escape};
use crate::clock::Clock;
use crate::error::CliError;
use crate::output::{self, Answer, DIM};
use crate::spreadsheet;
use crate::text::{parse_time, rfc3339};
use serde_json::{Value, json};

/// What a page holds at most.
const PAGE: u16 = 200;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only those with these words in their reference, address, names or phone numbers
    #[arg(value_name = "WORDS")]
    words: Vec<String>,
    /// Only those in this state
    #[arg(long)]
    state: Option<String>,
    /// Only those of this driver
    #[arg(long)]
    driver: Option<String>,
    /// Only those of this device
    #[arg(long)]
    device: Option<String>,
    /// Only those expected from this time on: 14:30, "2026-03-02 14:30", RFC 3339, or +2h
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Only those expected before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only those whose reference begins so
    #[arg(long, value_name = "TEXT")]
    prefix: Option<String>,
    /// At most this many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=200))]
    limit: u16,
    /// Go on from an earlier answer's next_cursor
    #[arg(long)]
    cursor: Option<String>,
    /// All of them as CSV, in which no cell is a formula
    #[arg(long, conflicts_with_all = ["limit", "cursor"])]
    csv: bool,
    #[command(flatten)]
    clock: Clock,
}

pub(super) fn run(list: &Args, client: &Client) -> Result<Answer, CliError> {
    let limit = if list.csv { PAGE } else { list.limit };
    let query = format!("/v1/deliveries?limit={limit}{}", filters(list)?);
    if list.csv {
        return csv(client, &query);
    }
    let cursor = list.cursor.as_deref().map(|cursor| format!("&cursor={}", escape(cursor)));
    let mut page = client.get(&format!("{query}{}", cursor.unwrap_or_default()))?;
    // A page may be empty and not the last: the server looks at so many rows at a time.
    while let (Some([]), Some(cursor)) =
        (page["data"].as_array().map(Vec::as_slice), page["next_cursor"].as_str())
    {
        page = client.get(&format!("{query}&cursor={}", escape(cursor)))?;
    }
    let mut text = output::table(&rows(&page, false));
    if let Some(cursor) = page["next_cursor"].as_str() {
        text.push_str(&format!("{DIM}more: --cursor {cursor}{DIM:#}"));
    }
    Ok(Answer::new(page, text))
}

fn filters(list: &Args) -> Result<String, CliError> {
    let time = |text: &Option<String>| -> Result<Option<String>, CliError> {
        let Some(text) = text else { return Ok(None) };
        Ok(Some(rfc3339(parse_time(text, list.clock.now()?)?)))
    };
    let words = (!list.words.is_empty()).then(|| list.words.join(" "));
    let mut query = String::new();
    for (name, value) in [
        ("q", words),
        ("state", list.state.clone()),
        ("driver", list.driver.clone()),
        ("device", list.device.clone()),
        ("expected_from", time(&list.from)?),
        ("expected_until", time(&list.until)?),
        ("reference_prefix", list.prefix.clone()),
    ] {
        if let Some(value) = value {
            query.push_str(&format!("&{name}={}", escape(&value)));
        }
    }
    Ok(query)
}

fn csv(client: &Client, query: &str) -> Result<Answer, CliError> {
    let mut all: Vec<Vec<String>> = Vec::new();
    let mut path = query.to_owned();
    loop {
        let page = client.get(&path)?;
        let rows = rows(&page, true);
        all.extend(rows.into_iter().skip(usize::from(!all.is_empty())));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("{query}&cursor={}", escape(cursor));
    }
    let text = spreadsheet::csv(&all)?;
    Ok(Answer::new(json!({ "rows": all.len().saturating_sub(1), "csv": text }), text))
}

/// A page as a table with its head: what fits on a screen, or everything.
fn rows(page: &Value, everything: bool) -> Vec<Vec<String>> {
    let screen = ["id", "reference", "state", "driver", "expected_at", "for", "address"];
    let sheet = [
        "id",
        "reference",
        "state",
        "driver",
        "expected_at",
        "recipient",
        "phone",
        "recipient_2",
        "phone_2",
        "address",
        "note",
    ];
    let columns: &[&str] = if everything { &sheet } else { &screen };
    let head = columns.iter().map(|name| (*name).to_owned()).collect();
    let row = |delivery: &Value| {
        let recipients = &delivery["recipients"];
        let cell = |name: &&str| {
            let value = match *name {
                "recipient" => &recipients[0]["name"],
                "phone" => &recipients[0]["phone"],
                "recipient_2" => &recipients[1]["name"],
                "phone_2" => &recipients[1]["phone"],
                "for" => {
                    let names = recipients.as_array().into_iter().flatten();
                    let names: Vec<&str> =
                        names.filter_map(|recipient| recipient["name"].as_str()).collect();
                    return names.join(" or ");
                }
                name => &delivery[name],
            };
            value.as_str().unwrap_or_default().to_owned()
        };
        columns.iter().map(cell).collect()
    };
    let data = page["data"].as_array().into_iter().flatten();
    std::iter::once(head).chain(data.map(row)).collect()
}
