//! `doorstep auth export`: the secrets, for another app or a backup, into a file that is new.

use super::At;
use crate::auth::aegis;
use crate::auth::authenticator::{Authenticator, label};
use crate::auth::find::find;
use crate::commands::code::warn;
use crate::error::CliError;
use crate::output::{Answer, BOLD};
use crate::randomness;
use crate::refused::Stop;
use crate::vault::passphrase::Source;
use doorstep::otp::migration::{self, BadMigration};
use doorstep::otp::otpauth::{self, Entry};
use doorstep_files::{FileError, private};
use doorstep_qr::{Qr, SCALE};
use serde_json::json;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

pub(crate) const EXAMPLES: &str = "Examples:\n  doorstep auth export --format aegis --encrypt --out backup.json\n  doorstep auth export --format otpauth --out uris.txt\n  doorstep auth export github --format qr           on the terminal, to scan with a phone\n  doorstep auth export --format migration-qr        for Google Authenticator\n\nWithout --encrypt the file holds the secrets for everyone to read.";

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// JSON of the app Aegis
    Aegis,
    /// One otpauth URI a line
    Otpauth,
    /// Google Authenticator's URIs, ten authenticators a line
    Migration,
    /// A QR code for each authenticator
    Qr,
    /// Google Authenticator's QR codes
    MigrationQr,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only these: parts of their issuers or accounts, or their numbers in `auth list`
    names: Vec<String>,
    /// How to write them
    #[arg(long, value_enum)]
    format: Format,
    /// New file to write; for QR codes a new PNG file, numbered if there are several
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Seal the Aegis file under a passphrase
    #[arg(long)]
    encrypt: bool,
    /// File that holds the passphrase to seal with on its first line
    #[arg(long, value_name = "FILE", requires = "encrypt")]
    file_passphrase_file: Option<PathBuf>,
    #[command(flatten)]
    at: At,
}

pub(crate) fn run(args: &Args) -> Result<Answer, Stop> {
    if !matches!(args.format, Format::Qr | Format::MigrationQr) {
        out(args)?;
    }
    if args.encrypt && args.format != Format::Aegis {
        return Err(CliError::usage("only the format aegis can be sealed")
            .hint("give --format aegis, or leave --encrypt out")
            .into());
    }
    let source = Source::new(args.file_passphrase_file.clone());
    if args.at.passphrase().is_stdin() && source.is_stdin() {
        return Err(CliError::usage("two passphrases cannot both come from standard input")
            .hint("give one of them in a file")
            .into());
    }
    let vault = args.at.open()?;
    let chosen = choose(vault.authenticators(), &args.names)?;
    let entries: Vec<Entry> = chosen.iter().filter_map(entry).collect();
    for one in chosen.iter().filter(|one| entry(one).is_none()) {
        warn(&format!("{} is left out: this format knows no OCRA", one.label()));
    }
    if entries.is_empty() {
        return Err(CliError::new("there is nothing to export in this format")
            .hint("doorstep auth list shows what is there")
            .into());
    }
    if !args.encrypt {
        warn("whoever sees this has the secrets; delete it once it is imported");
    }
    let texts: Vec<Zeroizing<String>> = match args.format {
        Format::Aegis => {
            let passphrase =
                if args.encrypt { Some(source.ask_new("the exported file")?) } else { None };
            let passphrase = passphrase.as_ref().map(|passphrase| passphrase.as_str());
            vec![aegis::write(&chosen, passphrase, &mut randomness::source(None))]
        }
        Format::Otpauth | Format::Qr => entries.iter().map(uri).collect::<Result<_, _>>()?,
        Format::Migration | Format::MigrationQr => migrate(&entries)?,
    };
    let (files, text) = match args.format {
        Format::Qr | Format::MigrationQr => draw(&texts, args, &entries)?,
        Format::Aegis | Format::Otpauth | Format::Migration => {
            let lines = texts.iter().map(|text| format!("{}\n", text.trim_end()));
            let lines = Zeroizing::new(lines.collect::<String>());
            (vec![write(out(args)?, lines.as_bytes())?], String::new())
        }
    };
    let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    let text = match names.as_slice() {
        [] => text,
        names => format!("exported {} into {}", entries.len(), names.join(", ")),
    };
    let left_out = chosen.len() - entries.len();
    Ok(Answer::new(
        json!({ "exported": entries.len(), "left_out": left_out, "files": files }),
        text,
    ))
}

