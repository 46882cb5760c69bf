//! The body of an upload in one of the content modes of CloudEvents: structured, batched or binary.

use std::borrow::Cow;

use roadcast_codec::cloudevents_http::{HEADER_PREFIX, from_binary_mode};
use roadcast_domain::cloudevent::{BATCH_MEDIA_TYPE, MEDIA_TYPE};
use roadcast_domain::json_pointer::JsonPointer;
use roadcast_lambda_kit::http::{ApiRequest as _, Request};
use roadcast_lambda_kit::problem::{Problem, ProblemType};

use crate::ingest_problem;

/// Returns the events of an upload as JSON in structured or batched mode.
pub(crate) fn events_json(request: &Request) -> Result<Cow<'_, str>, Problem> {
    let content_type = request.header("content-type").unwrap_or_default().to_ascii_lowercase();
    if !content_type.starts_with("application/cloudevents") && request.headers_with_prefix(HEADER_PREFIX).next().is_some() {
        let content_type = Some(content_type.as_str()).filter(|content_type| !content_type.is_empty());
        let event = from_binary_mode(request.headers_with_prefix(HEADER_PREFIX), content_type, request.body());
        return event.map(Cow::Owned).map_err(|refusal| ingest_problem::refusal_problem(&refusal, &JsonPointer::ROOT));
    }
    request.expect_media_type(&[MEDIA_TYPE, BATCH_MEDIA_TYPE, "application/json"])?;
    let body = request.text()?;
    // The media type defines whether the body is one event or a batch.
    let mismatch = if content_type.starts_with(BATCH_MEDIA_TYPE) {
        !is_batch(body)
    } else {
        content_type.starts_with(MEDIA_TYPE) && is_batch(body)
    };
    if mismatch && serde_json::from_str::<serde::de::IgnoredAny>(body).is_ok() {
        let detail = "the body does not match Content-Type: one event is a JSON object, a batch is a JSON array";
        return Err(Problem::new(ProblemType::BadRequest).with_error(JsonPointer::ROOT, detail));
    }
    Ok(Cow::Borrowed(body))
}

/// Returns whether the body is a JSON array.
pub(crate) fn is_batch(body: &str) -> bool {
    body.trim_start().starts_with('[')
}
