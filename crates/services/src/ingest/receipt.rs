//! What the response to an upload states of its events. A receipt does not keep the events, and what it lists is bounded: an
//! upload may contain hundreds of thousands of invalid samples and signals.

use std::collections::BTreeMap;

use roadcast_domain::byte_budget::ByteBudget;
use roadcast_domain::cloudevent::Envelope;
use roadcast_domain::ids::Eid;
use roadcast_domain::json_pointer::JsonPointer;
use roadcast_domain::refusal::Reason;
use roadcast_domain::validation::{QuarantinedSample, RejectedSignal, ValidationOutcome};

use super::unknown_signals::unknown_paths;

/// Bytes of the notes of one response: some thousand samples and signals. The rest is only counted.
const NOTES_BYTES: usize = 512 * 1024;
/// Bytes of a note without its pointer.
const NOTE_BYTES: usize = 64;

/// An accepted event.
#[derive(Clone, Debug, PartialEq)]
pub struct AcceptedEvent {
    /// The sender's `id`.
    pub id: String,
    /// The `source`.
    pub source: String,
    /// The id in storage.
    pub eid: Eid,
    /// The number of samples that will be stored.
    pub samples: usize,
    /// What will not be stored.
    pub removed: RemovedParts,
    /// Paths below `Vehicle` that are stored but not in the catalogue; see [`unknown_signals`](super::unknown_signals).
    pub unknown_paths: Vec<String>,
}

/// The samples and signals of an event that are not stored.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RemovedParts {
    /// The number of quarantined samples.
    pub samples: usize,
    /// The first quarantined samples.
    pub quarantined: Vec<QuarantineNote>,
    /// The number of rejected signals by reason.
    pub signals: BTreeMap<&'static str, usize>,
    /// The first rejected signals; empty for an event with a usable sample.
    pub rejected: Vec<RejectedSignal>,
}

/// A sample that will be quarantined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuarantineNote {
    /// Index of the sample in the event, as it was sent.
    pub index: usize,
    /// JSON pointer to the invalid part of the event.
    pub pointer: JsonPointer,
    /// The reason.
    pub reason: Reason,
}

/// The bytes that remain for the notes of one response.
pub(super) struct NotesBudget(ByteBudget);

impl NotesBudget {
    pub(super) const fn new() -> Self {
        Self(ByteBudget::new(NOTES_BYTES))
    }

    fn try_reserve(&mut self, pointer: &JsonPointer) -> bool {
        self.0.try_reserve(NOTE_BYTES + pointer.to_string().len()).is_ok()
    }
}

impl AcceptedEvent {
    pub(super) fn new(envelope: &Envelope<'_>, validation: ValidationOutcome, notes: &mut NotesBudget) -> Self {
        let stored = validation.accepted.as_ref();
        Self {
            id: envelope.id.clone(),
            source: envelope.source.clone(),
            eid: validation.eid,
            samples: stored.map_or(0, |stored| stored.event.sample_count()),
            unknown_paths: stored.map_or_else(Vec::new, |stored| unknown_paths(&stored.event)),
            removed: RemovedParts::new(validation, notes),
        }
    }
}

impl RemovedParts {
    fn new(validation: ValidationOutcome, notes: &mut NotesBudget) -> Self {
        let signals = validation.rejected_by_reason();
        let ValidationOutcome { accepted, quarantined, rejected, .. } = validation;
        let samples = quarantined.len();
        let listed = quarantined.into_iter().take_while(|sample| notes.try_reserve(&sample.pointer));
        let note = |sample: QuarantinedSample| QuarantineNote {
            index: sample.index,
            pointer: sample.pointer,
            reason: sample.reason,
        };
        let quarantined = listed.map(note).collect();
        let is_unusable = accepted.is_none();
        let rejected = rejected.into_iter().take_while(|signal| is_unusable && notes.try_reserve(&signal.pointer)).collect();
        Self { samples, quarantined, signals, rejected }
    }
}
