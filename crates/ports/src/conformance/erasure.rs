//! Erasures and what they do to the stores.

use std::collections::{BTreeMap, BTreeSet};

use roadcast_domain::alert::RuleOwner;
use roadcast_domain::erasure::{
    ErasedStore, Erasure, ErasureProgress, ErasureScope, ErasureState, SECOND_PASS_AFTER_MS, StoreCounts,
};
use roadcast_domain::ids::{Eid, ErasureId, VehicleId};
use roadcast_domain::name_history::RELEASE_DELAY_MS;
use roadcast_domain::subject::Subject;
use roadcast_domain::vehicle::Vehicle;
use roadcast_signals::Timestamp;

use super::fixtures::{Fixtures, NOON};
use crate::PortErrorKind;
use crate::alert_state::{AlertCheckpoint, AlertCheckpoints, EvaluationKey, ShardEvaluations};
use crate::clock::Randomness;
use crate::entitlements::Entitlements;
use crate::erasure::{Erasures, VehicleErasure};
use crate::event_log::{EventLog, EventRange, PAGE_BYTES};
use crate::state::{StateStore, StoredState};
use crate::subscriptions::Subscriptions;
use crate::vehicles::{VehicleRegistration, Vehicles};

/// Checks every implementation of [`Erasures`].
pub async fn erasures(erasures: &impl Erasures, random: &impl Randomness) {
    let fixtures = Fixtures::new(random);
    let erasure = Erasure {
        erasure_id: ErasureId::from_random_bits(random.bits()),
        vehicles: vec![fixtures.vid()],
        names: Vec::new(),
        registered_at: NOON,
        hidden_at: Some(NOON.plus_ms(1)),
        second_pass_at: Some(NOON.plus_ms(SECOND_PASS_AFTER_MS)),
        state: ErasureState::Running,
        progress: ErasureProgress::START.at("position".to_owned()),
        stores: BTreeMap::from([(ErasedStore::FeedIndex, StoreCounts { examined: 3, removed: 2, rewritten: 1 })]),
        attempt: 1,
        reason: None,
        requested_by: fixtures.client_id(),
        requested_at: NOON,
        updated_at: NOON,
        completed_at: None,
        revision: 1,
    };
    let get = async || erasures.get(&erasure.erasure_id).await.expect("an erasure can be read");
    assert_eq!(get().await, None);
    erasures.create(&erasure).await.expect("a new erasure is stored");
    let again = erasures.create(&erasure).await.expect_err("an id is used once");
    assert_eq!(again.kind(), PortErrorKind::Conflict);
    assert_eq!(get().await.as_ref(), Some(&erasure));

    let failed = Erasure { state: ErasureState::Failed, reason: Some("why".to_owned()), ..erasure.clone() };
    erasures.replace(&failed).await.expect("a record is replaced");
    assert_eq!(get().await, Some(Erasure { revision: 2, ..failed.clone() }));
    let stale = erasures.replace(&failed).await.expect_err("a record is replaced at the revision that was read");
    assert_eq!(stale.kind(), PortErrorKind::Conflict);

    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = erasures.list(after.as_ref(), 2).await.expect("erasures can be listed");
        assert!(page.len() <= 2 && page.is_sorted_by_key(|erasure| erasure.erasure_id.clone()));
        let Some(last) = page.last() else { break };
        after = Some(last.erasure_id.clone());
        found.extend(page.into_iter().map(|erasure| erasure.erasure_id));
    }
    assert!(found.contains(&erasure.erasure_id));
}

