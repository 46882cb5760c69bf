//! Requests that were received.

use std::io;

use roadcast_domain::webhook::signature::{ID_HEADER, ReceivedHeaders, SIGNATURE_HEADER, TIMESTAMP_HEADER};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Maximum bytes of the head of a request.
const MAX_HEAD_BYTES: usize = 32 * 1024;
/// Maximum headers of a request.
const MAX_HEADERS: usize = 100;
/// Maximum bytes of a body: four times that of a webhook.
const MAX_BODY_BYTES: usize = 1024 * 1024;

/// A request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReceivedRequest {
    /// The method, such as `POST`.
    pub method: String,
    /// The path and the query.
    pub path: String,
    /// The headers in their order. Names are in lower case; bytes of values that are no UTF-8 are replaced.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// Why a request cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The connection failed, or ended within a request.
    #[error("the connection failed")]
    Connection(#[from] io::Error),
    /// The bytes are not a request of HTTP/1.1.
    #[error("not a request of HTTP/1.1")]
    NotHttp,
    /// The head or the body is too large.
    #[error("the request is too large")]
    TooLarge,
    /// The length of the body is not stated.
    #[error("the request has no header content-length")]
    NoLength,
}

impl RequestError {
    /// Returns the status that reports the error to the sender; `None` if the connection failed.
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Connection(_) => None,
            Self::NotHttp => Some(400),
            Self::TooLarge => Some(413),
            Self::NoLength => Some(411),
        }
    }
}

impl ReceivedRequest {
    /// Returns the first value of a header. `name` is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    /// Returns the headers that sign the request.
    pub fn signature_headers(&self) -> ReceivedHeaders<'_> {
        ReceivedHeaders {
            id: self.header(ID_HEADER),
            timestamp: self.header(TIMESTAMP_HEADER),
            signature: self.header(SIGNATURE_HEADER),
        }
    }
}

/// Reads the requests of a connection, one after the other.
#[derive(Debug, Default)]
pub struct RequestReader {
    /// Bytes that were received and not used yet.
    buffer: Vec<u8>,
}

impl RequestReader {
    /// Reads the next request; `None` if the sender closed the connection.
    pub async fn read(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<ReceivedRequest>, RequestError> {
        let (mut request, head_len) = loop {
            match parse_head(&self.buffer)? {
                Some(parsed) => break parsed,
                None if self.buffer.len() > MAX_HEAD_BYTES => return Err(RequestError::TooLarge),
                None => {}
            }
            if stream.read_buf(&mut self.buffer).await? == 0 {
                return if self.buffer.is_empty() {
                    Ok(None)
                } else {
                    Err(io::Error::from(io::ErrorKind::UnexpectedEof).into())
                };
            }
        };
        let end = head_len + body_len(&request)?;
        while self.buffer.len() < end {
            if stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
        }
        request.body = self.buffer[head_len..end].to_vec();
        self.buffer.drain(..end);
        Ok(Some(request))
    }
}

/// Parses the head of a request, and returns its length as well; `None` if it is not complete.
fn parse_head(bytes: &[u8]) -> Result<Option<(ReceivedRequest, usize)>, RequestError> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Request::new(&mut headers);
    let head_len = match head.parse(bytes) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(RequestError::TooLarge),
        Err(_) => return Err(RequestError::NotHttp),
    };
    let header = |header: &httparse::Header<'_>| {
        (header.name.to_ascii_lowercase(), String::from_utf8_lossy(header.value).trim().to_owned())
    };
    let request = ReceivedRequest {
        method: head.method.unwrap_or_default().to_owned(),
        path: head.path.unwrap_or_default().to_owned(),
        headers: head.headers.iter().map(header).collect(),
        body: Vec::new(),
    };
    Ok(Some((request, head_len)))
}

/// Returns the length of the body of a request. Without headers about it, there is none (RFC 9112, section 6.3).
fn body_len(request: &ReceivedRequest) -> Result<usize, RequestError> {
    if request.header("transfer-encoding").is_some() {
        return Err(RequestError::NoLength);
    }
    let Some(len) = request.header("content-length") else { return Ok(0) };
    let len: usize = len.parse().map_err(|_| RequestError::NotHttp)?;
    if len > MAX_BODY_BYTES { Err(RequestError::TooLarge) } else { Ok(len) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads all requests of a connection on which these bytes are received.
    async fn read_all(mut bytes: &[u8]) -> (Vec<ReceivedRequest>, Option<RequestError>) {
        let (mut reader, mut requests) = (RequestReader::default(), Vec::new());
        loop {
            match reader.read(&mut bytes).await {
                Ok(Some(request)) => requests.push(request),
                Ok(None) => return (requests, None),
                Err(error) => return (requests, Some(error)),
            }
        }
    }

    #[tokio::test]
    async fn requests_of_a_connection_are_read_in_order() {
        let bytes = b"POST /a?b HTTP/1.1\r\nWebhook-Id: 1 \r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\n\r\n";
        let (requests, error) = read_all(bytes).await;
        assert!(error.is_none(), "{error:?}");
        let [first, second] = requests.try_into().unwrap();
        assert_eq!((&*first.method, &*first.path, &*first.body), ("POST", "/a?b", b"abc".as_slice()));
        assert_eq!(first.signature_headers(), ReceivedHeaders { id: Some("1"), ..ReceivedHeaders::default() });
        assert_eq!((&*second.method, second.body.len()), ("GET", 0));
    }

    #[tokio::test]
    async fn request_that_cannot_be_read_has_a_status() {
        let too_long = format!("GET / HTTP/1.1\r\na: {}", "a".repeat(MAX_HEAD_BYTES));
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(MAX_HEADERS + 1));
        for (bytes, status) in [
            ("\u{16}\u{3}\u{1} TLS", Some(400)),
            ("POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", Some(400)),
            ("POST / HTTP/1.1\r\nContent-Length: 1048577\r\n\r\n", Some(413)),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", Some(411)),
            (&too_long, Some(413)),
            (&many, Some(413)),
            ("POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\na", None),
            ("POST / HT", None),
        ] {
            let (requests, error) = read_all(bytes.as_bytes()).await;
            assert_eq!((requests.len(), error.unwrap().status()), (0, status), "{bytes:.60}");
        }
    }
}
