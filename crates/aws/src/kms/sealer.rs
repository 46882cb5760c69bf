//! Texts that are sealed for an endpoint: its secrets and header values.

use aws_sdk_kms::Client;
use aws_sdk_kms::operation::decrypt::DecryptError;
use aws_sdk_kms::primitives::Blob;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use roadcast_domain::ids::EndpointId;
use roadcast_ports::webhooks::Sealer;
use roadcast_ports::{PortError, PortErrorKind};

use crate::sdk::LazyClient;
use crate::sdk_error::port_error;

const SEAL: &str = "sealing a text of an endpoint";
const OPEN: &str = "opening a text of an endpoint";
/// The limit of `Encrypt` with a symmetric key.
const MAX_BYTES: usize = 4096;
/// The name in the encryption context. KMS opens a text only with the context with which it was sealed.
const ENDPOINT: &str = "endpointId";

/// Texts sealed by KMS under one key.
#[derive(Clone, Debug)]
pub struct KmsSealer {
    client: LazyClient<Client>,
    key: String,
}

impl KmsSealer {
    /// Creates the adapter on the key with this ARN.
    pub fn new(client: LazyClient<Client>, key_arn: impl Into<String>) -> Self {
        Self { client, key: key_arn.into() }
    }
}

impl Sealer for KmsSealer {
    async fn seal(&self, endpoint_id: &EndpointId, text: &str) -> Result<String, PortError> {
        if text.len() > MAX_BYTES {
            return Err(PortError::new(PortErrorKind::Rejected, SEAL).caused_by("the text has more than 4,096 bytes"));
        }
        let request = self.client.encrypt().key_id(&self.key).plaintext(Blob::new(text));
        let sealed = request.encryption_context(ENDPOINT, endpoint_id.as_str()).send().await;
        let sealed = sealed.map_err(|error| port_error(SEAL, error))?.ciphertext_blob;
        let sealed = sealed.ok_or_else(|| PortError::new(PortErrorKind::Unavailable, SEAL))?;
        Ok(BASE64_STANDARD.encode(sealed))
    }

    async fn open(&self, endpoint_id: &EndpointId, sealed: &str) -> Result<String, PortError> {
        let rejected = || PortError::new(PortErrorKind::Rejected, OPEN);
        let sealed = BASE64_STANDARD.decode(sealed).map_err(|error| rejected().caused_by(error))?;
        // With the key, KMS refuses what another key sealed, whatever this role may open.
        let request = self.client.decrypt().key_id(&self.key).ciphertext_blob(Blob::new(sealed));
        match request.encryption_context(ENDPOINT, endpoint_id.as_str()).send().await {
            Ok(opened) => {
                let text = opened.plaintext.map(Blob::into_inner).unwrap_or_default();
                // The error contains the bytes, so it is no cause that is logged.
                String::from_utf8(text).map_err(|_| rejected())
            }
            Err(error) if error.as_service_error().is_some_and(is_refusal) => Err(rejected().caused_by(error)),
            Err(error) => Err(port_error(OPEN, error)),
        }
    }
}

/// Whether the text was not sealed under this key for this endpoint.
fn is_refusal(error: &DecryptError) -> bool {
    error.is_invalid_ciphertext_exception() || error.is_incorrect_key_exception()
}

#[cfg(test)]
mod tests;
