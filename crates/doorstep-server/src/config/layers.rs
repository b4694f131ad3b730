//! Where settings come from: defaults, then `doorstep.toml`, then variables `DOORSTEP_<SECTION>_<NAME>`,
//! then flags of the command. The later wins, an unknown name is an error in all of them, and of
//! every setting is known who set it.

use super::Config;
use doorstep_files::private;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::Spanned;

/// The file that is looked for in the data directory.
pub const FILE: &str = "doorstep.toml";
/// What variables begin with.
const PREFIX: &str = "DOORSTEP_";
/// Variables of the commands, which are no settings of the service.
const OTHERS: &[&str] = &[
    "CLOCK",
    "CONFIG",
    "DATA",
    "DEVICE",
    "GATE",
    "KEY_FILE",
    "LOCK",
    "LOG",
    "PASSPHRASE_FILE",
    "PIN_FILE",
    "SERVER",
    "VAULT",
    "WALLET",
];
/// What Kubernetes sets in every container for a service that is named doorstep.
const OF_KUBERNETES: &[&str] = &["PORT", "PORT_", "SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_"];
/// Names in so few letters of each other are typing errors.
const ALIKE: usize = 3;

/// Who set a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nobody.
    Default,
    /// The file.
    File {
        /// Which.
        path: PathBuf,
        /// Where in it, from 1.
        line: usize,
    },
    /// A variable of the environment.
    Variable(String),
    /// A flag of the command.
    Flag(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// A setting that a flag of the command says.
#[derive(Clone, Debug)]
pub struct Flag {
    /// The flag, such as `--listen`.
    pub flag: &'static str,
    /// The section of the setting.
    pub section: &'static str,
    /// Its name there.
    pub name: &'static str,
    /// What was said.
    pub value: Value,
}

/// One setting as it is in effect.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The section.
    pub section: String,
    /// Its name there.
    pub name: String,
    /// Its value; null if it is not set.
    pub value: Value,
    /// Who set it.
    pub source: Source,
}

/// Why settings are refused.
#[derive(Debug, thiserror::Error)]
#[error("{what} ({place})")]
pub struct ConfigError {
    /// What is wrong.
    what: String,
    /// Where it stands.
    place: String,
    hint: String,
}

impl ConfigError {
    fn new(what: impl Into<String>, place: &impl ToString, hint: impl Into<String>) -> Self {
        Self { what: what.into(), place: place.to_string(), hint: hint.into() }
    }

    /// What the operator can do.
    #[must_use]
    pub fn hint(&self) -> &str {
        &self.hint
    }
}

/// Settings in effect, and who set them.
#[derive(Debug)]
pub struct Loaded {
    /// What the service is given.
    pub config: Config,
    /// The same, one by one.
    pub settings: Vec<Setting>,
}

/// Reads all layers. `file` must exist if it is named; else [`FILE`] is read if the data directory
/// has one.
///
/// # Errors
/// [`ConfigError`] for what is not known, not of its type, or in a file that other users may write.
pub fn load(
    data_dir: &Path,
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
    flags: &[Flag],
) -> Result<Loaded, ConfigError> {
    let mut layers = Layers::defaults(&Config::new(data_dir.to_owned()))?;
    let beside = data_dir.join(FILE);
    let file = file.or_else(|| beside.is_file().then_some(beside.as_path()));
    if let Some(path) = file {
        let text = private::read_trusted(path).map_err(|error| {
            ConfigError::new(error.to_string(), &"settings decide who is let in", error.hint())
        })?;
        layers.file(path, &text)?;
    }
    layers.environment(environment)?;
    for flag in flags {
        layers.put(flag.section, flag.name, flag.value.clone(), Source::Flag(flag.flag))?;
    }
    layers.finish(data_dir)
}

/// Section, name, and what is set there by whom.
struct Layers(BTreeMap<String, BTreeMap<String, (Value, Source)>>);

impl Layers {
    fn defaults(config: &Config) -> Result<Self, ConfigError> {
        let sections = sections_of(config)?;
        let sections = sections.into_iter().map(|(section, settings)| {
            let settings =
                settings.into_iter().map(|(name, value)| (name, (value, Source::Default)));
            (section, settings.collect())
        });
        Ok(Self(sections.collect()))
    }

