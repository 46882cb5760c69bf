//! [`Subscriptions`]

use roadcast_domain::ids::VehicleId;
use roadcast_domain::subscription::{Subscription, SubscriptionState, Validity};

use super::fresh::{Fresh, NOON};
use crate::PortErrorKind;
use crate::clock::Randomness;
use crate::subscriptions::Subscriptions;

/// What every [`Subscriptions`] does by itself.
pub async fn subscriptions(subscriptions: &impl Subscriptions, random: &impl Randomness) {
    let fresh = Fresh::new(random);
    a_new_subscription_is_kept_and_an_id_is_taken_once(subscriptions, &fresh).await;
    a_fleet_lists_its_own_by_id(subscriptions, &fresh).await;
    replacing_asks_for_the_state_before(subscriptions, &fresh).await;
    updating_asks_for_the_version(subscriptions, &fresh).await;
}

async fn a_new_subscription_is_kept_and_an_id_is_taken_once(
    subscriptions: &impl Subscriptions,
    fresh: &Fresh<'_, impl Randomness>,
) {
    // As many vehicles as a subscription may name.
    let vehicles: Vec<VehicleId> = (0..1000).map(|_| fresh.vid()).collect();
    let wanted = fresh.subscription(&fresh.fleet_id(), vehicles, &["telematics", "track-and-trace"]);
    assert_eq!(get(subscriptions, &wanted).await, None, "a subscription is not there before it is created");
    subscriptions.create(&wanted, None).await.expect("a new subscription is created");
    assert!(get(subscriptions, &wanted).await.as_ref() == Some(&wanted), "a subscription is kept as it was given");

    let usurper = Subscription { packages: vec!["alerts".to_owned()], ..wanted.clone() };
    let refused = subscriptions.create(&usurper, None).await.map_err(|error| error.kind());
    assert_eq!(refused, Err(PortErrorKind::Conflict), "an id that is taken is a conflict");
    assert!(get(subscriptions, &wanted).await.as_ref() == Some(&wanted), "a refused subscription changes nothing");

    let elsewhere = subscriptions.get(&fresh.fleet_id(), &wanted.subscription_id).await.expect("get answers");
    assert_eq!(elsewhere, None, "another fleet has no subscription of that id");
}

async fn a_fleet_lists_its_own_by_id(subscriptions: &impl Subscriptions, fresh: &Fresh<'_, impl Randomness>) {
    let (fleet, other) = (fresh.fleet_id(), fresh.fleet_id());
    assert!(subscriptions.list(&fleet, None, 10).await.expect("list answers").is_empty(), "a new fleet lists nothing");
    let mut mine: Vec<Subscription> = (0..4).map(|_| fresh.subscription(&fleet, vec![fresh.vid()], &["alerts"])).collect();
    mine[0].validity = Validity { valid_from: NOON, valid_until: None };
    for subscription in mine.iter().chain([&fresh.subscription(&other, vec![fresh.vid()], &["alerts"])]) {
        subscriptions.create(subscription, None).await.expect("a new subscription is created");
    }
    mine.sort_by(|a, b| a.subscription_id.cmp(&b.subscription_id));
    let listed = subscriptions.list(&fleet, None, 10).await.expect("list answers");
    assert_eq!(listed, mine, "a fleet lists its own subscriptions by id, and no other's");
    let second = subscriptions.list(&fleet, Some(&mine[0].subscription_id), 2).await.expect("list answers");
    assert_eq!(second, mine[1..3], "a page goes on after the one before");
}

async fn replacing_asks_for_the_state_before(subscriptions: &impl Subscriptions, fresh: &Fresh<'_, impl Randomness>) {
    use SubscriptionState::{Active, Pending, Provisioning};
    let pending = fresh.subscription(&fresh.fleet_id(), vec![fresh.vid()], &["alerts"]);
    subscriptions.create(&pending, None).await.expect("a new subscription is created");
    let moved = Subscription { state: Provisioning, updated_at: NOON.plus_ms(1), ..pending.clone() };
    subscriptions.replace(&moved, Pending).await.expect("a subscription in the state asked for is replaced");
    let moved = Subscription { version: 2, ..moved };
    assert_eq!(get(subscriptions, &pending).await.as_ref(), Some(&moved), "what replaced is read back, as the next version");

    let late = Subscription { state: Active, ..moved.clone() };
    let stale = Subscription { version: 1, ..moved.clone() };
    let unknown = fresh.subscription(&pending.fleet_id, vec![fresh.vid()], &["alerts"]);
    for (refused, from, why) in [
        (&late, Pending, "in another state"),
        (&stale, Provisioning, "at another version"),
        (&unknown, Pending, "that is not there"),
    ] {
        let refused = subscriptions.replace(refused, from).await.map_err(|error| error.kind());
        assert_eq!(refused, Err(PortErrorKind::Conflict), "replacing a subscription {why} is a conflict");
    }
    assert_eq!(get(subscriptions, &pending).await.as_ref(), Some(&moved), "a refused replacement changes nothing");
    assert_eq!(get(subscriptions, &unknown).await, None, "a refused replacement makes no subscription");

    let reason = Some("queue: unavailable".to_owned());
    let failed = Subscription { state: Pending, reason, updated_at: NOON.plus_ms(2), ..moved };
    subscriptions.replace(&failed, Provisioning).await.expect("it may go back");
    let failed = Subscription { version: 3, ..failed };
    assert_eq!(get(subscriptions, &pending).await, Some(failed), "a reason is kept with the state");
}

async fn updating_asks_for_the_version(subscriptions: &impl Subscriptions, fresh: &Fresh<'_, impl Randomness>) {
    let first = fresh.subscription(&fresh.fleet_id(), vec![fresh.vid(), fresh.vid()], &["alerts"]);
    subscriptions.create(&first, None).await.expect("a new subscription is created");
    let fewer = Subscription { vehicles: vec![first.vehicles[1].clone()], ..first.clone() };
    subscriptions.update(&fewer, None).await.expect("a subscription at its version is updated, whatever its state");
    let fewer = Subscription { version: 2, ..fewer };
    assert_eq!(get(subscriptions, &first).await.as_ref(), Some(&fewer), "an update is read back, as the next version");
    let unknown = fresh.subscription(&first.fleet_id, vec![fresh.vid()], &["alerts"]);
    for (refused, why) in [(&first, "at another version"), (&unknown, "that is not there")] {
        let refused = subscriptions.update(refused, None).await.map_err(|error| error.kind());
        assert_eq!(refused, Err(PortErrorKind::Conflict), "updating a subscription {why} is a conflict");
    }
    assert_eq!(get(subscriptions, &first).await, Some(fewer), "a refused update changes nothing");
    assert_eq!(get(subscriptions, &unknown).await, None, "a refused update makes no subscription");
}

async fn get(subscriptions: &impl Subscriptions, wanted: &Subscription) -> Option<Subscription> {
    subscriptions.get(&wanted.fleet_id, &wanted.subscription_id).await.expect("get answers")
}
