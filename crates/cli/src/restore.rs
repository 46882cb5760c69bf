//! `restore`: starts the workflow that restores events, states and arrivals from the archive, and follows it.

mod run;

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::Result;
use roadcast_domain::Timestamp;
use roadcast_services::restore::{RestoreCounts, RestoreRequest};
use roadcast_services::stream::{RestoreScope, RestoreTarget};
use serde_json::json;

use crate::confirmation::Confirmation;
use crate::console::{Console, note};
use crate::location::StackLocation;
use crate::selectors::{VehicleSelector, run_name};
use crate::stack::Stack;
use crate::time_argument::PointInTime;
use crate::wall_clock::now_ms;
use run::{FinishedRun, RestoreRun};

/// The maximum number of vehicles of one run. Each task states them.
const MAX_VEHICLES: usize = 100;

/// Arguments of `restore`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo roadcast restore --from 2d                                            What is missing of the last two days
  cargo roadcast restore --from 2026-11-03T00:00:00Z --to 2026-11-04T00:00:00Z
  cargo roadcast restore --from 6h --vehicle veh_0123456789abcdef             One vehicle
  cargo roadcast restore --from 14d --only arrivals                           The feed index was lost, the events were not
  cargo roadcast restore --follow restore-1793000000000                       Follow a run that was started before
  cargo roadcast --stack-name roadcast-dev --region eu-central-1 restore --from 2d     On AWS

Times are when the stream received the data. Events that are stored are skipped: run the same command again after a failure.
With --only and without `events`, every event of the time counts as lost in the other tables. A run continues if this command is
interrupted. The exit code is 1 if a part of the archive is not readable. docs/operations/backup.md explains what is restored.")]
pub(crate) struct RestoreArgs {
    /// Restore what was received from this time on: RFC 3339, or how long ago.
    #[arg(long, value_name = "TIME", required_unless_present = "follow")]
    from: Option<PointInTime>,
    /// Restore what was received before this time [default: now].
    #[arg(long, value_name = "TIME")]
    to: Option<PointInTime>,
    /// Vid or external id of a vehicle; repeat it for several [default: all vehicles].
    #[arg(long = "vehicle", value_name = "VEHICLE")]
    vehicles: Vec<VehicleSelector>,
    /// Restore only these, separated by commas [default: all of them].
    #[arg(long, value_enum, value_name = "TARGETS", value_delimiter = ',')]
    only: Vec<Target>,
    /// Follow a run that was started before, and start none.
    #[arg(long, value_name = "RUN", value_parser = run_name, conflicts_with_all = ["from", "to", "vehicles", "only", "wait"])]
    follow: Option<String>,
    /// Do not wait until the run has ended.
    #[arg(long = "no-wait", action = clap::ArgAction::SetFalse)]
    wait: bool,
    #[command(flatten)]
    confirmation: Confirmation,
}

/// What is restored.
#[derive(Copy, Clone, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Target {
    /// The events of vehicles.
    Events,
    /// The last-known values of vehicles.
    State,
    /// The index of `GET /events`.
    Arrivals,
}

impl From<Target> for RestoreTarget {
    fn from(target: Target) -> Self {
        match target {
            Target::Events => Self::Events,
            Target::State => Self::State,
            Target::Arrivals => Self::Arrivals,
        }
    }
}

pub(crate) async fn run(location: &StackLocation, console: &Console, options: &RestoreArgs) -> Result<ExitCode> {
    let stack = Stack::open(location).await?;
    let run = match &options.follow {
        Some(name) => RestoreRun::named(&stack, name)?,
        None => start(&stack, options).await?,
    };
    if !options.wait {
        console.print_result(&json!({ "run": run.name(), "state": "running" }), run.name())?;
        return Ok(ExitCode::SUCCESS);
    }
    note(&format!("{0} continues if this command is interrupted: cargo roadcast restore --follow {0}", run.name()));
    let FinishedRun { hours, counts } = run.follow(console).await?;
    let object = json!({ "run": run.name(), "state": "succeeded", "hours": hours, "counts": counts });
    console.print_result(&object, &summary(&stack, &counts))?;
    Ok(if counts.unreadable_batches == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn start(stack: &Stack, options: &RestoreArgs) -> Result<RestoreRun> {
    anyhow::ensure!(
        options.vehicles.len() <= MAX_VEHICLES,
        "one run restores at most {MAX_VEHICLES} vehicles, or all of them"
    );
    let now = Timestamp::from_ms(now_ms());
    let targets: BTreeSet<RestoreTarget> = options.only.iter().copied().map(RestoreTarget::from).collect();
    let targets = if targets.is_empty() { RestoreTarget::ALL.into() } else { targets };
    let request = RestoreRequest {
        from: options.from.map_or(now, |from| from.0),
        to: options.to.map_or(now, |to| to.0),
        scope: RestoreScope { vehicles: vehicles(stack, &options.vehicles).await?, targets },
    };
    let hours = request.hours()?;
    options.confirmation.ask(stack, "command writes into its tables")?;
    RestoreRun::start(stack, &request, &hours).await
}

/// Returns the ids of the vehicles. Only external ids need the API.
async fn vehicles(stack: &Stack, selectors: &[VehicleSelector]) -> Result<BTreeSet<roadcast_domain::ids::VehicleId>> {
    let mut vids = BTreeSet::new();
    for selector in selectors {
        let vid = match selector {
            VehicleSelector::Vid(vid) => vid.clone(),
            VehicleSelector::ExternalId(_) => selector.vid(&stack.admin().await?).await?,
        };
        vids.insert(vid.parse()?);
    }
    Ok(vids)
}

fn summary(stack: &Stack, counts: &RestoreCounts) -> String {
    let RestoreCounts {
        records,
        samples,
        samples_stored,
        events_present,
        arrivals_recorded,
        samples_invalid,
        unreadable_batches,
    } = counts;
    let mut text = format!(
        "{records} records with {samples} samples: {samples_stored} samples stored, {events_present} events were there already, \
         {arrivals_recorded} arrivals recorded, {samples_invalid} samples are invalid or of unknown vehicles"
    );
    if *unreadable_batches > 0 {
        let log = stack.log_of("archive-restorer");
        text = format!("{text}\n{unreadable_batches} objects of the archive are not readable: {log} names them");
    }
    text
}
