//! `down`: stops a stack and all its processes.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use crate::console::Console;
use crate::layout::Layout;
use crate::stack::endpoint::{self, QUIESCE_TIMEOUT, STOP_TIMEOUT};
use crate::stack::state::{RunFile, StackFile};

/// Arguments of `down`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo roadcast down
  cargo roadcast --dir /tmp/b down     Stop the stack of another folder")]
pub(crate) struct DownArgs {}

pub(crate) async fn run(layout: &Layout, console: &Console) -> Result<ExitCode> {
    let Some(run) = RunFile::read(layout)? else {
        console.print_result(&json!({ "stopped": false }), "No stack is running in this folder.")?;
        return Ok(ExitCode::SUCCESS);
    };
    let step = console.step("Stopping");
    // A process with a recorded process id but another start time is unrelated, and is not stopped.
    let stopped = run.endpoint.is_alive();
    if let Some(simulator) = &run.simulator {
        simulator.stop(STOP_TIMEOUT).await;
    }
    if let Some(foreground) = &run.foreground {
        // It stops the endpoint itself, like the next lines.
        foreground.terminate(QUIESCE_TIMEOUT + STOP_TIMEOUT).await;
    }
    if run.endpoint.is_alive()
        && let Some(file) = StackFile::read(layout)?
    {
        endpoint::quiesce(file.port).await;
    }
    run.endpoint.stop(STOP_TIMEOUT).await;
    RunFile::remove(layout);
    step.finish("stopped");
    let text = if stopped {
        "All processes are stopped. The data is retained."
    } else {
        "The stack had already exited. Removed its run file."
    };
    console.print_result(&json!({ "stopped": stopped }), text)?;
    Ok(ExitCode::SUCCESS)
}
