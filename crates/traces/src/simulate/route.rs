//! A closed route of streets around a city.

use std::f64::consts::TAU;

use rand::RngExt;

/// Metres per degree of latitude.
const METRES_PER_DEGREE: f64 = 111_320.0;

/// City centres (latitude, longitude, metres above sea level) among which the vehicles are distributed.
const CITIES: [(f64, f64, f64); 6] = [
    (52.5200, 13.4050, 34.0),
    (48.1372, 11.5755, 520.0),
    (51.4556, 7.0116, 116.0),
    (45.7640, 4.8357, 173.0),
    (52.2297, 21.0122, 100.0),
    (41.3874, 2.1686, 12.0),
];
const SPEED_LIMITS_KMH: [f64; 6] = [30.0, 30.0, 50.0, 50.0, 50.0, 70.0];

/// A straight street, from one corner to the next.
#[derive(Clone, Debug)]
pub(super) struct Street {
    /// The start, in metres east and north of the city centre.
    from: (f64, f64),
    /// The direction as a unit vector, east and north.
    direction: (f64, f64),
    pub(super) length_m: f64,
    pub(super) limit_ms: f64,
    /// The maximum speed at the corner at its end.
    pub(super) corner_ms: f64,
}

/// A closed sequence of streets.
#[derive(Clone, Debug)]
pub(super) struct Route {
    centre: (f64, f64, f64),
    pub(super) streets: Vec<Street>,
}

/// A position on a route.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Position {
    pub(super) latitude: f64,
    pub(super) longitude: f64,
    pub(super) altitude_m: f64,
    /// Degrees from north, clockwise, below 360.
    pub(super) heading: f64,
}

impl Route {
    /// Creates a route with corners around a city, at varying distances from its centre.
    pub(super) fn around_a_city(rng: &mut impl RngExt) -> Self {
        let centre = CITIES[rng.random_range(0..CITIES.len())];
        let count: u32 = rng.random_range(12..24);
        let radius_m = rng.random_range(1_500.0..5_000.0);
        let offset = (rng.random_range(-2_000.0..2_000.0), rng.random_range(-2_000.0..2_000.0));
        let corners: Vec<(f64, f64)> = (0..count)
            .map(|corner| {
                let angle = (f64::from(corner) + rng.random_range(-0.3..0.3)) / f64::from(count) * TAU;
                let distance_m = radius_m * rng.random_range(0.6..1.2);
                (offset.0 + distance_m * angle.cos(), offset.1 + distance_m * angle.sin())
            })
            .collect();
        let ends = corners.iter().skip(1).chain(corners.first());
        let streets = corners
            .iter()
            .zip(ends)
            .map(|(from, to)| {
                let (east, north) = (to.0 - from.0, to.1 - from.1);
                let length_m = east.hypot(north).max(1.0);
                Street {
                    from: *from,
                    direction: (east / length_m, north / length_m),
                    length_m,
                    limit_ms: SPEED_LIMITS_KMH[rng.random_range(0..SPEED_LIMITS_KMH.len())] / 3.6,
                    corner_ms: rng.random_range(4.0..8.0),
                }
            })
            .collect();
        Self { centre, streets }
    }

    /// Returns the position `along_m` metres from the start of a street.
    pub(super) fn position(&self, street: usize, along_m: f64) -> Position {
        let street = &self.streets[street % self.streets.len()];
        let east = street.from.0 + street.direction.0 * along_m;
        let north = street.from.1 + street.direction.1 * along_m;
        let (latitude, longitude, altitude_m) = self.centre;
        let heading = street.direction.0.atan2(street.direction.1).to_degrees().rem_euclid(360.0);
        Position {
            latitude: latitude + north / METRES_PER_DEGREE,
            longitude: longitude + east / (METRES_PER_DEGREE * latitude.to_radians().cos()),
            // Low hills, so that the altitude depends on the position and not on the time.
            altitude_m: altitude_m + 8.0 * (east / 900.0).sin() + 5.0 * (north / 700.0).cos(),
            heading,
        }
    }
}
