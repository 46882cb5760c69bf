//! Names that move from one vehicle to another.

use futures::future::join_all;
use roadcast_domain::name_history::{MAX_FORMER_HOLDERS, NameHistory, RELEASE_DELAY_MS};
use roadcast_domain::subject::Subject;
use roadcast_domain::vehicle::{Vehicle, VehicleDetails};
use roadcast_signals::Timestamp;

use super::super::fixtures::{Fixtures, NOON};
use super::{get, register, registered, resolve};
use crate::PortErrorKind;
use crate::clock::Randomness;
use crate::vehicles::{VehicleRegistration, Vehicles};

/// Checks the history of names and the version of all vehicles.
pub(super) async fn names_move(vehicles: &impl Vehicles, fixtures: &Fixtures<'_, impl Randomness>) {
    name_of_a_retired_vehicle_keeps_its_former_holder(vehicles, fixtures).await;
    name_moves_by_replacement(vehicles, fixtures).await;
    released_name_is_taken_once(vehicles, fixtures).await;
    former_holders_are_bounded(vehicles, fixtures).await;
    version_changes_with_names_owner_and_retirement(vehicles, fixtures).await;
}

async fn name_of_a_retired_vehicle_keeps_its_former_holder(
    vehicles: &impl Vehicles,
    fixtures: &Fixtures<'_, impl Randomness>,
) {
    let first = registered(vehicles, fixtures).await;
    let names: Vec<Subject> = first.names().map(Subject::from).collect();
    let before = history(vehicles, &names[0]).await;
    assert_eq!(before.current(), Some(&first.vid), "a registered name has a current holder");
    assert_eq!(before.holder_at(NOON), Some(&first.vid), "a name is held from the registration on");
    assert_eq!(before.holder_at(NOON.plus_ms(-1)), None, "a name is not held before the registration");

    let retired_at = NOON.plus_ms(60_000);
    retire(vehicles, &first, retired_at).await;
    let until = retired_at.plus_ms(RELEASE_DELAY_MS);
    for name in &names {
        assert_eq!(resolve(vehicles, name.clone()).await, None, "a retired vehicle is not resolved");
        let released = history(vehicles, name).await;
        assert_eq!(released.holder_at(until.plus_ms(-1)), Some(&first.vid), "the former holder is kept");
        assert_eq!(released.holder_at(until), None, "a released name has no holder");
    }
    let id = history(vehicles, &Subject::Vid(first.vid.clone())).await;
    assert_eq!(id.holder_at(retired_at.plus_ms(-1)), Some(&first.vid), "a vehicle has its id until it is retired");
    assert_eq!((id.current(), id.holder_at(retired_at)), (None, None), "a retired vehicle does not have its id");

    let registered_at = NOON.plus_ms(90_000);
    let second = Vehicle { vid: fixtures.vid(), created_at: registered_at, updated_at: registered_at, ..first.clone() };
    let mut together: Vec<Vehicle> = (0..3).map(|_| fixtures.vehicle()).collect();
    together.push(second.clone());
    for result in vehicles.register_all(&together).await.expect("register_all succeeds") {
        let result = result.expect("released names can be registered, with others or alone");
        assert_eq!(result, VehicleRegistration::New, "released names can be registered, with others or alone");
    }
    for name in &names {
        let moved = history(vehicles, name).await;
        let holders = [registered_at, registered_at.plus_ms(-1), until.plus_ms(-1)].map(|at| moved.holder_at(at));
        assert_eq!(holders, [Some(&second.vid), None, Some(&first.vid)], "each holder has its time");
    }
    let unknown = vehicles.history(&Subject::Vin(fixtures.vin())).await.expect("history succeeds");
    assert_eq!(unknown, None, "an unknown name has no history");
}

async fn name_moves_by_replacement(vehicles: &impl Vehicles, fixtures: &Fixtures<'_, impl Randomness>) {
    let (one, two) = (registered(vehicles, fixtures).await, registered(vehicles, fixtures).await);
    let name = one.details.external_ids[0].clone();
    let mut without = Vehicle { version: one.version + 1, updated_at: NOON.plus_ms(10_000), ..one.clone() };
    without.details.external_ids.clear();
    let mut with = Vehicle { version: two.version + 1, updated_at: NOON.plus_ms(20_000), ..two.clone() };
    with.details.external_ids.push(name.clone());

    let taken = vehicles.replace(&with).await.map_err(|error| error.kind());
    assert_eq!(taken, Err(PortErrorKind::Conflict), "a name must be released before another vehicle takes it");
    vehicles.replace(&without).await.expect("a name is released");
    vehicles.replace(&with).await.expect("a released name is taken");
    let moved = history(vehicles, &Subject::External(name)).await;
    let holders = [9_999, 12_000, 20_000].map(|ms| moved.holder_at(NOON.plus_ms(ms)));
    assert_eq!(holders, [Some(&one.vid), None, Some(&two.vid)], "each holder has its time");
}

