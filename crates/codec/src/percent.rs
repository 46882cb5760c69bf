//! Percent-encoding (RFC 3986, 2.1): decoding of one escape, and of values that are encoded like those of a form.

/// Decodes the two hexadecimal digits after a `%`, of either case. Returns `None` if `after` does not start with two digits.
pub fn decode_escape(after: &[u8]) -> Option<u8> {
    let digit = |index: usize| char::from(*after.get(index)?).to_digit(16);
    u8::try_from(digit(0)? << 4 | digit(1)?).ok()
}

/// Decodes a text that is encoded like the value of a form: `+` is a space, `%` and two hex digits are a byte. S3 encodes the
/// keys in its notifications like this. Invalid escapes are unchanged.
pub fn decode_form_value(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        let escaped = if *first == b'%' { decode_escape(after) } else { None };
        match (first, escaped) {
            (_, Some(byte)) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            (b'+', None) => bytes.push(b' '),
            (byte, None) => bytes.push(*byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn form_value_keeps_invalid_escapes() {
        assert_eq!(decode_form_value("a+%C3%A9"), "a é");
        assert_eq!(decode_form_value("a%2"), "a%2");
        assert_eq!(decode_form_value("100%+%zz%"), "100% %zz%");
    }

    #[test]
    fn escape_is_exactly_two_hex_digits() {
        assert_eq!([&b"e2%82"[..], b"E2", b"00", b"fF"].map(decode_escape), [Some(0xe2), Some(0xe2), Some(0), Some(0xff)]);
        // A sign is not a digit, although an integer parser would accept it.
        assert_eq!([&b"+5"[..], b"-5", b"g0", b"2", b"", b" 2"].map(decode_escape), [None; 6]);
    }
}
