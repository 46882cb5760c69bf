//! Alerts on the stream. The alert evaluator published each one and stored it before it put it on the stream
//! (`docs/decisions/0070-alerts-on-the-stream.md`), so what is left is to make sure that it is stored.

use std::sync::Arc;

use futures::stream::{self, StreamExt as _};
use roadcast_codec::alert_record;
use roadcast_domain::ids::Eid;
use roadcast_domain::secret::StackSecrets;
use roadcast_ports::PortError;
use roadcast_ports::event_log::EventLog as _;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::secrets::SecretSource as _;

use super::batch::{Batch, PendingEvent, Record, StepResult, by_vehicle, first_record, sort_by_vehicle};
use super::event_store::{CONCURRENCY, EventStore};
use super::quarantine::QuarantinedItemBuilder;

/// Reads the records of alerts, which only the alert evaluator writes.
pub struct AlertReader<Ports: PortSet> {
    /// The secret by which a record is authentic.
    pub secrets: Ports::SecretSource,
}

impl<Ports: PortSet> AlertReader<Ports> {
    /// Reads an alert from the text of a record. It remains if it is authentic; otherwise its record is quarantined.
    pub(super) async fn read(&self, batch: Batch<'_>, record_index: usize, text: &str) -> StepResult {
        let mut step = StepResult::default();
        let record = &batch.records[record_index];
        let secrets: Arc<StackSecrets> = match self.secrets.secrets().await {
            Ok(secrets) => secrets,
            Err(error) => {
                step.outcome.fail(record_index, error);
                return step;
            }
        };
        step.outcome.counts.samples_received = 1;
        match alert_record::read(text, &secrets) {
            Ok(log_entry) => {
                step.remaining.push(PendingEvent { record: record_index, index: 0, is_exclusive: false, log_entry });
            }
            Err(refusal) => {
                let item = QuarantinedItemBuilder { record }.refused(&refusal, None, &record.raw.data, 1);
                step.quarantined.push((record_index, item));
            }
        }
        step
    }
}

impl<Ports: PortSet> EventStore<Ports> {
    /// Stores the alerts that the log does not have. An alert changes no state. No event remains.
    pub(super) async fn store_alerts(&self, records: &[Record], mut alerts: Vec<PendingEvent>) -> StepResult {
        let mut step = StepResult::default();
        let received = alerts.len();
        sort_by_vehicle(&mut alerts);
        alerts.dedup_by(|later, first| later.eid() == first.eid() && later.vid() == first.vid());
        // A loop, because the compiler rejects a closure over borrowed alerts here.
        let mut look_ups = Vec::new();
        for alerts in by_vehicle(alerts) {
            look_ups.push(self.without_stored(alerts));
        }
        let looked_up: Vec<_> = stream::iter(look_ups).buffer_unordered(CONCURRENCY).collect().await;
        let mut missing = Vec::new();
        let mut failed = 0;
        for (alerts, result) in looked_up {
            match result {
                Ok(()) => missing.extend(alerts),
                Err(error) => {
                    failed += alerts.len();
                    step.outcome.fail(first_record(&alerts), error);
                }
            }
        }
        step.outcome.counts.events_deduplicated = received - missing.len() - failed;
        self.append_to_log(records, missing, &mut step).await;
        step
    }

    /// Returns those alerts of a vehicle that are not stored, or all of them if that is not known.
    async fn without_stored(&self, mut alerts: Vec<PendingEvent>) -> (Vec<PendingEvent>, Result<(), PortError>) {
        let Some(vid) = alerts.first().map(|alert| alert.vid().clone()) else { return (alerts, Ok(())) };
        let eids: Vec<Eid> = alerts.iter().map(PendingEvent::eid).collect();
        match self.log.stored_ids(&vid, &eids).await {
            Ok(stored) => {
                alerts.retain(|alert| !stored.contains(&alert.eid()));
                (alerts, Ok(()))
            }
            Err(error) => (alerts, Err(error)),
        }
    }
}
