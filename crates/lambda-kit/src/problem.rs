//! RFC 9457 problem documents.
//!
//! A [`Problem`] states what the caller must correct. It may carry its cause for the log. The document never contains the
//! cause; for a status of 500 or above it omits `detail` and `errors` too.

use std::error::Error;
use std::fmt;

use ::http::StatusCode;
use roadcast_domain::json_pointer::JsonPointer;
use roadcast_ports::{PortError, PortErrorKind};
use serde::Serialize;
use serde_json::{Map, Value};

/// The prefix of every problem type URI.
pub const TYPE_BASE: &str = "https://roadcast.dev/problems/";
/// The default `Retry-After`, in seconds.
const RETRY_AFTER_S: u32 = 1;

macro_rules! problem_types {
    ($($(#[$doc:meta])* $name:ident = $id:literal, $status:ident, $title:literal;)*) => {
        /// The problem types. The id of a type is stable and meant for programs.
        #[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
        pub enum ProblemType {
            $(#[doc = concat!("`", $id, "`: ", $title, ".")] $name,)*
        }

        impl ProblemType {
            /// All types.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Returns the last segment of the type URI.
            pub const fn id(self) -> &'static str {
                match self { $(Self::$name => $id,)* }
            }

            /// Returns the HTTP status.
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }

            /// Returns the title, which is the same for every occurrence.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }
        }
    };
}

problem_types! {
    BadRequest = "bad-request", BAD_REQUEST, "The request is malformed";
    InvalidJson = "invalid-json", BAD_REQUEST, "The request body is not valid JSON";
    InvalidParameter = "invalid-parameter", BAD_REQUEST, "A request parameter is invalid";
    Unauthorized = "unauthorized", UNAUTHORIZED, "A valid access token with a scope for this operation is required";
    Forbidden = "forbidden", FORBIDDEN, "The caller is not allowed to perform this operation";
    NotFound = "not-found", NOT_FOUND, "The resource does not exist";
    MethodNotAllowed = "method-not-allowed", METHOD_NOT_ALLOWED, "The resource does not support this method";
    NotAcceptable = "not-acceptable", NOT_ACCEPTABLE, "No representation matches the Accept header";
    Conflict = "conflict", CONFLICT, "Conflict with the current state of the resource";
    RequestInProgress = "request-in-progress", CONFLICT, "A request with this Idempotency-Key is in progress";
    EventsExpired = "events-expired", GONE, "The requested events are no longer retained";
    PreconditionFailed = "precondition-failed", PRECONDITION_FAILED, "The resource does not match the precondition";
    PayloadTooLarge = "payload-too-large", PAYLOAD_TOO_LARGE, "The request body is too large";
    UnsupportedMediaType = "unsupported-media-type", UNSUPPORTED_MEDIA_TYPE, "The media type of the request body is not supported";
    InvalidBody = "invalid-body", UNPROCESSABLE_ENTITY, "The request body is invalid";
    InvalidEvent = "invalid-event", UNPROCESSABLE_ENTITY, "The event is invalid";
    NoUsableSample = "no-usable-sample", UNPROCESSABLE_ENTITY, "The event has no usable sample";
    NoEventAccepted = "no-event-accepted", UNPROCESSABLE_ENTITY, "No event was accepted";
    IdempotencyKeyReused = "idempotency-key-reused", UNPROCESSABLE_ENTITY, "The Idempotency-Key was already used for a different request";
    ResponseTooLarge = "response-too-large", UNPROCESSABLE_ENTITY, "The response would be too large";
    PreconditionRequired = "precondition-required", PRECONDITION_REQUIRED, "The request requires an If-Match header";
    TooManyRequests = "too-many-requests", TOO_MANY_REQUESTS, "Too many requests";
    Internal = "internal-error", INTERNAL_SERVER_ERROR, "Internal server error";
    Throttled = "throttled", SERVICE_UNAVAILABLE, "Overloaded; the request was not processed";
    Unavailable = "unavailable", SERVICE_UNAVAILABLE, "The service is unavailable";
}

impl ProblemType {
    /// Returns the type URI.
    pub fn uri(self) -> String {
        format!("{TYPE_BASE}{}", self.id())
    }
}

/// An invalid part of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// A JSON pointer into the body, or `?name` for a query parameter.
    pub pointer: String,
    /// Why the part is invalid.
    pub detail: String,
}

/// A problem that a handler returns. Its fields are boxed because every handler's result type contains a `Problem`.
pub struct Problem(Box<Inner>);

