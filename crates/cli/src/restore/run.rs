//! A run of the workflow that restores from the archive.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use aws_sdk_sfn::Client;
use aws_sdk_sfn::types::{ExecutionStatus, MapRunItemCounts};
use roadcast_services::restore::{ArchiveHour, RestoreCounts, RestoreRequest};
use serde_json::json;

use crate::console::Console;
use crate::stack::Stack;
use crate::wall_clock::now_ms;

const STATE_MACHINE: &str = "RestoreStateMachineArn";
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// A run: an execution of the state machine.
pub(super) struct RestoreRun {
    client: Client,
    name: String,
    arn: String,
}

/// What a run restored.
pub(super) struct FinishedRun {
    pub(super) hours: usize,
    pub(super) counts: RestoreCounts,
}

impl RestoreRun {
    /// Starts a run.
    pub(super) async fn start(stack: &Stack, request: &RestoreRequest, hours: &[ArchiveHour]) -> Result<Self> {
        let run = Self::named(stack, &format!("restore-{}", now_ms()))?;
        let input = json!({ "request": request, "hours": hours }).to_string();
        let start =
            run.client.start_execution().state_machine_arn(stack.output(STATE_MACHINE)?).name(&run.name).input(input);
        start.send().await.context("cannot start the run, which requires the right states:StartExecution")?;
        Ok(run)
    }

    /// A run that was started before.
    pub(super) fn named(stack: &Stack, name: &str) -> Result<Self> {
        let execution = stack.output(STATE_MACHINE)?.replace(":stateMachine:", ":execution:");
        Ok(Self { client: Client::new(&stack.config), name: name.to_owned(), arn: format!("{execution}:{name}") })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Waits until the run has ended. Fails if it did not succeed.
    pub(super) async fn follow(&self, console: &Console) -> Result<FinishedRun> {
        let mut step = console.step("Restoring");
        loop {
            let described = self.client.describe_execution().execution_arn(&self.arn).send().await;
            let execution = described.with_context(|| {
                format!("cannot read the run {}, which requires the right states:DescribeExecution", self.name)
            })?;
            match execution.status() {
                ExecutionStatus::Running => {}
                ExecutionStatus::Succeeded => {
                    let finished = finished(execution.output().unwrap_or_default())?;
                    step.finish(&format!("{} hours of the archive", finished.hours));
                    return Ok(finished);
                }
                status => bail!(
                    "the run {} ended as {status}: {}. Run the same command again: what is restored is skipped",
                    self.name,
                    execution.cause().or(execution.error()).unwrap_or("no cause is known")
                ),
            }
            if let Some(counts) = self.item_counts().await? {
                step.set_message(&format!("{} of {} hours of the archive", counts.succeeded(), counts.total()));
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Returns how many hours are restored; `None` before the first one has started.
    async fn item_counts(&self) -> Result<Option<MapRunItemCounts>> {
        const REQUIRED: &str =
            "cannot read the progress, which requires the rights states:ListMapRuns and states:DescribeMapRun";
        let runs = self.client.list_map_runs().execution_arn(&self.arn).send().await.context(REQUIRED)?;
        let Some(run) = runs.map_runs().first() else { return Ok(None) };
        let run = self.client.describe_map_run().map_run_arn(run.map_run_arn()).send().await.context(REQUIRED)?;
        Ok(run.item_counts)
    }
}

/// Adds the counts of the hours, which are the output of the run.
fn finished(output: &str) -> Result<FinishedRun> {
    let hours: Vec<RestoreCounts> = serde_json::from_str(output).context("the output of the run is not readable")?;
    let mut counts = RestoreCounts::default();
    for hour in &hours {
        counts.add(hour);
    }
    Ok(FinishedRun { hours: hours.len(), counts })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn counts_of_all_hours_are_added() {
        let run = finished(r#"[{"records":2,"samplesStored":5},{"records":1,"unreadableBatches":1}]"#).unwrap();
        let expected = RestoreCounts { records: 3, samples_stored: 5, unreadable_batches: 1, ..RestoreCounts::default() };
        assert_eq!((run.hours, run.counts), (2, expected));
        assert!(finished("").is_err());
    }
}
