//! Erases vehicles from the archive and from the bytes of dead letters, object by object.
//!
//! The archive has versions. Each version is examined: the newest one is written again without what concerns the vehicles, and then
//! it and every older one that concerns them is deleted for good. If this stops in between, the older version is found again.

mod lines;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ObjectVersion;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use roadcast_codec::erasure::{Remainder, letter_without};
use roadcast_domain::erasure::{ErasureScope, StoreCounts};
use roadcast_domain::refusal::Reason;
use roadcast_ports::erasure::ErasedPart;
use roadcast_ports::{PortError, PortErrorKind};
use roadcast_signals::Timestamp;

use crate::s3::archive::{ITEMS, QUARANTINE_PREFIX, RAW_PREFIX, hour_prefix};
use crate::sdk::LazyClient;
use crate::sdk_error::port_error;
use lines::Section;

const LIST: &str = "listing objects to erase vehicles from";
const READ: &str = "reading an object to erase vehicles from";
const WRITE: &str = "writing an object without erased vehicles";
const DELETE: &str = "deleting an object of erased vehicles";
/// Objects, or versions, of one part.
const OBJECTS_PER_PART: i32 = 200;
/// Objects that are examined at the same time. The text of one takes up to 32 MiB.
const CONCURRENT_OBJECTS: usize = 4;
/// A batch may start in the hour before that of a record in it.
const HOUR_MS: i64 = 60 * 60 * 1000;

/// Erases vehicles from the buckets.
#[derive(Clone, Debug)]
pub(crate) struct ObjectErasure {
    client: LazyClient<Client>,
    archive: String,
    dead_letters: String,
}

/// What was done with an object.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Erased {
    Nothing,
    Rewritten,
    Removed,
}

impl ObjectErasure {
    pub(crate) const fn new(client: LazyClient<Client>, archive: String, dead_letters: String) -> Self {
        Self { client, archive, dead_letters }
    }

    /// Erases from the raw records that arrived in the time of the scope, from the key `after` on.
    pub(crate) async fn raw(&self, scope: &ErasureScope, after: Option<&str>) -> Result<ErasedPart, PortError> {
        let start = format!("{RAW_PREFIX}{}", hour_prefix(scope.since().plus_ms(-HOUR_MS)));
        let (counts, next) = self.versions(Section::Raw, scope, RAW_PREFIX, after.unwrap_or(&start)).await?;
        Ok(ErasedPart { next, counts })
    }

    /// Erases from the quarantine, reason by reason: from the key `after` on, or from the day on at which the scope starts.
    pub(crate) async fn quarantine(&self, scope: &ErasureScope, after: Option<&str>) -> Result<ErasedPart, PortError> {
        let prefix = |reason: Reason| format!("{QUARANTINE_PREFIX}reason={reason}/");
        let start = |reason: Reason| {
            let day = scope.since().to_string();
            format!("{}dt={}", prefix(reason), &day[..day.len().min("YYYY-MM-DD".len())])
        };
        let first = || Reason::ALL.first().copied().map(start);
        let Some(after) = after.map(str::to_owned).or_else(first) else { return Ok(ErasedPart::default()) };
        let Some(index) = Reason::ALL.iter().position(|reason| after.starts_with(&prefix(*reason))) else {
            return Ok(ErasedPart::default());
        };
        let (counts, next) = self.versions(Section::Quarantine, scope, &prefix(Reason::ALL[index]), &after).await?;
        let next = next.or_else(|| Reason::ALL.get(index + 1).copied().map(start));
        Ok(ErasedPart { next, counts })
    }

    /// Erases from the bytes of dead letters, from the key `after` on.
    pub(crate) async fn letters(&self, scope: &ErasureScope, after: Option<&str>) -> Result<ErasedPart, PortError> {
        let list = self.client.list_objects_v2().bucket(&self.dead_letters).max_keys(OBJECTS_PER_PART);
        let list = list.set_start_after(after.map(str::to_owned)).send().await.map_err(|error| port_error(LIST, error))?;
        let objects = list.contents.unwrap_or_default();
        let next = objects.last().and_then(|last| last.key.clone()).filter(|_| list.is_truncated == Some(true));
        let written_at = |time: aws_sdk_s3::primitives::DateTime| time.to_millis().ok().map(Timestamp::from_ms);
        let objects =
            objects.into_iter().filter_map(|object| Some((object.key?, object.last_modified.and_then(written_at)?)));
        let erased = stream::iter(objects).map(|(key, written_at)| self.letter(scope, key, written_at));
        let erased: Vec<Erased> = erased.buffer_unordered(CONCURRENT_OBJECTS).try_collect().await?;
        Ok(ErasedPart { next, counts: counts_of(&erased) })
    }

    async fn letter(&self, scope: &ErasureScope, key: String, written_at: Timestamp) -> Result<Erased, PortError> {
        let Some(output) = self.get(&self.dead_letters, &key, None).await? else { return Ok(Erased::Nothing) };
        let content_type = output.content_type.clone();
        match letter_without(scope, &body(output).await?, written_at) {
            Remainder::Unchanged => Ok(Erased::Nothing),
            Remainder::Nothing => {
                self.delete(&self.dead_letters, &key, None).await?;
                Ok(Erased::Removed)
            }
            Remainder::Changed(bytes) => {
                let put = self.client.put_object().bucket(&self.dead_letters).key(&key).set_content_type(content_type);
                put.body(ByteStream::from(bytes)).send().await.map_err(|error| port_error(WRITE, error))?;
                Ok(Erased::Rewritten)
            }
        }
    }

