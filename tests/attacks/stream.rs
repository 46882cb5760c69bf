//! Hostile records of the stream between good ones, in one batch.

mod hostile;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roadcast_codec::{BLOCK_CONTENT_TYPE, stream_record};
use roadcast_domain::Timestamp;
use roadcast_domain::refusal::Reason;
use roadcast_lambda_kit::kinesis::{KinesisEvent, Record};
use roadcast_ports::archive::QuarantinedItem;
use roadcast_ports::clock::Clock as _;
use roadcast_signals::{Sample, SignalPath, Value as Signal};
use roadcast_testbed::SeededRandomness;
use serde_json::{Value, json};

use crate::deployment::{Deployment, FleetIds, Subscribed, acknowledge_feed, event, read_feed};
use hostile::HostileRecord;

/// The least number of hostile records, so that no row is lost.
const HOSTILE: usize = 37;
/// The number of orders.
const SEEDS: u64 = 6;

/// A record of the batch: the envelope, and the reason for which it is quarantined. None for a good one.
type Envelope = (String, Option<(&'static str, Reason)>);

/// Returns the envelope of Kinesis for a record.
fn envelope(sequence_number: usize, partition_key: &str, data: &str) -> String {
    json!({
        "eventID": format!("shardId-000000000000:{sequence_number}"), "eventName": "aws:kinesis:record",
        "kinesis": {"partitionKey": partition_key, "sequenceNumber": sequence_number.to_string(), "data": data,
            "approximateArrivalTimestamp": 1_767_268_800.0},
    })
    .to_string()
}

/// Returns the bytes of a good record: JSON, compressed JSON or a block.
fn good_record(number: usize) -> Vec<u8> {
    let (id, speed) = (format!("good-{number}"), 20 + number);
    let good = event(&id, &json!({ "Vehicle.Speed": speed }));
    match number % 3 {
        0 => good.to_string().into_bytes(),
        1 => stream_record::compress(&json!([good]).to_string()),
        _ => {
            let at = Timestamp::parse_rfc3339(Deployment::START).unwrap();
            let speed = Signal::Number(f64::from(u8::try_from(speed).unwrap()));
            let signals = [(SignalPath::parse("Vehicle.Speed").unwrap(), speed)].into_iter().collect();
            let block = stream_record::block_base64(&[Sample { at, signals }]).unwrap();
            block_event(&id, &block).to_string().into_bytes()
        }
    }
}

/// Returns an event with a block.
fn block_event(id: &str, base64: &str) -> Value {
    let mut event = event(id, &json!({}));
    event.as_object_mut().unwrap().remove("data");
    event["datacontenttype"] = json!(BLOCK_CONTENT_TYPE);
    event["data_base64"] = json!(base64);
    event
}

/// Returns all records of the batch, in the order of a seed.
fn batch(seed: u64, vid: &str, hostile: &[HostileRecord]) -> Vec<Envelope> {
    let good = (0..hostile.len()).map(|number| {
        let data = STANDARD.encode(good_record(number));
        (envelope(number, vid, &data), None)
    });
    let hostile = hostile
        .iter()
        .zip(hostile.len()..)
        .map(|(record, number)| (record.envelope(number, vid), Some((record.name, record.reason))));
    let mut all: Vec<Envelope> = good.chain(hostile).collect();
    let random = SeededRandomness::new(seed);
    for last in (1..all.len()).rev() {
        all.swap(last, usize::try_from(random.bits64() % (last as u64 + 1)).unwrap());
    }
    all
}

pub(crate) async fn hostile_records_block_no_good_ones() {
    let hostile = hostile::records();
    assert!(hostile.len() >= HOSTILE, "{} hostile records", hostile.len());
    for seed in 0..SEEDS {
        let deployment = Deployment::start().await;
        let subscribed = Subscribed { packages: &["telematics"], valid_until: None };
        let fleet = deployment.first_fleet(&subscribed).await;
        let other = deployment.fleet("other", "WVWZZZ3CZEE000002", "11", &subscribed).await;
        for fleet in [&fleet, &other] {
            assert_eq!(drain(&deployment, fleet).await.len(), 1, "the event that was sent at the start");
        }
        let stored_before = deployment.memory.events().len();
        let envelopes = batch(seed, &fleet.vid, &hostile);
        let texts: Vec<&str> = envelopes.iter().map(|(text, _)| text.as_str()).collect();
        let event: KinesisEvent = serde_json::from_str(&format!("{{\"Records\": [{}]}}", texts.join(","))).unwrap();
        let records = event.into_batch(deployment.clock.now()).records;
        assert_eq!(records.len(), 2 * hostile.len());
        deployment.process_batch(&records).await;

        // A broken envelope has no sequence number.
        let mut failures = Vec::new();
        let quarantined = deployment.memory.quarantined();
        for ((_, hostile), Record { raw, .. }) in envelopes.iter().zip(&records) {
            let Some((name, reason)) = hostile else { continue };
            let is_of_record = |item: &&QuarantinedItem| {
                item.sequence_number == raw.sequence_number && (!raw.sequence_number.is_empty() || item.bytes == raw.data)
            };
            let reasons: Vec<Reason> = quarantined.iter().filter(is_of_record).map(|item| item.reason).collect();
            if reasons != [*reason] {
                failures.push(format!("seed {seed}: {name} is quarantined for {reasons:?} instead of {reason:?}"));
            }
        }
        assert!(failures.is_empty(), "{}", failures.join("\n"));
        assert_eq!(quarantined.len(), hostile.len(), "seed {seed}: only hostile records are quarantined");

        assert_eq!(deployment.memory.events().len() - stored_before, hostile.len(), "seed {seed}: every good one is stored");
        let speeds = drain(&deployment, &fleet).await;
        let sent: Vec<u64> = (20..).take(hostile.len()).collect();
        assert_eq!(speeds, sent, "seed {seed}: every good one is delivered once");
        assert_eq!(drain(&deployment, &other).await, Vec::<u64>::new(), "seed {seed}: the other fleet gets nothing");
    }
    let count = hostile.len();
    println!("{count} hostile records between {count} good ones, in {SEEDS} orders: {count} quarantined, {count} delivered");
}

/// Reads a feed to its end. Returns the speeds of its samples, sorted.
async fn drain(deployment: &Deployment, fleet: &FleetIds) -> Vec<u64> {
    let mut speeds = Vec::new();
    loop {
        let feed = deployment.send(&read_feed(&fleet.fleet_id, &fleet.token)).await.json();
        for event in feed["events"].as_array().unwrap() {
            let samples = event["data"]["samples"].as_array().unwrap();
            speeds.extend(samples.iter().map(|sample| sample["signals"]["Vehicle.Speed"].as_f64().unwrap()));
        }
        let Some(ack) = feed.get("ack") else { break };
        let answer = deployment.send(&acknowledge_feed(&fleet.fleet_id, &fleet.token, ack)).await;
        assert_eq!(answer.status, 204, "{answer:?}");
    }
    // Only whole speeds were sent, except at the start.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let mut speeds: Vec<u64> = speeds.into_iter().map(|speed| speed as u64).collect();
    speeds.sort_unstable();
    speeds
}
