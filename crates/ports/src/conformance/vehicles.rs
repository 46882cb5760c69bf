//! [`Vehicles`]

mod moves;

use futures::future::join_all;
use roadcast_domain::ids::{ClientId, VehicleId};
use roadcast_domain::subject::{Subject, VehicleName};
use roadcast_domain::vehicle::{Vehicle, VehicleDetails};

use super::fixtures::{Fixtures, NOON};
use crate::PortErrorKind;
use crate::clock::Randomness;
use crate::vehicles::{VehicleListing, VehicleNames, VehicleRegistration, Vehicles};

/// Checks every implementation of [`Vehicles`].
pub async fn vehicles(vehicles: &impl Vehicles, random: &impl Randomness) {
    let fixtures = Fixtures::new(random);
    registering_again_returns_the_existing_vehicle(vehicles, &fixtures).await;
    attributes_of_two_vehicles_are_a_conflict(vehicles, &fixtures).await;
    concurrent_registrations_create_one_vehicle(vehicles, &fixtures).await;
    register_all_has_one_result_per_vehicle(vehicles, &fixtures).await;
    replace_requires_the_previous_version(vehicles, &fixtures).await;
    replace_updates_unique_attributes(vehicles, &fixtures).await;
    subjects_of_every_form_are_resolved(vehicles, &fixtures).await;
    retired_vehicle_releases_its_attributes(vehicles, &fixtures).await;
    pages_contain_each_vehicle_once(vehicles, &fixtures).await;
    moves::names_move(vehicles, &fixtures).await;
}

async fn registering_again_returns_the_existing_vehicle(vehicles: &impl Vehicles, fixtures: &Fixtures<'_, impl Randomness>) {
    let mut first = fixtures.vehicle();
    // The maximum number of unique attributes.
    first.details.external_ids.extend((0..15).map(|_| fixtures.external_id()));
    assert_eq!(register(vehicles, &first).await, VehicleRegistration::New, "an unknown vehicle is New");
    assert_eq!(get(vehicles, &first.vid).await.as_ref(), Some(&first), "a vehicle is returned unchanged");
    assert_eq!(get(vehicles, &fixtures.vid()).await, None, "an unregistered id has no vehicle");

    let existing = VehicleRegistration::Existing(Box::new(first.clone()));
    assert_eq!(register(vehicles, &first).await, existing, "the same registration again is Existing");
    let extra = fixtures.external_id();
    let by_vin =
        VehicleDetails { vin: first.details.vin.clone(), external_ids: vec![extra.clone()], ..VehicleDetails::default() };
    let repeated = Vehicle { vid: fixtures.vid(), details: by_vin, ..first.clone() };
    assert_eq!(register(vehicles, &repeated).await, existing, "an existing VIN returns its vehicle unchanged");
    for index in [0, 15] {
        let external_ids = vec![first.details.external_ids[index].clone()];
        let details = VehicleDetails { external_ids, ..VehicleDetails::default() };
        let repeated = Vehicle { vid: fixtures.vid(), details, ..first.clone() };
        assert_eq!(register(vehicles, &repeated).await, existing, "an existing external id returns its vehicle");
    }
    assert_eq!(get(vehicles, &repeated.vid).await, None, "registering again creates no second vehicle");
    assert_eq!(resolve(vehicles, Subject::External(extra)).await, None, "registering again adds no attribute");
}

async fn attributes_of_two_vehicles_are_a_conflict(vehicles: &impl Vehicles, fixtures: &Fixtures<'_, impl Randomness>) {
    let (one, two) = (registered(vehicles, fixtures).await, registered(vehicles, fixtures).await);
    let mut both = fixtures.vehicle();
    both.details.vin.clone_from(&one.details.vin);
    let unused = both.details.external_ids[0].clone();
    both.details.external_ids.push(two.details.external_ids[0].clone());
    let rejected = vehicles.register(&both).await.map_err(|error| error.kind());
    assert_eq!(rejected, Err(PortErrorKind::Conflict), "attributes of two vehicles are a conflict");
    assert_eq!(get(vehicles, &both.vid).await, None, "a rejected registration stores no vehicle");
    assert_eq!(resolve(vehicles, Subject::External(unused)).await, None, "a rejected registration stores no attribute");
}

