//! The formats of recordings.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use crate::cells::Header;
use crate::error::TraceError;
use crate::{capmetro, fms, twizy};

/// A format of recordings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Measurements of enviroCar tracks, one JSON object a line.
    EnviroCar,
    /// A day of bus positions in Austin, CSV.
    CapMetro,
    /// A trip of the Twizy of Rabat, CSV.
    Twizy,
    /// VSS paths and values with delays between them, CSV, as the FMS recordings have them.
    FmsVss,
}

impl Format {
    /// The names that [`FromStr`] knows and [`Display`](fmt::Display) writes.
    pub const NAMES: [&str; 4] = ["envirocar", "capmetro", "twizy", "fms-vss"];

    /// Tells the format from the first bytes of the unpacked file, which must hold its first line whole.
    /// The path only serves the error's text: names of recordings say little about what is in them.
    pub fn detect(path: &Path, first_bytes: &[u8]) -> Result<Self, TraceError> {
        let text = String::from_utf8_lossy(first_bytes);
        let line = text.trim_start_matches('\u{feff}').lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        if line.trim_start().starts_with('{') {
            return Ok(Self::EnviroCar);
        }
        let header = Header::parse(line);
        [(Self::CapMetro, capmetro::COLUMNS), (Self::Twizy, twizy::COLUMNS), (Self::FmsVss, fms::COLUMNS)]
            .into_iter()
            .find(|(_, columns)| header.has_all(columns))
            .map(|(format, _)| format)
            .ok_or_else(|| TraceError::UnknownFormat { path: path.to_owned() })
    }
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

impl FromStr for Format {
    type Err = TraceError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        [Self::EnviroCar, Self::CapMetro, Self::Twizy, Self::FmsVss]
            .into_iter()
            .find(|format| format.to_string() == name)
            .ok_or_else(|| TraceError::UnknownFormatName { name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn every_name_is_read_back() {
        for name in Format::NAMES {
            assert_eq!(name.parse::<Format>().unwrap().to_string(), name);
        }
        assert!("gpx".parse::<Format>().unwrap_err().to_string().contains("envirocar"));
    }

    #[test]
    fn the_first_line_tells_the_format() {
        let detect = |line: &str| Format::detect(Path::new("f"), line.as_bytes());
        assert_eq!(detect("{\"id\":1}\n").unwrap(), Format::EnviroCar);
        assert_eq!(
            detect("vehicle_id,timestamp,speed,route_id,trip_id,latitude,longitude,trip_headsign\n").unwrap(),
            Format::CapMetro
        );
        assert_eq!(
            detect(
                "Date,Time,Soc,Speed,Mode,LAT,LON,ALT,GpsSpeed,Temperature,Humidity,Weather,WindSpeedAv,Traffic,SpeedLimit"
            )
            .unwrap(),
            Format::Twizy
        );
        assert_eq!(detect("field,signal,value,delay").unwrap(), Format::FmsVss);
        assert!(matches!(detect("a,b,c"), Err(TraceError::UnknownFormat { .. })));
        assert!(matches!(detect(""), Err(TraceError::UnknownFormat { .. })));
    }
}
