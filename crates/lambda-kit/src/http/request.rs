use std::collections::HashMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roadcast_domain::caller::Scope;
use roadcast_domain::ids::ClientId;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::problem::{Problem, ProblemType};

/// A REST API's request as API Gateway hands it to a function ("Lambda proxy integration", payload format 1.0). What is
/// absent comes as null.
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

/// What a caller's access token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The client that the token was given to.
    pub client_id: ClientId,
    /// What it may do, as far as the token goes.
    pub scopes: Vec<Scope>,
}

/// A request.
pub struct Request {
    /// The method.
    pub method: String,
    /// The path's template, such as `/vehicles/{vid}/events`.
    pub resource: String,
    /// The gateway's id of the request.
    pub request_id: Option<String>,
    /// What the caller's token says, where the operation asks for one.
    pub claims: Option<Claims>,
    path: HashMap<String, String>,
    query: HashMap<String, String>,
    headers: HashMap<String, String>,
    body: Vec<u8>,
}

impl TryFrom<ProxyRequest> for Request {
    type Error = Problem;

    fn try_from(proxy: ProxyRequest) -> Result<Self, Problem> {
        let body = proxy.body.unwrap_or_default();
        let body = if proxy.is_base64_encoded {
            STANDARD.decode(body).map_err(|_| Problem::new(ProblemType::BadRequest).with_detail("the body is not base64"))?
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
        Ok(Self {
            method: proxy.http_method,
            resource: proxy.resource,
            request_id: proxy.request_context.request_id,
            claims,
            path: proxy.path_parameters.unwrap_or_default(),
            query: proxy.query_string_parameters.unwrap_or_default(),
            headers: headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect(),
            body,
        })
    }
}

impl Request {
    /// A path parameter. What does not parse cannot exist.
    pub fn path<T: FromStr>(&self, name: &str) -> Result<T, Problem> {
        self.path.get(name).and_then(|text| text.parse().ok()).ok_or_else(Problem::not_found)
    }

    /// A query parameter, if it is there; `expected` completes "must be …" where it does not parse.
    pub fn query<T: FromStr>(&self, name: &str, expected: &str) -> Result<Option<T>, Problem> {
        let parse =
            |text: &String| text.parse().map_err(|_| Problem::invalid_parameter(name, format!("must be {expected}")));
        self.query.get(name).map(parse).transpose()
    }

    /// A whole number in a query parameter, or `default` where it is not there.
    pub fn query_number(&self, name: &str, range: RangeInclusive<u32>, default: u32) -> Result<u32, Problem> {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        let number = self.query(name, &expected)?.unwrap_or(default);
        if range.contains(&number) {
            Ok(number)
        } else {
            Err(Problem::invalid_parameter(name, format!("must be {expected}")))
        }
    }

    /// A header, by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The body as text.
    pub fn text(&self) -> Result<&str, Problem> {
        std::str::from_utf8(&self.body)
            .map_err(|_| Problem::new(ProblemType::InvalidJson).with_error("", "the body is not UTF-8"))
    }

    /// The body as JSON of a shape; what does not fit is named by its pointer.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        self.expect_media_type(&["application/json"])?;
        let text = self.text()?;
        let mut reader = serde_json::Deserializer::from_str(text);
        let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| shape_problem(&error))?;
        reader.end().map_err(|error| {
            Problem::new(ProblemType::InvalidJson).with_error("", format!("something follows the JSON: {error}"))
        })?;
        Ok(value)
    }

    /// Whether the body is of one of these media types. A body without one is taken for what it should be.
    pub fn expect_media_type(&self, allowed: &[&str]) -> Result<(), Problem> {
        let Some(content_type) = self.header("content-type") else { return Ok(()) };
        let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if allowed.contains(&essence.as_str()) {
            return Ok(());
        }
        let detail = format!("send one of {}", allowed.join(", "));
        Err(Problem::new(ProblemType::UnsupportedMediaType).with_detail(detail))
    }

    /// The query's parameters but one, by name.
    pub fn query_but(&self, left_out: &str) -> Vec<(&str, &str)> {
        let kept = self.query.iter().filter(|(name, _)| *name != left_out);
        let mut parameters: Vec<(&str, &str)> = kept.map(|(name, value)| (name.as_str(), value.as_str())).collect();
        parameters.sort_unstable();
        parameters
    }

    /// Which list this request reads, whatever its page: what a cursor is bound to.
    pub fn list(&self) -> String {
        let mut path: Vec<(&str, &str)> = self.path.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        path.sort_unstable();
        // Debug output quotes its texts, so that no two lists run together.
        format!("{} {path:?} {:?}", self.resource, self.query_but("cursor"))
    }
}

