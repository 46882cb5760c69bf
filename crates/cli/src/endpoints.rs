//! `endpoints`: manages the webhook endpoints of a fleet through the API.

mod progress;
mod settings;
mod text;

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::api::{Api, ApiError};
use crate::console::Console;
use crate::stack::Stack;
use crate::stack::layout::Layout;
use settings::NewEndpoint;

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

A leaked secret: `cargo roadcast endpoints rotate ENDPOINT --overlap 0` ends the old one within 5 seconds. docs/webhooks.md explains
signatures, retries and order.")]
pub(crate) struct EndpointsArgs {
    /// Id of the fleet. Not needed if the stack has one active fleet.
    #[arg(long, global = true, value_name = "FLEET")]
    fleet: Option<String>,
    #[command(subcommand)]
    command: EndpointsCommand,
}

#[derive(Debug, Subcommand)]
enum EndpointsCommand {
    /// List the endpoints of a fleet.
    List,
    /// Create an endpoint, and print its signing secret once.
    Create(Box<NewEndpoint>),
    /// Show an endpoint, its health, and when failed deliveries are repeated.
    Show {
        /// Id of the endpoint.
        endpoint: String,
    },
    /// Send a test event, and wait until it is delivered or its first attempt failed.
    Test {
        /// Id of the endpoint.
        endpoint: String,
        /// Do not wait for the result.
        #[arg(long = "no-wait", action = clap::ArgAction::SetFalse)]
        wait: bool,
    },
    /// Create a new signing secret, and print it once. Requests have signatures of both until the old one expires.
    Rotate {
        /// Id of the endpoint.
        endpoint: String,
        /// How long the old secret stays valid, in seconds; 0 after a leak [default: 86400, at most 604800].
        #[arg(long, value_name = "SECONDS")]
        overlap: Option<u32>,
    },
    /// Let deliveries wait until the endpoint is resumed.
    Pause {
        /// Id of the endpoint.
        endpoint: String,
    },
    /// Deliver events again, after `pause` or after Roadcast disabled the endpoint.
    Resume {
        /// Id of the endpoint.
        endpoint: String,
    },
    /// Delete an endpoint. Deliveries that wait are dropped.
    Delete {
        /// Id of the endpoint.
        endpoint: String,
    },
    /// List the newest attempts.
    Attempts {
        /// Id of the endpoint.
        endpoint: String,
        /// Maximum attempts, 1 to 100.
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u8).range(1..=100))]
        limit: u8,
    },
    /// Deliver failed events again, with all attempts of the schedule.
    Redrive {
        /// Id of the endpoint.
        endpoint: String,
        /// Deliver this delivery again; repeatable.
        #[arg(long, value_name = "ID", required_unless_present_any = ["since", "all"], conflicts_with_all = ["since", "all"])]
        delivery: Vec<String>,
        /// Deliver all failed events of this time or later again.
        #[arg(long, value_name = "TIME", conflicts_with = "all")]
        since: Option<String>,
        /// Deliver all failed events again.
        #[arg(long)]
        all: bool,
        /// Id of the redrive. The same id has one effect, so use it again after an interruption [default: a new one].
        #[arg(long, value_name = "REDRIVE")]
        id: Option<String>,
    },
}

pub(crate) async fn run(layout: &Layout, console: &Console, args: &EndpointsArgs) -> Result<ExitCode> {
    let api = Stack::open(layout)?.admin().await?;
    let fleet_id = match &args.fleet {
        Some(fleet_id) => fleet_id.clone(),
        None => only_fleet(&api).await?,
    };
    let endpoints = format!("/fleets/{fleet_id}/endpoints");
    let path = |endpoint: &str| format!("{endpoints}/{endpoint}");
    let (object, text) = match &args.command {
        EndpointsCommand::List => {
            let list: Value = api.json(Method::GET, &endpoints, None).await?;
            let lines = text::list(&list);
            (list, lines)
        }
        EndpointsCommand::Create(new) => {
            let created: Value = api.create(&endpoints, &new.body()?).await?;
            let lines = text::created(&created);
            (created, lines)
        }
        EndpointsCommand::Show { endpoint } => {
            let endpoint: Value = api.json(Method::GET, &path(endpoint), None).await?;
            let lines = text::details(&endpoint);
            (endpoint, lines)
        }
        EndpointsCommand::Test { endpoint, wait } => return progress::test(&api, console, &path(endpoint), *wait).await,
        EndpointsCommand::Rotate { endpoint, overlap } => {
            let body = overlap.map_or_else(|| json!({}), |seconds| json!({ "overlapSeconds": seconds }));
            let rotated: Value = api.create(&format!("{}/secrets", path(endpoint)), &body).await?;
            let lines = text::rotated(&rotated);
            (rotated, lines)
        }
        EndpointsCommand::Pause { endpoint } => set_state(&api, &path(endpoint), "paused").await?,
        EndpointsCommand::Resume { endpoint } => set_state(&api, &path(endpoint), "active").await?,
        EndpointsCommand::Delete { endpoint } => {
            delete(&api, &path(endpoint)).await?;
            (json!({ "endpointId": endpoint, "deleted": true }), format!("{endpoint} was deleted"))
        }
        EndpointsCommand::Attempts { endpoint, limit } => {
            let page: Value = api.json(Method::GET, &format!("{}/attempts?limit={limit}", path(endpoint)), None).await?;
            let lines = text::attempts(&page);
            (page, lines)
        }
        EndpointsCommand::Redrive { endpoint, delivery, since, all, id } => {
            let body = match since {
                _ if *all => json!({ "all": true }),
                Some(since) => json!({ "since": since }),
                None => json!({ "deliveryIds": delivery }),
            };
            let id = id.clone().unwrap_or_else(progress::new_redrive_id);
            return progress::redrive(&api, console, &format!("{}/redrives/{id}", path(endpoint)), &body).await;
        }
    };
    console.print_result(&object, &text)?;
    Ok(ExitCode::SUCCESS)
}

/// Returns the id of the only active fleet.
async fn only_fleet(api: &Api) -> Result<String> {
    let fleets = api.fleets().await?;
    match fleets.as_slice() {
        [fleet] => Ok(fleet.id.clone()),
        [] => bail!("there is no active fleet: create one with `cargo roadcast onboard`"),
        _ => {
            let names: Vec<_> = fleets.iter().map(|fleet| format!("\n  {}  {}", fleet.id, fleet.name)).collect();
            bail!("there are {} active fleets: choose one with --fleet{}", fleets.len(), names.concat())
        }
    }
}

/// Pauses or activates an endpoint at the version that was read. Reads it again if another caller changed it.
async fn set_state(api: &Api, path: &str, state: &str) -> Result<(Value, String)> {
    let mut attempt = 1;
    loop {
        let (endpoint, etag): (Value, String) = api.versioned(path).await?;
        match api.replace::<Value>(path, &etag, &settings::with_state(&endpoint, state)).await {
            Err(error) if attempt < ATTEMPTS && is_stale(&error) => attempt += 1,
            changed => {
                let changed = changed?;
                let line = text::line(&changed);
                return Ok((changed, line));
            }
        }
    }
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
