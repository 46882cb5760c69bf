//! The grid of a signal, and how the first grid point of a column is written.

use std::ops::Range;
use std::sync::LazyLock;

use roadcast_signals::{Catalogue, Resolution, SignalDef, SignalPath};

use crate::first_value::FirstValue;
use crate::version::Version;

/// Returns the resolution of the signal in the catalogue.
pub(super) fn catalogue_resolution(path: &SignalPath) -> Option<Resolution> {
    path.def().and_then(|def| def.resolution)
}

/// Returns how the first grid point is written. The range of the signal in the catalogue saves bits in every block.
pub(super) fn first_value_of(path: &SignalPath, resolution: Resolution, version: Version) -> FirstValue {
    let Some(def) = path.def() else { return FirstValue::Signed };
    let cached = if def.resolution == Some(resolution) { FIRST_VALUES.get(usize::from(def.number)) } else { None };
    let cached = cached.copied().unwrap_or_else(|| FirstValues::in_range(def, resolution));
    match version {
        Version::One => cached.one,
        Version::Two => cached.two,
    }
}

/// How the first number of a signal is written in each version.
#[derive(Copy, Clone)]
struct FirstValues {
    one: FirstValue,
    two: FirstValue,
}

/// [`first_value_of`] on the grid of the catalogue, by signal number. Cached, because it is needed for every column.
static FIRST_VALUES: LazyLock<Box<[FirstValues]>> = LazyLock::new(|| {
    let signed = FirstValues { one: FirstValue::Signed, two: FirstValue::Signed };
    let first = |def: &SignalDef| def.resolution.map_or(signed, |resolution| FirstValues::in_range(def, resolution));
    // Signal numbers start at 1.
    std::iter::once(signed).chain(Catalogue::get().iter().map(first)).collect()
});

/// In version 2, numbers of these ranges are written relative to zero: of a large range, mostly a small part is used. Larger
/// ranges are those of positions, which use all of it.
const WIDE_SPANS: Range<u64> = 1 << 13..1 << 24;

impl FirstValues {
    fn in_range(def: &SignalDef, resolution: Resolution) -> Self {
        let point = |end: Option<f64>| end.and_then(|end| resolution.grid(end));
        let (min, max) = (point(def.min), point(def.max));
        let by_sign = if min.is_some_and(|min| min >= 0) { FirstValue::Unsigned } else { FirstValue::Signed };
        let Some((min, max)) = min.zip(max).filter(|(min, max)| max.abs_diff(*min) < 1 << 32) else {
            return Self { one: by_sign, two: by_sign };
        };
        let within = FirstValue::within(min, max);
        Self { one: within, two: if WIDE_SPANS.contains(&max.abs_diff(min)) { by_sign } else { within } }
    }
}
