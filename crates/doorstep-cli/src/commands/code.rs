//! `doorstep code`: the codes of an authenticator, for scripts, with the options of oathtool.

use crate::clock::Clock;
use crate::error::CliError;
use crate::output::Answer;
use crate::text::{parse_span, parse_time, rfc3339};
use doorstep::otp::hotp::Hotp;
use doorstep::otp::ocra::suite::Suite;
use doorstep::otp::ocra::{Challenge, Input, PinHash, Question, Response, respond};
use doorstep::otp::text::{BadSecret, read_base32, read_hex};
use doorstep::otp::totp::Totp;
use doorstep::otp::{Algorithm, Digits, OtpSecret};
use doorstep::time::Timestamp;
use serde_json::json;
use std::io::{BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Longer files hold no key.
const LONGEST_KEY_FILE: u64 = 4096;

/// The most codes that are printed at once.
const MOST_CODES: u64 = 100_000;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Codes that change with the time (RFC 6238)
    #[command(
        after_help = "Examples:\n  doorstep code totp --key-file secret.txt\n  pass show totp/example | doorstep code totp\n  doorstep code totp --key-file secret.txt --algorithm sha256 --digits 8 --now 2026-03-02T12:00:00Z --window 2"
    )]
    Totp(TotpArgs),
    /// Codes that change with a counter (RFC 4226)
    #[command(
        after_help = "Examples:\n  doorstep code hotp --key-file secret.txt --counter 7\n  doorstep code hotp --key-file secret.txt --counter 0 --window 9"
    )]
    Hotp(HotpArgs),
    /// Responses to a challenge (RFC 6287)
    #[command(
        after_help = "Examples:\n  doorstep code ocra --key-file secret.txt --suite OCRA-1:HOTP-SHA1-6:QN08 --question 12345678\n  doorstep code ocra --key-file secret.txt --suite OCRA-1:HOTP-SHA256-8:C-QN08-PSHA1 --question 12345678 --counter 3 --pin-file pin.txt\n\nMutual: give the challenge of the other side as --question and your own as --own."
    )]
    Ocra(OcraArgs),
}

/// Where the secret comes from.
#[derive(Debug, clap::Args)]
struct Key {
    /// File that holds the secret; - reads it from standard input
    #[arg(long, value_name = "FILE", default_value = "-", conflicts_with = "key")]
    key_file: PathBuf,
    /// The secret itself: others can see it in the list of processes and in the shell's history
    #[arg(long, value_name = "SECRET", hide_short_help = true)]
    key: Option<String>,
    /// The secret is hexadecimal, not base32
    #[arg(long)]
    hex: bool,
}

/// What an authenticator shows.
#[derive(Debug, clap::Args)]
struct Shape {
    /// Digits of a code, 6 to 10
    #[arg(short, long, default_value_t = 6, value_parser = clap::value_parser!(u8).range(6..=10))]
    digits: u8,
    /// Hash: sha1, sha256 or sha512
    #[arg(short, long, default_value = "sha1", value_parser = algorithm)]
    algorithm: Algorithm,
    /// How many codes to print after the first
    #[arg(short, long, default_value_t = 0, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(..MOST_CODES))]
    window: u64,
}