/// Checks that an erased vehicle is hidden, and that its names are free.
pub async fn hidden_vehicles(vehicles: &impl Vehicles, erasure: &impl VehicleErasure, random: &impl Randomness) {
    let fixtures = Fixtures::new(random);
    let vehicle = fixtures.vehicle();
    vehicles.register(&vehicle).await.expect("a vehicle is registered");
    let names: Vec<Subject> = vehicle.names().map(Subject::from).collect();
    assert!(!names.is_empty());
    let version = vehicles.version().await.expect("the version can be read");

    let at = vehicle.updated_at.plus_ms(60_000);
    let stale = Vehicle { version: vehicle.version + 1, ..vehicle.clone() };
    let error = erasure.hide(&stale, at).await.expect_err("a vehicle that changed is not hidden");
    assert_eq!(error.kind(), PortErrorKind::Conflict);
    for _ in 0..2 {
        erasure.hide(&vehicle, at).await.expect("a vehicle is hidden, once");
    }
    assert!(vehicles.version().await.expect("the version can be read") > version, "caches learn of it");
    assert_eq!(vehicles.get(&vehicle.vid).await.expect("a vehicle can be read"), None);
    let history = async |subject: &Subject| vehicles.history(subject).await.expect("a history can be read");
    let of_id = history(&Subject::Vid(vehicle.vid.clone())).await.expect("an erased vehicle has a history");
    assert!(of_id.was_erased_at(at.plus_ms(i64::from(u32::MAX))) && of_id.current().is_none());
    let released = at.plus_ms(RELEASE_DELAY_MS);
    for name in &names {
        let of_name = history(name).await.expect("an erased name has a history");
        assert!(of_name.was_erased_at(vehicle.updated_at) && of_name.was_erased_at(at), "{of_name:?}");
        assert!(!of_name.was_erased_at(released) && of_name.holder_at(at).is_none());
        assert_eq!(vehicles.resolve(name).await.expect("a name can be resolved"), None);
    }

    let new = Vehicle { vid: fixtures.vid(), created_at: at.plus_ms(1), updated_at: at.plus_ms(1), ..vehicle.clone() };
    let registered = vehicles.register(&new).await.expect("the names can be registered again");
    assert_eq!(registered, VehicleRegistration::New);
    for name in &names {
        let of_name = history(name).await.expect("a name has a history");
        assert_eq!((of_name.holder_at(released), of_name.current()), (Some(&new.vid), Some(&new.vid)));
        assert!(
            of_name.was_erased_at(at) && of_name.holder_at(at.plus_ms(1)).is_none(),
            "earlier data is not the new one's"
        );
    }
    erasure.hide(&new, at.plus_ms(120_000)).await.expect("the new vehicle can be erased as well");
    for name in &names {
        let of_name = history(name).await.expect("a name has a history");
        assert!(of_name.was_erased_at(at) && of_name.was_erased_at(at.plus_ms(120_000)), "both are remembered");
    }
}

/// The stores from which vehicles are erased, of one implementation.
#[derive(Debug)]
pub struct Stores<'s, Log, States, Subs, Grants> {
    /// The event log.
    pub log: &'s Log,
    /// The last-known values.
    pub states: &'s States,
    /// The subscriptions.
    pub subscriptions: &'s Subs,
    /// The entitlements.
    pub entitlements: &'s Grants,
}

