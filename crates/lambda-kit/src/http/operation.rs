//! The operations of an API, each declared once: route, scopes, query parameters and handler.

use std::future::ready;

use futures::future::BoxFuture;
use roadcast_domain::caller::{Caller, Scope};

use super::{ApiRequest as _, Parameters, Request, Response};
use crate::problem::{Problem, ProblemType};

/// The future of a response.
pub type ResponseFuture<'a> = BoxFuture<'a, Result<Response, Problem>>;

/// The HTTP operations of a function.
pub trait Api: Sized + Send + Sync + 'static {
    /// The operations.
    const OPERATIONS: &'static [Operation<Self>];
}

/// An operation of the HTTP contract.
pub struct Operation<ApiType: 'static> {
    /// The method.
    pub method: &'static str,
    /// The path template, as in `openapi.yaml`.
    pub resource: &'static str,
    /// Whether a request may have an `Idempotency-Key`, because the operation creates a resource.
    pub idempotency_key: bool,
    handler: Handler<ApiType>,
    restore_secret: Option<RestoreSecret<ApiType>>,
}

/// The handler of an operation, and who may call it.
enum Handler<ApiType: 'static> {
    /// Everyone, without a token.
    Open(fn(&ApiType) -> Result<Response, Problem>),
    /// Callers with one of these scopes.
    Scoped(&'static [Scope], &'static dyn Serve<ApiType>),
}

/// Adds the secret, which is not stored, to a stored response that is sent to the same caller again.
type RestoreSecret<ApiType> = for<'a> fn(&'a ApiType, &'a Caller, Response) -> ResponseFuture<'a>;

impl<ApiType> Operation<ApiType> {
    /// Creates an operation for callers with one of `scopes`. [`serve!`](crate::serve) creates the handler.
    pub const fn new(
        method: &'static str,
        resource: &'static str,
        scopes: &'static [Scope],
        handler: &'static dyn Serve<ApiType>,
    ) -> Self {
        let handler = Handler::Scoped(scopes, handler);
        Self { method, resource, idempotency_key: false, handler, restore_secret: None }
    }

    /// Creates an operation for everyone, without query parameters.
    pub const fn open(
        method: &'static str,
        resource: &'static str,
        handle: fn(&ApiType) -> Result<Response, Problem>,
    ) -> Self {
        Self { method, resource, idempotency_key: false, handler: Handler::Open(handle), restore_secret: None }
    }

    /// Allows an `Idempotency-Key`.
    #[must_use]
    pub const fn with_idempotency_key(self) -> Self {
        Self { idempotency_key: true, ..self }
    }

    /// Restores the secret of a stored response. [`restore!`](crate::restore) creates `restore_secret`.
    #[must_use]
    pub const fn with_secret(self, restore_secret: RestoreSecret<ApiType>) -> Self {
        Self { restore_secret: Some(restore_secret), ..self }
    }

    /// Returns the scopes of which the caller needs one, or `None` if the operation is open.
    pub fn scopes(&self) -> Option<&'static [Scope]> {
        match self.handler {
            Handler::Open(_) => None,
            Handler::Scoped(scopes, _) => Some(scopes),
        }
    }

    /// Returns the allowed query parameters. Others are refused, because a misspelt filter would have no effect.
    pub fn query(&self) -> &'static [&'static str] {
        match self.handler {
            Handler::Open(_) => &[],
            Handler::Scoped(_, handler) => handler.query(),
        }
    }

    /// Handles a request of an authenticated caller, without the middleware.
    pub fn handle<'a>(&self, api: &'a ApiType, request: &'a Request, caller: &'a Caller) -> ResponseFuture<'a> {
        match self.handler {
            Handler::Open(handle) => Box::pin(ready(handle(api))),
            Handler::Scoped(_, handler) => handler.serve(api, request, caller),
        }
    }

    /// Handles a request of an open operation. Fails with `unauthorized` if the operation requires a token.
    pub(super) fn handle_open(&self, api: &ApiType) -> Result<Response, Problem> {
        match self.handler {
            Handler::Open(handle) => handle(api),
            Handler::Scoped(..) => Err(Problem::new(ProblemType::Unauthorized)),
        }
    }

    /// Adds the secret to a stored response.
    pub(super) async fn restore_secret(
        &self,
        api: &ApiType,
        caller: &Caller,
        response: Response,
    ) -> Result<Response, Problem> {
        match self.restore_secret {
            Some(restore_secret) => restore_secret(api, caller, response).await,
            None => Ok(response),
        }
    }
}

/// What a handler receives.
pub struct Call<'a, Query> {
    /// The query parameters.
    pub query: Query,
    /// The request.
    pub request: &'a Request,
    /// The caller.
    pub caller: &'a Caller,
}

/// A handler, whatever its query parameters.
pub trait Serve<ApiType>: Sync {
    /// Returns the names of the query parameters.
    fn query(&self) -> &'static [&'static str];

    /// Parses the query parameters and handles the request.
    fn serve<'a>(&self, api: &'a ApiType, request: &'a Request, caller: &'a Caller) -> ResponseFuture<'a>;
}

/// A handler and the type of its query parameters.
pub struct With<ApiType, Query: 'static>(pub for<'a> fn(&'a ApiType, Call<'a, Query>) -> ResponseFuture<'a>);

impl<ApiType, Query: Parameters> Serve<ApiType> for With<ApiType, Query> {
    fn query(&self) -> &'static [&'static str] {
        Query::NAMES
    }

    fn serve<'a>(&self, api: &'a ApiType, request: &'a Request, caller: &'a Caller) -> ResponseFuture<'a> {
        match Query::parse(request) {
            Ok(query) => self.0(api, Call { query, request, caller }),
            Err(problem) => Box::pin(ready(Err(problem))),
        }
    }
}

/// Creates the handler of an operation from a method of the API that takes a [`Call`](crate::http::Call). The type of the call
/// defines the query parameters.
#[macro_export]
macro_rules! serve {
    ($method:ident) => {
        &$crate::http::With::<Self, _>(|api, call| ::std::boxed::Box::pin(api.$method(call)))
    };
}

/// Creates the function that adds the secret to a stored response from a method of the API.
#[macro_export]
macro_rules! restore {
    ($method:ident) => {
        |api, caller, response| ::std::boxed::Box::pin(api.$method(caller, response))
    };
}

/// Returns the operation with the method and path template of a request. Fails with `not-found`, or with
/// `method-not-allowed` if the path has other methods.
pub(super) fn find_operation<ApiType: Api>(request: &Request) -> Result<&'static Operation<ApiType>, Problem> {
    let of_resource = || ApiType::OPERATIONS.iter().filter(|operation| operation.resource == request.resource());
    if let Some(found) = of_resource().find(|operation| operation.method == request.method()) {
        return Ok(found);
    }
    let allowed: Vec<&str> = of_resource().map(|operation| operation.method).collect();
    if allowed.is_empty() {
        return Err(Problem::not_found());
    }
    Err(Problem::new(ProblemType::MethodNotAllowed).with_header("allow", allowed.join(", ")))
}
