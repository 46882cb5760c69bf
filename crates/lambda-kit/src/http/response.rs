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

/// Shorter bodies do not gain by being packed.
const PACKED_FROM: usize = 1024;

/// An answer, as API Gateway takes it.
#[derive(Debug)]
pub struct Response {
    status: StatusCode,
    /// By their lower-case names.
    headers: BTreeMap<String, String>,
    body: String,
    /// The body packed, in base64, which is how API Gateway takes bytes.
    packed: Option<String>,
    /// A member of the body that must not be kept.
    secret: Option<&'static str>,
}

impl Response {
    fn new(status: StatusCode, body: String) -> Self {
        Self { status, headers: BTreeMap::new(), body, packed: None, secret: None }
    }

    /// A JSON answer.
    pub fn json(status: StatusCode, body: &impl Serialize) -> Result<Self, Problem> {
        let body = serde_json::to_string(body).map_err(Problem::internal)?;
        Ok(Self::new(status, body).with_header("content-type", "application/json"))
    }

    /// A JSON answer with status 200.
    pub fn ok(body: &impl Serialize) -> Result<Self, Problem> {
        Self::json(StatusCode::OK, body)
    }

    /// An answer of another media type, with status 200.
    pub fn text(media_type: &'static str, body: String) -> Self {
        Self::new(StatusCode::OK, body).with_header("content-type", media_type)
    }

    /// An answer without a body.
    pub fn no_content() -> Self {
        Self::new(StatusCode::NO_CONTENT, String::new())
    }

    /// With a header, by its lower-case name.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.insert(name.to_owned(), value.into());
        self
    }

    /// Whose body holds a secret in that member: it is not kept with the answer to a request that may come again.
    #[must_use]
    pub fn with_secret(mut self, member: &'static str) -> Self {
        self.secret = Some(member);
        self
    }

    /// Packed, if the caller takes that and it is worth it.
    #[must_use]
    pub fn packed_for(mut self, accept_encoding: &str) -> Self {
        if self.body.len() < PACKED_FROM {
            return self;
        }
        self = self.with_header("vary", "accept-encoding");
        if takes_gzip(accept_encoding) {
            let mut packer = GzEncoder::new(Vec::with_capacity(self.body.len() / 4), Compression::fast());
            // Into memory it cannot fail; if it did, the body would go out as it is.
            if let Ok(packed) = packer.write_all(self.body.as_bytes()).and_then(|()| packer.finish()) {
                self.packed = Some(STANDARD.encode(packed));
                self = self.with_header("content-encoding", "gzip");
            }
        }
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

    /// A header of it, by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// Replaces its JSON body.
    pub fn set_json(&mut self, body: &Value) {
        self.body = body.to_string();
    }

    /// The answer as it is kept for a repeat, without its secret.
    pub(super) fn to_kept(&self) -> StoredResponse {
        let mut body = self.body.clone();
        if let (Some(secret), Ok(Value::Object(mut members))) = (self.secret, serde_json::from_str(&self.body)) {
            members.remove(secret);
            body = Value::Object(members).to_string();
        }
        StoredResponse { status: self.status.as_u16(), headers: self.headers.clone().into_iter().collect(), body }
    }

    /// The answer that was kept.
    pub(super) fn from_kept(answer: StoredResponse) -> Result<Self, Problem> {
        let status = StatusCode::from_u16(answer.status).map_err(Problem::internal)?;
        Ok(Self { headers: answer.headers.into_iter().collect(), ..Self::new(status, answer.body) })
    }
}

/// Whether `Accept-Encoding` takes gzip (RFC 9110, 12.5.3).
fn takes_gzip(accept_encoding: &str) -> bool {
    let weight = |coding: &str| {
        accept_encoding.split(',').find_map(|offer| {
            let (name, parameters) = offer.split_once(';').unwrap_or((offer, ""));
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
        let (body, is_base64_encoded) = self.packed.as_ref().map_or((&self.body, false), |packed| (packed, true));
        Proxy { status_code: self.status.as_u16(), headers: &self.headers, body, is_base64_encoded }.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn a_long_body_is_packed_for_whoever_takes_gzip() {
        let body = "[1]".repeat(1000);
        let response = Response::text("text/csv", body.clone()).packed_for("br, gzip;q=0.5");
        let proxy = serde_json::to_value(&response).unwrap();
        assert_eq!((&proxy["isBase64Encoded"], &proxy["headers"]["content-encoding"]), (&true.into(), &"gzip".into()));
        let bytes = STANDARD.decode(proxy["body"].as_str().unwrap()).unwrap();
        let mut unpacked = String::new();
        flate2::read::GzDecoder::new(bytes.as_slice()).read_to_string(&mut unpacked).unwrap();
        assert_eq!(unpacked, body);
        for refused in ["", "br", "gzip;q=0", "identity", "*;q=0"] {
            let plain = serde_json::to_value(Response::text("text/csv", body.clone()).packed_for(refused)).unwrap();
            assert_eq!((&plain["isBase64Encoded"], &plain["body"]), (&false.into(), &body.as_str().into()), "{refused}");
            assert_eq!(plain["headers"]["vary"], "accept-encoding");
        }
        let short = serde_json::to_value(Response::text("text/csv", "[1]".to_owned()).packed_for("gzip")).unwrap();
        assert_eq!(short["isBase64Encoded"], false);
    }

    #[test]
    fn a_kept_answer_comes_back_as_it_was_but_for_its_secret() {
        let body = serde_json::json!({"clientId": "c", "clientSecret": "s"});
        let response = Response::json(StatusCode::CREATED, &body).unwrap().with_header("location", "clients/c");
        let kept = response.with_secret("clientSecret").to_kept();
        assert!(!kept.body.contains("clientSecret"), "{}", kept.body);
        let again = Response::from_kept(kept).unwrap();
        assert_eq!((again.status(), again.header("location")), (StatusCode::CREATED, Some("clients/c")));
        assert_eq!(again.body(), r#"{"clientId":"c"}"#);
    }
}
