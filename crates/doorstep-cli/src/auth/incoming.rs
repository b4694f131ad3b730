//! What other programs hand over: URIs, lists of them, and images of QR codes, read as hostile input.

use super::authenticator::{Authenticator, BadName, label};
use crate::error::CliError;
use crate::input::read_codes;
use crate::text::safe;
use doorstep::otp::migration;
use doorstep::otp::otpauth::{self, Entry, Warning};

/// One authenticator that was handed over, or why it cannot be used.
#[derive(Debug)]
pub(crate) struct Incoming {
    /// How its source calls it, safe to show.
    pub(crate) name: String,
    pub(crate) read: Result<Authenticator, String>,
    /// What is odd about it.
    pub(crate) warnings: Vec<&'static str>,
}

impl Incoming {
    pub(crate) fn of_entry(entry: Entry, warnings: &[Warning]) -> Self {
        let name = safe(&label(&entry.issuer, &entry.account));
        let warnings = warnings.iter().map(|warning| explain(*warning)).collect();
        let read = Authenticator::of_entry(entry).map_err(|BadName(why)| why.to_owned());
        Self { name, read, warnings }
    }

    pub(crate) fn refused(name: &str, why: impl Into<String>) -> Self {
        Self { name: safe(name), read: Err(why.into()), warnings: Vec::new() }
    }
}

const fn explain(warning: Warning) -> &'static str {
    match warning {
        Warning::IssuerMismatch => "its label names another issuer, which was left out",
        Warning::WeakSecret => "its secret is shorter than the 128 bits that RFC 4226 asks for",
        Warning::NonCanonicalBase32 => "its secret may have lost its last character",
    }
}

/// Reads an `otpauth` or migration URI. `name` says which text it is, since the text is a secret.
pub(crate) fn of_uri(text: &str, name: &str) -> Vec<Incoming> {
    match migration::parse(text) {
        Ok(payload) => {
            let of_entry = |entry: Entry| {
                let weak = entry.secret.is_weak().then_some(Warning::WeakSecret);
                Incoming::of_entry(entry, weak.as_slice())
            };
            return payload.entries.into_iter().map(of_entry).collect();
        }
        Err(migration::BadMigration::Scheme) => {}
        Err(error) => return vec![Incoming::refused(name, error.to_string())],
    }
    vec![match otpauth::parse(text) {
        Ok((entry, warnings)) => Incoming::of_entry(entry, &warnings),
        Err(error) => Incoming::refused(name, error.to_string()),
    }]
}

/// Reads one URI a line; empty lines and lines that begin with `#` are left out.
pub(crate) fn of_lines(text: &str) -> Vec<Incoming> {
    let lines = text.trim_start_matches('\u{feff}').lines().enumerate();
    let kept = lines.filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    kept.flat_map(|(number, line)| of_uri(line, &format!("line {}", number + 1))).collect()
}

/// Reads all the QR codes of an image.
pub(crate) fn of_image(file: &[u8]) -> Result<Vec<Incoming>, CliError> {
    let codes = read_codes(file)?;
    let texts = codes.iter().enumerate();
    let read = texts.flat_map(|(number, code)| {
        let name = format!("QR code {}", number + 1);
        match std::str::from_utf8(code) {
            Ok(text) => of_uri(text, &name),
            Err(_) => vec![Incoming::refused(&name, "not an otpauth URI")],
        }
    });
    Ok(read.collect())
}

/// What became of one authenticator that was handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Added,
    /// The vault has it already, as the one at this place.
    Known(usize),
    Refused,
}

/// Puts what can be used at the end of `vault`; the fates stand in the order of `incoming`.
pub(crate) fn take_in(vault: &mut Vec<Authenticator>, incoming: &[Incoming]) -> Vec<Fate> {
    let mut fates = Vec::with_capacity(incoming.len());
    for one in incoming {
        fates.push(match &one.read {
            Err(_) => Fate::Refused,
            Ok(new) => match vault.iter().position(|known| known.is_copy_of(new)) {
                Some(place) => Fate::Known(place),
                None => {
                    vault.push(new.clone());
                    Fate::Added
                }
            },
        });
    }
    fates
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    #[test]
    fn a_list_is_read_line_by_line_and_never_quoted() {
        let text = format!(
            "\u{feff}# mine\n\notpauth://totp/A:x?secret={SECRET}\r\notpauth://steam/S:y?secret={SECRET}\nhello {SECRET}\n"
        );
        let read = of_lines(&text);
        let why: Vec<_> = read.iter().map(|one| one.read.as_ref().err()).collect();
        assert_eq!(read.len(), 3);
        assert!(why[0].is_none());
        assert!(why[1].unwrap().contains("Steam"));
        assert_eq!(read[2].name, "line 5");
        let refused = format!("{:?}", (&read[1], &read[2]));
        assert!(!refused.contains(SECRET), "{refused}");
    }

    #[test]
    fn a_copy_is_not_added_twice_wherever_its_counter_stands() {
        let uri = |counter: u64| format!("otpauth://hotp/A:x?secret={SECRET}&counter={counter}");
        let mut vault = Vec::new();
        assert_eq!(take_in(&mut vault, &of_lines(&uri(5))), [Fate::Added]);
        let again = format!("otpauth://totp/B:y?secret={SECRET}\n{}\nno URI", uri(3));
        let fates = take_in(&mut vault, &of_lines(&again));
        assert_eq!(fates, [Fate::Added, Fate::Known(0), Fate::Refused]);
        assert_eq!(vault.len(), 2);
    }

    proptest! {
        #[test]
        fn hostile_lists_never_panic(text in any::<String>(), rest in "\\PC{0,80}") {
            let _ = of_lines(&text);
            let _ = of_lines(&format!("otpauth://{rest}\notpauth-migration://offline?data={rest}"));
            let _ = of_image(text.as_bytes());
        }
    }
}
