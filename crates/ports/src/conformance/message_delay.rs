//! [`MessageDelay`]

use crate::message_delay::{FailedMessage, MessageDelay};

/// Maximum number of receive calls until a queue delivers a visible message.
const MAX_RECEIVES: usize = 15;

/// Checks every implementation of [`MessageDelay`]. The queue with this ARN holds one visible message and has a visibility
/// timeout that does not pass during the suite. `receive` receives at most one message and returns its receipt handle; it must not
/// wait longer than some seconds.
pub async fn message_delay(port: &impl MessageDelay, queue_arn: &str, receive: impl AsyncFn() -> Option<String>) {
    let receive_visible = async || {
        for _ in 0..MAX_RECEIVES {
            if let Some(receipt_handle) = receive().await {
                return receipt_handle;
            }
        }
        panic!("a visible message is received");
    };
    let delay = async |receipt_handle: &str, delay_s: u32| {
        let message = FailedMessage { receipt_handle: receipt_handle.to_owned(), delay_s };
        let results = port.delay(queue_arn, &[message]).await;
        assert_eq!(results.len(), 1, "each message has a result");
        for result in results {
            result.unwrap_or_else(|error| panic!("the delay is set: {error}"));
        }
    };

    assert!(port.delay(queue_arn, &[]).await.is_empty(), "no messages have no results");
    let first = receive_visible().await;
    assert!(receive().await.is_none(), "a received message is not visible");
    delay(&first, 0).await;
    let second = receive_visible().await;
    delay(&second, 3600).await;
    assert!(receive().await.is_none(), "a delayed message is not visible");
    delay(&second, 0).await;
    let third = receive_visible().await;
    // Two functions may receive the same message, and the first may have completed it.
    delay(&first, 0).await;
    delay(&third, 0).await;
    receive_visible().await;
}
