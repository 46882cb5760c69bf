use std::collections::BTreeMap;

use http::StatusCode;
use serde::{Serialize, Serializer};

use crate::problem::Problem;

/// An answer, as API Gateway takes it.
#[derive(Debug)]
pub struct Response {
    status: StatusCode,
    headers: BTreeMap<&'static str, String>,
    body: String,
}

impl Response {
    /// A JSON answer.
    pub fn json(status: StatusCode, body: &impl Serialize) -> Result<Self, Problem> {
        let body = serde_json::to_string(body).map_err(Problem::internal)?;
        let headers = BTreeMap::from([("content-type", "application/json".to_owned())]);
        Ok(Self { status, headers, body })
    }

    /// A JSON answer with status 200.
    pub fn ok(body: &impl Serialize) -> Result<Self, Problem> {
        Self::json(StatusCode::OK, body)
    }

    /// An answer without a body.
    pub fn no_content() -> Self {
        Self { status: StatusCode::NO_CONTENT, headers: BTreeMap::new(), body: String::new() }
    }

    /// With a header.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.insert(name, value.into());
        self
    }

    /// Its status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Its body.
    pub fn body(&self) -> &str {
        &self.body
    }

    /// A header of it.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

impl From<&Problem> for Response {
    fn from(problem: &Problem) -> Self {
        let mut headers: BTreeMap<&'static str, String> =
            problem.headers().iter().map(|(name, value)| (*name, value.clone())).collect();
        headers.insert("content-type", "application/problem+json".to_owned());
        Self { status: problem.status(), headers, body: problem.to_document().to_string() }
    }
}

impl Serialize for Response {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Proxy<'a> {
            status_code: u16,
            headers: &'a BTreeMap<&'static str, String>,
            body: &'a str,
            is_base64_encoded: bool,
        }
        let Self { status, headers, body } = self;
        Proxy { status_code: status.as_u16(), headers, body, is_base64_encoded: false }.serialize(serializer)
    }
}
