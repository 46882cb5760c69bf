//! The store of dead letters.

use std::future::Future;

use roadcast_domain::dead_letter::{
    ClaimOutcome, Content, DeadLetter, LetterFilter, Redrive, RedriveClaim, RedriveId, RedriveMark,
};
use roadcast_domain::ids::DeadLetterId;
use roadcast_signals::Timestamp;

use crate::PortError;

/// Storage of dead letters. They expire.
pub trait DeadLetters: Send + Sync {
    /// Stores a letter, unless a letter with its id is stored.
    fn put(&self, letter: &DeadLetter) -> impl Future<Output = Result<LetterPut, PortError>> + Send;

    /// Returns a letter.
    fn get(&self, id: DeadLetterId) -> impl Future<Output = Result<Option<DeadLetter>, PortError>> + Send;

    /// Returns a page of letters, newest first. A page may be short, or empty, although more letters follow: the read is
    /// bounded, whatever the filter omits.
    fn list(&self, page: &LetterListing) -> impl Future<Output = Result<LetterPage, PortError>> + Send;

    /// Claims a letter for a redrive, as [`DeadLetter::claimed`] decides. Of concurrent claims one is granted.
    fn claim(&self, id: DeadLetterId, claim: &RedriveClaim) -> impl Future<Output = Result<ClaimOutcome, PortError>> + Send;

    /// Records that the redrive which claimed the letter sent it (`sent`), or failed to. Fails with `Conflict` if another
    /// redrive, or none, has the claim.
    fn finish(&self, id: DeadLetterId, mark: &RedriveMark, sent: bool)
    -> impl Future<Output = Result<(), PortError>> + Send;
}

/// The result of [`DeadLetters::put`].
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum LetterPut {
    /// The letter was stored.
    Stored,
    /// A letter with this id was stored before, and is unchanged.
    Exists,
}

/// A request for letters, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterListing {
    /// Which letters.
    pub filter: LetterFilter,
    /// The position of the previous page: letters before it follow.
    pub before: Option<DeadLetterId>,
    /// The largest number of letters, at least 1.
    pub limit: usize,
}

/// A page of letters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LetterPage {
    /// The letters, newest first.
    pub letters: Vec<DeadLetter>,
    /// The position of the next page; `None` on the last one.
    pub next: Option<DeadLetterId>,
}

/// Storage of the bytes of dead letters. They expire.
pub trait DeadLetterContents: Send + Sync {
    /// Stores the bytes of a letter and returns where they are. Storing them again replaces them.
    fn store(&self, id: DeadLetterId, bytes: Vec<u8>) -> impl Future<Output = Result<Content, PortError>> + Send;

    /// Returns what the writer of an object stated about it; `None` if the object does not exist (any more).
    fn describe(&self, content: &Content) -> impl Future<Output = Result<Option<ContentDescription>, PortError>> + Send;

    /// Returns the first `limit` bytes; `None` if the object does not exist (any more).
    fn read(&self, content: &Content, limit: usize) -> impl Future<Output = Result<Option<Vec<u8>>, PortError>> + Send;
}

/// What the writer of an object stated about it.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct ContentDescription {
    /// The number of items.
    pub items: Option<u64>,
    /// When the stream accepted the record of the first item.
    pub first_arrival: Option<Timestamp>,
    /// When the stream accepted the record of the last item.
    pub last_arrival: Option<Timestamp>,
}

/// Storage of the records of redrives. They expire.
pub trait Redrives: Send + Sync {
    /// Stores the record of a new redrive. Fails with `Conflict` if a record with its id is stored.
    fn create(&self, redrive: &Redrive) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Returns the record of a redrive.
    fn get(&self, id: &RedriveId) -> impl Future<Output = Result<Option<Redrive>, PortError>> + Send;

    /// Replaces a record; the stored revision is increased by one. Fails with `Conflict` unless the stored revision is that
    /// of `redrive`.
    fn replace(&self, redrive: &Redrive) -> impl Future<Output = Result<(), PortError>> + Send;
}
