//! The decorator that counts calls of ports.

use roadcast_codec::vehicle_state;
use roadcast_domain::audit::Change;
use roadcast_domain::entitlement::Entitlement;
use roadcast_domain::event::CustomType;
use roadcast_domain::fleet::{Client, Fleet};
use roadcast_domain::ids::{ClientId, Eid, FleetId, VehicleId};
use roadcast_domain::package::Packages;
use roadcast_domain::schema::EventSchema;
use roadcast_domain::state::VehicleState;
use roadcast_domain::subject::Subject;
use roadcast_domain::vehicle::Vehicle;
use roadcast_event_log::pointers;
use roadcast_event_log::{EventItems, ItemPage, ItemRange, LogItem};
use roadcast_ports::PortError;
use roadcast_ports::archive::{Archive, Quarantine, QuarantinedItem, RawBatch};
use roadcast_ports::bus::{Batch, DeliveryBus, FleetBatch, IngestBus, entry_bytes};
use roadcast_ports::clients::Clients;
use roadcast_ports::entitlements::Entitlements;
use roadcast_ports::feed::{Delivery, FeedIndex, FeedPage, FeedQueue, FeedRange, Message};
use roadcast_ports::fleets::Fleets;
use roadcast_ports::schemas::Schemas;
use roadcast_ports::state::{StateStore, StoredState};
use roadcast_ports::stream::{StreamRecord, TelemetryStream};
use roadcast_ports::vehicles::{VehicleListing, VehiclePage, VehicleRegistration, Vehicles};

use super::{GIB, Item, Meter, rules, waits};

/// A port whose calls are counted.
#[derive(Clone, Debug)]
pub struct Metered<P> {
    /// The decorated port.
    pub inner: P,
    /// The meter that counts its calls.
    pub meter: Meter,
}

/// Size of an item of reference data in bytes: a vehicle, a fleet, a client, a grant. All are well below a read unit.
const REFERENCE_BYTES: usize = 400;
/// Size of an event's item in bytes, without the event and its origin.
const EVENT_BYTES: usize = 200;
/// Size of a state's item in bytes, without its readings: attribute names, vehicle, revision.
const STATE_BYTES: usize = 3 + 20 + 3 + 4 + 5;
/// Size of a pointer's item in bytes, without its events: attribute names, key, expiry.
const POINTER_BYTES: usize = 4 + 34 + 5 + 26 + 6 + 9 + 6;

impl<P> Metered<P> {
    /// Decorates `inner`; its calls are counted by `meter`.
    pub fn new(inner: P, meter: &Meter) -> Self {
        Self { inner, meter: meter.clone() }
    }

    fn read(&self, bytes: usize) {
        self.meter.count(Item::DynamodbReadUnit, rules::read_units(bytes));
        self.meter.wait(waits::DYNAMODB_READ);
    }

    fn write(&self, fleet_id: Option<&FleetId>, bytes: usize) {
        let units = rules::write_units(bytes);
        match fleet_id {
            Some(fleet_id) => self.meter.count_for(fleet_id, Item::DynamodbWriteUnit, units),
            None => self.meter.count(Item::DynamodbWriteUnit, units),
        }
        self.meter.wait(waits::DYNAMODB_WRITE);
    }

    /// Counts the storage of an item that does not expire.
    #[allow(clippy::cast_precision_loss)] // sizes are far below 2^53
    fn count_stored(&self, bytes: usize) {
        self.meter.count(Item::DynamodbStorage, (bytes as f64 + rules::STORED_OVERHEAD_BYTES) / GIB);
    }
}

impl<P: Archive> Archive for Metered<P> {
    #[allow(clippy::cast_precision_loss)] // sizes are far below 2^53
    async fn store(&self, batch: &RawBatch) -> Result<(), PortError> {
        let mut text = Vec::new();
        for record in &batch.records {
            // Approximates the archive's line, whose data is base64 unless it is text.
            text.extend_from_slice(record.sequence_number.as_bytes());
            text.extend_from_slice(&record.data);
        }
        let compressed =
            zstd::bulk::compress(&text, zstd::DEFAULT_COMPRESSION_LEVEL).map_or(text.len(), |compressed| compressed.len());
        self.meter.count(Item::S3Put, 1.0);
        self.meter.count(Item::S3Storage, compressed as f64 / GIB);
        self.meter.wait(waits::S3_PUT);
        self.inner.store(batch).await
    }
}

impl<P: Quarantine> Quarantine for Metered<P> {
    async fn store(&self, items: &[QuarantinedItem]) -> Result<(), PortError> {
        self.meter.count(Item::S3Put, 1.0);
        self.meter.wait(waits::S3_PUT);
        self.inner.store(items).await
    }
}

impl<P: Vehicles> Vehicles for Metered<P> {
    async fn register(&self, vehicle: &Vehicle) -> Result<VehicleRegistration, PortError> {
        self.write(None, REFERENCE_BYTES);
        self.inner.register(vehicle).await
    }

    async fn get(&self, vid: &VehicleId) -> Result<Option<Vehicle>, PortError> {
        self.read(REFERENCE_BYTES);
        self.inner.get(vid).await
    }

