//! [`Fleets::changes`]: the audit trail, as everything that writes it leaves it.

use roadcast_domain::audit::{Author, Change, Changed};
use roadcast_domain::fleet::{Client, ClientRole, FeedDisposition};
use roadcast_domain::ids::Eid;
use roadcast_domain::subscription::{Subscription, SubscriptionState};

use super::fresh::{Fresh, NOON};
use crate::PortErrorKind;
use crate::clients::Clients;
use crate::clock::Randomness;
use crate::fleets::Fleets;
use crate::subscriptions::Subscriptions;

/// What [`Fleets`], [`Clients`] and [`Subscriptions`] over the same store do: a change is kept with what it changes.
pub async fn audit_trail(
    fleets: &impl Fleets,
    clients: &impl Clients,
    subscriptions: &impl Subscriptions,
    random: &impl Randomness,
) {
    let fresh = Fresh::new(random);
    let by = || Author::Admin { client_id: fresh.client_id() };
    let fleet = fresh.fleet("bus");
    let mut expected = vec![Change::of_fleet(by(), None, &fleet, NOON)];
    fleets.create(&fleet, expected.last()).await.expect("a new fleet is created");

    let role = ClientRole::Fleet { fleet_id: fleet.fleet_id.clone() };
    let client = Client { created_at: NOON.plus_ms(1), ..fresh.client(role) };
    expected.extend(Change::of_client(by(), &client));
    clients.put(&client, expected.last()).await.expect("put takes a client");

    let pending = fresh.subscription(&fleet.fleet_id, vec![fresh.vid()], &["alerts"]);
    let pending = Subscription { updated_at: NOON.plus_ms(2), ..pending };
    expected.push(Change::of_subscription(by(), None, &pending));
    subscriptions.create(&pending, expected.last()).await.expect("a new subscription is created");

    let provisioning =
        Subscription { state: SubscriptionState::Provisioning, updated_at: NOON.plus_ms(3), ..pending.clone() };
    subscriptions.replace(&provisioning, SubscriptionState::Pending).await.expect("it is provisioned");
    let revoked = Subscription {
        state: SubscriptionState::Revoked,
        updated_at: NOON.plus_ms(4),
        version: provisioning.version + 1,
        ..provisioning.clone()
    };
    let revoking = Change::of_subscription(by(), Some(&provisioning), &revoked);
    subscriptions.update(&revoked, Some(&revoking)).await.expect("it is revoked");

    let late =
        Change::of_subscription(by(), Some(&pending), &Subscription { updated_at: NOON.plus_ms(5), ..pending.clone() });
    for refused in [
        subscriptions.update(&pending, Some(&late)).await,
        subscriptions.create(&pending, Some(&late)).await,
        fleets.create(&fleet, Some(&late)).await,
    ] {
        assert_eq!(refused.map_err(|error| error.kind()), Err(PortErrorKind::Conflict), "what is there is a conflict");
    }

    let removal = Change::of_removed_client(by(), &client, NOON.plus_ms(6)).expect("it is a fleet's");
    clients.remove(&client, Some(&removal)).await.expect("a client is removed");
    let leaving = fleet.clone().begin_offboarding(FeedDisposition::Discard, NOON.plus_ms(7));
    let leave = Change::of_fleet(by(), Some(&fleet), &leaving, NOON.plus_ms(7));
    fleets.update(&leaving, Some(&leave)).await.expect("it is asked to leave");

    for limit in [1, 2, 100] {
        let trail = pages(fleets, &fleet.fleet_id, limit).await;
        assert_eq!(trail.len(), 7, "each change is kept, and one that was refused is not");
        assert_eq!(trail[..3], [leave.clone(), removal.clone(), revoking.clone()], "the newest change comes first");
        let step = &trail[3];
        assert_eq!(step.by, Author::Provisioning, "a step of provisioning is a change by provisioning");
        assert_eq!(step.state(), Some(SubscriptionState::Provisioning), "a step of provisioning says which state it led to");
        assert!(
            matches!(&step.of, Changed::Subscription { subscription_id } if *subscription_id == pending.subscription_id)
        );
        let older: Vec<&Change> = trail[4..].iter().rev().collect();
        assert_eq!(older, expected.iter().collect::<Vec<_>>(), "changes are kept as they were given");
    }
    assert!(pages(fleets, &fresh.fleet_id(), 10).await.is_empty(), "another fleet has a trail of its own");
}

async fn pages(fleets: &impl Fleets, fleet_id: &roadcast_domain::ids::FleetId, limit: usize) -> Vec<Change> {
    let mut trail: Vec<Change> = Vec::new();
    loop {
        let before: Option<Eid> = trail.last().map(|last| last.change_id);
        let page = fleets.changes(fleet_id, before, limit).await.expect("changes answers");
        assert!(page.len() <= limit, "a page holds at most its limit of {limit}");
        if page.is_empty() {
            return trail;
        }
        trail.extend(page);
    }
}
