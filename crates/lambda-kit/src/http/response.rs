//! An HTTP response.

use std::collections::BTreeMap;
use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::StatusCode;
use roadcast_ports::requests::StoredResponse;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::problem::Problem;

/// The minimum length of a body that is compressed, in bytes. Compression does not reduce the size of shorter bodies.
const MIN_COMPRESSED_LEN: usize = 1024;

/// A response in the format of API Gateway.
#[derive(Debug)]
pub struct Response {
    status: StatusCode,
    /// The headers by lower-case name.
    headers: BTreeMap<String, String>,
    body: String,
    /// The compressed body in base64, the encoding of binary bodies in API Gateway.
    compressed: Option<String>,
    /// A member of the body that must not be stored.
    secret: Option<&'static str>,
}

impl Response {
    fn new(status: StatusCode, body: String) -> Self {
        Self { status, headers: BTreeMap::new(), body, compressed: None, secret: None }
    }

    /// Creates a JSON response.
    pub fn json(status: StatusCode, body: &impl Serialize) -> Result<Self, Problem> {
        let body = serde_json::to_string(body).map_err(Problem::internal)?;
        Ok(Self::new(status, body).with_header("content-type", "application/json"))
    }

    /// Creates a JSON response with status 200.
    pub fn ok(body: &impl Serialize) -> Result<Self, Problem> {
        Self::json(StatusCode::OK, body)
    }

    /// Creates a response of another media type, with status 200.
    pub fn text(media_type: &'static str, body: String) -> Self {
        Self::new(StatusCode::OK, body).with_header("content-type", media_type)
    }

    /// Creates a response without a body, with status 204.
    pub fn no_content() -> Self {
        Self::new(StatusCode::NO_CONTENT, String::new())
    }

    /// Sets a header by its lower-case name.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.insert(name.to_owned(), value.into());
        self
    }

    /// Marks a member of the body as secret: it is not stored with the response to a request with an `Idempotency-Key`.
    #[must_use]
    pub fn with_secret(mut self, member: &'static str) -> Self {
        self.secret = Some(member);
        self
    }

    /// Compresses the body if the caller accepts gzip and the body is long enough.
    #[must_use]
    pub fn compressed_for(mut self, accept_encoding: &str) -> Self {
        if self.body.len() < MIN_COMPRESSED_LEN {
            return self;
        }
        self = self.with_header("vary", "accept-encoding");
        if accepts_gzip(accept_encoding) {
            let mut encoder = GzEncoder::new(Vec::with_capacity(self.body.len() / 4), Compression::fast());
            // Writing to memory cannot fail; if it did, the body would be sent uncompressed.
            if let Ok(compressed) = encoder.write_all(self.body.as_bytes()).and_then(|()| encoder.finish()) {
                self.compressed = Some(STANDARD.encode(compressed));
                self = self.with_header("content-encoding", "gzip");
            }
        }
        self
    }

    /// Returns the status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns the body.
    pub fn body(&self) -> &str {
        &self.body
    }

    /// Returns a header by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// Replaces the body with JSON.
    pub fn set_json(&mut self, body: &Value) {
        self.body = body.to_string();
    }

    /// Returns the response for the idempotency store, without its secret.
    pub(super) fn to_stored(&self) -> StoredResponse {
        let mut body = self.body.clone();
        if let (Some(secret), Ok(Value::Object(mut members))) = (self.secret, serde_json::from_str(&self.body)) {
            members.remove(secret);
            body = Value::Object(members).to_string();
        }
        StoredResponse { status: self.status.as_u16(), headers: self.headers.clone().into_iter().collect(), body }
    }

    /// Creates a response from the idempotency store.
    pub(super) fn from_stored(stored: StoredResponse) -> Result<Self, Problem> {
        let status = StatusCode::from_u16(stored.status).map_err(Problem::internal)?;
        Ok(Self { headers: stored.headers.into_iter().collect(), ..Self::new(status, stored.body) })
    }
}

/// Returns whether `Accept-Encoding` includes gzip (RFC 9110, 12.5.3).
fn accepts_gzip(accept_encoding: &str) -> bool {
    let weight = |coding: &str| {
        accept_encoding.split(',').find_map(|range| {
            let (name, parameters) = range.split_once(';').unwrap_or((range, ""));
            let weight = parameters.trim().strip_prefix("q=").map_or(Some(1.0), |q| q.trim().parse::<f32>().ok());
            name.trim().eq_ignore_ascii_case(coding).then_some(weight.unwrap_or(0.0))
        })
    };
    weight("gzip").or_else(|| weight("*")).is_some_and(|weight| weight > 0.0)
}

impl From<&Problem> for Response {
    fn from(problem: &Problem) -> Self {
        let response = Self::new(problem.status(), problem.to_document().to_string());
        let headers = problem.headers().iter();
        let response = headers.fold(response, |response, (name, value)| response.with_header(name, value.clone()));
        response.with_header("content-type", "application/problem+json")
    }
}

impl Serialize for Response {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Proxy<'a> {
            status_code: u16,
            headers: &'a BTreeMap<String, String>,
            body: &'a str,
            is_base64_encoded: bool,
        }
        let (body, is_base64_encoded) =
            self.compressed.as_ref().map_or((&self.body, false), |compressed| (compressed, true));
        Proxy { status_code: self.status.as_u16(), headers: &self.headers, body, is_base64_encoded }.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn long_body_is_compressed_if_gzip_is_accepted() {
        let body = "[1]".repeat(1000);
        let response = Response::text("text/csv", body.clone()).compressed_for("br, gzip;q=0.5");
        let proxy = serde_json::to_value(&response).unwrap();
        assert_eq!((&proxy["isBase64Encoded"], &proxy["headers"]["content-encoding"]), (&true.into(), &"gzip".into()));
        let bytes = STANDARD.decode(proxy["body"].as_str().unwrap()).unwrap();
        let mut decompressed = String::new();
        flate2::read::GzDecoder::new(bytes.as_slice()).read_to_string(&mut decompressed).unwrap();
        assert_eq!(decompressed, body);
        for refused in ["", "br", "gzip;q=0", "identity", "*;q=0"] {
            let plain = serde_json::to_value(Response::text("text/csv", body.clone()).compressed_for(refused)).unwrap();
            assert_eq!((&plain["isBase64Encoded"], &plain["body"]), (&false.into(), &body.as_str().into()), "{refused}");
            assert_eq!(plain["headers"]["vary"], "accept-encoding");
        }
        let short = serde_json::to_value(Response::text("text/csv", "[1]".to_owned()).compressed_for("gzip")).unwrap();
        assert_eq!(short["isBase64Encoded"], false);
    }

    #[test]
    fn stored_response_is_restored_without_its_secret() {
        let body = serde_json::json!({"clientId": "c", "clientSecret": "s"});
        let response = Response::json(StatusCode::CREATED, &body).unwrap().with_header("location", "clients/c");
        let stored = response.with_secret("clientSecret").to_stored();
        assert!(!stored.body.contains("clientSecret"), "{}", stored.body);
        let restored = Response::from_stored(stored).unwrap();
        assert_eq!((restored.status(), restored.header("location")), (StatusCode::CREATED, Some("clients/c")));
        assert_eq!(restored.body(), r#"{"clientId":"c"}"#);
    }
}
