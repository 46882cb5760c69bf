//! Which characters a text may have.

/// Returns whether a text has a character that Roadcast accepts in no text: a control character other than tab, line feed
/// and carriage return, or a noncharacter of Unicode.
///
/// SQS refuses a message with a control character, U+FFFE or U+FFFF, and a component that parses and writes JSON can replace
/// the escape of a character by the character. Interoperable JSON has no noncharacter (RFC 7493, 2.1).
pub fn has_forbidden_character(text: &str) -> bool {
    text.chars().any(|c| is_noncharacter(c) || matches!(c, '\0'..='\u{1F}') && !matches!(c, '\t' | '\n' | '\r'))
}

/// Returns whether a character is one of the 66 that Unicode never assigns: U+FDD0 to U+FDEF, and two of each plane.
pub fn is_noncharacter(c: char) -> bool {
    matches!(c, '\u{FDD0}'..='\u{FDEF}') || u32::from(c) & 0xFFFE == 0xFFFE
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What SQS accepts, as `SendMessage` documents it.
    fn is_accepted_by_sqs(c: char) -> bool {
        matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..='\u{10FFFF}')
    }

    #[test]
    fn unicode_has_66_noncharacters() {
        assert_eq!(('\0'..=char::MAX).filter(|c| is_noncharacter(*c)).count(), 66);
    }

    #[test]
    fn controls_and_noncharacters_are_forbidden() {
        for text in ["\0", "a\u{1}", "\u{1F}b", "\u{FFFE}", "\u{FFFF}", "\u{FDD0}", "\u{1FFFF}", "\u{10FFFE}"] {
            assert!(has_forbidden_character(text), "{text:?}");
        }
        for text in ["", "\t\r\n", "\u{7F}", "\u{85}", "Größe", "\u{FFFD}", "\u{E000}", "\u{FDF0}", "😀"] {
            assert!(!has_forbidden_character(text), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_sqs_refuses_is_forbidden(c: char) {
            prop_assert!(is_accepted_by_sqs(c) || has_forbidden_character(&c.to_string()));
        }
    }
}
