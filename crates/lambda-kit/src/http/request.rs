//! Accessors of an HTTP request.

use std::str::FromStr;

use lambda_http::RequestExt as _;
use lambda_http::aws_lambda_events::apigw::ApiGatewayProxyRequestContext;
use lambda_http::request::RequestContext;
use roadcast_codec::byte_order_mark::without_byte_order_mark;
use roadcast_domain::caller::Scope;
use roadcast_domain::ids::ClientId;
use roadcast_domain::json_pointer::JsonPointer;
use roadcast_domain::strict_json::check_unique_members;
use roadcast_services::VersionCondition;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::response::to_text;
use super::{Request, conditional};
use crate::deadline::Deadline;
use crate::problem::{Problem, ProblemType};

/// The claims of an access token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The client to which the token was issued.
    pub client_id: ClientId,
    /// The scopes of the token.
    pub scopes: Vec<Scope>,
}

/// What handlers and middleware read from a request of API Gateway.
pub trait ApiRequest {
    /// Returns the path template, such as `/vehicles/{vid}/events`; empty if the event has none.
    fn resource(&self) -> &str;

    /// Returns the claims of the access token, if API Gateway verified one.
    fn claims(&self) -> Option<Claims>;

    /// Returns the time by which the handler must return. The operation fails with `unavailable` at that time.
    fn deadline(&self) -> Deadline;

    /// Returns a path parameter. Fails with `not-found` if it is invalid, because no such resource can exist.
    fn path_parameter<T: FromStr>(&self, name: &str) -> Result<T, Problem>;

    /// Returns a query parameter. [`Parameters`](super::Parameters) declares those of an operation.
    fn query_parameter(&self, name: &str) -> Option<&str>;

    /// Returns a header by its lower-case name.
    fn header(&self, name: &str) -> Option<&str>;

    /// Returns the headers whose lower-case name starts with `prefix`, each with the rest of its name.
    fn headers_with_prefix<'r>(&'r self, prefix: &'r str) -> impl Iterator<Item = (&'r str, &'r str)>;

