//! Bytes of dead letters: those that the collector stores, and those that have expired.

use roadcast_aws::{S3DeadLetterContents, Sdk, SecretsManagerSource};
use roadcast_domain::dead_letter::{Content, ContentBucket, Hop};
use roadcast_domain::ids::DeadLetterId;
use roadcast_ports::dead_letters::DeadLetterContents as _;
use roadcast_ports::secrets::SecretSource as _;
use roadcast_signals::Timestamp;

use super::ARCHIVE;
use crate::stack;

const DEAD_LETTERS: &str = "roadcast-local-dead-letters-000000000000-eu-central-1";

/// Stores the bytes of a message, looks for objects that do not exist, and reads the secret of cursors.
pub(super) async fn make(operator: &Sdk, collector: &Sdk, api: &Sdk) {
    stack::bucket(operator, DEAD_LETTERS.to_owned()).await;
    let contents = |sdk: &Sdk| S3DeadLetterContents::new(sdk.s3(), DEAD_LETTERS, ARCHIVE);
    let id = DeadLetterId::for_failure(Hop::Enrichment, Timestamp::from_ms(0), "message");
    contents(collector).store(id, b"{}".to_vec()).await.unwrap();
    let failed = ("aws/lambda/mapping/shard/2026/11/29/batch", ContentBucket::DeadLetters);
    for (key, bucket) in [failed, ("quarantine/reason=time_ahead/dt=2026-11-29/object", ContentBucket::Archive)] {
        let expired = Content { bucket, key: key.to_owned(), bytes: 1 };
        assert!(contents(collector).describe(&expired).await.unwrap().is_none());
        assert_eq!(contents(api).read(&expired, 1).await.unwrap(), None);
    }
    SecretsManagerSource::new(api.secrets_manager(), "roadcast-local-key-material").secrets().await.unwrap();
}
