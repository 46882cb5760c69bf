//! The values of two columns of the catalogue. The build script uses them, too.

use std::fmt;

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

impl Datatype {
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
    pub(crate) const fn range(self) -> Option<(f64, f64)> {
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
}
