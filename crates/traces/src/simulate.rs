//! Vehicles that are made up: seeded drives around a city, sent as uploads, with faults on request.
//!
//! A vehicle drives a closed route of streets with limits and traffic lights, rests, and drives it again. Half of the
//! vehicles burn fuel and half are electric. The same [`SimConfig`] makes the same uploads, in the same order, however the
//! time is cut into calls of [`Simulator::next_uploads`].

mod drive;
mod faults;
mod identity;
mod powertrain;
mod route;
mod vehicle;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

pub use faults::Faults;
use vehicle::SimVehicle;

use crate::batch::{Batcher, Upload};
use crate::row::{Details, VehicleKey};

/// What to simulate.
#[derive(Clone, Debug, PartialEq)]
pub struct SimConfig {
    /// The same seed makes the same vehicles and drives.
    pub seed: u64,
    /// How many vehicles.
    pub vehicles: usize,
    /// When all of them set out, in milliseconds since 1970.
    pub start_ms: i64,
    /// Between two samples of a vehicle; at least 1.
    pub interval_ms: i64,
    /// How many samples an upload holds.
    pub samples_per_upload: usize,
    /// The `CloudEvents` source.
    pub source: String,
    /// What goes wrong, and how often.
    pub faults: Faults,
}

impl Default for SimConfig {
    /// Ten vehicles from 2025-01-06T08:00:00Z, a sample a second, ten samples an upload, no faults.
    fn default() -> Self {
        Self {
            seed: 1,
            vehicles: 10,
            start_ms: 1_736_150_400_000,
            interval_ms: 1000,
            samples_per_upload: Batcher::DEFAULT_SAMPLES_PER_UPLOAD,
            source: "urn:roadcast:simulator".to_owned(),
            faults: Faults::default(),
        }
    }
}

/// The vehicles, and the uploads that are under way.
pub struct Simulator {
    vehicles: Vec<SimVehicle>,
    under_way: BinaryHeap<Reverse<UnderWay>>,
    now_ms: i64,
}

/// An upload with the time when it arrives. Vehicle and number break ties, so that the order is a function of the seed.
struct UnderWay {
    due_ms: i64,
    vehicle: usize,
    number: u64,
    upload: Upload,
}

impl UnderWay {
    fn order(&self) -> (i64, usize, u64) {
        (self.due_ms, self.vehicle, self.number)
    }
}

impl PartialEq for UnderWay {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl Eq for UnderWay {}

impl PartialOrd for UnderWay {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for UnderWay {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order().cmp(&other.order())
    }
}

impl Simulator {
    /// Places the vehicles; none has driven yet.
    pub fn new(config: &SimConfig) -> Self {
        Self {
            vehicles: (0..config.vehicles).map(|index| SimVehicle::new(config, index)).collect(),
            under_way: BinaryHeap::new(),
            now_ms: config.start_ms,
        }
    }

    /// The vehicles, with what they are registered by. Their VINs are made up, with a check digit that holds.
    pub fn vehicles(&self) -> impl Iterator<Item = (&VehicleKey, &Details)> {
        self.vehicles.iter().map(SimVehicle::registration)
    }

    /// The simulated time: the latest that was asked for.
    pub fn now_ms(&self) -> i64 {
        self.now_ms
    }

    /// Drives on until then, and returns the uploads that have arrived since the last call, in the order of arrival.
    ///
    /// All of them are in memory at once: for a long time ask for a part of it after the other.
    #[must_use = "the uploads are not made again"]
    pub fn next_uploads(&mut self, until_ms: i64) -> Vec<Upload> {
        self.now_ms = self.now_ms.max(until_ms);
        for (vehicle, simulated) in self.vehicles.iter_mut().enumerate() {
            for sent in simulated.drive_until(until_ms) {
                self.under_way.push(Reverse(UnderWay {
                    due_ms: sent.due_ms,
                    vehicle,
                    number: sent.number,
                    upload: sent.upload,
                }));
            }
        }
        let mut arrived = Vec::new();
        while let Some(Reverse(next)) = self.under_way.peek()
            && next.due_ms <= until_ms
            && let Some(Reverse(next)) = self.under_way.pop()
        {
            arrived.push(next.upload);
        }
        arrived
    }
}

#[cfg(test)]
mod tests;
