//! Names of issuers, devices and deliveries, bounded so that no document can smuggle a long one.

use core::fmt;

/// The longest id in bytes; the length travels as one byte in HO1's keyed hashes.
pub const MAX_ID_LENGTH: usize = 40;

/// Why a text is not an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdError {
    /// Empty, or longer than [`MAX_ID_LENGTH`] bytes.
    Length(usize),
    /// A character other than `a`-`z`, `0`-`9`, `_` and `-`.
    Character,
}

impl fmt::Display for IdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(n) => write!(f, "an id has 1 to {MAX_ID_LENGTH} characters, this one {n}"),
            Self::Character => f.write_str("an id has only a-z, 0-9, '_' and '-'"),
        }
    }
}

impl core::error::Error for IdError {}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Text {
    bytes: [u8; MAX_ID_LENGTH],
    length: u8,
}

impl Text {
    fn parse(text: &str) -> Result<Self, IdError> {
        let source = text.as_bytes();
        let length = match u8::try_from(source.len()) {
            Ok(n) if n > 0 && source.len() <= MAX_ID_LENGTH => n,
            _ => return Err(IdError::Length(source.len())),
        };
        let mut bytes = [0; MAX_ID_LENGTH];
        for (to, from) in bytes.iter_mut().zip(source) {
            if !matches!(from, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-') {
                return Err(IdError::Character);
            }
            *to = *from;
        }
        Ok(Self { bytes, length })
    }

    fn as_str(&self) -> &str {
        // Only ASCII was let in, so neither fallback is ever taken.
        let bytes = self.bytes.get(..usize::from(self.length)).unwrap_or_default();
        core::str::from_utf8(bytes).unwrap_or_default()
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Text);

        impl $name {
            /// Reads an id: 1 to [`MAX_ID_LENGTH`] characters of `a`-`z`, `0`-`9`, `_`, `-`.
            ///
            /// # Errors
            /// [`IdError`] for any other text.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                Text::parse(text).map(Self)
            }

            /// The id as it was written.
            #[must_use]
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        #[cfg(feature = "handover")]
        impl<C> minicbor::Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(
                &self,
                e: &mut minicbor::Encoder<W>,
                _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                e.str(self.as_str())?.ok()
            }
        }

        #[cfg(feature = "handover")]
        impl<'b, C> minicbor::Decode<'b, C> for $name {
            fn decode(
                d: &mut minicbor::Decoder<'b>,
                _: &mut C,
            ) -> Result<Self, minicbor::decode::Error> {
                Self::parse(d.str()?).map_err(|_| minicbor::decode::Error::message("not an id"))
            }
        }
    };
}

id! {
    /// The business that issues codes: one per server.
    IssuerId
}
id! {
    /// One parcel, one door, one handover.
    DeliveryId
}
id! {
    /// A driver's device, named by the issuer when it is enrolled.
    DeviceId
}

id! {
    /// A lock with a keypad.
    LockId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let id = DeliveryId::parse("dlv_01hzy-9").unwrap();
        assert_eq!(id.as_str(), "dlv_01hzy-9");
    }

    #[test]
    fn refuses_empty_long_and_foreign_characters() {
        assert_eq!(DeliveryId::parse(""), Err(IdError::Length(0)));
        let long = "a".repeat(MAX_ID_LENGTH + 1);
        assert_eq!(DeliveryId::parse(&long), Err(IdError::Length(41)));
        for bad in ["A", "a b", "a\0", "ａ", "a/b", "é"] {
            assert_eq!(DeliveryId::parse(bad), Err(IdError::Character), "{bad}");
        }
    }
}
