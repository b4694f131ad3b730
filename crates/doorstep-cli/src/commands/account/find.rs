//! Finds what people name: an account by its name, an authenticator by what is to be done with it.

use crate::client::{Client, escape};
use crate::error::CliError;
use serde_json::Value;

/// The path of an account, named by its id or its name.
pub(super) fn path(client: &Client, account: &str, verb: &str) -> Result<String, CliError> {
    // Names do not begin as ids do.
    if account.starts_with("acc_") {
        return Ok(format!("/v1/accounts/{}{verb}", escape(account)));
    }
    let found = client.get(&format!("/v1/accounts?name={}", escape(account)))?;
    let id = found["data"][0]["id"].as_str().ok_or_else(|| {
        CliError::new(format!("there is no account named \"{account}\""))
            .hint("doorstep account list shows them; doorstep account add makes one")
            .code("account_unknown")
    })?;
    Ok(format!("/v1/accounts/{}{verb}", escape(id)))
}

/// The id of the one authenticator of an account that is `wanted`, or of the one that was named.
pub(super) fn authenticator(
    client: &Client,
    account: &str,
    named: Option<String>,
    wanted: impl Fn(&Value) -> bool,
) -> Result<String, CliError> {
    let shown = client.get(&path(client, account, "")?)?;
    let all = shown["authenticators"].as_array().into_iter().flatten();
    let found: Vec<&Value> = all
        .filter(|one| named.as_deref().map_or_else(|| wanted(one), |id| one["id"] == id))
        .collect();
    match found.as_slice() {
        [one] => Ok(one["id"].as_str().unwrap_or_default().to_owned()),
        [] => Err(CliError::new(format!("\"{account}\" has no authenticator that this is for"))
            .hint(format!("doorstep account show {account} lists them"))
            .code("authenticator_unknown")),
        several => {
            let line = |one: &&Value| {
                let text = |name: &str| one[name].as_str().unwrap_or_default();
                format!("{} {} {}", text("id"), text("kind"), text("label")).into()
            };
            Err(CliError::new(format!("\"{account}\" has {} of them", several.len()))
                .details(several.iter().map(line).collect())
                .hint("name one: --authenticator ID")
                .code("authenticator_ambiguous"))
        }
    }
}
