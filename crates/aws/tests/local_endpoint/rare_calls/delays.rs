//! Messages that are delivered again after a delay: probes of another run, and entries that failed.

use roadcast_aws::{Sdk, SqsFeedQueue, SqsMessageDelay};
use roadcast_domain::ids::FleetId;
use roadcast_ports::feed::FeedQueue as _;
use roadcast_ports::message_delay::{FailedMessage, MessageDelay as _};

use crate::stack::REGION;

/// Releases a probe as each of the functions. The queue does not know the handle.
pub(super) async fn of_probes(fleet_id: &FleetId, functions: [&Sdk; 2]) {
    for function in functions {
        let queue = SqsFeedQueue::new(function.sqs(), "roadcast-local-feed-");
        for released in queue.release(fleet_id, 1, &["unknown".to_owned()]).await {
            released.unwrap();
        }
    }
}

/// Delays a message in the queue of each lane. The function has the URLs from its configuration.
pub(super) async fn of_entries(operator: &Sdk, function: &Sdk) {
    for lane in ["telemetry", "alerts"] {
        of_queue(operator, function, &format!("roadcast-local-enrichment-{lane}")).await;
    }
}

/// Delays a message in the queue of notices.
pub(super) async fn of_notices(operator: &Sdk, function: &Sdk) {
    of_queue(operator, function, "roadcast-local-alert-notices").await;
}

async fn of_queue(operator: &Sdk, function: &Sdk, name: &str) {
    let url = operator.sqs().get_queue_url().queue_name(name).send().await.unwrap().queue_url;
    let delay = SqsMessageDelay::new(function.sqs(), url);
    let message = FailedMessage { receipt_handle: "unknown".to_owned(), delay_s: 1 };
    for delayed in delay.delay(&format!("arn:aws:sqs:{REGION}:000000000000:{name}"), &[message]).await {
        delayed.unwrap();
    }
}
