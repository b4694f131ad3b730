//! Text that people wrote: checked for length and for characters that no screen or message can
//! show, and otherwise kept as it is.

/// Why a text is refused. The message never repeats the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TextError {
    #[error("must not be empty")]
    Blank,
    #[error("has {length} characters, more than {most}")]
    Long { length: usize, most: usize },
    #[error("has a control character or an invisible one (U+{:04X}) at character {position}", u32::from(*character))]
    Control { character: char, position: usize },
    #[error("begins or ends with a space")]
    Spaced,
    #[error("begins as ids of accounts do")]
    LikeId,
}

/// Characters that change what is shown without being seen: controls, line and paragraph
/// separators, and the marks that reorder text.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}

/// Characters that have a place in running text, where they are seen by what they do, and none in a name.
fn is_unseen(c: char) -> bool {
    matches!(c, '\u{AD}' | '\u{61C}' | '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{2060}')
}

fn check(text: &str, most: usize, permitted: impl Fn(char) -> bool) -> Result<(), TextError> {
    if text.trim().is_empty() {
        return Err(TextError::Blank);
    }
    let length = text.chars().count();
    if length > most {
        return Err(TextError::Long { length, most });
    }
    match text.chars().enumerate().find(|(_, c)| is_invisible(*c) && !permitted(*c)) {
        Some((index, character)) => {
            Err(TextError::Control { character, position: index.saturating_add(1) })
        }
        None => Ok(()),
    }
}

/// The same for what tells things apart: two must not look alike for a character that nobody sees.
fn check_seen(text: &str, most: usize) -> Result<(), TextError> {
    check(text, most, |_| false)?;
    match text.chars().enumerate().find(|(_, c)| is_unseen(*c)) {
        Some((index, character)) => {
            Err(TextError::Control { character, position: index.saturating_add(1) })
        }
        None => Ok(()),
    }
}

/// The business's own name for a delivery, a booking, a lock or a site: 1 to 64 characters, no spaces around
/// it.
pub(crate) fn reference(text: &str) -> Result<(), TextError> {
    check_seen(text, 64)?;
    if text.trim() != text {
        return Err(TextError::Spaced);
    }
    Ok(())
}

/// A person's or an API key's name: 1 to 120 characters.
pub(crate) fn name(text: &str) -> Result<(), TextError> {
    check(text, 120, |_| false)
}

/// The name of an account, 1 to 120 characters, spaces around it dropped, and its key: two names
/// are the same account's when they differ in case alone, as people type their mail address.
pub(crate) fn account_name(text: &str) -> Result<(String, String), TextError> {
    let name = text.trim();
    check_seen(name, 120)?;
    let key = name.to_lowercase();
    if key.starts_with("acc_") {
        return Err(TextError::LikeId);
    }
    Ok((name.to_owned(), key))
}

/// What tells a person's authenticators apart, or who the account is with: up to 64 characters.
pub(crate) fn label(text: &str) -> Result<(), TextError> {
    if text.is_empty() { Ok(()) } else { check(text, 64, |_| false) }
}

/// An address in one line: 1 to 300 characters.
pub(crate) fn address(text: &str) -> Result<(), TextError> {
    check(text, 300, |_| false)
}

/// A note to the driver: 1 to 300 characters; it may have several lines.
pub(crate) fn note(text: &str) -> Result<(), TextError> {
    check(text, 300, |c| c == '\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_real_people_pass_untouched() {
        for text in [
            "Zoë Łukasz",
            "Đặng Thị O’Neill",
            "José Ángel de la Fuente-Ruiz",
            "山田 太郎",
            "مريم",
            "👩‍👩‍👧",
        ] {
            assert_eq!(name(text), Ok(()), "{text}");
        }
        assert_eq!(note("second floor\nring twice"), Ok(()));
    }

    #[test]
    fn blank_long_and_unshowable_texts_are_refused() {
        for text in ["", " ", "\u{A0}", "\t\n"] {
            assert_eq!(name(text), Err(TextError::Blank));
        }
        assert_eq!(name(&"é".repeat(120)), Ok(()));
        assert_eq!(name(&"é".repeat(121)), Err(TextError::Long { length: 121, most: 120 }));
        for text in ["a\0b", "a\nb", "a\u{1b}[31m", "a\u{202E}b", "a\u{85}b", "a\u{FEFF}"] {
            assert!(matches!(name(text), Err(TextError::Control { position: 2, .. })), "{text:?}");
        }
        assert!(matches!(note("a\rb"), Err(TextError::Control { .. })));
        assert_eq!(reference(" A1"), Err(TextError::Spaced));
    }

    #[test]
    fn an_account_has_one_key_in_every_spelling() {
        for text in ["Ana@Example.com", " ana@example.COM ", "ANA@EXAMPLE.COM\t"] {
            assert_eq!(account_name(text).unwrap().1, "ana@example.com", "{text:?}");
        }
        assert_eq!(account_name(" Zoë ").unwrap().0, "Zoë");
        assert_eq!(account_name("  "), Err(TextError::Blank));
        assert_eq!(account_name("Acc_1"), Err(TextError::LikeId));
        for c in ['\n', '\u{AD}', '\u{61C}', '\u{200B}', '\u{200E}', '\u{200F}', '\u{2060}'] {
            let (text, unseen) =
                (format!("a{c}b"), TextError::Control { character: c, position: 2 });
            assert_eq!(account_name(&text), Err(unseen));
            assert_eq!(reference(&text), Err(unseen));
        }
        assert_eq!(reference("Pista nº 3 👩\u{200D}👩\u{200D}👧"), Ok(()));
    }
}
