//! Encoding of the values of one signal.

use roadcast_signals::{Column, Resolution, SignalPath, Value, Values};

use super::grid::{catalogue_resolution, first_value_of};
use super::related;
use crate::bits::{BitReader, BitWriter};
use crate::first_value::FirstValue;
use crate::limits::DecodedCounts;
use crate::sequence::{self, SequenceWriter};
use crate::text::{read_text, write_text};
use crate::version::Version;
use crate::{DecodeError, limits};

/// The kind of values that are not points of a grid.
const NUMBERS: u64 = 0;
const BOOLS: u64 = 1;
const TEXTS: u64 = 2;
const ANY: u64 = 3;
const KIND_BITS: u32 = 2;
const DECIMALS_BITS: u32 = 4;

/// Bytes of the longest code of a number: an escaped Rice code has 8 + 105 bits. A double takes ten bytes, the length of a text three.
pub(crate) const NUMBER_BYTES: usize = 15;

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

/// Returns whether the values are written as points of a grid. A signal of the catalogue has one grid, and its first point must
/// be within its range; any point becomes the first one when others are removed.
pub(crate) fn is_on_grid(column: &Column) -> bool {
    let Values::Grid { resolution, points } = &column.values else { return false };
    catalogue_resolution(&column.path).is_none_or(|grid| grid == *resolution)
        && first_value_of(&column.path, *resolution, Version::Two).can_write_all(points)
}

/// Writes the values of signals.
#[derive(Default)]
pub(crate) struct ValuesWriter {
    pub(crate) sequences: SequenceWriter,
}

impl ValuesWriter {
    /// Writes the values of all signals.
    pub(crate) fn write(&mut self, bits: &mut BitWriter, columns: &[Column]) {
        let on_grid: Vec<bool> = columns.iter().map(is_on_grid).collect();
        let all_on_grids = !on_grid.contains(&false);
        bits.write_bit(!all_on_grids);
        for (index, column) in columns.iter().enumerate() {
            let is_on_grid = on_grid[index];
            if !all_on_grids {
                bits.write_bit(!is_on_grid);
            }
            match &column.values {
                Values::Grid { resolution, points } if is_on_grid => {
                    if catalogue_resolution(&column.path).is_none() {
                        bits.write(u64::from(resolution.decimals()), DECIMALS_BITS);
                    }
                    let reference = related::reference(column, &columns[..index], &on_grid);
                    let first = first_value_of(&column.path, *resolution, Version::Two);
                    self.sequences.write(bits, points, first, reference);
                }
                values => self.write_kind(bits, values),
            }
        }
    }

    /// Writes values that are not on a grid: their kind, then the values.
    fn write_kind(&mut self, bits: &mut BitWriter, values: &Values) {
        match values {
            Values::Grid { resolution, points } => {
                bits.write(NUMBERS, KIND_BITS);
                write_numbers(bits, points.iter().map(|point| resolution.value(*point)));
            }
            Values::Numbers(numbers) => {
                bits.write(NUMBERS, KIND_BITS);
                write_numbers(bits, numbers.iter().copied());
            }
            Values::Bools(bools) => {
                bits.write(BOOLS, KIND_BITS);
                let points: Vec<i64> = bools.iter().map(|bool| i64::from(*bool)).collect();
                self.sequences.write(bits, &points, FirstValue::within(0, 1), None);
            }
            Values::Texts { dictionary, indices } => {
                bits.write(TEXTS, KIND_BITS);
                bits.write_golomb(dictionary.len() as u64, 0);
                for text in dictionary {
                    write_text(bits, text);
                }
                let points: Vec<i64> = indices.iter().map(|index| i64::from(*index)).collect();
                self.sequences.write(bits, &points, FirstValue::Unsigned, None);
            }
            Values::Any(values) => {
                bits.write(ANY, KIND_BITS);
                for value in values {
                    write_any(bits, value);
                }
            }
        }
    }
}

/// Reads the values of signals.
pub(crate) struct ValuesReader {
    version: Version,
    /// Whether the values of all signals are points of grids, so that no signal states its kind.
    all_on_grids: bool,
}

impl ValuesReader {
    /// Starts to read the values of all signals.
    pub(crate) fn new(bits: &mut BitReader<'_>, version: Version) -> Result<Self, DecodeError> {
        let all_on_grids = version == Version::Two && !bits.read_bit()?;
        Ok(Self { version, all_on_grids })
    }

    /// Reads the values of a signal that was written by its path. If the path was added to the catalogue since, the values
    /// are converted to the representation of the catalogue signal.
    pub(crate) fn read_by_path(
        &self,
        bits: &mut BitReader<'_>,
        path: &SignalPath,
        count: usize,
        counts: &mut DecodedCounts,
    ) -> Result<Values, DecodeError> {
        let values = self.read(bits, &SignalPath::Unknown(path.as_str().into()), count, counts, &[])?;
        if path.def().is_none() {
            return Ok(values);
        }
        Ok(Values::new(path, values.iter().collect()))
    }

    /// Reads `count` values, which are in `counts`. Counts entries of lists and texts before they are read. `earlier` are the
    /// signals before this one, if it was written by number.
    pub(crate) fn read(
        &self,
        bits: &mut BitReader<'_>,
        path: &SignalPath,
        count: usize,
        counts: &mut DecodedCounts,
        earlier: &[Column],
    ) -> Result<Values, DecodeError> {
        let sequence = |bits: &mut BitReader<'_>, first| sequence::read(bits, self.version, count, first, &[]);
        if self.all_on_grids || !bits.read_bit()? {
            let resolution = match catalogue_resolution(path) {
                Some(resolution) => resolution,
                None => Resolution::from_decimals(bits.read(DECIMALS_BITS)? as u8).ok_or(DecodeError::Malformed)?,
            };
            let first = first_value_of(path, resolution, self.version);
            let points = sequence::read(bits, self.version, count, first, earlier)?;
            return Ok(Values::Grid { resolution, points });
        }
        match bits.read(KIND_BITS)? {
            NUMBERS => read_numbers(bits, count).map(Values::Numbers),
            BOOLS => {
                let points = sequence(bits, FirstValue::within(0, 1))?;
                Ok(Values::Bools(points.into_iter().map(|one| one != 0).collect()))
            }
            TEXTS => {
                let length = limits::check_decoded(bits.read_golomb(0)?, count, "texts")?;
                counts.add_texts(length)?;
                let dictionary = (0..length).map(|_| read_text(bits)).collect::<Result<Vec<_>, _>>()?;
                let index = |point: i64| u32::try_from(point).ok().filter(|index| (*index as usize) < length);
                let points = sequence(bits, FirstValue::Unsigned)?;
                let indices = points.into_iter().map(index).collect::<Option<_>>().ok_or(DecodeError::Malformed)?;
                Ok(Values::Texts { dictionary, indices })
            }
            _ => {
                let mut values = Vec::with_capacity(count);
                for _ in 0..count {
                    values.push(read_any(bits, 0, counts)?);
                }
                Ok(Values::Any(values))
            }
        }
    }
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
