//! Events of registered types, from their schema to the fleets.

use roadcast_domain::caller::Caller;
use roadcast_domain::event::{Body, Event, EventType};
use roadcast_domain::ids::VehicleId;
use roadcast_domain::package::{Package, Packages};
use roadcast_domain::refusal::Reason;
use roadcast_domain::selection::Selection;
use roadcast_services::ServiceError;
use roadcast_services::catalogue::event_schemas::SchemaRegistration;
use roadcast_services::ingest::{EventError, IngestError};
use roadcast_services::query::EventsRange;
use roadcast_testbed::{Fault, FaultPlan};
use serde_json::json;

use crate::world::{World, admin, event};

const TYRE: &str = "com.example.tyre.v1";
/// With blanks, an exponent and a number that no double holds: it must come out as it went in.
const DATA: &str = r#"{ "wheel": "front-left",  "kPa": 2.405e2, "serial": 12345678901234567890123 }"#;

async fn register(world: &World) {
    let schema = json!({
        "type": "object", "required": ["wheel", "kPa"], "additionalProperties": false,
        "properties": {
            "wheel": {"enum": ["front-left", "front-right", "rear-left", "rear-right"]},
            "kPa": {"type": "number", "minimum": 0, "maximum": 1000},
            "serial": {"type": "integer"},
        },
    });
    let register = SchemaRegistration { schemas: world.memory.clone(), clock: world.clock.clone() };
    register.register(&admin(), TYRE, &schema.to_string()).await.unwrap();
    let tyres = Package { name: "tyres".to_owned(), signals: vec![], event_types: vec![event_type()] };
    world.memory.set_packages(Packages::built_in().iter().cloned().chain([tyres]).collect());
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
            body => panic!("another event: {body:?}"),
        }
    }
    data
}

async fn queried(world: &World, caller: &Caller, vid: &VehicleId, selection: Selection) -> Result<Vec<Event>, ServiceError> {
    let range = EventsRange { selection, ..EventsRange::between(vid.clone(), None, None, 100) };
    world.query().events(caller, &range).await.map(|page| page.events)
}

#[tokio::test]
async fn a_custom_event_reaches_the_fleets_whose_package_holds_its_type_and_no_other() {
    // Odd and even: fleets take JSON, and blocks.
    for seed in [30, 31] {
        let world = World::new(seed);
        register(&world).await;
        let vid = world.vehicle("v").await;
        let holding = world.fleet(std::slice::from_ref(&vid), &["tyres"]).await;
        let others = world.fleet(std::slice::from_ref(&vid), &["telematics", "diagnostics", "alerts"]).await;
        world.ingest().upload(&admin(), &vid, &tyre("http", DATA)).await.unwrap();
        world.memory.stream().put_bytes(vid.as_str(), tyre("stream", DATA).as_bytes());
        world.upload(&vid, "telemetry", &[(60, 50.0)]).await;
        world.settle(|_| FaultPlan::healthy()).await;

        assert!(world.memory.quarantined().is_empty());
        assert_eq!(world.stored().len(), 3);
        assert_eq!(data_of(&world.drain(&holding).await), [DATA, DATA]);
        let theirs = world.drain(&others).await;
        assert!(theirs.iter().all(|event| event.event_type() == EventType::Telemetry) && theirs.len() == 1);

        let (holding, others) = (Caller::Fleet(holding), Caller::Fleet(others));
        let of_type = || Selection { types: Some([event_type()].into()), ..Selection::default() };
        for caller in [&admin(), &holding] {
            assert_eq!(data_of(&queried(&world, caller, &vid, of_type()).await.unwrap()), [DATA, DATA]);
        }
        assert!(queried(&world, &others, &vid, of_type()).await.unwrap().is_empty());
        let eid = queried(&world, &admin(), &vid, of_type()).await.unwrap()[0].eid;
        assert!(matches!(world.query().event(&others, &vid, eid).await, Err(ServiceError::NotFound)));
        let telemetry = Selection { types: Some([EventType::Telemetry].into()), ..Selection::default() };
        assert_eq!(queried(&world, &admin(), &vid, telemetry).await.unwrap().len(), 1);
        let (state, _) = world.query().state(&holding, &vid).await.unwrap();
        assert!(state.signals.is_empty(), "a custom event says nothing of signals");
    }
}

