//! Unpacking what arrives in pieces, into pieces of bounded size.

use std::io::Write as _;

use flate2::write::MultiGzDecoder;
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation as _, OutBuffer};

use super::Packing;

/// gzip unpacks to at most about 1,030 times as much, so that a bite makes less than 1 MiB.
const GZIP_BITE: usize = 1024;
const ZSTD_OUT: usize = 64 * 1024;
/// The base-2 logarithm of the largest window: what is to be kept in memory.
const ZSTD_WINDOW_LOG: u32 = 23;

/// What cannot be unpacked, or ends before its end.
#[derive(Debug, thiserror::Error)]
#[error("the file cannot be unpacked, or is cut off")]
pub struct Broken {
    source: Option<std::io::Error>,
}

impl From<std::io::Error> for Broken {
    fn from(error: std::io::Error) -> Self {
        Self { source: Some(error) }
    }
}

pub(super) enum Unpack {
    Plain,
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
    Zstd {
        decoder: Box<Decoder<'static>>,
        /// Whether the last frame goes on.
        open: bool,
        /// Whether the last output was filled, so that there may be more without more input.
        full: bool,
    },
}

impl Unpack {
    pub(super) fn new(packing: Packing) -> Result<Self, Broken> {
        Ok(match packing {
            Packing::Plain => Self::Plain,
            Packing::Gzip => Self::Gzip(Box::new(MultiGzDecoder::new(Vec::new()))),
            Packing::Zstd => {
                let mut decoder = Decoder::new()?;
                decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG))?;
                Self::Zstd { decoder: Box::new(decoder), open: false, full: false }
            }
        })
    }

    /// Unpacks a piece of the input into `out`, which is empty; answers how much of the input it took. Where it took nothing
    /// and made nothing, it needs more input.
    pub(super) fn step(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, Broken> {
        match self {
            Self::Plain => {
                out.extend_from_slice(input);
                Ok(input.len())
            }
            Self::Gzip(decoder) => {
                // It may hold back some of what it unpacked until the next bite, or the end.
                let taken = if input.is_empty() { 0 } else { decoder.write(&input[..input.len().min(GZIP_BITE)])? };
                std::mem::swap(out, decoder.get_mut());
                Ok(taken)
            }
            Self::Zstd { decoder, open, full } => {
                if input.is_empty() && !*full {
                    return Ok(0);
                }
                out.resize(ZSTD_OUT, 0);
                let mut from = InBuffer::around(input);
                let mut into = OutBuffer::around(out.as_mut_slice());
                let hint = decoder.run(&mut from, &mut into)?;
                let (taken, made) = (from.pos(), into.pos());
                // At the end of a frame nothing is left; to ask again would begin another one.
                (*open, *full) = (hint != 0, hint != 0 && made == ZSTD_OUT);
                out.truncate(made);
                Ok(taken)
            }
        }
    }

    /// The input is at its end, and taken; what was left goes into `out`.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) -> Result<(), Broken> {
        match self {
            Self::Plain | Self::Zstd { open: false, .. } => Ok(()),
            Self::Gzip(decoder) => {
                decoder.try_finish()?;
                std::mem::swap(out, decoder.get_mut());
                Ok(())
            }
            Self::Zstd { open: true, .. } => Err(Broken { source: None }),
        }
    }
}
