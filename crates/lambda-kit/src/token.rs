//! Opaque texts that callers hand back as they were given.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The token of a text.
pub fn write(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

/// The text of a token, if it is one.
pub fn read(token: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()
}
