//! Writing several items at once or none.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::transact_write_items::builders::TransactWriteItemsFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Delete, Put, TransactWriteItem, Update};
use roadcast_domain::audit::Change;
use roadcast_ports::{PortError, PortErrorKind};

use crate::backoff;
use crate::item::{self, Item};
use crate::keys::Key;
use crate::sdk_error::{Cancelled, cancellation, transaction_error};

/// What `TransactWriteItems` takes.
pub(crate) const ACTIONS_PER_TRANSACTION: usize = 100;
/// Tries where another transaction was at one of the items.
const TRIES: u32 = 6;

/// What must hold of the item that is there.
#[derive(Clone, Debug)]
pub(crate) enum Condition {
    /// None is there.
    Absent,
    /// It is there.
    There,
    /// None is there, or it lacks that attribute.
    Without(&'static str),
    /// Its attribute has that value.
    Equals(&'static str, AttributeValue),
    /// None is there, or its attribute has that value.
    AbsentOrEquals(&'static str, AttributeValue),
    /// None is there, or its attribute has a smaller value.
    AbsentOrBelow(&'static str, AttributeValue),
    /// It is there, and holds so by an expression of its own, with names and values for it.
    Holds(String, Item, HashMap<String, String>),
    /// Nothing.
    None,
}

/// A condition as a request takes it.
#[derive(Debug, Default)]
struct Expression {
    text: Option<String>,
    names: Option<HashMap<String, String>>,
    values: Option<Item>,
}

impl Condition {
    /// Expression, attribute and value, over the key's first attribute.
    fn expression(self, key: &'static str) -> Expression {
        let one = |text: &str, name: &str, value: Option<AttributeValue>| Expression {
            text: Some(text.to_owned()),
            names: Some([("#name".to_owned(), name.to_owned())].into()),
            values: value.map(|value| [(":value".to_owned(), value)].into()),
        };
        match self {
            Self::Absent => one("attribute_not_exists(#name)", key, None),
            Self::There => one("attribute_exists(#name)", key, None),
            Self::Without(name) => one("attribute_not_exists(#name)", name, None),
            Self::Equals(name, value) => one("#name = :value", name, Some(value)),
            Self::AbsentOrEquals(name, value) => one("attribute_not_exists(#name) OR #name = :value", name, Some(value)),
            Self::AbsentOrBelow(name, value) => one("attribute_not_exists(#name) OR #name < :value", name, Some(value)),
            Self::Holds(text, values, names) => Expression { text: Some(text), names: Some(names), values: Some(values) },
            Self::None => Expression::default(),
        }
    }
}

/// Builds an action under a condition. The builders of actions take it in the same words, but have no trait in common.
macro_rules! under_condition {
    ($action:expr, $condition:expr, $key:expr) => {{
        let Expression { text, names, values } = $condition.expression($key.partition_attribute());
        $action
            .set_condition_expression(text)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
            .build()
    }};
}

/// A transaction being put together.
#[derive(Clone, Debug)]
pub(crate) struct Transaction {
    request: TransactWriteItemsFluentBuilder,
    context: &'static str,
}

impl Transaction {
    pub(crate) fn new(client: &Client, context: &'static str) -> Self {
        Self { request: client.transact_write_items(), context }
    }

    /// Writes an item, if the one that is there meets the condition.
    pub(crate) fn put(self, table: &str, item: Item, key: &Key, condition: Condition) -> Result<Self, PortError> {
        let put = Put::builder().table_name(table).set_item(Some(item));
        let put = under_condition!(put, condition, key).map_err(|error| incomplete(self.context, error))?;
        Ok(self.with(TransactWriteItem::builder().put(put).build()))
    }

    /// Keeps a change of what else is written, if there is one to keep.
    pub(crate) fn keep(self, table: &str, change: Option<&Change>) -> Result<Self, PortError> {
        let Some(change) = change else { return Ok(self) };
        let key = Key::change(&change.fleet_id, change.change_id);
        let item = item::with_record(&key, change, self.context)?;
        self.put(table, item, &key, Condition::None)
    }

    /// Deletes an item, if it meets the condition.
    pub(crate) fn delete(self, table: &str, key: &Key, condition: Condition) -> Result<Self, PortError> {
        let delete = Delete::builder().table_name(table).set_key(Some(key.attributes()));
        let delete = under_condition!(delete, condition, key).map_err(|error| incomplete(self.context, error))?;
        Ok(self.with(TransactWriteItem::builder().delete(delete).build()))
    }

    /// Looks at an item that is not written: all depends on the condition.
    pub(crate) fn check(self, table: &str, key: &Key, condition: Condition) -> Result<Self, PortError> {
        let check = ConditionCheck::builder().table_name(table).set_key(Some(key.attributes()));
        let check = under_condition!(check, condition, key).map_err(|error| incomplete(self.context, error))?;
        Ok(self.with(TransactWriteItem::builder().condition_check(check).build()))
    }

    /// Adds one to a number of an item, and sets other attributes of it.
    pub(crate) fn count(self, table: &str, key: &Key, number: &str, others: Item) -> Result<Self, PortError> {
        let mut update = Update::builder()
            .table_name(table)
            .set_key(Some(key.attributes()))
            .expression_attribute_names("#number", number)
            .expression_attribute_values(":one", AttributeValue::N("1".to_owned()));
        let mut set = Vec::with_capacity(others.len());
        for (place, (name, value)) in others.into_iter().enumerate() {
            set.push(format!("#other{place} = :other{place}"));
            update = update.expression_attribute_names(format!("#other{place}"), name);
            update = update.expression_attribute_values(format!(":other{place}"), value);
        }
        let set = if set.is_empty() { String::new() } else { format!("SET {} ", set.join(", ")) };
        let update = update.update_expression(format!("{set}ADD #number :one"));
        let update = update.build().map_err(|error| incomplete(self.context, error))?;
        Ok(self.with(TransactWriteItem::builder().update(update).build()))
    }

    fn with(self, action: TransactWriteItem) -> Self {
        Self { request: self.request.transact_items(action), context: self.context }
    }

    /// Writes all of it; a conflict where a condition does not hold. Another transaction at the same items is waited out.
    pub(crate) async fn commit(self) -> Result<(), PortError> {
        let mut attempt = 1;
        loop {
            let Err(error) = self.request.clone().send().await else { return Ok(()) };
            if cancellation(&error) != Some(Cancelled::Busy) || attempt == TRIES {
                return Err(transaction_error(self.context, error));
            }
            backoff::wait(attempt).await;
            attempt += 1;
        }
    }
}

fn incomplete(context: &'static str, error: BuildError) -> PortError {
    PortError::new(PortErrorKind::Rejected, context).caused_by(error)
}
