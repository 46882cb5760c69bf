//! Simulated vehicles that send in step with the clock.

pub(crate) mod way;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use roadcast_traces::simulate::{SimConfig, Simulator};
use roadcast_traces::{Upload, VehicleKey};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::console::Step;
use way::{Outcome, Way};

/// How often the vehicles are moved on.
const TICK: Duration = Duration::from_millis(500);
/// Uploads under way at once; those of one vehicle never are.
const CONCURRENCY: usize = 8;
/// Where simulated time runs faster than the clock, it begins at most this long ago.
const LONGEST_PAST: Duration = Duration::from_hours(168);

/// A drive to make.
pub(crate) struct Drive {
    pub(crate) config: SimConfig,
    /// Simulated time per real time.
    pub(crate) rate: f64,
    pub(crate) duration: Option<Duration>,
}

/// What was sent, in samples unless it says otherwise.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Sent {
    pub(crate) uploads: u64,
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
    /// Uploads that got no answer however often they were tried.
    pub(crate) failed_uploads: u64,
}

impl Drive {
    /// Drives and sends until the time is over, or until it is dropped; counts as it goes.
    pub(crate) async fn run(
        &self,
        way: &Arc<Way>,
        vids: &BTreeMap<VehicleKey, String>,
        sent: &mut Sent,
        mut step: Option<&mut Step>,
    ) {
        let began = Instant::now();
        let start_ms = self.start_ms();
        let mut simulator = Simulator::new(&SimConfig { start_ms, ..self.config.clone() });
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let elapsed = self.duration.map_or(began.elapsed(), |duration| began.elapsed().min(duration));
            // Never ahead of the clock: what would come from the future is set aside by the service.
            let until = (start_ms + ms(elapsed.mul_f64(self.rate))).min(now_ms());
            let uploads = simulator.next_uploads(until);
            send(way, vids, uploads, sent).await;
            if let Some(step) = step.as_deref_mut() {
                step.at(&format!("{} samples sent, {} refused", sent.accepted, sent.refused));
            }
            if self.duration.is_some_and(|duration| elapsed >= duration) {
                return;
            }
        }
    }

    /// Faster than the clock, it begins in the past and catches up with the present at the end.
    fn start_ms(&self) -> i64 {
        let ahead = (self.rate - 1.0).max(0.0);
        let past = self.duration.map_or(LONGEST_PAST, |duration| duration.mul_f64(ahead).min(LONGEST_PAST));
        if ahead > 0.0 { now_ms() - ms(past) } else { now_ms() }
    }
}

/// Sends uploads: each vehicle's in order, different vehicles' side by side.
async fn send(way: &Arc<Way>, vids: &BTreeMap<VehicleKey, String>, uploads: Vec<Upload>, sent: &mut Sent) {
    let mut by_vehicle: BTreeMap<String, Vec<Upload>> = BTreeMap::new();
    for upload in uploads {
        if let Some(vid) = vids.get(&upload.vehicle) {
            by_vehicle.entry(vid.clone()).or_default().push(upload);
        }
    }
    let slots = Arc::new(Semaphore::new(CONCURRENCY));
    let mut tasks = JoinSet::new();
    for (vid, uploads) in by_vehicle {
        let (way, slots) = (Arc::clone(way), Arc::clone(&slots));
        tasks.spawn(async move {
            let mut sent = Sent::default();
            let _slot = slots.acquire().await;
            for upload in uploads {
                let events: Vec<Value> = upload.events.iter().map(|event| event.to_cloud_event(None)).collect();
                let samples = upload.samples as u64;
                sent.uploads += 1;
                match way.send(&vid, events).await {
                    Outcome::Accepted => sent.accepted += samples,
                    Outcome::Refused => sent.refused += samples,
                    Outcome::Failed => sent.failed_uploads += 1,
                }
            }
            sent
        });
    }
    while let Some(done) = tasks.join_next().await {
        let done = done.unwrap_or_default();
        sent.uploads += done.uploads;
        sent.accepted += done.accepted;
        sent.refused += done.refused;
        sent.failed_uploads += done.failed_uploads;
    }
}

/// The time, in milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    ms(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_that_runs_faster_than_the_clock_begins_early_enough_to_end_in_the_present() {
        let drive = Drive { config: SimConfig::default(), rate: 10.0, duration: Some(Duration::from_mins(1)) };
        let end = drive.start_ms() + 600_000;
        assert!((end - (now_ms() + 60_000)).abs() < 1000);
        let unhurried = Drive { rate: 1.0, ..drive };
        assert!((unhurried.start_ms() - now_ms()).abs() < 1000);
    }
}
