//! Resolution of host names.

use std::future::Future;
use std::io;
use std::net::IpAddr;

/// Resolves host names to addresses.
pub trait Names: Send + Sync {
    /// Returns the addresses of a name, the preferred one first. The caller checks each of them.
    fn resolve(&self, name: &str) -> impl Future<Output = io::Result<Vec<IpAddr>>> + Send;
}

/// The resolver of the operating system, which orders addresses as RFC 6724 requires. It can also read the file of hosts, which
/// is why its result is checked as any other.
#[derive(Copy, Clone, Debug, Default)]
pub struct SystemNames;

impl Names for SystemNames {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        // The port has no effect on the result.
        Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect())
    }
}
