//! Custom events, from the registration of their schema to the delivery to fleets.

use roadcast_domain::event::{Body, Event, EventType};
use roadcast_domain::ids::VehicleId;
use roadcast_domain::package::{Package, Packages};
use roadcast_domain::refusal::Reason;
use roadcast_domain::selection::Selection;
use roadcast_services::ServiceError;
use roadcast_services::authz::Reader;
use roadcast_services::catalogue::event_schemas::SchemaRegistration;
use roadcast_services::ingest::{EventError, IngestError};
use roadcast_services::query::EventsRange;
use roadcast_testbed::{Fault, FaultPlan, InMemory};
use serde_json::json;

use crate::fixture::{PipelineFixture, admin, client_of, event};

const TYRE: &str = "com.example.tyre.v1";
/// Data with whitespace, an exponent and an integer beyond the precision of `f64`; it must be returned unchanged.
const DATA: &str = r#"{ "wheel": "front-left",  "kPa": 2.405e2, "serial": 12345678901234567890123 }"#;

async fn register(pipeline: &PipelineFixture) {
    let schema = json!({
        "type": "object", "required": ["wheel", "kPa"], "additionalProperties": false,
        "properties": {
            "wheel": {"enum": ["front-left", "front-right", "rear-left", "rear-right"]},
            "kPa": {"type": "number", "minimum": 0, "maximum": 1000},
            "serial": {"type": "integer"},
        },
    });
    let registration = SchemaRegistration::<InMemory> { schemas: pipeline.memory.clone(), clock: pipeline.clock.clone() };
    registration.register(&admin(), TYRE, &schema.to_string()).await.unwrap();
    let tyres = Package { name: "tyres".parse().unwrap(), signals: vec![], event_types: vec![event_type()] };
    pipeline.memory.set_packages(Packages::built_in().iter().cloned().chain([tyres]).collect());
}

fn event_type() -> EventType {
    EventType::from_name(TYRE).unwrap()
}

fn tyre(id: &str, data: &str) -> String {
    format!(
        r#"{{"specversion":"1.0","id":"{id}","source":"urn:test","type":"{TYRE}","time":"2026-01-01T11:59:00Z","data":{data}}}"#
    )
}

fn data_of(events: &[Event]) -> Vec<&str> {
    let mut data = Vec::new();
    for event in events {
        match &event.body {
            Body::Custom(custom) if custom.event_type.as_str() == TYRE => data.push(custom.data.get()),
            body => panic!("unexpected event: {body:?}"),
        }
    }
    data
}

async fn query_events(
    pipeline: &PipelineFixture,
    reader: &Reader,
    vid: &VehicleId,
    selection: Selection,
) -> Result<Vec<Event>, ServiceError> {
    let range = EventsRange { selection, ..EventsRange::between(vid.clone(), None, None, 100) };
    pipeline.queries().events(reader, &range).await.map(|page| page.events)
}

#[tokio::test]
async fn custom_event_reaches_only_fleets_whose_package_has_its_type() {
    // Even seeds: delivery as blocks; odd seeds: as JSON.
    for seed in [30, 31] {
        let pipeline = PipelineFixture::new(seed);
        register(&pipeline).await;
        let vid = pipeline.vehicle("v").await;
        let subscribed = pipeline.fleet(std::slice::from_ref(&vid), &["tyres"]).await;
        let others = pipeline.fleet(std::slice::from_ref(&vid), &["telematics", "diagnostics", "alerts"]).await;
        pipeline.ingest().upload(&admin(), &vid, &tyre("http", DATA)).await.unwrap();
        pipeline.memory.stream().put_bytes(vid.as_str(), tyre("stream", DATA).as_bytes());
        pipeline.upload(&vid, "telemetry", &[(60, 50.0)]).await;
        pipeline.process_all(|_| FaultPlan::healthy()).await;

        assert!(pipeline.memory.quarantined().is_empty());
        assert_eq!(pipeline.stored_events().len(), 3);
        assert_eq!(data_of(&pipeline.drain_feed(&subscribed).await), [DATA, DATA]);
        let theirs = pipeline.drain_feed(&others).await;
        assert!(theirs.iter().all(|event| event.event_type() == EventType::Telemetry) && theirs.len() == 1);

        let (subscribed, others) = (client_of(&subscribed), client_of(&others));
        let of_type = || Selection { types: Some([event_type()].into()), ..Selection::default() };
        for caller in [&admin(), &subscribed] {
            assert_eq!(data_of(&query_events(&pipeline, caller, &vid, of_type()).await.unwrap()), [DATA, DATA]);
        }
        assert!(query_events(&pipeline, &others, &vid, of_type()).await.unwrap().is_empty());
        let eid = query_events(&pipeline, &admin(), &vid, of_type()).await.unwrap()[0].eid;
        assert!(matches!(pipeline.queries().event(&others, &vid, eid).await, Err(ServiceError::NotFound)));
        let telemetry = Selection { types: Some([EventType::Telemetry].into()), ..Selection::default() };
        assert_eq!(query_events(&pipeline, &admin(), &vid, telemetry).await.unwrap().len(), 1);
        let (state, _) = pipeline.states().state(&subscribed, &vid).await.unwrap();
        assert!(state.signals.is_empty(), "a custom event does not change the state");
    }
}

