//! The messages of webhooks, in memory.

use std::collections::BTreeMap;

use roadcast_domain::caller::Caller;
use roadcast_domain::ids::DeliveryId;
use roadcast_domain::trace::EventSampling;
use roadcast_domain::webhook::{Endpoint, TargetRules};
use roadcast_ports::clock::Clock as _;
use roadcast_ports::webhooks::{DeliveryTask, WaitingDeliveries, WaitingDelivery, WaitingLine};
use roadcast_services::authz::{FleetManager, Manager, Proof as _};
use roadcast_services::cache::{CachedEndpoints, CachedEntitlements, OpenedTexts};
use roadcast_services::webhooks::QueueKind;
use roadcast_services::webhooks::dispatcher::Dispatcher;
use roadcast_services::webhooks::endpoints::EndpointManagement;
use roadcast_services::webhooks::fan_out::WebhookFanOut;
use roadcast_services::webhooks::scheduler::LineScheduler;
use roadcast_testbed::{InMemory, SeededRandomness, WebhookReceiver};
use serde_json::{Value, json};

use crate::pipeline::Pipeline;

/// What the code wrote.
pub(crate) struct Produced {
    pub(crate) messages: BTreeMap<&'static str, Vec<Value>>,
    /// The headers that sign a request, and its trace context.
    pub(crate) headers: Value,
}

/// Delivers an entry of the delivery bus to an endpoint, which responds with 410, and sends a test event to another one.
pub(crate) async fn produce(pipeline: &Pipeline, delivery_entry: &Value) -> Produced {
    let (m, k) = (|| pipeline.memory.clone(), || pipeline.clock.clone());
    let receiver = WebhookReceiver::new(k());
    let management = management(pipeline);
    let manager = manager(pipeline);
    let gone = create(&management, &manager, "https://gone.example.com/").await;
    receiver.respond_with(&gone.url, |_, _| WebhookReceiver::response(410, 20));

    let fan_out = WebhookFanOut::<InMemory> {
        endpoints: CachedEndpoints::new(m(), k()),
        entitlements: CachedEntitlements::new(m(), k()),
        deliveries: m(),
        queue: m(),
        failed: m(),
        clock: k(),
    };
    fan_out.fan_out(&delivery_entry.to_string()).await.expect("deliveries");
    let dispatcher = Dispatcher::<InMemory> {
        endpoints: CachedEndpoints::new(m(), k()),
        stored_endpoints: m(),
        opened: OpenedTexts::new(m(), k()),
        entitlements: CachedEntitlements::new(m(), k()),
        deliveries: m(),
        attempts: m(),
        health: m(),
        waiting: m(),
        queue: m(),
        failed: m(),
        sender: receiver.clone(),
        clock: k(),
        randomness: SeededRandomness::new(8),
        sampling: EventSampling::NONE,
    };
    let attempt_task = next_task(pipeline);
    handle(&dispatcher, &attempt_task).await;
    let failed = pipeline.memory.failed_deliveries().remove(0);
    while pipeline.memory.delivery_queue().backlog() > 0 {
        next_task(pipeline);
    }

    let tested = create(&management, &manager, "https://test.example.com/").await;
    management.test(&manager, &tested.endpoint_id).await.expect("a test event");
    handle(&dispatcher, &next_task(pipeline)).await;
    let requests = receiver.received();
    let [delivery, notice] = requests.as_slice() else { panic!("expected two requests, got {}", requests.len()) };

    let now = pipeline.clock.now();
    let line = WaitingLine { fleet_id: pipeline.fleet_id.clone(), endpoint_id: tested.endpoint_id, vid: None };
    let delivery_id = DeliveryId::from_time_and_salt(now, 1);
    let waiting = WaitingDelivery { delivery_id, due_at: now, expires_at: now.plus_ms(1000) };
    WaitingDeliveries::add(&pipeline.memory, &line, &waiting).await.expect("it waits");
    LineScheduler::<InMemory> { waiting: m(), queue: m(), clock: k() }.run(1000).await.expect("a run");
    let line_task = next_task(pipeline);

    let header = |name: &str| delivery.header(name).to_owned();
    let names = ["webhook-id", "webhook-timestamp", "webhook-signature", "traceparent"];
    let parse = |bytes: &[u8]| serde_json::from_slice(bytes).expect("JSON");
    Produced {
        messages: BTreeMap::from([
            ("AttemptTask", vec![parse(attempt_task.as_bytes())]),
            ("LineTask", vec![parse(line_task.as_bytes())]),
            ("WebhookDelivery", vec![parse(&delivery.request.body)]),
            ("WebhookNotice", vec![parse(&notice.request.body)]),
            ("FailedDelivery", vec![parse(failed.as_bytes())]),
        ]),
        headers: names.iter().map(|name| ((*name).to_owned(), json!(header(name)))).collect(),
    }
}

fn management(pipeline: &Pipeline) -> EndpointManagement<InMemory> {
    let (m, k) = (|| pipeline.memory.clone(), || pipeline.clock.clone());
    EndpointManagement {
        endpoints: m(),
        fleets: m(),
        entitlements: CachedEntitlements::new(m(), k()),
        health: m(),
        deliveries: m(),
        queue: m(),
        sealer: m(),
        rules: TargetRules::default(),
        clock: k(),
        randomness: SeededRandomness::new(7),
    }
}

fn manager(pipeline: &Pipeline) -> FleetManager {
    let fleet = Manager::prove(&Caller::Fleet(pipeline.fleet_id.clone())).expect("a client of the fleet");
    fleet.of_fleet(&pipeline.fleet_id).expect("its fleet")
}

async fn create(management: &EndpointManagement<InMemory>, manager: &FleetManager, url: &str) -> Endpoint {
    let settings = json!({ "url": url, "eventTypes": ["roadcast.diagnostic.v1"] });
    let settings = serde_json::from_value(settings).expect("settings");
    management.create(manager, settings).await.expect("an endpoint").0
}

/// Receives and deletes a task.
fn next_task(pipeline: &Pipeline) -> String {
    let queue = pipeline.memory.delivery_queue();
    let message = queue.receive(1).pop().expect("a task");
    queue.delete(&message.receipt_handle);
    message.body
}

async fn handle(dispatcher: &Dispatcher<InMemory>, task: &str) {
    let task: DeliveryTask = serde_json::from_str(task).expect("a task");
    dispatcher.handle(&task, QueueKind::Standard).await.expect("handled");
}
