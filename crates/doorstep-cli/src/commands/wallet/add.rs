//! `doorstep wallet add`: a pass that somebody handed over.

use super::At;
use crate::commands::code::warn;
use crate::error::CliError;
use crate::output::{Answer, GOOD};
use crate::pass_file;
use crate::refused::Stop;
use crate::text::hides;
use crate::wallet::pass::{BadPass, HeldPass, Standing};
use serde_json::json;

pub(crate) const EXAMPLES: &str = "Examples:\n  doorstep wallet add pass.png                        a picture of its QR code, PNG or JPEG\n  doorstep wallet add pass.bin --label \"Court 3\"\n  doorstep wallet add - < pass.txt                    the text that begins with DP1:\n\nA phone cannot tell whether a lock will take the pass. The text of a bearer pass is as good as the\npass, and other users of this machine see what stands in a command.";

/// The longest label, in bytes.
const MAX_LABEL: usize = 100;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The pass: an image, a file with its bytes or its text, the text itself, or - for standard input
    #[arg(value_name = "PASS")]
    pass: String,
    /// How you call the door
    #[arg(long, value_name = "TEXT", value_parser = label)]
    label: Option<String>,
    #[command(flatten)]
    at: At,
}

fn label(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.len() > MAX_LABEL || text.chars().any(hides) {
        return Err(format!("1 to {MAX_LABEL} bytes that can all be seen"));
    }
    Ok(text.to_owned())
}

pub(crate) fn run(args: &Args) -> Result<Answer, Stop> {
    args.at.refuse_stdin_twice(&args.pass, "pass")?;
    let document = pass_file::read(&args.pass)?;
    let held = HeldPass::new(document, args.label.clone()).map_err(|bad| explain(&bad))?;
    let now = args.at.clock.now()?;
    let mut wallet = args.at.open()?;
    wallet.update(|wallet| wallet.add(held.clone()))?;
    if held.is_bearer() {
        warn(
            "this is a bearer pass: whoever has a copy of it can open; delete the one that you added",
        );
    }
    if held.window().is_none() {
        warn("only its lock can read this pass: keep it as if whoever has a copy could open");
    }
    if held.standing(now) == Standing::Over {
        warn("its time is over");
    }
    let text = format!("{GOOD}added{GOOD:#} {} {}", held.id_text(), held.name());
    Ok(Answer::new(json!({ "added": held.to_json(now) }), text))
}

fn explain(bad: &BadPass) -> CliError {
    match bad {
        BadPass::Malformed(part) => pass_file::not_one(&format!("malformed {part}")),
        BadPass::Rider => CliError::new("this is news for locks, not a pass")
            .hint("hold it to the lock: doorstep lock tap; a wallet gets its own by doorstep wallet sync")
            .code("not_a_pass"),
        BadPass::Proven => CliError::new("this is a pass that was shown to a lock, with its holder's proof")
            .hint("the proof is good for that one moment; ask for the pass itself")
            .code("not_a_pass"),
    }
}
