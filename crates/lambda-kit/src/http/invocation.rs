//! The payload of an invocation and its response, in the format of API Gateway.

use std::panic::{AssertUnwindSafe, catch_unwind};

use http::header::HOST;
use lambda_http::aws_lambda_events::apigw::{ApiGatewayProxyRequest, ApiGatewayProxyResponse};
use lambda_http::request::LambdaRequest;
use roadcast_domain::trace::TraceContext;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::{ApiRequest as _, Body, Request, Response};
use crate::deadline::Deadline;
use crate::problem::Problem;

/// A request of a REST API (Lambda proxy integration, payload format 1.0), or the reason why the event is not one.
///
/// The conversion of `lambda_http` panics on some events. In its own adapter, that ends the invocation before any handler
/// runs, and API Gateway responds 502. This type deserializes from every JSON value, so the caller gets a problem document.
pub struct Invocation(Result<Request, ConversionError>);

/// Why an event is not a request.
#[derive(Debug, thiserror::Error)]
pub enum ConversionError {
    /// The event has another structure.
    #[error("the event is not a request of API Gateway")]
    Event(#[source] serde_json::Error),
    /// The conversion panicked; the panic has a log line of its own.
    #[error("the conversion of the event to a request panicked")]
    Panicked,
}

impl Invocation {
    /// Sets the deadline of the request; see [`ApiRequest::deadline`](super::ApiRequest::deadline).
    #[must_use]
    pub fn with_deadline(mut self, deadline: Deadline) -> Self {
        if let Ok(request) = &mut self.0 {
            request.extensions_mut().insert(deadline);
        }
        self
    }

    /// Returns the trace of the caller, from a valid header `traceparent`. Callers set it as they like: it identifies nothing.
    pub fn trace_of_caller(&self) -> Option<TraceContext> {
        self.0.as_ref().ok()?.header(TraceContext::HEADER)?.parse().ok()
    }

    /// Returns the request. Fails with `internal-error` if the event is not one: API Gateway creates the events, so the
    /// caller cannot correct them.
    pub fn into_request(self) -> Result<Request, Problem> {
        self.0.map_err(Problem::internal)
    }
}

impl<'de> Deserialize<'de> for Invocation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let event = <&RawValue>::deserialize(deserializer)?;
        let converted = catch_unwind(AssertUnwindSafe(|| to_request(event.get())));
        Ok(Self(converted.unwrap_or(Err(ConversionError::Panicked))))
    }
}

fn to_request(event: &str) -> Result<Request, ConversionError> {
    let mut event: ApiGatewayProxyRequest = serde_json::from_str(event).map_err(ConversionError::Event)?;
    // From these two, the conversion builds the URI, which is not used here, and panics on values such as the
    // `X-Forwarded-Proto: https, http` of two proxies. API Gateway sends every header in `multiValueHeaders` as well, so
    // both remain readable.
    event.headers.remove(HOST);
    event.headers.remove("x-forwarded-proto");
    Ok(LambdaRequest::ApiGatewayV1(event).into())
}

/// A response in the format of API Gateway: text as it is, binary bodies in base64.
pub struct ProxyResponse(pub Response);

impl Serialize for ProxyResponse {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut proxy = ApiGatewayProxyResponse::default();
        proxy.status_code = self.0.status().as_u16().into();
        proxy.multi_value_headers = self.0.headers().clone();
        proxy.is_base64_encoded = matches!(self.0.body(), Body::Binary(_));
        // The local stack fails on a body of null, so the member of an empty body is absent.
        proxy.body = Some(self.0.body().clone()).filter(|body| !matches!(body, Body::Empty));
        proxy.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use lambda_http::RequestExt as _;
    use serde_json::{Value, json};

    use super::*;
    use crate::http::response;
    use crate::http::testing::{invocation, request};

    #[test]
    fn route_comes_from_the_request_context() {
        let context = json!({"resourcePath": "/vehicles/{vid}", "httpMethod": "GET"});
        let request = request(json!({"resource": "/other", "httpMethod": "GET", "requestContext": context}));
        assert_eq!(request.resource(), "/vehicles/{vid}");
        let without = invocation(&json!({"httpMethod": "GET", "requestContext": {"httpMethod": "GET"}}));
        assert_eq!(without.into_request().unwrap().resource(), "");
    }

    #[test]
    fn parameters_are_not_decoded_again() {
        let request = request(json!({"resource": "/x", "httpMethod": "GET", "pathParameters": {"vid": "a%41+b"},
            "queryStringParameters": {"q": "a%41+b"}}));
        assert_eq!(request.path_parameter::<String>("vid").unwrap(), "a%41+b");
        assert_eq!(request.query_parameter("q"), Some("a%41+b"));
    }

