//! Requests that answer for each of their entries.

use std::error::Error;
use std::ops::Range;
use std::sync::Arc;

use roadcast_ports::{PortError, PortErrorKind};

/// The same failure for each of several entries.
#[derive(Clone, Debug)]
pub(crate) struct SharedFailure {
    kind: PortErrorKind,
    context: &'static str,
    cause: Arc<dyn Error + Send + Sync>,
}

impl SharedFailure {
    pub(crate) fn new(kind: PortErrorKind, context: &'static str, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind, context, cause: Arc::from(cause.into()) }
    }

    pub(crate) fn to_error(&self) -> PortError {
        PortError::new(self.kind, self.context).caused_by(Arc::clone(&self.cause))
    }
}

/// How an entry fared in a batch, by the code the service gave it.
#[derive(Debug, thiserror::Error)]
#[error("{code}: {message}")]
pub(crate) struct EntryFailure {
    pub(crate) code: String,
    pub(crate) message: String,
}

impl EntryFailure {
    pub(crate) fn into_error(self, kind: PortErrorKind, context: &'static str) -> PortError {
        PortError::new(kind, context).caused_by(self)
    }
}

/// An entry larger than the service takes.
pub(crate) fn too_large(context: &'static str, bytes: usize, most: usize) -> PortError {
    let message = format!("{bytes} bytes, where at most {most} are taken");
    EntryFailure { code: "TooLarge".to_owned(), message }.into_error(PortErrorKind::Rejected, context)
}

/// What one request may hold.
#[derive(Copy, Clone, Debug)]
pub(crate) struct RequestLimits {
    pub(crate) entries: usize,
    pub(crate) bytes: usize,
}

/// Cuts entries of these sizes into requests, in their order. An entry over the limit is a request of its own.
pub(crate) fn requests(sizes: &[usize], limits: RequestLimits) -> Vec<Range<usize>> {
    let mut requests = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (index, size) in sizes.iter().enumerate() {
        let full = index - start == limits.entries || bytes + size > limits.bytes;
        if full && index > start {
            requests.push(start..index);
            (start, bytes) = (index, 0);
        }
        bytes += size;
    }
    if start < sizes.len() {
        requests.push(start..sizes.len());
    }
    requests
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: RequestLimits = RequestLimits { entries: 3, bytes: 100 };

    #[test]
    fn requests_end_at_either_limit() {
        assert_eq!(requests(&[1, 1, 1, 1], LIMITS), [0..3, 3..4]);
        assert_eq!(requests(&[60, 40, 1], LIMITS), [0..2, 2..3]);
        assert_eq!(requests(&[10, 500, 10], LIMITS), [0..1, 1..2, 2..3]);
        assert!(requests(&[], LIMITS).is_empty());
    }

    proptest! {
        #[test]
        fn every_entry_is_in_one_request_in_order(sizes in prop::collection::vec(0_usize..200, 0..40)) {
            let indexes: Vec<usize> = requests(&sizes, LIMITS).into_iter().flatten().collect();
            prop_assert_eq!(indexes, (0..sizes.len()).collect::<Vec<_>>());
        }

        #[test]
        fn no_request_is_over_a_limit_but_for_a_lone_entry(sizes in prop::collection::vec(0_usize..200, 0..40)) {
            for request in requests(&sizes, LIMITS) {
                prop_assert!(!request.is_empty() && request.len() <= LIMITS.entries);
                prop_assert!(request.len() == 1 || sizes[request].iter().sum::<usize>() <= LIMITS.bytes);
            }
        }
    }
}
