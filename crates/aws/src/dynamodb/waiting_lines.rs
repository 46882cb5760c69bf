//! The items of lines in which webhook deliveries wait: when a line is due, and its revision. All are in one partition, which
//! the scheduler reads each minute. Only a line in which something waits has an item.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use roadcast_ports::webhooks::{DueLine, WaitingLine};
use roadcast_ports::{PortError, PortErrorKind};
use roadcast_signals::Timestamp;

use crate::dynamodb::expiry;
use crate::dynamodb::item::{self, InvalidAttribute, Item, RECORD};
use crate::dynamodb::keys::{EXPIRES_AT, Key, KeyRange};
use crate::dynamodb::revised_item::REVISION;
use crate::sdk_error::port_error;

const ADD: &str = "adding a delivery to its line";
const READ: &str = "reading lines of waiting deliveries";
const RESCHEDULE: &str = "rescheduling a line of waiting deliveries";
/// When the line is due, in milliseconds since the Unix epoch.
pub(crate) const DUE: &str = "dueAt";
/// How long a line is kept after the last addition. Longer than a delivery can wait.
pub(crate) const RETENTION_DAYS: i64 = 30;
/// Attempts to write a line while others change when it is due.
const MAX_TRIES: usize = 5;

/// The items of lines in `DynamoDB`.
#[derive(Clone, Debug)]
pub(crate) struct WaitingLines {
    client: Client,
    table: String,
}

impl WaitingLines {
    pub(crate) fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// Returns the revision of a line; 0 if it does not exist.
    pub(crate) async fn revision(&self, line: &WaitingLine) -> Result<u64, PortError> {
        let item = item::get(&self.client, &self.table, &Key::waiting_line(line), READ).await?;
        let revision = item.as_ref().map_or(Ok(None), |item| item::number(item, REVISION));
        revision.map(Option::unwrap_or_default).map_err(|error| error.into_port_error(READ))
    }

    /// Increments the revision of a line after a delivery was added that is due at `due_at`, and makes the line due then if it is
    /// due later.
    pub(crate) async fn count_addition(&self, line: &WaitingLine, due_at: Timestamp) -> Result<(), PortError> {
        for _ in 0..MAX_TRIES {
            // Most additions are to a line that is due earlier.
            if self.increment(line, due_at).await? || self.advance(line, due_at).await? {
                return Ok(());
            }
        }
        Err(PortError::new(PortErrorKind::Unavailable, ADD))
    }

