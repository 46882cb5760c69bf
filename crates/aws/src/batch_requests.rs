//! Batch requests, which report a result for each of their entries.

use std::error::Error;
use std::ops::Range;
use std::sync::Arc;

use futures::stream::{self, StreamExt as _};
use roadcast_ports::{PortError, PortErrorKind};

use crate::backoff;
use crate::sdk_error::kind_of_code;

/// The failure of an entire request, which is reported for each of its entries.
#[derive(Clone, Debug)]
pub(crate) struct RequestError {
    kind: PortErrorKind,
    context: &'static str,
    cause: Arc<dyn Error + Send + Sync>,
}

impl RequestError {
    pub(crate) fn new(kind: PortErrorKind, context: &'static str, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind, context, cause: Arc::from(cause.into()) }
    }

    pub(crate) fn to_port_error(&self) -> PortError {
        PortError::new(self.kind, self.context).caused_by(Arc::clone(&self.cause))
    }
}

/// The error code and message of one entry in a batch result.
#[derive(Debug, thiserror::Error)]
#[error("{code}: {message}")]
pub(crate) struct EntryError {
    pub(crate) code: String,
    pub(crate) message: String,
}

impl EntryError {
    pub(crate) fn into_port_error(self, kind: PortErrorKind, context: &'static str) -> PortError {
        PortError::new(kind, context).caused_by(self)
    }
}

/// Converts the error code and message of one entry; the entry succeeded if it has no code.
pub(crate) fn entry_result(code: Option<String>, message: Option<String>, context: &'static str) -> Result<(), PortError> {
    let Some(code) = code else { return Ok(()) };
    let message = message.unwrap_or_default();
    let kind = kind_of_code(&code, &message);
    Err(EntryError { code, message }.into_port_error(kind, context))
}

fn missing_result(context: &'static str) -> PortError {
    let message = "the service returned fewer results than entries".to_owned();
    EntryError { code: "MissingResult".to_owned(), message }.into_port_error(PortErrorKind::Unavailable, context)
}

/// The error of an entry that exceeds the size limit of the service.
fn too_large(context: &'static str, bytes: usize, limit: usize) -> PortError {
    let message = format!("the entry has {bytes} bytes; the limit is {limit}");
    EntryError { code: "TooLarge".to_owned(), message }.into_port_error(PortErrorKind::Rejected, context)
}

/// The limits of one request.
#[derive(Copy, Clone, Debug)]
pub(crate) struct RequestLimits {
    pub(crate) entries: usize,
    pub(crate) bytes: usize,
}

/// A batch operation of an AWS service.
#[derive(Copy, Clone, Debug)]
pub(crate) struct BatchOperation {
    /// Names the operation in errors.
    pub(crate) context: &'static str,
    /// An entry of more bytes is rejected and not sent, because the service would reject the entire request.
    pub(crate) max_entry_bytes: usize,
    pub(crate) limits: RequestLimits,
    pub(crate) max_concurrent_requests: usize,
    /// Maximum number of requests that contain the same entry.
    pub(crate) max_attempts: u32,
}

/// The result of each entry of a request, in order, or the error of the entire request.
pub(crate) type RequestResult = Result<Vec<Result<(), PortError>>, RequestError>;

