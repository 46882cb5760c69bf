//! Records that cannot be processed are quarantined and block no other record.

use roadcast_codec::stream_record;
use roadcast_domain::refusal::Reason;
use roadcast_testbed::{Fault, FaultPlan};
use serde_json::json;

use crate::fixture::{PipelineFixture, admin, event};

#[tokio::test]
async fn invalid_record_is_quarantined_unchanged_and_blocks_nothing() {
    let pipeline = PipelineFixture::new(3);
    let vid = pipeline.vehicle("v").await;
    let unknown = event("x", &[(1, 1.0)]).to_string();
    let invalid: [(&[u8], Reason); 5] = [
        (b"\xff\xfe", Reason::NotJson),
        (b"{\"a\":", Reason::NotJson),
        (b"7", Reason::NotACloudEvent),
        (br#"[{"specversion":"1.0"}]"#, Reason::NotACloudEvent),
        (unknown.as_bytes(), Reason::VehicleUnknown),
    ];
    for (bytes, _) in &invalid {
        pipeline.memory.stream().put_bytes("veh_0000000000000000", bytes);
    }
    pipeline.upload(&vid, "good", &[(60, 50.0)]).await;
    pipeline.process_all(|_| FaultPlan::healthy()).await;

    assert_eq!(pipeline.stored_events().len(), 1);
    let mut reasons: Vec<Reason> = pipeline.memory.quarantined().iter().map(|item| item.reason).collect();
    reasons.sort_unstable();
    let mut expected = invalid.map(|(_, reason)| reason);
    expected.sort_unstable();
    assert_eq!(reasons, expected);
    assert!(pipeline.memory.quarantined().iter().any(|item| item.bytes == b"\xff\xfe"), "the bytes are unchanged");
}

#[tokio::test]
async fn device_cannot_send_for_a_vehicle_other_than_its_partition_key() {
    let pipeline = PipelineFixture::new(12);
    let (own, other) = (pipeline.vehicle("own").await, pipeline.vehicle("other").await);
    for (subject, id) in [(other.as_str(), "a"), ("test:other", "b"), ("test:own", "c"), (own.as_str(), "d")] {
        let mut sent = event(id, &[(60, 50.0)]);
        sent["subject"] = json!(subject);
        pipeline.memory.stream().put_bytes(own.as_str(), sent.to_string().as_bytes());
    }
    pipeline.process_all(|_| FaultPlan::healthy()).await;
    assert_eq!(
        pipeline.memory.quarantined().iter().map(|item| item.reason).collect::<Vec<_>>(),
        [Reason::VehicleUnknown; 2]
    );
    assert!(pipeline.stored_events().iter().all(|stored| stored.event.vid == own) && pipeline.stored_events().len() == 2);
}

/// An event of `notes` times about 400 KB, in text signals that are not in the catalogue.
fn large_event(notes: usize) -> serde_json::Value {
    let samples: Vec<(i64, f64)> = (0..280).map(|ago_s| (ago_s, 50.0)).chain([(60, 50.0); 120]).collect();
    let mut large = event("large", &samples);
    for sample in large["data"]["samples"].as_array_mut().unwrap() {
        for note in 0..notes {
            sample["signals"][format!("Oem.Note{note}")] = json!(format!("{}{}", sample["at"], "x".repeat(980)));
        }
    }
    large
}

#[tokio::test]
async fn permanently_rejected_event_is_quarantined_and_not_retried() {
    let pipeline = PipelineFixture::new(4);
    let vid = pipeline.vehicle("v").await;
    pipeline.ingest().upload(&admin(), &vid, &large_event(1).to_string()).await.unwrap();
    // Processing would never end if the record were retried forever.
    pipeline.process_all(|_| FaultPlan::always(Fault::Rejected).only(&["put_new"])).await;
    let quarantined: Vec<_> = pipeline.memory.quarantined().iter().map(|item| (item.reason, item.samples)).collect();
    assert_eq!(quarantined, [(Reason::Unstorable, 400)]);
}

#[tokio::test]
async fn event_too_large_for_the_bus_is_quarantined_and_blocks_nothing() {
    let pipeline = PipelineFixture::new(9);
    let vid = pipeline.vehicle("v").await;
    let fleet = pipeline.fleet(std::slice::from_ref(&vid), &["telematics"]).await;
    // A compressed stream record; its block in base64 exceeds the limit of the bus.
    pipeline.memory.stream().put_bytes(vid.as_str(), &stream_record::compress(&large_event(3).to_string()));
    pipeline.upload(&vid, "small", &[(60, 50.0)]).await;
    pipeline.process_all(|_| FaultPlan::healthy()).await;
    assert_eq!(pipeline.memory.quarantined().iter().map(|item| item.reason).collect::<Vec<_>>(), [Reason::Unstorable]);
    assert_eq!(pipeline.stored_events().len(), 1, "a quarantined event is not stored");
    assert_eq!(pipeline.drain_feed(&fleet).await.len(), 1);
}

#[tokio::test]
async fn error_of_a_quarantined_event_is_no_cause_of_a_retry() {
    let pipeline = PipelineFixture::new(11);
    let (too_large_for_the_log, too_large_for_the_bus) = (pipeline.vehicle("log").await, pipeline.vehicle("bus").await);
    pipeline.fleet(std::slice::from_ref(&too_large_for_the_bus), &["telematics"]).await;
    for (vid, notes) in [(too_large_for_the_log, 1), (too_large_for_the_bus, 3)] {
        pipeline.memory.stream().put_bytes(vid.as_str(), &stream_record::compress(&large_event(notes).to_string()));
    }
    let outcome = pipeline.process_once(&|_| FaultPlan::always(Fault::Rejected).only(&["put_new"])).await;
    assert_eq!((outcome.retry_from, outcome.failures.len(), outcome.quarantine_causes.len()), (None, 0, 2));
    assert_eq!(outcome.counts.samples_quarantined.get(&Reason::Unstorable), Some(&800));
}

#[tokio::test]
async fn missing_permission_is_retried_and_quarantines_nothing() {
    // A missing permission or table fails every call until it is corrected.
    for operation in ["put_new", "publish", "merge", "read"] {
        let pipeline = PipelineFixture::new(10);
        let vid = pipeline.vehicle("v").await;
        pipeline.fleet(std::slice::from_ref(&vid), &["telematics"]).await;
        pipeline.upload(&vid, "small", &[(60, 50.0)]).await;
        pipeline.memory.stream().put_bytes(vid.as_str(), &stream_record::compress(&large_event(1).to_string()));
        let outcome = pipeline.process_once(&|_| FaultPlan::always(Fault::Internal).only(&[operation])).await;
        assert!(outcome.retry_from.is_some() && outcome.quarantine_causes.is_empty(), "{operation}");
        pipeline.process_all(|_| FaultPlan::script([Some(Fault::Internal); 3]).only(&[operation])).await;
        assert!(pipeline.memory.quarantined().is_empty(), "{operation}");
        assert_eq!(pipeline.stored_events().len(), 2, "{operation}");
    }
}
