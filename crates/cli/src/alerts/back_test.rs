//! A back-test, with its progress.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use reqwest::Method;
use serde_json::Value;

use super::text;
use crate::api::Api;
use crate::console::Console;
use crate::json_text::text as member;

const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// How long a back-test may make no progress.
const STALLED_AFTER: Duration = Duration::from_mins(15);

/// Starts a back-test of an owner, waits for its end, and prints the alerts.
pub(super) async fn run(api: &Api, console: &Console, owner: &str, body: &Value) -> Result<ExitCode> {
    let started: Value = api.create(&format!("{owner}/alert-rules/test"), body).await?;
    let id = member(&started, "backTestId").to_owned();
    let path = format!("{owner}/back-tests/{id}");
    let mut step = console.counted_step("Back-test", started["progress"]["ofVehicles"].as_u64().unwrap_or_default());
    let (mut last_progress, mut progress_at) = (String::new(), Instant::now());
    loop {
        let result: Value = api.json(Method::GET, &path, None).await?;
        let raised = result["raised"].as_u64().unwrap_or_default();
        match member(&result, "state") {
            "running" => {}
            "finished" => {
                step.finish(&format!("{raised} alerts"));
                console.print_result(&result, &text::result(&result, console.style()))?;
                return Ok(ExitCode::SUCCESS);
            }
            state => bail!("the back-test {id} is {state}: start it again, or look at the log of back-tester"),
        }
        if last_progress != member(&result, "updatedAt") {
            (last_progress, progress_at) = (member(&result, "updatedAt").to_owned(), Instant::now());
        }
        if progress_at.elapsed() > STALLED_AFTER {
            bail!("the back-test {id} made no progress for {STALLED_AFTER:?}: look at the log of back-tester");
        }
        step.set_position(result["progress"]["vehicles"].as_u64().unwrap_or_default(), &format!("{raised} alerts"));
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}
