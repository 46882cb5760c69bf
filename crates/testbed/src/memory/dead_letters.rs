//! Dead letters, their bytes and redrives.

use std::collections::BTreeMap;
use std::ops::Bound;

use roadcast_domain::dead_letter::{
    ClaimOutcome, Content, ContentBucket, DeadLetter, Redrive, RedriveClaim, RedriveId, RedriveMark,
};
use roadcast_domain::ids::DeadLetterId;
use roadcast_ports::dead_letters::{
    ContentDescription, DeadLetterContents, DeadLetters, LetterListing, LetterPage, LetterPut, Redrives,
};
use roadcast_ports::{PortError, PortErrorKind};

use super::Memory;

/// The number of letters that one page reads, like the bound of the AWS adapter, but small enough for tests.
const MAX_EXAMINED: usize = 50;

/// The store of dead letters.
#[derive(Debug, Default)]
pub(super) struct LetterStore {
    letters: BTreeMap<DeadLetterId, DeadLetter>,
    contents: BTreeMap<String, Vec<u8>>,
    descriptions: BTreeMap<String, ContentDescription>,
    redrives: BTreeMap<RedriveId, Redrive>,
}

impl LetterStore {
    /// Returns the bytes of an object.
    pub(super) fn content(&self, key: &str) -> Option<Vec<u8>> {
        self.contents.get(key).cloned()
    }
}

impl LetterStore {
    /// Returns the keys of the objects, and the letters.
    pub(super) fn objects(&self) -> Vec<String> {
        self.contents.keys().cloned().collect()
    }

    /// Replaces or removes an object.
    pub(super) fn rewrite(&mut self, key: &str, bytes: Option<Vec<u8>>) {
        match bytes {
            Some(bytes) => self.contents.insert(key.to_owned(), bytes),
            None => self.contents.remove(key),
        };
    }

    /// Removes the letters whose bytes were in an object that does not exist any more, and returns their number.
    pub(super) fn remove_without_content(&mut self, exists: impl Fn(&Content) -> bool) -> usize {
        let before = self.letters.len();
        let contents = &self.contents;
        self.letters.retain(|_, letter| contents.contains_key(&letter.content.key) || exists(&letter.content));
        before - self.letters.len()
    }
}

impl Memory {
    /// Returns every dead letter, oldest first.
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        self.state().letters.letters.values().cloned().collect()
    }

    /// Returns the bytes of an object.
    pub fn letter_object(&self, key: &str) -> Option<Vec<u8>> {
        self.state().letters.content(key)
    }

    /// Stores an object with bytes of a dead letter, as AWS or the quarantine does.
    pub fn put_letter_object(&self, key: &str, bytes: Vec<u8>) {
        self.state().letters.contents.insert(key.to_owned(), bytes);
    }
}

impl Memory {
    /// Stores an object with a description, as the quarantine does.
    pub fn put_described_object(&self, key: &str, bytes: Vec<u8>, description: ContentDescription) {
        self.put_letter_object(key, bytes);
        self.state().letters.descriptions.insert(key.to_owned(), description);
    }
}

impl DeadLetters for Memory {
    async fn put(&self, letter: &DeadLetter) -> Result<LetterPut, PortError> {
        let mut state = self.state();
        if state.letters.letters.contains_key(&letter.dead_letter_id) {
            return Ok(LetterPut::Exists);
        }
        state.letters.letters.insert(letter.dead_letter_id, letter.clone());
        Ok(LetterPut::Stored)
    }

    async fn get(&self, id: DeadLetterId) -> Result<Option<DeadLetter>, PortError> {
        Ok(self.state().letters.letters.get(&id).cloned())
    }

    async fn list(&self, page: &LetterListing) -> Result<LetterPage, PortError> {
        let state = self.state();
        let end = page.before.map_or(Bound::Unbounded, Bound::Excluded);
        let mut found = LetterPage::default();
        for (examined, letter) in state.letters.letters.range((Bound::Unbounded, end)).rev().map(|(_, l)| l).enumerate() {
            if found.letters.len() == page.limit || examined == MAX_EXAMINED {
                return Ok(found);
            }
            found.next = Some(letter.dead_letter_id);
            if page.filter.selects(letter) {
                found.letters.push(letter.clone());
            }
        }
        found.next = None;
        Ok(found)
    }

    async fn claim(&self, id: DeadLetterId, claim: &RedriveClaim) -> Result<ClaimOutcome, PortError> {
        let mut state = self.state();
        let Some(stored) = state.letters.letters.get_mut(&id) else { return Ok(ClaimOutcome::Absent) };
        let outcome = stored.claimed(claim);
        if let ClaimOutcome::Granted(letter) = &outcome {
            stored.clone_from(letter);
        }
        Ok(outcome)
    }

    async fn finish(&self, id: DeadLetterId, mark: &RedriveMark, sent: bool) -> Result<(), PortError> {
        let mut state = self.state();
        let stored = state.letters.letters.get_mut(&id);
        let finished = stored.and_then(|stored| stored.finished(mark, sent).map(|finished| *stored = finished));
        finished.ok_or_else(|| PortError::new(PortErrorKind::Conflict, "finishing the redrive of a dead letter"))
    }
}

impl DeadLetterContents for Memory {
    async fn store(&self, id: DeadLetterId, bytes: Vec<u8>) -> Result<Content, PortError> {
        let key = format!("letters/{id}");
        let content = Content { bucket: ContentBucket::DeadLetters, key, bytes: bytes.len() as u64 };
        self.put_letter_object(&content.key, bytes);
        Ok(content)
    }

    async fn describe(&self, content: &Content) -> Result<Option<ContentDescription>, PortError> {
        let state = self.state();
        let description = state.letters.descriptions.get(&content.key).copied().unwrap_or_default();
        Ok(state.letters.contents.contains_key(&content.key).then_some(description))
    }

    async fn read(&self, content: &Content, limit: usize) -> Result<Option<Vec<u8>>, PortError> {
        let state = self.state();
        Ok(state.letters.contents.get(&content.key).map(|bytes| bytes[..limit.min(bytes.len())].to_vec()))
    }
}

impl Redrives for Memory {
    async fn create(&self, redrive: &Redrive) -> Result<(), PortError> {
        let mut state = self.state();
        if state.letters.redrives.contains_key(&redrive.redrive_id) {
            return Err(PortError::new(PortErrorKind::Conflict, "creating a redrive"));
        }
        state.letters.redrives.insert(redrive.redrive_id.clone(), redrive.clone());
        Ok(())
    }

    async fn get(&self, id: &RedriveId) -> Result<Option<Redrive>, PortError> {
        Ok(self.state().letters.redrives.get(id).cloned())
    }

    async fn replace(&self, redrive: &Redrive) -> Result<(), PortError> {
        let mut state = self.state();
        match state.letters.redrives.get_mut(&redrive.redrive_id) {
            Some(stored) if stored.revision == redrive.revision => {
                *stored = Redrive { revision: redrive.revision + 1, ..redrive.clone() };
                Ok(())
            }
            _ => Err(PortError::new(PortErrorKind::Conflict, "replacing a redrive")),
        }
    }
}
