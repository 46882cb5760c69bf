use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// 2^53: every integer up to this limit is exact as `f64`.
pub(crate) const MAX_EXACT: u64 = 1 << 53;

/// The value of a signal. In JSON it is the plain value, without a type tag.
///
/// A number from [`accept`](crate::accept), from JSON or from [`Value::number`] is never infinite, NaN or -0.0.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A boolean.
    Bool(bool),
    /// A number. Written as a JSON integer if it is an integer with an absolute value below 2^53.
    Number(f64),
    /// A text.
    Text(Box<str>),
    /// A list of scalar values of one type.
    List(Box<[Value]>),
}

impl Value {
    /// Creates a number. Converts -0.0 to 0.0. Returns `None` if `v` is not finite.
    pub fn number(v: f64) -> Option<Self> {
        // Adding zero changes no double except -0.0.
        v.is_finite().then_some(Self::Number(v + 0.0))
    }

    /// Returns the boolean, or `None` for other types.
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(v) = self { Some(*v) } else { None }
    }

    /// Returns the number, or `None` for other types.
    pub fn as_number(&self) -> Option<f64> {
        if let Self::Number(v) = self { Some(*v) } else { None }
    }

    /// Returns the text, or `None` for other types.
    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(v) = self { Some(v) } else { None }
    }

    /// Returns whether both values are equal, including the bits of their numbers.
    pub fn bits_eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Number(a), Self::Number(b)) => a.to_bits() == b.to_bits(),
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::List(a), Self::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.bits_eq(b)),
            _ => false,
        }
    }
}

impl From<bool> for Value {
    fn from(v: bool) -> Self {
        Self::Bool(v)
    }
}

impl From<&str> for Value {
    fn from(v: &str) -> Self {
        Self::Text(v.into())
    }
}

impl Serialize for Value {
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)] // an integer below 2^53
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Bool(v) => serializer.serialize_bool(*v),
            Self::Number(v) if !v.is_finite() => Err(serde::ser::Error::custom("a number must be finite")),
            Self::Number(v) if v.fract() == 0.0 && v.abs() < MAX_EXACT as f64 => serializer.serialize_i64(*v as i64),
            Self::Number(v) => serializer.serialize_f64(*v),
            Self::Text(v) => serializer.serialize_str(v),
            Self::List(v) => v.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a boolean, a finite number, a string or a list of these")
    }

    fn visit_bool<E: de::Error>(self, v: bool) -> Result<Value, E> {
        Ok(Value::Bool(v))
    }

    #[allow(clippy::cast_precision_loss)] // checked above
    fn visit_i64<E: de::Error>(self, v: i64) -> Result<Value, E> {
        if v.unsigned_abs() > MAX_EXACT {
            return Err(E::custom("an integer beyond ±2^53"));
        }
        Ok(Value::Number(v as f64))
    }

    #[allow(clippy::cast_precision_loss)] // checked above
    fn visit_u64<E: de::Error>(self, v: u64) -> Result<Value, E> {
        if v > MAX_EXACT {
            return Err(E::custom("an integer beyond ±2^53"));
        }
        Ok(Value::Number(v as f64))
    }

    fn visit_f64<E: de::Error>(self, v: f64) -> Result<Value, E> {
        Value::number(v).ok_or_else(|| E::custom("a number that is not finite"))
    }

    fn visit_str<E: de::Error>(self, v: &str) -> Result<Value, E> {
        Ok(Value::from(v))
    }

    fn visit_string<E: de::Error>(self, v: String) -> Result<Value, E> {
        Ok(Value::Text(v.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = seq.next_element::<Value>()? {
            if matches!(entry, Value::List(_)) {
                return Err(de::Error::custom("a list within a list"));
            }
            entries.push(entry);
        }
        Ok(Value::List(entries.into()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;

    fn json(value: &Value) -> String {
        serde_json::to_string(value).unwrap()
    }

    #[test]
    fn integral_numbers_are_json_integers() {
        assert_eq!(json(&Value::Number(50.0)), "50");
        assert_eq!(json(&Value::Number(-3.0)), "-3");
        assert_eq!(json(&Value::Number(45.4)), "45.4");
        assert_eq!(json(&Value::Number(9_007_199_254_740_991.0)), "9007199254740991");
        assert_eq!(json(&Value::Number(9_007_199_254_740_992.0)), "9007199254740992.0");
    }

    #[test]
    fn values_have_no_tag_in_json() {
        let list = Value::List([Value::from("01"), Value::from("0C")].into());
        assert_eq!(json(&list), r#"["01","0C"]"#);
        assert_eq!(json(&Value::from(true)), "true");
        assert_eq!(serde_json::from_str::<Value>(r#"["01","0C"]"#).unwrap(), list);
    }

    #[test]
    fn non_finite_numbers_are_not_serialized() {
        assert!(serde_json::to_string(&Value::Number(f64::NAN)).is_err());
        assert!(serde_json::to_string(&Value::Number(f64::INFINITY)).is_err());
        assert_eq!(Value::number(f64::NEG_INFINITY), None);
    }

    #[test]
    fn values_that_no_signal_can_have_are_refused() {
        for text in ["null", "{}", "[[1]]", "9007199254740993", "-9007199254740993", "[null]"] {
            assert!(serde_json::from_str::<Value>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn bits_eq_distinguishes_zeros_and_equality_does_not() {
        let (plus, minus) = (Value::Number(0.0), Value::Number(-0.0));
        assert_eq!(plus, minus);
        assert!(!plus.bits_eq(&minus));
        assert!(plus.bits_eq(&serde_json::from_str("-0.0").unwrap()));
        assert!(plus.bits_eq(&serde_json::from_str("-0").unwrap()));
    }

    proptest! {
        #[test]
        fn numbers_round_trip_through_json_bit_for_bit(v in any::<f64>().prop_filter("finite", |v| v.is_finite())) {
            let value = Value::number(v).unwrap();
            let decoded: Value = serde_json::from_str(&json(&value)).unwrap();
            prop_assert!(decoded.bits_eq(&value));
        }
    }
}
