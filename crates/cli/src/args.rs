//! The global options and the list of commands. The arguments of a command are defined beside the command.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::clients::ClientsArgs;
use crate::cost::CostArgs;
use crate::endpoints::EndpointsArgs;
use crate::listen::ListenArgs;
use crate::load::LoadArgs;
use crate::offboard::OffboardArgs;
use crate::onboard::OnboardArgs;
use crate::reference::ReferenceArgs;
use crate::replay::ReplayArgs;
use crate::simulate::SimulateArgs;
use crate::tail::TailArgs;
use crate::up::UpArgs;

/// Run a local Roadcast stack, send data to it and inspect it.
#[derive(Debug, Parser)]
#[command(name = "roadcast", bin_name = "cargo roadcast", version, arg_required_else_help = true)]
#[command(after_help = "Getting started:
  cargo roadcast up                             Start the local stack, with simulated vehicles
  cargo roadcast status                         In another terminal: print addresses, fleets and tokens
  cargo roadcast tail --fleet FLEET             Print the events of a fleet's feed
  cargo roadcast replay --wait trip.ndjson.zst  Send a recording and account for every sample

All servers listen on 127.0.0.1 only. The state is in the folder .roadcast of the workspace.")]
pub(crate) struct Args {
    /// Print the result as one JSON object on standard output, and progress on standard error.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Folder of the stack's state; each folder is a separate stack [default: .roadcast in the workspace].
    #[arg(long, global = true, env = "ROADCAST_DIR", value_name = "FOLDER")]
    pub(crate) dir: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start the local stack: install, build, deploy, onboard a demo fleet, simulate vehicles.
    Up(UpArgs),
    /// Stop a stack and all its processes, and retain its data.
    #[command(after_help = "Examples:
  cargo roadcast down
  cargo roadcast --dir /tmp/b down     Stop the stack of another folder")]
    Down,
    /// Print addresses, fleets, new tokens and the number of stored items.
    #[command(after_help = "Examples:
  cargo roadcast status
  TOKEN=$(cargo roadcast --json status | jq -r .tokens.admin)")]
    Status,
    /// Send data of simulated vehicles, optionally with faults.
    Simulate(SimulateArgs),
    /// Send recordings through the HTTP API and reconcile the result.
    Replay(ReplayArgs),
    /// Print the events of a fleet's feed as they arrive, and acknowledge them.
    Tail(TailArgs),
    /// Import a bulk file (which fleet has which vehicle, or event schemas) and print the first invalid rows.
    Load(LoadArgs),
    /// Create fleets, apps, vehicles and subscriptions from a file or from flags.
    Onboard(OnboardArgs),
    /// Offboard a fleet: drain or discard its feed, then delete its resources.
    Offboard(OffboardArgs),
    /// List, create, disable, rotate and delete machine clients: what to do about a leaked secret.
    Clients(ClientsArgs),
    /// List, create, test, pause and redrive webhook endpoints, and show their attempts.
    Endpoints(EndpointsArgs),
    /// Receive webhooks on this machine, verify their signatures and print them.
    Listen(ListenArgs),
    /// Estimate the monthly AWS bill from one metered day.
    Cost(CostArgs),
    /// Write the API reference page to a folder.
    Reference(ReferenceArgs),
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
        for command in Args::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(
                help.contains(&format!("cargo roadcast {}", command.get_name())),
                "{} has no example",
                command.get_name()
            );
        }
    }
}
