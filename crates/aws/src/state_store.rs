//! Last-known values: table `vehicleState`.
//!
//! An item holds `vid`, `rev`, which counts its changes, and `state`, the readings as [`roadcast_codec::vehicle_state`] writes them.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use roadcast_codec::vehicle_state;
use roadcast_domain::ids::VehicleId;
use roadcast_domain::state::VehicleState;
use roadcast_ports::state::{StateStore, StoredState};
use roadcast_ports::{PortError, PortErrorKind};

use crate::backoff;
use crate::item::{self, Item, Unreadable};
use crate::keys::Key;
use crate::sdk_error::port_error;

const MERGE: &str = "merging a vehicle's state";
const READ: &str = "reading a vehicle's state";
const REV: &str = "rev";
const STATE: &str = "state";
/// Writers of one vehicle meet only where its shard is processed in parallel or again.
const TRIES: u32 = 10;

/// Last-known values in `DynamoDB`, one item a vehicle.
#[derive(Clone, Debug)]
pub struct DynamoStateStore {
    client: Client,
    table: String,
}

impl DynamoStateStore {
    /// The store in that table.
    pub fn new(client: Client, vehicle_state_table: impl Into<String>) -> Self {
        Self { client, table: vehicle_state_table.into() }
    }

    async fn load(&self, vid: &VehicleId, context: &'static str) -> Result<StoredState, PortError> {
        let Some(item) = item::get(&self.client, &self.table, &Key::state(vid), context).await? else {
            return Ok(StoredState::default());
        };
        decode(&item).map_err(|error| error.into_port_error(context))
    }

    /// Writes over revision `rev`; a conflict where another is there by now.
    async fn save(&self, vid: &VehicleId, rev: u64, state: &VehicleState) -> Result<(), PortError> {
        let item = encode(vid, rev + 1, state).map_err(|error| error.into_port_error(MERGE))?;
        let put =
            self.client.put_item().table_name(&self.table).set_item(Some(item)).expression_attribute_names("#rev", REV);
        let put = if rev == 0 {
            put.condition_expression("attribute_not_exists(#rev)")
        } else {
            let read = AttributeValue::N(rev.to_string());
            put.condition_expression("#rev = :read").expression_attribute_values(":read", read)
        };
        put.send().await.map(|_| ()).map_err(|error| port_error(MERGE, error))
    }
}

impl StateStore for DynamoStateStore {
    async fn read(&self, vid: &VehicleId) -> Result<StoredState, PortError> {
        self.load(vid, READ).await
    }

    async fn merge(&self, vid: &VehicleId, mut known: StoredState, readings: &VehicleState) -> Result<(), PortError> {
        let mut lost = None;
        for attempt in 1..=TRIES {
            if !known.state.merge(readings) {
                return Ok(());
            }
            match self.save(vid, known.revision, &known.state).await {
                Err(error) if error.kind() == PortErrorKind::Conflict => lost = Some(error),
                answer => return answer,
            }
            backoff::wait(attempt).await;
            known = self.load(vid, MERGE).await?;
        }
        // A merge conflicts with nothing for good: there are only too many of them at once.
        let error = PortError::new(PortErrorKind::Throttled, MERGE);
        Err(match lost {
            Some(lost) => error.caused_by(lost),
            None => error,
        })
    }
}

fn encode(vid: &VehicleId, rev: u64, state: &VehicleState) -> Result<Item, Unreadable> {
    let bytes = vehicle_state::encode(state).map_err(|error| Unreadable::because(STATE, error))?;
    let mut item = Key::state(vid).attributes();
    item.insert(REV.to_owned(), AttributeValue::N(rev.to_string()));
    item.insert(STATE.to_owned(), AttributeValue::B(Blob::new(bytes)));
    Ok(item)
}

fn decode(item: &Item) -> Result<StoredState, Unreadable> {
    let revision = item::number(item, REV)?.ok_or_else(|| Unreadable::at(REV))?;
    let Some(AttributeValue::B(bytes)) = item.get(STATE) else { return Err(Unreadable::at(STATE)) };
    let state = vehicle_state::decode(bytes.as_ref()).map_err(|error| Unreadable::because(STATE, error))?;
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
            eid: Eid::first_at(at),
            index: n,
        };
        let path = |n: u32| SignalPath::parse(&format!("acme.signal{n}")).unwrap();
        let watermark = (signals > 0).then_some(at);
        VehicleState { signals: (0..signals).map(|n| (path(n), reading(n))).collect(), watermark }
    }

    #[test]
    fn a_state_survives_its_item_to_the_bit_short_or_long() {
        let vid = VehicleId::from_random(1);
        for signals in [0, 3, 2_000] {
            let item = encode(&vid, 41, &state(signals)).unwrap();
            assert_eq!(decode(&item).unwrap(), StoredState { state: state(signals), revision: 41 });
        }
    }

    #[test]
    fn an_item_without_a_revision_is_no_empty_state() {
        let mut item = encode(&VehicleId::from_random(1), 1, &state(1)).unwrap();
        item.remove(REV);
        assert!(decode(&item).is_err());
    }
}
