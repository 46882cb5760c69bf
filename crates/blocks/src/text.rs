//! UTF-8 texts with their length.

use crate::bits::{BitReader, BitWriter};
use crate::{DecodeError, limits};

pub(crate) fn write_text(bits: &mut BitWriter, text: &str) {
    bits.write_golomb(text.len() as u64, 3);
    text.bytes().for_each(|byte| bits.write(u64::from(byte), 8));
}

pub(crate) fn read_text(bits: &mut BitReader<'_>) -> Result<Box<str>, DecodeError> {
    let length = limits::check_decoded(bits.read_golomb(3)?, limits::TEXT, "bytes of a text")?;
    if bits.remaining() < length * 8 {
        return Err(DecodeError::TooShort);
    }
    let bytes = (0..length).map(|_| bits.read(8).map(|byte| byte as u8)).collect::<Result<Vec<u8>, _>>()?;
    String::from_utf8(bytes).map(String::into_boxed_str).map_err(|_| DecodeError::Malformed)
}
