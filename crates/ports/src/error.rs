use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// Why a port could not do its work, sorted by what the caller should do about it.
#[derive(Clone, Debug)]
pub struct PortError {
    kind: PortErrorKind,
    context: &'static str,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

/// What the caller should do about a [`PortError`].
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum PortErrorKind {
    /// Over a rate or a quota: try again later, slower.
    Throttled,
    /// Somebody else was first, or a condition did not hold: read again and decide anew.
    Conflict,
    /// No answer in time: it may or may not have been done.
    TimedOut,
    /// The service failed or could not be reached: try again.
    Unavailable,
    /// The service refused the request itself: trying again will not help.
    Rejected,
}

impl PortError {
    /// An error of that kind; `context` says what was being done, without values.
    pub const fn new(kind: PortErrorKind, context: &'static str) -> Self {
        Self { kind, context, source: None }
    }

    /// Keeps the cause, for the log.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(Arc::from(source.into()));
        self
    }

    /// What the caller should do about it.
    pub const fn kind(&self) -> PortErrorKind {
        self.kind
    }

    /// Whether trying the same again may help.
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
        };
        write!(f, "{}: {kind}", self.context)
    }
}

impl Error for PortError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}

/// An error and what caused it, in a line: for the log, where each is told once, by whoever handles it.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    line
}
