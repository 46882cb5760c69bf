//! Content codings (RFC 9110, 8.4): gzip in requests and responses.

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use http::HeaderValue;
use http::header::{CONTENT_ENCODING, VARY};
use roadcast_domain::limits;

use super::headers::header_list;
use super::{Body, Request, Response};
use crate::problem::{Problem, ProblemType};

/// The minimum length of a body that is compressed, in bytes. Compression does not reduce the size of shorter bodies.
const MIN_COMPRESSED_LEN: usize = 1024;

/// Removes the content coding of the body.
pub(super) fn decode_body(request: Request) -> Result<Request, Problem> {
    match header_list(&request, "content-encoding").unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "identity" | "" => Ok(request),
        "gzip" | "x-gzip" => {
            let mut decompressed = Vec::new();
            // A gzip stream is one or more members, whose contents are concatenated (RFC 1952, 2.2). The limit is one byte
            // more than any operation accepts, so that a longer body is refused for its size.
            let mut reader = MultiGzDecoder::new(&request.body()[..]).take(limits::UPLOAD_BYTES as u64 + 1);
            let invalid = |_| Problem::new(ProblemType::BadRequest).with_detail("the body is not valid gzip");
            reader.read_to_end(&mut decompressed).map_err(invalid)?;
            Ok(request.map(|_| Body::Binary(decompressed)))
        }
        _ => {
            let problem =
                Problem::new(ProblemType::UnsupportedMediaType).with_detail("send the body uncompressed or gzip-compressed");
            Err(problem.with_header("accept-encoding", "gzip, identity".to_owned()))
        }
    }
}

/// Compresses the body if the caller accepts gzip and the body is long enough.
pub(super) fn compress_for(mut response: Response, accept_encoding: &str) -> Response {
    if response.body().len() < MIN_COMPRESSED_LEN {
        return response;
    }
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept-encoding"));
    if accepts_gzip(accept_encoding) {
        let mut encoder = GzEncoder::new(Vec::with_capacity(response.body().len() / 4), Compression::fast());
        // Writing to memory cannot fail; if it did, the body would be sent uncompressed.
        // In base64, some texts would be larger than they are, and exceed the size of a response.
        if let Ok(compressed) = encoder.write_all(response.body()).and_then(|()| encoder.finish())
            && compressed.len().div_ceil(3) * 4 < response.body().len()
        {
            *response.body_mut() = Body::Binary(compressed);
            response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
    }
    response
}

/// Returns whether `Accept-Encoding` includes gzip (RFC 9110, 12.5.3).
fn accepts_gzip(accept_encoding: &str) -> bool {
    let weight = |coding: &str| {
        accept_encoding.split(',').find_map(|range| {
            let (name, parameters) = range.split_once(';').unwrap_or((range, ""));
            let weight = parameters.trim().strip_prefix("q=").map_or(Some(1.0), |q| q.trim().parse::<f32>().ok());
            name.trim().eq_ignore_ascii_case(coding).then_some(weight.unwrap_or(0.0))
        })
    };
    weight("gzip").or_else(|| weight("*")).is_some_and(|weight| weight > 0.0)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;
    use crate::http::testing::request;
    use crate::http::{ProxyResponse, response};

    #[test]
    fn gzip_body_is_decompressed_up_to_the_size_limit() {
        let compress = |plain: &[u8]| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(plain).unwrap();
            STANDARD.encode(encoder.finish().unwrap())
        };
        let read = |body: String, coding: &str| {
            decode_body(request(serde_json::json!({"resource": "/x", "httpMethod": "POST", "body": body,
                "isBase64Encoded": true, "headers": {"Content-Encoding": coding}})))
        };
        assert_eq!(&read(compress(b"{}"), "gzip").unwrap().body()[..], b"{}");
        let bomb = read(compress(&vec![b' '; 50_000_000]), "gzip").unwrap();
        assert_eq!(bomb.body().len(), limits::UPLOAD_BYTES + 1);
        assert_eq!(read(STANDARD.encode("{}"), "gzip").unwrap_err().status().as_u16(), 400);
        let members =
            [compress(b"{"), compress(b""), compress(b"}")].map(|member| STANDARD.decode(member).unwrap()).concat();
        assert_eq!(&read(STANDARD.encode(&members), "gzip").unwrap().body()[..], b"{}");
        let followed = [members.as_slice(), b"{}"].concat();
        assert_eq!(read(STANDARD.encode(followed), "gzip").unwrap_err().status().as_u16(), 400);
        let bombs = [compress(&vec![b' '; 500_000]), compress(&vec![b' '; 500_000])];
        let bombs = bombs.map(|member| STANDARD.decode(member).unwrap()).concat();
        assert_eq!(read(STANDARD.encode(bombs), "gzip").unwrap().body().len(), limits::UPLOAD_BYTES + 1);
        assert_eq!(read(STANDARD.encode("{}"), "br").unwrap_err().status().as_u16(), 415);
    }

    #[test]
    fn long_body_is_compressed_if_gzip_is_accepted() {
        let body = "[1]".repeat(1000);
        let proxy = |body: String, accept_encoding| {
            serde_json::to_value(ProxyResponse(compress_for(response::text("text/csv", body), accept_encoding))).unwrap()
        };
        let compressed = proxy(body.clone(), "br, gzip;q=0.5");
        let coding = &compressed["multiValueHeaders"]["content-encoding"][0];
        assert_eq!((&compressed["isBase64Encoded"], coding), (&true.into(), &"gzip".into()));
        let bytes = STANDARD.decode(compressed["body"].as_str().unwrap()).unwrap();
        let mut decompressed = String::new();
        MultiGzDecoder::new(bytes.as_slice()).read_to_string(&mut decompressed).unwrap();
        assert_eq!(decompressed, body);
        for refused in ["", "br", "gzip;q=0", "identity", "*;q=0"] {
            let plain = proxy(body.clone(), refused);
            assert_eq!((&plain["isBase64Encoded"], &plain["body"]), (&false.into(), &body.as_str().into()), "{refused}");
            assert_eq!(plain["multiValueHeaders"]["vary"][0], "accept-encoding");
        }
        assert_eq!(proxy("[1]".to_owned(), "gzip")["isBase64Encoded"], false);
    }
}
