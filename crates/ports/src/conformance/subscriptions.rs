//! [`Subscriptions`]

use roadcast_domain::ids::VehicleId;
use roadcast_domain::subscription::{Subscription, SubscriptionState, Validity};

use super::fixtures::{Fixtures, NOON};
use crate::PortErrorKind;
use crate::clock::Randomness;
use crate::subscriptions::Subscriptions;

/// Checks every implementation of [`Subscriptions`], without entitlements.
pub async fn subscriptions(subscriptions: &impl Subscriptions, random: &impl Randomness) {
    let fixtures = Fixtures::new(random);
    subscription_is_created_once(subscriptions, &fixtures).await;
    fleet_lists_its_own_subscriptions(subscriptions, &fixtures).await;
    replace_requires_the_expected_state(subscriptions, &fixtures).await;
    update_requires_the_stored_version(subscriptions, &fixtures).await;
    claim_changes_only_the_version(subscriptions, &fixtures).await;
}

async fn subscription_is_created_once(subscriptions: &impl Subscriptions, fixtures: &Fixtures<'_, impl Randomness>) {
    // The maximum number of vehicles of a subscription.
    let vehicles: Vec<VehicleId> = (0..1000).map(|_| fixtures.vid()).collect();
    let created = fixtures.subscription(&fixtures.fleet_id(), vehicles, &["telematics", "track-and-trace"]);
    assert_eq!(get(subscriptions, &created).await, None, "a subscription does not exist before it is created");
    subscriptions.create(&created, &fixtures.change(&created.fleet_id)).await.expect("a new subscription is created");
    assert!(get(subscriptions, &created).await.as_ref() == Some(&created), "a subscription is returned unchanged");

    let duplicate = Subscription { packages: vec!["alerts".parse().expect("a package name")], ..created.clone() };
    let rejected =
        subscriptions.create(&duplicate, &fixtures.change(&duplicate.fleet_id)).await.map_err(|error| error.kind());
    assert_eq!(rejected, Err(PortErrorKind::Conflict), "an existing id is a conflict");
    assert!(get(subscriptions, &created).await.as_ref() == Some(&created), "a rejected subscription changes nothing");

    let of_other_fleet = subscriptions.get(&fixtures.fleet_id(), &created.subscription_id).await.expect("get succeeds");
    assert_eq!(of_other_fleet, None, "another fleet has no subscription with this id");
}

async fn fleet_lists_its_own_subscriptions(subscriptions: &impl Subscriptions, fixtures: &Fixtures<'_, impl Randomness>) {
    let (fleet, other) = (fixtures.fleet_id(), fixtures.fleet_id());
    assert!(
        subscriptions.list(&fleet, None, 10).await.expect("list succeeds").is_empty(),
        "a new fleet has no subscriptions"
    );
    let mut mine: Vec<Subscription> =
        (0..4).map(|_| fixtures.subscription(&fleet, vec![fixtures.vid()], &["alerts"])).collect();
    mine[0].validity = Validity { valid_from: NOON, valid_until: None };
    for subscription in mine.iter().chain([&fixtures.subscription(&other, vec![fixtures.vid()], &["alerts"])]) {
        subscriptions
            .create(subscription, &fixtures.change(&subscription.fleet_id))
            .await
            .expect("a new subscription is created");
    }
    mine.sort_by(|a, b| a.subscription_id.cmp(&b.subscription_id));
    let listed = subscriptions.list(&fleet, None, 10).await.expect("list succeeds");
    assert_eq!(listed, mine, "the list has only the fleet's subscriptions, ordered by id");
    let second = subscriptions.list(&fleet, Some(&mine[0].subscription_id), 2).await.expect("list succeeds");
    assert_eq!(second, mine[1..3], "a page starts after the previous one");
}

