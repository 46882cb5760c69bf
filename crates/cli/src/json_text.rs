//! Texts of JSON objects.

use std::collections::BTreeMap;

use serde_json::Value;

/// A member that is a text; empty if it is none.
pub(crate) fn text<'v>(value: &'v Value, member: &str) -> &'v str {
    value[member].as_str().unwrap_or_default()
}

/// The texts of a list.
pub(crate) fn texts(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The texts of a list, separated by spaces; `none` if it is empty.
pub(crate) fn joined(list: &Value, none: &str) -> String {
    let texts = texts(list);
    if texts.is_empty() { none.to_owned() } else { texts.join(" ") }
}

/// The number of objects by the text of a member.
pub(crate) fn count_by(objects: &[Value], member: &str) -> BTreeMap<String, usize> {
    objects.iter().fold(BTreeMap::new(), |mut counts, object| {
        *counts.entry(text(object, member).to_owned()).or_default() += 1;
        counts
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn objects_are_counted_by_a_member() {
        let objects = [json!({"state": "a"}), json!({"state": "b"}), json!({"state": "a"}), json!({})];
        let expected = [(String::new(), 1), ("a".to_owned(), 2), ("b".to_owned(), 1)];
        assert_eq!(count_by(&objects, "state"), BTreeMap::from(expected));
        assert_eq!((joined(&json!(["x", "y"]), "none"), joined(&json!(null), "none")), ("x y".into(), "none".into()));
    }
}
