//! A store or a bus that refuses data: only the events that cause it are quarantined, and nothing stands still.

use std::collections::BTreeSet;

use proptest::prelude::*;
use roadcast_domain::Timestamp;
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_domain::refusal::Reason;
use roadcast_domain::state::VehicleState;
use roadcast_signals::{Catalogue, Datatype};
use roadcast_testbed::{Fault, FaultPlan};
use serde_json::json;

use crate::fixture::{NOON, PipelineFixture, admin, event};

/// Returns the id of the event with this `id` and time of its first sample.
fn eid(vid: &VehicleId, id: &str, ago_s: i64) -> Eid {
    let noon = Timestamp::parse_rfc3339(NOON).unwrap();
    Eid::for_event(vid, "urn:test", id, noon.plus_ms(-ago_s * 1000))
}

#[derive(Copy, Clone, Debug)]
enum Refuser {
    Bus,
    State,
    Log,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Whatever events the bus, the state and the log refuse, in whatever batches: exactly these are quarantined, all others
    /// are stored, delivered and in the state.
    #[test]
    fn only_events_that_cause_a_refusal_are_quarantined(
        seed in 0_u64..1_000_000,
        events in prop::collection::vec((0_u8..3, 0_i64..3000, prop::option::weighted(0.3, 0_u8..3)), 1..24),
        with_faults: bool,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let pipeline = PipelineFixture::new(seed);
            let mut vids = Vec::new();
            for name in ["a", "b", "c"] {
                vids.push(pipeline.vehicle(name).await);
            }
            let fleet = pipeline.fleet(&vids, &["telematics", "track-and-trace"]).await;
            let (mut refused, mut expected) = (BTreeSet::new(), BTreeSet::new());
            for (n, (vehicle, ago_s, refuser)) in events.iter().enumerate() {
                let (vid, id) = (&vids[usize::from(*vehicle)], n.to_string());
                let eid = eid(vid, &id, *ago_s);
                // Every event is merged into the state at once or with a later one, or stays in the unmerged tail. An event in
                // the tail is stored before the state can refuse it.
                match refuser.map(|number| [Refuser::Bus, Refuser::State, Refuser::Log][usize::from(number)]) {
                    None => {}
                    Some(Refuser::Bus) => pipeline.memory.refuse_on_bus(eid),
                    Some(Refuser::Log) => pipeline.items.refuse(eid),
                    Some(Refuser::State) => pipeline.memory.refuse_in_state(eid),
                }
                if matches!(refuser, Some(0 | 2)) { refused.insert(eid) } else { expected.insert(eid) };
                pipeline.upload(vid, &id, &[(*ago_s, 50.0)]).await;
            }
            pipeline.process_all(|n| if with_faults { FaultPlan::seeded(n, 10) } else { FaultPlan::healthy() }).await;

            let stored = pipeline.stored_events();
            let quarantined: BTreeSet<Eid> = pipeline.memory.quarantined().iter().filter_map(|item| item.eid).collect();
            let reasons: BTreeSet<Reason> = pipeline.memory.quarantined().iter().map(|item| item.reason).collect();
            prop_assert!(reasons.iter().all(|reason| *reason == Reason::Unstorable));
            let stored_eids: BTreeSet<Eid> = stored.iter().map(|stored| stored.event.eid).collect();
            let is_state_refused = |eid: &Eid| pipeline.memory.is_refused_in_state(*eid);
            prop_assert!(refused.is_subset(&quarantined) && stored_eids.is_disjoint(&refused));
            prop_assert!(quarantined.iter().all(|eid| refused.contains(eid) || is_state_refused(eid)));
            for eid in &expected {
                // An event that only the state refuses is quarantined, or it is in the tail and stored.
                prop_assert!(stored_eids.contains(eid) || is_state_refused(eid) && quarantined.contains(eid));
            }

            let delivered: BTreeSet<Eid> = pipeline.drain_feed(&fleet).await.iter().map(|event| event.eid).collect();
            prop_assert!(stored_eids.is_subset(&delivered));
            for vid in &vids {
                let mut merged = VehicleState::default();
                for stored in stored.iter().filter(|stored| stored.event.vid == *vid) {
                    if !is_state_refused(&stored.event.eid) {
                        merged.merge_event(&stored.event);
                    }
                }
                let (state, _) = pipeline.states().state(&admin(), vid).await.unwrap();
                // The tail, which is read with the state, may contain events that the state would refuse, and the state events
                // that the log refused later.
                let is_expected = state.signals.iter().all(|(path, last)| {
                    merged.signals.get(path) == Some(last) || is_state_refused(&last.eid) || refused.contains(&last.eid)
                });
                prop_assert!(is_expected && merged.signals.keys().all(|path| state.signals.contains_key(path)));
            }
            Ok(())
        })?;
    }

    /// A missing permission, a missing resource or an unknown error code is retried until it is corrected.
    #[test]
    fn unknown_errors_of_any_port_quarantine_nothing(
        seed in 0_u64..1_000_000,
        uploads in prop::collection::vec(0_i64..3000, 1..12),
        failures in 1_usize..12,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let pipeline = PipelineFixture::new(seed);
            let vid = pipeline.vehicle("v").await;
            pipeline.fleet(std::slice::from_ref(&vid), &["telematics"]).await;
            for (n, ago_s) in uploads.iter().enumerate() {
                pipeline.upload(&vid, &n.to_string(), &[(*ago_s, 50.0)]).await;
            }
            pipeline.process_all(|_| FaultPlan::script(vec![Some(Fault::Internal); failures])).await;
            prop_assert!(pipeline.memory.quarantined().is_empty());
            prop_assert_eq!(pipeline.stored_events().len(), uploads.len());
            Ok(())
        })?;
    }
}

/// Ten events of one vehicle, each with another list of 64 texts of 1 KB: together more than an item may have.
#[tokio::test]
async fn large_lists_block_neither_their_vehicle_nor_its_later_uploads() {
    let pipeline = PipelineFixture::new(40);
    let vid = pipeline.vehicle("v").await;
    let lists = Catalogue::get().iter().filter(|def| def.is_array && def.datatype == Datatype::String);
    let lists: Vec<&str> = lists.filter(|def| def.allowed.is_empty()).map(|def| def.path).take(10).collect();
    assert_eq!(lists.len(), 10);
    for (n, path) in lists.iter().enumerate() {
        let ago_s = 3000 - i64::try_from(n).unwrap() * 300;
        let mut sent = event(&format!("list-{n}"), &[(ago_s, 50.0)]);
        let texts: Vec<String> = (0..64).map(|entry| format!("{n}-{entry}-{}", "x".repeat(1010))).collect();
        sent["data"]["samples"][0]["signals"][path] = json!(texts);
        pipeline.ingest().upload(&admin(), &vid, &sent.to_string()).await.unwrap();
    }
    pipeline.upload(&vid, "later", &[(1, 51.0)]).await;
    pipeline.process_all(|_| FaultPlan::healthy()).await;
    assert!(pipeline.memory.quarantined().is_empty());
    assert_eq!(pipeline.stored_events().len(), 11);
    let (state, _) = pipeline.states().state(&admin(), &vid).await.unwrap();
    assert!(lists.iter().all(|path| !state.signals.contains_key(*path)), "a list of too many bytes is rejected");
}
