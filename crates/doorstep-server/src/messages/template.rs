//! The words of messages, by language: sentences with names in braces, of which there are few, and
//! whose values are put in as they are and never read again.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Longer sentences are no part of a message.
const LONGEST: usize = 400;

/// What may stand in braces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// The shop and the reference, or the reference alone.
    Sender,
    Shop,
    Reference,
    Code,
    Link,
    /// The day of the window.
    Date,
    /// Its first minute.
    From,
    /// Its last.
    Until,
}

const NAMES: [(&str, Name); 8] = [
    ("sender", Name::Sender),
    ("shop", Name::Shop),
    ("reference", Name::Reference),
    ("code", Name::Code),
    ("link", Name::Link),
    ("date", Name::Date),
    ("from", Name::From),
    ("until", Name::Until),
];

/// Why words are refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {what}", file.display())]
pub(crate) struct TemplateError {
    file: PathBuf,
    what: String,
}

/// A sentence.
#[derive(Clone, Debug)]
pub(super) struct Template(Vec<Part>);

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Name(Name),
}

impl Template {
    fn parse(text: &str, permitted: &[Name]) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!("has {} bytes, more than {LONGEST}", text.len()));
        }
        if text.chars().any(char::is_control) {
            return Err("has a line break or another control character".to_owned());
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or("has a { without its }")?;
            let known =
                NAMES.iter().find(|(known, name_is)| *known == name && permitted.contains(name_is));
            let (_, name) = known.ok_or_else(|| {
                let names = NAMES.iter().filter(|(_, name)| permitted.contains(name));
                let names: Vec<String> = names.map(|(name, _)| format!("{{{name}}}")).collect();
                format!("has {{{name}}}; it may have {}", names.join(", "))
            })?;
            if before.contains('}') {
                return Err("has a } without its {".to_owned());
            }
            parts.push(Part::Text(before.to_owned()));
            parts.push(Part::Name(*name));
            rest = after;
        }
        if rest.contains('}') {
            return Err("has a } without its {".to_owned());
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Self(parts))
    }

    fn has(&self, wanted: Name) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Name(name) if *name == wanted))
    }

    /// The sentence with its values.
    pub(super) fn fill<'a>(&self, value: impl Fn(Name) -> &'a str) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::new());
        for part in &self.0 {
            text.push_str(match part {
                Part::Text(text) => text,
                Part::Name(name) => value(*name),
            });
        }
        text
    }
}

/// The sentences of one language.
#[derive(Clone, Debug)]
pub(super) struct Words {
    pub(super) code: Template,
    pub(super) replaces: Template,
    pub(super) window: Template,
    pub(super) give: Template,
    pub(super) link: Template,
    pub(super) cancelled: Template,
    pub(super) test: Template,
    pub(super) subject: Template,
    /// How a day is written, as `strftime` has it.
    pub(super) date_format: String,
}

/// A file of sentences; of a language that is built in, some may be left out.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Sentences {
    code: Option<String>,
    replaces: Option<String>,
    window: Option<String>,
    give: Option<String>,
    link: Option<String>,
    cancelled: Option<String>,
    test: Option<String>,
    subject: Option<String>,
    date_format: Option<String>,
}

impl Sentences {
    fn or(self, other: Self) -> Self {
        Self {
            code: self.code.or(other.code),
            replaces: self.replaces.or(other.replaces),
            window: self.window.or(other.window),
            give: self.give.or(other.give),
            link: self.link.or(other.link),
            cancelled: self.cancelled.or(other.cancelled),
            test: self.test.or(other.test),
            subject: self.subject.or(other.subject),
            date_format: self.date_format.or(other.date_format),
        }
    }

    fn words(self) -> Result<Words, String> {
        use Name::{Code, Date, From, Link, Reference, Sender, Shop, Until};
        let about = [Sender, Shop, Reference];
        let read = |name: &str, text: Option<String>, also: &[Name], needs: Option<Name>| {
            let text = text.ok_or_else(|| format!("{name} is missing"))?;
            let permitted = [about.as_slice(), also].concat();
            let template =
                Template::parse(&text, &permitted).map_err(|what| format!("{name} {what}"))?;
            match needs.filter(|needed| !template.has(*needed)) {
                None => Ok(template),
                Some(_) => Err(format!("{name} needs {{{name}}}")),
            }
        };
        let date_format = self.date_format.ok_or("date_format is missing")?;
        if date_format.chars().any(char::is_control)
            || jiff::fmt::strtime::format(&date_format, jiff::civil::date(2027, 1, 15)).is_err()
        {
            return Err("date_format is not a format of days, such as %-d %b".to_owned());
        }
        Ok(Words {
            code: read("code", self.code, &[Code], Some(Code))?,
            replaces: read("replaces", self.replaces, &[], None)?,
            window: read("window", self.window, &[Date, From, Until], None)?,
            give: read("give", self.give, &[], None)?,
            link: read("link", self.link, &[Link], Some(Link))?,
            cancelled: read("cancelled", self.cancelled, &[], None)?,
            test: read("test", self.test, &[], None)?,
            subject: read("subject", self.subject, &[], None)?,
            date_format,
        })
    }
}

const BUILT_IN: [(&str, &str); 3] = [
    ("de", include_str!("templates/de.toml")),
    ("en", include_str!("templates/en.toml")),
    ("es", include_str!("templates/es.toml")),
];

/// All languages that there are words for.
#[derive(Clone, Debug)]
pub(crate) struct Languages(BTreeMap<String, Words>);

