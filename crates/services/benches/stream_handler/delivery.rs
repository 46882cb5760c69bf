//! Enrichment of what the handler published, and the feed of the fleet, in CPU time.

use std::time::Duration;

use roadcast_domain::caller::Caller;
use roadcast_domain::subscription::DeliveryFormat;
use roadcast_ports::feed::ReceiveOptions;
use roadcast_services::authz::{FleetOwner, Proof as _};
use roadcast_services::cache::{CachedEntitlements, CachedFleets};
use roadcast_services::delivery::enrichment::Enrichment;
use roadcast_services::delivery::feed::FeedReader;
use roadcast_testbed::InMemory;
use tokio::runtime::Runtime;

use crate::handler::{Handler, fleet_id};
use crate::measure::cpu_time;
use crate::workload::{Form, SAMPLES_PER_BATCH, batch};

/// The CPU time of enrichment and of the feed, for the same number of samples.
pub(crate) struct DeliveryTimes {
    pub(crate) enrichment: Duration,
    pub(crate) feed: Duration,
    pub(crate) samples: usize,
}

/// Delivers batches to a fleet in a format. Each sample is delivered once, which is checked.
pub(crate) fn measure_delivery(runtime: &Runtime, format: DeliveryFormat, batches: usize) -> DeliveryTimes {
    let handler = runtime.block_on(Handler::new(Some(format)));
    let (memory, clock) = (&handler.memory, &handler.clock);
    let enrichment = Enrichment::<InMemory> {
        entitlements: CachedEntitlements::new(memory.clone(), clock.clone()),
        fleets: CachedFleets::new(memory.clone(), clock.clone()),
        bus: memory.clone(),
        index: memory.clone(),
        clock: clock.clone(),
    };
    let feed = FeedReader::<InMemory> {
        queue: memory.clone(),
        entitlements: CachedEntitlements::new(memory.clone(), clock.clone()),
        clock: clock.clone(),
    };
    let fleet = FleetOwner::prove(&Caller::Fleet(fleet_id())).expect("a fleet may read its feed");
    let mut times = DeliveryTimes { enrichment: Duration::ZERO, feed: Duration::ZERO, samples: 0 };
    for n in 0..=batches {
        let payload = batch(Form::Blocks, n);
        handler.next_batch();
        runtime.block_on(handler.handle(&payload));
        let published = memory.take_published();
        let before = cpu_time();
        for entry in &published {
            let events: Vec<&str> = entry.events.iter().map(String::as_str).collect();
            runtime.block_on(enrichment.deliver(&events)).expect("the entry is delivered");
        }
        let enriched = cpu_time();
        let mut delivered = 0;
        loop {
            let page = runtime.block_on(feed.read(&fleet, ReceiveOptions::default())).expect("a page of the feed");
            std::hint::black_box(page.cloud_events().expect("events"));
            delivered += page.events.iter().map(|delivered| delivered.event.sample_count()).sum::<usize>();
            if page.ack_handles.is_empty() {
                break;
            }
            runtime.block_on(feed.acknowledge(&fleet, &page.ack_handles)).expect("the page is acknowledged");
        }
        assert_eq!(delivered, SAMPLES_PER_BATCH, "each sample is delivered once");
        // The first batch fills the caches.
        if n > 0 {
            times.enrichment += enriched.saturating_sub(before);
            times.feed += cpu_time().saturating_sub(enriched);
            times.samples += delivered;
        }
    }
    times
}
