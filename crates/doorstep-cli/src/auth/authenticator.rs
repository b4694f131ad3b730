//! One authenticator of a vault, and how it is stored there.

use crate::text::hides;
use doorstep::otp::OtpSecret;
use doorstep::otp::ocra::suite::Suite;
use doorstep::otp::otpauth::{self, Entry, Kind};
use doorstep::otp::text::{read_base32, write_base32};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// The longest name, in bytes: with it every authenticator fits an `otpauth` URI.
const MAX_NAME: usize = 200;

/// One authenticator.
#[derive(Clone, Debug)]
pub(crate) enum Authenticator {
    /// HOTP or TOTP.
    Otp(Entry),
    /// OCRA.
    Ocra(Ocra),
}

/// What answers challenges.
#[derive(Clone, Debug)]
pub(crate) struct Ocra {
    pub(crate) issuer: String,
    pub(crate) account: String,
    pub(crate) secret: OtpSecret,
    pub(crate) suite: Suite,
    /// The next counter, for suites that have one.
    pub(crate) counter: u64,
}

/// A name that cannot be kept, and why.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadName(pub(crate) &'static str);

impl Authenticator {
    /// Takes over an entry whose names can be kept.
    pub(crate) fn of_entry(entry: Entry) -> Result<Self, BadName> {
        let (issuer, account) = names(&entry.issuer, &entry.account)?;
        let entry = Entry { issuer, account, ..entry };
        // What a vault stores must read back; the one rule for that is the core's.
        if otpauth::write(&entry).is_err() {
            return Err(BadName("other programs would read its name differently"));
        }
        Ok(Self::Otp(entry))
    }

    /// Takes over an OCRA authenticator whose names can be kept.
    pub(crate) fn of_ocra(ocra: Ocra) -> Result<Self, BadName> {
        let (issuer, account) = names(&ocra.issuer, &ocra.account)?;
        Ok(Self::Ocra(Ocra { issuer, account, ..ocra }))
    }

    pub(crate) fn issuer(&self) -> &str {
        match self {
            Self::Otp(entry) => &entry.issuer,
            Self::Ocra(ocra) => &ocra.issuer,
        }
    }

    pub(crate) fn account(&self) -> &str {
        match self {
            Self::Otp(entry) => &entry.account,
            Self::Ocra(ocra) => &ocra.account,
        }
    }

    pub(crate) const fn secret(&self) -> &OtpSecret {
        match self {
            Self::Otp(entry) => &entry.secret,
            Self::Ocra(ocra) => &ocra.secret,
        }
    }

    /// Issuer and account as one name.
    pub(crate) fn label(&self) -> String {
        label(self.issuer(), self.account())
    }

    /// Whether both are one authenticator, wherever their counters stand.
    pub(crate) fn is_copy_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Otp(one), Self::Otp(other)) => one.is_copy_of(other),
            (Self::Ocra(one), Self::Ocra(other)) => {
                one.issuer == other.issuer
                    && one.account == other.account
                    && one.suite.as_str() == other.suite.as_str()
                    && bool::from(one.secret.ct_eq(&other.secret))
            }
            _ => false,
        }
    }

    /// How it makes its codes, for people.
    pub(crate) fn method(&self) -> String {
        match self {
            Self::Otp(Entry { kind: Kind::Totp(totp), .. }) => format!(
                "totp, {} digits, {} s, {}",
                totp.digits.get(),
                totp.period,
                totp.algorithm.name()
            ),
            Self::Otp(Entry { kind: Kind::Hotp { hotp, counter }, .. }) => format!(
                "hotp, {} digits, {}, next counter {counter}",
                hotp.digits.get(),
                hotp.algorithm.name()
            ),
            Self::Ocra(ocra) if ocra.suite.has_counter() => {
                format!("{}, next counter {}", ocra.suite.as_str(), ocra.counter)
            }
            Self::Ocra(ocra) => ocra.suite.as_str().to_owned(),
        }
    }

    /// Everything but the secret, for machines.
    pub(crate) fn to_json(&self) -> Value {
        let mut json = match self {
            Self::Otp(Entry { kind: Kind::Totp(totp), .. }) => json!({
                "kind": "totp", "digits": totp.digits.get(), "period": totp.period,
                "algorithm": totp.algorithm.name(),
            }),
            Self::Otp(Entry { kind: Kind::Hotp { hotp, counter }, .. }) => json!({
                "kind": "hotp", "digits": hotp.digits.get(), "counter": counter,
                "algorithm": hotp.algorithm.name(),
            }),
            Self::Ocra(ocra) => json!({
                "kind": "ocra", "suite": ocra.suite.as_str(),
                "counter": ocra.suite.has_counter().then_some(ocra.counter),
            }),
        };
        json["issuer"] = json!(self.issuer());
        json["account"] = json!(self.account());
        json
    }
}

