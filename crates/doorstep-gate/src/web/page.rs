//! The page where people type their code: plain HTML, usable by keyboard, by ear and without
//! scripts.

use super::path::ReturnPath;
use crate::name::Name;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use doorstep::otp::hint;
use doorstep::refusal::Refusal;
use doorstep::time::Timestamp;

const STYLE: &str = include_str!("style.css");

/// Why somebody was not let in, in words.
pub(super) struct Notice {
    what: String,
    hint: String,
    /// Whether a wrong clock may be the reason.
    clock: bool,
}

impl Notice {
    pub(super) fn plain(what: &str, hint: &str) -> Self {
        Self { what: what.to_owned(), hint: hint.to_owned(), clock: true }
    }

    pub(super) fn of(refusal: &Refusal) -> Self {
        let what = match refusal {
            Refusal::Throttled { until: Some(until) } => {
                format!("{refusal}, until {}", utc(*until))
            }
            Refusal::AlreadyUsed { at } => format!("{refusal}, at {}", utc(*at)),
            _ => refusal.to_string(),
        };
        let clock = !matches!(refusal, Refusal::Mistyped);
        Self { what, hint: hint(refusal).to_owned(), clock }
    }
}

pub(super) async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE).into_response()
}

/// The page. Everything in it that a request could have chosen is a canonical name, a checked path
/// or escaped.
pub(super) fn login(
    token: &str,
    back: &ReturnPath,
    notice: Option<&Notice>,
    signed_in: Option<&Name>,
    now: Timestamp,
) -> String {
    let notice = notice.map_or_else(String::new, |notice| {
        let clock = if notice.clock {
            format!("<p>The time here is {}. If your device shows another, set its clock.</p>", utc(now))
        } else {
            String::new()
        };
        let (what, hint) = (escape(&notice.what), escape(&notice.hint));
        format!("<div role=\"alert\" id=\"notice\"><p><strong>Not let in: {what}.</strong></p><p>{hint}</p>{clock}</div>")
    });
    let out = signed_in.map_or_else(String::new, |name| {
        format!("<form method=\"post\" action=\"/_doorstep/logout\"><p>You are signed in as {name}.</p><input type=\"hidden\" name=\"form\" value=\"{token}\"><button>Sign out</button></form>")
    });
    let back = back.escaped();
    format!(
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sign in</title>
<link rel="stylesheet" href="/_doorstep/style.css">
</head>
<body>
<main>
<h1>Sign in</h1>
{notice}{out}
<form method="post" action="/_doorstep/login">
<input type="hidden" name="form" value="{token}">
<input type="hidden" name="return" value="{back}">
<label for="name">Name</label>
<input id="name" name="name" autocomplete="username" autocapitalize="none" spellcheck="false" maxlength="64" required>
<label for="code">Code of your authenticator</label>
<input id="code" name="code" inputmode="numeric" autocomplete="one-time-code" maxlength="32">
<details>
<summary>Lost your authenticator?</summary>
<label for="recovery">Recovery code</label>
<input id="recovery" name="recovery" autocomplete="off" autocapitalize="characters" spellcheck="false" maxlength="32">
</details>
<button>Sign in</button>
</form>
</main>
</body>
</html>
"#
    )
}

fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(character),
        }
    }
    escaped
}

fn utc(at: Timestamp) -> String {
    let seconds = i64::try_from(at.seconds()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds)
        .map_or_else(|_| seconds.to_string(), |at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}