async fn concurrent_registrations_create_one_vehicle(vehicles: &impl Vehicles, fixtures: &Fixtures<'_, impl Randomness>) {
    let first = fixtures.vehicle();
    let candidates: Vec<Vehicle> = (0..4).map(|_| Vehicle { vid: fixtures.vid(), ..first.clone() }).collect();
    let results = join_all(candidates.iter().map(|candidate| vehicles.register(candidate))).await;
    let winner = resolve(vehicles, Subject::Vin(first.details.vin.clone().expect("it has a VIN"))).await;
    let winner = winner.expect("one of the concurrent registrations succeeds");
    for (candidate, result) in candidates.iter().zip(results) {
        // A lost race may be a retryable error or a conflict, but never creates a second vehicle.
        match result {
            Ok(VehicleRegistration::New) => {
                assert_eq!(candidate.vid, winner, "only one of the concurrent registrations is New");
            }
            Ok(VehicleRegistration::Existing(existing)) => assert_eq!(existing.vid, winner, "the others return the winner"),
            Err(error) => assert!(
                error.is_retryable() || error.kind() == PortErrorKind::Conflict,
                "a lost race can be retried: {error}"
            ),
        }
        let kept = get(vehicles, &candidate.vid).await.is_some();
        assert_eq!(kept, candidate.vid == winner, "only the winner is stored");
    }
}

async fn register_all_has_one_result_per_vehicle(vehicles: &impl Vehicles, fixtures: &Fixtures<'_, impl Randomness>) {
    assert!(vehicles.register_all(&[]).await.expect("register_all succeeds").is_empty(), "no vehicles have no results");
    let (existing, other) = (registered(vehicles, fixtures).await, registered(vehicles, fixtures).await);
    let mut requested: Vec<Vehicle> = (0..120).map(|_| fixtures.vehicle()).collect();
    requested[7].details.vin.clone_from(&existing.details.vin);
    requested[77].details.vin.clone_from(&existing.details.vin);
    requested[77].details.external_ids.push(other.details.external_ids[0].clone());
    let vin = requested[3].details.vin.clone();
    requested[118].details.vin = vin;
    let results = vehicles.register_all(&requested).await.expect("register_all succeeds");
    assert_eq!(results.len(), requested.len(), "each vehicle has a result");
    for (index, (vehicle, result)) in requested.iter().zip(&results).enumerate() {
        let stored = get(vehicles, &vehicle.vid).await;
        match (index, result) {
            (7, Ok(VehicleRegistration::Existing(returned))) => {
                assert_eq!(**returned, existing, "an existing vehicle is returned at its index");
            }
            (77, Err(error)) => assert_eq!(error.kind(), PortErrorKind::Conflict, "a conflict is returned at its index"),
            (3 | 118, Ok(_)) => {}
            (_, Ok(VehicleRegistration::New)) => {
                assert_eq!(stored.as_ref(), Some(vehicle), "the other vehicles are registered");
            }
            (index, result) => panic!("{index}: {result:?}"),
        }
        assert_eq!(stored.is_some(), matches!(result, Ok(VehicleRegistration::New)), "only a New vehicle is stored");
    }
    let is_new = [3, 118].map(|index| matches!(results[index], Ok(VehicleRegistration::New)));
    assert!(is_new[0] != is_new[1], "two vehicles with the same VIN are registered once");
}

