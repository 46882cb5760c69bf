//! Query parameters. [`parameters!`](crate::parameters) declares those of an operation as a struct; the functions here are its
//! parsers.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use super::Request;
use crate::problem::{Problem, ProblemType};

/// The maximum length of a search text in characters.
const MAX_SEARCH_TEXT_LEN: usize = 128;
/// The maximum number of entries of a list. Each signal pattern is compared with each signal of an event.
const MAX_LIST_LEN: usize = 200;

/// The maximum bytes of a query without its cursor, percent-encoded. The link to the next page repeats the query and adds a
/// cursor, and API Gateway allows 10,240 bytes for all headers of a response.
const MAX_QUERY_BYTES: usize = 6 * 1024;

/// The query parameters of an operation. [`parameters!`](crate::parameters) implements it.
pub trait Parameters: Sized {
    /// The names of the parameters.
    const NAMES: &'static [&'static str];

    /// Parses the parameters of a request. Fails with `invalid-parameter` for the first invalid one.
    fn parse(request: &Request) -> Result<Self, Problem>;
}

/// An operation without query parameters.
impl Parameters for () {
    const NAMES: &'static [&'static str] = &[];

    fn parse(_: &Request) -> Result<Self, Problem> {
        Ok(())
    }
}

/// Declares the query parameters of an operation: a struct, the name of each parameter, and its parser.
///
/// ```
/// use roadcast_lambda_kit::http::parameters;
/// use roadcast_lambda_kit::http::query::{integer, optional};
///
/// parameters! {
///     /// The query of `GET /things`.
///     struct ListThings {
///         model_year: Option<u16> = "modelYear" => optional("a year"),
///         limit: usize = "limit" => integer(1..=100, 50),
///     }
/// }
/// ```
#[macro_export]
macro_rules! parameters {
    ($(#[$attribute:meta])* $visibility:vis struct $struct:ident {
        $($field:ident: $type:ty = $name:literal => $parser:expr,)*
    }) => {
        $(#[$attribute])*
        $visibility struct $struct {
            $($visibility $field: $type,)*
        }

        impl $crate::http::Parameters for $struct {
            const NAMES: &'static [&'static str] = &[$($name),*];

            fn parse(request: &$crate::http::Request) -> ::std::result::Result<Self, $crate::problem::Problem> {
                Ok(Self { $($field: ($parser)($name, $crate::http::ApiRequest::query_parameter(request, $name))?,)* })
            }
        }
    };
}

/// A parameter that may be absent. `expected` completes "must be …" in the problem for an invalid value.
pub fn optional<T: FromStr>(expected: &'static str) -> impl Fn(&str, Option<&str>) -> Result<Option<T>, Problem> {
    move |name: &str, text: Option<&str>| {
        let parse = |text: &str| text.parse().map_err(|_| Problem::invalid_parameter(name, format!("must be {expected}")));
        text.map(parse).transpose()
    }
}

/// A comma-separated list of at most [`MAX_LIST_LEN`] entries, which may be absent. The error of `parse` is the detail of the
/// problem.
pub fn list<T>(parse: impl Fn(&str) -> Result<T, String>) -> impl Fn(&str, Option<&str>) -> Result<Option<Vec<T>>, Problem> {
    move |name: &str, text: Option<&str>| {
        if text.is_some_and(|text| text.split(',').count() > MAX_LIST_LEN) {
            return Err(Problem::invalid_parameter(name, format!("must have at most {MAX_LIST_LEN} entries")));
        }
        let parsed = text.map(|text| text.split(',').map(|part| parse(part.trim())).collect::<Result<Vec<T>, String>>());
        parsed.transpose().map_err(|detail| Problem::invalid_parameter(name, detail))
    }
}

/// An integer within `range`, or `default` if it is absent.
pub fn integer<T>(range: RangeInclusive<T>, default: T) -> impl Fn(&str, Option<&str>) -> Result<T, Problem>
where
    T: FromStr + PartialOrd + Display + Copy,
{
    move |name: &str, text: Option<&str>| {
        let number = text.map_or(Some(default), |text| text.parse().ok()).filter(|number| range.contains(number));
        number.ok_or_else(|| {
            let expected = format!("must be a whole number from {} to {}", range.start(), range.end());
            Problem::invalid_parameter(name, expected)
        })
    }
}

/// A search text that may be absent.
pub fn search_text(name: &str, text: Option<&str>) -> Result<Option<String>, Problem> {
    match text {
        Some(text) if text.is_empty() || text.chars().count() > MAX_SEARCH_TEXT_LEN => {
            Err(Problem::invalid_parameter(name, format!("must be 1 to {MAX_SEARCH_TEXT_LEN} characters")))
        }
        text => Ok(text.map(str::to_owned)),
    }
}

/// A text that may be absent, such as a cursor.
pub fn text(_: &str, text: Option<&str>) -> Result<Option<String>, Problem> {
    Ok(text.map(str::to_owned))
}

