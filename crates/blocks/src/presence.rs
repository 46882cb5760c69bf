//! Which samples have a signal.

use crate::DecodeError;
use crate::bits::{BitReader, BitWriter, golomb_bits};

/// Which samples have a signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Every sample.
    All,
    /// Those that are `true` here.
    Some(Box<[bool]>),
}

impl Presence {
    /// Of the samples' rows, in order; `rows` is how many there are.
    pub(crate) fn of_rows(present: &[u32], rows: usize) -> Self {
        if present.len() == rows {
            return Self::All;
        }
        let mut bits = vec![false; rows];
        for row in present {
            bits[*row as usize] = true;
        }
        Self::Some(bits.into())
    }

    /// The rows of the samples that have the signal, in order.
    pub fn rows(&self, rows: usize) -> impl Iterator<Item = usize> {
        (0..rows).filter(|row| self.has(*row))
    }

    /// Whether the sample in that row has the signal.
    pub fn has(&self, row: usize) -> bool {
        match self {
            Self::All => true,
            Self::Some(bits) => bits.get(row).copied().unwrap_or_default(),
        }
    }

    /// How many samples have the signal.
    pub(crate) fn count(&self, rows: usize) -> usize {
        match self {
            Self::All => rows,
            Self::Some(bits) => bits.iter().filter(|bit| **bit).count(),
        }
    }

    /// Writes it; `known` are those of earlier columns, since signals of one source come and go together.
    pub(crate) fn put<'a>(&'a self, bits: &mut BitWriter, known: &mut Vec<&'a [bool]>) {
        bits.put_bit(*self != Self::All);
        let Self::Some(present) = self else { return };
        let seen = known.iter().rev().position(|other| *other == &**present);
        bits.put_golomb(seen.map_or(0, |place| place as u64 + 1), 0);
        if seen.is_some() {
            return;
        }
        let lengths: Vec<u64> = present.chunk_by(|a, b| a == b).map(|run| run.len() as u64 - 1).collect();
        let in_runs = 1 + lengths.iter().map(|length| golomb_bits(*length, RUN_ORDER) as usize).sum::<usize>();
        bits.put_bit(in_runs < present.len());
        if in_runs < present.len() {
            bits.put_bit(present.first().copied().unwrap_or_default());
            for length in lengths {
                bits.put_golomb(length, RUN_ORDER);
            }
        } else {
            for bit in present {
                bits.put_bit(*bit);
            }
        }
        known.push(present);
    }

    pub(crate) fn take(bits: &mut BitReader<'_>, rows: usize, known: &mut Vec<Box<[bool]>>) -> Result<Self, DecodeError> {
        if !bits.take_bit()? {
            return Ok(Self::All);
        }
        let seen = usize::try_from(bits.take_golomb(0)?).map_err(|_| DecodeError::Malformed)?;
        if seen > 0 {
            let place = known.len().checked_sub(seen).ok_or(DecodeError::Malformed)?;
            return Ok(Self::Some(known[place].clone()));
        }
        let mut present = Vec::with_capacity(rows);
        if bits.take_bit()? {
            let mut bit = bits.take_bit()?;
            while present.len() < rows {
                let length = bits.take_golomb(RUN_ORDER)?;
                if length >= (rows - present.len()) as u64 {
                    return Err(DecodeError::Malformed);
                }
                present.resize(present.len() + length as usize + 1, bit);
                bit = !bit;
            }
        } else {
            for _ in 0..rows {
                present.push(bits.take_bit()?);
            }
        }
        let present: Box<[bool]> = present.into();
        known.push(present.clone());
        Ok(Self::Some(present))
    }
}

/// A signal that comes every few seconds comes in runs of so many samples, or leaves out so many.
const RUN_ORDER: u32 = 1;