    #[test]
    fn header_values_are_utf_8() {
        let request = request(json!({"resource": "/x", "httpMethod": "GET", "headers": {"ce-Source": "/fähre/\u{1F697}"}}));
        assert_eq!(request.header("ce-source"), Some("/fähre/\u{1F697}"));
        assert_eq!(request.headers_with_prefix("ce-").collect::<Vec<_>>(), [("source", "/fähre/\u{1F697}")]);
    }

    #[test]
    fn body_is_text_or_decoded_base64() {
        let body = |body: Value, is_base64: Value| {
            let event = json!({"resource": "/x", "httpMethod": "POST", "body": body, "isBase64Encoded": is_base64});
            request(event).into_body()
        };
        assert_eq!(body(json!("/wA="), json!(true)), Body::Binary(vec![255, 0]));
        assert_eq!(body(json!("/wA="), json!(false)), Body::Text("/wA=".into()));
        assert_eq!(body(Value::Null, Value::Null), Body::Empty);
    }

    #[test]
    fn every_json_value_is_an_invocation() {
        let valid = json!({"httpMethod": "GET", "requestContext": {"resourcePath": "/x", "httpMethod": "GET"}});
        let with = |name: &str, value: Value| {
            let mut event = valid.clone();
            event[name] = value;
            event
        };
        assert!(invocation(&valid).into_request().is_ok());
        let mut bad_base64 = with("body", json!("!"));
        bad_base64["isBase64Encoded"] = json!(true);
        let context = with("requestContext", json!({"resourcePath": "/x"}));
        let control = with("headers", json!({"x": "a\u{1}"}));
        // `HeaderMap` holds 32,768 names.
        let many: serde_json::Map<String, Value> = (0..40_000).map(|number| (format!("x-{number}"), json!("v"))).collect();
        for event in [bad_base64, context, control, with("headers", many.into()), json!({}), json!(3)] {
            let problem = invocation(&event).into_request().unwrap_err();
            assert_eq!(problem.status().as_u16(), 500);
        }
    }

    #[test]
    fn host_and_forwarded_proto_cannot_break_the_uri() {
        for (name, value) in [("Host", "a b"), ("X-Forwarded-Proto", "https, http"), ("X-Forwarded-Proto", "")] {
            let request = request(json!({"resource": "/x", "httpMethod": "GET", "headers": {name: value},
                "multiValueHeaders": {name: [value]}}));
            assert_eq!(request.header(&name.to_ascii_lowercase()), Some(value));
        }
    }

    #[test]
    fn response_has_a_body_only_if_it_is_not_empty() {
        let proxy = |response| serde_json::to_value(ProxyResponse(response)).unwrap();
        let text = proxy(response::text("text/csv", "ä".to_owned()));
        assert_eq!(
            (&text["body"], &text["isBase64Encoded"], &text["statusCode"]),
            (&json!("ä"), &json!(false), &json!(200))
        );
        assert_eq!(text["multiValueHeaders"], json!({"content-type": ["text/csv"]}));
        let empty = proxy(response::no_content());
        assert_eq!((empty.get("body"), &empty["isBase64Encoded"], &empty["statusCode"]), (None, &json!(false), &json!(204)));
    }

    #[test]
    fn requests_of_api_gateway_are_converted() {
        let members = |map: Option<&lambda_http::aws_lambda_events::query_map::QueryMap>| -> Value {
            let pairs = map.into_iter().flat_map(|map| map.iter());
            pairs.map(|(name, value)| (name.to_owned(), json!(value))).collect::<serde_json::Map<_, _>>().into()
        };
        for line in include_str!("invocation/requests.ndjson").lines() {
            let example: Value = serde_json::from_str(line).unwrap();
            let case = &example["case"];
            let request = invocation(&example["request"]).into_request().unwrap();
            assert_eq!(request.method().as_str(), example["method"], "{case}");
            assert_eq!(request.resource(), example["request"]["resource"], "{case}");
            assert_eq!(members(request.path_parameters_ref()), example["expectedPath"], "{case}");
            assert_eq!(members(request.query_string_parameters_ref()), example["expectedQuery"], "{case}");
            assert_eq!(json!(request.claims().map(|claims| claims.scopes.len())), example["scopes"], "{case}");
            assert_eq!(&request.body()[..], example["body"].as_str().unwrap().as_bytes(), "{case}");
        }
    }
}
