//! How many codes one address may try, over all accounts. It bounds who guesses one code for many
//! names; each account has its own, durable limit beside it.

use crate::config::Limits;
use axum::http::HeaderMap;
use doorstep::refusal::Refusal;
use doorstep::throttle::{Bucket, Pace};
use doorstep::time::Timestamp;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// More addresses than this are not told apart.
const MOST: usize = 10_000;

/// Attempts left per address. It forgets when the gate restarts; the accounts do not.
pub(super) struct Addresses {
    pace: Pace,
    buckets: HashMap<IpAddr, Bucket>,
}

impl Addresses {
    pub(super) fn new(limits: &Limits) -> Self {
        let refill = u32::try_from(limits.refill).unwrap_or(u32::MAX);
        Self { pace: Pace { burst: limits.burst.get(), refill }, buckets: HashMap::new() }
    }

    /// Takes one attempt.
    pub(super) fn take(&mut self, address: IpAddr, now: Timestamp) -> Result<(), Refusal> {
        let key = self.key(address, now);
        let bucket = self.buckets.entry(key).or_insert_with(|| Bucket::full(self.pace, now));
        *bucket = bucket.take(now)?;
        Ok(())
    }

    /// Gives back the attempt of a success.
    pub(super) fn give_back(&mut self, address: IpAddr, now: Timestamp) {
        let key = self.key(address, now);
        if let Some(bucket) = self.buckets.get_mut(&key) {
            *bucket = bucket.give_back();
        }
    }

    fn key(&mut self, address: IpAddr, now: Timestamp) -> IpAddr {
        let key = network(address);
        if self.buckets.len() >= MOST && !self.buckets.contains_key(&key) {
            self.buckets.retain(|_, bucket| bucket.filled(now).used() > 0);
            if self.buckets.len() >= MOST {
                return Ipv6Addr::UNSPECIFIED.into();
            }
        }
        key
    }
}

/// Who has one address of IPv6 has the other 2^64 of its network.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64_u32 << 64_u32).into(),
        address => address,
    }
}

/// Who asks: the connection's other end, or whom a trusted proxy names. Of a list the last counts,
/// which is the one that the proxy itself saw. `None` when a trusted proxy names nobody.
pub(super) fn client(
    peer: IpAddr,
    headers: &HeaderMap,
    proxy: &crate::config::Proxy,
) -> Option<IpAddr> {
    if !proxy.addresses.contains(&peer.to_canonical()) {
        return Some(peer);
    }
    let named = headers.get_all(proxy.client_address.as_str()).iter().next_back();
    let named = named?.to_str().ok()?.rsplit(',').next()?.trim();
    // Some proxies name the port as well.
    let with_port = || named.parse::<SocketAddr>().map(|address| address.ip());
    named.parse().or_else(|_| with_port()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Proxy;

    fn limits(burst: u8) -> Limits {
        Limits { burst: burst.try_into().unwrap(), refill: 60 }
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn addresses_are_limited_one_by_one() {
        let mut addresses = Addresses::new(&limits(2));
        let [one, same, other] =
            ["2001:db8::1", "2001:db8::ffff", "2001:db8:0:1::1"].map(|text| text.parse().unwrap());
        addresses.take(one, at(0)).unwrap();
        addresses.take(same, at(0)).unwrap();
        assert_eq!(addresses.take(one, at(59)), Err(Refusal::Throttled { until: Some(at(60)) }));
        addresses.take(other, at(59)).unwrap();
        addresses.take(one, at(60)).unwrap();
        addresses.give_back(same, at(60));
        addresses.take(one, at(60)).unwrap();
        assert!(addresses.take("::ffff:10.0.0.1".parse().unwrap(), at(60)).is_ok());
    }

    #[test]
    fn more_addresses_than_there_is_room_for_share_one_limit() {
        let mut addresses = Addresses::new(&limits(1));
        for number in 0..u32::try_from(MOST).unwrap() {
            addresses.take(IpAddr::V4(number.into()), at(0)).unwrap();
        }
        addresses.take("10.0.0.1".parse().unwrap(), at(0)).unwrap();
        assert!(addresses.take("10.0.0.2".parse().unwrap(), at(0)).is_err());
        assert!(addresses.take("10.0.0.2".parse().unwrap(), at(60)).is_ok(), "room again");
    }

    #[test]
    fn only_a_trusted_proxy_names_the_client() {
        let proxy = Proxy { client_address: "x-forwarded-for".to_owned(), ..Proxy::default() };
        let [near, far, named]: [IpAddr; 3] =
            ["127.0.0.1", "192.0.2.1", "198.51.100.7"].map(|text| text.parse().unwrap());
        let headers = |value: &str| {
            HeaderMap::from_iter([("x-forwarded-for".parse().unwrap(), value.parse().unwrap())])
        };
        let forged = headers("203.0.113.1, 198.51.100.7");
        assert_eq!(client(near, &forged, &proxy), Some(named));
        assert_eq!(client(far, &forged, &proxy), Some(far));
        for port in ["198.51.100.7:4711", "[2001:db8::1]:4711"] {
            let address = port.parse::<SocketAddr>().unwrap().ip();
            assert_eq!(client(near, &headers(port), &proxy), Some(address));
        }
        for odd in ["unknown", "", "198.51.100.7:x", "198.51.100.7,"] {
            assert_eq!(client(near, &headers(odd), &proxy), None, "{odd}");
        }
        assert_eq!(client(near, &HeaderMap::new(), &proxy), None);
    }
}
