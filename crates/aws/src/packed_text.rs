//! Long texts in `DynamoDB` attributes.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

use crate::item::{Item, Unreadable};

/// Texts from here on are compressed. An item may hold 400 KB, and an upload 768 KiB of JSON that repeats the same paths;
/// shorter texts stay legible in the console.
const PACKED_FROM_BYTES: usize = 32 * 1024;
/// No text of ours is longer: a stop for what is not ours.
const LONGEST_BYTES: usize = 64 * 1024 * 1024;

/// A text as `S`, or as `B` of zstd where it is long.
pub(crate) fn pack(text: String) -> std::io::Result<AttributeValue> {
    if text.len() < PACKED_FROM_BYTES {
        return Ok(AttributeValue::S(text));
    }
    let packed = zstd::bulk::compress(text.as_bytes(), zstd::DEFAULT_COMPRESSION_LEVEL)?;
    Ok(AttributeValue::B(Blob::new(packed)))
}

/// What [`pack`] wrote.
pub(crate) fn unpack(item: &Item, name: &'static str) -> Result<String, Unreadable> {
    match item.get(name) {
        Some(AttributeValue::S(text)) => Ok(text.clone()),
        Some(AttributeValue::B(packed)) => {
            let unreadable = |error: std::io::Error| Unreadable::because(name, error);
            let length = zstd::zstd_safe::get_frame_content_size(packed.as_ref());
            let length = length.ok().flatten().and_then(|length| usize::try_from(length).ok());
            let length = length.filter(|length| *length <= LONGEST_BYTES).ok_or_else(|| Unreadable::at(name))?;
            let bytes = zstd::bulk::decompress(packed.as_ref(), length).map_err(unreadable)?;
            String::from_utf8(bytes).map_err(|error| Unreadable::because(name, error))
        }
        _ => Err(Unreadable::at(name)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn there_and_back(text: &str) -> (bool, String) {
        let value = pack(text.to_owned()).unwrap();
        let packed = value.is_b();
        (packed, unpack(&Item::from([("text".to_owned(), value)]), "text").unwrap())
    }

    #[test]
    fn short_texts_stay_legible_and_long_ones_fit_an_item() {
        assert_eq!(there_and_back("{}"), (false, "{}".to_owned()));
        let upload = r#"{"at":"2026-11-03T09:59:59.999Z","signals":{"Vehicle.Speed":45.4}}"#.repeat(11_000);
        assert!(upload.len() > 700_000);
        let packed = pack(upload.clone()).unwrap();
        assert!(packed.as_b().unwrap().as_ref().len() < 400_000);
        assert_eq!(there_and_back(&upload), (true, upload));
    }

    #[test]
    fn bytes_that_are_not_ours_are_an_error_and_no_panic() {
        for bytes in [&b""[..], b"not zstd", &[0xFF; 64]] {
            let item = Item::from([("text".to_owned(), AttributeValue::B(Blob::new(bytes)))]);
            assert!(unpack(&item, "text").is_err());
        }
    }
}
