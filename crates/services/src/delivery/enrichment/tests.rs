use roadcast_domain::subscription::DeliveryFormat;
use roadcast_testbed::{InFlight, ManualClock, Memory, fixtures, port_set};

use super::*;

port_set! {
    enum CountedPorts {
        Entitlements = InFlight<Memory>;
    }
}

#[tokio::test]
async fn entitlements_of_an_entry_are_read_concurrently() {
    let (memory, clock) = (Memory::default(), ManualClock::default());
    let entitlements = InFlight::new(memory.clone());
    let enrichment = Enrichment::<CountedPorts> {
        entitlements: CachedEntitlements::new(entitlements.clone(), clock.clone()),
        fleets: CachedFleets::new(memory.clone(), clock.clone()),
        bus: memory.clone(),
        index: memory,
        clock,
    };
    let encode = |event: &Event| bus_entry::encode(&[event], DeliveryFormat::Blocks, None).unwrap().remove(0).json;
    let entry: Vec<String> = (0..100).map(|n| encode(&fixtures::diagnostic_event(n, 0).event)).collect();
    let cloud_events: Vec<&str> = entry.iter().map(String::as_str).collect();
    assert_eq!(enrichment.deliver(&cloud_events).await.unwrap().events_received, 100);
    // Two calls read the version and the packages.
    assert_eq!((entitlements.calls(), entitlements.max_in_flight()), (102, 16));
}
