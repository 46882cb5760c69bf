//! Operations that answer one by one: each entry has an outcome of its own.

use roadcast_domain::event::StoredEvent;
use roadcast_domain::ids::{Eid, FleetId, VehicleId};
use roadcast_ports::PortError;
use roadcast_ports::bus::{Batch, DeliveryBus, FleetBatch, IngestBus};
use roadcast_ports::event_log::{EventLog, EventPage, EventRange};
use roadcast_ports::feed::{FeedQueue, Message};
use roadcast_ports::stream::{StreamRecord, TelemetryStream};

use super::{Fault, Faulty};

impl<P: Sync> Faulty<P> {
    /// Hands on the entries that are done, in one call, and puts the answers back into the order of all.
    async fn one_by_one<E, A, F>(
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
        let done = |outcome: &Option<Fault>| outcome.is_none_or(Fault::applies);
        let handed_on: Vec<E> =
            entries.iter().zip(&outcomes).filter(|(_, outcome)| done(outcome)).map(|(entry, _)| entry.clone()).collect();
        let answers = if handed_on.is_empty() { Vec::new() } else { call(handed_on).await };
        let mut answers = answers.into_iter();
        outcomes
            .iter()
            .map(|outcome| {
                let answer = if done(outcome) { answers.next() } else { None };
                match (outcome, answer) {
                    (None, Some(answer)) => answer,
                    (Some(fault), _) => Err(fault.error(operation)),
                    (None, None) => Err(Fault::Unavailable.error(operation)),
                }
            })
            .collect()
    }
}

impl<P: EventLog> EventLog for Faulty<P> {
    async fn append(&self, events: &[StoredEvent]) -> Vec<Result<(), PortError>> {
        self.one_by_one("append", events, |events| async move { self.inner.append(&events).await }).await
    }

    async fn range(&self, range: &EventRange) -> Result<EventPage, PortError> {
        self.at_once("range", self.inner.range(range)).await
    }

    async fn get(&self, vid: &VehicleId, eid: Eid) -> Result<Option<StoredEvent>, PortError> {
        self.at_once("get", self.inner.get(vid, eid)).await
    }
}

impl<P: IngestBus> IngestBus for Faulty<P> {
    async fn publish(&self, entries: &[Batch]) -> Vec<Result<(), PortError>> {
        self.one_by_one("publish", entries, |entries| async move { self.inner.publish(&entries).await }).await
    }
}

impl<P: DeliveryBus> DeliveryBus for Faulty<P> {
    async fn publish(&self, entries: &[FleetBatch]) -> Vec<Result<(), PortError>> {
        self.one_by_one("publish", entries, |entries| async move { self.inner.publish(&entries).await }).await
    }
}

impl<P: TelemetryStream> TelemetryStream for Faulty<P> {
    async fn put(&self, records: &[StreamRecord]) -> Vec<Result<(), PortError>> {
        self.one_by_one("put", records, |records| async move { self.inner.put(&records).await }).await
    }
}

impl<P: FeedQueue> FeedQueue for Faulty<P> {
    async fn receive(&self, fleet_id: &FleetId, max: u8, wait_s: u8) -> Result<Vec<Message>, PortError> {
        self.at_once("receive", self.inner.receive(fleet_id, max, wait_s)).await
    }

    async fn acknowledge(&self, fleet_id: &FleetId, receipts: &[String]) -> Vec<Result<(), PortError>> {
        let call = |receipts: Vec<String>| async move { self.inner.acknowledge(fleet_id, &receipts).await };
        self.one_by_one("acknowledge", receipts, call).await
    }
}
