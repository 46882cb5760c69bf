//! CloudEvents in binary content mode: attributes in HTTP headers, data in the body.
//!
//! Source: CloudEvents 1.0.2, "HTTP Protocol Binding", 3.1.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use roadcast_domain::cloudevent::is_json;
use roadcast_domain::json_pointer::JsonPointer;
use roadcast_domain::refusal::{Reason, Refusal};

use crate::byte_order_mark::without_byte_order_mark;
use crate::percent;

/// The prefix of headers that contain attributes.
pub const HEADER_PREFIX: &str = "ce-";

/// Converts a request in binary mode to JSON of structured mode. `attributes` are the headers with [`HEADER_PREFIX`],
/// without the prefix.
pub fn from_binary_mode<'a>(
    attributes: impl Iterator<Item = (&'a str, &'a str)>,
    content_type: Option<&str>,
    body: &[u8],
) -> Result<String, Refusal> {
    let mut event = Map::new();
    for (name, value) in attributes {
        let invalid = |detail| Refusal::new(Reason::NotACloudEvent, [name], detail);
        let value = unquote(value).ok_or_else(|| invalid("the header has a quotation mark without its counterpart"))?;
        let value = percent_decode(&value).ok_or_else(|| invalid("the header is not percent-encoded UTF-8"))?;
        if event.insert(name.to_owned(), Value::String(value)).is_some() {
            return Err(invalid("the header is given more than once"));
        }
    }
    // The body and the Content-Type header provide these.
    for name in ["datacontenttype", "data", "data_base64"] {
        if event.contains_key(name) {
            let detail = format!("the header ce-{name} is not allowed: the body is the data, and Content-Type is its type");
            return Err(Refusal::new(Reason::NotACloudEvent, [name], detail));
        }
    }
    if let Some(content_type) = content_type {
        event.insert("datacontenttype".to_owned(), content_type.into());
    }
    if !body.is_empty() && !content_type.is_none_or(is_json) {
        event.insert("data_base64".to_owned(), STANDARD.encode(body).into());
        return Ok(Value::Object(event).to_string());
    }
    let mut json = Value::Object(event).to_string();
    if !body.is_empty() {
        let text = std::str::from_utf8(body)
            .map(without_byte_order_mark)
            .map_err(|_| Refusal::new(Reason::NotJson, JsonPointer::ROOT, "the body is not UTF-8"))?;
        let data: &RawValue = serde_json::from_str(text).map_err(|error| {
            let detail = format!("the body is not JSON at line {} column {}", error.line(), error.column());
            Refusal::new(Reason::NotJson, JsonPointer::ROOT, detail)
        })?;
        // The data is copied byte by byte, so that numbers keep all digits.
        json.truncate(json.len() - 1);
        let comma = if json.len() > 1 { "," } else { "" };
        json = format!("{json}{comma}\"data\":{}}}", data.get());
    }
    Ok(json)
}

/// Removes the quotation marks of a quoted value, and the backslash before each escaped character (HTTP binding, 3.1.3.2;
/// RFC 9110, 5.6.4). Returns `None` if the closing quotation mark is missing or followed by other text.
fn unquote(text: &str) -> Option<Cow<'_, str>> {
    let Some(quoted) = text.strip_prefix('"') else { return Some(Cow::Borrowed(text)) };
    let mut unquoted = String::with_capacity(quoted.len());
    let mut characters = quoted.chars();
    loop {
        match characters.next()? {
            '"' => return characters.as_str().is_empty().then_some(Cow::Owned(unquoted)),
            '\\' => unquoted.push(characters.next()?),
            character => unquoted.push(character),
        }
    }
}

