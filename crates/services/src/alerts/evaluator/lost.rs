//! Rules that were evaluated on what their owner no longer sees.
//!
//! A grant may have expired since a checkpoint was stored. The state of a rule then depends on data that its owner does not see any
//! more, and an alert could carry its values. Such rules start again, on what the owner sees now.

use std::collections::BTreeMap;

use roadcast_alerts::transition::Transition;
use roadcast_alerts::{BackTest, Checkpoint, VehicleRules};
use roadcast_domain::alert::{Alert, TransitionKind};
use roadcast_domain::event::{Event, EventType};
use roadcast_domain::{Timestamp, limits};
use roadcast_ports::PortError;
use roadcast_ports::alert_state::EvaluationKey;
use roadcast_ports::clock::Clock as _;
use roadcast_ports::port_set::PortSet;

use super::owners::View;
use super::restore::{LOOK_BACK_MS, LogPages, Messages, Restorer, SAMPLE_SPAN_MS, select};

impl<Ports: PortSet> Restorer<Ports> {
    /// If the owner no longer sees all that it saw when a checkpoint was stored, replaces the state of the rules that read what was
    /// lost: by that of the last day up to the time of the checkpoint, of the log and of `known` events, as far as the owner sees
    /// it. Returns the alerts that are raised in that state and were not published; `None` if nothing was lost.
    pub(super) async fn start_again(
        &self,
        key: &EvaluationKey,
        checkpoint: &mut Checkpoint,
        rules: &VehicleRules,
        view: &View,
        known: &[Event],
    ) -> Result<Option<Vec<Alert>>, PortError> {
        let (Some(now), Some(before)) = (view.visibility(), checkpoint.visibility().cloned()) else { return Ok(None) };
        let lost = now.lost_since(&before, view.packages());
        if lost.is_empty() {
            return Ok(None);
        }
        let diagnostics_are_lost = lost.contains_event_type(&EventType::Diagnostic);
        let affected = rules.that_read(|signal| lost.contains_signal(signal.path), diagnostics_are_lost);
        let test = BackTest::new(&affected);
        let mut messages = Messages { owner: &key.owner, alerts: Vec::new() };
        let (transitions, state) = match checkpoint.time().filter(|_| !affected.is_empty()) {
            Some(time) => self.evaluate_log(test, key, (&affected, view), known, time, &mut messages).await?,
            None => (Vec::new(), test.state()),
        };
        checkpoint.start_again(&affected, state, |path| lost.contains_signal(path), diagnostics_are_lost);
        let newest: BTreeMap<_, Transition> =
            transitions.into_iter().map(|made| ((made.rule_id.clone(), made.version), made)).collect();
        let raised = newest.into_values().filter(|made| made.kind == TransitionKind::Raised);
        let alerts = raised.filter_map(|made| affected.alert(&key.vid, made));
        Ok(Some(alerts.filter_map(|alert| unpublished(alert, &messages.alerts)).collect()))
    }

    /// Evaluates the log of the last day up to a time.
    async fn evaluate_log(
        &self,
        mut test: BackTest<'_>,
        key: &EvaluationKey,
        (rules, view): (&VehicleRules, &View),
        known: &[Event],
        time: Timestamp,
        messages: &mut Messages<'_>,
    ) -> Result<(Vec<Transition>, roadcast_alerts::BackTestState), PortError> {
        test.push(known.iter().filter_map(|event| view.select(rules, event)));
        let end = time.plus_ms(SAMPLE_SPAN_MS);
        let mut pages = LogPages::from(key, self.clock.now().plus_ms(-LOOK_BACK_MS - SAMPLE_SPAN_MS));
        let mut transitions = Vec::new();
        while pages.start() <= end {
            let Some(page) = pages.next(&self.log).await? else { break };
            messages.collect(&page);
            test.push(select(&page, view, rules));
            let complete = pages.start().plus_ms(-limits::CLOCK_AHEAD_MS).min(time);
            transitions.extend(test.complete_before(complete));
        }
        let (rest, state) = test.state_at(time);
        transitions.extend(rest);
        Ok((transitions, state))
    }
}

/// Returns an alert as it is published next; `None` if the last message about it states it.
fn unpublished(mut alert: Alert, messages: &[Alert]) -> Option<Alert> {
    let is_about = |message: &&Alert| {
        (message.alert_id, message.transition_kind(), message.at) == (alert.alert_id, alert.transition_kind(), alert.at)
    };
    let revision = messages.iter().filter(is_about).map(|message| message.revision).max().unwrap_or_default();
    alert.revision = revision.saturating_add(1);
    alert.late = true;
    (!alert.revision.is_multiple_of(2)).then_some(alert)
}
