//! The grid of a signal, and how the first grid point of a column is written.

use std::sync::LazyLock;

use roadcast_signals::{Catalogue, Resolution, SignalDef, SignalPath};

use crate::sequence::FirstValue;

/// Returns the resolution of the signal in the catalogue.
pub(super) fn catalogue_resolution(path: &SignalPath) -> Option<Resolution> {
    path.def().and_then(|def| def.resolution)
}

/// Returns how the first grid point is written. The range of the signal in the catalogue saves bits in every block.
pub(super) fn first_value_of(path: &SignalPath, resolution: Resolution) -> FirstValue {
    let Some(def) = path.def() else { return FirstValue::Signed };
    let cached = if def.resolution == Some(resolution) { FIRST_VALUES.get(usize::from(def.number)) } else { None };
    cached.copied().unwrap_or_else(|| first_value_in_range(def, resolution))
}

/// [`first_value_of`] on the grid of the catalogue, by signal number. Cached, because it is needed for every column.
static FIRST_VALUES: LazyLock<Box<[FirstValue]>> = LazyLock::new(|| {
    let first =
        |def: &SignalDef| def.resolution.map_or(FirstValue::Signed, |resolution| first_value_in_range(def, resolution));
    // Signal numbers start at 1.
    std::iter::once(FirstValue::Signed).chain(Catalogue::get().iter().map(first)).collect()
});

fn first_value_in_range(def: &SignalDef, resolution: Resolution) -> FirstValue {
    let point = |end: Option<f64>| end.and_then(|end| resolution.grid(end));
    match (point(def.min), point(def.max)) {
        (Some(min), Some(max)) if max.abs_diff(min) < 1 << 32 => FirstValue::within(min, max),
        (Some(min), _) if min >= 0 => FirstValue::Unsigned,
        _ => FirstValue::Signed,
    }
}
