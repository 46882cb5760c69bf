//! An answer of the API, and what a refusal says.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use reqwest::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::records::Accepted;

/// An answer that is not worth another attempt.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Vec<u8>,
}

/// An error answer (RFC 9457).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Problem {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) title: String,
    pub(crate) detail: Option<String>,
    pub(crate) errors: Vec<Wrong>,
}

/// One thing that is wrong, by its place in the request.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Wrong {
    pub(crate) pointer: String,
    pub(crate) detail: String,
}

/// A request that the API refused, told with what was wrong and where.
#[derive(Debug)]
pub(crate) struct Refused {
    /// The answer's status.
    pub(crate) status: StatusCode,
    complaint: String,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.complaint)
    }
}

impl std::error::Error for Refused {}

impl Answer {
    /// The answer's body, where it is a success.
    pub(crate) fn read<T: DeserializeOwned>(&self, request: &str) -> Result<T> {
        if !self.status.is_success() {
            return Err(self.refused(request).into());
        }
        serde_json::from_slice(&self.body).with_context(|| format!("the answer to {request} is not understood"))
    }

    /// The events that were taken.
    pub(crate) fn accepted(&self) -> Result<Vec<Accepted>> {
        let mut body: BTreeMap<String, Value> = self.read("an upload")?;
        Ok(serde_json::from_value(body.remove("accepted").unwrap_or_default())?)
    }

    /// The problem document, as far as it is one.
    pub(crate) fn problem(&self) -> Problem {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// What it says against a request that it refuses.
    pub(crate) fn refused(&self, request: &str) -> Refused {
        let problem = self.problem();
        let mut text = format!("{request} is refused: {} {}", self.status.as_u16(), problem.title);
        if let Some(detail) = problem.detail {
            let _ = write!(text, " ({detail})");
        }
        for Wrong { pointer, detail } in problem.errors.iter().take(3) {
            let _ = write!(text, "\n  {pointer}: {detail}");
        }
        Refused { status: self.status, complaint: text }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_refusal_tells_what_was_wrong_and_where() {
        let body = br#"{"type":"https://roadcast.dev/problems/x","title":"No","status":422,"errors":[{"pointer":"/a","detail":"b"}]}"#;
        let answer = Answer { status: StatusCode::UNPROCESSABLE_ENTITY, body: body.to_vec() };
        let complaint = answer.read::<Value>("POST /x").unwrap_err().to_string();
        assert_eq!(complaint, "POST /x is refused: 422 No\n  /a: b");
        assert!(answer.accepted().is_err());
    }

    #[test]
    fn an_answer_that_is_no_problem_document_is_still_reported() {
        let answer = Answer { status: StatusCode::BAD_GATEWAY, body: b"<html>".to_vec() };
        assert!(answer.read::<Value>("GET /x").unwrap_err().to_string().contains("502"));
    }
}
