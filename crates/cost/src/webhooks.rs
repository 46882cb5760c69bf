//! What webhooks add to the bill: the real use cases deliver events to endpoints in memory, under the meter.
//!
//! Two runs: a vehicle reports an event a day and its fleet's endpoint accepts it; and an endpoint that times out for a whole day.
//! Events are as rare as they are in the workload, so that no cache and no batch helps, and each message is an invocation of its own.
//! The event itself, from the vehicle to the delivery bus, belongs to the traffic without webhooks.

mod ports;
mod run;

use futures::executor::block_on;

use crate::meter::{Item, Usage};
use crate::workload::{DAYS, MAPPING_POLLERS};
use crate::{Bill, GIB, Kind, Line, Prices};

/// Mappings of queues that webhooks add: of the fan-out, and of the two queues of the dispatcher.
const MAPPINGS: f64 = 3.0;
/// Long polls of a poller per day: each waits for 20 s.
const POLLS_PER_DAY: f64 = 24.0 * 60.0 * 3.0;
/// Runs of the scheduler per day: one every minute.
const SCHEDULES_PER_DAY: f64 = 24.0 * 60.0;
/// Bytes that Lambda and the function log for an invocation.
const LOG_BYTES: f64 = 1200.0;

/// The metered usage of webhooks.
#[derive(Clone, Debug, PartialEq)]
pub struct Webhooks {
    /// The usage of an event that its endpoint accepts at once.
    pub delivered: Usage,
    /// The usage of an endpoint that fails for a day, with the events of a thousand vehicles.
    pub failing_day: Usage,
    /// The number of attempts of that day.
    pub failing_attempts: usize,
}

/// Events of a failing endpoint in a day: those of a thousand vehicles, one each.
const FAILING_EVENTS: f64 = 1000.0;

/// Runs the use cases under the meter.
pub fn run_webhooks() -> Webhooks {
    block_on(async {
        let delivered = run::accepted().await;
        let (failing_day, failing_attempts) = run::failing().await;
        Webhooks { delivered, failing_day, failing_attempts }
    })
}

/// Returns the bill of usage that is added to other usage: at the price of the first tier, without free allowances, which the other
/// usage has used up.
pub fn added(prices: &Prices, usage: &Usage, kind: Kind) -> Bill {
    let used =
        Item::ALL.into_iter().map(|item| (prices.of(item), item, usage.total(item))).filter(|(.., total)| *total > 0.0);
    let line = |(price, item, quantity): (&crate::Price, Item, f64)| Line {
        name: item.name().to_owned(),
        what: format!("{}: {}", price.service, price.what),
        quantity,
        unit: price.unit.clone(),
        dollars: price.dollars * quantity,
        kind,
    };
    let mut lines: Vec<Line> = used.map(line).collect();
    lines.sort_by(|a, b| b.dollars.total_cmp(&a.dollars));
    Bill { lines }
}

impl Webhooks {
    /// Returns the traffic of a month with an event for each vehicle and day, of whose endpoints the share `failing` fails all the
    /// time.
    pub fn month(&self, vehicles: u32, failing: f64) -> Usage {
        let events = f64::from(vehicles) * DAYS;
        let mut usage = Usage::default();
        usage.add_scaled(&self.delivered, events * (1.0 - failing));
        usage.add_scaled(&self.failing_day, events * failing / FAILING_EVENTS);
        usage
    }

    /// Returns the usage of a month without traffic: the key, polls of the queues, and runs of the scheduler.
    pub fn idle() -> Usage {
        let mut usage = Usage::default();
        let runs = SCHEDULES_PER_DAY * DAYS;
        usage.add(Item::KmsKeyMonth, None, 1.0);
        usage.add(Item::SqsRequest, None, MAPPINGS * MAPPING_POLLERS as f64 * POLLS_PER_DAY * DAYS);
        usage.add(Item::LambdaRequest, None, runs);
        // Some milliseconds of 256 MiB, and one read of the lines that are due.
        usage.add(Item::LambdaGbSecond, None, runs * 0.01 * 0.25);
        usage.add(Item::DynamodbReadUnit, None, runs);
        usage.add(Item::LogGb, None, runs * LOG_BYTES / GIB);
        usage
    }
}

#[cfg(test)]
mod tests;
