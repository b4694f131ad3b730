//! What a device cannot go on from: a journal that is not its own, a route that is a replay.

use crate::id::DeliveryId;
use core::fmt;

/// The journal cannot be what this device wrote: a malfunction, never granted over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupted {
    /// The number of the record that does not follow.
    pub record: u64,
    /// What is wrong with it.
    pub what: &'static str,
}

impl fmt::Display for Corrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "journal record {} {}", self.record, self.what)
    }
}

impl core::error::Error for Corrupted {}

/// Why a genuine route is not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteRefused {
    /// Not newer than the one the device has: a replay.
    Stale {
        /// The version offered.
        offered: u64,
        /// The version held.
        held: u64,
    },
    /// It hands a whole check to a device that is not managed.
    NotManaged {
        /// Of this delivery.
        delivery: DeliveryId,
    },
    /// It hands out a generation again that the device has seen.
    Seen {
        /// Of this delivery.
        delivery: DeliveryId,
    },
}

impl fmt::Display for RouteRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stale { offered, held } => {
                write!(f, "route {offered} is not newer than route {held}, which this device has")
            }
            Self::NotManaged { delivery } => {
                write!(
                    f,
                    "the route hands out a full check of delivery {delivery}, and this device is not managed"
                )
            }
            Self::Seen { delivery } => {
                write!(
                    f,
                    "the route hands out a code of delivery {delivery} that this device has seen"
                )
            }
        }
    }
}

impl core::error::Error for RouteRefused {}
