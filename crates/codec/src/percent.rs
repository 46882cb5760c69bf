//! Percent-encoding (RFC 3986, 2.1): decoding of one escape.

/// Decodes the two hexadecimal digits after a `%`, of either case. Returns `None` if `after` does not start with two digits.
pub fn decode_escape(after: &[u8]) -> Option<u8> {
    let digit = |index: usize| char::from(*after.get(index)?).to_digit(16);
    u8::try_from(digit(0)? << 4 | digit(1)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_is_exactly_two_hex_digits() {
        assert_eq!([&b"e2%82"[..], b"E2", b"00", b"fF"].map(decode_escape), [Some(0xe2), Some(0xe2), Some(0), Some(0xff)]);
        // A sign is not a digit, although an integer parser would accept it.
        assert_eq!([&b"+5"[..], b"-5", b"g0", b"2", b"", b" 2"].map(decode_escape), [None; 6]);
    }
}
