#![allow(clippy::unwrap_used)]
use std::collections::BTreeMap;

use proptest::prelude::*;
use roadcast_codec::alert_notice as codec;
use roadcast_codec::bus_entry;
use roadcast_domain::alert::AlertChange;
use roadcast_domain::event::{Body, StoredEvent};
use roadcast_domain::ids::FleetId;
use roadcast_domain::subscription::DeliveryFormat;
use roadcast_testbed::fixtures::{alert_event, driving_event};
use roadcast_testbed::{Fault, FaultPlan, Faulty, ManualClock, Memory, WithFaults};

use super::*;

fn notifier(memory: &Memory, clock: &ManualClock, plan: impl Fn(u64) -> FaultPlan) -> AlertNotifier<WithFaults> {
    AlertNotifier {
        sent: Faulty::new(memory.clone(), plan(0)),
        bus: Faulty::new(memory.clone(), plan(1)),
        topic: Faulty::new(memory.clone(), plan(2)),
        clock: clock.clone(),
        stage: "dev".to_owned(),
    }
}

fn ports() -> (ManualClock, Memory) {
    let clock = ManualClock::default();
    (clock.clone(), Memory::new(clock))
}

fn message(events: &[&StoredEvent]) -> String {
    let events: Vec<_> = events.iter().map(|stored| &stored.event).collect();
    let entries = bus_entry::encode(&events, DeliveryFormat::Json, None).unwrap();
    let events: Vec<String> = entries.into_iter().map(|entry| entry.json).collect();
    format!(r#"{{"notice":true,"events":[{}]}}"#, events.join(","))
}

fn changed(mut event: StoredEvent, change: impl Fn(&mut roadcast_domain::alert::Alert)) -> StoredEvent {
    let Body::Alert(alert) = &mut event.event.body else { panic!("an alert") };
    change(alert);
    let (alert, vid) = (alert.clone(), event.event.vid.clone());
    alert.into_event(vid)
}

fn counts(sent: usize, repeated: usize, ignored: usize) -> NotifierCounts {
    NotifierCounts { sent, repeated, ignored }
}

#[tokio::test]
async fn each_change_of_an_alert_of_the_operator_is_sent_once() {
    let (clock, memory) = ports();
    let notifier = notifier(&memory, &clock, |_| FaultPlan::healthy());
    let raised = alert_event(1, 10);
    let cleared = changed(alert_event(1, 10), |alert| alert.change = AlertChange::Cleared);
    for (event, sent) in [(&raised, 1), (&raised, 0), (&cleared, 1), (&cleared, 0), (&raised, 0)] {
        assert_eq!(notifier.notify(&message(&[event])).await.unwrap(), counts(sent, 1 - sent, 0));
        clock.advance_ms(86_400_000);
    }
    let expected = [&raised, &cleared].map(|event| AlertNotice::of_event(&event.event, "dev").unwrap());
    assert_eq!(memory.published_notices(), expected);
    assert_eq!(memory.notices_on_bus(), expected);
    assert_eq!(expected[0].summary, "Roadcast dev: warning alert raised: Too fast");
}

#[tokio::test]
async fn alerts_of_fleets_and_other_events_are_ignored() {
    let (clock, memory) = ports();
    let of_fleet = changed(alert_event(1, 10), |alert| alert.rule.fleet_id = Some(FleetId::from_random_bits(1)));
    let message = message(&[&of_fleet, &driving_event(1, 1, 10, 3)]);
    let found = notifier(&memory, &clock, |_| FaultPlan::healthy()).notify(&message).await.unwrap();
    assert_eq!(found, counts(0, 0, 2));
    assert!(memory.published_notices().is_empty() && memory.notices_on_bus().is_empty());
}

#[tokio::test]
async fn unreadable_message_is_an_error() {
    let (clock, memory) = ports();
    let error = notifier(&memory, &clock, |_| FaultPlan::healthy()).notify(r#"{"notice":true,"events":[{}]}"#).await;
    assert!(matches!(error, Err(NotifierError::Message(_))), "{error:?}");
}

/// A topic that refuses a notice for hours must not fill an incident tool with it.
#[tokio::test]
async fn notice_is_put_on_the_bus_once_however_often_the_topic_fails() {
    let (clock, memory) = ports();
    let message = message(&[&alert_event(1, 10)]);
    let failing = notifier(&memory, &clock, |port| match port {
        2 => FaultPlan::always(Fault::Unavailable),
        _ => FaultPlan::healthy(),
    });
    for _ in 0..5 {
        assert!(matches!(failing.notify(&message).await, Err(NotifierError::Port(_))));
    }
    assert_eq!((memory.notices_on_bus().len(), memory.published_notices().len()), (1, 0));
    let healthy = notifier(&memory, &clock, |_| FaultPlan::healthy());
    assert_eq!(healthy.notify(&message).await.unwrap(), counts(1, 0, 0));
    assert_eq!((memory.notices_on_bus().len(), memory.published_notices().len()), (1, 1));
}

#[tokio::test]
async fn notice_that_another_invocation_sends_waits_for_it() {
    let (clock, memory) = ports();
    let event = alert_event(1, 10);
    memory.claim(event.event.eid, clock.now(), clock.now().plus_ms(CLAIM_MS)).await.unwrap();
    let notifier = notifier(&memory, &clock, |_| FaultPlan::healthy());
    assert!(matches!(notifier.notify(&message(&[&event])).await, Err(NotifierError::Held(_))));
    assert!(memory.published_notices().is_empty());
    clock.advance_ms(CLAIM_MS);
    assert_eq!(notifier.notify(&message(&[&event])).await.unwrap(), counts(1, 0, 0));
}

#[tokio::test]
async fn redriven_notice_goes_to_the_bus_only() {
    let (clock, memory) = ports();
    let notifier = notifier(&memory, &clock, |_| FaultPlan::healthy());
    let event = alert_event(1, 10);
    notifier.notify(&message(&[&event])).await.unwrap();
    let notice = memory.notices_on_bus().remove(0);
    let entry = format!(r#"{{"detail-type":"{}","detail":{}}}"#, codec::NOTICE_DETAIL_TYPE, codec::encode(&notice).unwrap());
    assert_eq!(notifier.notify(&entry).await.unwrap(), counts(1, 0, 0));
    assert_eq!((memory.notices_on_bus(), memory.published_notices()), (vec![notice.clone(), notice.clone()], vec![notice]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever fails, and however often and concurrently messages are repeated: each notice is sent, and again only after a
    /// fault that leaves open whether it was.
    #[test]
    fn faults_and_repetitions_do_not_lose_a_notice(seed in any::<u64>(), percent in 0_u8..60, alerts in 1_i64..4) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (clock, memory) = ports();
            let plan = |port: u64| FaultPlan::seeded(seed ^ (port << 32), percent).yielding();
            let notifier = notifier(&memory, &clock, plan);
            let events: Vec<StoredEvent> = (0..alerts).map(|n| alert_event(1, n * 10)).collect();
            let messages: Vec<String> = events.iter().map(|event| message(&[event])).collect();
            for message in messages.iter().chain(&messages) {
                let mut attempts = 0;
                loop {
                    let (first, second) = futures::join!(notifier.notify(message), notifier.notify(message));
                    if first.is_ok() && second.is_ok() {
                        break;
                    }
                    clock.advance_ms(CLAIM_MS);
                    attempts += 1;
                    if attempts == 20 {
                        for plan in [notifier.sent.plan(), notifier.bus.plan(), notifier.topic.plan()] {
                            plan.heal();
                        }
                    }
                    prop_assert!(attempts < 30, "it does not end");
                }
            }
            let faults: usize =
                [notifier.sent.plan(), notifier.bus.plan(), notifier.topic.plan()].iter().map(|plan| plan.injected()).sum();
            for sent in [memory.published_notices(), memory.notices_on_bus()] {
                let mut times: BTreeMap<Eid, usize> = BTreeMap::new();
                for notice in sent {
                    *times.entry(notice.notice_id).or_default() += 1;
                }
                prop_assert_eq!(times.len(), events.len(), "each alert");
                prop_assert!(times.values().all(|times| *times <= 1 + faults), "{times:?} with {faults} faults");
            }
            Ok(())
        })?;
    }
}
