//! Redrives, which are repeated until they are finished.

use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::Result;
use reqwest::Method;
use serde_json::Value;

use crate::api::Api;
use crate::console::{Cell, Console, Table};
use crate::json_text::text;

/// Returns an id for a redrive: the current time.
pub(crate) fn new_id() -> String {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("cli-{}", since_epoch.as_millis())
}

/// Runs the redrive at `path` until it is finished. The exit code is a failure if an item could not be sent.
pub(crate) async fn run(api: &Api, console: &Console, path: &str, body: &Value, what: &str) -> Result<ExitCode> {
    let id = path.rsplit('/').next().unwrap_or_default();
    let mut step = console.step(&format!("Redrive {id}"));
    loop {
        let redrive: Value = api.json(Method::PUT, path, Some(body)).await?;
        let failed = redrive["failed"].as_u64().unwrap_or_default();
        let mut counts = format!("{} {what}, {} skipped", redrive["redriven"], redrive["skipped"]);
        if failed > 0 {
            counts = format!("{counts}, {failed} failed");
        }
        if redrive["state"] == "finished" {
            step.finish(&counts);
            let mut lines = format!("{id}: {counts}");
            if failed > 0 {
                lines = format!("{lines}\n\n{}", failures(&redrive).render(console.style()));
            }
            console.print_result(&redrive, &lines)?;
            return Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        step.set_message(&counts);
    }
}

/// The items that could not be sent, with what to do.
fn failures(redrive: &Value) -> Table {
    let mut table = Table::new(&["dead letter", "reason"], "");
    for failure in redrive["failures"].as_array().into_iter().flatten() {
        table.row([Cell::text(text(failure, "deadLetterId")), Cell::state(text(failure, "reason"))]);
        if let Some(detail) = failure["detail"].as_str() {
            table.note(detail);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::Style;
    use serde_json::json;

    #[test]
    fn failures_state_what_to_do() {
        let redrive =
            json!({"failures": [{"deadLetterId": "dlt_1", "reason": "fleet-left", "detail": "the fleet was offboarded"}]});
        let expected = "DEAD LETTER  REASON\ndlt_1        fleet-left\n    the fleet was offboarded";
        assert_eq!(failures(&redrive).render(Style::PLAIN), expected);
    }
}
