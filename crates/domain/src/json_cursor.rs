//! Reads JSON of the usual form from the front of a text: what most senders write. Whatever has another form is left to a general
//! parser.

/// What remains of a text. Each method reads one thing and returns `None` if the text continues in another way. Then the whole
/// text is read by the general parser, so that nothing of it is lost.
#[derive(Copy, Clone)]
pub struct Cursor<'a> {
    text: &'a str,
    /// The bytes not read yet: always from the boundary of a character on.
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// Creates a cursor at the start of a text.
    pub fn new(text: &'a str) -> Self {
        Self { text, rest: text.as_bytes() }
    }

    /// Returns the number of bytes read so far.
    pub fn position(&self) -> usize {
        self.text.len() - self.rest.len()
    }

    /// Returns the number of bytes up to this byte; `None` if it does not follow.
    pub fn distance_to(&self, byte: u8) -> Option<usize> {
        memchr::memchr(byte, self.rest)
    }

    /// Returns the text from `start` to this position.
    pub fn since(&self, start: usize) -> Option<&'a str> {
        self.text.get(start..self.position())
    }

    /// Skips whitespace.
    #[inline]
    pub fn skip_whitespace(&mut self) {
        // One comparison where no whitespace follows, as mostly.
        if self.rest.first().is_none_or(|byte| *byte > b' ') {
            return;
        }
        while let [b' ' | b'\n' | b'\r' | b'\t', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    /// Returns the next byte after whitespace.
    #[inline]
    pub fn peek(&mut self) -> Option<u8> {
        self.skip_whitespace();
        self.rest.first().copied()
    }

    /// Reads a byte after whitespace.
    #[inline]
    pub fn expect(&mut self, byte: u8) -> Option<()> {
        self.skip_whitespace();
        let (first, rest) = self.rest.split_first()?;
        (*first == byte).then(|| self.rest = rest)
    }

    /// Reads a byte after whitespace if it is the next one.
    #[inline]
    pub fn accept(&mut self, byte: u8) -> bool {
        self.expect(byte).is_some()
    }

    /// Returns whether only whitespace remains.
    pub fn is_at_end(&mut self) -> bool {
        self.peek().is_none()
    }

    /// Reads a word without quotes, such as `true`.
    pub fn word(&mut self, word: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(word.as_bytes())?;
        Some(())
    }

    /// Reads this text as a string.
    #[inline]
    pub fn exact_string(&mut self, text: &str) -> Option<()> {
        self.skip_whitespace();
        let [b'"', rest @ ..] = self.rest else { return None };
        let [b'"', rest @ ..] = rest.strip_prefix(text.as_bytes())? else { return None };
        self.rest = rest;
        Some(())
    }

    /// Reads a string without escapes.
    pub fn string(&mut self) -> Option<&'a str> {
        self.unchecked_string().filter(|text| is_plain(text))
    }

    /// Reads up to the end of a string that has no escapes. The caller must refuse a text with a backslash or a control
    /// character: then it is no string, or another one.
    pub fn unchecked_string(&mut self) -> Option<&'a str> {
        self.skip_whitespace();
        let [b'"', rest @ ..] = self.rest else { return None };
        let length = memchr::memchr(b'"', rest)?;
        let start = self.position() + 1;
        let text = self.text.get(start..start + length)?;
        self.rest = rest.get(length + 1..)?;
        Some(text)
    }

    /// Reads an object that has members. `read` gets the name of each, and reads its value. It must refuse a name that it does not
    /// know unless it [is plain](is_plain).
    pub fn object(&mut self, mut read: impl FnMut(&mut Self, &'a str) -> Option<()>) -> Option<()> {
        self.expect(b'{')?;
        loop {
            let name = self.unchecked_string()?;
            self.expect(b':')?;
            read(self, name)?;
            if !self.accept(b',') {
                break;
            }
        }
        self.expect(b'}')
    }

    /// Reads a number without an exponent and with at most [`MAX_DIGITS`] digits.
    #[inline]
    pub fn number(&mut self) -> Option<Decimal> {
        let unsigned = self.rest.strip_prefix(b"-");
        let (mut rest, mut digits) = (unsigned.unwrap_or(self.rest), 0);
        let has_leading_zero = rest.first() == Some(&b'0');
        let whole = read_digits(&mut rest, &mut digits);
        // A number has a digit before the point, and no leading zero.
        if whole == 0 || whole > 1 && has_leading_zero {
            return None;
        }
        let mut decimals = 0;
        if let [b'.', after @ ..] = rest {
            rest = after;
            decimals = read_digits(&mut rest, &mut digits);
            if decimals == 0 {
                return None;
            }
        }
        if whole + decimals > MAX_DIGITS || matches!(rest, [b'e' | b'E', ..]) {
            return None;
        }
        self.rest = rest;
        Some(Decimal { digits: if unsigned.is_some() { -digits } else { digits }, decimals: u8::try_from(decimals).ok()? })
    }
}

/// Returns whether a text between quotation marks stands for itself: it has no escapes and no control characters.
pub fn is_plain(text: &str) -> bool {
    // A fold instead of `all`, which the compiler vectorizes.
    text.bytes().fold(true, |is_plain, byte| is_plain & matches!(byte, b' '..=b'[' | b']'..))
}

/// Reads digits from the front of `rest` and appends them to `number`, which overflows after more than [`MAX_DIGITS`] digits.
/// Returns the number of digits.
#[inline]
fn read_digits(rest: &mut &[u8], number: &mut i64) -> usize {
    let before = rest.len();
    while let [digit @ b'0'..=b'9', after @ ..] = *rest {
        *number = number.wrapping_mul(10).wrapping_add(i64::from(digit - b'0'));
        *rest = after;
    }
    before - rest.len()
}

/// Maximum digits of a number of the usual form: every integer of at most 15 digits is exact as a double.
const MAX_DIGITS: usize = 15;

/// The powers of ten that a number of the usual form may have.
const POWERS: [f64; MAX_DIGITS + 1] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// The powers of ten by which a number is extended to the decimals of a grid.
const FACTORS: [i64; 10] = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000];

/// A decimal number: `digits` divided by ten to the `decimals`.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Decimal {
    /// The digits before and after the point, with the sign.
    pub digits: i64,
    /// The number of digits after the point.
    pub decimals: u8,
}

impl Decimal {
    /// Returns the nearest double.
    #[allow(clippy::cast_precision_loss)] // at most 15 digits
    #[inline]
    pub fn as_f64(self) -> f64 {
        // Both operands are exact, so that the division rounds correctly.
        self.digits as f64 / POWERS[usize::from(self.decimals)]
    }

    /// Returns the multiple of ten to the -`decimals` that equals the number, or `None` if there is none or it may not fit.
    #[inline]
    pub fn point(self, decimals: u8) -> Option<i64> {
        let missing = decimals.checked_sub(self.decimals)?;
        self.digits.checked_mul(*FACTORS.get(usize::from(missing))?)
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
