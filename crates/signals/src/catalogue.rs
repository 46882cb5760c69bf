use crate::path_hash::PathHash;
use crate::{Datatype, Origin, Resolution};
use std::collections::HashMap;
use std::sync::LazyLock;

/// The rows of `catalogue.csv`, by number. The build script checks the table and writes them.
#[allow(clippy::unreadable_literal)] // generated
static DEFS: &[SignalDef] = include!(concat!(env!("OUT_DIR"), "/catalogue.rs"));

static CATALOGUE: LazyLock<Catalogue> =
    LazyLock::new(|| Catalogue { by_path: DEFS.iter().map(|def| (def.path, def)).collect() });

/// The table of all signals of Roadcast. `catalogue.csv` is compiled into it.
#[derive(Debug)]
pub struct Catalogue {
    by_path: HashMap<&'static str, &'static SignalDef, PathHash>,
}

/// One row of the catalogue.
#[derive(Debug, PartialEq)]
pub struct SignalDef {
    /// The number of the signal. Numbers are append-only and never reassigned.
    pub number: u16,
    /// The path, for example `Vehicle.Speed`.
    pub path: &'static str,
    /// The type of the value, or of the entries of a list.
    pub datatype: Datatype,
    /// Whether the value is a list of `datatype`.
    pub is_array: bool,
    /// The unit, by its VSS name (`km/h`, `percent`, `Celsius`).
    pub unit: Option<&'static str>,
    /// The smallest accepted value.
    pub min: Option<f64>,
    /// The largest accepted value.
    pub max: Option<f64>,
    /// The accepted texts; empty if any text is accepted.
    pub allowed: &'static [&'static str],
    /// The grid to which numbers are rounded; `None` if they remain exact.
    pub resolution: Option<Resolution>,
    /// The source of the row.
    pub origin: Origin,
}

impl Catalogue {
    /// Returns the catalogue. The first call builds the index of the paths.
    pub fn get() -> &'static Self {
        &CATALOGUE
    }

    /// Returns the signal with this path.
    pub fn by_path(&self, path: &str) -> Option<&'static SignalDef> {
        self.by_path.get(path).copied()
    }

    /// Returns the signal with this number.
    pub fn by_number(&self, number: u16) -> Option<&'static SignalDef> {
        DEFS.get(usize::from(number).checked_sub(1)?)
    }

    /// Returns all signals, by number.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'static SignalDef> + use<> {
        DEFS.iter()
    }

    /// Returns the highest number: a reader of this version has every signal up to it.
    pub fn version(&self) -> u16 {
        DEFS.last().map_or(0, |def| def.number)
    }
}

impl SignalDef {
    /// Returns whether `v` is within the range of the signal and within that of its datatype.
    ///
    /// A `float` is compared in single precision: 100.00000298 percent, as sent by 32-bit sources, equals 100. A number that
    /// is infinite in single precision is outside, whether or not the signal has a range.
    pub fn contains(&self, v: f64) -> bool {
        let is_outside = |low: Option<f64>, high: Option<f64>| match self.datatype {
            #[allow(clippy::cast_possible_truncation)] // intended
            Datatype::Float => {
                let v = v as f32;
                low.is_some_and(|low| v < low as f32) || high.is_some_and(|high| v > high as f32)
            }
            _ => low.is_some_and(|low| v < low) || high.is_some_and(|high| v > high),
        };
        let (low, high) = self.datatype.range().unzip();
        !v.is_nan() && !is_outside(self.min, self.max) && !is_outside(low, high)
    }

    /// Returns whether the catalogue permits this text.
    pub(crate) fn allows(&self, text: &str) -> bool {
        self.allowed.is_empty() || self.allowed.contains(&text)
    }

    /// Returns whether a value is one number.
    pub(crate) fn is_number(&self) -> bool {
        self.datatype.is_numeric() && !self.is_array
    }
}
