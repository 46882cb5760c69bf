#![allow(clippy::unwrap_used)]
use roadcast_domain::Timestamp;
use roadcast_domain::caller::Caller;
use roadcast_domain::dead_letter::{Content, ContentBucket, DeadLetter, Pointers};
use roadcast_domain::ids::{ClientId, VehicleId};
use roadcast_domain::vehicle::{Vehicle, VehicleDetails};
use roadcast_lambda_kit::http::Invocation;
use roadcast_lambda_kit::kinesis::KinesisEvent;
use roadcast_ports::PortError;
use roadcast_ports::archive::RawRecord;
use roadcast_ports::clock::Clock as _;
use roadcast_ports::dead_letters::DeadLetters;
use roadcast_ports::redrive::{ProcessedBatch, RedriveTargets, RedrivenBatch};
use roadcast_ports::vehicles::Vehicles;
use roadcast_services::cache::{CachedEntitlements, CachedSubjects};
use roadcast_services::catalogue::event_schemas::{CachedSchemas, SchemaRegistration};
use roadcast_services::dead_letters::redrive::LetterSender;
use roadcast_services::stream::{AlertReader, EventStore, EventValidator, Publisher, RecentEvents, Record, StreamProcessor};
use roadcast_testbed::{ManualClock, Memory, port_set};
use serde_json::Value;

use super::*;

port_set! {
    /// Ports in memory whose targets of redrives are the functions.
    enum RedrivePorts {
        EventLog = Memory;
        RedriveTargets = Functions;
    }
}

/// The stream processor in this process.
struct Functions(Memory, ManualClock);

impl Functions {
    fn processor(&self) -> StreamProcessor<RedrivePorts> {
        let (m, k) = (|| self.0.clone(), || self.1.clone());
        StreamProcessor {
            archive: m(),
            quarantine: m(),
            validator: EventValidator { subjects: CachedSubjects::new(m(), k()), schemas: CachedSchemas::new(m(), k()) },
            alerts: AlertReader { secrets: m() },
            publisher: Publisher { entitlements: CachedEntitlements::new(m(), k()), bus: m(), clock: k() },
            store: EventStore { state: m(), log: m(), recent: RecentEvents::default() },
            clock: k(),
        }
    }
}

