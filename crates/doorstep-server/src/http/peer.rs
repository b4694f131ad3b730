//! Who sent a request, as an address: the one that is connected, or the one that a proxy of ours
//! names.

use crate::config::server::Proxies;
use axum::http::HeaderMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

const FORWARDED: &str = "x-forwarded-for";

/// The address that is connected.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// The address of the client. `X-Forwarded-For` is read from its end, and only as far as our own
/// proxies wrote it: what stands before was sent by anybody.
pub(crate) fn client(peer: Peer, headers: &HeaderMap, proxies: &[Proxies]) -> IpAddr {
    let is_ours = |address: &IpAddr| proxies.iter().any(|proxies| proxies.contains(*address));
    let mut client = peer.0.to_canonical();
    let lines: Vec<&str> =
        headers.get_all(FORWARDED).iter().map(|line| line.to_str().unwrap_or_default()).collect();
    for named in lines.join(",").rsplit(',') {
        if !is_ours(&client) {
            break;
        }
        match named_address(named.trim()) {
            Some(address) => client = address.to_canonical(),
            None => break,
        }
    }
    client
}

/// Whether a proxy on this machine names clients, and nobody has said that it is ours: all of them are then
/// counted as one.
pub(crate) fn is_unnamed_proxy(peer: Peer, headers: &HeaderMap, proxies: &[Proxies]) -> bool {
    proxies.is_empty() && peer.0.to_canonical().is_loopback() && headers.contains_key(FORWARDED)
}

/// Some proxies write the port too.
fn named_address(text: &str) -> Option<IpAddr> {
    let with_port = || text.parse().ok().map(|named: SocketAddr| named.ip());
    text.parse().ok().or_else(with_port)
}

/// What is counted as one: of IPv6 the network, since everybody has many addresses in his.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client_of(peer: &str, forwarded: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append(FORWARDED, line.parse().unwrap());
        }
        let proxies = ["127.0.0.1", "10.0.0.0/8", "2001:db8:77::/48"]
            .map(|text| text.to_owned().try_into().unwrap());
        client(Peer(peer.parse().unwrap()), &headers, &proxies).to_string()
    }

    #[test]
    fn a_header_counts_as_far_as_our_proxies_wrote_it() {
        for (peer, forwarded, client) in [
            ("127.0.0.1", ["192.0.2.1"].as_slice(), "192.0.2.1"),
            ("127.0.0.1", &["6.6.6.6, 192.0.2.1"], "192.0.2.1"),
            ("127.0.0.1", &["6.6.6.6, 192.0.2.1, 10.0.0.1"], "192.0.2.1"),
            ("127.0.0.1", &["6.6.6.6", "192.0.2.1"], "192.0.2.1"),
            ("10.200.0.9", &["192.0.2.1, 10.3.2.1"], "192.0.2.1"),
            ("11.0.0.1", &["192.0.2.1"], "11.0.0.1"),
            ("2001:db8:77::9", &["192.0.2.1"], "192.0.2.1"),
            ("2001:db8:78::9", &["192.0.2.1"], "2001:db8:78::9"),
            ("::ffff:127.0.0.1", &["192.0.2.1"], "192.0.2.1"),
            ("127.0.0.1", &["6.6.6.6, 192.0.2.1:4711"], "192.0.2.1"),
            ("127.0.0.1", &["[2001:db8::1]:4711"], "2001:db8::1"),
            ("192.0.2.9", &["6.6.6.6"], "192.0.2.9"),
            ("127.0.0.1", &[], "127.0.0.1"),
            ("127.0.0.1", &["unknown"], "127.0.0.1"),
            ("127.0.0.1", &["6.6.6.6, nonsense"], "127.0.0.1"),
        ] {
            assert_eq!(client_of(peer, forwarded), client, "{peer} {forwarded:?}");
        }
    }

    #[test]
    fn proxies_are_addresses_or_whole_networks() {
        for text in ["127.0.0.1", "::1", "10.0.0.0/8", "2001:db8::/32", "0.0.0.0/0"] {
            let proxies = Proxies::try_from(text.to_owned()).unwrap();
            assert_eq!(String::from(proxies), text);
        }
        for text in [
            "",
            "proxy.example",
            "10.1.2.3/8",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0.0/8 ",
            "::ffff:10.0.0.0/104",
            "::ffff:0.0.0.0/96",
        ] {
            assert!(Proxies::try_from(text.to_owned()).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_proxy_that_nobody_named_is_noticed() {
        let mut named = HeaderMap::new();
        named.append(FORWARDED, "192.0.2.1".parse().unwrap());
        let peer = |text: &str| Peer(text.parse().unwrap());
        let ours = [Proxies::from(IpAddr::from([127, 0, 0, 1]))];
        assert!(is_unnamed_proxy(peer("127.0.0.1"), &named, &[]));
        assert!(is_unnamed_proxy(peer("::ffff:127.0.0.1"), &named, &[]));
        assert!(!is_unnamed_proxy(peer("127.0.0.1"), &named, &ours));
        assert!(!is_unnamed_proxy(peer("127.0.0.1"), &HeaderMap::new(), &[]));
        assert!(!is_unnamed_proxy(peer("192.0.2.9"), &named, &[]), "anybody writes that");
    }

    #[test]
    fn a_network_of_ipv6_is_one() {
        let one = network("2001:db8:1:2:3:4:5:6".parse().unwrap());
        assert_eq!(one, network("2001:db8:1:2::9".parse().unwrap()));
        assert_ne!(one, network("2001:db8:1:3::9".parse().unwrap()));
    }
}
