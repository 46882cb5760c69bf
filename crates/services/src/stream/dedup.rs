//! What is stored already, and what is known of the vehicles.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_ports::PortError;
use roadcast_ports::event_log::{EventLog, EventRange};
use roadcast_ports::state::{StateStore, StoredState};

use super::processor::{BatchOutcome, CONCURRENCY, Pending, StreamProcessor, first_record};
use crate::log_scan;

/// Events of one vehicle that lie within this of each other are looked up in one range, in milliseconds.
const SAME_RANGE_MS: i64 = 10 * 60 * 1000;

/// What is known of a vehicle, and which of the events asked for are stored.
type LookUp = Result<(StoredState, BTreeSet<Eid>), PortError>;

impl<A, Q, V, E, B, S: StateStore, L: EventLog, H, K> StreamProcessor<A, Q, V, E, B, S, L, H, K> {
    /// Drops events that this batch holds twice or that are stored already, and those that cannot be looked up for now.
    /// Answers what is known of the vehicles of the others.
    pub(super) async fn drop_duplicates(
        &self,
        pending: &mut Vec<Pending>,
        outcome: &mut BatchOutcome,
    ) -> HashMap<VehicleId, StoredState> {
        let before = pending.len();
        let mut seen = BTreeSet::new();
        pending.retain(|event| seen.insert((event.stored.event.vid.clone(), event.stored.event.eid)));
        outcome.counts.events_deduplicated += before - pending.len();

        let mut by_vehicle: BTreeMap<VehicleId, Vec<Eid>> = BTreeMap::new();
        for Pending { stored, .. } in pending.iter() {
            by_vehicle.entry(stored.event.vid.clone()).or_default().push(stored.event.eid);
        }
        let look_ups = by_vehicle.into_iter().map(|(vid, eids)| async move {
            let answer = self.look_up(&vid, eids).await;
            (vid, answer)
        });
        let looked_up: Vec<(VehicleId, LookUp)> = stream::iter(look_ups).buffer_unordered(CONCURRENCY).collect().await;

        let mut known = HashMap::new();
        for (vid, answer) in looked_up {
            let is_of = |event: &Pending| event.stored.event.vid == vid;
            match answer {
                Ok((state, stored)) => {
                    let before = pending.len();
                    pending.retain(|event| !is_of(event) || !stored.contains(&event.stored.event.eid));
                    outcome.counts.events_deduplicated += before - pending.len();
                    known.insert(vid, state);
                }
                Err(error) => {
                    outcome.fail(first_record(pending.iter().filter(|event| is_of(event))), error);
                    pending.retain(|event| !is_of(event));
                }
            }
        }
        known
    }

    /// What is known of a vehicle, and which of these events of it are stored.
    async fn look_up(&self, vid: &VehicleId, eids: Vec<Eid>) -> LookUp {
        let known = self.state.read(vid).await?;
        let in_doubt = |eid: &Eid| known.state.may_hold(eid.time()) && !self.recent.is_behind(vid, *eid);
        let doubtful = eids.into_iter().filter(in_doubt).collect();
        let stored = self.stored(vid, doubtful).await?;
        Ok((known, stored))
    }

    /// Which of these events of a vehicle are stored.
    async fn stored(&self, vid: &VehicleId, mut eids: Vec<Eid>) -> Result<BTreeSet<Eid>, PortError> {
        eids.sort_unstable();
        // Events that lie far apart are looked up apart, or a late one would read all that lies between; several at once,
        // because a sender may spread a few kilobytes over years.
        let mut look_ups = Vec::new();
        for stretch in eids.chunk_by(|a, b| b.time().ms_since(a.time()) < SAME_RANGE_MS) {
            if let (Some(first), Some(last)) = (stretch.first(), stretch.last()) {
                look_ups.push(self.stored_between(vid, *first, *last));
            }
        }
        stream::iter(look_ups).buffer_unordered(CONCURRENCY).try_concat().await
    }

    async fn stored_between(&self, vid: &VehicleId, first: Eid, last: Eid) -> Result<BTreeSet<Eid>, PortError> {
        let mut stored = BTreeSet::new();
        let range = EventRange { vid: vid.clone(), from: first, to: last, limit: log_scan::PAGE, consistent: false };
        log_scan::scan(&self.log, range, |found| {
            stored.insert(found.event.eid);
        })
        .await?;
        Ok(stored)
    }
}
