//! Which addresses are reached: those of the public internet, unless private ones are allowed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether a connection to an address may be made.
pub(super) fn permitted(address: IpAddr, allow_private: bool) -> bool {
    match address {
        IpAddr::V4(address) => permitted_v4(address, allow_private),
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(mapped) => permitted_v4(mapped, allow_private),
            None => permitted_v6(address, allow_private),
        },
    }
}

fn permitted_v4(address: Ipv4Addr, allow_private: bool) -> bool {
    // One host, and not "this one" (0.0.0.0 reaches the machine itself) or many.
    let one_host = !address.is_unspecified() && !address.is_multicast() && !address.is_broadcast();
    one_host && (allow_private || is_public_v4(address))
}

/// Outside of the blocks that IANA's registry of special purposes keeps from being reached globally.
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !matches!(
        (a, b, c),
        (0 | 10 | 127 | 240..=255, _, _)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 168, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (198, 18..=19, _)
            | (198, 51, 100)
            | (203, 0, 113)
            | (224..=239, _, _)
    )
}

fn permitted_v6(address: Ipv6Addr, allow_private: bool) -> bool {
    let one_host = !address.is_unspecified() && !address.is_multicast();
    one_host && (allow_private || is_public_v6(address))
}

/// Inside of what is given out for the public internet (2000::/3), without its blocks for
/// special purposes, of which some carry an IPv4 address on to anywhere.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    let given_out = (0x2000..=0x3FFF).contains(&a);
    let special = matches!(
        (a, b),
        (0x2001, 0..=0x01FF) | (0x2001, 0x0DB8) | (0x2002, _) | (0x3FFF, 0..=0x0FFF)
    );
    given_out && !special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_addresses_are_reached() {
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "172.32.0.1",
            "100.128.0.1",
            "192.0.1.1",
            "223.255.255.1",
            "2606:4700::1111",
            "2a00:1450:4001::1",
            "::ffff:8.8.8.8",
        ] {
            assert!(permitted(text.parse().unwrap(), false), "{text}");
        }
    }

    #[test]
    fn private_ones_only_when_that_is_allowed() {
        for text in [
            "127.0.0.1",
            "127.255.255.254",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "192.0.0.8",
            "192.0.2.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.9",
            "240.0.0.1",
            "0.1.2.3",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "fe80::1",
            "fc00::1",
            "fd12:3456::1",
            "fec0::1",
            "64:ff9b::a00:1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:a00:1::",
            "3fff::1",
        ] {
            assert!(!permitted(text.parse().unwrap(), false), "{text}");
            assert!(permitted(text.parse().unwrap(), true), "{text}");
        }
    }

    #[test]
    fn what_is_no_single_host_is_never_reached() {
        for text in [
            "0.0.0.0",
            "::",
            "::ffff:0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "ff02::1",
            "::ffff:224.0.0.1",
        ] {
            assert!(!permitted(text.parse().unwrap(), true), "{text}");
        }
    }
}
