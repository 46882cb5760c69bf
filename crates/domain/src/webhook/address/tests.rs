use proptest::prelude::*;

use super::*;

/// Checks the range that forbids an address; `None` if it is allowed.
fn check(address: &str, expected: Option<&str>) {
    let found = forbidden_range(address.parse().unwrap()).map(ForbiddenRange::purpose);
    assert_eq!(found, expected, "{address}");
}

#[test]
fn special_ipv4_range_is_forbidden_from_edge_to_edge() {
    // The address before a range, its first and last address, and the address after it, if the neighbours are allowed.
    for (before, first, last, after, purpose) in [
        ("", "0.0.0.0", "0.255.255.255", "1.0.0.0", "this network"),
        ("9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0", "private use"),
        ("100.63.255.255", "100.64.0.0", "100.127.255.255", "100.128.0.0", "shared address space"),
        ("126.255.255.255", "127.0.0.0", "127.255.255.255", "128.0.0.0", "loopback"),
        ("169.253.255.255", "169.254.0.0", "169.254.255.255", "169.255.0.0", "link-local"),
        ("172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0", "private use"),
        ("191.255.255.255", "192.0.0.0", "192.0.0.255", "192.0.1.0", "IETF protocol assignments"),
        ("192.0.1.255", "192.0.2.0", "192.0.2.255", "192.0.3.0", "documentation"),
        ("192.88.98.255", "192.88.99.0", "192.88.99.255", "192.88.100.0", "6to4 relay anycast"),
        ("192.167.255.255", "192.168.0.0", "192.168.255.255", "192.169.0.0", "private use"),
        ("198.17.255.255", "198.18.0.0", "198.19.255.255", "198.20.0.0", "benchmarking"),
        ("198.51.99.255", "198.51.100.0", "198.51.100.255", "198.51.101.0", "documentation"),
        ("203.0.112.255", "203.0.113.0", "203.0.113.255", "203.0.114.0", "documentation"),
        ("223.255.255.255", "224.0.0.0", "239.255.255.255", "", "multicast"),
        ("", "240.0.0.0", "255.255.255.255", "", "reserved or broadcast"),
    ] {
        check(first, Some(purpose));
        check(last, Some(purpose));
        for neighbour in [before, after].into_iter().filter(|address| !address.is_empty()) {
            check(neighbour, None);
        }
    }
}

#[test]
fn special_ipv6_range_is_forbidden_from_edge_to_edge() {
    let all = "ffff:ffff:ffff:ffff:ffff:ffff";
    let low = "loopback, unspecified or embedded IPv4";
    for (first, last, purpose) in [
        ("::", "::", low),
        ("::1", "::1", low),
        ("::0.0.0.2", "::255.255.255.255", low),
        ("::ffff:0.0.0.0", "::ffff:255.255.255.255", low),
        ("64:ff9b::", "64:ff9b::ffff:ffff", "IPv4 translation (NAT64)"),
        ("64:ff9b:1::", &format!("64:ff9b:1:{}", &all[..24]), "local IPv4 translation (NAT64)"),
        ("2001::", &format!("2001:0:{all}"), "Teredo"),
        ("2001:2::", &format!("2001:2:0:{}", &all[..24]), "benchmarking"),
        ("2001:1::", &format!("2001:1ff:{all}"), "IETF protocol assignments"),
        ("2001:db8::", &format!("2001:db8:{all}"), "documentation"),
        ("2002::", &format!("2002:ffff:{all}"), "6to4"),
        ("3fff::", &format!("3fff:fff:{all}"), "documentation"),
        ("fc00::", &format!("fdff:ffff:{all}"), "unique local"),
        ("fe80::", &format!("febf:ffff:{all}"), "link-local"),
        ("fec0::", &format!("feff:ffff:{all}"), "site-local"),
        ("ff00::", &format!("ffff:ffff:{all}"), "multicast"),
        ("100::", "1fff::", "not global unicast"),
        ("4000::", &format!("7fff:ffff:{all}"), "not global unicast"),
        ("8000::", &format!("fbff:ffff:{all}"), "not global unicast"),
    ] {
        check(first, Some(purpose));
        check(last, Some(purpose));
    }
    for neighbour in ["2000::", "2001:200::", "2001:db7::", "2001:db9::", "2003::", "3fff:1000::", "3ffe:ffff::"] {
        check(neighbour, None);
    }
    check(&format!("2001:ffff:{all}"), None);
    check(&format!("3fff:ffff:{all}"), None);
}

#[test]
fn metadata_address_of_aws_is_forbidden() {
    // Instances, containers, time and DNS; each in all forms that contain the IPv4 address.
    for address in ["169.254.169.254", "169.254.170.2", "169.254.170.23", "169.254.169.123", "169.254.169.253"] {
        check(address, Some("link-local"));
        for prefix in ["::", "::ffff:", "64:ff9b::", "64:ff9b:1::"] {
            assert!(forbidden_range(format!("{prefix}{address}").parse().unwrap()).is_some(), "{prefix}{address}");
        }
    }
    check("2002:a9fe:a9fe::1", Some("6to4"));
    for address in ["fd00:ec2::254", "fd00:ec2::253", "fd00:ec2::123", "fd00:ec2::23"] {
        check(address, Some("unique local"));
    }
}

#[test]
fn public_address_is_allowed() {
    for address in ["1.1.1.1", "8.8.8.8", "52.95.110.1", "192.0.1.1", "2606:4700:4700::1111", "2a00:1450:4001:82a::200e"] {
        check(address, None);
    }
}

#[test]
fn forbidden_range_is_printed_with_its_purpose() {
    let range = forbidden_range("10.1.2.3".parse().unwrap()).unwrap();
    assert_eq!(range.to_string(), "10.0.0.0/8 (private use)");
    let range = forbidden_range("fd00:ec2::254".parse().unwrap()).unwrap();
    assert_eq!(range.to_string(), "fc00::/7 (unique local)");
}

proptest! {
    #[test]
    fn address_with_an_embedded_ipv4_address_is_forbidden(bits in any::<u32>(), low in any::<u64>()) {
        let v4 = Ipv4Addr::from_bits(bits);
        let (mapped, compatible) = (v4.to_ipv6_mapped().to_bits(), u128::from(bits));
        let (nat64, local_nat64) = (0x64_ff9b << 96, 0x0064_ff9b_0001 << 80);
        let six_to_four = (0x2002_u128 << 112) | (u128::from(bits) << 80) | u128::from(low);
        let teredo = (0x2001_0000_u128 << 96) | u128::from(!bits);
        for address in [mapped, compatible, nat64 | u128::from(bits), local_nat64 | u128::from(bits), six_to_four, teredo] {
            let address = IpAddr::V6(Ipv6Addr::from_bits(address));
            prop_assert!(forbidden_range(address).is_some(), "{}", address);
        }
    }

    #[test]
    fn allowed_address_is_of_no_kind_that_the_standard_library_knows(v4 in any::<u32>(), v6 in any::<u128>()) {
        let v4 = Ipv4Addr::from_bits(v4);
        let is_special = v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_broadcast()
            || v4.is_documentation() || v4.is_multicast() || v4.is_unspecified();
        prop_assert!(forbidden_range(v4.into()).is_some() || !is_special, "{}", v4);
        let v6 = Ipv6Addr::from_bits(v6);
        let is_special = v6.is_loopback() || v6.is_multicast() || v6.is_unspecified() || v6.is_unique_local()
            || v6.is_unicast_link_local() || v6.to_ipv4().is_some();
        prop_assert!(forbidden_range(v6.into()).is_some() || !is_special, "{}", v6);
    }
}
