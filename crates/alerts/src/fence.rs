//! Whether a position is within an area.
//!
//! A circle is computed on a sphere. The edges of polygons and the lines of corridors are straight in longitude and latitude;
//! distances to them are computed on a plane that touches the Earth in the middle of the edge.

mod bounds;
mod path;

#[cfg(test)]
mod tests;

use geo::{Coord, Distance, Haversine, Intersects, LineString, Point, Polygon};

use self::bounds::Bounds;
use self::path::Path;
use crate::rule::{Coordinates, Geofence, Shape};

/// How many degrees of longitude a line may span: less than half of the Earth, so that the shorter way is unique.
pub(crate) const MAX_DEGREES: f64 = 90.0;

/// Metres of a degree of latitude, on the sphere of [`Haversine`].
const METRES_PER_DEGREE: f64 = 111_195.079_734_632_04;

/// An area, prepared for the evaluation.
#[derive(Clone, Debug)]
pub(crate) struct Fence {
    /// The area within the largest distance at which a position can count as inside.
    reach: Bounds,
    area: Area,
    hysteresis_m: f64,
}

#[derive(Clone, Debug)]
enum Area {
    Circle { center: Point, radius_m: f64 },
    Polygon { polygon: Polygon, boundary: Path },
    Corridor { line: Path, half_width_m: f64 },
}

/// Returns a longitude, or it plus or minus a full turn: what is nearest to `near`. A longitude that is near already stays exact.
fn nearest_turn(longitude: f64, near: f64) -> f64 {
    longitude - ((longitude - near) / 360.0).round() * 360.0
}

/// Returns a line with continuous longitudes, of which the first is the nearest to `near`. Beyond the 180th meridian they are beyond
/// ±180.
fn continuous(line: &[Coordinates], near: f64) -> Vec<Coord> {
    let next = |x: &mut f64, position: &Coordinates| {
        *x = nearest_turn(position.longitude, *x);
        Some(Coord { x: *x, y: position.latitude })
    };
    line.iter().scan(near, next).collect()
}

/// Returns the western and the eastern end of a line. The eastern end is not less than the western one.
pub(crate) fn longitudes(line: &[Coordinates]) -> (f64, f64) {
    let first = line.first().map_or(0.0, |position| position.longitude);
    continuous(line, first).iter().fold((first, first), |(west, east), coord| (west.min(coord.x), east.max(coord.x)))
}

/// Returns the polygon with these rings, in continuous degrees.
pub(crate) fn polygon(rings: &[Vec<Coordinates>]) -> Polygon {
    let near = rings.first().and_then(|ring| ring.first()).map_or(0.0, |position| position.longitude);
    let mut rings = rings.iter().map(|ring| LineString::new(continuous(ring, near)));
    let exterior = rings.next().unwrap_or_else(|| LineString::new(Vec::new()));
    Polygon::new(exterior, rings.collect())
}

impl Fence {
    pub(crate) fn new(geofence: &Geofence) -> Self {
        let hysteresis_m = geofence.hysteresis_m;
        let (area, reach) = match &geofence.shape {
            Shape::Circle { center, radius_m } => {
                let center = Point::new(center.longitude, center.latitude);
                let reach = Bounds::of(&[center.into()], radius_m + hysteresis_m);
                (Area::Circle { center, radius_m: *radius_m }, reach)
            }
            Shape::Polygon(rings) => {
                let polygon = polygon(rings);
                let reach = Bounds::of(&polygon.exterior().0, hysteresis_m);
                let rings = std::iter::once(polygon.exterior()).chain(polygon.interiors());
                let boundary = Path::new(rings.map(|ring| ring.0.as_slice()), hysteresis_m);
                (Area::Polygon { polygon, boundary }, reach)
            }
            Shape::Corridor { line, width_m } => {
                let first = line.first().map_or(0.0, |position| position.longitude);
                let line = continuous(line, first);
                let half_width_m = width_m / 2.0;
                let reach = Bounds::of(&line, half_width_m + hysteresis_m);
                let line = Path::new([line.as_slice()], half_width_m + hysteresis_m);
                (Area::Corridor { line, half_width_m }, reach)
            }
        };
        Self { reach, area, hysteresis_m }
    }

    /// Returns whether a position counts as inside, given whether the one before did.
    pub(crate) fn contains(&self, longitude: f64, latitude: f64, was_inside: bool) -> bool {
        let at = Coord { x: nearest_turn(longitude, self.reach.middle()), y: latitude };
        if !self.reach.contains(at) {
            return false;
        }
        let margin_m = if was_inside { self.hysteresis_m } else { 0.0 };
        match &self.area {
            Area::Circle { center, radius_m } => Haversine.distance(*center, at.into()) <= radius_m + margin_m,
            Area::Polygon { polygon, boundary } => {
                polygon.intersects(&at) || (margin_m > 0.0 && boundary.is_within(at, margin_m))
            }
            Area::Corridor { line, half_width_m } => line.is_within(at, half_width_m + margin_m),
        }
    }
}
