//! Dead letters: what could not be processed or delivered, with what is needed to find its cause and to send it again.

mod hop;
mod redrive;

use std::str::FromStr;

use roadcast_signals::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub use hop::{Hop, InvalidHop};
pub use redrive::{
    CLAIM_LEASE_MS, ClaimOutcome, InvalidRedriveId, Redrive, RedriveClaim, RedriveFailure, RedriveId, RedriveMark,
    RedriveRequest,
};

use crate::ids::{DeadLetterId, FleetId};

/// How long dead letters and their bytes are kept, in days. The lifecycle rule of the bucket in the template has the same
/// value.
pub const RETENTION_DAYS: i64 = 90;

/// A dead letter. Contains no personal data, except in the object that its content points to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetter {
    /// The id, with the time of the failure. The same failure always has the same id.
    pub dead_letter_id: DeadLetterId,
    /// Where it failed.
    pub hop: Hop,
    /// Why it failed, as a code.
    pub reason: String,
    /// Why it failed, in words of at most [`MAX_DETAIL`](Self::MAX_DETAIL) characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The fleet, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fleet_id: Option<FleetId>,
    /// Where it comes from.
    pub pointers: Pointers,
    /// The number of records, events or messages in it; 0 if unknown.
    pub items: u64,
    /// The time of the first one.
    pub first_at: Timestamp,
    /// The time of the last one.
    pub last_at: Timestamp,
    /// Where its bytes are.
    pub content: Content,
    /// The redrive that is sending it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<RedriveMark>,
    /// The redrive that sent it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redriven: Option<RedriveMark>,
}

/// Where a dead letter comes from. The members that apply are present, each at most
/// [`MAX_POINTER`](DeadLetter::MAX_POINTER) bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pointers {
    /// The name or the ARN of the stream, rule, queue or function that gave it up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The name or the ARN of the target that did not accept it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The shard of the stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<String>,
    /// The sequence number of its first record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_sequence_number: Option<String>,
    /// The sequence number of its last record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_sequence_number: Option<String>,
    /// The message in the queue of dead letters, or the event id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// The request id of the last invocation, which is in the function's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The lane of enrichment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lane: Option<String>,
    /// The number of attempts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u64>,
}

/// Where the bytes of a dead letter are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Content {
    /// The bucket.
    pub bucket: ContentBucket,
    /// The object key.
    pub key: String,
    /// The size of the object, in bytes.
    pub bytes: u64,
}

/// A bucket with bytes of dead letters.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ContentBucket {
    /// The bucket of dead letters.
    DeadLetters,
    /// The archive, which has the quarantine.
    Archive,
}

/// The state of a dead letter.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LetterState {
    /// Not sent again.
    Kept,
    /// A redrive is sending it, or was interrupted while it did.
    Redriving,
    /// A redrive sent it.
    Redriven,
}

impl LetterState {
    /// All states.
    pub const ALL: [Self; 3] = [Self::Kept, Self::Redriving, Self::Redriven];

    /// Returns the code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Redriving => "redriving",
            Self::Redriven => "redriven",
        }
    }

    /// Returns the state with this code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.code() == code)
    }
}

/// A text that is not the code of a state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a state (kept, redriving, redriven)")]
pub struct InvalidLetterState;

impl FromStr for LetterState {
    type Err = InvalidLetterState;

    fn from_str(code: &str) -> Result<Self, InvalidLetterState> {
        Self::from_code(code).ok_or(InvalidLetterState)
    }
}

/// Selects dead letters. A member that is absent selects all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LetterFilter {
    /// Where they failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hop: Option<Hop>,
    /// The fleet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fleet_id: Option<FleetId>,
    /// The earliest time of failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// The time of failure before which they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// The state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<LetterState>,
}

impl LetterFilter {
    /// Whether the filter selects this letter.
    pub fn selects(&self, letter: &DeadLetter) -> bool {
        let failed_at = letter.dead_letter_id.failed_at();
        self.hop.is_none_or(|hop| hop == letter.hop)
            && self.fleet_id.as_ref().is_none_or(|fleet_id| letter.fleet_id.as_ref() == Some(fleet_id))
            && self.since.is_none_or(|since| failed_at >= since)
            && self.until.is_none_or(|until| failed_at < until)
            && self.state.is_none_or(|state| state == letter.state())
    }
}

impl DeadLetter {
    /// The largest length of `detail`, in characters.
    pub const MAX_DETAIL: usize = 300;
    /// The largest length of `reason` and of a pointer, in bytes.
    pub const MAX_POINTER: usize = 300;

    /// Returns the state.
    pub const fn state(&self) -> LetterState {
        match (&self.claim, &self.redriven) {
            (Some(_), _) => LetterState::Redriving,
            (None, Some(_)) => LetterState::Redriven,
            (None, None) => LetterState::Kept,
        }
    }
}

impl DeadLetterId {
    /// Returns the id of a failure at this hop. `source` identifies the failure: the id of its message, or the key of its
    /// object. The same failure always gets the same id.
    pub fn for_failure(hop: Hop, failed_at: Timestamp, source: &str) -> Self {
        let digest = Sha256::digest(source.as_bytes());
        let mut bytes = [0_u8; 16];
        bytes.copy_from_slice(&digest[..16]);
        Self::from_parts(failed_at, hop.number(), u128::from_be_bytes(bytes))
    }

    /// Returns the hop; `None` if no hop has the number of this id.
    pub fn hop(self) -> Option<Hop> {
        Hop::from_number(self.hop_number())
    }
}

#[cfg(test)]
mod tests;
