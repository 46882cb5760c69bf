//! Metrics and logs of collected letters.

use roadcast_domain::dead_letter::Hop;
use roadcast_lambda_kit::logging;
use roadcast_lambda_kit::metrics::{Metric, Metrics};
use roadcast_ports::PortError;
use roadcast_services::dead_letters::collector::CollectedLetter;

/// Counts and logs the letters of a message. A letter that was stored before is not counted again.
pub(crate) fn record_letters(metrics: &Metrics, letters: &[CollectedLetter]) {
    for CollectedLetter { letter, repeated } in letters {
        let (id, hop, reason, items) = (letter.dead_letter_id.to_string(), letter.hop.code(), &letter.reason, letter.items);
        if *repeated {
            tracing::info!(id, hop, "letter {id} of hop {hop} was stored before");
        } else if letter.hop == Hop::Quarantine {
            metrics.record(Metric::QuarantineLettersKept, 1);
            tracing::info!(id, hop, reason, items, "letter {id} of hop {hop} was stored: {reason}");
        } else if letter.hop == Hop::Webhook {
            // An endpoint that fails is a matter of its fleet, so it does not ring the alarm of the other letters.
            metrics.record(Metric::WebhookLettersKept, 1);
            tracing::info!(id, hop, reason, items, "letter {id} of hop {hop} was stored: {reason}");
        } else {
            metrics.record(Metric::DeadLettersKept, 1);
            tracing::warn!(id, hop, reason, items, "letter {id} of hop {hop} was stored: {reason}");
        }
    }
}

/// Counts and logs a message that could not be collected. It stays in the queue.
pub(crate) fn record_failure(metrics: &Metrics, message_id: &str, error: &PortError) {
    metrics.record(Metric::DeadLettersNotCollected, 1);
    let error = logging::error_chain(error);
    tracing::error!(message_id, error, "message {message_id} was not collected and stays in the queue: {error}");
}
