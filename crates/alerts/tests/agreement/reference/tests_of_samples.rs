//! The results of tests that depend on samples alone, after all samples so far.

use roadcast_alerts::limits::SPEED_GAP_MS;
use roadcast_alerts::rule::{Bound, Coordinates, Direction, DtcTest, FenceEvent, Geofence, Rate, Shape, Test};
use roadcast_domain::diagnostic::TroubleCode;
use roadcast_signals::{POSITION, Timestamp, Value};

use super::Observation;
use crate::history::SPEED;

const METRES_PER_DEGREE: f64 = 111_195.08;

pub(super) fn result(test: &Test, observations: &[&Observation]) -> Option<bool> {
    match test {
        Test::Threshold(test) => {
            let numbers = numbers(test.signal.path, observations).into_iter().map(|(_, number)| number);
            held_by(&test.bound, numbers)
        }
        Test::Equals(test) => {
            let last = observations.iter().rev().find_map(|observation| observation.signals.get(test.signal.path));
            last.map(|value| *value == test.value)
        }
        Test::Rate(test) => held_by(&test.bound, rates(test, &numbers(test.signal.path, observations)).into_iter()),
        Test::HarshBraking(test) => harsh(observations, |acceleration| -acceleration > test.above_mps2),
        Test::HarshAcceleration(test) => harsh(observations, |acceleration| acceleration > test.above_mps2),
        Test::Dtc(test) => {
            let last = observations.iter().rev().find_map(|observation| observation.diagnostic.as_ref());
            last.map(|diagnostic| diagnostic.dtcs.iter().any(|code| names(test, code)))
        }
        Test::MilOn {} => observations.iter().rev().find_map(|observation| observation.diagnostic.as_ref()?.mil),
        Test::Geofence(test) => fence(test, observations),
        Test::NoData(_) | Test::All(_) | Test::Any(_) | Test::Not(_) => unreachable!("evaluated by the caller"),
    }
}

fn numbers(path: &str, observations: &[&Observation]) -> Vec<(Timestamp, f64)> {
    let number = |observation: &&Observation| Some((observation.time, observation.signals.get(path)?.as_number()?));
    observations.iter().filter_map(number).collect()
}

fn held_by(bound: &Bound, numbers: impl Iterator<Item = f64>) -> Option<bool> {
    let mut held = None;
    for number in numbers {
        let is_beyond = |limit: f64| match bound.direction {
            Direction::Above => number > limit,
            Direction::Below => number < limit,
        };
        let relaxed = match bound.direction {
            Direction::Above => bound.limit - bound.hysteresis,
            Direction::Below => bound.limit + bound.hysteresis,
        };
        held = Some(is_beyond(bound.limit) || (held == Some(true) && is_beyond(relaxed)));
    }
    held
}

/// The rates at each reading that has one: since the oldest of the kept readings of the window, if that is old enough.
#[allow(clippy::cast_precision_loss)]
fn rates(test: &Rate, readings: &[(Timestamp, f64)]) -> Vec<f64> {
    let window_ms = i64::from(test.window_s) * 1000;
    let mut rates = Vec::new();
    let mut kept: Vec<(Timestamp, f64)> = Vec::new();
    for (now, number) in readings {
        kept.retain(|(at, _)| at.ms() >= now.ms() - window_ms);
        if let Some((at, first)) = kept.first() {
            let elapsed_ms = now.ms() - at.ms();
            if elapsed_ms > 0 && elapsed_ms >= window_ms - elapsed_ms {
                rates.push((number - first) / elapsed_ms as f64 * test.per.ms());
            }
        }
        if kept.last().is_none_or(|(at, _)| 16 * (now.ms() - at.ms()) >= window_ms) {
            kept.push((*now, *number));
        }
    }
    rates
}

#[allow(clippy::cast_precision_loss)]
fn harsh(observations: &[&Observation], is_harsh: impl Fn(f64) -> bool) -> Option<bool> {
    // Of readings of one time, the first counts.
    let mut speeds = numbers(SPEED, observations);
    speeds.dedup_by_key(|(at, _)| *at);
    let (at, speed) = *speeds.last()?;
    let Some((before_at, before)) = speeds.len().checked_sub(2).and_then(|index| speeds.get(index)) else {
        return Some(false);
    };
    let elapsed_ms = at.ms() - before_at.ms();
    let acceleration = (speed.abs() - before.abs()) / 3.6 / (elapsed_ms as f64 / 1000.0);
    Some(elapsed_ms <= SPEED_GAP_MS && is_harsh(acceleration))
}

pub(super) fn names(test: &DtcTest, code: &TroubleCode) -> bool {
    (test.statuses.is_empty() || test.statuses.contains(&code.status))
        && test.patterns.iter().any(|pattern| pattern.matches(&code.code))
}

fn fence(test: &Geofence, observations: &[&Observation]) -> Option<bool> {
    let coordinate = |observation: &Observation, path: &str| observation.signals.get(path).and_then(Value::as_number);
    let positions = observations.iter().filter_map(|observation| {
        let [latitude, longitude] = POSITION;
        Some(Coordinates { longitude: coordinate(observation, longitude)?, latitude: coordinate(observation, latitude)? })
    });
    let mut inside: Vec<bool> = Vec::new();
    for position in positions {
        let margin_m = if inside.last() == Some(&true) { test.hysteresis_m } else { 0.0 };
        inside.push(is_within(&test.shape, position, margin_m));
    }
    let is_inside = *inside.last()?;
    Some(match test.event {
        FenceEvent::Enter => is_inside && inside.contains(&false),
        FenceEvent::Leave => !is_inside && inside.contains(&true),
        FenceEvent::Dwell => is_inside,
    })
}

/// Near the equator, degrees are a plane. The polygons are rectangles, and the corridors lead from west to east.
fn is_within(shape: &Shape, position: Coordinates, margin_m: f64) -> bool {
    let outside_of = |number: f64, low: f64, high: f64| (low - number).max(number - high).max(0.0) * METRES_PER_DEGREE;
    let bounds = |line: &[Coordinates], number: fn(&Coordinates) -> f64| {
        let numbers = || line.iter().map(number);
        (numbers().fold(f64::MAX, f64::min), numbers().fold(f64::MIN, f64::max))
    };
    let distance_m = |line: &[Coordinates]| {
        let (west, east) = bounds(line, |place| place.longitude);
        let (south, north) = bounds(line, |place| place.latitude);
        outside_of(position.longitude, west, east).hypot(outside_of(position.latitude, south, north))
    };
    match shape {
        Shape::Circle { center, radius_m } => distance_m(&[*center]) <= radius_m + margin_m,
        Shape::Polygon(rings) => distance_m(&rings[0]) <= margin_m,
        Shape::Corridor { line, width_m } => distance_m(line) <= width_m / 2.0 + margin_m,
    }
}
