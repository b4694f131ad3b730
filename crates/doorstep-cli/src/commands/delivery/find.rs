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

/// The id of a delivery, named by that or by its reference; the server knows which it is.
pub(in crate::commands) fn id(client: &Client, delivery: &str) -> Result<String, CliError> {
    let found = match client.get(&format!("/v1/deliveries?named={}", escape(delivery))) {
        // A key that may not look still acts on what is named by its id.
        Err(error) if error.name() == "missing_scope" => return Ok(delivery.to_owned()),
        found => found?,
    };
    found["data"][0]["id"].as_str().map(str::to_owned).ok_or_else(|| {
        CliError::new(format!("there is no delivery with the id or reference \"{delivery}\""))
            .hint("doorstep delivery list shows them")
            .code("delivery_unknown")
    })
}

/// The one enrolled device of a driver.
pub(crate) fn device_of(client: &Client, name: &str) -> Result<String, CliError> {
    let devices = devices_of(client, name, |state| state == "enrolled")?;
    only(
        devices,
        name,
        "enrolled device",
        ["enrol one: doorstep driver invite NAME", "name the device: --device ID"],
    )
}

/// The one device of a driver that was not reported lost yet, in whatever state it is: those that were set
/// back or copied are lost like others, and so are invitations.
pub(in crate::commands) fn device_to_lose(client: &Client, name: &str) -> Result<String, CliError> {
    let devices = devices_of(client, name, |state| state != "lost")?;
    let none = "names are those of invitations; what is lost already stays lost";
    only(devices, name, "device", [none, "name the device: doorstep driver lose ID"])
}

/// A driver's devices in certain states, each with its state.
fn devices_of(
    client: &Client,
    name: &str,
    wanted: impl Fn(&str) -> bool,
) -> Result<Vec<(String, String)>, CliError> {
    let mut found = Vec::new();
    let mut query = "/v1/devices?limit=200".to_owned();
    loop {
        let page = client.get(&query)?;
        for device in page["data"].as_array().into_iter().flatten() {
            if let (Some(id), Some(state)) = (device["id"].as_str(), device["state"].as_str())
                && device["driver"] == name
                && wanted(state)
            {
                found.push((id.to_owned(), state.to_owned()));
            }
        }
        match page["next_cursor"].as_str() {
            Some(cursor) => query = format!("/v1/devices?limit=200&cursor={}", escape(cursor)),
            None => return Ok(found),
        }
    }
}

/// The only one of a driver's devices, with a hint for when there is none and one for several.
fn only(
    devices: Vec<(String, String)>,
    name: &str,
    what: &str,
    [none, several]: [&str; 2],
) -> Result<String, CliError> {
    match devices.as_slice() {
        [(one, _)] => Ok(one.clone()),
        [] => Err(CliError::new(format!("no {what} belongs to a driver named \"{name}\""))
            .hint(none)
            .code("driver_unknown")),
        found => {
            let told = found.iter().map(|(id, state)| format!("{id} ({state})").into());
            let count = found.len();
            Err(CliError::new(format!("{count} devices belong to drivers named \"{name}\""))
                .details(told.collect())
                .hint(several)
                .code("driver_ambiguous"))
        }
    }
}
