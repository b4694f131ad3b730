//! A pass on its way to whoever opens with it: on the screen, in a file, on a sheet of paper.

use super::{sheet, show};
use crate::client::{Client, escape};
use crate::commands::new_file::NewFile;
use crate::error::CliError;
use crate::output::{Answer, WARN};
use crate::text::from_base64url;
use doorstep_qr::{Qr, SCALE};
use jiff::tz::TimeZone;
use serde_json::Value;
use std::path::PathBuf;

/// Where a pass goes.
#[derive(Debug, clap::Args)]
#[group(id = "out", multiple = false)]
pub(crate) struct HandOut {
    /// As a QR code in the terminal
    #[arg(long)]
    qr: bool,
    /// As a QR code in this new file, PNG
    #[arg(long, value_name = "FILE")]
    png: Option<PathBuf>,
    /// As a QR code in this new file, SVG
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// As a sheet to print, with the time and the place: a new HTML file
    #[arg(long, value_name = "FILE")]
    sheet: Option<PathBuf>,
    /// As bytes, in this new file
    #[arg(long, value_name = "FILE")]
    bin: Option<PathBuf>,
    /// As text, DP1:...
    #[arg(long)]
    text: bool,
}

impl HandOut {
    pub(super) const fn is_wanted(&self) -> bool {
        self.qr || self.text || self.file().is_some()
    }

    const fn file(&self) -> Option<&PathBuf> {
        match self {
            Self { png: Some(file), .. }
            | Self { svg: Some(file), .. }
            | Self { sheet: Some(file), .. }
            | Self { bin: Some(file), .. } => Some(file),
            _ => None,
        }
    }

    /// The file, before the pass is made that goes there.
    pub(super) fn make(&self) -> Result<Option<NewFile<'_>>, CliError> {
        self.file().map(|path| NewFile::make(path)).transpose()
    }

    /// The pass as it was asked for.
    pub(super) fn answer(
        &self,
        file: Option<NewFile<'_>>,
        pass: Value,
        zone: &TimeZone,
        client: &Client,
    ) -> Result<Answer, CliError> {
        let mut text = show::text(&pass, zone)?;
        let Some(written) = pass["text"].as_str() else {
            if self.is_wanted() {
                return Err(CliError::new("this pass is not to be handed out")
                    .hint("one that waits is fetched by the phone that has its ticket; a revoked one is made anew: doorstep pass issue")
                    .code("nothing_to_hand_out"));
            }
            return Ok(Answer::new(pass, text));
        };
        let qr = || Qr::of_text(written);
        if self.qr {
            text.push_str(&qr()?.terminal());
        }
        if self.text {
            text.push_str(written);
            text.push('\n');
        }
        if let (Some(file), Some(path)) = (file, self.file()) {
            match self {
                Self { png: Some(_), .. } => file.fill(&qr()?.png(SCALE))?,
                Self { svg: Some(_), .. } => file.fill(qr()?.svg().as_bytes())?,
                Self { sheet: Some(_), .. } => {
                    let name = lock_name(&pass, client)?;
                    file.fill(sheet::html(&pass, &name, &qr()?, zone)?.as_bytes())?;
                }
                _ => file.fill(&from_base64url(pass["document"].as_str().unwrap_or_default())?)?,
            }
            text.push_str(&format!("written to {}\n", path.display()));
        }
        if pass["bearer"] == true {
            text.push_str(&format!(
                "{WARN}look{WARN:#}       whoever has a copy of it opens with it\n"
            ));
        } else if self.qr || self.png.is_some() || self.svg.is_some() || self.sheet.is_some() {
            text.push_str(&format!(
                "{WARN}look{WARN:#}       it opens with its holder's phone alone, which has to have it: doorstep wallet add\n"
            ));
        }
        Ok(Answer::new(pass, text))
    }
}

/// How people call the place.
fn lock_name(pass: &Value, client: &Client) -> Result<String, CliError> {
    let Some(lock) = pass["lock"].as_str() else { return Ok(show::place(pass)) };
    let lock = client.get(&format!("/v1/locks/{}", escape(lock)))?;
    Ok(lock["name"].as_str().unwrap_or_default().to_owned())
}
