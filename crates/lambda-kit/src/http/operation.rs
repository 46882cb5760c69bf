//! The operations of an API, each declared once: route and handler. The type of the handler defines the query parameters, and
//! by the proof that it takes, who may call the operation.

use std::future::ready;

use futures::future::BoxFuture;
use roadcast_domain::caller::{Caller, Scope};
use roadcast_services::authz::Proof;

use super::unmatched::{ContractPath, method_not_allowed};
use super::{ApiRequest as _, Parameters, Request, Response};
use crate::problem::{Problem, ProblemType};

/// The future of a response.
pub type ResponseFuture<'a> = BoxFuture<'a, Result<Response, Problem>>;

/// The HTTP operations of a function.
pub trait Api: Sized + Send + Sync + 'static {
    /// The operations.
    const OPERATIONS: &'static [Operation<Self>];

    /// The paths of the entire contract, if the function also responds to requests for which API Gateway found no operation.
    const CONTRACT: &'static [ContractPath] = &[];
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
    /// Callers with the proof that the handler takes.
    Proved(&'static dyn Serve<ApiType>),
}

/// Adds the secret, which is not stored, to a stored response that is sent to the same caller again.
type RestoreSecret<ApiType> = for<'a> fn(&'a ApiType, &'a Caller, Response) -> ResponseFuture<'a>;

impl<ApiType> Operation<ApiType> {
    /// Creates an operation. [`serve!`](crate::serve) creates the handler.
    pub const fn new(method: &'static str, resource: &'static str, handler: &'static dyn Serve<ApiType>) -> Self {
        let handler = Handler::Proved(handler);
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
            Handler::Proved(handler) => Some(handler.scopes()),
        }
    }

    /// Returns the allowed query parameters. Others are refused, because a misspelt filter would have no effect.
    pub fn query(&self) -> &'static [&'static str] {
        match self.handler {
            Handler::Open(_) => &[],
            Handler::Proved(handler) => handler.query(),
        }
    }

    /// Handles a request of an authenticated caller, without the middleware.
    pub fn handle<'a>(&self, api: &'a ApiType, request: &'a Request, caller: &'a Caller) -> ResponseFuture<'a> {
        match self.handler {
            Handler::Open(handle) => Box::pin(ready(handle(api))),
            Handler::Proved(handler) => handler.serve(api, request, caller),
        }
    }

    /// Handles a request of an open operation. Fails with `unauthorized` if the operation requires a token.
    pub(super) fn handle_open(&self, api: &ApiType) -> Result<Response, Problem> {
        match self.handler {
            Handler::Open(handle) => handle(api),
            Handler::Proved(_) => Err(Problem::new(ProblemType::Unauthorized)),
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
pub struct Call<'a, Query, Access> {
    /// The query parameters.
    pub query: Query,
    /// The request.
    pub request: &'a Request,
    /// The caller, as the proof that it may call the operation.
    pub caller: Access,
}

/// Returns the proof of what the caller may do.
pub fn prove<Access: Proof>(caller: &Caller) -> Result<Access, Problem> {
    Access::prove(caller).map_err(Problem::from)
}

/// A handler, whatever its query parameters and its proof.
pub trait Serve<ApiType>: Sync {
    /// Returns the scopes of which the caller needs one.
    fn scopes(&self) -> &'static [Scope];

    /// Returns the names of the query parameters.
    fn query(&self) -> &'static [&'static str];

    /// Proves that the caller may call the operation, parses the query parameters and handles the request.
    fn serve<'a>(&self, api: &'a ApiType, request: &'a Request, caller: &'a Caller) -> ResponseFuture<'a>;
}

/// A handler, and the types of its query parameters and its proof.
pub struct With<ApiType, Query: 'static, Access: 'static>(
    pub for<'a> fn(&'a ApiType, Call<'a, Query, Access>) -> ResponseFuture<'a>,
);

impl<ApiType, Query: Parameters, Access: Proof> Serve<ApiType> for With<ApiType, Query, Access> {
    fn scopes(&self) -> &'static [Scope] {
        Access::SCOPES
    }

    fn query(&self) -> &'static [&'static str] {
        Query::NAMES
    }

    fn serve<'a>(&self, api: &'a ApiType, request: &'a Request, caller: &'a Caller) -> ResponseFuture<'a> {
        let call = prove(caller).and_then(|caller| Ok(Call { query: Query::parse(request)?, request, caller }));
        match call {
            Ok(call) => self.0(api, call),
            Err(problem) => Box::pin(ready(Err(problem))),
        }
    }
}

/// Creates the handler of an operation from a method of the API that takes a [`Call`](crate::http::Call). The type of the call
/// defines the query parameters and who may call the operation.
#[macro_export]
macro_rules! serve {
    ($method:ident) => {
        &$crate::http::With::<Self, _, _>(|api, call| ::std::boxed::Box::pin(api.$method(call)))
    };
}

/// Creates the function that adds the secret to a stored response from a method of the API, which takes a proof as the handler
/// does.
#[macro_export]
macro_rules! restore {
    ($method:ident) => {
        |api, caller, response| {
            ::std::boxed::Box::pin(async move { api.$method($crate::http::prove(caller)?, response).await })
        }
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
    Err(method_not_allowed(&allowed))
}
