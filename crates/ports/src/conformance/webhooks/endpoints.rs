//! [`Endpoints`].

use std::collections::BTreeSet;

use roadcast_domain::audit::{Author, Change};
use roadcast_domain::fleet::{FeedDisposition, Fleet};
use roadcast_domain::webhook::{
    DeliveryOrder, DisabledReason, Endpoint, EndpointStatus, RetrySchedule, SealedSecret, WebhookInterest,
};

use super::super::fixtures::{Fixtures, NOON};
use super::{CONFLICT, endpoint_id, kind};
use crate::clock::Randomness;
use crate::fleets::Fleets;
use crate::webhooks::Endpoints;

fn endpoint(fleet: &Fleet, event_type: &str, random: &impl Randomness) -> Endpoint {
    Endpoint {
        endpoint_id: endpoint_id(random),
        fleet_id: fleet.fleet_id.clone(),
        url: "https://hooks.example.com/roadcast?fleet=7".parse().expect("a URL"),
        any_port: false,
        description: Some("Größe".to_owned()),
        event_types: BTreeSet::from([event_type.to_owned()]),
        packages: BTreeSet::new(),
        header_names: vec!["x-key".to_owned()],
        sealed_headers: Some("c2VhbGVk".to_owned()),
        order: DeliveryOrder::Vehicle,
        rate_limit: Some(10),
        retry_schedule: RetrySchedule::default(),
        status: EndpointStatus::Active,
        secrets: vec![SealedSecret { sealed: "c2VhbGVk".to_owned(), created_at: NOON, expires_at: None }],
        version: 1,
        created_at: NOON,
        updated_at: NOON,
    }
}

fn wanting(fleet: &Fleet, version: u64, endpoints: &[&Endpoint]) -> Fleet {
    Fleet { version, webhooks: Some(WebhookInterest::of(endpoints.iter().copied())), ..fleet.clone() }
}