    /// Increments the revision of a line that is due by `due_at`. Returns whether there is one.
    async fn increment(&self, line: &WaitingLine, due_at: Timestamp) -> Result<bool, PortError> {
        let update = self
            .update(line)
            .update_expression("SET #revision = #revision + :one, #expires = :expires")
            .condition_expression("#due <= :due")
            .expression_attribute_names("#revision", REVISION)
            .expression_attribute_names("#due", DUE)
            .expression_attribute_names("#expires", EXPIRES_AT)
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":due", number(due_at.ms()))
            .expression_attribute_values(":expires", expiry::after_days(RETENTION_DAYS).1);
        is_met(update, ADD).await
    }

    /// Makes a line due at `due_at` that does not exist or is due later, and increments its revision. Returns whether that was so.
    async fn advance(&self, line: &WaitingLine, due_at: Timestamp) -> Result<bool, PortError> {
        let record = serde_json::to_string(line);
        let record = record.map_err(|error| InvalidAttribute::with_source(RECORD, error).into_port_error(ADD))?;
        let update = self
            .update(line)
            .update_expression(
                "SET #revision = if_not_exists(#revision, :first) + :one, #due = :due, #record = :record, #expires = :expires",
            )
            .condition_expression("attribute_not_exists(#due) OR #due > :due")
            .expression_attribute_names("#revision", REVISION)
            .expression_attribute_names("#due", DUE)
            .expression_attribute_names("#record", RECORD)
            .expression_attribute_names("#expires", EXPIRES_AT)
            // A line that was removed and added again must not have a revision that a slow caller still holds, so the first one is
            // random.
            .expression_attribute_values(":first", AttributeValue::N((rand::random::<u64>() >> 2).to_string()))
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":due", number(due_at.ms()))
            .expression_attribute_values(":record", AttributeValue::S(record))
            .expression_attribute_values(":expires", expiry::after_days(RETENTION_DAYS).1);
        is_met(update, ADD).await
    }

    /// Changes when a line with this revision is due; `None` removes it.
    pub(crate) async fn reschedule(
        &self,
        line: &WaitingLine,
        due_at: Option<Timestamp>,
        revision: u64,
    ) -> Result<(), PortError> {
        let at_revision = AttributeValue::N(revision.to_string());
        match due_at {
            // Deliveries wait in it, but the caller that added them was interrupted before the line was written.
            Some(due_at) if revision == 0 => self.advance(line, due_at).await?,
            Some(due_at) => {
                let update = self
                    .update(line)
                    .update_expression("SET #due = :due")
                    .condition_expression("#revision = :revision")
                    .expression_attribute_names("#due", DUE)
                    .expression_attribute_names("#revision", REVISION)
                    .expression_attribute_values(":due", number(due_at.ms()))
                    .expression_attribute_values(":revision", at_revision);
                is_met(update, RESCHEDULE).await?
            }
            None => {
                let delete = self.client.delete_item().table_name(&self.table);
                let delete = delete.set_key(Some(Key::waiting_line(line).attributes()));
                let delete = delete.condition_expression("#revision = :revision");
                let delete = delete.expression_attribute_names("#revision", REVISION);
                let deleted = delete.expression_attribute_values(":revision", at_revision).send().await;
                is_applied(deleted.map(|_| ()).map_err(|error| port_error(RESCHEDULE, error)))?
            }
        };
        Ok(())
    }

    /// Returns lines that are due at `now`, after the line `after`.
    pub(crate) async fn due(
        &self,
        now: Timestamp,
        after: Option<&WaitingLine>,
        limit: usize,
    ) -> Result<Vec<DueLine>, PortError> {
        let range = KeyRange::waiting_lines(after);
        let mut lines = Vec::new();
        let mut start = None;
        loop {
            let page = item::page(&self.client, &self.table, &range, None, start, READ).await?;
            for item in &page.items {
                lines.extend(due_line(item, now).map_err(|error| error.into_port_error(READ))?);
            }
            match page.next {
                Some(next) if lines.len() < limit => start = Some(next),
                _ => {
                    lines.truncate(limit);
                    return Ok(lines);
                }
            }
        }
    }

    fn update(&self, line: &WaitingLine) -> UpdateItemFluentBuilder {
        self.client.update_item().table_name(&self.table).set_key(Some(Key::waiting_line(line).attributes()))
    }
}

/// Returns the line of an item if it is due at `now`.
fn due_line(item: &Item, now: Timestamp) -> Result<Option<DueLine>, InvalidAttribute> {
    let due_at: i64 = item::number(item, DUE)?.ok_or_else(|| InvalidAttribute::new(DUE))?;
    if due_at > now.ms() {
        return Ok(None);
    }
    let revision = item::number(item, REVISION)?.ok_or_else(|| InvalidAttribute::new(REVISION))?;
    Ok(Some(DueLine { line: item::record(item)?, revision }))
}

/// Sends an update and returns whether its condition was met.
async fn is_met(update: UpdateItemFluentBuilder, context: &'static str) -> Result<bool, PortError> {
    is_applied(update.send().await.map(|_| ()).map_err(|error| port_error(context, error)))
}

fn is_applied(result: Result<(), PortError>) -> Result<bool, PortError> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == PortErrorKind::Conflict => Ok(false),
        Err(error) => Err(error),
    }
}

fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}