async fn released_name_is_taken_once(vehicles: &impl Vehicles, fixtures: &Fixtures<'_, impl Randomness>) {
    let first = registered(vehicles, fixtures).await;
    retire(vehicles, &first, NOON.plus_ms(1_000)).await;
    let candidates: Vec<Vehicle> =
        (0..4).map(|_| Vehicle { vid: fixtures.vid(), updated_at: NOON.plus_ms(5_000), ..first.clone() }).collect();
    let results = join_all(candidates.iter().map(|candidate| vehicles.register(candidate))).await;
    let winner = resolve(vehicles, Subject::Vin(first.details.vin.clone().expect("it has a VIN"))).await;
    let winner = winner.expect("one of the concurrent registrations succeeds");
    for (candidate, result) in candidates.iter().zip(results) {
        let is_new = matches!(result, Ok(VehicleRegistration::New));
        assert_eq!(is_new, candidate.vid == winner, "a released name is taken by one vehicle: {result:?}");
        assert_eq!(get(vehicles, &candidate.vid).await.is_some(), is_new, "only the winner is stored");
    }
    let history = history(vehicles, &Subject::External(first.details.external_ids[0].clone())).await;
    assert_eq!(history.holder_at(NOON), Some(&first.vid), "the former holder is kept");
}

async fn former_holders_are_bounded(vehicles: &impl Vehicles, fixtures: &Fixtures<'_, impl Randomness>) {
    let name = fixtures.external_id();
    let details = VehicleDetails { external_ids: vec![name.clone()], ..VehicleDetails::default() };
    let mut vids = Vec::new();
    for n in 0..20 {
        let at = NOON.plus_ms(n * 10_000);
        let vehicle = Vehicle { vid: fixtures.vid(), details: details.clone(), updated_at: at, ..fixtures.vehicle() };
        assert_eq!(register(vehicles, &vehicle).await, VehicleRegistration::New, "a released name can be registered");
        retire(vehicles, &vehicle, at.plus_ms(5_000)).await;
        vids.push(vehicle.vid);
    }
    let history = history(vehicles, &Subject::External(name)).await;
    let holders = (0..20).map(|n| history.holder_at(NOON.plus_ms(n * 10_000)).cloned());
    let kept: Vec<_> = holders.flatten().collect();
    assert_eq!(kept, vids[20 - MAX_FORMER_HOLDERS..], "the newest former holders are kept");
}

async fn version_changes_with_names_owner_and_retirement(
    vehicles: &impl Vehicles,
    fixtures: &Fixtures<'_, impl Randomness>,
) {
    let version = async || vehicles.version().await.expect("version succeeds");
    let before = version().await;
    let first = registered(vehicles, fixtures).await;
    let mut renamed = Vehicle { version: 2, ..first.clone() };
    renamed.details.make = Some("Nissan".to_owned());
    vehicles.replace(&renamed).await.expect("a vehicle is replaced");
    assert_eq!(version().await, before, "a registration and a change of other details take no name");

    let mut steps = vec![Vehicle { version: 3, owner: Some(fixtures.client_id()), ..renamed.clone() }];
    let mut more = Vehicle { version: 4, ..steps[0].clone() };
    more.details.external_ids.push(fixtures.external_id());
    let fewer = Vehicle { version: 5, ..steps[0].clone() };
    let retired = Vehicle { version: 6, retired_at: Some(NOON), ..fewer.clone() };
    steps.extend([more, fewer, retired.clone()]);
    for (n, step) in (1..).zip(&steps) {
        vehicles.replace(step).await.expect("a vehicle is replaced");
        assert_eq!(version().await, before + n, "a change of names, owner or retirement is counted");
    }
    let stale = vehicles.replace(&retired).await.map_err(|error| error.kind());
    assert_eq!((stale, version().await), (Err(PortErrorKind::Conflict), before + 4), "a conflict is not counted");
}

async fn retire(vehicles: &impl Vehicles, vehicle: &Vehicle, at: Timestamp) {
    let retired = Vehicle { version: vehicle.version + 1, retired_at: Some(at), updated_at: at, ..vehicle.clone() };
    vehicles.replace(&retired).await.expect("a vehicle is retired");
}

async fn history(vehicles: &impl Vehicles, subject: &Subject) -> NameHistory {
    vehicles.history(subject).await.expect("history succeeds").expect("the subject has a history")
}
