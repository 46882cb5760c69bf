//! Files of bulk data, in one bucket.
//!
//! | prefix | what lies there |
//! |---|---|
//! | `vin-map/` | files that say which customer has which vehicle |
//! | `schemas/` | files of schemas of event types |
//! | `reports/<key of a file>.report.ndjson`, `….summary.json` | what became of it |
//! | `reports/parts/` | parts of reports on files that are not at their end; they expire |
//! | `resume/` | files that go on: putting one there tells their arrival again; they expire |

use aws_sdk_s3::Client;
use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::primitives::{AggregatedBytes, ByteStream, ByteStreamError};
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use roadcast_domain::vehicle_mapping::FileVersion;
use roadcast_ports::bulk::{BulkFile, BulkFiles, FileBody};
use roadcast_ports::{PortError, PortErrorKind};
use sha2::{Digest as _, Sha256};

use crate::sdk_error::port_error;

const OPEN: &str = "opening a file of bulk data";
const READ: &str = "reading a file of bulk data";
const REPORT: &str = "reporting on a file of bulk data";
const GO_ON: &str = "having a file of bulk data go on";
/// Where files lie that go on.
pub const RESUME: &str = "resume/";
const REPORTS: &str = "reports/";
/// Above what S3 takes for a part of an upload, 5 MiB.
const PART_BYTES: usize = 8 * 1024 * 1024;

/// Files of bulk data in one bucket.
#[derive(Clone, Debug)]
pub struct S3BulkFiles {
    client: Client,
    bucket: String,
}

impl S3BulkFiles {
    /// The files in that bucket.
    pub fn new(client: Client, bucket: impl Into<String>) -> Self {
        Self { client, bucket: bucket.into() }
    }

    /// The file that goes on, which an object under [`RESUME`] names.
    pub async fn resumed(&self, key: &str) -> Result<BulkFile, PortError> {
        serde_json::from_slice(&self.read(key, GO_ON).await?).map_err(|error| rejected(GO_ON, error))
    }

    async fn read(&self, key: &str, context: &'static str) -> Result<Vec<u8>, PortError> {
        let answer = self.client.get_object().bucket(&self.bucket).key(key).send().await;
        let body = answer.map_err(|error| port_error(context, error))?.body.collect().await;
        body.map(AggregatedBytes::to_vec).map_err(|error| unavailable(context, error))
    }

    async fn put(&self, key: &str, body: Vec<u8>, media: &str, context: &'static str) -> Result<(), PortError> {
        let put = self.client.put_object().bucket(&self.bucket).key(key).content_type(media).body(ByteStream::from(body));
        put.send().await.map(|_| ()).map_err(|error| port_error(context, error))
    }

    /// Writes an object of pieces that may be too many for the memory.
    async fn put_report(&self, key: &str, file: &BulkFile, parts: u32, lines: Vec<u8>) -> Result<(), PortError> {
        let mut large = Large { files: self, key, upload: None, done: Vec::new(), buffer: Vec::new() };
        for part in 0..parts {
            large.add(self.read(&part_key(file, part), REPORT).await?).await?;
        }
        large.add(lines).await?;
        large.end().await
    }
}

impl BulkFiles for S3BulkFiles {
    type Body = S3Body;

    async fn open(&self, file: &BulkFile, from: u64) -> Result<S3Body, PortError> {
        let answer = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(&file.key)
            .set_version_id(file.object_version.clone())
            .if_match(format!("\"{}\"", file.content))
            .set_range((from > 0).then(|| format!("bytes={from}-")))
            .send()
            .await;
        match answer {
            Ok(object) => Ok(S3Body(Some(object.body))),
            Err(error) if error.code() == Some("InvalidRange") => Ok(S3Body(None)),
            // Gone is as good as replaced.
            Err(error) if matches!(error.code(), Some("NoSuchKey" | "NoSuchVersion")) => {
                Err(PortError::new(PortErrorKind::Conflict, OPEN).caused_by(error))
            }
            Err(error) => Err(port_error(OPEN, error)),
        }
    }

