//! An ingest bus whose entries are enriched at once.

use roadcast_ports::PortError;
use roadcast_ports::bus::{Batch, IngestBus};
use roadcast_services::cache::{CachedEntitlements, CachedFleets};
use roadcast_services::delivery::enrichment::{Enrichment, EnrichmentCounts};
use roadcast_testbed::{InMemory, ManualClock, Memory};

use crate::fixture::PipelineFixture;

/// An ingest bus with its rule and enrichment. Checks that enrichment counts no probe.
#[derive(Clone)]
pub(crate) struct EnrichingBus {
    memory: Memory,
    clock: ManualClock,
}

impl EnrichingBus {
    pub(crate) fn new(pipeline: &PipelineFixture) -> Self {
        Self { memory: pipeline.memory.clone(), clock: pipeline.clock.clone() }
    }
}

impl IngestBus for EnrichingBus {
    async fn publish(&self, entries: &[Batch]) -> Vec<Result<(), PortError>> {
        let enrichment = Enrichment::<InMemory> {
            entitlements: CachedEntitlements::new(self.memory.clone(), self.clock.clone()),
            fleets: CachedFleets::new(self.memory.clone(), self.clock.clone()),
            bus: self.memory.clone(),
            index: self.memory.clone(),
            clock: self.clock.clone(),
        };
        let mut results = Vec::new();
        for entry in entries {
            let events: Vec<&str> = entry.events.iter().map(String::as_str).collect();
            let counts = enrichment.deliver(&events).await.unwrap();
            assert_eq!(counts, EnrichmentCounts::default(), "a probe is not counted");
            results.push(Ok(()));
        }
        results
    }
}
