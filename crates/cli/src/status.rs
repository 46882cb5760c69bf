//! `status`: prints addresses, fleets, tokens and the number of stored items.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use serde_json::json;

use crate::console::Console;
use crate::stack::layout::Layout;
use crate::stack::state::RunFile;
use crate::stack::{Stack, demo_fleet};

/// The maximum number of fleets in the text output.
const LISTED_FLEETS: usize = 20;
/// The maximum number of fleets that tokens are created for.
const FLEET_TOKENS: usize = 10;

pub(crate) async fn run(layout: &Layout, console: &Console) -> Result<ExitCode> {
    let mut stack = Stack::open(layout)?;
    let admin = stack.admin().await?;
    let mut fleets = Vec::new();
    let mut fleet_tokens = BTreeMap::new();
    for fleet in admin.fleets().await? {
        let subscriptions = admin.subscriptions(&fleet.id).await?;
        let active = subscriptions.iter().filter(|subscription| subscription.state == "active").count();
        // Creating a client for each of many fleets would take long, and the user pool is limited to a thousand. Other
        // fleets get a client when a command names them, as `tail --fleet` does.
        if fleet_tokens.len() < FLEET_TOKENS || stack.file.demo.fleet_id == fleet.id {
            let app = demo_fleet::feed_client(&mut stack, layout, &admin, &fleet.id).await?;
            fleet_tokens.insert(fleet.id.clone(), app.token().await?);
        }
        fleets.push(json!({ "fleetId": fleet.id, "name": fleet.name, "activeSubscriptions": active }));
    }
    let ingest = demo_fleet::ingest_client(&mut stack, layout, &admin).await?.token().await?;
    let counts = counts(&stack).await?;
    let run = RunFile::read(layout)?;
    let simulating = run.as_ref().is_some_and(RunFile::is_simulating);
    let admin_token = admin.token().await?;
    let object = json!({
        "api": stack.api_url()?,
        "tokenUrl": stack.token_url(),
        "endpoint": format!("http://127.0.0.1:{}", stack.file.port),
        "reference": stack.file.reference,
        "pid": run.map(|run| run.endpoint.pid()),
        "simulating": simulating,
        "fleets": fleets,
        "clients": {
            "admin": admin.client_id(),
            "ingest": stack.file.demo.ingest_client_id,
            "fleets": stack.file.feed_clients,
        },
        "tokens": { "admin": admin_token, "ingest": ingest, "fleets": fleet_tokens },
        "counts": counts,
        "resources": stack.file.outputs,
    });

    let mut text = format!(
        "API       {}\nTokens    {}\nEndpoint  http://127.0.0.1:{} (AWS SDKs and CLI: any credentials, region {})\n",
        stack.api_url()?,
        stack.token_url(),
        stack.file.port,
        crate::aws::REGION
    );
    if let Some(reference) = &stack.file.reference {
        writeln!(text, "Reference {reference} (API reference)")?;
    }
    let counted: Vec<String> = counts.iter().map(|(name, count)| format!("{count} {name}")).collect();
    writeln!(text, "Stored    {}", counted.join(", "))?;
    for fleet in fleets.iter().take(LISTED_FLEETS) {
        let (id, name, active) = (&fleet["fleetId"], &fleet["name"], &fleet["activeSubscriptions"]);
        writeln!(text, "Fleet     {} {name}, {active} active subscriptions", id.as_str().unwrap_or_default())?;
    }
    if fleets.len() > LISTED_FLEETS {
        writeln!(text, "          and {} more; use --json to list all", fleets.len() - LISTED_FLEETS)?;
    }
    writeln!(
        text,
        "\nTokens, of the admin valid for an hour, of others for a day:\n  admin   {admin_token}\n  ingest  {ingest}"
    )?;
    for (fleet_id, token) in &fleet_tokens {
        writeln!(text, "  {fleet_id}  {token}")?;
    }
    console.print_result(&object, &text)?;
    Ok(ExitCode::SUCCESS)
}

async fn counts(stack: &Stack) -> Result<BTreeMap<&'static str, i64>> {
    let client = aws_sdk_dynamodb::Client::new(&stack.config);
    let mut counts = BTreeMap::new();
    for (name, output) in [("vehicles", "VehiclesTableName"), ("eventItems", "VehicleEventsTableName")] {
        let table = client.describe_table().table_name(stack.file.output(output)?).send().await;
        let table = table.with_context(|| format!("cannot describe the table of {name}"))?;
        counts
            .insert(name, table.table().and_then(aws_sdk_dynamodb::types::TableDescription::item_count).unwrap_or_default());
    }
    Ok(counts)
}
