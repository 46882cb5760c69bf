//! The secret of the stack.

use std::future::Future;
use std::sync::Arc;

use roadcast_domain::secret::StackSecrets;

use crate::PortError;

/// The secret from which every key of the stack is derived.
pub trait SecretSource: Send + Sync {
    /// Returns the secrets that are in use. They may be cached for some minutes. Never fails with `Rejected`: no request or
    /// event is at fault if the secret cannot be read.
    fn secrets(&self) -> impl Future<Output = Result<Arc<StackSecrets>, PortError>> + Send;
}
