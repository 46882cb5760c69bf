//! [`Vehicles`]

use futures::future::join_all;
use roadcast_domain::ids::{ClientId, VehicleId};
use roadcast_domain::subject::Subject;
use roadcast_domain::vehicle::{Vehicle, VehicleDetails};

use super::fresh::{Fresh, NOON};
use crate::PortErrorKind;
use crate::clock::Randomness;
use crate::vehicles::{VehicleListing, VehicleNames, VehicleRegistration, Vehicles};

/// What every [`Vehicles`] does.
pub async fn vehicles(vehicles: &impl Vehicles, random: &impl Randomness) {
    let fresh = Fresh::new(random);
    registering_again_answers_the_first(vehicles, &fresh).await;
    attributes_of_two_vehicles_are_a_conflict(vehicles, &fresh).await;
    many_at_once_register_one_vehicle(vehicles, &fresh).await;
    many_in_one_call_are_registered_each_by_itself(vehicles, &fresh).await;
    replacing_asks_for_the_version_before(vehicles, &fresh).await;
    replacing_moves_unique_attributes(vehicles, &fresh).await;
    subjects_are_resolved_in_all_forms(vehicles, &fresh).await;
    a_retired_vehicle_gives_up_its_names(vehicles, &fresh).await;
    a_listing_pages_without_loss_or_repeat_at_every_limit(vehicles, &fresh).await;
}

async fn registering_again_answers_the_first(vehicles: &impl Vehicles, fresh: &Fresh<'_, impl Randomness>) {
    let mut first = fresh.vehicle();
    // As many unique attributes as a vehicle may have.
    first.details.external_ids.extend((0..15).map(|_| fresh.external_id()));
    assert_eq!(register(vehicles, &first).await, VehicleRegistration::New, "a vehicle not seen before is New");
    assert_eq!(get(vehicles, &first.vid).await.as_ref(), Some(&first), "a vehicle is kept as it was given");
    assert_eq!(get(vehicles, &fresh.vid()).await, None, "there is no vehicle of an id that was not registered");

    let known = VehicleRegistration::Existing(Box::new(first.clone()));
    assert_eq!(register(vehicles, &first).await, known, "the very same registration again is Known");
    let extra = fresh.external_id();
    let by_vin =
        VehicleDetails { vin: first.details.vin.clone(), external_ids: vec![extra.clone()], ..VehicleDetails::default() };
    let again = Vehicle { vid: fresh.vid(), details: by_vin, ..first.clone() };
    assert_eq!(register(vehicles, &again).await, known, "a known VIN answers the vehicle that has it, unchanged");
    for place in [0, 15] {
        let external_ids = vec![first.details.external_ids[place].clone()];
        let details = VehicleDetails { external_ids, ..VehicleDetails::default() };
        let again = Vehicle { vid: fresh.vid(), details, ..first.clone() };
        assert_eq!(register(vehicles, &again).await, known, "each external id answers the vehicle that has it");
    }
    assert_eq!(get(vehicles, &again.vid).await, None, "registering again makes no second vehicle");
    assert_eq!(resolve(vehicles, Subject::External(extra)).await, None, "registering again adds no attribute");
}

async fn attributes_of_two_vehicles_are_a_conflict(vehicles: &impl Vehicles, fresh: &Fresh<'_, impl Randomness>) {
    let (one, two) = (registered(vehicles, fresh).await, registered(vehicles, fresh).await);
    let mut both = fresh.vehicle();
    both.details.vin.clone_from(&one.details.vin);
    let free = both.details.external_ids[0].clone();
    both.details.external_ids.push(two.details.external_ids[0].clone());
    let refused = vehicles.register(&both).await.map_err(|error| error.kind());
    assert_eq!(refused, Err(PortErrorKind::Conflict), "attributes of two vehicles are a conflict");
    assert_eq!(get(vehicles, &both.vid).await, None, "a refused registration keeps no vehicle");
    assert_eq!(resolve(vehicles, Subject::External(free)).await, None, "a refused registration takes no attribute");
}

