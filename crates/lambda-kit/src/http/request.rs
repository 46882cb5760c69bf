//! An HTTP request, independent of the event format of API Gateway.

use std::collections::HashMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use roadcast_domain::caller::Scope;
use roadcast_domain::ids::ClientId;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::problem::{Problem, ProblemType};

/// The claims of an access token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The client to which the token was issued.
    pub client_id: ClientId,
    /// The scopes of the token.
    pub scopes: Vec<Scope>,
}

/// An HTTP request.
pub struct Request {
    /// The method.
    pub method: String,
    /// The path template, such as `/vehicles/{vid}/events`.
    pub resource: String,
    /// The id that API Gateway gave the request.
    pub request_id: Option<String>,
    /// The claims of the access token, if the operation requires one.
    pub claims: Option<Claims>,
    pub(super) path: HashMap<String, String>,
    pub(super) query: HashMap<String, String>,
    pub(super) headers: HashMap<String, String>,
    pub(super) body: Vec<u8>,
}

impl Request {
    /// Returns a path parameter. Fails with `not-found` if it is invalid, because no such resource can exist.
    pub fn path<T: FromStr>(&self, name: &str) -> Result<T, Problem> {
        self.path.get(name).and_then(|text| text.parse().ok()).ok_or_else(Problem::not_found)
    }

    /// Returns a query parameter, or `None` if it is absent. `expected` completes "must be …" in the problem for an invalid
    /// value.
    pub fn query<T: FromStr>(&self, name: &str, expected: &str) -> Result<Option<T>, Problem> {
        let parse =
            |text: &String| text.parse().map_err(|_| Problem::invalid_parameter(name, format!("must be {expected}")));
        self.query.get(name).map(parse).transpose()
    }

    /// Returns a query parameter that is a comma-separated list, or `None` if it is absent. The error of `parse` is the
    /// detail of the problem.
    pub fn query_list<T>(&self, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> Result<Option<Vec<T>>, Problem> {
        let Some(text) = self.query.get(name) else { return Ok(None) };
        let parsed = text.split(',').map(|part| parse(part.trim())).collect::<Result<Vec<T>, String>>();
        parsed.map(Some).map_err(|detail| Problem::invalid_parameter(name, detail))
    }

    /// Returns an integer query parameter within `range`, or `default` if it is absent.
    pub fn query_number<T>(&self, name: &str, range: RangeInclusive<T>, default: T) -> Result<T, Problem>
    where
        T: FromStr + PartialOrd + fmt::Display,
    {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        let number = self.query(name, &expected)?.unwrap_or(default);
        if range.contains(&number) {
            Ok(number)
        } else {
            Err(Problem::invalid_parameter(name, format!("must be {expected}")))
        }
    }

    /// Returns a header by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// Returns the headers whose lower-case name starts with `prefix`, each with the rest of its name.
    pub fn headers_with_prefix<'r>(&'r self, prefix: &'r str) -> impl Iterator<Item = (&'r str, &'r str)> {
        self.headers.iter().filter_map(move |(name, value)| Some((name.strip_prefix(prefix)?, value.as_str())))
    }

    /// Returns the offered media type with the highest weight in `Accept` (RFC 9110, 12.5.1), the first one of equals. Fails
    /// with `not-acceptable` if `Accept` excludes all of them.
    pub fn preferred_media_type(&self, offered: &[&'static str]) -> Result<&'static str, Problem> {
        let accept = self.header("accept").filter(|accept| !accept.trim().is_empty()).unwrap_or("*/*");
        let weighted = offered.iter().map(|offer| (weight(accept, offer), *offer));
        let best = weighted.reduce(|best, other| if other.0 > best.0 { other } else { best });
        best.filter(|(weight, _)| *weight > 0.0).map(|(_, offer)| offer).ok_or_else(|| {
            Problem::new(ProblemType::NotAcceptable).with_detail(format!("available media types: {}", offered.join(", ")))
        })
    }

    /// Fails with `invalid-parameter` if the request has query parameters other than the allowed ones.
    pub fn expect_query(&self, allowed: &[&str]) -> Result<(), Problem> {
        let mut unknown: Vec<&str> = self.query.keys().map(String::as_str).filter(|name| !allowed.contains(name)).collect();
        unknown.sort_unstable();
        let detail = match allowed {
            [] => "unknown parameter; this operation has no query parameters".to_owned(),
            allowed => format!("unknown parameter; allowed parameters: {}", allowed.join(", ")),
        };
        let problems = unknown.into_iter().map(|name| (format!("?{name}"), detail.clone()));
        let problem = problems.fold(None, |problem: Option<Problem>, (pointer, detail)| {
            Some(problem.unwrap_or_else(|| Problem::new(ProblemType::InvalidParameter)).with_error(pointer, detail))
        });
        problem.map_or(Ok(()), Err)
    }

    /// Returns the body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Returns the body as text. Fails with `invalid-json` if it is not UTF-8.
    pub fn text(&self) -> Result<&str, Problem> {
        std::str::from_utf8(&self.body)
            .map_err(|_| Problem::new(ProblemType::InvalidJson).with_error("", "the body is not UTF-8"))
    }

    /// Parses the body as JSON. Fails with `invalid-json`, or with `invalid-body` and the pointer of the invalid part.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        self.expect_media_type(&["application/json"])?;
        let text = self.text()?;
        let mut reader = serde_json::Deserializer::from_str(text);
        let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| json_problem(&error, text))?;
        reader.end().map_err(|error| {
            Problem::new(ProblemType::InvalidJson).with_error("", format!("unexpected data after the JSON value: {error}"))
        })?;
        Ok(value)
    }

