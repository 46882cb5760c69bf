//! Last known values of signals: table `vehicleState`.
//!
//! An item holds `vid`, `rev`, the number of its changes, and `state`, the readings as encoded by
//! [`roadcast_codec::vehicle_state`].

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use roadcast_codec::vehicle_state;
use roadcast_domain::ids::VehicleId;
use roadcast_domain::state::VehicleState;
use roadcast_ports::state::{StateStore, StoredState};
use roadcast_ports::{PortError, PortErrorKind};

use crate::backoff;
use crate::dynamodb::item::{self, InvalidAttribute, Item};
use crate::dynamodb::keys::Key;
use crate::sdk_error::port_error;

const MERGE: &str = "merging a vehicle state";
const READ: &str = "reading a vehicle state";
const REV: &str = "rev";
const STATE: &str = "state";
/// Writes to one vehicle conflict only if its shard is processed in parallel or again.
const MAX_ATTEMPTS: u32 = 10;

/// Last known values in `DynamoDB`, one item per vehicle.
#[derive(Clone, Debug)]
pub struct DynamoStateStore {
    client: Client,
    table: String,
}

impl DynamoStateStore {
    /// Creates the adapter on the given `vehicleState` table.
    pub fn new(client: Client, vehicle_state_table: impl Into<String>) -> Self {
        Self { client, table: vehicle_state_table.into() }
    }

    async fn load(&self, vid: &VehicleId, context: &'static str) -> Result<StoredState, PortError> {
        let Some(item) = item::get(&self.client, &self.table, &Key::state(vid), context).await? else {
            return Ok(StoredState::default());
        };
        decode(&item).map_err(|error| error.into_port_error(context))
    }

    /// Replaces revision `rev`. Fails with `Conflict` if another revision is stored.
    async fn save(&self, vid: &VehicleId, rev: u64, state: &VehicleState) -> Result<(), PortError> {
        let item =
            encode(vid, rev + 1, state).map_err(|error| PortError::new(PortErrorKind::Rejected, MERGE).caused_by(error))?;
        let put =
            self.client.put_item().table_name(&self.table).set_item(Some(item)).expression_attribute_names("#rev", REV);
        let put = if rev == 0 {
            put.condition_expression("attribute_not_exists(#rev)")
        } else {
            let expected = AttributeValue::N(rev.to_string());
            put.condition_expression("#rev = :expected").expression_attribute_values(":expected", expected)
        };
        put.send().await.map(|_| ()).map_err(|error| port_error(MERGE, error))
    }
}

impl StateStore for DynamoStateStore {
    async fn read(&self, vid: &VehicleId) -> Result<StoredState, PortError> {
        self.load(vid, READ).await
    }

    async fn merge(&self, vid: &VehicleId, mut stored: StoredState, readings: &VehicleState) -> Result<(), PortError> {
        let mut conflict = None;
        for attempt in 1..=MAX_ATTEMPTS {
            if !stored.state.merge(readings) {
                return Ok(());
            }
            match self.save(vid, stored.revision, &stored.state).await {
                Err(error) if error.kind() == PortErrorKind::Conflict => conflict = Some(error),
                result => return result,
            }
            backoff::wait(attempt).await;
            stored = self.load(vid, MERGE).await?;
        }
        // A conflict of a merge is never permanent: there are only too many concurrent writes.
        let error = PortError::new(PortErrorKind::Throttled, MERGE);
        Err(match conflict {
            Some(conflict) => error.caused_by(conflict),
            None => error,
        })
    }
}

fn encode(vid: &VehicleId, rev: u64, state: &VehicleState) -> Result<Item, InvalidAttribute> {
    let bytes = vehicle_state::encode(state).map_err(|error| InvalidAttribute::with_source(STATE, error))?;
    let mut item = Key::state(vid).attributes();
    item.insert(REV.to_owned(), AttributeValue::N(rev.to_string()));
    item.insert(STATE.to_owned(), AttributeValue::B(Blob::new(bytes)));
    Ok(item)
}

fn decode(item: &Item) -> Result<StoredState, InvalidAttribute> {
    let revision = item::number(item, REV)?.ok_or_else(|| InvalidAttribute::new(REV))?;
    let Some(AttributeValue::B(bytes)) = item.get(STATE) else { return Err(InvalidAttribute::new(STATE)) };
    let state = vehicle_state::decode(bytes.as_ref()).map_err(|error| InvalidAttribute::with_source(STATE, error))?;
    Ok(StoredState { state, revision })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use roadcast_domain::ids::Eid;
    use roadcast_domain::state::LastKnown;
    use roadcast_signals::{SignalPath, Timestamp, Value};

    use super::*;

    fn state(signals: u32) -> VehicleState {
        let at = Timestamp::from_ms(1_793_000_000_123);
        let reading = |n: u32| LastKnown {
            value: Value::Number(f64::from(n) / 3.0),
            at,
            received: at.plus_ms(7),
            eid: Eid::lower_bound(at),
            index: n,
        };
        let path = |n: u32| SignalPath::parse(&format!("acme.signal{n}")).unwrap();
        let watermark = (signals > 0).then_some(at);
        VehicleState { signals: (0..signals).map(|n| (path(n), reading(n))).collect(), watermark }
    }

    #[test]
    fn state_round_trips_exactly_short_or_long() {
        let vid = VehicleId::from_random_bits(1);
        for signals in [0, 3, 2_000] {
            let item = encode(&vid, 41, &state(signals)).unwrap();
            assert_eq!(decode(&item).unwrap(), StoredState { state: state(signals), revision: 41 });
        }
    }

    #[test]
    fn item_without_a_revision_is_an_error() {
        let mut item = encode(&VehicleId::from_random_bits(1), 1, &state(1)).unwrap();
        item.remove(REV);
        assert!(decode(&item).is_err());
    }
}
