//! The text of a record: JSON, or JSON in one zstd frame.

use std::borrow::Cow;
use std::io::Read as _;

use roadcast_domain::json_pointer::JsonPointer;
use roadcast_domain::limits;
use roadcast_domain::refusal::{Reason, Refusal};
use zstd::bulk::Decompressor;
use zstd::zstd_safe;

use super::not_json;
use crate::byte_order_mark::without_byte_order_mark;

/// The first bytes of a zstd frame (RFC 8878, 3.1.1).
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];
/// The largest window that a frame may require: 8 MiB, which every decoder must support (RFC 8878, 3.1.1.1.2).
const WINDOW_LOG: u32 = 23;
/// The bit of the frame header descriptor that states that the content is one segment: the window is the content (RFC 8878,
/// 3.1.1.1.1.2).
const SINGLE_SEGMENT: u8 = 1 << 5;
/// Maximum content of a frame that is decompressed at once. Its memory is reserved before it is decompressed.
const MAX_AT_ONCE: usize = 256 * 1024;

/// Reads the texts of records. It keeps the context of the decompression, because to create it takes longer than to decompress
/// a record.
#[derive(Default)]
pub struct RecordTexts {
    decompressor: Option<Decompressor<'static>>,
}

impl RecordTexts {
    /// Returns the text of a record, decompressed if it is a zstd frame, without a byte order mark.
    pub fn read<'r>(&mut self, record: &'r [u8]) -> Result<Cow<'r, str>, Refusal> {
        if record.starts_with(&ZSTD_MAGIC) {
            let bytes = match self.decompress_at_once(record) {
                Some(bytes) => bytes,
                None => decompress(record)?,
            };
            let text = String::from_utf8(bytes).map_err(|_| not_json("the zstd frame does not contain UTF-8"))?;
            return Ok(match without_byte_order_mark(&text) {
                unmarked if unmarked.len() < text.len() => Cow::Owned(unmarked.to_owned()),
                _ => Cow::Owned(text),
            });
        }
        std::str::from_utf8(record)
            .map(|text| Cow::Borrowed(without_byte_order_mark(text)))
            .map_err(|_| not_json("neither UTF-8 nor a zstd frame"))
    }

    /// Decompresses one frame of the form that compressors write if they have the entire content: the frame states the size of its
    /// content, which is its window. Returns `None` for every other record, valid or not.
    fn decompress_at_once(&mut self, record: &[u8]) -> Option<Vec<u8>> {
        if record.get(ZSTD_MAGIC.len())? & SINGLE_SEGMENT == 0
            || zstd_safe::find_frame_compressed_size(record) != Ok(record.len())
        {
            return None;
        }
        let size = usize::try_from(zstd_safe::get_frame_content_size(record).ok()??).ok()?;
        if size > MAX_AT_ONCE {
            return None;
        }
        if self.decompressor.is_none() {
            self.decompressor = Some(Decompressor::new().ok()?);
        }
        self.decompressor.as_mut()?.decompress(record, size).ok()
    }
}

/// Returns the text of one record, as [`RecordTexts::read`].
pub fn decode_text(record: &[u8]) -> Result<Cow<'_, str>, Refusal> {
    RecordTexts::default().read(record)
}

/// Decompresses exactly one frame. A frame does not have to state its content size, so the output is counted.
fn decompress(record: &[u8]) -> Result<Vec<u8>, Refusal> {
    let broken = |_| not_json("the zstd frame cannot be decompressed");
    let mut rest = record;
    let mut text = Vec::new();
    let mut decoder = zstd::stream::read::Decoder::with_buffer(&mut rest).map_err(broken)?.single_frame();
    decoder.window_log_max(WINDOW_LOG).map_err(broken)?;
    let limit = limits::UNPACKED_RECORD_BYTES as u64;
    decoder.by_ref().take(limit + 1).read_to_end(&mut text).map_err(broken)?;
    if text.len() > limits::UNPACKED_RECORD_BYTES {
        return Err(Refusal::new(
            Reason::TooLarge,
            JsonPointer::ROOT,
            "the zstd frame exceeds the decompressed size limit of a record",
        ));
    }
    drop(decoder);
    if rest.is_empty() { Ok(text) } else { Err(not_json("the zstd frame is followed by other bytes")) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::Write as _;

    use proptest::prelude::*;
    use zstd::stream::write::Encoder;

    use super::*;

    fn frame(text: &[u8], level: i32, has_checksum: bool, states_size: bool) -> Vec<u8> {
        let mut encoder = Encoder::new(Vec::new(), level).unwrap();
        encoder.include_checksum(has_checksum).unwrap();
        if states_size {
            encoder.set_pledged_src_size(Some(text.len() as u64)).unwrap();
        }
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn usual_frame_is_decompressed_at_once() {
        let mut texts = RecordTexts::default();
        for text in ["{}".repeat(5_000), "[]".repeat(3)] {
            assert_eq!(
                texts.decompress_at_once(&zstd::bulk::compress(text.as_bytes(), 3).unwrap()).unwrap(),
                text.as_bytes()
            );
        }
        let large = zstd::bulk::compress(&vec![b' '; MAX_AT_ONCE + 1], 3).unwrap();
        assert_eq!((texts.decompress_at_once(&large), texts.read(&large).unwrap().len()), (None, MAX_AT_ONCE + 1));
    }

    proptest! {
        #[test]
        fn what_is_decompressed_at_once_is_the_same_in_parts(
            parts in prop::collection::vec("[a-z]{1,40}", 0..200),
            level in 1..6,
            has_checksum: bool,
            states_size: bool,
            change in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
            rest in prop::collection::vec(any::<u8>(), 0..3),
        ) {
            let mut record = frame(parts.concat().as_bytes(), level, has_checksum, states_size);
            if let Some((index, byte)) = change {
                let index = index.index(record.len());
                record[index] = byte;
            }
            record.extend(rest);
            // The context is used again after a failure.
            let mut texts = RecordTexts::default();
            for _ in 0..2 {
                if let Some(text) = texts.decompress_at_once(&record) {
                    prop_assert_eq!(decompress(&record).unwrap(), text);
                }
            }
        }
    }
}
