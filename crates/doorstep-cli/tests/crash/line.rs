//! A connection to a server that may die at any moment.

use serde_json::{Value, json};
use std::cell::Cell;
use std::time::Duration;

/// Nobody answered, or not to the end: nobody knows what was done.
#[derive(Debug)]
pub(crate) struct Down;

pub(crate) struct Line {
    agent: ureq::Agent,
    url: String,
    key: String,
    answers: Cell<usize>,
}

impl Line {
    pub(crate) fn new(url: &str, key: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .build();
        Self {
            agent: config.into(),
            url: url.to_owned(),
            key: key.to_owned(),
            answers: Cell::new(0),
        }
    }

    /// An answer; a refusal is one as well.
    pub(crate) fn ask(&self, path: &str, body: &Value) -> Result<(u16, Value), Down> {
        let request = self.agent.post(format!("{}{path}", self.url));
        let request = request
            .header("authorization", format!("Bearer {}", self.key))
            .header("content-type", "application/json");
        self.read(request.send(body.to_string()))
    }

    pub(crate) fn get(&self, path: &str) -> Result<(u16, Value), Down> {
        let request = self.agent.get(format!("{}{path}", self.url));
        self.read(request.header("authorization", format!("Bearer {}", self.key)).call())
    }

    /// How many answers came.
    pub(crate) const fn answers(&self) -> usize {
        self.answers.get()
    }

    fn read(
        &self,
        result: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<(u16, Value), Down> {
        let mut response = result.map_err(|_| Down)?;
        let body = response.body_mut().read_to_string().map_err(|_| Down)?;
        self.answers.set(self.answers.get() + 1);
        let json = serde_json::from_str(&body).map_err(|_| Down)?;
        Ok((response.status().as_u16(), json))
    }

    /// Takes in deliveries with these references and gives back their ids.
    pub(crate) fn import(
        &self,
        references: impl Iterator<Item = String>,
    ) -> Result<Vec<String>, Down> {
        let recipients = [json!({ "name": "Zoe", "phone": "+442079460000" })];
        let deliveries: Vec<Value> = references
            .map(|name| json!({ "reference": name, "address": "1 High St", "recipients": recipients }))
            .collect();
        let made = self.post("/v1/deliveries/import", &json!({ "deliveries": deliveries }))?;
        let ids = made["ids"].as_array().unwrap().iter();
        Ok(ids.map(|id| id.as_str().unwrap().to_owned()).collect())
    }

    /// What must succeed if anybody answers.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Value, Down> {
        let (status, answer) = self.ask(path, body)?;
        assert!((200..300).contains(&status), "{path}: {status} {answer}");
        Ok(answer)
    }
}
