//! Management of endpoints, and what a fleet sees of its deliveries.

use futures::executor::block_on;
use roadcast_domain::caller::Caller;
use roadcast_domain::ids::ClientId;
use roadcast_domain::webhook::DeliveryOrder;
use roadcast_ports::fleets::Fleets;
use roadcast_ports::subscriptions::Subscriptions as _;
use roadcast_services::ServiceError;
use roadcast_services::authz::{Manager, Proof as _};
use roadcast_services::cache::CachedEntitlements;
use roadcast_services::webhooks::attempts::AttemptQueries;
use roadcast_services::webhooks::endpoints::EndpointSettings;
use roadcast_testbed::InMemory;

use super::{HOUR_MS, Setup};
use crate::fleets::{management, manager_of, settings};

#[test]
fn fleet_states_what_its_endpoints_want() {
    let setup = Setup::new();
    let wants = || {
        let fleet = block_on(Fleets::get(&setup.simulation.memory, &setup.fleet_id)).unwrap().unwrap();
        ["roadcast.diagnostic.v1", "roadcast.telemetry.v1"]
            .map(|event_type| fleet.webhooks.as_ref().is_some_and(|interest| interest.wants(event_type)))
    };
    assert_eq!(wants(), [false, false]);
    let first = setup.create("a", DeliveryOrder::None);
    assert_eq!(wants(), [true, false]);
    let all = EndpointSettings { event_types: [].into(), ..settings("b", DeliveryOrder::None) };
    let management = management(&setup.simulation.memory, 3);
    let manager = manager_of(&setup.fleet_id);
    let second = block_on(management.create(&manager, all)).unwrap().0;
    assert_eq!(wants(), [true, true]);
    block_on(management.remove(&manager, &second.endpoint_id, 1)).unwrap();
    assert_eq!(wants(), [true, false]);
    let other =
        EndpointSettings { event_types: ["roadcast.telemetry.v1".to_owned()].into(), ..settings("a", DeliveryOrder::None) };
    block_on(management.replace(&manager, &first.endpoint_id, other, 1)).unwrap();
    assert_eq!(wants(), [false, true]);
}

#[test]
fn fleet_has_at_most_twenty_endpoints() {
    let setup = Setup::new();
    for n in 0..20 {
        setup.create(&format!("hook-{n}"), DeliveryOrder::None);
    }
    let management = management(&setup.simulation.memory, 3);
    let refused = block_on(management.create(&manager_of(&setup.fleet_id), settings("x", DeliveryOrder::None)));
    assert!(matches!(refused, Err(ServiceError::Conflict(_))), "{refused:?}");
    assert_eq!(block_on(management.list(&manager_of(&setup.fleet_id))).unwrap().len(), 20);
}

#[test]
fn invalid_settings_are_named_with_their_pointers() {
    let setup = Setup::new();
    let management = management(&setup.simulation.memory, 3);
    let invalid = EndpointSettings {
        url: "https://169.254.169.254/latest".parse().unwrap(),
        packages: ["no-such-package".parse().unwrap()].into(),
        headers: Some(
            [("Host", "x"), ("host", "x"), ("traceparent", "x"), ("webhook-id", "x"), ("x-key", "a\nb")]
                .map(|(n, v)| (n.into(), v.into()))
                .into(),
        ),
        rate_limit: Some(0),
        ..settings("a", DeliveryOrder::None)
    };
    let Err(ServiceError::Invalid(fields)) = block_on(management.create(&manager_of(&setup.fleet_id), invalid)) else {
        panic!("invalid")
    };
    let mut pointers: Vec<&str> = fields.iter().map(|field| field.pointer.as_str()).collect();
    pointers.sort_unstable();
    let expected = [
        "/headers/Host",
        "/headers/host",
        "/headers/traceparent",
        "/headers/webhook-id",
        "/headers/x-key",
        "/packages/0",
        "/rateLimit",
        "/url",
    ];
    assert_eq!(pointers, expected);
    let any_port = EndpointSettings { any_port: true, ..settings("a", DeliveryOrder::None) };
    let refused = block_on(management.create(&manager_of(&setup.fleet_id), any_port.clone()));
    assert!(matches!(refused, Err(ServiceError::Invalid(_))), "only an admin allows other ports");
    let admin = Manager::prove(&Caller::Admin(ClientId::new("admin"))).unwrap().of_fleet(&setup.fleet_id).unwrap();
    assert!(block_on(management.create(&admin, any_port)).unwrap().0.any_port);
}

