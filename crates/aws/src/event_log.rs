//! The event log: table `vehicleEvents`.

use std::collections::HashSet;

use aws_sdk_dynamodb::Client;
use futures::stream::{self, StreamExt};
use roadcast_domain::event::StoredEvent;
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_ports::event_log::{Appended, EventLog, EventPage, EventRange};
use roadcast_ports::{PortError, PortErrorKind};

use crate::event_item::{self, UnreadableEvent};
use crate::item;
use crate::keys::{EID, Key, KeyRange};
use crate::sdk_error::port_error;

const APPEND: &str = "appending an event";
const READ: &str = "reading events";
/// Writes under way at once in one call.
const WRITES_AT_ONCE: usize = 16;

/// The event log in `DynamoDB`, one item an event.
///
/// An event whose write timed out and was tried again by the SDK answers [`Appended::Known`], although it is new.
#[derive(Clone, Debug)]
pub struct DynamoEventLog {
    client: Client,
    table: String,
}

impl DynamoEventLog {
    /// The log in that table.
    pub fn new(client: Client, vehicle_events_table: impl Into<String>) -> Self {
        Self { client, table: vehicle_events_table.into() }
    }

    async fn append_one(&self, stored: &StoredEvent) -> Result<Appended, PortError> {
        let item = event_item::encode(stored).map_err(|error| unreadable(APPEND, error))?;
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item));
        let put = put.condition_expression("attribute_not_exists(#eid)").expression_attribute_names("#eid", EID);
        match put.send().await {
            Ok(_) => Ok(Appended::New),
            Err(error) => match port_error(APPEND, error) {
                // The only condition there is.
                error if error.kind() == PortErrorKind::Conflict => Ok(Appended::Known),
                error => Err(error),
            },
        }
    }

    async fn append_at(&self, events: &[StoredEvent], places: Vec<usize>) -> Vec<(usize, Result<Appended, PortError>)> {
        stream::iter(places)
            .map(|place| async move { (place, self.append_one(&events[place]).await) })
            .buffer_unordered(WRITES_AT_ONCE)
            .collect()
            .await
    }
}

impl EventLog for DynamoEventLog {
    async fn append(&self, events: &[StoredEvent]) -> Vec<Result<Appended, PortError>> {
        // Of an event that comes twice in one call, the first must be the one that is new: the others wait for it.
        let mut seen = HashSet::new();
        let (firsts, repeats): (Vec<usize>, Vec<usize>) =
            (0..events.len()).partition(|place| seen.insert((&events[*place].event.vid, events[*place].event.eid)));
        let mut answers = self.append_at(events, firsts).await;
        answers.extend(self.append_at(events, repeats).await);
        answers.sort_unstable_by_key(|(place, _)| *place);
        answers.into_iter().map(|(_, answer)| answer).collect()
    }

    async fn range(&self, range: &EventRange) -> Result<EventPage, PortError> {
        if range.from > range.to {
            // DynamoDB refuses such a range.
            return Ok(EventPage::default());
        }
        let keys = KeyRange::events(&range.vid, range.from, range.to);
        let page = item::page(&self.client, &self.table, &keys, Some(range.limit.max(1)), None, READ).await?;
        let events = page.items.iter().map(event_item::decode).collect::<Result<_, _>>();
        let last: Option<Eid> =
            page.next.map(|key| item::parsed(&key, EID)).transpose().map_err(|e| e.into_port_error(READ))?;
        Ok(EventPage {
            events: events.map_err(|error| unreadable(READ, error))?,
            next: last.and_then(Eid::next).filter(|next| *next <= range.to),
        })
    }

    async fn get(&self, vid: &VehicleId, eid: Eid) -> Result<Option<StoredEvent>, PortError> {
        let item = item::get(&self.client, &self.table, &Key::event(vid, eid), READ).await?;
        item.map(|item| event_item::decode(&item)).transpose().map_err(|error| unreadable(READ, error))
    }
}

fn unreadable(context: &'static str, error: UnreadableEvent) -> PortError {
    PortError::new(PortErrorKind::Rejected, context).caused_by(error)
}
