//! What a sender is told of the events that were not taken.

use roadcast_domain::limits;
use roadcast_domain::refusal::{Reason, Refusal};
use roadcast_domain::validation::ValidationOutcome;
use roadcast_lambda_kit::problem::{Problem, ProblemType};
use roadcast_services::ingest::{EventError, IngestError};
use serde_json::Value;

use crate::receipt;

/// The problem of an upload that was refused; pointers go into its events where it is a batch.
pub(crate) fn of_upload(error: IngestError, batch: bool) -> Problem {
    let within = |place: usize| if batch { format!("/{place}") } else { String::new() };
    match error {
        IngestError::TooLarge => {
            let detail = format!("at most {} KiB; send it as several uploads", limits::UPLOAD_BYTES / 1024);
            Problem::new(ProblemType::PayloadTooLarge).with_detail(detail)
        }
        IngestError::VehicleNotFound => Problem::not_found(),
        IngestError::VehicleRetired => Problem::new(ProblemType::Conflict).with_detail("the vehicle is retired"),
        IngestError::NotASender => {
            Problem::new(ProblemType::Forbidden).with_detail("only ingest clients and admins send events")
        }
        IngestError::Body(refusal) => of_refusal(&refusal, ""),
        IngestError::Events(errors) => {
            let problems = errors.into_iter().map(|(place, error)| of_event(error, &within(place)));
            problems.reduce(join).unwrap_or_else(|| Problem::new(ProblemType::InvalidEvent))
        }
        IngestError::NothingUsable(intakes) => {
            let mut quarantined = Vec::new();
            let mut problem = Problem::new(ProblemType::NoUsableSample);
            for (place, intake) in &intakes {
                problem = with_parts(problem, intake, &within(*place));
                quarantined.extend(receipt::notes(&intake.quarantined, &within(*place)));
            }
            problem.with_member("quarantined", quarantined)
        }
        IngestError::Port(error) => error.into(),
    }
}

/// The problem of one event.
pub(crate) fn of_event(error: EventError, within: &str) -> Problem {
    match error {
        EventError::Refused(refusal) => of_refusal(&refusal, within),
        EventError::SourceNotYours => {
            let detail = "this client may not use this source; an admin gives a client its sources";
            Problem::new(ProblemType::Forbidden).with_error(format!("{within}/source"), detail)
        }
        EventError::NothingUsable(intake) => {
            let notes: Value = receipt::notes(&intake.quarantined, within).into();
            with_parts(Problem::new(ProblemType::NoUsableSample), &intake, within).with_member("quarantined", notes)
        }
        EventError::Port(error) => error.into(),
    }
}

/// Malformed where it is no event at all, not valid where it is one that cannot be taken.
pub(crate) fn of_refusal(refusal: &Refusal, within: &str) -> Problem {
    let kind = match refusal.reason {
        Reason::NotJson => ProblemType::InvalidJson,
        Reason::NotACloudEvent | Reason::TimeMissing => ProblemType::BadRequest,
        _ => ProblemType::InvalidEvent,
    };
    Problem::new(kind).with_error(format!("{within}{}", refusal.pointer), refusal.detail.clone())
}

fn with_parts(mut problem: Problem, intake: &ValidationOutcome, within: &str) -> Problem {
    for sample in &intake.quarantined {
        problem = problem.with_error(format!("{within}{}", sample.pointer), sample.reason.explanation());
    }
    for signal in &intake.rejected {
        problem = problem.with_error(format!("{within}{}", signal.pointer), signal.reason);
    }
    problem
}

/// One problem of two: the kind that must be mended first, and the parts of both.
fn join(one: Problem, other: Problem) -> Problem {
    let urgency = |problem: &Problem| match problem.kind() {
        ProblemType::Forbidden => 0,
        ProblemType::InvalidJson | ProblemType::BadRequest => 1,
        _ => 2,
    };
    let (first, second) = if urgency(&one) <= urgency(&other) { (one, other) } else { (other, one) };
    let parts: Vec<_> = second.errors().to_vec();
    parts.into_iter().fold(first, |problem, part| problem.with_error(part.pointer, part.detail))
}