    /// Fails with `unsupported-media-type` if the body has a media type other than the allowed ones. A body without a media
    /// type is accepted.
    pub fn expect_media_type(&self, allowed: &[&str]) -> Result<(), Problem> {
        let Some(content_type) = self.header("content-type") else { return Ok(()) };
        let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if allowed.contains(&essence.as_str()) {
            return Ok(());
        }
        let detail = format!("supported media types: {}", allowed.join(", "));
        Err(Problem::new(ProblemType::UnsupportedMediaType).with_detail(detail))
    }

    /// Returns the query parameters except one, sorted by name.
    pub fn query_without(&self, excluded: &str) -> Vec<(&str, &str)> {
        let others = self.query.iter().filter(|(name, _)| *name != excluded);
        let mut parameters: Vec<(&str, &str)> = others.map(|(name, value)| (name.as_str(), value.as_str())).collect();
        parameters.sort_unstable();
        parameters
    }

    /// Returns the resource, path parameters and query without the cursor. It is equal for all pages of a list, and cursors
    /// are bound to it.
    pub fn resource_and_query(&self) -> String {
        let mut path: Vec<(&str, &str)> = self.path.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        path.sort_unstable();
        // Debug output quotes strings, so that different requests never give the same text.
        format!("{} {path:?} {:?}", self.resource, self.query_without("cursor"))
    }
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
        return Problem::new(ProblemType::InvalidJson).with_error("", detail);
    }
    let pointer = error.path().iter().fold(String::new(), |pointer, segment| match segment {
        serde_path_to_error::Segment::Seq { index } => format!("{pointer}/{index}"),
        serde_path_to_error::Segment::Map { key } => format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1")),
        serde_path_to_error::Segment::Enum { .. } | serde_path_to_error::Segment::Unknown => pointer,
    });
    // The message ends with " at line 1 column 2", which the pointer replaces.
    let message = inner.to_string();
    let detail = message.split(" at line ").next().unwrap_or_default();
    Problem::invalid_body(pointer, detail)
}

impl fmt::Debug for Request {
    /// Omits values, because they may contain personal data.
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
    use serde::Deserialize;

    use super::super::ProxyRequest;
    use super::*;

    fn request(json: &serde_json::Value) -> Request {
        serde_json::from_value::<ProxyRequest>(json.clone()).unwrap().try_into().unwrap()
    }

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
            let problem =
                request(&serde_json::json!({"resource": "/x", "httpMethod": "POST", "body": body})).json::<Named>();
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
            (r#"{"names":["#, ProblemType::InvalidJson, ""),
            (r#"{"names":[]} x"#, ProblemType::InvalidJson, ""),
        ] {
            let problem = request(&serde_json::json!({"resource": "/x", "httpMethod": "POST", "body": body})).json::<Body>();
            let problem = problem.unwrap_err();
            assert_eq!((problem.kind(), problem.errors()[0].pointer.as_str()), (kind, pointer), "{body}");
        }
    }

    #[test]
    fn number_out_of_range_is_reported() {
        let limit = |text: &str| {
            let query = serde_json::json!({"resource": "/x", "httpMethod": "GET", "queryStringParameters": {"limit": text}});
            request(&query).query_number("limit", 1..=100_u32, 50)
        };
        assert_eq!(limit("7").unwrap(), 7);
        for text in ["0", "101", "-1", "x", ""] {
            assert_eq!(limit(text).unwrap_err().errors()[0].pointer, "?limit");
        }
    }

    #[test]
    fn unknown_query_parameter_is_reported() {
        let query =
            serde_json::json!({"resource": "/x", "httpMethod": "GET", "queryStringParameters": {"form": "1", "limit": "2"}});
        let request = request(&query);
        let problem = request.expect_query(&["from", "limit"]).unwrap_err();
        assert_eq!((problem.status().as_u16(), problem.errors()[0].pointer.as_str()), (400, "?form"));
        assert!(request.expect_query(&["form", "limit"]).is_ok());
    }

    #[test]
    fn media_type_with_the_highest_weight_is_preferred() {
        let preferred = |accept: &str| {
            let proxy = serde_json::json!({"resource": "/x", "httpMethod": "GET", "headers": {"Accept": accept}});
            request(&proxy).preferred_media_type(&["application/json", "text/csv"]).ok()
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
