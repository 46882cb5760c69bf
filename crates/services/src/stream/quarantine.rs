//! Quarantined items of a record, each with its reason and its bytes.

use roadcast_codec::stream_record;
use roadcast_domain::cloudevent;
use roadcast_domain::event::Event;
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_domain::json_pointer::JsonPointer;
use roadcast_domain::refusal::{Reason, Refusal};
use roadcast_domain::validation;
use roadcast_ports::PortError;
use roadcast_ports::archive::{QuarantinedItem, RawRecord};

use super::batch::{PendingEvent, Record, StepResult};

/// Quarantines an event that a store or the bus has refused because of its data. A retry would never succeed.
pub(super) fn quarantine_refused(step: &mut StepResult, records: &[Record], event: &PendingEvent, error: PortError) {
    let builder = QuarantinedItemBuilder { record: &records[event.record] };
    step.quarantined.push((event.record, builder.unstorable(&event.log_entry.event, event.index)));
    step.outcome.quarantine_causes.push(error);
}

/// Builds the quarantined items of a record.
pub(super) struct QuarantinedItemBuilder<'a> {
    pub(super) record: &'a Record,
}

impl QuarantinedItemBuilder<'_> {
    /// A refused event, or a record that cannot be read.
    pub(super) fn refused(
        &self,
        refusal: &Refusal,
        vid: Option<VehicleId>,
        bytes: &[u8],
        samples: usize,
    ) -> QuarantinedItem {
        QuarantinedItem {
            reason: refusal.reason,
            pointer: refusal.pointer.clone(),
            vid,
            eid: None,
            index: None,
            samples,
            bytes: bytes.to_vec(),
            ..self.item(refusal.reason)
        }
    }

    /// An invalid sample of an event.
    pub(super) fn sample(&self, vid: &VehicleId, eid: Eid, sample: &validation::QuarantinedSample) -> QuarantinedItem {
        QuarantinedItem {
            pointer: sample.pointer.clone(),
            vid: Some(vid.clone()),
            eid: Some(eid),
            index: Some(sample.index),
            bytes: sample.bytes.clone().into_bytes(),
            ..self.item(sample.reason)
        }
    }

    /// An event that a store or the bus refuses because of its data; `index` is its index in the record.
    fn unstorable(&self, event: &Event, index: usize) -> QuarantinedItem {
        let text = stream_record::decode_text(&self.record.raw.data).unwrap_or_default();
        // The event was read from this record, so it is found again.
        let bytes =
            cloudevent::split_events(&text).ok().and_then(|events| events.get(index).map(|event| event.get().to_owned()));
        QuarantinedItem {
            vid: Some(event.vid.clone()),
            eid: Some(event.eid),
            samples: event.sample_count(),
            bytes: bytes.unwrap_or_default().into_bytes(),
            ..self.item(Reason::Unstorable)
        }
    }

    fn item(&self, reason: Reason) -> QuarantinedItem {
        let RawRecord { sequence_number, arrived_at, .. } = &*self.record.raw;
        QuarantinedItem {
            reason,
            pointer: JsonPointer::ROOT,
            vid: None,
            eid: None,
            index: None,
            samples: 1,
            shard: self.record.shard.clone(),
            sequence_number: sequence_number.clone(),
            arrived_at: *arrived_at,
            bytes: Vec::new(),
        }
    }
}
