//! Alerts at the endpoints of fleets.

use futures::executor::block_on;
use roadcast_domain::alert::{Alert, AlertRule, Cause};
use roadcast_domain::event::{Body, Event};
use roadcast_domain::ids::{AlertId, Eid, FleetId, RuleId, VehicleId};
use roadcast_domain::subscription::Subscription;
use roadcast_domain::webhook::{DeliveryOrder, DeliveryState, DropReason};
use roadcast_ports::subscriptions::Subscriptions as _;
use roadcast_services::cache::CachedEntitlements;
use roadcast_services::webhooks::attempts::AttemptQueries;
use roadcast_services::webhooks::endpoints::EndpointSettings;
use roadcast_testbed::{InMemory, fixtures};

use super::{HOUR_MS, Setup, unavailable};
use crate::fleets::{entry, management, manager_of, settings};

/// An alert about the speed of a vehicle, of a rule of the fleet or of the operator.
fn alert(setup: &Setup, owner: Option<&FleetId>, number: u128) -> Event {
    let (vid, now) = (VehicleId::from_random_bits(1), setup.now());
    let alert = fixtures::speed_alert(&vid, 0);
    let rule = AlertRule { fleet_id: owner.cloned(), rule_id: RuleId::from_random_bits(number), ..alert.rule };
    let alert_id = AlertId::for_alert(&rule.rule_id, 1, &vid, alert.raised_at);
    let alert = Alert { alert_id, rule, cause: Some(Cause { eid: Eid::MIN, received: now }), ..alert };
    alert.into_event(vid).event
}

fn of_packages(name: &str, packages: &[&str]) -> EndpointSettings {
    let packages = packages.iter().map(|name| name.parse().unwrap()).collect();
    let event_types = ["roadcast.alert.v1".to_owned()].into();
    EndpointSettings { packages, event_types, ..settings(name, DeliveryOrder::None) }
}

#[test]
fn alert_reaches_endpoints_whose_packages_have_its_signals() {
    let mut setup = Setup::new();
    let (management, manager) = (management(&setup.simulation.memory, 3), manager_of(&setup.fleet_id));
    for (name, packages) in
        [("all", &[][..]), ("both", &["alerts", "telematics"]), ("type", &["alerts"]), ("signals", &["telematics"])]
    {
        block_on(management.create(&manager, of_packages(name, packages))).unwrap();
    }
    let alert = alert(&setup, Some(&setup.fleet_id), 1);
    setup.simulation.events.send(entry(&setup.fleet_id, std::slice::from_ref(&alert)));
    setup.run_ms(HOUR_MS);
    let received = setup.simulation.receiver.received();
    let mut hosts: Vec<String> = received.iter().map(|received| received.request.url.to_string()).collect();
    hosts.sort();
    assert_eq!(hosts, ["https://all.example.com/hook", "https://both.example.com/hook"]);
    for received in received {
        let (event, _) = Event::from_cloud_event(std::str::from_utf8(&received.request.body).unwrap()).unwrap();
        assert!(matches!(&event.body, Body::Alert(_)) && event == alert);
    }
}

#[test]
fn alert_of_another_fleet_is_not_sent() {
    let mut setup = Setup::new();
    let management = management(&setup.simulation.memory, 3);
    block_on(management.create(&manager_of(&setup.fleet_id), of_packages("a", &[]))).unwrap();
    let other = FleetId::from_random_bits(2);
    let foreign = alert(&setup, Some(&other), 1);
    let of_operator = alert(&setup, None, 2);
    // Enrichment would not publish the first one to this fleet.
    setup.simulation.events.send(entry(&setup.fleet_id, &[foreign.clone(), of_operator.clone()]));
    setup.run_ms(HOUR_MS);
    let received = setup.simulation.receiver.received();
    let [received] = received.as_slice() else { panic!("{} requests", received.len()) };
    assert!(std::str::from_utf8(&received.request.body).unwrap().contains(&of_operator.eid.to_string()));
    let mut states = setup.states();
    states.sort_by_key(|state| *state == DeliveryState::Delivered);
    assert_eq!(states, [DeliveryState::Dropped { reason: DropReason::NotEntitled }, DeliveryState::Delivered]);
}

#[test]
fn attempts_of_an_alert_are_shown_only_while_it_is_covered() {
    let mut setup = Setup::new();
    let (memory, clock) = (setup.simulation.memory.clone(), setup.simulation.clock.clone());
    let (management, manager) = (management(&memory, 3), manager_of(&setup.fleet_id));
    let endpoint = block_on(management.create(&manager, of_packages("a", &[]))).unwrap().0;
    setup.respond(&endpoint, |_| unavailable());
    let event = alert(&setup, Some(&setup.fleet_id), 1);
    setup.simulation.events.send(entry(&setup.fleet_id, &[event]));
    setup.run_ms(60_000);
    let queries = AttemptQueries::<InMemory> {
        endpoints: memory.clone(),
        attempts: memory.clone(),
        deliveries: memory.clone(),
        entitlements: CachedEntitlements::new(memory.clone(), clock.clone()),
        clock,
    };
    let shown = || block_on(queries.list(&manager, &endpoint.endpoint_id, None, 10)).unwrap().attempts.len();
    assert!(shown() > 0);
    let packages = ["alerts", "track-and-trace"].map(|name| name.parse().unwrap()).into();
    setup.subscription = Subscription { packages, ..setup.subscription.clone() };
    block_on(memory.write_grants(&setup.subscription)).unwrap();
    setup.run_ms(HOUR_MS);
    assert_eq!(shown(), 0, "the fleet does not have the signal any more");
    assert_eq!(setup.states(), [DeliveryState::Dropped { reason: DropReason::NotEntitled }]);
}
