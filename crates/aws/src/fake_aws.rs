//! A fake AWS for tests of how the adapters react to responses that a local endpoint does not give: partial failures,
//! cancelled transactions, failed uploads.
//!
//! It is an HTTP client, so that the SDK with the configuration of the functions serialises the requests, parses the
//! responses and retries. It replaces `aws-smithy-mocks` 0.3, which changes the features of a build with tests: all SDK
//! crates are compiled a second time (`test-util` of `aws-smithy-http-client`), `serde_json` has `preserve_order`, and there
//! are two versions of `http`.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::{Region, SdkConfig};
use aws_sdk_dynamodb::config::http::{HttpRequest, HttpResponse};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use aws_sdk_s3::primitives::SdkBody;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use serde_json::Value;

use crate::sdk::Sdk;

/// A fake AWS. Clones share the recorded requests.
#[derive(Clone)]
pub(crate) struct FakeAws {
    respond: Arc<Respond>,
    requests: Arc<Mutex<Vec<Request>>>,
}

/// The response to a request, given the number of the request, from 0.
type Respond = dyn Fn(usize, &Request) -> Response + Send + Sync;

/// A request that the SDK sent.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The operation of a JSON service, such as `PutRecords`; for S3 the method, path and query.
    pub(crate) operation: String,
    /// The header `content-type`.
    pub(crate) content_type: String,
    body: Vec<u8>,
}

impl Request {
    /// Returns the body, which must be JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// A response to a request.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    status: u16,
    body: Vec<u8>,
    delay: Duration,
}

impl Response {
    /// A successful response.
    pub(crate) fn ok(body: impl fmt::Display) -> Self {
        Self::error(200, body)
    }

    /// A response with this status.
    pub(crate) fn error(status: u16, body: impl fmt::Display) -> Self {
        Self { status, body: body.to_string().into_bytes(), delay: Duration::ZERO }
    }

    /// Arrives later than the responses to concurrent requests.
    pub(crate) fn late(self) -> Self {
        self.after(Duration::from_millis(20))
    }

    /// Arrives after this time.
    pub(crate) fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }
}

impl FakeAws {
    /// Responds with a function of the number of the request, from 0, and the request.
    pub(crate) fn new(respond: impl Fn(usize, &Request) -> Response + Send + Sync + 'static) -> Self {
        Self { respond: Arc::new(respond), requests: Arc::default() }
    }

    /// Responds to the first requests with these responses. Any further request panics.
    pub(crate) fn with_responses(responses: impl Into<Vec<Response>>) -> Self {
        let responses = responses.into();
        Self::new(move |number, request| match responses.get(number) {
            Some(response) => response.clone(),
            None => panic!("request {number} is not expected: {request:?}"),
        })
    }

    /// Returns the SDK, configured as for the functions, with this fake in place of the network.
    pub(crate) fn sdk(&self) -> Sdk {
        let connector = SharedHttpConnector::new(self.clone());
        let credentials = Credentials::new("test", "test", None, None, "fake");
        let config = SdkConfig::builder()
            .http_client(http_client_fn(move |_, _| connector.clone()))
            .region(Region::new("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials));
        Sdk::with_http_client(config.build())
    }

    /// Returns the requests, in order.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the bodies of the requests, in order.
    pub(crate) fn bodies(&self) -> Vec<Value> {
        self.requests().iter().map(Request::json).collect()
    }

    /// Returns the operations of the requests, in order.
    pub(crate) fn operations(&self) -> Vec<String> {
        self.requests().into_iter().map(|request| request.operation).collect()
    }
}

impl fmt::Debug for FakeAws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FakeAws")
    }
}

impl HttpConnector for FakeAws {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let header = |name| request.headers().get(name).map(str::to_owned);
        let target = header("x-amz-target").and_then(|target| target.rsplit('.').next().map(str::to_owned));
        let path = request.uri().splitn(4, '/').nth(3).unwrap_or_default();
        let request = Request {
            operation: target.unwrap_or_else(|| format!("{} /{path}", request.method())),
            content_type: header("content-type").unwrap_or_default(),
            body: request.body().bytes().unwrap_or_default().to_vec(),
        };
        let number = {
            let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
            requests.push(request.clone());
            requests.len() - 1
        };
        let response = (self.respond)(number, &request);
        HttpConnectorFuture::new(async move {
            tokio::time::sleep(response.delay).await;
            Ok(HttpResponse::new(response.status.try_into().unwrap(), SdkBody::from(response.body)))
        })
    }
}
