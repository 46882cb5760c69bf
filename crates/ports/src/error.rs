//! Errors of ports.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// The error of a port. Its kind states how the caller should react.
#[derive(Clone, Debug)]
pub struct PortError {
    kind: PortErrorKind,
    context: &'static str,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

/// The kind of a [`PortError`]: how the caller should react.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum PortErrorKind {
    /// A rate limit or a quota is exceeded. Retry later at a lower rate.
    Throttled,
    /// A concurrent update was first, or a condition is not met. Read the current state again before retrying.
    Conflict,
    /// No response in time. The request may or may not have been applied.
    TimedOut,
    /// The service failed or cannot be reached. Retry.
    Unavailable,
    /// The service refused the request because of the data in it: it is too large or malformed. No retry can succeed. If the
    /// request contains the data of several callers, smaller requests find the part that is refused.
    Rejected,
    /// A fault of Roadcast or of its deployment: a missing permission or resource, a stored item that cannot be decoded, or an
    /// error that the adapter does not know. A retry succeeds once the fault is corrected. It is no statement about the data,
    /// so the data must not be refused or quarantined because of it.
    Internal,
}

impl PortError {
    /// Creates an error. `context` names the operation; it must not contain values.
    pub const fn new(kind: PortErrorKind, context: &'static str) -> Self {
        Self { kind, context, source: None }
    }

    /// Adds the cause, for the log.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(Arc::from(source.into()));
        self
    }

    /// Returns the kind.
    pub const fn kind(&self) -> PortErrorKind {
        self.kind
    }

    /// Whether a retry of the same request may succeed.
    pub const fn is_retryable(&self) -> bool {
        matches!(self.kind, PortErrorKind::Throttled | PortErrorKind::TimedOut | PortErrorKind::Unavailable)
    }
}

impl fmt::Display for PortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            PortErrorKind::Throttled => "throttled",
            PortErrorKind::Conflict => "conflict",
            PortErrorKind::TimedOut => "timed out (may have applied)",
            PortErrorKind::Unavailable => "unavailable",
            PortErrorKind::Rejected => "rejected",
            PortErrorKind::Internal => "internal",
        };
        write!(f, "{}: {kind}", self.context)
    }
}

impl Error for PortError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}

/// Formats an error and its causes in one line, for the log. Each error is logged once, where it is handled.
pub fn error_chain(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    line
}
