//! JSON representations of dead letters and redrives.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roadcast_domain::Timestamp;
use roadcast_domain::dead_letter::{
    DeadLetter, LetterFilter, LetterState, Redrive, RedriveFailure, RedriveId, RedriveRequest,
};
use roadcast_domain::ids::{ClientId, DeadLetterId};
use roadcast_services::dead_letters::queries::ShownLetter;
use serde::Serialize;

/// A dead letter.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LetterView {
    state: LetterState,
    #[serde(flatten)]
    letter: DeadLetter,
}

impl From<DeadLetter> for LetterView {
    fn from(letter: DeadLetter) -> Self {
        Self { state: letter.state(), letter }
    }
}

/// A dead letter with the start of its bytes: `text` if they are UTF-8, otherwise `base64`; neither if they are gone.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DetailsView {
    #[serde(flatten)]
    letter: LetterView,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
    truncated: bool,
}

impl From<ShownLetter> for DetailsView {
    fn from(ShownLetter { letter, start }: ShownLetter) -> Self {
        let truncated = start.as_ref().is_some_and(|start| start.is_truncated);
        let (text, base64) = match start.map(|start| String::from_utf8(start.bytes)) {
            None => (None, None),
            Some(Ok(text)) => (Some(text), None),
            Some(Err(other)) => (None, Some(STANDARD.encode(other.as_bytes()))),
        };
        Self { letter: letter.into(), text, base64, truncated }
    }
}

/// A redrive.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RedriveView {
    redrive_id: RedriveId,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dead_letter_ids: Option<Vec<DeadLetterId>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    again: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    selection: Option<LetterFilter>,
    by: ClientId,
    created_at: Timestamp,
    updated_at: Timestamp,
    redriven: u64,
    skipped: u64,
    failed: u64,
    failures: Vec<RedriveFailure>,
}

impl From<Redrive> for RedriveView {
    fn from(redrive: Redrive) -> Self {
        let (dead_letter_ids, again, selection) = match redrive.request {
            RedriveRequest::Letters { dead_letter_ids, again } => (Some(dead_letter_ids), Some(again), None),
            RedriveRequest::Selection(selection) => (None, None, Some(selection)),
        };
        Self {
            redrive_id: redrive.redrive_id,
            state: if redrive.finished { "finished" } else { "running" },
            dead_letter_ids,
            again,
            selection,
            by: redrive.by,
            created_at: redrive.created_at,
            updated_at: redrive.updated_at,
            redriven: redrive.redriven,
            skipped: redrive.skipped,
            failed: redrive.failed,
            failures: redrive.failures,
        }
    }
}
