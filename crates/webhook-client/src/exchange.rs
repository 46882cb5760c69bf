//! One request and its response on a connection.

use std::error::Error as _;
use std::io;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use roadcast_domain::webhook::AttemptOutcome;
use roadcast_ports::webhooks::WebhookRequest;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use crate::failure::Failure;

/// Maximum headers of a response.
const MAX_HEADERS: usize = 64;
/// Maximum bytes of the head of a response, and of what is read from the connection at a time.
const MAX_BUFFER: usize = 16 * 1024;

/// An HTTP/1.1 connection. It is closed when it is dropped.
pub(crate) struct Connection {
    requests: http1::SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
}

/// What ended a response body.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum BodyEnd {
    /// It is complete, and the connection can be used again.
    Complete,
    /// As much was read as is read at most.
    Limit,
    /// The time of the attempt.
    Timeout,
    /// The receiver closed the connection, or what it sent is not HTTP.
    Failure(AttemptOutcome),
}

impl Connection {
    /// Starts HTTP on a stream.
    pub(crate) async fn start(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Result<Self, Failure> {
        let mut builder = http1::Builder::new();
        builder.max_headers(MAX_HEADERS).max_buf_size(MAX_BUFFER);
        let started = builder.handshake(TokioIo::new(stream)).await;
        let (requests, connection) = started.map_err(|error| failure(&error))?;
        // Its errors are also those of the request or of the body.
        let driver = tokio::spawn(async move { drop(connection.await) });
        Ok(Self { requests, driver })
    }

    /// Whether the receiver has closed the connection, as far as is known.
    pub(crate) fn is_closed(&self) -> bool {
        self.requests.is_closed()
    }

    /// Sends a request and returns the head of its response.
    pub(crate) async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Failure> {
        self.requests.ready().await.map_err(|error| failure(&error))?;
        self.requests.send_request(request).await.map_err(|error| failure(&error))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Reads a response body up to the limit or the deadline.
pub(crate) async fn read_body(mut body: Incoming, deadline: Instant) -> (Vec<u8>, BodyEnd) {
    let mut bytes = Vec::new();
    loop {
        let frame = match timeout_at(deadline, body.frame()).await {
            Err(_) => return (bytes, BodyEnd::Timeout),
            Ok(None) => return (bytes, BodyEnd::Complete),
            Ok(Some(Err(error))) => return (bytes, BodyEnd::Failure(failure(&error).outcome)),
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(data) = frame.into_data() else { continue };
        let remaining = WebhookRequest::MAX_RESPONSE_BYTES - bytes.len();
        if data.len() > remaining {
            bytes.extend_from_slice(&data[..remaining]);
            return (bytes, BodyEnd::Limit);
        }
        bytes.extend_from_slice(&data);
    }
}

/// Returns the failure of an error of HTTP.
fn failure(error: &hyper::Error) -> Failure {
    let is_invalid = error.is_parse() || is_invalid_chunk(error);
    let outcome = if is_invalid { AttemptOutcome::InvalidResponse } else { AttemptOutcome::ConnectionClosed };
    Failure::from_error(error, outcome)
}

/// Whether a body has an invalid chunk, which hyper reports as invalid input of an I/O operation.
fn is_invalid_chunk(error: &hyper::Error) -> bool {
    let io = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    io.is_some_and(|io| matches!(io.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData))
}
