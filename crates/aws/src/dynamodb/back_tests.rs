//! Back-tests and their alerts, in `reference`.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use roadcast_domain::alert::RuleOwner;
use roadcast_domain::back_test::{BackTest, BackTestAlert};
use roadcast_domain::ids::BackTestId;
use roadcast_ports::alerts::BackTests;
use roadcast_ports::{PortError, PortErrorKind};
use roadcast_signals::Timestamp;

use crate::dynamodb::expiry;
use crate::dynamodb::item;
use crate::dynamodb::keys::{Key, KeyRange, SK};
use crate::dynamodb::revised_item::{self, Expected};
use crate::sdk_error::port_error;

const CREATE: &str = "creating a back-test";
const READ: &str = "reading back-tests";
const REPLACE: &str = "replacing a back-test";
const REMOVE: &str = "removing a back-test";
const STORE: &str = "storing the alerts of a back-test";
const READ_ALERTS: &str = "reading the alerts of a back-test";

/// Back-tests in `DynamoDB`: one item each, in a partition for each owner, and one item for each page of alerts, in a partition for each
/// back-test. All of them expire.
#[derive(Clone, Debug)]
pub struct DynamoBackTests {
    client: Client,
    table: String,
}

impl DynamoBackTests {
    /// Creates the adapter on the given `reference` table.
    pub fn new(client: Client, reference_table: impl Into<String>) -> Self {
        Self { client, table: reference_table.into() }
    }

    /// Stores a back-test under the condition of what is stored.
    async fn put(&self, back_test: &BackTest, expected: Expected, context: &'static str) -> Result<(), PortError> {
        let key = Key::back_test(&back_test.owner, &back_test.back_test_id);
        let mut item = item::with_record(&key, back_test, context)?;
        let (name, expires_at) = expiry::at(back_test.expires_at());
        item.insert(name, expires_at);
        revised_item::put(&self.client, &self.table, item, (expected, back_test.revision), context).await
    }
}

impl BackTests for DynamoBackTests {
    async fn create(&self, back_test: &BackTest) -> Result<(), PortError> {
        self.put(back_test, Expected::Absent, CREATE).await
    }

    async fn get(&self, owner: &RuleOwner, back_test_id: &BackTestId) -> Result<Option<BackTest>, PortError> {
        let item = revised_item::get(&self.client, &self.table, &Key::back_test(owner, back_test_id), READ).await?;
        item.as_ref().map(item::record).transpose().map_err(|error| error.into_port_error(READ))
    }

    async fn list(&self, owner: &RuleOwner) -> Result<Vec<BackTest>, PortError> {
        // Those that have expired do not count.
        let items = item::all(&self.client, &self.table, &KeyRange::back_tests(owner), READ).await?;
        let live = items.iter().filter(|item| !expiry::is_expired(item)).take(BackTest::MAX_PER_OWNER);
        live.map(item::record).collect::<Result<_, _>>().map_err(|error| error.into_port_error(READ))
    }

    async fn replace(&self, back_test: &BackTest) -> Result<(), PortError> {
        let next = BackTest { revision: back_test.revision + 1, ..back_test.clone() };
        self.put(&next, Expected::Revision(back_test.revision), REPLACE).await
    }

    async fn remove(&self, owner: &RuleOwner, back_test_id: &BackTestId) -> Result<(), PortError> {
        let key = Key::back_test(owner, back_test_id).attributes();
        let request = self.client.delete_item().table_name(&self.table).set_key(Some(key));
        request.send().await.map(|_| ()).map_err(|error| port_error(REMOVE, error))
    }

    async fn store_alerts(
        &self,
        back_test_id: &BackTestId,
        page: &str,
        alerts: &[BackTestAlert],
        expires_at: Timestamp,
    ) -> Result<(), PortError> {
        let mut item = item::with_record(&Key::back_test_alerts(back_test_id, page), &alerts, STORE)?;
        let (name, expires_at) = expiry::at(expires_at);
        item.insert(name, expires_at);
        let request = self.client.put_item().table_name(&self.table).set_item(Some(item));
        request.send().await.map(|_| ()).map_err(|error| port_error(STORE, error))
    }

    async fn alerts(&self, back_test_id: &BackTestId, pages: &[String]) -> Result<Vec<BackTestAlert>, PortError> {
        let (Some(first), Some(last)) = (pages.first(), pages.last()) else { return Ok(Vec::new()) };
        let range = KeyRange::back_test_alerts(back_test_id, first, last);
        let mut items = item::all(&self.client, &self.table, &range, READ_ALERTS).await?;
        let name = |value: Option<&AttributeValue>| value.and_then(|value| value.as_s().ok()).cloned();
        items.retain(|item| name(item.get(SK)).is_some_and(|name| pages.contains(&name)));
        if items.len() < pages.len() {
            return Err(PortError::new(PortErrorKind::Internal, READ_ALERTS));
        }
        let mut alerts = Vec::new();
        for item in &items {
            let page: Vec<BackTestAlert> = item::record(item).map_err(|error| error.into_port_error(READ_ALERTS))?;
            alerts.extend(page);
        }
        Ok(alerts)
    }
}
