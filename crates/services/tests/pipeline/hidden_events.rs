//! Pages of a fleet that may see few of many events: positions do not reveal the others.

use std::collections::BTreeSet;

use roadcast_domain::Timestamp;
use roadcast_domain::ids::Eid;
use roadcast_event_log::segment::bucket_start;
use roadcast_services::query::EventsRange;
use roadcast_testbed::FaultPlan;
use serde_json::json;

use crate::fixture::{NOON, PipelineFixture, client_of, event};

const EVENTS: i64 = 1500;

/// Every ninth event has a speed; the others have a position only.
fn has_speed(n: i64) -> bool {
    n % 9 == 0 && n > 1200
}

#[tokio::test]
async fn position_of_the_next_page_is_not_that_of_a_hidden_event() {
    let pipeline = PipelineFixture::new(80);
    let vid = pipeline.vehicle("v").await;
    let fleet = pipeline.fleet(std::slice::from_ref(&vid), &["telematics"]).await;
    let noon = Timestamp::parse_rfc3339(NOON).unwrap();
    for n in 0..EVENTS {
        let mut event = event(&n.to_string(), &[]);
        let at = noon.plus_ms((n - EVENTS) * 10_007);
        let signals = if has_speed(n) {
            json!({"Vehicle.Speed": 50})
        } else {
            json!({"Vehicle.CurrentLocation.Latitude": 51.5, "Vehicle.CurrentLocation.Longitude": 7.5})
        };
        event["data"]["samples"] = json!([{"at": at, "signals": signals}]);
        pipeline.memory.stream().put_bytes(vid.as_str(), event.to_string().as_bytes());
    }
    pipeline.process_all(|_| FaultPlan::healthy()).await;
    let stored = pipeline.stored_events();
    let visible: BTreeSet<Eid> =
        (0..EVENTS).filter(|n| has_speed(*n)).map(|n| stored[usize::try_from(n).unwrap()].event.eid).collect();

    for limit in [1, 2, 5] {
        let mut range = EventsRange::between(vid.clone(), None, None, limit);
        let mut found = BTreeSet::new();
        loop {
            let page = pipeline.queries().events(&client_of(&fleet), &range).await.unwrap();
            found.extend(page.events.iter().map(|event| event.eid));
            let Some(next) = page.next else { break };
            assert!(next > range.from, "each page makes progress");
            let is_bucket = next == Eid::lower_bound(bucket_start(next.time()));
            let follows_visible = next.previous().is_some_and(|last| visible.contains(&last));
            assert!(is_bucket || follows_visible || visible.contains(&next), "{next} is a hidden event, limit {limit}");
            range.from = next;
        }
        assert_eq!(found, visible, "limit {limit}");
    }
}
