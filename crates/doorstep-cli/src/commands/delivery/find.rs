//! Finds what people name: a delivery by the business's reference, a device by its driver.

use crate::client::{Client, escape};
use crate::error::CliError;

/// The path of a delivery, named by its id or its reference.
pub(in crate::commands) fn path(
    client: &Client,
    delivery: &str,
    verb: &str,
) -> Result<String, CliError> {
    Ok(format!("/v1/deliveries/{}{verb}", escape(&id(client, delivery)?)))
}

/// The id of a delivery, named by that or by its reference.
pub(in crate::commands) fn id(client: &Client, delivery: &str) -> Result<String, CliError> {
    // An id as the server makes them; a reference may begin like one.
    if delivery.len() == 30 && delivery.starts_with("dlv_") {
        return Ok(delivery.to_owned());
    }
    let found = client.get(&format!("/v1/deliveries?reference={}", escape(delivery)))?;
    found["data"][0]["id"].as_str().map(str::to_owned).ok_or_else(|| {
        CliError::new(format!("there is no delivery with the reference \"{delivery}\""))
            .hint("doorstep delivery list shows them")
            .code("delivery_unknown")
    })
}

/// The one enrolled device of a driver.
pub(crate) fn device_of(client: &Client, name: &str) -> Result<String, CliError> {
    let mut found = Vec::new();
    let mut query = "/v1/devices?limit=200".to_owned();
    loop {
        let page = client.get(&query)?;
        let devices = page["data"].as_array().into_iter().flatten();
        let own =
            devices.filter(|device| device["driver"] == name && device["state"] == "enrolled");
        found.extend(own.filter_map(|device| device["id"].as_str().map(str::to_owned)));
        match page["next_cursor"].as_str() {
            Some(cursor) => query = format!("/v1/devices?limit=200&cursor={}", escape(cursor)),
            None => break,
        }
    }
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => {
            Err(CliError::new(format!("no enrolled device belongs to a driver named \"{name}\""))
                .hint("enrol one: doorstep driver invite NAME")
                .code("driver_unknown"))
        }
        several => Err(CliError::new(format!(
            "{} devices belong to drivers named \"{name}\"",
            several.len()
        ))
        .details(several.iter().map(|id| id.clone().into()).collect())
        .hint("name the device: --device ID")
        .code("driver_ambiguous")),
    }
}
