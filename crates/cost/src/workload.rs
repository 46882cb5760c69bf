//! What is driven, sent and asked for.

/// A month's work. The defaults are those of the published proof of concept.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// Vehicles.
    pub vehicles: u32,
    /// Fleets; each vehicle belongs to one.
    pub fleets: u32,
}

/// Days of a month.
pub(crate) const DAYS: f64 = 30.0;
/// Hours of a month.
pub(crate) const HOURS: f64 = 730.0;
/// Samples of a vehicle in a second of driving.
pub(crate) const SAMPLES_PER_S: f64 = 1.0;
/// Samples of an upload.
pub(crate) const SAMPLES_PER_UPLOAD: usize = 10;
/// Bytes of a sample, for the designs that store each by itself.
pub(crate) const SAMPLE_BYTES: usize = 520;
/// A fleet asks its feed for news so often, in seconds.
pub(crate) const POLL_EVERY_S: u32 = 15;
/// A fleet asks for a vehicle's state so often a day.
pub(crate) const STATE_QUERIES_A_DAY: f64 = 500.0;
/// A fleet asks for ten minutes of a vehicle's history so often a day.
pub(crate) const HISTORY_QUERIES_A_DAY: f64 = 50.0;

/// The commuters' day: hours, and the share of the vehicles that drive in them. It comes to 40 minutes a vehicle; at the
/// peak a fifth of them drives.
pub(crate) const CURVE: [(f64, f64); 4] = [(2.0, 0.2), (2.0, 0.05), (10.0, 0.014), (10.0, 0.002_667)];

/// How telemetry comes in.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// Devices over `IoT` Core, by a topic rule (Basic Ingest).
    Iot,
    /// Devices or gateways that call `PutRecords`.
    PutRecords,
    /// Partners that post batches over many vehicles.
    PartnerHttp,
    /// Each vehicle posts its own uploads.
    VehicleHttp,
}

impl Way {
    /// Every way.
    pub const ALL: [Self; 4] = [Self::Iot, Self::PutRecords, Self::PartnerHttp, Self::VehicleHttp];

    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Iot => "iot",
            Self::PutRecords => "put_records",
            Self::PartnerHttp => "partner_http",
            Self::VehicleHttp => "vehicle_http",
        }
    }
}

/// What devices send.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Blocks made on the device.
    Compact,
    /// Plain JSON.
    Json,
}

impl Workload {
    /// Uploads of a month.
    pub fn uploads(&self) -> f64 {
        self.samples() / SAMPLES_PER_UPLOAD as f64
    }

    /// Samples of a month.
    pub fn samples(&self) -> f64 {
        f64::from(self.vehicles) * self.driven_minutes_a_day() * 60.0 * SAMPLES_PER_S * DAYS
    }

    /// Minutes that a vehicle drives in a day.
    pub fn driven_minutes_a_day(&self) -> f64 {
        CURVE.iter().map(|(hours, share)| hours * share * 60.0).sum()
    }

    /// Vehicles that drive at the peak.
    pub fn peak(&self) -> f64 {
        f64::from(self.vehicles) * CURVE[0].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_comes_to_the_published_workload() {
        let workload = Workload { vehicles: 1, fleets: 1 };
        assert!((CURVE.iter().map(|(hours, _)| hours).sum::<f64>() - 24.0).abs() < 1e-9);
        assert!((workload.driven_minutes_a_day() - 40.0).abs() < 0.01);
        assert!((workload.samples() - 72_000.0).abs() < 10.0);
        assert!((workload.peak() - 0.2).abs() < 1e-9);
    }
}
