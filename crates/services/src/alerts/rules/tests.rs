use roadcast_domain::caller::Caller;
use roadcast_domain::fleet::{FeedDisposition, Fleet};
use roadcast_domain::ids::{ClientId, FleetId};
use roadcast_domain::plan::Plan;
use roadcast_ports::alerts::AlertRules;
use roadcast_ports::fleets::Fleets;
use roadcast_testbed::{InMemory, ManualClock, Memory, SeededRandomness};
use serde_json::{Value, json};

use super::*;
use crate::authz::{Manager, Proof as _};

struct Fixture {
    memory: Memory,
    clock: ManualClock,
    rules: AlertRuleManagement<InMemory>,
    fleet: Fleet,
    manager: RuleManager,
}

impl Fixture {
    async fn new() -> Self {
        let clock = ManualClock::default();
        let memory = Memory::new(clock.clone());
        let fleet_id = FleetId::from_random_bits(1);
        let fleet = Fleet::new(fleet_id.clone(), "A fleet".to_owned(), "bus".to_owned(), Plan::Standard, clock.now());
        let author = roadcast_domain::audit::Author::Provisioning;
        Fleets::create(&memory, &fleet, &Change::fleet_changed(author, None, &fleet, clock.now())).await.unwrap();
        let rules = AlertRuleManagement {
            rules: memory.clone(),
            fleets: memory.clone(),
            clock: clock.clone(),
            randomness: SeededRandomness::new(7),
        };
        let manager = Manager::prove(&Caller::Fleet(fleet_id.clone())).unwrap().of_fleet(&fleet_id).unwrap().into();
        Self { memory, clock, rules, fleet, manager }
    }

    async fn create(&self, settings: &RuleSettings) -> Result<AlertRuleRecord, ServiceError> {
        self.rules.create(&self.manager, settings).await
    }
}

fn operator() -> RuleManager {
    Admin::prove(&Caller::Admin(ClientId::new("admin"))).unwrap().into()
}

fn rule(name: &str) -> Value {
    json!({"name": name, "severity": "info", "condition": {"milOn": {}}})
}

fn settings(value: &Value) -> RuleSettings {
    RuleSettings::parse(&value.to_string()).unwrap()
}

fn with(mut value: Value, member: &str, content: Value) -> Value {
    value[member] = content;
    value
}

#[tokio::test]
async fn replaced_rule_is_a_new_version_that_is_active_from_then_on() {
    let fixture = Fixture::new().await;
    let first = fixture.create(&settings(&rule("a"))).await.unwrap();
    assert_eq!((first.version, first.enabled, first.active_from), (1, true, fixture.clock.now()));
    fixture.clock.advance_ms(1000);
    let replace = async |value: &Value, version: u64| {
        fixture.rules.replace(&fixture.manager, &first.rule_id, &settings(value), version).await
    };
    let same = replace(&rule("a"), 1).await.unwrap();
    assert_eq!(same, first, "what changes nothing makes no version");
    let disabled = replace(&with(rule("a"), "enabled", json!(false)), 1).await.unwrap();
    assert_eq!((disabled.version, disabled.enabled), (2, false));
    fixture.clock.advance_ms(1000);
    let enabled = replace(&rule("a"), 2).await.unwrap();
    assert_eq!(
        (enabled.version, enabled.active_from),
        (3, fixture.clock.now()),
        "an enabled rule raises nothing about the past"
    );
    assert!(matches!(replace(&rule("b"), 2).await, Err(ServiceError::Stale)));
    assert_eq!(fixture.rules.get(&fixture.manager, &first.rule_id).await.unwrap(), enabled);

    let removed = fixture.rules.remove(&fixture.manager, &first.rule_id, 2).await;
    assert!(matches!(removed, Err(ServiceError::Stale)));
    fixture.rules.remove(&fixture.manager, &first.rule_id, 3).await.unwrap();
    let gone = fixture.rules.get(&fixture.manager, &first.rule_id).await;
    assert!(matches!(gone, Err(ServiceError::NotFound)));
    let trail = fixture.memory.changes(&fixture.fleet.fleet_id, None, 100).await.unwrap();
    assert_eq!(trail.len(), 5, "the fleet, and four changes of the rule");
}

