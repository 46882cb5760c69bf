//! Processing in columns has the result of the reference model, which validates and merges row by row.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use roadcast_codec::{BLOCK_CONTENT_TYPE, stream_record};
use roadcast_domain::Timestamp;
use roadcast_domain::event::{Body, Event, Telemetry};
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_domain::package::Packages;
use roadcast_domain::state::VehicleState;
use roadcast_signals::{POSITION, Sample, Value};
use roadcast_testbed::FaultPlan;
use roadcast_testbed::row_validation::validate_rows;
use serde_json::json;
use serde_json::value::to_raw_value;

use crate::fixture::{NOON, PipelineFixture, admin};

/// The packages of the fleet.
const PACKAGES: [&str; 2] = ["telematics", "track-and-trace"];

/// Signals that the fleet may and may not see.
const NAMES: [&str; 6] = [
    "Vehicle.Speed",
    "Vehicle.OBD.EngineSpeed",
    "Vehicle.CurrentLocation.Latitude",
    "Vehicle.CurrentLocation.Longitude",
    "Vehicle.VehicleIdentification.VIN",
    "acme.level",
];

/// An upload of one event.
#[derive(Clone, Debug)]
struct Upload {
    vehicle: usize,
    is_block: bool,
    is_compressed: bool,
    /// Time in milliseconds before [`NOON`], and signals with values in tenths.
    samples: Vec<(i64, Vec<(usize, i32)>)>,
}

fn any_upload() -> impl Strategy<Value = Upload> {
    let signals = prop::collection::vec((0..NAMES.len(), prop_oneof![Just(0), -900..900_i32, Just(99_999)]), 0..7);
    let sample = (prop_oneof![9 => 0_i64..250_000, 1 => -600_000_i64..900_000], signals);
    (0..2_usize, any::<bool>(), any::<bool>(), prop::collection::vec(sample, 1..6))
        .prop_map(|(vehicle, is_block, is_compressed, samples)| Upload { vehicle, is_block, is_compressed, samples })
}

impl Upload {
    fn rows(&self) -> Vec<Sample> {
        let noon = Timestamp::parse_rfc3339(NOON).unwrap();
        let sample = |(before, signals): &(i64, Vec<(usize, i32)>)| Sample {
            at: noon.plus_ms(-before),
            signals: signals
                .iter()
                .map(|(name, tenths)| (NAMES[*name].parse().unwrap(), Value::number(f64::from(*tenths) / 10.0).unwrap()))
                .collect(),
        };
        self.samples.iter().map(sample).collect()
    }

    fn record(&self, n: usize) -> Vec<u8> {
        let mut event = json!({
            "specversion": "1.0", "id": n.to_string(), "source": "urn:test", "type": "roadcast.telemetry.v1", "time": NOON,
        });
        if self.is_block {
            event["datacontenttype"] = json!(BLOCK_CONTENT_TYPE);
            event["data_base64"] = json!(stream_record::block_base64(&self.rows()).unwrap());
        } else {
            event["data"] = json!({"samples": self.rows()});
        }
        let text = event.to_string();
        if self.is_compressed { stream_record::compress(&text) } else { text.into_bytes() }
    }
}

/// What the reference model expects.
#[derive(Debug, Default, PartialEq)]
struct Expected {
    /// The samples of each stored event in JSON.
    stored: BTreeMap<(VehicleId, Eid), String>,
    delivered: BTreeMap<(VehicleId, Eid), String>,
    /// Each quarantined sample or event: its reason, its index and its bytes.
    quarantined: BTreeSet<(String, Option<usize>, Vec<u8>)>,
}

fn text(rows: &[Sample]) -> String {
    serde_json::to_string(rows).unwrap()
}

/// Redacts rows to what the packages contain.
fn visible(mut rows: Vec<Sample>) -> Vec<Sample> {
    let packages = Packages::built_in();
    let is_covered = |path: &str| PACKAGES.iter().any(|name| packages.get(name).unwrap().contains_signal(path));
    for row in &mut rows {
        row.signals.retain(|path, _| is_covered(path.as_str()));
    }
    rows.retain(|row| !row.signals.is_empty());
    rows
}

fn expected(uploads: &[Upload], vids: &[VehicleId], received: &[Timestamp]) -> Expected {
    let mut expected = Expected::default();
    for (n, (upload, received)) in uploads.iter().zip(received).enumerate() {
        let vid = &vids[upload.vehicle];
        let data = to_raw_value(&json!({"samples": upload.rows()})).unwrap();
        let validated = validate_rows(&data, *received);
        let Ok(validated) = validated else {
            let event: serde_json::Value =
                serde_json::from_str(&stream_record::decode_text(&upload.record(n)).unwrap()).unwrap();
            let reason = validated.unwrap_err().reason.code().to_owned();
            expected.quarantined.insert((reason, None, event.to_string().into_bytes()));
            continue;
        };
        let items = validated.quarantined.into_iter();
        expected.quarantined.extend(items.map(|item| (item.reason.code().to_owned(), Some(item.index), item.bytes.into())));
        if validated.samples.is_empty() {
            continue;
        }
        let eid = Eid::for_event(vid, "urn:test", &n.to_string(), validated.time.unwrap());
        expected.stored.insert((vid.clone(), eid), text(&validated.samples));
        let visible = visible(validated.samples);
        if !visible.is_empty() {
            expected.delivered.insert((vid.clone(), eid), text(&visible));
        }
    }
    expected
}