async fn many_at_once_register_one_vehicle(vehicles: &impl Vehicles, fresh: &Fresh<'_, impl Randomness>) {
    let first = fresh.vehicle();
    let racers: Vec<Vehicle> = (0..4).map(|_| Vehicle { vid: fresh.vid(), ..first.clone() }).collect();
    let answers = join_all(racers.iter().map(|racer| vehicles.register(racer))).await;
    let winner = resolve(vehicles, Subject::Vin(first.details.vin.clone().expect("it has a VIN"))).await;
    let winner = winner.expect("of registrations at the same time, one wins");
    for (racer, answer) in racers.iter().zip(answers) {
        // Losing a race may be an error that asks for another try, but never a second vehicle.
        match answer {
            Ok(VehicleRegistration::New) => {
                assert_eq!(racer.vid, winner, "of registrations at the same time, only one is New")
            }
            Ok(VehicleRegistration::Existing(known)) => assert_eq!(known.vid, winner, "the others answer the winner"),
            Err(error) => assert!(
                error.is_retryable() || error.kind() == PortErrorKind::Conflict,
                "a lost race can be tried again: {error}"
            ),
        }
        let kept = get(vehicles, &racer.vid).await.is_some();
        assert_eq!(kept, racer.vid == winner, "only the winner is kept");
    }
}

async fn many_in_one_call_are_registered_each_by_itself(vehicles: &impl Vehicles, fresh: &Fresh<'_, impl Randomness>) {
    assert!(vehicles.register_all(&[]).await.expect("register_all answers").is_empty(), "nothing is asked or answered");
    let (known, other) = (registered(vehicles, fresh).await, registered(vehicles, fresh).await);
    let mut asked: Vec<Vehicle> = (0..120).map(|_| fresh.vehicle()).collect();
    asked[7].details.vin.clone_from(&known.details.vin);
    asked[77].details.vin.clone_from(&known.details.vin);
    asked[77].details.external_ids.push(other.details.external_ids[0].clone());
    let vin = asked[3].details.vin.clone();
    asked[118].details.vin = vin;
    let answers = vehicles.register_all(&asked).await.expect("register_all answers");
    assert_eq!(answers.len(), asked.len(), "each is answered");
    for (place, (asked, answer)) in asked.iter().zip(&answers).enumerate() {
        let kept = get(vehicles, &asked.vid).await;
        match (place, answer) {
            (7, Ok(VehicleRegistration::Existing(answered))) => {
                assert_eq!(**answered, known, "a known one is answered in its place")
            }
            (77, Err(error)) => assert_eq!(error.kind(), PortErrorKind::Conflict, "so is a conflict"),
            (3 | 118, Ok(_)) => {}
            (_, Ok(VehicleRegistration::New)) => {
                assert_eq!(kept.as_ref(), Some(asked), "the others are registered none the less")
            }
            (place, answer) => panic!("{place}: {answer:?}"),
        }
        assert_eq!(kept.is_some(), matches!(answer, Ok(VehicleRegistration::New)), "New is kept, and nothing else");
    }
    let of_one_vin = [3, 118].map(|place| matches!(answers[place], Ok(VehicleRegistration::New)));
    assert!(of_one_vin[0] != of_one_vin[1], "two of one VIN are one vehicle");
}

async fn replacing_asks_for_the_version_before(vehicles: &impl Vehicles, fresh: &Fresh<'_, impl Randomness>) {
    let first = registered(vehicles, fresh).await;
    let mut second = Vehicle { version: first.version + 1, updated_at: NOON.plus_ms(1), ..first.clone() };
    second.details.make = Some("Nissan".to_owned());
    second.details.attributes.clear();
    vehicles.replace(&second).await.expect("the next version replaces");
    assert_eq!(get(vehicles, &first.vid).await.as_ref(), Some(&second), "what replaced is read back");

    let mut late = second.clone();
    late.details.make = Some("Late".to_owned());
    let skipping = Vehicle { version: second.version + 2, ..late.clone() };
    let unknown = Vehicle { vid: fresh.vid(), details: fresh.vehicle().details, ..late.clone() };
    for (refused, why) in [(&late, "a stale version"), (&skipping, "a version ahead"), (&unknown, "an unknown vehicle")] {
        let refused = vehicles.replace(refused).await.map_err(|error| error.kind());
        assert_eq!(refused, Err(PortErrorKind::Conflict), "replacing with {why} is a conflict");
    }
    assert_eq!(get(vehicles, &first.vid).await, Some(second), "a refused replacement changes nothing");
    assert_eq!(get(vehicles, &unknown.vid).await, None, "a refused replacement makes no vehicle");
}

