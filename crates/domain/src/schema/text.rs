//! The text of a schema.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::SchemaFault;
use crate::json_pointer::JsonPointer;

/// A JSON Schema as text. Parsed, it may take a hundred times its text, for example a list of small objects in `examples`.
/// Therefore schemas that are read together remain texts, and each is parsed only to be compared or compiled.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SchemaText(Box<RawValue>);

impl SchemaText {
    /// Returns the text of a schema.
    pub fn new(schema: &Value) -> Self {
        // A Value can always be written. `null` is no valid schema.
        Self(serde_json::value::to_raw_value(schema).unwrap_or_else(|_| RawValue::NULL.to_owned()))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// Parses the text. Fails if it contains a number beyond the range of a double, or is nested too deeply.
    pub fn parse(&self) -> Result<Value, SchemaFault> {
        serde_json::from_str(self.as_str())
            .map_err(|error| SchemaFault::new(JsonPointer::ROOT, format!("cannot be parsed: {error}")))
    }
}

/// Texts are equal if they have the same characters.
impl PartialEq for SchemaText {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;
    use crate::Timestamp;
    use crate::schema::EventSchema;

    #[test]
    fn stored_schema_is_read_with_the_same_text() {
        let schema = SchemaText::new(&json!({"type": "object", "examples": [{"a": 0.1}, "\"é"]}));
        let event_type = "com.example.tyre.v1".parse().unwrap();
        let stored = EventSchema { event_type, version: 1, schema, registered_at: Timestamp::from_ms(0) };
        let read: EventSchema = serde_json::from_str(&serde_json::to_string(&stored).unwrap()).unwrap();
        assert_eq!(read, stored);
        assert_eq!(SchemaText::new(&read.schema.parse().unwrap()), stored.schema);
    }

    #[test]
    fn text_that_cannot_be_parsed_is_a_fault() {
        let text: SchemaText = serde_json::from_str(r#"{"maximum": 1e999}"#).unwrap();
        assert_eq!(text.parse().unwrap_err().pointer, JsonPointer::ROOT);
    }
}
