//! Which customer has which vehicle, and how far files of bulk data are loaded: in `reference`.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use roadcast_domain::ids::{FleetId, VehicleId};
use roadcast_domain::vehicle_mapping::{ImportLedger, VehicleMapping};
use roadcast_ports::batch_result::BatchResult;
use roadcast_ports::bulk::{BulkFile, CHECKPOINT_KEPT_MS, Checkpoint, ImportProgress, PutOutcome, VehicleMappings};
use roadcast_ports::clock::Clock as _;
use roadcast_ports::{PortError, PortErrorKind};

use crate::clock::SystemClock;
use crate::item::{self, Item};
use crate::keys::{EXPIRES_AT, Key, KeyRange};
use crate::sdk_error::{kind_of, port_error};
use crate::transaction::Condition;
use crate::{backoff, batch_get, grouped};

const READ: &str = "reading mappings";
const PUT: &str = "keeping a mapping";
const CHECKPOINT: &str = "keeping how far a file is loaded";
const LEDGER: &str = "keeping the ledger of files";
/// The file's version once more, for conditions to look at.
const VERSION: &str = "version";
/// The ledger's revision, likewise.
const REVISION: &str = "revision";
/// A new table takes some time to take writes as fast as they come.
const TRIES: u32 = 10;

/// Mappings, checkpoints and the ledger in `DynamoDB`.
#[derive(Clone, Debug)]
pub struct DynamoBulkMap {
    client: Client,
    table: String,
}

impl DynamoBulkMap {
    /// Those in that table.
    pub fn new(client: Client, reference_table: impl Into<String>) -> Self {
        Self { client, table: reference_table.into() }
    }
}

impl VehicleMappings for DynamoBulkMap {
    async fn get(&self, pairs: &[(FleetId, VehicleId)]) -> Result<Vec<Option<VehicleMapping>>, PortError> {
        let keys = pairs.iter().map(|(fleet_id, vid)| Key::mapping(fleet_id, vid)).collect();
        let items = batch_get::get_all(&self.client, &self.table, keys, READ).await?;
        let mappings = items.iter().map(item::record).collect::<Result<Vec<VehicleMapping>, _>>();
        let mappings = mappings.map_err(|error| error.into_port_error(READ))?;
        let by_pair: HashMap<_, _> =
            mappings.into_iter().map(|mapping| ((mapping.fleet_id.clone(), mapping.vid.clone()), mapping)).collect();
        Ok(pairs.iter().map(|pair| by_pair.get(pair).cloned()).collect())
    }

    async fn put(&self, mapping: &VehicleMapping) -> Result<PutOutcome, PortError> {
        let version = AttributeValue::S(mapping.version.as_str().to_owned());
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item_of(mapping)?))
            .condition_expression("attribute_not_exists(#version) OR #version < :version")
            .expression_attribute_names("#version", VERSION)
            .expression_attribute_values(":version", version);
        for attempt in 1.. {
            match put.clone().send().await {
                Ok(_) => break,
                // Also where an earlier try of ours was done and its answer lost: who asks reads again.
                Err(error) if kind_of(&error) == PortErrorKind::Conflict => return Ok(PutOutcome::Older),
                Err(error) if kind_of(&error) == PortErrorKind::Throttled && attempt < TRIES => backoff::wait(attempt).await,
                Err(error) => return Err(port_error(PUT, error)),
            }
        }
        Ok(PutOutcome::Kept)
    }

    async fn put_all(&self, mappings: &[VehicleMapping]) -> BatchResult<PutOutcome> {
        let unit = |mapping: &VehicleMapping| {
            let older = Condition::AbsentOrBelow(VERSION, AttributeValue::S(mapping.version.as_str().to_owned()));
            Ok(vec![(self.table.as_str(), item_of(mapping)?, key_of(mapping), older)])
        };
        let units = mappings.iter().map(unit).collect::<Result<_, PortError>>()?;
        grouped::put_each(&self.client, units, || PutOutcome::Kept, |place| self.put(&mappings[place]), PUT).await
    }

    async fn list(
        &self,
        fleet_id: &FleetId,
        after: Option<&VehicleId>,
        limit: usize,
    ) -> Result<Vec<VehicleMapping>, PortError> {
        item::records(&self.client, &self.table, &KeyRange::mappings(fleet_id, after), limit, READ).await
    }
}

fn key_of(mapping: &VehicleMapping) -> Key {
    Key::mapping(&mapping.fleet_id, &mapping.vid)
}

fn item_of(mapping: &VehicleMapping) -> Result<Item, PortError> {
    let mut item = item::with_record(&key_of(mapping), mapping, PUT)?;
    item.insert(VERSION.to_owned(), AttributeValue::S(mapping.version.as_str().to_owned()));
    Ok(item)
}

impl ImportProgress for DynamoBulkMap {
    async fn checkpoint(&self, file: &BulkFile) -> Result<Option<Checkpoint>, PortError> {
        let item = item::get(&self.client, &self.table, &Key::bulk_checkpoint(&file.version), CHECKPOINT).await?;
        item.as_ref().map(item::record).transpose().map_err(|error| error.into_port_error(CHECKPOINT))
    }

    async fn keep_checkpoint(&self, file: &BulkFile, checkpoint: &Checkpoint) -> Result<(), PortError> {
        let mut item = item::with_record(&Key::bulk_checkpoint(&file.version), checkpoint, CHECKPOINT)?;
        let expires_at = (SystemClock.now().ms() + CHECKPOINT_KEPT_MS).div_euclid(1000);
        item.insert(EXPIRES_AT.to_owned(), AttributeValue::N(expires_at.to_string()));
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item));
        put.send().await.map(|_| ()).map_err(|error| port_error(CHECKPOINT, error))
    }

    async fn ledger(&self) -> Result<ImportLedger, PortError> {
        let item = item::get(&self.client, &self.table, &Key::bulk_ledger(), LEDGER).await?;
        let ledger = item.as_ref().map(item::record).transpose().map_err(|error| error.into_port_error(LEDGER));
        ledger.map(Option::unwrap_or_default)
    }

    async fn replace_ledger(&self, ledger: &ImportLedger) -> Result<(), PortError> {
        let mut item = item::with_record(&Key::bulk_ledger(), ledger, LEDGER)?;
        item.insert(REVISION.to_owned(), AttributeValue::N(ledger.revision.to_string()));
        let before = ledger.revision.saturating_sub(1);
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .expression_attribute_names("#revision", REVISION)
            .expression_attribute_values(":before", AttributeValue::N(before.to_string()));
        let put = if before == 0 {
            put.condition_expression("attribute_not_exists(#revision) OR #revision = :before")
        } else {
            put.condition_expression("#revision = :before")
        };
        put.send().await.map(|_| ()).map_err(|error| port_error(LEDGER, error))
    }
}
