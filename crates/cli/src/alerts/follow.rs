//! The alerts of a fleet as they arrive.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use roadcast_domain::Timestamp;
use serde_json::Value;

use super::text;
use crate::api::{Api, percent_encoded};
use crate::confirmation::Confirmation;
use crate::console::Console;
use crate::shutdown::ShutdownSignal;
use crate::stack::{Stack, tool_clients};
use crate::time_argument::PointInTime;
use crate::wall_clock::now_ms;

/// A day, in milliseconds.
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// The pause between two reads, if no more alerts are available now.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// Prints the alerts of a fleet from a time on, as a client of the fleet.
pub(super) async fn run(
    stack: &mut Stack,
    admin: &Api,
    console: &Console,
    fleet_id: &str,
    (since, once): (Option<PointInTime>, bool),
    confirmation: Confirmation,
) -> Result<ExitCode> {
    let mut shutdown = ShutdownSignal::listen()?;
    let app = tool_clients::feed_client(stack, admin, fleet_id, confirmation).await?;
    let default_start = if once { DAY_MS } else { 0 };
    let start = since.map_or_else(|| Timestamp::from_ms(now_ms()).plus_ms(-default_start), |since| since.0);
    tokio::select! {
        printed = print_arrivals(&app, console, start, once) => printed.map(|()| ExitCode::SUCCESS),
        () = shutdown.recv() => Ok(ExitCode::SUCCESS),
    }
}

/// Prints alerts by arrival, until there are no more or the output is closed.
async fn print_arrivals(app: &Api, console: &Console, start: Timestamp, once: bool) -> Result<()> {
    let selection = "type=roadcast.alert.v1";
    let mut query = format!("{selection}&from={}", percent_encoded(&start.to_string()));
    loop {
        let page = app.arrivals(&query).await?;
        if !print(console, &page.events) {
            return Ok(());
        }
        if let Some(next) = &page.next {
            query = format!("{selection}&cursor={}", percent_encoded(next));
        }
        match page.more {
            true if page.next.is_some() => {}
            _ if once => return Ok(()),
            _ => tokio::time::sleep(POLL_INTERVAL).await,
        }
    }
}

/// Prints alerts. Returns whether the reader of the output still reads.
fn print(console: &Console, events: &[Value]) -> bool {
    let mut out = std::io::stdout().lock();
    let printed = events.iter().try_for_each(|event| {
        let line = if console.json() { event.to_string() } else { text::event(event) };
        writeln!(out, "{line}")
    });
    printed.and_then(|()| out.flush()).is_ok()
}
