//! `doorstep wallet collect`: the pass that a ticket stands for, made for this wallet's key.

use super::At;
use super::list::opens_text;
use crate::client::read_secret;
use crate::error::CliError;
use crate::output::{Answer, GOOD};
use crate::refused::Stop;
use crate::text::zone;
use crate::wallet::service::{Ticket, collect};
use serde_json::json;
use std::path::Path;

pub(crate) const EXAMPLES: &str = "Examples:\n  doorstep wallet collect ticket.txt --server https://passes.example\n  doorstep wallet collect - < ticket.txt\n\nA ticket is good once. If the answer gets lost, collect again with the same wallet.";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// File that holds the ticket, - for standard input, or the ticket itself
    #[arg(value_name = "TICKET")]
    ticket: String,
    /// Address of the service that made the ticket
    #[arg(
        long,
        env = "DOORSTEP_SERVER",
        default_value = "http://127.0.0.1:7070",
        value_name = "URL"
    )]
    server: String,
    #[command(flatten)]
    at: At,
}

pub(crate) fn run(args: &Args) -> Result<Answer, Stop> {
    args.at.refuse_stdin_twice(&args.ticket, "ticket")?;
    let ticket = ticket(&args.ticket)?;
    let mut wallet = args.at.open()?;
    if ticket.is_test() != wallet.is_test() {
        let (of, is) = if wallet.is_test() { ("real", "test data") } else { ("test", "real") };
        return Err(CliError::usage(format!("this is a {of} ticket, and the wallet is {is}"))
            .hint("test tickets go to wallets that were made with a simulated clock, and no others do")
            .into());
    }
    let collected = collect(&args.server, &ticket, wallet.content()).map_err(|error| {
        error.if_unreachable("the ticket is still good: collect again with this wallet")
    })?;
    let held = collected.held.clone();
    wallet.update(|wallet| wallet.take_in(collected.held, collected.riders))?;
    let now = args.at.clock.now()?;
    let opens = opens_text(&held, &zone(None)?);
    let text = format!(
        "{GOOD}collected{GOOD:#} {} {}\nopens {opens}\nnext: doorstep wallet tap {} --lock DIR, at the door",
        held.id_text(),
        held.name(),
        held.id_text().get(..4).unwrap_or_default(),
    );
    Ok(Answer::new(json!({ "collected": held.to_json(now) }), text))
}

fn ticket(source: &str) -> Result<Ticket, CliError> {
    if let Some(ticket) = Ticket::parse(source) {
        return Ok(ticket);
    }
    Ticket::parse(&read_secret(Path::new(source), "ticket")?).ok_or_else(|| {
        CliError::new("this is no ticket for a pass")
            .hint("it begins with pas_; whoever made the booking has it")
            .code("not_a_ticket")
    })
}