struct Inner {
    kind: ProblemType,
    detail: Option<String>,
    instance: Option<String>,
    errors: Vec<FieldError>,
    members: Map<String, Value>,
    headers: Vec<(&'static str, String)>,
    cause: Option<Box<dyn Error + Send + Sync>>,
}

impl Problem {
    /// Creates a problem of the given type, with the headers that the type requires.
    pub fn new(kind: ProblemType) -> Self {
        let headers = match kind {
            ProblemType::Unauthorized => vec![("www-authenticate", "Bearer".to_owned())],
            ProblemType::Throttled | ProblemType::Unavailable | ProblemType::TooManyRequests => {
                vec![("retry-after", RETRY_AFTER_S.to_string())]
            }
            _ => Vec::new(),
        };
        Self(Box::new(Inner {
            kind,
            detail: None,
            instance: None,
            errors: Vec::new(),
            members: Map::new(),
            headers,
            cause: None,
        }))
    }

    /// Creates an internal error. The cause goes to the log only.
    pub fn internal(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(ProblemType::Internal).caused_by(cause)
    }

    /// Creates a `not-found` problem: the resource does not exist, or the caller may not see it.
    pub fn not_found() -> Self {
        Self::new(ProblemType::NotFound)
    }

    /// Creates a problem for a request that replaces a resource without `If-Match`.
    pub fn precondition_required() -> Self {
        Self::new(ProblemType::PreconditionRequired).with_detail("send If-Match with the ETag from the GET response")
    }

    /// Creates a problem for an invalid query parameter.
    pub fn invalid_parameter(name: &str, detail: impl Into<String>) -> Self {
        Self::new(ProblemType::InvalidParameter).with_parameter_error(name, detail)
    }

    /// Creates a problem for an invalid part of the body.
    pub fn invalid_body(pointer: impl Into<JsonPointer>, detail: impl Into<String>) -> Self {
        Self::new(ProblemType::InvalidBody).with_error(pointer, detail)
    }

    /// Sets `detail`, the explanation of this occurrence.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// Adds an invalid part of the body to `errors`.
    #[must_use]
    pub fn with_error(self, pointer: impl Into<JsonPointer>, detail: impl Into<String>) -> Self {
        let pointer = pointer.into().to_string();
        self.with_errors([FieldError { pointer, detail: detail.into() }])
    }

    /// Adds an invalid query parameter to `errors`.
    #[must_use]
    pub fn with_parameter_error(self, name: &str, detail: impl Into<String>) -> Self {
        self.with_errors([FieldError { pointer: format!("?{name}"), detail: detail.into() }])
    }

    /// Adds the errors of another problem to `errors`.
    #[must_use]
    pub fn with_errors(mut self, errors: impl IntoIterator<Item = FieldError>) -> Self {
        self.0.errors.extend(errors);
        self
    }

    /// Adds an extension member. It cannot replace a standard member.
    #[must_use]
    pub fn with_member(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.members.insert(name.to_owned(), value.into());
        self
    }

    /// Sets `instance`, the identifier of this occurrence, if it is not set yet.
    #[must_use]
    pub fn with_instance(mut self, instance: impl Into<String>) -> Self {
        self.0.instance.get_or_insert(instance.into());
        self
    }

    /// Sets `Retry-After`, in seconds.
    #[must_use]
    pub fn with_retry_after(self, seconds: u32) -> Self {
        self.with_header("retry-after", seconds.to_string())
    }

    /// Sets a response header.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: String) -> Self {
        self.0.headers.retain(|(other, _)| *other != name);
        self.0.headers.push((name, value));
        self
    }

    /// Sets the cause, for the log.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// Returns the problem type.
    pub fn kind(&self) -> ProblemType {
        self.0.kind
    }

    /// Returns the HTTP status.
    pub fn status(&self) -> StatusCode {
        self.0.kind.status()
    }

    /// Returns the invalid parts of the request.
    pub fn errors(&self) -> &[FieldError] {
        &self.0.errors
    }

