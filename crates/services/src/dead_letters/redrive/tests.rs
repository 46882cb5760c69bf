#![allow(clippy::unwrap_used)]
use std::collections::BTreeMap;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Waker};

use proptest::prelude::*;
use roadcast_domain::dead_letter::{CLAIM_LEASE_MS, Content, ContentBucket, Hop, LetterFilter, LetterState, Pointers};
use roadcast_domain::fleet::Fleet;
use roadcast_domain::ids::{ClientId, FleetId, VehicleId};
use roadcast_domain::plan::Plan;
use roadcast_ports::archive::{Archive as _, RawBatch, RawRecord};
use roadcast_ports::clock::Clock as _;
use roadcast_ports::fleets::Fleets;
use roadcast_ports::redrive::ProcessedBatch;
use roadcast_testbed::{InFlight, InMemory, ManualClock, Memory, port_set};
use serde_json::{Value, json};

use super::*;
use crate::authz::Proof as _;

port_set! {
    /// Ports in memory that yield before each call, so that redrives interleave and can be interrupted.
    enum InterruptedPorts {
        DeadLetters = InFlight<Memory>;
        Redrives = InFlight<Memory>;
        DeadLetterContents = InFlight<Memory>;
        RedriveTargets = InFlight<Memory>;
    }
}

/// More than a test takes.
const TIME_MS: i64 = 3_600_000;

fn admin() -> Admin {
    Admin::prove(&roadcast_domain::caller::Caller::Admin(ClientId::new("admin"))).unwrap()
}

fn sender(memory: &Memory) -> LetterSender<InMemory> {
    let m = || memory.clone();
    LetterSender {
        contents: m(),
        archive: m(),
        targets: m(),
        stream: m(),
        bus: m(),
        fleets: m(),
        deliveries: m(),
        endpoints: m(),
        tasks: m(),
    }
}

fn redriver(memory: &Memory, clock: &ManualClock) -> Redriver<InMemory> {
    Redriver { letters: memory.clone(), redrives: memory.clone(), sender: sender(memory), clock: clock.clone() }
}

/// Stores a letter with these bytes, which failed some seconds ago.
async fn letter(memory: &Memory, clock: &ManualClock, hop: Hop, n: i64, bytes: &[u8]) -> DeadLetterId {
    let failed_at = clock.now().plus_ms(-1000 * (n + 1));
    let id = DeadLetterId::for_failure(hop, failed_at, &n.to_string());
    let key = format!("letters/{id}");
    memory.put_letter_object(&key, bytes.to_vec());
    let letter = DeadLetter {
        dead_letter_id: id,
        hop,
        reason: "type_unknown".to_owned(),
        detail: None,
        fleet_id: None,
        pointers: Pointers { lane: Some("alerts".to_owned()), ..Pointers::default() },
        items: 1,
        first_at: failed_at,
        last_at: failed_at,
        content: Content { bucket: ContentBucket::DeadLetters, key, bytes: bytes.len() as u64 },
        claim: None,
        redriven: None,
    };
    memory.put(&letter).await.unwrap();
    id
}

fn letters(ids: &[DeadLetterId], again: bool) -> RedriveRequest {
    RedriveRequest::Letters { dead_letter_ids: ids.to_vec(), again }
}

async fn run(memory: &Memory, clock: &ManualClock, id: &str, request: RedriveRequest) -> Result<Redrive, ServiceError> {
    redriver(memory, clock).run(&admin(), &id.parse().unwrap(), request, TIME_MS).await
}

fn counts(redrive: &Redrive) -> (u64, u64, u64) {
    assert!(redrive.finished);
    (redrive.redriven, redrive.skipped, redrive.failed)
}

fn reasons(redrive: &Redrive) -> Vec<&str> {
    redrive.failures.iter().map(|failure| failure.reason.as_str()).collect()
}

