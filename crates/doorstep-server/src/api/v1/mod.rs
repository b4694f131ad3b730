//! Version 1 of the API: one endpoint a file, each with its tests at its foot.

pub(crate) mod accounts;
pub(crate) mod authenticators;
pub(crate) mod bookings;
pub(crate) mod challenges;
pub(crate) mod claims;
pub(crate) mod deliveries;
pub(crate) mod devices;
pub(crate) mod disputes;
pub(crate) mod events;
pub(crate) mod issuer;
pub(crate) mod keys;
pub(crate) mod locks;
pub(crate) mod messages;
pub(crate) mod pass_keys;
pub(crate) mod passes;
pub(crate) mod routes;
pub(crate) mod wallet;
pub(crate) mod webhooks;
