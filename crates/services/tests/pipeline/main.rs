//! The road of a sample, through the real use cases in memory, with the world failing around them.

// A test stops at the first surprise.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod arrivals;
mod consent;
mod custom;
mod decompression;
mod history;
mod offboarding;
mod packages;
mod provisioning;
mod wide_events;
mod workflows;
mod world;

use std::collections::BTreeSet;

use proptest::prelude::*;
use roadcast_codec::{BLOCK_CONTENT_TYPE, stream_record};
use roadcast_domain::caller::Caller;
use roadcast_domain::ids::Eid;
use roadcast_domain::refusal::Reason;
use roadcast_domain::state::VehicleState;
use roadcast_services::ServiceError;
use roadcast_services::ingest::IngestError;
use roadcast_services::query::EventsRange;
use roadcast_testbed::{Fault, FaultPlan};
use serde_json::json;
use world::{World, admin, event, paths};

#[tokio::test]
async fn a_fleet_drains_its_vehicles_and_packages_and_others_do_not_exist_for_it() {
    let world = World::new(1);
    let (ours, theirs) = (world.vehicle("ours").await, world.vehicle("theirs").await);
    let fleet = world.fleet(std::slice::from_ref(&ours), &["track-and-trace"]).await;
    let nobody = world.fleet(&[], &[]).await;
    for (vid, id) in [(&ours, "a"), (&theirs, "b"), (&ours, "c")] {
        world.upload(vid, id, &[(60, 50.0), (50, 51.0)]).await;
    }
    world.settle(|_| FaultPlan::healthy()).await;

    let drained = world.drain(&fleet).await;
    assert_eq!(drained.iter().map(|event| &event.vid).collect::<BTreeSet<_>>(), BTreeSet::from([&ours]));
    assert_eq!(drained.iter().map(roadcast_domain::event::Event::sample_count).sum::<usize>(), 4);
    let positions = ["Vehicle.CurrentLocation.Latitude", "Vehicle.CurrentLocation.Longitude"].map(str::to_owned);
    assert_eq!(paths(&drained), BTreeSet::from(positions));
    assert!(world.drain(&nobody).await.is_empty());

    let caller = Caller::Fleet(fleet);
    assert!(matches!(world.query().state(&caller, &theirs).await, Err(ServiceError::NotFound)));
    let (state, _) = world.query().state(&caller, &ours).await.unwrap();
    assert!(state.signals.keys().all(|path| path.as_str().starts_with("Vehicle.CurrentLocation.")), "{state:?}");
    let range = EventsRange::between(theirs, None, None, 10);
    assert!(matches!(world.query().events(&caller, &range).await, Err(ServiceError::NotFound)));
}

#[tokio::test]
async fn events_of_vehicles_that_nobody_may_see_are_stored_but_stay_off_the_bus() {
    let world = World::new(2);
    let vid = world.vehicle("lonely").await;
    world.upload(&vid, "a", &[(60, 50.0)]).await;
    world.settle(|_| FaultPlan::healthy()).await;
    assert_eq!(world.stored().len(), 1);
    assert!(world.memory.deliveries().is_empty() && world.memory.published().is_empty());
}

