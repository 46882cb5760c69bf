//! `endpoints`: manages the webhook endpoints of a fleet through the API.

mod progress;
mod settings;
mod text;

use std::process::ExitCode;
use std::str::FromStr as _;

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use reqwest::{Method, StatusCode};
use roadcast_domain::ids::EndpointId;
use serde_json::{Value, json};

use crate::api::{Api, ApiError};
use crate::console::Console;
use crate::location::StackLocation;
use crate::redrives;
use crate::selectors::{FleetSelector, redrive_id};
use crate::stack::Stack;
use crate::time_argument::PointInTime;
use settings::{EndpointUpdate, NewEndpoint};

/// Attempts of a change while others change the same endpoint.
const ATTEMPTS: u32 = 5;

/// Arguments of `endpoints`.
#[derive(Debug, Args)]
#[command(after_help = "Try it on this machine, with the receiver of `cargo roadcast listen`:
  cargo roadcast endpoints create http://127.0.0.1:8790/ --type roadcast.diagnostic.v1
                                                      Create an endpoint, and print its secret once
  cargo roadcast listen --secret whsec_…              In another terminal: verify and print each delivery
  cargo roadcast endpoints test end_0123456789abcdef  Send a test event, and wait for the result

When deliveries fail:
  cargo roadcast endpoints show end_0123456789abcdef       Is it disabled, or its circuit open? When is the next attempt?
  cargo roadcast endpoints attempts end_0123456789abcdef   Status, latency and start of each response
  cargo roadcast endpoints resume end_0123456789abcdef     Activate it again
  cargo roadcast endpoints redrive end_0123456789abcdef --since 2026-11-21T00:00:00Z
  cargo roadcast --stack-name roadcast-dev endpoints --fleet Nordwind list     On AWS

A leaked secret: `cargo roadcast endpoints rotate ENDPOINT --overlap 0` ends the old one within 5 seconds. docs/webhooks.md explains
signatures, retries and order.")]
pub(crate) struct EndpointsArgs {
    /// Id or name of the fleet [default: the only active one].
    #[arg(long, global = true, value_name = "FLEET")]
    fleet: Option<FleetSelector>,
    #[command(subcommand)]
    command: EndpointsCommand,
}

#[derive(Debug, Subcommand)]
enum EndpointsCommand {
    /// List the endpoints of a fleet.
    #[command(after_help = "Example:
  cargo roadcast endpoints --fleet Nordwind list")]
    List,
    /// Create an endpoint, and print its signing secret once.
    #[command(after_help = "Example:
  cargo roadcast endpoints create https://hooks.example.com/roadcast --type roadcast.diagnostic.v1")]
    Create(Box<NewEndpoint>),
    /// Change settings of an endpoint. What is not named stays as it is.
    #[command(after_help = "Example:
  cargo roadcast endpoints update end_0123456789abcdef --rate-limit 20 --retry 5,60,600")]
    Update(Box<EndpointUpdate>),
    /// Show an endpoint, its health, and when failed deliveries are repeated.
    #[command(after_help = "Example:
  cargo roadcast endpoints show end_0123456789abcdef")]
    Show {
        /// Id of the endpoint.
        #[arg(value_parser = EndpointId::from_str)]
        endpoint: EndpointId,
    },
    /// Send a test event, and wait until it is delivered or its first attempt failed.
    #[command(after_help = "Example:
  cargo roadcast endpoints test end_0123456789abcdef")]
    Test {
        /// Id of the endpoint.
        #[arg(value_parser = EndpointId::from_str)]
        endpoint: EndpointId,
        /// Do not wait for the result.
        #[arg(long = "no-wait", action = clap::ArgAction::SetFalse)]
        wait: bool,
    },
    /// Create a new signing secret, and print it once. Requests have signatures of both until the old one expires.
    #[command(after_help = "Example:
  cargo roadcast endpoints rotate end_0123456789abcdef --overlap 3600")]
    Rotate {
        /// Id of the endpoint.
        #[arg(value_parser = EndpointId::from_str)]
        endpoint: EndpointId,
        /// How long the old secret stays valid, in seconds; 0 after a leak [default: 86400, at most 604800].
        #[arg(long, value_name = "SECONDS")]
        overlap: Option<u32>,
    },
    /// Let deliveries wait until the endpoint is resumed.
    #[command(after_help = "Example:
  cargo roadcast endpoints pause end_0123456789abcdef")]
    Pause {
        /// Id of the endpoint.
        #[arg(value_parser = EndpointId::from_str)]
        endpoint: EndpointId,
    },
    /// Deliver events again, after `pause` or after Roadcast disabled the endpoint.
    #[command(after_help = "Example:
  cargo roadcast endpoints resume end_0123456789abcdef")]
    Resume {
        /// Id of the endpoint.
        #[arg(value_parser = EndpointId::from_str)]
        endpoint: EndpointId,
    },
    /// Delete an endpoint. Deliveries that wait are dropped.
    #[command(after_help = "Example:
  cargo roadcast endpoints delete end_0123456789abcdef")]
    Delete {
        /// Id of the endpoint.
        #[arg(value_parser = EndpointId::from_str)]
        endpoint: EndpointId,
    },
    /// List the newest attempts.
    #[command(after_help = "Example:
  cargo roadcast endpoints attempts end_0123456789abcdef --limit 100")]
    Attempts {
        /// Id of the endpoint.
        #[arg(value_parser = EndpointId::from_str)]
        endpoint: EndpointId,
        /// Maximum attempts, 1 to 100.
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u8).range(1..=100))]
        limit: u8,
    },
    /// Deliver failed events again, with all attempts of the schedule.
    #[command(after_help = "Example:
  cargo roadcast endpoints redrive end_0123456789abcdef --since 6h")]
    Redrive {
        /// Id of the endpoint.
        #[arg(value_parser = EndpointId::from_str)]
        endpoint: EndpointId,
        /// Deliver this delivery again; repeatable.
        #[arg(long, value_name = "ID", required_unless_present_any = ["since", "all"], conflicts_with_all = ["since", "all"])]
        delivery: Vec<String>,
        /// Deliver all failed events of this time or later again.
        #[arg(long, value_name = "TIME", conflicts_with = "all")]
        since: Option<PointInTime>,
        /// Deliver all failed events again.
        #[arg(long)]
        all: bool,
        /// Id of the redrive. The same id has one effect, so use it again after an interruption [default: a new one].
        #[arg(long, value_name = "REDRIVE", value_parser = redrive_id)]
        id: Option<String>,
    },
}