impl Languages {
    /// Those that are built in, and those of a directory.
    pub(crate) fn read(directory: Option<&Path>) -> Result<Self, TemplateError> {
        let mut sentences = BTreeMap::new();
        for (language, text) in BUILT_IN {
            let file = PathBuf::from(format!("{language}.toml"));
            sentences.insert(language.to_owned(), (parse(&file, text)?, file));
        }
        if let Some(directory) = directory {
            let unreadable = |error: std::io::Error| TemplateError {
                file: directory.to_owned(),
                what: format!("cannot be read: {error}"),
            };
            for entry in fs::read_dir(directory).map_err(unreadable)? {
                let file = entry.map_err(unreadable)?.path();
                if file.extension().is_none_or(|extension| extension != "toml") {
                    continue;
                }
                let language = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
                if !is_language(language) {
                    let what = "its name is not a language, such as fr or pt-br".to_owned();
                    return Err(TemplateError { file, what });
                }
                let text = fs::read_to_string(&file).map_err(unreadable)?;
                let mut own = parse(&file, &text)?;
                if let Some((built_in, _)) = sentences.remove(language) {
                    own = own.or(built_in);
                }
                sentences.insert(language.to_owned(), (own, file));
            }
        }
        let words =
            sentences.into_iter().map(|(language, (sentences, file))| match sentences.words() {
                Ok(words) => Ok((language, words)),
                Err(what) => Err(TemplateError { file, what }),
            });
        words.collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn has(&self, language: &str) -> bool {
        self.0.contains_key(language)
    }

    /// The names of all languages.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The words of a language, or those of another if it went away.
    pub(super) fn words(&self, language: &str, other: &str) -> Option<&Words> {
        self.0.get(language).or_else(|| self.0.get(other))
    }
}

fn parse(file: &Path, text: &str) -> Result<Sentences, TemplateError> {
    toml::from_str(text)
        .map_err(|error| TemplateError { file: file.to_owned(), what: error.message().to_owned() })
}

/// Languages are looked up by name; the name is also a file's.
fn is_language(text: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
    (2..=12).contains(&text.len()) && text.bytes().all(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(file: &str, text: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(file), text).unwrap();
        Languages::read(Some(dir.path())).unwrap_err().what
    }

    #[test]
    fn the_built_in_languages_are_whole() {
        let languages = Languages::read(None).unwrap();
        assert_eq!(languages.names().collect::<Vec<_>>(), ["de", "en", "es"]);
    }

    #[test]
    fn a_file_changes_a_sentence_or_brings_a_language() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("en.toml"), "give = \"Thank you.\"").unwrap();
        let french =
            include_str!("templates/en.toml").replace("your delivery code is", "votre code est");
        fs::write(dir.path().join("fr.toml"), french).unwrap();
        fs::write(dir.path().join("readme.txt"), "{").unwrap();
        let languages = Languages::read(Some(dir.path())).unwrap();
        let say = |language: &str| {
            let words = languages.words(language, "en").unwrap();
            let give = words.give.fill(|_| "");
            (
                words.code.fill(|name| if name == Name::Code { "12" } else { "S" }).to_string(),
                give.to_string(),
            )
        };
        assert_eq!(say("en"), ("S: your delivery code is 12.".to_owned(), "Thank you.".to_owned()));
        assert_eq!(say("fr").0, "S: votre code est 12.");
        assert_eq!(say("xx"), say("en"), "a language that went away");
        assert_eq!(say("../fr"), say("en"), "a name is no path");
    }

    #[test]
    fn values_are_put_in_and_never_read() {
        let template = Template::parse("{sender}: {code}", &[Name::Sender, Name::Code]).unwrap();
        let text = template.fill(|name| match name {
            Name::Sender => "{code}{link}{{}%s$x",
            _ => "1234",
        });
        assert_eq!(*text, "{code}{link}{{}%s$x: 1234");
    }

    #[test]
    fn words_that_could_say_something_else_are_refused() {
        for (file, text, said) in [
            ("en.toml", "code = \"Hello.\"", "code needs {code}"),
            ("en.toml", "code = \"{code} {phone}\"", "code has {phone}; it may have"),
            ("en.toml", "give = \"{code}\"", "give has {code}; it may have {sender}"),
            ("en.toml", "subject = \"{code}\"", "subject has {code}"),
            ("en.toml", "code = \"{code\"", "code has a { without its }"),
            ("en.toml", "code = \"}{code}\"", "code has a } without its {"),
            ("en.toml", "code = \"{code}}\"", "code has a } without its {"),
            ("en.toml", "code = \"{{code}}\"", "code has {{code}"),
            ("en.toml", "code = \"{code}\\r\\nBcc: x\"", "code has a line break"),
            ("en.toml", "link = \"show it\"", "link needs {link}"),
            ("en.toml", "date_format = \"%Q%\"", "date_format is not a format"),
            ("en.toml", "greeting = \"Hi\"", "unknown field `greeting`"),
            ("en.toml", "code = 7", "invalid type"),
            ("fr.toml", "code = \"{code}\"", "date_format is missing"),
            ("English.toml", "", "its name is not a language"),
        ] {
            let what = error(file, text);
            assert!(what.starts_with(said), "{text}: {what}");
        }
        let missing = Languages::read(Some(Path::new("/nowhere/at/all"))).unwrap_err();
        assert!(missing.to_string().starts_with("/nowhere/at/all: cannot be read"));
    }
}
