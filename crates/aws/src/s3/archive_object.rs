//! Reads of one object of the archive, within bounds.

use aws_sdk_s3::Client;
use aws_sdk_s3::operation::get_object::GetObjectError;
use roadcast_codec::archive_text;
use roadcast_ports::archive::{ArchivedRecord, RawRecord};
use roadcast_ports::{PortError, PortErrorKind};
use serde::de::DeserializeOwned;

use crate::s3::archive_lines::{RawLine, parse_lines};
use crate::sdk_error::port_error;

/// The largest object that is read, compressed, and its text. A batch of the stream has 6 MB at most.
const OBJECT_BYTES: usize = 16 * 1024 * 1024;
pub(super) const TEXT_BYTES: usize = 64 * 1024 * 1024;

/// Reads the lines of an object; `None` if it does not exist. Fails with `Rejected` if it is too large or not readable.
pub(super) async fn read_lines<T: DeserializeOwned>(
    client: &Client,
    bucket: &str,
    key: &str,
    context: &'static str,
) -> Result<Option<Vec<T>>, PortError> {
    let output = match client.get_object().bucket(bucket).key(key).send().await {
        Ok(output) => output,
        Err(error) if error.as_service_error().is_some_and(GetObjectError::is_no_such_key) => return Ok(None),
        Err(error) => return Err(port_error(context, error)),
    };
    if output.content_length.is_some_and(|bytes| usize::try_from(bytes).map_or(true, |bytes| bytes > OBJECT_BYTES)) {
        return Err(PortError::new(PortErrorKind::Rejected, context));
    }
    let body = output.body.collect().await;
    let body = body.map_err(|error| PortError::new(PortErrorKind::Unavailable, context).caused_by(error))?;
    let text = archive_text::decompress(&body.to_vec(), TEXT_BYTES);
    let text = text.ok_or_else(|| PortError::new(PortErrorKind::Rejected, context))?;
    let lines = parse_lines(&text).map_err(|error| PortError::new(PortErrorKind::Rejected, context).caused_by(error))?;
    Ok(Some(lines))
}

/// Returns the record of a line. Fails with `Rejected` if its bytes are not readable.
pub(super) fn archived_record(line: RawLine, context: &'static str) -> Result<ArchivedRecord, PortError> {
    let data = line.data.bytes().map_err(|error| PortError::new(PortErrorKind::Rejected, context).caused_by(error))?;
    let RawLine { shard, seq, key, arrived_at, .. } = line;
    Ok(ArchivedRecord { shard, raw: RawRecord { sequence_number: seq, partition_key: key, arrived_at, data } })
}