/// Checks [`Endpoints`] and [`Fleets`] on the same store.
pub async fn endpoints(endpoints: &impl Endpoints, fleets: &impl Fleets, random: &impl Randomness) {
    let fixtures = Fixtures::new(random);
    let fleet = fixtures.fleet("bus");
    let created = Change::fleet_changed(Author::Provisioning, None, &fleet, NOON);
    fleets.create(&fleet, &created).await.expect("the fleet is created");
    let [first, second] = ["a", "b"].map(|event_type| endpoint(&fleet, event_type, random));
    let change = |endpoint: &Endpoint, ms| Change::endpoint_changed(Author::Fleet, None, endpoint, NOON.plus_ms(ms));
    let list = async || endpoints.list(&fleet.fleet_id).await.expect("list succeeds");
    let get =
        async |endpoint: &Endpoint| endpoints.get(&endpoint.fleet_id, &endpoint.endpoint_id).await.expect("get succeeds");
    let stored_fleet = async || fleets.get(&fleet.fleet_id).await.expect("get succeeds").expect("the fleet exists");

    assert_eq!((get(&first).await, list().await), (None, vec![]), "a fleet has no endpoints at first");
    let with_first = wanting(&fleet, 1, &[&first]);
    endpoints.create(&first, &with_first, &change(&first, 1)).await.expect("an endpoint is created");
    assert_eq!(get(&first).await.as_ref(), Some(&first), "an endpoint is returned unchanged");
    assert_eq!(stored_fleet().await, Fleet { version: 2, ..with_first.clone() }, "the fleet states what it wants");
    let with_both = wanting(&fleet, 1, &[&first, &second]);
    let stale = endpoints.create(&second, &with_both, &change(&second, 2)).await;
    assert_eq!(kind(stale), CONFLICT, "the fleet was changed since it was read");
    assert_eq!(get(&second).await, None, "nothing is stored on a conflict");
    let with_both = wanting(&fleet, 2, &[&first, &second]);
    endpoints.create(&second, &with_both, &change(&second, 2)).await.expect("a second endpoint is created");
    let repeated = endpoints.create(&second, &Fleet { version: 3, ..with_both }, &change(&second, 2)).await;
    assert_eq!(kind(repeated), CONFLICT, "an id is used once");
    let ids: Vec<_> = list().await.into_iter().map(|endpoint| endpoint.endpoint_id).collect();
    let mut expected = [first.endpoint_id.clone(), second.endpoint_id.clone()];
    expected.sort();
    assert_eq!(ids, expected, "endpoints are listed by id");
    let absent = fixtures.fleet("bus");
    let orphan = endpoint(&absent, "a", random);
    assert_eq!(kind(endpoints.create(&orphan, &absent, &change(&orphan, 3)).await), CONFLICT, "the fleet does not exist");
    assert_eq!(endpoints.list(&absent.fleet_id).await.expect("list succeeds"), [], "another fleet has its own endpoints");

    let status = EndpointStatus::Disabled { reason: DisabledReason::Gone, at: NOON };
    let disabled = Endpoint { status, ..first.clone() };
    let disabling = Change::endpoint_changed(Author::Delivery, Some(&first), &disabled, NOON.plus_ms(4));
    endpoints.replace(&disabled, None, &disabling).await.expect("an endpoint is replaced without the fleet");
    assert_eq!(get(&first).await, Some(Endpoint { version: 2, ..disabled.clone() }), "the version is counted");
    assert_eq!(kind(endpoints.replace(&disabled, None, &disabling).await), CONFLICT, "the version was replaced");
    assert_eq!(stored_fleet().await.version, 3, "the fleet is unchanged");
    let wider = Endpoint { event_types: BTreeSet::new(), version: 2, ..first.clone() };
    let widening = Change::endpoint_changed(Author::Fleet, Some(&disabled), &wider, NOON.plus_ms(5));
    let stale = endpoints.replace(&wider, Some(&wanting(&fleet, 2, &[&wider])), &widening).await;
    assert_eq!(kind(stale), CONFLICT, "the fleet was changed since it was read");
    assert_eq!(get(&first).await.map(|endpoint| endpoint.version), Some(2), "nothing is stored on a conflict");
    let wanted = wanting(&fleet, 3, &[&wider, &second]);
    endpoints.replace(&wider, Some(&wanted), &widening).await.expect("an endpoint is replaced with the fleet");
    assert_eq!(stored_fleet().await, Fleet { version: 4, ..wanted }, "the fleet states what it wants");

    let offboarding = stored_fleet().await.begin_offboarding(FeedDisposition::Discard, NOON.plus_ms(6));
    let leaving = Change::fleet_changed(Author::Offboarding, None, &offboarding, NOON.plus_ms(6));
    fleets.update(&offboarding, &leaving).await.expect("the offboarding starts");
    let third = endpoint(&fleet, "c", random);
    let refused = endpoints.create(&third, &stored_fleet().await, &change(&third, 7)).await;
    assert_eq!(kind(refused), CONFLICT, "a fleet that is being offboarded gets no endpoint");
    let removal = Change::endpoint_removed(Author::Fleet, &second, NOON.plus_ms(8));
    let remaining = Fleet { webhooks: None, ..stored_fleet().await };
    let stale = endpoints.remove(&Endpoint { version: 9, ..second.clone() }, &remaining, &removal).await;
    assert_eq!(kind(stale), CONFLICT, "another version");
    endpoints.remove(&second, &remaining, &removal).await.expect("an endpoint is removed, whatever the state of the fleet");
    assert_eq!(get(&second).await, None, "a removed endpoint does not exist");
    assert_eq!(kind(endpoints.remove(&second, &stored_fleet().await, &removal).await), CONFLICT, "it is removed once");

    let trail = fleets.changes(&fleet.fleet_id, None, 100).await.expect("changes succeeds");
    assert_eq!(trail.len(), 7, "each change is stored, except those that were refused");
    assert_eq!(trail[0], removal, "changes are returned unchanged");
}