    fn file(&mut self, path: &Path, text: &str) -> Result<(), ConfigError> {
        type Sections = BTreeMap<Spanned<String>, BTreeMap<Spanned<String>, toml::Value>>;
        let at = |span: Range<usize>| {
            let before = text.get(..span.start).unwrap_or_default();
            Source::File { path: path.to_owned(), line: before.matches('\n').count() + 1 }
        };
        let sections: Sections = toml::from_str(text).map_err(|error| {
            let place = at(error.span().unwrap_or_default());
            ConfigError::new(
                error.message().to_owned(),
                &place,
                "the file has sections like [server], with lines like listen = \"127.0.0.1:7070\"",
            )
        })?;
        for (section, settings) in sections {
            if !self.0.contains_key(section.as_ref()) {
                return Err(unknown(
                    section.as_ref(),
                    self.0.keys(),
                    "section",
                    &at(section.span()),
                ));
            }
            for (name, value) in settings {
                let source = at(name.span());
                let value = serde_json::to_value(value)
                    .map_err(|error| ConfigError::new(error.to_string(), &source, ""))?;
                self.put(section.as_ref(), name.as_ref(), value, source)?;
            }
        }
        Ok(())
    }

    /// A variable is a setting or one of a command: one that is neither was meant to be something.
    fn environment(
        &mut self,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(), ConfigError> {
        for (variable, text) in environment {
            let Some(rest) = variable.strip_prefix(PREFIX) else { continue };
            if OTHERS.contains(&rest) || is_of_kubernetes(rest) {
                continue;
            }
            let rest = rest.to_ascii_lowercase();
            let named = self.0.keys().find_map(|section| {
                let name = rest.strip_prefix(section.as_str())?.strip_prefix('_')?;
                Some((section.clone(), name.to_owned()))
            });
            let Some((section, name)) = named else {
                let known = self.variables();
                return Err(unknown(&variable, known.iter(), "variable", &"the environment"));
            };
            let known = self.0.get(&section).and_then(|settings| settings.get(&name));
            let value = match known {
                Some((Value::Null, _)) => optional(&section, &name, &text),
                known => from_text(&text, known.map(|(default, _)| default)),
            };
            self.put(&section, &name, value, Source::Variable(variable))?;
        }
        Ok(())
    }

    /// All that there are.
    fn variables(&self) -> Vec<String> {
        let settings = self.0.iter().flat_map(|(section, settings)| {
            settings.keys().map(move |name| format!("{section}_{name}"))
        });
        let names = settings.chain(OTHERS.iter().map(|name| (*name).to_owned()));
        names.map(|name| format!("{PREFIX}{}", name.to_ascii_uppercase())).collect()
    }

    fn put(
        &mut self,
        section: &str,
        name: &str,
        value: Value,
        source: Source,
    ) -> Result<(), ConfigError> {
        let Some(settings) = self.0.get_mut(section) else {
            return Err(unknown(section, self.0.keys(), "section", &source));
        };
        match settings.get_mut(name) {
            Some(setting) => *setting = (value, source),
            None => {
                let what = format!("setting of [{section}]");
                return Err(unknown(name, settings.keys(), &what, &source));
            }
        }
        Ok(())
    }

    fn finish(self, data_dir: &Path) -> Result<Loaded, ConfigError> {
        let values = self.0.iter().map(|(section, settings)| {
            let settings = settings.iter().map(|(name, (value, _))| (name.clone(), value.clone()));
            (section.clone(), Value::Object(settings.collect()))
        });
        let values = Value::Object(values.collect());
        let mut config: Config = serde_path_to_error::deserialize(values).map_err(|error| {
            let path = error.path().to_string();
            let (section, rest) = path.split_once('.').unwrap_or((&path, ""));
            let name = rest.split(['.', '[']).next().unwrap_or_default();
            let setting = self.0.get(section).and_then(|settings| settings.get(name));
            let place = setting.map_or(Source::Default, |(_, source)| source.clone());
            let what = format!("{section}.{name}: {}", error.inner());
            ConfigError::new(
                what,
                &place,
                "doorstep config show lists all settings with their values",
            )
        })?;
        data_dir.clone_into(&mut config.data_dir);
        // As they are now, so that every spelling of a value is shown in one way.
        let mut effective = sections_of(&config)?;
        let settings = self.0.into_iter().flat_map(|(section, settings)| {
            let mut values = effective.remove(&section).unwrap_or_default();
            settings.into_iter().map(move |(name, (_, source))| {
                let value = values.remove(&name).unwrap_or_default();
                Setting { section: section.clone(), name, value, source }
            })
        });
        Ok(Loaded { config, settings: settings.collect() })
    }
}

/// What a value in the environment means, by the type that the setting has.
fn from_text(text: &str, default: Option<&Value>) -> Value {
    let parsed = match default {
        Some(Value::Bool(_) | Value::Number(_)) => serde_json::from_str(text).ok(),
        Some(Value::Array(_)) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Some(items.map(Value::from).collect())
        }
        _ => None,
    };
    parsed.unwrap_or_else(|| Value::from(text))
}

