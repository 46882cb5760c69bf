//! Sends one letter to where it failed.

use futures::stream::{self, StreamExt as _};
use roadcast_domain::dead_letter::{DeadLetter, Hop, RedriveId, RedriveMark};
use roadcast_domain::fleet::FleetState;
use roadcast_ports::bus::{DeliveryBus as _, FleetBatch};
use roadcast_ports::dead_letters::DeadLetterContents as _;
use roadcast_ports::fleets::Fleets as _;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::redrive::{ArchivedRecords as _, RedriveTargets as _, RedrivenBatch};
use roadcast_ports::stream::TelemetryStream as _;
use roadcast_ports::{PortError, PortErrorKind};

use super::redelivery::{self, Unsendable};
use super::stream_records;
use crate::dead_letters::collector::MAX_RECORD_BYTES;

/// Invocations of the stream processor at the same time.
const CONCURRENT_INVOCATIONS: usize = 4;

/// Sends letters to where they failed.
pub struct LetterSender<Ports: PortSet> {
    /// The bytes of letters.
    pub contents: Ports::DeadLetterContents,
    /// The records of the archive.
    pub archive: Ports::ArchivedRecords,
    /// The stream processor, enrichment, the loader of bulk files, and the notices of alerts.
    pub targets: Ports::RedriveTargets,
    /// The stream.
    pub stream: Ports::TelemetryStream,
    /// The delivery buses.
    pub bus: Ports::DeliveryBus,
    /// The fleets.
    pub fleets: Ports::Fleets,
    /// The webhook deliveries.
    pub deliveries: Ports::Deliveries,
    /// The webhook endpoints.
    pub endpoints: Ports::Endpoints,
    /// The queues of tasks of webhooks.
    pub tasks: Ports::DeliveryQueue,
}

impl From<PortError> for Unsendable {
    fn from(error: PortError) -> Self {
        let detail = match error.kind() {
            PortErrorKind::Rejected => format!("{error}; the data is refused, so a further redrive cannot succeed"),
            _ => format!("{error}; redrive it again later, with another redrive id"),
        };
        Self::new("target-failed", detail)
    }
}

impl<Ports: PortSet> LetterSender<Ports> {
    /// Sends a letter, and waits until it is processed where that is possible.
    pub(super) async fn send(&self, letter: &DeadLetter, mark: &RedriveMark) -> Result<(), Unsendable> {
        let RedriveMark { redrive_id, at } = mark;
        match letter.hop {
            Hop::Stream => {
                let records = stream_records::of_failed_invocation(&self.bytes(letter).await?);
                let records = records.ok_or_else(|| Unsendable::unreadable("an invocation record with its payload"))?;
                self.process(letter, redrive_id, records).await
            }
            Hop::Quarantine => {
                let records = self.quarantined_records(letter).await?;
                self.process(letter, redrive_id, records).await
            }
            Hop::Enrichment => {
                let lane = letter.pointers.lane.as_deref();
                let lane = lane.ok_or_else(|| Unsendable::new("no-lane", "the lane of enrichment is not known"))?;
                let message = redelivery::enrichment(self.bytes(letter).await?)?;
                Ok(self.targets.enrich(lane, &message).await?)
            }
            Hop::Feed => self.deliver(letter).await,
            Hop::DeviceRule => {
                let record = redelivery::device_message(&self.bytes(letter).await?)?;
                Ok(self.stream.put(&[record]).await.into_iter().collect::<Result<(), _>>()?)
            }
            Hop::BulkImport => {
                let notification = redelivery::notification(&self.bytes(letter).await?)?;
                Ok(self.targets.import(&notification).await?)
            }
            Hop::Webhook => self.send_webhook(letter, redrive_id, *at).await,
            Hop::BackTest => Err(Unsendable::new(
                "start-again",
                "a back-test has no effect that is missing; delete it, and start it again",
            )),
            Hop::Notice => {
                let message = redelivery::notice(self.bytes(letter).await?)?;
                Ok(self.targets.notify(&message).await?)
            }
            Hop::Unknown => Err(Unsendable::new(
                "unknown-hop",
                "its format is not known; look at its bytes and correct the cause by hand",
            )),
        }
    }

    /// Returns the bytes of a letter.
    pub(super) async fn bytes(&self, letter: &DeadLetter) -> Result<Vec<u8>, Unsendable> {
        let bytes = self.contents.read(&letter.content, MAX_RECORD_BYTES + 1).await?;
        let bytes = bytes.ok_or_else(|| Unsendable::new("expired", "its bytes do not exist any more"))?;
        if bytes.len() > MAX_RECORD_BYTES {
            return Err(Unsendable::new(
                "too-large",
                format!("it has more than {MAX_RECORD_BYTES} bytes; redrive it by hand"),
            ));
        }
        Ok(bytes)
    }

    /// Returns the records whose items are quarantined, as the stream had them.
    async fn quarantined_records(&self, letter: &DeadLetter) -> Result<Vec<String>, Unsendable> {
        let positions = self.archive.quarantined(&letter.content).await?;
        let positions = positions.ok_or_else(|| Unsendable::new("expired", "its bytes do not exist any more"))?;
        let found = self.archive.find(&positions).await?;
        if found.len() < positions.len() {
            let (found, all) = (found.len(), positions.len());
            let detail = format!("only {found} of its {all} records are in the archive; look at the bytes of the letter");
            return Err(Unsendable::new("not-archived", detail));
        }
        Ok(found.iter().map(stream_records::of_archive).collect())
    }

    /// Has the stream processor process records. An event that is stored already is dropped by it.
    async fn process(&self, letter: &DeadLetter, redrive_id: &RedriveId, records: Vec<String>) -> Result<(), Unsendable> {
        let batches = stream_records::into_batches(records).into_iter();
        let batches = batches.map(|records| RedrivenBatch { redrive_id: redrive_id.clone(), records });
        let invocations = batches.map(|batch| async move { self.targets.process(&batch).await });
        let results: Vec<_> = stream::iter(invocations).buffered(CONCURRENT_INVOCATIONS).collect().await;
        let mut quarantined_again = 0;
        for result in results {
            let processed = result?;
            if processed.is_partial {
                let detail = "the stream processor could not process all of its records; see its log, then redrive it again";
                return Err(Unsendable::new("not-processed", detail));
            }
            quarantined_again += processed.quarantined.get(&letter.reason).copied().unwrap_or_default();
        }
        if letter.hop == Hop::Quarantine && quarantined_again > 0 {
            let detail =
                format!("{quarantined_again} samples were quarantined again for the same reason; correct the cause first");
            return Err(Unsendable::new("quarantined-again", detail));
        }
        Ok(())
    }

    /// Publishes the events of an entry that could not be delivered on the bus that the fleet has now.
    async fn deliver(&self, letter: &DeadLetter) -> Result<(), Unsendable> {
        self.publish(&self.bytes(letter).await?).await
    }

    pub(super) async fn publish(&self, entry: &[u8]) -> Result<(), Unsendable> {
        let (fleet_id, events) = redelivery::delivery(entry)?;
        let fleet = self.fleets.get(&fleet_id).await?.filter(|fleet| fleet.state == FleetState::Active);
        let fleet = fleet.ok_or_else(|| Unsendable::new("fleet-left", "the fleet does not exist or is being offboarded"))?;
        let entry = FleetBatch { fleet_id, bus: fleet.delivery_bus, for_webhooks: fleet.webhooks.is_some(), events };
        Ok(self.bus.publish(&[entry]).await.into_iter().collect::<Result<(), _>>()?)
    }
}
