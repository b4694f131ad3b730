//! `doorstep backup`: the database in one file, while a server runs; and its keys, sealed, if asked for.

use super::serve::chain;
use crate::clock::Clock;
use crate::error::CliError;
use crate::output::{Answer, GOOD};
use crate::randomness;
use crate::refused::Stop;
use crate::vault::envelope::Key;
use crate::vault::passphrase::Source;
use crate::vault::{Content, Kind};
use doorstep_files::private;
use doorstep_server::{Mode, backup};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use zeroize::{Zeroize as _, Zeroizing};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  doorstep backup /backups/doorstep-monday.db --data /var/lib/doorstep\n  doorstep backup monday.db --with-keys                       and monday.db.keys, under a passphrase\n  doorstep backup monday.db --with-keys --passphrase-file p   for scripts\n\nThe server may be running. The file is whole as of one moment, and of mode 0600: names, phone numbers and\naddresses are in it in plain. Without --with-keys no key is in it: keep a copy of keys/ somewhere else, or what is\nsealed cannot be opened again. Bring it back with: doorstep restore"
)]
pub(crate) struct Args {
    /// The new file
    #[arg(value_name = "OUT")]
    out: PathBuf,
    /// The issuer's directory
    #[arg(long, env = "DOORSTEP_DATA", default_value = "doorstep-data", value_name = "DIR")]
    data: PathBuf,
    /// Write the keys as well, sealed under a passphrase, to OUT.keys
    #[arg(long)]
    with_keys: bool,
    /// File that holds the passphrase on its first line; - is standard input
    #[arg(long, value_name = "FILE", requires = "with_keys")]
    passphrase_file: Option<PathBuf>,
    #[command(flatten)]
    clock: Clock,
}

pub(crate) fn run(args: &Args) -> Result<Answer, CliError> {
    Stop::settle(copy(args))
}

fn copy(args: &Args) -> Result<Answer, Stop> {
    let now = args.clock.now()?;
    // Asked before there is anything to clear away.
    let sealed = match args.with_keys {
        true => Some((KeysFile::beside(&args.out), Source::new(args.passphrase_file.clone()))),
        false => None,
    };
    let passphrase = match &sealed {
        Some((path, _)) if path.exists() => {
            return Err(CliError::new(format!("{} already exists", path.display()))
                .hint("nothing was overwritten: name another file")
                .into());
        }
        Some((_, source)) => Some(source.ask_new("the keys in the backup")?),
        None => None,
    };
    let made = backup(&args.data, &args.out, now)
        .map_err(|error| CliError::new(chain(&error)).hint(error.hint()))?;
    let mut json = json!({
        "issuer": made.issuer.as_str(), "mode": made.mode.as_str(), "file": args.out, "bytes": made.bytes,
        "keys": null,
    });
    let mut text = format!(
        "{GOOD}copied{GOOD:#} the database of {} to {}, {} bytes\n",
        made.issuer,
        args.out.display(),
        made.bytes
    );
    match sealed.zip(passphrase) {
        Some(((path, _), passphrase)) => {
            let keys = KeysFile::gather(&args.data.join("keys"))?;
            let is_test = made.mode == Mode::Test;
            let mut rng = randomness::source(None);
            let key = Key::make(&passphrase, KeysFile::KIND.magic, is_test, &mut rng);
            private::create(&path, &key.seal(&keys.write(), &mut rng))
                .map_err(|error| CliError::new(error.to_string()).hint("name a new file"))?;
            json["keys"] = json!(path);
            text.push_str(&format!("its keys are in {}, sealed\n", path.display()));
        }
        None => text.push_str(&format!(
            "no key is in it: keep a copy of {}/keys somewhere else\n",
            args.data.display()
        )),
    }
    Ok(Answer::new(json, text))
}

/// The files of `keys/`, by name, as they are sealed beside a backup.
#[derive(Clone)]
pub(crate) struct KeysFile(Vec<(String, Zeroizing<String>)>);

impl KeysFile {
    /// Where the keys of a backup are.
    fn beside(out: &Path) -> PathBuf {
        let mut name = out.as_os_str().to_owned();
        name.push(".keys");
        PathBuf::from(name)
    }

    pub(crate) fn files(&self) -> &[(String, Zeroizing<String>)] {
        &self.0
    }

    fn gather(dir: &Path) -> Result<Self, CliError> {
        let io = |error| CliError::io("read", dir, &error);
        let mut files = Vec::new();
        for entry in std::fs::read_dir(dir).map_err(io)? {
            let path = entry.map_err(io)?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if path.extension().is_some_and(|extension| extension == "key") {
                let content = private::read_secret(&path)
                    .map_err(|error| CliError::new(error.to_string()).hint(error.hint()))?;
                files.push((name.to_owned(), content));
            }
        }
        Ok(Self(files))
    }
}

impl Content for KeysFile {
    const KIND: Kind = Kind {
        magic: *b"dsikeys",
        name: "keys file",
        missing: "backup --with-keys makes it beside the backup: --keys names another",
        foreign: "name the file that backup --with-keys made, which ends in .keys",
    };

    fn write(&self) -> Zeroizing<Vec<u8>> {
        let files: BTreeMap<&str, &str> =
            self.0.iter().map(|(name, content)| (name.as_str(), content.as_str())).collect();
        // Text by text always has a form.
        Zeroizing::new(serde_json::to_vec(&files).unwrap_or_default())
    }

    fn read(content: &[u8]) -> Option<Self> {
        let files: BTreeMap<String, String> = serde_json::from_slice(content).ok()?;
        let sealed = files.into_iter().map(|(name, mut content)| {
            let kept = Zeroizing::new(format!("{content}\n"));
            content.zeroize();
            (name, kept)
        });
        Some(Self(sealed.collect()))
    }
}