    /// Erases from the versions of the objects after a key, and returns the last key that is complete; `None` at the end.
    async fn versions(
        &self,
        section: Section,
        scope: &ErasureScope,
        prefix: &str,
        after: &str,
    ) -> Result<(StoreCounts, Option<String>), PortError> {
        let list = self.client.list_object_versions().bucket(&self.archive).prefix(prefix).key_marker(after);
        let page = list.max_keys(OBJECTS_PER_PART).send().await.map_err(|error| port_error(LIST, error))?;
        let mut versions = page.versions.unwrap_or_default();
        let next = if page.is_truncated == Some(true) { complete_keys(&mut versions, page.next_key_marker) } else { None };
        let erased = stream::iter(versions).map(|version| self.version(section, scope, version));
        let erased: Vec<Erased> = erased.buffer_unordered(CONCURRENT_OBJECTS).try_collect().await?;
        Ok((counts_of(&erased), next))
    }

    async fn version(&self, section: Section, scope: &ErasureScope, version: ObjectVersion) -> Result<Erased, PortError> {
        let Some(key) = version.key else { return Ok(Erased::Nothing) };
        let version_id = version.version_id.as_deref();
        let Some(output) = self.get(&self.archive, &key, version_id).await? else { return Ok(Erased::Nothing) };
        let mut metadata = output.metadata.clone().unwrap_or_default();
        let Some(rest) = section.without(scope, &body(output).await?) else {
            tracing::warn!(bytes = version.size, "an object of the archive cannot be read and stays as it is");
            return Ok(Erased::Nothing);
        };
        match rest.remainder {
            Remainder::Unchanged => Ok(Erased::Nothing),
            Remainder::Changed(bytes) if version.is_latest == Some(true) => {
                // The time of the first arrival stays, because it is a part of the id of the dead letter.
                if let Some(items) = metadata.get_mut(ITEMS) {
                    *items = rest.lines.to_string();
                }
                let put = self.client.put_object().bucket(&self.archive).key(&key).content_type("application/zstd");
                let put = put.set_metadata(Some(metadata)).body(ByteStream::from(bytes)).send().await;
                let written = put.map_err(|error| port_error(WRITE, error))?.version_id;
                // Without versions, the object was replaced.
                let is_replaced = matches!(written.as_deref(), None | Some("null"));
                if !is_replaced {
                    self.delete(&self.archive, &key, version_id).await?;
                }
                Ok(Erased::Rewritten)
            }
            Remainder::Changed(_) | Remainder::Nothing => {
                self.delete(&self.archive, &key, version_id).await?;
                Ok(Erased::Removed)
            }
        }
    }

    /// Reads an object; `None` if it does not exist any more.
    async fn get(&self, bucket: &str, key: &str, version_id: Option<&str>) -> Result<Option<GetObjectOutput>, PortError> {
        let get = self.client.get_object().bucket(bucket).key(key).set_version_id(version_id.map(str::to_owned));
        match get.send().await {
            Ok(output) => Ok(Some(output)),
            Err(error) if matches!(error.code(), Some("NoSuchKey" | "NoSuchVersion")) => Ok(None),
            Err(error) => Err(port_error(READ, error)),
        }
    }

    async fn delete(&self, bucket: &str, key: &str, version_id: Option<&str>) -> Result<(), PortError> {
        let delete = self.client.delete_object().bucket(bucket).key(key).set_version_id(version_id.map(str::to_owned));
        delete.send().await.map(|_| ()).map_err(|error| port_error(DELETE, error))
    }
}

async fn body(output: GetObjectOutput) -> Result<Vec<u8>, PortError> {
    let body = output.body.collect().await;
    let body = body.map_err(|error| PortError::new(PortErrorKind::Unavailable, READ).caused_by(error))?;
    Ok(body.to_vec())
}

/// Removes the versions of the last key of a page, which the next page has all of, and returns the key before it. If the page has
/// versions of one key only, its other versions are skipped: there are at most as many as a batch was retried.
fn complete_keys(versions: &mut Vec<ObjectVersion>, marker: Option<String>) -> Option<String> {
    let last = versions.last().and_then(|last| last.key.clone());
    if versions.iter().any(|version| version.key != last) {
        versions.retain(|version| version.key != last);
        return versions.last().and_then(|last| last.key.clone());
    }
    // A page of delete markers only.
    last.or(marker)
}

fn counts_of(erased: &[Erased]) -> StoreCounts {
    let count = |wanted: Erased| erased.iter().filter(|erased| **erased == wanted).count() as u64;
    StoreCounts { examined: erased.len() as u64, removed: count(Erased::Removed), rewritten: count(Erased::Rewritten) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_a_key_are_in_one_part() {
        let version = |key: &str| ObjectVersion::builder().key(key).build();
        let mut page = vec![version("a"), version("b"), version("c"), version("c")];
        assert_eq!(complete_keys(&mut page, None).as_deref(), Some("b"));
        assert_eq!(page.len(), 2);
        let mut one_key = vec![version("a"), version("a")];
        assert_eq!((complete_keys(&mut one_key, None).as_deref(), one_key.len()), (Some("a"), 2));
        assert_eq!(complete_keys(&mut Vec::new(), Some("m".to_owned())).as_deref(), Some("m"));
    }
}
