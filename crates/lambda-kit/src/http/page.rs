//! Pages of lists: where one starts, and how it leads to the next.

use std::fmt::Write as _;

use roadcast_domain::caller::Caller;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Request, Response};
use crate::cursor::Cursors;
use crate::problem::Problem;

/// The page of a list that a request asks for.
pub struct Page<'a> {
    request: &'a Request,
    caller: &'a Caller,
    cursors: Cursors,
}

impl<'a> Page<'a> {
    /// The page that `caller` asks for.
    pub fn of(request: &'a Request, caller: &'a Caller) -> Self {
        Self { request, caller, cursors: Cursors::unkeyed() }
    }

    /// Where it starts, if it is not the first.
    pub fn start<P: DeserializeOwned>(&self) -> Result<Option<P>, Problem> {
        let cursor = self.request.query::<String>("cursor", "a cursor")?;
        cursor.map(|text| self.cursors.read(self.caller, &self.request.list(), &text)).transpose()
    }

    /// The answer: `body`, with the cursor of the next page and the link to it (RFC 8288) where there may be one.
    pub fn answer(&self, mut body: Value, next: Option<&impl Serialize>) -> Result<Response, Problem> {
        let Some(next) = next else { return Response::ok(&body) };
        let (cursor, link) = self.next(next)?;
        body["next"] = cursor.into();
        Ok(Response::ok(&body)?.with_header("link", link))
    }

    /// A text answer, with the link to the next page where there may be one.
    pub fn answer_text(
        &self,
        media_type: &'static str,
        body: String,
        next: Option<&impl Serialize>,
    ) -> Result<Response, Problem> {
        let response = Response::text(media_type, body);
        let Some(next) = next else { return Ok(response) };
        Ok(response.with_header("link", self.next(next)?.1))
    }

    /// The cursor of the next page, and the link to it.
    fn next(&self, next: &impl Serialize) -> Result<(String, String), Problem> {
        let cursor = self.cursors.write(self.caller, &self.request.list(), next)?;
        let mut link = String::from("<?");
        for (name, value) in self.request.query_but("cursor") {
            let _ = write!(link, "{name}={}&", percent_encoded(value));
        }
        let _ = write!(link, "cursor={cursor}>; rel=\"next\"");
        Ok((cursor, link))
    }
}

/// Everything but RFC 3986's unreserved characters, encoded.
fn percent_encoded(text: &str) -> String {
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
    use roadcast_domain::ids::FleetId;
    use serde_json::json;

    use super::*;
    use crate::http::ProxyRequest;

    #[test]
    fn a_page_leads_to_the_next_with_the_same_query() {
        let request = |query: Value| -> Request {
            let proxy = json!({"resource": "/vehicles", "httpMethod": "GET", "queryStringParameters": query});
            serde_json::from_value::<ProxyRequest>(proxy).unwrap().try_into().unwrap()
        };
        let caller = Caller::Fleet(FleetId::from_random(1));
        let first = request(json!({"limit": "5", "from": "2020-01-01T00:00:00+01:00"}));
        let answer = Page::of(&first, &caller).answer(json!({"items": []}), Some(&"veh_x")).unwrap();
        let cursor = serde_json::from_str::<Value>(answer.body()).unwrap()["next"].as_str().unwrap().to_owned();
        let link = answer.header("link").unwrap();
        assert_eq!(link, format!("<?from=2020-01-01T00%3A00%3A00%2B01%3A00&limit=5&cursor={cursor}>; rel=\"next\""));

        let second = request(json!({"limit": "5", "from": "2020-01-01T00:00:00+01:00", "cursor": cursor}));
        assert_eq!(Page::of(&second, &caller).start::<String>().unwrap().as_deref(), Some("veh_x"));
        let other = request(json!({"limit": "6", "from": "2020-01-01T00:00:00+01:00", "cursor": cursor}));
        assert!(Page::of(&other, &caller).start::<String>().is_err(), "another query");
    }
}
