//! Forgets vehicles that were erased: nothing is evaluated, published or stored about them any more.
//!
//! What was received of an erased vehicle is dropped when its record is read. What is already in memory is found here: before time
//! passes for it, before it is retried, and after each change of a vehicle for all that is in memory.

use std::collections::{BTreeMap, BTreeSet};

use roadcast_domain::ids::VehicleId;
use roadcast_ports::PortError;
use roadcast_ports::clock::Clock as _;
use roadcast_ports::port_set::PortSet;

use crate::stream::EventReader;

use super::input::Input;
use super::outcome::EvaluationOutcome;
use super::shards::Shard;
use super::{AlertEvaluator, State};

/// Vehicles in memory that are checked after one batch.
const CHECKED_PER_BATCH: usize = 64;

/// Which vehicles in memory may have been erased.
#[derive(Default)]
pub(super) struct ErasureChecks {
    /// The version of all vehicles for which this was determined.
    version: u64,
    /// Those that are not checked yet.
    vids: BTreeSet<VehicleId>,
}

impl<Ports: PortSet> AlertEvaluator<Ports> {
    /// Removes the vehicles of a group that were erased, and forgets them. Those with a new event were not erased when the
    /// event was read.
    pub(super) async fn remove_erased(
        &self,
        state: &mut State,
        shard: &mut Shard,
        group: &mut BTreeMap<VehicleId, Input>,
    ) -> Result<(), PortError> {
        let unchecked = group.iter().filter(|(_, input)| !input.has_new_events()).map(|(vid, _)| vid.clone());
        let unchecked: BTreeSet<VehicleId> = unchecked.collect();
        if unchecked.is_empty() {
            return Ok(());
        }
        let mut reader = EventReader::start(&self.validator).await?;
        for vid in reader.erased(&unchecked, self.clock.now()).await? {
            group.remove(&vid);
            forget(state, shard, &vid);
        }
        Ok(())
    }

    /// Forgets erased vehicles that are in memory, some after each batch. Nothing is looked up while no vehicle changes.
    pub(super) async fn check_erasures(
        &self,
        state: &mut State,
        shard: &mut Shard,
        reader: &mut EventReader<'_, Ports>,
        record: usize,
        outcome: &mut EvaluationOutcome,
    ) {
        // A check that is in progress is completed first, so that every vehicle has its turn.
        if state.erasure_checks.vids.is_empty() && state.erasure_checks.version != reader.vehicles_version() {
            let (version, vids) = (reader.vehicles_version(), state.evaluations.vehicles());
            state.erasure_checks = ErasureChecks { version, vids };
        }
        let vids: BTreeSet<VehicleId> = state.erasure_checks.vids.iter().take(CHECKED_PER_BATCH).cloned().collect();
        if vids.is_empty() {
            return;
        }
        match reader.erased(&vids, self.clock.now()).await {
            Ok(erased) => {
                for vid in erased {
                    forget(state, shard, &vid);
                }
                state.erasure_checks.vids.retain(|vid| !vids.contains(vid));
            }
            Err(error) => outcome.fail(record, error),
        }
    }
}

fn forget(state: &mut State, shard: &mut Shard, vid: &VehicleId) {
    state.evaluations.forget_vehicle(vid);
    shard.unfinished.retain(|key| key.vid != *vid);
}
