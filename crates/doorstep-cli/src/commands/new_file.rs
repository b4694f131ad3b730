//! A private file that is made before the server is asked for what goes in: a secret that is shown
//! once must not be lost because there is no place for it.

use crate::error::CliError;
use doorstep_files::private;
use std::path::Path;

/// A new file of mode 0600. One that stays empty is removed.
pub(crate) struct NewFile<'p> {
    path: &'p Path,
    filled: bool,
}

impl<'p> NewFile<'p> {
    pub(crate) fn make(path: &'p Path) -> Result<Self, CliError> {
        private::create(path, b"").map_err(|error| {
            CliError::new(error.to_string()).hint("name a new file, where you may write")
        })?;
        Ok(Self { path, filled: false })
    }

    pub(crate) fn fill(mut self, content: &[u8]) -> Result<(), CliError> {
        private::write(self.path, content)
            .map_err(|error| CliError::new(error.to_string()).hint(error.hint()))?;
        self.filled = true;
        Ok(())
    }
}

impl Drop for NewFile<'_> {
    fn drop(&mut self) {
        if !self.filled {
            // What is left over is empty, so that nothing is lost if it stays.
            let _ = std::fs::remove_file(self.path);
        }
    }
}
