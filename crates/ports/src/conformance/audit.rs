//! [`Fleets::changes`]: the audit trail that all writing ports produce.

use roadcast_domain::audit::{Author, Change, ChangedResource};
use roadcast_domain::fleet::{Client, ClientRole, FeedDisposition};
use roadcast_domain::ids::ChangeId;
use roadcast_domain::subscription::{Subscription, SubscriptionState};

use super::fixtures::{Fixtures, NOON};
use crate::PortErrorKind;
use crate::clients::Clients;
use crate::clock::Randomness;
use crate::fleets::Fleets;
use crate::subscriptions::Subscriptions;

/// Checks [`Fleets`], [`Clients`] and [`Subscriptions`] on the same store: a resource and its change are stored together.
pub async fn audit_trail(
    fleets: &impl Fleets,
    clients: &impl Clients,
    subscriptions: &impl Subscriptions,
    random: &impl Randomness,
) {
    let fixtures = Fixtures::new(random);
    let by = || Author::Admin { client_id: fixtures.client_id() };
    let fleet = fixtures.fleet("bus");
    let mut expected = vec![Change::fleet_changed(by(), None, &fleet, NOON)];
    fleets.create(&fleet, &expected[0]).await.expect("a new fleet is created");

    let role = ClientRole::Fleet { fleet_id: fleet.fleet_id.clone() };
    let client = Client { created_at: NOON.plus_ms(1), ..fixtures.client(role) };
    expected.push(Change::client_changed(by(), None, &client, client.created_at));
    clients.put(&client, &expected[1]).await.expect("a client is stored");

    let pending = fixtures.subscription(&fleet.fleet_id, vec![fixtures.vid()], &["alerts"]);
    let pending = Subscription { updated_at: NOON.plus_ms(2), ..pending };
    expected.push(Change::subscription_changed(by(), None, &pending));
    subscriptions.create(&pending, &expected[2]).await.expect("a new subscription is created");

    let provisioning =
        Subscription { state: SubscriptionState::Provisioning, updated_at: NOON.plus_ms(3), ..pending.clone() };
    subscriptions.replace(&provisioning, SubscriptionState::Pending).await.expect("a subscription is provisioned");
    let revoked = Subscription {
        state: SubscriptionState::Revoked,
        updated_at: NOON.plus_ms(4),
        version: provisioning.version + 1,
        ..provisioning.clone()
    };
    let revoking = Change::subscription_changed(by(), Some(&provisioning), &revoked);
    subscriptions.update(&revoked, &revoking).await.expect("a subscription is revoked");

    subscriptions
        .claim_version(&Subscription { version: revoked.version + 1, ..revoked })
        .await
        .expect("a version is claimed");
    let late =
        Change::subscription_changed(by(), Some(&pending), &Subscription { updated_at: NOON.plus_ms(5), ..pending.clone() });
    for rejected in [
        subscriptions.update(&pending, &late).await,
        subscriptions.create(&pending, &late).await,
        fleets.create(&fleet, &late).await,
    ] {
        assert_eq!(
            rejected.map_err(|error| error.kind()),
            Err(PortErrorKind::Conflict),
            "a stale or duplicate write is a conflict"
        );
    }

    let removal = Change::client_removed(by(), &client, NOON.plus_ms(6));
    clients.remove(&client, &removal).await.expect("a client is removed");
    let offboarding = fleet.clone().begin_offboarding(FeedDisposition::Discard, NOON.plus_ms(7));
    let offboarding_change = Change::fleet_changed(by(), Some(&fleet), &offboarding, NOON.plus_ms(7));
    fleets.update(&offboarding, &offboarding_change).await.expect("the offboarding starts");

    for limit in [1, 2, 100] {
        let trail = pages(fleets, &fleet.fleet_id, limit).await;
        assert_eq!(trail.len(), 7, "each change is stored, except the rejected ones");
        assert_eq!(
            trail[..3],
            [offboarding_change.clone(), removal.clone(), revoking.clone()],
            "the newest change comes first"
        );
        let step = &trail[3];
        assert_eq!(step.by, Author::Provisioning, "a provisioning step is a change by the provisioning");
        assert_eq!(
            step.subscription_state(),
            Some(SubscriptionState::Provisioning),
            "a provisioning step has the new state"
        );
        assert!(
            matches!(&step.resource, ChangedResource::Subscription { subscription_id } if *subscription_id == pending.subscription_id)
        );
        let older: Vec<&Change> = trail[4..].iter().rev().collect();
        assert_eq!(older, expected.iter().collect::<Vec<_>>(), "changes are returned unchanged");
    }
    assert!(pages(fleets, &fixtures.fleet_id(), 10).await.is_empty(), "another fleet has its own audit trail");
}

async fn pages(fleets: &impl Fleets, fleet_id: &roadcast_domain::ids::FleetId, limit: usize) -> Vec<Change> {
    let mut trail: Vec<Change> = Vec::new();
    loop {
        let before: Option<ChangeId> = trail.last().map(|last| last.change_id);
        let page = fleets.changes(fleet_id, before, limit).await.expect("changes succeeds");
        assert!(page.len() <= limit, "a page has at most `limit` items: {limit}");
        if page.is_empty() {
            return trail;
        }
        trail.extend(page);
    }
}