#[test]
fn change_of_another_version_is_stale() {
    let setup = Setup::new();
    let endpoint = setup.create("a", DeliveryOrder::None);
    let management = management(&setup.simulation.memory, 3);
    let manager = manager_of(&setup.fleet_id);
    let stale = block_on(management.replace(&manager, &endpoint.endpoint_id, settings("b", DeliveryOrder::None), 2));
    assert!(matches!(stale, Err(ServiceError::Stale)), "{stale:?}");
    let stale = block_on(management.remove(&manager, &endpoint.endpoint_id, 2));
    assert!(matches!(stale, Err(ServiceError::Stale)), "{stale:?}");
    assert_eq!(setup.stored(&endpoint), endpoint);
}

#[test]
fn one_rotation_at_a_time_and_a_lost_secret_is_found() {
    let setup = Setup::new();
    let endpoint = setup.create("a", DeliveryOrder::None);
    let management = management(&setup.simulation.memory, 3);
    let (manager, id) = (manager_of(&setup.fleet_id), &endpoint.endpoint_id);
    let (rotated, secret) = block_on(management.rotate(&manager, id, None)).unwrap();
    assert_eq!(rotated.secrets.len(), 2);
    assert!(matches!(block_on(management.rotate(&manager, id, Some(60))), Err(ServiceError::Conflict(_))));
    setup.simulation.clock.advance_ms(1);
    let (leaked, newest) = block_on(management.rotate(&manager, id, Some(0))).unwrap();
    assert_eq!(leaked.secrets.len(), 1, "all older secrets end at once");
    assert_ne!(secret, newest);
    let lost = block_on(management.secret(&manager, id, leaked.secrets[0].created_at)).unwrap();
    assert_eq!(lost, newest);
    let ended = block_on(management.secret(&manager, id, rotated.secrets[0].created_at));
    assert!(matches!(ended, Err(ServiceError::NotFound)));
    let too_long = block_on(management.rotate(&manager, id, Some(604_801)));
    assert!(matches!(too_long, Err(ServiceError::Invalid(_))));
}

#[test]
fn attempts_are_shown_while_the_fleet_may_see_the_event() {
    let mut setup = Setup::new();
    let endpoint = setup.create("a", DeliveryOrder::None);
    setup.publish(1);
    setup.publish(2);
    setup.run_ms(HOUR_MS);
    let memory = setup.simulation.memory.clone();
    let queries = || AttemptQueries::<InMemory> {
        endpoints: memory.clone(),
        attempts: memory.clone(),
        deliveries: memory.clone(),
        entitlements: CachedEntitlements::new(memory.clone(), memory.clock().clone()),
        clock: memory.clock().clone(),
    };
    let admin = Manager::prove(&Caller::Admin(ClientId::new("admin"))).unwrap().of_fleet(&setup.fleet_id).unwrap();
    let fleet = manager_of(&setup.fleet_id);
    let list = |manager| block_on(queries().list(manager, &endpoint.endpoint_id, None, 10)).unwrap().attempts;
    let attempts = list(&fleet);
    assert_eq!(attempts.len(), 2);
    let vid = setup.subscription.vehicles[0].clone();
    block_on(memory.narrow_grants(&setup.subscription, std::slice::from_ref(&vid), None)).unwrap();
    let visible = list(&fleet);
    assert!(visible.len() == 1 && visible[0].vid.as_ref() != Some(&vid), "{visible:?}");
    assert_eq!(list(&admin).len(), 2);
    let hidden = attempts.iter().find(|attempt| attempt.vid.as_ref() == Some(&vid)).unwrap();
    let delivery = |manager| block_on(queries().delivery(manager, &endpoint.endpoint_id, hidden.key.delivery_id));
    assert!(matches!(delivery(&fleet), Err(ServiceError::NotFound)));
    assert!(delivery(&admin).is_ok());
}

#[test]
fn test_event_is_delivered_and_signed() {
    let mut setup = Setup::new();
    let endpoint = setup.create("a", DeliveryOrder::Vehicle);
    let management = management(&setup.simulation.memory, 3);
    let id = block_on(management.test(&manager_of(&setup.fleet_id), &endpoint.endpoint_id)).unwrap();
    setup.run_ms(10_000);
    let received = setup.simulation.receiver.received().remove(0);
    assert_eq!(received.header("webhook-id"), id.to_string());
    assert!(received.header("webhook-signature").starts_with("v1,"));
    assert_eq!(received.header("content-type"), "application/cloudevents+json; charset=utf-8");
    let body: serde_json::Value = serde_json::from_slice(&received.request.body).unwrap();
    assert_eq!(
        (body["type"].as_str(), body["subject"].as_str()),
        (Some("roadcast.webhook.test.v1"), Some(endpoint.endpoint_id.as_str()))
    );
}
