//! Erases vehicles from all tables and buckets.

use aws_sdk_dynamodb::Client;
use roadcast_domain::erasure::{ErasedStore, ErasureScope};
use roadcast_domain::vehicle::Vehicle;
use roadcast_ports::PortError;
use roadcast_ports::erasure::{ErasedPart, VehicleErasure};
use roadcast_signals::Timestamp;

use crate::dynamodb::{ErasedTables, TableErasure};
use crate::s3::ObjectErasure;
use crate::sdk::LazyClient;
use crate::{DynamoVehicles, S3DeadLetterContents};

/// The prefix of a position in the table of dead letters. A position in their bucket is a key, which never starts like this.
const IN_TABLE: &str = "table:";

/// Erases vehicles on AWS.
#[derive(Clone, Debug)]
pub struct AwsVehicleErasure {
    vehicles: DynamoVehicles,
    tables: TableErasure,
    objects: ObjectErasure,
    contents: S3DeadLetterContents,
}

impl AwsVehicleErasure {
    /// Creates the adapter on the given tables and buckets.
    pub fn new(
        vehicles: DynamoVehicles,
        (dynamodb, tables): (Client, ErasedTables),
        s3: LazyClient<aws_sdk_s3::Client>,
        archive_bucket: &str,
        dead_letter_bucket: &str,
    ) -> Self {
        let contents = S3DeadLetterContents::new(s3.clone(), dead_letter_bucket, archive_bucket);
        let objects = ObjectErasure::new(s3, archive_bucket.to_owned(), dead_letter_bucket.to_owned());
        Self { vehicles, tables: TableErasure::new(dynamodb, tables), objects, contents }
    }

    /// The bytes first: a letter is erased if its bytes are gone.
    async fn dead_letters(&self, scope: &ErasureScope, after: Option<&str>) -> Result<ErasedPart, PortError> {
        let in_table = |position: &str| Some(format!("{IN_TABLE}{position}"));
        if let Some(position) = after.and_then(|after| after.strip_prefix(IN_TABLE)) {
            let after = Some(position).filter(|position| !position.is_empty());
            let part = self.tables.dead_letters(&self.contents, after).await?;
            return Ok(ErasedPart { next: part.next.as_deref().and_then(in_table), ..part });
        }
        let part = self.objects.letters(scope, after).await?;
        Ok(ErasedPart { next: part.next.or_else(|| in_table("")), ..part })
    }
}

impl VehicleErasure for AwsVehicleErasure {
    async fn hide(&self, vehicle: &Vehicle, at: Timestamp) -> Result<(), PortError> {
        self.vehicles.hide(vehicle, at).await
    }

    async fn erase(&self, store: ErasedStore, scope: &ErasureScope, after: Option<&str>) -> Result<ErasedPart, PortError> {
        match store {
            ErasedStore::Grants => self.tables.grants(scope).await,
            ErasedStore::Mappings => self.tables.mappings(scope, after).await,
            ErasedStore::Events => self.tables.events(scope).await,
            ErasedStore::States => self.tables.states(scope).await,
            ErasedStore::AlertState => self.tables.alert_state(scope, after).await,
            ErasedStore::FeedIndex => self.tables.feed_index(scope, after).await,
            ErasedStore::Deliveries => self.tables.deliveries(scope, after).await,
            ErasedStore::Archive => self.objects.raw(scope, after).await,
            ErasedStore::Quarantine => self.objects.quarantine(scope, after).await,
            ErasedStore::DeadLetters => self.dead_letters(scope, after).await,
        }
    }
}