/// Fails with `invalid-parameter` if a request has query parameters other than the allowed ones, or one of them more than
/// once: of a repeated filter, only one value would have an effect. Fails with `bad-request` if the query is too long.
pub(super) fn expect_query(request: &Request, allowed: &[&str]) -> Result<(), Problem> {
    let without_cursor = super::request::query(request).filter(|(name, _)| *name != "cursor");
    // Two more for `=` and `&`.
    let bytes: usize = without_cursor.map(|(name, value)| encoded_bytes(name) + encoded_bytes(value) + 2).sum();
    if bytes > MAX_QUERY_BYTES {
        let detail = format!(
            "the query has {bytes} bytes, percent-encoded and without cursor; it may have {MAX_QUERY_BYTES}: send fewer names, or \
             a branch such as Vehicle.Chassis.*"
        );
        return Err(Problem::new(ProblemType::BadRequest).with_detail(detail));
    }
    let mut names: Vec<&str> = super::request::query(request).map(|(name, _)| name).collect();
    names.sort_unstable();
    let unknown = match allowed {
        [] => "unknown parameter; this operation has no query parameters".to_owned(),
        allowed => format!("unknown parameter; allowed parameters: {}", allowed.join(", ")),
    };
    let problems = names.chunk_by(|one, next| one == next).filter_map(|same| match same {
        [name, ..] if !allowed.contains(name) => Some((name, unknown.as_str())),
        [name, _, ..] => Some((name, "is given more than once")),
        _ => None,
    });
    let problem = problems.fold(None, |problem: Option<Problem>, (name, detail)| {
        let problem = problem.unwrap_or_else(|| Problem::new(ProblemType::InvalidParameter));
        Some(problem.with_parameter_error(name, detail))
    });
    problem.map_or(Ok(()), Err)
}

/// Returns the bytes of a text in a query, if all characters but the unreserved ones are percent-encoded.
fn encoded_bytes(text: &str) -> usize {
    text.bytes().map(|byte| if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) { 1 } else { 3 }).sum()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::http::testing::request;

    #[test]
    fn number_out_of_range_is_reported() {
        let limit = |text: &str| integer(1..=100_u32, 50)("limit", Some(text));
        assert_eq!(limit("7").unwrap(), 7);
        assert_eq!(integer(1..=100_u32, 50)("limit", None).unwrap(), 50);
        for text in ["0", "101", "-1", "x", ""] {
            assert_eq!(limit(text).unwrap_err().errors()[0].pointer, "?limit");
        }
    }

    #[test]
    fn unknown_query_parameter_is_reported() {
        let query = json!({"resource": "/x", "httpMethod": "GET", "queryStringParameters": {"form": "1", "limit": "2"}});
        let request = request(query);
        let problem = expect_query(&request, &["from", "limit"]).unwrap_err();
        assert_eq!((problem.status().as_u16(), problem.errors()[0].pointer.as_str()), (400, "?form"));
        assert!(expect_query(&request, &["form", "limit"]).is_ok());
    }

    #[test]
    fn query_too_long_for_the_link_to_the_next_page_is_refused() {
        let check = |commas: usize, cursor: usize| {
            let query = json!({"signals": ",".repeat(commas), "cursor": "c".repeat(cursor)});
            let query = json!({"resource": "/x", "httpMethod": "GET", "queryStringParameters": query});
            expect_query(&request(query), &["signals", "cursor"])
        };
        // A comma takes three bytes in the link.
        assert!(check(2000, 2048).is_ok());
        assert_eq!(check(2050, 0).unwrap_err().kind(), ProblemType::BadRequest);
    }

    #[test]
    fn repeated_query_parameter_is_reported() {
        let query = json!({"signal": ["A", "B"], "limit": ["1"]});
        let request = request(json!({"resource": "/x", "httpMethod": "GET", "multiValueQueryStringParameters": query,
            "queryStringParameters": {"signal": "B", "limit": "1"}}));
        let problem = expect_query(&request, &["signal", "limit"]).unwrap_err();
        let errors: Vec<_> = problem.errors().iter().map(|error| (error.pointer.as_str(), error.detail.as_str())).collect();
        assert_eq!(errors, [("?signal", "is given more than once")]);
    }

    #[test]
    fn parameters_are_parsed_into_their_struct() {
        parameters! {
            struct ListThings {
                text: Option<String> = "q" => search_text,
                year: Option<u16> = "modelYear" => optional("a year"),
                kinds: Option<Vec<u8>> = "kind" => list(|text| text.parse().map_err(|_| "must be numbers".to_owned())),
                limit: usize = "limit" => integer(1..=100, 50),
            }
        }
        let parse = |query| {
            ListThings::parse(&request(json!({"resource": "/x", "httpMethod": "GET",
            "queryStringParameters": query})))
        };
        assert_eq!(ListThings::NAMES, ["q", "modelYear", "kind", "limit"]);
        let parsed = parse(json!({"q": "a", "kind": "1, 2"})).unwrap();
        assert_eq!(
            (parsed.text.as_deref(), parsed.year, parsed.kinds, parsed.limit),
            (Some("a"), None, Some(vec![1, 2]), 50)
        );
        let [longest, too_long] = [200, 201].map(|length| vec!["1"; length].join(","));
        assert_eq!(parse(json!({"kind": longest})).unwrap().kinds.unwrap().len(), 200);
        for (name, value) in [("q", ""), ("modelYear", "x"), ("kind", "1,x"), ("kind", &too_long), ("limit", "0")] {
            let problem = parse(json!({ name: value })).err().unwrap();
            assert_eq!(problem.errors()[0].pointer, format!("?{name}"));
        }
    }
}