#[tokio::test]
async fn repeated_redrive_has_one_effect_and_returns_its_record() {
    let (clock, memory) = (ManualClock::default(), Memory::new(ManualClock::default()));
    let id = letter(&memory, &clock, Hop::Enrichment, 1, b"{}").await;
    let first = run(&memory, &clock, "r1", letters(&[id], false)).await.unwrap();
    assert_eq!(counts(&first), (1, 0, 0));
    assert_eq!(first.by, ClientId::new("admin"));
    for _ in 0..2 {
        assert_eq!(run(&memory, &clock, "r1", letters(&[id], false)).await.unwrap(), first);
    }
    let other = run(&memory, &clock, "r1", letters(&[id], true)).await;
    assert!(matches!(other, Err(ServiceError::Conflict(_))), "{other:?}");
    assert_eq!(memory.redelivered().messages, [("alerts".to_owned(), "{}".to_owned())]);
    assert_eq!(memory.dead_letters()[0].state(), LetterState::Redriven);
}

#[tokio::test]
async fn letter_is_sent_by_another_redrive_only_if_it_says_again() {
    let (clock, memory) = (ManualClock::default(), Memory::new(ManualClock::default()));
    let id = letter(&memory, &clock, Hop::Enrichment, 1, b"{}").await;
    run(&memory, &clock, "r1", letters(&[id], false)).await.unwrap();
    let selection = RedriveRequest::Selection(LetterFilter { hop: Some(Hop::Enrichment), ..LetterFilter::default() });
    assert_eq!(counts(&run(&memory, &clock, "r2", selection).await.unwrap()), (0, 1, 0));
    assert_eq!(counts(&run(&memory, &clock, "r3", letters(&[id], false)).await.unwrap()), (0, 1, 0));
    assert_eq!(memory.redelivered().messages.len(), 1);
    assert_eq!(counts(&run(&memory, &clock, "r4", letters(&[id], true)).await.unwrap()), (1, 0, 0));
    assert_eq!(memory.redelivered().messages.len(), 2);
}

#[tokio::test]
async fn selection_excludes_letters_that_fail_after_its_start() {
    let (clock, memory) = (ManualClock::default(), Memory::new(ManualClock::default()));
    for n in 0..120 {
        letter(&memory, &clock, if n % 2 == 0 { Hop::Enrichment } else { Hop::Unknown }, n, b"{}").await;
    }
    let selection = RedriveRequest::Selection(LetterFilter { hop: Some(Hop::Enrichment), ..LetterFilter::default() });
    // No time: the redrive is only created.
    let created = redriver(&memory, &clock).run(&admin(), &"r1".parse().unwrap(), selection.clone(), 0).await.unwrap();
    assert!(!created.finished);
    clock.advance_ms(60_000);
    letter(&memory, &clock, Hop::Enrichment, 0, b"later").await;
    assert_eq!(counts(&run(&memory, &clock, "r1", selection).await.unwrap()), (60, 0, 0));
    assert!(memory.redelivered().messages.iter().all(|(_, message)| message == "{}"));
}

