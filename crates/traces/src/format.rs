//! The formats of recordings.

use std::fmt;

/// A format of recordings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Measurements of enviroCar tracks, one JSON object per line.
    EnviroCar,
    /// Bus positions in Austin during one day, CSV.
    CapMetro,
    /// One trip of a Renault Twizy around Rabat, CSV.
    Twizy,
    /// VSS paths and values with the delays between them, CSV, as in the FMS recordings.
    FmsVss,
}

impl Format {
    /// The names that [`FromStr`](std::str::FromStr) accepts and [`Display`](fmt::Display) writes.
    pub const NAMES: [&str; 4] = ["envirocar", "capmetro", "twizy", "fms-vss"];
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::EnviroCar => "envirocar",
            Self::CapMetro => "capmetro",
            Self::Twizy => "twizy",
            Self::FmsVss => "fms-vss",
        })
    }
}
