//! HTTP responses.

use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use roadcast_domain::trace::{TraceCandidates, TraceHop};
use roadcast_ports::requests::StoredResponse;
use serde::Serialize;
use serde_json::Value;

use super::Body;
use crate::problem::Problem;

/// An HTTP response.
pub type Response = http::Response<Body>;

/// Creates a JSON response.
pub fn json(status: StatusCode, body: &impl Serialize) -> Result<Response, Problem> {
    let body = serde_json::to_string(body).map_err(Problem::internal)?;
    Ok(with_body(status, "application/json", body))
}

/// Creates a JSON response with status 200.
pub fn ok(body: &impl Serialize) -> Result<Response, Problem> {
    json(StatusCode::OK, body)
}

/// Creates a response of another media type, with status 200.
pub fn text(media_type: &'static str, body: String) -> Response {
    with_body(StatusCode::OK, media_type, body)
}

/// Creates a response without a body, with status 204.
pub fn no_content() -> Response {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

fn with_body(status: StatusCode, media_type: &'static str, body: String) -> Response {
    let mut response = Response::new(Body::Text(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// Forbids caches to store a response that depends on the caller: what the caller may see can change at any time.
pub(super) fn forbid_caching(response: &mut Response) {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

/// The member of the body that must not be stored. It is an extension of the response.
#[derive(Copy, Clone)]
struct SecretMember(&'static str);

/// The events that the request passed on. It is an extension of the response.
#[derive(Clone)]
struct PassedEvents {
    hop: TraceHop,
    candidates: TraceCandidates,
}

/// Accessors and changes of a response.
pub trait ApiResponse: Sized {
    /// Sets a header. Fails with `internal-error` if the value contains control characters.
    fn with_header(self, name: HeaderName, value: impl AsRef<str>) -> Result<Self, Problem>;

    /// Marks a member of the body as secret: it is not stored with the response to a request with an `Idempotency-Key`.
    #[must_use]
    fn with_secret(self, member: &'static str) -> Self;

    /// States which events the request passed on. They are not part of what is sent.
    #[must_use]
    fn with_trace_candidates(self, hop: TraceHop, candidates: TraceCandidates) -> Self;

    /// Returns the events that the request passed on.
    fn trace_candidates(&self) -> Option<(TraceHop, &TraceCandidates)>;

    /// Returns a header by its lower-case name.
    fn header(&self, name: &str) -> Option<&str>;

    /// Replaces the body with JSON.
    fn set_json(&mut self, body: &Value);
}

impl ApiResponse for Response {
    fn with_header(mut self, name: HeaderName, value: impl AsRef<str>) -> Result<Self, Problem> {
        let value = HeaderValue::from_str(value.as_ref()).map_err(Problem::internal)?;
        self.headers_mut().insert(name, value);
        Ok(self)
    }

    fn with_secret(mut self, member: &'static str) -> Self {
        self.extensions_mut().insert(SecretMember(member));
        self
    }

    fn with_trace_candidates(mut self, hop: TraceHop, candidates: TraceCandidates) -> Self {
        self.extensions_mut().insert(PassedEvents { hop, candidates });
        self
    }

    fn trace_candidates(&self) -> Option<(TraceHop, &TraceCandidates)> {
        self.extensions().get().map(|PassedEvents { hop, candidates }| (*hop, candidates))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers().get(name).and_then(to_text)
    }

    fn set_json(&mut self, body: &Value) {
        *self.body_mut() = Body::Text(body.to_string());
    }
}

/// Returns the response for the idempotency store, without its secret.
pub(super) fn to_stored(response: &Response) -> StoredResponse {
    let mut body = String::from_utf8_lossy(response.body()).into_owned();
    if let Some(SecretMember(secret)) = response.extensions().get()
        && let Ok(Value::Object(mut members)) = serde_json::from_str(&body)
    {
        members.remove(*secret);
        body = Value::Object(members).to_string();
    }
    let headers = response.headers().iter().filter_map(|(name, value)| Some((name.to_string(), to_text(value)?.to_owned())));
    StoredResponse { status: response.status().as_u16(), headers: headers.collect(), body }
}

/// Creates a response from the idempotency store.
pub(super) fn from_stored(stored: StoredResponse) -> Result<Response, Problem> {
    let mut response = Response::new(Body::Text(stored.body));
    *response.status_mut() = StatusCode::from_u16(stored.status).map_err(Problem::internal)?;
    for (name, value) in stored.headers {
        response = response.with_header(HeaderName::try_from(name).map_err(Problem::internal)?, value)?;
    }
    Ok(response)
}

/// Returns the text of a header. Unlike [`HeaderValue::to_str`], it accepts UTF-8.
pub(super) fn to_text(value: &HeaderValue) -> Option<&str> {
    std::str::from_utf8(value.as_bytes()).ok()
}

impl From<&Problem> for Response {
    fn from(problem: &Problem) -> Self {
        let mut response = with_body(problem.status(), "application/problem+json", problem.to_document().to_string());
        forbid_caching(&mut response);
        for (name, value) in problem.headers() {
            if let Ok(value) = HeaderValue::from_str(value) {
                response.headers_mut().insert(*name, value);
            }
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use http::header::LOCATION;

    use super::*;

    #[test]
    fn stored_response_is_restored_without_its_secret() {
        let body = serde_json::json!({"clientId": "c", "clientSecret": "s"});
        let response = json(StatusCode::CREATED, &body).unwrap().with_header(LOCATION, "clients/c").unwrap();
        let stored = to_stored(&response.with_secret("clientSecret"));
        assert!(!stored.body.contains("clientSecret"), "{}", stored.body);
        let restored = from_stored(stored).unwrap();
        assert_eq!((restored.status(), restored.header("location")), (StatusCode::CREATED, Some("clients/c")));
        assert_eq!(&restored.body()[..], br#"{"clientId":"c"}"#);
    }

    #[test]
    fn header_with_control_characters_is_an_internal_error() {
        let problem = no_content().with_header(LOCATION, "a\nb").unwrap_err();
        assert_eq!(problem.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
}
