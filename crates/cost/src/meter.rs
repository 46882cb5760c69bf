//! A meter for the usage that AWS would bill while the use cases run on ports in memory.
//!
//! [`Metered`] decorates any port. It forwards each call and counts it in the shared [`Meter`], by the [`rules`] of the
//! service that would have served it. Only billed usage is counted.

mod item;
mod metered;
mod requests;
pub mod rules;
mod usage;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use roadcast_domain::ids::FleetId;

pub use item::Item;
pub use metered::Metered;
pub use usage::Usage;

/// Counts usage. Clones share one count.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<Mutex<MeterState>>);

#[derive(Debug, Default)]
struct MeterState {
    usage: Usage,
    /// Waiting time of the calls since the last invocation, in seconds.
    waits_s: f64,
}

/// Typical latencies of AWS services within one region, as seen from a function, in seconds, divided by the number of
/// concurrent calls. A function is billed while it waits.
pub mod waits {
    /// A read or query of `DynamoDB`; the use cases read 16 vehicles concurrently.
    pub const DYNAMODB_READ: f64 = 0.004 / 16.0;
    /// A write to `DynamoDB`; 16 vehicles or segments concurrently.
    pub const DYNAMODB_WRITE: f64 = 0.006 / 16.0;
    /// `PutEvents`, with ten entries per call.
    pub const BUS_ENTRY: f64 = 0.020 / 10.0;
    /// `PutObject` of S3.
    pub const S3_PUT: f64 = 0.050;
    /// A call to SQS.
    pub const SQS: f64 = 0.010;
    /// `PutRecords`.
    pub const KINESIS: f64 = 0.020;
}

/// Bytes per gigabyte, as AWS bills them.
const GIB: f64 = 1_073_741_824.0;
/// Memory at which a function has one full vCPU: 1,769 MB ("Configure Lambda function memory").
const FULL_VCPU_MIB: f64 = 1769.0;
/// Bytes logged per invocation: Lambda's own three lines, one line of the function and one of metrics.
const LOG_BYTES: f64 = 1200.0;
/// Bytes of a line of metrics, with the 26 bytes that CloudWatch counts for each line.
pub const METRICS_LINE_BYTES: f64 = 750.0;

impl Meter {
    /// Locks the state, also when it is poisoned: the thread that panicked reports its own failure.
    fn state(&self) -> MutexGuard<'_, MeterState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a meter at zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the usage counted so far.
    pub fn usage(&self) -> Usage {
        self.state().usage.clone()
    }

    /// Resets the meter to zero.
    pub fn reset(&self) {
        *self.state() = MeterState::default();
    }

    /// Adds a quantity of an item, common to all fleets.
    pub fn count(&self, item: Item, quantity: f64) {
        self.state().usage.add(item, None, quantity);
    }

    /// Adds a quantity of an item for one fleet.
    pub fn count_for(&self, fleet_id: &FleetId, item: Item, quantity: f64) {
        self.state().usage.add(item, Some(fleet_id), quantity);
    }

    /// Adds the waiting time of a call.
    pub fn wait(&self, seconds: f64) {
        self.state().waits_s += seconds;
    }

    /// Counts an invocation of a function with `memory_mib`, which used `cpu_time` on a full vCPU, plus the
    /// waiting time of the calls since the last invocation.
    pub fn invocation(&self, memory_mib: f64, cpu_time: Duration, fleet_id: Option<&FleetId>) {
        self.count_invocation(memory_mib, cpu_time, LOG_BYTES, fleet_id);
    }

    /// Counts an invocation that logs this number of bytes.
    pub fn logging_invocation(&self, memory_mib: f64, cpu_time: Duration, log_bytes: f64) {
        self.count_invocation(memory_mib, cpu_time, log_bytes, None);
    }

    fn count_invocation(&self, memory_mib: f64, cpu_time: Duration, log_bytes: f64, fleet_id: Option<&FleetId>) {
        let mut state = self.state();
        let share = (memory_mib / FULL_VCPU_MIB).min(1.0);
        let seconds = rules::billed_seconds(cpu_time.as_secs_f64() / share + std::mem::take(&mut state.waits_s));
        state.usage.add(Item::LambdaRequest, fleet_id, 1.0);
        state.usage.add(Item::LambdaGbSecond, fleet_id, seconds * memory_mib / 1024.0);
        state.usage.add(Item::LogGb, fleet_id, log_bytes / GIB);
    }
}
