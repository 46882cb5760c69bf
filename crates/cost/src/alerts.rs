//! What alerts add to the bill of 10,000 vehicles in ten fleets: the real use cases run under the meter.
//!
//! Four parts: the evaluation of the traffic of a day, which raises nothing; the restoration of evaluations that are not in memory;
//! an alert, raised and cleared, from its evaluation to the feed of its fleet; and what is billed without traffic. The delivery to an
//! endpoint belongs to [webhooks](crate::webhooks).

mod run;
mod setup;

use futures::executor::block_on;

use crate::GIB;
use crate::meter::{Item, Usage};
use crate::workload::{CURVE, DAYS, HOURS};

/// The workload: vehicles, fleets, and enabled rules of each fleet. All rules concern all vehicles of their fleet.
pub const VEHICLES: u32 = 10_000;
/// See [`VEHICLES`].
pub const FLEETS: u32 = 10;
/// See [`VEHICLES`].
pub const RULES: u32 = 50;
/// Drives of a vehicle a day. Each begins with an evaluation that is not in memory any more.
const DRIVES: f64 = 2.0;
/// New instances of the evaluator a day. Each restores the evaluations of all vehicles that drive.
const INSTANCES: f64 = 12.0;
/// Runs of the clock a day: one every minute.
const TICKS: f64 = 24.0 * 60.0;

/// The metered usage of alerts.
#[derive(Clone, Debug)]
pub struct Alerts {
    /// The evaluation of a second of each load level of the day, of [`VEHICLES`] vehicles.
    pub levels: Vec<Level>,
    /// The restoration of an evaluation that is not in memory, of a vehicle that drove 40 minutes before.
    pub restored: Usage,
    /// The messages that an alert is raised, and that it is cleared, to the feed.
    pub alert: Usage,
}

/// A load level of the day.
#[derive(Clone, Debug)]
pub struct Level {
    /// The usage of the evaluator in a second.
    pub usage: Usage,
    /// Bytes of records in a second.
    pub record_bytes: f64,
    /// Samples in a second.
    pub samples: f64,
}

/// Runs the use cases under the meter.
pub fn run_alerts() -> Alerts {
    block_on(async {
        let mut levels = Vec::new();
        for (_, share) in CURVE {
            levels.push(run::level(f64::from(VEHICLES) * share).await);
        }
        Alerts { levels, restored: run::restored().await, alert: run::alert().await }
    })
}

impl Alerts {
    /// Returns the usage of the evaluator in a month, without alerts.
    pub fn evaluation(&self) -> Usage {
        let mut usage = Usage::default();
        for ((hours, share), level) in CURVE.into_iter().zip(&self.levels) {
            usage.add_scaled(&level.usage, hours * 3600.0 * DAYS);
            let driving = f64::from(VEHICLES) * share;
            usage.add_scaled(&self.restored, driving * hours / 24.0 * INSTANCES * DAYS);
        }
        usage.add_scaled(&self.restored, f64::from(VEHICLES) * DRIVES * DAYS);
        usage
    }

    /// Returns the usage of alerts in a month, raised and cleared: one for each vehicle and day.
    pub fn alerts(&self) -> Usage {
        let mut usage = Usage::default();
        usage.add_scaled(&self.alert, f64::from(VEHICLES) * DAYS);
        usage
    }

    /// Returns all traffic of a month.
    pub fn month(&self) -> Usage {
        let mut usage = self.evaluation();
        usage.add_scaled(&self.alerts(), 1.0);
        usage
    }

    /// Returns what enhanced fan-out adds in a month, on one shard. Its mapping has a batch window of a second, so that it invokes the
    /// evaluator as often as one that polls every second.
    pub fn fan_out(&self) -> Usage {
        let mut usage = Usage::default();
        usage.add(Item::KinesisConsumerHour, None, HOURS);
        let levels = CURVE.into_iter().zip(&self.levels);
        let bytes: f64 = levels.map(|((hours, _), level)| level.record_bytes * hours * 3600.0 * DAYS).sum();
        usage.add(Item::KinesisRetrievedGb, None, bytes / GIB);
        usage
    }

    /// Returns the usage of a month without traffic: the clock, on one shard. Queues and alarms are counted from the template.
    pub fn idle() -> Usage {
        let mut usage = Usage::default();
        usage.add_scaled(&block_on(run::tick()), TICKS * DAYS);
        usage
    }
}
