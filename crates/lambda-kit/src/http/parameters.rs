//! Parameters and headers that several operations have in common.

use super::Request;
use crate::problem::{Problem, ProblemType};

/// The maximum length of a search text in characters.
const MAX_SEARCH_TEXT_LEN: usize = 128;

impl Request {
    /// Returns a query parameter that contains a search text.
    pub fn query_text(&self, name: &str) -> Result<Option<String>, Problem> {
        match self.query::<String>(name, "a string")? {
            Some(text) if text.is_empty() || text.chars().count() > MAX_SEARCH_TEXT_LEN => {
                Err(Problem::invalid_parameter(name, format!("must be 1 to {MAX_SEARCH_TEXT_LEN} characters")))
            }
            text => Ok(text),
        }
    }

    /// Returns the version in `If-Match`, or `None` if the header is absent. Any other tag becomes version 0, which never
    /// matches.
    pub fn if_match(&self) -> Option<u64> {
        self.header("if-match").map(|tag| tag.trim().trim_matches('"').parse().unwrap_or(0))
    }

    /// Returns whether `If-None-Match` is `*`: the resource must not exist yet.
    pub fn if_none_match_any(&self) -> bool {
        self.header("if-none-match").is_some_and(|tag| tag.trim() == "*")
    }
}

impl Problem {
    /// Creates a problem for a request that replaces a resource without `If-Match`.
    pub fn precondition_required() -> Self {
        Self::new(ProblemType::PreconditionRequired).with_detail("send If-Match with the ETag from the GET response")
    }
}
