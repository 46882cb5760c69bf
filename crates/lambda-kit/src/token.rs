//! Opaque tokens that callers send back unchanged.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

/// Bytes of the check value.
const CHECK_LEN: usize = 8;

/// Encodes a text as a token for one context, such as one fleet.
pub fn encode(context: &str, text: &str) -> String {
    let mut bytes = check_value(context, text.as_bytes()).to_vec();
    bytes.extend(text.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Returns the text of a token, or `None` if the token is truncated, modified or of another context. The check value is not a
/// signature: any text can be encoded.
pub fn decode(context: &str, token: &str) -> Option<String> {
    let mut check = URL_SAFE_NO_PAD.decode(token).ok()?;
    if check.len() < CHECK_LEN {
        return None;
    }
    let text = check.split_off(CHECK_LEN);
    if check != check_value(context, &text) {
        return None;
    }
    String::from_utf8(text).ok()
}

fn check_value(context: &str, text: &[u8]) -> [u8; CHECK_LEN] {
    let mut hash = Sha256::new();
    // The length prefix makes the concatenation unambiguous.
    hash.update((context.len() as u64).to_be_bytes());
    hash.update(context);
    hash.update(text);
    let digest = hash.finalize();
    std::array::from_fn(|index| digest[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_unchanged_token_of_the_context_is_decoded() {
        let token = encode("one", "a\nb");
        assert_eq!(decode("one", &token).as_deref(), Some("a\nb"));
        assert_eq!(decode("two", &token), None);
        for end in 0..token.len() {
            assert_eq!(decode("one", &token[..end]), None, "{end}");
        }
        let changed = token.replacen(&token[..1], if token.starts_with('A') { "B" } else { "A" }, 1);
        assert_eq!(decode("one", &changed), None);
        assert_eq!(decode("one", &format!("{token}A")), None);
        assert_eq!(decode("one", &URL_SAFE_NO_PAD.encode("a\nb")), None);
        assert_eq!(decode("one", "\u{fc}"), None);
    }
}
