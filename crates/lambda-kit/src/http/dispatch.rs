//! The path of a request: conversion, operation, authentication, rate limit, idempotency, handler, authentication again.

use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;
use http::HeaderName;
use roadcast_domain::caller::Caller;
use roadcast_ports::port_set::PortSet;
use roadcast_services::authz::{AnyClient, Proof as _};
use roadcast_services::requests::rate_limit::RateLimitStatus;

use super::conditional::unless_modified;
use super::content_coding::{compress_for, decode_body};
use super::headers::expect_single_headers;
use super::middleware::{Middleware, rate_limit_headers};
use super::operation::{Api, Operation, find_operation};
use super::query::expect_query;
use super::response::forbid_caching;
use super::unmatched;
use super::{ApiRequest as _, ApiResponse as _, Invocation, Request, Response};
use crate::logging;
use crate::problem::{Problem, ProblemType};

/// Responds to an invocation, at its deadline at the latest. A problem, also that of an event that is not a request, becomes a
/// problem document with the request id.
pub async fn respond<ApiType: Api, Ports: PortSet>(
    api: &ApiType,
    middleware: &Middleware<Ports>,
    invocation: Invocation,
    request_id: &str,
) -> Response {
    let handled = match invocation.into_request() {
        Err(problem) => Err(problem),
        Ok(request) => {
            // API Gateway sends bytes as bytes only if the request has an Accept header; otherwise it sends base64.
            let accept_encoding = request.header("accept").and(request.header("accept-encoding"));
            let accept_encoding = accept_encoding.unwrap_or_default().to_owned();
            let handled = request.deadline().limit(dispatch(api, middleware, request)).await;
            let handled = handled.unwrap_or_else(|reached| Err(Problem::new(ProblemType::Unavailable).caused_by(reached)));
            handled.map(|response| compress_for(response, &accept_encoding))
        }
    };
    handled.unwrap_or_else(|problem| {
        let problem = problem.with_instance(format!("urn:request:{request_id}"));
        log_problem(&problem);
        Response::from(&problem)
    })
}

/// Handles a request with the operation that matches its method and path. A panic becomes an internal error.
pub(super) async fn dispatch<ApiType: Api, Ports: PortSet>(
    api: &ApiType,
    middleware: &Middleware<Ports>,
    request: Request,
) -> Result<Response, Problem> {
    // Boxed, because the type of the future, which includes the futures of the SDK, is nested too deeply for the compiler.
    let handled = AssertUnwindSafe(find_and_handle(api, middleware, request).boxed()).catch_unwind().await;
    handled.unwrap_or_else(|_| Err(Problem::internal("the handler panicked")))
}

async fn find_and_handle<ApiType: Api, Ports: PortSet>(
    api: &ApiType,
    middleware: &Middleware<Ports>,
    request: Request,
) -> Result<Response, Problem> {
    expect_single_headers(&request)?;
    if let Some(problem) = unmatched::problem(ApiType::CONTRACT, &request) {
        let caller = middleware.authenticate(&request, AnyClient::SCOPES).await?;
        let rate_limit = middleware.check_rate_limit(&caller).await?;
        return with_rate_limit(Err(problem), rate_limit);
    }
    let mut request = decode_body(request)?;
    middleware.add_cursors(&mut request);
    let operation = find_operation::<ApiType>(&request)?;
    let Some(scopes) = operation.scopes() else {
        expect_query(&request, operation.query())?;
        return operation.handle_open(api);
    };
    let caller = middleware.authenticate(&request, scopes).await?;
    let rate_limit = middleware.check_rate_limit(&caller).await?;
    let result = handle_authenticated(api, middleware, operation, &request, &caller).await;
    // The caller may have been disabled or deleted while the handler waited or worked. Usually its record is still cached.
    if middleware.authenticate(&request, scopes).await?.id() != caller.id() {
        return Err(Problem::new(ProblemType::Forbidden));
    }
    let result = result.map(|mut response| {
        forbid_caching(&mut response);
        response
    });
    with_rate_limit(result, rate_limit)
}

/// Adds the rate limit status of the fleet to a response.
fn with_rate_limit(result: Result<Response, Problem>, rate_limit: Option<RateLimitStatus>) -> Result<Response, Problem> {
    let Some(rate_limit) = rate_limit else { return result };
    let mut headers = rate_limit_headers(rate_limit).into_iter();
    match result {
        Ok(response) => {
            headers.try_fold(response, |response, (name, value)| response.with_header(HeaderName::from_static(name), value))
        }
        Err(problem) => Err(headers.fold(problem, |problem, (name, value)| problem.with_header(name, value))),
    }
}

async fn handle_authenticated<ApiType: Api, Ports: PortSet>(
    api: &ApiType,
    middleware: &Middleware<Ports>,
    operation: &Operation<ApiType>,
    request: &Request,
    caller: &Caller,
) -> Result<Response, Problem> {
    expect_query(request, operation.query())?;
    let handle = || operation.handle(api, request, caller);
    if !operation.idempotency_key {
        return handle().await.map(|response| unless_modified(request, response));
    }
    let restore_secret = |response| operation.restore_secret(api, caller, response);
    middleware.execute_once(request, caller, handle, restore_secret).await
}

/// Logs a problem. The cause of a 5xx is only in the log, at level error; other problems are errors of the caller, at level
/// debug.
fn log_problem(problem: &Problem) {
    let status = problem.status().as_u16();
    if problem.status().is_server_error() {
        let error = logging::error_chain(problem);
        tracing::error!(status, error, "responded {status}: {error}");
    } else {
        let kind = problem.kind().id();
        tracing::debug!(status, kind, "responded {status}: {kind}");
    }
}
