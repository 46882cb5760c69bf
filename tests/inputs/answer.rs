//! Answers, and what a row expects of them.

use serde_json::Value;

/// The response to a request.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: u16,
    /// The headers, with lower-case names.
    pub(crate) headers: Vec<(String, String)>,
    /// The body: JSON, a text of another media type as a string, or null if it is empty.
    pub(crate) body: Value,
}

impl Answer {
    /// Returns a header by its lower-case name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// Fails with the pointer of the first part of `expected` that `found` does not contain. Objects may have further members;
/// arrays have the same length. An expected number equals any notation of it.
pub(crate) fn check_contains(found: &Value, expected: &Value, pointer: &str) -> Result<(), String> {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => expected.iter().try_for_each(|(name, expected)| {
            let pointer = format!("{pointer}/{name}");
            let found = found.get(name).ok_or_else(|| format!("{pointer} is missing"))?;
            check_contains(found, expected, &pointer)
        }),
        (Value::Array(found), Value::Array(expected)) if found.len() == expected.len() => {
            let mut pairs = found.iter().zip(expected).enumerate();
            pairs.try_for_each(|(index, (found, expected))| check_contains(found, expected, &format!("{pointer}/{index}")))
        }
        (Value::Number(found), Value::Number(expected)) if found.as_f64() == expected.as_f64() => Ok(()),
        (found, expected) if found == expected => Ok(()),
        (found, expected) => Err(format!("{pointer} is {found} instead of {expected}")),
    }
}