fn rows_of(event: &Event) -> Vec<Sample> {
    match &event.body {
        Body::Telemetry(telemetry) => telemetry.samples.to_rows(),
        Body::Diagnostic(_) | Body::Alert(_) | Body::Custom(_) => Vec::new(),
    }
}

/// Merges samples one by one, each as an event of its own with the index of the sample.
fn merged(events: &[Event]) -> BTreeMap<String, (Timestamp, Value)> {
    /// The order of samples: by time, event, and index in the event.
    type Rank = (Timestamp, Eid, usize);

    let mut newest: BTreeMap<String, (Rank, Value)> = BTreeMap::new();
    for event in events {
        for (index, sample) in rows_of(event).into_iter().enumerate() {
            let has_position = POSITION.iter().all(|path| sample.signals.contains_key(*path));
            for (path, value) in sample.signals {
                if path.def().is_none() || POSITION.contains(&path.as_str()) && !has_position {
                    continue;
                }
                let rank = (sample.at, event.eid, index);
                let is_newest = newest.get(path.as_str()).is_none_or(|(other, ..)| *other < rank);
                if is_newest {
                    newest.insert(path.to_string(), (rank, value));
                }
            }
        }
    }
    newest.into_iter().map(|(path, ((at, ..), value))| (path, (at, value))).collect()
}

fn known(state: &VehicleState) -> BTreeMap<String, (Timestamp, Value)> {
    state.signals.iter().map(|(path, last)| (path.to_string(), (last.at, last.value.clone()))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Log, feed, quarantine and state, decoded, are those of the reference model, whatever form the uploads have, and under
    /// re-batching, faults and repeated deliveries.
    #[test]
    fn columns_have_the_result_of_the_reference_model(
        seed in 0_u64..1_000_000,
        (uploads, order) in prop::collection::vec(any_upload(), 1..12).prop_flat_map(|uploads| {
            let order = (0..uploads.len()).collect::<Vec<usize>>();
            (Just(uploads), Just(order).prop_shuffle())
        }),
        repeated in prop::collection::vec(0_usize..12, 0..4),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let pipeline = PipelineFixture::new(seed);
            let vids = [pipeline.vehicle("v").await, pipeline.vehicle("w").await];
            let fleet = pipeline.fleet(&vids, &PACKAGES).await;
            let repeated = repeated.into_iter().filter(|n| *n < uploads.len());
            for n in order.into_iter().chain(repeated) {
                pipeline.memory.stream().put_bytes(vids[uploads[n].vehicle].as_str(), &uploads[n].record(n));
            }
            let received = vec![Timestamp::parse_rfc3339(NOON).unwrap(); uploads.len()];
            pipeline.process_all(|n| FaultPlan::seeded(n, 20)).await;

            let stored: Vec<Event> = pipeline.stored_events().into_iter().map(|stored| stored.event).collect();
            let by_id = |events: &[Event]| -> BTreeMap<(VehicleId, Eid), String> {
                events.iter().map(|event| ((event.vid.clone(), event.eid), text(&rows_of(event)))).collect()
            };
            let found = Expected {
                stored: by_id(&stored),
                delivered: by_id(&pipeline.drain_feed(&fleet).await),
                quarantined: pipeline
                    .memory
                    .quarantined()
                    .into_iter()
                    .map(|item| (item.reason.code().to_owned(), item.index, item.bytes))
                    .collect(),
            };
            prop_assert_eq!(found, expected(&uploads, &vids, &received));
            for vid in &vids {
                let of_vehicle: Vec<Event> = stored.iter().filter(|event| event.vid == *vid).cloned().collect();
                let (state, _) = pipeline.states().state(&admin(), vid).await.unwrap();
                // No reading is after its receipt by more than the tolerance, so that readings are ordered by their time.
                if of_vehicle.iter().flat_map(rows_of).all(|row| row.at.ms_since(received[0]) <= 0) {
                    prop_assert_eq!(known(&state), merged(&of_vehicle));
                }
            }
            Ok(())
        })?;
    }
}

#[test]
fn telemetry_of_rows_is_written_as_rows() {
    let rows = Upload {
        vehicle: 0,
        is_block: false,
        is_compressed: false,
        samples: vec![(0, vec![(0, 1), (5, 2)]), (1, vec![(2, 3)])],
    }
    .rows();
    assert_eq!(
        serde_json::to_string(&Telemetry { samples: rows.clone().into() }).unwrap(),
        format!("{{\"samples\":{}}}", text(&rows))
    );
}
