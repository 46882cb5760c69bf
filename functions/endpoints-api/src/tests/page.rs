//! The page for fleets states what the code does.

use roadcast_domain::webhook::{AttemptOutcome, Endpoint, EndpointHealth, EndpointUrl, RetrySchedule};
use roadcast_ports::webhooks::WebhookRequest;

#[test]
fn page_states_the_limits_of_the_code() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/webhooks.md")).unwrap();
    let page = page.split_whitespace().collect::<Vec<_>>().join(" ");
    let days = |ms: i64| ms / 86_400_000;
    for text in [
        format!("at most {} bytes, without user", EndpointUrl::MAX_BYTES),
        format!("at most {}, with {} bytes in all", Endpoint::MAX_HEADERS, Endpoint::MAX_HEADER_BYTES),
        format!("1 to {} |", Endpoint::MAX_RATE_LIMIT),
        format!("A fleet has at most {} endpoints", Endpoint::MAX_PER_FLEET),
        format!("at most {} KiB", Endpoint::MAX_BODY_BYTES / 1024),
        format!("{} (a day) by default, {} at most", Endpoint::DEFAULT_OVERLAP_S, Endpoint::MAX_OVERLAP_S),
        format!("1 to {} of them", RetrySchedule::MAX_DELAYS),
        format!("within {} seconds", WebhookRequest::TIMEOUT_MS / 1000),
        format!("first {} characters of the response", WebhookRequest::MAX_EXCERPT),
        format!("fails for {} days", days(EndpointHealth::DISABLE_AFTER_MS)),
        format!("After {} failed attempts in a row", EndpointHealth::OPEN_AFTER),
        format!("no attempt is made for {} seconds", EndpointHealth::FIRST_OPENING_MS / 1000),
        format!("up to {} minutes", EndpointHealth::MAX_OPENING_MS / 60_000),
    ] {
        assert!(page.contains(&text), "docs/webhooks.md must state: {text}");
    }
    let mut after_s = 0;
    for (index, delay_s) in RetrySchedule::default().delays_s().iter().enumerate() {
        after_s += delay_s;
        let row = format!("| {} | {} | {} |", index + 2, duration(*delay_s), duration(after_s));
        assert!(page.contains(&row), "docs/webhooks.md must have the row {row}");
    }
    for outcome in AttemptOutcome::ALL {
        assert!(page.contains(&format!("| `{}` |", outcome.code())), "docs/webhooks.md must explain {}", outcome.code());
    }
}

/// A duration as in the table of the page. Seconds beside minutes are omitted there.
fn duration(seconds: u32) -> String {
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds} s"),
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}
