//! `down`: stops a stack, wherever it was started.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use crate::console::Console;
use crate::stack::endpoint::PATIENCE;
use crate::stack::layout::Layout;
use crate::stack::state::RunFile;

pub(crate) async fn run(layout: &Layout, console: &Console) -> Result<ExitCode> {
    let Some(run) = RunFile::read(layout)? else {
        console.result(&json!({ "stopped": false }), "Nothing runs here.")?;
        return Ok(ExitCode::SUCCESS);
    };
    let step = console.step("Stopping");
    // A process that has one of the recorded numbers but started at another time is a stranger, and is left alone.
    let stopped = run.endpoint.is_alive();
    if let Some(simulator) = &run.simulator {
        simulator.stop(PATIENCE).await;
    }
    if let Some(foreground) = &run.foreground {
        foreground.ask_to_end(PATIENCE).await;
    }
    run.endpoint.stop(PATIENCE).await;
    RunFile::remove(layout);
    step.done("done");
    let text = if stopped { "Everything has stopped, and the data is kept." } else { "It had ended before; cleaned up." };
    console.result(&json!({ "stopped": stopped }), text)?;
    Ok(ExitCode::SUCCESS)
}
