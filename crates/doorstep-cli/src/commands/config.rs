//! `doorstep config`: the settings of a server, and who set them.

use crate::error::CliError;
use crate::output::{Answer, DIM, table};
use doorstep_server::config::layers::{Flag, Loaded, Setting, Source, load};
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Print every setting with its value and who set it
    #[command(
        after_help = "Examples:\n  doorstep config show --data /var/lib/doorstep\n  DOORSTEP_SERVER_LISTEN=0.0.0.0:443 doorstep config show --config doorstep.toml\n\nSettings come from the file, then from variables DOORSTEP_<SECTION>_<NAME>, then from the flags of doorstep serve; the later wins. An unknown name is an error in all of them."
    )]
    Show(Settings),
}

/// Where the settings of a server are.
#[derive(Debug, clap::Args)]
pub(crate) struct Settings {
    /// The issuer's directory, made by `doorstep init`
    #[arg(long, env = "DOORSTEP_DATA", default_value = "doorstep-data", value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// The file with the settings; DIR/doorstep.toml by default, if there is one
    #[arg(long, env = "DOORSTEP_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Settings {
    /// Reads all layers; `flags` are those of the command.
    pub(crate) fn load(&self, flags: &[Flag]) -> Result<Loaded, CliError> {
        // What is not text cannot be meant for us.
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        load(&self.data, self.config.as_deref(), variables, flags)
            .map_err(|error| CliError::new(error.to_string()).hint(error.hint()).code("config"))
    }
}

pub(crate) fn run(command: &Command) -> Result<Answer, CliError> {
    let Command::Show(settings) = command;
    let settings = settings.load(&[])?.settings;
    let json: Vec<Value> = settings.iter().map(to_json).collect();
    let mut rows = vec![vec!["setting".to_owned(), "value".to_owned(), "from".to_owned()]];
    rows.extend(settings.iter().map(|setting| {
        let value = match &setting.value {
            Value::Null => "-".to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let source = match &setting.source {
            Source::Default => format!("{DIM}default{DIM:#}"),
            other => other.to_string(),
        };
        vec![format!("{}.{}", setting.section, setting.name), value, source]
    }));
    Ok(Answer::new(json!({ "settings": json }), table(&rows)))
}

fn to_json(setting: &Setting) -> Value {
    json!({
        "setting": format!("{}.{}", setting.section, setting.name),
        "value": setting.value,
        "source": setting.source.to_string(),
    })
}
