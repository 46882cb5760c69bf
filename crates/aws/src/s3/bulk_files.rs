//! Files of bulk data, in one bucket.
//!
//! | prefix | content |
//! |---|---|
//! | `vin-map/` | files of vehicle mappings: which fleet has which vehicle |
//! | `schemas/` | files of schemas of event types |
//! | `reports/<key of a file>.report.ndjson`, `….summary.json` | the outcome of the import of that file |
//! | `reports/parts/` | parts of reports of unfinished imports; they expire |
//! | `resume/` | resume markers: storing one triggers the import of its file again; they expire |

use aws_sdk_s3::Client;
use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::primitives::{AggregatedBytes, ByteStream, ByteStreamError};
use roadcast_domain::vehicle_mapping::FileVersion;
use roadcast_ports::bulk::{BulkFile, BulkFiles, FileBody};
use roadcast_ports::{PortError, PortErrorKind};
use sha2::{Digest as _, Sha256};

use crate::s3::multipart_upload::MultipartUpload;
use crate::sdk::LazyClient;
use crate::sdk_error::port_error;

const OPEN: &str = "opening a file of bulk data";
const READ: &str = "reading a file of bulk data";
const REPORT: &str = "storing an import report";
const RESUME: &str = "storing or reading a resume marker";
/// The prefix of resume markers.
pub const RESUME_PREFIX: &str = "resume/";
const REPORTS_PREFIX: &str = "reports/";
const NDJSON: &str = "application/x-ndjson";

/// Files of bulk data in one bucket.
#[derive(Clone, Debug)]
pub struct S3BulkFiles {
    client: LazyClient<Client>,
    bucket: String,
}

impl S3BulkFiles {
    /// Creates the adapter on the given bucket.
    pub fn new(client: LazyClient<Client>, bucket: impl Into<String>) -> Self {
        Self { client, bucket: bucket.into() }
    }

    /// Reads the file that a resume marker under [`RESUME_PREFIX`] names.
    pub async fn read_resume_marker(&self, key: &str) -> Result<BulkFile, PortError> {
        serde_json::from_slice(&self.read(key, RESUME).await?).map_err(|error| unwritable(RESUME, error))
    }

    async fn read(&self, key: &str, context: &'static str) -> Result<Vec<u8>, PortError> {
        let output = self.client.get_object().bucket(&self.bucket).key(key).send().await;
        let body = output.map_err(|error| port_error(context, error))?.body.collect().await;
        body.map(AggregatedBytes::to_vec).map_err(|error| unavailable(context, error))
    }

    async fn put(&self, key: &str, body: Vec<u8>, content_type: &str, context: &'static str) -> Result<(), PortError> {
        let put =
            self.client.put_object().bucket(&self.bucket).key(key).content_type(content_type).body(ByteStream::from(body));
        put.send().await.map(|_| ()).map_err(|error| port_error(context, error))
    }

    /// Stores a report of pieces that may exceed the memory together.
    async fn put_report(&self, key: &str, file: &BulkFile, parts: u32, lines: Vec<u8>) -> Result<(), PortError> {
        let mut upload = MultipartUpload::new(&self.client, &self.bucket, key, NDJSON, REPORT);
        let result = self.upload_report(&mut upload, file, parts, lines).await;
        if result.is_err() {
            upload.abort().await;
        }
        result
    }

    async fn upload_report(
        &self,
        upload: &mut MultipartUpload<'_>,
        file: &BulkFile,
        parts: u32,
        lines: Vec<u8>,
    ) -> Result<(), PortError> {
        for part in 0..parts {
            upload.add(self.read(&part_key(file, part), REPORT).await?).await?;
        }
        upload.add(lines).await?;
        upload.finish().await
    }
}

impl BulkFiles for S3BulkFiles {
    type Body = S3Body;

    async fn open(&self, file: &BulkFile, from: u64) -> Result<S3Body, PortError> {
        let opened = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(&file.key)
            .set_version_id(file.object_version.clone())
            .if_match(format!("\"{}\"", file.content))
            .set_range((from > 0).then(|| format!("bytes={from}-")))
            .send()
            .await;
        match opened {
            Ok(object) => Ok(S3Body(Some(object.body))),
            Err(error) if error.code() == Some("InvalidRange") => Ok(S3Body(None)),
            // A deleted file is treated like a replaced one.
            Err(error) if matches!(error.code(), Some("NoSuchKey" | "NoSuchVersion")) => {
                Err(PortError::new(PortErrorKind::Conflict, OPEN).caused_by(error))
            }
            Err(error) => Err(port_error(OPEN, error)),
        }
    }

    async fn store_report_part(&self, file: &BulkFile, part: u32, lines: Vec<u8>) -> Result<(), PortError> {
        self.put(&part_key(file, part), lines, NDJSON, REPORT).await
    }

    async fn store_report(&self, file: &BulkFile, parts: u32, lines: Vec<u8>, summary: Vec<u8>) -> Result<(), PortError> {
        self.put_report(&format!("{REPORTS_PREFIX}{}.report.ndjson", file.key), file, parts, lines).await?;
        // The summary is stored last, so that a client that waits for it finds the report.
        self.put(&format!("{REPORTS_PREFIX}{}.summary.json", file.key), summary, "application/json", REPORT).await
    }

    async fn request_resume(&self, file: &BulkFile) -> Result<(), PortError> {
        let text = serde_json::to_vec(file).map_err(|error| unwritable(RESUME, error))?;
        self.put(&format!("{RESUME_PREFIX}{}.json", hashed_name(&file.version)), text, "application/json", RESUME).await
    }
}

/// The body of an opened file; `None` if it was opened at its end.
#[derive(Debug)]
pub struct S3Body(Option<ByteStream>);

impl FileBody for S3Body {
    async fn next(&mut self) -> Result<Option<Vec<u8>>, PortError> {
        let Some(body) = &mut self.0 else { return Ok(None) };
        let chunk = body.try_next().await.map_err(|error| unavailable(READ, error))?;
        Ok(chunk.map(Vec::from))
    }
}

fn part_key(file: &BulkFile, part: u32) -> String {
    format!("{REPORTS_PREFIX}parts/{}/{part:06}.ndjson", hashed_name(&file.version))
}

/// Returns an object name that contains no data of the file.
fn hashed_name(version: &FileVersion) -> String {
    hex::encode(&Sha256::digest(version.as_str())[..16])
}

fn unavailable(context: &'static str, error: ByteStreamError) -> PortError {
    PortError::new(PortErrorKind::Unavailable, context).caused_by(error)
}

fn unwritable(context: &'static str, error: serde_json::Error) -> PortError {
    PortError::new(PortErrorKind::Internal, context).caused_by(error)
}

#[cfg(test)]
mod tests;
