//! Bounds in degrees.

use geo::Coord;

use super::METRES_PER_DEGREE;

/// A range of longitude and latitude.
#[derive(Copy, Clone, Debug)]
pub(super) struct Bounds {
    west: f64,
    south: f64,
    east: f64,
    north: f64,
}

impl Bounds {
    /// Returns the bounds of all places that are within a distance of these.
    pub(super) fn of(line: &[Coord], distance_m: f64) -> Self {
        let mut bounds =
            Self { west: f64::INFINITY, south: f64::INFINITY, east: f64::NEG_INFINITY, north: f64::NEG_INFINITY };
        for coord in line {
            bounds.west = bounds.west.min(coord.x);
            bounds.east = bounds.east.max(coord.x);
            bounds.south = bounds.south.min(coord.y);
            bounds.north = bounds.north.max(coord.y);
        }
        // A little more than the distance, because the planes of edges differ.
        let degrees = distance_m / METRES_PER_DEGREE * 1.05 + 1e-6;
        bounds.south -= degrees;
        bounds.north += degrees;
        let farthest = bounds.south.abs().max(bounds.north.abs());
        // Around a pole, every longitude is near.
        let of_longitude = if farthest >= 89.0 { 360.0 } else { degrees / farthest.to_radians().cos() };
        bounds.west -= of_longitude;
        bounds.east += of_longitude;
        bounds
    }

    /// Returns the longitude in the middle.
    pub(super) fn middle(&self) -> f64 {
        f64::midpoint(self.west, self.east)
    }

    pub(super) fn contains(&self, at: Coord) -> bool {
        (self.south..=self.north).contains(&at.y) && (self.west..=self.east).contains(&at.x)
    }
}