#[derive(Debug, clap::Args)]
pub(crate) struct TotpArgs {
    #[command(flatten)]
    key: Key,
    #[command(flatten)]
    shape: Shape,
    /// Length of a step, such as 30s or 1m; plain numbers are seconds
    #[arg(short = 's', long, alias = "time-step-size", default_value = "30s", value_name = "SPAN")]
    period: String,
    /// The time: seconds since 1970, 2026-03-02T12:00:00Z, 14:30, +30s; now by default
    #[arg(short = 'N', long, value_name = "TIME", allow_hyphen_values = true)]
    now: Option<String>,
    /// When step 0 begins (T0), as --now
    #[arg(short = 'S', long, alias = "start-time", value_name = "TIME", default_value = "0")]
    t0: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct HotpArgs {
    #[command(flatten)]
    key: Key,
    #[command(flatten)]
    shape: Shape,
    /// The counter
    #[arg(short, long, default_value_t = 0)]
    counter: u64,
}

#[derive(Debug, clap::Args)]
pub(crate) struct OcraArgs {
    #[command(flatten)]
    key: Key,
    /// The suite, such as OCRA-1:HOTP-SHA1-6:QN08
    #[arg(long, value_parser = Suite::parse)]
    suite: Suite,
    /// The challenge, or what is to be signed
    #[arg(short, long, value_name = "CHALLENGE")]
    question: String,
    /// The counter, when the suite has one
    #[arg(short, long)]
    counter: Option<u64>,
    #[command(flatten)]
    beside: Beside,
    /// The time, when the suite has one; now by default
    #[arg(short = 'N', long, value_name = "TIME")]
    now: Option<String>,
}

/// What a response may depend on beside the challenge.
#[derive(Debug, clap::Args)]
pub(crate) struct Beside {
    /// Our own challenge, for mutual authentication
    #[arg(long, value_name = "CHALLENGE")]
    own: Option<String>,
    /// File that holds the PIN, when the suite has one
    #[arg(long, value_name = "FILE")]
    pub(crate) pin_file: Option<PathBuf>,
    /// The session's information, when the suite has one
    #[arg(long, value_name = "TEXT")]
    session: Option<String>,
}

pub(crate) fn run(command: &Command) -> Result<Answer, CliError> {
    match command {
        Command::Totp(args) => totp(args),
        Command::Hotp(args) => hotp(args),
        Command::Ocra(args) => ocra(args),
    }
}

fn totp(args: &TotpArgs) -> Result<Answer, CliError> {
    let now = time_of(args.now.as_deref())?;
    let t0 = time_of(Some(&args.t0))?;
    let seconds = args.period.parse().or_else(|_| parse_span(&args.period))?;
    let period = NonZeroU64::new(seconds)
        .ok_or_else(|| CliError::new("a period of 0 has no steps").hint("most services use 30s"))?;
    let (algorithm, digits) = (args.shape.algorithm, digits_of(&args.shape)?);
    let totp = Totp { algorithm, digits, period, t0 };
    let step = totp.step(now).ok_or_else(|| {
        CliError::new("the time is before T0").hint("step 0 begins at --t0; give a later --now")
    })?;
    let keyed = totp.keyed(&args.key.read()?);
    let mut codes = Vec::new();
    let mut lines = String::new();
    for step in steps(step, args.shape.window) {
        let code = Zeroizing::new(shown(totp.code(&keyed, step).expose()));
        lines.push_str(&code);
        lines.push('\n');
        codes.push(json!({
            "code": *code, "step": step, "from": rfc3339(totp.begins(step)),
            "until": rfc3339(totp.begins(step).later(period.get())),
        }));
    }
    let json = json!({
        "codes": codes, "digits": digits.get(), "algorithm": algorithm.name(),
        "period": period, "seconds_left": totp.seconds_left(now),
    });
    Ok(Answer::new(json, lines))
}

fn hotp(args: &HotpArgs) -> Result<Answer, CliError> {
    let (algorithm, digits) = (args.shape.algorithm, digits_of(&args.shape)?);
    let hotp = Hotp { algorithm, digits };
    let keyed = hotp.keyed(&args.key.read()?);
    let mut codes = Vec::new();
    let mut lines = String::new();
    for counter in steps(args.counter, args.shape.window) {
        let code = Zeroizing::new(shown(hotp.code(&keyed, counter).expose()));
        lines.push_str(&code);
        lines.push('\n');
        codes.push(json!({ "code": *code, "counter": counter }));
    }
    let json = json!({ "codes": codes, "digits": digits.get(), "algorithm": algorithm.name() });
    Ok(Answer::new(json, lines))
}

fn ocra(args: &OcraArgs) -> Result<Answer, CliError> {
    let suite = &args.suite;
    if args.beside.pin_file.as_deref() == Some(Path::new("-")) && args.key.is_stdin() {
        return Err(CliError::new("secret and PIN cannot both come from standard input")
            .hint("give --key-file"));
    }
    let now = match suite.period() {
        Some(_) => Some(time_of(args.now.as_deref())?),
        None if args.now.is_some() => {
            return Err(misfit("time", "this suite has none: leave --now out"));
        }
        None => None,
    };
    let secret = args.key.read()?;
    let (response, time_step) =
        response(suite, &secret, &args.question, &args.beside, args.counter, now)?;
    let json = json!({ "response": *response, "suite": suite.as_str(), "time_step": time_step });
    Ok(Answer::new(json, response.as_str()))
}

/// The response to a challenge, and the time step it is for if the suite has one.
pub(crate) fn response(
    suite: &Suite,
    secret: &OtpSecret,
    question: &str,
    beside: &Beside,
    counter: Option<u64>,
    now: Option<Timestamp>,
) -> Result<(Zeroizing<String>, Option<u64>), CliError> {
    let challenge = |text: &str| {
        Challenge::parse(suite, text).ok_or_else(|| {
            CliError::new("the challenge does not fit the suite").hint(format!(
                "this suite takes 1 to {} symbols: {:?}",
                suite.challenge_length(),
                suite.format()
            ))
        })
    };
    let asked = challenge(question)?;
    let question = match &beside.own {
        None => Question::one_way(&asked),
        Some(own) => Question::mutual(suite, &asked, &challenge(own)?).ok_or_else(|| {
            CliError::new("a challenge of mutual authentication is too short").hint(format!(
                "both sides' have {} symbols in this suite",
                suite.challenge_length()
            ))
        })?,
    };
    let pin = match (suite.pin(), &beside.pin_file) {
        (Some(algorithm), Some(file)) => Some(PinHash::derive(algorithm, &read_line(file, "PIN")?)),
        (None, None) => None,
        (Some(_), None) => return Err(misfit("PIN", "give --pin-file")),
        (None, Some(_)) => return Err(misfit("PIN", "this suite has none: leave --pin-file out")),
    };
    let time_step = suite.period().zip(now).and_then(|(period, now)| {
        let totp = Totp { period, ..Totp::default() };
        totp.step(now)
    });
    let session = beside.session.as_deref().map(str::as_bytes);
    let input = Input { counter, question: &question, pin: pin.as_ref(), session, time_step };
    let response = respond(suite, secret, &input)
        .map_err(|error| CliError::new(error.to_string()).hint("a suite names its inputs after the second colon: C --counter, P --pin-file, S --session, T --now"))?;
    let response = match response {
        Response::Code(code) => shown(code.expose()),
        Response::Whole(whole) => whole.expose().iter().map(|byte| format!("{byte:02x}")).collect(),
    };
    Ok((Zeroizing::new(response), time_step))
}

fn misfit(what: &str, hint: &str) -> CliError {
    CliError::new(format!("the {what} and the suite do not fit")).hint(hint)
}

impl Key {
    fn is_stdin(&self) -> bool {
        self.key.is_none() && self.key_file == Path::new("-")
    }

