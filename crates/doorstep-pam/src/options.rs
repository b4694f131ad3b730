//! The module's options, as a line in `/etc/pam.d` gives them. An unknown one refuses everybody:
//! guessing what was meant could let somebody in.

use std::path::PathBuf;

/// The options.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// `gate.toml`.
    pub(crate) file: PathBuf,
    /// Whether users without an authenticator pass without a code.
    pub(crate) optional_for_unenrolled: bool,
    /// Simulated clock, for test data only.
    pub(crate) clock: Option<PathBuf>,
}

impl Options {
    pub(crate) fn parse<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut options = Self {
            file: PathBuf::from("/etc/doorstep/gate.toml"),
            optional_for_unenrolled: false,
            clock: None,
        };
        for argument in arguments {
            match argument.split_once('=') {
                Some(("file", path)) if path.starts_with('/') => options.file = path.into(),
                Some(("clock", path)) if path.starts_with('/') => options.clock = Some(path.into()),
                None if argument == "optional-for-unenrolled" => {
                    options.optional_for_unenrolled = true
                }
                _ => return Err(format!("\"{argument}\" is not an option of pam_doorstep")),
            }
        }
        Ok(options)
    }
}
