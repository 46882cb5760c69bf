//! Fleets, in `reference`.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::Client;
use roadcast_domain::audit::Change;
use roadcast_domain::fleet::Fleet;
use roadcast_domain::ids::{ChangeId, FleetId};
use roadcast_ports::fleets::{FleetCreation, Fleets};
use roadcast_ports::{PortError, PortErrorKind};

use crate::dynamodb::fleet_items;
use crate::dynamodb::item;
use crate::dynamodb::keys::{Key, KeyRange, SK};
use crate::dynamodb::transaction::{Condition, Transaction};

const CREATE: &str = "creating a fleet";
const UPDATE: &str = "updating a fleet";
const READ: &str = "reading fleets";
const READ_BUSES: &str = "reading the delivery buses";
const READ_CHANGES: &str = "reading audit records of a fleet";

/// The number of fleets on a delivery bus.
const FLEETS: &str = "fleets";

/// Fleets in `DynamoDB`: each has an item of its own, which is read often, and a copy in the list of all fleets.
#[derive(Clone, Debug)]
pub struct DynamoFleets {
    client: Client,
    table: String,
}

impl DynamoFleets {
    /// Creates the adapter on the given `reference` table.
    pub fn new(client: Client, reference_table: impl Into<String>) -> Self {
        Self { client, table: reference_table.into() }
    }
}

impl DynamoFleets {
    fn put(
        &self,
        fleet: &Fleet,
        condition: Condition,
        change: &Change,
        context: &'static str,
    ) -> Result<Transaction, PortError> {
        fleet_items::put(Transaction::new(&self.client, context), &self.table, fleet, condition, context)?
            .record_change(&self.table, change)
    }

    /// Returns the number of fleets on a bus.
    async fn bus_count(&self, bus: &str) -> Result<u32, PortError> {
        let item = item::get(&self.client, &self.table, &Key::delivery_bus(bus), READ_BUSES).await?;
        let count = item.as_ref().map_or(Ok(None), |item| item::number(item, FLEETS));
        count.map(Option::unwrap_or_default).map_err(|error| error.into_port_error(READ_BUSES))
    }
}

impl Fleets for DynamoFleets {
    async fn create_within(&self, fleet: &Fleet, places: u32, change: &Change) -> Result<FleetCreation, PortError> {
        let bus = Key::delivery_bus(&fleet.delivery_bus);
        let created = self
            .put(fleet, Condition::Absent, change, CREATE)?
            .add_within(&self.table, &bus, FLEETS, 1, places)?
            .commit()
            .await;
        let Err(error) = created else { return Ok(FleetCreation::Created) };
        // The conflict is that of the id, of the bus, or of a transaction that held the bus for too long.
        let is_full = error.kind() == PortErrorKind::Conflict
            && self.get(&fleet.fleet_id).await?.is_none()
            && self.bus_count(&fleet.delivery_bus).await? >= places;
        if is_full { Ok(FleetCreation::BusFull) } else { Err(error) }
    }

    async fn bus_counts(&self) -> Result<BTreeMap<String, u32>, PortError> {
        let items = item::all(&self.client, &self.table, &KeyRange::delivery_buses(), READ_BUSES).await?;
        let count = |item| {
            let name = Key::bus_name(item::text(item, SK)?).unwrap_or_default().to_owned();
            Ok((name, item::number(item, FLEETS)?.unwrap_or_default()))
        };
        let counts: Result<_, item::InvalidAttribute> = items.iter().map(count).collect();
        counts.map_err(|error| error.into_port_error(READ_BUSES))
    }

    async fn release_bus(&self, fleet: &Fleet, change: &Change) -> Result<(), PortError> {
        let next = Fleet { version: fleet.version + 1, ..fleet.clone() };
        let transaction = self.put(&next, Condition::at_version(fleet.version), change, UPDATE)?;
        let bus = Key::delivery_bus(&fleet.delivery_bus);
        transaction.add_within(&self.table, &bus, FLEETS, -1, u32::MAX)?.commit().await
    }

    async fn update(&self, fleet: &Fleet, change: &Change) -> Result<(), PortError> {
        let next = Fleet { version: fleet.version + 1, ..fleet.clone() };
        self.put(&next, Condition::at_version(fleet.version), change, UPDATE)?.commit().await
    }

    async fn get(&self, fleet_id: &FleetId) -> Result<Option<Fleet>, PortError> {
        let item = item::get(&self.client, &self.table, &Key::fleet(fleet_id), READ).await?;
        item.as_ref().map(item::record).transpose().map_err(|error| error.into_port_error(READ))
    }

    async fn list(&self, after: Option<&FleetId>, limit: usize) -> Result<Vec<Fleet>, PortError> {
        item::records(&self.client, &self.table, &KeyRange::fleets(after), limit, READ).await
    }

    async fn changes(&self, fleet_id: &FleetId, before: Option<ChangeId>, limit: usize) -> Result<Vec<Change>, PortError> {
        item::records(&self.client, &self.table, &KeyRange::changes(fleet_id, before), limit, READ_CHANGES).await
    }
}
