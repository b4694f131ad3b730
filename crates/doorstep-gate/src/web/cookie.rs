//! The gate's cookies: read from requests, and written so that only this host's pages send them.

use axum::http::{HeaderMap, HeaderValue, header};
use std::fmt;

/// A cookie by its use.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cookie {
    /// Who was let in.
    Session,
    /// Which device was let in before.
    Device,
    /// Which browser a form was made for.
    Form,
}

/// How long a browser keeps what makes it known: browsers allow no more.
const YEAR: u64 = 400 * 86_400;

impl Cookie {
    const fn name(self, plain: bool) -> &'static str {
        match (self, plain) {
            (Self::Session, false) => "__Host-doorstep",
            (Self::Session, true) => "doorstep",
            (Self::Device, false) => "__Host-doorstep-device",
            (Self::Device, true) => "doorstep-device",
            (Self::Form, false) => "__Host-doorstep-form",
            (Self::Form, true) => "doorstep-form",
        }
    }

    /// The cookie's value in a request. Given twice, somebody else set one of them: then none.
    pub(super) fn read(self, headers: &HeaderMap, plain: bool) -> Option<&str> {
        let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
        let pairs =
            lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let mut found = pairs.filter(|(name, _)| *name == self.name(plain));
        let (_, value) = found.next()?;
        found.next().is_none().then_some(value)
    }

    /// The line that sets the cookie. The value is one of ours: hexadecimal or base 32.
    pub(super) fn set(
        self,
        value: &dyn fmt::Display,
        lifetime: u64,
        plain: bool,
    ) -> Option<HeaderValue> {
        let secure = if plain { "" } else { "; Secure" };
        let age = match self {
            Self::Session => format!("; Max-Age={lifetime}"),
            Self::Device => format!("; Max-Age={YEAR}"),
            Self::Form => String::new(),
        };
        let line =
            format!("{}={value}; Path=/{age}; HttpOnly; SameSite=Lax{secure}", self.name(plain));
        HeaderValue::try_from(line).ok()
    }

    /// The line that takes the cookie back.
    pub(super) fn unset(self, plain: bool) -> Option<HeaderValue> {
        let secure = if plain { "" } else { "; Secure" };
        let line =
            format!("{}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax{secure}", self.name(plain));
        HeaderValue::try_from(line).ok()
    }
}