#[tokio::test]
async fn data_that_its_schema_does_not_allow_is_refused_over_http_and_quarantined_from_the_stream() {
    let world = World::new(32);
    register(&world).await;
    let vid = world.vehicle("v").await;
    let unknown = tyre("c", DATA).replace(TYRE, "com.example.door.v1");
    let wrong = [
        (tyre("a", r#"{"wheel": "front-left", "kPa": "flat"}"#), Reason::DataInvalid, "/data/kPa"),
        (tyre("b", r#"{"wheel": "front-left"}"#), Reason::DataInvalid, "/data/kPa"),
        (unknown, Reason::TypeUnknown, "/type"),
    ];
    for (sent, reason, pointer) in &wrong {
        let refused = world.ingest().upload(&admin(), &vid, sent).await;
        let Err(IngestError::Events(events)) = refused else { panic!("{refused:?}") };
        let [(0, EventError::Refused(refusal))] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!((refusal.reason, refusal.pointer.as_str()), (*reason, *pointer));
        assert!(!refusal.detail.contains("flat"), "{}", refusal.detail);
        world.memory.stream().put_bytes(vid.as_str(), sent.as_bytes());
    }
    world.settle(|_| FaultPlan::healthy()).await;
    assert!(world.stored().is_empty());
    let parked = world.memory.quarantined();
    let parked: Vec<_> =
        parked.iter().map(|item| (item.bytes.as_slice(), item.reason, item.pointer.as_str(), item.samples)).collect();
    let expected = wrong.each_ref().map(|(sent, reason, pointer)| (sent.as_bytes(), *reason, *pointer, 1));
    assert_eq!(parked, expected, "the bytes are untouched");
}

#[tokio::test]
async fn a_custom_event_of_a_wrong_clock_is_not_usable_and_set_aside() {
    let world = World::new(33);
    register(&world).await;
    let vid = world.vehicle("v").await;
    let ahead = tyre("a", DATA).replace("2026-01-01T11:59:00Z", "2026-01-01T12:06:00Z");
    let refused = world.ingest().upload(&admin(), &vid, &ahead).await;
    assert!(matches!(refused, Err(IngestError::NothingUsable(_))), "{refused:?}");
    world.memory.stream().put_bytes(vid.as_str(), ahead.as_bytes());
    world.settle(|_| FaultPlan::healthy()).await;
    let parked: Vec<_> = world.memory.quarantined().iter().map(|item| (item.reason, item.pointer.clone())).collect();
    assert_eq!(parked, [(Reason::TimeAhead, "/time".to_owned())]);
    assert!(world.stored().is_empty());
}

#[tokio::test]
async fn schemas_that_cannot_be_read_keep_an_event_back_and_quarantine_nothing() {
    let world = World::new(34);
    register(&world).await;
    let vid = world.vehicle("v").await;
    world.memory.stream().put_bytes(vid.as_str(), tyre("a", DATA).as_bytes());
    world.settle(|_| FaultPlan::script([Some(Fault::Unavailable); 3]).only(&["version", "latest"])).await;
    assert!(world.memory.quarantined().is_empty());
    assert_eq!(world.stored().len(), 1);
}

#[tokio::test]
async fn faults_and_repeats_change_nothing_about_custom_events() {
    for seed in 0..20 {
        let world = World::new(seed);
        register(&world).await;
        let vid = world.vehicle("v").await;
        let fleet = world.fleet(std::slice::from_ref(&vid), &["tyres"]).await;
        for id in ["a", "b", "a", "c", "b"] {
            let batch = format!("[{},{}]", tyre(id, DATA), event(&format!("telemetry-{id}"), &[(30, 1.0)]));
            world.ingest().upload(&admin(), &vid, &batch).await.unwrap();
        }
        world.settle(|n| FaultPlan::seeded(n, 20)).await;
        assert_eq!(data_of(&world.drain(&fleet).await), [DATA; 3], "seed {seed}");
        assert_eq!(world.stored().len(), 6);
    }
}
