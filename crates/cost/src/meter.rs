//! A meter: what AWS would count while the use cases run on ports in memory.
//!
//! [`Metered`] is a decorator of any port. It hands the call on and counts it in the shared [`Meter`] by the [`rules`] of the
//! service that would have served it. Nothing is counted of what the bill does not count.

mod item;
mod metered;
pub mod rules;
mod usage;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use roadcast_domain::ids::FleetId;

pub use item::Item;
pub use metered::Metered;
pub use usage::Usage;

/// Counts. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<Mutex<Counted>>);

#[derive(Debug, Default)]
struct Counted {
    usage: Usage,
    /// What the calls of the invocation under way would have waited for, in seconds.
    waits_s: f64,
}

/// How long calls to services take, as they are seen from a function, in seconds, and how many are made at once. Typical
/// figures for one region; a function's bill counts them, since a waiting function is billed.
pub mod waits {
    /// A read or query of `DynamoDB`; the use cases look up this many vehicles at once.
    pub const DYNAMODB_READ: f64 = 0.004 / 16.0;
    /// A write to `DynamoDB`; as many vehicles or segments at once.
    pub const DYNAMODB_WRITE: f64 = 0.006 / 16.0;
    /// `PutEvents`, ten entries a call.
    pub const BUS_ENTRY: f64 = 0.020 / 10.0;
    /// An object put to S3.
    pub const S3_PUT: f64 = 0.050;
    /// A call to SQS.
    pub const SQS: f64 = 0.010;
    /// `PutRecords`.
    pub const KINESIS: f64 = 0.020;
}

/// Bytes of a gigabyte as AWS bills it.
const GIB: f64 = 1_073_741_824.0;
/// A function's share of a processor: at 1,769 MB it is a whole one ("Configure Lambda function memory").
const WHOLE_PROCESSOR_MIB: f64 = 1769.0;
/// Bytes that an invocation logs: Lambda's own three lines, a line of ours and one of metrics.
const LOG_BYTES: f64 = 1200.0;

impl Meter {
    /// Also after a panic elsewhere: the thread that panicked reports its own failure.
    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A meter at zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// What was counted so far.
    pub fn usage(&self) -> Usage {
        self.counted().usage.clone()
    }

    /// Starts at zero again.
    pub fn reset(&self) {
        *self.counted() = Counted::default();
    }

    /// Counts so much of an item.
    pub fn count(&self, item: Item, quantity: f64) {
        self.counted().usage.add(item, None, quantity);
    }

    /// Counts so much of an item for a fleet.
    pub fn count_for(&self, fleet_id: &FleetId, item: Item, quantity: f64) {
        self.counted().usage.add(item, Some(fleet_id), quantity);
    }

    /// Counts that a call waited.
    pub fn wait(&self, seconds: f64) {
        self.counted().waits_s += seconds;
    }

    /// Counts an invocation of a function of that memory, which computed for so long on a whole processor, and whatever its
    /// calls waited since the last one.
    pub fn invocation(&self, memory_mib: f64, computed: Duration, fleet_id: Option<&FleetId>) {
        let mut counted = self.counted();
        let share = (memory_mib / WHOLE_PROCESSOR_MIB).min(1.0);
        let seconds = rules::billed_seconds(computed.as_secs_f64() / share + std::mem::take(&mut counted.waits_s));
        counted.usage.add(Item::LambdaRequest, fleet_id, 1.0);
        counted.usage.add(Item::LambdaGbSecond, fleet_id, seconds * memory_mib / 1024.0);
        counted.usage.add(Item::LogGb, fleet_id, LOG_BYTES / GIB);
    }
}
