//! [`StateStore`]

use std::collections::BTreeMap;

use futures::future::join_all;
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_domain::state::{LastKnown, VehicleState};
use roadcast_signals::{Catalogue, SignalPath, Timestamp, Value};

use super::fixtures::{Fixtures, NOON};
use crate::clock::Randomness;
use crate::state::StateStore;

/// Checks every implementation of [`StateStore`].
pub async fn state_store(store: &impl StateStore, random: &impl Randomness) {
    let fixtures = Fixtures::new(random);
    new_vehicle_has_an_empty_state(store, &fixtures).await;
    merged_readings_are_returned(store, &fixtures).await;
    order_and_repetition_do_not_matter(store, &fixtures).await;
    concurrent_merges_lose_nothing(store, &fixtures).await;
    two_hundred_signals_are_merged(store, &fixtures).await;
}

async fn new_vehicle_has_an_empty_state(store: &impl StateStore, fixtures: &Fixtures<'_, impl Randomness>) {
    let vid = fixtures.vid();
    assert_eq!(read(store, &vid).await, VehicleState::default(), "a new vehicle has an empty state");
    merge(store, &vid, &VehicleState::default()).await;
    assert_eq!(read(store, &vid).await, VehicleState::default(), "merging an empty state changes nothing");
}

async fn merged_readings_are_returned(store: &impl StateStore, fixtures: &Fixtures<'_, impl Randomness>) {
    let (vid, other) = (fixtures.vid(), fixtures.vid());
    let readings = state([
        ("Vehicle.Speed", reading(NOON, 1, Value::Number(0.1 + 0.2))),
        ("Vehicle.IsMoving", reading(NOON, 1, Value::Bool(false))),
        ("Vehicle.OBD.DTCList", reading(NOON, 2, Value::List([Value::from("P0301")].into()))),
        ("acme.door-3.open_1", reading(NOON, 2, Value::from("halb \"offen\""))),
    ]);
    merge(store, &vid, &readings).await;
    assert_eq!(read(store, &vid).await, readings, "every kind of value round-trips");
    assert_eq!(read(store, &other).await, VehicleState::default(), "vehicles do not mix");

    let more = state([("Vehicle.TraveledDistance", reading(NOON, 3, Value::Number(12.0)))]);
    merge(store, &vid, &more).await;
    assert_eq!(read(store, &vid).await.signals.len(), 5, "signals that a merge does not contain remain");
}

async fn order_and_repetition_do_not_matter(store: &impl StateStore, fixtures: &Fixtures<'_, impl Randomness>) {
    let at = |ms| NOON.plus_ms(ms);
    // The clock of this reading is one hour ahead, so it counts as older than the others.
    let ahead = LastKnown { received: at(5), ..reading(at(3_600_000), 4, Value::Number(99.0)) };
    let parts = [
        state([("Vehicle.Speed", reading(at(0), 1, Value::Number(1.0))), ("acme.a", reading(at(9), 1, Value::Number(1.0)))]),
        state([
            ("Vehicle.Speed", reading(at(10), 2, Value::Number(2.0))),
            ("acme.a", reading(at(3), 2, Value::Number(2.0))),
        ]),
        // Equal times: the later event wins, and within one event the later sample.
        state([
            ("Vehicle.Speed", LastKnown { index: 1, ..reading(at(10), 2, Value::Number(3.0)) }),
            ("acme.a", reading(at(9), 3, Value::Number(3.0))),
        ]),
        state([("Vehicle.Speed", ahead)]),
    ];
    let mut expected = VehicleState::default();
    for part in &parts {
        expected.merge(part);
    }
    assert_eq!(expected.signals["Vehicle.Speed"].value, Value::Number(3.0));

    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1], [1, 3, 0, 2]] {
        let vid = fixtures.vid();
        for index in order {
            merge(store, &vid, &parts[index]).await;
        }
        assert_eq!(
            read(store, &vid).await,
            expected,
            "merging in the order {order:?} keeps the newest reading of each signal"
        );
        merge(store, &vid, &parts[order[0]]).await;
        merge(store, &vid, &parts[order[2]]).await;
        assert_eq!(read(store, &vid).await, expected, "merging again in the order {order:?} changes nothing");
    }
}

async fn concurrent_merges_lose_nothing(store: &impl StateStore, fixtures: &Fixtures<'_, impl Randomness>) {
    let vid = fixtures.vid();
    let paths = ["acme.a", "acme.b", "acme.c", "acme.d"];
    let parts: Vec<VehicleState> = paths
        .into_iter()
        .zip(1_u8..)
        .map(|(path, salt)| {
            let value = |ms| reading(NOON.plus_ms(ms), salt.into(), Value::Number(f64::from(salt)));
            state([("Vehicle.Speed", value(i64::from(salt))), (path, value(0))])
        })
        .collect();
    let mut expected = VehicleState::default();
    let stored = store.read(&vid).await.expect("read succeeds");
    let merges = parts.iter().map(|part| store.merge(&vid, stored.clone(), part));
    for (part, merged) in parts.iter().zip(join_all(merges).await) {
        merged.expect("a concurrent merge succeeds");
        expected.merge(part);
    }
    assert_eq!(read(store, &vid).await, expected, "concurrent merges keep the newest reading of each signal");
}

async fn two_hundred_signals_are_merged(store: &impl StateStore, fixtures: &Fixtures<'_, impl Randomness>) {
    let vid = fixtures.vid();
    let readings = |ms, salt| {
        let paths = Catalogue::get().iter().take(200).map(|def| def.path);
        state(paths.map(|path| (path, reading(NOON.plus_ms(ms), salt, Value::Number(1.0)))))
    };
    merge(store, &vid, &readings(0, 1)).await;
    merge(store, &vid, &readings(1, 2)).await;
    assert!(read(store, &vid).await == readings(1, 2), "200 signals are merged");
}

fn reading(at: Timestamp, salt: u128, value: Value) -> LastKnown {
    LastKnown { value, at, received: at.plus_ms(40), eid: Eid::from_time_and_salt(at, salt), index: 0 }
}

fn state<'p>(readings: impl IntoIterator<Item = (&'p str, LastKnown)>) -> VehicleState {
    let signals = readings.into_iter().map(|(path, reading)| (SignalPath::parse(path).expect("a signal path"), reading));
    let signals: BTreeMap<SignalPath, LastKnown> = signals.collect();
    let watermark = signals.values().map(|reading| reading.at).max();
    VehicleState { signals, watermark }
}

async fn merge(store: &impl StateStore, vid: &VehicleId, readings: &VehicleState) {
    let stored = store.read(vid).await.expect("read succeeds");
    store.merge(vid, stored, readings).await.expect("merge succeeds");
}

async fn read(store: &impl StateStore, vid: &VehicleId) -> VehicleState {
    store.read(vid).await.expect("read succeeds").state
}
