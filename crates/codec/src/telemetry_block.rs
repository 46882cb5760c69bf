//! Telemetry events of one vehicle as a columnar block, and the key that identifies a set of events.

use roadcast_blocks::{Block, BlockEvent};
use roadcast_domain::event::{Body, Event, Telemetry};
use roadcast_domain::ids::{Eid, VehicleId};
use sha2::{Digest as _, Sha256};

/// The key of the segment of those events, in `eid` order; nothing where there are none.
pub fn key_of(eids: impl Iterator<Item = Eid> + Clone) -> Option<String> {
    let first = eids.clone().next()?;
    let mut hash = Sha256::new();
    eids.for_each(|eid| hash.update(eid.bits().to_be_bytes()));
    let digest = hash.finalize();
    Some(format!("{first}#{:02x}{:02x}{:02x}{:02x}", digest[0], digest[1], digest[2], digest[3]))
}

/// The block of telemetry events, in their order; nothing where no block can hold them.
pub fn block_of<'e>(events: impl Iterator<Item = &'e Event>) -> Option<Block> {
    let rows = events.filter_map(|event| match &event.body {
        Body::Telemetry(telemetry) => {
            Some(BlockEvent { eid: event.eid.bits(), received: event.received, samples: telemetry.samples.clone() })
        }
        Body::Diagnostic(_) | Body::Custom(_) => None,
    });
    Block::of_events(&rows.collect::<Vec<_>>()).ok()
}

/// The events of a vehicle's block.
pub fn telemetry_of(vid: &VehicleId, block: &Block) -> Vec<Event> {
    let event = |row: BlockEvent| Event {
        eid: Eid::from_bits(row.eid),
        vid: vid.clone(),
        received: row.received,
        body: Body::Telemetry(Telemetry { samples: row.samples }),
    };
    block.events().into_iter().map(event).collect()
}
