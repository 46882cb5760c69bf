//! Pagination: the start of the requested page, and the link to the next one.

use std::fmt::Write as _;

use http::header::LINK;
use roadcast_domain::caller::CallerId;
use roadcast_services::authz::Proof;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{ApiRequest as _, ApiResponse as _, Request, Response, response};
use crate::cursor::Cursors;
use crate::problem::Problem;

/// The page that a request asks for.
pub struct Page<'a> {
    request: &'a Request,
    caller: CallerId,
    cursor: Option<String>,
    cursors: Cursors,
}

impl<'a> Page<'a> {
    /// Creates the page that `caller` requests with the query parameter `cursor`.
    pub fn new(request: &'a Request, caller: &impl Proof, cursor: Option<String>) -> Self {
        Self { request, caller: caller.caller_id(), cursor, cursors: Cursors::unkeyed() }
    }

    /// Returns the position at which the page starts, or `None` for the first page. Fails with `invalid-parameter` if the
    /// cursor is invalid.
    pub fn start<P: DeserializeOwned>(&self) -> Result<Option<P>, Problem> {
        let cursor = self.cursor.as_deref();
        cursor.map(|text| self.cursors.decode(&self.caller, &self.request.resource_and_query(), text)).transpose()
    }

    /// Returns a JSON response: `body`, with the cursor of the next page and a link to it (RFC 8288) if `next` is given.
    pub fn json_response(&self, mut body: Value, next: Option<&impl Serialize>) -> Result<Response, Problem> {
        let Some(next) = next else { return response::ok(&body) };
        let (cursor, link) = self.next_link(next)?;
        body["next"] = cursor.into();
        response::ok(&body)?.with_header(LINK, link)
    }

    /// Returns a text response, with a link to the next page if `next` is given.
    pub fn text_response(
        &self,
        media_type: &'static str,
        body: String,
        next: Option<&impl Serialize>,
    ) -> Result<Response, Problem> {
        let response = response::text(media_type, body);
        let Some(next) = next else { return Ok(response) };
        response.with_header(LINK, self.next_link(next)?.1)
    }

    /// Returns the cursor of the next page and the link to it.
    fn next_link(&self, next: &impl Serialize) -> Result<(String, String), Problem> {
        let cursor = self.cursors.encode(&self.caller, &self.request.resource_and_query(), next)?;
        let mut link = String::from("<?");
        for (name, value) in self.request.query_without("cursor") {
            let _ = write!(link, "{name}={}&", percent_encode(value));
        }
        let _ = write!(link, "cursor={cursor}>; rel=\"next\"");
        Ok((cursor, link))
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
    use serde_json::json;

    use super::*;
    use crate::http::testing;

    #[test]
    fn next_link_repeats_the_query_and_starts_after_the_page() {
        let request = |query: Value| -> Request {
            testing::request(json!({"resource": "/vehicles", "httpMethod": "GET", "queryStringParameters": query}))
        };
        let caller = FleetOwner::prove(&Caller::Fleet(FleetId::from_random_bits(1))).unwrap();
        let page = |request| Page::new(request, &caller, Request::query_parameter(request, "cursor").map(str::to_owned));
        let first = request(json!({"limit": "5", "from": "2020-01-01T00:00:00+01:00"}));
        let response = page(&first).json_response(json!({"items": []}), Some(&"veh_x")).unwrap();
        let cursor = serde_json::from_slice::<Value>(response.body()).unwrap()["next"].as_str().unwrap().to_owned();
        let link = response.header("link").unwrap();
        assert_eq!(link, format!("<?from=2020-01-01T00%3A00%3A00%2B01%3A00&limit=5&cursor={cursor}>; rel=\"next\""));

        let second = request(json!({"limit": "5", "from": "2020-01-01T00:00:00+01:00", "cursor": cursor}));
        assert_eq!(page(&second).start::<String>().unwrap().as_deref(), Some("veh_x"));
        let other = request(json!({"limit": "6", "from": "2020-01-01T00:00:00+01:00", "cursor": cursor}));
        assert!(page(&other).start::<String>().is_err(), "another query");
    }
}
