//! The event log: table `vehicleEvents`.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::Client;
use roadcast_domain::event::StoredEvent;
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_event_log::{EventItems, ItemPage, ItemRange, LogItem, SegmentedLog};
use roadcast_ports::event_log::{EventLog, EventPage, EventRange, TelemetryPage};
use roadcast_ports::{PortError, PortErrorKind};

use crate::dynamodb::event_item;
use crate::dynamodb::item;
use crate::dynamodb::keys::{EID, KeyRange};
use crate::sdk_error::port_error;

const APPEND: &str = "appending events";
const READ: &str = "reading events";

/// The event log in `DynamoDB`: telemetry is stored in segments, every other event in an item of its own.
#[derive(Clone, Debug)]
pub struct DynamoEventLog(SegmentedLog<Items>);

impl DynamoEventLog {
    /// Creates the adapter on the given `vehicleEvents` table.
    pub fn new(client: Client, vehicle_events_table: impl Into<String>) -> Self {
        Self(SegmentedLog { items: Items { client, table: vehicle_events_table.into() } })
    }
}

impl EventLog for DynamoEventLog {
    async fn append(&self, events: &[StoredEvent]) -> Vec<Result<(), PortError>> {
        self.0.append(events).await
    }

    async fn range(&self, range: &EventRange) -> Result<EventPage, PortError> {
        self.0.range(range).await
    }

    async fn telemetry(&self, range: &EventRange) -> Result<TelemetryPage, PortError> {
        self.0.telemetry(range).await
    }

    async fn get(&self, vid: &VehicleId, eid: Eid) -> Result<Option<StoredEvent>, PortError> {
        self.0.get(vid, eid).await
    }

    async fn stored_ids(&self, vid: &VehicleId, eids: &[Eid]) -> Result<BTreeSet<Eid>, PortError> {
        self.0.stored_ids(vid, eids).await
    }
}

/// The items of the table.
#[derive(Clone, Debug)]
struct Items {
    client: Client,
    table: String,
}

impl EventItems for Items {
    async fn put_new(&self, item: &LogItem) -> Result<(), PortError> {
        let put = self.client.put_item().table_name(&self.table).set_item(Some(event_item::encode(item)));
        let put = put.condition_expression("attribute_not_exists(#eid)").expression_attribute_names("#eid", EID);
        match put.send().await.map_err(|error| port_error(APPEND, error)) {
            Ok(_) => Ok(()),
            // The only condition is that the item does not exist, so it is stored already.
            Err(error) if error.kind() == PortErrorKind::Conflict => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn page(&self, range: &ItemRange<'_>) -> Result<ItemPage, PortError> {
        if range.from > range.to {
            // DynamoDB rejects such a range.
            return Ok(ItemPage::default());
        }
        let keys = KeyRange::events(range.vid, range.from, range.to);
        let keys = if range.consistent { keys } else { keys.eventually_consistent() };
        let page = item::page(&self.client, &self.table, &keys, Some(range.limit.max(1)), None, READ).await?;
        let has_more = page.next.is_some();
        let items = page.items.into_iter().map(event_item::decode).collect::<Result<_, _>>();
        let items = items.map_err(|error| PortError::new(PortErrorKind::Internal, READ).caused_by(error))?;
        Ok(ItemPage { items, has_more })
    }
}
