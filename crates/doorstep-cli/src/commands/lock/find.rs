//! Finds the lock that somebody names.

use crate::client::{Client, escape};
use crate::error::CliError;

/// The id of a lock, named by its id or its name.
pub(crate) fn id(client: &Client, lock: &str) -> Result<String, CliError> {
    // An id as the server makes them; a name may begin like one.
    if lock.len() == 30 && lock.starts_with("lck_") {
        return Ok(escape(lock));
    }
    let mut found = Vec::new();
    let mut query = "/v1/locks?limit=200".to_owned();
    loop {
        let page = client.get(&query)?;
        let locks = page["data"].as_array().into_iter().flatten();
        let named = locks.filter(|one| one["name"] == lock);
        found.extend(named.filter_map(|one| one["id"].as_str().map(str::to_owned)));
        match page["next_cursor"].as_str() {
            Some(cursor) => query = format!("/v1/locks?limit=200&cursor={}", escape(cursor)),
            None => break,
        }
    }
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(CliError::new(format!("there is no lock named \"{lock}\""))
            .hint("doorstep lock list shows them")
            .code("unknown_lock")),
        several => Err(CliError::new(format!("{} locks are named \"{lock}\"", several.len()))
            .details(several.iter().map(|id| id.clone().into()).collect())
            .hint("name one by its id")
            .code("lock_ambiguous")),
    }
}
