//! The secret of the stack.

use std::sync::Arc;

use roadcast_domain::secret::{Secret, StackSecrets};
use roadcast_ports::PortError;
use roadcast_ports::secrets::SecretSource;

use super::Memory;

impl Memory {
    /// Rotates the secret of the stack: the current secret becomes the previous one. Different numbers are different
    /// secrets; the first secret has the number 0.
    pub fn rotate_secret(&self, number: u8) {
        let secrets = &mut self.state().secrets;
        secrets.previous = Some(std::mem::replace(&mut secrets.current, secret(number)));
    }
}

impl SecretSource for Memory {
    async fn secrets(&self) -> Result<Arc<StackSecrets>, PortError> {
        Ok(Arc::new(self.state().secrets.clone()))
    }
}

#[allow(clippy::expect_used, reason = "the length is constant")]
pub(super) fn secret(number: u8) -> Secret {
    Secret::new([number; Secret::MIN_LEN]).expect("long enough")
}