    async fn replace(&self, vehicle: &Vehicle) -> Result<(), PortError> {
        self.write(None, REFERENCE_BYTES);
        self.inner.replace(vehicle).await
    }

    async fn resolve(&self, subject: &Subject) -> Result<Option<VehicleId>, PortError> {
        self.read(REFERENCE_BYTES);
        self.inner.resolve(subject).await
    }

    async fn list(&self, page: &VehicleListing) -> Result<VehiclePage, PortError> {
        let page = self.inner.list(page).await?;
        self.read(REFERENCE_BYTES * page.vehicles.len());
        Ok(page)
    }
}

impl<P: Entitlements> Entitlements for Metered<P> {
    async fn list_by_vehicle(&self, vid: &VehicleId) -> Result<Vec<Entitlement>, PortError> {
        let found = self.inner.list_by_vehicle(vid).await?;
        self.read(REFERENCE_BYTES * found.iter().map(|entitlement| entitlement.grants.len()).sum::<usize>());
        Ok(found)
    }

    async fn entitlement(&self, fleet_id: &FleetId, vid: &VehicleId) -> Result<Option<Entitlement>, PortError> {
        self.read(REFERENCE_BYTES);
        self.inner.entitlement(fleet_id, vid).await
    }

    async fn list_by_fleet(
        &self,
        fleet_id: &FleetId,
        after: Option<&VehicleId>,
        limit: usize,
    ) -> Result<Vec<Entitlement>, PortError> {
        let found = self.inner.list_by_fleet(fleet_id, after, limit).await?;
        self.read(REFERENCE_BYTES * found.len());
        Ok(found)
    }

    async fn version(&self) -> Result<u64, PortError> {
        self.read(REFERENCE_BYTES);
        self.inner.version().await
    }

    /// Without custom packages this is a query as well.
    async fn packages(&self) -> Result<Packages, PortError> {
        self.read(REFERENCE_BYTES);
        self.inner.packages().await
    }
}

impl<P: Fleets> Fleets for Metered<P> {
    async fn create(&self, fleet: &Fleet, change: Option<&Change>) -> Result<(), PortError> {
        self.write(None, REFERENCE_BYTES);
        self.inner.create(fleet, change).await
    }

    async fn update(&self, fleet: &Fleet, change: Option<&Change>) -> Result<(), PortError> {
        self.write(None, REFERENCE_BYTES);
        self.inner.update(fleet, change).await
    }

    async fn get(&self, fleet_id: &FleetId) -> Result<Option<Fleet>, PortError> {
        self.read(REFERENCE_BYTES);
        self.inner.get(fleet_id).await
    }

    async fn list(&self, after: Option<&FleetId>, limit: usize) -> Result<Vec<Fleet>, PortError> {
        let fleets = self.inner.list(after, limit).await?;
        self.read(REFERENCE_BYTES * fleets.len());
        Ok(fleets)
    }

    async fn changes(&self, fleet_id: &FleetId, before: Option<Eid>, limit: usize) -> Result<Vec<Change>, PortError> {
        let changes = self.inner.changes(fleet_id, before, limit).await?;
        self.read(REFERENCE_BYTES * changes.len());
        Ok(changes)
    }
}

impl<P: Schemas> Schemas for Metered<P> {
    async fn put(&self, schema: &EventSchema) -> Result<(), PortError> {
        self.write(None, REFERENCE_BYTES);
        self.inner.put(schema).await
    }

    async fn latest(&self) -> Result<Vec<EventSchema>, PortError> {
        let schemas = self.inner.latest().await?;
        self.read(schemas.iter().map(|schema| schema.schema.to_string().len()).sum());
        Ok(schemas)
    }

    async fn versions(&self, event_type: &CustomType) -> Result<Vec<EventSchema>, PortError> {
        let schemas = self.inner.versions(event_type).await?;
        self.read(schemas.iter().map(|schema| schema.schema.to_string().len()).sum());
        Ok(schemas)
    }

    async fn version(&self) -> Result<u64, PortError> {
        self.read(REFERENCE_BYTES);
        self.inner.version().await
    }
}

impl<P: Clients> Clients for Metered<P> {
    async fn put(&self, client: &Client, change: Option<&Change>) -> Result<(), PortError> {
        self.write(None, REFERENCE_BYTES);
        self.inner.put(client, change).await
    }

    async fn get(&self, client_id: &ClientId) -> Result<Option<Client>, PortError> {
        self.read(REFERENCE_BYTES);
        self.inner.get(client_id).await
    }

    async fn list_by_fleet(
        &self,
        fleet_id: &FleetId,
        after: Option<&ClientId>,
        limit: usize,
    ) -> Result<Vec<Client>, PortError> {
        let clients = self.inner.list_by_fleet(fleet_id, after, limit).await?;
        self.read(REFERENCE_BYTES * clients.len());
        Ok(clients)
    }

    async fn record_secret_shown(&self, client: &Client, change: Option<&Change>) -> Result<(), PortError> {
        self.write(None, REFERENCE_BYTES);
        self.inner.record_secret_shown(client, change).await
    }