    /// Returns the response headers.
    pub fn headers(&self) -> &[(&'static str, String)] {
        &self.0.headers
    }

    /// Returns the cause.
    pub fn cause(&self) -> Option<&(dyn Error + Send + Sync + 'static)> {
        self.0.cause.as_deref()
    }

    /// Returns the document as it is sent. For a status of 500 or above it omits `detail` and `errors`.
    pub fn to_document(&self) -> Value {
        let Inner { kind, detail, instance, errors, members, .. } = &*self.0;
        let mut document = members.clone();
        for standard in ["type", "title", "status", "detail", "instance", "errors"] {
            document.remove(standard);
        }
        document.insert("type".to_owned(), kind.uri().into());
        document.insert("title".to_owned(), kind.title().into());
        document.insert("status".to_owned(), kind.status().as_u16().into());
        if let Some(instance) = instance {
            document.insert("instance".to_owned(), instance.as_str().into());
        }
        if !kind.status().is_server_error() {
            if let Some(detail) = detail {
                document.insert("detail".to_owned(), detail.as_str().into());
            }
            if !errors.is_empty() {
                let list = errors.iter().map(|e| serde_json::json!({"pointer": e.pointer, "detail": e.detail}));
                document.insert("errors".to_owned(), list.collect());
            }
        }
        Value::Object(document)
    }
}

impl From<PortError> for Problem {
    /// Maps the kind of the error to a problem type. The error itself becomes the cause, for the log.
    fn from(error: PortError) -> Self {
        let kind = match error.kind() {
            PortErrorKind::Throttled => ProblemType::Throttled,
            PortErrorKind::Unavailable | PortErrorKind::TimedOut => ProblemType::Unavailable,
            PortErrorKind::Conflict => ProblemType::Conflict,
            PortErrorKind::Rejected | PortErrorKind::Internal => ProblemType::Internal,
        };
        Self::new(kind).caused_by(error)
    }
}

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Problem")
            .field("kind", &self.0.kind)
            .field("detail", &self.0.detail)
            .field("errors", &self.0.errors)
            .field("cause", &self.0.cause)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.kind.title())
    }
}

impl Error for Problem {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.cause.as_deref().map(|cause| cause as &(dyn Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::json;

    use super::*;

    #[test]
    fn document_has_the_members_of_rfc_9457() {
        let problem = Problem::invalid_body(["vin"], "is too short").with_detail("Correct it.").with_instance("urn:x");
        assert_eq!(
            problem.to_document(),
            json!({
                "type": "https://roadcast.dev/problems/invalid-body",
                "title": "The request body is invalid",
                "status": 422,
                "detail": "Correct it.",
                "instance": "urn:x",
                "errors": [{"pointer": "/vin", "detail": "is too short"}],
            })
        );
    }

    #[test]
    fn document_of_a_5xx_omits_its_cause() {
        let cause = PortError::new(PortErrorKind::Internal, "reading the table").caused_by("AccessDenied for role X");
        let problem = Problem::from(cause).with_detail("reading the table").with_error(["a"], "b");
        let document = problem.to_document();
        assert_eq!(document.as_object().map(Map::len), Some(3), "{document}");
        assert!(problem.source().and_then(Error::source).is_some(), "the log needs the entire chain");
    }

    #[test]
    fn every_port_error_kind_maps_to_a_status() {
        let response = |kind| {
            let problem = Problem::from(PortError::new(kind, "test"));
            (problem.status().as_u16(), problem.headers().iter().any(|(name, _)| *name == "retry-after"))
        };
        assert_eq!(response(PortErrorKind::Throttled), (503, true));
        assert_eq!(response(PortErrorKind::Unavailable), (503, true));
        assert_eq!(response(PortErrorKind::TimedOut), (503, true));
        assert_eq!(response(PortErrorKind::Conflict), (409, false));
        assert_eq!(response(PortErrorKind::Rejected), (500, false));
        assert_eq!(response(PortErrorKind::Internal), (500, false));
    }

    #[test]
    fn ids_are_unique_kebab_case_with_an_error_status() {
        let ids: HashSet<_> = ProblemType::ALL.iter().map(|kind| kind.id()).collect();
        assert_eq!(ids.len(), ProblemType::ALL.len());
        for kind in ProblemType::ALL {
            assert!(kind.id().bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{}", kind.id());
            assert!(kind.status().as_u16() >= 400);
        }
    }

    #[test]
    fn every_type_has_a_documentation_page() {
        for kind in ProblemType::ALL {
            let path = format!("{}/../../docs/problems/{}.md", env!("CARGO_MANIFEST_DIR"), kind.id());
            let page = std::fs::read_to_string(&path).unwrap_or_default();
            let has = |text: &str| page.contains(text);
            assert!(has(&format!("# {}", kind.id())) && has(kind.title()) && has(&kind.uri()), "{path}");
            assert!(has(&kind.status().as_u16().to_string()) && has("## What to do"), "{path}");
        }
    }

    #[test]
    fn extension_members_never_replace_standard_members() {
        let document = Problem::not_found().with_member("status", 200).with_member("results", json!([])).to_document();
        assert_eq!(document["status"], 404);
        assert_eq!(document["results"], json!([]));
    }

    #[test]
    fn every_type_in_openapi_is_defined() {
        let contract = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../openapi.yaml"));
        for rest in contract.split(TYPE_BASE).skip(1) {
            let id: String = rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect();
            let defined = id.is_empty() || ProblemType::ALL.iter().any(|kind| kind.id() == id);
            assert!(defined, "openapi.yaml names the undefined problem type {id}");
        }
    }
}
