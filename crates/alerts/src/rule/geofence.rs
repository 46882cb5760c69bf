//! Geofences.

mod read;

use serde::{Serialize, Serializer};

use crate::limits;

/// A test of the position of the vehicle.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Geofence {
    /// What is tested.
    pub event: FenceEvent,
    /// The area.
    #[serde(flatten)]
    pub shape: Shape,
    /// How far from the area, in metres, a vehicle must be that was within it before it counts as outside.
    #[serde(rename = "hysteresisM", skip_serializing_if = "is_none")]
    pub hysteresis_m: f64,
}

/// What is tested about a geofence.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum FenceEvent {
    /// The vehicle entered: it is within the area, and was outside before.
    Enter,
    /// The vehicle left: it is outside, and was within the area before.
    Leave,
    /// The vehicle is within the area.
    Dwell,
}

/// An area. Edges and lines are straight in longitude and latitude, as in RFC 7946, and take the shorter way around the Earth, also
/// across the 180th meridian.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Shape {
    /// All places within a distance.
    Circle {
        /// The centre.
        center: Coordinates,
        /// The distance in metres.
        radius_m: f64,
    },
    /// All places within a ring and outside of its holes: the `coordinates` of a polygon in RFC 7946.
    Polygon(Vec<Vec<Coordinates>>),
    /// All places within half of a width of a line.
    Corridor {
        /// The line.
        line: Vec<Coordinates>,
        /// The width in metres.
        width_m: f64,
    },
}

/// A position in degrees (WGS 84). Its JSON is that of RFC 7946: longitude, latitude.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Coordinates {
    /// The longitude, from -180 to 180.
    pub longitude: f64,
    /// The latitude, from -90 to 90.
    pub latitude: f64,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // the signature that serde requires
fn is_none(hysteresis: &f64) -> bool {
    *hysteresis <= 0.0
}

impl Serialize for Coordinates {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        [self.longitude, self.latitude].serialize(serializer)
    }
}

impl Shape {
    /// Returns the number of positions.
    pub fn positions(&self) -> usize {
        match self {
            Self::Circle { .. } => 1,
            Self::Polygon(rings) => rings.iter().map(Vec::len).sum(),
            Self::Corridor { line, .. } => line.len(),
        }
    }

    /// Whether it has too many positions.
    fn is_too_long(&self) -> bool {
        self.positions() > limits::FENCE_POSITIONS
    }
}