fn choose(all: &[Authenticator], names: &[String]) -> Result<Vec<Authenticator>, CliError> {
    if names.is_empty() {
        return Ok(all.to_vec());
    }
    let places: Vec<usize> = names.iter().map(|name| find(all, name)).collect::<Result<_, _>>()?;
    let chosen = all.iter().enumerate().filter(|(place, _)| places.contains(place));
    Ok(chosen.map(|(_, one)| one.clone()).collect())
}

fn entry(authenticator: &Authenticator) -> Option<Entry> {
    match authenticator {
        Authenticator::Otp(entry) => Some(entry.clone()),
        Authenticator::Ocra(_) => None,
    }
}

fn uri(entry: &Entry) -> Result<Zeroizing<String>, CliError> {
    otpauth::write(entry).map_err(|error| CliError::new(error.to_string()))
}

fn migrate(entries: &[Entry]) -> Result<Vec<Zeroizing<String>>, CliError> {
    let mut id = [0; 4];
    randomness::source(None).fill_bytes(&mut id);
    migration::write(entries, i32::from_be_bytes(id)).map_err(|error| {
        let named = match error {
            BadMigration::Unwritable(place) => entries.get(place),
            _ => None,
        };
        let name = named.map_or_else(String::new, |entry| {
            label(&entry.issuer, &entry.account)
        });
        CliError::new(format!("Google's format cannot carry {name}"))
            .hint("it knows steps of 30 s and 6 or 8 digits only; name the others, or use --format aegis")
            .code("unwritable")
    })
}

fn out(args: &Args) -> Result<&Path, CliError> {
    args.out
        .as_deref()
        .ok_or_else(|| CliError::usage("secrets are not printed by chance").hint("give --out FILE"))
}

/// Draws QR codes: into new images, or as text for the terminal.
fn draw(
    texts: &[Zeroizing<String>],
    args: &Args,
    entries: &[Entry],
) -> Result<(Vec<PathBuf>, String), CliError> {
    let codes: Vec<Qr> = texts.iter().map(|text| Qr::of_text(text)).collect::<Result<_, _>>()?;
    let Some(out) = &args.out else {
        let drawn = codes.iter().enumerate().map(|(place, code)| {
            let name = match (args.format, entries.get(place)) {
                (Format::Qr, Some(entry)) => label(&entry.issuer, &entry.account),
                _ => format!("{} of {}", place + 1, codes.len()),
            };
            format!("{BOLD}{name}{BOLD:#}\n{}\n", *code.terminal())
        });
        return Ok((Vec::new(), drawn.collect()));
    };
    let numbered = |place: usize| match codes.len() {
        1 => out.clone(),
        _ => {
            let stem = out.file_stem().unwrap_or_default().to_string_lossy();
            out.with_file_name(format!("{stem}-{}.png", place + 1))
        }
    };
    // All names are free, or nothing is written.
    if let Some(taken) = (0..codes.len()).map(numbered).find(|path| path.exists()) {
        return Err(exists(&taken));
    }
    let written =
        codes.iter().enumerate().map(|(place, code)| write(&numbered(place), &code.png(SCALE)));
    Ok((written.collect::<Result<_, _>>()?, String::new()))
}

/// Writes a new file that only its owner reads.
fn write(path: &Path, content: &[u8]) -> Result<PathBuf, CliError> {
    private::create(path, content).map_err(|error| match error {
        FileError::Exists { .. } => exists(path),
        FileError::Io { source, .. } => CliError::io("write", path, &source),
        other => CliError::new(other.to_string()),
    })?;
    Ok(path.to_owned())
}

fn exists(path: &Path) -> CliError {
    CliError::new(format!("{} is there already, and nothing is overwritten", path.display()))
        .hint("give another name to --out")
        .code("file_exists")
}