    /// Returns the offered media type with the highest weight in `Accept` (RFC 9110, 12.5.1), the first one of equals. Fails
    /// with `not-acceptable` if `Accept` excludes all of them.
    fn preferred_media_type(&self, offered: &[&'static str]) -> Result<&'static str, Problem>;

    /// Returns the body as text, without a byte order mark (RFC 8259, 8.1). Fails with `invalid-json` if it is not UTF-8.
    fn text(&self) -> Result<&str, Problem>;

    /// Parses the body as JSON. Fails with `invalid-json`, or with `invalid-body` and the pointer of the invalid part, also for
    /// a member that occurs twice in its object.
    fn json<T: DeserializeOwned>(&self) -> Result<T, Problem>;

    /// Fails with `unsupported-media-type` if the body has a media type other than the allowed ones. A body without a media
    /// type is accepted.
    fn expect_media_type(&self, allowed: &[&str]) -> Result<(), Problem>;

    /// Returns the conditions of `If-Match` and `If-None-Match` under which the request changes a resource.
    fn version_condition(&self) -> VersionCondition;

    /// Returns the query parameters except one, sorted by name.
    fn query_without(&self, excluded: &str) -> Vec<(&str, &str)>;

    /// Returns the resource, path parameters and query without the cursor. It is equal for all pages of a list. Cursors and
    /// idempotency keys are bound to it, so a change of its format invalidates those in use.
    fn resource_and_query(&self) -> String;
}

impl ApiRequest for Request {
    fn resource(&self) -> &str {
        context(self).and_then(|context| context.resource_path.as_deref()).unwrap_or_default()
    }

    fn claims(&self) -> Option<Claims> {
        let claims = context(self)?.authorizer.fields.get("claims")?;
        let scopes = Scope::parse_claim(claims["scope"].as_str().unwrap_or_default());
        Some(Claims { client_id: ClientId::new(claims["client_id"].as_str()?), scopes })
    }

    fn deadline(&self) -> Deadline {
        self.extensions().get().copied().unwrap_or_default()
    }

    fn path_parameter<T: FromStr>(&self, name: &str) -> Result<T, Problem> {
        let text = self.path_parameters_ref().and_then(|parameters| parameters.first(name));
        text.and_then(|text| text.parse().ok()).ok_or_else(Problem::not_found)
    }

    fn query_parameter(&self, name: &str) -> Option<&str> {
        self.query_string_parameters_ref()?.first(name)
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers().get(name).and_then(to_text)
    }

    fn headers_with_prefix<'r>(&'r self, prefix: &'r str) -> impl Iterator<Item = (&'r str, &'r str)> {
        let headers = self.headers().iter();
        headers.filter_map(move |(name, value)| Some((name.as_str().strip_prefix(prefix)?, to_text(value)?)))
    }

    fn preferred_media_type(&self, offered: &[&'static str]) -> Result<&'static str, Problem> {
        let accept = self.header("accept").filter(|accept| !accept.trim().is_empty()).unwrap_or("*/*");
        let weighted = offered.iter().map(|offer| (weight(accept, offer), *offer));
        let best = weighted.reduce(|best, other| if other.0 > best.0 { other } else { best });
        best.filter(|(weight, _)| *weight > 0.0).map(|(_, offer)| offer).ok_or_else(|| {
            Problem::new(ProblemType::NotAcceptable).with_detail(format!("available media types: {}", offered.join(", ")))
        })
    }

    fn text(&self) -> Result<&str, Problem> {
        std::str::from_utf8(self.body())
            .map(without_byte_order_mark)
            .map_err(|_| Problem::new(ProblemType::InvalidJson).with_error(JsonPointer::ROOT, "the body is not UTF-8"))
    }

    fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        self.expect_media_type(&["application/json"])?;
        let text = self.text()?;
        check_unique_members(text).map_err(|error| Problem::invalid_body(error.pointer, error.detail))?;
        let mut reader = serde_json::Deserializer::from_str(text);
        let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| json_problem(&error, text))?;
        reader.end().map_err(|error| {
            Problem::new(ProblemType::InvalidJson)
                .with_error(JsonPointer::ROOT, format!("unexpected data after the JSON value: {error}"))
        })?;
        Ok(value)
    }

    fn expect_media_type(&self, allowed: &[&str]) -> Result<(), Problem> {
        let Some(content_type) = self.header("content-type") else { return Ok(()) };
        let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if allowed.contains(&essence.as_str()) {
            return Ok(());
        }
        let detail = format!("supported media types: {}", allowed.join(", "));
        Err(Problem::new(ProblemType::UnsupportedMediaType).with_detail(detail))
    }

    fn version_condition(&self) -> VersionCondition {
        conditional::version_condition(self)
    }

    fn query_without(&self, excluded: &str) -> Vec<(&str, &str)> {
        let mut parameters: Vec<(&str, &str)> = query(self).filter(|(name, _)| *name != excluded).collect();
        parameters.sort_unstable();
        parameters
    }

    fn resource_and_query(&self) -> String {
        let mut path: Vec<(&str, &str)> = self.path_parameters_ref().into_iter().flat_map(|map| map.iter()).collect();
        path.sort_unstable();
        // Debug output quotes strings, so that different requests never give the same text.
        format!("{} {path:?} {:?}", self.resource(), self.query_without("cursor"))
    }
}

fn context(request: &Request) -> Option<&ApiGatewayProxyRequestContext> {
    match request.request_context_ref()? {
        RequestContext::ApiGatewayV1(context) => Some(context),
        _ => None,
    }
}

/// Returns the query parameters; a repeated one is several items.
pub(super) fn query(request: &Request) -> impl Iterator<Item = (&str, &str)> {
    request.query_string_parameters_ref().into_iter().flat_map(|map| map.iter())
}

/// Returns the weight of a media type, from the most specific range in `Accept` that matches it.
fn weight(accept: &str, media_type: &str) -> f32 {
    let main_type = media_type.split('/').next().unwrap_or_default();
    let mut best = (0, 0.0);
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let specificity = match name.as_str() {
            "*/*" => 1,
            name if name.strip_suffix("/*") == Some(main_type) => 2,
            name if name == media_type => 3,
            _ => continue,
        };
        let q = parts.find_map(|part| part.strip_prefix("q=")).map_or(Some(1.0), |q| q.parse::<f32>().ok());
        if specificity > best.0 {
            best = (specificity, q.unwrap_or(0.0));
        }
    }
    best.1
}

