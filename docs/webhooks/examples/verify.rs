use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

const TOLERANCE_S: u64 = 300;

/// Whether `body`, as it was received, was signed with one of the secrets. `now` is in seconds since 1970.
pub fn is_signed(secrets: &[&str], id: &str, timestamp: &str, signatures: &str, body: &[u8], now: u64) -> bool {
    let is_recent = timestamp.parse::<u64>().is_ok_and(|signed_at| signed_at.abs_diff(now) <= TOLERANCE_S);
    if !is_recent || id.is_empty() {
        return false;
    }
    let signatures: Vec<Vec<u8>> =
        signatures.split(' ').filter_map(|signature| STANDARD.decode(signature.strip_prefix("v1,")?).ok()).collect();
    secrets.iter().any(|secret| {
        let key = secret.strip_prefix("whsec_").unwrap_or(secret);
        let Ok(key) = STANDARD.decode(key) else { return false };
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&key) else { return false };
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            mac.update(part);
        }
        // Compares in constant time.
        signatures.iter().any(|signature| mac.clone().verify_slice(signature).is_ok())
    })
}
