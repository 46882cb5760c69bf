//! What was published about a vehicle.

use std::collections::{BTreeMap, BTreeSet};

use roadcast_domain::alert::{Alert, AlertSignal};
use roadcast_signals::{Timestamp, Value};
use serde::{Deserialize, Serialize};

use crate::transition::{Transition, TransitionKey};

/// Estimated bytes of a transition with its key, and of each of its signals and trouble codes without texts.
const TRANSITION_BYTES: usize = 512;
const PART_BYTES: usize = 128;

/// The transitions that were published, or published and withdrawn, as long as they can change.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Publication {
    transitions: BTreeMap<TransitionKey, Published>,
    bytes: usize,
}

/// A transition that was published.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Published {
    pub(super) transition: Transition,
    /// How often it was published or withdrawn: odd if it is published, even if it is withdrawn.
    pub(super) revision: u32,
}

impl Published {
    /// About how many bytes it takes.
    fn bytes(&self) -> usize {
        let signals = &self.transition.signals;
        let codes = self.transition.diagnostic.as_ref().map_or(0, |diagnostic| diagnostic.dtcs.len());
        let text = |signal: &AlertSignal| match &signal.value {
            Some(Value::Text(text)) => text.len(),
            _ => 0,
        };
        TRANSITION_BYTES + (signals.len() + codes) * PART_BYTES + signals.iter().map(text).sum::<usize>()
    }

    const fn is_present(&self) -> bool {
        !self.revision.is_multiple_of(2)
    }
}

impl Publication {
    /// Replaces what is published after a time by what was computed. Returns what changes: what is withdrawn, then what is new, by
    /// time.
    pub(super) fn replace(&mut self, after: Option<Timestamp>, computed: Vec<Transition>) -> Vec<Published> {
        let mut computed: Vec<(TransitionKey, Transition)> =
            computed.into_iter().map(|transition| (transition.key(), transition)).collect();
        computed.sort_by(|(a, _), (b, _)| a.cmp(b));
        let keys: BTreeSet<&TransitionKey> = computed.iter().map(|(key, _)| key).collect();
        let mut changes = Vec::new();
        for (key, published) in &mut self.transitions {
            if Some(key.at) > after && published.is_present() && !keys.contains(key) {
                published.revision = published.revision.saturating_add(1);
                changes.push(published.clone());
            }
        }
        for (key, transition) in computed {
            let revision = match self.transitions.get(&key) {
                Some(published) if published.is_present() => continue,
                Some(published) => published.revision.saturating_add(1),
                None => 1,
            };
            let published = Published { transition, revision };
            self.insert(key, published.clone());
            changes.push(published);
        }
        changes
    }

    /// Takes over the revisions of messages. `stated` has the revision of each transition that was stated or withdrawn otherwise, also
    /// of those that cannot change any more. Returns what must be published because it is not what the messages state.
    pub(super) fn reconcile<'a>(
        &mut self,
        stated: &BTreeMap<TransitionKey, u32>,
        messages: impl IntoIterator<Item = &'a Alert>,
    ) -> Vec<Published> {
        let mut newest: BTreeMap<TransitionKey, Published> = BTreeMap::new();
        for message in messages {
            let published = Published { transition: Transition::of_alert(message), revision: message.revision };
            let key = published.transition.key();
            if newest.get(&key).is_none_or(|other| other.revision < published.revision) {
                newest.insert(key, published);
            }
        }
        let mut changes = Vec::new();
        for (key, mut message) in newest {
            let revision = stated.get(&key).copied().unwrap_or_default();
            if message.revision <= revision {
                continue;
            }
            let is_stated = !revision.is_multiple_of(2);
            if message.is_present() != is_stated {
                message.revision = message.revision.saturating_add(1);
                changes.push(message.clone());
            }
            self.insert(key, message);
        }
        changes
    }

    /// Removes transitions up to a time, which cannot change any more.
    pub(super) fn forget_until(&mut self, time: Option<Timestamp>) {
        let bytes = &mut self.bytes;
        self.transitions.retain(|key, published| {
            let is_kept = Some(key.at) > time;
            if !is_kept {
                *bytes -= published.bytes();
            }
            is_kept
        });
    }

    fn insert(&mut self, key: TransitionKey, published: Published) {
        self.bytes += published.bytes();
        if let Some(replaced) = self.transitions.insert(key, published) {
            self.bytes -= replaced.bytes();
        }
    }

    /// Returns about how many bytes the transitions take in memory.
    pub(super) const fn memory_bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the transitions.
    pub(super) fn list(&self) -> Vec<Published> {
        self.transitions.values().cloned().collect()
    }
}

impl FromIterator<Published> for Publication {
    fn from_iter<I: IntoIterator<Item = Published>>(published: I) -> Self {
        let mut publication = Self::default();
        for published in published {
            publication.insert(published.transition.key(), published);
        }
        publication
    }
}
