//! The bytes of dead letters, in the bucket of dead letters and in that of the archive.
//!
//! | prefix | content |
//! |---|---|
//! | `aws/lambda/` | records of batches that the stream processor could not process, as Lambda stores them |
//! | `letters/<hop>/dt=YYYY-MM-DD/<id>` | the bytes of one letter, as its message had them; the day is that of the failure |
//! | `quarantine/`, in the archive | quarantined items |

use aws_sdk_s3::Client;
use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::primitives::{AggregatedBytes, ByteStream};
use roadcast_domain::dead_letter::{Content, ContentBucket, Hop};
use roadcast_domain::ids::DeadLetterId;
use roadcast_ports::dead_letters::{ContentDescription, DeadLetterContents};
use roadcast_ports::{PortError, PortErrorKind};
use roadcast_signals::Timestamp;

use crate::s3::archive::{FIRST_ARRIVAL, ITEMS, LAST_ARRIVAL};
use crate::sdk::LazyClient;
use crate::sdk_error::port_error;

const STORE: &str = "storing the bytes of a dead letter";
const READ: &str = "reading the bytes of a dead letter";

/// The bytes of dead letters in S3.
#[derive(Clone, Debug)]
pub struct S3DeadLetterContents {
    client: LazyClient<Client>,
    dead_letter_bucket: String,
    archive_bucket: String,
}

impl S3DeadLetterContents {
    /// Creates the adapter on the given buckets.
    pub fn new(
        client: LazyClient<Client>,
        dead_letter_bucket: impl Into<String>,
        archive_bucket: impl Into<String>,
    ) -> Self {
        Self { client, dead_letter_bucket: dead_letter_bucket.into(), archive_bucket: archive_bucket.into() }
    }

    fn bucket(&self, bucket: ContentBucket) -> &str {
        match bucket {
            ContentBucket::DeadLetters => &self.dead_letter_bucket,
            ContentBucket::Archive => &self.archive_bucket,
        }
    }
}

impl DeadLetterContents for S3DeadLetterContents {
    async fn store(&self, id: DeadLetterId, bytes: Vec<u8>) -> Result<Content, PortError> {
        let content = Content { bucket: ContentBucket::DeadLetters, key: letter_key(id), bytes: bytes.len() as u64 };
        let put = self.client.put_object().bucket(self.bucket(content.bucket)).key(&content.key);
        put.body(ByteStream::from(bytes)).send().await.map_err(|error| port_error(STORE, error))?;
        Ok(content)
    }

    async fn describe(&self, content: &Content) -> Result<Option<ContentDescription>, PortError> {
        let head = self.client.head_object().bucket(self.bucket(content.bucket)).key(&content.key).send().await;
        let metadata = match head {
            Ok(output) => output.metadata.unwrap_or_default(),
            Err(error) if matches!(error.code(), Some("NotFound" | "NoSuchKey")) => return Ok(None),
            Err(error) => return Err(port_error(READ, error)),
        };
        let time = |name: &str| metadata.get(name).and_then(|time| Timestamp::parse_rfc3339(time).ok());
        Ok(Some(ContentDescription {
            items: metadata.get(ITEMS).and_then(|items| items.parse().ok()),
            first_arrival: time(FIRST_ARRIVAL),
            last_arrival: time(LAST_ARRIVAL),
        }))
    }

    async fn read(&self, content: &Content, limit: usize) -> Result<Option<Vec<u8>>, PortError> {
        let get = self.client.get_object().bucket(self.bucket(content.bucket)).key(&content.key);
        let output = match get.range(format!("bytes=0-{}", limit.saturating_sub(1))).send().await {
            Ok(output) => output,
            Err(error) if error.code() == Some("NoSuchKey") => return Ok(None),
            // An empty object has no first byte.
            Err(error) if error.code() == Some("InvalidRange") => return Ok(Some(Vec::new())),
            Err(error) => return Err(port_error(READ, error)),
        };
        let body = output.body.collect().await.map(AggregatedBytes::to_vec);
        let mut bytes = body.map_err(|error| PortError::new(PortErrorKind::Unavailable, READ).caused_by(error))?;
        bytes.truncate(limit);
        Ok(Some(bytes))
    }
}

fn letter_key(id: DeadLetterId) -> String {
    let day = id.failed_at().to_string();
    let hop = id.hop().unwrap_or(Hop::Unknown);
    format!("letters/{hop}/dt={}/{id}", &day[..day.len().min("YYYY-MM-DD".len())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_has_hop_day_and_id() {
        let id = DeadLetterId::for_failure(Hop::Feed, Timestamp::from_ms(1_795_905_484_835), "a");
        assert_eq!(letter_key(id), format!("letters/feed/dt=2026-11-28/{id}"));
    }
}
