//! The secret of a stack, from which every key of the stack is derived.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

/// The size of the blocks of SHA-256. HMAC hashes a longer key first, and pads a shorter one with zeros.
const BLOCK_LEN: usize = 64;

/// A secret of a stack. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

/// The secret has fewer than [`Secret::MIN_LEN`] bytes.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the secret of the stack has fewer than {} bytes; store a longer random text", Secret::MIN_LEN)]
pub struct SecretTooShort;

/// What a derived key is for. Keys for different purposes are independent of each other.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum KeyPurpose {
    /// Sealing cursors.
    Cursors,
    /// Naming the secret by which a cursor is sealed.
    CursorKeyIds,
    /// Digests of VINs in the keys of tables.
    VinDigests,
    /// MACs of the records of alerts on the stream.
    AlertRecords,
    /// Digests of names of erased vehicles in the keys of tables.
    ErasedNames,
}

impl KeyPurpose {
    /// Returns the label from which the key is derived. A label that changes makes all values of the earlier key useless.
    const fn label(self) -> &'static str {
        match self {
            Self::Cursors => "roadcast cursors 1",
            Self::CursorKeyIds => "roadcast cursor key ids 1",
            Self::VinDigests => "roadcast vin digests 1",
            Self::AlertRecords => "roadcast alert records 1",
            Self::ErasedNames => "roadcast erased names 1",
        }
    }
}

impl Secret {
    /// The minimum length in bytes.
    pub const MIN_LEN: usize = 32;

    /// Creates a secret from random bytes. Fails if it is too short.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, SecretTooShort> {
        let bytes = bytes.into();
        if bytes.len() < Self::MIN_LEN { Err(SecretTooShort) } else { Ok(Self(bytes)) }
    }

    /// Returns the key for a purpose.
    pub fn key(&self, purpose: KeyPurpose) -> DerivedKey {
        DerivedKey(hmac_sha256(&self.0, purpose.label().as_bytes()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A key that is derived from a [`Secret`]. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct DerivedKey([u8; 32]);

impl DerivedKey {
    /// Returns the bytes of the key, for a cipher. Do not store or log them.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns the HMAC-SHA256 of a message.
    pub fn mac(&self, message: &[u8]) -> [u8; 32] {
        hmac_sha256(&self.0, message)
    }

    /// Whether `mac` is the HMAC-SHA256 of a message. The duration does not depend on where they differ.
    pub fn verifies(&self, message: &[u8], mac: &[u8]) -> bool {
        let mut hmac = hmac_sha256_with(&self.0);
        hmac.update(message);
        hmac.verify_slice(mac).is_ok()
    }
}

impl fmt::Debug for DerivedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DerivedKey(…)")
    }
}

/// The secrets of a stack that are in use: one, or several while the secret is rotated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StackSecrets {
    /// The secret for new values.
    pub current: Secret,
    /// The secret that was current before. Its values are still valid.
    pub previous: Option<Secret>,
    /// The secret that will be current next. Another function may use it already.
    pub pending: Option<Secret>,
}

impl StackSecrets {
    /// Returns the secrets of a stack that never rotated its secret.
    pub const fn single(current: Secret) -> Self {
        Self { current, previous: None, pending: None }
    }

    /// Returns the secrets under which a value that must be found is stored: the current and the previous one. A function
    /// that does not know the current one yet finds it under the previous one.
    pub fn stored(&self) -> impl Iterator<Item = &Secret> {
        std::iter::once(&self.current).chain(&self.previous)
    }

    /// Returns all secrets under which a value may exist, the current one first.
    pub fn all(&self) -> impl Iterator<Item = &Secret> {
        self.stored().chain(&self.pending)
    }
}

/// Starts an HMAC-SHA256 with a key of any length.
pub(crate) fn hmac_sha256_with(key: &[u8]) -> Hmac<Sha256> {
    let mut block = [0; BLOCK_LEN];
    if key.len() > BLOCK_LEN {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    Hmac::new(&block.into())
}

fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut hmac = hmac_sha256_with(key);
    hmac.update(message);
    hmac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(byte: u8) -> Secret {
        Secret::new([byte; 32]).unwrap()
    }

    #[test]
    fn mac_equals_the_vectors_of_rfc_4231() {
        let expect = |key: &[u8], message: &str, hex: &str| {
            assert_eq!(hex::encode(hmac_sha256(key, message.as_bytes())), hex);
        };
        expect(&[0x0b; 20], "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
        expect(
            &[0xaa; 131],
            "Test Using Larger Than Block-Size Key - Hash Key First",
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        );
    }

    #[test]
    fn keys_differ_by_secret_and_purpose() {
        let purposes = [KeyPurpose::Cursors, KeyPurpose::CursorKeyIds, KeyPurpose::VinDigests, KeyPurpose::AlertRecords];
        let keys: Vec<_> = [1, 2].into_iter().flat_map(|byte| purposes.map(|purpose| secret(byte).key(purpose))).collect();
        for (index, key) in keys.iter().enumerate() {
            assert!(!keys[..index].contains(key), "{index}");
        }
    }

    #[test]
    fn key_verifies_only_its_own_mac_of_the_message() {
        let key = secret(1).key(KeyPurpose::AlertRecords);
        let mac = key.mac(b"message");
        assert!(key.verifies(b"message", &mac));
        assert!(!key.verifies(b"massage", &mac) && !key.verifies(b"message", &mac[..31]) && !key.verifies(b"message", b""));
        assert!(!secret(2).key(KeyPurpose::AlertRecords).verifies(b"message", &mac));
    }

    #[test]
    fn debug_output_hides_secrets_and_keys() {
        let text = format!("{:?} {:?}", StackSecrets::single(secret(65)), secret(65).key(KeyPurpose::Cursors));
        assert_eq!(text, "StackSecrets { current: Secret(…), previous: None, pending: None } DerivedKey(…)");
    }

    #[test]
    fn short_secret_is_refused() {
        assert_eq!(Secret::new([1; 31]), Err(SecretTooShort));
    }
}