/// Decodes a header value to the attribute value: UTF-8, in which any byte may be encoded as `%xx`.
fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first == b'%' {
            bytes.push(percent::decode_escape(after)?);
            rest = after.get(2..)?;
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;
    use roadcast_domain::cloudevent::{Data, Envelope};

    const HEADERS: [(&str, &str); 5] = [
        ("specversion", "1.0"),
        ("type", "roadcast.telemetry.v1"),
        ("time", "2018-04-05T03:56:24Z"),
        ("id", "1234-1234-1234"),
        ("source", "/mycontext/subcontext"),
    ];

    fn read(extra: &[(&str, &str)], content_type: Option<&str>, body: &[u8]) -> Result<String, (Reason, String)> {
        from_binary_mode(HEADERS.into_iter().chain(extra.iter().copied()), content_type, body)
            .map_err(|refusal| (refusal.reason, refusal.pointer.into()))
    }

    #[test]
    fn json_body_becomes_the_data_byte_by_byte() {
        for content_type in [Some("application/json"), Some("application/json; charset=utf-8"), None] {
            let json = read(&[("traceparent", "00-a-b-01")], content_type, b"{\"x\": 1.50e1 }").unwrap();
            let raw: &RawValue = serde_json::from_str(&json).unwrap();
            let envelope = Envelope::parse(raw).unwrap();
            assert_eq!((envelope.id.as_str(), envelope.source.as_str()), ("1234-1234-1234", "/mycontext/subcontext"));
            assert_eq!(envelope.extensions["traceparent"], "00-a-b-01");
            assert!(matches!(envelope.data, Data::Json(data) if data.get() == "{\"x\": 1.50e1 }"), "{json}");
        }
    }

    #[test]
    fn body_of_another_type_is_binary_data() {
        let json = read(&[], Some("application/vnd.roadcast.block"), b"\x00\xff").unwrap();
        let envelope = Envelope::parse(serde_json::from_str(&json).unwrap()).unwrap();
        assert!(matches!(&envelope.data, Data::Binary { base64, .. } if base64 == "AP8="), "{json}");
    }

    #[test]
    fn values_are_percent_decoded() {
        // The example of the specification.
        let json = read(&[("example", "Euro %E2%82%AC %F0%9F%98%80")], None, b"{}").unwrap();
        let envelope = Envelope::parse(serde_json::from_str(&json).unwrap()).unwrap();
        assert_eq!(envelope.extensions["example"], "Euro € 😀");
        for broken in ["%", "%E2%82", "%GG", "%+5"] {
            assert_eq!(read(&[("x", broken)], None, b"{}"), Err((Reason::NotACloudEvent, "/x".to_owned())), "{broken}");
        }
    }

    #[test]
    fn quoted_values_are_unescaped_before_percent_decoding() {
        for (header, value) in [
            (r#""a\"b""#, r#"a"b"#),
            (r#""a\\b""#, r"a\b"),
            (r#""a\b""#, "ab"),
            (r#""a\%22b""#, r#"a"b"#),
            (r#""a%5C%22b""#, r#"a\"b"#),
            (r"a\b", r"a\b"),
            (r#"a"b"#, r#"a"b"#),
            (r#""""#, ""),
        ] {
            let json = read(&[("example", header)], None, b"{}").unwrap();
            assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["example"], value, "{header}");
        }
        for header in [r#"""#, r#""a"#, r#""a\""#, r#""a"b"#, r#""a"b""#, r#""a\"#] {
            let refused = Err((Reason::NotACloudEvent, "/example".to_owned()));
            assert_eq!(read(&[("example", header)], None, b"{}"), refused, "{header}");
        }
    }

    #[test]
    fn attribute_given_twice_is_refused() {
        assert_eq!(read(&[("id", "1234-1234-1234")], None, b"{}"), Err((Reason::NotACloudEvent, "/id".to_owned())));
    }

    #[test]
    fn body_that_does_not_match_its_type_is_refused() {
        assert_eq!(read(&[], Some("application/json"), b"{"), Err((Reason::NotJson, String::new())));
        assert_eq!(read(&[], None, b"\xff"), Err((Reason::NotJson, String::new())));
        let named = read(&[("datacontenttype", "application/json")], None, b"{}");
        assert_eq!(named, Err((Reason::NotACloudEvent, "/datacontenttype".to_owned())));
    }

    fn envelope_of(event: &serde_json::Value) -> Result<(), Reason> {
        let text = event.to_string();
        Envelope::parse(serde_json::from_str(&text).unwrap()).map(|_| ()).map_err(|refusal| refusal.reason)
    }

    /// Each line is an event in binary mode; its result is the result of the same event in structured mode.
    #[test]
    fn examples_are_accepted_or_refused_in_both_modes() {
        for line in include_str!("cloudevents_http/examples.ndjson").lines() {
            let example: Value = serde_json::from_str(line).unwrap();
            let case = &example["case"];
            let texts = |name: &str| example[name].as_object().unwrap().clone();
            let headers = texts("attributes");
            let content_type = example["contentType"].as_str();
            let body = example["body"].as_str().unwrap();
            let attributes = headers.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap()));
            let binary = from_binary_mode(attributes, content_type, body.as_bytes()).unwrap();
            let mut structured = texts("attributes");
            structured.extend(content_type.map(|content_type| ("datacontenttype".to_owned(), content_type.into())));
            structured.extend(texts("structuredData"));

            let binary: Value = serde_json::from_str(&binary).unwrap();
            assert_eq!(binary, Value::Object(structured), "{case}");
            let found = envelope_of(&binary).map_or_else(Reason::code, |()| "accepted");
            assert_eq!(found, example["expected"], "{case}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_headers_and_bodies_never_panic(name in ".{0,9}", value in ".{0,20}", body: Vec<u8>) {
            if let Ok(json) = from_binary_mode([(name.as_str(), value.as_str())].into_iter(), Some(value.as_str()), &body) {
                prop_assert!(serde_json::from_str::<Value>(&json).is_ok());
            }
        }
    }
}
