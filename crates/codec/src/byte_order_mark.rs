//! The byte order mark, which some programs write before JSON (RFC 8259, 8.1, allows to ignore it).

/// Returns the text without a byte order mark at its start.
pub fn without_byte_order_mark(text: &str) -> &str {
    text.strip_prefix('\u{FEFF}').unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_mark_at_the_start_is_removed() {
        assert_eq!(["\u{FEFF}{}", "{}", "{\u{FEFF}}", ""].map(without_byte_order_mark), ["{}", "{}", "{\u{FEFF}}", ""]);
        assert_eq!(without_byte_order_mark("\u{FEFF}\u{FEFF}{}"), "\u{FEFF}{}");
    }
}
