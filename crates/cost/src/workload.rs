//! The workload: driving, sending and querying.

use roadcast_domain::subscription::DeliveryFormat;

/// The workload of a month. The constants are those of the published proof of concept.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// Number of vehicles.
    pub vehicles: u32,
    /// Number of fleets; each vehicle belongs to one.
    pub fleets: u32,
}

/// Days per month.
pub(crate) const DAYS: f64 = 30.0;
/// Batch window of the stream processor in the template, in seconds.
pub(crate) const WINDOW_S: u16 = 90;
/// Hours per month.
pub(crate) const HOURS: f64 = 730.0;
/// Samples of a vehicle per second of driving.
pub(crate) const SAMPLES_PER_S: f64 = 1.0;
/// Samples per upload.
pub(crate) const SAMPLES_PER_UPLOAD: usize = 10;
/// Size of a sample in bytes, for the designs that store each one separately.
pub(crate) const SAMPLE_BYTES: usize = 520;
/// Long polls that an event source mapping of a queue keeps open ("Configuring scaling behavior for SQS event source mappings": it
/// begins with five batches, and returns to five with a maximum concurrency).
pub(crate) const MAPPING_POLLERS: usize = 5;
/// State queries of a fleet per day.
pub(crate) const STATE_QUERIES_PER_DAY: f64 = 500.0;
/// Queries of a fleet per day for ten minutes of a vehicle's history.
pub(crate) const HISTORY_QUERIES_PER_DAY: f64 = 50.0;

/// The commuter day: hours, and the share of the vehicles that drive in them. The sum is 40 minutes per vehicle. At the
/// peak, a fifth of the vehicles drives.
pub(crate) const CURVE: [(f64, f64); 4] = [(2.0, 0.2), (2.0, 0.05), (10.0, 0.014), (10.0, 0.002_667)];

/// How telemetry is ingested.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum IngestPath {
    /// Devices publish over `IoT` Core, by a topic rule (Basic Ingest).
    Iot,
    /// Devices or gateways call `PutRecords`.
    PutRecords,
    /// Partners post batches for many vehicles.
    PartnerHttp,
    /// Each vehicle posts its own uploads.
    VehicleHttp,
}

impl IngestPath {
    /// Every ingest path.
    pub const ALL: [Self; 4] = [Self::Iot, Self::PutRecords, Self::PartnerHttp, Self::VehicleHttp];

    /// Returns its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Iot => "iot",
            Self::PutRecords => "put_records",
            Self::PartnerHttp => "partner_http",
            Self::VehicleHttp => "vehicle_http",
        }
    }
}

/// The payload format of devices.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Blocks, encoded on the device.
    Compact,
    /// Plain JSON.
    Json,
}

/// What a deployment or its users can choose, and what the bill depends on. The default is that of the template, and of fleets
/// that read their feeds as the responses advise.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Knobs {
    /// Batch window of the stream processor, in seconds.
    pub window_s: u16,
    /// Longest interval between the reads of a feed that the responses advise, in seconds.
    pub poll_s: u16,
    /// The format of uploads.
    pub payload: Payload,
    /// Number of fleets that receive the data of each vehicle.
    pub fleets_per_vehicle: u32,
    /// The format in which fleets receive telemetry.
    pub delivery_format: DeliveryFormat,
    /// Concurrent batches of a shard, instead of those that suit the format of uploads.
    pub concurrent_batches: Option<usize>,
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            window_s: WINDOW_S,
            poll_s: WINDOW_S,
            payload: Payload::Compact,
            fleets_per_vehicle: 1,
            delivery_format: DeliveryFormat::Blocks,
            concurrent_batches: None,
        }
    }
}

impl Workload {
    /// Returns the number of uploads per month.
    pub fn uploads(&self) -> f64 {
        self.samples() / SAMPLES_PER_UPLOAD as f64
    }

    /// Returns the number of samples per month.
    pub fn samples(&self) -> f64 {
        f64::from(self.vehicles) * self.driven_minutes_a_day() * 60.0 * SAMPLES_PER_S * DAYS
    }

    /// Returns the driving time of a vehicle per day, in minutes.
    pub fn driven_minutes_a_day(&self) -> f64 {
        CURVE.iter().map(|(hours, share)| hours * share * 60.0).sum()
    }

    /// Returns the number of vehicles that drive at the peak.
    pub fn peak(&self) -> f64 {
        f64::from(self.vehicles) * CURVE[0].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn load_curve_matches_the_published_workload() {
        let workload = Workload { vehicles: 1, fleets: 1 };
        assert!((CURVE.iter().map(|(hours, _)| hours).sum::<f64>() - 24.0).abs() < 1e-9);
        assert!((workload.driven_minutes_a_day() - 40.0).abs() < 0.01);
        assert!((workload.samples() - 72_000.0).abs() < 10.0);
        assert!((workload.peak() - 0.2).abs() < 1e-9);
    }
}
