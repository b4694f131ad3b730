//! How many connections are open at once, so that nobody holds all that a server has.

use crate::config::server::{Proxies, Server};
use crate::http::peer::network;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many each address has.
type Counts = Arc<Mutex<HashMap<IpAddr, u32>>>;

fn locked(counts: &Counts) -> MutexGuard<'_, HashMap<IpAddr, u32>> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The bounds of one listener, and what is taken of them.
pub(super) struct Connections {
    room: Arc<Semaphore>,
    counts: Counts,
    per_address: u32,
    proxies: Vec<Proxies>,
    /// That an address has too many is said once.
    warned: AtomicBool,
}

/// Room for a connection, whoever comes. There would be none for a semaphore that is closed, which this one never is.
pub(super) type Room = Option<OwnedSemaphorePermit>;

/// The place of a connection, until it is dropped.
pub(super) struct Place {
    _room: Room,
    counted: Option<(Counts, IpAddr)>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((counts, address)) = &self.counted else { return };
        let mut counts = locked(counts);
        let left = counts.get(address).map_or(0, |count| count.saturating_sub(1));
        if left == 0 {
            counts.remove(address);
        } else {
            counts.insert(*address, left);
        }
    }
}

impl Connections {
    pub(super) fn new(settings: &Server) -> Self {
        let most = match usize::try_from(settings.connections) {
            Ok(0) | Err(_) => Semaphore::MAX_PERMITS,
            Ok(most) => most.min(Semaphore::MAX_PERMITS),
        };
        Self {
            room: Arc::new(Semaphore::new(most)),
            counts: Counts::default(),
            per_address: settings.connections_per_address,
            proxies: settings.trusted_proxies.clone(),
            warned: AtomicBool::new(false),
        }
    }

    /// Waits until there is room for one more.
    pub(super) async fn room(&self) -> Room {
        Arc::clone(&self.room).acquire_owned().await.ok()
    }

    /// A place in the room for whoever came, unless that address has too many.
    pub(super) fn place(&self, room: Room, peer: IpAddr) -> Option<Place> {
        let peer = peer.to_canonical();
        if self.per_address == 0 || self.is_proxy(peer) {
            return Some(Place { _room: room, counted: None });
        }
        let address = network(peer);
        let mut counts = locked(&self.counts);
        let count = counts.entry(address).or_default();
        if *count >= self.per_address {
            drop(counts);
            if !self.warned.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    %address,
                    "an address has server.connections_per_address open, and more are hung up on; if it \
                     is your proxy, name it in server.trusted_proxies"
                );
            }
            return None;
        }
        *count = count.saturating_add(1);
        Some(Place { _room: room, counted: Some((Arc::clone(&self.counts), address)) })
    }

    /// Whether an address speaks for many: it is one of our proxies or, as long as none is named, on this machine,
    /// where there may be one.
    fn is_proxy(&self, peer: IpAddr) -> bool {
        if self.proxies.is_empty() {
            return peer.is_loopback();
        }
        self.proxies.iter().any(|proxies| proxies.contains(peer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn bounded(connections: u32, per_address: u32, proxies: &[&str]) -> Connections {
        Connections::new(&Server {
            connections,
            connections_per_address: per_address,
            trusted_proxies: proxies
                .iter()
                .map(|text| (*text).to_owned().try_into().unwrap())
                .collect(),
            ..Server::default()
        })
    }

    async fn comes(connections: &Connections, from: &str) -> Option<Place> {
        let room = tokio::time::timeout(Duration::ZERO, connections.room()).await.ok()?;
        connections.place(room, from.parse().unwrap())
    }

    #[tokio::test]
    async fn there_is_room_for_so_many_and_again_when_one_ends() {
        let connections = bounded(2, 0, &[]);
        let first = comes(&connections, "192.0.2.1").await;
        let second = comes(&connections, "192.0.2.1").await;
        assert!(first.is_some() && second.is_some());
        assert!(comes(&connections, "192.0.2.2").await.is_none());
        drop(second);
        assert!(comes(&connections, "192.0.2.2").await.is_some());
        let unbounded = bounded(0, 0, &[]);
        let mut many = Vec::new();
        for _ in 0..10_000 {
            many.push(comes(&unbounded, "192.0.2.1").await.unwrap());
        }
    }

    #[tokio::test]
    async fn one_address_has_its_share_and_leaves_the_rest_to_others() {
        let connections = bounded(10, 2, &[]);
        let held = [
            comes(&connections, "2001:db8:1:2::1").await,
            comes(&connections, "2001:db8:1:2::2").await,
        ];
        assert!(held.iter().all(Option::is_some));
        // One network of IPv6 is one address; so is IPv4 in either way of writing it.
        assert!(comes(&connections, "2001:db8:1:2::3").await.is_none());
        assert!(comes(&connections, "2001:db8:1:3::1").await.is_some());
        let _four = comes(&connections, "192.0.2.1").await.unwrap();
        let _mapped = comes(&connections, "::ffff:192.0.2.1").await.unwrap();
        assert!(comes(&connections, "192.0.2.1").await.is_none());
        drop(held);
        assert_eq!(locked(&connections.counts).len(), 1, "who left is forgotten");
        assert!(comes(&connections, "2001:db8:1:2::3").await.is_some());
        assert_eq!(connections.room.available_permits(), 8, "who was refused holds no room");
    }

    #[tokio::test]
    async fn a_proxy_speaks_for_many() {
        for (proxies, from, is_bound) in [
            (&["10.0.0.0/8"][..], "10.1.2.3", false),
            (&["10.0.0.0/8"], "::ffff:10.1.2.3", false),
            (&["10.0.0.0/8"], "192.0.2.1", true),
            (&["10.0.0.0/8"], "127.0.0.1", true),
            (&[], "127.0.0.1", false),
            (&[], "::1", false),
            (&[], "10.1.2.3", true),
        ] {
            let connections = bounded(10, 1, proxies);
            let _first = comes(&connections, from).await.unwrap();
            let second = comes(&connections, from).await;
            assert_eq!(second.is_none(), is_bound, "{proxies:?} {from}");
        }
    }
}
