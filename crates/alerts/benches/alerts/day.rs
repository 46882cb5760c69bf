//! A day of a vehicle that drives around a city at 1 Hz, with eleven signals.

use roadcast_blocks::{Block, EventRow};
use roadcast_domain::event::{Body, Event, Telemetry};
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_signals::{Samples, SamplesBuilder, SignalPath, Timestamp};

use crate::{SAMPLES, time};

pub(crate) struct Day {
    pub(crate) events: Vec<Event>,
    /// The same events, encoded.
    pub(crate) blocks: Vec<Vec<u8>>,
}

pub(crate) fn vid(number: u32) -> VehicleId {
    VehicleId::from_random_bits(u128::from(number) + 1)
}

pub(crate) fn start() -> Timestamp {
    "2026-11-23T00:00:00Z".parse().unwrap()
}

const PATHS: [&str; 11] = [
    "Vehicle.Speed",
    "Vehicle.CurrentLocation.Latitude",
    "Vehicle.CurrentLocation.Longitude",
    "Vehicle.CurrentLocation.Heading",
    "Vehicle.CurrentLocation.Altitude",
    "Vehicle.Powertrain.TractionBattery.StateOfCharge.Current",
    "Vehicle.Powertrain.TractionBattery.Temperature.Average",
    "Vehicle.Powertrain.ElectricMotor.Speed",
    "Vehicle.Exterior.AirTemperature",
    "Vehicle.TraveledDistance",
    "Vehicle.Acceleration.Longitudinal",
];

/// The values of a sample: two rounds an hour, with a stop after each kilometre.
fn values(second: usize) -> [f64; PATHS.len()] {
    let t = second as f64;
    let speed = (45.0 + 50.0 * (t / 40.0).sin() + 8.0 * (t / 7.0).cos()).max(0.0);
    let angle = t / 1800.0 * std::f64::consts::TAU;
    let noise = (t * 12.9898).sin() * 0.00002;
    let round = |number: f64, scale: f64| (number * scale).round() / scale;
    [
        round(speed, 10.0),
        round(52.5 + 0.05 * angle.sin() + noise, 1e6),
        round(13.4 + 0.08 * angle.cos() - noise, 1e6),
        round(angle.to_degrees().rem_euclid(360.0), 10.0),
        round(40.0 + 10.0 * angle.sin(), 10.0),
        round(100.0 - (t / 300.0) % 90.0, 100.0),
        round(25.0 + 6.0 * (t / 900.0).sin(), 10.0),
        (speed * 80.0).round(),
        round(8.0 + 4.0 * (t / 14_000.0).sin(), 10.0),
        round(t / 100.0, 10.0),
        round(3.0 * (t / 13.0).cos(), 100.0),
    ]
}

fn samples(seconds: std::ops::Range<usize>) -> Samples {
    let mut builder = SamplesBuilder::default();
    for second in seconds {
        builder.start_row(time(second));
        for (path, value) in PATHS.iter().zip(values(second)) {
            assert!(builder.push_number(SignalPath::parse(path).unwrap(), value));
        }
    }
    builder.finish()
}

impl Day {
    pub(crate) fn new(samples_per_event: usize) -> Self {
        let event = |first: usize| {
            let seconds = first..(first + samples_per_event).min(SAMPLES);
            let (at, received) = (time(seconds.start), time(seconds.end));
            let body = Body::Telemetry(Telemetry { samples: samples(seconds) });
            Event { eid: Eid::for_event(&vid(0), "bench", &first.to_string(), at), vid: vid(0), received, body }
        };
        let events: Vec<Event> = (0..SAMPLES).step_by(samples_per_event).map(event).collect();
        let blocks = events.iter().map(block).collect();
        Self { events, blocks }
    }
}

fn block(event: &Event) -> Vec<u8> {
    let Body::Telemetry(telemetry) = &event.body else { return Vec::new() };
    let row = EventRow { eid: event.eid.bits(), received: event.received, samples: telemetry.samples.len() };
    Block::new(vec![row], telemetry.samples.clone()).unwrap().encode()
}

/// Returns the event of a block with one event.
pub(crate) fn event_of_block(block: Block) -> Event {
    let (rows, samples) = block.into_parts();
    let row = &rows[0];
    Event { eid: Eid::from_bits(row.eid), vid: vid(0), received: row.received, body: Body::Telemetry(Telemetry { samples }) }
}