pub(crate) async fn run(location: &StackLocation, console: &Console, args: &EndpointsArgs) -> Result<ExitCode> {
    let api = Stack::open(location).await?.admin().await?;
    let fleet_id = FleetSelector::id_or_only(args.fleet.as_ref(), &api).await?;
    let endpoints = format!("/fleets/{fleet_id}/endpoints");
    let path = |endpoint: &EndpointId| format!("{endpoints}/{}", endpoint.as_str());
    let (object, text) = match &args.command {
        EndpointsCommand::List => {
            let list: Value = api.json(Method::GET, &endpoints, None).await?;
            let lines = text::list(&list).render(console.style());
            (list, lines)
        }
        EndpointsCommand::Create(new) => {
            let created: Value = api.create(&endpoints, &new.body()?).await?;
            let lines = text::created(&created);
            (created, lines)
        }
        EndpointsCommand::Show { endpoint } => {
            let endpoint: Value = api.json(Method::GET, &path(endpoint), None).await?;
            let lines = text::details(&endpoint, console.style());
            (endpoint, lines)
        }
        EndpointsCommand::Test { endpoint, wait } => return progress::test(&api, console, &path(endpoint), *wait).await,
        EndpointsCommand::Rotate { endpoint, overlap } => {
            let body = overlap.map_or_else(|| json!({}), |seconds| json!({ "overlapSeconds": seconds }));
            let rotated: Value = api.create(&format!("{}/secrets", path(endpoint)), &body).await?;
            let lines = text::rotated(&rotated);
            (rotated, lines)
        }
        EndpointsCommand::Update(update) => {
            change(&api, &path(update.endpoint()), |endpoint| update.settings(endpoint)).await?
        }
        EndpointsCommand::Pause { endpoint } => set_state(&api, &path(endpoint), "paused").await?,
        EndpointsCommand::Resume { endpoint } => set_state(&api, &path(endpoint), "active").await?,
        EndpointsCommand::Delete { endpoint } => {
            delete(&api, &path(endpoint)).await?;
            (json!({ "endpointId": endpoint, "deleted": true }), format!("{} was deleted", endpoint.as_str()))
        }
        EndpointsCommand::Attempts { endpoint, limit } => {
            let page: Value = api.json(Method::GET, &format!("{}/attempts?limit={limit}", path(endpoint)), None).await?;
            let lines = text::attempts(&page).render(console.style());
            (page, lines)
        }
        EndpointsCommand::Redrive { endpoint, delivery, since, all, id } => {
            let body = match since {
                _ if *all => json!({ "all": true }),
                Some(since) => json!({ "since": since.to_string() }),
                None => json!({ "deliveryIds": delivery }),
            };
            let id = id.clone().unwrap_or_else(redrives::new_id);
            let path = format!("{}/redrives/{id}", path(endpoint));
            return redrives::run(&api, console, &path, &body, "deliveries are pending again").await;
        }
    };
    console.print_result(&object, &text)?;
    Ok(ExitCode::SUCCESS)
}

/// Changes the settings of an endpoint at the version that was read. Reads it again if another caller changed it.
async fn change(api: &Api, path: &str, settings: impl Fn(&Value) -> Result<Value>) -> Result<(Value, String)> {
    let mut attempt = 1;
    loop {
        let (endpoint, etag): (Value, String) = api.versioned(path).await?;
        match api.replace::<Value>(path, &etag, &settings(&endpoint)?).await {
            Err(error) if attempt < ATTEMPTS && is_stale(&error) => attempt += 1,
            changed => {
                let changed = changed?;
                let line = text::line(&changed);
                return Ok((changed, line));
            }
        }
    }
}

/// Pauses or activates an endpoint.
async fn set_state(api: &Api, path: &str, state: &str) -> Result<(Value, String)> {
    change(api, path, |endpoint| Ok(settings::with_state(endpoint, state))).await
}

/// Deletes an endpoint at the version that was read. Reads it again if another caller changed it.
async fn delete(api: &Api, path: &str) -> Result<()> {
    let mut attempt = 1;
    loop {
        let (_, etag): (Value, String) = api.versioned(path).await?;
        let response = api.delete(path, &etag).await.context("cannot delete the endpoint")?;
        match response.status {
            status if status.is_success() => return Ok(()),
            StatusCode::PRECONDITION_FAILED if attempt < ATTEMPTS => attempt += 1,
            _ => return Err(response.to_error(&format!("DELETE {path}")).into()),
        }
    }
}

fn is_stale(error: &anyhow::Error) -> bool {
    error.downcast_ref::<ApiError>().is_some_and(|error| error.status == StatusCode::PRECONDITION_FAILED)
}
