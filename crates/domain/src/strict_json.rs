//! Parses JSON that every parser interprets in the same way (RFC 7493, I-JSON).

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::fmt::{self, Write as _};

use roadcast_signals::has_forbidden_character;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::json_pointer::JsonPointer;

/// Why a JSON text is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct StrictJsonError {
    /// JSON pointer (RFC 6901) to the fault, or to the closest value around it.
    pub pointer: JsonPointer,
    /// What is wrong. Contains no values of the text.
    pub detail: String,
}

/// Parses JSON with at most `max_values` values.
///
/// # Errors
///
/// Besides malformed JSON, it refuses
/// - an object with a duplicate member, because parsers differ in which of the two members they use,
/// - a number beyond the range of a double,
/// - a text or a member name with a character that [`has_forbidden_character`] finds.
pub fn parse_strict_json(json: &str, max_values: usize) -> Result<Value, StrictJsonError> {
    let scan = Scan { remaining: Cell::new(max_values), texts: true, ..Scan::default() };
    scan.run(json).map_err(|Fault { pointer, detail, .. }| StrictJsonError { pointer, detail })?;
    serde_json::from_str(json).map_err(|error| StrictJsonError {
        pointer: JsonPointer::ROOT,
        detail: without_position(&error.to_string()).to_owned(),
    })
}

