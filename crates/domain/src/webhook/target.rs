//! Where webhooks may be sent: the rules for URLs of endpoints and for the addresses of their hosts.
//!
//! The same code checks a URL when it is registered and before each attempt. An address is checked when it was resolved, just
//! before it is connected to: a name can have another address each time.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ::url::{Host, Url};

use super::EndpointUrl;
use super::address::{ForbiddenRange, forbidden_range};

/// The port of HTTPS.
const HTTPS_PORT: u16 = 443;
/// Names that never belong to the public Internet: RFC 6761 and RFC 6762, RFC 8375, and `internal`, which ICANN reserved for
/// private use and AWS uses for instances.
const PRIVATE_SUFFIXES: [&str; 4] = ["localhost", "local", "internal", "home.arpa"];

/// The rules for where webhooks may be sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetRules {
    local_sinks: Vec<LocalSink>,
}

/// Where an attempt is sent: a URL that passed the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Whether the connection is encrypted. Only a [`LocalSink`] may do without.
    pub is_tls: bool,
    /// The host.
    pub host: TargetHost,
    /// The port.
    pub port: u16,
    /// The path and the query, as in the first line of the request.
    pub path_and_query: String,
    is_local_sink: bool,
}

/// The host of a target.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TargetHost {
    /// A name, which is resolved before each connection.
    Name(String),
    /// An address, however it was spelled.
    Address(IpAddr),
}

/// A receiver on this machine, to which webhooks may be sent without TLS: for the local stage only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalSink {
    host: Host,
    port: u16,
}

/// The text names no receiver on this machine.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a local receiver is `localhost` or a loopback address, and a port, such as 127.0.0.1:8790")]
pub struct InvalidLocalSink;

/// Why no webhook is sent to a target.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForbiddenTarget {
    /// The URL cannot be parsed.
    #[error("is not a URL of an endpoint")]
    NotAUrl,
    /// The connection would not be encrypted.
    #[error("must have the scheme https")]
    NotEncrypted,
    /// The port is not 443.
    #[error("must have the port {HTTPS_PORT}; an admin can allow another one")]
    Port,
    /// The name is not one of the public Internet.
    #[error("must have a public host name")]
    PrivateName,
    /// The address is not one of the public Internet.
    #[error("must not have an address in {0}")]
    Address(&'static ForbiddenRange),
    /// The receiver on this machine has an address of another machine.
    #[error("must have a loopback address")]
    NotLoopback,
}

impl TargetRules {
    /// Creates rules that also allow receivers on this machine, each by its exact host and port. For the local stage only.
    pub const fn with_local_sinks(local_sinks: Vec<LocalSink>) -> Self {
        Self { local_sinks }
    }

    /// Checks a URL. With `any_port`, an admin allowed other ports than 443 for the endpoint.
    ///
    /// A host that is an address is checked here. The addresses of a name must be checked with [`Target::check_address`] after
    /// each resolution.
    pub fn check(&self, url: &EndpointUrl, any_port: bool) -> Result<Target, ForbiddenTarget> {
        let url = Url::parse(url.as_str()).map_err(|_| ForbiddenTarget::NotAUrl)?;
        let host = url.host().ok_or(ForbiddenTarget::NotAUrl)?.to_owned();
        let port = url.port_or_known_default().ok_or(ForbiddenTarget::NotAUrl)?;
        let path_and_query = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
        let sink = LocalSink { host, port };
        let is_local_sink = self.local_sinks.contains(&sink);
        let is_tls = url.scheme() == "https";
        let target = Target { is_tls, host: sink.host.into(), port, path_and_query, is_local_sink };
        if !is_local_sink {
            if !is_tls {
                return Err(ForbiddenTarget::NotEncrypted);
            }
            if port != HTTPS_PORT && !any_port {
                return Err(ForbiddenTarget::Port);
            }
        }
        match &target.host {
            TargetHost::Address(address) => target.check_address(*address)?,
            TargetHost::Name(name) if !is_local_sink && is_private_name(name) => return Err(ForbiddenTarget::PrivateName),
            TargetHost::Name(_) => {}
        }
        Ok(target)
    }
}

/// Whether a name cannot belong to the public Internet.
fn is_private_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let has_suffix = |suffix: &&str| name.strip_suffix(*suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    !name.contains('.') || PRIVATE_SUFFIXES.iter().any(has_suffix)
}

impl Target {
    /// Checks an address to which the host was resolved. Only an address that passes may be connected to.
    pub fn check_address(&self, address: IpAddr) -> Result<(), ForbiddenTarget> {
        if self.is_local_sink {
            if address.is_loopback() { Ok(()) } else { Err(ForbiddenTarget::NotLoopback) }
        } else {
            forbidden_range(address).map_or(Ok(()), |range| Err(ForbiddenTarget::Address(range)))
        }
    }

    /// Returns the host and, unless it is that of the scheme, the port: the header `Host`.
    pub fn authority(&self) -> String {
        let default_port = if self.is_tls { HTTPS_PORT } else { 80 };
        if self.port == default_port { self.host.to_string() } else { format!("{}:{}", self.host, self.port) }
    }
}

impl From<Host> for TargetHost {
    fn from(host: Host) -> Self {
        match host {
            Host::Domain(name) => Self::Name(name),
            Host::Ipv4(address) => Self::Address(address.into()),
            Host::Ipv6(address) => Self::Address(address.into()),
        }
    }
}

impl fmt::Display for TargetHost {
    /// Writes the host as in a URL: an IPv6 address has brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => address.fmt(f),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

impl FromStr for LocalSink {
    type Err = InvalidLocalSink;

    fn from_str(text: &str) -> Result<Self, InvalidLocalSink> {
        let (host, port) = text.rsplit_once(':').ok_or(InvalidLocalSink)?;
        let port = port.parse().map_err(|_| InvalidLocalSink)?;
        let host = Host::parse(host).map_err(|_| InvalidLocalSink)?;
        let is_local = match &host {
            Host::Domain(name) => name == "localhost",
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
        };
        if is_local { Ok(Self { host, port }) } else { Err(InvalidLocalSink) }
    }
}

#[cfg(test)]
mod tests;
