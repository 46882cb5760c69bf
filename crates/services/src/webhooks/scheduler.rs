//! Finds the lines of waiting deliveries that are due, and sends their tasks.

use roadcast_ports::PortError;
use roadcast_ports::clock::Clock as _;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::webhooks::{DeliveryTask, WaitingDeliveries as _};

use super::tasks::send_all;

/// The number of lines that are read at a time.
const PAGE_LINES: usize = 100;
/// After this time, the task of a line is sent again unless the line was handled, in milliseconds.
const REPEAT_MS: i64 = 5 * 60 * 1000;

/// Sends the tasks of lines that are due. Runs every minute.
pub struct LineScheduler<Ports: PortSet> {
    /// The waiting deliveries.
    pub waiting: Ports::WaitingDeliveries,
    /// The queues of the dispatcher.
    pub queue: Ports::DeliveryQueue,
    /// The clock.
    pub clock: Ports::Clock,
}

impl<Ports: PortSet> LineScheduler<Ports> {
    /// Sends the task of each line that is due, for `time_ms`, and returns their number. What is not reached is still due in the
    /// next run. Lines are rescheduled before their tasks are sent, because the handling of a task also reschedules its line. If
    /// a task is not sent, its line is due again later.
    pub async fn run(&self, time_ms: i64) -> Result<usize, PortError> {
        let started = self.clock.now();
        let (mut after, mut sent) = (None, 0);
        while self.clock.now().ms_since(started) < time_ms {
            let lines = self.waiting.lines(started, after.as_ref(), PAGE_LINES).await?;
            let Some(last) = lines.last() else { break };
            after = Some(last.line.clone());
            let tasks = lines.iter().map(|due| DeliveryTask::Line { line: due.line.clone() }).collect();
            sent += lines.len();
            for due in lines {
                self.waiting.reschedule(&due.line, Some(started.plus_ms(REPEAT_MS)), due.revision).await?;
            }
            send_all(&self.queue, tasks).await?;
        }
        Ok(sent)
    }
}
