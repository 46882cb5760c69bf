//! The body of an upload, in the content modes of CloudEvents: structured, batch and binary.

use std::borrow::Cow;

use roadcast_codec::cloudevents_http::{HEADER_PREFIX, from_binary_mode};
use roadcast_domain::cloudevent::{BATCH_MEDIA_TYPE, MEDIA_TYPE};
use roadcast_lambda_kit::http::Request;
use roadcast_lambda_kit::problem::{Problem, ProblemType};

use crate::refusal;

/// The events of an upload, in the JSON of structured or batch mode.
pub(crate) fn events(request: &Request) -> Result<Cow<'_, str>, Problem> {
    let said = request.header("content-type").unwrap_or_default().to_ascii_lowercase();
    if !said.starts_with("application/cloudevents") && request.headers_of(HEADER_PREFIX).next().is_some() {
        let content_type = Some(said.as_str()).filter(|said| !said.is_empty());
        let event = from_binary_mode(request.headers_of(HEADER_PREFIX), content_type, request.body());
        return event.map(Cow::Owned).map_err(|refused| refusal::of_refusal(&refused, ""));
    }
    request.expect_media_type(&[MEDIA_TYPE, BATCH_MEDIA_TYPE, "application/json"])?;
    let body = request.text()?;
    // The media type says one event or a batch; the body must agree.
    let disagrees =
        (said.starts_with(BATCH_MEDIA_TYPE) && !is_batch(body)) || (said.starts_with(MEDIA_TYPE) && is_batch(body));
    if disagrees && serde_json::from_str::<serde::de::IgnoredAny>(body).is_ok() {
        let detail = "the body is not what content-type says: one event is an object, a batch an array";
        return Err(Problem::new(ProblemType::BadRequest).with_error("", detail));
    }
    Ok(Cow::Borrowed(body))
}

pub(crate) fn is_batch(body: &str) -> bool {
    body.trim_start().starts_with('[')
}
