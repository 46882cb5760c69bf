//! `quarantine`: lists, shows and reprocesses events and samples that were invalid. They are dead letters of the hop `quarantine`.

use std::process::ExitCode;
use std::str::FromStr as _;

use anyhow::Result;
use clap::{Args, Subcommand};
use roadcast_domain::dead_letter::Hop;
use roadcast_domain::ids::DeadLetterId;
use serde_json::json;

use crate::console::Console;
use crate::dead_letters::{self, ListFilter, Period, named, quarantined, selection_body};
use crate::location::StackLocation;
use crate::selectors::redrive_id;
use crate::stack::Stack;

/// Arguments of `quarantine`.
#[derive(Debug, Args)]
#[command(after_help = "Correct what made the data invalid, such as a missing event schema, then process it again:
  cargo roadcast quarantine list --since 1d
  cargo roadcast quarantine show dlt_01kavfgf8j2k6c9d3f4g5h6j7k
  cargo roadcast load --as schemas schemas.ndjson
  cargo roadcast quarantine reprocess dlt_01kavfgf8j2k6c9d3f4g5h6j7k
  cargo roadcast --stack-name roadcast-dev quarantine list         On AWS

Quarantined data is listed for 90 days; it stays in the archive after that.")]
pub(crate) struct QuarantineArgs {
    #[command(subcommand)]
    command: QuarantineCommand,
}

#[derive(Debug, Subcommand)]
enum QuarantineCommand {
    /// List quarantined data, newest first. Each letter has the items of a batch with one reason.
    #[command(after_help = "Example:
  cargo roadcast quarantine list --since 1d --state kept")]
    List(ListFilter),
    /// Show the items of a letter, each with the reason, the place of the fault and its data.
    #[command(after_help = "Example:
  cargo roadcast quarantine show dlt_01kavfgf8j2k6c9d3f4g5h6j7k")]
    Show {
        /// Id of the letter.
        #[arg(value_parser = DeadLetterId::from_str)]
        letter: DeadLetterId,
    },
    /// Process quarantined data again, as it arrived.
    #[command(after_help = "Examples:
  cargo roadcast quarantine reprocess dlt_01kavfgf8j2k6c9d3f4g5h6j7k
  cargo roadcast quarantine reprocess --since 2026-11-24T00:00:00Z --id tyre-schema-registered

The received time of the data stays. A sample that was invalid in an event that is stored is not added: the event is dropped as a
duplicate. What is still invalid is quarantined again, and the exit code is 1.")]
    Reprocess {
        /// Ids of the letters.
        #[arg(value_name = "LETTER", value_parser = DeadLetterId::from_str, required_unless_present_any = ["since", "all"],
            conflicts_with_all = ["since", "until", "all"])]
        letters: Vec<DeadLetterId>,
        #[command(flatten)]
        period: Period,
        /// All quarantined data.
        #[arg(long, conflicts_with = "since")]
        all: bool,
        /// Process the named letters also if they were processed again before.
        #[arg(long, requires = "letters")]
        again: bool,
        /// Id of the redrive. The same id has one effect, so use it again after an interruption [default: a new one].
        #[arg(long, value_name = "REDRIVE", value_parser = redrive_id)]
        id: Option<String>,
    },
}

pub(crate) async fn run(location: &StackLocation, console: &Console, args: &QuarantineArgs) -> Result<ExitCode> {
    let api = Stack::open(location).await?.admin().await?;
    match &args.command {
        QuarantineCommand::List(filter) => dead_letters::list(&api, console, Some(Hop::Quarantine), filter).await,
        QuarantineCommand::Show { letter } => dead_letters::show(&api, console, letter, quarantined).await,
        QuarantineCommand::Reprocess { letters, period, again, id, .. } => {
            let body = if letters.is_empty() {
                json!({ "selection": selection_body(Some(Hop::Quarantine), None, period) })
            } else {
                named(letters, *again)
            };
            dead_letters::redrive(&api, console, id.as_deref(), &body).await
        }
    }
}
