//! The start of the text of an archived object, which is one zstd frame.

use std::io::Read as _;

use zstd::stream::read::Decoder;

/// The base-2 logarithm of the largest window, which must be kept in memory.
const WINDOW_LOG_MAX: u32 = 23;

/// Returns the first bytes of the text, at most `limit`, of the start of a compressed object. `None` if the bytes are not the
/// start of a zstd frame.
pub fn decompress_start(compressed: &[u8], limit: usize) -> Option<Vec<u8>> {
    let mut decoder = Decoder::with_buffer(compressed).ok()?;
    decoder.window_log_max(WINDOW_LOG_MAX).ok()?;
    let mut text = Vec::new();
    // The frame may be cut, so the text before an error counts.
    let result = decoder.take(u64::try_from(limit).unwrap_or(u64::MAX)).read_to_end(&mut text);
    (result.is_ok() || !text.is_empty()).then_some(text)
}

/// Decompresses an entire object; `None` if it is not zstd, is cut, or has more than `limit` bytes of text.
pub fn decompress(compressed: &[u8], limit: usize) -> Option<Vec<u8>> {
    let mut decoder = Decoder::with_buffer(compressed).ok()?;
    decoder.window_log_max(WINDOW_LOG_MAX).ok()?;
    let mut text = Vec::new();
    let one_more = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    decoder.take(one_more).read_to_end(&mut text).ok()?;
    (text.len() <= limit).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_of_a_cut_object_is_decompressed() {
        let text: Vec<u8> = (0..2_000_000_u32).flat_map(|n| (n.wrapping_mul(2_654_435_761) >> 8).to_le_bytes()).collect();
        let compressed = zstd::bulk::compress(&text, 3).unwrap();
        let start = decompress_start(&compressed[..256 * 1024], 64 * 1024).unwrap();
        assert_eq!(start, text[..64 * 1024]);
        assert_eq!(decompress_start(b"no frame", 10), None);
        assert_eq!(decompress(&compressed[..1000], usize::MAX), None);
    }

    #[test]
    fn object_of_too_much_text_is_not_decompressed() {
        let bomb = zstd::bulk::compress(&vec![b' '; 64 << 20], 1).unwrap();
        assert_eq!(decompress_start(&bomb, 5).unwrap(), b"     ");
        assert_eq!(decompress(&bomb, 1 << 20), None);
        let compressed = zstd::bulk::compress(b"text", 1).unwrap();
        assert_eq!(decompress(&compressed, 4).unwrap(), b"text");
        assert_eq!(decompress(&compressed, 3), None);
    }
}
