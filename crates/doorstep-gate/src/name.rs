//! The names of accounts: one spelling each, so that no other spelling has attempts of its own.

use std::fmt;

/// The longest name.
const LONGEST: usize = 64;

/// The name of an account: 1 to 64 of `a-z 0-9 . _ @ + -`, beginning with a letter, a digit or `_`.
/// It is safe in a header, a page and a log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// Reads a name as people type it: upper case and spaces around it do not matter.
    #[must_use]
    pub fn parse(typed: &str) -> Option<Self> {
        Self::exact(&typed.trim_ascii().to_ascii_lowercase())
    }

    /// Takes a name that is written in its one spelling, as a system's users are.
    #[must_use]
    pub fn exact(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let starts =
            |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'_';
        let belongs = |byte: &u8| starts(byte) || matches!(byte, b'.' | b'@' | b'+' | b'-');
        let is_name = bytes.len() <= LONGEST
            && bytes.first().is_some_and(starts)
            && bytes.iter().all(belongs);
        is_name.then(|| Self(text.to_owned()))
    }

    /// What a decoy is called.
    pub(crate) fn nobody() -> Self {
        Self("nobody".to_owned())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CVE-2025-6004: a lockout that another spelling of the name goes around.
    #[test]
    fn a_name_has_one_spelling() {
        for typed in ["ana", "Ana", "ANA", " ana\t", "aNa\r\n"] {
            assert_eq!(Name::parse(typed).unwrap().as_str(), "ana", "{typed:?}");
        }
        assert_eq!(Name::parse("ana.b+c@d-e_1").unwrap().as_str(), "ana.b+c@d-e_1");
        for bad in [
            "",
            " ",
            "a b",
            "a\nb",
            "ａna",
            "ana\u{200b}",
            "-ana",
            ".",
            "a/b",
            "a:b",
            &"a".repeat(65),
        ] {
            assert_eq!(Name::parse(bad), None, "{bad:?}");
        }
        assert_eq!(Name::exact("Ana"), None, "two users of a system never share an account");
    }
}
