//! Texts of bounded length without personal data, from texts of other systems.

use roadcast_domain::dead_letter::DeadLetter;
use roadcast_domain::vin::looks_like_vin;

/// The largest length of a code, in bytes.
const MAX_CODE: usize = 64;
const REDACTED: &str = "(vin)";

/// Returns a text as a pointer, of at most [`MAX_POINTER`](DeadLetter::MAX_POINTER) bytes.
pub(super) fn pointer(text: &str) -> String {
    // Before the text is cut: a part of a VIN would not be found.
    let mut text = without_vins(text);
    text.truncate(text.floor_char_boundary(DeadLetter::MAX_POINTER));
    text
}

/// Returns a text as the detail of a letter, of at most [`MAX_DETAIL`](DeadLetter::MAX_DETAIL) characters; `None` if it is
/// empty.
pub(super) fn detail(text: &str) -> Option<String> {
    let text: String = without_vins(text.trim()).chars().take(DeadLetter::MAX_DETAIL).collect();
    (!text.is_empty()).then_some(text)
}

/// Returns the name of a condition or an error as a code: `RetryAttemptsExhausted` is `retry_attempts_exhausted`.
pub(super) fn code(name: &str) -> Option<String> {
    let mut code = String::new();
    let mut after_lower_case = false;
    for symbol in name.bytes().take(MAX_CODE / 2) {
        if symbol.is_ascii_uppercase() && after_lower_case {
            code.push('_');
        }
        after_lower_case = symbol.is_ascii_lowercase() || symbol.is_ascii_digit();
        code.push(if symbol.is_ascii_alphanumeric() { char::from(symbol.to_ascii_lowercase()) } else { '_' });
    }
    (!code.is_empty()).then_some(code)
}

/// Returns the last part of an ARN, after `separator`: the name of a resource.
pub(super) fn name_in_arn(arn: &str, separator: char) -> &str {
    arn.rsplit(separator).next().unwrap_or(arn)
}

/// Replaces each word that has the form of a VIN.
fn without_vins(text: &str) -> String {
    let mut redacted = String::with_capacity(text.len());
    for word in text.split_inclusive(|symbol: char| !symbol.is_ascii_alphanumeric()) {
        let letters = word.trim_end_matches(|symbol: char| !symbol.is_ascii_alphanumeric());
        if looks_like_vin(letters.as_bytes()) {
            redacted.push_str(REDACTED);
            redacted.push_str(&word[letters.len()..]);
        } else {
            redacted.push_str(word);
        }
    }
    redacted
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn code_is_in_snake_case() {
        for (name, expected) in [
            ("RetryAttemptsExhausted", "retry_attempts_exhausted"),
            ("NO_PERMISSIONS", "no_permissions"),
            ("KinesisAction", "kinesis_action"),
            ("a b", "a_b"),
        ] {
            assert_eq!(code(name).as_deref(), Some(expected));
        }
        assert_eq!(code(""), None);
    }

    #[test]
    fn detail_has_no_vin_and_is_not_empty() {
        assert_eq!(detail("on vin:WVWZZZ3CZEE140287, again").as_deref(), Some("on vin:(vin), again"));
        assert_eq!(detail("  "), None);
    }

    proptest! {
        #[test]
        fn texts_are_bounded_whatever_they_contain(text in "\\PC{0,700}") {
            prop_assert!(detail(&text).is_none_or(|detail| detail.chars().count() <= DeadLetter::MAX_DETAIL));
            prop_assert!(pointer(&text).len() <= DeadLetter::MAX_POINTER);
            prop_assert!(code(&text).is_none_or(|code| code.len() <= MAX_CODE));
        }
    }
}
