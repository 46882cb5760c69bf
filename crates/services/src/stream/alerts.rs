//! Alerts on the stream. The alert evaluator published each one and stored it before it put it on the stream
//! (`docs/decisions/0070-alerts-on-the-stream.md`), so what is left is to make sure that it is stored.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::stream::{self, StreamExt as _};
use roadcast_codec::alert_record;
use roadcast_domain::ids::Eid;
use roadcast_domain::secret::StackSecrets;
use roadcast_ports::PortError;
use roadcast_ports::event_log::EventLog as _;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::secrets::SecretSource as _;

use super::batch::{Batch, PendingEvent, Record, StepResult, by_vehicle, first_record};
use super::dedup::drop_repeated;
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
        match alert_record::read(text, &secrets) {
            Ok(log_entry) if batch.vehicles.is_some_and(|vehicles| !vehicles.contains(&log_entry.event.vid)) => {}
            Ok(log_entry) => {
                step.outcome.counts.samples_received = 1;
                step.remaining.push(PendingEvent { record: record_index, index: 0, is_exclusive: false, log_entry });
            }
            // A record that is not authentic is of no vehicle.
            Err(_) if batch.vehicles.is_some() => {}
            Err(refusal) => {
                step.outcome.counts.samples_received = 1;
                let item = QuarantinedItemBuilder { record }.refused(&refusal, None, &record.raw.data, 1);
                step.quarantined.push((record_index, item));
            }
        }
        step
    }
}

impl<Ports: PortSet> EventStore<Ports> {
    /// Stores the alerts that the log does not have. An alert changes no state. No event remains.
    pub(super) async fn store_alerts(&self, records: &[Record], alerts: Vec<PendingEvent>) -> StepResult {
        let mut step = self.drop_stored_alerts(alerts).await;
        let stored = self.append_to_log(records, std::mem::take(&mut step.remaining)).await;
        step.outcome.add(stored.outcome);
        step.quarantined.extend(stored.quarantined);
        step
    }

    /// Drops the alerts that the log has, and those whose look-up failed.
    pub(super) async fn drop_stored_alerts(&self, mut alerts: Vec<PendingEvent>) -> StepResult {
        let mut step = StepResult::default();
        step.outcome.counts.events_deduplicated = drop_repeated(&mut alerts);
        // A loop, because the compiler rejects a closure over borrowed alerts here.
        let mut look_ups = Vec::new();
        for alerts in by_vehicle(alerts) {
            look_ups.push(self.stored_alerts(alerts));
        }
        let looked_up: Vec<_> = stream::iter(look_ups).buffer_unordered(CONCURRENCY).collect().await;
        for (alerts, result) in looked_up {
            match result {
                Ok(stored) => {
                    step.outcome.counts.events_deduplicated += stored.len();
                    step.remaining.extend(alerts.into_iter().filter(|alert| !stored.contains(&alert.eid())));
                }
                Err(error) => step.outcome.fail(first_record(&alerts), error),
            }
        }
        step
    }

    /// Looks up which alerts of a vehicle are stored.
    async fn stored_alerts(&self, alerts: Vec<PendingEvent>) -> (Vec<PendingEvent>, Result<BTreeSet<Eid>, PortError>) {
        let Some(vid) = alerts.first().map(|alert| alert.vid().clone()) else { return (alerts, Ok(BTreeSet::new())) };
        let eids: Vec<Eid> = alerts.iter().map(PendingEvent::eid).collect();
        let stored = self.log.stored_ids(&vid, &eids).await;
        (alerts, stored)
    }
}
