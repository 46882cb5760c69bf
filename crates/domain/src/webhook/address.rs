//! The addresses to which webhooks may be sent: those of the public Internet.
//!
//! Sources: the registries "IANA IPv4 Special-Purpose Address Space" and "IANA IPv6 Special-Purpose Address Space", and
//! "Internet Protocol Version 6 Address Space", which has allocated only `2000::/3` as global unicast. An address that contains
//! an IPv4 address is forbidden whatever that address is: a translator on the way could reach a private network by it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A range of addresses to which no webhook is sent.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct ForbiddenRange {
    first: IpAddr,
    prefix_len: u8,
    purpose: &'static str,
}

impl ForbiddenRange {
    const fn v4(first: [u8; 4], prefix_len: u8, purpose: &'static str) -> Self {
        let [a, b, c, d] = first;
        Self { first: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), prefix_len, purpose }
    }

    const fn v6(high: [u16; 4], prefix_len: u8, purpose: &'static str) -> Self {
        let [a, b, c, d] = high;
        Self { first: IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0)), prefix_len, purpose }
    }

    /// Returns what the range is for.
    pub const fn purpose(&self) -> &'static str {
        self.purpose
    }

    /// Whether the range contains an address. An IPv4 address is in no range of IPv6.
    fn contains(&self, address: IpAddr) -> bool {
        match (self.first, address) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                let differing = first.to_bits() ^ address.to_bits();
                differing.leading_zeros() >= u32::from(self.prefix_len)
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => {
                let differing = first.to_bits() ^ address.to_bits();
                differing.leading_zeros() >= u32::from(self.prefix_len)
            }
            _ => false,
        }
    }
}

impl fmt::Display for ForbiddenRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} ({})", self.first, self.prefix_len, self.purpose)
    }
}

/// The forbidden ranges of IPv4.
const V4: &[ForbiddenRange] = &[
    ForbiddenRange::v4([0, 0, 0, 0], 8, "this network"),
    ForbiddenRange::v4([10, 0, 0, 0], 8, "private use"),
    ForbiddenRange::v4([100, 64, 0, 0], 10, "shared address space"),
    ForbiddenRange::v4([127, 0, 0, 0], 8, "loopback"),
    // Also the metadata and the credentials of instances, containers and functions of AWS.
    ForbiddenRange::v4([169, 254, 0, 0], 16, "link-local"),
    ForbiddenRange::v4([172, 16, 0, 0], 12, "private use"),
    ForbiddenRange::v4([192, 0, 0, 0], 24, "IETF protocol assignments"),
    ForbiddenRange::v4([192, 0, 2, 0], 24, "documentation"),
    ForbiddenRange::v4([192, 88, 99, 0], 24, "6to4 relay anycast"),
    ForbiddenRange::v4([192, 168, 0, 0], 16, "private use"),
    ForbiddenRange::v4([198, 18, 0, 0], 15, "benchmarking"),
    ForbiddenRange::v4([198, 51, 100, 0], 24, "documentation"),
    ForbiddenRange::v4([203, 0, 113, 0], 24, "documentation"),
    ForbiddenRange::v4([224, 0, 0, 0], 4, "multicast"),
    ForbiddenRange::v4([240, 0, 0, 0], 4, "reserved or broadcast"),
];

/// The forbidden ranges of IPv6. The last ones leave `2000::/3`, without the ranges before them.
const V6: &[ForbiddenRange] = &[
    // ::/96 with the unspecified address, loopback and IPv4-compatible addresses; ::ffff:0:0/96 with IPv4-mapped ones.
    ForbiddenRange::v6([0, 0, 0, 0], 80, "loopback, unspecified or embedded IPv4"),
    ForbiddenRange::v6([0x64, 0xff9b, 0, 0], 96, "IPv4 translation (NAT64)"),
    ForbiddenRange::v6([0x64, 0xff9b, 1, 0], 48, "local IPv4 translation (NAT64)"),
    ForbiddenRange::v6([0x2001, 0, 0, 0], 32, "Teredo"),
    ForbiddenRange::v6([0x2001, 2, 0, 0], 48, "benchmarking"),
    ForbiddenRange::v6([0x2001, 0, 0, 0], 23, "IETF protocol assignments"),
    ForbiddenRange::v6([0x2001, 0xdb8, 0, 0], 32, "documentation"),
    ForbiddenRange::v6([0x2002, 0, 0, 0], 16, "6to4"),
    ForbiddenRange::v6([0x3fff, 0, 0, 0], 20, "documentation"),
    ForbiddenRange::v6([0xfc00, 0, 0, 0], 7, "unique local"),
    ForbiddenRange::v6([0xfe80, 0, 0, 0], 10, "link-local"),
    ForbiddenRange::v6([0xfec0, 0, 0, 0], 10, "site-local"),
    ForbiddenRange::v6([0xff00, 0, 0, 0], 8, "multicast"),
    ForbiddenRange::v6([0, 0, 0, 0], 3, "not global unicast"),
    ForbiddenRange::v6([0x4000, 0, 0, 0], 2, "not global unicast"),
    ForbiddenRange::v6([0x8000, 0, 0, 0], 1, "not global unicast"),
];

/// Returns the range that forbids an address, or `None` if webhooks may be sent to it.
pub fn forbidden_range(address: IpAddr) -> Option<&'static ForbiddenRange> {
    let ranges = if address.is_ipv4() { V4 } else { V6 };
    ranges.iter().find(|range| range.contains(address))
}

#[cfg(test)]
mod tests;
