//! Dead letters and redrives, in `deadLetters`. The items expire.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use futures::future::try_join_all;
use roadcast_domain::dead_letter::{
    ClaimOutcome, DeadLetter, Hop, RETENTION_DAYS, Redrive, RedriveClaim, RedriveId, RedriveMark,
};
use roadcast_domain::ids::DeadLetterId;
use roadcast_ports::clock::Clock as _;
use roadcast_ports::dead_letters::{DeadLetters, LetterListing, LetterPage, LetterPut, Redrives};
use roadcast_ports::{PortError, PortErrorKind};
use roadcast_signals::Timestamp;
use serde::Serialize;

use crate::clock::SystemClock;
use crate::dynamodb::expiry::is_expired;
use crate::dynamodb::item::{self, InvalidAttribute, Item};
use crate::dynamodb::keys::{EXPIRES_AT, Key, KeyRange, PK, SK};
use crate::sdk_error::port_error;

const PUT: &str = "storing a dead letter";
const READ: &str = "reading dead letters";
const CLAIM: &str = "claiming a dead letter for a redrive";
const FINISH: &str = "finishing the redrive of a dead letter";
const REDRIVE: &str = "reading or storing a redrive";
/// The number of times that an item was replaced. A condition reads it.
const REVISION: &str = "revision";
const RETENTION_MS: i64 = RETENTION_DAYS * 24 * 60 * 60 * 1000;
/// Attempts to replace an item that another call replaces.
const MAX_ATTEMPTS: u32 = 5;
/// The number of items of a hop that one page of letters reads. It bounds the time of a filter that selects few.
const MAX_EXAMINED: usize = 500;
const MIN_QUERY_LIMIT: usize = 50;

/// Dead letters and redrives in `DynamoDB`.
#[derive(Clone, Debug)]
pub struct DynamoDeadLetters {
    client: Client,
    table: String,
}

/// The newest letters of one hop.
#[derive(Debug, Default)]
struct HopLetters {
    letters: Vec<DeadLetter>,
    /// The oldest id up to which `letters` is complete; `None` if it has all.
    complete_to: Option<DeadLetterId>,
}

impl DynamoDeadLetters {
    /// Creates the adapter on the given `deadLetters` table.
    pub fn new(client: Client, dead_letters_table: impl Into<String>) -> Self {
        Self { client, table: dead_letters_table.into() }
    }

    /// Stores an item if the stored one has this revision; `None` if there must be none.
    async fn put_item(
        &self,
        key: &Key,
        record: &(impl Serialize + Sync),
        revision: Option<u64>,
        context: &'static str,
    ) -> Result<(), PortError> {
        let mut item = item::with_record(key, record, context)?;
        let expires_at = (SystemClock.now().ms() + RETENTION_MS).div_euclid(1000);
        item.insert(EXPIRES_AT.to_owned(), AttributeValue::N(expires_at.to_string()));
        let next = revision.map_or(0, |revision| revision + 1);
        item.insert(REVISION.to_owned(), AttributeValue::N(next.to_string()));
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item));
        let put = match revision {
            None => put.condition_expression("attribute_not_exists(#key)").expression_attribute_names("#key", PK),
            Some(revision) => put
                .condition_expression("#revision = :revision")
                .expression_attribute_names("#revision", REVISION)
                .expression_attribute_values(":revision", AttributeValue::N(revision.to_string())),
        };
        put.send().await.map(|_| ()).map_err(|error| port_error(context, error))
    }

    /// Returns an item that has not expired. The table deletes expired items with a delay.
    async fn get_item(&self, key: &Key, context: &'static str) -> Result<Option<Item>, PortError> {
        let item = item::get(&self.client, &self.table, key, context).await?;
        Ok(item.filter(|item| !is_expired(item)))
    }

    async fn letter(&self, id: DeadLetterId, context: &'static str) -> Result<Option<(DeadLetter, u64)>, PortError> {
        let Some(hop) = id.hop() else { return Ok(None) };
        let item = self.get_item(&Key::dead_letter(hop, id), context).await?;
        item.as_ref().map(letter_and_revision).transpose().map_err(|error| error.into_port_error(context))
    }

    /// Replaces a letter, unless it was replaced since it was read.
    async fn replace(&self, letter: &DeadLetter, revision: u64, context: &'static str) -> Result<(), PortError> {
        self.put_item(&Key::dead_letter(letter.hop, letter.dead_letter_id), letter, Some(revision), context).await
    }

    async fn newest(&self, range: &KeyRange, page: &LetterListing) -> Result<HopLetters, PortError> {
        let mut found = HopLetters::default();
        let (mut start, mut examined) = (None, 0);
        loop {
            let limit = Some(page.limit.max(MIN_QUERY_LIMIT));
            let read = item::page(&self.client, &self.table, range, limit, start, READ).await?;
            examined += read.items.len();
            for item in read.items.iter().filter(|item| !is_expired(item)) {
                let letter: DeadLetter = item::record(item).map_err(|error| error.into_port_error(READ))?;
                if page.filter.selects(&letter) {
                    found.letters.push(letter);
                }
            }
            let Some(next) = read.next else { return Ok(found) };
            if found.letters.len() >= page.limit || examined >= MAX_EXAMINED {
                let last = item::parsed(&next, SK).map_err(|error| error.into_port_error(READ))?;
                return Ok(HopLetters { complete_to: Some(last), ..found });
            }
            start = Some(next);
        }
    }
}