/// Fails if an object of the text has a duplicate member, at any depth. Malformed JSON passes: its parser reports it.
pub fn check_unique_members(json: &str) -> Result<(), StrictJsonError> {
    let scan = Scan { remaining: Cell::new(usize::MAX), ..Scan::default() };
    match scan.run(json) {
        Err(Fault { pointer, detail, is_duplicate: true }) => Err(StrictJsonError { pointer, detail }),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Returns the message of an error without line and column: they count from the start of the value, not from the start of
/// the request body.
fn without_position(message: &str) -> &str {
    message.split(" at line ").next().unwrap_or_default()
}

/// The position in the text, and what is checked. A scan keeps nothing but the names of the members of open objects.
#[derive(Default)]
struct Scan {
    /// How many values may follow.
    remaining: Cell<usize>,
    /// Whether the characters of texts are checked.
    texts: bool,
    /// JSON pointer to the value that is being read. After a failure, it remains where the fault is.
    pointer: RefCell<String>,
    is_duplicate: Cell<bool>,
}

struct Fault {
    pointer: JsonPointer,
    detail: String,
    is_duplicate: bool,
}

impl Scan {
    fn run(self, json: &str) -> Result<(), Fault> {
        let mut deserializer = serde_json::Deserializer::from_str(json);
        let result = Checked(&self).deserialize(&mut deserializer).and_then(|()| deserializer.end());
        result.map_err(|error| Fault {
            detail: without_position(&error.to_string()).to_owned(),
            is_duplicate: self.is_duplicate.get(),
            // Each token is escaped.
            pointer: self.pointer.take().parse().unwrap_or_default(),
        })
    }

    /// Appends a token to the pointer. Returns the length to which [`leave`](Self::leave) shortens it.
    fn enter(&self, token: impl fmt::Display) -> usize {
        let mut pointer = self.pointer.borrow_mut();
        let length = pointer.len();
        // Writing to a String cannot fail.
        let _ = write!(pointer, "/{token}");
        length
    }

    fn leave(&self, length: usize) {
        self.pointer.borrow_mut().truncate(length);
    }

    fn check_text<E: serde::de::Error>(&self, text: &str) -> Result<(), E> {
        if self.texts && has_forbidden_character(text) {
            return Err(E::custom("has a control character other than tab and line end, or a noncharacter of Unicode"));
        }
        Ok(())
    }
}

/// Reads a value without keeping it.
#[derive(Copy, Clone)]
struct Checked<'s>(&'s Scan);

impl<'de> DeserializeSeed<'de> for Checked<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.0.remaining.get().checked_sub(1) {
            Some(remaining) => self.0.remaining.set(remaining),
            None => return Err(D::Error::custom("has too many values")),
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Checked<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        self.0.check_text(text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        for index in 0_usize.. {
            let length = self.0.enter(index);
            let element = elements.next_element_seed(self)?;
            self.0.leave(length);
            if element.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut names = HashSet::new();
        while let Some(name) = members.next_key::<String>()? {
            let length = self.0.enter(name.replace('~', "~0").replace('/', "~1"));
            self.0.check_text(&name)?;
            if !names.insert(name) {
                self.0.is_duplicate.set(true);
                return Err(A::Error::custom("the object has this member twice"));
            }
            members.next_value_seed(self)?;
            self.0.leave(length);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn fault_at(json: &str) -> Option<String> {
        parse_strict_json(json, 1000).err().map(|error| error.pointer.into())
    }

    #[test]
    fn duplicate_members_are_refused_at_any_depth() {
        for (text, pointer) in [
            (r#"{"a":1,"a":1}"#, "/a"),
            (r#"{"a":1,"\u0061":2}"#, "/a"),
            (r#"[0,{"b/c":[{"x":1,"y":{},"x":null}]}]"#, "/1/b~1c/0/x"),
        ] {
            assert_eq!(fault_at(text).as_deref(), Some(pointer), "{text}");
            assert_eq!(check_unique_members(text).unwrap_err().pointer, pointer, "{text}");
        }
        let twice_apart = r#"{"a":{"x":1},"b":{"x":1},"A":[{"x":1},{"x":1}]}"#;
        assert_eq!(fault_at(twice_apart), None);
        assert_eq!(check_unique_members(twice_apart), Ok(()));
    }

    #[test]
    fn numbers_beyond_a_double_are_refused_by_pointer() {
        assert_eq!(fault_at(r#"{"a":[1,1e309]}"#).as_deref(), Some("/a/1"));
        assert_eq!(fault_at("[-1e308, 123456789012345678901234567890]"), None);
    }

    #[test]
    fn texts_and_names_with_forbidden_characters_are_refused() {
        for text in [r#"{"a":["\uffff"]}"#, "{\"a\":[\"\u{fffe}\"]}", r#"{"a":["\u0000"]}"#, r#"{"a":["\ud800"]}"#] {
            assert_eq!(fault_at(text).as_deref(), Some("/a/0"), "{text}");
            assert_eq!(check_unique_members(text), Ok(()));
        }
        assert_eq!(fault_at(r#"{"a":{"b\u0001":1}}"#).as_deref(), Some("/a/b\u{1}"));
        assert_eq!(fault_at(r#"["tab\t, line\r\n, \u007f, \u0085, caf\u00e9, \ud83d\ude00"]"#), None);
    }

    #[test]
    fn malformed_json_is_refused_but_has_unique_members() {
        for text in ["", "{", "[1,]", "{} {}", &"[".repeat(200)] {
            assert!(parse_strict_json(text, 1000).is_err(), "{text}");
            assert_eq!(check_unique_members(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn number_of_values_is_limited() {
        assert_eq!(parse_strict_json("[1,{\"a\":2}]", 4), Ok(json!([1, {"a": 2}])));
        assert_eq!(parse_strict_json("[1,{\"a\":2}]", 3).unwrap_err().pointer, "/1/a");
    }

    proptest! {
        /// What is accepted equals what serde_json reads, and is the same whatever order the members have.
        #[test]
        fn members_are_unique_or_refused(names in prop::collection::vec("[ab]{1,2}", 0..6)) {
            let text = |names: &[String]| {
                let members: Vec<String> = names.iter().map(|name| format!("\"{name}\":\"{name}\"")).collect();
                format!("{{{}}}", members.join(","))
            };
            let mut sorted = names.clone();
            sorted.sort();
            let mut unique = sorted.clone();
            unique.dedup();
            let parsed = parse_strict_json(&text(&names), 1000);
            prop_assert_eq!(parsed.is_ok(), unique.len() == names.len());
            prop_assert_eq!(parsed.is_ok(), check_unique_members(&text(&names)).is_ok());
            if let Ok(value) = parsed {
                prop_assert_eq!(value, parse_strict_json(&text(&sorted), 1000).unwrap());
            }
        }

        #[test]
        fn parser_does_not_panic_on_any_text(text in r#"[\[\]{}:,"a\\u0-9 ]{0,60}"#) {
            let _ = parse_strict_json(&text, 20);
            let _ = check_unique_members(&text);
        }
    }
}