#[tokio::test]
async fn letter_that_cannot_be_sent_is_kept_and_reported() {
    let (clock, memory) = (ManualClock::default(), Memory::new(ManualClock::default()));
    let fleet_id = FleetId::from_random_bits(7);
    let entry = json!({"detail": {"fleetId": fleet_id, "events": [{"id": "a"}]}}).to_string();
    let absent = DeadLetterId::for_failure(Hop::Feed, clock.now(), "absent");
    let ids = [
        letter(&memory, &clock, Hop::Unknown, 1, b"{}").await,
        letter(&memory, &clock, Hop::Stream, 2, b"{}").await,
        letter(&memory, &clock, Hop::Feed, 3, entry.as_bytes()).await,
        letter(&memory, &clock, Hop::BackTest, 4, br#"{"backTestId":"bkt_0000000000000003"}"#).await,
        absent,
    ];
    let redrive = run(&memory, &clock, "r1", letters(&ids, false)).await.unwrap();
    assert_eq!(counts(&redrive), (0, 0, 5));
    assert_eq!(reasons(&redrive), ["unknown-hop", "unreadable", "fleet-left", "start-again", "absent"]);
    assert!(memory.dead_letters().iter().all(|letter| letter.state() == LetterState::Kept));
}

#[tokio::test]
async fn each_hop_sends_to_where_it_failed() {
    let (clock, memory) = (ManualClock::default(), Memory::new(ManualClock::default()));
    let fleet_id = FleetId::from_random_bits(7);
    let fleet = Fleet::new(fleet_id.clone(), "fleet".to_owned(), "bus-2".to_owned(), Plan::Standard, clock.now());
    let change = roadcast_testbed::fixtures::change(&fleet_id);
    Fleets::create(&memory, &fleet, &change).await.unwrap();
    let entry = json!({"detail": {"fleetId": fleet_id, "events": [{"id": "a"}]}}).to_string();
    let vid = VehicleId::from_random_bits(1);
    let device = json!({"topic": format!("$aws/rules/r/{vid}"), "base64OriginalPayload": "e30="}).to_string();
    let invocation = json!({"payload": json!({"Records": [{"eventID": "s:1"}]}).to_string()}).to_string();
    let import = json!({"requestPayload": {"Records": []}}).to_string();
    let ids = [
        letter(&memory, &clock, Hop::Feed, 1, entry.as_bytes()).await,
        letter(&memory, &clock, Hop::DeviceRule, 2, device.as_bytes()).await,
        letter(&memory, &clock, Hop::Stream, 3, invocation.as_bytes()).await,
        letter(&memory, &clock, Hop::BulkImport, 4, import.as_bytes()).await,
        letter(&memory, &clock, Hop::Notice, 5, br#"{"notice":true,"events":[]}"#).await,
    ];
    assert_eq!(counts(&run(&memory, &clock, "r1", letters(&ids, false)).await.unwrap()), (5, 0, 0));
    let sent = memory.redelivered();
    assert_eq!(sent.notices, [r#"{"notice":true,"events":[]}"#]);
    assert_eq!(sent.batches[0].records, [r#"{"eventID":"s:1"}"#]);
    assert_eq!(sent.notifications, [r#"{"Records":[]}"#]);
    let put = memory.stream().read(0, 0);
    assert_eq!((put.len(), put[0].partition_key.as_str(), put[0].data.as_slice()), (1, vid.as_str(), b"{}".as_slice()));
    let delivered = memory.deliveries();
    assert_eq!((delivered.len(), delivered[0].bus.as_str(), delivered[0].events[0].as_str()), (1, "bus-2", r#"{"id":"a"}"#));
}

#[tokio::test]
async fn quarantined_records_are_read_from_the_archive() {
    let (clock, memory) = (ManualClock::default(), Memory::new(ManualClock::default()));
    let record = |n: i64| RawRecord {
        sequence_number: n.to_string(),
        partition_key: format!("key {n}"),
        arrived_at: clock.now().plus_ms(n),
        data: vec![0xFF],
    };
    let line = |n: i64| json!({"shard": "s", "seq": n.to_string(), "arrivedAt": clock.now().plus_ms(n)}).to_string() + "\n";
    let batch = RawBatch { shard: "s".to_owned(), records: (0..4).map(|n| record(n).into()).collect() };
    memory.store(&batch).await.unwrap();
    // Two items of one record.
    let object = [line(1), line(1), line(3)].concat();
    let id = letter(&memory, &clock, Hop::Quarantine, 1, object.as_bytes()).await;

    memory.set_redrive_result(ProcessedBatch { is_partial: false, quarantined: [("type_unknown".to_owned(), 1)].into() });
    let again = run(&memory, &clock, "r1", letters(&[id], false)).await.unwrap();
    assert_eq!(reasons(&again), ["quarantined-again"]);
    memory.set_redrive_result(ProcessedBatch { is_partial: true, ..ProcessedBatch::default() });
    assert_eq!(reasons(&run(&memory, &clock, "r2", letters(&[id], false)).await.unwrap()), ["not-processed"]);
    // Another reason has a letter of its own.
    memory.set_redrive_result(ProcessedBatch { is_partial: false, quarantined: [("time_ahead".to_owned(), 1)].into() });
    assert_eq!(counts(&run(&memory, &clock, "r3", letters(&[id], false)).await.unwrap()), (1, 0, 0));

    let sent: Vec<Value> =
        memory.redelivered().batches[2].records.iter().map(|record| serde_json::from_str(record).unwrap()).collect();
    assert_eq!(sent.len(), 2);
    assert_eq!((&sent[0]["eventID"], &sent[0]["kinesis"]["partitionKey"]), (&json!("s:1"), &json!("key 1")));
    assert_eq!(sent[0]["kinesis"]["data"], "/w==");

    let missing = letter(&memory, &clock, Hop::Quarantine, 2, line(9).as_bytes()).await;
    assert_eq!(reasons(&run(&memory, &clock, "r4", letters(&[missing], false)).await.unwrap()), ["not-archived"]);
}

/// What happens to the redrives.
#[derive(Clone, Debug)]
enum Step {
    /// A request for the redrive with this number arrives.
    Request(usize),
    /// A request in progress proceeds to its next await.
    Proceed(usize),
    /// The function ends during a request.
    Interrupt(usize),
    /// Time passes until claims are too old.
    Wait,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0_usize..3).prop_map(Step::Request),
        12 => any::<usize>().prop_map(Step::Proceed),
        1 => any::<usize>().prop_map(Step::Interrupt),
        1 => Just(Step::Wait),
    ]
}

type Run = Pin<Box<dyn Future<Output = ()>>>;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// However redrives are requested, repeated, interleaved and interrupted between any two awaits: each letter is sent, once
    /// unless a redrive was interrupted or took too long, and is marked.
    #[test]
    fn interrupted_and_concurrent_redrives_send_each_letter(steps in prop::collection::vec(step(), 0..80)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (clock, memory) = (ManualClock::default(), Memory::new(ManualClock::default()));
            let mut ids = Vec::new();
            for n in 0..4 {
                ids.push(letter(&memory, &clock, Hop::Enrichment, n, format!("{n}").as_bytes()).await);
            }
            let all = RedriveRequest::Selection(LetterFilter { hop: Some(Hop::Enrichment), ..LetterFilter::default() });
            let requests = [all, letters(&ids[1..], false), letters(&[ids[3], ids[0]], false)];
            let slow = || InFlight::new(memory.clone());
            let redriver = Rc::new(Redriver::<InterruptedPorts> {
                letters: slow(),
                redrives: slow(),
                sender: LetterSender {
                    contents: slow(),
                    archive: memory.clone(),
                    targets: slow(),
                    stream: memory.clone(),
                    bus: memory.clone(),
                    fleets: memory.clone(),
                    deliveries: memory.clone(),
                    endpoints: memory.clone(),
                    tasks: memory.clone(),
                },
                clock: clock.clone(),
            });
            let request = |n: usize| -> Run {
                let (redriver, request) = (Rc::clone(&redriver), requests[n].clone());
                Box::pin(async move {
                    redriver.run(&admin(), &format!("r{n}").parse().unwrap(), request, TIME_MS).await.unwrap();
                })
            };
            let mut runs: Vec<Run> = Vec::new();
            let mut repeats = 0;
            for step in steps {
                let pick = |n: usize| (!runs.is_empty()).then(|| n % runs.len());
                match step {
                    Step::Request(n) => runs.push(request(n)),
                    Step::Wait => {
                        clock.advance_ms(CLAIM_LEASE_MS);
                        repeats += 1;
                    }
                    Step::Proceed(n) => {
                        if let Some(index) = pick(n)
                            && runs[index].as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()
                        {
                            drop(runs.swap_remove(index));
                        }
                    }
                    Step::Interrupt(n) => {
                        if let Some(index) = pick(n) {
                            drop(runs.swap_remove(index));
                            repeats += 1;
                        }
                    }
                }
            }
            for run in runs {
                run.await;
            }
            // Each redrive is requested until it ends.
            for n in 0..3 {
                clock.advance_ms(CLAIM_LEASE_MS);
                request(n).await;
                let redrive = redriver.get(&admin(), &format!("r{n}").parse().unwrap()).await.unwrap();
                prop_assert!(redrive.finished);
                let letters = [4, 3, 2][n];
                prop_assert_eq!((redrive.redriven + redrive.skipped, redrive.failed), (letters, 0));
            }
            let mut sent: BTreeMap<String, usize> = BTreeMap::new();
            for (_, message) in memory.redelivered().messages {
                *sent.entry(message).or_default() += 1;
            }
            prop_assert_eq!(sent.len(), ids.len());
            prop_assert!(sent.values().all(|sends| *sends <= 1 + repeats), "{sent:?} with {repeats} interruptions");
            prop_assert!(memory.dead_letters().iter().all(|letter| letter.state() == LetterState::Redriven));
            Ok(())
        })?;
    }
}
