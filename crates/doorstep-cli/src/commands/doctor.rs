//! `doorstep doctor`: looks at what a server stands on.

use super::config::Settings;
use crate::clock::Clock;
use crate::error::CliError;
use crate::output::{Answer, BAD, DIM, GOOD, WARN};
use doorstep_server::doctor::{Verdict, examine};
use serde_json::json;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  doorstep doctor --data /var/lib/doorstep\n  doorstep --json doctor --config /etc/doorstep/doorstep.toml\n\nNothing is changed, and the server may be running. Exit status: 0 if it can run, 3 if something is bad."
)]
pub(crate) struct Args {
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    clock: Clock,
}

pub(crate) fn run(args: Args) -> Result<Answer, CliError> {
    let loaded = args.settings.load(&[])?;
    let findings = examine(&loaded.config, args.clock.now()?);
    let mut text = String::new();
    for finding in &findings {
        let (style, word) = match finding.verdict {
            Verdict::Good => (GOOD, "good"),
            Verdict::Look => (WARN, "look"),
            Verdict::Bad => (BAD, "bad "),
        };
        text.push_str(&format!("{style}{word}{style:#}  {}: {}\n", finding.about, finding.seen));
        if let Some(hint) = finding.hint {
            text.push_str(&format!("      {DIM}hint: {hint}{DIM:#}\n"));
        }
    }
    let bad = findings.iter().any(|finding| finding.verdict == Verdict::Bad);
    let json = json!({ "healthy": !bad, "findings": findings });
    Ok(if bad { Answer::refused(json, text) } else { Answer::new(json, text) })
}
