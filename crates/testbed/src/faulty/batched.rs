//! Operations with one result per entry. Each entry takes its own outcome from the plan.

use roadcast_domain::event::StoredEvent;
use roadcast_domain::ids::{Eid, FleetId, VehicleId};
use roadcast_ports::PortError;
use roadcast_ports::bus::{Batch, DeliveryBus, FleetBatch, IngestBus};
use roadcast_ports::event_log::{EventLog, EventPage, EventRange};
use roadcast_ports::feed::{FeedQueue, Message};
use roadcast_ports::stream::{StreamRecord, TelemetryStream};

use super::{Fault, Faulty};

impl<P: Sync> Faulty<P> {
    /// Forwards the entries that are applied in one call and returns one result per entry, in the order of `entries`.
    async fn inject_each<E, A, F>(
        &self,
        operation: &'static str,
        entries: &[E],
        call: impl FnOnce(Vec<E>) -> F + Send,
    ) -> Vec<Result<A, PortError>>
    where
        E: Clone + Send + Sync,
        A: Send,
        F: Future<Output = Vec<Result<A, PortError>>> + Send,
    {
        let outcomes: Vec<Option<Fault>> = entries.iter().map(|_| self.plan.next(operation)).collect();
        let is_forwarded = |outcome: &Option<Fault>| outcome.is_none_or(Fault::is_applied);
        let forwarded: Vec<E> = entries
            .iter()
            .zip(&outcomes)
            .filter(|(_, outcome)| is_forwarded(outcome))
            .map(|(entry, _)| entry.clone())
            .collect();
        let results = if forwarded.is_empty() { Vec::new() } else { call(forwarded).await };
        let mut results = results.into_iter();
        outcomes
            .iter()
            .map(|outcome| {
                let result = if is_forwarded(outcome) { results.next() } else { None };
                match (outcome, result) {
                    (None, Some(result)) => result,
                    (Some(fault), _) => Err(fault.error(operation)),
                    (None, None) => Err(Fault::Unavailable.error(operation)),
                }
            })
            .collect()
    }
}

impl<P: EventLog> EventLog for Faulty<P> {
    async fn append(&self, events: &[StoredEvent]) -> Vec<Result<(), PortError>> {
        self.inject_each("append", events, |events| async move { self.inner.append(&events).await }).await
    }

    async fn range(&self, range: &EventRange) -> Result<EventPage, PortError> {
        self.inject("range", self.inner.range(range)).await
    }

    async fn get(&self, vid: &VehicleId, eid: Eid) -> Result<Option<StoredEvent>, PortError> {
        self.inject("get", self.inner.get(vid, eid)).await
    }
}

impl<P: IngestBus> IngestBus for Faulty<P> {
    async fn publish(&self, entries: &[Batch]) -> Vec<Result<(), PortError>> {
        self.inject_each("publish", entries, |entries| async move { self.inner.publish(&entries).await }).await
    }
}

impl<P: DeliveryBus> DeliveryBus for Faulty<P> {
    async fn publish(&self, entries: &[FleetBatch]) -> Vec<Result<(), PortError>> {
        self.inject_each("publish", entries, |entries| async move { self.inner.publish(&entries).await }).await
    }
}

impl<P: TelemetryStream> TelemetryStream for Faulty<P> {
    async fn put(&self, records: &[StreamRecord]) -> Vec<Result<(), PortError>> {
        self.inject_each("put", records, |records| async move { self.inner.put(&records).await }).await
    }
}

impl<P: FeedQueue> FeedQueue for Faulty<P> {
    async fn receive(&self, fleet_id: &FleetId, max: u8, wait_s: u8) -> Result<Vec<Message>, PortError> {
        self.inject("receive", self.inner.receive(fleet_id, max, wait_s)).await
    }

    async fn acknowledge(&self, fleet_id: &FleetId, receipts: &[String]) -> Vec<Result<(), PortError>> {
        let call = |receipts: Vec<String>| async move { self.inner.acknowledge(fleet_id, &receipts).await };
        self.inject_each("acknowledge", receipts, call).await
    }
}