impl BatchOperation {
    /// Sends entries of these sizes in as many requests as necessary, and returns the result of each entry, in order.
    /// `request` sends the entries at the given indexes in one request.
    pub(crate) async fn send<F>(&self, sizes: &[usize], request: impl Fn(Vec<usize>) -> F) -> Vec<Result<(), PortError>>
    where
        F: Future<Output = RequestResult>,
    {
        let is_too_large = |size: usize| size > self.max_entry_bytes;
        let mut results: Vec<Result<(), PortError>> = sizes
            .iter()
            .map(|size| if is_too_large(*size) { Err(too_large(self.context, *size, self.max_entry_bytes)) } else { Ok(()) })
            .collect();
        let fitting: Vec<usize> = (0..sizes.len()).filter(|index| !is_too_large(sizes[*index])).collect();
        let fitting_sizes: Vec<usize> = fitting.iter().map(|index| sizes[*index]).collect();
        let requests: Vec<_> = split_into_requests(&fitting_sizes, self.limits)
            .into_iter()
            .map(|range| self.send_with_retries(fitting[range].to_vec(), &request))
            .collect();
        let completed: Vec<_> = stream::iter(requests).buffer_unordered(self.max_concurrent_requests).collect().await;
        for (index, result) in completed.into_iter().flatten() {
            results[index] = result;
        }
        results
    }

    /// Sends the entries at `indexes` in one request, and sends those again that failed with a retryable error. A request that
    /// is refused because of its data is sent again in halves, until the entries that cause it are alone. Any other error of
    /// an entire request is final, because the SDK has retried it.
    async fn send_with_retries<F>(
        &self,
        indexes: Vec<usize>,
        request: &impl Fn(Vec<usize>) -> F,
    ) -> Vec<(usize, Result<(), PortError>)>
    where
        F: Future<Output = RequestResult>,
    {
        let mut completed = Vec::with_capacity(indexes.len());
        // The requests to send, each with the number of its attempt.
        let mut requests = vec![(1, indexes)];
        while let Some((attempt, mut pending)) = requests.pop() {
            let results = match request(pending.clone()).await {
                Ok(results) => results.into_iter().chain(std::iter::repeat_with(|| Err(missing_result(self.context)))),
                Err(error) if error.kind == PortErrorKind::Rejected && pending.len() > 1 => {
                    let later = pending.split_off(pending.len() / 2);
                    requests.extend([(attempt, later), (attempt, pending)]);
                    continue;
                }
                Err(error) => {
                    completed.extend(pending.into_iter().map(|index| (index, Err(error.to_port_error()))));
                    continue;
                }
            };
            let (retry, done): (Vec<_>, Vec<_>) = pending
                .into_iter()
                .zip(results)
                .partition(|(_, result)| attempt < self.max_attempts && result.as_ref().is_err_and(PortError::is_retryable));
            completed.extend(done);
            if !retry.is_empty() {
                backoff::wait(attempt + 1).await;
                requests.push((attempt + 1, retry.into_iter().map(|(index, _)| index).collect()));
            }
        }
        completed
    }
}

/// Splits entries of these sizes into requests, in order. An entry over the limit becomes a request of its own.
pub(crate) fn split_into_requests(sizes: &[usize], limits: RequestLimits) -> Vec<Range<usize>> {
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
        assert_eq!(split_into_requests(&[1, 1, 1, 1], LIMITS), [0..3, 3..4]);
        assert_eq!(split_into_requests(&[60, 40, 1], LIMITS), [0..2, 2..3]);
        assert_eq!(split_into_requests(&[10, 500, 10], LIMITS), [0..1, 1..2, 2..3]);
        assert!(split_into_requests(&[], LIMITS).is_empty());
    }

    proptest! {
        #[test]
        fn every_entry_is_in_exactly_one_request_in_order(sizes in prop::collection::vec(0_usize..200, 0..40)) {
            let indexes: Vec<usize> = split_into_requests(&sizes, LIMITS).into_iter().flatten().collect();
            prop_assert_eq!(indexes, (0..sizes.len()).collect::<Vec<_>>());
        }

        #[test]
        fn only_a_single_entry_may_exceed_the_limits(sizes in prop::collection::vec(0_usize..200, 0..40)) {
            for request in split_into_requests(&sizes, LIMITS) {
                prop_assert!(!request.is_empty() && request.len() <= LIMITS.entries);
                prop_assert!(request.len() == 1 || sizes[request].iter().sum::<usize>() <= LIMITS.bytes);
            }
        }
    }
}
