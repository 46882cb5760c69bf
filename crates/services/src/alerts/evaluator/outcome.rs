//! The outcome of a batch.

use roadcast_domain::alert::AlertChange;
use roadcast_domain::event::{Body, Event};
use roadcast_ports::PortError;

/// The outcome of a batch.
#[derive(Debug, Default)]
pub struct EvaluationOutcome {
    /// The index of the first record to retry; it and all records after it are retried. `None` if no retry is needed.
    pub retry_from: Option<usize>,
    /// The errors because of which records are retried.
    pub failures: Vec<PortError>,
    /// Alerts and checkpoints that no store or bus accepts because of their size. They are not retried.
    pub refused: Vec<PortError>,
    /// Counts for metrics.
    pub counts: EvaluationCounts,
}

/// The counts of a batch.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct EvaluationCounts {
    /// Samples that were read, whether or not a rule concerns them.
    pub samples: usize,
    /// Invalid events and samples, which the stream processor quarantines.
    pub invalid: usize,
    /// Alerts that were published: raised, cleared and withdrawn.
    pub alerts: usize,
    /// Of these, the raised ones.
    pub raised: usize,
    /// Of these, the withdrawn ones.
    pub withdrawn: usize,
    /// Of these, those that late data caused, without the withdrawn ones.
    pub late: usize,
    /// Alerts that were not published, because their owner may not see all that they were computed from.
    pub hidden: usize,
    /// Samples that were ignored because they were later than the allowed lateness.
    pub too_late: usize,
    /// Samples that were evaluated again because of late ones.
    pub evaluated_again: usize,
    /// Evaluations that were restored from their checkpoint and the log.
    pub restored: usize,
    /// Records that were read again, because another instance had evaluated the shard, or none had.
    pub read_again: usize,
}

impl EvaluationOutcome {
    /// Records that `error` makes a retry from this record on necessary.
    pub(super) fn fail(&mut self, record: usize, error: PortError) {
        self.retry_from = Some(self.retry_from.map_or(record, |first| first.min(record)));
        self.failures.push(error);
    }
}

impl EvaluationCounts {
    /// Counts an alert that was published.
    pub(super) fn count_published(&mut self, event: &Event) {
        self.alerts += 1;
        if let Body::Alert(alert) = &event.body {
            self.raised += usize::from(alert.change == AlertChange::Raised);
            self.withdrawn += usize::from(alert.change == AlertChange::Withdrawn);
            self.late += usize::from(alert.late && alert.change != AlertChange::Withdrawn);
        }
    }

    /// Adds other counts.
    pub fn add(&mut self, part: Self) {
        let Self { samples, invalid, alerts, raised, withdrawn, late, .. } = part;
        let Self { hidden, too_late, evaluated_again, restored, read_again, .. } = part;
        self.samples += samples;
        self.invalid += invalid;
        self.alerts += alerts;
        self.raised += raised;
        self.withdrawn += withdrawn;
        self.late += late;
        self.hidden += hidden;
        self.too_late += too_late;
        self.evaluated_again += evaluated_again;
        self.restored += restored;
        self.read_again += read_again;
    }
}
