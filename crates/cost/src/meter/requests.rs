//! What each request of a port counts.

use roadcast_codec::vehicle_state;
use roadcast_event_log::{ItemPage, ItemRange, LogItem, pointers};
use roadcast_ports::bus::entry_bytes;
use roadcast_ports::table::prelude::*;

use super::{GIB, Item, Meter, rules, waits};

/// Size of an item of reference data in bytes: a vehicle, a fleet, a client, a grant. All are well below a read unit.
const REFERENCE_BYTES: usize = 400;
/// Size of a state's item in bytes, without its readings: attribute names, vehicle, revision.
const STATE_BYTES: usize = 3 + 20 + 3 + 4 + 5;
/// Size of a pointer's item in bytes, without its events: attribute names, key, expiry.
const POINTER_BYTES: usize = 4 + 34 + 5 + 26 + 6 + 9 + 6;
/// Size of the item of a checkpoint in bytes, without its content: attribute names, keys, revision, expiry.
const CHECKPOINT_BYTES: usize = 2 + 28 + 2 + 20 + 8 + 4 + 7 + 9 + 6;
/// Size of the item of a watched evaluation in bytes: attribute names and keys.
const WATCH_BYTES: usize = 2 + 26 + 2 + 41;

impl Meter {
    fn dynamodb_read(&self, bytes: usize) {
        self.count(Item::DynamodbReadUnit, rules::read_units(bytes));
        self.wait(waits::DYNAMODB_READ);
    }

    fn dynamodb_write(&self, fleet_id: Option<&FleetId>, bytes: usize) {
        let units = rules::write_units(bytes);
        match fleet_id {
            Some(fleet_id) => self.count_for(fleet_id, Item::DynamodbWriteUnit, units),
            None => self.count(Item::DynamodbWriteUnit, units),
        }
        self.wait(waits::DYNAMODB_WRITE);
    }

    /// Counts the storage of an item that does not expire.
    #[allow(clippy::cast_precision_loss)] // sizes are far below 2^53
    fn count_stored(&self, bytes: usize) {
        self.count(Item::DynamodbStorage, (bytes as f64 + rules::STORED_OVERHEAD_BYTES) / GIB);
    }

    /// Counts the read of `items` items of reference data in one call.
    pub(super) fn read_references(&self, items: usize) {
        self.dynamodb_read(REFERENCE_BYTES * items);
    }

    pub(super) fn read_grants(&self, entitlements: &[Entitlement]) {
        self.read_references(entitlements.iter().map(|entitlement| entitlement.grants.len()).sum());
    }

    pub(super) fn read_schemas(&self, schemas: &[EventSchema]) {
        self.dynamodb_read(schemas.iter().map(|schema| schema.schema.as_str().len()).sum());
    }

    pub(super) fn read_alert_rules(&self, rules: &[AlertRuleRecord]) {
        self.dynamodb_read(rules.iter().map(|rule| REFERENCE_BYTES + rule.definition.len()).sum());
    }

    pub(super) fn write_reference(&self) {
        self.dynamodb_write(None, REFERENCE_BYTES);
    }

    /// Counts an object of the archive.
    #[allow(clippy::cast_precision_loss)] // sizes are far below 2^53
    pub(super) fn put_archive(&self, batch: &RawBatch) {
        let mut text = Vec::new();
        for record in &batch.records {
            // Approximates the archive's line, whose data is base64 unless it is text.
            text.extend_from_slice(record.sequence_number.as_bytes());
            text.extend_from_slice(&record.data);
        }
        let compressed =
            zstd::bulk::compress(&text, zstd::DEFAULT_COMPRESSION_LEVEL).map_or(text.len(), |compressed| compressed.len());
        self.s3_put();
        self.count(Item::S3Storage, compressed as f64 / GIB);
    }

    pub(super) fn s3_put(&self) {
        self.count(Item::S3Put, 1.0);
        self.wait(waits::S3_PUT);
    }

    pub(super) fn put_records(&self, records: &[StreamRecord]) {
        let units = records.iter().map(|record| rules::put_units(record.data.len() + record.vid.as_str().len())).sum();
        self.count(Item::KinesisPutUnit, units);
        self.wait(waits::KINESIS);
    }

    /// Reads of the stream are free; they only take time.
    pub(super) fn read_stream(&self) {
        self.wait(waits::KINESIS);
    }

    #[allow(clippy::cast_precision_loss)] // a stream has few shards
    pub(super) fn tick(&self, shards: usize) {
        self.count(Item::KinesisPutUnit, shards as f64);
        self.wait(waits::KINESIS);
    }

