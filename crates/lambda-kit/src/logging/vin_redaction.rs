//! Redaction of VINs in log lines. This is a second line of defence: the types that hold VINs omit them from `Debug` and
//! `Display`.

use std::borrow::Cow;
use std::ops::Range;

use roadcast_codec::percent;
use roadcast_domain::vin::looks_like_vin;

/// Replaces a VIN.
const REPLACEMENT: &str = "(vin)";

/// Replaces each VIN in the strings of a JSON text.
pub(super) fn redact_vins(json: &str) -> Cow<'_, str> {
    let vins = find_vins(json.as_bytes());
    if vins.is_empty() {
        return Cow::Borrowed(json);
    }
    let mut text = String::with_capacity(json.len());
    let mut from = 0;
    for vin in vins {
        text.push_str(&json[from..vin.start]);
        text.push_str(REPLACEMENT);
        from = vin.end;
    }
    text.push_str(&json[from..]);
    Cow::Owned(text)
}

/// Returns the byte ranges of words in strings that have the form of a VIN. Numbers are skipped: replacing their digits
/// would make the line invalid JSON.
fn find_vins(json: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let (mut position, mut word_start, mut in_string) = (0, 0, false);
    while let Some(byte) = json.get(position) {
        let separator_len = match byte {
            letter_or_digit if letter_or_digit.is_ascii_alphanumeric() => {
                position += 1;
                continue;
            }
            // The letters and digits of an escape sequence are not part of the word after it.
            b'\\' if json.get(position + 1) == Some(&b'u') => 6,
            b'\\' => 2,
            b'%' if percent::decode_escape(&json[position + 1..]).is_some() => 3,
            _ => 1,
        };
        if in_string && looks_like_vin(&json[word_start..position]) {
            found.push(word_start..position);
        }
        in_string ^= *byte == b'"';
        position += separator_len;
        word_start = position;
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::*;

    const VIN: &str = "WVWZZZ3CZEE140287";

    #[test]
    fn vin_is_redacted_anywhere_in_a_string() {
        for template in
            ["VIN", "vin:VIN", "vin_VIN,", "\"VIN\"", "\nVIN\t", "\u{1}VIN", "vin%3AVIN", "é VIN é", "a\\VIN", "50%VIN"]
        {
            let text = json!({ "message": template.replace("VIN", VIN), "count": 1 }).to_string();
            let redacted: Value = serde_json::from_str(&redact_vins(&text)).unwrap();
            assert_eq!(redacted, json!({ "message": template.replace("VIN", REPLACEMENT), "count": 1 }), "{template}");
        }
    }

    #[test]
    fn several_vins_of_either_case_and_any_check_digit_are_redacted() {
        let text = json!(format!("{VIN} {} 1M8GDM9A1KP042788", VIN.to_lowercase())).to_string();
        assert_eq!(redact_vins(&text), "\"(vin) (vin) (vin)\"");
    }

    #[test]
    fn other_content_of_a_line_is_unchanged() {
        let line = json!({
            "vid": "veh_0123456789ABCDEF",
            "eid": "01JCNV2E8ZWVWZZZ3CZEE14028",
            "request_id": "8f0c5c2e-1f7b-4f5d-9a51-0c8e7c1f8f10",
            "trace_id": "1-5759e988-bd862e3fe1be46a994272793",
            "shard": "shardId-000000000000:49590338271490256608559692538361571095921575989136588898",
            "number": "12345678901234567",
            "word": "EXTRAVAGANTEREDEN",
            "duration_ms": 1.234_567_890_123_456_7,
            "large": 1.234_567_890_123_45e17,
        });
        assert!(matches!(redact_vins(&line.to_string()), Cow::Borrowed(_)), "{}", redact_vins(&line.to_string()));
        // Nothing is redacted outside of strings.
        assert!(matches!(redact_vins("{\"n\":2345678901234E123}"), Cow::Borrowed(_)));
    }

    #[test]
    fn truncated_text_is_accepted() {
        let text = json!({ "message": format!("é\n\u{1} %3A {VIN}") }).to_string();
        for end in (0..=text.len()).filter(|end| text.is_char_boundary(*end)) {
            assert!(redact_vins(&text[..end]).len() <= end);
        }
    }
}
