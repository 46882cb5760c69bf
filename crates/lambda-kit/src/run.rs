//! Running a function: the loop around its handler, with its metrics and its log.

use std::error::Error;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use futures::FutureExt as _;
use http::StatusCode;
use lambda_runtime::{LambdaEvent, service_fn};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::Instrument as _;

use crate::config::{Env, Variable};
use crate::http::{self as gateway, Api, Middleware, MiddlewarePorts, ProxyRequest, Response};
use crate::logging;
use crate::metrics::{Metric, Metrics};
use crate::problem::Problem;

/// What ends a function, at its start or at its end.
pub type Failure = Box<dyn Error + Send + Sync>;

/// A function's own name, its stage's name, and what it counts. Made first: it sets the log up.
pub struct Function {
    /// The environment as it was at cold start.
    pub env: Env,
    /// What it counts.
    pub metrics: Arc<Metrics>,
}

impl Function {
    /// Starts the function of that name.
    pub fn start(name: &'static str) -> Result<Self, Failure> {
        let env = Env::from_process();
        logging::init(name, env.optional(Variable::Stage).unwrap_or_default(), env.optional(Variable::LogLevel));
        let metrics = Arc::new(Metrics::new(name, env.required(Variable::Stage)?));
        metrics.record(Metric::ColdStart, 1);
        Ok(Self { env, metrics })
    }

    /// A variable of the environment that must be there.
    pub fn var(&self, variable: Variable) -> Result<String, Failure> {
        Ok(self.env.required(variable)?)
    }

    /// Serves HTTP until the environment is shut down.
    pub async fn serve_http<A: Api, P: MiddlewarePorts>(self, api: A, middleware: Middleware<P>) -> Result<(), Failure> {
        let (api, middleware, metrics) = (&api, &middleware, &self.metrics);
        let handler = |event: LambdaEvent<ProxyRequest>| async move {
            let started = Instant::now();
            let request_id = event.context.request_id.clone();
            let span = tracing::info_span!("request", request_id, trace_id = trace_id(&event.context));
            // The gateway hands bytes on as bytes to whoever says what they accept; to others they would go as base64.
            let says = event.payload.header("accept").and(event.payload.header("accept-encoding"));
            let accept_encoding = says.unwrap_or_default().to_owned();
            // Boxed: its type, all the way down into the SDK, is too deep for the compiler. A panic is answered like any
            // other fault of ours.
            let answer = gateway::answer(api, middleware, event.payload).instrument(span.clone()).boxed();
            let answer = AssertUnwindSafe(answer).catch_unwind().await;
            let response = match answer.unwrap_or_else(|_| Err(Problem::internal("the handler panicked"))) {
                Ok(response) => response.packed_for(&accept_encoding),
                Err(problem) => {
                    let problem = problem.with_instance(format!("urn:request:{request_id}"));
                    span.in_scope(|| log_problem(&problem));
                    Response::from(&problem)
                }
            };
            if response.status() >= StatusCode::INTERNAL_SERVER_ERROR {
                metrics.record(Metric::ServerErrors, 1);
            }
            metrics.record_value(Metric::RequestDurationMs, milliseconds(started));
            metrics.flush();
            Ok::<_, Failure>(response)
        };
        lambda_runtime::run(service_fn(handler)).await
    }

    /// Handles events of one kind until the environment is shut down. `handle` records its own metrics; an error makes
    /// the event come again, as its source does that.
    pub async fn handle_events<E, R, F, Fut>(self, handle: F) -> Result<(), Failure>
    where
        E: DeserializeOwned + Send,
        R: Serialize + Send,
        F: Fn(E) -> Fut + Send + Sync,
        Fut: Future<Output = Result<R, Failure>> + Send,
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
                let error = logging::chain(error.as_ref());
                span.in_scope(|| tracing::error!(error, "the event failed and comes again: {error}"));
            }
            metrics.record_value(Metric::BatchDurationMs, milliseconds(started));
            metrics.flush();
            result
        };
        lambda_runtime::run(service_fn(handler)).await
    }
}

/// A 5xx tells the caller nothing and the log everything; other problems are the caller's, and are no news.
fn log_problem(problem: &Problem) {
    let status = problem.status().as_u16();
    if problem.status().is_server_error() {
        let error = logging::chain(problem);
        tracing::error!(status, error, "answered {status}: {error}");
    } else {
        let kind = problem.kind().id();
        tracing::debug!(status, kind, "answered {status}: {kind}");
    }
}

fn trace_id(context: &lambda_runtime::Context) -> &str {
    context.xray_trace_id.as_deref().unwrap_or_default()
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}
