//! Setting aside what cannot be taken: each with the record it came in, and its bytes.

use roadcast_codec::stream_record;
use roadcast_domain::cloudevent;
use roadcast_domain::event::Event;
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_domain::refusal::{Reason, Refusal};
use roadcast_domain::validation;
use roadcast_ports::archive::{QuarantinedItem, RawRecord};

use super::processor::Record;

/// Setting aside what came in a record.
pub(super) struct RecordQuarantine<'a> {
    pub(super) record: &'a Record,
}

impl RecordQuarantine<'_> {
    pub(super) fn whole(&self, refusal: &Refusal, vid: Option<VehicleId>, bytes: &[u8], samples: usize) -> QuarantinedItem {
        QuarantinedItem {
            reason: refusal.reason,
            pointer: refusal.pointer.clone(),
            vid,
            eid: None,
            index: None,
            samples,
            bytes: bytes.to_vec(),
            ..self.blank(refusal.reason)
        }
    }

    pub(super) fn sample(&self, vid: &VehicleId, eid: Eid, sample: &validation::QuarantinedSample) -> QuarantinedItem {
        QuarantinedItem {
            pointer: sample.pointer.clone(),
            vid: Some(vid.clone()),
            eid: Some(eid),
            index: Some(sample.index),
            bytes: sample.bytes.clone().into_bytes(),
            ..self.blank(sample.reason)
        }
    }

    /// An event that the stores refuse; `place` is its place in the record.
    pub(super) fn unstorable(&self, event: &Event, place: usize) -> QuarantinedItem {
        let text = stream_record::decode_text(&self.record.raw.data).unwrap_or_default();
        // It was read from there a moment ago.
        let bytes = cloudevent::split(&text).ok().and_then(|events| events.get(place).map(|event| event.get().to_owned()));
        QuarantinedItem {
            vid: Some(event.vid.clone()),
            eid: Some(event.eid),
            samples: event.sample_count(),
            bytes: bytes.unwrap_or_default().into_bytes(),
            ..self.blank(Reason::Unstorable)
        }
    }

    fn blank(&self, reason: Reason) -> QuarantinedItem {
        let RawRecord { sequence_number, arrived_at, .. } = &self.record.raw;
        QuarantinedItem {
            reason,
            pointer: String::new(),
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
