//! `doorstep auth add`: an authenticator from a URI, from QR codes, or field by field.

use super::At;
use crate::auth::authenticator::{Authenticator, BadName, Ocra};
use crate::auth::incoming::{Fate, Incoming, of_image, of_uri, take_in};
use crate::commands::code::{algorithm, read_line, secret_of, warn};
use crate::error::CliError;
use crate::input::read_file;
use crate::output::{Answer, GOOD};
use crate::refused::{Refused, Stop};
use crate::text::parse_span;
use doorstep::otp::hotp::Hotp;
use doorstep::otp::ocra::suite::Suite;
use doorstep::otp::otpauth::{Entry, Kind};
use doorstep::otp::totp::Totp;
use doorstep::otp::{Algorithm, Digits};
use serde_json::json;
use std::io::IsTerminal as _;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

pub(crate) const EXAMPLES: &str = "Examples:\n  doorstep auth add                         asks for the otpauth URI\n  doorstep auth add --uri-file uri.txt\n  doorstep auth add --image screenshot.png  one or several QR codes\n  doorstep auth add --issuer GitHub --account ana --secret-file secret.txt\n  doorstep auth add --issuer Bank --account ana --secret-file - --hotp --counter 0\n  doorstep auth add --issuer VPN --account ana --secret-file s.txt --ocra OCRA-1:HOTP-SHA1-6:QN08\n\nThe first one makes the vault and asks for its passphrase.";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The otpauth URI itself: others can see it in the list of processes and in the shell's history
    #[arg(value_name = "URI", conflicts_with_all = ["uri_file", "image", "secret_file"], hide_short_help = true)]
    uri: Option<String>,
    /// File that holds the otpauth or migration URI; - reads it from standard input, as by default
    #[arg(long, value_name = "FILE", conflicts_with_all = ["image", "secret_file"])]
    uri_file: Option<PathBuf>,
    /// Image with QR codes, PNG or JPEG
    #[arg(long, value_name = "FILE", conflicts_with = "secret_file")]
    image: Option<PathBuf>,
    #[command(flatten)]
    fields: Fields,
    #[command(flatten)]
    at: At,
}

/// An authenticator field by field.
#[derive(Debug, clap::Args)]
struct Fields {
    /// File that holds the secret, with the fields below; - reads it from standard input
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// The secret is hexadecimal, not base32
    #[arg(long, requires = "secret_file")]
    hex: bool,
    /// Who keeps the account
    #[arg(long, requires = "secret_file", default_value = "", hide_default_value = true)]
    issuer: String,
    /// The account
    #[arg(long, requires = "secret_file", default_value = "", hide_default_value = true)]
    account: String,
    /// Digits of a code, 6 to 8
    #[arg(long, requires = "secret_file", default_value_t = 6, value_parser = clap::value_parser!(u8).range(6..=8))]
    digits: u8,
    /// Hash: sha1, sha256 or sha512
    #[arg(long, requires = "secret_file", default_value = "sha1", value_parser = algorithm)]
    algorithm: Algorithm,
    /// Length of a step, up to a day; plain numbers are seconds
    #[arg(long, requires = "secret_file", default_value = "30s", value_name = "SPAN")]
    period: String,
    /// Codes that change with a counter instead of the time
    #[arg(long, requires = "secret_file", conflicts_with = "period")]
    hotp: bool,
    /// The next counter, of --hotp or of a suite
    #[arg(long, requires = "secret_file", default_value_t = 0)]
    counter: u64,
    /// Responses to a challenge, by this suite
    #[arg(long, requires = "secret_file", value_name = "SUITE", value_parser = Suite::parse, conflicts_with_all = ["hotp", "digits", "algorithm", "period"])]
    ocra: Option<Suite>,
}

