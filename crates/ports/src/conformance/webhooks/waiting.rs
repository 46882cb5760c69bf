//! [`WaitingDeliveries`].

use roadcast_domain::ids::DeliveryId;
use roadcast_signals::Timestamp;

use super::super::fixtures::Fixtures;
use super::{endpoint_id, soon};
use crate::clock::Randomness;
use crate::webhooks::{DueLine, WaitingDeliveries, WaitingDelivery, WaitingLine};

/// Checks [`WaitingDeliveries`].
pub async fn waiting_deliveries(waiting: &impl WaitingDeliveries, random: &impl Randomness) {
    let fixtures = Fixtures::new(random);
    let (fleet_id, endpoint_id, start) = (fixtures.fleet_id(), endpoint_id(random), soon(random));
    let unordered = WaitingLine { fleet_id: fleet_id.clone(), endpoint_id: endpoint_id.clone(), vid: None };
    let ordered = WaitingLine { vid: Some(fixtures.vid()), ..unordered.clone() };
    let at = |ms: i64| start.plus_ms(ms);
    // The ids are in the opposite order of the times.
    let delivery = |n: i64, due: i64| WaitingDelivery {
        delivery_id: DeliveryId::from_time_and_salt(start.plus_ms(100 - n), 1),
        due_at: at(due),
        expires_at: at(1_000_000),
    };
    let first = async |line: &WaitingLine, limit| waiting.first(line, limit).await.expect("first succeeds");
    let add =
        async |line: &WaitingLine, delivery: &WaitingDelivery| waiting.add(line, delivery).await.expect("add succeeds");
    let empty = first(&unordered, 10).await;
    assert_eq!((empty.revision, empty.waiting.len()), (0, 0), "a line that never existed has revision 0");
    waiting.remove(&unordered, &[delivery(1, 1)]).await.expect("removing what does not wait succeeds");

    let [a, b, c] = [(1, 3000), (2, 4000), (3, 5000)].map(|(n, due)| delivery(n, due));
    for line in [&unordered, &ordered] {
        for added in [&b, &a, &c] {
            add(line, added).await;
        }
        assert_eq!(first(line, 2).await.waiting.len(), 2, "at most the limit");
    }
    assert_eq!(first(&unordered, 10).await.waiting, [a.clone(), b.clone(), c.clone()], "by when they are due");
    assert_eq!(first(&ordered, 10).await.waiting, [c.clone(), b.clone(), a.clone()], "by id");

    let is_due = async |line: &WaitingLine, now: Timestamp| due_line(waiting, line, now).await.is_some();
    assert!(!is_due(&unordered, at(2999)).await && is_due(&unordered, at(3000)).await, "from the earliest time on");
    // Another client reads the line, and a delivery is added before it is rescheduled.
    let seen = first(&unordered, 10).await;
    let later = delivery(4, 7000);
    add(&unordered, &later).await;
    waiting.reschedule(&unordered, None, seen.revision).await.expect("reschedule succeeds");
    assert!(is_due(&unordered, at(3000)).await, "a line to which a delivery was added since stays as it is");
    let seen = first(&unordered, 10).await;
    let due = due_line(waiting, &unordered, at(3000)).await.expect("due");
    assert_eq!(due.revision, seen.revision, "a due line has the same revision");
    waiting.reschedule(&unordered, Some(at(6000)), seen.revision).await.expect("reschedule succeeds");
    assert!(
        !is_due(&unordered, at(5999)).await && is_due(&unordered, at(6000)).await,
        "a line is due when it is rescheduled"
    );
    assert_eq!(first(&unordered, 10).await.revision, seen.revision, "rescheduling keeps the revision");

    let again = WaitingDelivery { due_at: at(8000), ..a.clone() };
    add(&unordered, &again).await;
    assert!(!is_due(&unordered, at(5999)).await, "a later time does not make the line due earlier");
    waiting.remove(&unordered, &[a.clone(), b.clone()]).await.expect("remove succeeds");
    let remaining = [c.clone(), later.clone(), again.clone()];
    assert_eq!(first(&unordered, 10).await.waiting, remaining, "a delivery that was added again with another time stays");
    let early = delivery(5, 1000);
    add(&unordered, &early).await;
    assert!(is_due(&unordered, at(1000)).await, "an earlier time makes the line due earlier");

    waiting.remove(&unordered, &[c, later, again, early]).await.expect("remove succeeds");
    let emptied = first(&unordered, 10).await;
    assert_eq!(emptied.waiting, [], "the line is empty");
    waiting.reschedule(&unordered, None, emptied.revision).await.expect("reschedule succeeds");
    assert!(!is_due(&unordered, at(1_000_000)).await, "a line that was removed is not due");
    add(&unordered, &b).await;
    assert_ne!(first(&unordered, 10).await.revision, emptied.revision, "a revision never repeats");
    waiting.reschedule(&unordered, None, emptied.revision).await.expect("reschedule succeeds");
    assert!(is_due(&unordered, at(4000)).await, "the revision from before the removal has no effect");
    assert!(is_due(&ordered, at(4000)).await, "another line of the endpoint is unchanged");
    for line in [&unordered, &ordered] {
        let last = first(line, 10).await;
        waiting.remove(line, &last.waiting).await.expect("remove succeeds");
        waiting.reschedule(line, None, last.revision).await.expect("reschedule succeeds");
    }
}

/// Returns a line if it is due. Reads all pages: a shared store has lines of others.
async fn due_line(waiting: &impl WaitingDeliveries, line: &WaitingLine, now: Timestamp) -> Option<DueLine> {
    let mut after: Option<WaitingLine> = None;
    loop {
        let page = waiting.lines(now, after.as_ref(), 2).await.expect("lines succeeds");
        assert!(page.len() <= 2, "a page has at most the limit");
        let last = page.last()?.line.clone();
        assert_ne!(Some(&last), after.as_ref(), "each page makes progress");
        if let Some(due) = page.into_iter().find(|due| due.line == *line) {
            return Some(due);
        }
        after = Some(last);
    }
}