async fn replace_requires_the_previous_version(vehicles: &impl Vehicles, fixtures: &Fixtures<'_, impl Randomness>) {
    let first = registered(vehicles, fixtures).await;
    let mut second = Vehicle { version: first.version + 1, updated_at: NOON.plus_ms(1), ..first.clone() };
    second.details.make = Some("Nissan".to_owned());
    second.details.attributes.clear();
    vehicles.replace(&second).await.expect("the next version is stored");
    assert_eq!(get(vehicles, &first.vid).await.as_ref(), Some(&second), "the replacement is returned");

    let mut late = second.clone();
    late.details.make = Some("Late".to_owned());
    let skipping = Vehicle { version: second.version + 2, ..late.clone() };
    let unknown = Vehicle { vid: fixtures.vid(), details: fixtures.vehicle().details, ..late.clone() };
    for (rejected, why) in [(&late, "a stale version"), (&skipping, "a version ahead"), (&unknown, "an unknown vehicle")] {
        let rejected = vehicles.replace(rejected).await.map_err(|error| error.kind());
        assert_eq!(rejected, Err(PortErrorKind::Conflict), "replacing with {why} is a conflict");
    }
    assert_eq!(get(vehicles, &first.vid).await, Some(second), "a rejected replacement changes nothing");
    assert_eq!(get(vehicles, &unknown.vid).await, None, "a rejected replacement creates no vehicle");
}

async fn replace_updates_unique_attributes(vehicles: &impl Vehicles, fixtures: &Fixtures<'_, impl Randomness>) {
    let (one, two) = (registered(vehicles, fixtures).await, registered(vehicles, fixtures).await);
    let (kept, removed) = (one.details.external_ids[0].clone(), one.details.vin.clone());
    let removed_vin = Subject::Vin(removed.clone().expect("it has a VIN"));
    let added = fixtures.external_id();
    let mut next = Vehicle { version: one.version + 1, ..one.clone() };
    next.details.vin = None;
    next.details.external_ids.push(added.clone());
    vehicles.replace(&next).await.expect("attributes may be changed");
    assert_eq!(resolve(vehicles, removed_vin.clone()).await, None, "a removed attribute resolves to no vehicle");
    assert_eq!(
        resolve(vehicles, Subject::External(kept)).await,
        Some(one.vid.clone()),
        "an unchanged attribute resolves to its vehicle"
    );
    assert_eq!(
        resolve(vehicles, Subject::External(added.clone())).await,
        Some(one.vid.clone()),
        "an added attribute resolves to its vehicle"
    );

    let mut conflicting = Vehicle { version: two.version + 1, ..two.clone() };
    conflicting.details.vin = None;
    conflicting.details.external_ids = vec![fixtures.external_id(), added];
    let rejected = vehicles.replace(&conflicting).await.map_err(|error| error.kind());
    assert_eq!(rejected, Err(PortErrorKind::Conflict), "an attribute of another vehicle is a conflict");
    assert_eq!(get(vehicles, &two.vid).await, Some(two.clone()), "a conflicting replacement does not change the vehicle");
    let previous = Subject::External(two.details.external_ids[0].clone());
    assert_eq!(resolve(vehicles, previous).await, Some(two.vid.clone()), "a conflicting replacement removes no attribute");
    let added = Subject::External(conflicting.details.external_ids[0].clone());
    assert_eq!(resolve(vehicles, added).await, None, "a conflicting replacement adds no attribute");

    let mut successor = Vehicle { version: two.version + 1, ..two.clone() };
    successor.details.vin = removed;
    vehicles.replace(&successor).await.expect("a removed attribute can be used by another vehicle");
    assert_eq!(resolve(vehicles, removed_vin).await, Some(two.vid), "a reused attribute resolves to its new vehicle");
}

async fn subjects_of_every_form_are_resolved(vehicles: &impl Vehicles, fixtures: &Fixtures<'_, impl Randomness>) {
    let vehicle = registered(vehicles, fixtures).await;
    let vid = Some(vehicle.vid.clone());
    let vin = vehicle.details.vin.clone().expect("it has a VIN");
    let external = vehicle.details.external_ids[0].clone();
    assert_eq!(resolve(vehicles, Subject::Vid(vehicle.vid.clone())).await, vid, "a registered vid resolves to its vehicle");
    assert_eq!(resolve(vehicles, Subject::Vin(vin)).await, vid, "a VIN resolves to its vehicle");
    assert_eq!(resolve(vehicles, Subject::External(external)).await, vid, "an external id resolves to its vehicle");
    for subject in [Subject::Vid(fixtures.vid()), Subject::Vin(fixtures.vin()), Subject::External(fixtures.external_id())] {
        let message = format!("an unregistered subject resolves to no vehicle: {subject:?}");
        assert_eq!(resolve(vehicles, subject).await, None, "{message}");
    }
}

