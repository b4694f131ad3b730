//! What people type into a search, as the index of words is asked for it.

use super::StoreError;
use super::value::all;
use crate::phone::Region;
use rusqlite::Connection;
use std::cell::Cell;

/// Words that are looked for at once; more help nobody.
const MOST: usize = 8;
/// Shorter words are looked for whole: as beginnings they would fit half of everything.
const SHORTEST_BEGINNING: usize = 3;
/// Digits that may be a part of a phone number.
const SHORTEST_NUMBER: usize = 5;

/// Words that are longer are looked for by as many letters: the index knows no longer beginnings.
const LONGEST: usize = 33;

/// An index of nothing but what was typed, which splits it as the index of words splits what it holds, and drops
/// the same accents: what one took for a word and the other for several would be looked for as a phrase, at a
/// cost that nobody counts.
const TYPED: &str = "
    CREATE VIRTUAL TABLE typed USING fts5(
        text, content = '', tokenize = \"unicode61 remove_diacritics 2\"
    );
    CREATE VIRTUAL TABLE typed_words USING fts5vocab(typed, instance);";

/// What the index of words is asked: for deliveries with all words of any of these lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question(Vec<Vec<String>>);

impl Question {
    /// The question for deliveries with all of these words, or beginnings of them; `None` if there are
    /// none. Digits with what stands between those of a phone number are looked for as one as well, with
    /// the country code of `region` and without.
    ///
    /// # Errors
    /// What SQLite says, which splits the text.
    pub(crate) fn new(text: &str, region: Option<Region>) -> Result<Option<Self>, StoreError> {
        let words = split(text)?;
        if words.is_empty() {
            return Ok(None);
        }
        let words = words.iter().take(MOST).map(|word| beginning(word)).collect();
        let numbers = numbers(text, region).into_iter().map(|number| vec![number]);
        Ok(Some(Self(std::iter::once(words).chain(numbers).collect())))
    }

    /// The lists.
    pub(super) fn any(&self) -> &[Vec<String>] {
        &self.0
    }
}

thread_local! {
    /// Kept, since to make it takes ten times as long as to ask it.
    static SPLITTER: Cell<Option<Connection>> = const { Cell::new(None) };
}

/// The words of a text, as the index has them.
fn split(text: &str) -> Result<Vec<String>, StoreError> {
    // One with which anything went wrong is not put back.
    let splitter = match SPLITTER.take() {
        Some(kept) => kept,
        None => {
            let made = Connection::open_in_memory()?;
            made.execute_batch(TYPED)?;
            made
        }
    };
    splitter.prepare_cached("INSERT INTO typed (text) VALUES (?1)")?.execute([text])?;
    let sql = "SELECT term FROM typed_words ORDER BY offset";
    let words = all(&splitter, sql, &[], |row| Ok(row.get(0)?))?;
    splitter.prepare_cached("INSERT INTO typed (typed) VALUES ('delete-all')")?.execute([])?;
    SPLITTER.set(Some(splitter));
    Ok(words)
}

fn beginning(word: &str) -> String {
    let letters = word.chars().count();
    let word: String = word.chars().take(LONGEST).collect();
    // The index has words of letters and digits, and none of them can end the quotation.
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

    fn question(text: &str, region: Option<Region>) -> Option<Question> {
        Question::new(text, region).unwrap()
    }

    /// What is asked of the words themselves.
    fn asked(text: &str) -> Vec<String> {
        question(text, None).map(|question| question.any()[0].clone()).unwrap_or_default()
    }

    #[test]
    fn words_are_asked_for_by_their_beginnings_and_short_ones_whole() {
        let spain = "ES".parse().ok();
        for (text, asked) in [
            ("zoë high", &["\"zoe\"* \"high\"*"][..]),
            (" Bo  O’Neill ", &["\"bo\" \"o\" \"neill\"*"]),
            ("ORDER-1001", &["\"order\"* \"1001\"*"]),
            ("0042", &["\"0042\"*"]),
            ("612 34", &["\"612\"* \"34\"", "\"61234\"*", "\"3461234\"*"]),
            ("+34 (0)612", &["\"34\" \"0\" \"612\"*", "\"34612\"*", "\"3434612\"*"]),
        ] {
            let question = question(text, spain).unwrap();
            let lists: Vec<String> = question.any().iter().map(|words| words.join(" ")).collect();
            assert_eq!(lists, asked, "{text}");
        }
        assert_eq!(asked("a b c d e f g h i j").len(), 8);
    }

    #[test]
    fn accents_are_dropped_as_in_the_index_and_long_words_are_cut() {
        assert_eq!(asked("Mu\u{308}ller"), ["\"muller\"*"]);
        assert_eq!(asked("e\u{301}\u{323}"), ["\"e\""]);
        assert_eq!(asked("mu\u{345}ller"), ["\"mu\"", "\"ller\"*"]);
        assert_eq!(question("\u{308}", None), None);
        assert_eq!(asked(&"ab".repeat(20)), [format!("\"{}a\"*", "ab".repeat(16))]);
    }

    /// Vowel signs end a word in the index, and so they do in what is typed.
    #[test]
    fn words_of_all_scripts_are_split_as_in_the_index() {
        for (text, words) in [
            ("नमस्ते", &["\"नमस\"*", "\"त\""][..]),
            ("ana\u{903}s", &["\"ana\"*", "\"s\""]),
            ("ที่อยู่", &["\"ท\"", "\"อย\""]),
            ("مُحَمَّد", &["\"م\"", "\"ح\"", "\"م\"", "\"د\""]),
            ("Nguyễn Thị", &["\"nguyen\"*", "\"thi\"*"]),
            ("Nguye\u{302}\u{303}n", &["\"nguyen\"*"]),
            ("ana\u{0}zoe 🎁", &["\"ana\"*", "\"zoe\"*"]),
        ] {
            assert_eq!(asked(text), words, "{text}");
        }
    }

    /// If what was split could be split again, it would be looked for as a phrase.
    #[test]
    fn every_letter_there_is_makes_words_that_stay_one_word() {
        let all: Vec<char> = ('\0'..=char::MAX).collect();
        let mut words = 0;
        for some in all.chunks(10_000) {
            let text: String = some.iter().flat_map(|c| ['a', *c, 'b', ' ', *c, ' ']).collect();
            let once = split(&text).unwrap();
            assert_eq!(split(&once.join(" ")).unwrap(), once);
            assert!(once.iter().all(|word| !word.contains(['"', '\0'])));
            words += once.len();
        }
        assert!(words > 1_000_000, "{words}");
    }

    #[test]
    fn nothing_that_is_typed_is_part_of_the_question_itself() {
        for text in ["", " ", "\"", "***", "()", "\u{0}", "- -", "🎁"] {
            assert_eq!(question(text, None), None, "{text:?}");
        }
        for text in
            ["a\" OR \"b", "NOT zoe", "text:zoe", "zoe*", "^zoe", "NEAR(a b)", "\u{0}\" OR b"]
        {
            let asked = asked(text).join(" ");
            let outside: String =
                asked.split('"').step_by(2).filter(|part| !part.is_empty()).collect();
            assert!(outside.chars().all(|c| c == ' ' || c == '*'), "{asked}");
        }
    }
}
