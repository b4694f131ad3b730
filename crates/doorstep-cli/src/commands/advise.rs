//! `doorstep advise`: from what somebody needs to the method that keeps it.

use crate::advise::answers::Answers;
use crate::advise::ask::{ask, template};
use crate::advise::render::{to_json, to_text};
use crate::advise::tables::{self, Table};
use crate::advise::{Advice, advise};
use crate::error::CliError;
use crate::input::read_file;
use crate::output::Answer;
use serde_json::{Value, json};
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "In a terminal it asks for what the options leave out. Exit status 3: no method keeps all of that, and the\nanswer is what has to give.\n\nExamples:\n  doorstep advise\n  doorstep advise --verifier lock --contact never --oscillator crystal --phone none --entry typed --lifetime 2h --uses many --active 2 --places one --tries robot --revocation later --opened itself\n  doorstep advise --template > needs.toml\n  doorstep advise --answers needs.toml\n  doorstep advise --answers needs.toml --lifetime 30d --json\n\ndocs/choosing.md works through deliveries, locks and logins."
)]
pub(crate) struct Args {
    /// A file of answers (TOML); options count before it; - reads it from standard input
    #[arg(long, value_name = "FILE", num_args = 1..)]
    answers: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) said: Answers,
    /// Every method that fits in full, not the best alone
    #[arg(long)]
    all: bool,
    /// Write a file of answers to fill in
    #[arg(long, conflicts_with_all = ["answers", "all", "table"])]
    template: bool,
    /// Write a table in Markdown, as docs/choosing.md quotes it
    #[arg(long, value_enum)]
    table: Option<Table>,
}

pub(crate) fn run(args: Args, json: bool) -> Result<Answer, CliError> {
    if args.template {
        let template = template();
        return Ok(Answer::new(json!({ "template": template }), template));
    }
    if let Some(table) = args.table {
        return self::table(table, &args.answers);
    }
    let filed = match args.answers.as_slice() {
        [] => Answers::default(),
        [file] => read(file)?,
        _ => {
            return Err(CliError::usage("one file of answers at a time")
                .hint("several are for --table scenarios"));
        }
    };
    let mut answers = args.said.over(filed);
    let there = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    if there && !json && !answers.missing().is_empty() {
        answers = ask(answers, &mut std::io::stdin().lock(), &mut anstream::stderr())?;
    }
    let advice = advise(answers.needs()?);
    let (json, text) = (to_json(&advice), to_text(&advice, args.all));
    Ok(if advice.fits.is_empty() { Answer::refused(json, text) } else { Answer::new(json, text) })
}

fn read(file: &Path) -> Result<Answers, CliError> {
    let content = read_file(file)?;
    let text = std::str::from_utf8(&content)
        .map_err(|_| CliError::usage(format!("{} is not text", file.display())))?;
    Answers::parse(text)
}

fn table(table: Table, files: &[PathBuf]) -> Result<Answer, CliError> {
    let named = |file: &PathBuf| -> Result<(String, Advice), CliError> {
        let name = file.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        Ok((name.to_owned(), advise(read(file)?.needs()?)))
    };
    let text = match table {
        Table::Methods => tables::of_methods(),
        Table::Scenarios => {
            let mut all = files.iter().map(named).collect::<Result<Vec<_>, _>>()?;
            // A shell's order depends on its language.
            all.sort_by(|(one, _), (other, _)| one.cmp(other));
            tables::of_scenarios(&all)
        }
        Table::Search => tables::of_search(),
        Table::Clocks => tables::of_clocks(),
        Table::Passes => tables::of_passes(),
        Table::Plain => tables::of_plain(),
    };
    Ok(Answer::new(Value::from(text.as_str()), text))
}
