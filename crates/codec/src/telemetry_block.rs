//! Conversion between telemetry events of one vehicle and a columnar block, and the key of a set of events.

use roadcast_blocks::{Block, BlockEvent};
use roadcast_domain::event::{Body, Event, Telemetry};
use roadcast_domain::ids::{Eid, VehicleId};
use sha2::{Digest as _, Sha256};

/// Returns the key of the segment with these event ids, in `eid` order, or `None` if there are none.
pub fn segment_key(eids: impl Iterator<Item = Eid> + Clone) -> Option<String> {
    let first = eids.clone().next()?;
    let mut hash = Sha256::new();
    eids.for_each(|eid| hash.update(eid.bits().to_be_bytes()));
    let digest = hash.finalize();
    Some(format!("{first}#{}", hex::encode(&digest[..4])))
}

/// Encodes telemetry events as a block, in order. Other events are skipped. Returns `None` if the events exceed the limits
/// of a block.
pub fn encode_block<'e>(events: impl Iterator<Item = &'e Event>) -> Option<Block> {
    let rows = events.filter_map(|event| match &event.body {
        Body::Telemetry(telemetry) => {
            Some(BlockEvent { eid: event.eid.bits(), received: event.received, samples: telemetry.samples.clone() })
        }
        Body::Diagnostic(_) | Body::Custom(_) => None,
    });
    Block::from_events(&rows.collect::<Vec<_>>()).ok()
}

/// Returns the events of a vehicle's block.
pub fn events_of_block(vid: &VehicleId, block: &Block) -> Vec<Event> {
    let event = |row: BlockEvent| Event {
        eid: Eid::from_bits(row.eid),
        vid: vid.clone(),
        received: row.received,
        body: Body::Telemetry(Telemetry { samples: row.samples }),
    };
    block.events().into_iter().map(event).collect()
}