/// Checks that a vehicle is erased from the stores that are found by vehicle, and that another vehicle stays.
pub async fn erased_stores(
    stores: &Stores<'_, impl EventLog, impl StateStore, impl Subscriptions, impl Entitlements>,
    erasure: &impl VehicleErasure,
    random: &impl Randomness,
) {
    let fixtures = Fixtures::new(random);
    let [erased, kept] = [fixtures.vid(), fixtures.vid()];
    let fleet_id = fixtures.fleet_id();
    let subscription = fixtures.subscription(&fleet_id, vec![erased.clone(), kept.clone()], &["alerts"]);
    stores.subscriptions.create(&subscription, &fixtures.change(&fleet_id)).await.expect("a subscription is stored");
    stores.subscriptions.write_grants(&subscription).await.expect("grants are written");
    for vid in [&erased, &kept] {
        let events: Vec<_> = (0..40).map(|n| fixtures.telemetry(vid, NOON.plus_ms(n * 600_000))).collect();
        for result in stores.log.append(&events).await {
            result.expect("an event is stored");
        }
        let before = stores.states.read(vid).await.expect("a state can be read");
        let mut readings = roadcast_domain::state::VehicleState::default();
        readings.merge_event(&events[0].event);
        stores.states.merge(vid, before, &readings).await.expect("a state is stored");
    }
    let version = stores.entitlements.version().await.expect("the version can be read");

    let scope = ErasureScope::new([erased.clone()], Vec::new(), NOON);
    for store in [ErasedStore::Grants, ErasedStore::Events, ErasedStore::States] {
        // Twice, because a step can be repeated.
        for _ in 0..2 {
            erase_all(erasure, store, &scope).await;
        }
    }
    assert!(stores.entitlements.version().await.expect("the version can be read") > version, "caches learn of it");
    let count = async |vid: &VehicleId| {
        let range = EventRange {
            vid: vid.clone(),
            from: Eid::MIN,
            to: Eid::MAX,
            limit: 100,
            max_bytes: PAGE_BYTES,
            consistent: true,
        };
        stores.log.range(&range).await.expect("events can be read").events.len()
    };
    assert_eq!((count(&erased).await, count(&kept).await), (0, 40));
    let state = async |vid: &VehicleId| stores.states.read(vid).await.expect("a state can be read");
    assert_eq!(state(&erased).await, StoredState::default());
    assert_ne!(state(&kept).await, StoredState::default());
    let fleets = async |vid: &VehicleId| stores.entitlements.list_by_vehicle(vid).await.expect("grants can be read").len();
    assert_eq!((fleets(&erased).await, fleets(&kept).await), (0, 1));
    let listed = stores.entitlements.list_by_fleet(&fleet_id, None, 10).await.expect("grants can be listed");
    assert_eq!(listed.iter().map(|entitlement| &entitlement.vid).collect::<Vec<_>>(), [&kept]);
}

/// Checks that the checkpoints of a vehicle are erased, and that it is watched in no shard any more.
pub async fn erased_alert_state(
    state: &(impl AlertCheckpoints + ShardEvaluations),
    erasure: &impl VehicleErasure,
    (now, random): (Timestamp, &impl Randomness),
) {
    let fixtures = Fixtures::new(random);
    let [erased, kept] = [fixtures.vid(), fixtures.vid()];
    let owners = [RuleOwner::Operator, RuleOwner::Fleet(fixtures.fleet_id())];
    let keys = |vid: &VehicleId| owners.clone().map(|owner| EvaluationKey { vid: vid.clone(), owner });
    let shards = ["a", "b"].map(|name| format!("shardId-{name}{}", random.bits()));
    for key in [keys(&erased), keys(&kept)].concat() {
        let checkpoint = AlertCheckpoint { revision: 1, content: vec![1, 2], expires_at: now.plus_ms(86_400_000) };
        state.replace(&key, &checkpoint).await.expect("a checkpoint is stored");
        for shard in &shards {
            for result in state.watch(shard, std::slice::from_ref(&key)).await {
                result.expect("an evaluation is watched");
            }
        }
    }
    let scope = ErasureScope::new([erased.clone()], Vec::new(), NOON);
    let counts = erase_all(erasure, ErasedStore::AlertState, &scope).await;
    assert_eq!((counts.removed, counts.rewritten), (6, 0), "two checkpoints, each watched in two shards");
    assert_eq!(erase_all(erasure, ErasedStore::AlertState, &scope).await.removed, 0, "a step can be repeated");
    for (key, is_kept) in keys(&erased).into_iter().map(|key| (key, false)).chain(keys(&kept).map(|key| (key, true))) {
        let checkpoint = state.get(&key).await.expect("a checkpoint can be read");
        assert_eq!(checkpoint.is_some(), is_kept, "{key:?}");
    }
    for shard in &shards {
        let watched = state.watched(shard, None, 10).await.expect("watched evaluations can be read");
        assert_eq!(BTreeSet::from_iter(watched), BTreeSet::from(keys(&kept)));
    }
}

/// Erases a store, part by part. Returns the counts.
async fn erase_all(erasure: &impl VehicleErasure, store: ErasedStore, scope: &ErasureScope) -> StoreCounts {
    let (mut next, mut counts): (Option<String>, _) = (None, StoreCounts::default());
    loop {
        let part = erasure.erase(store, scope, next.as_deref()).await.expect("a part is erased");
        counts.add(part.counts);
        next = part.next;
        if next.is_none() {
            return counts;
        }
    }
}