impl DeadLetters for DynamoDeadLetters {
    async fn put(&self, letter: &DeadLetter) -> Result<LetterPut, PortError> {
        let key = Key::dead_letter(letter.hop, letter.dead_letter_id);
        match self.put_item(&key, letter, None, PUT).await {
            Ok(()) => Ok(LetterPut::Stored),
            Err(error) if error.kind() == PortErrorKind::Conflict => Ok(LetterPut::Exists),
            Err(error) => Err(error),
        }
    }

    async fn get(&self, id: DeadLetterId) -> Result<Option<DeadLetter>, PortError> {
        Ok(self.letter(id, READ).await?.map(|(letter, _)| letter))
    }

    async fn list(&self, page: &LetterListing) -> Result<LetterPage, PortError> {
        let Some((from, to)) = id_range(page) else { return Ok(LetterPage::default()) };
        let hops = Hop::ALL.into_iter().filter(|hop| page.filter.hop.is_none_or(|only| only == *hop));
        let ranges: Vec<KeyRange> = hops.map(|hop| KeyRange::dead_letters(hop, from, to)).collect();
        let found = try_join_all(ranges.iter().map(|range| self.newest(range, page))).await?;
        Ok(merge(found, page.limit))
    }

    async fn claim(&self, id: DeadLetterId, claim: &RedriveClaim) -> Result<ClaimOutcome, PortError> {
        for _ in 0..MAX_ATTEMPTS {
            let Some((stored, revision)) = self.letter(id, CLAIM).await? else { return Ok(ClaimOutcome::Absent) };
            let outcome = stored.claimed(claim);
            let ClaimOutcome::Granted(letter) = &outcome else { return Ok(outcome) };
            match self.replace(letter, revision, CLAIM).await {
                Ok(()) => return Ok(outcome),
                Err(error) if error.kind() == PortErrorKind::Conflict => {}
                Err(error) => return Err(error),
            }
        }
        Err(PortError::new(PortErrorKind::Unavailable, CLAIM))
    }

    async fn finish(&self, id: DeadLetterId, mark: &RedriveMark, sent: bool) -> Result<(), PortError> {
        let conflict = || PortError::new(PortErrorKind::Conflict, FINISH);
        let (stored, revision) = self.letter(id, FINISH).await?.ok_or_else(conflict)?;
        let finished = stored.finished(mark, sent).ok_or_else(conflict)?;
        self.replace(&finished, revision, FINISH).await
    }
}

impl Redrives for DynamoDeadLetters {
    async fn create(&self, redrive: &Redrive) -> Result<(), PortError> {
        self.put_item(&Key::redrive(&redrive.redrive_id), redrive, None, REDRIVE).await
    }

    async fn get(&self, id: &RedriveId) -> Result<Option<Redrive>, PortError> {
        let item = self.get_item(&Key::redrive(id), REDRIVE).await?;
        item.as_ref().map(item::record).transpose().map_err(|error| error.into_port_error(REDRIVE))
    }

    async fn replace(&self, redrive: &Redrive) -> Result<(), PortError> {
        let next = Redrive { revision: redrive.revision + 1, ..redrive.clone() };
        self.put_item(&Key::redrive(&redrive.redrive_id), &next, Some(redrive.revision), REDRIVE).await
    }
}

/// Returns the first and the last id that a page can contain; `None` if there is none.
fn id_range(page: &LetterListing) -> Option<(DeadLetterId, DeadLetterId)> {
    let from = DeadLetterId::lower_bound(page.filter.since.unwrap_or(Timestamp::from_ms(0)));
    let before = |end: Option<DeadLetterId>| end.map_or(Some(DeadLetterId::MAX), DeadLetterId::previous);
    let to = before(page.before)?.min(before(page.filter.until.map(DeadLetterId::lower_bound))?);
    (from <= to).then_some((from, to))
}

/// Merges the letters of all hops, newest first. Letters that are older than what was read of some hop are left for the next
/// page.
fn merge(found: Vec<HopLetters>, limit: usize) -> LetterPage {
    let mut next = found.iter().filter_map(|hop| hop.complete_to).max();
    let mut letters: Vec<DeadLetter> = found.into_iter().flat_map(|hop| hop.letters).collect();
    letters.retain(|letter| next.is_none_or(|next| letter.dead_letter_id >= next));
    letters.sort_by_key(|letter| std::cmp::Reverse(letter.dead_letter_id));
    if letters.len() > limit {
        letters.truncate(limit);
        next = letters.last().map(|letter| letter.dead_letter_id);
    }
    LetterPage { letters, next }
}

fn letter_and_revision(item: &Item) -> Result<(DeadLetter, u64), InvalidAttribute> {
    Ok((item::record(item)?, item::number(item, REVISION)?.unwrap_or_default()))
}

#[cfg(test)]
mod tests;
