//! `doorstep auth import`: what other apps export, taken in whole or not at all.

use super::At;
use crate::auth::aegis::{self, Aegis, BadAegis};
use crate::auth::incoming::{Fate, Incoming, of_image, of_lines, take_in};
use crate::error::CliError;
use crate::input::{is_image, read_file};
use crate::output::{Answer, table};
use crate::refused::{Refused, Stop};
use crate::vault::passphrase::Source;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

pub(crate) const EXAMPLES: &str = "Examples:\n  doorstep auth import aegis-export.json\n  doorstep auth import uris.txt              one otpauth or migration URI a line\n  doorstep auth import google-authenticator.png\n\nEither everything that can be used is added, or nothing is. Steam codes follow no standard and\nare refused; --skip-refused takes the rest. What the vault has already is left as it is.";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What was exported: Aegis JSON, plain or sealed; a list of URIs; an image with QR codes
    file: PathBuf,
    /// File that holds the passphrase of a sealed export on its first line
    #[arg(long, value_name = "FILE")]
    file_passphrase_file: Option<PathBuf>,
    /// Add the rest when some cannot be used
    #[arg(long)]
    skip_refused: bool,
    #[command(flatten)]
    at: At,
}

pub(crate) fn run(args: &Args) -> Result<Answer, Stop> {
    let incoming = read(args)?;
    if incoming.is_empty() {
        return Err(Refused::new(
            "nothing_found",
            format!("{} holds no authenticators", args.file.display()),
            "export them again, as Aegis JSON or as otpauth URIs",
        )
        .into());
    }
    let all_or_nothing = incoming.iter().any(|one| one.read.is_err()) && !args.skip_refused;
    if all_or_nothing {
        return Err(some_refused(&incoming).into());
    }
    let mut vault = args.at.open_or_make()?;
    let (fates, known) = vault.update(|authenticators| {
        let fates = take_in(authenticators, &incoming);
        let label = |place: usize| authenticators.get(place).map(|one| one.label());
        let known: Vec<_> = fates
            .iter()
            .map(|fate| if let Fate::Known(place) = fate { label(*place) } else { None })
            .collect();
        Ok((fates, known))
    })?;
    let rows: Vec<Row> = incoming
        .iter()
        .zip(&fates)
        .zip(known)
        .map(|((one, fate), known)| Row::new(one, *fate, known.as_deref()))
        .collect();
    let count = |result: &str| rows.iter().filter(|row| row.result == result).count();
    let (added, known, refused) = (count("added"), count("known"), count("refused"));
    let json = json!({
        "vault": vault.path(), "added": added, "known": known, "refused": refused,
        "authenticators": rows.iter().map(Row::to_json).collect::<Vec<_>>(),
    });
    let text = format!("{}{added} added, {known} known already, {refused} refused\n", shown(&rows));
    Ok(Answer::new(json, text))
}

fn some_refused(incoming: &[Incoming]) -> Refused {
    let refused = incoming.iter().filter(|one| one.read.is_err());
    let rows: Vec<Row> = refused.map(|one| Row::new(one, Fate::Refused, None)).collect();
    let message = format!("{} of {} cannot be used", rows.len(), incoming.len());
    Refused {
        details: rows.iter().map(Row::to_json).collect(),
        listing: shown(&rows),
        ..Refused::new("unusable", message, "nothing was added; --skip-refused takes the rest")
    }
}

/// What became of one authenticator, to be shown.
struct Row {
    result: &'static str,
    name: String,
    remarks: String,
}

impl Row {
    fn new(one: &Incoming, fate: Fate, known: Option<&str>) -> Self {
        let (result, remarks) = match (&one.read, fate) {
            (Err(why), _) => ("refused", why.clone()),
            (Ok(_), Fate::Known(_)) => {
                ("known", format!("as {}", known.unwrap_or("another of this file")))
            }
            (Ok(_), _) => ("added", one.warnings.join("; ")),
        };
        Self { result, name: one.name.clone(), remarks }
    }

    fn to_json(&self) -> Value {
        json!({ "name": self.name, "result": self.result, "remarks": self.remarks })
    }
}

fn shown(rows: &[Row]) -> String {
    let head = ["result", "name", "remarks"].map(str::to_owned).to_vec();
    let cells =
        rows.iter().map(|row| vec![row.result.to_owned(), row.name.clone(), row.remarks.clone()]);
    table(&std::iter::once(head).chain(cells).collect::<Vec<_>>())
}

fn read(args: &Args) -> Result<Vec<Incoming>, Stop> {
    let stdin = Path::new("-");
    let others = [args.at.passphrase(), Source::new(args.file_passphrase_file.clone())];
    let uses =
        usize::from(args.file == stdin) + others.iter().filter(|source| source.is_stdin()).count();
    if uses > 1 {
        return Err(CliError::usage("only one thing can come from standard input")
            .hint("give the others in files")
            .into());
    }
    let file = read_file(&args.file)?;
    if is_image(&file) {
        return Ok(of_image(&file)?);
    }
    if file.trim_ascii_start().starts_with(b"{") {
        return aegis(&file, args);
    }
    let text = std::str::from_utf8(&file).map_err(|_| {
        CliError::new(format!("{} is in no known format", args.file.display()))
            .hint("Aegis JSON, a list of otpauth URIs, or a PNG or JPEG image are read")
    })?;
    Ok(of_lines(text))
}

fn aegis(file: &[u8], args: &Args) -> Result<Vec<Incoming>, Stop> {
    let name = args.file.display();
    let bad = |bad: BadAegis| -> Stop {
        let message = format!("cannot read {name}: {}", bad.message());
        match bad {
            BadAegis::Passphrase => Refused::new(
                "wrong_file_passphrase",
                message,
                "give the passphrase that this file was exported with",
            )
            .into(),
            _ => CliError::new(message)
                .hint("export it again; Aegis JSON, plain or sealed under a passphrase, is read")
                .code("bad_import")
                .into(),
        }
    };
    match aegis::parse(file).map_err(bad)? {
        Aegis::Plain(incoming) => Ok(incoming),
        Aegis::Sealed(sealed) => {
            let source = Source::new(args.file_passphrase_file.clone());
            let passphrase = source.ask(&args.file.display().to_string())?;
            aegis::open(&sealed, &passphrase).map_err(bad)
        }
    }
}
