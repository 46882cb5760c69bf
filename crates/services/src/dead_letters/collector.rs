//! Collects what failed into the store of dead letters.

use roadcast_codec::dead_letter::{
    DeadMessage, Failure, FailureObjectKey, ObjectNotice, QuarantineKey, QueueMessage, StreamFailure,
};
use roadcast_domain::dead_letter::{Content, ContentBucket, DeadLetter, Hop, Pointers};
use roadcast_domain::ids::DeadLetterId;
use roadcast_ports::PortError;
use roadcast_ports::dead_letters::{DeadLetterContents as _, DeadLetters as _, LetterPut};
use roadcast_ports::port_set::PortSet;

/// The largest record of a failed batch that is read, in bytes. A batch has at most 6 MB; its record is longer, because its
/// quotation marks are escaped. A longer object is kept as well, with what its key states.
pub const MAX_RECORD_BYTES: usize = 16 << 20;

/// The names of the buckets whose notifications are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterBuckets {
    /// The bucket of dead letters.
    pub dead_letters: String,
    /// The archive, which has the quarantine.
    pub archive: String,
}

/// Collects what failed into the store.
///
/// Each message is of one failure, or of objects that contain failures. First the bytes are stored, then the letter; the
/// caller deletes the message last. Each step can be repeated, so a message that is delivered again changes nothing.
#[derive(Debug)]
pub struct DeadLetterCollector<Ports: PortSet> {
    /// The letters.
    pub letters: Ports::DeadLetters,
    /// Their bytes.
    pub contents: Ports::DeadLetterContents,
    /// The buckets whose notifications are read.
    pub buckets: LetterBuckets,
}

/// A letter that a message resulted in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectedLetter {
    /// The letter.
    pub letter: DeadLetter,
    /// Whether it was stored before.
    pub repeated: bool,
}

impl<Ports: PortSet> DeadLetterCollector<Ports> {
    /// Stores the letters of a message and returns them; none if the message is a test of a notification. Fails if a store
    /// fails; the message must be delivered again then.
    pub async fn collect(&self, message: &QueueMessage) -> Result<Vec<CollectedLetter>, PortError> {
        match DeadMessage::parse(message) {
            DeadMessage::Failure(failure) => Ok(vec![self.keep(*failure).await?]),
            DeadMessage::Objects(notices) => {
                let mut letters = Vec::with_capacity(notices.len());
                for notice in &notices {
                    letters.push(self.keep_object(notice, message).await?);
                }
                Ok(letters)
            }
            DeadMessage::TestNotice => Ok(Vec::new()),
        }
    }

    /// Stores the bytes of a failure, then its letter.
    async fn keep(&self, failure: Failure) -> Result<CollectedLetter, PortError> {
        let id = DeadLetterId::for_failure(failure.hop, failure.failed_at, &failure.source);
        let content = self.contents.store(id, failure.bytes).await?;
        let letter = DeadLetter {
            dead_letter_id: id,
            hop: failure.hop,
            reason: failure.reason,
            detail: failure.detail,
            fleet_id: failure.fleet_id,
            pointers: failure.pointers,
            items: failure.items,
            first_at: failure.first_at,
            last_at: failure.last_at,
            content,
            claim: None,
            redriven: None,
        };
        self.put(letter).await
    }

    /// Stores the letter of an object, which has the bytes already. An object that should not be there is kept as a failure
    /// of an unknown hop.
    async fn keep_object(&self, notice: &ObjectNotice, message: &QueueMessage) -> Result<CollectedLetter, PortError> {
        let content = |bucket| Content { bucket, key: notice.key.clone(), bytes: notice.bytes };
        let failed_batch = FailureObjectKey::parse(&notice.key).filter(|_| notice.bucket == self.buckets.dead_letters);
        let quarantined = QuarantineKey::parse(&notice.key).filter(|_| notice.bucket == self.buckets.archive);
        match (failed_batch, quarantined) {
            (Some(key), _) => self.keep_failed_batch(key, content(ContentBucket::DeadLetters)).await,
            (_, Some(key)) => self.keep_quarantined(key, content(ContentBucket::Archive)).await,
            (None, None) => {
                // Each object of the notification is a failure of its own.
                let source = format!("{}#{}", message.message_id, notice.key);
                self.keep(Failure { source, ..Failure::unknown(message, "unknown_object") }).await
            }
        }
    }

    async fn keep_failed_batch(&self, key: FailureObjectKey, content: Content) -> Result<CollectedLetter, PortError> {
        let record = self.contents.read(&content, MAX_RECORD_BYTES).await?;
        let failure = record.map(|record| StreamFailure::parse(&record));
        let without_record = |reason: &str| StreamFailure {
            reason: reason.to_owned(),
            detail: None,
            pointers: Pointers { shard: Some(key.shard.clone()), ..Pointers::default() },
            items: 0,
            failed_at: None,
            first_at: None,
            last_at: None,
        };
        let failure = match failure {
            Some(Ok(failure)) => failure,
            Some(Err(_)) => without_record("record_unreadable"),
            None => without_record("record_missing"),
        };
        // The time in the key, so that a record which can be read only at the second attempt does not become two letters.
        let failed_at = key.stored_at;
        self.put(DeadLetter {
            dead_letter_id: DeadLetterId::for_failure(Hop::Stream, failed_at, &content.key),
            hop: Hop::Stream,
            reason: failure.reason,
            detail: failure.detail,
            fleet_id: None,
            pointers: failure.pointers,
            items: failure.items,
            first_at: failure.first_at.unwrap_or(failed_at),
            last_at: failure.last_at.unwrap_or(failed_at),
            content,
            claim: None,
            redriven: None,
        })
        .await
    }

    async fn keep_quarantined(&self, key: QuarantineKey, content: Content) -> Result<CollectedLetter, PortError> {
        let description = self.contents.describe(&content).await?.unwrap_or_default();
        let first_at = description.first_arrival.unwrap_or(key.day);
        self.put(DeadLetter {
            dead_letter_id: DeadLetterId::for_failure(Hop::Quarantine, first_at, &content.key),
            hop: Hop::Quarantine,
            reason: key.reason.code().to_owned(),
            detail: Some(key.reason.explanation().to_owned()),
            fleet_id: None,
            pointers: Pointers {
                shard: Some(key.shard),
                first_sequence_number: Some(key.first_sequence_number),
                last_sequence_number: Some(key.last_sequence_number),
                ..Pointers::default()
            },
            items: description.items.unwrap_or_default(),
            first_at,
            last_at: description.last_arrival.unwrap_or(first_at),
            content,
            claim: None,
            redriven: None,
        })
        .await
    }

    async fn put(&self, letter: DeadLetter) -> Result<CollectedLetter, PortError> {
        let put = self.letters.put(&letter).await?;
        Ok(CollectedLetter { letter, repeated: put == LetterPut::Exists })
    }
}

#[cfg(test)]
mod tests;
