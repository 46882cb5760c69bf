//! The global options and the list of commands. The arguments of a command are defined beside the command.

use clap::{Parser, Subcommand};

use crate::alerts::AlertsArgs;
use crate::clients::ClientsArgs;
use crate::completions::CompletionsArgs;
use crate::cost::CostArgs;
use crate::dead_letters::DeadLettersArgs;
use crate::doctor::DoctorArgs;
use crate::down::DownArgs;
use crate::endpoints::EndpointsArgs;
use crate::erase::EraseArgs;
use crate::fleets::FleetsArgs;
use crate::listen::ListenArgs;
use crate::load::LoadArgs;
use crate::location::LocationArgs;
use crate::offboard::OffboardArgs;
use crate::onboard::OnboardArgs;
use crate::quarantine::QuarantineArgs;
use crate::reference::ReferenceArgs;
use crate::replay::ReplayArgs;
use crate::restore::RestoreArgs;
use crate::simulate::SimulateArgs;
use crate::status::StatusArgs;
use crate::subscriptions::SubscriptionsArgs;
use crate::tail::TailArgs;
use crate::token::TokenArgs;
use crate::trace::TraceArgs;
use crate::up::UpArgs;
use crate::vehicles::VehiclesArgs;

/// Run a local Roadcast stack, and use it or a stack on AWS: send data, onboard fleets, find out what failed.
#[derive(Debug, Parser)]
#[command(name = "roadcast", bin_name = "cargo roadcast", version, arg_required_else_help = true)]
#[command(after_help = "Getting started:
  cargo roadcast up                             Start the local stack, with simulated vehicles
  cargo roadcast status                         In another terminal: print addresses and fleets
  cargo roadcast tail --fleet FLEET             Print the events of a fleet as they arrive
  cargo roadcast replay --wait trip.ndjson.zst  Send a recording and account for every sample

A stack on AWS:
  cargo roadcast --stack-name roadcast-dev --region eu-central-1 --profile dev doctor
  export ROADCAST_STACK_NAME=roadcast-dev       For all commands; AWS_REGION and AWS_PROFILE as for the AWS CLI

Without a stack name, commands use the local stack. Its servers listen on 127.0.0.1 only, and its state is in the folder .roadcast of
the workspace.")]
pub(crate) struct Args {
    /// Print the result as one JSON object on standard output, and progress on standard error.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) location: LocationArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start the local stack: install, build, deploy, onboard a demo fleet, simulate vehicles.
    Up(UpArgs),
    /// Stop a local stack and all its processes, and retain its data.
    Down(DownArgs),
    /// Print addresses, fleets and the number of stored items.
    Status(StatusArgs),
    /// Check this machine and the stack, and state what to do.
    Doctor(DoctorArgs),
    /// Print a token for the API.
    Token(TokenArgs),
    /// Print the events of a fleet as they arrive, or read and acknowledge its feed.
    Tail(TailArgs),
    /// Show the way of an event, from its sender to the fleets.
    Trace(TraceArgs),
    /// Send data of simulated vehicles, optionally with faults.
    Simulate(SimulateArgs),
    /// Send recordings through the HTTP API and reconcile the result.
    Replay(ReplayArgs),
    /// Create fleets, apps, vehicles and subscriptions from a file or from flags.
    Onboard(OnboardArgs),
    /// Offboard a fleet: drain or discard its feed, then delete its resources.
    Offboard(OffboardArgs),
    /// Import a bulk file (which fleet has which vehicle, or event schemas) and print the first invalid rows.
    Load(LoadArgs),
    /// List and show fleets.
    Fleets(FleetsArgs),
    /// List and show vehicles, with their last known state.
    Vehicles(VehiclesArgs),
    /// List and show the subscriptions of a fleet.
    Subscriptions(SubscriptionsArgs),
    /// List, create, disable, rotate and delete machine clients: what to do about a leaked secret.
    Clients(ClientsArgs),
    /// List, create, change, test, pause and redrive webhook endpoints, and show their attempts.
    Endpoints(EndpointsArgs),
    /// List, create, test and delete alert rules, and print alerts as they arrive.
    Alerts(AlertsArgs),
    /// Receive webhooks on this machine, verify their signatures and print them.
    Listen(ListenArgs),
    /// List, show and redrive what could not be processed or delivered.
    DeadLetters(DeadLettersArgs),
    /// List, show and reprocess data that was invalid.
    Quarantine(QuarantineArgs),
    /// Restore events, states and arrivals from the archive.
    Restore(RestoreArgs),
    /// Erase vehicles from all stores, and follow erasures.
    Erase(EraseArgs),
    /// Estimate the monthly AWS bill from one metered day.
    Cost(CostArgs),
    /// Write the API reference page to a folder.
    Reference(ReferenceArgs),
    /// Print completions of the command line for a shell.
    Completions(CompletionsArgs),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn command_line_is_well_formed() {
        Args::command().debug_assert();
    }

    #[test]
    fn every_command_has_an_example() {
        let root = Args::command();
        let mut missing = Vec::new();
        let mut open: Vec<(String, &clap::Command)> = vec![("cargo roadcast".to_owned(), &root)];
        while let Some((path, command)) = open.pop() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let line = |line: &str| line.contains("cargo roadcast") && line.contains(command.get_name().trim());
            if !help.lines().any(line) {
                missing.push(path.clone());
            }
            open.extend(command.get_subcommands().map(|of| (format!("{path} {}", of.get_name()), of)));
        }
        assert!(missing.is_empty(), "no example in --help of: {missing:?}");
    }
}
