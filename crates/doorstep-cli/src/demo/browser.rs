//! A browser for the demo: it keeps cookies and sends the one form that there is.

use crate::error::CliError;
use std::collections::BTreeMap;

/// One browser at one gate.
pub(super) struct Browser {
    agent: ureq::Agent,
    gate: String,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    pub(super) fn new(gate: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .build();
        Self { agent: config.into(), gate: gate.to_owned(), cookies: BTreeMap::new() }
    }

    /// Whether a page behind the gate would be shown, as a proxy asks it.
    pub(super) fn passes(&mut self) -> Result<bool, CliError> {
        let request = self.agent.get(format!("{}/_doorstep/check", self.gate));
        let answer =
            request.header("cookie", self.line()).call().map_err(|error| self.lost(&error))?;
        Ok(answer.status().is_success())
    }

    /// Opens the page and sends name and code. What the gate says is `granted`, or the alert.
    pub(super) fn sign_in(&mut self, name: &str, code: &str) -> Result<String, CliError> {
        let page = format!("{}/_doorstep/login", self.gate);
        let shown = self.agent.get(&page).header("cookie", self.line()).call();
        let text = self.read(shown)?.1;
        let token = between(&text, "name=\"form\" value=\"", "\"").unwrap_or_default().to_owned();
        let form = [("form", token.as_str()), ("return", "/"), ("name", name), ("code", code)];
        let sent = self.agent.post(&page).header("cookie", self.line()).send_form(form);
        let (status, text) = self.read(sent)?;
        Ok(match between(&text, "Not let in: ", ".<") {
            Some(why) => why.to_owned(),
            None if status == 303 => "granted".to_owned(),
            None => format!("status {status}"),
        })
    }

    fn read(
        &mut self,
        answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<(u16, String), CliError> {
        let mut answer = answer.map_err(|error| self.lost(&error))?;
        for line in answer.headers().get_all("set-cookie") {
            let pair = line.to_str().ok().and_then(|line| line.split(';').next()?.split_once('='));
            if let Some((name, value)) = pair {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        let text = answer.body_mut().read_to_string().map_err(|error| self.lost(&error))?;
        Ok((answer.status().as_u16(), text))
    }

    fn line(&self) -> String {
        let pairs = self.cookies.iter().map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join("; ")
    }

    fn lost(&self, error: &ureq::Error) -> CliError {
        CliError::new(format!("the gate at {} does not answer: {error}", self.gate))
    }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    Some(rest.split_once(after)?.0)
}
