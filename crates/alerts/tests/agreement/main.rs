//! The evaluation on the stream, the evaluation of a history and a plain reference evaluation agree, for random rules and histories,
//! in any order and division of the events.

// A test stops at the first surprise.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod delivery;
mod history;
mod reference;
mod rules;

use std::collections::{BTreeMap, BTreeSet};

use delivery::{Delivery, Step, any_delivery};
use history::{History, any_history};
use proptest::prelude::*;
use roadcast_alerts::transition::Transition;
use roadcast_alerts::{BackTest, Buffers, RuleSet, Tracker, VehicleRules};
use roadcast_domain::alert::{Alert, TransitionKind};
use roadcast_domain::event::Event;
use roadcast_domain::ids::AlertId;
use roadcast_signals::Timestamp;
use rules::any_versions;

/// How much later than a newer sample a sample may arrive.
const LATENESS_MS: i64 = 15 * 60 * 1000;

/// The identity of a transition.
type Key = (Timestamp, AlertId, TransitionKind);

fn keys<'t>(transitions: impl IntoIterator<Item = &'t Transition>) -> BTreeSet<Key> {
    let key = |transition: &Transition| (transition.at, transition.alert_id(&history::vid()), transition.kind);
    transitions.into_iter().map(key).collect()
}

/// What a consumer has after the messages: those that are not withdrawn.
#[derive(Default)]
struct Consumer {
    revisions: BTreeMap<Key, u32>,
    eids: BTreeSet<roadcast_domain::ids::Eid>,
}

impl Consumer {
    fn receive(&mut self, alerts: &[Alert]) {
        for alert in alerts {
            let key = (alert.at, alert.alert_id, alert.transition_kind());
            let revision = self.revisions.entry(key).or_default();
            assert_eq!(alert.revision, *revision + 1, "no message is missing or repeated");
            *revision = alert.revision;
            assert!(self.eids.insert(alert.eid(&history::vid())), "each message has its own id");
        }
    }

    fn present(&self) -> BTreeSet<Key> {
        self.revisions.iter().filter(|(_, revision)| *revision % 2 == 1).map(|(key, _)| *key).collect()
    }
}

fn selected(rules: &VehicleRules, event: &Event) -> Option<Event> {
    rules.select(event, |_| true, true)
}

/// Delivers events to a tracker and returns what its consumer has.
fn track(rules: &VehicleRules, history: &History, delivery: &Delivery) -> BTreeSet<Key> {
    let (mut consumer, mut buffers) = (Consumer::default(), Buffers::default());
    let mut tracker = Tracker::new(history::vid(), rules.clone(), LATENESS_MS);
    let mut log: Vec<&Event> = Vec::new();
    for step in &delivery.steps {
        let update = match step {
            Step::Push(batch) => {
                let events: Vec<&Event> = batch.iter().map(|index| &history.events[*index]).collect();
                log.extend(&events);
                tracker.push(events.into_iter().filter_map(|event| selected(rules, event)), &mut buffers)
            }
            Step::Advance(seconds) => {
                let (now, deadline) = (history::start().plus_ms(seconds * 1000), tracker.next_deadline());
                let update = tracker.advance(now);
                assert!(update.alerts.is_empty() || deadline.is_some_and(|deadline| deadline <= now));
                update
            }
            Step::Restart => {
                let checkpoint = serde_json::to_string(&tracker.checkpoint()).unwrap();
                let checkpoint = serde_json::from_str(&checkpoint).unwrap();
                let events = log.iter().filter_map(|event| selected(rules, event));
                let (restored, update) =
                    Tracker::restore(history::vid(), rules.clone(), LATENESS_MS, &checkpoint, events, &mut buffers);
                assert_eq!(update.alerts, [], "a restart changes nothing");
                tracker = restored;
                update
            }
        };
        consumer.receive(&update.alerts);
    }
    consumer.receive(&tracker.advance(history.until).alerts);
    consumer.present()
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 4000, ..ProptestConfig::default() })]

    #[test]
    fn tracker_publishes_what_the_reference_computes_in_any_order(
        versions in any_versions(), history in any_history(), deliveries in prop::collection::vec(any_delivery(), 2),
    ) {
        let rules = RuleSet::new(versions).for_vehicle(&history::vid(), &BTreeMap::new());
        let expected = keys(&reference::evaluate(&rules, &history));
        for delivery in &deliveries {
            let delivery = delivery.of(&history);
            prop_assert_eq!(&track(&rules, &history, &delivery), &expected, "{:?}", delivery);
        }
    }

    #[test]
    fn back_test_computes_what_the_reference_does_with_its_values(
        versions in any_versions(), history in any_history(), divisions in prop::collection::vec(0_i64..history::SPAN_S, 0..4),
    ) {
        let rules = RuleSet::new(versions).for_vehicle(&history::vid(), &BTreeMap::new());
        let mut back_test = BackTest::new(&rules);
        let mut transitions = Vec::new();
        let mut divisions = divisions;
        divisions.sort_unstable();
        let mut events: Vec<&Event> = history.events.iter().collect();
        events.sort_by_key(|event| event.eid);
        for division in divisions {
            let time = history::start().plus_ms(division * 1000);
            let is_before = |event: &&Event| history::first_time(event) < time;
            back_test.push(events.iter().copied().filter(is_before).filter_map(|event| selected(&rules, event)));
            transitions.extend(back_test.complete_before(time));
        }
        back_test.push(events.iter().filter_map(|event| selected(&rules, event)));
        transitions.extend(back_test.finish(history.until));
        transitions.sort_by_key(Transition::key);
        prop_assert_eq!(transitions, reference::evaluate(&rules, &history));
    }
}