async fn replacing_moves_unique_attributes(vehicles: &impl Vehicles, fresh: &Fresh<'_, impl Randomness>) {
    let (one, two) = (registered(vehicles, fresh).await, registered(vehicles, fresh).await);
    let (kept, freed) = (one.details.external_ids[0].clone(), one.details.vin.clone());
    let freed_vin = Subject::Vin(freed.clone().expect("it has a VIN"));
    let added = fresh.external_id();
    let mut next = Vehicle { version: one.version + 1, ..one.clone() };
    next.details.vin = None;
    next.details.external_ids.push(added.clone());
    vehicles.replace(&next).await.expect("attributes may change");
    assert_eq!(resolve(vehicles, freed_vin.clone()).await, None, "a removed attribute names nobody");
    assert_eq!(
        resolve(vehicles, Subject::External(kept)).await,
        Some(one.vid.clone()),
        "a kept attribute names its vehicle"
    );
    assert_eq!(resolve(vehicles, Subject::External(added.clone())).await, Some(one.vid.clone()), "an added one does too");

    let mut greedy = Vehicle { version: two.version + 1, ..two.clone() };
    greedy.details.vin = None;
    greedy.details.external_ids = vec![fresh.external_id(), added];
    let refused = vehicles.replace(&greedy).await.map_err(|error| error.kind());
    assert_eq!(refused, Err(PortErrorKind::Conflict), "another vehicle's attribute is a conflict");
    assert_eq!(get(vehicles, &two.vid).await, Some(two.clone()), "and the vehicle stays as it was");
    let own = Subject::External(two.details.external_ids[0].clone());
    assert_eq!(resolve(vehicles, own).await, Some(two.vid.clone()), "and keeps the attributes it would have given up");
    let wanted = Subject::External(greedy.details.external_ids[0].clone());
    assert_eq!(resolve(vehicles, wanted).await, None, "and takes none of those it wanted");

    let mut heir = Vehicle { version: two.version + 1, ..two.clone() };
    heir.details.vin = freed;
    vehicles.replace(&heir).await.expect("a freed attribute can be taken");
    assert_eq!(resolve(vehicles, freed_vin).await, Some(two.vid), "a freed attribute names its new vehicle");
}

async fn subjects_are_resolved_in_all_forms(vehicles: &impl Vehicles, fresh: &Fresh<'_, impl Randomness>) {
    let vehicle = registered(vehicles, fresh).await;
    let vid = Some(vehicle.vid.clone());
    let vin = vehicle.details.vin.clone().expect("it has a VIN");
    let external = vehicle.details.external_ids[0].clone();
    assert_eq!(resolve(vehicles, Subject::Vid(vehicle.vid.clone())).await, vid, "a registered vid names its vehicle");
    assert_eq!(resolve(vehicles, Subject::Vin(vin)).await, vid, "a VIN names its vehicle");
    assert_eq!(resolve(vehicles, Subject::External(external)).await, vid, "an external id names its vehicle");
    for subject in [Subject::Vid(fresh.vid()), Subject::Vin(fresh.vin()), Subject::External(fresh.external_id())] {
        let message = format!("what was not registered names nobody: {subject:?}");
        assert_eq!(resolve(vehicles, subject).await, None, "{message}");
    }
}

async fn a_retired_vehicle_gives_up_its_names(vehicles: &impl Vehicles, fresh: &Fresh<'_, impl Randomness>) {
    let first = registered(vehicles, fresh).await;
    let retired = Vehicle { version: first.version + 1, retired_at: Some(NOON), ..first.clone() };
    vehicles.replace(&retired).await.expect("a vehicle may be retired");
    assert_eq!(get(vehicles, &first.vid).await.as_ref(), Some(&retired), "a retired vehicle is still there to be read");
    let external = Subject::External(first.details.external_ids[0].clone());
    let vin = Subject::Vin(first.details.vin.clone().expect("it has a VIN"));
    for subject in [Subject::Vid(first.vid.clone()), vin.clone(), external] {
        let message = format!("a retired vehicle is named by nobody: {subject:?}");
        assert_eq!(resolve(vehicles, subject).await, None, "{message}");
    }
    let heir = Vehicle { vid: fresh.vid(), ..first.clone() };
    assert_eq!(register(vehicles, &heir).await, VehicleRegistration::New, "its names are free for another");
    assert_eq!(resolve(vehicles, vin).await, Some(heir.vid), "which has them then");
    let again = Vehicle { version: retired.version + 1, updated_at: NOON.plus_ms(1), ..retired };
    vehicles.replace(&again).await.expect("what stays of it may change without its names");
}

