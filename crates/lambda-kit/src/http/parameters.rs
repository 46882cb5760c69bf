//! What several operations ask for in the same way.

use super::Request;
use crate::problem::{Problem, ProblemType};

/// Characters of a text to look for.
const MAX_TEXT_LEN: usize = 128;

impl Request {
    /// A text to look for, in a query parameter.
    pub fn query_text(&self, name: &str) -> Result<Option<String>, Problem> {
        match self.query::<String>(name, "a text")? {
            Some(text) if text.is_empty() || text.chars().count() > MAX_TEXT_LEN => {
                Err(Problem::invalid_parameter(name, format!("must be 1 to {MAX_TEXT_LEN} characters")))
            }
            text => Ok(text),
        }
    }

    /// The version that `If-Match` names, if it is there. A tag that is none of ours cannot match.
    pub fn if_match(&self) -> Option<u64> {
        self.header("if-match").map(|tag| tag.trim().trim_matches('"').parse().unwrap_or(0))
    }

    /// Whether `If-None-Match` asks that there is none yet.
    pub fn if_none_match(&self) -> bool {
        self.header("if-none-match").is_some_and(|tag| tag.trim() == "*")
    }
}

impl Problem {
    /// A resource is replaced without saying which version of it.
    pub fn precondition_required() -> Self {
        Self::new(ProblemType::PreconditionRequired).with_detail("send If-Match with the ETag that GET answered")
    }
}
