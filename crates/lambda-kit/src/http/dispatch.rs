//! The path of a request: routing, authentication, rate limit, idempotency, handler.

use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;
use roadcast_domain::caller::Caller;

use super::middleware::{Middleware, MiddlewarePorts, rate_limit_headers};
use super::router::{Access, Api, Route, find_route};
use super::{ProxyRequest, Request, Response};
use crate::problem::Problem;

/// Handles a request with the operation that matches its method and path. A panic becomes an internal error.
pub async fn dispatch<A: Api, P: MiddlewarePorts>(
    api: &A,
    middleware: &Middleware<P>,
    proxy: ProxyRequest,
) -> Result<Response, Problem> {
    // Boxed, because the type of the future, which includes the futures of the SDK, is nested too deeply for the compiler.
    let handled = AssertUnwindSafe(route_and_handle(api, middleware, proxy).boxed()).catch_unwind().await;
    handled.unwrap_or_else(|_| Err(Problem::internal("the handler panicked")))
}

async fn route_and_handle<A: Api, P: MiddlewarePorts>(
    api: &A,
    middleware: &Middleware<P>,
    proxy: ProxyRequest,
) -> Result<Response, Problem> {
    let request = Request::try_from(proxy)?;
    let route = find_route(A::ROUTES, &request)?;
    let Access::Scopes(scopes) = route.access else {
        request.expect_query(route.query)?;
        return api.handle_open(route.operation, &request);
    };
    let caller = middleware.authenticate(&request, scopes).await?;
    let rate_limit = middleware.check_rate_limit(&caller).await?;
    let result = handle_authenticated(api, middleware, route, &request, &caller).await;
    let Some(rate_limit) = rate_limit else { return result };
    let headers = rate_limit_headers(rate_limit).into_iter();
    match result {
        Ok(response) => Ok(headers.fold(response, |response, (name, value)| response.with_header(name, value))),
        Err(problem) => Err(headers.fold(problem, |problem, (name, value)| problem.with_header(name, value))),
    }
}

async fn handle_authenticated<A: Api, P: MiddlewarePorts>(
    api: &A,
    middleware: &Middleware<P>,
    route: &Route<A::Operation>,
    request: &Request,
    caller: &Caller,
) -> Result<Response, Problem> {
    request.expect_query(route.query)?;
    let handle = || api.handle(route.operation, request, caller);
    if !route.idempotency_key {
        return handle().await;
    }
    let restore_secret = |response| api.restore_secret(route.operation, caller, response);
    middleware.execute_once(request, caller, handle, restore_secret).await
}