async fn a_listing_pages_without_loss_or_repeat_at_every_limit(
    vehicles: &impl Vehicles,
    fresh: &Fresh<'_, impl Randomness>,
) {
    let owner = fresh.client_id();
    let mut mine = Vec::new();
    for _ in 0..5 {
        let vehicle = Vehicle { owner: Some(owner.clone()), ..fresh.vehicle() };
        register(vehicles, &vehicle).await;
        mine.push(vehicle);
    }
    let ownerless = Vehicle { owner: None, ..fresh.vehicle() };
    register(vehicles, &ownerless).await;
    mine.sort_by(|a, b| a.vid.cmp(&b.vid));

    let order: Vec<VehicleId> = list(vehicles, Some(&owner), 100).await.into_iter().map(|vehicle| vehicle.vid).collect();
    for limit in 1..=mine.len() + 1 {
        let mut listed = list(vehicles, Some(&owner), limit).await;
        let vids: Vec<VehicleId> = listed.iter().map(|vehicle| vehicle.vid.clone()).collect();
        assert_eq!(vids, order, "pages of {limit} keep the order of the list");
        listed.sort_by(|a, b| a.vid.cmp(&b.vid));
        assert_eq!(listed, mine, "pages of {limit} hold the client's vehicles, each once");
    }
    assert!(list(vehicles, Some(&fresh.client_id()), 10).await.is_empty(), "a client without vehicles lists none");

    let everything = list(vehicles, None, 100).await;
    for vehicle in mine.iter().chain([&ownerless]) {
        let times = everything.iter().filter(|listed| listed.vid == vehicle.vid).count();
        assert_eq!(times, 1, "the list of all holds each vehicle once");
    }
}

async fn registered(vehicles: &impl Vehicles, fresh: &Fresh<'_, impl Randomness>) -> Vehicle {
    let vehicle = fresh.vehicle();
    assert_eq!(register(vehicles, &vehicle).await, VehicleRegistration::New, "a vehicle not seen before is New");
    vehicle
}

async fn register(vehicles: &impl Vehicles, vehicle: &Vehicle) -> VehicleRegistration {
    vehicles.register(vehicle).await.expect("register answers")
}

async fn get(vehicles: &impl Vehicles, vid: &VehicleId) -> Option<Vehicle> {
    vehicles.get(vid).await.expect("get answers")
}

async fn resolve(vehicles: &impl Vehicles, subject: Subject) -> Option<VehicleId> {
    vehicles.resolve(&subject).await.expect("resolve answers")
}

async fn list(vehicles: &impl Vehicles, owner: Option<&ClientId>, limit: usize) -> Vec<Vehicle> {
    let mut listing = VehicleListing { owner: owner.cloned(), after: None, limit };
    let mut listed = Vec::new();
    loop {
        let page = vehicles.list(&listing).await.expect("list answers");
        assert!(page.vehicles.len() <= limit, "a page holds at most its limit of {limit}");
        listed.extend(page.vehicles);
        if page.next.is_none() {
            return listed;
        }
        assert_ne!(page.next, listing.after, "each page starts after the one before");
        listing.after = page.next;
    }
}

/// What every [`VehicleNames`] does, over the register that it is of.
pub async fn names(register: &(impl Vehicles + VehicleNames), random: &impl Randomness) {
    let fresh = Fresh::new(random);
    let known = registered(register, &fresh).await;
    let mut asked = Vec::new();
    let mut expect = Vec::new();
    for place in 0..130 {
        let named: Option<Subject> = (place % 40 == 7).then(|| known.names().nth(place % 2)).flatten();
        expect.push(named.as_ref().map(|_| known.vid.clone()));
        asked.push(named.unwrap_or_else(|| Subject::Vin(fresh.vin())));
    }
    asked.push(Subject::Vid(known.vid.clone()));
    expect.push(Some(known.vid));
    let found = register.resolve_all(&asked).await.expect("resolve_all answers");
    assert_eq!(found, expect, "each name is answered in its place, as often as it is asked");
    assert_eq!(register.resolve_all(&[]).await.expect("resolve_all answers"), [], "nothing is asked, nothing is answered");
}
