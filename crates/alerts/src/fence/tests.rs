use geo::{Destination, Haversine, Point};
use proptest::prelude::*;

use super::*;
use crate::rule::FenceEvent;

fn at(longitude: f64, latitude: f64) -> Coordinates {
    Coordinates { longitude, latitude }
}

fn fence(shape: Shape, hysteresis_m: f64) -> Fence {
    Fence::new(&Geofence { event: FenceEvent::Enter, shape, hysteresis_m })
}

fn square(west: f64, south: f64, east: f64, north: f64) -> Vec<Coordinates> {
    vec![at(west, south), at(east, south), at(east, north), at(west, north), at(west, south)]
}

#[test]
fn circle_contains_places_within_its_radius_and_hysteresis() {
    let circle = fence(Shape::Circle { center: at(13.4, 52.5), radius_m: 500.0 }, 50.0);
    for bearing in 0..36 {
        let place = |metres| Haversine.destination(Point::new(13.4, 52.5), f64::from(bearing) * 10.0, metres);
        let is_inside = |metres, was| {
            let place = place(metres);
            circle.contains(place.x(), place.y(), was)
        };
        assert!(is_inside(499.0, false) && !is_inside(501.0, false));
        assert!(is_inside(549.0, true) && !is_inside(551.0, true));
    }
}

#[test]
fn circles_cross_the_180th_meridian_and_the_poles() {
    let fiji = fence(Shape::Circle { center: at(179.99, -17.0), radius_m: 5000.0 }, 0.0);
    assert!(fiji.contains(-179.98, -17.0, false) && fiji.contains(179.96, -17.0, false));
    assert!(!fiji.contains(-179.9, -17.0, false) && !fiji.contains(0.0, -17.0, false));
    let pole = fence(Shape::Circle { center: at(0.0, 89.99), radius_m: 5000.0 }, 0.0);
    assert!(pole.contains(180.0, 89.99, false) && !pole.contains(180.0, 89.9, false));
}

#[test]
fn polygon_contains_its_boundary_and_not_its_holes() {
    let rings = vec![square(10.0, 50.0, 10.1, 50.1), square(10.04, 50.04, 10.06, 50.06)];
    let polygon = fence(Shape::Polygon(rings), 200.0);
    assert!(polygon.contains(10.02, 50.02, false) && polygon.contains(10.0, 50.05, false));
    assert!(!polygon.contains(10.05, 50.05, false), "in the hole");
    assert!(!polygon.contains(10.101, 50.05, false) && polygon.contains(10.101, 50.05, true), "72 m outside");
    assert!(polygon.contains(10.041, 50.05, true), "in the hole, near its edge");
    assert!(!polygon.contains(10.05, 50.05, true) && !polygon.contains(10.104, 50.05, true));
}

#[test]
fn polygon_crosses_the_180th_meridian() {
    let polygon = fence(Shape::Polygon(vec![square(179.9, -17.1, -179.9, -16.9)]), 0.0);
    for (longitude, inside) in [(179.95, true), (-179.95, true), (180.0, true), (-180.0, true), (179.8, false), (0.0, false)]
    {
        assert_eq!(polygon.contains(longitude, -17.0, false), inside, "{longitude}");
    }
    assert_eq!(longitudes(&square(179.9, 0.0, -179.9, 1.0)), (179.9, 180.1));
}

#[test]
fn corridor_contains_places_within_half_of_its_width() {
    let line = vec![at(10.0, 50.0), at(10.1, 50.0), at(10.1, 50.1)];
    let corridor = fence(Shape::Corridor { line, width_m: 100.0 }, 30.0);
    let north = |metres: f64| 50.0 + metres / METRES_PER_DEGREE;
    assert!(corridor.contains(10.05, north(49.0), false) && !corridor.contains(10.05, north(51.0), false));
    assert!(corridor.contains(10.05, north(-79.0), true) && !corridor.contains(10.05, north(-81.0), true));
    assert!(corridor.contains(10.1, 50.05, false) && !corridor.contains(9.99, 50.0, false));
    let pacific = fence(Shape::Corridor { line: vec![at(179.0, 0.0), at(-179.0, 0.0)], width_m: 1000.0 }, 0.0);
    assert!(pacific.contains(-179.5, 0.001, false) && pacific.contains(179.5, 0.001, false));
}

proptest! {
    #[test]
    fn small_areas_are_the_same_at_every_longitude(
        shift in -180.0..180.0_f64, x in -0.03..0.03_f64, y in -0.03..0.03_f64, was: bool,
    ) {
        let moved = |longitude: f64| nearest_turn(longitude + shift, 0.0);
        let shapes = |moved: &dyn Fn(f64) -> f64| {
            let place = |x: f64, y: f64| at(moved(x), y);
            let ring = vec![place(-0.01, 44.99), place(0.01, 44.99), place(0.0, 45.02), place(-0.01, 44.99)];
            [
                Shape::Circle { center: place(0.0, 45.0), radius_m: 1500.0 },
                Shape::Corridor { line: vec![ring[0], ring[1], ring[2]], width_m: 700.0 },
                Shape::Polygon(vec![ring]),
            ]
        };
        for (here, there) in shapes(&|x| x).into_iter().zip(shapes(&moved)) {
            let (here, there) = (fence(here, 100.0), fence(there, 100.0));
            // Rounding may differ on the edge itself.
            let is_clear = [-1e-7, 1e-7].iter().all(|d| here.contains(x + d, 45.0 + y + d, was) == here.contains(x, 45.0 + y, was));
            prop_assert!(!is_clear || here.contains(x, 45.0 + y, was) == there.contains(moved(x), 45.0 + y, was));
        }
    }

    #[test]
    fn hysteresis_only_adds_places(x in -0.05..0.05_f64, y in -0.05..0.05_f64) {
        let line = vec![at(-0.01, 44.98), at(0.02, 45.0), at(0.0, 45.02)];
        let mut ring = line.clone();
        ring.push(line[0]);
        for shape in [Shape::Corridor { line, width_m: 500.0 }, Shape::Polygon(vec![ring])] {
            let fence = fence(shape, 300.0);
            prop_assert!(!fence.contains(x, 45.0 + y, false) || fence.contains(x, 45.0 + y, true));
        }
    }
}