#[tokio::test]
async fn rules_of_the_operator_and_of_a_fleet_are_apart() {
    let fixture = Fixture::new().await;
    let own = fixture.create(&settings(&rule("a"))).await.unwrap();
    let other = fixture.rules.create(&operator(), &settings(&rule("b"))).await.unwrap();
    assert_eq!(fixture.rules.list(&fixture.manager).await.unwrap(), std::slice::from_ref(&own));
    assert_eq!(fixture.rules.list(&operator()).await.unwrap(), std::slice::from_ref(&other));
    for (manager, rule) in [(&operator(), &own), (&fixture.manager, &other)] {
        assert!(matches!(fixture.rules.get(manager, &rule.rule_id).await, Err(ServiceError::NotFound)));
    }
    let admin = Admin::prove(&Caller::Admin(ClientId::new("admin"))).unwrap();
    assert_eq!(fixture.rules.operator_changes(&admin, None, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn every_mistake_has_a_pointer() {
    let body = json!({"name": "", "severity": "loud", "condition": {"milOn": {}, "dtc": {}}, "enabled": 1, "extra": true});
    let Err(ServiceError::Invalid(fields)) = RuleSettings::parse(&body.to_string()) else { panic!("it is accepted") };
    let pointers: Vec<String> = fields.iter().map(|field| field.pointer.to_string()).collect();
    for expected in ["/name", "/severity", "/condition", "/enabled"] {
        assert!(pointers.iter().any(|pointer| pointer == expected), "{expected} in {fields:?}");
    }
    assert!(fields.iter().any(|field| field.detail.contains("extra") || field.pointer.as_str() == "/extra"), "{fields:?}");
}

#[tokio::test]
async fn limits_of_an_owner_hold() {
    let fixture = Fixture::new().await;
    let about = |number: u64| json!({"attributes": {"depot": number.to_string()}});
    for number in 0..200 {
        fixture.create(&settings(&with(rule("of one depot"), "scope", about(number)))).await.unwrap();
    }
    // One of these rules and 199 others can concern the same vehicle.
    for _ in 0..199 {
        fixture.create(&settings(&rule("of all"))).await.unwrap();
    }
    let conflict = |result: Result<AlertRuleRecord, ServiceError>| match result {
        Err(ServiceError::Conflict(text)) => text.to_owned(),
        other => panic!("{other:?}"),
    };
    let refused = conflict(fixture.create(&settings(&rule("of all"))).await);
    assert!(refused.contains("200 enabled"), "{refused}");
    let disabled = settings(&with(rule("of all"), "enabled", json!(false)));
    let disabled_rule = fixture.create(&disabled).await.unwrap();
    let enabling = fixture.rules.replace(&fixture.manager, &disabled_rule.rule_id, &settings(&rule("of all")), 1).await;
    assert!(conflict(enabling).contains("200 enabled"));
    while AlertRules::list(&fixture.memory, fixture.manager.owner()).await.unwrap().len() < AlertRuleRecord::MAX_PER_OWNER {
        fixture.create(&disabled).await.unwrap();
    }
    assert!(conflict(fixture.create(&disabled).await).contains("500"));
}

#[tokio::test]
async fn bytes_of_the_rules_of_an_owner_are_bounded() {
    let fixture = Fixture::new().await;
    let large = |numbers: u32| {
        let line: Vec<_> = (0..numbers).map(|index| json!([0.123_456_789, 0.000_123_456 * f64::from(index)])).collect();
        let fence = json!({"geofence": {"event": "dwell", "corridor": {"line": line, "widthM": 10}}});
        json!({"name": "x", "severity": "info", "condition": {"all": [fence.clone(), fence]}, "enabled": false})
    };
    let settings_of = |numbers| settings(&large(numbers));
    let bytes = settings_of(900).definition().unwrap().len();
    assert!(bytes > 40_000, "{bytes}");
    let mut stored = 0;
    let refused = loop {
        match fixture.create(&settings_of(900)).await {
            Ok(_) => stored += bytes,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, ServiceError::Conflict(text) if text.contains("2 MiB")));
    assert!(stored <= AlertRuleRecord::MAX_BYTES_PER_OWNER && stored + bytes > AlertRuleRecord::MAX_BYTES_PER_OWNER);
}

#[tokio::test]
async fn fleet_that_is_offboarded_gets_no_rule() {
    let fixture = Fixture::new().await;
    let now = fixture.clock.now();
    let leaving = fixture.fleet.clone().begin_offboarding(FeedDisposition::Discard, now);
    let change = Change::fleet_changed(roadcast_domain::audit::Author::Offboarding, Some(&fixture.fleet), &leaving, now);
    fixture.memory.update(&leaving, &change).await.unwrap();
    let refused = fixture.create(&settings(&rule("a"))).await;
    assert!(matches!(refused, Err(ServiceError::Conflict("the fleet is being offboarded"))), "{refused:?}");
}

#[tokio::test]
async fn rules_of_an_offboarded_fleet_are_deleted() {
    let fixture = Fixture::new().await;
    for name in ["a", "b"] {
        fixture.create(&settings(&rule(name))).await.unwrap();
    }
    fixture.rules.create(&operator(), &settings(&rule("c"))).await.unwrap();
    let author = roadcast_domain::audit::Author::Offboarding;
    let (memory, fleet_id) = (&fixture.memory, &fixture.fleet.fleet_id);
    crate::alerts::removal::remove_all_rules(memory, &fixture.clock, &author, fleet_id).await.unwrap();
    assert_eq!(AlertRules::list(memory, fixture.manager.owner()).await.unwrap(), []);
    assert_eq!(AlertRules::list(memory, &RuleOwner::Operator).await.unwrap().len(), 1);
}
