#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use roadcast_domain::fleet::Fleet;
use roadcast_domain::ids::FleetId;
use roadcast_domain::lane::Lane;
use roadcast_domain::plan::Plan;
use roadcast_event_log::SegmentedLog;
use roadcast_ports::PortErrorKind;
use roadcast_ports::bus::{Batch, DeliveryBus, FleetBatch, IngestBus};
use roadcast_ports::clock::Clock;
use roadcast_ports::conformance;
use roadcast_ports::feed::{FeedQueue, ReceiveOptions};
use roadcast_ports::provisioning::FleetChannel;

use crate::{ManualClock, Memory, MemoryBulk, MemoryErasure, MemoryItems, SeededRandomness};

#[tokio::test]
async fn memory_passes_every_conformance_suite_repeatedly() {
    let (memory, random) = (Memory::default(), SeededRandomness::new(1));
    let log = SegmentedLog { items: MemoryItems::default() };
    let (items, bulk) = (log.items.clone(), MemoryBulk::default());
    let erasure = MemoryErasure { memory: memory.clone(), items, bulk };
    for _ in 0..2 {
        conformance::event_log(&memory, &random).await;
        conformance::event_log(&log, &random).await;
        conformance::state_store(&memory, &random).await;
        conformance::vehicles(&memory, &random).await;
        conformance::vehicle_names(&memory, &random).await;
        conformance::fleets(&memory, &random).await;
        conformance::places_on_buses(&memory, &random).await;
        conformance::schemas(&memory, &random).await;
        conformance::secret_source(&memory).await;
        conformance::clients(&memory, &random).await;
        conformance::audit_trail(&memory, &memory, &memory, &random).await;
        conformance::offboarding_fleets(&memory, &memory, &memory, &random).await;
        conformance::app_clients(&memory, &random).await;
        conformance::subscriptions(&memory, &random).await;
        conformance::subscriptions_and_entitlements(&memory, &memory, &random).await;
        conformance::custom_packages(&memory, &memory, &random).await;
        conformance::telemetry_stream(&memory, &random).await;
        let shards = (&["shardId-000000000000"][..], memory.clock().now());
        conformance::stream_reads(&memory, &memory, &memory, shards, &random).await;
        conformance::alert_checkpoints(&memory, memory.clock(), &random).await;
        conformance::shard_evaluations(&memory, &random).await;
        conformance::sent_notices(&memory, memory.clock(), &random).await;
        let (on_bus, published) = (memory.notices_on_bus().len(), memory.published_notices().len());
        let notice = conformance::notice_channels(&memory, &memory, &random).await;
        let twice = [notice.clone(), notice];
        assert_eq!(memory.notices_on_bus()[on_bus..], twice);
        assert_eq!(memory.published_notices()[published..], twice);
        conformance::ingest_bus(&memory, &random).await;
        conformance::archive(&memory, &random).await;
        conformance::archived_batches(&memory, &memory, memory.clock(), &random).await;
        conformance::quarantine(&memory, &random).await;
        conformance::feed(&memory, &memory, &memory, "bus-a", &random).await;
        conformance::feed_index(&memory, memory.clock(), &random).await;
        conformance::restored_feed_index(&memory, memory.clock(), &random).await;
        conformance::rate_counter(&memory, &random).await;
        conformance::idempotency_store(&memory, &random).await;
        conformance::provisioning_workflow(&memory, &random).await;
        conformance::dead_letters(&memory, &random).await;
        conformance::dead_letter_contents(&memory, &random).await;
        conformance::redrives(&memory, &random).await;
        conformance::fleet_channel(&memory, "bus-a", &random).await;
        conformance::feed_proofs(&memory, &random).await;
        conformance::endpoints(&memory, &memory, &random).await;
        conformance::alert_rules(&memory, &memory, &random).await;
        conformance::back_tests(&memory, memory.clock().now(), &random).await;
        conformance::deliveries(&memory, &random).await;
        conformance::attempts(&memory, &random).await;
        conformance::endpoint_healths(&memory, &random).await;
        conformance::endpoint_redrives(&memory, &random).await;
        conformance::waiting_deliveries(&memory, &random).await;
        conformance::sealer(&memory, &random).await;
        conformance::erasures(&memory, &random).await;
        conformance::hidden_vehicles(&memory, &erasure, &random).await;
        let stores = conformance::ErasedStores { log: &log, states: &memory, subscriptions: &memory, entitlements: &memory };
        conformance::erased_stores(&stores, &erasure, &random).await;
        conformance::erased_alert_state(&memory, &erasure, (memory.clock().now(), &random)).await;
        conformance::delivery_queue(&memory, &random, async |is_ordered| received(&memory, is_ordered)).await;
    }
}

/// Receives and deletes the tasks that are visible.
fn received(memory: &Memory, is_ordered: bool) -> Vec<String> {
    let mut bodies = Vec::new();
    loop {
        let messages = if is_ordered { memory.ordered_queue().receive(10) } else { memory.delivery_queue().receive(10) };
        if messages.is_empty() {
            return bodies;
        }
        for message in messages {
            memory.ordered_queue().delete(&message.receipt_handle);
            memory.delivery_queue().delete(&message.receipt_handle);
            bodies.push(message.body);
        }
    }
}

