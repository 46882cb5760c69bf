//! Keys of `deliveries`, which holds what webhooks store between their steps. All items expire.
//!
//! | `pk` | `sk` | item |
//! |---|---|---|
//! | `delivery#<endpointId>` | `<deliveryId>` | a delivery; ids sort by the time of the event |
//! | `attempt#<endpointId>` | `<time>#<deliveryId>#<number, ten digits>` | an attempt |
//! | `health#<endpointId>` | `meta` | the health of an endpoint |
//! | `health#<endpointId>` | `slots` | which slots of concurrent attempts are taken |
//! | `health#<endpointId>` | `second#<time>` | the number of attempts in that second |
//! | `waiting#<endpointId>#<vid>` | `<deliveryId>` | a delivery that waits in an ordered line |
//! | `waiting#<endpointId>` | `due#<time>#<deliveryId>` | a delivery that waits in an unordered line |
//! | `waiting#<endpointId>` | `delivery#<deliveryId>` | when that delivery is due, to find its item |
//! | `lines` | `<fleetId>#<endpointId>`, `<fleetId>#<endpointId>#<vid>` | a line in which deliveries wait |
//! | `redrive#<endpointId>` | `<redrive id>` | a redrive |

use roadcast_domain::dead_letter::RedriveId;
use roadcast_domain::ids::{DeliveryId, EndpointId};
use roadcast_domain::webhook::DeliveryKey;
use roadcast_ports::webhooks::{AttemptPosition, WaitingLine};
use roadcast_signals::Timestamp;

use super::{Key, KeyRange, PK, SK};

const META: &str = "meta";
const LINES: &str = "lines";
/// Sorts after every character that occurs in ids and times.
const AFTER_ANY_ID: char = '~';
/// Sorts before every line.
const FIRST_LINE: &str = "flt_";
const DUE: &str = "due#";

impl Key {
    /// A delivery.
    pub fn delivery(key: &DeliveryKey) -> Self {
        Self::in_deliveries(delivery_partition(&key.endpoint_id), key.delivery_id.to_string())
    }

    /// An attempt.
    pub fn attempt(endpoint_id: &EndpointId, position: &AttemptPosition) -> Self {
        Self::in_deliveries(attempt_partition(endpoint_id), attempt_sort(position))
    }

    /// The health of an endpoint.
    pub fn endpoint_health(endpoint_id: &EndpointId) -> Self {
        Self::in_deliveries(health_partition(endpoint_id), META.to_owned())
    }

    /// The slots of an endpoint.
    pub fn endpoint_slots(endpoint_id: &EndpointId) -> Self {
        Self::in_deliveries(health_partition(endpoint_id), "slots".to_owned())
    }

    /// The number of attempts to an endpoint in a second.
    pub fn attempt_count(endpoint_id: &EndpointId, second: Timestamp) -> Self {
        Self::in_deliveries(health_partition(endpoint_id), format!("second#{second}"))
    }

    /// A delivery that waits in an ordered line.
    pub fn waiting_in_order(line: &WaitingLine, delivery_id: DeliveryId) -> Self {
        Self::in_deliveries(waiting_partition(line), delivery_id.to_string())
    }

    /// A delivery that waits in an unordered line, by the time when it is due.
    pub fn waiting_until(line: &WaitingLine, due_at: Timestamp, delivery_id: DeliveryId) -> Self {
        Self::in_deliveries(waiting_partition(line), format!("{DUE}{due_at}#{delivery_id}"))
    }

    /// When a delivery of an unordered line is due.
    pub fn due_time(line: &WaitingLine, delivery_id: DeliveryId) -> Self {
        Self::in_deliveries(waiting_partition(line), format!("delivery#{delivery_id}"))
    }

    /// A line in which deliveries wait.
    pub fn waiting_line(line: &WaitingLine) -> Self {
        Self::in_deliveries(LINES.to_owned(), line_sort(line))
    }

    /// A redrive of the deliveries of an endpoint.
    pub fn endpoint_redrive(endpoint_id: &EndpointId, id: &RedriveId) -> Self {
        Self::in_deliveries(format!("redrive#{endpoint_id}"), id.to_string())
    }

    fn in_deliveries(pk: String, sk: String) -> Self {
        Self { partition: (PK, pk), sort: Some((SK, sk)) }
    }
}

impl KeyRange {
    /// The deliveries of an endpoint with an id of at most `to`, newest event first.
    pub fn deliveries(endpoint_id: &EndpointId, to: DeliveryId) -> Self {
        let range = Self::in_deliveries(delivery_partition(endpoint_id), DeliveryId::MIN.to_string(), to.to_string());
        Self { descending: true, ..range }
    }

    /// The attempts of an endpoint before a position, newest first.
    pub fn attempts(endpoint_id: &EndpointId, before: Option<&AttemptPosition>) -> Self {
        let to = before.map_or(AFTER_ANY_ID.to_string(), |before| {
            // Attempts are numbered from 1, so this is less than any position from `before` on.
            attempt_sort(&AttemptPosition { number: before.number.saturating_sub(1), ..before.clone() })
        });
        Self { descending: true, ..Self::in_deliveries(attempt_partition(endpoint_id), "0".to_owned(), to) }
    }

    /// The deliveries that wait in a line: of an ordered one by id, of another one by the time when they are due.
    pub fn waiting(line: &WaitingLine) -> Self {
        let (from, to) = match line.vid {
            Some(_) => (DeliveryId::MIN.to_string(), DeliveryId::MAX.to_string()),
            None => (DUE.to_owned(), format!("{DUE}{AFTER_ANY_ID}")),
        };
        Self::in_deliveries(waiting_partition(line), from, to)
    }

    /// All lines after `after`.
    pub fn waiting_lines(after: Option<&WaitingLine>) -> Self {
        // `!` sorts before `#` and every character of an id: the line of an endpoint is excluded, those of its vehicles are not.
        let from = after.map_or_else(|| FIRST_LINE.to_owned(), |after| format!("{}!", line_sort(after)));
        Self::in_deliveries(LINES.to_owned(), from, AFTER_ANY_ID.to_string()).eventually_consistent()
    }

    fn in_deliveries(pk: String, from: String, to: String) -> Self {
        Self { partition: (PK, pk), sort: SK, from, to, consistent: true, descending: false }
    }
}

fn delivery_partition(endpoint_id: &EndpointId) -> String {
    format!("delivery#{endpoint_id}")
}

fn attempt_partition(endpoint_id: &EndpointId) -> String {
    format!("attempt#{endpoint_id}")
}

fn health_partition(endpoint_id: &EndpointId) -> String {
    format!("health#{endpoint_id}")
}

fn waiting_partition(line: &WaitingLine) -> String {
    match &line.vid {
        Some(vid) => format!("waiting#{}#{vid}", line.endpoint_id),
        None => format!("waiting#{}", line.endpoint_id),
    }
}

fn attempt_sort(position: &AttemptPosition) -> String {
    format!("{}#{}#{:010}", position.at, position.delivery_id, position.number)
}

fn line_sort(line: &WaitingLine) -> String {
    match &line.vid {
        Some(vid) => format!("{}#{}#{vid}", line.fleet_id, line.endpoint_id),
        None => format!("{}#{}", line.fleet_id, line.endpoint_id),
    }
}