impl RedriveTargets for Functions {
    async fn process(&self, batch: &RedrivenBatch) -> Result<ProcessedBatch, PortError> {
        let event = format!(r#"{{"redriveId":"{}","Records":[{}]}}"#, batch.redrive_id, batch.records.join(","));
        let batch = serde_json::from_str::<KinesisEvent>(&event).unwrap().into_batch(Timestamp::from_ms(0));
        assert_eq!((batch.unreadable, batch.redrive_id.is_some()), (0, true));
        let outcome = self.processor().redrive_batch(&batch.records).await;
        let quarantined = outcome.counts.samples_quarantined.iter();
        let quarantined = quarantined.map(|(reason, samples)| (reason.to_string(), *samples)).collect();
        Ok(ProcessedBatch { is_partial: outcome.retry_from.is_some(), quarantined })
    }

    async fn enrich(&self, lane: &str, message: &str) -> Result<(), PortError> {
        self.0.enrich(lane, message).await
    }

    async fn import(&self, notification: &str) -> Result<(), PortError> {
        self.0.import(notification).await
    }

    async fn notify(&self, message: &str) -> Result<(), PortError> {
        self.0.notify(message).await
    }
}

type TestApi = DeadLettersApi<RedrivePorts>;

fn api(memory: &Memory, clock: &ManualClock) -> TestApi {
    let m = || memory.clone();
    let targets = Functions(m(), clock.clone());
    let (contents, archive, stream, bus, fleets) = (m(), m(), m(), m(), m());
    let (deliveries, endpoints, tasks) = (m(), m(), m());
    let sender = LetterSender { contents, archive, targets, stream, bus, fleets, deliveries, endpoints, tasks };
    DeadLettersApi {
        queries: DeadLetterQueries { letters: m(), contents: m() },
        redriver: Redriver { letters: m(), redrives: m(), sender, clock: clock.clone() },
    }
}

/// Sends a request as an admin. Returns the status, and the body or the problem document.
async fn send(api: &TestApi, operation: (&str, &str), path: &Value, query: &Value, body: &Value) -> (u16, Value) {
    let (method, resource) = operation;
    let operation = TestApi::OPERATIONS.iter().find(|found| (found.method, found.resource) == operation).unwrap();
    let event = json!({"httpMethod": method, "pathParameters": path, "body": body.to_string(), "queryStringParameters": query,
        "requestContext": {"httpMethod": method, "resourcePath": resource}});
    let request = serde_json::from_str::<Invocation>(&event.to_string()).unwrap().into_request().unwrap();
    match operation.handle(api, &request, &Caller::Admin(ClientId::new("admin"))).await {
        Ok(response) => (response.status().as_u16(), serde_json::from_slice(response.body()).unwrap()),
        Err(problem) => (problem.status().as_u16(), problem.to_document()),
    }
}

async fn get_letter(api: &TestApi, id: DeadLetterId) -> (u16, Value) {
    send(api, ("GET", "/dead-letters/{deadLetterId}"), &json!({ "deadLetterId": id }), &json!({}), &json!({})).await
}

async fn redrive(api: &TestApi, id: &str, body: Value) -> (u16, Value) {
    send(api, ("PUT", "/redrives/{redriveId}"), &json!({ "redriveId": id }), &json!({}), &body).await
}

async fn put_letter(memory: &Memory, hop: Hop, failed_at: Timestamp, bytes: &[u8]) -> DeadLetterId {
    let id = DeadLetterId::for_failure(hop, failed_at, "source");
    let content = Content { bucket: ContentBucket::DeadLetters, key: format!("letters/{id}"), bytes: bytes.len() as u64 };
    memory.put_letter_object(&content.key, bytes.to_vec());
    let letter = DeadLetter {
        dead_letter_id: id,
        hop,
        reason: "type_unknown".to_owned(),
        detail: None,
        fleet_id: None,
        pointers: Pointers::default(),
        items: 1,
        first_at: failed_at,
        last_at: failed_at,
        content,
        claim: None,
        redriven: None,
    };
    DeadLetters::put(memory, &letter).await.unwrap();
    id
}

const TYRE: &str = "com.example.tyre.v1";

/// Puts a record of an event of a type that is not registered yet, without a subject, and processes it: it is quarantined.
/// Returns the vehicle and the letter of the quarantine.
async fn quarantined_event(memory: &Memory, clock: &ManualClock) -> (VehicleId, DeadLetterId) {
    let vid = VehicleId::from_random_bits(1);
    let now = clock.now();
    let vehicle = Vehicle {
        vid: vid.clone(),
        details: VehicleDetails::default(),
        version: 1,
        owner: None,
        retired_at: None,
        created_at: now.plus_ms(-60_000),
        updated_at: now,
    };
    Vehicles::register(memory, &vehicle).await.unwrap();
    let event = json!({"specversion": "1.0", "type": TYRE, "source": "urn:a", "id": "e1", "time": clock.now(),
        "data": {"kPa": 250}});
    let put = memory.stream().put_bytes(vid.as_str(), event.to_string().as_bytes());
    let line = json!({"shard": put.shard, "seq": put.sequence_number, "arrivedAt": put.arrived_at});
    let raw = RawRecord {
        sequence_number: put.sequence_number,
        partition_key: put.partition_key,
        arrived_at: put.arrived_at,
        data: put.data,
    };
    let processor = Functions(memory.clone(), clock.clone()).processor();
    let outcome = processor.process_batch(&[Record { shard: put.shard, raw: raw.into() }]).await;
    assert_eq!((outcome.retry_from, memory.quarantined().len()), (None, 1));
    assert_eq!(memory.quarantined()[0].reason.to_string(), "type_unknown");
    let id = put_letter(memory, Hop::Quarantine, clock.now(), line.to_string().as_bytes()).await;
    (vid, id)
}

async fn register_schema(memory: &Memory, clock: &ManualClock) {
    let schemas = SchemaRegistration::<RedrivePorts> { schemas: memory.clone(), clock: clock.clone() };
    let admin = roadcast_services::authz::Proof::prove(&Caller::Admin(ClientId::new("admin"))).unwrap();
    let schema = r#"{"type": "object", "additionalProperties": false, "properties": {"kPa": {"maximum": 1000}}}"#;
    schemas.register(&admin, TYRE, schema).await.unwrap();
}

#[tokio::test]
async fn quarantined_event_is_stored_once_after_its_schema_is_registered() {
    let clock = ManualClock::default();
    let memory = Memory::new(clock.clone());
    let (vid, id) = quarantined_event(&memory, &clock).await;
    let received = clock.now();
    let api = api(&memory, &clock);
    clock.advance_ms(3_600_000);

    let (status, failed) = redrive(&api, "before", json!({ "deadLetterIds": [id] })).await;
    assert_eq!((status, &failed["failures"][0]["reason"]), (200, &json!("quarantined-again")));
    assert_eq!(get_letter(&api, id).await.1["state"], "kept");
    register_schema(&memory, &clock).await;
    clock.advance_ms(60_000);

    for _ in 0..3 {
        let (status, redriven) = redrive(&api, "after", json!({ "deadLetterIds": [id] })).await;
        assert_eq!((status, &redriven["state"], &redriven["redriven"]), (200, &json!("finished"), &json!(1)));
        let stored = memory.events();
        assert_eq!(stored.len(), 1);
        assert_eq!(
            (&stored[0].event.vid, stored[0].event.received),
            (&vid, received),
            "the received time is that of the stream"
        );
    }
    let (_, skipped) = redrive(&api, "other", json!({"selection": {"hop": "quarantine"}})).await;
    assert_eq!((&skipped["redriven"], &skipped["skipped"]), (&json!(0), &json!(1)));
    let (_, again) = redrive(&api, "again", json!({ "deadLetterIds": [id], "again": true })).await;
    assert_eq!((&again["redriven"], memory.events().len()), (&json!(1), 1), "a stored event is dropped");
    let shown = get_letter(&api, id).await.1;
    assert_eq!((&shown["state"], &shown["redriven"]["redriveId"]), (&json!("redriven"), &json!("again")));
}

#[tokio::test]
async fn letters_are_listed_newest_first_and_filtered() {
    let clock = ManualClock::default();
    let memory = Memory::new(clock.clone());
    let api = api(&memory, &clock);
    let (older, newer) = (clock.now().plus_ms(-60_000), clock.now());
    let first = put_letter(&memory, Hop::Feed, older, b"{}").await;
    let second = put_letter(&memory, Hop::Unknown, newer, b"{}").await;
    let list = async |query: Value| {
        let (status, page) = send(&api, ("GET", "/dead-letters"), &json!({}), &query, &json!({})).await;
        let ids = page["items"].as_array().into_iter().flatten().map(|item| item["deadLetterId"].clone()).collect();
        (status, Value::Array(ids))
    };
    assert_eq!(list(json!({})).await, (200, json!([second, first])));
    assert_eq!(list(json!({"hop": "feed"})).await, (200, json!([first])));
    assert_eq!(list(json!({"since": newer.to_string()})).await, (200, json!([second])));
    assert_eq!(list(json!({"until": newer.to_string()})).await, (200, json!([first])));
    assert_eq!(list(json!({"state": "redriven"})).await, (200, json!([])));
    for (name, value) in [("hop", "x"), ("state", "x"), ("since", "x"), ("fleetId", "x"), ("limit", "101")] {
        assert_eq!(list(json!({ name: value })).await.0, 400, "{name}");
    }
}

#[tokio::test]
async fn start_of_the_bytes_is_text_or_base64() {
    let clock = ManualClock::default();
    let memory = Memory::new(clock.clone());
    let api = api(&memory, &clock);
    let text = put_letter(&memory, Hop::Feed, clock.now(), "é".repeat(40_000).as_bytes()).await;
    let (status, shown) = get_letter(&api, text).await;
    assert_eq!((status, &shown["truncated"], &shown["hop"]), (200, &json!(true), &json!("feed")));
    assert_eq!(shown["text"].as_str().unwrap().len(), 64 * 1024);
    let bytes = put_letter(&memory, Hop::Unknown, clock.now(), &[0xFF, 0]).await;
    let (_, shown) = get_letter(&api, bytes).await;
    assert_eq!((&shown["base64"], &shown["truncated"]), (&json!("/wA="), &json!(false)));
    assert!(shown.get("text").is_none());
    assert_eq!(get_letter(&api, DeadLetterId::MAX).await.0, 404);
}

#[tokio::test]
async fn invalid_redrive_is_refused_at_its_member() {
    let clock = ManualClock::default();
    let memory = Memory::new(clock.clone());
    let api = api(&memory, &clock);
    let id = DeadLetterId::for_failure(Hop::Feed, clock.now(), "x");
    let many: Vec<DeadLetterId> =
        (0..101).map(|n: i32| DeadLetterId::for_failure(Hop::Feed, clock.now(), &n.to_string())).collect();
    for (body, pointer) in [
        (json!({}), "/deadLetterIds"),
        (json!({"deadLetterIds": []}), "/deadLetterIds"),
        (json!({ "deadLetterIds": many }), "/deadLetterIds"),
        (json!({"deadLetterIds": [id, id]}), "/deadLetterIds/1"),
        (json!({"deadLetterIds": ["dlt_x"]}), "/deadLetterIds/0"),
        (json!({"deadLetterIds": [id], "selection": {"hop": "feed"}}), "/deadLetterIds"),
        (json!({"selection": {}}), "/selection"),
        (json!({"selection": {"hop": "nowhere"}}), "/selection/hop"),
        (json!({"selection": {"hop": "feed"}, "again": true}), "/again"),
    ] {
        let (status, problem) = redrive(&api, "r", body.clone()).await;
        assert_eq!((status, problem["errors"][0]["pointer"].as_str()), (422, Some(pointer)), "{body}: {problem}");
    }
    assert_eq!(redrive(&api, "no id", json!({"deadLetterIds": [id]})).await.0, 404);
    let unknown = send(&api, ("GET", "/redrives/{redriveId}"), &json!({"redriveId": "r"}), &json!({}), &json!({})).await;
    assert_eq!(unknown.0, 404, "an invalid redrive leaves no record");
}
