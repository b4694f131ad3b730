//! What customers read, and the provider that takes it: `log`, which appends it to a file.

use doorstep::handover::stop::ScanText;
use doorstep::handover::tag::ScanSecret;
use doorstep::id::DeliveryId;
use doorstep::secret::Secret;
use serde::Serialize;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
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

/// Why messages are not in the file, or not known to be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AppendError {
    #[error("cannot append to {}", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The next line would continue the torn one.
    #[error(
        "cannot append to {}, nor set it back to the {length} bytes it had ({back})", path.display()
    )]
    Torn {
        path: PathBuf,
        length: u64,
        back: io::Error,
        #[source]
        source: io::Error,
    },
}

/// Appends lines to the file, which only its owner can read, and returns once they are on disk.
/// When that fails, the file is as long as before.
pub(crate) fn append(path: &Path, lines: &[u8]) -> Result<(), AppendError> {
    let io = |source| AppendError::Io { path: path.to_owned(), source };
    let mut options = File::options();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path).map_err(io)?;
    let length = file.metadata().map_err(io)?.len();
    if length == 0 {
        // It may be new, and its name not on disk yet.
        File::open(directory(path)).and_then(|directory| directory.sync_all()).map_err(io)?;
    }
    whole_or_nothing(path, &file, length, |mut file| {
        file.write_all(lines)?;
        file.sync_all()
    })
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn whole_or_nothing(
    path: &Path,
    file: &File,
    length: u64,
    write: impl FnOnce(&File) -> io::Result<()>,
) -> Result<(), AppendError> {
    let Err(source) = write(file) else { return Ok(()) };
    let path = path.to_owned();
    Err(match file.set_len(length).and_then(|()| file.sync_all()) {
        Ok(()) => AppendError::Io { path, source },
        Err(back) => AppendError::Torn { path, length, back, source },
    })
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
    fn a_failed_write_leaves_the_file_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("messages.jsonl");
        append(&path, b"one\n").unwrap();
        let file = File::options().append(true).open(&path).unwrap();
        let failed = whole_or_nothing(&path, &file, 4, |mut file| {
            file.write_all(b"tw")?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert!(matches!(failed, Err(AppendError::Io { .. })), "{failed:?}");
        append(&path, b"three\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\nthree\n");
    }

    #[test]
    fn a_file_that_cannot_be_set_back_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("messages.jsonl");
        std::fs::write(&path, "one\ntw").unwrap();
        let read_only = File::open(&path).unwrap();
        let failed =
            whole_or_nothing(&path, &read_only, 4, |mut file| file.write_all(b"o\n")).unwrap_err();
        assert!(failed.to_string().contains("nor set it back to the 4 bytes"), "{failed}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_said() {
        let failed = append(Path::new("/dev/full"), b"one\n").unwrap_err();
        assert!(matches!(failed, AppendError::Torn { .. }), "{failed}");
    }

    #[test]
    fn a_file_without_a_directory_is_in_the_current_one() {
        assert_eq!(directory(Path::new("messages.jsonl")), Path::new("."));
        assert_eq!(directory(Path::new("a/messages.jsonl")), Path::new("a"));
    }

    #[test]
    fn damaged_content_is_none() {
        assert!(Content::from_bytes(&[0; 15]).is_none());
        assert!(Content::from_bytes(&[0xFF; 20]).is_none());
        assert!(Content::from_bytes(&[]).is_none());
    }
}
