//! [`Fleets`], alone and beside what fleets have.

use roadcast_domain::fleet::{ClientRole, FeedDisposition, Fleet, FleetState};
use roadcast_domain::subscription::{Subscription, SubscriptionState};

use super::fresh::{Fresh, NOON};
use crate::PortErrorKind;
use crate::clients::Clients;
use crate::clock::Randomness;
use crate::fleets::Fleets;
use crate::subscriptions::Subscriptions;

/// What every [`Fleets`] does.
pub async fn fleets(fleets: &impl Fleets, random: &impl Randomness) {
    let fresh = Fresh::new(random);
    let mine = [fresh.fleet("bus-a"), fresh.fleet("bus-b"), fresh.fleet("bus-a")];
    for fleet in &mine {
        assert_eq!(
            fleets.get(&fleet.fleet_id).await.expect("get answers"),
            None,
            "a fleet is not there before it is created"
        );
        fleets.create(fleet, None).await.expect("a new fleet is created");
        let kept = fleets.get(&fleet.fleet_id).await.expect("get answers");
        assert_eq!(kept.as_ref(), Some(fleet), "a fleet is kept as it was given");
    }

    let usurper = Fleet { name: "other".to_owned(), ..mine[0].clone() };
    let refused = fleets.create(&usurper, None).await.map_err(|error| error.kind());
    assert_eq!(refused, Err(PortErrorKind::Conflict), "an id that is taken is a conflict");
    let kept = fleets.get(&mine[0].fleet_id).await.expect("get answers");
    assert_eq!(kept.as_ref(), Some(&mine[0]), "a refused fleet changes nothing");

    let [first, second, mut third] = mine;
    let leaving = first.begin_offboarding(FeedDisposition::Drain, NOON);
    fleets.update(&leaving, None).await.expect("a fleet that is at its version becomes another");
    let late = fleets.update(&leaving, None).await.map_err(|error| error.kind());
    assert_eq!(late, Err(PortErrorKind::Conflict), "who read the version before is too late");
    let left = Fleet { version: 2, ..leaving };
    let kept = fleets.get(&left.fleet_id).await.expect("get answers");
    assert_eq!(kept.as_ref(), Some(&left), "it is kept as the next version");
    third.fleet_id = fresh.fleet_id();
    let unknown = fleets.update(&third, None).await.map_err(|error| error.kind());
    assert_eq!(unknown, Err(PortErrorKind::Conflict), "a fleet that was not created does not become another");
    let mine = [left, second];

    for limit in [1, 2, 1000] {
        let mut listed: Vec<Fleet> = Vec::new();
        loop {
            let page = fleets.list(listed.last().map(|fleet| &fleet.fleet_id), limit).await.expect("list answers");
            assert!(page.len() <= limit, "a page holds at most its limit of {limit}");
            if page.is_empty() {
                break;
            }
            listed.extend(page);
        }
        assert!(listed.is_sorted_by(|a, b| a.fleet_id < b.fleet_id), "fleets are listed by id, each once");
        for fleet in &mine {
            assert!(listed.contains(fleet), "every fleet is listed, as it is kept");
        }
    }
}

/// What [`Fleets`], [`Clients`] and [`Subscriptions`] over the same store do once a fleet leaves.
pub async fn leaving_fleets(
    fleets: &impl Fleets,
    clients: &impl Clients,
    subscriptions: &impl Subscriptions,
    random: &impl Randomness,
) {
    let fresh = Fresh::new(random);
    let fleet = fresh.fleet("bus");
    fleets.create(&fleet, None).await.expect("a new fleet is created");
    let client = || fresh.client(ClientRole::Fleet { fleet_id: fleet.fleet_id.clone() });
    let subscription = || fresh.subscription(&fleet.fleet_id, vec![fresh.vid()], &["alerts"]);
    let (known, subscribed) = (client(), subscription());
    clients.put(&known, None).await.expect("an active fleet takes clients");
    subscriptions.create(&subscribed, None).await.expect("an active fleet subscribes");

    let leaving = fleet.clone().begin_offboarding(FeedDisposition::Drain, NOON);
    fleets.update(&leaving, None).await.expect("it is asked to leave");
    let left = Fleet { state: FleetState::Offboarded, version: 2, ..leaving };
    for state in ["leaving", "left"] {
        let refused = clients.put(&client(), None).await.map_err(|error| error.kind());
        assert_eq!(refused, Err(PortErrorKind::Conflict), "a fleet that is {state} takes no client");
        let refused = subscriptions.create(&subscription(), None).await.map_err(|error| error.kind());
        assert_eq!(refused, Err(PortErrorKind::Conflict), "a fleet that is {state} does not subscribe");
        if state == "leaving" {
            fleets.update(&left, None).await.expect("it has left");
        }
    }
    let revoked = Subscription { state: SubscriptionState::Revoked, ..subscribed };
    subscriptions.update(&revoked, None).await.expect("what it has can still be revoked");
    clients.remove(&known, None).await.expect("and removed");
}
