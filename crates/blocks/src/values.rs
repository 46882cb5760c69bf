//! The values of one signal.

mod encoding;
mod grid;

use roadcast_signals::{Resolution, SignalPath, Value};

use crate::{EncodeError, limits};
use grid::{catalogue_resolution, first_value_of};

pub(crate) use encoding::NUMBER_BYTES;

/// The values of one signal, in the order of the samples that have it.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Numbers on a grid, as grid points.
    Grid {
        /// The grid.
        resolution: Resolution,
        /// The index of each grid point: the value divided by the resolution.
        points: Vec<i64>,
    },
    /// Numbers, of which at least one is not on the grid.
    Numbers(Vec<f64>),
    /// Booleans.
    Bools(Vec<bool>),
    /// Texts.
    Texts {
        /// The distinct texts, in the order of their first occurrence.
        dictionary: Vec<Box<str>>,
        /// The index of each value in the dictionary.
        indices: Vec<u32>,
    },
    /// Lists, or values of several types.
    Any(Vec<Value>),
}

/// Numbers of signals without a resolution in the catalogue are tried on grids of up to this number of decimals.
const MAX_GUESSED_DECIMALS: u8 = 4;

impl Values {
    pub(crate) fn of(path: &SignalPath, values: &[&Value]) -> Self {
        Self::numbers(path, values)
            .or_else(|| values.iter().map(|value| value.as_bool()).collect::<Option<_>>().map(Self::Bools))
            .or_else(|| Self::texts(values))
            .unwrap_or_else(|| Self::Any(values.iter().map(|value| (*value).clone()).collect()))
    }

    fn numbers(path: &SignalPath, values: &[&Value]) -> Option<Self> {
        let numbers = || values.iter().map(|value| value.as_number());
        let on_grid = |resolution: Resolution| {
            let point =
                |number: f64| resolution.grid(number).filter(|point| resolution.value(*point).to_bits() == number.to_bits());
            let points = numbers().map(|number| number.and_then(point)).collect::<Option<Vec<i64>>>()?;
            // Any point can become the first one when others are removed.
            let first = first_value_of(path, resolution);
            points.iter().all(|point| first.can_write(*point)).then_some(Self::Grid { resolution, points })
        };
        // The first value excludes most columns without numbers early.
        values.first()?.as_number()?;
        let grid = match catalogue_resolution(path) {
            Some(resolution) => on_grid(resolution),
            None => (0..=MAX_GUESSED_DECIMALS).filter_map(Resolution::from_decimals).find_map(on_grid),
        };
        grid.or_else(|| numbers().collect::<Option<_>>().map(Self::Numbers))
    }

    fn texts(values: &[&Value]) -> Option<Self> {
        let mut dictionary: Vec<Box<str>> = Vec::new();
        let mut index_of = std::collections::HashMap::new();
        let mut indices = Vec::with_capacity(values.len());
        for value in values {
            let text = value.as_text()?;
            let index = *index_of.entry(text).or_insert_with(|| {
                dictionary.push(text.into());
                dictionary.len() as u32 - 1
            });
            indices.push(index);
        }
        Some(Self::Texts { dictionary, indices })
    }

    /// Returns the number of values.
    pub fn len(&self) -> usize {
        match self {
            Self::Grid { points, .. } => points.len(),
            Self::Numbers(numbers) => numbers.len(),
            Self::Bools(bools) => bools.len(),
            Self::Texts { indices, .. } => indices.len(),
            Self::Any(values) => values.len(),
        }
    }

    /// Returns whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the value at `index`.
    pub fn get(&self, index: usize) -> Option<Value> {
        match self {
            Self::Grid { resolution, points } => points.get(index).map(|point| Value::Number(resolution.value(*point))),
            Self::Numbers(numbers) => numbers.get(index).map(|number| Value::Number(*number)),
            Self::Bools(bools) => bools.get(index).map(|bool| Value::Bool(*bool)),
            Self::Texts { dictionary, indices } => {
                let text = dictionary.get(*indices.get(index)? as usize)?;
                Some(Value::Text(text.clone()))
            }
            Self::Any(values) => values.get(index).cloned(),
        }
    }

    /// Returns the bytes of the texts of all values.
    pub(crate) fn text_bytes(&self) -> usize {
        let of = |value: &Value| match value {
            Value::Text(text) => text.len(),
            Value::List(list) => list.iter().filter_map(Value::as_text).map(str::len).sum(),
            Value::Bool(_) | Value::Number(_) => 0,
        };
        match self {
            Self::Texts { dictionary, indices } => indices.iter().map(|index| dictionary[*index as usize].len()).sum(),
            Self::Any(values) => values.iter().map(of).sum(),
            Self::Grid { .. } | Self::Numbers(_) | Self::Bools(_) => 0,
        }
    }

    /// Returns the size of the values as rows: [`VALUE_BYTES`](crate::limits::VALUE_BYTES) per value and per entry of a
    /// list, plus the bytes of texts.
    pub(crate) fn unpacked_bytes(&self) -> usize {
        let entries = |value: &Value| if let Value::List(list) = value { list.len() } else { 0 };
        let listed: usize = if let Self::Any(values) = self { values.iter().map(entries).sum() } else { 0 };
        (self.len() + listed) * limits::VALUE_BYTES + self.text_bytes()
    }

    /// Checks that each text and list is within the limits of a reader.
    pub(crate) fn check_limits(&self) -> Result<(), EncodeError> {
        match self {
            Self::Texts { dictionary, .. } => dictionary.iter().try_for_each(|text| check_text(text)),
            Self::Any(values) => values.iter().try_for_each(check_any),
            Self::Grid { .. } | Self::Numbers(_) | Self::Bools(_) => Ok(()),
        }
    }
}

fn check_text(text: &str) -> Result<(), EncodeError> {
    limits::check_encoded(text.len(), limits::TEXT, "bytes of a text")
}

fn check_any(value: &Value) -> Result<(), EncodeError> {
    match value {
        Value::Bool(_) | Value::Number(_) => Ok(()),
        Value::Text(text) => check_text(text),
        Value::List(list) => {
            limits::check_encoded(list.len(), limits::LIST, "entries of a list")?;
            list.iter().try_for_each(check_any)
        }
    }
}
