//! `token`: prints a token for the API.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use crate::confirmation::Confirmation;
use crate::console::Console;
use crate::location::StackLocation;
use crate::selectors::{FleetSelector, client_id};
use crate::stack::{Stack, tool_clients};

/// Arguments of `token`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  TOKEN=$(cargo roadcast token)                       A token of an admin, valid for an hour
  cargo roadcast token --fleet Nordwind               A token that reads as the fleet, valid for a day
  cargo roadcast token --ingest                       A token that sends events of simulated and replayed vehicles
  cargo roadcast --stack-name roadcast-dev token      Of the stack on AWS
  curl -H \"Authorization: Bearer $TOKEN\" \"$(cargo roadcast --json token | jq -r .api)/fleets\"

The token gives the rights of its client: do not store it. --fleet and --ingest use clients of this tool, and create them if
they do not exist.")]
pub(crate) struct TokenArgs {
    /// A token of a client of this fleet, named by id or name.
    #[arg(long, value_name = "FLEET", conflicts_with_all = ["ingest", "client"])]
    fleet: Option<FleetSelector>,
    /// A token of the ingest client of simulated and replayed vehicles.
    #[arg(long, conflicts_with = "client")]
    ingest: bool,
    /// A token of this client.
    #[arg(long, value_name = "CLIENT", value_parser = client_id)]
    client: Option<String>,
    #[command(flatten)]
    confirmation: Confirmation,
}

pub(crate) async fn run(location: &StackLocation, console: &Console, options: &TokenArgs) -> Result<ExitCode> {
    let mut stack = Stack::open(location).await?;
    let api = if let Some(client) = &options.client {
        stack.client(client).await?
    } else {
        let admin = stack.admin().await?;
        match &options.fleet {
            Some(fleet) => {
                let fleet_id = fleet.id(&admin).await?;
                tool_clients::feed_client(&mut stack, &admin, &fleet_id, options.confirmation).await?
            }
            None if options.ingest => tool_clients::ingest_client(&mut stack, &admin, options.confirmation).await?,
            None => admin,
        }
    };
    let token = api.token().await?;
    let object = json!({ "token": token, "clientId": api.client_id(), "api": stack.api_url()? });
    console.print_result(&object, &token)?;
    Ok(ExitCode::SUCCESS)
}
