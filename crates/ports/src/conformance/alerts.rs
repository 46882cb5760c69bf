//! [`AlertRules`] and [`BackTests`].

use roadcast_domain::alert::{Alert, AlertChange, AlertRule, RuleOwner, Severity};
use roadcast_domain::alert_rule::AlertRuleRecord;
use roadcast_domain::audit::{Author, Change};
use roadcast_domain::back_test::{BackTest, BackTestAlert, BackTestProgress, BackTestState, InterruptedVehicle};
use roadcast_domain::fleet::FeedDisposition;
use roadcast_domain::ids::{AlertId, BackTestId, RuleId, VehicleId};
use roadcast_signals::Timestamp;

use super::fixtures::{Fixtures, NOON};
use crate::alerts::{AlertRules, BackTests};
use crate::clock::Randomness;
use crate::fleets::Fleets;
use crate::{PortError, PortErrorKind};

fn kind<T>(result: Result<T, PortError>) -> Option<PortErrorKind> {
    result.err().map(|error| error.kind())
}

const CONFLICT: Option<PortErrorKind> = Some(PortErrorKind::Conflict);

fn rule(owner: &RuleOwner, random: &impl Randomness) -> AlertRuleRecord {
    AlertRuleRecord {
        owner: owner.clone(),
        rule_id: RuleId::from_random_bits(random.bits()),
        version: 1,
        enabled: true,
        active_from: NOON,
        created_at: NOON,
        updated_at: NOON,
        definition: r#"{"name":"Größe","severity":"info","condition":{"milOn":{}}}"#.to_owned(),
    }
}

/// Checks [`AlertRules`] and [`Fleets`] on the same store.
pub async fn alert_rules(rules: &impl AlertRules, fleets: &impl Fleets, random: &impl Randomness) {
    let fixtures = Fixtures::new(random);
    let fleet = fixtures.fleet("bus");
    let created = Change::fleet_changed(Author::Provisioning, None, &fleet, NOON);
    fleets.create(&fleet, &created).await.expect("the fleet is created");
    rules_of_owner(rules, &RuleOwner::Fleet(fleet.fleet_id.clone()), random).await;
    let trail = fleets.changes(&fleet.fleet_id, None, 100).await.expect("changes succeeds");
    assert_eq!(trail.len(), 6, "each change is in the audit trail of the fleet, except those that were refused");
    rules_of_owner(rules, &RuleOwner::Operator, random).await;

    let offboarding = fleet.clone().begin_offboarding(FeedDisposition::Discard, NOON.plus_ms(6));
    let leaving = Change::fleet_changed(Author::Offboarding, None, &offboarding, NOON.plus_ms(6));
    fleets.update(&offboarding, &leaving).await.expect("the offboarding starts");
    let owner = RuleOwner::Fleet(fleet.fleet_id);
    let late = rule(&owner, random);
    let version = rules.owner_version(&owner).await.expect("the version is read");
    let refused = rules.create(&late, version, &Change::alert_rule_changed(Author::Fleet, None, &late)).await;
    assert_eq!(kind(refused), CONFLICT, "a fleet that is being offboarded gets no rule");
    let [left] = &rules.list(&owner).await.expect("list succeeds")[..] else { panic!("one rule is left") };
    let removal = Change::alert_rule_removed(Author::Offboarding, left, NOON.plus_ms(8));
    rules.remove(left, &removal).await.expect("a rule is removed, whatever the state of the fleet");
}

