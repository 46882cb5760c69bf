//! Lists and shows dead letters.

use roadcast_codec::archive_text;
use roadcast_domain::dead_letter::{ContentBucket, DeadLetter};
use roadcast_domain::ids::DeadLetterId;
use roadcast_ports::dead_letters::{DeadLetterContents as _, DeadLetters as _, LetterListing, LetterPage};
use roadcast_ports::port_set::PortSet;

use crate::ServiceError;
use crate::authz::Admin;

/// The number of bytes of a letter that are shown.
pub const SHOWN_BYTES: usize = 64 * 1024;
/// The number of compressed bytes that are read to show [`SHOWN_BYTES`]: blocks of zstd have 128 KiB at most, so the first
/// block is complete, whatever it contains.
const COMPRESSED_BYTES: usize = 256 * 1024;

/// Lists and shows dead letters.
pub struct DeadLetterQueries<Ports: PortSet> {
    /// The dead letters.
    pub letters: Ports::DeadLetters,
    /// Their bytes.
    pub contents: Ports::DeadLetterContents,
}

/// A dead letter with the start of its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownLetter {
    /// The letter.
    pub letter: DeadLetter,
    /// The start of its bytes, decompressed; `None` if they do not exist any more.
    pub start: Option<ShownBytes>,
}

/// The start of the bytes of a letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownBytes {
    /// At most [`SHOWN_BYTES`] bytes.
    pub bytes: Vec<u8>,
    /// Whether more bytes follow.
    pub is_truncated: bool,
}

impl<Ports: PortSet> DeadLetterQueries<Ports> {
    /// Returns a page of letters, newest first.
    pub async fn list(&self, _: &Admin, page: &LetterListing) -> Result<LetterPage, ServiceError> {
        Ok(self.letters.list(page).await?)
    }

    /// Returns a letter and the start of its bytes.
    pub async fn get(&self, _: &Admin, id: DeadLetterId) -> Result<ShownLetter, ServiceError> {
        let letter = self.letters.get(id).await?.ok_or(ServiceError::NotFound)?;
        let start = match letter.content.bucket {
            ContentBucket::DeadLetters => {
                let bytes = self.contents.read(&letter.content, SHOWN_BYTES + 1).await?;
                bytes.map(|bytes| shown(bytes, false))
            }
            // The objects of the archive are compressed.
            ContentBucket::Archive => {
                let compressed = self.contents.read(&letter.content, COMPRESSED_BYTES).await?;
                compressed.map(|compressed| match archive_text::decompress_start(&compressed, SHOWN_BYTES + 1) {
                    Some(bytes) => shown(bytes, compressed.len() == COMPRESSED_BYTES),
                    None => shown(compressed, false),
                })
            }
        };
        Ok(ShownLetter { letter, start })
    }
}

/// Cuts the bytes at [`SHOWN_BYTES`], between characters if they are UTF-8.
fn shown(mut bytes: Vec<u8>, is_truncated: bool) -> ShownBytes {
    let is_truncated = is_truncated || bytes.len() > SHOWN_BYTES;
    bytes.truncate(SHOWN_BYTES);
    if is_truncated
        && let Err(error) = std::str::from_utf8(&bytes)
        && error.error_len().is_none()
    {
        bytes.truncate(error.valid_up_to());
    }
    ShownBytes { bytes, is_truncated }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_text_ends_between_characters() {
        let text = "é".repeat(SHOWN_BYTES);
        let cut = shown(format!("x{text}").into_bytes(), false);
        assert_eq!((cut.bytes.len(), cut.is_truncated), (SHOWN_BYTES - 1, true));
        assert!(String::from_utf8(cut.bytes).is_ok());
        assert_eq!(shown(vec![0xFF; 3], false), ShownBytes { bytes: vec![0xFF; 3], is_truncated: false });
    }
}
