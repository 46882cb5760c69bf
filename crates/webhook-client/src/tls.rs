//! TLS: the library, the cryptography and the root certificates of the SDK.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

/// This machine has no usable root certificate, so that no receiver could be verified.
#[derive(Debug, thiserror::Error)]
#[error("no usable root certificate was found; install the package `ca-certificates`")]
pub struct NoRootCertificates;

/// Reads the root certificates of this machine: those that the SDK uses. `SSL_CERT_FILE` and `SSL_CERT_DIR` replace them.
///
/// A certificate that cannot be read is ignored: roots only allow more receivers.
pub fn system_roots() -> Result<RootCertStore, NoRootCertificates> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() { Err(NoRootCertificates) } else { Ok(roots) }
}

/// Creates the configuration of all connections: TLS 1.2 and 1.3, HTTP/1.1 only.
pub(crate) fn connector(roots: RootCertStore) -> Result<TlsConnector, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}
