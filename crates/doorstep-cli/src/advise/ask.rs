//! The dialogue: the questions that matter for this verifier, one after the other.

use super::answers::{Answers, choices};
use super::needs::{Verifier, Word};
use crate::error::CliError;
use crate::output::{BOLD, DIM, WARN};
use clap::ValueEnum;
use std::io::{BufRead, Write};

/// What can be answered.
enum Kind {
    Choice(Vec<(String, String)>),
    Span,
    Count,
    Symbols,
}

/// One question: the option it stands for, its words, and what most people answer.
struct Question {
    option: &'static str,
    text: &'static str,
    kind: Kind,
    usual: &'static str,
}

fn choice<T: ValueEnum>(option: &'static str, text: &'static str, usual: &'static str) -> Question {
    Question { option, text, kind: Kind::Choice(choices::<T>()), usual }
}

/// All questions, in their order.
fn questions() -> Vec<Question> {
    use super::needs as n;
    vec![
        choice::<Verifier>("verifier", "Who checks the codes?", "lock"),
        choice::<n::Contact>("contact", "Who has a network?", "never"),
        choice::<n::Oscillator>("oscillator", "What counts the lock's seconds?", "crystal"),
        choice::<n::Trust>("trust", "Who has the device in his hands?", "others"),
        choice::<n::CheckFor>("check-for", "Who wants to know?", "issuer"),
        choice::<n::Phone>("phone", "What do those have who come with a code?", "messages"),
        choice::<n::Entry>("entry", "How does a code come in?", "typed"),
        Question {
            option: "lifetime",
            text: "For how long does it have to work?",
            kind: Kind::Span,
            usual: "2h",
        },
        choice::<n::Uses>("uses", "How often?", "many"),
        Question {
            option: "active",
            text: "How many have a working code at a time (people for one door, stops of one driver, accounts)?",
            kind: Kind::Count,
            usual: "2",
        },
        choice::<n::Places>("places", "Where does one code work?", "one"),
        choice::<n::Tries>("tries", "Who may try codes that he does not have?", "robot"),
        choice::<n::Revocation>("revocation", "What has to end a code?", "later"),
        choice::<n::Opened>(
            "opened",
            "What may somebody gain who opens the verifier and reads it?",
            "itself",
        ),
        choice::<n::Scan>("scan", "Is there something about a code that is scanned?", "plain"),
        choice::<n::Bound>("bound", "What is a code bound to?", "nothing"),
        Question {
            option: "digits",
            text: "How many digits or letters may people be asked to type at most (zero: any)?",
            kind: Kind::Symbols,
            usual: "0",
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
        "scan" => scanned,
        "bound" => verifier == Verifier::Login,
        "digits" => typed,
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
        loop {
            write!(to, "[{}] ", question.usual).and_then(|()| to.flush()).map_err(told)?;
            let mut line = String::new();
            if from.read_line(&mut line).map_err(told)? == 0 {
                return Err(answers.incomplete());
            }
            match question.answer(line.trim()) {
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
    /// An answer, by its word or its number; nothing is the usual one.
    fn answer(&self, typed: &str) -> Result<Answers, CliError> {
        let typed = if typed.is_empty() { self.usual } else { typed };
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
                crate::text::parse_span(typed)?;
                format!("{} = {typed:?}", self.option)
            }
            Kind::Count | Kind::Symbols => {
                let number =
                    typed.parse::<u32>().map_err(|_| CliError::usage("answer with a number"))?;
                match (&self.kind, number) {
                    (Kind::Symbols, 0) => String::new(),
                    _ => format!("{} = {number}", self.option),
                }
            }
        };
        Answers::parse(&line)
    }
}

/// A file of answers to fill in, with everything that can be said.
pub(crate) fn template() -> String {
    let mut text = "# What you need, for: doorstep advise --answers FILE\n".to_owned();
    for question in questions() {
        text.push_str(&format!("\n# {}\n", question.text));
        match &question.kind {
            Kind::Choice(choices) => {
                for (word, meaning) in choices {
                    text.push_str(&format!("#   {word:<12}{meaning}\n"));
                }
                // What is not asked of the usual verifier is there to be said of another one.
                let hidden =
                    if ["trust", "check-for"].contains(&question.option) { "# " } else { "" };
                text.push_str(&format!("{hidden}{} = {:?}\n", question.option, question.usual));
            }
            Kind::Span => text.push_str(&format!("{} = {:?}\n", question.option, question.usual)),
            Kind::Count => text.push_str(&format!("{} = {}\n", question.option, question.usual)),
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
        let (ended, _) = dialogue("lock\n\n");
        let told = ended.unwrap_err().to_string();
        assert!(told.contains("--oscillator") && !told.contains("--contact"), "{told}");
    }

    #[test]
    fn the_template_is_an_answer() {
        let read = Answers::parse(&template()).unwrap();
        assert!(read.missing().is_empty());
        read.needs().unwrap();
        for wrong in ["verifer = \"lock\"", "verifier = \"castle\"", "active = 0", "digits = -1"] {
            assert!(Answers::parse(wrong).is_err(), "{wrong}");
        }
    }
}