pub(crate) fn run(args: &Args) -> Result<Answer, Stop> {
    let takes_stdin = |file: Option<&PathBuf>| file.is_some_and(|file| file == Path::new("-"));
    let stdin_is_uri = args.uri.is_none()
        && args.image.is_none()
        && args.fields.secret_file.is_none()
        && args.uri_file.as_ref().is_none_or(|file| file == Path::new("-"));
    if args.at.passphrase().is_stdin()
        && (stdin_is_uri || takes_stdin(args.fields.secret_file.as_ref()))
    {
        return Err(CliError::usage("passphrase and secret cannot both come from standard input")
            .hint("give one of them in a file")
            .into());
    }
    let incoming = read(args)?;
    for one in &incoming {
        if let Err(why) = &one.read {
            return Err(Refused::new(
                "unusable",
                format!("{}: {why}", one.name),
                "nothing was added; doorstep auth import --skip-refused takes the rest of several",
            )
            .into());
        }
        for warning in &one.warnings {
            warn(&format!("{}: {warning}", one.name));
        }
    }
    let mut vault = args.at.open_or_make()?;
    vault.update(|authenticators| {
        let fates = take_in(authenticators, &incoming);
        let known = fates.iter().find_map(|fate| match fate {
            Fate::Known(place) => authenticators.get(*place),
            Fate::Added | Fate::Refused => None,
        });
        match known {
            None => Ok(()),
            Some(known) => Err(Refused::new(
                "duplicate",
                format!("the vault has {} already, with the same secret", known.label()),
                "nothing was added; doorstep auth list shows what is there",
            )
            .into()),
        }
    })?;
    let added: Vec<&Authenticator> =
        incoming.iter().filter_map(|one| one.read.as_ref().ok()).collect();
    let lines =
        added.iter().map(|one| format!("{GOOD}added{GOOD:#} {} ({})\n", one.label(), one.method()));
    let text: String = lines.collect();
    let json: Vec<_> = added.iter().map(|one| one.to_json()).collect();
    Ok(Answer::new(json!({ "vault": vault.path(), "added": json }), text))
}

fn read(args: &Args) -> Result<Vec<Incoming>, CliError> {
    if let Some(image) = &args.image {
        return of_image(&read_file(image)?);
    }
    if let Some(secret) = &args.fields.secret_file {
        return Ok(vec![args.fields.read(secret)?]);
    }
    let text = match (&args.uri, &args.uri_file) {
        (Some(uri), _) => {
            warn("a URI on the command line is seen by others; give --uri-file, or standard input");
            Zeroizing::new(uri.clone())
        }
        (None, Some(file)) => read_line(file, "URI")?,
        (None, None) if std::io::stdin().is_terminal() => rpassword::prompt_password(
            "otpauth URI (not shown): ",
        )
        .map(Zeroizing::new)
        .map_err(|error| {
            CliError::new(format!("cannot ask for the URI: {error}")).hint("give --uri-file")
        })?,
        (None, None) => read_line(Path::new("-"), "URI")?,
    };
    Ok(of_uri(&text, "this URI"))
}

impl Fields {
    fn read(&self, secret_file: &Path) -> Result<Incoming, CliError> {
        let secret = secret_of(&read_line(secret_file, "secret")?, self.hex)?;
        let (issuer, account) = (self.issuer.clone(), self.account.clone());
        let name = crate::auth::authenticator::label(&issuer, &account);
        if let Some(suite) = &self.ocra {
            let ocra = Ocra { issuer, account, secret, suite: *suite, counter: self.counter };
            let read = Authenticator::of_ocra(ocra).map_err(|BadName(why)| why.to_owned());
            return Ok(Incoming { name, read, warnings: Vec::new() });
        }
        let digits = Digits::for_enrolment(self.digits)
            .ok_or_else(|| CliError::usage("a code has 6 to 8 digits"))?;
        let algorithm = self.algorithm;
        let kind = if self.hotp {
            Kind::Hotp { hotp: Hotp { algorithm, digits }, counter: self.counter }
        } else {
            let seconds = self.period.parse().or_else(|_| parse_span(&self.period))?;
            let period = NonZeroU64::new(seconds)
                .filter(|period| period.get() <= doorstep::otp::otpauth::MAX_PERIOD)
                .ok_or_else(|| CliError::usage("a step takes one second to one day"))?;
            Kind::Totp(Totp { algorithm, digits, period, ..Totp::default() })
        };
        Ok(Incoming::of_entry(Entry { issuer, account, secret, kind }, &[]))
    }
}
