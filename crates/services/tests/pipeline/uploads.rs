//! Uploads and batches: what is accepted, and the payload forms of a record.

use roadcast_codec::{BLOCK_CONTENT_TYPE, stream_record};
use roadcast_domain::event::Telemetry;
use roadcast_services::ingest::IngestError;
use roadcast_testbed::FaultPlan;
use serde_json::json;

use crate::fixture::{PipelineFixture, admin, event};

#[tokio::test]
async fn upload_is_accepted_entirely_or_not_at_all() {
    let pipeline = PipelineFixture::new(5);
    let vid = pipeline.vehicle("v").await;
    let upload = |body: serde_json::Value| {
        let (pipeline, vid) = (&pipeline, &vid);
        async move { pipeline.ingest().upload(&admin(), vid, &body.to_string()).await }
    };
    let mut invalid = event("b", &[(1, 1.0)]);
    invalid["source"] = json!("");
    let refused = upload(json!([event("a", &[(1, 1.0)]), invalid])).await;
    assert!(matches!(&refused, Err(IngestError::Events(events)) if events[0].0 == 1), "{refused:?}");
    let partly_valid = upload(event("c", &[(1, 9999.0)])).await;
    // The position is valid: the sample is accepted without its speed.
    assert_eq!(partly_valid.unwrap()[0].removed.signals.values().sum::<usize>(), 1);
    let mut unusable = event("d", &[(1, 9999.0)]);
    unusable["data"]["samples"][0]["at"] = json!("02/00/2090");
    assert!(matches!(upload(unusable).await, Err(IngestError::NoUsableSample(_))));
    assert_eq!(pipeline.memory.stream().records().len(), 1, "only the accepted upload is on the stream");
}

#[tokio::test]
async fn subject_must_be_the_vehicle_of_the_path() {
    let pipeline = PipelineFixture::new(6);
    let (vid, other) = (pipeline.vehicle("v").await, pipeline.vehicle("o").await);
    for (subject, accepted) in
        [(vid.as_str(), true), ("test:v", true), (other.as_str(), false), ("test:o", false), ("?", false)]
    {
        let mut sent = event("a", &[(1, 1.0)]);
        sent["subject"] = json!(subject);
        let result = pipeline.ingest().upload(&admin(), &vid, &sent.to_string()).await;
        assert_eq!(result.is_ok(), accepted, "{subject}: {result:?}");
    }
}

#[tokio::test]
async fn batch_returns_a_result_per_event() {
    let pipeline = PipelineFixture::new(7);
    pipeline.vehicle("v").await;
    let mut known = event("a", &[(1, 1.0)]);
    known["subject"] = json!("test:v");
    let mut unknown = event("b", &[(1, 1.0)]);
    unknown["subject"] = json!("test:unregistered");
    let batch = json!([known, unknown, {"specversion": "1.0"}, event("c", &[(1, 1.0)])]);
    let receipt = pipeline.ingest().batch(&admin(), &batch.to_string()).await.unwrap();
    assert_eq!(receipt.events.iter().map(|event| event.outcome.is_ok()).collect::<Vec<_>>(), [true, false, false, false]);
}

#[tokio::test]
async fn every_payload_form_of_a_record_results_in_the_same_events() {
    let samples = [(60, 50.1), (50, 51.4), (40, 49.9)];
    let mut stored = Vec::new();
    for form in 0..4 {
        let pipeline = PipelineFixture::new(11);
        let vid = pipeline.vehicle("v").await;
        let mut sent = event("a", &samples);
        if form >= 2 {
            // The same samples, encoded as a block on the device.
            let telemetry: Telemetry = serde_json::from_value(sent["data"].take()).unwrap();
            sent.as_object_mut().unwrap().remove("data");
            sent["datacontenttype"] = json!(BLOCK_CONTENT_TYPE);
            sent["data_base64"] = json!(stream_record::block_base64(&telemetry.samples.to_rows()).unwrap());
        }
        let text = json!([sent]).to_string();
        let record = if form % 2 == 0 { text.into_bytes() } else { stream_record::compress(&text) };
        pipeline.memory.stream().put_bytes(vid.as_str(), &record);
        pipeline.process_all(|_| FaultPlan::healthy()).await;
        assert!(pipeline.memory.quarantined().is_empty(), "form {form}");
        stored.push(pipeline.stored_events());
    }
    assert_eq!(stored[0][0].event.sample_count(), 3);
    assert!(stored.iter().all(|events| *events == stored[0]));
}
