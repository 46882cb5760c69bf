//! A quick estimate of the encoded size.

use roadcast_signals::{Samples, Values};

use crate::zigzag;

/// Bits of a value that is stored as such: a number off the grid, or a value of a list.
const EXACT_BITS: usize = 48;

/// Estimates the bits that samples take of a block, without what a block has once for each signal. It is meant to decide how many
/// events fit into a block before the block is encoded: it takes a small part of the time, and is mostly within a fifth.
pub fn estimated_bits(samples: &Samples) -> usize {
    let times = samples.times().len();
    samples.columns().iter().map(|column| column_bits(&column.values)).sum::<usize>() + times
}

fn column_bits(values: &Values) -> usize {
    match values {
        Values::Grid { points, .. } => steps_bits(points.iter().copied()),
        Values::Numbers(numbers) => numbers.len() * EXACT_BITS,
        Values::Bools(bools) => bools.len() / 2,
        Values::Texts { dictionary, indices } => {
            8 * dictionary.iter().map(|text| text.len() + 1).sum::<usize>()
                + steps_bits(indices.iter().map(|index| i64::from(*index)))
        }
        Values::Any(values) => values.len() * EXACT_BITS,
    }
}

/// Returns about the bits of the differences of numbers: one for each that is zero, and otherwise two more than its digits.
fn steps_bits(points: impl Iterator<Item = i64>) -> usize {
    let (mut previous, mut bits) = (None, 0);
    for point in points {
        let step = zigzag::encode(point.wrapping_sub(previous.unwrap_or(point)));
        bits += (64 - step.leading_zeros() + 1) as usize;
        previous = Some(point);
    }
    bits
}
