//! Restoring the tables of events from the archive: the events of vehicles, their states, and the index of arrivals.
//!
//! A run of the workflow `infra/restore.asl.json` restores the hours of the archive independently of each other. Each task
//! continues one hour for a minute. Everything may be restored again: stored events are skipped. See
//! `docs/decisions/0064-restore-by-hours.md`.

mod counts;
mod group;
mod request;

use roadcast_ports::clock::Clock as _;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::{PortError, PortErrorKind};
use serde::{Deserialize, Serialize};

pub use counts::RestoreCounts;
pub use request::{ArchiveHour, InvalidRequest, MAX_HOURS, RestoreRequest};

use crate::stream::{BatchOutcome, RecordRestorer};
use group::{Group, GroupReader};

/// How long a task starts further groups, in milliseconds. The last group takes another minute, and what is started then as
/// much: the function has five minutes.
const TASK_MS: i64 = 60 * 1000;

/// Restores from the archive.
pub struct ArchiveRestore<Ports: PortSet> {
    /// The archive.
    pub batches: Ports::ArchivedBatches,
    /// Restores the records of the archive.
    pub restorer: RecordRestorer<Ports>,
    /// The clock.
    pub clock: Ports::Clock,
}

/// A task of the workflow: continues to restore an hour of the archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Task {
    /// What is restored.
    pub request: RestoreRequest,
    /// The hour.
    pub hour: ArchiveHour,
    /// How far the hour is restored.
    #[serde(default)]
    pub progress: HourProgress,
}

/// How far an hour of the archive is restored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HourProgress {
    /// Whether the hour is restored.
    #[serde(default)]
    pub done: bool,
    /// The key of the last batch that is restored completely.
    #[serde(default)]
    after: Option<String>,
    /// The number of records of the next batch that are restored.
    #[serde(default)]
    records_of_next: usize,
    /// What was restored so far.
    #[serde(default)]
    pub counts: RestoreCounts,
}

impl HourProgress {
    fn position(&self) -> (Option<&str>, usize) {
        (self.after.as_deref(), self.records_of_next)
    }
}

impl<Ports: PortSet> ArchiveRestore<Ports> {
    /// Continues to restore an hour. Returns the next task of the hour, with which the caller continues until it is done. Fails
    /// if nothing could be restored; then, the same task is repeated later.
    pub async fn continue_hour(&self, task: Task) -> Result<Task, PortError> {
        let Task { request, hour, mut progress } = task;
        let (started, first) = (self.clock.now(), progress.clone());
        let mut reader = GroupReader::new(&self.batches, &request, hour);
        while self.clock.now().ms_since(started) <= TASK_MS {
            let restored = match reader.next(&progress).await {
                Ok(Some(group)) => self.restore_group(&request, group, &mut progress).await,
                Ok(None) => {
                    progress.done = true;
                    break;
                }
                Err(error) => Err(error),
            };
            match restored {
                Ok(()) => {}
                Err(error) if progress.position() == first.position() => return Err(error),
                Err(error) => {
                    let cause = roadcast_ports::error_chain(&error);
                    tracing::warn!(cause, "the hour {hour} continues with the next task: {cause}");
                    break;
                }
            }
        }
        Ok(Task { request, hour, progress })
    }

    async fn restore_group(
        &self,
        request: &RestoreRequest,
        group: Group,
        progress: &mut HourProgress,
    ) -> Result<(), PortError> {
        let outcome = self.restorer.restore_batch(&group.records, &request.scope).await;
        let BatchOutcome { retry_from, unstarted_from, mut failures, quarantine_causes, counts, trace_candidates: _ } =
            outcome;
        for error in &quarantine_causes {
            let cause = roadcast_ports::error_chain(error);
            tracing::warn!(cause, "an event cannot be stored, as when it arrived: {cause}");
        }
        let restored = match (retry_from, unstarted_from) {
            (None, _) => group.records.len(),
            // The deadline is the only failure.
            (Some(_), Some(unstarted)) if failures.len() == 1 => unstarted,
            (Some(_), _) => {
                let failed = PortError::new(PortErrorKind::Internal, "restore archived records");
                return Err(failures.drain(..).next().unwrap_or(failed));
            }
        };
        (progress.after, progress.records_of_next) = group.position_after(restored);
        // The first task with the group counts its unreadable batches, because the last one may have only its last records.
        progress.counts.unreadable_batches += group.unreadable;
        progress.counts.add_batch(restored, &counts);
        Ok(())
    }
}
