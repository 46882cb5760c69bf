//! The event format of API Gateway.

use std::collections::HashMap;
use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use roadcast_domain::caller::Scope;
use roadcast_domain::ids::ClientId;
use roadcast_domain::limits;
use serde::Deserialize;

use super::request::{Claims, Request};
use crate::problem::{Problem, ProblemType};

/// A request of a REST API as API Gateway sends it to a function (Lambda proxy integration, payload format 1.0). Absent
/// members are null.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProxyRequest {
    resource: String,
    http_method: String,
    #[serde(default)]
    headers: Option<HashMap<String, String>>,
    #[serde(default)]
    query_string_parameters: Option<HashMap<String, String>>,
    #[serde(default)]
    path_parameters: Option<HashMap<String, String>>,
    #[serde(default)]
    request_context: RequestContext,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext {
    #[serde(default)]
    request_id: Option<String>,
    #[serde(default)]
    authorizer: Option<Authorizer>,
}

#[derive(Deserialize)]
struct Authorizer {
    #[serde(default)]
    claims: Option<TokenClaims>,
}

#[derive(Deserialize)]
struct TokenClaims {
    client_id: Option<String>,
    scope: Option<String>,
}

impl ProxyRequest {
    /// Returns a header by its case-insensitive name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter().flatten();
        headers.find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

impl TryFrom<ProxyRequest> for Request {
    type Error = Problem;

    fn try_from(proxy: ProxyRequest) -> Result<Self, Problem> {
        let body = proxy.body.unwrap_or_default();
        let body = if proxy.is_base64_encoded {
            STANDARD
                .decode(body)
                .map_err(|_| Problem::new(ProblemType::BadRequest).with_detail("the body is not valid base64"))?
        } else {
            body.into_bytes()
        };
        let claims = proxy.request_context.authorizer.and_then(|authorizer| authorizer.claims);
        let claims = claims.and_then(|claims| {
            Some(Claims {
                client_id: ClientId::new(claims.client_id?),
                scopes: Scope::parse_claim(&claims.scope.unwrap_or_default()),
            })
        });
        let headers = proxy.headers.unwrap_or_default();
        let headers: HashMap<String, String> =
            headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
        let body = decode_content(body, headers.get("content-encoding").map_or("identity", String::as_str))?;
        Ok(Self {
            method: proxy.http_method,
            resource: proxy.resource,
            request_id: proxy.request_context.request_id,
            claims,
            path: proxy.path_parameters.unwrap_or_default(),
            query: proxy.query_string_parameters.unwrap_or_default(),
            headers,
            body,
        })
    }
}

/// Removes the content coding of a body (RFC 9110, 8.4).
fn decode_content(body: Vec<u8>, coding: &str) -> Result<Vec<u8>, Problem> {
    match coding.trim().to_ascii_lowercase().as_str() {
        "identity" | "" => Ok(body),
        "gzip" | "x-gzip" => {
            let mut decompressed = Vec::new();
            // The limit is one byte more than any operation accepts, so that a longer body is refused for its size.
            let mut reader = GzDecoder::new(body.as_slice()).take(limits::UPLOAD_BYTES as u64 + 1);
            let invalid = |_| Problem::new(ProblemType::BadRequest).with_detail("the body is not valid gzip");
            reader.read_to_end(&mut decompressed).map_err(invalid)?;
            Ok(decompressed)
        }
        _ => {
            let problem =
                Problem::new(ProblemType::UnsupportedMediaType).with_detail("send the body uncompressed or gzip-compressed");
            Err(problem.with_header("accept-encoding", "gzip, identity".to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_body_is_decompressed_up_to_the_size_limit() {
        use std::io::Write as _;
        let compress = |plain: &[u8]| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(plain).unwrap();
            STANDARD.encode(encoder.finish().unwrap())
        };
        let read = |body: String, coding: &str| {
            let proxy = serde_json::json!({"resource": "/x", "httpMethod": "POST", "body": body, "isBase64Encoded": true,
                "headers": {"Content-Encoding": coding}});
            Request::try_from(serde_json::from_value::<ProxyRequest>(proxy).unwrap())
        };
        assert_eq!(read(compress(b"{}"), "gzip").unwrap().body(), b"{}");
        let bomb = read(compress(&vec![b' '; 50_000_000]), "gzip").unwrap();
        assert_eq!(bomb.body().len(), limits::UPLOAD_BYTES + 1);
        assert_eq!(read(STANDARD.encode("{}"), "gzip").unwrap_err().status().as_u16(), 400);
        assert_eq!(read(STANDARD.encode("{}"), "br").unwrap_err().status().as_u16(), 415);
    }

    #[test]
    fn requests_of_api_gateway_are_converted() {
        for line in include_str!("proxy/requests.ndjson").lines() {
            let example: serde_json::Value = serde_json::from_str(line).unwrap();
            let case = &example["case"];
            let proxy: ProxyRequest = serde_json::from_value(example["request"].clone()).unwrap();
            let Ok(request) = Request::try_from(proxy) else { panic!("{case}") };
            assert_eq!(request.method, example["method"], "{case}");
            assert_eq!(request.resource, example["request"]["resource"], "{case}");
            assert_eq!(request.request_id.as_deref(), example["request"]["requestContext"]["requestId"].as_str(), "{case}");
            assert_eq!(serde_json::json!(request.path), example["expectedPath"], "{case}");
            assert_eq!(serde_json::json!(request.query), example["expectedQuery"], "{case}");
            assert_eq!(serde_json::json!(request.claims.map(|claims| claims.scopes.len())), example["scopes"], "{case}");
            assert_eq!(request.body, example["body"].as_str().unwrap().as_bytes(), "{case}");
        }
    }
}
