#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use roadcast_domain::ids::VehicleId;
use roadcast_domain::json_pointer::JsonPointer;
use roadcast_domain::refusal::Reason;
use roadcast_ports::archive::{Quarantine, QuarantinedItem};
use roadcast_ports::stream::{StreamRecord, TelemetryStream};
use roadcast_ports::{PortError, PortErrorKind};
use roadcast_signals::Timestamp;

use super::{Fault, FaultPlan, Faulty};
use crate::Memory;

fn records(count: u8) -> Vec<StreamRecord> {
    (0..count).map(|n| StreamRecord { vid: VehicleId::from_random_bits(1), data: vec![n] }).collect()
}

fn kinds(results: &[Result<(), PortError>]) -> Vec<Option<PortErrorKind>> {
    results.iter().map(|result| result.as_ref().err().map(PortError::kind)).collect()
}

fn stored(memory: &Memory) -> Vec<u8> {
    memory.stream().records().iter().map(|record| record.data[0]).collect()
}

fn quarantined_item() -> [QuarantinedItem; 1] {
    [QuarantinedItem {
        reason: Reason::NotJson,
        pointer: JsonPointer::ROOT,
        vid: None,
        eid: None,
        index: None,
        samples: 1,
        shard: "shardId-000000000000".to_owned(),
        sequence_number: "1".to_owned(),
        arrived_at: Timestamp::from_ms(0),
        bytes: b"x".to_vec(),
    }]
}

#[tokio::test]
async fn entries_fail_separately_and_a_lost_response_is_applied() {
    let memory = Memory::default();
    let outcomes = [None, Some(Fault::Throttled), Some(Fault::LostResponse), Some(Fault::LostRequest), None];
    let stream = Faulty::new(memory.clone(), FaultPlan::script(outcomes));
    let results = stream.put(&records(6)).await;
    let (throttled, lost) = (Some(PortErrorKind::Throttled), Some(PortErrorKind::TimedOut));
    assert_eq!(kinds(&results), [None, throttled, lost, lost, None, None]);
    assert_eq!(stored(&memory), [0, 2, 4, 5]);
    assert_eq!((stream.plan().calls(), stream.plan().injected()), (6, 3));
}

#[tokio::test]
async fn a_call_is_applied_without_a_fault_or_with_a_lost_response() {
    for fault in Fault::RETRYABLE {
        let memory = Memory::default();
        let quarantine = Faulty::new(memory.clone(), FaultPlan::script([Some(fault)]));
        let error = quarantine.store(&quarantined_item()).await.unwrap_err();
        assert!(error.is_retryable());
        assert_eq!(memory.quarantined().len(), usize::from(fault == Fault::LostResponse), "{fault:?}");
        quarantine.store(&quarantined_item()).await.expect("the script is exhausted");
    }
}

#[tokio::test]
async fn a_restricted_plan_spares_other_operations_and_can_be_healed() {
    let memory = Memory::default();
    let plan = FaultPlan::always(Fault::Unavailable).only(&["quarantine"]);
    let faulty = Faulty::new(memory.clone(), plan.clone());
    assert_eq!(kinds(&faulty.put(&records(1)).await), [None]);
    assert!(Quarantine::store(&faulty, &quarantined_item()).await.is_err());
    plan.heal();
    assert!(Quarantine::store(&faulty, &quarantined_item()).await.is_ok());
}

#[tokio::test]
async fn a_seeded_plan_is_deterministic_and_fails_at_its_rate() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let stream = Faulty::new(Memory::default(), FaultPlan::seeded(11, 30));
        runs.push(kinds(&stream.put(&records(200)).await));
    }
    assert_eq!(runs[0], runs[1]);
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for kind in &runs[0] {
        *counts.entry(format!("{kind:?}")).or_default() += 1;
    }
    assert!((110..170).contains(&counts["None"]), "{counts:?}");
    assert_eq!(counts.len(), 4, "every kind of failure occurs: {counts:?}");
}
