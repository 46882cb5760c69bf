//! What endpoints receive of the packages of their fleet.

use futures::executor::block_on;
use roadcast_domain::event::Event;
use roadcast_domain::webhook::{DeliveryOrder, DeliveryState, DropReason};
use roadcast_services::webhooks::endpoints::EndpointSettings;
use roadcast_testbed::fixtures;

use super::{HOUR_MS, Setup, unavailable};
use crate::fleets::{entry, management, manager_of, settings};

fn limited_to_telematics() -> EndpointSettings {
    let packages = ["telematics".parse().unwrap()].into();
    EndpointSettings { packages, event_types: [].into(), ..settings("a", DeliveryOrder::None) }
}

#[test]
fn event_outside_the_packages_of_an_endpoint_makes_no_delivery() {
    let mut setup = Setup::new();
    let management = management(&setup.simulation.memory, 3);
    block_on(management.create(&manager_of(&setup.fleet_id), limited_to_telematics())).unwrap();
    setup.publish(1);
    setup.run_ms(HOUR_MS);
    assert_eq!(setup.states(), []);
}

#[test]
fn telemetry_is_redacted_to_the_packages_of_the_endpoint() {
    let mut setup = Setup::new();
    let management = management(&setup.simulation.memory, 3);
    let manager = manager_of(&setup.fleet_id);
    block_on(management.create(&manager, limited_to_telematics())).unwrap();
    let all = EndpointSettings { event_types: [].into(), ..settings("all", DeliveryOrder::None) };
    block_on(management.create(&manager, all)).unwrap();
    let telemetry = Event { received: setup.now(), ..fixtures::driving_event(1, 1, 0, 2).event };
    setup.simulation.events.send(entry(&setup.fleet_id, &[telemetry]));
    setup.run_ms(HOUR_MS);
    let mut has_location = Vec::new();
    for received in setup.simulation.receiver.received() {
        let body = String::from_utf8(received.request.body).unwrap();
        assert!(body.contains("Vehicle.Speed"));
        has_location.push((received.request.url.to_string(), body.contains("Vehicle.CurrentLocation")));
    }
    has_location.sort();
    assert_eq!(has_location.iter().map(|(_, has)| *has).collect::<Vec<_>>(), [false, true], "{has_location:?}");
}

#[test]
fn waiting_delivery_that_is_no_longer_wanted_is_dropped() {
    let mut setup = Setup::new();
    let endpoint = setup.create("a", DeliveryOrder::None);
    setup.respond(&endpoint, |_| unavailable());
    setup.publish(1);
    setup.run_ms(60_000);
    setup.replace(&endpoint, limited_to_telematics());
    setup.run_ms(HOUR_MS);
    assert_eq!(setup.states(), [DeliveryState::Dropped { reason: DropReason::NotWanted }]);
}
