//! Drivers' devices, which check codes where there is no network.

pub(crate) mod create;
pub(crate) mod enrol;
pub(crate) mod list;
pub(crate) mod lose;
pub(crate) mod ranking;
pub(crate) mod show;

use crate::store::devices::Device;
use crate::utc::Utc;
use serde::Serialize;
use utoipa::ToSchema;

/// A driver's device.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeviceView {
    /// Its id.
    #[schema(example = "dev_01kb3t5x9m2v7c4r8w6q1z0hnd")]
    id: String,
    /// Who carries it.
    driver: String,
    /// Whether it may check whole codes.
    managed: bool,
    /// `invited`, `enrolled`, `rolled_back` (it came back with less than it had acknowledged),
    /// `forked` (two histories under one key) or `lost` (somebody said so).
    #[schema(example = "enrolled")]
    state: &'static str,
    created_at: Utc,
    enrolled_at: Option<Utc>,
    last_sync_at: Option<Utc>,
    /// The newest route made for it.
    route_version: u64,
    /// How many claims it has brought.
    claims: u64,
}

impl From<Device> for DeviceView {
    fn from(device: Device) -> Self {
        Self {
            id: device.id.as_str().to_owned(),
            driver: device.driver,
            managed: device.managed,
            state: device.state.as_str(),
            created_at: Utc(device.created_at),
            enrolled_at: device.enrolled_at.map(Utc),
            last_sync_at: device.last_sync_at.map(Utc),
            route_version: device.route_version,
            claims: device.claims,
        }
    }
}