/// Maps a deserialization error: malformed JSON is `invalid-json`, JSON of another structure is `invalid-body` with a
/// pointer.
fn json_problem(error: &serde_path_to_error::Error<serde_json::Error>, text: &str) -> Problem {
    let inner = error.inner();
    // For a number in place of an enum name, serde_json reports a syntax error although the text is valid JSON.
    let is_json = inner.is_data() || serde_json::from_str::<IgnoredAny>(text).is_ok();
    if !is_json {
        let detail = format!("invalid JSON at line {} column {}", inner.line(), inner.column());
        return Problem::new(ProblemType::InvalidJson).with_error(JsonPointer::ROOT, detail);
    }
    let pointer = error.path().iter().fold(JsonPointer::ROOT, |pointer, segment| match segment {
        serde_path_to_error::Segment::Seq { index } => pointer.index(*index),
        serde_path_to_error::Segment::Map { key } => pointer.child(key),
        serde_path_to_error::Segment::Enum { .. } | serde_path_to_error::Segment::Unknown => pointer,
    });
    // The message ends with " at line 1 column 2", which the pointer replaces.
    let message = inner.to_string();
    let detail = message.split(" at line ").next().unwrap_or_default();
    Problem::invalid_body(pointer, detail)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::http::testing::request;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        #[allow(dead_code)] // read by serde only
        names: Vec<String>,
    }

    #[test]
    fn number_in_place_of_an_enum_name_is_invalid_body() {
        #[derive(Debug, Deserialize)]
        struct Named {
            #[allow(dead_code)] // read by serde only
            scope: Kind,
        }
        #[derive(Debug, Deserialize)]
        enum Kind {
            One,
        }
        for body in [r#"{"scope":5}"#, r#"{"scope":null}"#, r#"{"scope":"Two"}"#, r#"{"scope":[]}"#] {
            let problem = request(serde_json::json!({"resource": "/x", "httpMethod": "POST", "body": body})).json::<Named>();
            let problem = problem.unwrap_err();
            assert_eq!(
                (problem.kind(), problem.errors()[0].pointer.as_str()),
                (ProblemType::InvalidBody, "/scope"),
                "{body}"
            );
        }
        assert!(serde_json::from_str::<Named>(r#"{"scope":"One"}"#).is_ok_and(|named| matches!(named.scope, Kind::One)));
    }

    #[test]
    fn invalid_part_of_the_body_is_reported_by_pointer() {
        for (body, kind, pointer) in [
            (r#"{"names":["a",7]}"#, ProblemType::InvalidBody, "/names/1"),
            (r#"{"name":[]}"#, ProblemType::InvalidBody, "/name"),
            (r#"{"names":[],"names":[]}"#, ProblemType::InvalidBody, "/names"),
            (r#"{"names":[{"a":1,"\u0061":1}]}"#, ProblemType::InvalidBody, "/names/0/a"),
            (r#"{"names":["#, ProblemType::InvalidJson, ""),
            (r#"{"names":[]} x"#, ProblemType::InvalidJson, ""),
        ] {
            let problem = request(serde_json::json!({"resource": "/x", "httpMethod": "POST", "body": body})).json::<Body>();
            let problem = problem.unwrap_err();
            assert_eq!((problem.kind(), problem.errors()[0].pointer.as_str()), (kind, pointer), "{body}");
        }
    }

    #[test]
    fn cursors_and_keys_are_bound_to_path_and_query() {
        let request =
            request(serde_json::json!({"resource": "/x/{a}", "httpMethod": "GET", "pathParameters": {"b": "2", "a": "1"},
            "queryStringParameters": {"q": "\"", "limit": "5", "cursor": "c"}}));
        assert_eq!(request.resource_and_query(), r#"/x/{a} [("a", "1"), ("b", "2")] [("limit", "5"), ("q", "\"")]"#);
    }

    #[test]
    fn claims_are_those_of_the_authorizer() {
        let claims = |authorizer: serde_json::Value| {
            let context = serde_json::json!({ "authorizer": authorizer });
            request(serde_json::json!({"resource": "/x", "httpMethod": "GET", "requestContext": context})).claims()
        };
        let found = claims(serde_json::json!({"claims": {"client_id": "c", "scope": "roadcast/read other"}})).unwrap();
        assert_eq!(found, Claims { client_id: ClientId::new("c"), scopes: vec![Scope::Read] });
        assert!(claims(serde_json::json!({"claims": {"client_id": "c", "scope": 1}})).unwrap().scopes.is_empty());
        assert_eq!(claims(serde_json::json!({"claims": {"scope": "roadcast/read"}})), None);
        assert_eq!(claims(serde_json::json!(null)), None);
    }

    #[test]
    fn media_type_with_the_highest_weight_is_preferred() {
        let preferred = |accept: &str| {
            let proxy = serde_json::json!({"resource": "/x", "httpMethod": "GET", "headers": {"Accept": accept}});
            request(proxy).preferred_media_type(&["application/json", "text/csv"]).ok()
        };
        for (accept, expected) in [
            ("", Some("application/json")),
            ("*/*", Some("application/json")),
            ("text/csv", Some("text/csv")),
            ("text/*;q=0.9, application/json;q=0.5", Some("text/csv")),
            ("text/html, application/xhtml+xml, */*;q=0.8", Some("application/json")),
            ("application/json;q=0, */*", Some("text/csv")),
            ("image/png", None),
        ] {
            assert_eq!(preferred(accept), expected, "{accept:?}");
        }
    }
}
