use std::future::Future;

use roadcast_domain::caller::{Caller, Scope};
use roadcast_ports::clients::Clients;
use roadcast_ports::clock::Clock;

use super::{ProxyRequest, Request, Response};
use crate::auth::Callers;
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
    /// The operation.
    pub operation: O,
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

    /// Does an operation that is open to everybody.
    fn call_open(&self, _operation: Self::Operation, _request: &Request) -> Result<Response, Problem> {
        Err(Problem::not_found())
    }
}

/// Answers a request: finds its operation and its caller, and does it.
pub async fn answer<A: Api, C: Clients, K: Clock>(
    api: &A,
    callers: &Callers<C, K>,
    proxy: ProxyRequest,
) -> Result<Response, Problem> {
    let request = Request::try_from(proxy)?;
    let route = route_of(A::ROUTES, &request)?;
    match route.access {
        Access::Open => api.call_open(route.operation, &request),
        Access::Scopes(scopes) => {
            let caller = callers.caller(request.claims.as_ref(), scopes).await?;
            api.call(route.operation, &request, &caller).await
        }
    }
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
