//! A test event, and the wait for its result.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use reqwest::Method;
use serde_json::{Value, json};

use super::text;
use crate::api::Api;
use crate::console::Console;

/// How long a test waits for its first attempt: an attempt takes 15 s at most, and the first call of a function starts it.
const TEST_TIMEOUT: Duration = Duration::from_mins(1);
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Sends a test event to the endpoint at `path`, and waits for its first attempt. Exits with a failure if the attempt failed.
pub(super) async fn test(api: &Api, console: &Console, path: &str, wait: bool) -> Result<ExitCode> {
    let created: Value = api.create(&format!("{path}/test"), &json!({})).await?;
    let id = created["deliveryId"].as_str().unwrap_or_default();
    if !wait {
        console.print_result(&created, &format!("{id} was created; `attempts` shows its result"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let deadline = Instant::now() + TEST_TIMEOUT;
    let mut step = console.step("Test event");
    loop {
        let delivery: Value = api.json(Method::GET, &format!("{path}/deliveries/{id}"), None).await?;
        if delivery["attempts"].as_u64() > Some(0) || delivery["state"] != "pending" {
            let page: Value = api.json(Method::GET, &format!("{path}/attempts?limit=100"), None).await?;
            let mut attempts = page["items"].as_array().cloned().unwrap_or_default();
            attempts.retain(|attempt| attempt["deliveryId"] == id);
            let state = delivery["state"].as_str().unwrap_or_default().to_owned();
            step.finish(&state);
            let lines = text::attempts(&json!({ "items": attempts })).render(console.style());
            console.print_result(&json!({ "delivery": delivery, "attempts": attempts }), &lines)?;
            return Ok(if state == "delivered" { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        if Instant::now() >= deadline {
            bail!(
                "the delivery {id} was not attempted within {TEST_TIMEOUT:?}: `endpoints show` states whether its circuit is open"
            );
        }
        step.set_message("waiting for the first attempt");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}