/// Creates two rules of an owner, changes both, and removes one.
async fn rules_of_owner(rules: &impl AlertRules, owner: &RuleOwner, random: &impl Randomness) {
    let author = || match owner {
        RuleOwner::Fleet(_) => Author::Fleet,
        RuleOwner::Operator => Author::Admin { client_id: Fixtures::new(random).client_id() },
    };
    let creation = |rule: &AlertRuleRecord| Change::alert_rule_changed(author(), None, rule);
    let get = async |rule: &AlertRuleRecord| rules.get(&rule.owner, &rule.rule_id).await.expect("get succeeds");
    let versions = async || {
        (rules.owner_version(owner).await.expect("the version is read"), rules.version().await.expect("the version is read"))
    };
    let [first, second] = [(); 2].map(|()| rule(owner, random));
    let (start, all) = versions().await;
    assert_eq!(get(&first).await, None, "a rule does not exist before it is created");
    rules.create(&first, start, &creation(&first)).await.expect("a rule is created");
    assert_eq!(get(&first).await.as_ref(), Some(&first), "a rule is returned unchanged");
    let (of_owner, all_after) = versions().await;
    assert!(of_owner > start && all_after > all, "a new rule raises both versions");
    assert_eq!(kind(rules.create(&second, start, &creation(&second)).await), CONFLICT, "a rule was created since");
    assert_eq!(get(&second).await, None, "nothing is stored on a conflict");
    assert_eq!(kind(rules.create(&first, of_owner, &creation(&first)).await), CONFLICT, "an id is used once");
    assert_eq!(versions().await.0, of_owner, "a conflict raises no version of the owner");
    rules.create(&second, of_owner, &creation(&second)).await.expect("a second rule is created");
    let listed = rules.list(owner).await.expect("list succeeds");
    assert!(listed.is_sorted_by(|a, b| a.rule_id < b.rule_id), "rules are listed by id");
    assert!(listed.contains(&first) && listed.contains(&second), "all rules are listed");

    let (of_owner, all) = versions().await;
    let next = AlertRuleRecord { version: 2, enabled: false, updated_at: NOON.plus_ms(5), ..first.clone() };
    let change = Change::alert_rule_changed(author(), Some(&first), &next);
    assert_eq!(kind(rules.replace(&next, of_owner - 1, &change).await), CONFLICT, "the rules of the owner changed since");
    rules.replace(&next, of_owner, &change).await.expect("a rule is replaced");
    assert_eq!(get(&first).await.as_ref(), Some(&next), "the new version is returned");
    let (owned_after, all_after) = versions().await;
    assert!(owned_after > of_owner && all_after > all, "a new version raises both versions");
    for version in [1, 2, 4] {
        let stale = AlertRuleRecord { version, ..next.clone() };
        assert_eq!(kind(rules.replace(&stale, owned_after, &change).await), CONFLICT, "{version} does not follow 2");
    }
    let third = AlertRuleRecord { version: 3, enabled: true, updated_at: NOON.plus_ms(6), ..next.clone() };
    let change = Change::alert_rule_changed(author(), Some(&next), &third);
    rules.replace(&third, owned_after, &change).await.expect("a rule is replaced again");

    let removal = Change::alert_rule_removed(author(), &third, NOON.plus_ms(7));
    assert_eq!(kind(rules.remove(&next, &removal).await), CONFLICT, "another version");
    let (of_owner, all) = versions().await;
    rules.remove(&third, &removal).await.expect("a rule is removed");
    let (owned_after, all_after) = versions().await;
    assert!(owned_after > of_owner && all_after > all, "a removal raises both versions");
    assert_eq!(get(&first).await, None, "a removed rule does not exist");
    assert_eq!(kind(rules.remove(&third, &removal).await), CONFLICT, "it is removed once");
    if *owner == RuleOwner::Operator {
        let trail = rules.operator_changes(None, 100).await.expect("changes succeeds");
        assert!(trail.is_sorted_by(|a, b| a.change_id > b.change_id), "the newest change is first");
        assert!(trail.contains(&removal), "a change is returned unchanged");
        let earlier = rules.operator_changes(Some(removal.change_id), 2).await.expect("changes succeeds");
        assert!(earlier.len() == 2 && !earlier.contains(&removal), "earlier changes are returned up to the limit");
        let left = AlertRuleRecord { updated_at: NOON.plus_ms(9), ..second };
        let removal = Change::alert_rule_removed(author(), &left, NOON.plus_ms(9));
        rules.remove(&left, &removal).await.expect("the other rule is removed, for other suites");
    }
}

