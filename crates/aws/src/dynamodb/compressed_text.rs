//! Strings in `DynamoDB` attributes, compressed if they are long.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

use crate::dynamodb::item::{InvalidAttribute, Item};

/// Strings from this length on are compressed. An item may hold 400 KB, and an upload 768 KiB of JSON that repeats the same
/// paths; shorter strings stay readable in the console.
const MIN_COMPRESSED_BYTES: usize = 32 * 1024;
/// We never store a longer string. The limit protects against data that we did not write.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// Returns the string as `S`, or as `B` of its zstd frame if it is long.
pub(crate) fn compress(text: String) -> std::io::Result<AttributeValue> {
    if text.len() < MIN_COMPRESSED_BYTES {
        return Ok(AttributeValue::S(text));
    }
    let compressed = zstd::bulk::compress(text.as_bytes(), zstd::DEFAULT_COMPRESSION_LEVEL)?;
    Ok(AttributeValue::B(Blob::new(compressed)))
}

/// Reads an attribute that [`compress`] made.
pub(crate) fn decompress(item: &Item, name: &'static str) -> Result<String, InvalidAttribute> {
    match item.get(name) {
        Some(AttributeValue::S(text)) => Ok(text.clone()),
        Some(AttributeValue::B(compressed)) => {
            let invalid = |error: std::io::Error| InvalidAttribute::with_source(name, error);
            let length = zstd::zstd_safe::get_frame_content_size(compressed.as_ref());
            let length = length.ok().flatten().and_then(|length| usize::try_from(length).ok());
            let length = length.filter(|length| *length <= MAX_BYTES).ok_or_else(|| InvalidAttribute::new(name))?;
            let bytes = zstd::bulk::decompress(compressed.as_ref(), length).map_err(invalid)?;
            String::from_utf8(bytes).map_err(|error| InvalidAttribute::with_source(name, error))
        }
        _ => Err(InvalidAttribute::new(name)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Returns whether the string was compressed, and the string read back.
    fn round_trip(text: &str) -> (bool, String) {
        let value = compress(text.to_owned()).unwrap();
        let compressed = value.is_b();
        (compressed, decompress(&Item::from([("text".to_owned(), value)]), "text").unwrap())
    }

    #[test]
    fn short_strings_stay_readable_and_long_ones_fit_an_item() {
        assert_eq!(round_trip("{}"), (false, "{}".to_owned()));
        let upload = r#"{"at":"2026-11-03T09:59:59.999Z","signals":{"Vehicle.Speed":45.4}}"#.repeat(11_000);
        assert!(upload.len() > 700_000);
        let compressed = compress(upload.clone()).unwrap();
        assert!(compressed.as_b().unwrap().as_ref().len() < 400_000);
        assert_eq!(round_trip(&upload), (true, upload));
    }

    #[test]
    fn foreign_bytes_are_an_error_and_no_panic() {
        for bytes in [&b""[..], b"not zstd", &[0xFF; 64]] {
            let item = Item::from([("text".to_owned(), AttributeValue::B(Blob::new(bytes)))]);
            assert!(decompress(&item, "text").is_err());
        }
    }
}
