use std::collections::HashMap;
use std::ops::Range;

use serde::{Serialize, Serializer};

use crate::{Resolution, SignalPath, Value};

/// Numbers of signals without a resolution in the catalogue are tried on grids of up to this number of decimals.
const MAX_GUESSED_DECIMALS: u8 = 4;

/// The values of one signal, in the order of the samples that have it.
///
/// Two columns are equal if their values are, whatever their representation.
#[derive(Clone, Debug)]
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

impl Values {
    /// Creates the values of a signal, in the most compact representation.
    pub fn new(path: &SignalPath, values: Vec<Value>) -> Self {
        if let Some(numbers) = values.iter().map(Value::as_number).collect() {
            return Self::of_numbers(path, numbers);
        }
        if let Some(bools) = values.iter().map(Value::as_bool).collect() {
            return Self::Bools(bools);
        }
        Self::of_texts(&values).unwrap_or(Self::Any(values))
    }

    /// Creates the values of a signal from numbers: on the grid of the catalogue, or without one on the coarsest that has
    /// all of them, if any has.
    pub fn of_numbers(path: &SignalPath, numbers: Vec<f64>) -> Self {
        let on_grid = |resolution: Resolution| {
            let points = numbers.iter().map(|number| resolution.exact_grid(*number)).collect::<Option<Vec<i64>>>()?;
            Some(Self::Grid { resolution, points })
        };
        let grid = match path.def().and_then(|def| def.resolution) {
            Some(resolution) => on_grid(resolution),
            None => (0..=MAX_GUESSED_DECIMALS).filter_map(Resolution::from_decimals).find_map(on_grid),
        };
        grid.unwrap_or(Self::Numbers(numbers))
    }

