//! The values of one signal.

use std::sync::LazyLock;

use roadcast_signals::{Catalogue, Resolution, SignalDef, SignalPath, Value};

use crate::bits::{BitReader, BitWriter};
use crate::ints::{self, First};
use crate::{DecodeError, EncodeError, limits};

/// The values of one signal, in the order of the samples that have it.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Numbers on a grid, as its points.
    Grid {
        /// The grid.
        resolution: Resolution,
        /// Whole steps from zero.
        points: Vec<i64>,
    },
    /// Numbers of which some are on no grid.
    Numbers(Vec<f64>),
    /// Booleans.
    Bools(Vec<bool>),
    /// Texts.
    Texts {
        /// Each different text once, in the order of appearance.
        dictionary: Vec<Box<str>>,
        /// Each value's place there.
        places: Vec<u32>,
    },
    /// Lists, or values of several kinds.
    Any(Vec<Value>),
}

impl Values {
    pub(crate) fn of(path: &SignalPath, values: &[&Value]) -> Self {
        Self::numbers(path, values)
            .or_else(|| values.iter().map(|value| value.as_bool()).collect::<Option<_>>().map(Self::Bools))
            .or_else(|| Self::texts(values))
            .unwrap_or_else(|| Self::Any(values.iter().map(|value| (*value).clone()).collect()))
    }

    fn numbers(path: &SignalPath, values: &[&Value]) -> Option<Self> {
        // The first value tells most columns that hold no numbers at once.
        let numbers = || values.iter().map(|value| value.as_number());
        let on_grid = |resolution: Resolution| {
            let point =
                |number: f64| resolution.grid(number).filter(|point| resolution.value(*point).to_bits() == number.to_bits());
            let points = numbers().map(|number| number.and_then(point)).collect::<Option<Vec<i64>>>()?;
            // Any of them may come first, when others are left out.
            let first = first_of(path, resolution);
            points.iter().all(|point| first.holds(*point)).then_some(Self::Grid { resolution, points })
        };
        values.first()?.as_number()?;
        let grid = match path.def().and_then(|def| def.resolution) {
            Some(resolution) => on_grid(resolution),
            None => (0..=GUESSED_DECIMALS).filter_map(Resolution::from_decimals).find_map(on_grid),
        };
        grid.or_else(|| numbers().collect::<Option<_>>().map(Self::Numbers))
    }