/// Issuer and account as one name, where either may be missing.
pub(crate) fn label(issuer: &str, account: &str) -> String {
    match (issuer, account) {
        ("", "") => "(no name)".to_owned(),
        ("", account) => account.to_owned(),
        (issuer, "") => issuer.to_owned(),
        (issuer, account) => format!("{issuer}: {account}"),
    }
}

fn names(issuer: &str, account: &str) -> Result<(String, String), BadName> {
    let (issuer, account) = (issuer.trim(), account.trim());
    if [issuer, account].iter().any(|name| name.chars().any(hides)) {
        return Err(BadName("a character in its name that hides or reorders others"));
    }
    if issuer.len() > MAX_NAME || account.len() > MAX_NAME {
        return Err(BadName("its name is longer than 200 bytes"));
    }
    Ok((issuer.to_owned(), account.to_owned()))
}

/// A vault's content as it is sealed.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Content {
    authenticators: Vec<Stored>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum Stored {
    Otpauth(Zeroizing<String>),
    Ocra { issuer: String, account: String, suite: String, secret: Zeroizing<String>, counter: u64 },
}

/// Writes a vault's content.
pub(crate) fn write_all(authenticators: &[Authenticator]) -> Zeroizing<Vec<u8>> {
    let stored = authenticators.iter().map(|authenticator| match authenticator {
        Authenticator::Otp(entry) => Stored::Otpauth(
            otpauth::write(entry).expect("only what can be written is taken into a vault"),
        ),
        Authenticator::Ocra(ocra) => {
            let mut secret = Zeroizing::new(String::new());
            // Writing into a string does not fail.
            let _ = write_base32(&ocra.secret, &mut *secret);
            Stored::Ocra {
                issuer: ocra.issuer.clone(),
                account: ocra.account.clone(),
                suite: ocra.suite.as_str().to_owned(),
                secret,
                counter: ocra.counter,
            }
        }
    });
    let content = Content { authenticators: stored.collect() };
    // Room enough that the buffer does not move, and leave a copy of the secrets behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(64 + 2600 * content.authenticators.len()));
    serde_json::to_writer(&mut *bytes, &content).expect("text is written into memory");
    bytes
}

/// Reads a vault's content; `None` when this program cannot have written it.
pub(crate) fn read_all(content: &[u8]) -> Option<Vec<Authenticator>> {
    let content: Content = serde_json::from_slice(content).ok()?;
    let read = |stored| match stored {
        Stored::Otpauth(uri) => Some(Authenticator::Otp(otpauth::parse(&uri).ok()?.0)),
        Stored::Ocra { issuer, account, suite, secret, counter } => {
            Some(Authenticator::Ocra(Ocra {
                issuer,
                account,
                secret: read_base32(&secret).ok()?.secret,
                suite: Suite::parse(&suite).ok()?,
                counter,
            }))
        }
    };
    content.authenticators.into_iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(issuer: &str, account: &str) -> Entry {
        let uri = "otpauth://totp/x?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
        let entry = otpauth::parse(uri).unwrap().0;
        Entry { issuer: issuer.to_owned(), account: account.to_owned(), ..entry }
    }

    #[test]
    fn names_that_do_not_read_back_are_refused_or_trimmed() {
        let taken = Authenticator::of_entry(entry(" Ex ", " al ")).unwrap();
        assert_eq!((taken.issuer(), taken.account()), ("Ex", "al"));
        for name in ["a\nb", "\u{1b}[2J", &"x".repeat(201)] {
            assert!(Authenticator::of_entry(entry("Ex", name)).is_err(), "{name:?}");
            assert!(Authenticator::of_entry(entry(name, "al")).is_err(), "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_taken_reads_back(issuer in "\\PC{0,30}", account in any::<String>(), counter in any::<u64>()) {
            let mut all: Vec<Authenticator> =
                Authenticator::of_entry(entry(&issuer, &account)).into_iter().collect();
            all.extend(Authenticator::of_ocra(Ocra {
                issuer, account, secret: OtpSecret::from_bytes(&[7; 64]).unwrap(),
                suite: Suite::parse("OCRA-1:HOTP-SHA1-6:C-QN08").unwrap(), counter,
            }));
            let read = read_all(&write_all(&all)).unwrap();
            prop_assert_eq!(read.len(), all.len());
            prop_assert!(read.iter().zip(&all).all(|(read, written)| read.is_copy_of(written)));
        }
    }
}
