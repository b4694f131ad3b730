//! What people type into a search, as the index of words is asked for it.

use crate::phone::Region;

/// Words that are looked for at once; more help nobody.
const MOST: usize = 8;
/// Shorter words are looked for whole: as beginnings they would fit half of everything.
const SHORTEST_BEGINNING: usize = 3;
/// Digits that may be a part of a phone number.
const SHORTEST_NUMBER: usize = 5;

/// Words that are longer are looked for by as many letters: the index knows no longer beginnings.
const LONGEST: usize = 33;

/// What the index of words is asked: for deliveries with all words of any of these lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question(Vec<Vec<String>>);

impl Question {
    /// The question for deliveries with all of these words, or beginnings of them; `None` if there are
    /// none. Digits with what stands between those of a phone number are looked for as one as well, with
    /// the country code of `region` and without.
    pub(crate) fn new(text: &str, region: Option<Region>) -> Option<Self> {
        let plain: String = text.chars().filter(|c| !is_accent(*c)).collect();
        let words = plain.split(is_between).filter(|word| !word.is_empty());
        let words: Vec<String> = words.take(MOST).map(beginning).collect();
        if words.is_empty() {
            return None;
        }
        let numbers = numbers(text, region).into_iter().map(|number| vec![number]);
        Some(Self(std::iter::once(words).chain(numbers).collect()))
    }

    /// The lists.
    pub(super) fn any(&self) -> &[Vec<String>] {
        &self.0
    }
}

/// Marks that the index drops within a word, as if the letter before had been written in one with them.
const fn is_accent(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{304}' | '\u{306}'..='\u{30c}' | '\u{30f}' | '\u{311}' | '\u{31b}'
        | '\u{323}'..='\u{328}' | '\u{32d}' | '\u{32e}' | '\u{330}' | '\u{331}')
}

/// What is no part of a word. The index ends a word at U+0345, which Rust counts as a letter.
fn is_between(c: char) -> bool {
    !c.is_alphanumeric() || c == '\u{345}'
}

fn beginning(word: &str) -> String {
    let letters = word.chars().count();
    let word: String = word.chars().take(LONGEST).collect();
    // Nothing in a word of letters and digits can end the quotation.
    let star = if letters >= SHORTEST_BEGINNING { "*" } else { "" };
    format!("\"{word}\"{star}")
}

fn numbers(text: &str, region: Option<Region>) -> Vec<String> {
    let between = |c: char| c.is_ascii_digit() || c.is_whitespace() || "+-./()".contains(c);
    if !text.chars().all(between) {
        return Vec::new();
    }
    let digits: String = text.replacen("(0)", "", 1).chars().filter(char::is_ascii_digit).collect();
    if digits.len() < SHORTEST_NUMBER {
        return Vec::new();
    }
    let abroad = digits.trim_start_matches('0');
    let national = region.and_then(Region::calling_code).map(|code| format!("{code}{abroad}"));
    let numbers = [Some(abroad.to_owned()), national];
    numbers.iter().flatten().map(|number| beginning(number)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_asked_for_by_their_beginnings_and_short_ones_whole() {
        let spain = "ES".parse().ok();
        for (text, asked) in [
            ("zoë high", &["\"zoë\"* \"high\"*"][..]),
            (" Bo  O’Neill ", &["\"Bo\" \"O\" \"Neill\"*"]),
            ("ORDER-1001", &["\"ORDER\"* \"1001\"*"]),
            ("0042", &["\"0042\"*"]),
            ("612 34", &["\"612\"* \"34\"", "\"61234\"*", "\"3461234\"*"]),
            ("+34 (0)612", &["\"34\" \"0\" \"612\"*", "\"34612\"*", "\"3434612\"*"]),
        ] {
            let question = Question::new(text, spain).unwrap();
            let lists: Vec<String> = question.any().iter().map(|words| words.join(" ")).collect();
            assert_eq!(lists, asked, "{text}");
        }
        assert_eq!(Question::new("a b c d e f g h i j", None).unwrap().any()[0].len(), 8);
    }

    #[test]
    fn accents_are_dropped_as_in_the_index_and_long_words_are_cut() {
        let asked = |text: &str| Question::new(text, None).unwrap().any()[0].clone();
        assert_eq!(asked("Mu\u{308}ller"), ["\"Muller\"*"]);
        assert_eq!(asked("e\u{301}\u{323}"), ["\"e\""]);
        assert_eq!(asked("mu\u{345}ller"), ["\"mu\"", "\"ller\"*"]);
        assert_eq!(Question::new("\u{308}", None), None);
        assert_eq!(asked(&"ab".repeat(20)), [format!("\"{}a\"*", "ab".repeat(16))]);
    }

    #[test]
    fn nothing_that_is_typed_is_part_of_the_question_itself() {
        for text in ["", " ", "\"", "***", "()", "\u{0}", "- -"] {
            assert_eq!(Question::new(text, None), None, "{text:?}");
        }
        for text in ["a\" OR \"b", "NOT zoe", "text:zoe", "zoe*", "^zoe", "NEAR(a b)"] {
            let question = Question::new(text, None).unwrap();
            let asked = question.any().concat().join(" ");
            let outside: String =
                asked.split('"').step_by(2).filter(|part| !part.is_empty()).collect();
            assert!(outside.chars().all(|c| c == ' ' || c == '*'), "{asked}");
        }
    }
}
