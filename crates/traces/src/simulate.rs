//! Simulated vehicles: drives around a city from a seed, sent as uploads, optionally with faults.
//!
//! A vehicle drives a closed route of streets with speed limits and traffic lights, rests, and drives it again. Half of the
//! vehicles have combustion engines and half are electric. The same [`SimConfig`] produces the same uploads in the same
//! order, for any sequence of calls of [`Simulator::next_uploads`].

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
use crate::row::{VehicleDetails, VehicleKey};

/// The parameters of a simulation.
#[derive(Clone, Debug, PartialEq)]
pub struct SimConfig {
    /// The seed. The same seed produces the same vehicles and drives.
    pub seed: u64,
    /// The number of vehicles.
    pub vehicles: usize,
    /// The start of all drives, in milliseconds since 1970.
    pub start_ms: i64,
    /// The time between two samples of a vehicle; at least 1.
    pub interval_ms: i64,
    /// The number of samples per upload.
    pub samples_per_upload: usize,
    /// The `CloudEvents` source.
    pub source: String,
    /// The faults and their probabilities.
    pub faults: Faults,
}

impl Default for SimConfig {
    /// Ten vehicles from 2025-01-06T08:00:00Z, one sample per second, ten samples per upload, no faults.
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

/// The vehicles, and the uploads in transit.
pub struct Simulator {
    vehicles: Vec<SimVehicle>,
    in_transit: BinaryHeap<Reverse<UploadInTransit>>,
    now_ms: i64,
}

/// An upload in transit, with the time of its arrival. Vehicle and number break ties, so that the order depends only on the
/// seed.
struct UploadInTransit {
    due_ms: i64,
    vehicle: usize,
    number: u64,
    upload: Upload,
}

impl UploadInTransit {
    fn order(&self) -> (i64, usize, u64) {
        (self.due_ms, self.vehicle, self.number)
    }
}

impl PartialEq for UploadInTransit {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl Eq for UploadInTransit {}

impl PartialOrd for UploadInTransit {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for UploadInTransit {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order().cmp(&other.order())
    }
}

impl Simulator {
    /// Creates the vehicles at the start of their routes.
    pub fn new(config: &SimConfig) -> Self {
        Self {
            vehicles: (0..config.vehicles).map(|index| SimVehicle::new(config, index)).collect(),
            in_transit: BinaryHeap::new(),
            now_ms: config.start_ms,
        }
    }

    /// Returns the vehicles with their master data. The VINs are artificial, with a valid check digit.
    pub fn vehicles(&self) -> impl Iterator<Item = (&VehicleKey, &VehicleDetails)> {
        self.vehicles.iter().map(SimVehicle::registration)
    }

    /// Returns the simulated time: the latest `until_ms` so far.
    pub fn now_ms(&self) -> i64 {
        self.now_ms
    }

    /// Simulates until `until_ms` and returns the uploads that arrived since the last call, in the order of arrival.
    ///
    /// All of them are in memory at once: split a long period into several calls.
    #[must_use = "the uploads are not created again"]
    pub fn next_uploads(&mut self, until_ms: i64) -> Vec<Upload> {
        self.now_ms = self.now_ms.max(until_ms);
        for (vehicle, simulated) in self.vehicles.iter_mut().enumerate() {
            for sent in simulated.drive_until(until_ms) {
                self.in_transit.push(Reverse(UploadInTransit {
                    due_ms: sent.due_ms,
                    vehicle,
                    number: sent.number,
                    upload: sent.upload,
                }));
            }
        }
        let mut arrived = Vec::new();
        while let Some(Reverse(next)) = self.in_transit.peek()
            && next.due_ms <= until_ms
            && let Some(Reverse(next)) = self.in_transit.pop()
        {
            arrived.push(next.upload);
        }
        arrived
    }
}

#[cfg(test)]
mod tests;
