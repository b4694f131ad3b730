//! `doorstep odds`: what a guess, a typo and a forgery have, computed for any shape of code.

use crate::error::CliError;
use crate::output::{self, Answer};
use clap::ValueEnum;
use doorstep::code::{Alphabet, MAX_CODE_LENGTH, Shape};
use doorstep::handover::BUDGET;
use doorstep::odds::{SplitOdds, tag_bits};
use serde_json::json;

/// A stop has a recipient and the spare at least, and a code is compared with both.
pub(crate) const OPEN_SLOTS: u8 = 2;

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Symbols {
    /// 0-9
    Digits,
    /// Crockford's base 32
    Crockford,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "The odds of one shape of delivery code. Which method to take at all: doorstep advise\n\nExamples:\n  doorstep odds\n  doorstep odds --alphabet digits --length 9 --bits 14"
)]
pub(crate) struct Args {
    /// Symbols of the code; without it, the shapes that the product offers are shown
    #[arg(long, requires = "length")]
    alphabet: Option<Symbols>,
    /// Symbols in a code: 4 to 10
    #[arg(long, requires = "alphabet")]
    length: Option<u8>,
    /// Bits that the device can check, 1 to 32; half of the code's bits by default
    #[arg(long, requires = "length", value_parser = clap::value_parser!(u8).range(1..=32))]
    bits: Option<u8>,
    /// Write the table in Markdown, as the documents quote it
    #[arg(long)]
    markdown: bool,
}

pub(crate) fn run(args: &Args) -> Result<Answer, CliError> {
    let shapes = match (args.alphabet, args.length) {
        (Some(symbols), Some(length)) => {
            let alphabet = match symbols {
                Symbols::Digits => Alphabet::Digits,
                Symbols::Crockford => Alphabet::Crockford,
            };
            vec![Shape::new(alphabet, length).ok_or_else(|| {
                CliError::new(format!("a code has 4 to {MAX_CODE_LENGTH} symbols, not {length}"))
            })?]
        }
        _ => vec![Shape::DIGITS_8, Shape::DIGITS_10, Shape::CROCKFORD_8],
    };
    let mut rows = vec![
        [
            "code",
            "bits on the device",
            "guess per try and slot",
            "guess in a whole budget, recipient and spare open",
            "typo passes a slot",
            "codes left after a search",
            "forged claim is right",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    let mut json = Vec::new();
    for shape in shapes {
        let bits = args.bits.unwrap_or_else(|| tag_bits(shape));
        let odds = SplitOdds::new(shape, bits);
        let name = match shape.alphabet() {
            Alphabet::Digits => format!("{} digits", shape.length()),
            Alphabet::Crockford => format!("{} Crockford symbols", shape.length()),
        };
        let budget = odds.guessed_within(BUDGET, OPEN_SLOTS);
        rows.push(vec![
            name.clone(),
            bits.to_string(),
            format!("{:.2e}", odds.guess),
            format!("{budget:.2e}"),
            format!("{:.2e}", odds.typo),
            format!("{:.0}", odds.candidates),
            format!("{:.2e}", odds.forgery),
        ]);
        json.push(json!({
            "code": name, "bits": bits, "guess": odds.guess, "guess_in_budget": budget, "budget": BUDGET, "slots": OPEN_SLOTS,
            "typo": odds.typo, "candidates": odds.candidates, "forgery": odds.forgery,
        }));
    }
    let text = if args.markdown { output::markdown(&rows) } else { output::table(&rows) };
    Ok(Answer::new(json!(json), text))
}
