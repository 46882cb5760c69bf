//! Hiding VINs in log lines: a net below the types, which print without them.

use std::borrow::Cow;
use std::ops::Range;

use roadcast_codec::percent;

/// What stands for a VIN.
const HIDDEN: &str = "(vin)";
const VIN_BYTES: usize = 17;

/// A text of JSON, with each VIN in its strings hidden.
pub(super) fn hidden(json: &str) -> Cow<'_, str> {
    let vins = vins(json.as_bytes());
    if vins.is_empty() {
        return Cow::Borrowed(json);
    }
    let mut text = String::with_capacity(json.len());
    let mut from = 0;
    for vin in vins {
        text.push_str(&json[from..vin.start]);
        text.push_str(HIDDEN);
        from = vin.end;
    }
    text.push_str(&json[from..]);
    Cow::Owned(text)
}

/// Where there are words of the form of a VIN. Numbers stay as they are: without their digits they would be no JSON.
fn vins(json: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let (mut place, mut word, mut in_string) = (0, 0, false);
    while let Some(byte) = json.get(place) {
        let bytes_between = match byte {
            letter_or_digit if letter_or_digit.is_ascii_alphanumeric() => {
                place += 1;
                continue;
            }
            // The letters and digits of an escape are no part of the word behind it.
            b'\\' if json.get(place + 1) == Some(&b'u') => 6,
            b'\\' => 2,
            b'%' if percent::escaped(&json[place + 1..]).is_some() => 3,
            _ => 1,
        };
        if in_string && is_like_a_vin(&json[word..place]) {
            found.push(word..place);
        }
        in_string ^= *byte == b'"';
        place += bytes_between;
        word = place;
    }
    found
}

/// 17 letters and digits, I, O and Q not among them, in whatever case. A check digit is not asked for: a VIN with a typing error
/// names a vehicle still. 17 digits are a number, and 17 letters are a word: no VIN is either.
fn is_like_a_vin(word: &[u8]) -> bool {
    word.len() == VIN_BYTES
        && word.iter().any(u8::is_ascii_digit)
        && word.iter().any(u8::is_ascii_alphabetic)
        && !word.iter().any(|byte| matches!(byte.to_ascii_uppercase(), b'I' | b'O' | b'Q'))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::*;

    const VIN: &str = "WVWZZZ3CZEE140287";

    #[test]
    fn a_vin_is_hidden_wherever_it_stands_in_a_text() {
        for around in
            ["VIN", "vin:VIN", "vin_VIN,", "\"VIN\"", "\nVIN\t", "\u{1}VIN", "vin%3AVIN", "é VIN é", "a\\VIN", "50%VIN"]
        {
            let told = json!({ "message": around.replace("VIN", VIN), "count": 1 }).to_string();
            let hidden: Value = serde_json::from_str(&hidden(&told)).unwrap();
            assert_eq!(hidden, json!({ "message": around.replace("VIN", HIDDEN), "count": 1 }), "{around}");
        }
    }

    #[test]
    fn several_are_hidden_in_whatever_case_and_with_a_wrong_check_digit() {
        let told = json!(format!("{VIN} {} 1M8GDM9A1KP042788", VIN.to_lowercase())).to_string();
        assert_eq!(hidden(&told), "\"(vin) (vin) (vin)\"");
    }

    #[test]
    fn what_else_is_in_a_log_line_stays_as_it_is() {
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
        assert!(matches!(hidden(&line.to_string()), Cow::Borrowed(_)), "{}", hidden(&line.to_string()));
        // Outside of strings nothing is hidden, whatever it looks like.
        assert!(matches!(hidden("{\"n\":2345678901234E123}"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_text_that_ends_anywhere_is_taken() {
        let told = json!({ "message": format!("é\n\u{1} %3A {VIN}") }).to_string();
        for end in (0..=told.len()).filter(|end| told.is_char_boundary(*end)) {
            assert!(hidden(&told[..end]).len() <= end);
        }
    }
}
