//! Atomic writes of several items.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Config;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::transact_write_items::builders::TransactWriteItemsFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Delete, Put, TransactWriteItem, Update};
use roadcast_domain::audit::Change;
use roadcast_ports::{PortError, PortErrorKind};

use crate::backoff;
use crate::dynamodb::attributes::VERSION;
use crate::dynamodb::item::{self, Item};
use crate::dynamodb::keys::{Key, PK};
use crate::dynamodb::transaction_error::{Repetition, repetition, transaction_error};

/// The limit of `TransactWriteItems`.
pub(crate) const ACTIONS_PER_TRANSACTION: usize = 100;
/// Attempts while other transactions hold one of the items, or while the transaction itself is in progress.
const MAX_ATTEMPTS: u32 = 6;

/// A condition on the stored item.
#[derive(Clone, Debug)]
pub(crate) enum Condition {
    /// The item does not exist.
    Absent,
    /// The item or this attribute of it does not exist.
    AttributeAbsent(&'static str),
    /// The attribute has this value.
    Equals(&'static str, AttributeValue),
    /// The item or its attribute does not exist, or the attribute has a smaller value.
    AbsentOrLess(&'static str, AttributeValue),
    /// A condition expression with its values and names.
    Expression(String, Item, HashMap<String, String>),
    /// No condition.
    None,
}

/// The parts of a condition in a request.
#[derive(Debug, Default)]
struct ConditionExpression {
    text: Option<String>,
    names: Option<HashMap<String, String>>,
    values: Option<Item>,
}

impl Condition {
    /// Requires that the stored record has this version; version 0, that there is no record. A record that was stored before its
    /// kind had versions has version 1.
    pub(crate) fn at_version(version: u64) -> Self {
        if version == 0 {
            return Self::Absent;
        }
        let value = AttributeValue::N(version.to_string());
        if version > 1 {
            return Self::Equals(VERSION, value);
        }
        let names = [("#key", PK), ("#version", VERSION)].map(|(name, of)| (name.to_owned(), of.to_owned()));
        let text = "attribute_exists(#key) AND (attribute_not_exists(#version) OR #version = :version)";
        Self::Expression(text.to_owned(), [(":version".to_owned(), value)].into(), names.into())
    }

    /// Also requires that the item has no attribute `name`.
    pub(crate) fn and_absent(self, name: &'static str) -> Self {
        let ConditionExpression { text, names, values } = self.expression(PK);
        let absent = "attribute_not_exists(#absent)";
        let text = text.map_or_else(|| absent.to_owned(), |text| format!("({text}) AND {absent}"));
        let mut names = names.unwrap_or_default();
        names.insert("#absent".to_owned(), name.to_owned());
        Self::Expression(text, values.unwrap_or_default(), names)
    }

    /// Builds the expression; `key` is the attribute of the partition key.
    fn expression(self, key: &'static str) -> ConditionExpression {
        let one = |text: &str, name: &str, value: Option<AttributeValue>| ConditionExpression {
            text: Some(text.to_owned()),
            names: Some([("#name".to_owned(), name.to_owned())].into()),
            values: value.map(|value| [(":value".to_owned(), value)].into()),
        };
        match self {
            Self::Absent => one("attribute_not_exists(#name)", key, None),
            Self::AttributeAbsent(name) => one("attribute_not_exists(#name)", name, None),
            Self::Equals(name, value) => one("#name = :value", name, Some(value)),
            Self::AbsentOrLess(name, value) => one("attribute_not_exists(#name) OR #name < :value", name, Some(value)),
            Self::Expression(text, values, names) => {
                // A request must not have an empty map.
                let values = Some(values).filter(|values| !values.is_empty());
                ConditionExpression { text: Some(text), names: Some(names), values }
            }
            Self::None => ConditionExpression::default(),
        }
    }
}

/// Builds an action with a condition. The SDK's builders have the same methods for conditions, but no common trait.
macro_rules! build_with_condition {
    ($action:expr, $condition:expr, $key:expr) => {{
        let ConditionExpression { text, names, values } = $condition.expression($key.partition_attribute());
        $action
            .set_condition_expression(text)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
            .build()
    }};
}

/// A builder of a transaction.
#[derive(Clone, Debug)]
pub(crate) struct Transaction {
    request: TransactWriteItemsFluentBuilder,
    context: &'static str,
}

impl Transaction {
    pub(crate) fn new(client: &Client, context: &'static str) -> Self {
        Self { request: client.transact_write_items(), context }
    }

    /// Writes an item if the stored one meets the condition.
    pub(crate) fn put(self, table: &str, item: Item, key: &Key, condition: Condition) -> Result<Self, PortError> {
        let put = Put::builder().table_name(table).set_item(Some(item));
        let put = build_with_condition!(put, condition, key).map_err(|error| incomplete(self.context, error))?;
        Ok(self.with(TransactWriteItem::builder().put(put).build()))
    }

    /// Writes an audit record into the trail of its fleet and, if it is of a client, into the trail of the client; that of a rule of
    /// the operator into the operator's trail.
    pub(crate) fn record_change(mut self, table: &str, change: &Change) -> Result<Self, PortError> {
        let of_fleet = change.fleet_id.as_ref().map(|fleet_id| Key::change(fleet_id, change.change_id));
        let of_client = change.client_id().map(|client_id| Key::client_change(client_id, change.change_id));
        let of_operator = change.is_of_operator_rule().then(|| Key::operator_change(change.change_id));
        for key in of_fleet.into_iter().chain(of_client).chain(of_operator) {
            let item = item::with_record(&key, change, self.context)?;
            self = self.put(table, item, &key, Condition::None)?;
        }
        Ok(self)
    }

    /// Deletes an item if it meets the condition.
    pub(crate) fn delete(self, table: &str, key: &Key, condition: Condition) -> Result<Self, PortError> {
        let delete = Delete::builder().table_name(table).set_key(Some(key.attributes()));
        let delete = build_with_condition!(delete, condition, key).map_err(|error| incomplete(self.context, error))?;
        Ok(self.with(TransactWriteItem::builder().delete(delete).build()))
    }

    /// Requires a condition of an item that the transaction does not write.
    pub(crate) fn check(self, table: &str, key: &Key, condition: Condition) -> Result<Self, PortError> {
        let check = ConditionCheck::builder().table_name(table).set_key(Some(key.attributes()));
        let check = build_with_condition!(check, condition, key).map_err(|error| incomplete(self.context, error))?;
        Ok(self.with(TransactWriteItem::builder().condition_check(check).build()))
    }

    /// Adds one to a number attribute of an item, and sets the given other attributes.
    pub(crate) fn increment(self, table: &str, key: &Key, number: &str, others: Item) -> Result<Self, PortError> {
        let mut update = Update::builder()
            .table_name(table)
            .set_key(Some(key.attributes()))
            .expression_attribute_names("#number", number)
            .expression_attribute_values(":one", AttributeValue::N("1".to_owned()));
        let mut set = Vec::with_capacity(others.len());
        for (index, (name, value)) in others.into_iter().enumerate() {
            set.push(format!("#other{index} = :other{index}"));
            update = update.expression_attribute_names(format!("#other{index}"), name);
            update = update.expression_attribute_values(format!(":other{index}"), value);
        }
        let set = if set.is_empty() { String::new() } else { format!("SET {} ", set.join(", ")) };
        let update = update.update_expression(format!("{set}ADD #number :one"));
        let update = update.build().map_err(|error| incomplete(self.context, error))?;
        Ok(self.with(TransactWriteItem::builder().update(update).build()))
    }

    /// Adds `amount` to a number attribute of an item, if the attribute is absent or less than `limit`.
    pub(crate) fn add_within(
        self,
        table: &str,
        key: &Key,
        number: &str,
        amount: i64,
        limit: u32,
    ) -> Result<Self, PortError> {
        let update = Update::builder()
            .table_name(table)
            .set_key(Some(key.attributes()))
            .update_expression("ADD #number :amount")
            .condition_expression("attribute_not_exists(#number) OR #number < :limit")
            .expression_attribute_names("#number", number)
            .expression_attribute_values(":amount", AttributeValue::N(amount.to_string()))
            .expression_attribute_values(":limit", AttributeValue::N(limit.to_string()))
            .build();
        let update = update.map_err(|error| incomplete(self.context, error))?;
        Ok(self.with(TransactWriteItem::builder().update(update).build()))
    }

    fn with(self, action: TransactWriteItem) -> Self {
        Self { request: self.request.transact_items(action), context: self.context }
    }

    /// Commits the transaction with one request, without the retries of the SDK: for items that the caller must rebuild for
    /// each attempt. Fails with `Conflict` if a condition is not met, and with `Throttled` if another transaction holds one of
    /// the items.
    pub(crate) async fn commit_once(self) -> Result<(), PortError> {
        let no_retries = Config::builder().retry_config(RetryConfig::disabled());
        let Err(error) = self.request.customize().config_override(no_retries).send().await else { return Ok(()) };
        if repetition(&error).is_some() {
            return Err(PortError::new(PortErrorKind::Throttled, self.context).caused_by(error));
        }
        Err(transaction_error(self.context, error))
    }

    /// Commits the transaction. Fails with `Conflict` if a condition is not met. If another transaction holds one of the
    /// items, the commit is retried as a new request. If an attempt of the same request is in progress, which a lost response
    /// causes, the request is repeated with its token, so that the response is that of the first attempt.
    pub(crate) async fn commit(self) -> Result<(), PortError> {
        let mut token = request_token();
        let mut attempt = 1;
        loop {
            let request = self.request.clone().client_request_token(&token);
            let Err(error) = request.send().await else { return Ok(()) };
            match repetition(&error) {
                Some(repetition) if attempt < MAX_ATTEMPTS => {
                    if repetition == Repetition::NewRequest {
                        token = request_token();
                    }
                }
                _ => return Err(transaction_error(self.context, error)),
            }
            backoff::wait(attempt).await;
            attempt += 1;
        }
    }
}

/// Returns a new token, by which `DynamoDB` recognizes repetitions of a request for ten minutes.
fn request_token() -> String {
    format!("{:032x}", rand::random::<u128>())
}

fn incomplete(context: &'static str, error: BuildError) -> PortError {
    PortError::new(PortErrorKind::Internal, context).caused_by(error)
}

#[cfg(test)]
mod tests;
