//! Which samples have a signal.

use crate::DecodeError;
use crate::bits::{BitReader, BitWriter, golomb_bits};

/// Which samples have a signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Every sample.
    All,
    /// The samples whose row is `true`.
    Some(Box<[bool]>),
}

impl Presence {
    /// Creates the presence from the rows that have the signal, in order, out of `rows` rows.
    pub(crate) fn from_rows(present: &[u32], rows: usize) -> Self {
        if present.len() == rows {
            return Self::All;
        }
        let mut bits = vec![false; rows];
        for row in present {
            bits[*row as usize] = true;
        }
        Self::Some(bits.into())
    }

    /// Returns the rows of the samples that have the signal, in order.
    pub fn rows(&self, rows: usize) -> impl Iterator<Item = usize> {
        (0..rows).filter(|row| self.has(*row))
    }

    /// Returns whether the sample in this row has the signal.
    pub fn has(&self, row: usize) -> bool {
        match self {
            Self::All => true,
            Self::Some(bits) => bits.get(row).copied().unwrap_or_default(),
        }
    }

    /// Returns the number of samples that have the signal.
    pub(crate) fn count(&self, rows: usize) -> usize {
        match self {
            Self::All => rows,
            Self::Some(bits) => bits.iter().filter(|bit| **bit).count(),
        }
    }

    /// Writes the presence. `explicit` contains the presences already written in this block: signals of the same source
    /// mostly have the same presence, which is then written as a reference.
    pub(crate) fn write<'a>(&'a self, bits: &mut BitWriter, explicit: &mut Vec<&'a [bool]>) {
        bits.write_bit(*self != Self::All);
        let Self::Some(present) = self else { return };
        let distance = explicit.iter().rev().position(|other| *other == &**present);
        bits.write_golomb(distance.map_or(0, |index| index as u64 + 1), 0);
        if distance.is_some() {
            return;
        }
        let lengths: Vec<u64> = present.chunk_by(|a, b| a == b).map(|run| run.len() as u64 - 1).collect();
        let run_bits = 1 + lengths.iter().map(|length| golomb_bits(*length, RUN_ORDER) as usize).sum::<usize>();
        bits.write_bit(run_bits < present.len());
        if run_bits < present.len() {
            bits.write_bit(present.first().copied().unwrap_or_default());
            for length in lengths {
                bits.write_golomb(length, RUN_ORDER);
            }
        } else {
            for bit in present {
                bits.write_bit(*bit);
            }
        }
        explicit.push(present);
    }

    pub(crate) fn read(bits: &mut BitReader<'_>, rows: usize, explicit: &mut Vec<Box<[bool]>>) -> Result<Self, DecodeError> {
        if !bits.read_bit()? {
            return Ok(Self::All);
        }
        let distance = usize::try_from(bits.read_golomb(0)?).map_err(|_| DecodeError::Malformed)?;
        if distance > 0 {
            let index = explicit.len().checked_sub(distance).ok_or(DecodeError::Malformed)?;
            return Ok(Self::Some(explicit[index].clone()));
        }
        let mut present = Vec::with_capacity(rows);
        if bits.read_bit()? {
            let mut bit = bits.read_bit()?;
            while present.len() < rows {
                let length = bits.read_golomb(RUN_ORDER)?;
                if length >= (rows - present.len()) as u64 {
                    return Err(DecodeError::Malformed);
                }
                present.resize(present.len() + length as usize + 1, bit);
                bit = !bit;
            }
        } else {
            for _ in 0..rows {
                present.push(bits.read_bit()?);
            }
        }
        let present: Box<[bool]> = present.into();
        explicit.push(present.clone());
        Ok(Self::Some(present))
    }
}

/// The Golomb order of run lengths: a signal with an interval of a few seconds has short runs.
const RUN_ORDER: u32 = 1;