    async fn remove(&self, client: &Client, change: Option<&Change>) -> Result<(), PortError> {
        self.write(None, REFERENCE_BYTES);
        self.inner.remove(client, change).await
    }
}

impl<P: TelemetryStream> TelemetryStream for Metered<P> {
    async fn put(&self, records: &[StreamRecord]) -> Vec<Result<(), PortError>> {
        let units = records.iter().map(|record| rules::put_units(record.data.len() + record.vid.as_str().len())).sum();
        self.meter.count(Item::KinesisPutUnit, units);
        self.meter.wait(waits::KINESIS);
        self.inner.put(records).await
    }
}

impl<P: IngestBus> IngestBus for Metered<P> {
    async fn publish(&self, entries: &[Batch]) -> Vec<Result<(), PortError>> {
        for entry in entries {
            self.meter.count(Item::BusChunk, rules::chunks(entry_bytes(&entry.events)));
            self.meter.wait(waits::BUS_ENTRY);
        }
        self.inner.publish(entries).await
    }
}

impl<P: DeliveryBus> DeliveryBus for Metered<P> {
    /// The rule's target, the fleet's queue, is billed as a send request.
    async fn publish(&self, entries: &[FleetBatch]) -> Vec<Result<(), PortError>> {
        for entry in entries {
            let chunks = rules::chunks(entry_bytes(&entry.events));
            self.meter.count_for(&entry.fleet_id, Item::BusChunk, chunks);
            self.meter.count_for(&entry.fleet_id, Item::SqsRequest, chunks);
            self.meter.wait(waits::BUS_ENTRY);
        }
        self.inner.publish(entries).await
    }
}

impl<P: FeedIndex> FeedIndex for Metered<P> {
    async fn record(&self, deliveries: &[Delivery]) -> Result<(), PortError> {
        for delivery in deliveries {
            let bytes = POINTER_BYTES + pointers::encode(&delivery.events).len();
            self.write(Some(&delivery.fleet_id), bytes);
            // Pointers expire after 14 days: about half of a month's items are stored at any time.
            self.count_stored(bytes / 2);
        }
        self.inner.record(deliveries).await
    }

    async fn read(&self, range: &FeedRange) -> Result<FeedPage, PortError> {
        let page = self.inner.read(range).await?;
        self.read(page.pointers.iter().map(|pointer| POINTER_BYTES + pointers::encode(&pointer.events).len()).sum());
        Ok(page)
    }
}

impl<P: FeedQueue> FeedQueue for Metered<P> {
    async fn receive(&self, fleet_id: &FleetId, max: u8, wait_s: u8) -> Result<Vec<Message>, PortError> {
        let messages = self.inner.receive(fleet_id, max, wait_s).await?;
        let bytes = messages.iter().map(|message| message.body.len()).sum();
        self.meter.count_for(fleet_id, Item::SqsRequest, rules::chunks(bytes));
        self.meter.wait(waits::SQS);
        Ok(messages)
    }

    async fn acknowledge(&self, fleet_id: &FleetId, receipts: &[String]) -> Vec<Result<(), PortError>> {
        self.meter.count_for(fleet_id, Item::SqsRequest, 1.0);
        self.meter.wait(waits::SQS);
        self.inner.acknowledge(fleet_id, receipts).await
    }
}

impl<P: StateStore> StateStore for Metered<P> {
    async fn read(&self, vid: &VehicleId) -> Result<StoredState, PortError> {
        let known = self.inner.read(vid).await?;
        self.read(state_bytes(&known.state));
        Ok(known)
    }

    async fn merge(&self, vid: &VehicleId, known: StoredState, readings: &VehicleState) -> Result<(), PortError> {
        let mut merged = known.state.clone();
        if merged.merge(readings) {
            self.write(None, state_bytes(&merged));
        }
        self.inner.merge(vid, known, readings).await
    }
}

fn state_bytes(state: &VehicleState) -> usize {
    STATE_BYTES + vehicle_state::encode(state).map_or(0, |bytes| bytes.len())
}

impl<P: EventItems> EventItems for Metered<P> {
    async fn put_new(&self, item: &LogItem) -> Result<(), PortError> {
        let bytes = item_bytes(item);
        self.write(None, bytes);
        self.count_stored(bytes);
        self.inner.put_new(item).await
    }

    async fn page(&self, range: &ItemRange<'_>) -> Result<ItemPage, PortError> {
        let page = self.inner.page(range).await?;
        let units = rules::read_units(page.items.iter().map(item_bytes).sum());
        self.meter.count(Item::DynamodbReadUnit, if range.consistent { units } else { units / 2.0 });
        self.meter.wait(waits::DYNAMODB_READ);
        Ok(page)
    }
}

fn item_bytes(item: &LogItem) -> usize {
    match item {
        LogItem::Segment(segment) => segment.item_bytes(),
        LogItem::Event(stored) => {
            let json = |text: serde_json::Result<String>| text.map_or(0, |text| text.len());
            EVENT_BYTES
                + json(serde_json::to_string(&stored.event.to_cloud_event()))
                + json(serde_json::to_string(&stored.origin))
        }
    }
}