#[tokio::test]
async fn poison_on_the_stream_is_set_aside_with_its_bytes_and_blocks_nothing() {
    let world = World::new(3);
    let vid = world.vehicle("v").await;
    let unknown = event("x", &[(1, 1.0)]).to_string();
    let poison: [(&[u8], Reason); 5] = [
        (b"\xff\xfe", Reason::NotJson),
        (b"{\"a\":", Reason::NotJson),
        (b"7", Reason::NotACloudEvent),
        (br#"[{"specversion":"1.0"}]"#, Reason::NotACloudEvent),
        (unknown.as_bytes(), Reason::VehicleUnknown),
    ];
    for (bytes, _) in &poison {
        world.memory.stream().put_bytes("veh_0000000000000000", bytes);
    }
    world.upload(&vid, "good", &[(60, 50.0)]).await;
    world.settle(|_| FaultPlan::healthy()).await;

    assert_eq!(world.stored().len(), 1);
    let mut reasons: Vec<Reason> = world.memory.quarantined().iter().map(|item| item.reason).collect();
    reasons.sort_unstable();
    let mut expected = poison.map(|(_, reason)| reason);
    expected.sort_unstable();
    assert_eq!(reasons, expected);
    assert!(world.memory.quarantined().iter().any(|item| item.bytes == b"\xff\xfe"), "the bytes are untouched");
}

#[tokio::test]
async fn every_payload_form_of_a_record_gives_the_same_events() {
    let samples = [(60, 50.1), (50, 51.4), (40, 49.9)];
    let mut stored = Vec::new();
    for form in 0..4 {
        let world = World::new(11);
        let vid = world.vehicle("v").await;
        let mut sent = event("a", &samples);
        if form >= 2 {
            // The same samples, as a device would make a block of them.
            let telemetry: roadcast_domain::event::Telemetry = serde_json::from_value(sent["data"].take()).unwrap();
            sent.as_object_mut().unwrap().remove("data");
            sent["datacontenttype"] = json!(BLOCK_CONTENT_TYPE);
            sent["data_base64"] = json!(stream_record::block_base64(&telemetry.samples).unwrap());
        }
        let text = json!([sent]).to_string();
        let record = if form % 2 == 0 { text.into_bytes() } else { stream_record::compress(&text) };
        world.memory.stream().put_bytes(vid.as_str(), &record);
        world.settle(|_| FaultPlan::healthy()).await;
        assert!(world.memory.quarantined().is_empty(), "form {form}");
        stored.push(world.stored());
    }
    assert_eq!(stored[0][0].event.sample_count(), 3);
    assert!(stored.iter().all(|events| *events == stored[0]));
}

#[tokio::test]
async fn a_device_cannot_speak_for_another_vehicle_than_the_one_its_record_is_keyed_by() {
    let world = World::new(12);
    let (own, other) = (world.vehicle("own").await, world.vehicle("other").await);
    for (subject, id) in [(other.as_str(), "a"), ("test:other", "b"), ("test:own", "c"), (own.as_str(), "d")] {
        let mut sent = event(id, &[(60, 50.0)]);
        sent["subject"] = json!(subject);
        world.memory.stream().put_bytes(own.as_str(), sent.to_string().as_bytes());
    }
    world.settle(|_| FaultPlan::healthy()).await;
    assert_eq!(world.memory.quarantined().iter().map(|item| item.reason).collect::<Vec<_>>(), [Reason::VehicleUnknown; 2]);
    assert!(world.stored().iter().all(|stored| stored.event.vid == own) && world.stored().len() == 2);
}

/// An event of so many times some 400 KB, by texts that no catalogue knows.
fn large_event(times: usize) -> serde_json::Value {
    let samples: Vec<(i64, f64)> = (0..280).map(|ago_s| (ago_s, 50.0)).chain([(60, 50.0); 120]).collect();
    let mut large = event("large", &samples);
    for sample in large["data"]["samples"].as_array_mut().unwrap() {
        for note in 0..times {
            sample["signals"][format!("Oem.Note{note}")] = json!(format!("{}{}", sample["at"], "x".repeat(980)));
        }
    }
    large
}

#[tokio::test]
async fn an_event_that_the_stores_refuse_for_good_is_set_aside_and_does_not_come_again() {
    let world = World::new(4);
    let vid = world.vehicle("v").await;
    world.ingest().upload(&admin(), &vid, &large_event(1).to_string()).await.unwrap();
    // Settling would never end if the record came again for ever.
    world.settle(|_| FaultPlan::always(Fault::Rejected).only(&["put_new"])).await;
    let parked: Vec<_> = world.memory.quarantined().iter().map(|item| (item.reason, item.samples)).collect();
    assert_eq!(parked, [(Reason::Unstorable, 400)]);
}

#[tokio::test]
async fn an_event_that_the_bus_refuses_for_its_size_is_set_aside_and_the_next_one_passes() {
    let world = World::new(9);
    let vid = world.vehicle("v").await;
    let fleet = world.fleet(std::slice::from_ref(&vid), &["telematics"]).await;
    // A packed record of the stream; its block, in base64, is more than the bus takes.
    world.memory.stream().put_bytes(vid.as_str(), &stream_record::compress(&large_event(3).to_string()));
    world.upload(&vid, "small", &[(60, 50.0)]).await;
    world.settle(|_| FaultPlan::healthy()).await;
    assert_eq!(world.memory.quarantined().iter().map(|item| item.reason).collect::<Vec<_>>(), [Reason::Unstorable]);
    assert_eq!(world.stored().len(), 1, "what is set aside is not stored as well");
    assert_eq!(world.drain(&fleet).await.len(), 1);
}

#[tokio::test]
async fn a_refusal_of_a_small_event_is_our_fault_and_nothing_is_set_aside_for_it() {
    let world = World::new(10);
    let vid = world.vehicle("v").await;
    world.upload(&vid, "small", &[(60, 50.0)]).await;
    // A missing right or table refuses everything, until somebody mends it.
    world.settle(|_| FaultPlan::script([Some(Fault::Rejected); 3]).only(&["put_new"])).await;
    assert!(world.memory.quarantined().is_empty());
    assert_eq!(world.stored().len(), 1);
}

#[tokio::test]
async fn an_upload_is_taken_whole_or_not_at_all() {
    let world = World::new(5);
    let vid = world.vehicle("v").await;
    let upload = |body: serde_json::Value| {
        let (world, vid) = (&world, &vid);
        async move { world.ingest().upload(&admin(), vid, &body.to_string()).await }
    };
    let mut wrong = event("b", &[(1, 1.0)]);
    wrong["source"] = json!("");
    let refused = upload(json!([event("a", &[(1, 1.0)]), wrong])).await;
    assert!(matches!(&refused, Err(IngestError::Events(events)) if events[0].0 == 1), "{refused:?}");
    let useless = upload(event("c", &[(1, 9999.0)])).await;
    // Its position is good, so the sample is kept and the speed is removed.
    assert_eq!(useless.unwrap()[0].rejected.len(), 1);
    let mut lost = event("d", &[(1, 9999.0)]);
    lost["data"]["samples"][0]["at"] = json!("02/00/2090");
    assert!(matches!(upload(lost).await, Err(IngestError::NothingUsable(_))));
    assert_eq!(world.memory.stream().records().len(), 1, "only what was taken is on the stream");
}

#[tokio::test]
async fn a_subject_must_be_the_vehicle_of_the_path() {
    let world = World::new(6);
    let (vid, other) = (world.vehicle("v").await, world.vehicle("o").await);
    for (subject, taken) in
        [(vid.as_str(), true), ("test:v", true), (other.as_str(), false), ("test:o", false), ("?", false)]
    {
        let mut sent = event("a", &[(1, 1.0)]);
        sent["subject"] = json!(subject);
        let answer = world.ingest().upload(&admin(), &vid, &sent.to_string()).await;
        assert_eq!(answer.is_ok(), taken, "{subject}: {answer:?}");
    }
}

#[tokio::test]
async fn a_partners_batch_answers_event_by_event() {
    let world = World::new(7);
    world.vehicle("v").await;
    let mut about = event("a", &[(1, 1.0)]);
    about["subject"] = json!("test:v");
    let mut stranger = event("b", &[(1, 1.0)]);
    stranger["subject"] = json!("test:nobody");
    let batch = json!([about, stranger, {"specversion": "1.0"}, event("c", &[(1, 1.0)])]);
    let receipt = world.ingest().batch(&admin(), &batch.to_string()).await.unwrap();
    assert_eq!(receipt.events.iter().map(|event| event.outcome.is_ok()).collect::<Vec<_>>(), [true, false, false, false]);
}

#[tokio::test]
async fn history_pages_through_everything_once_at_any_page_size() {
    let world = World::new(8);
    let vid = world.vehicle("v").await;
    for n in 0..23 {
        world.upload(&vid, &n.to_string(), &[(n * 10, 1.0)]).await;
    }
    world.settle(|_| FaultPlan::healthy()).await;
    for limit in [1, 7, 23, 100] {
        let mut range = EventsRange::between(vid.clone(), None, None, limit);
        let mut seen: Vec<Eid> = Vec::new();
        loop {
            let page = world.query().events(&admin(), &range).await.unwrap();
            seen.extend(page.events.iter().map(|event| event.eid));
            match page.next {
                Some(next) => range.from = next,
                None => break,
            }
        }
        assert_eq!(seen.len(), 23, "limit {limit}");
        assert!(seen.is_sorted() && seen.windows(2).all(|pair| pair[0] != pair[1]));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever fails, and however often things come again: what was acknowledged is archived and stored, the fleet has
    /// each event once after removing duplicates by id, and the state is that of a world without faults.
    #[test]
    fn faults_change_nothing_in_the_end(
        seed in 0_u64..1_000_000,
        uploads in prop::collection::vec((0_u8..6, prop::collection::vec((0_i64..200, -50.0_f64..200.0), 1..4)), 1..14),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let world = World::new(seed);
            let vid = world.vehicle("v").await;
            let fleet = world.fleet(std::slice::from_ref(&vid), &["telematics", "track-and-trace"]).await;
            // The same id with other samples would be another event: an id here always has the samples of its first use.
            let mut first = std::collections::BTreeMap::new();
            for (id, samples) in &uploads {
                let samples = first.entry(*id).or_insert(samples);
                world.upload(&vid, &id.to_string(), samples).await;
            }
            world.settle(|n| FaultPlan::seeded(n, 20)).await;

            let stored = world.stored();
            prop_assert_eq!(stored.len(), first.len());
            let archived: BTreeSet<String> = world.memory.archived().iter()
                .flat_map(|batch| batch.records.iter().map(|record| record.sequence_number.clone())).collect();
            prop_assert_eq!(archived.len(), uploads.len());

            let drained: BTreeSet<Eid> = world.drain(&fleet).await.iter().map(|event| event.eid).collect();
            prop_assert_eq!(drained, stored.iter().map(|stored| stored.event.eid).collect::<BTreeSet<_>>());

            let mut plain = VehicleState::default();
            for stored in &stored {
                plain.observe(&stored.event);
            }
            let (state, _) = world.query().state(&admin(), &vid).await.unwrap();
            prop_assert_eq!(state.signals, plain.signals);
            Ok(())
        })?;
    }
}