    fn read(&self) -> Result<OtpSecret, CliError> {
        let text = match &self.key {
            None => read_line(&self.key_file, "secret")?,
            Some(key) => {
                warn(
                    "a secret on the command line is seen by others; give --key-file, or standard input",
                );
                Zeroizing::new(key.clone())
            }
        };
        secret_of(&text, self.hex)
    }
}

/// Reads a secret as people write it, and warns of what is odd about it.
pub(crate) fn secret_of(text: &str, hex: bool) -> Result<OtpSecret, CliError> {
    let bad = |why: BadSecret| CliError::new(why.to_string()).hint(why.hint());
    let secret = if hex {
        read_hex(text).map_err(bad)?
    } else {
        let read = read_base32(text).map_err(bad)?;
        if !read.canonical {
            warn("the secret's last character carries stray bits; is it complete?");
        }
        read.secret
    };
    if secret.is_weak() {
        warn("this secret is shorter than the 128 bits that RFC 4226 asks for");
    }
    Ok(secret)
}

/// Reads a secret of one line; spaces in it belong to how people write it.
pub(crate) fn read_line(path: &Path, what: &str) -> Result<Zeroizing<String>, CliError> {
    let mut text = Zeroizing::new(String::new());
    let read = if path == Path::new("-") {
        let stdin = std::io::stdin();
        if stdin.is_terminal() {
            let _ = write!(anstream::stderr(), "{what}: ");
            stdin.lock().read_line(&mut text)
        } else {
            stdin.lock().take(LONGEST_KEY_FILE).read_to_string(&mut text)
        }
    } else {
        std::fs::File::open(path)
            .and_then(|file| file.take(LONGEST_KEY_FILE).read_to_string(&mut text))
    };
    read.map_err(|error| CliError::io(&format!("read the {what} from"), path, &error))?;
    let line = text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\u{feff}');
    if line.is_empty() || line.contains('\n') {
        return Err(CliError::new(format!("{} does not hold one {what}", path.display()))
            .hint("write it on one line, or pipe it in"));
    }
    Ok(Zeroizing::new(line.to_owned()))
}

pub(crate) fn warn(text: &str) {
    // Nothing is lost with a warning that nobody can read.
    let _ = writeln!(anstream::stderr(), "warning: {text}");
}

pub(crate) fn algorithm(text: &str) -> Result<Algorithm, String> {
    Algorithm::parse(text).ok_or_else(|| "sha1, sha256 or sha512".to_owned())
}

fn digits_of(shape: &Shape) -> Result<Digits, CliError> {
    Digits::new(shape.digits).ok_or_else(|| CliError::new("a code has 6 to 10 digits"))
}

fn steps(first: u64, more: u64) -> std::ops::RangeInclusive<u64> {
    first..=first.saturating_add(more)
}

pub(crate) fn shown(code: &[u8]) -> String {
    code.iter().map(|digit| char::from(*digit)).collect()
}

/// Reads a time as the other commands do; plain numbers, also after @, are seconds since 1970.
fn time_of(text: Option<&str>) -> Result<Timestamp, CliError> {
    let Some(text) = text else { return Clock::SYSTEM.now() };
    if let Ok(seconds) = text.strip_prefix('@').unwrap_or(text).parse() {
        return Ok(Timestamp::from_seconds(seconds));
    }
    // As oathtool and `date` write it.
    if let Some(civil) = text.strip_suffix(" UTC") {
        return parse_time(&format!("{}Z", civil.replace(' ', "T")), Timestamp::default());
    }
    parse_time(text, Clock::SYSTEM.now()?)
}
