//! Vehicle mappings, which fleet has which vehicle: in `reference`.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use roadcast_domain::ids::{FleetId, VehicleId};
use roadcast_domain::vehicle_mapping::VehicleMapping;
use roadcast_ports::batch_result::BatchResult;
use roadcast_ports::bulk::{PutOutcome, VehicleMappings};
use roadcast_ports::{PortError, PortErrorKind};

use crate::backoff;
use crate::dynamodb::attributes::VERSION;
use crate::dynamodb::item::{self, Item};
use crate::dynamodb::keys::{Key, KeyRange};
use crate::dynamodb::transaction::Condition;
use crate::dynamodb::{batch_get, grouped_puts};
use crate::sdk_error::{kind_of, port_error};

const READ: &str = "reading vehicle mappings";
const PUT: &str = "storing a vehicle mapping";
/// A new table needs some time until it accepts writes at full rate.
const MAX_ATTEMPTS: u32 = 10;

/// Vehicle mappings in `DynamoDB`.
#[derive(Clone, Debug)]
pub struct DynamoVehicleMappings {
    client: Client,
    table: String,
}

impl DynamoVehicleMappings {
    /// Creates the adapter on the given `reference` table.
    pub fn new(client: Client, reference_table: impl Into<String>) -> Self {
        Self { client, table: reference_table.into() }
    }
}

impl VehicleMappings for DynamoVehicleMappings {
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
            .set_item(Some(mapping_item(mapping)?))
            .condition_expression("attribute_not_exists(#version) OR #version < :version")
            .expression_attribute_names("#version", VERSION)
            .expression_attribute_values(":version", version);
        for attempt in 1.. {
            match put.clone().send().await {
                Ok(_) => break,
                // Also if an earlier attempt of this call succeeded and its response was lost: the caller reads again.
                Err(error) if kind_of(&error) == PortErrorKind::Conflict => return Ok(PutOutcome::NotNewer),
                Err(error) if kind_of(&error) == PortErrorKind::Throttled && attempt < MAX_ATTEMPTS => {
                    backoff::wait(attempt).await;
                }
                Err(error) => return Err(port_error(PUT, error)),
            }
        }
        Ok(PutOutcome::Stored)
    }

    async fn put_all(&self, mappings: &[VehicleMapping]) -> BatchResult<PutOutcome> {
        let write_set = |mapping: &VehicleMapping| {
            let older = Condition::AbsentOrLess(VERSION, AttributeValue::S(mapping.version.as_str().to_owned()));
            Ok(vec![(self.table.as_str(), mapping_item(mapping)?, mapping_key(mapping), older)])
        };
        let sets = mappings.iter().map(write_set).collect::<Result<_, PortError>>()?;
        grouped_puts::put_grouped(&self.client, sets, || PutOutcome::Stored, |index| self.put(&mappings[index]), PUT).await
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

fn mapping_key(mapping: &VehicleMapping) -> Key {
    Key::mapping(&mapping.fleet_id, &mapping.vid)
}

fn mapping_item(mapping: &VehicleMapping) -> Result<Item, PortError> {
    let mut item = item::with_record(&mapping_key(mapping), mapping, PUT)?;
    item.insert(VERSION.to_owned(), AttributeValue::S(mapping.version.as_str().to_owned()));
    Ok(item)
}
