//! Selection of a format: by its name or by the first line of a recording.

use std::path::Path;
use std::str::FromStr;

use crate::cells::Header;
use crate::error::TraceError;
use crate::format::Format;
use crate::{capmetro, envirocar, fms, twizy};

impl Format {
    /// Detects the format from the first bytes of the decompressed file, which must contain its entire first line. `path` is
    /// only used in the error: names of recordings say little about their contents.
    pub fn detect(path: &Path, first_bytes: &[u8]) -> Result<Self, TraceError> {
        let text = String::from_utf8_lossy(first_bytes);
        let line = text.trim_start_matches('\u{feff}').lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        if line.trim_start().starts_with('{') {
            // The line may be damaged. Other JSON, such as a GeoJSON track, has no such member.
            let is_row = line.contains(envirocar::VEHICLE_MEMBER);
            return if is_row { Ok(Self::EnviroCar) } else { Err(TraceError::UnknownFormat { path: path.to_owned() }) };
        }
        let header = Header::parse(line);
        [(Self::CapMetro, capmetro::COLUMNS), (Self::Twizy, twizy::COLUMNS), (Self::FmsVss, fms::COLUMNS)]
            .into_iter()
            .find(|(_, columns)| header.has_all(columns))
            .map(|(format, _)| format)
            .ok_or_else(|| TraceError::UnknownFormat { path: path.to_owned() })
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
    fn format_names_round_trip() {
        for name in Format::NAMES {
            assert_eq!(name.parse::<Format>().unwrap().to_string(), name);
        }
        assert!("gpx".parse::<Format>().unwrap_err().to_string().contains("envirocar"));
    }

    #[test]
    fn first_line_determines_the_format() {
        let detect = |line: &str| Format::detect(Path::new("f"), line.as_bytes());
        assert_eq!(detect("{\"id\":1,\"vehicle_id\":\"v\"}\n").unwrap(), Format::EnviroCar);
        for line in ["{\n", "{\"type\":\"FeatureCollection\",\"features\":[]}", "{\"id\":1}", "[]", "PK\u{3}\u{4}"] {
            assert!(matches!(detect(line), Err(TraceError::UnknownFormat { .. })), "{line}");
        }
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
