//! Erasures of what the vehicles of the end-to-end test do not have: VINs, mappings, deliveries and dead letters.

use roadcast_aws::{ErasedTables, Sdk, keys};

use super::{ARCHIVE, REFERENCE, VEHICLES};
use crate::erasure::{self, Resources};
use crate::stack;

/// Erases vehicles. The table of deliveries exists, and the bucket of dead letters.
pub(super) async fn make(operator: &Sdk, eraser: &Sdk, secret: &str) {
    let table = |suffix: &str| format!("roadcast-local-{suffix}");
    let resources = Resources {
        vehicles: VEHICLES.to_owned(),
        tables: ErasedTables {
            reference: REFERENCE.to_owned(),
            vehicle_events: stack::table(operator, table("vehicleEvents"), keys::VID, Some(keys::EID)).await,
            vehicle_state: stack::table(operator, table("vehicleState"), keys::VID, None).await,
            alert_state: stack::table(operator, table("alertState"), keys::PK, Some(keys::SK)).await,
            feed_index: stack::table(operator, table("feedIndex"), keys::FEED, Some(keys::STAMP)).await,
            deliveries: table("deliveries"),
            dead_letters: stack::table(operator, table("deadLetters"), keys::PK, Some(keys::SK)).await,
        },
        archive: ARCHIVE.to_owned(),
        dead_letter_bucket: table("dead-letters-000000000000-eu-central-1"),
        secret: secret.to_owned(),
    };
    Box::pin(erasure::make(operator, eraser, &resources)).await;
}
