//! `dead-letters`: lists, shows and redrives what could not be processed or delivered.

mod selection;
mod view;

use std::process::ExitCode;
use std::str::FromStr as _;

use anyhow::{Result, ensure};
use clap::{Args, Subcommand};
use reqwest::Method;
use roadcast_domain::dead_letter::Hop;
use roadcast_domain::ids::DeadLetterId;
use serde_json::{Value, json};

use crate::api::Api;
use crate::console::{Console, Style};
use crate::location::StackLocation;
use crate::redrives;
use crate::selectors::{FleetSelector, redrive_id};
use crate::stack::Stack;
pub(crate) use selection::{ListFilter, Period, body as selection_body};
pub(crate) use view::quarantined;

/// Arguments of `dead-letters`.
#[derive(Debug, Args)]
#[command(after_help = "Find the cause, correct it, then send the letters again:
  cargo roadcast dead-letters list --since 1d --state kept
  cargo roadcast dead-letters show dlt_01kavfgf8j2k6c9d3f4g5h6j7k
  cargo roadcast dead-letters redrive dlt_01kavfgf8j2k6c9d3f4g5h6j7k
  cargo roadcast dead-letters redrive --hop feed --fleet Nordwind --since 6h
  cargo roadcast --stack-name roadcast-dev dead-letters list           On AWS

docs/dead-letters.md explains hops, states and reasons. Quarantined data is also in `cargo roadcast quarantine`.")]
pub(crate) struct DeadLettersArgs {
    #[command(subcommand)]
    command: DeadLettersCommand,
}

#[derive(Debug, Subcommand)]
enum DeadLettersCommand {
    /// List dead letters, newest failure first.
    #[command(after_help = "Examples:
  cargo roadcast dead-letters list --hop webhook --since 2d
  cargo roadcast --json dead-letters list --limit 1000 | jq -r .items[].reason | sort | uniq -c")]
    List {
        /// Letters of this hop.
        #[arg(long, value_parser = Hop::from_str)]
        hop: Option<Hop>,
        #[command(flatten)]
        filter: ListFilter,
    },
    /// Show a dead letter and the start of its bytes, which may contain personal data.
    #[command(after_help = "Examples:
  cargo roadcast dead-letters show dlt_01kavfgf8j2k6c9d3f4g5h6j7k
  cargo roadcast --json dead-letters show dlt_01kavfgf8j2k6c9d3f4g5h6j7k | jq -r .text")]
    Show {
        /// Id of the letter.
        #[arg(value_parser = DeadLetterId::from_str)]
        letter: DeadLetterId,
    },
    /// Send dead letters again to where they failed, once.
    #[command(after_help = "Examples:
  cargo roadcast dead-letters redrive dlt_01kavfgf8j2k6c9d3f4g5h6j7k
  cargo roadcast dead-letters redrive --hop enrichment --since 6h --id table-was-throttled
  cargo roadcast dead-letters redrive --again dlt_01kavfgf8j2k6c9d3f4g5h6j7k      Although it was sent before

Letters that another redrive sent are skipped. The exit code is 1 if a letter could not be sent; the reason is printed. After an
interruption, repeat the command with the same --id: it has one effect.")]
    Redrive {
        /// Ids of the letters; or choose letters with --hop, --fleet, --since and --until.
        #[arg(value_name = "LETTER", value_parser = DeadLetterId::from_str, conflicts_with_all = ["hop", "fleet", "since", "until"])]
        letters: Vec<DeadLetterId>,
        /// Send the named letters also if a redrive sent them before.
        #[arg(long, requires = "letters")]
        again: bool,
        /// Letters of this hop.
        #[arg(long, value_parser = Hop::from_str)]
        hop: Option<Hop>,
        /// Letters of this fleet, named by id or name.
        #[arg(long, value_name = "FLEET")]
        fleet: Option<FleetSelector>,
        #[command(flatten)]
        period: Period,
        /// Id of the redrive. The same id has one effect, so use it again after an interruption [default: a new one].
        #[arg(long, value_name = "REDRIVE", value_parser = redrive_id)]
        id: Option<String>,
    },
}

pub(crate) async fn run(location: &StackLocation, console: &Console, args: &DeadLettersArgs) -> Result<ExitCode> {
    let api = Stack::open(location).await?.admin().await?;
    match &args.command {
        DeadLettersCommand::List { hop, filter } => list(&api, console, *hop, filter).await,
        DeadLettersCommand::Show { letter } => show(&api, console, letter, view::details).await,
        DeadLettersCommand::Redrive { letters, again, hop, fleet, period, id } => {
            let body = if letters.is_empty() {
                let fleet_id = match fleet {
                    Some(fleet) => Some(fleet.id(&api).await?),
                    None => None,
                };
                let selection = selection_body(*hop, fleet_id.as_deref(), period);
                ensure!(
                    selection.as_object().is_some_and(|members| !members.is_empty()),
                    "name the letters, or choose them with --hop, --fleet, --since or --until: `dead-letters list` prints them"
                );
                json!({ "selection": selection })
            } else {
                named(letters, *again)
            };
            redrive(&api, console, id.as_deref(), &body).await
        }
    }
}

/// Prints the newest letters of a hop, or of all.
pub(crate) async fn list(api: &Api, console: &Console, hop: Option<Hop>, filter: &ListFilter) -> Result<ExitCode> {
    let listing = api.first(&filter.path(api, hop).await?, filter.limit).await?;
    let table = view::table(&listing.items).with_more(listing.more).render(console.style());
    console.print_result(&json!({ "items": listing.items, "more": listing.more }), &table)?;
    Ok(ExitCode::SUCCESS)
}

/// Prints a letter with its content.
pub(crate) async fn show(
    api: &Api,
    console: &Console,
    letter: &DeadLetterId,
    view: impl Fn(&Value, Style) -> String,
) -> Result<ExitCode> {
    let letter: Value = api.json(Method::GET, &format!("/dead-letters/{letter}"), None).await?;
    console.print_result(&letter, &view(&letter, console.style()))?;
    Ok(ExitCode::SUCCESS)
}

/// Sends letters again.
pub(crate) async fn redrive(api: &Api, console: &Console, id: Option<&str>, body: &Value) -> Result<ExitCode> {
    let id = id.map_or_else(redrives::new_id, str::to_owned);
    redrives::run(api, console, &format!("/redrives/{id}"), body, "letters sent").await
}

/// The body of a redrive of named letters.
pub(crate) fn named(letters: &[DeadLetterId], again: bool) -> Value {
    let ids: Vec<String> = letters.iter().map(ToString::to_string).collect();
    if again { json!({ "deadLetterIds": ids, "again": true }) } else { json!({ "deadLetterIds": ids }) }
}
