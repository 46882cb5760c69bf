//! What this process delivered of messages that failed in part.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lru::LruCache;
use roadcast_services::delivery::enrichment::EntryProgress;

/// Maximum number of messages that are remembered.
const MAX_MESSAGES: NonZeroUsize = NonZeroUsize::new(4096).expect("is not zero");
/// Maximum number of parts of all remembered messages together, apart from those of the current batch. They take some megabytes.
const MAX_PARTS: usize = 65_536;

/// The progress of messages, by message id. A message that is not among them is delivered entirely.
#[derive(Debug)]
pub(crate) struct Attempts(Mutex<LruCache<String, Arc<EntryProgress>>>);

impl Default for Attempts {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(MAX_MESSAGES)))
    }
}

impl Attempts {
    /// Returns the progress of a message. It is shared with later attempts of the message.
    pub(crate) fn progress(&self, message_id: &str) -> Arc<EntryProgress> {
        Arc::clone(self.messages().get_or_insert_mut_ref(message_id, Arc::default))
    }

    /// Forgets a message, which is delivered entirely.
    pub(crate) fn forget(&self, message_id: &str) {
        self.messages().pop(message_id);
    }

    /// Forgets the messages that were not delivered again for the longest time, until the number of parts is within its limit.
    pub(crate) fn trim(&self) {
        let mut messages = self.messages();
        let mut parts: usize = messages.iter().map(|(_, progress)| progress.len()).sum();
        while parts > MAX_PARTS {
            let Some((_, oldest)) = messages.pop_lru() else { return };
            parts -= oldest.len();
        }
    }

    fn messages(&self) -> MutexGuard<'_, LruCache<String, Arc<EntryProgress>>> {
        // A panic cannot leave the cache inconsistent.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_share_the_progress_until_it_is_forgotten() {
        let attempts = Attempts::default();
        let first = attempts.progress("a");
        assert!(Arc::ptr_eq(&first, &attempts.progress("a")));
        attempts.forget("a");
        assert!(!Arc::ptr_eq(&first, &attempts.progress("a")));
    }

    #[test]
    fn number_of_remembered_messages_is_bounded() {
        let attempts = Attempts::default();
        for n in 0..=MAX_MESSAGES.get() {
            let _progress = attempts.progress(&n.to_string());
        }
        assert_eq!(attempts.messages().len(), MAX_MESSAGES.get());
    }
}
