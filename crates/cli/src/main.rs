//! `roadcast`: runs a local Roadcast stack, and uses it or a deployed one. See `roadcast --help`.

mod alerts;
mod api;
mod args;
mod aws;
mod clients;
mod completions;
mod confirmation;
mod console;
mod cost;
mod dead_letters;
mod doctor;
mod down;
mod endpoints;
mod erase;
mod fleets;
mod json_text;
mod layout;
mod listen;
mod load;
mod location;
mod offboard;
mod onboard;
mod quarantine;
mod redrives;
mod reference;
mod replay;
mod restore;
mod selectors;
mod shutdown;
mod simulate;
mod simulator;
mod speed_factor;
mod stack;
mod status;
mod subscriptions;
mod tail;
mod time_argument;
mod token;
mod trace;
mod up;
mod vehicles;
mod wall_clock;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser};

use crate::args::{Args, Command};
use crate::console::Console;
use crate::location::StackLocation;

/// That of the stream processor, whose computing time `cost` measures (docs/decisions/0063-allocators.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let console = Console::new(args.json);
    match run(args, &console).await {
        Ok(code) => code,
        Err(error) => {
            console.print_error(&error);
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args, console: &Console) -> anyhow::Result<ExitCode> {
    let location = StackLocation::choose(args.location, |name| std::env::var(name).ok())?;
    match args.command {
        Command::Up(options) => up::run(&location.local("up")?, console, options).await,
        Command::Down(_) => down::run(&location.local("down")?, console).await,
        Command::Status(_) => status::run(&location, console).await,
        Command::Doctor(_) => doctor::run(&location, console).await,
        Command::Token(options) => token::run(&location, console, &options).await,
        Command::Tail(options) => tail::run(&location, console, &options).await,
        Command::Trace(options) => trace::run(&location, console, &options).await,
        Command::Simulate(options) => simulate::run(&location, console, &options).await,
        Command::Replay(options) => replay::run(&location, console, &options).await,
        Command::Onboard(options) => onboard::run(&location, console, &options).await,
        Command::Offboard(options) => offboard::run(&location, console, &options).await,
        Command::Load(options) => load::run(&location, console, &options).await,
        Command::Fleets(options) => fleets::run(&location, console, &options).await,
        Command::Vehicles(options) => vehicles::run(&location, console, &options).await,
        Command::Subscriptions(options) => subscriptions::run(&location, console, &options).await,
        Command::Clients(options) => clients::run(&location, console, &options).await,
        Command::Endpoints(options) => endpoints::run(&location, console, &options).await,
        Command::Alerts(options) => alerts::run(&location, console, &options).await,
        Command::Listen(options) => listen::run(console, &options).await,
        Command::DeadLetters(options) => dead_letters::run(&location, console, &options).await,
        Command::Quarantine(options) => quarantine::run(&location, console, &options).await,
        Command::Restore(options) => restore::run(&location, console, &options).await,
        Command::Erase(options) => erase::run(&location, console, &options).await,
        Command::Cost(options) => cost::run(console, &options).await,
        Command::Reference(options) => reference::run(&location, console, &options).await,
        Command::Completions(options) => completions::run(&options, Args::command()),
    }
}
