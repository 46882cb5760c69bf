//! Streaming decompression of chunks, with output of bounded size per step.

use std::io::Write as _;

use flate2::write::MultiGzDecoder;
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation as _, OutBuffer};

use super::Compression;

/// Input bytes per step. The ratio of gzip is at most about 1,030, so that a step produces less than 1.1 MB.
const GZIP_STEP_BYTES: usize = 1024;
/// Output bytes per step.
const ZSTD_STEP_BYTES: usize = 64 * 1024;
/// The base-2 logarithm of the largest window, which must be kept in memory.
const ZSTD_WINDOW_LOG: u32 = 23;

/// Why a file cannot be decompressed.
#[derive(Debug, thiserror::Error)]
pub enum DecompressError {
    /// The file does not start as a file with its compression does.
    #[error("the file is not compressed as its name says")]
    NotCompressed,
    /// The compressed data is invalid.
    #[error("the file cannot be decompressed, or is truncated")]
    Invalid(#[from] std::io::Error),
    /// The last frame is incomplete.
    #[error("the file is truncated")]
    Truncated,
}

/// A streaming decompressor.
pub(super) enum Decompressor {
    Plain,
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
    Zstd {
        decoder: Box<Decoder<'static>>,
        /// Whether the last frame is incomplete.
        open: bool,
        /// Whether the last output was filled: further output may be available without further input.
        full: bool,
    },
}

impl Decompressor {
    pub(super) fn new(compression: Compression) -> Result<Self, DecompressError> {
        Ok(match compression {
            Compression::Plain => Self::Plain,
            Compression::Gzip => Self::Gzip(Box::new(MultiGzDecoder::new(Vec::new()))),
            Compression::Zstd => {
                let mut decoder = Decoder::new()?;
                decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG))?;
                Self::Zstd { decoder: Box::new(decoder), open: false, full: false }
            }
        })
    }

    /// Decompresses a part of `input` into `out`, which must be empty. Returns the number of bytes consumed. Further input
    /// is needed if nothing was consumed and `out` is empty.
    pub(super) fn step(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, DecompressError> {
        match self {
            Self::Plain => {
                out.extend_from_slice(input);
                Ok(input.len())
            }
            Self::Gzip(decoder) => {
                // The decoder may retain some output until the next step or the end.
                let consumed =
                    if input.is_empty() { 0 } else { decoder.write(&input[..input.len().min(GZIP_STEP_BYTES)])? };
                std::mem::swap(out, decoder.get_mut());
                Ok(consumed)
            }
            Self::Zstd { decoder, open, full } => {
                if input.is_empty() && !*full {
                    return Ok(0);
                }
                out.resize(ZSTD_STEP_BYTES, 0);
                let mut from = InBuffer::around(input);
                let mut into = OutBuffer::around(out.as_mut_slice());
                let hint = decoder.run(&mut from, &mut into)?;
                let (consumed, produced) = (from.pos(), into.pos());
                // At the end of a frame no output remains; another call would start the next frame.
                (*open, *full) = (hint != 0, hint != 0 && produced == ZSTD_STEP_BYTES);
                out.truncate(produced);
                Ok(consumed)
            }
        }
    }

    /// Checks the first byte of the file against the compression.
    pub(super) fn check_first_byte(&self, first: u8) -> Result<(), DecompressError> {
        let is_compressed = match self {
            Self::Plain => true,
            Self::Gzip(_) => first == 0x1f,
            // A frame, or a skippable frame.
            Self::Zstd { .. } => matches!(first, 0x28 | 0x50..=0x5f),
        };
        if is_compressed { Ok(()) } else { Err(DecompressError::NotCompressed) }
    }

    /// Ends the input, which must be consumed, and writes the retained output into `out`. Fails if the file is truncated.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), DecompressError> {
        match self {
            Self::Plain | Self::Zstd { open: false, .. } => Ok(()),
            Self::Gzip(decoder) => {
                decoder.try_finish()?;
                std::mem::swap(out, decoder.get_mut());
                Ok(())
            }
            Self::Zstd { open: true, .. } => Err(DecompressError::Truncated),
        }
    }
}
