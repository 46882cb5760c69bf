//! Reads of the archive, for reconciliation.

use aws_sdk_s3::Client;
use aws_sdk_s3::types::Object;
use roadcast_ports::{PortError, PortErrorKind};
use roadcast_signals::Timestamp;
use serde::de::DeserializeOwned;

use crate::s3::archive::{QUARANTINE_PREFIX, RAW_PREFIX};
use crate::s3::archive_lines::{QuarantineLine, RawLine, read};
use crate::sdk::LazyClient;
use crate::sdk_error::port_error;

const LIST: &str = "listing the archive";
const READ: &str = "reading the archive";

/// A section of the archive.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum ArchiveSection {
    /// Unmodified records; keys sort by day and hour.
    Raw,
    /// Quarantined items; keys sort by reason, then day.
    Quarantine,
}

impl ArchiveSection {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Raw => RAW_PREFIX,
            Self::Quarantine => QUARANTINE_PREFIX,
        }
    }
}

/// An archived object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchivedObject {
    /// The object key.
    pub key: String,
    /// When the object was last written.
    pub written_at: Timestamp,
    /// The compressed size in bytes.
    pub bytes: u64,
}

/// Reads the archive in one bucket.
#[derive(Clone, Debug)]
pub struct S3ArchiveReader {
    client: LazyClient<Client>,
    bucket: String,
}

impl S3ArchiveReader {
    /// Creates the reader of the given bucket.
    pub fn new(client: LazyClient<Client>, bucket: impl Into<String>) -> Self {
        Self { client, bucket: bucket.into() }
    }

    /// Lists the objects of a section in key order: after the key `after` and written at `since` or later, if given.
    pub async fn list(
        &self,
        section: ArchiveSection,
        after: Option<&str>,
        since: Option<Timestamp>,
    ) -> Result<Vec<ArchivedObject>, PortError> {
        let request = self.client.list_objects_v2().bucket(&self.bucket).prefix(section.prefix());
        let mut pages = request.set_start_after(after.map(str::to_owned)).into_paginator().send();
        let mut objects = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| port_error(LIST, error))?;
            objects.extend(page.contents.unwrap_or_default().into_iter().filter_map(archived_object));
        }
        objects.retain(|object| since.is_none_or(|since| object.written_at >= since));
        Ok(objects)
    }

    /// Reads the lines of an object under `raw/`.
    pub async fn read_raw(&self, key: &str) -> Result<Vec<RawLine>, PortError> {
        self.lines(key).await
    }

    /// Reads the lines of an object under `quarantine/`.
    pub async fn read_quarantine(&self, key: &str) -> Result<Vec<QuarantineLine>, PortError> {
        self.lines(key).await
    }

    async fn lines<T: DeserializeOwned>(&self, key: &str) -> Result<Vec<T>, PortError> {
        let output = self.client.get_object().bucket(&self.bucket).key(key).send().await;
        let body = output.map_err(|error| port_error(READ, error))?.body.collect().await;
        let body = body.map_err(|error| PortError::new(PortErrorKind::Unavailable, READ).caused_by(error))?;
        read(&body.to_vec()).map_err(|error| PortError::new(PortErrorKind::Internal, READ).caused_by(error))
    }
}

fn archived_object(object: Object) -> Option<ArchivedObject> {
    Some(ArchivedObject {
        written_at: Timestamp::from_ms(object.last_modified?.to_millis().ok()?),
        bytes: object.size.and_then(|size| u64::try_from(size).ok()).unwrap_or_default(),
        key: object.key?,
    })
}
