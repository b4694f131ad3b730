//! Which authenticator a person means by a name.

use super::authenticator::Authenticator;
use crate::error::{CliError, Detail};

/// The place of the one authenticator that `name` means: its number in the list, its whole issuer,
/// account or both, or else any part of them, in either case.
pub(crate) fn find(authenticators: &[Authenticator], name: &str) -> Result<usize, CliError> {
    if let Ok(number) = name.parse::<usize>() {
        let place = number.checked_sub(1).filter(|place| *place < authenticators.len());
        if let Some(place) = place {
            return Ok(place);
        }
    }
    let wanted = name.trim().to_lowercase();
    let whole = |authenticator: &Authenticator| {
        let (issuer, account) = lower(authenticator);
        wanted == issuer || wanted == account || spellings(&issuer, &account).contains(&wanted)
    };
    let part = |authenticator: &Authenticator| matches(authenticator, &wanted);
    let places = |means: &dyn Fn(&Authenticator) -> bool| -> Vec<usize> {
        let all = authenticators.iter().enumerate();
        all.filter(|(_, authenticator)| means(authenticator)).map(|(place, _)| place).collect()
    };
    let mut found = if wanted.is_empty() { Vec::new() } else { places(&whole) };
    if found.is_empty() && !wanted.is_empty() {
        found = places(&part);
    }
    match found.as_slice() {
        [place] => Ok(*place),
        [] => Err(CliError::new(format!("no authenticator is called \"{name}\""))
            .hint("doorstep auth list shows them")
            .code("unknown_name")),
        several => {
            let named = several.iter().filter_map(|place| {
                Some(Detail::from(format!(
                    "{}  {}",
                    place + 1,
                    authenticators.get(*place)?.label()
                )))
            });
            Err(CliError::new(format!("\"{name}\" may mean {} authenticators", several.len()))
                .details(named.collect())
                .hint("give more of the name, or its number")
                .code("ambiguous_name"))
        }
    }
}

/// Whether a part of the names is `wanted`, which is in lower case.
pub(crate) fn matches(authenticator: &Authenticator, wanted: &str) -> bool {
    let (issuer, account) = lower(authenticator);
    spellings(&issuer, &account).iter().any(|name| name.contains(wanted))
}

fn lower(authenticator: &Authenticator) -> (String, String) {
    (authenticator.issuer().to_lowercase(), authenticator.account().to_lowercase())
}

/// Both names as people join them.
fn spellings(issuer: &str, account: &str) -> [String; 3] {
    [format!("{issuer}:{account}"), format!("{issuer}: {account}"), format!("{issuer} {account}")]
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorstep::otp::otpauth;

    fn vault(labels: &[&str]) -> Vec<Authenticator> {
        let secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
        let uri = |label: &&str| format!("otpauth://totp/{label}?secret={secret}");
        let entries = labels.iter().map(|label| otpauth::parse(&uri(label)).unwrap().0);
        entries.map(|entry| Authenticator::of_entry(entry).unwrap()).collect()
    }

    #[test]
    fn a_name_finds_one_or_says_which_it_may_be() {
        let vault = vault(&["GitHub:ana", "GitHub:work", "Git:ana", "Bank:12", "bo"]);
        for (name, place) in [
            ("git", 2),
            ("work", 1),
            ("github:ana", 0),
            ("GitHub: Work", 1),
            ("github work", 1),
            ("bank", 3),
            ("12", 3),
            ("5", 4),
            (" BO ", 4),
        ] {
            assert_eq!(find(&vault, name).unwrap(), place, "{name}");
        }
        for name in ["ana", "github", "a"] {
            assert_eq!(find(&vault, name).unwrap_err().name(), "ambiguous_name", "{name}");
        }
        for name in ["", " ", "0", "6", "gitlab", "ana:github"] {
            assert_eq!(find(&vault, name).unwrap_err().name(), "unknown_name", "{name:?}");
        }
    }
}
