//! Writing several items at once or none.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::transact_write_items::builders::TransactWriteItemsFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem};
use roadcast_ports::{PortError, PortErrorKind};

use crate::backoff;
use crate::item::Item;
use crate::keys::Key;
use crate::sdk_error::{Cancelled, cancellation, transaction_error};

/// Tries where another transaction was at one of the items.
const TRIES: u32 = 6;

/// What must hold of the item that is there.
#[derive(Clone, Debug)]
pub(crate) enum Condition {
    /// None is there.
    Absent,
    /// Its attribute has that value.
    Equals(&'static str, AttributeValue),
    /// None is there, or its attribute has that value.
    AbsentOrEquals(&'static str, AttributeValue),
    /// Nothing.
    None,
}

impl Condition {
    /// Expression, attribute and value, over the key's first attribute.
    fn expression(self, key: &'static str) -> (Option<&'static str>, Option<&'static str>, Option<AttributeValue>) {
        match self {
            Self::Absent => (Some("attribute_not_exists(#name)"), Some(key), None),
            Self::Equals(name, value) => (Some("#name = :value"), Some(name), Some(value)),
            Self::AbsentOrEquals(name, value) => {
                (Some("attribute_not_exists(#name) OR #name = :value"), Some(name), Some(value))
            }
            Self::None => (None, None, None),
        }
    }
}

/// A transaction being put together.
#[derive(Debug)]
pub(crate) struct Transaction {
    request: TransactWriteItemsFluentBuilder,
    context: &'static str,
}

impl Transaction {
    pub(crate) fn new(client: &Client, context: &'static str) -> Self {
        Self { request: client.transact_write_items(), context }
    }

    /// Writes an item, if the one that is there meets the condition.
    pub(crate) fn put(mut self, table: &str, item: Item, key: &Key, condition: Condition) -> Result<Self, PortError> {
        let (expression, name, value) = condition.expression(key.partition_attribute());
        let put = Put::builder()
            .table_name(table)
            .set_item(Some(item))
            .set_condition_expression(expression.map(str::to_owned))
            .set_expression_attribute_names(name.map(|name| [("#name".to_owned(), name.to_owned())].into()))
            .set_expression_attribute_values(value.map(|value| [(":value".to_owned(), value)].into()))
            .build()
            .map_err(|error| incomplete(self.context, error))?;
        self.request = self.request.transact_items(TransactWriteItem::builder().put(put).build());
        Ok(self)
    }

    /// Deletes an item, if it meets the condition.
    pub(crate) fn delete(mut self, table: &str, key: &Key, condition: Condition) -> Result<Self, PortError> {
        let (expression, name, value) = condition.expression(key.partition_attribute());
        let delete = Delete::builder()
            .table_name(table)
            .set_key(Some(key.attributes()))
            .set_condition_expression(expression.map(str::to_owned))
            .set_expression_attribute_names(name.map(|name| [("#name".to_owned(), name.to_owned())].into()))
            .set_expression_attribute_values(value.map(|value| [(":value".to_owned(), value)].into()))
            .build()
            .map_err(|error| incomplete(self.context, error))?;
        self.request = self.request.transact_items(TransactWriteItem::builder().delete(delete).build());
        Ok(self)
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
