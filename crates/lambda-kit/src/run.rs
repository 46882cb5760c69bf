//! The event loop of a function, with its metrics and logs.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use futures::FutureExt as _;
use http::StatusCode;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use roadcast_ports::port_set::PortSet;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::Instrument as _;

use crate::config::{Env, Variable};
use crate::http::{Api, Invocation, Middleware, ProxyResponse, respond};
use crate::logging;
use crate::metrics::{Metric, Metrics};

/// A running function: its configuration and its metrics. Create it first, because [`Function::start`] installs the logger.
pub struct Function {
    /// The environment variables at cold start.
    pub env: Env,
    /// The metrics.
    pub metrics: Arc<Metrics>,
}

impl Function {
    /// Installs the logger and counts the cold start. Fails if the stage is not set.
    pub fn start(name: &'static str) -> Result<Self, Error> {
        let env = Env::from_process();
        logging::init(name, env.optional(Variable::Stage).unwrap_or_default(), env.optional(Variable::LogLevel));
        let metrics = Arc::new(Metrics::new(name, env.required(Variable::Stage)?));
        metrics.record(Metric::ColdStart, 1);
        Ok(Self { env, metrics })
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
        let (api, middleware, metrics) = (&api, &middleware, &self.metrics);
        let handler = |event: LambdaEvent<Invocation>| async move {
            let started = Instant::now();
            let request_id = event.context.request_id.clone();
            let span = tracing::info_span!("request", request_id, trace_id = trace_id(&event.context));
            let response = respond(api, middleware, event.payload, &request_id).instrument(span).await;
            if response.status() >= StatusCode::INTERNAL_SERVER_ERROR {
                metrics.record(Metric::ServerErrors, 1);
            }
            metrics.record_value(Metric::RequestDurationMs, milliseconds(started));
            metrics.flush();
            Ok::<_, Error>(ProxyResponse(response))
        };
        lambda_runtime::run(service_fn(handler)).await
    }

    /// Handles events of one type until Lambda shuts the execution environment down. `handle` records its own metrics. If it
    /// fails, the event is retried as its source defines.
    pub async fn handle_events<E, R, F, Fut>(self, handle: F) -> Result<(), Error>
    where
        E: DeserializeOwned + Send,
        R: Serialize + Send,
        F: Fn(E) -> Fut + Send + Sync,
        Fut: Future<Output = Result<R, Error>> + Send,
    {
        let metrics = &self.metrics;
        let handle = &handle;
        let handler = |event: LambdaEvent<E>| async move {
            let started = Instant::now();
            let request_id = event.context.request_id.clone();
            let span = tracing::info_span!("event", request_id, trace_id = trace_id(&event.context));
            let result = handle(event.payload).instrument(span.clone()).boxed().await;
            if let Err(error) = &result {
                metrics.record(Metric::InvocationErrors, 1);
                let error = logging::error_chain(error.as_ref());
                span.in_scope(|| tracing::error!(error, "the event failed and will be retried: {error}"));
            }
            metrics.record_value(Metric::BatchDurationMs, milliseconds(started));
            metrics.flush();
            result
        };
        lambda_runtime::run(service_fn(handler)).await
    }
}

fn trace_id(context: &lambda_runtime::Context) -> &str {
    context.xray_trace_id.as_deref().unwrap_or_default()
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}
