//! Accepts columns of readings that were sent in columns.

use crate::accept::check_text;
use crate::{
    Column, Datatype, POSITION, Presence, Resolution, Samples, SignalDef, SignalPath, SignalRejection, Values, accept_value,
};

/// The largest point of a grid that is accepted as it is: [`Resolution::grid`] returns no larger one.
const MAX_POINT: u64 = 1 << 51;

/// A rejected value of samples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedValue {
    /// The row of the sample.
    pub row: usize,
    /// The signal.
    pub path: SignalPath,
    /// The reason.
    pub reason: SignalRejection,
}

/// Validates samples that were sent in columns against the catalogue, and rounds their values. The result for each value is that
/// of [`accept`](crate::accept) for its JSON. Latitude and longitude are rejected where both are 0.
///
/// Returns `None` if every value is accepted unchanged. Otherwise returns the accepted values, of which samples may remain
/// without one, and the rejected ones, in no particular order. A column whose values are all valid and rounded already is not
/// changed, which its smallest and its largest value show.
pub fn accept_samples(samples: &Samples) -> Option<(Samples, Vec<RejectedValue>)> {
    if are_accepted(samples) {
        return None;
    }
    let mut rejected = Vec::new();
    let rows = samples.len();
    let columns = samples.columns().iter().filter_map(|column| accept_column(column.clone(), rows, &mut rejected)).collect();
    let mut accepted = Samples::new(samples.times().to_vec(), columns);
    // A number that is rounded to 0 counts, too.
    let null_positions = null_positions(&accepted);
    if !null_positions.is_empty() {
        let is_coordinate = |path: &SignalPath| POSITION.contains(&path.as_str());
        accepted.remove_values(|path, row| {
            let is_removed = is_coordinate(path) && null_positions.binary_search(&row).is_ok();
            if is_removed {
                rejected.push(RejectedValue { row, path: path.clone(), reason: SignalRejection::NullPosition });
            }
            is_removed
        });
    }
    Some((accepted, rejected))
}

/// Returns the accepted part of a column; `None` if no value is accepted.
fn accept_column(column: Column, rows: usize, rejected: &mut Vec<RejectedValue>) -> Option<Column> {
    if is_accepted(&column.path, &column.values) {
        return Some(column);
    }
    let (mut present, mut accepted) = (vec![false; rows], Vec::with_capacity(column.values.len()));
    for ((row, _), value) in column.rows(rows).zip(column.values.iter()) {
        match accept_value(&column.path, &value) {
            Ok(value) => {
                present[row] = true;
                accepted.push(value);
            }
            Err(reason) => rejected.push(RejectedValue { row, path: column.path.clone(), reason }),
        }
    }
    let (path, presence) = (column.path, Presence::from_flags(present));
    (!accepted.is_empty()).then(|| Column { values: Values::new(&path, accepted), presence, path })
}

/// Whether all values of samples are accepted unchanged: valid, rounded, and no position of zeros. If in doubt, returns false.
pub fn are_accepted(samples: &Samples) -> bool {
    samples.columns().iter().all(|column| is_accepted(&column.path, &column.values)) && null_positions(samples).is_empty()
}

/// Whether every value is accepted unchanged. If in doubt, returns false.
fn is_accepted(path: &SignalPath, values: &Values) -> bool {
    match (path.def(), values) {
        (Some(def), Values::Grid { resolution, points }) => are_points_accepted(def, *resolution, points),
        (Some(def), Values::Numbers(numbers)) => {
            let keeps_numbers = def.is_number() && def.resolution.is_none() && !def.datatype.is_integer();
            keeps_numbers && numbers.iter().all(|v| def.contains(*v) && is_normal(*v))
        }
        (Some(def), Values::Bools(_)) => def.datatype == Datatype::Boolean && !def.is_array,
        (Some(def), Values::Texts { dictionary, .. }) => {
            let is_text = def.datatype == Datatype::String && !def.is_array;
            is_text && dictionary.iter().all(|text| check_text(text).is_ok() && def.allows(text))
        }
        (None, Values::Grid { .. } | Values::Bools(_)) => true,
        (None, Values::Numbers(numbers)) => numbers.iter().all(|v| is_normal(*v)),
        (None, Values::Texts { dictionary, .. }) => dictionary.iter().all(|text| check_text(text).is_ok()),
        (_, Values::Any(_)) => false,
    }
}

/// Whether a number is finite and not -0.0.
fn is_normal(v: f64) -> bool {
    v.is_finite() && v.to_bits() != (-0.0_f64).to_bits()
}

/// Whether all points are on the grid of the signal and within its range: the smallest and the largest one are.
fn are_points_accepted(def: &SignalDef, resolution: Resolution, points: &[i64]) -> bool {
    let is_integer = resolution.decimals() == 0;
    if !def.is_number() || def.resolution.is_some_and(|grid| grid != resolution) || def.datatype.is_integer() && !is_integer
    {
        return false;
    }
    let Some(first) = points.first() else { return true };
    let (min, max) = points.iter().fold((*first, *first), |(min, max), point| (min.min(*point), max.max(*point)));
    [min, max].into_iter().all(|point| point.unsigned_abs() <= MAX_POINT && def.contains(resolution.value(point)))
}

/// Returns the rows whose latitude and longitude are both exactly 0.
///
/// A receiver without a position fix reports 0, 0. A single coordinate can be 0, on the equator or the prime meridian, so
/// only the pair is invalid.
fn null_positions(samples: &Samples) -> Vec<usize> {
    let [Some(latitude), Some(longitude)] = POSITION.map(|path| samples.column(path)) else { return Vec::new() };
    let zeros = |column: &Column| -> Vec<usize> {
        let is_zero = |(_, index): &(usize, usize)| column.values.number(*index) == Some(0.0);
        if !column.values.may_contain_zero() {
            return Vec::new();
        }
        column.rows(samples.len()).filter(is_zero).map(|(row, _)| row).collect()
    };
    let mut rows = zeros(latitude);
    if !rows.is_empty() {
        let other = zeros(longitude);
        rows.retain(|row| other.binary_search(row).is_ok());
    }
    rows
}
