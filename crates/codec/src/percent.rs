//! Percent-encoding (RFC 3986, 2.1): the one step that every reader of it takes.

/// The byte of an escape, by what follows its `%`: two hex digits, in whatever case.
pub fn escaped(after: &[u8]) -> Option<u8> {
    let digit = |place: usize| char::from(*after.get(place)?).to_digit(16);
    u8::try_from(digit(0)? << 4 | digit(1)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escape_is_two_hex_digits_and_nothing_else() {
        assert_eq!([&b"e2%82"[..], b"E2", b"00", b"fF"].map(escaped), [Some(0xe2), Some(0xe2), Some(0), Some(0xff)]);
        // A sign is none, though a parser of numbers takes it.
        assert_eq!([&b"+5"[..], b"-5", b"g0", b"2", b"", b" 2"].map(escaped), [None; 6]);
    }
}
