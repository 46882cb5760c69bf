//! Encoding of the values of one signal.

use roadcast_signals::{Resolution, SignalPath, Value, Values};

use super::grid::{catalogue_resolution, first_value_of};
use crate::bits::{BitReader, BitWriter};
use crate::limits::DecodedCounts;
use crate::sequence::{self, FirstValue};
use crate::text::{read_text, write_text};
use crate::{DecodeError, limits};

/// The kind of the values. A grid, the kind of nearly all columns, takes one bit; the others take [`KIND_BITS`].
const GRID: u64 = 0;
const NUMBERS: u64 = 0b001;
const BOOLS: u64 = 0b011;
const TEXTS: u64 = 0b101;
const ANY: u64 = 0b111;
const KIND_BITS: u32 = 3;
const DECIMALS_BITS: u32 = 4;

/// Bytes of the longest code of a first number. The following numbers take at most eight bytes (packed), a double ten, the
/// length of a text three.
pub(crate) const NUMBER_BYTES: usize = 14;

/// Returns an upper bound of the encoded size in bytes.
pub(crate) fn max_bytes(values: &Values) -> usize {
    let any = |value: &Value| match value {
        Value::List(list) => NUMBER_BYTES * (1 + list.len()),
        Value::Bool(_) | Value::Number(_) | Value::Text(_) => NUMBER_BYTES,
    };
    let all = match values {
        Values::Grid { .. } | Values::Numbers(_) | Values::Bools(_) => NUMBER_BYTES * values.len(),
        Values::Texts { dictionary, indices } => NUMBER_BYTES * (dictionary.len() + indices.len()),
        Values::Any(values) => values.iter().map(any).sum(),
    };
    // The kind of the values, the number of texts, the form of the sequence.
    2 * NUMBER_BYTES + all + values.text_bytes()
}

/// Reads the values of a signal that was written by its path. If the path was added to the catalogue since, the values
/// are converted to the representation of the catalogue signal.
pub(crate) fn read_by_path(
    bits: &mut BitReader<'_>,
    path: &SignalPath,
    count: usize,
    counts: &mut DecodedCounts,
) -> Result<Values, DecodeError> {
    let values = read(bits, &SignalPath::Unknown(path.as_str().into()), count, counts)?;
    if path.def().is_none() {
        return Ok(values);
    }
    Ok(Values::new(path, values.iter().collect()))
}

pub(crate) fn write(bits: &mut BitWriter, path: &SignalPath, values: &Values) {
    match values {
        Values::Grid { resolution, points } if !is_writable(path, *resolution, points) => {
            bits.write(NUMBERS, KIND_BITS);
            write_numbers(bits, points.iter().map(|point| resolution.value(*point)));
        }
        Values::Grid { resolution, points } => {
            bits.write(GRID, 1);
            if catalogue_resolution(path).is_none() {
                bits.write(u64::from(resolution.decimals()), DECIMALS_BITS);
            }
            sequence::write(bits, points, first_value_of(path, *resolution));
        }
        Values::Numbers(numbers) => {
            bits.write(NUMBERS, KIND_BITS);
            write_numbers(bits, numbers.iter().copied());
        }
        Values::Bools(bools) => {
            bits.write(BOOLS, KIND_BITS);
            let points: Vec<i64> = bools.iter().map(|bool| i64::from(*bool)).collect();
            sequence::write(bits, &points, FirstValue::within(0, 1));
        }
        Values::Texts { dictionary, indices } => {
            bits.write(TEXTS, KIND_BITS);
            bits.write_golomb(dictionary.len() as u64, 0);
            for text in dictionary {
                write_text(bits, text);
            }
            let points: Vec<i64> = indices.iter().map(|index| i64::from(*index)).collect();
            sequence::write(bits, &points, FirstValue::Unsigned);
        }
        Values::Any(values) => {
            bits.write(ANY, KIND_BITS);
            for value in values {
                write_any(bits, value);
            }
        }
    }
}

/// Reads `count` values, which are in `counts`. Counts entries of lists and texts before they are read.
pub(crate) fn read(
    bits: &mut BitReader<'_>,
    path: &SignalPath,
    count: usize,
    counts: &mut DecodedCounts,
) -> Result<Values, DecodeError> {
    if bits.read(1)? == GRID {
        let resolution = match catalogue_resolution(path) {
            Some(resolution) => resolution,
            None => Resolution::from_decimals(bits.read(DECIMALS_BITS)? as u8).ok_or(DecodeError::Malformed)?,
        };
        let points = sequence::read(bits, count, first_value_of(path, resolution))?;
        return Ok(Values::Grid { resolution, points });
    }
    match bits.read(KIND_BITS - 1)? << 1 | 1 {
        NUMBERS => read_numbers(bits, count).map(Values::Numbers),
        BOOLS => Ok(Values::Bools(
            sequence::read(bits, count, FirstValue::within(0, 1))?.into_iter().map(|one| one != 0).collect(),
        )),
        TEXTS => read_texts(bits, count, counts),
        _ => {
            let mut values = Vec::with_capacity(count);
            for _ in 0..count {
                values.push(read_any(bits, 0, counts)?);
            }
            Ok(Values::Any(values))
        }
    }
}

