//! Maps the errors of ingestion to problems.

use roadcast_domain::json_pointer::JsonPointer;
use roadcast_domain::limits;
use roadcast_domain::refusal::{Reason, Refusal};
use roadcast_lambda_kit::problem::{Problem, ProblemType};
use roadcast_services::ingest::{EventError, IngestError, RemovedParts};
use serde_json::Value;

use crate::accepted_event::quarantined_views;

/// Returns the problem for an upload. In a batch, the pointers start with the index of the event.
pub(crate) fn upload_problem(error: IngestError, is_batch: bool) -> Problem {
    let prefix = |index: usize| if is_batch { JsonPointer::ROOT.index(index) } else { JsonPointer::ROOT };
    match error {
        IngestError::TooLarge => {
            let detail = format!("the limit is {} KiB; split the upload", limits::UPLOAD_BYTES / 1024);
            Problem::new(ProblemType::PayloadTooLarge).with_detail(detail)
        }
        IngestError::VehicleNotFound => Problem::not_found(),
        IngestError::VehicleRetired => Problem::new(ProblemType::Conflict).with_detail("the vehicle is retired"),
        IngestError::Body(refusal) => refusal_problem(&refusal, &JsonPointer::ROOT),
        IngestError::Events(errors) => {
            let problems = errors.into_iter().map(|(index, error)| event_problem(error, &prefix(index)));
            problems.reduce(merge).unwrap_or_else(|| Problem::new(ProblemType::InvalidEvent))
        }
        IngestError::NoUsableSample(events) => {
            let mut quarantined = Vec::new();
            let mut problem = Problem::new(ProblemType::NoUsableSample);
            for (index, removed) in &events {
                problem = with_errors(problem, removed, &prefix(*index));
                quarantined.extend(quarantined_views(&removed.quarantined, &prefix(*index)));
            }
            problem.with_member("quarantined", quarantined)
        }
        IngestError::Port(error) => error.into(),
    }
}

/// Returns the problem for one event. The pointers start with `prefix`.
pub(crate) fn event_problem(error: EventError, prefix: &JsonPointer) -> Problem {
    match error {
        EventError::Refused(refusal) => refusal_problem(&refusal, prefix),
        EventError::SourceNotAllowed => {
            let detail = "this client may not use this source; an admin assigns sources to clients";
            Problem::new(ProblemType::Forbidden).with_error(prefix.child("source"), detail)
        }
        EventError::Conflict => {
            let detail = "another event of the upload has the same source and id; give each event an id of its own";
            Problem::new(ProblemType::Conflict).with_error(prefix.child("id"), detail)
        }
        EventError::NoUsableSample(removed) => {
            let quarantined: Value = quarantined_views(&removed.quarantined, prefix).into();
            with_errors(Problem::new(ProblemType::NoUsableSample), &removed, prefix).with_member("quarantined", quarantined)
        }
        EventError::Port(error) => error.into(),
    }
}

/// Returns the problem for a refused event: `invalid-json` or `bad-request` if it is malformed, otherwise `invalid-event`.
pub(crate) fn refusal_problem(refusal: &Refusal, prefix: &JsonPointer) -> Problem {
    let kind = match refusal.reason {
        Reason::NotJson => ProblemType::InvalidJson,
        Reason::NotACloudEvent | Reason::TimeMissing => ProblemType::BadRequest,
        _ => ProblemType::InvalidEvent,
    };
    Problem::new(kind).with_error(prefix.join(&refusal.pointer), refusal.detail.clone())
}

/// Adds the quarantined samples and rejected signals of an event to a problem.
fn with_errors(mut problem: Problem, removed: &RemovedParts, prefix: &JsonPointer) -> Problem {
    for sample in &removed.quarantined {
        problem = problem.with_error(prefix.join(&sample.pointer), sample.reason.explanation());
    }
    for signal in &removed.rejected {
        problem = problem.with_error(prefix.join(&signal.pointer), signal.reason);
    }
    problem
}

/// Merges two problems: the type that must be corrected first, with the errors of both.
fn merge(one: Problem, other: Problem) -> Problem {
    let rank = |problem: &Problem| match problem.kind() {
        ProblemType::Forbidden => 0,
        ProblemType::InvalidJson | ProblemType::BadRequest => 1,
        _ => 2,
    };
    let (first, second) = if rank(&one) <= rank(&other) { (one, other) } else { (other, one) };
    let errors = second.errors().to_vec();
    first.with_errors(errors)
}
