//! What an API key may do: a closed set of names, so that a leaked key of a login page plans no
//! deliveries.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use utoipa::ToSchema;

macro_rules! scopes {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// One thing that an API key may do.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
        pub enum Scope {
            $($(#[$doc])* #[serde(rename = $text)] $name,)*
        }

        impl Scope {
            /// All there are.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }
    };
}

scopes! {
    /// Look up deliveries, devices and disputes.
    DeliveriesRead = "deliveries:read";
    /// Take in, plan, send and end deliveries; invite devices; resolve disputes.
    DeliveriesWrite = "deliveries:write";
    /// Look up locks and bookings, with their PINs.
    LocksRead = "locks:read";
    /// Make and change locks and bookings.
    LocksWrite = "locks:write";
    /// Look up accounts.
    AccountsRead = "accounts:read";
    /// Make and change accounts and their authenticators.
    AccountsWrite = "accounts:write";
    /// Verify codes of accounts: all that a login page or a gate needs.
    Gate = "gate";
    /// Look up passes.
    PassesRead = "passes:read";
    /// Issue and revoke passes.
    PassesWrite = "passes:write";
    /// Look up messages to customers.
    MessagesRead = "messages:read";
    /// Send messages again.
    MessagesWrite = "messages:write";
    /// Look up events and webhooks.
    EventsRead = "events:read";
    /// Make and change webhooks.
    EventsWrite = "events:write";
    /// Read the metrics.
    Metrics = "metrics";
    /// Make and revoke API keys and keys of passes; and all else, since whoever makes keys may make
    /// one for it.
    Admin = "admin";
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What one API key may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scopes(BTreeSet<Scope>);

impl Scopes {
    /// Everything.
    #[must_use]
    pub fn admin() -> Self {
        Self([Scope::Admin].into())
    }

    /// At least one; `None` without any.
    #[must_use]
    pub fn new(scopes: impl IntoIterator<Item = Scope>) -> Option<Self> {
        let scopes: BTreeSet<Scope> = scopes.into_iter().collect();
        (!scopes.is_empty()).then_some(Self(scopes))
    }

    /// Reads names with commas or spaces between them.
    ///
    /// # Errors
    /// The name that is none; empty when there is no name at all.
    pub fn parse(text: &str) -> Result<Self, &str> {
        let names = text.split([',', ' ']).filter(|name| !name.is_empty());
        let scopes = names.map(|name| {
            Scope::ALL.iter().copied().find(|scope| scope.as_str() == name).ok_or(name)
        });
        Self::new(scopes.collect::<Result<Vec<_>, _>>()?).ok_or("")
    }

    /// Whether this may be done.
    pub(crate) fn allow(&self, scope: Scope) -> bool {
        self.0.contains(&scope) || self.0.contains(&Scope::Admin)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Scope> {
        self.0.iter().copied()
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.iter().map(Scope::as_str).collect();
        f.write_str(&names.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_and_others_are_refused() {
        for scope in Scope::ALL {
            assert_eq!(Scopes::parse(scope.as_str()), Ok(Scopes([*scope].into())));
            assert_eq!(serde_json::to_value(scope).unwrap(), scope.as_str());
        }
        let two = Scopes::parse("gate, deliveries:read").unwrap();
        assert_eq!(two.to_string(), "deliveries:read gate");
        assert_eq!(Scopes::parse(&two.to_string()), Ok(two));
        for (text, wrong) in
            [("", ""), (" ,", ""), ("gate,all", "all"), ("GATE", "GATE"), ("*", "*")]
        {
            assert_eq!(Scopes::parse(text), Err(wrong));
        }
    }

    #[test]
    fn only_admin_may_what_it_does_not_name() {
        let gate = Scopes::new([Scope::Gate]).unwrap();
        for scope in Scope::ALL {
            assert_eq!(gate.allow(*scope), *scope == Scope::Gate);
            assert!(Scopes::admin().allow(*scope));
        }
        assert_eq!(Scopes::new([]), None);
    }
}
