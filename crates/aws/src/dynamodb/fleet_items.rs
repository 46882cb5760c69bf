//! The items of a fleet, in `reference`: its own, which is read often, and its copy in the list of all fleets.

use aws_sdk_dynamodb::types::AttributeValue;
use roadcast_domain::fleet::{Fleet, FleetState};
use roadcast_ports::PortError;

use crate::dynamodb::attributes::{OFFBOARDING, VERSION};
use crate::dynamodb::item;
use crate::dynamodb::keys::Key;
use crate::dynamodb::transaction::{Condition, Transaction};

/// Adds the writes of a fleet to a transaction; the condition is on its own item.
pub(crate) fn put(
    transaction: Transaction,
    table: &str,
    fleet: &Fleet,
    condition: Condition,
    context: &'static str,
) -> Result<Transaction, PortError> {
    let (key, listed) = (Key::fleet(&fleet.fleet_id), Key::listed_fleet(&fleet.fleet_id));
    let mut item = item::with_record(&key, fleet, context)?;
    item.insert(VERSION.to_owned(), AttributeValue::N(fleet.version.to_string()));
    if fleet.state != FleetState::Active {
        item.insert(OFFBOARDING.to_owned(), AttributeValue::Bool(true));
    }
    transaction.put(table, item, &key, condition)?.put(
        table,
        item::with_record(&listed, fleet, context)?,
        &listed,
        Condition::None,
    )
}
