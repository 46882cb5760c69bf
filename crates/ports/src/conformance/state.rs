//! [`StateStore`]

use std::collections::BTreeMap;

use futures::future::join_all;
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_domain::state::{LastKnown, VehicleState};
use roadcast_signals::{Catalogue, SignalPath, Timestamp, Value};

use super::fresh::{Fresh, NOON};
use crate::clock::Randomness;
use crate::state::StateStore;

/// What every [`StateStore`] does.
pub async fn state_store(store: &impl StateStore, random: &impl Randomness) {
    let fresh = Fresh::new(random);
    nothing_is_known_of_a_vehicle_at_first(store, &fresh).await;
    what_is_merged_is_read_back(store, &fresh).await;
    any_order_and_repetition_ends_in_the_same_state(store, &fresh).await;
    merges_at_the_same_time_lose_nothing(store, &fresh).await;
    two_hundred_signals_are_merged_at_once(store, &fresh).await;
}

async fn nothing_is_known_of_a_vehicle_at_first(store: &impl StateStore, fresh: &Fresh<'_, impl Randomness>) {
    let vid = fresh.vid();
    assert_eq!(read(store, &vid).await, VehicleState::default(), "nothing is known of a new vehicle");
    merge(store, &vid, &VehicleState::default()).await;
    assert_eq!(read(store, &vid).await, VehicleState::default(), "merging nothing makes nothing known");
}

async fn what_is_merged_is_read_back(store: &impl StateStore, fresh: &Fresh<'_, impl Randomness>) {
    let (vid, other) = (fresh.vid(), fresh.vid());
    let readings = state([
        ("Vehicle.Speed", reading(NOON, 1, Value::Number(0.1 + 0.2))),
        ("Vehicle.IsMoving", reading(NOON, 1, Value::Bool(false))),
        ("Vehicle.OBD.DTCList", reading(NOON, 2, Value::List([Value::from("P0301")].into()))),
        ("acme.door-3.open_1", reading(NOON, 2, Value::from("halb \"offen\""))),
    ]);
    merge(store, &vid, &readings).await;
    assert_eq!(read(store, &vid).await, readings, "every kind of value is read back as it was merged");
    assert_eq!(read(store, &other).await, VehicleState::default(), "vehicles do not mix");

    let more = state([("Vehicle.TraveledDistance", reading(NOON, 3, Value::Number(12.0)))]);
    merge(store, &vid, &more).await;
    assert_eq!(read(store, &vid).await.signals.len(), 5, "signals that a merge does not name stay");
}

async fn any_order_and_repetition_ends_in_the_same_state(store: &impl StateStore, fresh: &Fresh<'_, impl Randomness>) {
    let at = |ms| NOON.plus_ms(ms);
    // The clock of the last one is an hour ahead: it counts as no later than when it was received.
    let ahead = LastKnown { received: at(5), ..reading(at(3_600_000), 4, Value::Number(99.0)) };
    let parts = [
        state([("Vehicle.Speed", reading(at(0), 1, Value::Number(1.0))), ("acme.a", reading(at(9), 1, Value::Number(1.0)))]),
        state([
            ("Vehicle.Speed", reading(at(10), 2, Value::Number(2.0))),
            ("acme.a", reading(at(3), 2, Value::Number(2.0))),
        ]),
        // The same time: the later event wins, and in one event the later sample.
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
        let vid = fresh.vid();
        for place in order {
            merge(store, &vid, &parts[place]).await;
        }
        assert_eq!(read(store, &vid).await, expected, "merging in the order {order:?} ends in the newest of each signal");
        merge(store, &vid, &parts[order[0]]).await;
        merge(store, &vid, &parts[order[2]]).await;
        assert_eq!(read(store, &vid).await, expected, "merging again in the order {order:?} changes nothing");
    }
}

async fn merges_at_the_same_time_lose_nothing(store: &impl StateStore, fresh: &Fresh<'_, impl Randomness>) {
    let vid = fresh.vid();
    let own = ["acme.a", "acme.b", "acme.c", "acme.d"];
    let parts: Vec<VehicleState> = own
        .into_iter()
        .zip(1_u8..)
        .map(|(path, salt)| {
            let value = |ms| reading(NOON.plus_ms(ms), salt.into(), Value::Number(f64::from(salt)));
            state([("Vehicle.Speed", value(i64::from(salt))), (path, value(0))])
        })
        .collect();
    let mut expected = VehicleState::default();
    let known = store.read(&vid).await.expect("read answers");
    let merges = parts.iter().map(|part| store.merge(&vid, known.clone(), part));
    for (part, merged) in parts.iter().zip(join_all(merges).await) {
        merged.expect("a merge among others is taken");
        expected.merge(part);
    }
    assert_eq!(read(store, &vid).await, expected, "merges at the same time end in the newest of each signal");
}

async fn two_hundred_signals_are_merged_at_once(store: &impl StateStore, fresh: &Fresh<'_, impl Randomness>) {
    let vid = fresh.vid();
    let readings = |ms, salt| {
        let paths = Catalogue::get().iter().take(200).map(|def| def.path);
        state(paths.map(|path| (path, reading(NOON.plus_ms(ms), salt, Value::Number(1.0)))))
    };
    merge(store, &vid, &readings(0, 1)).await;
    merge(store, &vid, &readings(1, 2)).await;
    assert!(read(store, &vid).await == readings(1, 2), "200 signals are merged at once");
}

fn reading(at: Timestamp, salt: u128, value: Value) -> LastKnown {
    LastKnown { value, at, received: at.plus_ms(40), eid: Eid::stamped(at, salt), index: 0 }
}

fn state<'p>(readings: impl IntoIterator<Item = (&'p str, LastKnown)>) -> VehicleState {
    let signals = readings.into_iter().map(|(path, reading)| (SignalPath::parse(path).expect("a signal path"), reading));
    let signals: BTreeMap<SignalPath, LastKnown> = signals.collect();
    let watermark = signals.values().map(|reading| reading.at).max();
    VehicleState { signals, watermark }
}

async fn merge(store: &impl StateStore, vid: &VehicleId, readings: &VehicleState) {
    let known = store.read(vid).await.expect("read answers");
    store.merge(vid, known, readings).await.expect("merge takes the readings");
}

async fn read(store: &impl StateStore, vid: &VehicleId) -> VehicleState {
    store.read(vid).await.expect("read answers").state
}