fn fleet(clock: &ManualClock, bus: &str) -> Fleet {
    let fleet_id = FleetId::from_random_bits(1);
    Fleet::new(fleet_id, "fleet".to_owned(), bus.to_owned(), Plan::Standard, clock.now())
}

async fn deliver(memory: &Memory, fleet: &Fleet, bus: &str, events: &[&str]) {
    let events = events.iter().map(|&event| event.to_owned()).collect();
    let entry = FleetBatch { fleet_id: fleet.fleet_id.clone(), bus: bus.to_owned(), for_webhooks: false, events };
    DeliveryBus::publish(memory, &[entry]).await.remove(0).unwrap();
}

#[tokio::test]
async fn message_is_redelivered_and_its_old_handle_has_no_effect() {
    let clock = ManualClock::default();
    let memory = Memory::new(clock.clone());
    memory.set_visibility_ms(20_000);
    let fleet = fleet(&clock, "bus");
    memory.ensure_queue(&fleet).await.unwrap();
    memory.ensure_rule(&fleet).await.unwrap();
    deliver(&memory, &fleet, "bus", &["{}", "{}"]).await;

    let receive = async || memory.receive(&fleet.fleet_id, ReceiveOptions::default()).await.unwrap();
    let first = receive().await.remove(0);
    assert_eq!(first.body, "[{},{}]");
    clock.advance_ms(19_999);
    assert!(receive().await.is_empty(), "invisible until the visibility timeout");
    clock.advance_ms(1);
    let again = receive().await.remove(0);
    assert_eq!(again.body, first.body);

    let acknowledge = async |handle: &str| memory.acknowledge(&fleet.fleet_id, &[handle.to_owned()]).await.remove(0);
    acknowledge(&first.ack_handle).await.expect("an old handle is accepted");
    assert_eq!(memory.queued(&fleet.fleet_id).len(), 1);
    acknowledge(&again.ack_handle).await.unwrap();
    assert!(memory.queued(&fleet.fleet_id).is_empty());
    acknowledge(&again.ack_handle).await.expect("acknowledging again is accepted");
    acknowledge("x").await.expect("an unknown handle has no effect");
}

#[tokio::test]
async fn delivery_requires_a_queue_and_a_rule_on_the_bus() {
    let clock = ManualClock::default();
    let memory = Memory::new(clock.clone());
    let fleet = fleet(&clock, "bus-a");
    memory.ensure_rule(&fleet).await.unwrap();
    deliver(&memory, &fleet, "bus-a", &["{}"]).await;
    assert!(!memory.is_provisioned(&fleet.fleet_id));
    memory.ensure_queue(&fleet).await.unwrap();
    deliver(&memory, &fleet, "bus-b", &["{}"]).await;
    assert!(memory.queued(&fleet.fleet_id).is_empty());
    deliver(&memory, &fleet, "bus-a", &["{}"]).await;
    assert_eq!(memory.queued(&fleet.fleet_id), ["[{}]"]);
    assert_eq!(memory.deliveries().len(), 3, "the bus accepts entries that match no rule");
}

#[tokio::test]
async fn oversized_bus_entry_is_rejected_without_its_batch() {
    let memory = Memory::default();
    let entries =
        [1000, 1_000_000].map(|bytes| Batch { lane: Lane::Telemetry, for_notices: false, events: vec![" ".repeat(bytes)] });
    let results = IngestBus::publish(&memory, &entries).await;
    assert!(results[0].is_ok());
    assert_eq!(results[1].as_ref().unwrap_err().kind(), PortErrorKind::Rejected);
    assert_eq!(memory.take_published(), entries[..1]);
    assert!(memory.published().is_empty());
}

#[tokio::test]
async fn queue_refuses_the_characters_that_sqs_refuses() {
    let memory = Memory::default();
    let fleet = fleet(memory.clock(), "bus-a");
    memory.ensure_queue(&fleet).await.unwrap();
    memory.ensure_rule(&fleet).await.unwrap();
    let accepted = ["[\"Größe \u{fffd}\"]", r#"["\u0000 \" \\uffff \ud83d\ude00 \u00e9"]"#];
    let refused = ["[\"\u{ffff}\"]", r#"["\uffff"]"#, r#"["\\\uFFFE"]"#, "[\"\u{1}\"]"];
    for event in accepted.iter().chain(&refused) {
        deliver(&memory, &fleet, "bus-a", &[event]).await;
    }
    // The bus writes the character in place of its escape.
    let queued = ["[[\"Größe \u{fffd}\"]]", r#"[["\u0000 \" \\uffff \ud83d\ude00 é"]]"#];
    assert_eq!(memory.queued(&fleet.fleet_id), queued);
    assert_eq!(memory.undeliverable(), refused.map(|event| format!("[{event}]")));
}
