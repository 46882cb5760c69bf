//! The output of the code for fixed input.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roadcast_aws::{BusEntry, ObjectText, quarantine_objects, raw_object};
use roadcast_codec::stream_record;
use roadcast_domain::ids::FleetId;
use serde_json::{Value, json};

use crate::pipeline::Pipeline;
use crate::{alerts, back_tests, webhooks};

/// The first bytes of a zstd frame.
const ZSTD: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];

/// The output of the code: messages by name, and their addresses.
pub(crate) struct Produced {
    pub(crate) messages: BTreeMap<&'static str, Vec<Value>>,
    /// The partition key of the uploaded record.
    pub(crate) upload_key: String,
    /// The delivery bus.
    pub(crate) delivery_bus: String,
    /// The key of the object in the archive.
    pub(crate) raw_key: String,
    pub(crate) quarantine_keys: Vec<String>,
    pub(crate) fleet_id: FleetId,
    /// The headers that sign a webhook.
    pub(crate) webhook_headers: Value,
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

/// An entry as the target of a rule receives it, without the members that EventBridge adds.
fn entry(entry: &BusEntry<'_>) -> Value {
    json!({ "source": entry.source, "detail-type": entry.detail_type, "detail": parse(&entry.detail) })
}

fn lines(object: &ObjectText) -> Vec<Value> {
    std::str::from_utf8(&object.text).expect("UTF-8").lines().map(parse).collect()
}

/// Sends all records once and returns the output of the code.
pub(crate) async fn produce() -> Produced {
    let pipeline = Pipeline::new().await;
    pipeline.upload(&Pipeline::logger_upload()).await;
    let upload = pipeline.memory.stream().records().remove(0);
    let batch = Pipeline::partner_batch().to_string();
    let compressed = stream_record::compress(&batch);
    pipeline.put(Pipeline::device_event().to_string().as_bytes());
    pipeline.put(batch.as_bytes());
    // The same batch again: a duplicate.
    pipeline.put(&compressed);
    pipeline.put(Pipeline::partly_invalid_batch().to_string().as_bytes());
    pipeline.put(&[0xFF, 0x00, 0xFE]);
    let outcome = pipeline.process().await;
    assert_eq!((outcome.retry_from, outcome.counts.events_deduplicated), (None, 2), "{:?}", outcome.failures);

    let raw = raw_object(&pipeline.memory.archived()[0]).expect("lines").expect("an object");
    let quarantined = quarantine_objects(&pipeline.memory.quarantined()).expect("lines");
    // Lines with compressed data are omitted: their bytes depend on the version of the zstd library.
    let is_plain = |line: &Value| {
        let bytes = line["data_base64"].as_str().and_then(|base64| STANDARD.decode(base64).ok());
        !bytes.is_some_and(|bytes| bytes.starts_with(&ZSTD))
    };

    let published = pipeline.memory.take_published();
    let [published] = published.as_slice() else { panic!("expected one entry, got {}", published.len()) };
    let cloud_events: Vec<&str> = published.events.iter().map(String::as_str).collect();
    pipeline.enrich(&cloud_events).await.expect("delivered");
    let deliveries = pipeline.memory.deliveries();
    let [delivery] = deliveries.as_slice() else { panic!("expected one entry, got {}", deliveries.len()) };
    let delivery = BusEntry::delivery(delivery);
    let queued = pipeline.memory.queued(&pipeline.fleet_id);
    let [message] = queued.as_slice() else { panic!("expected one message, got {}", queued.len()) };

    let probe = pipeline.probe().await;
    let probe_delivery = pipeline.memory.deliveries().pop().expect("the probe is delivered");
    let probe_message = pipeline.memory.queued(&pipeline.fleet_id).pop().expect("the probe arrives");

    let alerts = alerts::produce(&pipeline).await;
    let alert_entry = entry(&BusEntry::ingest("roadcast-dev-ingest", &alerts.entry));
    let notice_entry = entry(&BusEntry::notice("roadcast-dev-ingest", &alerts.notice).expect("JSON"));
    // Each alert of the operator has its own entry; the golden entry has two.
    let request = json!({ "notice": alert_entry["detail"]["notice"], "events": [alert_entry["detail"]["events"][0]] });

    let back_test = back_tests::produce(&pipeline).await;

    let webhooks = webhooks::produce(&pipeline, &entry(&delivery)).await;
    let mut messages = webhooks.messages;
    messages.extend(BTreeMap::from([
        ("UploadRecord", vec![parse(&stream_record::decode_text(&upload.data).expect("text"))]),
        ("EventRecord", vec![Pipeline::device_event()]),
        ("BatchRecord", vec![Pipeline::partner_batch()]),
        ("PackedRecord", vec![STANDARD.encode(&compressed).into()]),
        ("RawLine", lines(&raw).into_iter().filter(is_plain).collect()),
        ("QuarantineLine", quarantined.iter().flat_map(lines).collect()),
        ("IngestEntry", vec![entry(&BusEntry::ingest("roadcast-dev-ingest", published))]),
        ("AlertRecord", vec![alerts.record]),
        ("BackTestTask", vec![back_test]),
        ("AlertEntry", vec![alert_entry]),
        ("NoticeRequest", vec![request]),
        ("AlertNotice", vec![notice_entry["detail"].clone()]),
        ("NoticeEntry", vec![notice_entry]),
        ("DeliveryEntry", vec![entry(&delivery)]),
        ("FeedMessage", vec![parse(message)]),
        ("ProbeEntry", vec![entry(&BusEntry::ingest("roadcast-dev-ingest", &probe))]),
        ("ProbeDelivery", vec![entry(&BusEntry::delivery(&probe_delivery))]),
        ("ProbeMessage", vec![parse(&probe_message)]),
    ]));
    Produced {
        messages,
        webhook_headers: webhooks.headers,
        upload_key: upload.partition_key,
        delivery_bus: delivery.bus.to_owned(),
        raw_key: raw.key,
        quarantine_keys: quarantined.into_iter().map(|object| object.key).collect(),
        fleet_id: pipeline.fleet_id,
    }
}
