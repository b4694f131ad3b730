//! What people type into a search, as the index of words is asked for it.

use crate::phone::Region;

/// Words that are looked for at once; more help nobody.
const MOST: usize = 8;
/// Shorter words are looked for whole: as beginnings they would fit half of everything.
const SHORTEST_BEGINNING: usize = 3;
/// Digits that may be a part of a phone number.
const SHORTEST_NUMBER: usize = 5;

/// The question for deliveries with all of these words, or beginnings of them; `None` if there are none.
/// Digits with what stands between those of a phone number are looked for as one as well, with the
/// country code of `region` and without.
pub(crate) fn question(text: &str, region: Option<Region>) -> Option<String> {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let words: Vec<String> = words.take(MOST).map(beginning).collect();
    if words.is_empty() {
        return None;
    }
    // A space between words means all of them.
    let words = words.join(" ");
    Some(match numbers(text, region) {
        Some(numbers) => format!("({words}) OR {numbers}"),
        None => words,
    })
}

fn beginning(word: &str) -> String {
    // Nothing in a word of letters and digits can end the quotation.
    let star = if word.chars().count() >= SHORTEST_BEGINNING { "*" } else { "" };
    format!("\"{word}\"{star}")
}

fn numbers(text: &str, region: Option<Region>) -> Option<String> {
    let between = |c: char| c.is_ascii_digit() || c.is_whitespace() || "+-./()".contains(c);
    if !text.chars().all(between) {
        return None;
    }
    let digits: String = text.replacen("(0)", "", 1).chars().filter(char::is_ascii_digit).collect();
    if digits.len() < SHORTEST_NUMBER {
        return None;
    }
    let abroad = digits.trim_start_matches('0');
    let national = region.and_then(Region::calling_code).map(|code| format!("{code}{abroad}"));
    let numbers = [Some(abroad.to_owned()), national];
    let numbers: Vec<String> = numbers.iter().flatten().map(|number| beginning(number)).collect();
    Some(numbers.join(" OR "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_asked_for_by_their_beginnings_and_short_ones_whole() {
        let spain = "ES".parse().ok();
        for (text, asked) in [
            ("zoë high", "\"zoë\"* \"high\"*"),
            (" Bo  O’Neill ", "\"Bo\" \"O\" \"Neill\"*"),
            ("ORDER-1001", "\"ORDER\"* \"1001\"*"),
            ("0042", "\"0042\"*"),
            ("612 34", "(\"612\"* \"34\") OR \"61234\"* OR \"3461234\"*"),
            ("+34 (0)612", "(\"34\" \"0\" \"612\"*) OR \"34612\"* OR \"3434612\"*"),
        ] {
            assert_eq!(question(text, spain).as_deref(), Some(asked), "{text}");
        }
        assert_eq!(question("a b c d e f g h i j", None).unwrap().matches('"').count(), 16);
    }

    #[test]
    fn nothing_that_is_typed_is_part_of_the_question_itself() {
        for text in ["", " ", "\"", "***", "()", "\u{0}", "- -"] {
            assert_eq!(question(text, None), None, "{text:?}");
        }
        for text in ["a\" OR \"b", "NOT zoe", "text:zoe", "zoe*", "^zoe", "NEAR(a b)"] {
            let asked = question(text, None).unwrap();
            let outside: String =
                asked.split('"').step_by(2).filter(|part| !part.is_empty()).collect();
            assert!(outside.chars().all(|c| c == ' ' || c == '*'), "{asked}");
        }
    }
}