async fn retired_vehicle_releases_its_attributes(vehicles: &impl Vehicles, fixtures: &Fixtures<'_, impl Randomness>) {
    let first = registered(vehicles, fixtures).await;
    let retired = Vehicle { version: first.version + 1, retired_at: Some(NOON), ..first.clone() };
    vehicles.replace(&retired).await.expect("a vehicle is retired");
    assert_eq!(get(vehicles, &first.vid).await.as_ref(), Some(&retired), "a retired vehicle is still readable");
    let external = Subject::External(first.details.external_ids[0].clone());
    let vin = Subject::Vin(first.details.vin.clone().expect("it has a VIN"));
    for subject in [Subject::Vid(first.vid.clone()), vin.clone(), external] {
        let message = format!("a retired vehicle is not resolved: {subject:?}");
        assert_eq!(resolve(vehicles, subject).await, None, "{message}");
    }
    let successor = Vehicle { vid: fixtures.vid(), ..first.clone() };
    assert_eq!(register(vehicles, &successor).await, VehicleRegistration::New, "another vehicle can use the attributes");
    assert_eq!(resolve(vehicles, vin).await, Some(successor.vid), "the attributes resolve to the other vehicle");
    let changed = Vehicle { version: retired.version + 1, updated_at: NOON.plus_ms(1), ..retired };
    vehicles.replace(&changed).await.expect("a retired vehicle can be changed");
}

async fn pages_contain_each_vehicle_once(vehicles: &impl Vehicles, fixtures: &Fixtures<'_, impl Randomness>) {
    let owner = fixtures.client_id();
    let mut mine = Vec::new();
    for _ in 0..5 {
        let vehicle = Vehicle { owner: Some(owner.clone()), ..fixtures.vehicle() };
        register(vehicles, &vehicle).await;
        mine.push(vehicle);
    }
    let ownerless = Vehicle { owner: None, ..fixtures.vehicle() };
    register(vehicles, &ownerless).await;
    mine.sort_by(|a, b| a.vid.cmp(&b.vid));

    let order: Vec<VehicleId> = list(vehicles, Some(&owner), 100).await.into_iter().map(|vehicle| vehicle.vid).collect();
    for limit in 1..=mine.len() + 1 {
        let mut listed = list(vehicles, Some(&owner), limit).await;
        let vids: Vec<VehicleId> = listed.iter().map(|vehicle| vehicle.vid.clone()).collect();
        assert_eq!(vids, order, "pages of {limit} have the order of the list");
        listed.sort_by(|a, b| a.vid.cmp(&b.vid));
        assert_eq!(listed, mine, "pages of {limit} contain each vehicle of the client once");
    }
    assert!(list(vehicles, Some(&fixtures.client_id()), 10).await.is_empty(), "a client without vehicles has an empty list");

    let everything = list(vehicles, None, 100).await;
    for vehicle in mine.iter().chain([&ownerless]) {
        let times = everything.iter().filter(|listed| listed.vid == vehicle.vid).count();
        assert_eq!(times, 1, "the list of all vehicles contains each vehicle once");
    }
}

async fn registered(vehicles: &impl Vehicles, fixtures: &Fixtures<'_, impl Randomness>) -> Vehicle {
    let vehicle = fixtures.vehicle();
    assert_eq!(register(vehicles, &vehicle).await, VehicleRegistration::New, "an unknown vehicle is New");
    vehicle
}

async fn register(vehicles: &impl Vehicles, vehicle: &Vehicle) -> VehicleRegistration {
    vehicles.register(vehicle).await.expect("register succeeds")
}

