//! Patterns of trouble codes.

use std::fmt;
use std::str::FromStr;

use roadcast_domain::diagnostic::Dtc;
use serde::{Serialize, Serializer};

/// The symbols that a code can have at each of its places (SAE J2012).
const SYMBOLS: [&str; 5] = ["PCBU", "0123", "0123456789ABCDEF", "0123456789ABCDEF", "0123456789ABCDEF"];

/// A pattern of trouble codes. Each of the five places is a symbol, `x` for any symbol, or a set in brackets, such as `P0[3]xx` or
/// `[PU]01[0-9A]x`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct DtcPattern {
    text: Box<str>,
    /// The symbols of each place, as bits by their index in [`SYMBOLS`].
    places: [u16; 5],
}

/// A text that is not a pattern of trouble codes.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a pattern has five places, each a symbol of a trouble code, x, or a set such as [0-3A], as in P0[3]xx")]
pub struct InvalidDtcPattern;

impl DtcPattern {
    /// Whether the pattern matches the code.
    pub fn matches(&self, code: &Dtc) -> bool {
        let has =
            |((symbols, allowed), symbol): ((&&str, &u16), u8)| bit(symbols, symbol).is_some_and(|bit| allowed & bit != 0);
        SYMBOLS.iter().zip(&self.places).zip(code.as_str().bytes()).all(has)
    }
}

/// Returns the bit of a symbol.
fn bit(symbols: &str, symbol: u8) -> Option<u16> {
    symbols.bytes().position(|other| other == symbol.to_ascii_uppercase()).map(|index| 1 << index)
}

/// Reads the symbols of a set, from the text after its bracket. Returns the bits and the text after the set.
fn read_set<'t>(symbols: &str, text: &'t str) -> Option<(u16, &'t str)> {
    let (set, after) = text.split_once(']')?;
    let mut bits = 0;
    let mut rest = set.as_bytes();
    while let [first, after @ ..] = rest {
        let first = bit(symbols, *first)?;
        if let [b'-', last, after @ ..] = after {
            let last = bit(symbols, *last).filter(|last| first <= *last)?;
            // All bits from the first to the last.
            bits |= (last | (last - 1)) & !(first - 1);
            rest = after;
        } else {
            bits |= first;
            rest = after;
        }
    }
    (bits != 0).then_some((bits, after))
}

impl FromStr for DtcPattern {
    type Err = InvalidDtcPattern;

    fn from_str(text: &str) -> Result<Self, InvalidDtcPattern> {
        let mut places = [0; 5];
        let mut rest = text;
        for (place, symbols) in places.iter_mut().zip(SYMBOLS) {
            let first = *rest.as_bytes().first().ok_or(InvalidDtcPattern)?;
            // The first byte is ASCII in every case that succeeds.
            let after = rest.get(1..).ok_or(InvalidDtcPattern)?;
            (*place, rest) = match first {
                b'x' | b'X' => (u16::MAX, after),
                b'[' => read_set(symbols, after).ok_or(InvalidDtcPattern)?,
                symbol => (bit(symbols, symbol).ok_or(InvalidDtcPattern)?, after),
            };
        }
        if rest.is_empty() { Ok(Self { text: text.into(), places }) } else { Err(InvalidDtcPattern) }
    }
}

impl fmt::Debug for DtcPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DtcPattern({})", self.text)
    }
}

impl Serialize for DtcPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, code: &str) -> bool {
        pattern.parse::<DtcPattern>().unwrap().matches(&code.parse().unwrap())
    }

    #[test]
    fn pattern_matches_codes_by_place() {
        for (pattern, code, expected) in [
            ("P0301", "P0301", true),
            ("P0301", "P0302", false),
            ("P0[3]xx", "P0301", true),
            ("P0[3]xx", "P0420", false),
            ("p03xx", "P03FF", true),
            ("[PU]0xxx", "U0100", true),
            ("[PU]0xxx", "C0100", false),
            ("P[0-2]xx[0-9A]", "P2FFA", true),
            ("P[0-2]xx[0-9A]", "P2FFB", false),
            ("P[0-2]xx[0-9A]", "P3FF0", false),
            ("xxxxx", "B1234", true),
        ] {
            assert_eq!(matches(pattern, code), expected, "{pattern} {code}");
        }
    }

    #[test]
    fn text_without_five_places_is_not_a_pattern() {
        for text in
            ["", "P03", "P03011", "P4301", "A0301", "P0[]01", "P0[3", "P0[9-3]01", "P0[3-]01", "P0[é]01", "éP030", "P030é"]
        {
            assert_eq!(text.parse::<DtcPattern>(), Err(InvalidDtcPattern), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_code_is_a_pattern_of_itself(raw: u16, other: u16) {
            let (code, other) = (Dtc::from_bytes(raw), Dtc::from_bytes(other));
            let pattern: DtcPattern = code.as_str().parse().unwrap();
            prop_assert!(pattern.matches(&code));
            prop_assert_eq!(pattern.matches(&other), code == other);
        }

        #[test]
        fn parser_does_not_panic_on_any_text(text in "[Px0-9\\[\\]\\-é]{0,12}") {
            let _ = text.parse::<DtcPattern>();
        }
    }
}
