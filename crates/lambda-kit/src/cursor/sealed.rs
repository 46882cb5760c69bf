//! The bytes of a cursor: a format number, the id of its key, a nonce, the encrypted position and a tag.
//!
//! The cipher is AES-256-GCM-SIV: a nonce that occurs twice, which is possible because nonces are random, reveals at most
//! that two positions are equal.

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use roadcast_domain::secret::{KeyPurpose, Secret};

const FORMAT: u8 = 1;
const KEY_ID_LEN: usize = 4;
const HEADER_LEN: usize = 1 + KEY_ID_LEN;
const TAG_LEN: usize = 16;
/// The length of the position comes before it.
const LENGTH_LEN: usize = 2;
/// The maximum length of the text of a cursor: that of the largest size in base64.
pub(super) const MAX_TEXT_LEN: usize = (HEADER_LEN + NONCE_LEN + PositionSize::Large.len() + TAG_LEN).div_ceil(3) * 4;

/// The number of bytes to which a position is padded. It depends on the operation, not on the position, so that the length
/// of a cursor reveals nothing.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PositionSize {
    /// An id, a time, or a few of them.
    Small,
    /// A position with a list.
    Large,
}

impl PositionSize {
    const ALL: [Self; 2] = [Self::Small, Self::Large];

    /// Returns the number of bytes. The sizes make the length of a cursor a multiple of three, so that each of its texts in
    /// base64 stands for other bytes.
    const fn len(self) -> usize {
        match self {
            Self::Small => 192,
            Self::Large => 1023,
        }
    }

    /// Returns the first size from this one on in which a position fits.
    fn fitting(self, position: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|size| *size >= self && position.len() + LENGTH_LEN <= size.len())
    }
}

/// Why a position cannot be sealed.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SealError {
    #[error("the position of the next page does not fit into a cursor")]
    TooLong,
    #[error("the cursor cannot be encrypted")]
    Cipher,
}

/// Whether a cursor can have this many bytes.
pub(super) fn has_valid_length(bytes: &[u8]) -> bool {
    PositionSize::ALL.into_iter().any(|size| bytes.len() == HEADER_LEN + NONCE_LEN + size.len() + TAG_LEN)
}

/// Returns the bytes of the cursor with a position. The same associated data opens it.
pub(super) fn seal(secret: &Secret, data: &[u8], position: &[u8], size: PositionSize) -> Result<Vec<u8>, SealError> {
    let size = size.fitting(position).ok_or(SealError::TooLong)?;
    let length = u16::try_from(position.len()).map_err(|_| SealError::TooLong)?;
    let mut padded = length.to_be_bytes().to_vec();
    padded.extend(position);
    padded.resize(size.len(), 0);

    let header = header(secret);
    let key = key(secret).ok_or(SealError::Cipher)?;
    let nonce = key.seal_in_place_append_tag(Aad::from(with_header(&header, data)), &mut padded);
    let nonce = nonce.map_err(|_| SealError::Cipher)?;
    Ok([header.as_slice(), nonce.as_ref(), &padded].concat())
}

/// Returns the position of a cursor, or `None` if it was not sealed with one of the secrets and this associated data.
pub(super) fn open<'s>(mut secrets: impl Iterator<Item = &'s Secret>, data: &[u8], bytes: &[u8]) -> Option<Vec<u8>> {
    let (header, rest) = bytes.split_at_checked(HEADER_LEN)?;
    let (nonce, sealed) = rest.split_at_checked(NONCE_LEN)?;
    // Two secrets with the same key id are too improbable to try the second one.
    let secret = secrets.find(|secret| self::header(secret) == header)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut sealed = sealed.to_vec();
    let padded = key(secret)?.open_in_place(nonce, Aad::from(with_header(header, data)), &mut sealed).ok()?;
    let (length, padded) = padded.split_first_chunk::<LENGTH_LEN>()?;
    padded.get(..usize::from(u16::from_be_bytes(*length))).map(<[u8]>::to_vec)
}

/// Returns the format and the id of the key, which reveals nothing of the key.
fn header(secret: &Secret) -> [u8; HEADER_LEN] {
    let mut header = [FORMAT; HEADER_LEN];
    header[1..].copy_from_slice(&secret.key(KeyPurpose::CursorKeyIds).as_bytes()[..KEY_ID_LEN]);
    header
}

fn key(secret: &Secret) -> Option<RandomizedNonceKey> {
    RandomizedNonceKey::new(&AES_256_GCM_SIV, secret.key(KeyPurpose::Cursors).as_bytes()).ok()
}

fn with_header(header: &[u8], data: &[u8]) -> Vec<u8> {
    [header, data].concat()
}
