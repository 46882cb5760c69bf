//! Responses of the API and its error documents.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use reqwest::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::records::Accepted;

/// A final response: retrying would not change it.
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(crate) body: Vec<u8>,
    /// The version of the resource, for `If-Match`.
    pub(crate) etag: Option<String>,
}

/// A problem document (RFC 9457).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Problem {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) title: String,
    pub(crate) detail: Option<String>,
    pub(crate) errors: Vec<InvalidField>,
}

/// An invalid field of the request.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct InvalidField {
    pub(crate) pointer: String,
    pub(crate) detail: String,
}

/// A request that the API rejected. The message names status, title, detail and the first invalid fields.
#[derive(Debug)]
pub(crate) struct ApiError {
    /// The HTTP status.
    pub(crate) status: StatusCode,
    message: String,
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ApiError {}

impl Response {
    /// Parses the body of a successful response. Fails with [`ApiError`] for any other status.
    pub(crate) fn read<T: DeserializeOwned>(&self, request: &str) -> Result<T> {
        if !self.status.is_success() {
            return Err(self.to_error(request).into());
        }
        serde_json::from_slice(&self.body).with_context(|| format!("the response to {request} is not the expected JSON"))
    }

    /// The accepted events of an upload.
    pub(crate) fn accepted(&self) -> Result<Vec<Accepted>> {
        let mut body: BTreeMap<String, Value> = self.read("an upload")?;
        Ok(serde_json::from_value(body.remove("accepted").unwrap_or_default())?)
    }

    /// The problem document; empty if the body is none.
    pub(crate) fn problem(&self) -> Problem {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The error for a response that is not a success.
    pub(crate) fn to_error(&self, request: &str) -> ApiError {
        let problem = self.problem();
        let mut text = format!("{request} returned {} {}", self.status.as_u16(), problem.title);
        if let Some(detail) = problem.detail {
            let _ = write!(text, " ({detail})");
        }
        for InvalidField { pointer, detail } in problem.errors.iter().take(3) {
            let _ = write!(text, "\n  {pointer}: {detail}");
        }
        ApiError { status: self.status, message: text }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn error_names_status_title_and_invalid_fields() {
        let body = br#"{"type":"https://roadcast.dev/problems/x","title":"No","status":422,"errors":[{"pointer":"/a","detail":"b"}]}"#;
        let response = Response { status: StatusCode::UNPROCESSABLE_ENTITY, body: body.to_vec(), etag: None };
        let message = response.read::<Value>("POST /x").unwrap_err().to_string();
        assert_eq!(message, "POST /x returned 422 No\n  /a: b");
        assert!(response.accepted().is_err());
    }

    #[test]
    fn error_without_problem_document_names_the_status() {
        let response = Response { status: StatusCode::BAD_GATEWAY, body: b"<html>".to_vec(), etag: None };
        assert!(response.read::<Value>("GET /x").unwrap_err().to_string().contains("502"));
    }
}
