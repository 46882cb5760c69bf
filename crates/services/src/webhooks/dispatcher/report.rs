//! What a task resulted in, for the log.

use roadcast_domain::ids::EndpointId;
use roadcast_domain::trace::TraceContext;
use roadcast_domain::webhook::{Attempt, DeliveryState, DisabledReason};

/// What a task resulted in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskReport {
    /// The attempts that were made: at most one, or several of an ordered line. Each is one line of the log.
    pub attempts: Vec<MadeAttempt>,
    /// The deliveries that ended, each with its terminal state.
    pub ended: Vec<DeliveryState>,
    /// The endpoint that was disabled.
    pub disabled: Option<(EndpointId, DisabledReason)>,
    /// Whether an attempt opened the circuit of the endpoint, or kept it open.
    pub has_opened_circuit: bool,
    /// Whether an attempt closed the circuit of the endpoint.
    pub has_closed_circuit: bool,
    /// What follows.
    pub result: TaskResult,
}

/// An attempt that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeAttempt {
    /// The attempt.
    pub attempt: Attempt,
    /// The trace context that was sent to the endpoint.
    pub trace: TraceContext,
}

/// What follows after a task.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum TaskResult {
    /// The delivery does not exist (any more).
    #[default]
    Absent,
    /// The delivery is in this terminal state.
    Finished(DeliveryState),
    /// The delivery waits.
    Waiting(WaitReason),
    /// The task was sent to the ordered queue.
    Forwarded,
    /// Deliveries of a line were released.
    Released {
        /// The number of tasks that were sent.
        tasks: usize,
    },
    /// Deliveries of an ordered line were attempted.
    Line {
        /// The number of deliveries that ended.
        finished: usize,
    },
}

/// What a delivery waits for.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WaitReason {
    /// Its next attempt, after one that failed.
    Retry,
    /// Its next attempt. The task was a repeated one.
    NotDue,
    /// Earlier deliveries of its vehicle.
    EarlierDelivery,
    /// The circuit of its endpoint is open.
    CircuitOpen,
    /// The rate limit of its endpoint is used up.
    RateLimit,
    /// Its endpoint is slow and has no free slot.
    SlowEndpoint,
    /// Its endpoint is paused.
    Paused,
    /// A suspended subscription holds its event back.
    Suspended,
}

impl WaitReason {
    /// Returns the code, for logs and metrics.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::NotDue => "notDue",
            Self::EarlierDelivery => "earlierDelivery",
            Self::CircuitOpen => "circuitOpen",
            Self::RateLimit => "rateLimit",
            Self::SlowEndpoint => "slowEndpoint",
            Self::Paused => "paused",
            Self::Suspended => "suspended",
        }
    }
}
