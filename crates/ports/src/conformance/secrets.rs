//! [`SecretSource`]

use roadcast_domain::secret::KeyPurpose;

use crate::secrets::SecretSource;

/// Checks every implementation of [`SecretSource`].
pub async fn secret_source(source: &impl SecretSource) {
    let secrets = source.secrets().await.expect("secrets succeeds");
    assert_eq!(source.secrets().await.expect("secrets succeeds"), secrets, "a secret stays the same until it is rotated");
    let keys: Vec<_> = secrets.all().map(|secret| secret.key(KeyPurpose::VinDigests)).collect();
    for (index, key) in keys.iter().enumerate() {
        assert!(!keys[..index].contains(key), "each secret is listed once");
    }
}
