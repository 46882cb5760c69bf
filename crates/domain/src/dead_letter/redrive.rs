//! Redrives: dead letters that are sent again to where they failed.

use std::fmt;
use std::str::FromStr;

use roadcast_signals::Timestamp;
use serde::{Deserialize, Serialize};

use super::{DeadLetter, LetterFilter};
use crate::ids::{ClientId, DeadLetterId};

/// How long a claim protects a letter from other redrives, in milliseconds. Longer than the timeout of the function that
/// redrives, so that a claim which is older belongs to a redrive that was interrupted.
pub const CLAIM_LEASE_MS: i64 = 2 * 60 * 1000;

/// The id of a redrive, chosen by the caller: 1 to 64 letters, digits, `-` and `_`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RedriveId(String);

/// A text that is not the id of a redrive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a redrive id (1 to 64 letters, digits, - and _)")]
pub struct InvalidRedriveId;

impl RedriveId {
    const MAX_LEN: usize = 64;

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RedriveId {
    type Err = InvalidRedriveId;

    fn from_str(text: &str) -> Result<Self, InvalidRedriveId> {
        let is_allowed = |symbol: u8| symbol.is_ascii_alphanumeric() || symbol == b'-' || symbol == b'_';
        if (1..=Self::MAX_LEN).contains(&text.len()) && text.bytes().all(is_allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidRedriveId)
        }
    }
}

impl TryFrom<String> for RedriveId {
    type Error = InvalidRedriveId;

    fn try_from(text: String) -> Result<Self, InvalidRedriveId> {
        text.parse()
    }
}

impl From<RedriveId> for String {
    fn from(id: RedriveId) -> Self {
        id.0
    }
}

impl fmt::Display for RedriveId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The mark of a redrive on a dead letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RedriveMark {
    /// The redrive.
    pub redrive_id: RedriveId,
    /// When it claimed or sent the letter.
    pub at: Timestamp,
}

/// The request of a redrive to send one letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedriveClaim {
    /// The redrive, and the current time.
    pub mark: RedriveMark,
    /// Whether the letter is sent again if another redrive sent it, or was interrupted while it did.
    pub again: bool,
}

/// The answer to a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimOutcome {
    /// The redrive may send the letter, which has its mark now.
    Granted(Box<DeadLetter>),
    /// A redrive is sending the letter, or was interrupted while it did.
    InProgress(RedriveMark),
    /// A redrive sent the letter.
    Redriven(RedriveMark),
    /// No such letter is stored.
    Absent,
}

impl DeadLetter {
    /// Returns the answer to a claim of this letter.
    pub fn claimed(&self, claim: &RedriveClaim) -> ClaimOutcome {
        let RedriveMark { redrive_id, at } = &claim.mark;
        if let Some(held) = &self.claim {
            let is_abandoned = at.ms_since(held.at) >= CLAIM_LEASE_MS;
            if !is_abandoned || (held.redrive_id != *redrive_id && !claim.again) {
                return ClaimOutcome::InProgress(held.clone());
            }
        } else if let Some(sent) = &self.redriven
            && (sent.redrive_id == *redrive_id || !claim.again)
        {
            return ClaimOutcome::Redriven(sent.clone());
        }
        ClaimOutcome::Granted(Box::new(Self { claim: Some(claim.mark.clone()), ..self.clone() }))
    }

    /// Returns the letter after the redrive that claimed it sent it (`sent`) or failed to; `None` if another redrive, or none,
    /// has the claim.
    #[must_use]
    pub fn finished(&self, mark: &RedriveMark, sent: bool) -> Option<Self> {
        let held = self.claim.as_ref()?;
        if held.redrive_id != mark.redrive_id {
            return None;
        }
        let redriven = if sent { Some(mark.clone()) } else { self.redriven.clone() };
        Some(Self { claim: None, redriven, ..self.clone() })
    }
}

/// The record of a redrive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Redrive {
    /// The id.
    pub redrive_id: RedriveId,
    /// What it sends.
    pub request: RedriveRequest,
    /// The admin's client.
    pub by: ClientId,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last continued.
    pub updated_at: Timestamp,
    /// The number of times that the record was replaced.
    pub revision: u64,
    /// Whether all its letters are done.
    pub finished: bool,
    /// The last letter that is done, in the order of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<DeadLetterId>,
    /// The number of letters that were sent.
    pub redriven: u64,
    /// The number of letters that were not sent because another redrive has or had them.
    pub skipped: u64,
    /// The number of letters that could not be sent.
    pub failed: u64,
    /// The letters that could not be sent, at most [`MAX_FAILURES`](Self::MAX_FAILURES).
    pub failures: Vec<RedriveFailure>,
}

impl Redrive {
    /// The largest number of failures that a record lists.
    pub const MAX_FAILURES: usize = 100;
}

/// What a redrive sends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "kind")]
pub enum RedriveRequest {
    /// These letters.
    Letters {
        /// The letters.
        dead_letter_ids: Vec<DeadLetterId>,
        /// Whether letters are sent again that another redrive sent.
        again: bool,
    },
    /// All letters of a selection.
    Selection(LetterFilter),
}

/// A letter that could not be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RedriveFailure {
    /// The letter.
    pub dead_letter_id: DeadLetterId,
    /// The reason, as a code.
    pub reason: String,
    /// What is wrong and what to do.
    pub detail: String,
}
