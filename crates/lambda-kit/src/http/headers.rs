//! Headers that may be given on several lines, and those that may not.

use super::Request;
use super::response::to_text;
use crate::problem::{Problem, ProblemType};

/// The headers that have one value, not a list.
const SINGLE_HEADERS: [&str; 2] = ["content-type", "idempotency-key"];

/// Returns the lines of a header with this lower-case name as one list (RFC 9110, 5.3), or `None` if it is absent.
pub(super) fn header_list(request: &Request, name: &str) -> Option<String> {
    let lines: Vec<&str> = request.headers().get_all(name).iter().filter_map(to_text).collect();
    (!lines.is_empty()).then(|| lines.join(", "))
}

/// Fails with `bad-request` if a header that has one value is given with different values: only one of them would have an
/// effect.
pub(super) fn expect_single_headers(request: &Request) -> Result<(), Problem> {
    let is_ambiguous = |name: &&&str| {
        let mut values = request.headers().get_all(**name).iter();
        values.next().is_some_and(|first| values.any(|other| other != first))
    };
    SINGLE_HEADERS.iter().find(is_ambiguous).map_or(Ok(()), |name| {
        Err(Problem::new(ProblemType::BadRequest).with_detail(format!("the header {name} is given with different values")))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::http::testing::request;

    #[test]
    fn header_with_one_value_is_not_given_with_others() {
        let check = |values: &[&str]| {
            let headers = json!({"Idempotency-Key": values, "Accept": ["a/b", "c/d"]});
            expect_single_headers(&request(json!({"resource": "/x", "httpMethod": "POST", "multiValueHeaders": headers})))
        };
        assert!(check(&["a"]).is_ok() && check(&["a", "a"]).is_ok());
        assert_eq!(check(&["a", "b"]).unwrap_err().kind(), ProblemType::BadRequest);
    }
}
