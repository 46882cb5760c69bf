//! The operations of an API and their routes.

use std::future::Future;

use roadcast_domain::caller::{Caller, Scope};

use super::{Request, Response};
use crate::problem::{Problem, ProblemType};

/// The route of an operation of the HTTP contract.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Route<O> {
    /// The method.
    pub method: &'static str,
    /// The path template, as in `openapi.yaml`.
    pub resource: &'static str,
    /// Who may call the operation.
    pub access: Access,
    /// The allowed query parameters. Others are refused, because a misspelt filter would have no effect.
    pub query: &'static [&'static str],
    /// Whether a request may have an `Idempotency-Key`, because the operation creates a resource.
    pub idempotency_key: bool,
    /// The operation.
    pub operation: O,
}

impl<O: Copy> Route<O> {
    /// Creates a route without query parameters and without `Idempotency-Key`.
    pub const fn new(method: &'static str, resource: &'static str, access: Access, operation: O) -> Self {
        Self { method, resource, access, query: &[], idempotency_key: false, operation }
    }

    /// Sets the allowed query parameters.
    #[must_use]
    pub const fn with_query(self, query: &'static [&'static str]) -> Self {
        Self { query, ..self }
    }

    /// Allows an `Idempotency-Key`.
    #[must_use]
    pub const fn with_idempotency_key(self) -> Self {
        Self { idempotency_key: true, ..self }
    }
}

/// Who may call an operation.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everyone, without a token.
    Open,
    /// Callers with one of these scopes.
    Scopes(&'static [Scope]),
}

/// The HTTP operations of a function.
pub trait Api: Send + Sync {
    /// Identifies an operation.
    type Operation: Copy + Send + Sync + 'static;

    /// The routes, one for each operation.
    const ROUTES: &'static [Route<Self::Operation>];

    /// Handles a request of an authenticated caller.
    fn handle(
        &self,
        operation: Self::Operation,
        request: &Request,
        caller: &Caller,
    ) -> impl Future<Output = Result<Response, Problem>> + Send;

    /// Adds the secret to a stored response that is sent to the same caller again. Secrets are not stored with responses.
    fn restore_secret(
        &self,
        _operation: Self::Operation,
        _caller: &Caller,
        response: Response,
    ) -> impl Future<Output = Result<Response, Problem>> + Send {
        async { Ok(response) }
    }

    /// Handles a request of an operation with [`Access::Open`].
    fn handle_open(&self, _operation: Self::Operation, _request: &Request) -> Result<Response, Problem> {
        Err(Problem::not_found())
    }
}

/// Returns the route with the method and path template of a request. Fails with `not-found`, or with `method-not-allowed` if
/// the path has other methods.
pub(super) fn find_route<'r, O>(routes: &'r [Route<O>], request: &Request) -> Result<&'r Route<O>, Problem> {
    let mut allowed = Vec::new();
    for route in routes {
        if route.resource == request.resource {
            if route.method == request.method {
                return Ok(route);
            }
            allowed.push(route.method);
        }
    }
    if allowed.is_empty() {
        return Err(Problem::not_found());
    }
    Err(Problem::new(ProblemType::MethodNotAllowed).with_header("allow", allowed.join(", ")))
}
