use std::future::Future;

use roadcast_domain::caller::{Caller, Scope};

use super::middleware::{Middleware, MiddlewarePorts, rate_limit_headers};
use super::{ProxyRequest, Request, Response};
use crate::problem::{Problem, ProblemType};

/// One operation of the HTTP contract.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Route<O> {
    /// The method.
    pub method: &'static str,
    /// The path's template, as in `openapi.yaml`.
    pub resource: &'static str,
    /// Who may call it.
    pub access: Access,
    /// The parameters that a query may hold; any other is refused, because a misspelt filter would filter nothing.
    pub query: &'static [&'static str],
    /// Whether it creates something, so that a request may carry an `Idempotency-Key`.
    pub creates: bool,
    /// The operation.
    pub operation: O,
}

impl<O: Copy> Route<O> {
    /// An operation without query parameters.
    pub const fn new(method: &'static str, resource: &'static str, access: Access, operation: O) -> Self {
        Self { method, resource, access, query: &[], creates: false, operation }
    }

    /// Takes these query parameters.
    #[must_use]
    pub const fn with_query(self, query: &'static [&'static str]) -> Self {
        Self { query, ..self }
    }

    /// Creates something.
    #[must_use]
    pub const fn creating(self) -> Self {
        Self { creates: true, ..self }
    }
}

/// Who may call an operation.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody, without a token.
    Open,
    /// Callers whose token has one of these scopes.
    Scopes(&'static [Scope]),
}

/// The operations that a function serves.
pub trait Api: Send + Sync {
    /// What tells one operation from another.
    type Operation: Copy + Send + Sync + 'static;

    /// Every operation, once.
    const ROUTES: &'static [Route<Self::Operation>];

    /// Does an operation for a caller.
    fn call(
        &self,
        operation: Self::Operation,
        request: &Request,
        caller: &Caller,
    ) -> impl Future<Output = Result<Response, Problem>> + Send;

    /// An answer that was given before, with the secret that is not kept with it, to the same caller.
    fn restore(
        &self,
        _operation: Self::Operation,
        _caller: &Caller,
        answer: Response,
    ) -> impl Future<Output = Result<Response, Problem>> + Send {
        async { Ok(answer) }
    }

    /// Does an operation that is open to everybody.
    fn call_open(&self, _operation: Self::Operation, _request: &Request) -> Result<Response, Problem> {
        Err(Problem::not_found())
    }
}

/// Answers a request: finds its operation and its caller, and does it.
pub async fn answer<A: Api, P: MiddlewarePorts>(
    api: &A,
    middleware: &Middleware<P>,
    proxy: ProxyRequest,
) -> Result<Response, Problem> {
    let request = Request::try_from(proxy)?;
    let route = route_of(A::ROUTES, &request)?;
    let Access::Scopes(scopes) = route.access else {
        request.expect_query(route.query)?;
        return api.call_open(route.operation, &request);
    };
    let caller = middleware.callers.caller(request.claims.as_ref(), scopes).await?;
    let standing = middleware.admit(&caller).await?;
    let answer = async {
        request.expect_query(route.query)?;
        if route.creates {
            middleware.once(api, route, &request, &caller).await
        } else {
            call(api, route, &request, &caller).await
        }
    };
    match (answer.await, standing) {
        (answer, None) => answer,
        (Ok(response), Some(standing)) => {
            Ok(rate_limit_headers(standing).into_iter().fold(response, |r, (n, v)| r.with_header(n, v)))
        }
        (Err(problem), Some(standing)) => {
            Err(rate_limit_headers(standing).into_iter().fold(problem, |p, (n, v)| p.with_header(n, v)))
        }
    }
}

pub(super) async fn call<A: Api>(
    api: &A,
    route: &Route<A::Operation>,
    request: &Request,
    caller: &Caller,
) -> Result<Response, Problem> {
    api.call(route.operation, request, caller).await
}

/// The operation that a request is for.
fn route_of<'r, O>(routes: &'r [Route<O>], request: &Request) -> Result<&'r Route<O>, Problem> {
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
