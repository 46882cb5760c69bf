//! Reads JSON of the usual form from the front of a text.

/// What remains of a text. Each method reads one thing and returns `None` if the text continues in another way. Then the whole
/// text is read by the general parser, so that nothing of it is lost.
#[derive(Copy, Clone)]
pub(crate) struct Cursor<'a> {
    text: &'a str,
    /// The bytes read so far: always at the boundary of a character.
    position: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, position: 0 }
    }

    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.position..).unwrap_or_default()
    }

    /// Returns the number of bytes read so far.
    pub(crate) fn position(&self) -> usize {
        self.position
    }

    /// Returns the text from `start` to this position.
    pub(crate) fn since(&self, start: usize) -> Option<&'a str> {
        self.text.get(start..self.position)
    }

    /// Skips whitespace.
    #[inline]
    pub(crate) fn skip_whitespace(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.rest().first() {
            self.position += 1;
        }
    }

    /// Returns the next byte after whitespace.
    #[inline]
    pub(crate) fn peek(&mut self) -> Option<u8> {
        self.skip_whitespace();
        self.rest().first().copied()
    }

    /// Reads a byte after whitespace.
    #[inline]
    pub(crate) fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.position += 1)
    }

    /// Reads a byte after whitespace if it is the next one.
    #[inline]
    pub(crate) fn accept(&mut self, byte: u8) -> bool {
        self.expect(byte).is_some()
    }

    /// Returns whether only whitespace remains.
    pub(crate) fn is_at_end(&mut self) -> bool {
        self.peek().is_none()
    }

    /// Reads a word without quotes, such as `true`.
    pub(crate) fn word(&mut self, word: &str) -> Option<()> {
        self.rest().starts_with(word.as_bytes()).then(|| self.position += word.len())
    }

    /// Reads this text as a string.
    #[inline]
    pub(crate) fn exact_string(&mut self, text: &str) -> Option<()> {
        self.skip_whitespace();
        let [b'"', rest @ ..] = self.rest() else { return None };
        let is_next = rest.starts_with(text.as_bytes()) && rest.get(text.len()) == Some(&b'"');
        is_next.then(|| self.position += text.len() + 2)
    }

    /// Reads a string without escapes.
    pub(crate) fn string(&mut self) -> Option<&'a str> {
        self.skip_whitespace();
        let [b'"', rest @ ..] = self.rest() else { return None };
        let length = memchr::memchr(b'"', rest)?;
        let start = self.position + 1;
        let text = self.text.get(start..start + length)?;
        // The count of all, unlike `any`, is vectorized by the compiler.
        let special = text.bytes().map(|byte| usize::from(byte < b' ') + usize::from(byte == b'\\')).sum::<usize>();
        self.position = start + length + 1;
        (special == 0).then_some(text)
    }

    /// Reads a number without an exponent and with at most [`MAX_DIGITS`] digits.
    #[inline]
    pub(crate) fn number(&mut self) -> Option<Decimal> {
        let rest = self.rest();
        let is_negative = rest.first() == Some(&b'-');
        let mut at = usize::from(is_negative);
        let first_digit = at;
        let mut digits = 0_i64;
        while let Some(digit) = rest.get(at).map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit < 10) {
            digits = digits.wrapping_mul(10).wrapping_add(i64::from(digit));
            at += 1;
        }
        let whole = at - first_digit;
        // A number has a digit before the point, and no leading zero.
        if whole == 0 || whole > 1 && rest.get(first_digit) == Some(&b'0') {
            return None;
        }
        let mut decimals = 0;
        if rest.get(at) == Some(&b'.') {
            at += 1;
            let first_decimal = at;
            while let Some(digit) = rest.get(at).map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit < 10) {
                digits = digits.wrapping_mul(10).wrapping_add(i64::from(digit));
                at += 1;
            }
            decimals = at - first_decimal;
            if decimals == 0 {
                return None;
            }
        }
        if whole + decimals > MAX_DIGITS || matches!(rest.get(at), Some(b'e' | b'E')) {
            return None;
        }
        self.position += at;
        Some(Decimal { digits: if is_negative { -digits } else { digits }, decimals: u8::try_from(decimals).ok()? })
    }
}

/// Maximum digits of a number of the usual form: every integer of at most 15 digits is exact as a double.
const MAX_DIGITS: usize = 15;

/// The powers of ten that a number of the usual form may have.
const POWERS: [f64; MAX_DIGITS + 1] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// A decimal number: `digits` divided by ten to the `decimals`.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decimal {
    pub(crate) digits: i64,
    pub(crate) decimals: u8,
}

impl Decimal {
    /// Returns the nearest double.
    #[allow(clippy::cast_precision_loss)] // at most 15 digits
    pub(crate) fn as_f64(self) -> f64 {
        // Both operands are exact, so that the division rounds correctly.
        self.digits as f64 / POWERS[usize::from(self.decimals)]
    }

    /// Returns the multiple of ten to the -`decimals` that equals the number, or `None` if there is none or it may not fit.
    pub(crate) fn point(self, decimals: u8) -> Option<i64> {
        let missing = decimals.checked_sub(self.decimals)?;
        self.digits.checked_mul(10_i64.checked_pow(u32::from(missing))?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_are_read_as_by_the_standard_library(text in "-?(0|[1-9][0-9]{0,9})([.][0-9]{1,6})?") {
            let mut cursor = Cursor::new(&text);
            if let Some(number) = cursor.number() {
                prop_assert!(cursor.is_at_end());
                // The sum makes a negative zero positive.
                let bits = |number: f64| (number + 0.0).to_bits();
                prop_assert_eq!(bits(number.as_f64()), bits(text.parse().unwrap()));
                let point = number.point(6).unwrap();
                prop_assert_eq!(bits(format!("{point}e-6").parse().unwrap()), bits(number.as_f64()));
            } else {
                prop_assert!(text.trim_matches(|c: char| !c.is_ascii_digit()).len() > MAX_DIGITS);
            }
        }

        #[test]
        fn what_is_no_json_number_is_not_read(text in "[-+.0-9eE]{1,6}") {
            let mut cursor = Cursor::new(&text);
            if cursor.number().is_some() && cursor.is_at_end() {
                prop_assert!(serde_json::from_str::<f64>(&text).is_ok(), "{}", text);
            }
        }

        #[test]
        fn strings_are_read_as_by_serde(text in "\"[ -~é\\\\\t]{0,8}\"?") {
            if let Some(string) = Cursor::new(&text).string() {
                let mut stream = serde_json::Deserializer::from_str(&text).into_iter::<String>();
                prop_assert_eq!(stream.next().unwrap().unwrap(), string);
            }
        }
    }
}
