//! Requests to a doorstep server, and its problems as errors with hints.

use crate::error::{CliError, Detail};
use doorstep_files::{FileError, private};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;
use zeroize::Zeroizing;

/// Longer answers than this are not the server's.
const LONGEST_ANSWER: u64 = 16 * 1024 * 1024;

/// A server, and the key to talk to it with.
pub(crate) struct Client {
    agent: ureq::Agent,
    server: String,
    key: Option<Zeroizing<String>>,
}

impl Client {
    /// A client without an API key, for devices, which sign what they send.
    pub(crate) fn anonymous(server: &str) -> Self {
        Self::patient(server, Duration::from_secs(30))
    }

    /// The same for somebody who stands at a door meanwhile.
    pub(crate) fn hasty(server: &str) -> Self {
        Self::patient(server, Duration::from_secs(5))
    }

    fn patient(server: &str, patience: Duration) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(patience))
            .http_status_as_error(false)
            .max_redirects(0)
            .build();
        Self { agent: config.into(), server: server.trim_end_matches('/').to_owned(), key: None }
    }

    /// A client with the API key in a file (`-` for standard input).
    pub(crate) fn with_key(server: &str, key_file: &Path) -> Result<Self, CliError> {
        if !server.starts_with("http://") && !server.starts_with("https://") {
            return Err(CliError::usage(format!("\"{server}\" is not the address of a server"))
                .hint("write it as http://127.0.0.1:7070"));
        }
        refuse_exposed(key_file)?;
        let key = read_secret(key_file, "API key").map_err(|error| {
            error.hint("make a key on the server: doorstep key create --name me --out doorstep.key")
        })?;
        Ok(Self { key: Some(key), ..Self::anonymous(server) })
    }

    /// Whether the key is one of a test issuer.
    pub(crate) fn is_test(&self) -> bool {
        self.key.as_ref().is_some_and(|key| key.starts_with("ds_test_"))
    }

    pub(crate) fn get(&self, path: &str) -> Result<Value, CliError> {
        let request = self.agent.get(format!("{}{path}", self.server));
        let request = match &self.key {
            Some(key) => request.header("authorization", format!("Bearer {}", key.as_str())),
            None => request,
        };
        self.answer(request.call())
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Value, CliError> {
        let request = self
            .agent
            .post(format!("{}{path}", self.server))
            .header("content-type", "application/json");
        let request = match &self.key {
            Some(key) => request.header("authorization", format!("Bearer {}", key.as_str())),
            None => request,
        };
        self.answer(request.send(body.to_string()))
    }

    fn answer(
        &self,
        result: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<Value, CliError> {
        let mut response = result.map_err(|error| {
            CliError::new(format!("cannot reach the server at {}: {error}", self.server))
                .hint("is `doorstep serve` running there? checks at the door work without it")
                .code("unreachable")
        })?;
        let status = response.status();
        let retry_after = response.headers().get("retry-after");
        let retry_after = retry_after.and_then(|seconds| seconds.to_str().ok()?.parse().ok());
        let body =
            response.body_mut().with_config().limit(LONGEST_ANSWER).read_to_string().map_err(
                |error| CliError::new(format!("the server's answer broke off: {error}")),
            )?;
        let value: Value = if body.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&body).map_err(|_| {
                CliError::new(format!(
                    "{} answered {status} with something that is not JSON",
                    self.server
                ))
                .hint("is this a doorstep server?")
            })?
        };
        if status.is_success() {
            Ok(value)
        } else {
            Err(problem(&value, status.as_u16()).retry_after(retry_after))
        }
    }
}

/// A problem document (RFC 9457) as an error.
fn problem(value: &Value, status: u16) -> CliError {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let message =
        text("detail").or_else(|| text("title")).unwrap_or("the server refused the request");
    let details = value.get("errors").and_then(Value::as_array).into_iter().flatten();
    let details = details.map(|error| {
        let text = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or_default();
        let row =
            error.get("row").and_then(Value::as_u64).and_then(|row| usize::try_from(row).ok());
        Detail { row, message: format!("{}: {}", text("field"), text("message")) }
    });
    let error = CliError::new(format!("{message} ({status})"))
        .details(details.collect())
        .code(text("code").unwrap_or("failed"));
    match text("hint") {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// Refuses an API key that other users of the machine may read.
fn refuse_exposed(key_file: &Path) -> Result<(), CliError> {
    // What cannot be looked at cannot be read either, which then says why.
    let Err(FileError::Exposed { mode, .. }) = private::refuse_exposed(key_file) else {
        return Ok(());
    };
    let (file, mode) = (key_file.display(), mode & 0o777);
    Err(CliError::new(format!("other users may read the API key in {file} (mode {mode:o})"))
        .hint(format!("chmod 600 {file}; if anybody did, doorstep key rotate"))
        .code("key_exposed"))
}

/// Reads a secret of one line from a file, or from standard input for `-`.
pub(crate) fn read_secret(path: &Path, what: &str) -> Result<Zeroizing<String>, CliError> {
    let text = if path == Path::new("-") {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(path)
    };
    let text = text
        .map(Zeroizing::new)
        .map_err(|error| CliError::io(&format!("read the {what} from"), path, &error))?;
    let trimmed = text.trim();
    if trimmed.is_empty() || !trimmed.bytes().all(|byte| byte.is_ascii_graphic()) {
        let told = CliError::new(format!("{} does not hold one {what}", path.display()));
        return Err(told.hint(format!("the {what} stands there alone, on one line")));
    }
    Ok(Zeroizing::new(trimmed.to_owned()))
}

/// Percent-encodes everything but what ids consist of.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}
