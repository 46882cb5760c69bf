//! Requests for tests, read from the text of an event like those of API Gateway.

use serde_json::Value;

use super::{Invocation, Request};

/// Returns the invocation with an event.
pub(crate) fn invocation(event: &Value) -> Invocation {
    // The payload borrows the text, so that a `Value` cannot be deserialized directly.
    serde_json::from_str(&event.to_string()).unwrap()
}

/// Returns the request of an event. `requestContext` is completed from `resource` and `httpMethod`.
pub(crate) fn request(event: Value) -> Request {
    invocation(&complete(event)).into_request().unwrap()
}

/// Adds the path template and the method to `requestContext`, where they are required.
pub(crate) fn complete(mut event: Value) -> Value {
    for (member, source) in [("resourcePath", "resource"), ("httpMethod", "httpMethod")] {
        if event["requestContext"].get(member).is_none() {
            event["requestContext"][member] = event.get(source).cloned().unwrap_or_default();
        }
    }
    event
}
