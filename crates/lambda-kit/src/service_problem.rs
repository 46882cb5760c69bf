//! Maps the errors of use cases to problems. The match is exhaustive: a new error does not compile until it is mapped.

use roadcast_services::ServiceError;

use crate::problem::{Problem, ProblemType};

impl From<ServiceError> for Problem {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::NotFound => Self::not_found(),
            ServiceError::Forbidden(detail) => Self::new(ProblemType::Forbidden).with_detail(detail),
            ServiceError::Invalid(fields) => fields
                .into_iter()
                .fold(Self::new(ProblemType::InvalidBody), |problem, field| problem.with_error(field.pointer, field.detail)),
            ServiceError::Conflict(detail) => Self::new(ProblemType::Conflict).with_detail(detail),
            ServiceError::Stale => Self::new(ProblemType::PreconditionFailed),
            ServiceError::Expired { available_from } => Self::new(ProblemType::EventsExpired)
                .with_detail(format!("events that arrived before {available_from} are no longer retained"))
                .with_member("availableFrom", available_from.to_string()),
            ServiceError::ResponseTooLarge => Self::new(ProblemType::ResponseTooLarge)
                .with_detail("the first item of the page exceeds the size of a response; select signals with `signal`"),
            ServiceError::EntitlementChanged => Self::new(ProblemType::Unavailable),
            ServiceError::Port(error) => error.into(),
        }
    }
}
