//! Texts of JSON in items, compressed if they are long.

use std::borrow::Cow;
use std::io;

/// Texts from this length on are compressed. An item may hold 400 KB, and an upload 768 KiB of JSON that repeats the same
/// paths; shorter texts stay readable in the console.
const MIN_COMPRESSED_BYTES: usize = 32 * 1024;
/// Maximum bytes of a text. Several times a decompressed record, because numbers may be written in more digits than the
/// sender used. A longer text is not stored, so that no item decompresses to more.
pub const MAX_TEXT_BYTES: usize = 16 * 1024 * 1024;

/// A text of JSON, as an item holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JsonText {
    /// The unchanged text.
    Plain(String),
    /// The text as a zstd frame.
    Compressed(Vec<u8>),
}

/// A text cannot be stored, or not be read.
#[derive(Debug, thiserror::Error)]
pub enum JsonTextError {
    /// The text is longer than [`MAX_TEXT_BYTES`], or the frame does not state its length.
    #[error("the text is longer than {MAX_TEXT_BYTES} bytes, or its length is unknown")]
    Length,
    /// The text cannot be compressed or decompressed.
    #[error("the text cannot be compressed or decompressed")]
    Frame(#[from] io::Error),
    /// The decompressed bytes are not UTF-8.
    #[error("the decompressed text is not UTF-8")]
    NotUtf8(#[from] std::string::FromUtf8Error),
}

impl JsonText {
    /// Compresses the text if it is long.
    pub fn new(text: String) -> Result<Self, JsonTextError> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(JsonTextError::Length);
        }
        if text.len() < MIN_COMPRESSED_BYTES {
            return Ok(Self::Plain(text));
        }
        Ok(Self::Compressed(zstd::bulk::compress(text.as_bytes(), zstd::DEFAULT_COMPRESSION_LEVEL)?))
    }

    /// Returns the text. Allocates at most [`MAX_TEXT_BYTES`], checked before decompression.
    pub fn text(&self) -> Result<Cow<'_, str>, JsonTextError> {
        match self {
            Self::Plain(text) => Ok(Cow::Borrowed(text)),
            Self::Compressed(frame) => {
                let length = zstd::zstd_safe::get_frame_content_size(frame);
                let length = length.ok().flatten().and_then(|length| usize::try_from(length).ok());
                let length = length.filter(|length| *length <= MAX_TEXT_BYTES).ok_or(JsonTextError::Length)?;
                Ok(Cow::Owned(String::from_utf8(zstd::bulk::decompress(frame, length)?)?))
            }
        }
    }

    /// Returns the number of bytes in the item.
    pub fn stored_bytes(&self) -> usize {
        match self {
            Self::Plain(text) => text.len(),
            Self::Compressed(frame) => frame.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn short_texts_stay_readable_and_long_ones_fit_an_item() {
        assert_eq!(JsonText::new("{}".to_owned()).unwrap(), JsonText::Plain("{}".to_owned()));
        let upload = r#"{"at":"2026-11-03T09:59:59.999Z","signals":{"Vehicle.Speed":45.4}}"#.repeat(11_000);
        assert!(upload.len() > 700_000);
        let compressed = JsonText::new(upload.clone()).unwrap();
        assert!(matches!(compressed, JsonText::Compressed(_)));
        assert!(compressed.stored_bytes() < 400_000);
        assert_eq!(compressed.text().unwrap(), upload);
    }

    #[test]
    fn text_beyond_the_limit_is_neither_written_nor_read() {
        assert!(matches!(JsonText::new("x".repeat(MAX_TEXT_BYTES + 1)), Err(JsonTextError::Length)));
        let frame = zstd::bulk::compress(&vec![b'x'; MAX_TEXT_BYTES + 1], 1).unwrap();
        assert!(matches!(JsonText::Compressed(frame).text(), Err(JsonTextError::Length)));
    }

    #[test]
    fn foreign_bytes_are_an_error_and_no_panic() {
        for bytes in [&b""[..], b"not zstd", &[0xFF; 64]] {
            assert!(JsonText::Compressed(bytes.to_vec()).text().is_err());
        }
    }
}
