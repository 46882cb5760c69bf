//! Redrives of failed deliveries.

use futures::executor::block_on;
use roadcast_codec::failed_delivery;
use roadcast_domain::ids::DeliveryId;
use roadcast_domain::webhook::{DeliveryOrder, DeliveryState, EndpointRedriveRequest, FailureReason};
use roadcast_services::ServiceError;
use roadcast_services::webhooks::endpoints::EndpointSettings;
use roadcast_services::webhooks::redrive::EndpointRedriver;
use roadcast_testbed::{Fault, FaultPlan, InMemory, WebhookReceiver};

use super::{HOUR_MS, Setup, delivered, unavailable};
use crate::fleets::{management, manager_of, settings};

fn redriver(setup: &Setup) -> EndpointRedriver<InMemory> {
    let memory = || setup.simulation.memory.clone();
    EndpointRedriver {
        endpoints: memory(),
        deliveries: memory(),
        queue: memory(),
        redrives: memory(),
        clock: setup.simulation.clock.clone(),
    }
}

#[test]
fn redrive_has_one_effect_on_each_failed_delivery() {
    let mut setup = Setup::new();
    let short = EndpointSettings { retry_schedule: vec![1].try_into().unwrap(), ..settings("a", DeliveryOrder::None) };
    let manager = manager_of(&setup.fleet_id);
    let endpoint = block_on(management(&setup.simulation.memory, 3).create(&manager, short)).unwrap().0;
    setup.respond(&endpoint, |request| if request < 4 { unavailable() } else { delivered() });
    for vehicle in [1, 2, 1] {
        setup.publish(vehicle);
        setup.run_ms(30_000);
    }
    let failed = DeliveryState::Failed { reason: FailureReason::AttemptsExhausted };
    let count = |setup: &Setup| setup.states().iter().filter(|state| **state == failed).count();
    assert_eq!(count(&setup), 2);
    let run = |setup: &Setup, id: &str, request| {
        block_on(redriver(setup).run(&manager, &endpoint.endpoint_id, &id.parse().unwrap(), request, 1000))
    };
    let first = run(&setup, "r1", EndpointRedriveRequest::All).unwrap();
    assert_eq!((first.finished, first.redriven, first.skipped), (true, 2, 1));
    assert_eq!(run(&setup, "r1", EndpointRedriveRequest::All).unwrap(), first, "a repeated redrive returns its record");
    let other = run(&setup, "r1", EndpointRedriveRequest::Since { since: setup.now() });
    assert!(matches!(other, Err(ServiceError::Conflict(_))), "{other:?}");
    let requests = setup.simulation.receiver.received().len();
    setup.run_ms(HOUR_MS);
    assert_eq!(count(&setup), 0);
    assert_eq!(setup.simulation.receiver.received().len(), requests + 2, "each is sent once");
    let since = run(&setup, "r2", EndpointRedriveRequest::Since { since: setup.now() }).unwrap();
    assert_eq!((since.finished, since.redriven, since.skipped), (true, 0, 0), "earlier events are not selected");
    let unknown = EndpointRedriveRequest::Deliveries { delivery_ids: vec![DeliveryId::from_time_and_salt(setup.now(), 1)] };
    assert_eq!(run(&setup, "r3", unknown).unwrap().skipped, 1);
    let none = EndpointRedriveRequest::Deliveries { delivery_ids: vec![] };
    assert!(matches!(run(&setup, "r4", none), Err(ServiceError::Invalid(_))));
    let id = DeliveryId::from_time_and_salt(setup.now(), 1);
    let twice = EndpointRedriveRequest::Deliveries { delivery_ids: vec![id, id] };
    assert!(matches!(run(&setup, "r5", twice), Err(ServiceError::Invalid(_))));
}

#[test]
fn failed_record_has_all_attempts_and_the_event() {
    let mut setup = Setup::new();
    let short = EndpointSettings { retry_schedule: vec![1, 2].try_into().unwrap(), ..settings("a", DeliveryOrder::None) };
    let manager = manager_of(&setup.fleet_id);
    let endpoint = block_on(management(&setup.simulation.memory, 3).create(&manager, short)).unwrap().0;
    setup.respond(&endpoint, |_| unavailable());
    setup.publish(1);
    setup.run_ms(60_000);
    let records = setup.simulation.memory.failed_deliveries();
    assert_eq!(records.len(), 1);
    let failed = failed_delivery::decode(records[0].as_bytes()).unwrap();
    assert_eq!((failed.attempts, failed.history.len()), (3, 3));
    let stored = setup.simulation.memory.webhook_deliveries().remove(0);
    assert_eq!(failed.payload, stored.payload);
}

#[test]
fn unsent_dead_letter_is_sent_when_the_task_is_repeated() {
    let mut setup = Setup::with_plan(FaultPlan::always(Fault::Unavailable).only(&["send_dead_letter"]));
    let endpoint = setup.create("a", DeliveryOrder::None);
    setup.respond(&endpoint, |_| WebhookReceiver::response(410, 5));
    setup.publish(1);
    setup.run_ms(60_000);
    assert_eq!(setup.states(), [DeliveryState::Failed { reason: FailureReason::Gone }]);
    assert!(setup.simulation.memory.failed_deliveries().is_empty());
    setup.simulation.heal();
    setup.run_ms(HOUR_MS);
    assert_eq!(setup.simulation.memory.failed_deliveries().len(), 1);
    assert_eq!(setup.simulation.receiver.received().len(), 1, "without a further attempt");
}
