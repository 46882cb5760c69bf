//! What a use case's refusal means in HTTP. One exhaustive match: a new refusal does not compile until it has its answer.

use roadcast_services::ServiceError;

use crate::problem::{Problem, ProblemType};

impl From<ServiceError> for Problem {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::NotFound => Self::not_found(),
            ServiceError::Forbidden(why) => Self::new(ProblemType::Forbidden).with_detail(why),
            ServiceError::Invalid(wrong) => wrong
                .into_iter()
                .fold(Self::new(ProblemType::InvalidBody), |problem, wrong| problem.with_error(wrong.pointer, wrong.detail)),
            ServiceError::Conflict(why) => Self::new(ProblemType::Conflict).with_detail(why),
            ServiceError::Stale => Self::new(ProblemType::PreconditionFailed),
            ServiceError::Port(error) => error.into(),
        }
    }
}
