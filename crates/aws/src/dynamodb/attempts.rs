//! Attempts of webhook deliveries, in `deliveries`. The items expire.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::Client;
use roadcast_domain::ids::EndpointId;
use roadcast_domain::webhook::{Attempt, AttemptOutcome};
use roadcast_ports::PortError;
use roadcast_ports::webhooks::{AttemptPage, AttemptPosition, Attempts};

use crate::backoff;
use crate::dynamodb::batch_put;
use crate::dynamodb::expiry;
use crate::dynamodb::item::{self, Item};
use crate::dynamodb::keys::{Key, KeyRange};

const RECORD: &str = "recording attempts of deliveries";
const READ: &str = "reading attempts of deliveries";
/// How long a successful attempt can be looked up, as its delivery.
const DELIVERED_RETENTION_DAYS: i64 = 7;
/// How long another attempt can be looked up.
const RETENTION_DAYS: i64 = 30;
const MAX_TRIES: u32 = 5;

/// Attempts of webhook deliveries in `DynamoDB`.
#[derive(Clone, Debug)]
pub struct DynamoAttempts {
    client: Client,
    table: String,
}

impl DynamoAttempts {
    /// Creates the adapter on the given `deliveries` table.
    pub fn new(client: Client, deliveries_table: impl Into<String>) -> Self {
        Self { client, table: deliveries_table.into() }
    }
}

impl Attempts for DynamoAttempts {
    async fn record(&self, attempts: &[Attempt]) -> Result<(), PortError> {
        for chunk in attempts.chunks(batch_put::ITEMS_PER_REQUEST) {
            let items = chunk.iter().map(encode).collect::<Result<BTreeMap<_, _>, _>>()?;
            let mut tries = 1;
            // What was stored by an earlier try is replaced by itself.
            while let Err(error) = batch_put::put_without_retry(&self.client, &self.table, items.clone(), RECORD).await {
                if !error.is_retryable() || tries == MAX_TRIES {
                    return Err(error);
                }
                backoff::wait(tries).await;
                tries += 1;
            }
        }
        Ok(())
    }

    async fn list(
        &self,
        endpoint_id: &EndpointId,
        before: Option<&AttemptPosition>,
        limit: usize,
    ) -> Result<AttemptPage, PortError> {
        let range = KeyRange::attempts(endpoint_id, before);
        let page = item::page(&self.client, &self.table, &range, Some(limit.max(1)), None, READ).await?;
        let decode = |item: &Item| item::record::<Attempt>(item).map_err(|error| error.into_port_error(READ));
        // The position of the next page is that of the last item, whether it has expired or not.
        let next = match (page.next, page.items.last()) {
            (Some(_), Some(last)) => Some(position(&decode(last)?)),
            _ => None,
        };
        let attempts = page.items.iter().filter(|item| !expiry::is_expired(item)).map(decode);
        Ok(AttemptPage { attempts: attempts.collect::<Result<_, _>>()?, next })
    }
}

fn encode(attempt: &Attempt) -> Result<(Key, Item), PortError> {
    let key = Key::attempt(&attempt.key.endpoint_id, &position(attempt));
    let mut item = item::with_record(&key, attempt, RECORD)?;
    let is_delivered = attempt.outcome == AttemptOutcome::Delivered;
    item.extend([expiry::after_days(if is_delivered { DELIVERED_RETENTION_DAYS } else { RETENTION_DAYS })]);
    Ok((key, item))
}

fn position(attempt: &Attempt) -> AttemptPosition {
    AttemptPosition { at: attempt.at, delivery_id: attempt.key.delivery_id, number: attempt.number }
}
