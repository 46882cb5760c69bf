//! Reads envelopes of the usual form in one pass: as Kinesis sends them, with each member once, no escapes, and no other objects.
//!
//! Whatever differs is read by the general parser, which gives the same result for the same text.

use std::borrow::Cow;

use roadcast_domain::json_cursor::{Cursor, is_plain};

use super::{DecodedRecord, Envelope, Inner};

/// Decodes the record of an envelope. Returns `None` if it does not have the usual form, or its data is not base64.
pub(super) fn decode(envelope: &str) -> Option<DecodedRecord> {
    let decoded = read(envelope)?.decode();
    decoded.is_readable.then_some(decoded)
}

fn read(envelope: &str) -> Option<Envelope<'_>> {
    let mut cursor = Cursor::new(envelope);
    let (mut event_id, mut kinesis) = (None, None);
    cursor.object(|cursor, name| match name {
        "eventID" => set(&mut event_id, cursor.string()?),
        "kinesis" => set(&mut kinesis, read_inner(cursor)?),
        _ => skip(name, cursor),
    })?;
    let event_id = Cow::Borrowed(event_id.unwrap_or_default());
    cursor.is_at_end().then_some(Envelope { event_id, kinesis: kinesis? })
}

fn read_inner<'a>(cursor: &mut Cursor<'a>) -> Option<Inner<'a>> {
    let (mut partition_key, mut sequence_number, mut data, mut arrival) = (None, None, None, None);
    cursor.object(|cursor, name| match name {
        "partitionKey" => set(&mut partition_key, cursor.string()?),
        "sequenceNumber" => set(&mut sequence_number, cursor.string()?),
        // A text with an escape or a control character is not base64.
        "data" => set(&mut data, cursor.unchecked_string()?),
        "approximateArrivalTimestamp" => {
            cursor.skip_whitespace();
            set(&mut arrival, cursor.number()?.as_f64())
        }
        _ => skip(name, cursor),
    })?;
    Some(Inner {
        partition_key: Cow::Borrowed(partition_key.unwrap_or_default()),
        sequence_number: Cow::Borrowed(sequence_number.unwrap_or_default()),
        data: Cow::Borrowed(data?),
        approximate_arrival_timestamp: arrival,
    })
}

/// Reads a member that is not needed.
fn skip(name: &str, cursor: &mut Cursor<'_>) -> Option<()> {
    cursor.string().filter(|_| is_plain(name)).map(|_| ())
}

/// Sets the value of a member. Returns `None` if it has one.
fn set<T>(slot: &mut Option<T>, value: T) -> Option<()> {
    slot.replace(value).is_none().then_some(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn envelope() -> Value {
        json!({
            "eventID": "shardId-000000000006:4959",
            "eventSource": "aws:kinesis",
            "kinesis": {
                "partitionKey": "key",
                "sequenceNumber": "4959",
                "data": "eyJpZCI6ImEifQ==",
                "approximateArrivalTimestamp": 1_795_162_507.477,
            },
        })
    }

    fn is_usual(envelope: &Value) -> bool {
        decode(&envelope.to_string()).is_some()
    }

    #[test]
    fn envelope_as_kinesis_sends_it_has_the_usual_form() {
        assert!(is_usual(&envelope()));
        assert!(decode(&serde_json::to_string_pretty(&envelope()).unwrap()).is_some());
        let fixture: Value = serde_json::from_str(include_str!("../../tests/fixtures/kinesis-batch.json")).unwrap();
        assert!(is_usual(&fixture["Records"][0]));
    }

    /// Values of members of the usual form and of other forms.
    const VALUES: [&str; 12] = [
        "\"eyJpZCI6ImEifQ==\"",
        "\"shard:1\"",
        "\"\"",
        "\"\\u0065yJpZCI6ImEifQ==\"",
        "\"a\\\"b\"",
        "\"é\"",
        "1795162507.477",
        "1.795162507477e9",
        "-12345678901234567890",
        "null",
        "[{}]",
        "{\"data\": \"\", \"data\": \"\"}",
    ];
    const NAMES: [&str; 6] =
        ["partitionKey", "sequenceNumber", "data", "approximateArrivalTimestamp", "kinesisSchemaVersion", "dat\\u0061"];

    fn object(members: &[(usize, usize)], names: &[&str], data: &str) -> String {
        let member = |(name, value): &(usize, usize)| format!("\"{}\": {}", names[*name], VALUES[*value]);
        let members: Vec<String> =
            members.iter().map(member).chain([data.to_owned()]).filter(|member| !member.is_empty()).collect();
        format!("{{{}}}", members.join(", "))
    }

    proptest! {
        #[test]
        fn usual_form_is_read_as_by_the_general_parser(
            outer in prop::collection::vec((0..3_usize, 0..VALUES.len()), 0..3),
            inner in prop::collection::vec((0..NAMES.len(), 0..VALUES.len()), 0..4),
            has_data: bool,
            end in "[ }]?",
        ) {
            let data = if has_data { "\"data\": \"eyJpZCI6ImEifQ==\"" } else { "" };
            let inner = format!("\"kinesis\": {}", object(&inner, &NAMES, data));
            let text = object(&outer, &["eventID", "eventSource", "kinesis"], &inner) + &end;
            if let Some(decoded) = decode(&text) {
                let envelope: Envelope<'_> = serde_json::from_str(&text).unwrap();
                prop_assert_eq!(decoded, envelope.decode());
            }
        }
    }
}
