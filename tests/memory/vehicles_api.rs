//! The API of vehicles: 256 MiB.

use std::collections::BTreeMap;

use roadcast_domain::event::{Body, Event, Telemetry};
use roadcast_domain::external_id::ExternalId;
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_domain::state::VehicleState;
use roadcast_domain::vehicle::{Vehicle, VehicleDetails};
use roadcast_ports::state::{StateStore as _, StoredState};
use roadcast_ports::vehicles::Vehicles as _;
use serde_json::json;

use crate::fixture::{Fixture, at, numbers, samples};
use crate::peak::{MIB, assert_peak, peak};
use crate::request::Request;

const BOUND: usize = 48 * MIB;

#[test]
fn state_with_a_long_unmerged_tail_is_bounded() {
    let fixture = peak(Fixture::new()).0;
    let signals = numbers(130, 0);
    peak(fixture.store((0..100).map(|n| samples(500, n % 1000, 590, |_| signals.clone()))));
    // The watermark is before all of these events.
    let first = samples(1, -1000, 1, |_| numbers(1, 0));
    let eid = Eid::for_event(&fixture.vid, "urn:test", "first", first[0].at);
    let body = Body::Telemetry(Telemetry { samples: first.into() });
    let event = Event { eid, vid: fixture.vid.clone(), received: at(0), body };
    let mut state = VehicleState::default();
    state.merge_event(&event);
    state.watermark = Some(at(-1000));
    peak(fixture.memory.merge(&fixture.vid, StoredState::default(), &state)).0.unwrap();
    let (status, _) = assert_peak("state", BOUND, fixture.request_state());
    assert_eq!(status, 200);
}

/// A vehicle whose JSON is as large as possible: each control character takes seven bytes in a response.
fn largest_vehicle(n: u32) -> Vehicle {
    let external_ids =
        (0..16).map(|id| ExternalId::new("bus", &format!("{n:04}{id:02}{}", "\u{1F68C}".repeat(122))).unwrap());
    let attributes = BTreeMap::from([("a".to_owned(), "\u{1}".repeat(8 * 1024 - 1))]);
    let details = VehicleDetails { external_ids: external_ids.collect(), attributes, ..VehicleDetails::default() };
    assert_eq!(details.check(), Ok(()));
    let vid = VehicleId::from_random_bits(u128::from(n) << 64);
    Vehicle { vid, details, version: 1, owner: None, retired_at: None, created_at: at(0), updated_at: at(0) }
}

#[test]
fn pages_of_the_largest_vehicles_fit_in_responses() {
    let fixture = peak(Fixture::new()).0;
    for n in 1..=100 {
        peak(fixture.memory.register(&largest_vehicle(n))).0.unwrap();
    }
    let request = Request::get("/vehicles", json!({}), json!({ "limit": "100" }));
    let list = request.send(&fixture.vehicles, &fixture.middleware);
    let (status, bytes) = assert_peak("list of vehicles", BOUND, list);
    assert_eq!(status, 200);
    assert!((5_000_000..6_291_556).contains(&bytes), "{bytes}");
}
