//! Checkpoints of the evaluation of alert rules: JSON in one zstd frame, so that most of them take one write unit.

use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;
use zstd::{bulk, zstd_safe};

/// The compression level.
const LEVEL: i32 = 3;
/// Maximum bytes of the JSON. What DynamoDB can store of it is far less, also compressed.
const MAX_BYTES: usize = 8 * 1024 * 1024;

/// Encodes a checkpoint.
pub fn encode(checkpoint: &impl Serialize) -> io::Result<Vec<u8>> {
    bulk::compress(&serde_json::to_vec(checkpoint)?, LEVEL)
}

/// Decodes a checkpoint.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> io::Result<T> {
    let size = zstd_safe::get_frame_content_size(bytes).ok().flatten().and_then(|size| usize::try_from(size).ok());
    let size = size.filter(|size| *size <= MAX_BYTES).ok_or(io::ErrorKind::InvalidData)?;
    Ok(serde_json::from_slice(&bulk::decompress(bytes, size)?)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn checkpoint_is_read_as_it_was_written() {
        let values: Vec<u32> = (0..1000).collect();
        assert_eq!(decode::<Vec<u32>>(&encode(&values).unwrap()).unwrap(), values);
    }

    #[test]
    fn invalid_checkpoint_is_an_error() {
        let large = bulk::compress(&vec![b' '; MAX_BYTES + 1], LEVEL).unwrap();
        let not_json = bulk::compress(b"{", LEVEL).unwrap();
        for bytes in [&b""[..], b"{}", &large, &not_json] {
            assert!(decode::<Vec<u32>>(bytes).is_err());
        }
    }
}
