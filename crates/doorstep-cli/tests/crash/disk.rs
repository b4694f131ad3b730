//! A disk that keeps what was synced and, of the rest, what it likes: rebuilt from a record of a server's
//! system calls, at any moment of its life.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A disk writes whole sectors, or does not.
const SECTOR: usize = 512;

/// One thing that a server did.
#[derive(Debug)]
pub(crate) enum Event {
    Wrote {
        file: PathBuf,
        change: Change,
    },
    Synced {
        file: PathBuf,
    },
    /// The head of an answer left.
    Answered,
}

#[derive(Clone, Debug)]
pub(crate) enum Change {
    At(usize, Vec<u8>),
    Append(Vec<u8>),
    Length(usize),
}

/// Reads what `strace -f -y -xx` wrote.
pub(crate) fn read(record: &str) -> Vec<Event> {
    let mut begun: BTreeMap<&str, &str> = BTreeMap::new();
    let mut events = Vec::new();
    for line in record.lines() {
        let Some((process, call)) = line.split_once(' ') else { continue };
        let call = call.trim_start();
        if let Some(start) = call.strip_suffix(" <unfinished ...>") {
            // What is written may be on the disk from here on; what is synced is only at the end.
            if !is_sync(start) {
                events.extend(event(start));
            }
            begun.insert(process, start);
        } else if call.starts_with("<... ") {
            let start = begun.remove(process).unwrap_or_default();
            if is_sync(start) && call.ends_with("= 0") {
                events.extend(event(start));
            }
        } else {
            events.extend(event(call));
        }
    }
    events
}

fn is_sync(call: &str) -> bool {
    call.starts_with("fsync(") || call.starts_with("fdatasync(")
}

fn event(call: &str) -> Option<Event> {
    let (name, rest) = call.split_once('(')?;
    let (_, rest) = rest.split_once('<')?;
    let (file, rest) = rest.split_once('>')?;
    let file = PathBuf::from(String::from_utf8(bytes(file)).ok()?);
    let text = || rest.split('"').nth(1).map(bytes);
    let numbers = || {
        let after = rest.rsplit_once('"').map_or(rest, |(_, after)| after);
        let after = after.split_once(')').map_or(after, |(numbers, _)| numbers);
        after
            .split(", ")
            .filter_map(|number| number.trim().parse::<usize>().ok())
            .collect::<Vec<_>>()
    };
    let change = match name {
        "fsync" | "fdatasync" => return Some(Event::Synced { file }),
        "write" | "writev" | "sendto" | "sendmsg" if text()?.starts_with(b"HTTP/1.1 ") => {
            return Some(Event::Answered);
        }
        "pwrite64" => Change::At(*numbers().last()?, text()?),
        "write" => Change::Append(text()?),
        "ftruncate" => Change::Length(*numbers().last()?),
        _ => return None,
    };
    Some(Event::Wrote { file, change })
}

fn bytes(hex: &str) -> Vec<u8> {
    hex.split("\\x").skip(1).map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

/// What a disk does with what was not synced when the power went.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unsynced {
    Lost,
    Kept,
    /// Sector by sector, by these dice.
    Torn(u64),
}

/// A file, and what was written to it since it was synced.
#[derive(Clone, Default)]
struct File {
    durable: Vec<u8>,
    pending: Vec<Change>,
}

/// The files below a directory.
#[derive(Clone)]
pub(crate) struct Disk {
    root: PathBuf,
    files: BTreeMap<PathBuf, File>,
    /// Whether it does what it is told.
    is_honest: bool,
}

impl Disk {
    /// What is on it before the server begins.
    pub(crate) fn of(root: &Path) -> Self {
        let mut files = BTreeMap::new();
        for entry in std::fs::read_dir(root).unwrap() {
            let path = entry.unwrap().path();
            // Memory of running processes, which SQLite makes anew.
            if path.is_file() && !path.to_string_lossy().ends_with("-shm") {
                let durable = std::fs::read(&path).unwrap();
                files.insert(path, File { durable, pending: Vec::new() });
            }
        }
        Self { root: root.to_owned(), files, is_honest: true }
    }

    /// The same, on a disk that says it synced and did not.
    pub(crate) fn dishonest(&self) -> Self {
        Self { is_honest: false, ..self.clone() }
    }

    pub(crate) fn take(&mut self, event: &Event) {
        match event {
            Event::Wrote { file, change } if file.starts_with(&self.root) => {
                self.files.entry(file.clone()).or_default().pending.push(change.clone());
            }
            Event::Synced { file } if self.is_honest => {
                if let Some(file) = self.files.get_mut(file) {
                    file.sync();
                }
            }
            _ => {}
        }
    }

    /// All that was ever written to a file.
    pub(crate) fn written(&self, file: &Path) -> Vec<u8> {
        self.files.get(file).map(|file| file.after(Unsynced::Kept)).unwrap_or_default()
    }

    /// The power goes: what is left, in another directory.
    pub(crate) fn cut(&self, unsynced: Unsynced, to: &Path) {
        for (path, file) in &self.files {
            let target = to.join(path.strip_prefix(&self.root).unwrap());
            std::fs::write(target, file.after(unsynced)).unwrap();
        }
    }
}

impl File {
    fn sync(&mut self) {
        self.durable = self.after(Unsynced::Kept);
        self.pending.clear();
    }

    fn after(&self, unsynced: Unsynced) -> Vec<u8> {
        let mut content = self.durable.clone();
        let mut dice = match unsynced {
            Unsynced::Lost => return content,
            Unsynced::Kept => None,
            Unsynced::Torn(seed) => Some(seed),
        };
        let mut lands = || {
            let Some(dice) = &mut dice else { return true };
            *dice = dice
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            *dice >> 63 == 1
        };
        for change in &self.pending {
            match change {
                Change::Length(length) => {
                    if lands() {
                        content.resize(*length, 0);
                    }
                }
                Change::Append(data) => {
                    if lands() {
                        content.extend(data);
                    }
                }
                Change::At(offset, data) => {
                    let mut at = *offset;
                    let mut rest = data.as_slice();
                    while !rest.is_empty() {
                        // Up to the next boundary of a sector.
                        let length = (SECTOR - at % SECTOR).min(rest.len());
                        let (sector, after) = rest.split_at(length);
                        if lands() {
                            if content.len() < at + length {
                                content.resize(at + length, 0);
                            }
                            content[at..at + length].copy_from_slice(sector);
                        }
                        (at, rest) = (at + length, after);
                    }
                }
            }
        }
        content
    }
}
