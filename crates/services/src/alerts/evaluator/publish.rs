//! Publishes alerts: stores them, publishes them on the ingest bus, and puts them on the stream.

use std::collections::BTreeMap;

use futures::future::join;
use roadcast_codec::{alert_record, bus_entry};
use roadcast_domain::event::{Body, StoredEvent};
use roadcast_domain::ids::FleetId;
use roadcast_domain::lane::Lane;
use roadcast_domain::secret::StackSecrets;
use roadcast_domain::subscription::DeliveryFormat;
use roadcast_ports::bus::{Batch, IngestBus as _};
use roadcast_ports::event_log::EventLog as _;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::secrets::SecretSource as _;
use roadcast_ports::stream::{StreamRecord, TelemetryStream as _};
use roadcast_ports::{PortError, PortErrorKind};

use crate::entry_packing::{entry_share, pack};

/// Publishes alerts. Each step can be repeated, because the events always are the same
/// (`docs/decisions/0070-alerts-on-the-stream.md`).
pub struct AlertPublisher<Ports: PortSet> {
    /// The event log, which has an alert before any fleet receives it.
    pub log: Ports::EventLog,
    /// The ingest bus, which leads to enrichment.
    pub bus: Ports::IngestBus,
    /// The stream, which leads to the archive.
    pub stream: Ports::TelemetryStream,
    /// The secret by which the records of alerts are authentic.
    pub secrets: Ports::SecretSource,
}

/// An alert as it is published.
struct Encoded {
    /// Its index among the alerts.
    index: usize,
    json: String,
    record: StreamRecord,
    bytes: usize,
}

impl<Ports: PortSet> AlertPublisher<Ports> {
    /// Publishes alerts. Returns the result of each, in order.
    pub(super) async fn publish(&self, alerts: &[StoredEvent]) -> Vec<Result<(), PortError>> {
        if alerts.is_empty() {
            return Vec::new();
        }
        let secrets = match self.secrets.secrets().await {
            Ok(secrets) => secrets,
            Err(error) => return alerts.iter().map(|_| Err(error.clone())).collect(),
        };
        let mut results = self.log.append(alerts).await;
        // By owner, because an entry becomes one entry for each fleet in it.
        let mut by_owner: BTreeMap<Option<&str>, Vec<Encoded>> = BTreeMap::new();
        for (index, alert) in alerts.iter().enumerate() {
            if results.get(index).is_none_or(Result::is_err) {
                continue;
            }
            match encode(index, alert, &secrets) {
                Ok(encoded) => by_owner.entry(owner_of(alert)).or_default().push(encoded),
                Err(error) => set(&mut results, index, Err(error)),
            }
        }
        let (mut groups, mut records, mut indexes) = (Vec::new(), Vec::new(), Vec::new());
        for (owner, encoded) in by_owner {
            records.extend(encoded.iter().map(|encoded| encoded.record.clone()));
            indexes.extend(encoded.iter().map(|encoded| encoded.index));
            match owner {
                Some(_) => {
                    let packed = pack(encoded, |encoded| entry_share(&encoded.json, encoded.bytes));
                    groups.extend(packed.into_iter().map(|group| (group, false)));
                }
                // Each alert of the operator has its own entry, so that rules of the bus can send it to the operator.
                None => groups.extend(encoded.into_iter().map(|encoded| (vec![encoded], true))),
            }
        }
        let entry = |(group, for_notices): &(Vec<Encoded>, bool)| Batch {
            lane: Lane::Alerts,
            for_notices: *for_notices,
            events: group.iter().map(|encoded| encoded.json.clone()).collect(),
        };
        let entries: Vec<Batch> = groups.iter().map(entry).collect();
        let (published, put) = join(self.bus.publish(&entries), self.stream.put(&records)).await;
        for ((group, _), result) in groups.iter().zip(published) {
            if let Err(error) = result {
                for encoded in group {
                    set(&mut results, encoded.index, Err(error.clone()));
                }
            }
        }
        for (index, result) in indexes.into_iter().zip(put) {
            if result.is_err() {
                set(&mut results, index, result);
            }
        }
        results
    }
}

fn set(results: &mut [Result<(), PortError>], index: usize, result: Result<(), PortError>) {
    if let Some(stored) = results.get_mut(index) {
        *stored = result;
    }
}

fn owner_of(alert: &StoredEvent) -> Option<&str> {
    match &alert.event.body {
        Body::Alert(alert) => alert.rule.fleet_id.as_ref().map(FleetId::as_str),
        _ => None,
    }
}

fn encode(index: usize, alert: &StoredEvent, secrets: &StackSecrets) -> Result<Encoded, PortError> {
    let failed = || PortError::new(PortErrorKind::Rejected, "encode an alert");
    let entries = bus_entry::encode(&[&alert.event], DeliveryFormat::Json, None);
    let entries = entries.map_err(|error| failed().caused_by(error))?;
    let json = entries.into_iter().next().ok_or_else(failed)?.json;
    let data = alert_record::write(&alert.event, secrets).map_err(|error| failed().caused_by(error))?;
    let record = StreamRecord { vid: alert.event.vid.clone(), data };
    Ok(Encoded { index, json, record, bytes: alert.event.memory_bytes() })
}