    pub(super) fn read_checkpoint(&self, checkpoint: Option<&AlertCheckpoint>) {
        self.dynamodb_read(checkpoint.map_or(0, |checkpoint| CHECKPOINT_BYTES + checkpoint.content.len()));
    }

    /// Counts the write of a checkpoint. It replaces the one before, so that its storage is not counted.
    pub(super) fn write_checkpoint(&self, checkpoint: &AlertCheckpoint) {
        self.dynamodb_write(None, CHECKPOINT_BYTES + checkpoint.content.len());
    }

    pub(super) fn write_watches(&self, keys: &[EvaluationKey]) {
        for _ in keys {
            self.dynamodb_write(None, WATCH_BYTES);
        }
    }

    pub(super) fn read_watches(&self, keys: &[EvaluationKey]) {
        self.dynamodb_read(WATCH_BYTES * keys.len());
    }

    /// The rule's target, the queue of enrichment, is billed as a send request.
    pub(super) fn publish_to_ingest(&self, entries: &[Batch]) {
        for entry in entries {
            let chunks = rules::chunks(entry_bytes(&entry.events));
            self.count(Item::BusChunk, chunks);
            self.count(Item::SqsRequest, chunks);
            self.wait(waits::BUS_ENTRY);
        }
    }

    /// The rule's target, the fleet's queue, is billed as a send request.
    pub(super) fn publish_to_fleets(&self, entries: &[FleetBatch]) {
        for entry in entries {
            let chunks = rules::chunks(entry_bytes(&entry.events));
            self.count_for(&entry.fleet_id, Item::BusChunk, chunks);
            self.count_for(&entry.fleet_id, Item::SqsRequest, chunks);
            self.wait(waits::BUS_ENTRY);
        }
    }

    pub(super) fn write_pointers(&self, deliveries: &[Delivery]) {
        for delivery in deliveries {
            let bytes = POINTER_BYTES + pointers::encode(&delivery.events).len();
            self.dynamodb_write(Some(&delivery.fleet_id), bytes);
            // Pointers expire after 14 days: about half of a month's items are stored at any time.
            self.count_stored(bytes / 2);
        }
    }

    /// Counts a transaction, which costs twice the writes of its items, and has the item of the part.
    pub(super) fn write_pointers_once(&self, part: &RestoredPart, deliveries: &[Delivery]) {
        self.write_pointers(deliveries);
        self.write_pointers(deliveries);
        for _ in 0..2 {
            self.dynamodb_write(Some(&part.fleet_id), POINTER_BYTES);
        }
    }

    pub(super) fn read_pointers(&self, page: &FeedPage) {
        let bytes = page.pointers.iter().map(|pointer| POINTER_BYTES + pointers::encode(&pointer.events).len()).sum();
        self.dynamodb_read(bytes);
    }

    pub(super) fn receive(&self, fleet_id: &FleetId, messages: &[Message]) {
        let bytes = messages.iter().map(|message| message.body.len()).sum();
        self.sqs_requests(fleet_id, rules::chunks(bytes));
    }

    pub(super) fn acknowledge(&self, fleet_id: &FleetId) {
        self.sqs_requests(fleet_id, 1.0);
    }

    /// Counts a call to the queue of a fleet that is billed as this number of requests.
    fn sqs_requests(&self, fleet_id: &FleetId, requests: f64) {
        self.count_for(fleet_id, Item::SqsRequest, requests);
        self.wait(waits::SQS);
    }

    pub(super) fn read_state(&self, state: &VehicleState) {
        self.dynamodb_read(state_bytes(state));
    }

    /// Counts the write of the merged state, unless the readings do not change the state.
    pub(super) fn write_merged(&self, stored: &StoredState, readings: &VehicleState) {
        let mut merged = stored.state.clone();
        if merged.merge(readings) {
            self.dynamodb_write(None, state_bytes(&merged));
        }
    }

    pub(super) fn write_log_item(&self, item: &LogItem) {
        let bytes = item.item_bytes();
        self.dynamodb_write(None, bytes);
        self.count_stored(bytes);
    }

    pub(super) fn read_log_items(&self, range: &ItemRange<'_>, page: &ItemPage) {
        let units = rules::read_units(page.items.iter().map(LogItem::item_bytes).sum());
        self.count(Item::DynamodbReadUnit, if range.consistent { units } else { units / 2.0 });
        self.wait(waits::DYNAMODB_READ);
    }
}

fn state_bytes(state: &VehicleState) -> usize {
    STATE_BYTES + vehicle_state::encode(state).map_or(0, |bytes| bytes.len())
}
