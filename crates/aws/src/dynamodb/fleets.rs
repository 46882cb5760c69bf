//! Fleets, in `reference`.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use roadcast_domain::audit::Change;
use roadcast_domain::fleet::{Fleet, FleetState};
use roadcast_domain::ids::{ChangeId, FleetId};
use roadcast_ports::PortError;
use roadcast_ports::fleets::Fleets;

use crate::dynamodb::attributes::{OFFBOARDING, VERSION};
use crate::dynamodb::item;
use crate::dynamodb::keys::{Key, KeyRange};
use crate::dynamodb::transaction::{Condition, Transaction};

const CREATE: &str = "creating a fleet";
const UPDATE: &str = "updating a fleet";
const READ: &str = "reading fleets";
const READ_CHANGES: &str = "reading audit records of a fleet";

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
    async fn put(
        &self,
        fleet: &Fleet,
        condition: Condition,
        change: &Change,
        context: &'static str,
    ) -> Result<(), PortError> {
        let (key, listed) = (Key::fleet(&fleet.fleet_id), Key::listed_fleet(&fleet.fleet_id));
        let mut item = item::with_record(&key, fleet, context)?;
        item.insert(VERSION.to_owned(), AttributeValue::N(fleet.version.to_string()));
        if fleet.state != FleetState::Active {
            item.insert(OFFBOARDING.to_owned(), AttributeValue::Bool(true));
        }
        Transaction::new(&self.client, context)
            .put(&self.table, item, &key, condition)?
            .put(&self.table, item::with_record(&listed, fleet, context)?, &listed, Condition::None)?
            .record_change(&self.table, change)?
            .commit()
            .await
    }
}

impl Fleets for DynamoFleets {
    async fn create(&self, fleet: &Fleet, change: &Change) -> Result<(), PortError> {
        self.put(fleet, Condition::Absent, change, CREATE).await
    }

    async fn update(&self, fleet: &Fleet, change: &Change) -> Result<(), PortError> {
        let next = Fleet { version: fleet.version + 1, ..fleet.clone() };
        self.put(&next, Condition::at_version(fleet.version), change, UPDATE).await
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
