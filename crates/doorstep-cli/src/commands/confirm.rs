//! A question that only a person answers, before something is lost.

use crate::error::CliError;
use crate::output::DIM;
use crate::refused::{Refused, Stop};
use std::io::{IsTerminal as _, Write as _};

/// Goes on only if a person says yes.
pub(crate) fn confirm(question: &str) -> Result<(), Stop> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(CliError::usage("nobody is there to confirm").hint("give --yes").into());
    }
    let _ = write!(anstream::stderr(), "{question} {DIM}[y/N]{DIM:#} ");
    let mut line = String::new();
    stdin.read_line(&mut line).map_err(|error| {
        CliError::new(format!("cannot read the answer: {error}")).hint("give --yes")
    })?;
    if ["y", "yes"].contains(&line.trim().to_lowercase().as_str()) {
        return Ok(());
    }
    Err(Refused::new("not_confirmed", "not confirmed", "nothing was changed").into())
}
