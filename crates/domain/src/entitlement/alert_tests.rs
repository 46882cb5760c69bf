use super::*;
use crate::alert::{Alert, AlertChange, AlertRule, AlertSignal, RuleOwner, Severity};
use crate::ids::{AlertId, Eid, RuleId};

fn vid() -> VehicleId {
    VehicleId::from_random_bits(1)
}

fn fleet(bits: u128) -> FleetId {
    FleetId::from_random_bits(bits)
}

fn alert(owner: &RuleOwner, signals: &[&str]) -> Event {
    let at = Timestamp::from_ms(10);
    let rule_id = RuleId::from_random_bits(1);
    let signal = |path: &&str| AlertSignal { path: SignalPath::parse(path).unwrap(), value: None, at: None };
    let alert = Alert {
        alert_id: AlertId::for_alert(&rule_id, 1, &vid(), at),
        change: AlertChange::Raised,
        withdraws: None,
        rule: AlertRule {
            fleet_id: owner.fleet_id().cloned(),
            rule_id,
            version: 1,
            name: "r".to_owned(),
            severity: Severity::Info,
        },
        at,
        raised_at: at,
        revision: 1,
        late: false,
        cause: None,
        signals: signals.iter().map(signal).collect(),
        diagnostic: None,
    };
    Event { eid: Eid::MIN, vid: vid(), received: at, body: Body::Alert(Box::new(alert)) }
}

fn entitlement(fleet_id: FleetId, packages: &[&str], suspended: bool) -> Entitlement {
    let grant = Grant {
        subscription_id: SubscriptionId::from_random_bits(1),
        packages: packages.iter().map(|name| name.parse().unwrap()).collect(),
        delivery_format: DeliveryFormat::Json,
        validity: Validity { valid_from: Timestamp::from_ms(0), valid_until: None },
        suspended,
    };
    Entitlement { fleet_id, vid: vid(), epoch: 0, grants: vec![grant] }
}

fn sees(entitlement: &Entitlement, event: &Event) -> bool {
    entitlement.redact(event, &Packages::built_in(), Timestamp::from_ms(20)).is_some()
}

#[test]
fn alert_is_visible_with_all_its_signals_and_the_type() {
    let event = alert(&RuleOwner::Fleet(fleet(1)), &["Vehicle.Speed", "Vehicle.CurrentLocation.Latitude"]);
    assert!(sees(&entitlement(fleet(1), &["telematics", "track-and-trace", "alerts"], false), &event));
    assert!(!sees(&entitlement(fleet(1), &["track-and-trace", "alerts"], false), &event), "no speed");
    assert!(!sees(&entitlement(fleet(1), &["telematics", "track-and-trace"], false), &event), "no alerts");
}

#[test]
fn alert_is_visible_to_the_owner_of_its_rule_only() {
    let own = alert(&RuleOwner::Fleet(fleet(1)), &["Vehicle.Speed"]);
    let of_operator = alert(&RuleOwner::Operator, &["Vehicle.Speed"]);
    let other = entitlement(fleet(2), &["telematics", "alerts"], false);
    assert!(!sees(&other, &own));
    assert!(sees(&other, &of_operator));
}

#[test]
fn alert_of_another_fleet_is_neither_retained_nor_held_back() {
    let event = alert(&RuleOwner::Fleet(fleet(1)), &["Vehicle.Speed"]);
    let packages = Packages::built_in();
    let now = Timestamp::from_ms(20);
    let [owner, other] = [1, 2].map(|bits| entitlement(fleet(bits), &["telematics", "alerts"], true));
    assert!(owner.redact_retained(&event, &packages, now).is_some());
    assert_eq!(owner.holders(&event, &packages, now).len(), 1);
    assert!(other.redact_retained(&event, &packages, now).is_none());
    assert!(other.holders(&event, &packages, now).is_empty());
}
