use roadcast_domain::audit::Author;
use roadcast_domain::ids::{ClientId, FleetId};

use super::*;

fn callers() -> [Caller; 3] {
    let client_id = ClientId::new("c");
    let ingest = Caller::Ingest { client_id: client_id.clone(), sources: vec!["urn:a".to_owned()] };
    [Caller::Admin(client_id), Caller::Fleet(FleetId::from_random_bits(1)), ingest]
}

/// Checks which of admin, fleet client and ingest client get the proof, and that it keeps the id of the caller.
fn assert_proved<P: Proof>(expected: [bool; 3]) {
    for ((caller, scope), expected) in callers().iter().zip([Scope::Admin, Scope::Read, Scope::Ingest]).zip(expected) {
        assert_eq!(P::SCOPES.contains(&scope), expected, "the scopes permit exactly the roles of the proof: {caller:?}");
        match P::prove(caller) {
            Ok(proof) => assert!(expected && proof.caller_id() == caller.id(), "{caller:?}"),
            Err(error) => assert!(!expected && matches!(error, ServiceError::Forbidden(_)), "{caller:?}: {error}"),
        }
    }
}

#[test]
fn each_proof_is_given_to_its_roles_only() {
    assert_proved::<Admin>([true, false, false]);
    assert_proved::<FleetOwner>([false, true, false]);
    assert_proved::<IngestClient>([false, false, true]);
    assert_proved::<Reader>([true, true, false]);
    assert_proved::<Manager>([true, true, false]);
    assert_proved::<Sender>([true, false, true]);
    assert_proved::<AnyClient>([true, true, true]);
}

#[test]
fn another_fleet_is_not_found() {
    let [admin, fleet, _] = callers();
    let (own, other) = (FleetId::from_random_bits(1), FleetId::from_random_bits(2));
    let of_fleet = |caller: &Caller, fleet_id: &FleetId| Reader::prove(caller).unwrap().of_fleet(fleet_id);
    assert_eq!(of_fleet(&admin, &other).unwrap().fleet_id(), &other);
    assert_eq!(of_fleet(&fleet, &own).unwrap().fleet_id(), &own);
    assert!(matches!(of_fleet(&fleet, &other), Err(ServiceError::NotFound)));
    let owner = FleetOwner::prove(&fleet).unwrap();
    assert_eq!(owner.of_fleet(&own).unwrap().fleet_id(), &own);
    assert!(matches!(owner.of_fleet(&other), Err(ServiceError::NotFound)));
}

#[test]
fn manager_of_a_fleet_is_the_fleet_or_an_admin() {
    let [admin, fleet, _] = callers();
    let (own, other) = (FleetId::from_random_bits(1), FleetId::from_random_bits(2));
    let of_fleet = |caller: &Caller, fleet_id: &FleetId| Manager::prove(caller).unwrap().of_fleet(fleet_id);
    let by_admin = of_fleet(&admin, &other).unwrap();
    assert_eq!((by_admin.fleet_id(), by_admin.is_admin()), (&other, true));
    assert_eq!(by_admin.author(), Author::Admin { client_id: ClientId::new("c") });
    let by_fleet = of_fleet(&fleet, &own).unwrap();
    assert_eq!((by_fleet.fleet_id(), by_fleet.is_admin(), by_fleet.author()), (&own, false, Author::Fleet));
    assert!(matches!(of_fleet(&fleet, &other), Err(ServiceError::NotFound)));
}

#[test]
fn ingest_client_may_use_its_own_sources_only() {
    let [admin, _, ingest] = callers();
    let may_use = |caller: &Caller| ["urn:a", "urn:b"].map(|source| Sender::prove(caller).unwrap().may_use(source));
    assert_eq!((may_use(&admin), may_use(&ingest)), ([true, true], [true, false]));
}
