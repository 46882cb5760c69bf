//! The way from enrichment to the fan-out.

use futures::executor::block_on;
use roadcast_codec::bus_entry;
use roadcast_domain::dead_letter::{Content, ContentBucket, DeadLetter, Hop, Pointers, RedriveRequest};
use roadcast_domain::ids::{ClientId, DeadLetterId};
use roadcast_domain::subscription::DeliveryFormat;
use roadcast_domain::webhook::{DeliveryOrder, DeliveryState};
use roadcast_ports::bus::FleetBatch;
use roadcast_ports::dead_letters::DeadLetters as _;
use roadcast_services::authz::{Admin, Proof as _};
use roadcast_services::cache::{CachedEntitlements, CachedFleets};
use roadcast_services::dead_letters::redrive::{LetterSender, Redriver};
use roadcast_services::delivery::enrichment::Enrichment;
use roadcast_services::webhooks::endpoints::EndpointSettings;
use roadcast_testbed::{InMemory, fixtures};

use super::{HOUR_MS, Setup, delivered, unavailable};
use crate::fleets::{event, management, manager_of, settings};

/// Enriches one event of each type, and returns the entries of the delivery bus.
fn enrich(setup: &Setup) -> Vec<FleetBatch> {
    let memory = || setup.simulation.memory.clone();
    let clock = || setup.simulation.clock.clone();
    let enrichment = Enrichment::<InMemory> {
        entitlements: CachedEntitlements::new(memory(), clock()),
        fleets: CachedFleets::new(memory(), clock()),
        bus: memory(),
        index: memory(),
        clock: clock(),
    };
    let diagnostic = event(1, setup.now());
    let entry = bus_entry::encode(&[&diagnostic], DeliveryFormat::Json, None).unwrap().remove(0);
    block_on(enrichment.deliver(&[&entry.json])).unwrap();
    setup.simulation.memory.deliveries()
}

#[test]
fn enrichment_marks_what_an_endpoint_wants() {
    let setup = Setup::new();
    assert!(!enrich(&setup)[0].for_webhooks, "a fleet without endpoints");
    let telemetry =
        EndpointSettings { event_types: ["roadcast.telemetry.v1".to_owned()].into(), ..settings("t", DeliveryOrder::None) };
    block_on(management(&setup.simulation.memory, 5).create(&manager_of(&setup.fleet_id), telemetry)).unwrap();
    assert!(!enrich(&setup)[1].for_webhooks, "no endpoint wants diagnostics");
    setup.create("a", DeliveryOrder::None);
    assert!(enrich(&setup)[2].for_webhooks);
}

#[test]
fn dead_letter_of_a_delivery_is_delivered_again_once() {
    let mut setup = Setup::new();
    let short = EndpointSettings { retry_schedule: vec![1].try_into().unwrap(), ..settings("a", DeliveryOrder::None) };
    let endpoint = block_on(management(&setup.simulation.memory, 3).create(&manager_of(&setup.fleet_id), short)).unwrap().0;
    setup.respond(&endpoint, |request| if request < 2 { unavailable() } else { delivered() });
    setup.publish(1);
    setup.run_ms(60_000);
    let memory = setup.simulation.memory.clone();
    let record = memory.failed_deliveries().remove(0);
    let letter = |hop, n: u8, bytes: &str| {
        let id = DeadLetterId::for_failure(hop, fixtures::at(0), &n.to_string());
        let key = format!("letters/{id}");
        memory.put_letter_object(&key, bytes.as_bytes().to_vec());
        let content = Content { bucket: ContentBucket::DeadLetters, key, bytes: bytes.len() as u64 };
        let letter = DeadLetter {
            dead_letter_id: id,
            hop,
            reason: "attempts_exhausted".to_owned(),
            detail: None,
            fleet_id: None,
            pointers: Pointers::default(),
            items: 1,
            first_at: fixtures::at(0),
            last_at: fixtures::at(0),
            content,
            claim: None,
            redriven: None,
        };
        block_on(memory.put(&letter)).unwrap();
        id
    };
    let id = letter(Hop::Webhook, 1, &record);
    let m = || memory.clone();
    let redriver = Redriver::<InMemory> {
        letters: m(),
        redrives: m(),
        sender: LetterSender {
            contents: m(),
            archive: m(),
            targets: m(),
            stream: m(),
            bus: m(),
            fleets: m(),
            deliveries: m(),
            endpoints: m(),
            tasks: m(),
        },
        clock: setup.simulation.clock.clone(),
    };
    let admin = Admin::prove(&roadcast_domain::caller::Caller::Admin(ClientId::new("admin"))).unwrap();
    let run = |name: &str, again| {
        let request = RedriveRequest::Letters { dead_letter_ids: vec![id], again };
        block_on(redriver.run(&admin, &name.parse().unwrap(), request, 60_000)).unwrap()
    };
    assert_eq!(run("r1", false).redriven, 1);
    setup.run_ms(HOUR_MS);
    assert_eq!(setup.states(), [DeliveryState::Delivered]);
    // The letter of the failure before does not make a delivery pending that ended since.
    run("r2", true);
    setup.run_ms(HOUR_MS);
    assert_eq!(setup.simulation.receiver.received().len(), 3);
}