/// What a value means where the default is nothing, which has no type: a text, unless the setting
/// takes none.
fn optional(section: &str, name: &str, text: &str) -> Value {
    let takes = |value: &Value| {
        let settings = Map::from_iter([(name.to_owned(), value.clone())]);
        let sections = Map::from_iter([(section.to_owned(), Value::Object(settings))]);
        serde_json::from_value::<Config>(Value::Object(sections)).is_ok()
    };
    let as_text = Value::from(text);
    match serde_json::from_str(text) {
        Ok(value) if !takes(&as_text) && takes(&value) => value,
        _ => as_text,
    }
}

fn is_of_kubernetes(name: &str) -> bool {
    OF_KUBERNETES
        .iter()
        .any(|known| name == *known || (known.ends_with('_') && name.starts_with(known)))
}

fn sections_of(
    config: &impl Serialize,
) -> Result<BTreeMap<String, Map<String, Value>>, ConfigError> {
    serde_json::to_value(config)
        .and_then(serde_json::from_value)
        .map_err(|error| ConfigError::new(error.to_string(), &Source::Default, ""))
}

fn unknown<'a>(
    name: &str,
    known: impl Iterator<Item = &'a String> + Clone,
    what: &str,
    source: &impl ToString,
) -> ConfigError {
    let nearest = known
        .clone()
        .map(|known| (strsim::damerau_levenshtein(known, name), known))
        .min()
        .filter(|(distance, _)| *distance <= ALIKE);
    let hint = match nearest {
        Some((_, nearest)) => format!("did you mean {nearest}?"),
        None => {
            let known: Vec<&str> = known.map(String::as_str).collect();
            format!("there are: {}", known.join(", "))
        }
    };
    ConfigError::new(format!("\"{name}\" is no {what}"), source, hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn write(dir: &Path, text: &str) -> PathBuf {
        let path = dir.join(FILE);
        private::write(&path, text.as_bytes()).unwrap();
        path
    }

    fn load_text(text: &str, variables: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), text);
        let variables =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        load(dir.path(), None, variables, &[])
    }

    fn source(loaded: &Loaded, name: &str) -> String {
        let setting = loaded.settings.iter().find(|setting| setting.name == name).unwrap();
        setting.source.to_string()
    }

    #[test]
    fn later_layers_win_and_each_setting_says_who_set_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = write(
            dir.path(),
            "# ours\n[server]\nlisten = \"127.0.0.1:1\"\nrequest_timeout = \"5s\"\n\n[messages]\nlink_base = \"https://a.example/c\"\n",
        );
        let variables = [
            ("DOORSTEP_SERVER_LISTEN".to_owned(), "127.0.0.1:2".to_owned()),
            ("DOORSTEP_MESSAGES_LINK_BASE".to_owned(), "https://b.example/c".to_owned()),
            ("DOORSTEP_KEY_FILE".to_owned(), "of the client".to_owned()),
            ("DOORSTEP_SERVER".to_owned(), "http://of.the.client".to_owned()),
        ];
        let flag = Flag {
            flag: "--listen",
            section: "server",
            name: "listen",
            value: json!("127.0.0.1:3"),
        };
        let loaded = load(dir.path(), None, variables, &[flag]).unwrap();
        assert_eq!(loaded.config.server.listen.port(), 3);
        assert_eq!(loaded.config.server.request_timeout.as_secs(), 5);
        assert_eq!(loaded.config.messages.link_base.as_deref(), Some("https://b.example/c"));
        assert_eq!(loaded.config.data_dir, dir.path());
        assert_eq!(source(&loaded, "listen"), "--listen");
        assert_eq!(source(&loaded, "link_base"), "DOORSTEP_MESSAGES_LINK_BASE");
        assert_eq!(source(&loaded, "request_timeout"), format!("{}:4", file.display()));
        assert_eq!(source(&loaded, "job_interval"), "default");
    }

    #[test]
    fn without_a_file_all_is_default_and_every_setting_is_listed() {
        let dir = tempfile::tempdir().unwrap();
        let loaded = load(dir.path(), None, [], &[]).unwrap();
        assert!(loaded.settings.iter().all(|setting| setting.source == Source::Default));
        let listed = |name: &str| loaded.settings.iter().find(|setting| setting.name == name);
        assert_eq!(listed("request_timeout").unwrap().value, json!("30s"));
        assert_eq!(listed("link_base").unwrap().value, Value::Null);
        assert_eq!(listed("code").unwrap().value, json!("digits-8"));
        let named = load(dir.path(), Some(&dir.path().join("none.toml")), [], &[]);
        assert!(named.is_err(), "a file that was named has to be there");
    }

    #[test]
    fn what_is_not_known_is_an_error_with_its_place_and_what_was_meant() {
        for (text, variables, told, hint) in [
            (
                "[server]\n\nlitsen = \"x\"",
                [].as_slice(),
                "doorstep.toml:3",
                "did you mean listen?",
            ),
            ("[sever]\n", &[], "doorstep.toml:1", "did you mean server?"),
            ("[server]\nx = 1", &[], "\"x\" is no setting of [server]", "there are: "),
            (
                "",
                &[("DOORSTEP_SERVER_LISTNE", "x")],
                "DOORSTEP_SERVER_LISTNE",
                "did you mean listen?",
            ),
            (
                "",
                &[("DOORSTEP_SEVER_LISTEN", "x")],
                "\"DOORSTEP_SEVER_LISTEN\" is no variable",
                "did you mean DOORSTEP_SERVER_LISTEN?",
            ),
            (
                "",
                &[("DOORSTEP_MESSAGE_PROVIDER", "http")],
                "DOORSTEP_MESSAGE_PROVIDER",
                "did you mean DOORSTEP_MESSAGES_PROVIDER?",
            ),
            ("", &[("DOORSTEP_KEYFILE", "x")], "DOORSTEP_KEYFILE", "DOORSTEP_KEY_FILE?"),
            ("listen = \"x\"", &[], "doorstep.toml:1", "[server]"),
            ("[server]\nlisten = ", &[], "doorstep.toml:2", "[server]"),
            ("[server]\nlisten = \"a\"\nlisten = \"b\"", &[], "doorstep.toml:3", "[server]"),
        ] {
            let error = load_text(text, variables).unwrap_err();
            assert!(error.to_string().contains(told), "{text}: {error}");
            assert!(error.hint().contains(hint), "{text}: {}", error.hint());
        }
    }

    #[test]
    fn a_number_without_a_default_is_read_from_a_variable_and_digits_stay_text() {
        let variables = [
            ("DOORSTEP_MESSAGES_PER_PHONE_PER_DAY", "5"),
            ("DOORSTEP_MESSAGES_TWILIO_FROM", "12345"),
            ("DOORSTEP_SERVICE_HOST", "10.0.0.1"),
            ("DOORSTEP_PORT_7070_TCP", "tcp://10.0.0.1:7070"),
        ];
        let loaded = load_text("", &variables).unwrap();
        assert_eq!(loaded.config.messages.per_phone_per_day, Some(5));
        assert_eq!(loaded.config.messages.twilio_from.as_deref(), Some("12345"));
        let error = load_text("", &[("DOORSTEP_MESSAGES_PER_PHONE_PER_DAY", "few")]).unwrap_err();
        assert!(error.to_string().contains("DOORSTEP_MESSAGES_PER_PHONE_PER_DAY"), "{error}");
    }

    #[test]
    fn values_of_another_type_are_errors_with_their_place() {
        for (text, variables, told) in [
            ("[server]\nlisten = 7070", [].as_slice(), "server.listen"),
            ("[server]\nlisten = \"localhost\"", &[], "doorstep.toml:2"),
            ("[server]\nrequest_timeout = 30", &[], "server.request_timeout"),
            ("[server]\nrequest_timeout = \"-3s\"", &[], "server.request_timeout"),
            ("[server]\nrequest_timeout = 1979-05-27", &[], "server.request_timeout"),
            ("[deliveries]\ncode = \"digits-3\"", &[], "crockford-8"),
            ("[deliveries.code]\nx = 1", &[], "deliveries.code"),
            ("", &[("DOORSTEP_SERVER_JOB_INTERVAL", "soon")], "DOORSTEP_SERVER_JOB_INTERVAL"),
        ] {
            let error = load_text(text, variables).unwrap_err();
            assert!(error.to_string().contains(told), "{text}: {error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_may_write_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = write(dir.path(), "");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
        let error = load(dir.path(), None, [], &[]).unwrap_err();
        assert!(error.to_string().contains(FILE), "{error}");
    }
}
