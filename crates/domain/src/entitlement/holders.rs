//! On which subscriptions it depends whether a fleet sees an event that was held back.

use std::collections::BTreeSet;

use crate::ids::SubscriptionId;

/// The subscriptions that hold back an event from a fleet until they are active.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holders {
    /// Nothing is held back.
    #[default]
    None,
    /// Each of them, if it is active, shows more of the event. At least one.
    Any(BTreeSet<SubscriptionId>),
    /// The event is shown only while all of them are active, because it is covered by several together. At least one.
    All(BTreeSet<SubscriptionId>),
}

impl Holders {
    /// Any of these; `None` if there are none.
    pub fn any(subscriptions: BTreeSet<SubscriptionId>) -> Self {
        if subscriptions.is_empty() { Self::None } else { Self::Any(subscriptions) }
    }

    /// All of these; `None` if there are none.
    pub fn all(subscriptions: BTreeSet<SubscriptionId>) -> Self {
        if subscriptions.is_empty() { Self::None } else { Self::All(subscriptions) }
    }

    /// Whether nothing is held back.
    pub const fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// Returns the subscriptions, in order.
    pub fn subscriptions(&self) -> impl Iterator<Item = &SubscriptionId> {
        match self {
            Self::None => None,
            Self::Any(subscriptions) | Self::All(subscriptions) => Some(subscriptions),
        }
        .into_iter()
        .flatten()
    }

    /// Whether the event is shown if exactly those subscriptions are active for which `is_active` returns true.
    pub fn are_released(&self, is_active: impl Fn(&SubscriptionId) -> bool) -> bool {
        match self {
            Self::None => true,
            Self::Any(subscriptions) => subscriptions.iter().any(is_active),
            Self::All(subscriptions) => subscriptions.iter().all(is_active),
        }
    }
}
