//! What was published about a vehicle.

use std::collections::{BTreeMap, BTreeSet};

use roadcast_signals::Timestamp;
use serde::{Deserialize, Serialize};

use crate::transition::{Transition, TransitionKey};

/// The transitions that were published, or published and withdrawn, as long as they can change.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Publication {
    transitions: BTreeMap<TransitionKey, Published>,
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
            self.transitions.insert(key, published.clone());
            changes.push(published);
        }
        changes
    }

    /// Removes transitions up to a time, which cannot change any more.
    pub(super) fn forget_until(&mut self, time: Option<Timestamp>) {
        self.transitions.retain(|key, _| Some(key.at) > time);
    }

    /// Returns the transitions.
    pub(super) fn list(&self) -> Vec<Published> {
        self.transitions.values().cloned().collect()
    }
}

impl FromIterator<Published> for Publication {
    fn from_iter<I: IntoIterator<Item = Published>>(published: I) -> Self {
        let keyed = published.into_iter().map(|published| (published.transition.key(), published));
        Self { transitions: keyed.collect() }
    }
}
