//! Excerpts of response bodies.

use roadcast_ports::webhooks::WebhookRequest;

/// Returns the first characters of a body, for people; `None` if it is empty. Characters that control a terminal or the order
/// of text are replaced by a space.
pub(crate) fn excerpt(body: &[u8]) -> Option<String> {
    // No character has more than four bytes. Bytes that are no UTF-8 become U+FFFD.
    let start = &body[..body.len().min(WebhookRequest::MAX_EXCERPT * 4)];
    let text = String::from_utf8_lossy(start);
    let printable = text.chars().map(|c| if is_control(c) { ' ' } else { c });
    let excerpt: String = printable.take(WebhookRequest::MAX_EXCERPT).collect();
    let excerpt = excerpt.trim();
    (!excerpt.is_empty()).then(|| excerpt.to_owned())
}

/// Whether a character has no shape of its own: control characters, zero-width characters and those of bidirectional text.
fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: impl AsRef<[u8]>, expected: Option<&str>) {
        assert_eq!(excerpt(body.as_ref()).as_deref(), expected);
    }

    #[test]
    fn body_is_shortened_to_256_characters() {
        check("é".repeat(256), Some(&"é".repeat(256)));
        check("é".repeat(257), Some(&"é".repeat(256)));
        check("\u{1f600}".repeat(5000), Some(&"\u{1f600}".repeat(256)));
    }

    #[test]
    fn control_characters_are_replaced() {
        check("<html>\r\n\t<p>no\u{1b}[31m\u{202e}\0", Some("<html>   <p>no [31m"));
        check("a\u{200b}b\u{feff}c\u{85}d", Some("a b c d"));
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        check([b'a', 0xff, b'b'], Some("a\u{fffd}b"));
    }

    #[test]
    fn empty_body_has_no_excerpt() {
        check("", None);
        check(" \r\n ", None);
    }
}
