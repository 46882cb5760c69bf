//! Values at the limits of what JSON, a double and a queue can carry, from the upload to the feed and the history.

use roadcast_domain::selection::Selection;
use roadcast_services::query::{HistoryRange, Resolution};
use roadcast_signals::{SignalPath, Timestamp};
use roadcast_testbed::FaultPlan;
use serde_json::json;

use crate::fixture::{NOON, PipelineFixture, admin, signal_paths};

/// An event with the signals of one sample as they are written.
fn event_with(id: &str, signals: &str) -> String {
    let head = json!({"specversion": "1.0", "id": id, "source": "urn:test", "type": "roadcast.telemetry.v1", "time": NOON});
    let head = head.to_string();
    let head = head.trim_end_matches('}');
    format!(r#"{head},"data":{{"samples":[{{"at":"{NOON}","signals":{signals}}}]}}}}"#)
}

#[tokio::test]
async fn text_that_no_queue_can_carry_reaches_no_queue() {
    let pipeline = PipelineFixture::new(71);
    let vid = pipeline.vehicle("v").await;
    let fleet = pipeline.fleet(std::slice::from_ref(&vid), &["telematics"]).await;
    let texts = ["\"\u{ffff}\"", r#""\uffff""#, r#""\ufffe""#, r#""\u0000""#, r#""\ud800""#, r#""café\u00e9""#];
    for (n, text) in texts.iter().enumerate() {
        let signals = format!(r#"{{"acme.note":{text},"Vehicle.Exterior.Weather":{text},"Vehicle.Speed":{n}}}"#);
        let accepted = pipeline.ingest().upload(&admin(), &vid, &event_with(&n.to_string(), &signals)).await.unwrap();
        assert_eq!(accepted.len(), 1, "{text}");
    }
    pipeline.process_all(|_| FaultPlan::healthy()).await;
    assert_eq!(pipeline.memory.undeliverable(), [""; 0]);
    let events = pipeline.drain_feed(&fleet).await;
    assert_eq!(events.len(), texts.len());
    assert!(signal_paths(&events[..5]).contains("Vehicle.Speed"));
}

#[tokio::test]
async fn mean_of_large_values_is_finite() {
    let pipeline = PipelineFixture::new(72);
    let vid = pipeline.vehicle("v").await;
    for n in 0..2 {
        let event = event_with(&n.to_string(), r#"{"acme.big":1.7e308,"acme.x":1e309}"#);
        pipeline.ingest().upload(&admin(), &vid, &event).await.unwrap();
    }
    pipeline.process_all(|_| FaultPlan::healthy()).await;
    let noon = Timestamp::parse_rfc3339(NOON).unwrap();
    let range = HistoryRange { vid, from: noon, to: noon.plus_ms(1), selection: Selection::default(), limit: 10 };
    let day = Resolution::from_seconds(86_400).unwrap();
    let windows = pipeline.queries().windows(&admin(), &range, day, None).await.unwrap().rows;
    let series = &windows[0].signals[&SignalPath::parse("acme.big").unwrap()];
    assert_eq!((windows.len(), windows[0].signals.len(), series.count), (1, 1, 2));
    assert_eq!(series.statistics.unwrap().mean().to_bits(), 1.7e308_f64.to_bits());
}
