//! The functions on ports in memory, with a vehicle, and the events that they process. The log holds encoded segments, as on
//! AWS, so that reading it decodes them.

use roadcast_codec::{BLOCK_CONTENT_TYPE, stream_record};
use roadcast_domain::Timestamp;
use roadcast_domain::caller::Caller;
use roadcast_domain::event::{Body, Event, Origin, StoredEvent, Telemetry};
use roadcast_domain::ids::{ClientId, Eid, VehicleId};
use roadcast_domain::vehicle::VehicleDetails;
use roadcast_event_log::SegmentedLog;
use roadcast_events_api::EventsApi;
use roadcast_lambda_kit::http::Middleware;
use roadcast_ports::event_log::EventLog as _;
use roadcast_services::authz::{Proof as _, Sender};
use roadcast_services::cache::{CachedEntitlements, CachedVehicles};
use roadcast_services::catalogue::event_schemas::CachedSchemas;
use roadcast_services::ingest::Ingest;
use roadcast_services::query::fleet_events::FleetEvents;
use roadcast_services::query::{StateQueries, VehicleQueries};
use roadcast_services::vehicles::registry::VehicleRegistry;
use roadcast_signals::{Catalogue, Sample, SignalPath, Signals, Value};
use roadcast_testbed::{InMemory, ManualClock, Memory, MemoryItems, SeededRandomness};
use roadcast_vehicles_api::VehiclesApi;
use serde_json::{Value as Json, json};

use crate::request::{Request, middleware};

/// The time of the first sample of all events.
pub(crate) const START: &str = "2026-01-01T10:00:00Z";
/// The time of the clock.
const NOW: &str = "2026-01-01T12:00:00Z";

/// The functions.
pub(crate) struct Fixture {
    pub(crate) memory: Memory,
    pub(crate) clock: ManualClock,
    pub(crate) items: MemoryItems,
    pub(crate) vid: VehicleId,
    events: EventsApi<InMemory>,
    pub(crate) vehicles: VehiclesApi<InMemory>,
    pub(crate) middleware: Middleware<InMemory>,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        let clock = ManualClock::at(Timestamp::parse_rfc3339(NOW).unwrap());
        let (memory, items) = (Memory::new(clock.clone()), MemoryItems::default());
        let (m, k) = (|| memory.clone(), || clock.clone());
        let entitlements = || CachedEntitlements::<InMemory>::new(m(), k());
        let log = || SegmentedLog { items: items.clone() };
        let queries = || VehicleQueries { vehicles: m(), entitlements: entitlements(), log: log(), clock: k() };
        let registry =
            VehicleRegistry { vehicles: m(), entitlements: m(), clock: k(), randomness: SeededRandomness::new(1) };
        let sender = Sender::prove(&Caller::Admin(ClientId::new("admin"))).unwrap();
        let vid = registry.register(&sender, details()).await.unwrap().0.vid;
        let events = EventsApi {
            ingest: Ingest {
                vehicles: CachedVehicles::new(m(), k()),
                stream: m(),
                schemas: CachedSchemas::new(m(), k()),
                clock: k(),
            },
            queries: queries(),
            fleet_events: FleetEvents { entitlements: entitlements(), log: log(), index: m(), clock: k() },
        };
        let vehicles = VehiclesApi { registry, states: StateQueries { queries: queries(), state: m() } };
        let middleware = middleware(&memory, &clock);
        Self { memory: memory.clone(), clock: clock.clone(), items: items.clone(), vid, events, vehicles, middleware }
    }

    /// Returns the event log.
    pub(crate) fn log(&self) -> SegmentedLog<MemoryItems> {
        SegmentedLog { items: self.items.clone() }
    }

    /// Stores telemetry events, each with an id and samples.
    pub(crate) async fn store(&self, events: impl IntoIterator<Item = Vec<Sample>>) {
        for (n, samples) in events.into_iter().enumerate() {
            let origin = Origin {
                source: "urn:test".to_owned(),
                id: n.to_string(),
                extensions: std::collections::BTreeMap::default(),
            };
            let eid = Eid::for_event(&self.vid, &origin.source, &origin.id, samples[0].at);
            let body = Body::Telemetry(Telemetry { samples: samples.into() });
            let event = Event { eid, vid: self.vid.clone(), received: Timestamp::parse_rfc3339(NOW).unwrap(), body };
            for stored in self.log().append(&[StoredEvent { event, origin }]).await {
                stored.unwrap();
            }
        }
    }

    /// Sends a request of an admin about the vehicle to the API of events. Returns the status and the bytes of the payload.
    pub(crate) async fn request_events(&self, method: &str, resource: &str, query: Json, body: &str) -> (u16, usize) {
        let path = json!({"vid": self.vid});
        Request { method, resource, path, query, body }.send(&self.events, &self.middleware).await
    }

    /// Reads the state of the vehicle.
    pub(crate) async fn request_state(&self) -> (u16, usize) {
        let request = Request::get("/vehicles/{vid}/state", json!({"vid": self.vid}), json!({}));
        request.send(&self.vehicles, &self.middleware).await
    }
}

fn details() -> VehicleDetails {
    serde_json::from_value(json!({"vin": "WVWZZZ3CZEE000001", "externalIds": [{"scheme": "test", "value": "car"}]})).unwrap()
}

/// Returns the time `ms` milliseconds after [`START`].
pub(crate) fn at(ms: i64) -> Timestamp {
    Timestamp::parse_rfc3339(START).unwrap().plus_ms(ms)
}

/// Returns numbers that differ from sample to sample, for `count` signals of the catalogue.
pub(crate) fn numbers(count: usize, sample: usize) -> Signals {
    let numeric = Catalogue::get().iter().filter(|def| !def.is_array && def.resolution.is_some());
    let wide = numeric.filter(|def| def.min.is_none_or(|min| min <= 0.0) && def.max.is_none_or(|max| max >= 100.0));
    let value = |n: usize| Value::Number(((sample * 37 + n * 11) % 100) as f64);
    wide.take(count).enumerate().map(|(n, def)| (SignalPath::parse(def.path).unwrap(), value(n))).collect()
}

/// Returns samples `interval_ms` apart, from `start_ms` on.
pub(crate) fn samples(count: usize, start_ms: i64, interval_ms: i64, signals: impl Fn(usize) -> Signals) -> Vec<Sample> {
    (0..count).map(|n| Sample { at: at(start_ms + n as i64 * interval_ms), signals: signals(n) }).collect()
}

/// Returns a CloudEvent with a block of samples.
pub(crate) fn block_event(id: &str, samples: &[Sample]) -> String {
    json!({"specversion": "1.0", "id": id, "source": "urn:test", "type": "roadcast.telemetry.v1", "time": START,
        "datacontenttype": BLOCK_CONTENT_TYPE, "data_base64": stream_record::block_base64(samples).unwrap()})
    .to_string()
}