#[tokio::test]
async fn numbers_that_a_bus_refuses_are_delivered_unchanged() {
    let numbers = ["9223372036854775808", "-9223372036854775809", "12345678901234567890123", "1e308", "1.50E+300"];
    for seed in [36, 37] {
        let pipeline = PipelineFixture::new(seed);
        register(&pipeline).await;
        let vid = pipeline.vehicle("v").await;
        let fleet = pipeline.fleet(std::slice::from_ref(&vid), &["tyres", "telematics"]).await;
        let data = numbers.map(|number| format!(r#"{{"wheel": "front-left", "kPa": 1, "serial": {number}}}"#));
        for (n, data) in data.iter().enumerate() {
            pipeline.ingest().upload(&admin(), &vid, &tyre(&n.to_string(), data)).await.unwrap();
        }
        let beyond_a_double = tyre("beyond", r#"{"wheel": "front-left", "kPa": 1, "serial": 1e400}"#);
        pipeline.memory.stream().put_bytes(vid.as_str(), beyond_a_double.as_bytes());
        pipeline.upload(&vid, "telemetry", &[(60, 50.0)]).await;
        pipeline.process_all(|_| FaultPlan::healthy()).await;
        let reasons: Vec<Reason> = pipeline.memory.quarantined().iter().map(|item| item.reason).collect();
        assert_eq!(reasons, [Reason::DataInvalid], "only the number beyond a double is refused");
        let mut delivered = pipeline.drain_feed(&fleet).await;
        delivered.retain(|event| event.event_type() != EventType::Telemetry);
        let mut delivered = data_of(&delivered);
        delivered.sort_unstable();
        let mut sent: Vec<&str> = data.iter().map(String::as_str).collect();
        sent.sort_unstable();
        assert_eq!(delivered, sent);
    }
}

#[tokio::test]
async fn data_that_violates_its_schema_is_refused_or_quarantined() {
    let pipeline = PipelineFixture::new(32);
    register(&pipeline).await;
    let vid = pipeline.vehicle("v").await;
    let unknown = tyre("c", DATA).replace(TYRE, "com.example.door.v1");
    let invalid = [
        (tyre("a", r#"{"wheel": "front-left", "kPa": "flat"}"#), Reason::DataInvalid, "/data/kPa"),
        (tyre("b", r#"{"wheel": "front-left"}"#), Reason::DataInvalid, "/data/kPa"),
        (unknown, Reason::TypeUnknown, "/type"),
    ];
    for (sent, reason, pointer) in &invalid {
        let refused = pipeline.ingest().upload(&admin(), &vid, sent).await;
        let Err(IngestError::Events(events)) = refused else { panic!("{refused:?}") };
        let [(0, EventError::Refused(refusal))] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!((refusal.reason, refusal.pointer.as_str()), (*reason, *pointer));
        assert!(!refusal.detail.contains("flat"), "{}", refusal.detail);
        pipeline.memory.stream().put_bytes(vid.as_str(), sent.as_bytes());
    }
    pipeline.process_all(|_| FaultPlan::healthy()).await;
    assert!(pipeline.stored_events().is_empty());
    let quarantined = pipeline.memory.quarantined();
    let quarantined: Vec<_> =
        quarantined.iter().map(|item| (item.bytes.as_slice(), item.reason, item.pointer.as_str(), item.samples)).collect();
    let expected = invalid.each_ref().map(|(sent, reason, pointer)| (sent.as_bytes(), *reason, *pointer, 1));
    assert_eq!(quarantined, expected, "the bytes are unchanged");
}

#[tokio::test]
async fn custom_event_with_a_wrong_clock_is_refused_and_quarantined() {
    let pipeline = PipelineFixture::new(33);
    register(&pipeline).await;
    let vid = pipeline.vehicle("v").await;
    let ahead = tyre("a", DATA).replace("2026-01-01T11:59:00Z", "2026-01-01T12:06:00Z");
    let refused = pipeline.ingest().upload(&admin(), &vid, &ahead).await;
    assert!(matches!(refused, Err(IngestError::NoUsableSample(_))), "{refused:?}");
    pipeline.memory.stream().put_bytes(vid.as_str(), ahead.as_bytes());
    pipeline.process_all(|_| FaultPlan::healthy()).await;
    let quarantined: Vec<_> = pipeline.memory.quarantined().iter().map(|item| (item.reason, item.pointer.clone())).collect();
    assert_eq!(quarantined, [(Reason::TimeAhead, "/time".parse().unwrap())]);
    assert!(pipeline.stored_events().is_empty());
}

#[tokio::test]
async fn unreadable_schemas_delay_an_event_and_quarantine_nothing() {
    let pipeline = PipelineFixture::new(34);
    register(&pipeline).await;
    let vid = pipeline.vehicle("v").await;
    pipeline.memory.stream().put_bytes(vid.as_str(), tyre("a", DATA).as_bytes());
    pipeline.process_all(|_| FaultPlan::script([Some(Fault::Unavailable); 3]).only(&["version", "latest"])).await;
    assert!(pipeline.memory.quarantined().is_empty());
    assert_eq!(pipeline.stored_events().len(), 1);
}

#[tokio::test]
async fn faults_and_repeats_do_not_change_custom_events() {
    for seed in 0..20 {
        let pipeline = PipelineFixture::new(seed);
        register(&pipeline).await;
        let vid = pipeline.vehicle("v").await;
        let fleet = pipeline.fleet(std::slice::from_ref(&vid), &["tyres"]).await;
        for id in ["a", "b", "a", "c", "b"] {
            let batch = format!("[{},{}]", tyre(id, DATA), event(&format!("telemetry-{id}"), &[(30, 1.0)]));
            pipeline.ingest().upload(&admin(), &vid, &batch).await.unwrap();
        }
        pipeline.process_all(|n| FaultPlan::seeded(n, 20)).await;
        assert_eq!(data_of(&pipeline.drain_feed(&fleet).await), [DATA; 3], "seed {seed}");
        assert_eq!(pipeline.stored_events().len(), 6);
    }
}
