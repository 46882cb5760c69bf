use super::*;
use proptest::prelude::*;
use serde_json::json;

fn parse(event: &serde_json::Value) -> Result<(), (Reason, String)> {
    let text = event.to_string();
    let raw: &RawValue = serde_json::from_str(&text).unwrap();
    Envelope::parse(raw).map(|_| ()).map_err(|refusal| (refusal.reason, refusal.pointer.into()))
}

fn minimal() -> serde_json::Value {
    json!({"specversion": "1.0", "id": "1", "source": "urn:a", "type": "t", "time": "2020-01-01T00:00:00Z", "data": {}})
}

#[test]
fn invalid_attribute_is_reported_by_its_pointer() {
    assert_eq!(parse(&minimal()), Ok(()));
    for (attribute, value, reason) in [
        ("specversion", json!("0.3"), Reason::NotACloudEvent),
        ("id", json!(null), Reason::NotACloudEvent),
        ("id", json!(1), Reason::NotACloudEvent),
        ("source", json!(""), Reason::NotACloudEvent),
        ("type", json!(null), Reason::NotACloudEvent),
        ("time", json!(null), Reason::TimeMissing),
        ("time", json!("02/00/2090"), Reason::NotACloudEvent),
        ("datacontenttype", json!("text/xml"), Reason::DataInvalid),
        ("Bad_Name", json!("x"), Reason::NotACloudEvent),
        ("ext", json!({}), Reason::NotACloudEvent),
        ("data_base64", json!("AA=="), Reason::DataInvalid),
    ] {
        let mut event = minimal();
        event[attribute] = value;
        assert_eq!(parse(&event), Err((reason, format!("/{attribute}"))), "{event}");
    }
}

#[test]
fn attribute_that_is_given_twice_refuses_the_event() {
    let event = minimal().to_string();
    for (again, pointer) in [
        (r#""id":"1""#, "/id"),
        (r#""id":null"#, "/id"),
        (r#""\u0069d":"2""#, "/id"),
        (r#""data":{}"#, "/data"),
        (r#""time":"2020-01-01T00:00:00Z""#, "/time"),
        (r#""ext":1,"ext":1"#, "/ext"),
        (r#""a/b":1,"a/b":1"#, "/a~1b"),
        (r#""type":"t","source":"s""#, "/source"),
    ] {
        for text in [
            event.replacen('{', &format!("{{{again},"), 1),
            event.replace(r#""data":{}"#, &format!(r#""data":{{}},{again}"#)),
        ] {
            let refusal = Envelope::parse(serde_json::from_str(&text).unwrap()).unwrap_err();
            assert_eq!((refusal.reason, refusal.pointer.as_str()), (Reason::NotACloudEvent, pointer), "{text}");
        }
    }
}

#[test]
fn attributes_are_without_control_characters() {
    for text in ["a\0", "a\n", "a\u{7f}", "a\u{85}", "a\u{fffe}", "a\u{ffff}", "a\u{fdd0}", "a\u{10ffff}"] {
        for attribute in ["id", "source", "type", "subject", "ext"] {
            let mut event = minimal();
            event[attribute] = json!(text);
            assert_eq!(parse(&event), Err((Reason::NotACloudEvent, format!("/{attribute}"))), "{event}");
        }
    }
    let mut event = minimal();
    event["ext"] = json!("Größe \u{fffd} 😀");
    assert_eq!(parse(&event), Ok(()));
}

#[test]
fn names_of_extension_attributes_are_bounded() {
    let with_name = |length: usize| {
        let mut event = minimal();
        event["a".repeat(length)] = json!("x");
        parse(&event)
    };
    assert_eq!(with_name(64), Ok(()));
    assert_eq!(with_name(65), Err((Reason::NotACloudEvent, format!("/{}", "a".repeat(65)))));
    assert_eq!(with_name(100_000), Err((Reason::NotACloudEvent, String::new())), "the pointer is bounded, too");
}

#[test]
fn body_with_too_many_events_is_refused() {
    let body = |count: usize| format!("[{}]", vec!["{}"; count].join(","));
    assert_eq!(split_events_limited(&body(3), 3).unwrap().len(), 3);
    assert_eq!(split_events_limited(&body(4), 3).unwrap_err().reason, Reason::TooLarge);
    assert_eq!(split_events_limited(&body(100_000), 3).unwrap_err().reason, Reason::TooLarge);
    assert_eq!(split_events_limited("[{},{},{},", 3).unwrap_err().reason, Reason::NotJson);
    assert_eq!(split_events(&body(4)).unwrap().len(), 4);
}

#[test]
fn data_keeps_the_bytes_of_the_sender() {
    let text =
        r#"{"specversion":"1.0","id":"1","source":"urn:a","type":"t","time":"2020-01-01T00:00:00Z","data":{"x": 1.50e1 }}"#;
    let raw: &RawValue = serde_json::from_str(text).unwrap();
    let vid = VehicleId::from_random_bits(7);
    let written = Envelope::parse(raw).unwrap().to_json_with_subject(&vid).unwrap();
    assert!(written.contains(r#""data":{"x": 1.50e1 }"#), "{written}");
    assert!(written.contains(&format!(r#""subject":"{vid}""#)));
}

/// Each line is a CloudEvent, which Roadcast refuses only because of its additional requirements.
#[test]
fn examples_are_accepted_or_refused_as_stated() {
    for line in include_str!("examples.ndjson").lines() {
        let example: serde_json::Value = serde_json::from_str(line).unwrap();
        let found = match parse(&example["event"]) {
            Ok(()) => "accepted".to_owned(),
            Err((reason, pointer)) => format!("{} at {pointer}", reason.code()),
        };
        assert_eq!(found, example["expected"], "{}", example["case"]);
    }
}

proptest! {
    #[test]
    fn parser_does_not_panic_on_any_body(body in ".{0,200}") {
        if let Ok(events) = split_events(&body) {
            for event in events {
                let _ = Envelope::parse(event);
            }
        }
    }
}
