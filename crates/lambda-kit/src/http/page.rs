//! Pagination: the start of the requested page, and the link to the next one.

use std::fmt::Write as _;

use http::header::LINK;
use roadcast_domain::caller::CallerId;
use roadcast_services::authz::Proof;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{ApiRequest as _, ApiResponse as _, Request, Response, response};
use crate::cursor::{Cursors, PositionSize};
use crate::problem::Problem;

/// The body of a page that is not the last one.
#[derive(Serialize)]
struct PageBody<Body> {
    #[serde(flatten)]
    body: Body,
    next: String,
}

/// The page that a request asks for.
pub struct Page<'a> {
    request: &'a Request,
    caller: CallerId,
    cursor: Option<String>,
    size: PositionSize,
}

impl<'a> Page<'a> {
    /// Creates the page that `caller` requests with the query parameter `cursor`.
    pub fn new(request: &'a Request, caller: &impl Proof, cursor: Option<String>) -> Self {
        Self { request, caller: caller.caller_id(), cursor, size: PositionSize::Small }
    }

    /// Makes the cursors as long as those of the largest positions. Needed for positions whose length must stay hidden.
    #[must_use]
    pub fn with_large_positions(self) -> Self {
        Self { size: PositionSize::Large, ..self }
    }

    /// Returns the position at which the page starts, or `None` for the first page. Fails with `invalid-parameter` if the
    /// cursor is invalid.
    pub async fn start<P: DeserializeOwned>(&self) -> Result<Option<P>, Problem> {
        let Some(cursor) = &self.cursor else { return Ok(None) };
        let query = self.request.resource_and_query();
        self.cursors()?.decode(&self.caller, &query, cursor).await.map(Some)
    }

    /// Returns a JSON response: `body`, with the cursor of the next page and a link to it (RFC 8288) if `next` is given.
    pub async fn json_response(&self, body: impl Serialize, next: Option<&impl Serialize>) -> Result<Response, Problem> {
        let Some(next) = next else { return response::ok(&body) };
        let (next, link) = self.next_link(next).await?;
        response::ok(&PageBody { body, next })?.with_header(LINK, link)
    }

    /// Returns a text response, with a link to the next page if `next` is given.
    pub async fn text_response(
        &self,
        media_type: &'static str,
        body: String,
        next: Option<&impl Serialize>,
    ) -> Result<Response, Problem> {
        let response = response::text(media_type, body);
        let Some(next) = next else { return Ok(response) };
        response.with_header(LINK, self.next_link(next).await?.1)
    }

    /// Returns the cursor of the next page and the link to it.
    async fn next_link(&self, next: &impl Serialize) -> Result<(String, String), Problem> {
        let query = self.request.resource_and_query();
        let cursor = self.cursors()?.encode(&self.caller, &query, next, self.size).await?;
        let mut link = String::from("<?");
        for (name, value) in self.request.query_without("cursor") {
            let _ = write!(link, "{name}={}&", percent_encode(value));
        }
        let _ = write!(link, "cursor={cursor}>; rel=\"next\"");
        Ok((cursor, link))
    }

    /// Returns the cursors of the function, which the middleware adds to each request.
    fn cursors(&self) -> Result<&Cursors, Problem> {
        let cursors = self.request.extensions().get();
        cursors.ok_or_else(|| Problem::internal("the request has no cursors; send it through the middleware"))
    }
}

/// Percent-encodes all characters except the unreserved ones (RFC 3986).
fn percent_encode(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use roadcast_domain::caller::Caller;
    use roadcast_domain::ids::FleetId;
    use roadcast_services::authz::FleetOwner;
    use roadcast_testbed::Memory;
    use serde_json::{Value, json};

    use super::*;
    use crate::http::testing;

    #[tokio::test]
    async fn next_link_repeats_the_query_and_starts_after_the_page() {
        let cursors = Cursors::new(Memory::default());
        let request = |query: Value| -> Request {
            let event = json!({"resource": "/vehicles", "httpMethod": "GET", "queryStringParameters": query});
            let mut request = testing::request(event);
            request.extensions_mut().insert(cursors.clone());
            request
        };
        let caller = FleetOwner::prove(&Caller::Fleet(FleetId::from_random_bits(1))).unwrap();
        let page = |request| Page::new(request, &caller, Request::query_parameter(request, "cursor").map(str::to_owned));
        let first = request(json!({"limit": "5", "from": "2020-01-01T00:00:00+01:00"}));
        let response = page(&first).json_response(json!({"items": []}), Some(&"veh_x")).await.unwrap();
        let cursor = serde_json::from_slice::<Value>(response.body()).unwrap()["next"].as_str().unwrap().to_owned();
        let link = response.header("link").unwrap();
        assert_eq!(link, format!("<?from=2020-01-01T00%3A00%3A00%2B01%3A00&limit=5&cursor={cursor}>; rel=\"next\""));

        let second = request(json!({"limit": "5", "from": "2020-01-01T00:00:00+01:00", "cursor": cursor}));
        assert_eq!(page(&second).start::<String>().await.unwrap().as_deref(), Some("veh_x"));
        let other = request(json!({"limit": "6", "from": "2020-01-01T00:00:00+01:00", "cursor": cursor}));
        assert!(page(&other).start::<String>().await.is_err(), "another query");
    }
}