    fn texts(values: &[&Value]) -> Option<Self> {
        let mut dictionary: Vec<Box<str>> = Vec::new();
        let mut known = std::collections::HashMap::new();
        let mut places = Vec::with_capacity(values.len());
        for value in values {
            let text = value.as_text()?;
            let place = *known.entry(text).or_insert_with(|| {
                dictionary.push(text.into());
                dictionary.len() as u32 - 1
            });
            places.push(place);
        }
        Some(Self::Texts { dictionary, places })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Grid { points, .. } => points.len(),
            Self::Numbers(numbers) => numbers.len(),
            Self::Bools(bools) => bools.len(),
            Self::Texts { places, .. } => places.len(),
            Self::Any(values) => values.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value at that place.
    pub fn get(&self, place: usize) -> Option<Value> {
        match self {
            Self::Grid { resolution, points } => points.get(place).map(|point| Value::Number(resolution.value(*point))),
            Self::Numbers(numbers) => numbers.get(place).map(|number| Value::Number(*number)),
            Self::Bools(bools) => bools.get(place).map(|bool| Value::Bool(*bool)),
            Self::Texts { dictionary, places } => {
                let text = dictionary.get(*places.get(place)? as usize)?;
                Some(Value::Text(text.clone()))
            }
            Self::Any(values) => values.get(place).cloned(),
        }
    }

    /// Bytes of the texts of all values.
    pub(crate) fn text_bytes(&self) -> usize {
        let of = |value: &Value| match value {
            Value::Text(text) => text.len(),
            Value::List(list) => list.iter().filter_map(Value::as_text).map(str::len).sum(),
            Value::Bool(_) | Value::Number(_) => 0,
        };
        match self {
            Self::Texts { dictionary, places } => places.iter().map(|place| dictionary[*place as usize].len()).sum(),
            Self::Any(values) => values.iter().map(of).sum(),
            Self::Grid { .. } | Self::Numbers(_) | Self::Bools(_) => 0,
        }
    }

    /// Bytes that they take as rows: [`VALUE_BYTES`](crate::limits::VALUE_BYTES) each, entries of lists too, and texts besides.
    pub(crate) fn unpacked_bytes(&self) -> usize {
        let entries = |value: &Value| if let Value::List(list) = value { list.len() } else { 0 };
        let listed: usize = if let Self::Any(values) = self { values.iter().map(entries).sum() } else { 0 };
        (self.len() + listed) * limits::VALUE_BYTES + self.text_bytes()
    }

    /// Whether each text and list is as short as a reader asks for.
    pub(crate) fn check(&self) -> Result<(), EncodeError> {
        match self {
            Self::Texts { dictionary, .. } => dictionary.iter().try_for_each(|text| check_text(text)),
            Self::Any(values) => values.iter().try_for_each(check_any),
            Self::Grid { .. } | Self::Numbers(_) | Self::Bools(_) => Ok(()),
        }
    }

    /// Bytes that they never take more than.
    pub(crate) fn most_bytes(&self) -> usize {
        let any = |value: &Value| match value {
            Value::List(list) => NUMBER_BYTES * (1 + list.len()),
            Value::Bool(_) | Value::Number(_) | Value::Text(_) => NUMBER_BYTES,
        };
        let all = match self {
            Self::Grid { .. } | Self::Numbers(_) | Self::Bools(_) => NUMBER_BYTES * self.len(),
            Self::Texts { dictionary, places } => NUMBER_BYTES * (dictionary.len() + places.len()),
            Self::Any(values) => values.iter().map(any).sum(),
        };
        // The kind, how many texts, the form of the sequence.
        2 * NUMBER_BYTES + all + self.text_bytes()
    }

    /// The values of a signal that was written by its path, which the catalogue may have learnt since.
    pub(crate) fn take_by_path(bits: &mut BitReader<'_>, path: &SignalPath, count: usize) -> Result<Self, DecodeError> {
        let values = Self::take(bits, &SignalPath::Unknown(path.as_str().into()), count)?;
        if path.def().is_none() {
            return Ok(values);
        }
        let values: Vec<Value> = (0..count).filter_map(|place| values.get(place)).collect();
        Ok(Self::of(path, &values.iter().collect::<Vec<_>>()))
    }

    pub(crate) fn put(&self, bits: &mut BitWriter, path: &SignalPath) {
        match self {
            Self::Grid { resolution, points } => {
                bits.put(GRID, 1);
                if usual_resolution(path).is_none() {
                    bits.put(u64::from(resolution.decimals()), DECIMALS_BITS);
                }
                ints::put(bits, points, first_of(path, *resolution));
            }
            Self::Numbers(numbers) => {
                bits.put(NUMBERS, KIND_BITS);
                put_numbers(bits, numbers);
            }
            Self::Bools(bools) => {
                bits.put(BOOLS, KIND_BITS);
                let points: Vec<i64> = bools.iter().map(|bool| i64::from(*bool)).collect();
                ints::put(bits, &points, First::within(0, 1));
            }
            Self::Texts { dictionary, places } => {
                bits.put(TEXTS, KIND_BITS);
                bits.put_golomb(dictionary.len() as u64, 0);
                for text in dictionary {
                    put_text(bits, text);
                }
                let points: Vec<i64> = places.iter().map(|place| i64::from(*place)).collect();
                ints::put(bits, &points, First::Unsigned);
            }
            Self::Any(values) => {
                bits.put(ANY, KIND_BITS);
                for value in values {
                    put_any(bits, value);
                }
            }
        }
    }

    pub(crate) fn take(bits: &mut BitReader<'_>, path: &SignalPath, count: usize) -> Result<Self, DecodeError> {
        if bits.take(1)? == GRID {
            let resolution = match usual_resolution(path) {
                Some(resolution) => resolution,
                None => Resolution::from_decimals(bits.take(DECIMALS_BITS)? as u8).ok_or(DecodeError::Malformed)?,
            };
            let points = ints::take(bits, count, first_of(path, resolution))?;
            return Ok(Self::Grid { resolution, points });
        }
        match bits.take(KIND_BITS - 1)? << 1 | 1 {
            NUMBERS => take_numbers(bits, count).map(Self::Numbers),
            BOOLS => {
                Ok(Self::Bools(ints::take(bits, count, First::within(0, 1))?.into_iter().map(|one| one != 0).collect()))
            }
            TEXTS => take_texts(bits, count),
            _ => (0..count).map(|_| take_any(bits, 0)).collect::<Result<_, _>>().map(Self::Any),
        }
    }
}

/// The lowest bit is 0 for grids, which nearly all columns are.
const GRID: u64 = 0;
const NUMBERS: u64 = 0b001;
const BOOLS: u64 = 0b011;
const TEXTS: u64 = 0b101;
const ANY: u64 = 0b111;
const KIND_BITS: u32 = 3;
/// Signals that the catalogue gives no grid may lie on one all the same.
const GUESSED_DECIMALS: u8 = 4;
const DECIMALS_BITS: u32 = 4;

/// The longest code of a first number. Those after it take eight bytes at most, packed; a double takes ten, a text's length three.
pub(crate) const NUMBER_BYTES: usize = 14;

fn usual_resolution(path: &SignalPath) -> Option<Resolution> {
    path.def().and_then(|def| def.resolution)
}

/// How the first point is written: what the catalogue says of the signal's range saves bits in every block.
fn first_of(path: &SignalPath, resolution: Resolution) -> First {
    let Some(def) = path.def() else { return First::Signed };
    let usual = if def.resolution == Some(resolution) { FIRSTS.get(usize::from(def.number)) } else { None };
    usual.copied().unwrap_or_else(|| first_within(def, resolution))
}

/// By number, on the grids that the catalogue gives: every column asks, so the answers are kept.
static FIRSTS: LazyLock<Box<[First]>> = LazyLock::new(|| {
    let first = |def: &SignalDef| def.resolution.map_or(First::Signed, |resolution| first_within(def, resolution));
    // There is no signal 0.
    std::iter::once(First::Signed).chain(Catalogue::get().iter().map(first)).collect()
});

fn first_within(def: &SignalDef, resolution: Resolution) -> First {
    let point = |end: Option<f64>| end.and_then(|end| resolution.grid(end));
    match (point(def.min), point(def.max)) {
        (Some(min), Some(max)) if max.abs_diff(min) < 1 << 32 => First::within(min, max),
        (Some(min), _) if min >= 0 => First::Unsigned,
        _ => First::Signed,
    }
}

/// Each as what it differs in from the one before: the bits between the first and the last that differ.
fn put_numbers(bits: &mut BitWriter, numbers: &[f64]) {
    let mut before = 0_u64;
    for number in numbers {
        let now = number.to_bits();
        let differs = now ^ before;
        bits.put_bit(differs != 0);
        if differs != 0 {
            let (high, low) = (differs.leading_zeros(), differs.trailing_zeros());
            bits.put(u64::from(high), 6);
            bits.put(u64::from(low), 6);
            bits.put(differs >> low, 64 - high - low);
        }
        before = now;
    }
}

fn take_numbers(bits: &mut BitReader<'_>, count: usize) -> Result<Vec<f64>, DecodeError> {
    let mut before = 0_u64;
    let mut numbers = Vec::with_capacity(count);
    for _ in 0..count {
        if bits.take_bit()? {
            let (high, low) = (bits.take(6)? as u32, bits.take(6)? as u32);
            let width = 64_u32.checked_sub(high + low).ok_or(DecodeError::Malformed)?;
            before ^= bits.take(width)? << low;
        }
        let number = f64::from_bits(before);
        // No reading is infinite or not a number, so no writer says so.
        numbers.push(if number.is_finite() { number } else { return Err(DecodeError::Malformed) });
    }
    Ok(numbers)
}

fn check_text(text: &str) -> Result<(), EncodeError> {
    limits::to_encode(text.len(), limits::TEXT, "bytes of a text")
}

fn check_any(value: &Value) -> Result<(), EncodeError> {
    match value {
        Value::Bool(_) | Value::Number(_) => Ok(()),
        Value::Text(text) => check_text(text),
        Value::List(list) => {
            limits::to_encode(list.len(), limits::LIST, "entries of a list")?;
            list.iter().try_for_each(check_any)
        }
    }
}

pub(crate) fn put_text(bits: &mut BitWriter, text: &str) {
    bits.put_golomb(text.len() as u64, 3);
    text.bytes().for_each(|byte| bits.put(u64::from(byte), 8));
}

pub(crate) fn take_text(bits: &mut BitReader<'_>) -> Result<Box<str>, DecodeError> {
    let length = limits::to_decode(bits.take_golomb(3)?, limits::TEXT, "bytes of a text")?;
    if bits.left() < length * 8 {
        return Err(DecodeError::TooShort);
    }
    let bytes = (0..length).map(|_| bits.take(8).map(|byte| byte as u8)).collect::<Result<Vec<u8>, _>>()?;
    String::from_utf8(bytes).map(String::into_boxed_str).map_err(|_| DecodeError::Malformed)
}

fn take_texts(bits: &mut BitReader<'_>, count: usize) -> Result<Values, DecodeError> {
    let length = limits::to_decode(bits.take_golomb(0)?, count, "texts")?;
    let dictionary = (0..length).map(|_| take_text(bits)).collect::<Result<Vec<_>, _>>()?;
    let places = ints::take(bits, count, First::Unsigned)?;
    let place = |point: i64| u32::try_from(point).ok().filter(|place| (*place as usize) < length);
    let places = places.into_iter().map(place).collect::<Option<_>>().ok_or(DecodeError::Malformed)?;
    Ok(Values::Texts { dictionary, places })
}

fn put_any(bits: &mut BitWriter, value: &Value) {
    match value {
        Value::Bool(bool) => bits.put(u64::from(*bool) << 2, 3),
        Value::Number(number) => {
            bits.put(1, 2);
            bits.put(number.to_bits(), 64);
        }
        Value::Text(text) => {
            bits.put(2, 2);
            put_text(bits, text);
        }
        Value::List(list) => {
            bits.put(3, 2);
            bits.put_golomb(list.len() as u64, 2);
            for entry in list {
                put_any(bits, entry);
            }
        }
    }
}

fn take_any(bits: &mut BitReader<'_>, depth: u8) -> Result<Value, DecodeError> {
    match bits.take(2)? {
        0 => Ok(Value::Bool(bits.take_bit()?)),
        1 => {
            let number = f64::from_bits(bits.take(64)?);
            if number.is_finite() { Ok(Value::Number(number)) } else { Err(DecodeError::Malformed) }
        }
        2 => take_text(bits).map(Value::Text),
        // A list holds no lists.
        _ if depth > 0 => Err(DecodeError::Malformed),
        _ => {
            let length = limits::to_decode(bits.take_golomb(2)?, limits::LIST, "entries of a list")?;
            (0..length).map(|_| take_any(bits, depth + 1)).collect::<Result<_, _>>().map(Value::List)
        }
    }
}
