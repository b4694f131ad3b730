//! What customers read, and the provider that takes it: `log`, which appends it to a file.

use doorstep::handover::stop::ScanText;
use doorstep::handover::tag::ScanSecret;
use doorstep::id::DeliveryId;
use doorstep::secret::Secret;
use serde::Serialize;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use zeroize::Zeroizing;

/// What a message carries, as it is sealed while it waits: 16 bytes of scanned secret, then the
/// code in its groups.
pub(crate) struct Content {
    scan: ScanSecret,
    code: Zeroizing<String>,
}

impl Content {
    pub(crate) fn new(scan: ScanSecret, code: &doorstep::code::Code) -> Self {
        let mut text = Zeroizing::new(String::new());
        // Writing to a string cannot fail.
        let _ = code.write_grouped(&mut *text);
        Self { scan, code: text }
    }

    pub(crate) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new([self.scan.expose().as_slice(), self.code.as_bytes()].concat())
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (scan, code) = bytes.split_first_chunk::<16>()?;
        let code = Zeroizing::new(std::str::from_utf8(code).ok()?.to_owned());
        Some(Self { scan: ScanSecret::new(Secret::from_bytes(*scan)), code })
    }
}

/// Whom a message is about.
pub(crate) struct Subject<'a> {
    pub(crate) delivery: DeliveryId,
    pub(crate) reference: &'a str,
    pub(crate) generation: u32,
    pub(crate) slot: u8,
    /// The recipient has, or may have, an earlier code.
    pub(crate) replaces: bool,
}

/// Words a message. The link carries the secret behind a `#`, so that no server sees it.
pub(crate) fn text(
    subject: &Subject<'_>,
    content: &Content,
    link_base: Option<&str>,
) -> Zeroizing<String> {
    let mut text =
        Zeroizing::new(format!("{}: your delivery code is {}. ", subject.reference, *content.code));
    if subject.replaces {
        text.push_str("This code replaces the earlier one. ");
    }
    text.push_str("Give it to the driver at the door, when you have the parcel.");
    if let Some(base) = link_base {
        text.push_str(&format!(" Or show this: {base}#"));
        let scan = ScanText {
            delivery: subject.delivery,
            generation: subject.generation,
            slot: subject.slot,
            secret: content.scan.clone(),
        };
        // Writing to a string cannot fail.
        let _ = scan.write(&mut *text);
    }
    text
}

/// One line of the `log` provider's file.
#[derive(Serialize)]
pub(crate) struct Line<'a> {
    pub(crate) id: &'a str,
    pub(crate) at: String,
    pub(crate) to: &'a str,
    pub(crate) delivery: &'a str,
    pub(crate) reference: &'a str,
    pub(crate) generation: u32,
    pub(crate) slot: u8,
    pub(crate) text: &'a str,
}

/// Appends lines to the file, which only its owner can read, and returns once they are on disk.
pub(crate) fn append(path: &Path, lines: &[u8]) -> io::Result<()> {
    let mut options = File::options();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(lines)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorstep::code::{Code, Shape};

    #[test]
    fn a_message_says_what_to_do_and_carries_the_secret_in_the_fragment_only() {
        let code = Code::parse("00291635", Shape::DIGITS_8).unwrap();
        let content = Content::new(ScanSecret::new(Secret::from_bytes([1; 16])), &code);
        let read = Content::from_bytes(&content.to_bytes()).unwrap();
        let subject = Subject {
            delivery: DeliveryId::parse("dlv_1").unwrap(),
            reference: "A-1",
            generation: 2,
            slot: 0,
            replaces: true,
        };
        let words = text(&subject, &read, Some("https://example.org/d"));
        assert!(words.starts_with("A-1: your delivery code is 0029 1635. This code replaces"));
        let (link, fragment) = words.split_once('#').unwrap();
        assert!(link.ends_with("https://example.org/d"));
        assert_eq!(ScanText::parse(fragment).unwrap().secret.expose(), &[1; 16]);
        assert!(!text(&subject, &read, None).contains('#'));
    }

    #[test]
    fn damaged_content_is_none() {
        assert!(Content::from_bytes(&[0; 15]).is_none());
        assert!(Content::from_bytes(&[0xFF; 20]).is_none());
        assert!(Content::from_bytes(&[]).is_none());
    }
}
