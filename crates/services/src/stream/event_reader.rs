//! Reads the valid events of records, for a use case beside the stream processor, which quarantines what is invalid.

use std::collections::BTreeSet;

use roadcast_codec::stream_record::{self, RecordTexts};
use roadcast_domain::Timestamp;
use roadcast_domain::event::Event;
use roadcast_domain::ids::VehicleId;
use roadcast_ports::PortError;
use roadcast_ports::port_set::PortSet;

use super::batch::{Batch, Record};
use super::record_kind::RecordKind;
use super::validate::{EventValidator, ReceivedEvent, ResolvedNames};

/// Reads the valid events of records, one record after the other, as the stream processor does.
pub(crate) struct EventReader<'v, Ports: PortSet> {
    validator: &'v EventValidator<Ports>,
    names: ResolvedNames,
    texts: RecordTexts,
}

/// What a record contains.
#[derive(Debug, PartialEq)]
pub(crate) enum RecordContent {
    /// The valid events, and the number of invalid samples and events.
    Events(Vec<Event>, usize),
    /// Alerts, which Roadcast itself put on the stream.
    Alerts,
    /// Nothing but the time of its arrival.
    Tick,
}

impl<'v, Ports: PortSet> EventReader<'v, Ports> {
    /// Starts to read records that were received before.
    pub(crate) async fn start(validator: &'v EventValidator<Ports>) -> Result<Self, PortError> {
        Ok(Self { validator, names: validator.start_batch().await?, texts: RecordTexts::default() })
    }

    /// Resolves the vehicles that the partition keys of records name, concurrently.
    pub(crate) async fn resolve_keys(&mut self, records: &[Record]) {
        let keys = records.iter().map(|record| record.raw.partition_key.as_str());
        self.validator.resolve(keys, &mut self.names).await;
    }

    /// The version of all vehicles for which the records are read.
    pub(crate) const fn vehicles_version(&self) -> u64 {
        self.names.version()
    }

    /// Returns which of these vehicles were erased. Fails if a vehicle cannot be looked up.
    pub(crate) async fn erased(
        &mut self,
        vids: &BTreeSet<VehicleId>,
        now: Timestamp,
    ) -> Result<BTreeSet<VehicleId>, PortError> {
        self.validator.resolve(vids.iter().map(VehicleId::as_str), &mut self.names).await;
        let mut erased = BTreeSet::new();
        for vid in vids {
            if self.names.is_erased(vid.as_str(), now)? {
                erased.insert(vid.clone());
            }
        }
        Ok(erased)
    }

    /// Reads a record. Fails only if a port does.
    pub(crate) async fn read(&mut self, record: &Record) -> Result<RecordContent, PortError> {
        let Self { validator, names, texts } = self;
        let text = texts.read(&record.raw.data);
        let Ok(text) = &text else { return Ok(RecordContent::Events(Vec::new(), 1)) };
        match RecordKind::of(text) {
            RecordKind::Tick => return Ok(RecordContent::Tick),
            RecordKind::Alert => return Ok(RecordContent::Alerts),
            RecordKind::Events => {}
        }
        let batch = Batch::of_stream(std::slice::from_ref(record));
        let Ok(received) = ReceivedEvent::parse_all(batch, 0, text) else {
            return Ok(RecordContent::Events(Vec::new(), 1));
        };
        validator.resolve(received.iter().filter_map(ReceivedEvent::vehicle_name), names).await;
        let mut budget = stream_record::record_budget();
        let (mut events, mut invalid) = (Vec::new(), 0);
        for event in received {
            let mut validated = validator.validate(event, names, &mut budget).await;
            if let Some(error) = validated.outcome.failures.pop() {
                return Err(error);
            }
            invalid += validated.quarantined.len();
            events.extend(validated.remaining.into_iter().map(|pending| pending.log_entry.event));
        }
        Ok(RecordContent::Events(events, invalid))
    }
}
