//! `status`: prints addresses, fleets and the number of stored items.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use aws_sdk_dynamodb::types::TableDescription;
use serde_json::{Value, json};

use crate::api::Api;
use crate::confirmation::Confirmation;
use crate::console::{Cell, Console, Properties, Style, Table};
use crate::json_text::text;
use crate::location::StackLocation;
use crate::stack::state::RunFile;
use crate::stack::{Stack, tool_clients};

/// The maximum number of fleets in the text output.
const LISTED_FLEETS: usize = 20;
/// The maximum number of fleets that tokens are created for.
const FLEET_TOKENS: usize = 10;

/// Arguments of `status`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo roadcast status
  cargo roadcast --json status | jq -r .api
  cargo roadcast --stack-name roadcast-dev status     Of the stack on AWS

`cargo roadcast token` prints a token. Of a local stack, --json also has tokens of an admin, of the ingest client and of fleets, and
creates the clients for them. AWS updates the number of stored items about every six hours.")]
pub(crate) struct StatusArgs {}

pub(crate) async fn run(location: &StackLocation, console: &Console) -> Result<ExitCode> {
    let mut stack = Stack::open(location).await?;
    let admin = stack.admin().await?;
    let fleets = fleets(&admin).await?;
    let counts = counts(&stack).await?;
    let run = stack.layout().map(RunFile::read).transpose()?.flatten();
    let mut object = json!({
        "stage": stack.stage(),
        "api": stack.api_url()?,
        "tokenUrl": stack.token_url()?,
        "fleets": fleets,
        "counts": counts,
        "resources": stack.file.outputs,
    });
    let text = render(&stack, location, &object, console.style())?;
    if console.json() && !stack.is_deployed() {
        object["endpoint"] = json!(stack.endpoint_url());
        object["reference"] = json!(stack.file.reference);
        object["simulating"] = json!(run.as_ref().is_some_and(RunFile::is_simulating));
        object["pid"] = json!(run.map(|run| run.endpoint.pid()));
        object["tokens"] = tokens(&mut stack, &admin, &fleets).await?;
        object["clients"] = json!({
            "admin": admin.client_id(),
            "ingest": stack.file.demo.ingest_client_id,
            "fleets": stack.file.feed_clients,
        });
    }
    console.print_result(&object, &text)?;
    Ok(ExitCode::SUCCESS)
}

/// The active fleets with the number of their active subscriptions.
async fn fleets(admin: &Api) -> Result<Vec<Value>> {
    let mut fleets = Vec::new();
    for fleet in admin.fleets().await? {
        let subscriptions = admin.subscriptions(&fleet.id).await?;
        let active = subscriptions.iter().filter(|subscription| subscription.state == "active").count();
        fleets.push(json!({ "fleetId": fleet.id, "name": fleet.name, "activeSubscriptions": active }));
    }
    Ok(fleets)
}

/// Tokens of a local stack: of the admin, of the ingest client, and of the first fleets. Creating a client for each of many fleets
/// would take long, and the user pool is limited to a thousand.
async fn tokens(stack: &mut Stack, admin: &Api, fleets: &[Value]) -> Result<Value> {
    let mut of_fleets = BTreeMap::new();
    for fleet in fleets {
        let fleet_id = text(fleet, "fleetId");
        if of_fleets.len() < FLEET_TOKENS || stack.file.demo.fleet_id == fleet_id {
            let app = tool_clients::feed_client(stack, admin, fleet_id, Confirmation::given()).await?;
            of_fleets.insert(fleet_id.to_owned(), app.token().await?);
        }
    }
    let ingest = tool_clients::ingest_client(stack, admin, Confirmation::given()).await?.token().await?;
    Ok(json!({ "admin": admin.token().await?, "ingest": ingest, "fleets": of_fleets }))
}

fn render(stack: &Stack, location: &StackLocation, status: &Value, style: Style) -> Result<String> {
    let mut properties = Properties::default();
    properties.add("stack", Cell::text(stack.deployed().map_or("local", |deployed| &deployed.name)));
    properties.add("stage", Cell::text(stack.stage()));
    properties.add("API", Cell::text(text(status, "api")));
    properties.add("tokens from", Cell::text(text(status, "tokenUrl")));
    if let Some(endpoint) = stack.endpoint_url() {
        let region = crate::aws::REGION;
        properties.add("endpoint", Cell::text(format!("{endpoint} (AWS SDKs and CLI: any credentials, region {region})")));
    }
    properties.add_some("reference", stack.file.reference.as_ref().map(|url| Cell::text(format!("{url} (API reference)"))));
    let counts = status["counts"].as_object().into_iter().flatten();
    let counts: Vec<String> = counts.map(|(name, count)| format!("{count} {name}")).collect();
    properties.add("stored", Cell::text(counts.join(", ")));

    let fleets: &[Value] = status["fleets"].as_array().context("internal error: no fleets")?;
    let mut table = Table::new(&["fleet", "name", "active subscriptions"], "no active fleets");
    for fleet in fleets.iter().take(LISTED_FLEETS) {
        table.row([
            Cell::text(text(fleet, "fleetId")),
            Cell::text(text(fleet, "name")),
            Cell::number(&fleet["activeSubscriptions"]),
        ]);
    }
    let more = fleets.len().saturating_sub(LISTED_FLEETS);
    let more = if more == 0 { String::new() } else { format!("\nand {more} more: `{}`", location.command("fleets list")) };
    Ok(format!(
        "{}\n\n{}{more}\n\nA token for the API: `{}`",
        properties.render(style),
        table.render(style),
        location.command("token")
    ))
}

async fn counts(stack: &Stack) -> Result<BTreeMap<&'static str, i64>> {
    let client = aws_sdk_dynamodb::Client::new(&stack.config);
    let mut counts = BTreeMap::new();
    for (name, output) in [("vehicles", "VehiclesTableName"), ("eventItems", "VehicleEventsTableName")] {
        let table = client.describe_table().table_name(stack.output(output)?).send().await;
        let table = table.with_context(|| format!("cannot describe the table of {name}"))?;
        counts.insert(name, table.table().and_then(TableDescription::item_count).unwrap_or_default());
    }
    Ok(counts)
}
