//! Unsigned LEB128 numbers and length-prefixed UTF-8 texts.

/// The bytes are truncated, or a number does not fit its type.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are truncated or contain a number that does not fit its type")]
pub struct Malformed;

/// Appends a number, 7 bits per byte, the lowest bits first.
#[allow(clippy::cast_possible_truncation)] // seven bits at a time
pub fn write_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(0x80 | (number & 0x7F) as u8);
        number >>= 7;
    }
    out.push(number as u8 & 0x7F);
}

/// Appends the length of a text, then its UTF-8 bytes.
pub fn write_text(out: &mut Vec<u8>, text: &str) {
    write_number(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Reads values from the front of a byte slice.
pub struct Reader<'a>(
    /// The remaining bytes.
    pub &'a [u8],
);

impl<'a> Reader<'a> {
    /// Reads one byte.
    pub fn byte(&mut self) -> Result<u8, Malformed> {
        let (first, rest) = self.0.split_first().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*first)
    }

    /// Reads a number.
    pub fn number(&mut self) -> Result<u64, Malformed> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7F);
            if part << shift >> shift != part {
                return Err(Malformed);
            }
            number |= part << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Malformed)
    }

    /// Reads a count of values that take at least one byte each. Fails if the count exceeds the number of remaining bytes,
    /// so that the caller can safely allocate for it.
    pub fn count(&mut self) -> Result<usize, Malformed> {
        let count = usize::try_from(self.number()?).map_err(|_| Malformed)?;
        if count > self.0.len() { Err(Malformed) } else { Ok(count) }
    }

    /// Reads `length` bytes.
    pub fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    /// Reads a length-prefixed UTF-8 text.
    pub fn text(&mut self) -> Result<&'a str, Malformed> {
        let length = self.count()?;
        std::str::from_utf8(self.take(length)?).map_err(|_| Malformed)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_and_texts_round_trip(numbers: Vec<u64>, text: String) {
            let mut bytes = Vec::new();
            for number in &numbers {
                write_number(&mut bytes, *number);
            }
            write_text(&mut bytes, &text);
            let mut reader = Reader(&bytes);
            for number in numbers {
                prop_assert_eq!(reader.number().unwrap(), number);
            }
            prop_assert_eq!(reader.text().unwrap(), text);
            prop_assert!(reader.0.is_empty());
        }

        #[test]
        fn reading_arbitrary_bytes_never_panics(bytes: Vec<u8>) {
            let mut reader = Reader(&bytes);
            while reader.number().is_ok() {}
            let _ = Reader(&bytes).text();
        }
    }
}