    async fn keep_part(&self, file: &BulkFile, part: u32, lines: Vec<u8>) -> Result<(), PortError> {
        self.put(&part_key(file, part), lines, "application/x-ndjson", REPORT).await
    }

    async fn report(&self, file: &BulkFile, parts: u32, lines: Vec<u8>, summary: Vec<u8>) -> Result<(), PortError> {
        self.put_report(&format!("{REPORTS}{}.report.ndjson", file.key), file, parts, lines).await?;
        // Last: who waits for it finds the report.
        self.put(&format!("{REPORTS}{}.summary.json", file.key), summary, "application/json", REPORT).await
    }

    async fn request_resume(&self, file: &BulkFile) -> Result<(), PortError> {
        let text = serde_json::to_vec(file).map_err(|error| rejected(GO_ON, error))?;
        self.put(&format!("{RESUME}{}.json", name_of(&file.version)), text, "application/json", GO_ON).await
    }
}

/// A file in the bucket, being read; nothing where it was opened at its end.
#[derive(Debug)]
pub struct S3Body(Option<ByteStream>);

impl FileBody for S3Body {
    async fn next(&mut self) -> Result<Option<Vec<u8>>, PortError> {
        let Some(body) = &mut self.0 else { return Ok(None) };
        let piece = body.try_next().await.map_err(|error| unavailable(READ, error))?;
        Ok(piece.map(Vec::from))
    }
}

/// An object that is written in parts once it is large.
struct Large<'f> {
    files: &'f S3BulkFiles,
    key: &'f str,
    upload: Option<String>,
    done: Vec<CompletedPart>,
    buffer: Vec<u8>,
}

impl Large<'_> {
    async fn add(&mut self, bytes: Vec<u8>) -> Result<(), PortError> {
        self.buffer.extend(bytes);
        if self.buffer.len() >= PART_BYTES { self.put_part().await } else { Ok(()) }
    }

    async fn put_part(&mut self) -> Result<(), PortError> {
        let (client, bucket) = (&self.files.client, &self.files.bucket);
        if self.upload.is_none() {
            let begun = client.create_multipart_upload().bucket(bucket).key(self.key).send().await;
            self.upload = begun.map_err(|error| port_error(REPORT, error))?.upload_id;
        }
        let number = i32::try_from(self.done.len() + 1).unwrap_or(i32::MAX);
        let part = client
            .upload_part()
            .bucket(bucket)
            .key(self.key)
            .set_upload_id(self.upload.clone())
            .part_number(number)
            .body(ByteStream::from(std::mem::take(&mut self.buffer)))
            .send()
            .await
            .map_err(|error| port_error(REPORT, error))?;
        self.done.push(CompletedPart::builder().part_number(number).set_e_tag(part.e_tag).build());
        Ok(())
    }

    async fn end(mut self) -> Result<(), PortError> {
        if self.upload.is_none() {
            return self.files.put(self.key, self.buffer, "application/x-ndjson", REPORT).await;
        }
        if !self.buffer.is_empty() {
            self.put_part().await?;
        }
        let parts = CompletedMultipartUpload::builder().set_parts(Some(self.done)).build();
        let complete = self.files.client.complete_multipart_upload().bucket(&self.files.bucket).key(self.key);
        let complete = complete.set_upload_id(self.upload).multipart_upload(parts).send().await;
        complete.map(|_| ()).map_err(|error| port_error(REPORT, error))
    }
}

fn part_key(file: &BulkFile, part: u32) -> String {
    format!("{REPORTS}parts/{}/{part:06}.ndjson", name_of(&file.version))
}

/// A name that holds nothing of the file's own.
fn name_of(version: &FileVersion) -> String {
    Sha256::digest(version.as_str()).iter().take(16).fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

fn unavailable(context: &'static str, error: ByteStreamError) -> PortError {
    PortError::new(PortErrorKind::Unavailable, context).caused_by(error)
}

fn rejected(context: &'static str, error: serde_json::Error) -> PortError {
    PortError::new(PortErrorKind::Rejected, context).caused_by(error)
}
