use crate::Resolution;
use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

pub(crate) const TABLE: &str = include_str!("../catalogue.csv");

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::read(TABLE));

/// The table of all signals of Roadcast, read once from `catalogue.csv`.
#[derive(Debug)]
pub struct Catalogue {
    /// Index n has signal number n + 1.
    defs: &'static [SignalDef],
    by_path: HashMap<&'static str, &'static SignalDef>,
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
    pub allowed: Box<[&'static str]>,
    /// The grid to which numbers are rounded; `None` if they remain exact.
    pub resolution: Option<Resolution>,
    /// The source of the row.
    pub origin: Origin,
}

/// The datatypes of VSS.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // the names are self-explanatory
pub enum Datatype {
    Boolean,
    Int8,
    Uint8,
    Int16,
    Uint16,
    Int32,
    Uint32,
    Int64,
    Uint64,
    Float,
    Double,
    String,
}

/// The source of a row of the catalogue.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// COVESA VSS v6.0.
    Vss,
    /// The OBD overlay of VSS v6.0.
    Obd,
    /// The overlay of Roadcast: signals that the other two lack.
    Roadcast,
}

impl Catalogue {
    /// Returns the catalogue. The first call reads the table.
    pub fn get() -> &'static Self {
        &CATALOGUE
    }

    /// Returns the signal with this path.
    pub fn by_path(&self, path: &str) -> Option<&'static SignalDef> {
        self.by_path.get(path).copied()
    }

    /// Returns the signal with this number.
    pub fn by_number(&self, number: u16) -> Option<&'static SignalDef> {
        self.defs.get(usize::from(number).checked_sub(1)?)
    }

    /// Returns all signals, by number.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'static SignalDef> + use<> {
        self.defs.iter()
    }

    /// Returns the highest number: a reader of this version has every signal up to it.
    pub fn version(&self) -> u16 {
        self.defs.last().map_or(0, |def| def.number)
    }

    fn read(table: &'static str) -> Self {
        // Every row is valid: a test checks that each line of the table has an entry.
        let rows = table.lines().skip(1).filter_map(SignalDef::read);
        let defs: &'static [SignalDef] = rows.collect::<Vec<_>>().leak();
        Self { defs, by_path: defs.iter().map(|def| (def.path, def)).collect() }
    }
}

impl SignalDef {
    fn read(row: &'static str) -> Option<Self> {
        let columns: Vec<&'static str> = row.split(',').collect();
        let &[number, path, datatype, unit, min, max, resolution, allowed, origin] = columns.as_slice() else {
            return None;
        };
        let scalar = datatype.strip_suffix("[]");
        Some(Self {
            number: number.parse().ok()?,
            path,
            datatype: Datatype::from_name(scalar.unwrap_or(datatype))?,
            is_array: scalar.is_some(),
            unit: non_empty(unit),
            min: optional(min, |text| text.parse().ok()).ok()?,
            max: optional(max, |text| text.parse().ok()).ok()?,
            allowed: non_empty(allowed).map(|texts| texts.split('|').collect()).unwrap_or_default(),
            resolution: optional(resolution, Resolution::from_step).ok()?,
            origin: Origin::from_name(origin)?,
        })
    }

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
}

fn non_empty(column: &'static str) -> Option<&'static str> {
    (!column.is_empty()).then_some(column)
}

/// Parses an optional column. Returns `None` if it is empty, and fails if it is invalid.
fn optional<T>(column: &str, read: impl Fn(&str) -> Option<T>) -> Result<Option<T>, InvalidColumn> {
    if column.is_empty() { Ok(None) } else { read(column).map(Some).ok_or(InvalidColumn) }
}

struct InvalidColumn;

impl Datatype {
    const ALL: [Self; 12] = [
        Self::Boolean,
        Self::Int8,
        Self::Uint8,
        Self::Int16,
        Self::Uint16,
        Self::Int32,
        Self::Uint32,
        Self::Int64,
        Self::Uint64,
        Self::Float,
        Self::Double,
        Self::String,
    ];

    /// Returns the VSS name, for example `uint8`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Int8 => "int8",
            Self::Uint8 => "uint8",
            Self::Int16 => "int16",
            Self::Uint16 => "uint16",
            Self::Int32 => "int32",
            Self::Uint32 => "uint32",
            Self::Int64 => "int64",
            Self::Uint64 => "uint64",
            Self::Float => "float",
            Self::Double => "double",
            Self::String => "string",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|datatype| datatype.name() == name)
    }

    /// Returns whether values of this type are integers.
    pub const fn is_integer(self) -> bool {
        self.is_numeric() && !matches!(self, Self::Float | Self::Double)
    }

    /// Returns whether values of this type are numbers.
    pub const fn is_numeric(self) -> bool {
        !matches!(self, Self::Boolean | Self::String)
    }

    /// Returns the range of a numeric type. The limits of 64 bits are rounded outward to a double; the limit of 2^53 is
    /// stricter.
    #[allow(clippy::cast_precision_loss)]
    const fn range(self) -> Option<(f64, f64)> {
        match self {
            Self::Int8 => Some((i8::MIN as f64, i8::MAX as f64)),
            Self::Uint8 => Some((0.0, u8::MAX as f64)),
            Self::Int16 => Some((i16::MIN as f64, i16::MAX as f64)),
            Self::Uint16 => Some((0.0, u16::MAX as f64)),
            Self::Int32 => Some((i32::MIN as f64, i32::MAX as f64)),
            Self::Uint32 => Some((0.0, u32::MAX as f64)),
            Self::Int64 => Some((i64::MIN as f64, i64::MAX as f64)),
            Self::Uint64 => Some((0.0, u64::MAX as f64)),
            Self::Float => Some((f32::MIN as f64, f32::MAX as f64)),
            Self::Double => Some((f64::MIN, f64::MAX)),
            Self::Boolean | Self::String => None,
        }
    }
}

impl fmt::Display for Datatype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Origin {
    /// Returns its name in the table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vss => "vss",
            Self::Obd => "obd",
            Self::Roadcast => "roadcast",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Vss, Self::Obd, Self::Roadcast].into_iter().find(|origin| origin.name() == name)
    }
}