async fn get(vehicles: &impl Vehicles, vid: &VehicleId) -> Option<Vehicle> {
    vehicles.get(vid).await.expect("get succeeds")
}

async fn resolve(vehicles: &impl Vehicles, subject: Subject) -> Option<VehicleId> {
    vehicles.resolve(&subject).await.expect("resolve succeeds")
}

async fn list(vehicles: &impl Vehicles, owner: Option<&ClientId>, limit: usize) -> Vec<Vehicle> {
    let mut listing = VehicleListing { owner: owner.cloned(), after: None, limit };
    let mut listed = Vec::new();
    loop {
        let page = vehicles.list(&listing).await.expect("list succeeds");
        assert!(page.vehicles.len() <= limit, "a page has at most `limit` items: {limit}");
        listed.extend(page.vehicles);
        if page.next.is_none() {
            return listed;
        }
        assert_ne!(page.next, listing.after, "each page starts after the previous one");
        listing.after = page.next;
    }
}

/// Checks every implementation of [`VehicleNames`] together with its registry.
pub async fn vehicle_names(registry: &(impl Vehicles + VehicleNames), random: &impl Randomness) {
    let fixtures = Fixtures::new(random);
    names_are_resolved_at_their_indexes(registry, &fixtures).await;
    resolve_all_returns_what_resolve_returns(registry, &fixtures, random).await;
}

async fn names_are_resolved_at_their_indexes(
    registry: &(impl Vehicles + VehicleNames),
    fixtures: &Fixtures<'_, impl Randomness>,
) {
    let existing = registered(registry, fixtures).await;
    let mut names = Vec::new();
    let mut expect = Vec::new();
    for index in 0..130 {
        let name: Option<VehicleName> = (index % 40 == 7).then(|| existing.names().nth(index % 2)).flatten();
        expect.push(name.as_ref().map(|_| existing.vid.clone()));
        names.push(name.unwrap_or_else(|| VehicleName::Vin(fixtures.vin())));
    }
    let found = registry.resolve_all(&names).await.expect("resolve_all succeeds");
    assert_eq!(found, expect, "each name is resolved at its index, including repeated ones");
    assert_eq!(registry.resolve_all(&[]).await.expect("resolve_all succeeds"), [], "no names have no results");
}

async fn resolve_all_returns_what_resolve_returns(
    registry: &(impl Vehicles + VehicleNames),
    fixtures: &Fixtures<'_, impl Randomness>,
    random: &impl Randomness,
) {
    let mut names = Vec::new();
    let mut vehicles: Vec<Vehicle> = Vec::new();
    for step in 1..=24 {
        let bits = random.bits();
        let pick = usize::try_from(bits >> 8 & 0xff).expect("8 bits") % vehicles.len().max(1);
        match (bits % 4, vehicles.get_mut(pick)) {
            // Retires a vehicle, which releases its names.
            (0, Some(vehicle)) if vehicle.retired_at.is_none() => {
                vehicle.version += 1;
                vehicle.retired_at = Some(NOON);
                registry.replace(vehicle).await.expect("a vehicle is retired");
            }
            // Registers another vehicle with the names of this one, which may be retired.
            (1, Some(vehicle)) => {
                let again = Vehicle { vid: fixtures.vid(), version: 1, retired_at: None, ..vehicle.clone() };
                if register(registry, &again).await == VehicleRegistration::New {
                    vehicles.push(again);
                }
            }
            // A name of no vehicle.
            (2, _) => names.push(VehicleName::External(fixtures.external_id())),
            _ => {
                let vehicle = registered(registry, fixtures).await;
                names.extend(vehicle.names());
                vehicles.push(vehicle);
            }
        }
        if step % 6 != 0 {
            continue;
        }
        let mut expect = Vec::new();
        for name in &names {
            expect.push(resolve(registry, name.clone().into()).await);
        }
        let found = registry.resolve_all(&names).await.expect("resolve_all succeeds");
        assert_eq!(found, expect, "resolve_all returns what resolve returns");
    }
}
