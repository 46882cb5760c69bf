//! URLs of endpoints.

use std::fmt;
use std::str::FromStr;

use ::url::Url;
use serde::{Deserialize, Serialize};

/// The URL of an endpoint, as the fleet wrote it. Whether a request may be sent to it is checked when it is registered
/// ([`TargetRules`](super::TargetRules)), and at each attempt on the address that is connected to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EndpointUrl(String);

/// A text that is not the URL of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be an absolute URL with the scheme https, without user, password and fragment, of at most {} bytes",
    EndpointUrl::MAX_BYTES
)]
pub struct InvalidEndpointUrl;

impl EndpointUrl {
    /// Maximum bytes.
    pub const MAX_BYTES: usize = 2048;

    /// The URL as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EndpointUrl {
    type Err = InvalidEndpointUrl;

    /// Reads an absolute URL. The scheme `http` is a valid text, but only allowed for a receiver on this machine. A user and a
    /// password are refused, because URLs are shown and logged where credentials must not be.
    fn from_str(text: &str) -> Result<Self, InvalidEndpointUrl> {
        let is_absolute = text.starts_with("https://") || text.starts_with("http://");
        if !is_absolute || text.len() > Self::MAX_BYTES || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidEndpointUrl);
        }
        let url = Url::parse(text).map_err(|_| InvalidEndpointUrl)?;
        // The parser removes an empty user or password, so the text is checked as well.
        let authority = text.split('/').nth(2).unwrap_or_default();
        let has_user = authority.contains('@') || !url.username().is_empty() || url.password().is_some();
        if has_user || url.fragment().is_some() { Err(InvalidEndpointUrl) } else { Ok(Self(text.to_owned())) }
    }
}

impl TryFrom<String> for EndpointUrl {
    type Error = InvalidEndpointUrl;

    fn try_from(text: String) -> Result<Self, InvalidEndpointUrl> {
        text.parse()
    }
}

impl From<EndpointUrl> for String {
    fn from(url: EndpointUrl) -> Self {
        url.0
    }
}

impl fmt::Display for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_is_kept_as_it_was_written() {
        for text in [
            "https://hooks.example.com/roadcast?fleet=7",
            "https://hooks.example.com",
            "https://hooks.example.com:8443/a%20b/@me",
            "https://[2606:4700:4700::1111]/",
            "http://127.0.0.1:8790/hook",
        ] {
            assert_eq!(text.parse::<EndpointUrl>().map(String::from).as_deref(), Ok(text));
        }
    }

    #[test]
    fn text_that_is_no_url_of_an_endpoint_is_refused() {
        let too_long = format!("https://hooks.example.com/{}", "a".repeat(EndpointUrl::MAX_BYTES));
        for text in [
            "",
            "hooks.example.com",
            "/hook",
            "ftp://hooks.example.com",
            "https://",
            "https:///",
            "https:hooks.example.com",
            "https://user@hooks.example.com/",
            "https://user:password@hooks.example.com/",
            "https://:@hooks.example.com/",
            "https://@hooks.example.com/",
            "https://hooks.example.com/#part",
            "https://hooks.example.com:99999/",
            "https://hooks.example.com/a b",
            "https://hooks.example.com/a\nb",
            "https://hööks.example.com/",
            "https://256.256.256.256/",
            &too_long,
        ] {
            assert_eq!(text.parse::<EndpointUrl>(), Err(InvalidEndpointUrl), "{text}");
        }
    }
}
