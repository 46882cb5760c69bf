use super::*;

/// Checks a URL under the rules of a deployed stage.
fn check(url: &str, any_port: bool) -> Result<Target, ForbiddenTarget> {
    TargetRules::default().check(&url.parse().unwrap(), any_port)
}

/// Checks a URL under the rules of the local stage.
fn check_local(url: &str) -> Result<Target, ForbiddenTarget> {
    let sinks = ["127.0.0.1:8790", "localhost:8791", "[::1]:8792"].map(|sink| sink.parse().unwrap());
    TargetRules::with_local_sinks(sinks.to_vec()).check(&url.parse().unwrap(), false)
}

/// The purpose of the range that forbids the address of a URL.
fn forbidden_by(url: &str) -> Option<&'static str> {
    match check(url, true) {
        Err(ForbiddenTarget::Address(range)) => Some(range.purpose()),
        _ => None,
    }
}

#[test]
fn public_https_url_is_allowed() {
    let target = check("https://hooks.example.com/a/b?c=d&e", false).unwrap();
    assert!(target.is_tls);
    assert_eq!((target.host.to_string().as_str(), target.port), ("hooks.example.com", 443));
    assert_eq!((target.path_and_query.as_str(), target.authority().as_str()), ("/a/b?c=d&e", "hooks.example.com"));
    let target = check("https://[2606:4700:4700::1111]", false).unwrap();
    assert_eq!((target.path_and_query.as_str(), target.authority().as_str()), ("/", "[2606:4700:4700::1111]"));
    assert!(check("https://1.1.1.1/", false).is_ok());
}

#[test]
fn other_port_needs_permission() {
    for url in ["https://hooks.example.com:8443/", "https://hooks.example.com:80/", "https://1.1.1.1:22/"] {
        assert_eq!(check(url, false), Err(ForbiddenTarget::Port), "{url}");
        assert!(check(url, true).is_ok(), "{url}");
    }
    assert_eq!(check("https://hooks.example.com:8443/", true).unwrap().authority(), "hooks.example.com:8443");
    assert!(check("https://hooks.example.com:443/", false).is_ok());
}

#[test]
fn unencrypted_url_is_refused() {
    for url in ["http://hooks.example.com/", "http://hooks.example.com:443/", "http://127.0.0.1:8790/"] {
        assert_eq!(check(url, true), Err(ForbiddenTarget::NotEncrypted), "{url}");
    }
}

#[test]
fn address_is_checked_in_every_spelling() {
    for (url, purpose) in [
        ("https://127.0.0.1/", "loopback"),
        ("https://127.1/", "loopback"),
        ("https://2130706433/", "loopback"),
        ("https://0x7f000001/", "loopback"),
        ("https://0x7f.0.0.1/", "loopback"),
        ("https://0177.0.0.1/", "loopback"),
        ("https://017700000001/", "loopback"),
        ("https://%31%32%37.0.0.1/", "loopback"),
        ("https://127.0.0.1./", "loopback"),
        ("https://0/", "this network"),
        ("https://10.0.0.1:8443/", "private use"),
        ("https://169.254.169.254/latest/meta-data/", "link-local"),
        ("https://0xa9fea9fe/", "link-local"),
        ("https://2852039166/", "link-local"),
        ("https://[::1]/", "loopback, unspecified or embedded IPv4"),
        ("https://[::ffff:169.254.169.254]/", "loopback, unspecified or embedded IPv4"),
        ("https://[0:0:0:0:0:ffff:a9fe:a9fe]/", "loopback, unspecified or embedded IPv4"),
        ("https://[64:ff9b::a9fe:a9fe]/", "IPv4 translation (NAT64)"),
        ("https://[64:ff9b:1::a00:1]/", "local IPv4 translation (NAT64)"),
        ("https://[2002:a9fe:a9fe::]/", "6to4"),
        ("https://[fd00:ec2::254]/", "unique local"),
        ("https://[fe80::1]/", "link-local"),
    ] {
        assert_eq!(forbidden_by(url), Some(purpose), "{url}");
    }
}

#[test]
fn private_name_is_refused() {
    for name in [
        "localhost",
        "localhost.",
        "db",
        "a.localhost",
        "printer.local",
        "ip-10-0-0-1.ec2.internal",
        "LOCALHOST",
        "x.home.arpa",
    ] {
        assert_eq!(check(&format!("https://{name}/"), true), Err(ForbiddenTarget::PrivateName), "{name}");
    }
    for name in ["example.com.", "notlocalhost.com", "local.example.com", "mylocal.example"] {
        assert!(check(&format!("https://{name}/"), false).is_ok(), "{name}");
    }
}

#[test]
fn resolved_address_is_checked() {
    let target = check("https://hooks.example.com/", false).unwrap();
    assert_eq!(target.check_address("1.1.1.1".parse().unwrap()), Ok(()));
    for address in ["127.0.0.1", "169.254.169.254", "::1", "::ffff:1.1.1.1", "fd00:ec2::254"] {
        let checked = target.check_address(address.parse().unwrap());
        assert!(matches!(checked, Err(ForbiddenTarget::Address(_))), "{address}");
    }
}

#[test]
fn local_receiver_is_allowed_by_exact_host_and_port() {
    for url in ["http://127.0.0.1:8790/hook", "http://localhost:8791", "http://[::1]:8792/", "https://127.0.0.1:8790/"] {
        assert!(check_local(url).is_ok(), "{url}");
    }
    assert_eq!(check_local("http://127.0.0.1:8790/").unwrap().authority(), "127.0.0.1:8790");
    for url in ["http://127.0.0.1:8791/", "http://127.0.0.2:8790/", "http://localhost:8790/", "http://127.0.0.1/"] {
        assert_eq!(check_local(url), Err(ForbiddenTarget::NotEncrypted), "{url}");
    }
    assert!(matches!(check_local("https://127.0.0.1/"), Err(ForbiddenTarget::Address(_))));
}

#[test]
fn local_receiver_has_a_loopback_address() {
    let target = check_local("http://localhost:8791/").unwrap();
    assert_eq!(target.check_address("::1".parse().unwrap()), Ok(()));
    for address in ["10.0.0.1", "169.254.169.254", "1.1.1.1", "::ffff:127.0.0.1"] {
        assert_eq!(target.check_address(address.parse().unwrap()), Err(ForbiddenTarget::NotLoopback), "{address}");
    }
    for text in ["", "127.0.0.1", "10.0.0.1:8790", "example.com:8790", "[::]:8790", "localhost:", "127.0.0.1:99999"] {
        assert_eq!(text.parse::<LocalSink>(), Err(InvalidLocalSink), "{text}");
    }
}
