//! Tasks of back-tests that ended without a response.

use roadcast_domain::back_test::BackTestTask;
use roadcast_domain::dead_letter::{Hop, Pointers};

use super::text::{name_in_arn, pointer};
use super::{Failure, QueueMessage};

/// The end of the name of the queue of back-tests.
const BACK_TESTS: &str = "-back-tests";

/// Returns the failure of a message that was received too often from the queue of back-tests; `None` if it comes from another one. If
/// the message does not state its queue, its body decides.
pub(super) fn moved_from_queue(message: &QueueMessage) -> Option<Failure> {
    let queue = message.moved_from.as_deref().map(|arn| name_in_arn(arn, ':'));
    let task: Option<BackTestTask> = serde_json::from_str(&message.body).ok();
    if !queue.map_or(task.is_some(), |queue| queue.ends_with(BACK_TESTS)) {
        return None;
    }
    let failure = Failure::unknown(message, "receives_exhausted");
    Some(Failure {
        hop: Hop::BackTest,
        detail: Some("each invocation of the function with this task ended without a response".to_owned()),
        fleet_id: task.as_ref().and_then(|task| task.owner.fleet_id().cloned()),
        pointers: Pointers {
            source: queue.map(pointer),
            target: task.map(|task| pointer(&task.back_test_id.to_string())),
            ..failure.pointers
        },
        ..failure
    })
}
