//! The remainders of numbers after their prediction.

use crate::DecodeError;
use crate::bits::{BitReader, BitWriter};
use crate::rice::{self, RiceCode};
use crate::zigzag;

use super::ratio::Ratio;

/// How a number is predicted from the preceding ones.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Order 0: as the first number.
    First = 0,
    /// Order 1: as the previous number.
    Previous = 1,
    /// Order 2: as the previous number and the step that led to it. The second number has no such step, so its remainder is
    /// much larger than the others and has a code of its own.
    Line = 2,
}

/// The sums of the remainders of all orders.
pub(super) struct Totals {
    /// By order.
    sums: [u64; 3],
    /// How many numbers equal the previous one.
    pub(super) repeats: usize,
}

impl Totals {
    /// Adds up the remainders of all numbers after the first.
    pub(super) fn of(values: &[i64]) -> Self {
        let head = values.first().copied().unwrap_or_default();
        let (mut previous, mut step) = (head, 0_i64);
        let mut totals = Self { sums: [0; 3], repeats: 0 };
        for value in values.iter().skip(1) {
            let next = value.wrapping_sub(previous);
            let remainders = [value.wrapping_sub(head), next, next.wrapping_sub(step)];
            for (sum, remainder) in totals.sums.iter_mut().zip(remainders) {
                *sum = sum.saturating_add(zigzag::encode(remainder));
            }
            totals.repeats += usize::from(next == 0);
            (previous, step) = (*value, next);
        }
        totals
    }

    /// Returns whether all numbers equal the first.
    pub(super) fn are_constant(&self) -> bool {
        self.sums[1] == 0
    }

    /// Returns the smallest sum.
    pub(super) fn least(&self) -> u64 {
        self.sums.into_iter().min().unwrap_or_default()
    }

    /// Returns the order of the smallest remainders. The others have a longer code than order 1, so they must be smaller by a
    /// sixteenth.
    pub(super) fn best_order(&self) -> Order {
        let [first, previous, line] = self.sums;
        let [first, line] = [first, line].map(|sum| sum.saturating_add(sum >> 4));
        if line < previous && line <= first {
            Order::Line
        } else if first < previous {
            Order::First
        } else {
            Order::Previous
        }
    }
}

/// Remainders in zigzag.
#[derive(Default)]
pub(super) struct Remainders {
    /// That of the second number in order 2.
    first: Option<u64>,
    /// The others.
    numbers: Vec<u64>,
    sum: u64,
}

impl Remainders {
    pub(super) fn clear(&mut self) {
        self.first = None;
        self.numbers.clear();
        self.sum = 0;
    }

    #[inline]
    pub(super) fn push(&mut self, remainder: u64) {
        self.sum = self.sum.saturating_add(remainder);
        self.numbers.push(remainder);
    }

    pub(super) fn sum(&self) -> u64 {
        self.sum
    }

    pub(super) fn numbers(&self) -> &[u64] {
        &self.numbers
    }

    /// Computes the remainders of all numbers after the first.
    pub(super) fn fill(&mut self, values: &[i64], order: Order, totals: &Totals) {
        self.clear();
        self.sum = totals.sums[order as usize];
        let Some((head, rest)) = values.split_first() else { return };
        match order {
            Order::First => self.numbers.extend(rest.iter().map(|value| zigzag::encode(value.wrapping_sub(*head)))),
            Order::Previous => self
                .numbers
                .extend(rest.iter().zip(values).map(|(value, previous)| zigzag::encode(value.wrapping_sub(*previous)))),
            Order::Line => {
                let first = rest.first().map_or(0, |second| zigzag::encode(second.wrapping_sub(*head)));
                self.sum = self.sum.saturating_sub(first);
                self.first = Some(first);
                self.numbers.extend(values.windows(3).map(|three| {
                    let step = three[1].wrapping_sub(three[0]);
                    zigzag::encode(three[2].wrapping_sub(three[1]).wrapping_sub(step))
                }));
            }
        }
    }

    /// Computes the remainders of all numbers after the first, if they are proportional to `reference`.
    pub(super) fn fill_proportional(&mut self, values: &[i64], reference: &[i64]) {
        self.clear();
        let mut ratio = Ratio::default();
        let mut previous = None;
        for (value, other) in values.iter().zip(reference) {
            if let Some(previous) = previous {
                self.push(zigzag::encode(value.wrapping_sub(ratio.predict(*other, previous))));
            }
            ratio.add(*other, *value);
            previous = Some(*value);
        }
    }

    /// Returns the best code with a parameter of at most `max`.
    pub(super) fn code(&self, max: u32) -> RiceCode {
        let code = RiceCode::best_for(&self.numbers, self.sum, max);
        let first = self.first.map_or(0, |first| rice::golomb_code_bits(first, code.k));
        RiceCode { bits: code.bits + u64::from(first), ..code }
    }

    /// Writes the parameter and the codes.
    pub(super) fn write(&self, bits: &mut BitWriter, code: RiceCode) {
        rice::write_parameter(bits, code.k);
        if let Some(first) = self.first {
            rice::write_golomb(bits, first, code.k);
        }
        rice::write_each(bits, &self.numbers, code.k);
    }
}

/// Reads the numbers after the first: `rest`, which is not empty.
pub(super) fn read(bits: &mut BitReader<'_>, head: i64, rest: &mut [i64], order: Order) -> Result<(), DecodeError> {
    let k = rice::read_parameter(bits)?;
    let (mut value, mut step) = (head, 0_i64);
    match order {
        Order::First => rice::read_each(bits, k, rest, |code| head.wrapping_add(zigzag::decode(code))),
        Order::Previous => rice::read_each(bits, k, rest, |code| {
            value = value.wrapping_add(zigzag::decode(code));
            value
        }),
        Order::Line => {
            let mut next = |code| {
                step = step.wrapping_add(zigzag::decode(code));
                value = value.wrapping_add(step);
                value
            };
            let Some((second, others)) = rest.split_first_mut() else { return Ok(()) };
            *second = next(rice::read_golomb(bits, k)?);
            rice::read_each(bits, k, others, next)
        }
    }
}
