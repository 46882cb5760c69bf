use std::collections::HashMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use roadcast_domain::caller::Scope;
use roadcast_domain::ids::ClientId;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::problem::{Problem, ProblemType};

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
    pub(super) path: HashMap<String, String>,
    pub(super) query: HashMap<String, String>,
    pub(super) headers: HashMap<String, String>,
    pub(super) body: Vec<u8>,
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

    /// A query parameter that lists things with commas between them, if it is there; an error completes the sentence.
    pub fn query_list<T>(&self, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> Result<Option<Vec<T>>, Problem> {
        let Some(text) = self.query.get(name) else { return Ok(None) };
        let parsed = text.split(',').map(|part| parse(part.trim())).collect::<Result<Vec<T>, String>>();
        parsed.map(Some).map_err(|detail| Problem::invalid_parameter(name, detail))
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

    /// Every header whose lower-case name begins so, by the rest of its name.
    pub fn headers_of<'r>(&'r self, prefix: &'r str) -> impl Iterator<Item = (&'r str, &'r str)> {
        self.headers.iter().filter_map(move |(name, value)| Some((name.strip_prefix(prefix)?, value.as_str())))
    }

    /// The one of these media types that the caller likes best (RFC 9110, 12.5.1); of those liked alike, the first.
    pub fn preferred(&self, offered: &[&'static str]) -> Result<&'static str, Problem> {
        let accept = self.header("accept").filter(|accept| !accept.trim().is_empty()).unwrap_or("*/*");
        let weighed = offered.iter().map(|offer| (weight(accept, offer), *offer));
        let best = weighed.reduce(|best, other| if other.0 > best.0 { other } else { best });
        best.filter(|(weight, _)| *weight > 0.0)
            .map(|(_, offer)| offer)
            .ok_or_else(|| Problem::new(ProblemType::NotAcceptable).with_detail(format!("there is {}", offered.join(", "))))
    }

    /// Refuses parameters that the operation does not have.
    pub fn expect_query(&self, known: &[&str]) -> Result<(), Problem> {
        let mut unknown: Vec<&str> = self.query.keys().map(String::as_str).filter(|name| !known.contains(name)).collect();
        unknown.sort_unstable();
        let detail = match known {
            [] => "there is no such parameter; the operation has none".to_owned(),
            known => format!("there is no such parameter; there are {}", known.join(", ")),
        };
        let problems = unknown.into_iter().map(|name| (format!("?{name}"), detail.clone()));
        let problem = problems.fold(None, |problem: Option<Problem>, (pointer, detail)| {
            Some(problem.unwrap_or_else(|| Problem::new(ProblemType::InvalidParameter)).with_error(pointer, detail))
        });
        problem.map_or(Ok(()), Err)
    }

    /// The body's bytes.
    pub fn body(&self) -> &[u8] {
        &self.body
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
        let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| shape_problem(&error, text))?;
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

/// How much a caller likes a media type: by the most specific range that `Accept` has for it.
fn weight(accept: &str, offer: &str) -> f32 {
    let kind = offer.split('/').next().unwrap_or_default();
    let mut best = (0, 0.0);
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let specific = match name.as_str() {
            "*/*" => 1,
            name if name.strip_suffix("/*") == Some(kind) => 2,
            name if name == offer => 3,
            _ => continue,
        };
        let q = parts.find_map(|part| part.strip_prefix("q=")).map_or(Some(1.0), |q| q.parse::<f32>().ok());
        if specific > best.0 {
            best = (specific, q.unwrap_or(0.0));
        }
    }
    best.1
}

/// JSON that does not parse is malformed; JSON of another shape is not valid, at a place that can be named.
fn shape_problem(error: &serde_path_to_error::Error<serde_json::Error>, text: &str) -> Problem {
    let inner = error.inner();
    // Where one of a few names is expected, the parser calls a number no JSON.
    let is_json = inner.is_data() || serde_json::from_str::<IgnoredAny>(text).is_ok();
    if !is_json {
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
    fn a_number_where_a_name_is_expected_is_json_of_another_shape() {
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
    fn a_parameter_that_the_operation_does_not_have_is_named() {
        let query =
            serde_json::json!({"resource": "/x", "httpMethod": "GET", "queryStringParameters": {"form": "1", "limit": "2"}});
        let request = request(&query);
        let problem = request.expect_query(&["from", "limit"]).unwrap_err();
        assert_eq!((problem.status().as_u16(), problem.errors()[0].pointer.as_str()), (400, "?form"));
        assert!(request.expect_query(&["form", "limit"]).is_ok());
    }

    #[test]
    fn the_best_liked_media_type_is_given() {
        let preferred = |accept: &str| {
            let proxy = serde_json::json!({"resource": "/x", "httpMethod": "GET", "headers": {"Accept": accept}});
            request(&proxy).preferred(&["application/json", "text/csv"]).ok()
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
