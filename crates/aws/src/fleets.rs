//! Fleets, in `reference`.

use aws_sdk_dynamodb::Client;
use roadcast_domain::audit::Change;
use roadcast_domain::fleet::Fleet;
use roadcast_domain::ids::{Eid, FleetId};
use roadcast_ports::PortError;
use roadcast_ports::fleets::Fleets;

use crate::item;
use crate::keys::{Key, KeyRange};
use crate::transaction::{Condition, Transaction};

const CREATE: &str = "creating a fleet";
const READ: &str = "reading fleets";
const READ_CHANGES: &str = "reading changes of a fleet";

/// Fleets in `DynamoDB`: each under its own key, read often, and once more in the list of all.
#[derive(Clone, Debug)]
pub struct DynamoFleets {
    client: Client,
    table: String,
}

impl DynamoFleets {
    /// The fleets in that table.
    pub fn new(client: Client, reference_table: impl Into<String>) -> Self {
        Self { client, table: reference_table.into() }
    }
}

impl Fleets for DynamoFleets {
    async fn create(&self, fleet: &Fleet, change: Option<&Change>) -> Result<(), PortError> {
        let (key, listed) = (Key::fleet(&fleet.fleet_id), Key::listed_fleet(&fleet.fleet_id));
        Transaction::new(&self.client, CREATE)
            .put(&self.table, item::with_record(&key, fleet, CREATE)?, &key, Condition::Absent)?
            .put(&self.table, item::with_record(&listed, fleet, CREATE)?, &listed, Condition::Absent)?
            .keep(&self.table, change)?
            .commit()
            .await
    }

    async fn get(&self, fleet_id: &FleetId) -> Result<Option<Fleet>, PortError> {
        let item = item::get(&self.client, &self.table, &Key::fleet(fleet_id), READ).await?;
        item.as_ref().map(item::record).transpose().map_err(|error| error.into_port_error(READ))
    }

    async fn list(&self, after: Option<&FleetId>, limit: usize) -> Result<Vec<Fleet>, PortError> {
        item::records(&self.client, &self.table, &KeyRange::fleets(after), limit, READ).await
    }

    async fn changes(&self, fleet_id: &FleetId, before: Option<Eid>, limit: usize) -> Result<Vec<Change>, PortError> {
        item::records(&self.client, &self.table, &KeyRange::changes(fleet_id, before), limit, READ_CHANGES).await
    }
}
