//! The tables that are scanned: the state of the alert evaluator, the feed index, the deliveries and the dead letters.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use roadcast_domain::dead_letter::{Content, DeadLetter};
use roadcast_domain::erasure::ErasureScope;
use roadcast_ports::PortError;
use roadcast_ports::dead_letters::DeadLetterContents;
use roadcast_ports::erasure::ErasedPart;

use super::{TableErasure, counts, key_of, mentions_vehicle};
use crate::dynamodb::feed_index;
use crate::dynamodb::item::{self, InvalidAttribute, Item};
use crate::dynamodb::keys::{FEED, PK, SK, STAMP};
use crate::sdk_error::port_error;

const ALERT_STATE: &str = "erasing the state of the alert evaluator";
const FEED_INDEX: &str = "erasing feed pointers";
const DELIVERIES: &str = "erasing webhook deliveries";
const LETTERS: &str = "erasing dead letters";
/// Items of one part of the dead letters, each of which needs a request to S3.
const LETTERS_PER_PART: i32 = 200;
const MAX_CONCURRENT_REQUESTS: usize = 8;

/// A page of a scan.
struct ScannedPage {
    items: Vec<Item>,
    next: Option<String>,
}

impl TableErasure {
    /// Erases the pointers to events of the vehicles. A pointer to others as well keeps its place.
    pub(crate) async fn feed_index(&self, scope: &ErasureScope, after: Option<&str>) -> Result<ErasedPart, PortError> {
        let table = &self.tables.feed_index;
        let page = self.scan(table, [FEED, STAMP], after, None, FEED_INDEX).await?;
        let (mut removed, mut rewritten) = (Vec::new(), Vec::new());
        for item in &page.items {
            let events = feed_index::events_of(item).map_err(|error| error.into_port_error(FEED_INDEX))?;
            let kept: Vec<_> = events.iter().filter(|(vid, _)| !scope.contains(vid)).cloned().collect();
            if kept.is_empty() && !events.is_empty() {
                removed.push(key_of(item, [FEED, STAMP]));
            } else if kept.len() < events.len() {
                rewritten.push(feed_index::with_events(item, &kept));
            }
        }
        let counts = counts(page.items.len(), removed.len(), rewritten.len());
        self.put(table, rewritten, FEED_INDEX).await?;
        self.delete(table, removed, FEED_INDEX).await?;
        Ok(ErasedPart { next: page.next, counts })
    }

    /// Erases the checkpoints of the vehicles, and that they are watched in a shard. A checkpoint is found by its key as well, but a
    /// watched vehicle may be in any shard that the stream ever had. All of these items state the vehicle in their key.
    pub(crate) async fn alert_state(&self, scope: &ErasureScope, after: Option<&str>) -> Result<ErasedPart, PortError> {
        self.mentioning(&self.tables.alert_state, scope, after, ALERT_STATE).await
    }

    /// Erases the deliveries of the vehicles, their attempts, and the lines of a vehicle. Each of these items states the vehicle in
    /// its key or in its record.
    pub(crate) async fn deliveries(&self, scope: &ErasureScope, after: Option<&str>) -> Result<ErasedPart, PortError> {
        self.mentioning(&self.tables.deliveries, scope, after, DELIVERIES).await
    }

    /// Erases the items of a table with a text that contains the id of one of the vehicles.
    async fn mentioning(
        &self,
        table: &str,
        scope: &ErasureScope,
        after: Option<&str>,
        context: &'static str,
    ) -> Result<ErasedPart, PortError> {
        let page = self.scan(table, [PK, SK], after, None, context).await?;
        let of_vehicles = page.items.iter().filter(|item| mentions_vehicle(item, scope));
        let removed: Vec<Item> = of_vehicles.map(|item| key_of(item, [PK, SK])).collect();
        let counts = counts(page.items.len(), removed.len(), 0);
        self.delete(table, removed, context).await?;
        Ok(ErasedPart { next: page.next, counts })
    }

    /// Erases the dead letters whose bytes do not exist any more.
    pub(crate) async fn dead_letters(
        &self,
        contents: &impl DeadLetterContents,
        after: Option<&str>,
    ) -> Result<ErasedPart, PortError> {
        let table = &self.tables.dead_letters;
        let page = self.scan(table, [PK, SK], after, Some(LETTERS_PER_PART), LETTERS).await?;
        // Redrives have other records.
        let letters = page.items.iter().filter_map(|item| Some((item, item::record::<DeadLetter>(item).ok()?.content)));
        let letters: Vec<(Item, Content)> = letters.map(|(item, content)| (key_of(item, [PK, SK]), content)).collect();
        let missing = stream::iter(letters).map(|(key, content)| async move {
            Ok::<_, PortError>(contents.describe(&content).await?.is_none().then_some(key))
        });
        let missing: Vec<Option<Item>> = missing.buffer_unordered(MAX_CONCURRENT_REQUESTS).try_collect().await?;
        let removed: Vec<Item> = missing.into_iter().flatten().collect();
        let counts = counts(page.items.len(), removed.len(), 0);
        self.delete(table, removed, LETTERS).await?;
        Ok(ErasedPart { next: page.next, counts })
    }

    /// Reads a page of a table, after a position: the key of the last item, as JSON.
    async fn scan(
        &self,
        table: &str,
        key: [&'static str; 2],
        after: Option<&str>,
        limit: Option<i32>,
        context: &'static str,
    ) -> Result<ScannedPage, PortError> {
        let invalid = || InvalidAttribute::new("position").into_port_error(context);
        let start = match after {
            None => None,
            Some(position) => {
                let values: HashMap<String, String> = serde_json::from_str(position).map_err(|_| invalid())?;
                Some(values.into_iter().map(|(name, value)| (name, AttributeValue::S(value))).collect())
            }
        };
        let scan = self.client.scan().table_name(table).set_limit(limit).set_exclusive_start_key(start);
        let output = scan.send().await.map_err(|error| port_error(context, error))?;
        let next = output.last_evaluated_key.map(|last| {
            let values = key.map(|name| Some((name, last.get(name)?.as_s().ok()?.as_str())));
            let values: Option<HashMap<&str, &str>> = values.into_iter().collect();
            serde_json::to_string(&values).map_err(|_| invalid())
        });
        Ok(ScannedPage { items: output.items.unwrap_or_default(), next: next.transpose()? })
    }
}
