//! Requests without an operation: an unknown path, and another method of a known path.

use serde_json::Value;

use crate::shared::Shared;
use crate::stack::{Response, Stack};

fn problem_type(response: &Response) -> String {
    assert_eq!(response.header("content-type"), Some("application/problem+json"), "{}", response.body);
    let problem: Value = serde_json::from_str(&response.body).expect("a problem document");
    problem["type"].as_str().expect("a type").trim_start_matches("https://roadcast.dev/problems/").to_owned()
}

fn send(stack: &Stack, method: &str, path: &str, token: Option<&str>) -> Response {
    stack.call(method, path, token, &[], "")
}

pub(crate) fn unknown_path_is_404_and_wrong_method_is_405(shared: &Shared) {
    let stack = shared.stack();
    let ingest = stack.ingest_client("urn:unmatched");
    for token in [stack.admin(), ingest.as_str()] {
        for path in ["/", "/unknown", "/vehicles/a/b/c", "/unknown?limit=1"] {
            let response = send(stack, "GET", path, Some(token));
            assert_eq!((response.status, problem_type(&response).as_str()), (404, "not-found"), "{path}");
        }
        for (method, path, allow) in [
            ("DELETE", "/vehicles", "GET, POST"),
            ("PATCH", "/vehicles/veh_0000000000000000", "GET, PUT, DELETE"),
            ("GET", "/fleets/flt_0000000000000000/feed", "POST"),
            ("POST", "/health", "GET"),
            ("OPTIONS", "/packages/alerts", "GET, PUT"),
        ] {
            let response = send(stack, method, path, Some(token));
            assert_eq!((response.status, response.header("allow")), (405, Some(allow)), "{method} {path}");
            assert_eq!(problem_type(&response), "method-not-allowed", "{method} {path}");
        }
        let head = send(stack, "HEAD", "/vehicles", Some(token));
        assert_eq!((head.status, head.header("allow")), (405, Some("GET, POST")), "HEAD is not supported");
    }
    for (method, path) in [("GET", "/"), ("GET", "/unknown"), ("DELETE", "/vehicles"), ("POST", "/health")] {
        for token in [None, Some("no token")] {
            let response = send(stack, method, path, token);
            assert_eq!((response.status, problem_type(&response).as_str()), (401, "unauthorized"), "{method} {path}");
        }
    }
}
