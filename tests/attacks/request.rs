//! Requests as API Gateway sends them to a function, and the answers.

use std::collections::BTreeMap;

use roadcast_lambda_kit::http::{Api, Invocation, Middleware, respond};
use roadcast_ports::port_set::PortSet;
use serde_json::{Map, Value, json};

/// The client and the scope of an access token.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) client_id: String,
    pub(crate) scope: &'static str,
}

impl Token {
    pub(crate) fn new(client_id: impl Into<String>, scope: &'static str) -> Self {
        Self { client_id: client_id.into(), scope }
    }

    /// The claims of the token, as the authorizer passes them.
    pub(crate) fn claims(&self) -> Value {
        json!({"client_id": self.client_id, "scope": self.scope})
    }
}

/// The answer to a request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The headers and the body.
    pub(crate) text: String,
    pub(crate) headers: BTreeMap<String, String>,
    body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("invalid JSON: {self:?}"))
    }

    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// A request to an operation of the contract.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    method: &'static str,
    resource: &'static str,
    path: Map<String, Value>,
    query: Map<String, Value>,
    headers: Map<String, Value>,
    body: String,
    claims: Option<Value>,
}

/// Creates a request without a token.
pub(crate) fn request(method: &'static str, resource: &'static str) -> Request {
    let (path, query, headers) = (Map::new(), Map::new(), Map::new());
    Request { method, resource, path, query, headers, body: String::new(), claims: None }
}

impl Request {
    pub(crate) fn by(mut self, token: &Token) -> Self {
        self.claims = Some(token.claims());
        self
    }

    pub(crate) fn path(mut self, name: &str, value: impl Into<String>) -> Self {
        self.path.insert(name.to_owned(), Value::String(value.into()));
        self
    }

    pub(crate) fn query(mut self, name: &str, value: impl Into<String>) -> Self {
        self.query.insert(name.to_owned(), Value::String(value.into()));
        self
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.insert(name.to_owned(), Value::String(value.into()));
        self
    }

    pub(crate) fn json(mut self, body: &Value) -> Self {
        self.body = body.to_string();
        self.header("content-type", "application/json")
    }

    /// Returns the event of API Gateway.
    pub(crate) fn event(&self) -> Value {
        let lists = |values: &Map<String, Value>| -> Map<String, Value> {
            values.iter().map(|(name, value)| (name.clone(), json!([value]))).collect()
        };
        let authorizer = self.claims.as_ref().map_or_else(|| json!({}), |claims| json!({ "claims": claims }));
        json!({
            "resource": self.resource, "httpMethod": self.method, "pathParameters": self.path,
            "headers": self.headers, "multiValueHeaders": lists(&self.headers),
            "queryStringParameters": self.query, "multiValueQueryStringParameters": lists(&self.query),
            "body": self.body, "isBase64Encoded": false,
            "requestContext": {"httpMethod": self.method, "resourcePath": self.resource, "authorizer": authorizer},
        })
    }
}

/// Whether the API has the operation of an event.
pub(crate) fn has_operation<A: Api>(event: &Value) -> bool {
    let (method, resource) = (&event["httpMethod"], &event["requestContext"]["resourcePath"]);
    A::OPERATIONS.iter().any(|operation| *method == operation.method && *resource == operation.resource)
}

/// Returns the answer of a function to an event.
pub(crate) async fn answer<A: Api, Ports: PortSet>(api: &A, middleware: &Middleware<Ports>, event: &Value) -> Answer {
    let invocation: Invocation = serde_json::from_str(&event.to_string()).unwrap();
    let response = respond(api, middleware, invocation, "test").await;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers: BTreeMap<String, String> =
        response.headers().iter().map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect();
    let body = text(response.body());
    Answer { status: response.status().as_u16(), text: format!("{headers:?}\n{body}"), headers, body }
}
