//! `roadcast`: runs a local Roadcast stack, sends data to it and inspects it. See `roadcast --help`.

mod api;
mod args;
mod aws;
mod clients;
mod console;
mod cost;
mod down;
mod endpoints;
mod listen;
mod load;
mod offboard;
mod onboard;
mod reference;
mod replay;
mod shutdown;
mod simulate;
mod simulator;
mod speed_factor;
mod stack;
mod status;
mod tail;
mod up;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Args, Command};
use crate::console::Console;
use crate::stack::layout::Layout;

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
    let layout = Layout::find(args.dir)?;
    match args.command {
        Command::Up(options) => up::run(&layout, console, options).await,
        Command::Down => down::run(&layout, console).await,
        Command::Status => status::run(&layout, console).await,
        Command::Simulate(options) => simulate::run(&layout, console, &options).await,
        Command::Replay(options) => replay::run(&layout, console, &options).await,
        Command::Load(options) => load::run(&layout, console, &options).await,
        Command::Onboard(options) => onboard::run(&layout, console, &options).await,
        Command::Offboard(options) => offboard::run(&layout, console, &options).await,
        Command::Clients(options) => clients::run(&layout, console, &options).await,
        Command::Endpoints(options) => endpoints::run(&layout, console, &options).await,
        Command::Listen(options) => listen::run(console, &options).await,
        Command::Cost(options) => cost::run(console, &options).await,
        Command::Reference(options) => reference::run(&layout, console, &options).await,
        Command::Tail(options) => tail::run(&layout, console, &options).await,
    }
}