    #[allow(clippy::cast_possible_truncation)] // a column never has 2^32 texts
    fn of_texts(values: &[Value]) -> Option<Self> {
        let mut dictionary: Vec<Box<str>> = Vec::new();
        let mut index_of = HashMap::new();
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
            Self::Grid { .. } | Self::Numbers(_) => self.number(index).map(Value::Number),
            Self::Bools(bools) => bools.get(index).map(|bool| Value::Bool(*bool)),
            Self::Texts { .. } => self.text(index).map(Value::from),
            Self::Any(values) => values.get(index).cloned(),
        }
    }

    /// Returns the number at `index`; `None` for a value of another type.
    pub fn number(&self, index: usize) -> Option<f64> {
        match self {
            Self::Grid { resolution, points } => points.get(index).map(|point| resolution.value(*point)),
            Self::Numbers(numbers) => numbers.get(index).copied(),
            Self::Any(values) => values.get(index).and_then(Value::as_number),
            Self::Bools(_) | Self::Texts { .. } => None,
        }
    }

    /// Whether a number may be 0.
    pub(crate) fn may_contain_zero(&self) -> bool {
        match self {
            Self::Grid { points, .. } => points.contains(&0),
            Self::Numbers(_) | Self::Any(_) => true,
            Self::Bools(_) | Self::Texts { .. } => false,
        }
    }

    fn text(&self, index: usize) -> Option<&str> {
        let Self::Texts { dictionary, indices } = self else { return None };
        dictionary.get(*indices.get(index)? as usize).map(|text| &**text)
    }

    /// Returns all values, in order.
    pub fn iter(&self) -> impl Iterator<Item = Value> {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    /// Returns the values of a range.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Self {
        match self {
            Self::Grid { resolution, points } => {
                Self::Grid { resolution: *resolution, points: points.get(range).unwrap_or_default().to_vec() }
            }
            Self::Numbers(numbers) => Self::Numbers(numbers.get(range).unwrap_or_default().to_vec()),
            Self::Bools(bools) => Self::Bools(bools.get(range).unwrap_or_default().to_vec()),
            Self::Texts { dictionary, indices } => texts_of(dictionary, indices.get(range).unwrap_or_default()),
            Self::Any(values) => Self::Any(values.get(range).unwrap_or_default().to_vec()),
        }
    }

    /// Retains the values whose flag is set. Values beyond the flags are removed.
    pub(crate) fn retain(&mut self, flags: &[bool]) {
        let mut flags = flags.iter().copied();
        let mut is_retained = || flags.next().unwrap_or_default();
        match self {
            Self::Grid { points, .. } => points.retain(|_| is_retained()),
            Self::Numbers(numbers) => numbers.retain(|_| is_retained()),
            Self::Bools(bools) => bools.retain(|_| is_retained()),
            Self::Texts { dictionary, indices } => {
                indices.retain(|_| is_retained());
                *self = texts_of(dictionary, indices);
            }
            Self::Any(values) => values.retain(|_| is_retained()),
        }
    }

    /// Joins the values of parts of a column.
    pub(crate) fn concat(path: &SignalPath, parts: &[&Self]) -> Self {
        fn joined<'v, T: Clone + 'v>(parts: &[&'v Values], of: impl Fn(&'v Values) -> Option<&'v [T]>) -> Option<Vec<T>> {
            let mut all = Vec::with_capacity(parts.iter().map(|part| part.len()).sum());
            for part in parts {
                all.extend_from_slice(of(part)?);
            }
            Some(all)
        }
        let same = match parts.first() {
            Some(Self::Grid { resolution, .. }) => joined(parts, |part| match part {
                Self::Grid { resolution: other, points } if other == resolution => Some(points),
                _ => None,
            })
            .map(|points| Self::Grid { resolution: *resolution, points }),
            Some(Self::Numbers(_)) => joined(parts, |part| match part {
                Self::Numbers(numbers) => Some(numbers),
                _ => None,
            })
            .map(Self::Numbers),
            Some(Self::Bools(_)) => joined(parts, |part| match part {
                Self::Bools(bools) => Some(bools),
                _ => None,
            })
            .map(Self::Bools),
            _ => None,
        };
        same.unwrap_or_else(|| Self::new(path, parts.iter().flat_map(|part| part.iter()).collect()))
    }

    /// Returns the bytes of the texts of all values.
    pub fn text_bytes(&self) -> usize {
        let of = |value: &Value| match value {
            Value::Text(text) => text.len(),
            Value::List(list) => list.iter().filter_map(Value::as_text).map(str::len).sum(),
            Value::Bool(_) | Value::Number(_) => 0,
        };
        match self {
            Self::Texts { dictionary, indices } => {
                indices.iter().filter_map(|index| dictionary.get(*index as usize)).map(|text| text.len()).sum()
            }
            Self::Any(values) => values.iter().map(of).sum(),
            Self::Grid { .. } | Self::Numbers(_) | Self::Bools(_) => 0,
        }
    }

    /// Returns the number of values and of entries of lists.
    pub fn count_with_entries(&self) -> usize {
        let entries = |value: &Value| if let Value::List(list) = value { list.len() } else { 0 };
        let listed: usize = if let Self::Any(values) = self { values.iter().map(entries).sum() } else { 0 };
        self.len() + listed
    }

    /// Writes the value at `index`, which must exist.
    pub(crate) fn serialize_at<S: Serializer>(&self, index: usize, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Texts { .. } => self.text(index).serialize(serializer),
            Self::Any(values) => values.get(index).serialize(serializer),
            Self::Grid { .. } | Self::Numbers(_) | Self::Bools(_) => self.get(index).serialize(serializer),
        }
    }
}

/// Returns texts without those of the dictionary that no index refers to.
#[allow(clippy::cast_possible_truncation)] // not longer than the dictionary
fn texts_of(dictionary: &[Box<str>], indices: &[u32]) -> Values {
    let mut new_index: Vec<Option<u32>> = vec![None; dictionary.len()];
    let mut used = Vec::new();
    let mut renumber = |index: &u32| {
        let text = dictionary.get(*index as usize)?;
        let new = new_index.get_mut(*index as usize)?;
        Some(*new.get_or_insert_with(|| {
            used.push(text.clone());
            used.len() as u32 - 1
        }))
    };
    let indices = indices.iter().filter_map(&mut renumber).collect();
    Values::Texts { dictionary: used, indices }
}

impl PartialEq for Values {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Grid { resolution: a, points }, Self::Grid { resolution: b, points: other }) if a == b => points == other,
            (Self::Numbers(numbers), Self::Numbers(other)) => numbers == other,
            (Self::Bools(bools), Self::Bools(other)) => bools == other,
            _ => self.len() == other.len() && self.iter().eq(other.iter()),
        }
    }
}