fn back_test(owner: &RuleOwner, now: Timestamp, random: &impl Randomness) -> BackTest {
    let progress = BackTestProgress {
        vehicles: 1,
        interrupted: Some(InterruptedVehicle { complete_before: NOON, state: "{}".to_owned() }),
        pages: vec!["000000-a".to_owned()],
        alerts: 1,
        bytes: 300,
        is_truncated: true,
    };
    BackTest {
        back_test_id: BackTestId::from_random_bits(random.bits()),
        owner: owner.clone(),
        rule_id: RuleId::from_random_bits(random.bits()),
        version: 3,
        definition: r#"{"name":"Größe"}"#.to_owned(),
        vehicles: vec![Fixtures::new(random).vid()],
        from: NOON,
        until: NOON.plus_ms(1000),
        progress,
        state: BackTestState::Running,
        revision: 1,
        created_at: now,
        updated_at: now,
    }
}

fn alert(vid: &VehicleId, random: &impl Randomness) -> BackTestAlert {
    let rule_id = RuleId::from_random_bits(random.bits());
    let alert = Alert {
        alert_id: AlertId::for_alert(&rule_id, 1, vid, NOON),
        change: AlertChange::Raised,
        withdraws: None,
        rule: AlertRule { fleet_id: None, rule_id, version: 1, name: "Größe".to_owned(), severity: Severity::Warning },
        at: NOON,
        raised_at: NOON,
        revision: 1,
        late: false,
        cause: None,
        signals: Vec::new(),
        diagnostic: None,
    };
    BackTestAlert { vid: vid.clone(), alert }
}

/// Checks [`BackTests`]. `now` is the current time, because back-tests expire.
pub async fn back_tests(store: &impl BackTests, now: Timestamp, random: &impl Randomness) {
    let fixtures = Fixtures::new(random);
    let owner = RuleOwner::Fleet(fixtures.fleet_id());
    let [first, second] = [(); 2].map(|()| back_test(&owner, now, random));
    let get = async |back_test: &BackTest| store.get(&owner, &back_test.back_test_id).await.expect("get succeeds");
    assert_eq!(get(&first).await, None, "a back-test does not exist before it is created");
    store.create(&first).await.expect("a back-test is created");
    assert_eq!(kind(store.create(&first).await), CONFLICT, "an id is used once");
    store.create(&second).await.expect("a second one is created");
    assert_eq!(get(&first).await.as_ref(), Some(&first), "a back-test is returned unchanged");
    let other = store.get(&RuleOwner::Operator, &first.back_test_id).await.expect("get succeeds");
    assert_eq!(other, None, "another owner does not have it");
    let ids: Vec<_> = store.list(&owner).await.expect("list succeeds").into_iter().map(|test| test.back_test_id).collect();
    let mut expected = [first.back_test_id.clone(), second.back_test_id.clone()];
    expected.sort();
    assert_eq!(ids, expected, "back-tests are listed by id");

    let finished = BackTest { state: BackTestState::Finished, ..first.clone() };
    store.replace(&finished).await.expect("a back-test is replaced");
    assert_eq!(get(&first).await, Some(BackTest { revision: 2, ..finished.clone() }), "the revision is counted");
    assert_eq!(kind(store.replace(&finished).await), CONFLICT, "the revision was replaced");
    store.remove(&owner, &first.back_test_id).await.expect("a back-test is removed");
    assert_eq!(get(&first).await, None, "a removed back-test does not exist");
    assert_eq!(kind(store.replace(&BackTest { revision: 2, ..finished }).await), CONFLICT, "nor can it be replaced");
    store.remove(&owner, &first.back_test_id).await.expect("removing it again changes nothing");

    let alerts = [(); 3].map(|()| alert(&fixtures.vid(), random));
    let id = &second.back_test_id;
    let pages = ["000000-b", "000001-a", "000001-b"].map(str::to_owned);
    for (page, alert) in pages.iter().zip(&alerts) {
        let stored = store.store_alerts(id, page, std::slice::from_ref(alert), second.expires_at()).await;
        stored.expect("a page is stored");
    }
    let read = async |pages: &[String]| store.alerts(id, pages).await.map_err(|error| error.kind());
    assert_eq!(read(&[]).await, Ok(vec![]), "no page has no alerts");
    assert_eq!(read(&[pages[0].clone(), pages[2].clone()]).await, Ok(vec![alerts[0].clone(), alerts[2].clone()]));
    assert_eq!(read(&["000002-a".to_owned()]).await, Err(PortErrorKind::Internal), "a page does not exist");
}
