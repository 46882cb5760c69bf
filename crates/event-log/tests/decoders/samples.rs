//! Valid encodings, which the tests change.

use std::io::Write as _;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roadcast_codec::{BLOCK_CONTENT_TYPE, bus_entry, telemetry_block, vehicle_state};
use roadcast_domain::event::{Body, Event, Origin, StoredEvent};
use roadcast_domain::state::VehicleState;
use roadcast_domain::subscription::DeliveryFormat;
use roadcast_event_log::{origins, pointers};
use roadcast_signals::{SignalPath, Value};
use roadcast_testbed::fixtures::{diagnostic_event, driving_event};
use serde_json::json;

pub(crate) fn event(n: i64) -> StoredEvent {
    driving_event(1, n, n * 10, 10)
}

/// Events of one vehicle, with values of every type.
fn events() -> Vec<StoredEvent> {
    let mut events: Vec<StoredEvent> = (0..12).map(event).collect();
    for (n, stored) in events.iter_mut().enumerate() {
        let Body::Telemetry(telemetry) = &mut stored.event.body else { continue };
        let mut samples = telemetry.samples.to_rows();
        for (m, sample) in samples.iter_mut().enumerate() {
            let list = Value::List([Value::from("P0301"), Value::from("P0420")].into());
            let values = [Value::from(format!("{n}/{m}").as_str()), list, Value::Bool(m % 3 == 0), Value::Number(0.1 + 0.2)];
            let paths = ["acme.note", "acme.codes", "acme.open", "acme.exact"];
            let values = paths.into_iter().zip(values).filter(|_| (n + m) % 4 != 1);
            sample.signals.extend(values.map(|(path, value)| (SignalPath::parse(path).unwrap(), value)));
        }
        telemetry.samples = samples.into();
        stored.origin.extensions = [("sequence".to_owned(), n.into())].into();
    }
    events
}

/// Blocks of one event, of several events, and of samples without events.
pub(crate) static BLOCKS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let events = events();
    let block =
        |events: &[StoredEvent]| telemetry_block::encode_block(events.iter().map(|stored| &stored.event)).unwrap().encode();
    let Body::Telemetry(telemetry) = &events[3].event.body else { panic!("telemetry") };
    let samples = roadcast_blocks::Block::from_samples(&telemetry.samples.to_rows()).unwrap().encode();
    vec![block(&events[..1]), block(&events[1..6]), block(&events), samples]
});

/// Origins, pointers and states.
pub(crate) static STORED: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let events = events();
    let all: Vec<&Origin> = events.iter().map(|stored| &stored.origin).collect();
    let ids: Vec<_> = events.iter().map(|stored| (stored.event.vid.clone(), stored.event.eid)).collect();
    let mut state = VehicleState::default();
    for stored in &events {
        state.merge_event(&stored.event);
    }
    vec![
        origins::encode(&all).unwrap(),
        pointers::encode(&ids),
        vehicle_state::encode(&state).unwrap(),
        vehicle_state::encode(&VehicleState::default()).unwrap(),
    ]
});

/// Texts of every format: entries, events as senders write them, and bulk files.
pub(crate) static TEXTS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let mut all: Vec<Event> = events().into_iter().take(3).map(|stored| stored.event).collect();
    all.push(diagnostic_event(1, 41).event);
    let events: Vec<&Event> = all.iter().collect();
    let mut texts = Vec::new();
    for format in [DeliveryFormat::Json, DeliveryFormat::Blocks] {
        texts.extend(bus_entry::encode(&events, format, Some(3)).unwrap().into_iter().map(|entry| entry.json));
    }
    let sent = |id: u32| {
        json!({
            "specversion": "1.0", "id": id.to_string(), "source": "urn:a", "type": "roadcast.telemetry.v1",
            "time": "2026-11-03T10:00:00Z", "subject": "vin:WVWZZZ1JZXW000001", "sequence": 7,
            "data": {"samples": [{"at": "2026-11-03T10:00:00Z", "signals": {"Vehicle.Speed": 50.1, "acme.a": ["x", "y"]}}]},
        })
    };
    texts.push(sent(1).to_string());
    texts.push(json!([sent(1), sent(2), sent(3)]).to_string());
    texts.push("fleetId,vin,make,modelYear\r\nflt_0000000000000000,WVWZZZ1JZXW000001,\"VW, \"\"AG\"\"\",2019\r\n".repeat(3));
    texts.push("{\"fleetId\":\"flt_0000000000000000\",\"vin\":\"WVWZZZ1JZXW000001\",\"modelYear\":2019}\n".repeat(3));
    texts.into_iter().map(String::into_bytes).collect()
});

/// An entry of a bus whose data is a block.
pub(crate) fn block_entry(block: &[u8]) -> String {
    let stored = event(0).event;
    json!({
        "specversion": "1.0", "id": "x#1", "source": "urn:roadcast", "type": bus_entry::BLOCK_TYPE, "subject": stored.vid,
        "time": "2026-11-03T10:00:00Z", "datacontenttype": BLOCK_CONTENT_TYPE, "data_base64": STANDARD.encode(block),
    })
    .to_string()
}

/// Returns the text as a zstd frame and as a gzip member.
pub(crate) fn frames(text: &[u8]) -> [Vec<u8>; 2] {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text).unwrap();
    [zstd::bulk::compress(text, 3).unwrap(), gzip.finish().unwrap()]
}
