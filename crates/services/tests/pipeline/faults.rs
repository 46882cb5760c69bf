//! Faults of ports and repeated deliveries do not change the result.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use roadcast_domain::ids::Eid;
use roadcast_domain::state::VehicleState;
use roadcast_testbed::FaultPlan;

use crate::fixture::{PipelineFixture, admin};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Under any faults and retries: every accepted upload is archived and stored, the fleet receives each event once after
    /// removing duplicates by id, and the state equals that of a run without faults.
    #[test]
    fn faults_and_retries_do_not_change_the_result(
        seed in 0_u64..1_000_000,
        uploads in prop::collection::vec((0_u8..6, prop::collection::vec((0_i64..200, -50.0_f64..200.0), 1..4)), 1..14),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let pipeline = PipelineFixture::new(seed);
            let vid = pipeline.vehicle("v").await;
            let fleet = pipeline.fleet(std::slice::from_ref(&vid), &["telematics", "track-and-trace"]).await;
            // The same id with other samples would be another event, so each id keeps the samples of its first use.
            let mut first = BTreeMap::new();
            for (id, samples) in &uploads {
                let samples = first.entry(*id).or_insert(samples);
                pipeline.upload(&vid, &id.to_string(), samples).await;
            }
            pipeline.process_all(|n| FaultPlan::seeded(n, 20)).await;

            let stored = pipeline.stored_events();
            prop_assert_eq!(stored.len(), first.len());
            let archived: BTreeSet<String> = pipeline.memory.archived().iter()
                .flat_map(|batch| batch.records.iter().map(|record| record.sequence_number.clone())).collect();
            prop_assert_eq!(archived.len(), uploads.len());

            let delivered: BTreeSet<Eid> = pipeline.drain_feed(&fleet).await.iter().map(|event| event.eid).collect();
            prop_assert_eq!(delivered, stored.iter().map(|stored| stored.event.eid).collect::<BTreeSet<_>>());

            let mut expected = VehicleState::default();
            for stored in &stored {
                expected.merge_event(&stored.event);
            }
            let (state, _) = pipeline.states().state(&admin(), &vid).await.unwrap();
            prop_assert_eq!(state.signals, expected.signals);
            Ok(())
        })?;
    }
}
