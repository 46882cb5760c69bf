//! Messages of the queue of dead letters, from their form in the event.

use roadcast_codec::dead_letter::QueueMessage;
use roadcast_domain::Timestamp;
use roadcast_lambda_kit::sqs::SqsMessage;

/// The attribute with the queue whose redrive policy moved the message.
const MOVED_FROM: &str = "DeadLetterQueueSourceArn";
/// The attribute with the time at which the message was first sent, in milliseconds since the Unix epoch.
const SENT: &str = "SentTimestamp";

/// Returns a message; `now` replaces the time at which it was sent, if the queue does not state that time.
pub(crate) fn queue_message(record: SqsMessage, now: Timestamp) -> QueueMessage {
    let sent = record.attributes.get(SENT).and_then(|ms| ms.parse().ok()).map(Timestamp::from_ms);
    let attributes = record.message_attributes.into_iter().filter_map(|(name, value)| Some((name, value.string_value?)));
    QueueMessage {
        message_id: record.message_id,
        body: record.body,
        sent_at: sent.unwrap_or(now),
        moved_from: record.attributes.get(MOVED_FROM).cloned(),
        attributes: attributes.collect(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use roadcast_lambda_kit::sqs::SqsEvent;

    use super::*;

    #[test]
    fn message_has_time_source_queue_and_attributes() {
        let event = r#"{"Records": [
            {
                "messageId": "a", "body": "{}",
                "attributes": {"SentTimestamp": "1545082649183", "DeadLetterQueueSourceArn": "arn:aws:sqs:eu:1:q"},
                "messageAttributes": {
                    "RULE_ARN": {"stringValue": "arn:rule", "dataType": "String"},
                    "bytes": {"binaryValue": "AA==", "dataType": "Binary"}
                }
            },
            {"messageId": "b"}
        ]}"#;
        let event: SqsEvent = serde_json::from_str(event).unwrap();
        let now = Timestamp::from_ms(7);
        let messages: Vec<QueueMessage> = event.records.into_iter().map(|record| queue_message(record, now)).collect();
        assert_eq!(messages[0].sent_at.ms(), 1_545_082_649_183);
        assert_eq!(messages[0].moved_from.as_deref(), Some("arn:aws:sqs:eu:1:q"));
        assert_eq!(messages[0].attributes, [("RULE_ARN".to_owned(), "arn:rule".to_owned())].into());
        assert_eq!((messages[1].sent_at, messages[1].moved_from.as_deref()), (now, None));
    }
}
