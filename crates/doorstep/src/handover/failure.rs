//! Why a parcel was not handed over: a reason from a closed set, and what the driver adds to it.

use alloc::string::String;
use core::fmt;
use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};

/// The longest note in bytes.
pub const MAX_NOTE_LENGTH: usize = 200;

/// Why a handover failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Reason {
    /// Nobody opened.
    #[n(1)]
    Absent,
    /// The recipient did not want it.
    #[n(2)]
    RefusedByRecipient,
    /// The address does not exist, or is another's.
    #[n(3)]
    WrongAddress,
    /// The parcel is damaged.
    #[n(4)]
    Damaged,
    /// The door could not be reached.
    #[n(5)]
    NoAccess,
    /// Something else; the note should say what.
    #[n(6)]
    Other,
}

impl Reason {
    /// All there are.
    pub const ALL: [Self; 6] = [
        Self::Absent,
        Self::RefusedByRecipient,
        Self::WrongAddress,
        Self::Damaged,
        Self::NoAccess,
        Self::Other,
    ];

    /// The name in interfaces.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::RefusedByRecipient => "refused_by_recipient",
            Self::WrongAddress => "wrong_address",
            Self::Damaged => "damaged",
            Self::NoAccess => "no_access",
            Self::Other => "other",
        }
    }

    /// Reads a name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }
}

/// What a driver adds to a reason: a line of at most [`MAX_NOTE_LENGTH`] bytes, often empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Note(String);

impl Note {
    /// Takes a text over.
    ///
    /// # Errors
    /// [`NoteRefused`] when it is too long or more than a line.
    pub fn new(text: String) -> Result<Self, NoteRefused> {
        if text.len() > MAX_NOTE_LENGTH {
            return Err(NoteRefused::TooLong { bytes: text.len() });
        }
        if text.chars().any(char::is_control) {
            return Err(NoteRefused::Control);
        }
        Ok(Self(text))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is no note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteRefused {
    /// More than [`MAX_NOTE_LENGTH`] bytes.
    TooLong {
        /// So many.
        bytes: usize,
    },
    /// A line break or another control character.
    Control,
}

impl fmt::Display for NoteRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { bytes } => {
                write!(f, "the note has {bytes} bytes of at most {MAX_NOTE_LENGTH}")
            }
            Self::Control => f.write_str("the note holds a line break or a control character"),
        }
    }
}

impl core::error::Error for NoteRefused {}

impl<C> Encode<C> for Note {
    fn encode<W: encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        e.str(&self.0).map(|_| ())
    }
}

impl<'b, C> Decode<'b, C> for Note {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        Self::new(String::from(d.str()?)).map_err(|_| decode::Error::message("note"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written_and_no_other() {
        for reason in Reason::ALL {
            assert_eq!(Reason::parse(reason.as_str()), Some(reason));
        }
        for other in ["", "Absent", "absent ", "not_delivered", "no access"] {
            assert_eq!(Reason::parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_note_is_one_short_line() {
        let note = |text: &str| Note::new(String::from(text));
        assert_eq!(note("").unwrap().as_str(), "");
        assert!(note(&"é".repeat(100)).is_ok());
        assert_eq!(note(&"é".repeat(101)), Err(NoteRefused::TooLong { bytes: 202 }));
        for text in ["a\nb", "\u{1b}[2J", "a\0", "\u{9b}31m"] {
            assert_eq!(note(text), Err(NoteRefused::Control));
        }
    }
}