/// JSON that does not parse is malformed; JSON of another shape is not valid, at a place that can be named.
fn shape_problem(error: &serde_path_to_error::Error<serde_json::Error>) -> Problem {
    let inner = error.inner();
    if !inner.is_data() {
        let detail = format!("not JSON at line {} column {}", inner.line(), inner.column());
        return Problem::new(ProblemType::InvalidJson).with_error("", detail);
    }
    let pointer = error.path().iter().fold(String::new(), |pointer, segment| match segment {
        serde_path_to_error::Segment::Seq { index } => format!("{pointer}/{index}"),
        serde_path_to_error::Segment::Map { key } => format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1")),
        serde_path_to_error::Segment::Enum { .. } | serde_path_to_error::Segment::Unknown => pointer,
    });
    // The message ends in " at line 1 column 2", which the pointer says better.
    let message = inner.to_string();
    let detail = message.split(" at line ").next().unwrap_or_default();
    Problem::invalid_body(pointer, detail)
}

impl fmt::Debug for Request {
    /// Without values: they may name people's vehicles.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("resource", &self.resource)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn request(json: &serde_json::Value) -> Request {
        serde_json::from_value::<ProxyRequest>(json.clone()).unwrap().try_into().unwrap()
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        #[allow(dead_code)] // read by serde only
        names: Vec<String>,
    }

    #[test]
    fn a_body_of_another_shape_is_named_by_its_pointer() {
        for (body, kind, pointer) in [
            (r#"{"names":["a",7]}"#, ProblemType::InvalidBody, "/names/1"),
            (r#"{"name":[]}"#, ProblemType::InvalidBody, "/name"),
            (r#"{"names":["#, ProblemType::InvalidJson, ""),
            (r#"{"names":[]} x"#, ProblemType::InvalidJson, ""),
        ] {
            let problem = request(&serde_json::json!({"resource": "/x", "httpMethod": "POST", "body": body})).json::<Body>();
            let problem = problem.unwrap_err();
            assert_eq!((problem.kind(), problem.errors()[0].pointer.as_str()), (kind, pointer), "{body}");
        }
    }

    #[test]
    fn numbers_out_of_their_range_are_named() {
        let limit = |text: &str| {
            let query = serde_json::json!({"resource": "/x", "httpMethod": "GET", "queryStringParameters": {"limit": text}});
            request(&query).query_number("limit", 1..=100, 50)
        };
        assert_eq!(limit("7").unwrap(), 7);
        for text in ["0", "101", "-1", "x", ""] {
            assert_eq!(limit(text).unwrap_err().errors()[0].pointer, "?limit");
        }
    }

    #[test]
    fn the_gateways_own_examples_are_read() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/aws_events");
        let mut read = 0;
        for name in
            ["example-apigw-request.json", "example-apigw-sam-rest-request.json", "example-apigw-console-test-request.json"]
        {
            let Ok(text) = std::fs::read_to_string(format!("{folder}/{name}")) else { continue };
            let proxy: ProxyRequest = serde_json::from_str(&text).unwrap();
            assert!(Request::try_from(proxy).is_ok(), "{name}");
            read += 1;
        }
        if read == 0 {
            println!("no example envelopes beside this clone: only our own were read");
        }
    }
}
