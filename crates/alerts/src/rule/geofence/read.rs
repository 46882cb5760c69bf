//! Reads geofences.

use geo::Validation;

use super::{Coordinates, FenceEvent, Geofence, Shape};
use crate::fence;
use crate::limits;
use crate::parse::{Mistakes, Part};

impl Geofence {
    pub(in crate::rule) fn read(part: &Part<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        const EVENTS: [(&str, FenceEvent); 3] =
            [("enter", FenceEvent::Enter), ("leave", FenceEvent::Leave), ("dwell", FenceEvent::Dwell)];
        let shapes = ["circle", "polygon", "corridor"];
        let members = part.members(&[&shapes[..], &["event", "hysteresisM"]].concat(), mistakes)?;
        let event = members.required("event", mistakes).and_then(|part| part.one_of(&EVENTS, mistakes));
        let shape = members.exactly_one(&shapes, mistakes).and_then(|(index, part)| {
            let shape = match index {
                0 => read_circle(&part, mistakes),
                1 => read_polygon(&part, mistakes),
                _ => read_corridor(&part, mistakes),
            }?;
            let limit = limits::FENCE_POSITIONS;
            if shape.is_too_long() {
                part.mistake(format!("must have at most {limit} positions"), mistakes)
            } else {
                Some(shape)
            }
        });
        let hysteresis_m = members
            .or_default("hysteresisM", mistakes, |part, mistakes| part.number(0.0, limits::FENCE_HYSTERESIS_M, mistakes));
        Some(Self { event: event?, shape: shape?, hysteresis_m: hysteresis_m? })
    }
}

fn read_circle(part: &Part<'_>, mistakes: &mut Mistakes) -> Option<Shape> {
    let members = part.members(&["center", "radiusM"], mistakes)?;
    let center = members.required("center", mistakes).and_then(|part| read_position(&part, 90.0, mistakes));
    let radius_m = members.required("radiusM", mistakes);
    let radius_m = radius_m.and_then(|part| part.number(1.0, limits::FENCE_SIZE_M, mistakes));
    Some(Shape::Circle { center: center?, radius_m: radius_m? })
}

fn read_corridor(part: &Part<'_>, mistakes: &mut Mistakes) -> Option<Shape> {
    let members = part.members(&["line", "widthM"], mistakes)?;
    let line = members.required("line", mistakes).and_then(|part| read_line(&part, 2, mistakes));
    let width_m = members.required("widthM", mistakes);
    let width_m = width_m.and_then(|part| part.number(1.0, limits::FENCE_SIZE_M, mistakes));
    Some(Shape::Corridor { line: line?, width_m: width_m? })
}

fn read_polygon(part: &Part<'_>, mistakes: &mut Mistakes) -> Option<Shape> {
    let rings = part.list_of(1, limits::FENCE_POSITIONS, mistakes, |part, mistakes| {
        let ring = read_line(part, 4, mistakes)?;
        if ring.first() == ring.last() {
            Some(ring)
        } else {
            part.mistake("the first and the last position of a ring must be equal", mistakes)
        }
    })?;
    // Its cost grows with the square of the positions.
    if rings.iter().map(Vec::len).sum::<usize>() > limits::FENCE_POSITIONS {
        return Some(Shape::Polygon(rings));
    }
    if let Err(error) = fence::polygon(&rings).check_validation() {
        return part.mistake(format!("is not a valid polygon: {error}"), mistakes);
    }
    Some(Shape::Polygon(rings))
}

/// Reads positions of an area whose distances are computed on a plane.
fn read_line(part: &Part<'_>, min: usize, mistakes: &mut Mistakes) -> Option<Vec<Coordinates>> {
    let line = part.list_of(min, limits::FENCE_POSITIONS, mistakes, |part, mistakes| {
        read_position(part, limits::FENCE_LATITUDE, mistakes)
    })?;
    let (west, east) = fence::longitudes(&line);
    if east - west > fence::MAX_DEGREES {
        return part.mistake(format!("must be within {} degrees of longitude", fence::MAX_DEGREES), mistakes);
    }
    Some(line)
}

fn read_position(part: &Part<'_>, max_latitude: f64, mistakes: &mut Mistakes) -> Option<Coordinates> {
    let numbers = part.list(2, 2, mistakes)?;
    let [longitude, latitude] = numbers.as_slice() else { return None };
    let longitude = longitude.number(-180.0, 180.0, mistakes);
    let latitude = latitude.number(-max_latitude, max_latitude, mistakes);
    Some(Coordinates { longitude: longitude?, latitude: latitude? })
}
