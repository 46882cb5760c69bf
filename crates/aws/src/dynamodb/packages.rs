//! Custom packages, in `reference`.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use roadcast_domain::package::{CustomPackage, PackageName};
use roadcast_ports::PortError;
use roadcast_ports::packages::CustomPackages;

use crate::dynamodb::attributes::VERSION;
use crate::dynamodb::item::{self, Item};
use crate::dynamodb::keys::{Key, KeyRange};
use crate::dynamodb::transaction::{Condition, Transaction};

const PUT: &str = "storing a package";
const READ: &str = "reading packages";

/// Custom packages in `DynamoDB`: one item each, all in one partition. [`DynamoEntitlements`](crate::DynamoEntitlements)
/// reads the same items.
#[derive(Clone, Debug)]
pub struct DynamoPackages {
    client: Client,
    table: String,
}

impl DynamoPackages {
    /// Creates the adapter on the given `reference` table.
    pub fn new(client: Client, reference_table: impl Into<String>) -> Self {
        Self { client, table: reference_table.into() }
    }
}

impl CustomPackages for DynamoPackages {
    async fn put(&self, package: &CustomPackage) -> Result<(), PortError> {
        let number = |version: u64| AttributeValue::N(version.to_string());
        let key = Key::package(&package.package.name);
        let mut item = item::with_record(&key, package, PUT)?;
        item.insert(VERSION.to_owned(), number(package.version));
        let condition = match package.version {
            1 => Condition::Absent,
            version => Condition::Equals(VERSION, number(version.saturating_sub(1))),
        };
        // In one transaction: if the response is lost, the change is either stored and counted, or neither.
        Transaction::new(&self.client, PUT)
            .put(&self.table, item, &key, condition)?
            .increment(&self.table, &Key::entitlements_version(), VERSION, Item::new())?
            .commit()
            .await
    }

    async fn get(&self, name: &PackageName) -> Result<Option<CustomPackage>, PortError> {
        let item = item::get(&self.client, &self.table, &Key::package(name), READ).await?;
        item.as_ref().map(item::record).transpose().map_err(|error| error.into_port_error(READ))
    }

    async fn list(&self) -> Result<Vec<CustomPackage>, PortError> {
        let items = item::all(&self.client, &self.table, &KeyRange::packages(), READ).await?;
        items.iter().map(item::record).collect::<Result<_, _>>().map_err(|error| error.into_port_error(READ))
    }
}
