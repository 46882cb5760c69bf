//! Simulated vehicles that send in real time, or at a multiple of it.

pub(crate) mod transport;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use roadcast_traces::simulate::{SimConfig, Simulator};
use roadcast_traces::{Upload, VehicleKey};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::console::Step;
use crate::wall_clock::{ms, now_ms};
use transport::{Transport, UploadOutcome};

/// The interval between simulation steps.
const TICK: Duration = Duration::from_millis(500);
/// The maximum number of concurrent uploads. Uploads of one vehicle are never concurrent.
const CONCURRENCY: usize = 8;
/// If simulated time is faster than real time, it starts at most this long ago.
const MAX_START_AGE: Duration = Duration::from_hours(168);

/// The settings of a simulation.
pub(crate) struct Simulation {
    pub(crate) config: SimConfig,
    /// Simulated time per unit of real time.
    pub(crate) rate: f64,
    pub(crate) duration: Option<Duration>,
}

/// Totals of a simulation, in samples except where stated.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SimulationCounts {
    /// Number of uploads.
    pub(crate) uploads: u64,
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
    /// Number of uploads without a response after all retries.
    pub(crate) failed_uploads: u64,
}

impl Simulation {
    /// Simulates and sends until the duration is over or the future is dropped. Updates `counts` after each step.
    pub(crate) async fn run(
        &self,
        transport: &Arc<Transport>,
        vids: &BTreeMap<VehicleKey, String>,
        counts: &mut SimulationCounts,
        mut step: Option<&mut Step>,
    ) {
        let started = Instant::now();
        let start_ms = self.start_ms();
        let mut simulator = Simulator::new(&SimConfig { start_ms, ..self.config.clone() });
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let elapsed = self.duration.map_or(started.elapsed(), |duration| started.elapsed().min(duration));
            // Never ahead of real time: the service quarantines samples from the future.
            let until = (start_ms + ms(elapsed.mul_f64(self.rate))).min(now_ms());
            let uploads = simulator.next_uploads(until);
            send(transport, vids, uploads, counts).await;
            if let Some(step) = step.as_deref_mut() {
                step.set_message(&format!("{} samples accepted, {} refused", counts.accepted, counts.refused));
            }
            if self.duration.is_some_and(|duration| elapsed >= duration) {
                return;
            }
        }
    }

    /// The start of simulated time, in milliseconds since 1970. At more than real time it is in the past, so that the
    /// simulation reaches the present at its end.
    fn start_ms(&self) -> i64 {
        let ahead = (self.rate - 1.0).max(0.0);
        let past = self.duration.map_or(MAX_START_AGE, |duration| duration.mul_f64(ahead).min(MAX_START_AGE));
        if ahead > 0.0 { now_ms() - ms(past) } else { now_ms() }
    }
}

/// Sends uploads: those of one vehicle in order, those of different vehicles concurrently.
async fn send(
    transport: &Arc<Transport>,
    vids: &BTreeMap<VehicleKey, String>,
    uploads: Vec<Upload>,
    counts: &mut SimulationCounts,
) {
    let mut by_vehicle: BTreeMap<String, Vec<Upload>> = BTreeMap::new();
    for upload in uploads {
        if let Some(vid) = vids.get(&upload.vehicle) {
            by_vehicle.entry(vid.clone()).or_default().push(upload);
        }
    }
    let slots = Arc::new(Semaphore::new(CONCURRENCY));
    let mut tasks = JoinSet::new();
    for (vid, uploads) in by_vehicle {
        let (transport, slots) = (Arc::clone(transport), Arc::clone(&slots));
        tasks.spawn(async move {
            let mut counts = SimulationCounts::default();
            let _slot = slots.acquire().await;
            for upload in uploads {
                let events: Vec<Value> = upload.events.iter().map(|event| event.to_cloud_event(None)).collect();
                let samples = upload.samples as u64;
                counts.uploads += 1;
                match transport.send(&vid, events).await {
                    UploadOutcome::Accepted => counts.accepted += samples,
                    UploadOutcome::Rejected => counts.refused += samples,
                    UploadOutcome::Failed => counts.failed_uploads += 1,
                }
            }
            counts
        });
    }
    while let Some(vehicle) = tasks.join_next().await {
        let vehicle = vehicle.unwrap_or_default();
        counts.uploads += vehicle.uploads;
        counts.accepted += vehicle.accepted;
        counts.refused += vehicle.refused;
        counts.failed_uploads += vehicle.failed_uploads;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fast_simulation_starts_in_the_past_and_ends_in_the_present() {
        let fast = Simulation { config: SimConfig::default(), rate: 10.0, duration: Some(Duration::from_mins(1)) };
        let end = fast.start_ms() + 600_000;
        assert!((end - (now_ms() + 60_000)).abs() < 1000);
        let real_time = Simulation { rate: 1.0, ..fast };
        assert!((real_time.start_ms() - now_ms()).abs() < 1000);
    }
}