/// Whether the points can be written as points of a grid. A signal of the catalogue has one grid, and the first point must be
/// within its range; any point becomes the first one when others are removed.
fn is_writable(path: &SignalPath, resolution: Resolution, points: &[i64]) -> bool {
    let first = first_value_of(path, resolution);
    catalogue_resolution(path).is_none_or(|grid| grid == resolution) && points.iter().all(|point| first.can_write(*point))
}

/// Writes each number as the XOR with the previous one: the bits from the first to the last that differ.
fn write_numbers(bits: &mut BitWriter, numbers: impl Iterator<Item = f64>) {
    let mut previous = 0_u64;
    for number in numbers {
        let now = number.to_bits();
        let differs = now ^ previous;
        bits.write_bit(differs != 0);
        if differs != 0 {
            let (high, low) = (differs.leading_zeros(), differs.trailing_zeros());
            bits.write(u64::from(high), 6);
            bits.write(u64::from(low), 6);
            bits.write(differs >> low, 64 - high - low);
        }
        previous = now;
    }
}

fn read_numbers(bits: &mut BitReader<'_>, count: usize) -> Result<Vec<f64>, DecodeError> {
    let mut previous = 0_u64;
    let mut numbers = Vec::with_capacity(count);
    for _ in 0..count {
        if bits.read_bit()? {
            let (high, low) = (bits.read(6)? as u32, bits.read(6)? as u32);
            let width = 64_u32.checked_sub(high + low).ok_or(DecodeError::Malformed)?;
            previous ^= bits.read(width)? << low;
        }
        let number = f64::from_bits(previous);
        // A correct writer never writes infinity or NaN.
        numbers.push(if number.is_finite() { number } else { return Err(DecodeError::Malformed) });
    }
    Ok(numbers)
}

fn read_texts(bits: &mut BitReader<'_>, count: usize, counts: &mut DecodedCounts) -> Result<Values, DecodeError> {
    let length = limits::check_decoded(bits.read_golomb(0)?, count, "texts")?;
    counts.add_texts(length)?;
    let dictionary = (0..length).map(|_| read_text(bits)).collect::<Result<Vec<_>, _>>()?;
    let points = sequence::read(bits, count, FirstValue::Unsigned)?;
    let index = |point: i64| u32::try_from(point).ok().filter(|index| (*index as usize) < length);
    let indices = points.into_iter().map(index).collect::<Option<_>>().ok_or(DecodeError::Malformed)?;
    Ok(Values::Texts { dictionary, indices })
}

fn write_any(bits: &mut BitWriter, value: &Value) {
    match value {
        Value::Bool(bool) => bits.write(u64::from(*bool) << 2, 3),
        Value::Number(number) => {
            bits.write(1, 2);
            bits.write(number.to_bits(), 64);
        }
        Value::Text(text) => {
            bits.write(2, 2);
            write_text(bits, text);
        }
        Value::List(list) => {
            bits.write(3, 2);
            bits.write_golomb(list.len() as u64, 2);
            for entry in list {
                write_any(bits, entry);
            }
        }
    }
}

fn read_any(bits: &mut BitReader<'_>, depth: u8, counts: &mut DecodedCounts) -> Result<Value, DecodeError> {
    match bits.read(2)? {
        0 => Ok(Value::Bool(bits.read_bit()?)),
        1 => {
            let number = f64::from_bits(bits.read(64)?);
            if number.is_finite() { Ok(Value::Number(number)) } else { Err(DecodeError::Malformed) }
        }
        2 => {
            counts.add_texts(1)?;
            read_text(bits).map(Value::Text)
        }
        // A list must not contain lists.
        _ if depth > 0 => Err(DecodeError::Malformed),
        _ => {
            let length = limits::check_decoded(bits.read_golomb(2)?, limits::LIST, "entries of a list")?;
            counts.add_values(length)?;
            let mut entries = Vec::with_capacity(length);
            for _ in 0..length {
                entries.push(read_any(bits, depth + 1, counts)?);
            }
            Ok(Value::List(entries.into()))
        }
    }
}
