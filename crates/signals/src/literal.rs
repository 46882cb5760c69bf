//! The exact value of a JSON number, before it is rounded to a double.

use crate::value::MAX_EXACT;

/// A number as it is written in JSON.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Literal<'a>(&'a str);

/// The exact value of a literal, as an integer.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Integer {
    /// An integer of at most ±2^53, so exact as a double.
    Exact,
    /// An integer beyond ±2^53.
    Large,
    /// Not an integer.
    Fraction,
}

impl Integer {
    /// Classifies a double as the shortest text that is read as this double.
    #[allow(clippy::cast_precision_loss)] // 2^53 is exact
    pub(crate) fn of_double(v: f64) -> Self {
        if v.fract() != 0.0 || !v.is_finite() {
            Self::Fraction
        } else if v.abs() <= MAX_EXACT as f64 {
            Self::Exact
        } else {
            Self::Large
        }
    }
}

impl<'a> Literal<'a> {
    /// Creates a literal from the text of a JSON number. Returns `None` for any other JSON value.
    pub(crate) fn new(json: &'a str) -> Option<Self> {
        json.starts_with(|c: char| c == '-' || c.is_ascii_digit()).then_some(Self(json))
    }

    /// Returns the nearest double, or an infinity.
    pub(crate) fn as_f64(self) -> f64 {
        // Each JSON number is in the syntax of Rust.
        self.0.parse().unwrap_or(f64::NAN)
    }

    /// Returns whether the literal has neither a fraction nor an exponent.
    pub(crate) fn is_plain(self) -> bool {
        !self.0.contains(['.', 'e', 'E'])
    }

    /// Classifies the value exactly, whatever its notation: `1.0`, `10e-1` and `1` are the same integer.
    pub(crate) fn integer(self) -> Integer {
        // The common case. 2^53 has 16 digits.
        if self.0.len() < 16 && self.is_plain() {
            return Integer::Exact;
        }
        let unsigned = self.0.trim_start_matches('-');
        let (digits, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        // The value is `significant` times ten to the `zeros`; `significant` neither starts nor ends with a zero.
        let all = format!("{whole}{fraction}");
        let significant = all.trim_start_matches('0').trim_end_matches('0');
        if significant.is_empty() {
            return Integer::Exact;
        }
        let trailing_zeros = all.len() - all.trim_end_matches('0').len();
        let zeros = parse_exponent(exponent) + to_i64(trailing_zeros) - to_i64(fraction.len());
        let Ok(zeros) = usize::try_from(zeros) else { return Integer::Fraction };
        if significant.len().saturating_add(zeros) > 16 {
            return Integer::Large;
        }
        match format!("{significant}{}", "0".repeat(zeros)).parse::<u64>() {
            Ok(size) if size <= MAX_EXACT => Integer::Exact,
            _ => Integer::Large,
        }
    }
}

/// Parses an exponent. One that is too long becomes far larger than any number of digits.
fn parse_exponent(text: &str) -> i64 {
    const LARGE: i64 = i64::MAX / 4;
    let parsed = text.parse::<i64>().unwrap_or(if text.starts_with('-') { -LARGE } else { LARGE });
    parsed.clamp(-LARGE, LARGE)
}

fn to_i64(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX / 4)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;

    fn integer(json: &str) -> Integer {
        Literal::new(json).unwrap().integer()
    }

    #[test]
    fn integers_are_recognized_in_any_notation() {
        for text in ["0", "-0", "0.0", "-0e5", "0e99999999999999999999", "25.0", "10e-1", "-1.50e1", "9007199254740992"] {
            assert_eq!(integer(text), Integer::Exact, "{text}");
        }
        for text in ["9007199254740993", "-9007199254740993", "9007199254740993.0", "9.007199254740993e15", "1e17", "1E400"]
        {
            assert_eq!(integer(text), Integer::Large, "{text}");
        }
        // The nearest double of each is an integer, but the value is not.
        for text in ["1.5", "1e-1", "1.00000000000000000001", "4503599627370496.5", "1e-99999999999999999999"] {
            assert_eq!(integer(text), Integer::Fraction, "{text}");
        }
    }

    #[test]
    fn values_other_than_numbers_are_no_literals() {
        for json in ["null", "true", "\"1\"", "[1]", "{}"] {
            assert!(Literal::new(json).is_none(), "{json}");
        }
    }

    proptest! {
        #[test]
        fn every_notation_of_an_integer_has_its_class(n in any::<i64>(), zeros in 0_usize..6, exact: bool) {
            let n = if exact { n >> 11 } else { n };
            let expected = if n.unsigned_abs() <= MAX_EXACT { Integer::Exact } else { Integer::Large };
            let padding = "0".repeat(zeros);
            for text in [n.to_string(), format!("{n}.{padding}0"), format!("{n}{padding}e-{zeros}"), format!("{n}E+0")] {
                prop_assert_eq!(integer(&text), expected, "{}", text);
            }
            prop_assert_eq!(integer(&format!("{n}.{padding}5")), Integer::Fraction);
        }

        #[test]
        fn literals_are_read_as_by_the_json_parser(v in any::<f64>().prop_filter("finite", |v| v.is_finite())) {
            let text = serde_json::to_string(&v).unwrap();
            prop_assert_eq!(Literal::new(&text).unwrap().as_f64().to_bits(), v.to_bits());
        }
    }
}
