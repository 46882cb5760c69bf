//! New connections, to checked addresses only.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use roadcast_domain::webhook::{AttemptOutcome, Target, TargetHost};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::exchange::Connection;
use crate::failure::Failure;
use crate::names::Names;

/// Maximum addresses of a name that are tried.
const MAX_ADDRESSES: usize = 3;
/// Time for the connection to one address. Three of them are the time of an attempt.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Opens connections.
pub(crate) struct Connector<Resolver> {
    names: Resolver,
    tls: TlsConnector,
}

impl<Resolver: Names> Connector<Resolver> {
    pub(crate) const fn new(names: Resolver, tls: TlsConnector) -> Self {
        Self { names, tls }
    }

    /// Opens a connection to a target. The caller limits the time.
    pub(crate) async fn open(&self, target: &Target) -> Result<Connection, Failure> {
        let addresses = self.allowed_addresses(target).await?;
        let stream = connect(&addresses, target.port).await?;
        // Requests are written at once: waiting to fill a packet would only delay them.
        stream.set_nodelay(true).map_err(|_| Failure::new(AttemptOutcome::ConnectionClosed))?;
        if !target.is_tls {
            return Connection::start(stream).await;
        }
        let name = server_name(&target.host)?;
        let stream =
            self.tls.connect(name, stream).await.map_err(|error| Failure::from_error(&error, AttemptOutcome::TlsFailed))?;
        Connection::start(stream).await
    }

    /// Returns the addresses that may be connected to. The rules have checked a host that is an address already; it is checked
    /// again here, so that no address gets past this place without a check.
    async fn allowed_addresses(&self, target: &Target) -> Result<Vec<IpAddr>, Failure> {
        let mut addresses = match &target.host {
            TargetHost::Address(address) => vec![*address],
            TargetHost::Name(name) => {
                let resolved = self.names.resolve(name).await;
                resolved.map_err(|_| Failure::new(AttemptOutcome::NameNotResolved))?
            }
        };
        if addresses.is_empty() {
            return Err(Failure::new(AttemptOutcome::NameNotResolved));
        }
        addresses.retain(|address| target.check_address(*address).is_ok());
        if addresses.is_empty() {
            return Err(Failure::new(AttemptOutcome::AddressForbidden));
        }
        addresses.truncate(MAX_ADDRESSES);
        Ok(addresses)
    }
}

/// Connects to the first address that accepts.
async fn connect(addresses: &[IpAddr], port: u16) -> Result<TcpStream, Failure> {
    let mut outcome = AttemptOutcome::ConnectionRefused;
    for address in addresses {
        outcome = match timeout(CONNECT_TIMEOUT, TcpStream::connect(SocketAddr::new(*address, port))).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) if error.kind() != ErrorKind::TimedOut => AttemptOutcome::ConnectionRefused,
            Ok(Err(_)) | Err(_) => AttemptOutcome::TimedOut,
        };
    }
    Err(Failure::new(outcome))
}

/// Returns the name that the certificate must have.
fn server_name(host: &TargetHost) -> Result<ServerName<'static>, Failure> {
    match host {
        TargetHost::Address(address) => Ok(ServerName::from(*address)),
        TargetHost::Name(name) => {
            // Certificates have names without the dot of the root.
            let name = name.strip_suffix('.').unwrap_or(name).to_owned();
            let invalid = |_| Failure { outcome: AttemptOutcome::TlsFailed, detail: Some("invalid host name".to_owned()) };
            ServerName::try_from(name).map_err(invalid)
        }
    }
}
