//! Every hop reports the events that may be traced, by the same ids, and nothing that is sent depends on it.

use roadcast_domain::ids::Eid;
use roadcast_domain::trace::{EventSampling, TraceCandidates};
use roadcast_ports::feed::ReceiveOptions;
use roadcast_services::cache::{CachedEntitlements, CachedFleets};
use roadcast_services::delivery::enrichment::Enrichment;
use roadcast_testbed::{Fault, FaultPlan, InMemory};

use crate::fixture::{PipelineFixture, admin, client_of, event};

fn all(candidates: &TraceCandidates) -> Vec<Eid> {
    let mut eids: Vec<Eid> = candidates.traced(EventSampling::per_million(1_000_000).unwrap()).collect();
    eids.sort_unstable();
    eids
}

#[tokio::test]
async fn every_hop_reports_the_eids_of_the_upload() {
    for seed in [0, 1] {
        let pipeline = PipelineFixture::new(seed);
        let vid = pipeline.vehicle("v").await;
        let fleet_id = pipeline.fleet(std::slice::from_ref(&vid), &["telematics"]).await;
        let mut uploaded = Vec::new();
        for (id, second) in [("1", 10), ("2", 20), ("3", 30)] {
            let receipt = pipeline.ingest().upload(&admin(), &vid, &event(id, &[(second, 50.0)]).to_string()).await;
            uploaded.extend(receipt.unwrap().into_iter().map(|event| event.eid));
        }
        uploaded.sort_unstable();

        let without_log = |port| if port == 6 { FaultPlan::always(Fault::Unavailable) } else { FaultPlan::healthy() };
        let failed = pipeline.process_once(&without_log).await;
        assert_eq!(all(&failed.trace_candidates), [] as [Eid; 0], "nothing was stored");
        let processed = pipeline.process_once(&|_| FaultPlan::healthy()).await;
        assert_eq!(all(&processed.trace_candidates), uploaded);
        let repeated = pipeline.process_once(&|_| FaultPlan::healthy()).await;
        assert_eq!(all(&repeated.trace_candidates), [] as [Eid; 0], "stored events are dropped");

        let (memory, clock) = (&pipeline.memory, &pipeline.clock);
        let enrichment = Enrichment::<InMemory> {
            entitlements: CachedEntitlements::new(memory.clone(), clock.clone()),
            fleets: CachedFleets::new(memory.clone(), clock.clone()),
            bus: memory.clone(),
            index: memory.clone(),
            clock: clock.clone(),
        };
        let mut delivered = TraceCandidates::default();
        for batch in memory.take_published() {
            let events: Vec<&str> = batch.events.iter().map(String::as_str).collect();
            delivered.extend(enrichment.deliver(&events).await.unwrap().trace_candidates);
        }
        assert_eq!(all(&delivered), uploaded);
        let feed = pipeline.feed_reader().read(&client_of(&fleet_id), ReceiveOptions::default()).await.unwrap();
        let mut read: Vec<Eid> = feed.events.iter().map(|delivered| delivered.event.eid).collect();
        read.sort_unstable();
        assert_eq!(read, uploaded);
    }
}
