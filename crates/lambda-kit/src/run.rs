//! The event loop of a function, with its metrics and logs.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use futures::FutureExt as _;
use http::StatusCode;
use lambda_runtime::{Diagnostic, Error, LambdaEvent, service_fn};
use roadcast_domain::ids::ClientId;
use roadcast_ports::port_set::PortSet;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::Instrument as _;

use crate::config::{Env, Variable};
use crate::deadline::Deadline;
use crate::event_traces::{EventTraces, TracedInvocation, daemon_address};
use crate::http::{Api, ApiResponse as _, Invocation, Middleware, ProxyResponse, respond};
use crate::logging;
use crate::metrics::{Metric, Metrics};

/// A running function: its configuration and its metrics. Create it first, because [`Function::start`] installs the logger.
pub struct Function {
    /// The environment variables at cold start.
    pub env: Env,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// The traces of events.
    pub traces: Arc<EventTraces>,
}

impl Function {
    /// Installs the logger and counts the cold start. Fails if the stage is not set, or if a value is invalid.
    pub fn start(name: &'static str) -> Result<Self, Error> {
        let env = Env::from_process();
        logging::init(name, env.optional(Variable::Stage).unwrap_or_default(), env.optional(Variable::LogLevel));
        let stage = env.required(Variable::Stage)?;
        let sampling =
            env.optional_parse(Variable::TracedEventsPerMillion, "a number from 0 to 1000000")?.unwrap_or_default();
        let daemon = env.optional(Variable::XRayDaemonAddress).and_then(daemon_address);
        let traces = Arc::new(EventTraces::new(name, &stage, sampling, daemon));
        let metrics = Arc::new(Metrics::new(name, stage));
        metrics.record(Metric::ColdStart, 1);
        Ok(Self { env, metrics, traces })
    }

    /// Returns the value of a required environment variable.
    pub fn var(&self, variable: Variable) -> Result<String, Error> {
        Ok(self.env.required(variable)?)
    }

    /// Serves HTTP until Lambda shuts the execution environment down.
    pub async fn serve_http<ApiType: Api, Ports: PortSet>(
        self,
        api: ApiType,
        middleware: Middleware<Ports>,
    ) -> Result<(), Error> {
        let first_admin = self.env.optional(Variable::FirstAdminClientId).map(ClientId::new);
        let middleware = middleware.with_first_admin(first_admin);
        let (api, middleware, metrics, traces) = (&api, &middleware, &self.metrics, &self.traces);
        let handler = |event: LambdaEvent<Invocation>| async move {
            let started = Instant::now();
            let mut traced_invocation = TracedInvocation::of(&event.context);
            traced_invocation.caller = event.payload.trace_of_caller();
            let request_id = event.context.request_id.clone();
            let span = tracing::info_span!(
                "request",
                request_id,
                trace_id = trace_id(&event.context),
                caller_trace_id = traced_invocation.caller.map(|caller| caller.trace_id.to_string()),
            );
            let invocation = event.payload.with_deadline(Deadline::of(&event.context));
            let response = respond(api, middleware, invocation, &request_id).instrument(span).await;
            if response.status() >= StatusCode::INTERNAL_SERVER_ERROR {
                metrics.record(Metric::ServerErrors, 1);
            }
            metrics.record_value(Metric::RequestDurationMs, milliseconds(started));
            metrics.flush();
            if let Some((hop, candidates)) = response.trace_candidates() {
                traces.add(hop, candidates);
            }
            traces.flush(&traced_invocation);
            Ok::<_, Error>(ProxyResponse(response))
        };
        lambda_runtime::run(service_fn(handler)).await
    }

    /// Handles events of one type until Lambda shuts the execution environment down. `handle` records its own metrics. If it
    /// fails or reaches the deadline of the invocation, the event is retried as its source defines.
    pub async fn handle_events<E, R, F, Fut>(self, handle: F) -> Result<(), Error>
    where
        E: DeserializeOwned + Send,
        R: Serialize + Send,
        F: Fn(E) -> Fut + Send + Sync,
        Fut: Future<Output = Result<R, Error>> + Send,
    {
        self.handle_batches(|event, _| handle(event)).await
    }

    /// Handles events like [`Self::handle_events`]. `handle` gets the deadline too, so that it can respond in time with what is
    /// done.
    pub async fn handle_batches<E, R, F, Fut>(self, handle: F) -> Result<(), Error>
    where
        E: DeserializeOwned + Send,
        R: Serialize + Send,
        F: Fn(E, Deadline) -> Fut + Send + Sync,
        Fut: Future<Output = Result<R, Error>> + Send,
    {
        let (metrics, traces) = (&self.metrics, &self.traces);
        let handle = &handle;
        let handler = |event: LambdaEvent<E>| async move {
            let started = Instant::now();
            let traced_invocation = TracedInvocation::of(&event.context);
            let request_id = event.context.request_id.clone();
            let span = tracing::info_span!("event", request_id, trace_id = trace_id(&event.context));
            let deadline = Deadline::of(&event.context);
            let handled = deadline.limit(handle(event.payload, deadline).instrument(span.clone())).boxed().await;
            let result = handled.unwrap_or_else(|reached| Err(reached.into()));
            if let Err(error) = &result {
                metrics.record(Metric::InvocationErrors, 1);
                let error = logging::error_chain(error.as_ref());
                span.in_scope(|| tracing::error!(error, "the event failed and will be retried: {error}"));
            }
            metrics.record_value(Metric::BatchDurationMs, milliseconds(started));
            metrics.flush();
            traces.flush(&traced_invocation);
            result.map_err(diagnostic)
        };
        lambda_runtime::run(service_fn(handler)).await
    }
}

/// An error with a name for the caller of the function, such as a state machine. Other errors are named after a type of Rust.
#[derive(Debug, thiserror::Error)]
#[error("{source}")]
pub struct NamedError {
    name: &'static str,
    source: Error,
}

impl NamedError {
    /// Names an error.
    pub fn new(name: &'static str, source: impl Into<Error>) -> Self {
        Self { name, source: source.into() }
    }
}

/// Returns what the caller of the function learns about an error.
fn diagnostic(error: Error) -> Diagnostic {
    let name = error.downcast_ref::<NamedError>().map(|named| named.name);
    let mut diagnostic = Diagnostic::from(error);
    if let Some(name) = name {
        name.clone_into(&mut diagnostic.error_type);
    }
    diagnostic
}

fn trace_id(context: &lambda_runtime::Context) -> &str {
    context.xray_trace_id.as_deref().unwrap_or_default()
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_error_is_known_to_the_caller_by_its_name() {
        let named = diagnostic(NamedError::new("FeedNotReady", "2 probes are missing").into());
        assert_eq!((named.error_type.as_str(), named.error_message.as_str()), ("FeedNotReady", "2 probes are missing"));
        assert_ne!(diagnostic("another".into()).error_type, "FeedNotReady");
    }
}
