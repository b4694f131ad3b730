//! The dialogue: the questions that matter for this verifier, one after the other.

use super::answers::{Answers, choices, lifetime, symbols};
use super::needs::{Verifier, Word};
use crate::error::CliError;
use crate::output::{BOLD, DIM, WARN};
use clap::ValueEnum;
use std::io::{BufRead, Write};
use std::num::NonZeroU32;

/// What can be answered.
enum Kind {
    Choice(Vec<(String, String)>),
    Span,
    Count,
    Symbols,
}

/// One question: the option it stands for, its words, and what most people answer for a device, a lock and a
/// login.
struct Question {
    option: &'static str,
    text: &'static str,
    kind: Kind,
    usual: [&'static str; 3],
}

fn choice<T: ValueEnum>(
    option: &'static str,
    text: &'static str,
    usual: [&'static str; 3],
) -> Question {
    Question { option, text, kind: Kind::Choice(choices::<T>()), usual }
}

/// All questions, in their order.
fn questions() -> Vec<Question> {
    use super::needs as n;
    vec![
        choice::<Verifier>("verifier", "Who checks the codes?", ["lock"; 3]),
        choice::<n::Contact>("contact", "Who has a network?", ["between", "never", "always"]),
        choice::<n::Oscillator>("oscillator", "What counts the lock's seconds?", ["crystal"; 3]),
        choice::<n::Trust>("trust", "Who has the device in his hands?", ["others"; 3]),
        choice::<n::CheckFor>("check-for", "Who wants to know?", ["issuer"; 3]),
        choice::<n::Phone>(
            "phone",
            "What do those have who come with a code?",
            ["messages", "messages", "app"],
        ),
        choice::<n::Entry>("entry", "How does a code come in?", ["typed"; 3]),
        Question {
            option: "lifetime",
            text: "For how long does it have to work?",
            kind: Kind::Span,
            usual: ["4h", "2h", "365d"],
        },
        choice::<n::Uses>("uses", "How often?", ["once", "many", "many"]),
        Question {
            option: "active",
            text: "How many have a working code at a time (people for one door, stops of one driver, accounts)?",
            kind: Kind::Count,
            usual: ["100", "2", "10"],
        },
        choice::<n::Parties>("parties", "Who has the door at one time?", ["several"; 3]),
        choice::<n::Places>("places", "Where does one code work?", ["one"; 3]),
        choice::<n::Tries>("tries", "Who may try codes that he does not have?", ["robot"; 3]),
        choice::<n::Revocation>(
            "revocation",
            "What has to end a code?",
            ["later", "later", "at-once"],
        ),
        choice::<n::Opened>(
            "opened",
            "What may somebody gain who opens the verifier and reads it?",
            ["nothing", "itself", "itself"],
        ),
        choice::<n::Scan>("scan", "Is there something about a code that is scanned?", ["plain"; 3]),
        choice::<n::Bound>("bound", "What is a code bound to?", ["nothing"; 3]),
        Question {
            option: "digits",
            text: "How many digits or letters may people be asked to type at most (zero: any)?",
            kind: Kind::Symbols,
            usual: ["0"; 3],
        },
    ]
}

/// Whether a question is asked at all, after what was answered.
fn matters(option: &str, answers: &Answers) -> bool {
    let Some(verifier) = answers.verifier else { return option == "verifier" };
    let typed = answers.entry != Some(super::needs::Entry::Scanned);
    let scanned =
        verifier == Verifier::Lock && answers.entry.is_some_and(|entry| entry.word() != "typed");
    match option {
        "parties" => verifier == Verifier::Lock && typed && answers.parties.is_none(),
        "scan" => scanned && answers.scan.is_none(),
        "bound" => verifier == Verifier::Login && answers.bound.is_none(),
        "digits" => typed && answers.digits.is_none(),
        _ => answers.missing().contains(&option),
    }
}

/// Asks for what the options left out.
pub(crate) fn ask(
    mut answers: Answers,
    from: &mut impl BufRead,
    to: &mut impl Write,
) -> Result<Answers, CliError> {
    let told = |error: std::io::Error| CliError::new(format!("cannot ask: {error}"));
    // What options say wrongly is told before the first question.
    answers.lifetime.as_deref().map(lifetime).transpose()?;
    answers.digits.map(symbols).transpose()?;
    for question in questions() {
        if !matters(question.option, &answers) {
            continue;
        }
        writeln!(to, "\n{BOLD}{}{BOLD:#}", question.text).map_err(told)?;
        if let Kind::Choice(choices) = &question.kind {
            for (number, (word, meaning)) in (1_u8..).zip(choices) {
                writeln!(to, "  {number} {word:<12}{DIM}{meaning}{DIM:#}").map_err(told)?;
            }
        }
        let usual = question.usual(answers.verifier.unwrap_or(Verifier::Lock));
        loop {
            write!(to, "[{usual}] ").and_then(|()| to.flush()).map_err(told)?;
            let mut line = String::new();
            if from.read_line(&mut line).map_err(told)? == 0 {
                // What is told next begins a line of its own.
                writeln!(to).map_err(told)?;
                return Err(answers.incomplete());
            }
            match question.answer(line.trim(), usual) {
                Ok(more) => {
                    answers = answers.over(more);
                    break;
                }
                Err(error) => writeln!(to, "{WARN}{}{WARN:#}", error.message()).map_err(told)?,
            }
        }
    }
    writeln!(to).map_err(told)?;
    Ok(answers)
}

impl Question {
    /// What most people answer.
    const fn usual(&self, verifier: Verifier) -> &'static str {
        let [device, lock, login] = self.usual;
        match verifier {
            Verifier::Device => device,
            Verifier::Lock => lock,
            Verifier::Login => login,
        }
    }

    /// An answer, by its word or its number; nothing is the usual one. What cannot be is told at once, not after
    /// the last question.
    fn answer(&self, typed: &str, usual: &str) -> Result<Answers, CliError> {
        let typed = if typed.is_empty() { usual } else { typed };
        let line = match &self.kind {
            Kind::Choice(choices) => {
                let place = typed.parse::<usize>().ok().and_then(|place| place.checked_sub(1));
                let named = choices.iter().find(|(word, _)| word == typed);
                let chosen = named.or_else(|| choices.get(place?));
                let (word, _) = chosen.ok_or_else(|| {
                    CliError::usage(format!(
                        "answer with a number up to {}, or a word",
                        choices.len()
                    ))
                })?;
                format!("{} = {word:?}", self.option)
            }
            Kind::Span => {
                lifetime(typed)?;
                format!("{} = {typed:?}", self.option)
            }
            Kind::Count => {
                let number = typed.parse::<NonZeroU32>();
                let number =
                    number.map_err(|_| CliError::usage("answer with a number above zero"))?;
                format!("{} = {number}", self.option)
            }
            Kind::Symbols => {
                let number = typed.parse().map_err(|_| CliError::usage("answer with a number"))?;
                symbols(number)?;
                format!("{} = {number}", self.option)
            }
        };
        Answers::parse(&line)
    }
}

/// A file of answers to fill in, with everything that can be said.
pub(crate) fn template() -> String {
    let mut text = "# What you need, for: doorstep advise --answers FILE\n".to_owned();
    for question in questions() {
        let usual = question.usual(Verifier::Lock);
        text.push_str(&format!("\n# {}\n", question.text));
        match &question.kind {
            Kind::Choice(choices) => {
                for (word, meaning) in choices {
                    text.push_str(&format!("#   {word:<12}{meaning}\n"));
                }
                // What is not asked of the usual verifier is there to be said of another one.
                let hidden =
                    if ["trust", "check-for"].contains(&question.option) { "# " } else { "" };
                text.push_str(&format!("{hidden}{} = {usual:?}\n", question.option));
            }
            Kind::Span => text.push_str(&format!("{} = {usual:?}\n", question.option)),
            Kind::Count => text.push_str(&format!("{} = {usual}\n", question.option)),
            Kind::Symbols => text.push_str(&format!(
                "# {} = {}\n",
                question.option,
                doorstep::code::Shape::DIGITS_8.length()
            )),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advise::{Method, advise};

    fn dialogue(typed: &str) -> (Result<Answers, CliError>, String) {
        let mut said = Vec::new();
        let answers = ask(Answers::default(), &mut typed.as_bytes(), &mut said);
        (answers, String::from_utf8(said).unwrap())
    }

    #[test]
    fn enter_takes_what_is_usual_and_numbers_are_words() {
        let (answers, said) = dialogue(&"\n".repeat(20));
        let needs = answers.unwrap().needs().unwrap();
        assert_eq!(needs.verifier, Verifier::Lock);
        assert!(!said.contains("Who has the device"), "a lock has nobody's hands around it");
        let by_number = dialogue(&format!("2\n{}", "\n".repeat(20))).0.unwrap();
        assert_eq!(by_number.needs().unwrap(), needs);
    }

    #[test]
    fn what_is_no_answer_is_asked_again() {
        let (answers, said) = dialogue(&format!("castle\n9\n0\ndevice\n{}", "\n".repeat(20)));
        assert_eq!(answers.unwrap().verifier, Some(Verifier::Device));
        assert_eq!(said.matches("answer with a number").count(), 3);
        let (ended, said) = dialogue("lock\n\n");
        assert!(said.ends_with("[crystal] \n"), "an error has a line of its own: {said}");
        let told = ended.unwrap_err().to_string();
        assert!(told.contains("--oscillator") && !told.contains("--contact"), "{told}");
    }

    #[test]
    fn usual_answers_are_those_for_whoever_checks_and_lead_somewhere() {
        for (verifier, method) in
            [("device", Method::SplitCode), ("lock", Method::Pin), ("login", Method::Totp)]
        {
            let answers = dialogue(&format!("{verifier}\n{}", "\n".repeat(20))).0.unwrap();
            let advice = advise(answers.needs().unwrap());
            assert_eq!(advice.fits.first().map(|fit| fit.method), Some(method), "{verifier}");
        }
    }

    #[test]
    fn what_cannot_be_is_asked_again_at_once() {
        let typed = "lock\n\n\n\n\n0s\nsoon\n2h\n\n0\n-1\n4\n\n\n\n\n\n200\n300\n9\n";
        let (answers, said) = dialogue(typed);
        let needs = answers.unwrap().needs().unwrap();
        assert_eq!((needs.lifetime, needs.active.get(), needs.digits), (7200, 4, Some(9)));
        for (told, times) in [
            ("opens nothing", 1),
            ("not a span", 1),
            ("a number above zero", 2),
            ("more than anybody types", 1),
        ] {
            assert_eq!(said.matches(told).count(), times, "{told}: {said}");
        }
        assert!(!said.contains("TOML"), "{said}");
        let said_before = Answers { lifetime: Some("0s".to_owned()), ..Answers::default() };
        let mut said = Vec::new();
        assert!(ask(said_before, &mut "lock\n".as_bytes(), &mut said).is_err() && said.is_empty());
    }

    #[test]
    fn the_template_is_an_answer() {
        let read = Answers::parse(&template()).unwrap();
        assert!(read.missing().is_empty());
        read.needs().unwrap();
        for (digits, wished) in [("0", None), ("6", Some(6)), ("32", Some(32))] {
            let said = format!("{}\ndigits = {digits}\n", template());
            let needs = Answers::parse(&said).unwrap().needs().unwrap();
            assert_eq!(needs.digits, wished, "zero is any number, as the template says");
        }
        let absurd = format!("{}\ndigits = 33\n", template());
        assert!(Answers::parse(&absurd).unwrap().needs().is_err());
        for wrong in ["verifer = \"lock\"", "verifier = \"castle\"", "active = 0", "digits = -1"] {
            assert!(Answers::parse(wrong).is_err(), "{wrong}");
        }
    }
}
