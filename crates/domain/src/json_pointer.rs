//! JSON pointers, which name the invalid part of a document.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A JSON pointer (RFC 6901): the names of members and the indexes of elements from the root of a document to one of its
/// parts. It is written as text, such as `/data/samples/3`; the root is the empty text.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JsonPointer(String);

/// A text that is not a JSON pointer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a JSON pointer: it is empty or starts with /, and ~ is followed by 0 or 1")]
pub struct InvalidJsonPointer;

impl JsonPointer {
    /// The entire document.
    pub const ROOT: Self = Self(String::new());

    /// Returns the pointer to the member `name` of this part.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        let mut child = self.clone();
        child.0.push('/');
        // The order matters: the `~` of an escaped `/` must not be escaped again.
        child.0.push_str(&name.replace('~', "~0").replace('/', "~1"));
        child
    }

    /// Returns the pointer to the element `index` of this part.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        Self(format!("{}/{index}", self.0))
    }

    /// Returns the pointer to the part `inner` of this part.
    #[must_use]
    pub fn join(&self, inner: &Self) -> Self {
        Self(format!("{}{}", self.0, inner.0))
    }

    /// The pointer as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the entire document.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the pointers to the parts on the way to this one, from a member of the root to this one.
    pub fn ancestors(&self) -> impl Iterator<Item = Self> {
        let ends = self.0.match_indices('/').map(|(index, _)| index).skip(1).chain([self.0.len()]);
        ends.filter(|end| *end > 0).map(|end| Self(self.0[..end].to_owned()))
    }
}

/// The names of members, from the root.
impl<const N: usize> From<[&str; N]> for JsonPointer {
    fn from(names: [&str; N]) -> Self {
        names.iter().fold(Self::ROOT, |pointer, name| pointer.child(name))
    }
}

impl FromStr for JsonPointer {
    type Err = InvalidJsonPointer;

    fn from_str(text: &str) -> Result<Self, InvalidJsonPointer> {
        text.to_owned().try_into()
    }
}

impl TryFrom<String> for JsonPointer {
    type Error = InvalidJsonPointer;

    fn try_from(text: String) -> Result<Self, InvalidJsonPointer> {
        let starts_well = text.is_empty() || text.starts_with('/');
        let is_escaped = text.split('~').skip(1).all(|after| after.starts_with(['0', '1']));
        if starts_well && is_escaped { Ok(Self(text)) } else { Err(InvalidJsonPointer) }
    }
}

impl From<JsonPointer> for String {
    fn from(pointer: JsonPointer) -> Self {
        pointer.0
    }
}

impl fmt::Display for JsonPointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl PartialEq<str> for JsonPointer {
    fn eq(&self, text: &str) -> bool {
        self.0 == text
    }
}

impl PartialEq<&str> for JsonPointer {
    fn eq(&self, text: &&str) -> bool {
        self.0 == *text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn segments_are_escaped() {
        let pointer = JsonPointer::from(["a/b", "~1"]).index(3).child("");
        assert_eq!(pointer, "/a~1b/~01/3/");
        assert_eq!(json!({"a/b": {"~1": [0, 0, 0, {"": 7}]}}).pointer(pointer.as_str()), Some(&json!(7)));
        assert_eq!(JsonPointer::from(["a"]).join(&pointer), "/a/a~1b/~01/3/");
        let ancestors: Vec<JsonPointer> = JsonPointer::from(["a", "b"]).index(0).ancestors().collect();
        assert_eq!(ancestors, ["/a", "/a/b", "/a/b/0"]);
        assert_eq!(JsonPointer::ROOT.ancestors().count(), 0);
    }

    #[test]
    fn text_that_is_not_a_pointer_is_refused() {
        for text in ["a", "/~", "/~2", "/a~", "?limit"] {
            assert_eq!(text.parse::<JsonPointer>(), Err(InvalidJsonPointer), "{text}");
        }
    }

    proptest! {
        #[test]
        fn pointer_round_trips_as_text_and_finds_its_part(names in prop::collection::vec(any::<String>(), 0..6)) {
            let pointer = names.iter().fold(JsonPointer::ROOT, |pointer, name| pointer.child(name));
            prop_assert_eq!(pointer.to_string().parse::<JsonPointer>(), Ok(pointer.clone()));
            prop_assert_eq!(serde_json::from_value::<JsonPointer>(json!(pointer)).unwrap(), pointer.clone());
            let document = names.iter().rev().fold(json!(7), |part, name| json!({name: part}));
            prop_assert_eq!(document.pointer(pointer.as_str()), Some(&Value::from(7)));
        }

        #[test]
        fn parser_keeps_every_pointer(text: String) {
            if let Ok(pointer) = text.parse::<JsonPointer>() {
                prop_assert_eq!(pointer.as_str(), text);
            }
        }
    }
}