async fn replace_requires_the_expected_state(subscriptions: &impl Subscriptions, fixtures: &Fixtures<'_, impl Randomness>) {
    use SubscriptionState::{Active, Pending, Provisioning};
    let pending = fixtures.subscription(&fixtures.fleet_id(), vec![fixtures.vid()], &["alerts"]);
    subscriptions.create(&pending, &fixtures.change(&pending.fleet_id)).await.expect("a new subscription is created");
    let replacement = Subscription { state: Provisioning, updated_at: NOON.plus_ms(1), ..pending.clone() };
    subscriptions.replace(&replacement, Pending).await.expect("a subscription in the expected state is replaced");
    let replacement = Subscription { version: 2, ..replacement };
    assert_eq!(
        get(subscriptions, &pending).await.as_ref(),
        Some(&replacement),
        "the replacement is stored as the next version"
    );

    let late = Subscription { state: Active, ..replacement.clone() };
    let stale = Subscription { version: 1, ..replacement.clone() };
    let unknown = fixtures.subscription(&pending.fleet_id, vec![fixtures.vid()], &["alerts"]);
    for (rejected, from, why) in [
        (&late, Pending, "in another state"),
        (&stale, Provisioning, "at another version"),
        (&unknown, Pending, "that does not exist"),
    ] {
        let rejected = subscriptions.replace(rejected, from).await.map_err(|error| error.kind());
        assert_eq!(rejected, Err(PortErrorKind::Conflict), "replacing a subscription {why} is a conflict");
    }
    assert_eq!(get(subscriptions, &pending).await.as_ref(), Some(&replacement), "a rejected replacement changes nothing");
    assert_eq!(get(subscriptions, &unknown).await, None, "a rejected replacement creates no subscription");

    let reason = Some("queue: unavailable".to_owned());
    let failed = Subscription { state: Pending, reason, updated_at: NOON.plus_ms(2), ..replacement };
    subscriptions.replace(&failed, Provisioning).await.expect("it may return to the previous state");
    let failed = Subscription { version: 3, ..failed };
    assert_eq!(get(subscriptions, &pending).await, Some(failed), "the reason is stored with the state");
}

async fn update_requires_the_stored_version(subscriptions: &impl Subscriptions, fixtures: &Fixtures<'_, impl Randomness>) {
    let first = fixtures.subscription(&fixtures.fleet_id(), vec![fixtures.vid(), fixtures.vid()], &["alerts"]);
    subscriptions.create(&first, &fixtures.change(&first.fleet_id)).await.expect("a new subscription is created");
    let fewer = Subscription { vehicles: vec![first.vehicles[1].clone()], ..first.clone() };
    subscriptions
        .update(&fewer, &fixtures.change(&fewer.fleet_id))
        .await
        .expect("a subscription at its version is updated in any state");
    let fewer = Subscription { version: 2, ..fewer };
    assert_eq!(get(subscriptions, &first).await.as_ref(), Some(&fewer), "the update is stored as the next version");
    let unknown = fixtures.subscription(&first.fleet_id, vec![fixtures.vid()], &["alerts"]);
    for (rejected, why) in [(&first, "at another version"), (&unknown, "that does not exist")] {
        let rejected =
            subscriptions.update(rejected, &fixtures.change(&rejected.fleet_id)).await.map_err(|error| error.kind());
        assert_eq!(rejected, Err(PortErrorKind::Conflict), "updating a subscription {why} is a conflict");
    }
    assert_eq!(get(subscriptions, &first).await, Some(fewer), "a rejected update changes nothing");
    assert_eq!(get(subscriptions, &unknown).await, None, "a rejected update creates no subscription");
}

async fn claim_changes_only_the_version(subscriptions: &impl Subscriptions, fixtures: &Fixtures<'_, impl Randomness>) {
    let first = fixtures.subscription(&fixtures.fleet_id(), vec![fixtures.vid()], &["alerts"]);
    subscriptions.create(&first, &fixtures.change(&first.fleet_id)).await.expect("a new subscription is created");
    subscriptions.claim_version(&first).await.expect("the next version is claimed");
    let claimed = Subscription { version: 2, ..first.clone() };
    assert_eq!(get(subscriptions, &first).await.as_ref(), Some(&claimed), "a claim changes only the version");
    let unknown = fixtures.subscription(&first.fleet_id, vec![fixtures.vid()], &["alerts"]);
    for (rejected, why) in [(&first, "claimed before"), (&unknown, "of an unknown subscription")] {
        let rejected = subscriptions.claim_version(rejected).await.map_err(|error| error.kind());
        assert_eq!(rejected, Err(PortErrorKind::Conflict), "claiming a version {why} is a conflict");
    }
    assert_eq!(get(subscriptions, &first).await, Some(claimed), "a rejected claim changes nothing");
    assert_eq!(get(subscriptions, &unknown).await, None, "a rejected claim creates no subscription");
}

async fn get(subscriptions: &impl Subscriptions, expected: &Subscription) -> Option<Subscription> {
    subscriptions.get(&expected.fleet_id, &expected.subscription_id).await.expect("get succeeds")
}
