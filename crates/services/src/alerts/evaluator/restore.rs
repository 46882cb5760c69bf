//! Restores evaluations from their checkpoints and the event log.

use std::sync::{Arc, Mutex, PoisonError};

use roadcast_alerts::{Buffers, Checkpoint, Tracker, Update, VehicleRules, limits};
use roadcast_codec::alert_checkpoint;
use roadcast_domain::Timestamp;
use roadcast_domain::alert::{Alert, RuleOwner};
use roadcast_domain::event::{Body, Event};
use roadcast_domain::ids::Eid;
use roadcast_ports::alert_state::{AlertCheckpoint, AlertCheckpoints as _, EvaluationKey};
use roadcast_ports::clock::Clock as _;
use roadcast_ports::event_log::{EventLog, EventPage, EventRange};
use roadcast_ports::port_set::PortSet;
use roadcast_ports::{PortError, PortErrorKind};

use super::evaluations::Evaluation;
use super::owners::{VehicleOwner, View};

/// How much of the log an evaluation without a checkpoint starts with.
pub(super) const LOOK_BACK_MS: i64 = 24 * 60 * 60 * 1000;
/// How far the samples of an event may be from its time.
pub(super) const SAMPLE_SPAN_MS: i64 = 10 * 60 * 1000;
/// Events and bytes of a page of the log. Several evaluations are restored at a time.
const PAGE_EVENTS: usize = 1000;
const PAGE_BYTES: usize = 2 * 1024 * 1024;
/// Bytes of the events with which a tracker is restored at once.
const RESTORED_BYTES: usize = 16 * 1024 * 1024;
/// A checkpoint that is older when it is used is stored again, so that the next time less of the log is read.
const OUTDATED_MS: i64 = 6 * 60 * 60 * 1000;
/// For how long a checkpoint is kept: an alert may be raised for that long, and a cooldown may last for seven days.
const RAISED_DAYS: i64 = 400;
const CLEARED_DAYS: i64 = 8;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Restores and stores evaluations.
pub(super) struct Restorer<Ports: PortSet> {
    pub(super) checkpoints: Ports::AlertCheckpoints,
    pub(super) log: Ports::EventLog,
    pub(super) clock: Ports::Clock,
    /// For all evaluations.
    pub(super) buffers: Mutex<Buffers>,
}

/// A restored evaluation.
pub(super) struct Restored {
    pub(super) tracker: Tracker,
    /// What differs from what had been published.
    pub(super) update: Update,
    /// The revision of the checkpoint; 0 if there is none.
    pub(super) revision: u64,
    /// Whether the checkpoint should be stored again.
    pub(super) is_outdated: bool,
}

impl Restored {
    /// Returns the evaluation, and what differs from what had been published.
    pub(super) fn into_evaluation(self, owner: &VehicleOwner, shard: &Arc<str>, is_watched: bool) -> (Evaluation, Update) {
        let Self { tracker, update, revision, is_outdated } = self;
        let evaluation = Evaluation {
            tracker,
            basis: owner.basis(),
            view: owner.view.clone(),
            revision,
            unpublished: Vec::new(),
            is_unsaved: is_outdated,
            is_doubtful: false,
            shard: Arc::clone(shard),
            is_watched,
        };
        (evaluation, update)
    }
}

impl<Ports: PortSet> Restorer<Ports> {
    /// Restores an evaluation from its checkpoint, the log and `known` events, which the log may not have yet. They are what the
    /// rules read out of what the owner may see, in the order of their arrival. `time` is what has passed, if that may have an effect.
    /// Nothing is published that was published before.
    ///
    /// What the checkpoint states as published is compared with all events of its time at once: those of the log and the known ones.
    /// Later events are evaluated page by page, so that the memory does not depend on the length of the log.
    pub(super) async fn restore(
        &self,
        key: &EvaluationKey,
        rules: VehicleRules,
        view: &View,
        mut known: Vec<Event>,
        time: Option<Timestamp>,
    ) -> Result<Restored, PortError> {
        let stored = self.checkpoints.get(key).await?;
        let revision = stored.as_ref().map_or(0, |stored| stored.revision);
        let mut checkpoint = stored.as_ref().and_then(|stored| read_checkpoint(key, stored));
        let started_again = match &mut checkpoint {
            Some(checkpoint) => self.start_again(key, checkpoint, &rules, view, &known).await?,
            None => None,
        };
        let now = self.clock.now();
        // The snapshot of a checkpoint without a time is the state before all samples. Those may be older than a day now.
        let stored_at = checkpoint.as_ref().and_then(Checkpoint::end).map_or(now, |end| end.min(now));
        let start = checkpoint.as_ref().and_then(Checkpoint::time).unwrap_or_else(|| stored_at.plus_ms(-LOOK_BACK_MS));
        let mut pages = LogPages::from(key, start.plus_ms(-SAMPLE_SPAN_MS));
        let mut messages = Messages { owner: &key.owner, alerts: Vec::new() };
        let (mut tracker, mut update) = match &checkpoint {
            None => (Tracker::new(key.vid.clone(), rules, limits::ALLOWED_LATENESS_MS), Update::default()),
            Some(checkpoint) => {
                let end = checkpoint.end().unwrap_or(start).plus_ms(SAMPLE_SPAN_MS);
                let mut events = self.log_events_before(&mut pages, end, view, &rules, &mut messages).await?;
                let early = known.extract_if(.., |event| event.eid.time() < end);
                events.extend(early);
                let mut buffers = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
                let vid = key.vid.clone();
                Tracker::restore(vid, rules, limits::ALLOWED_LATENESS_MS, checkpoint, events, &mut buffers)
            }
        };
        while let Some(page) = pages.next(&self.log).await? {
            messages.collect(&page);
            let events: Vec<Event> = select(&page, view, tracker.rules());
            add(&mut update, self.push(&mut tracker, events));
        }
        add(&mut update, self.push(&mut tracker, known));
        // The log has an alert before it is published, and the checkpoint after. So what is in the log only may be published or not:
        // it is published again, and withdrawn if it is not right.
        let is_confirmed = |alert: &Alert| checkpoint.as_ref().is_some_and(|checkpoint| checkpoint.has_published(alert));
        let unconfirmed: Vec<Alert> = messages.alerts.into_iter().filter(|alert| !is_confirmed(alert)).collect();
        let silences = unconfirmed.iter().filter(|alert| alert.cause.is_none()).map(|alert| alert.at);
        if let Some(time) = silences.chain(time).max().filter(|_| tracker.rules().is_timed()) {
            add(&mut update, tracker.advance(time));
        }
        let reconciled = tracker.reconcile(checkpoint.as_ref(), &update.alerts, &unconfirmed);
        add(&mut update, reconciled);
        update.alerts.splice(0..0, unconfirmed);
        let end = checkpoint.as_ref().and_then(Checkpoint::end);
        let is_outdated = started_again.is_some() || end.is_some_and(|end| now.ms_since(end) > OUTDATED_MS);
        update.alerts.splice(0..0, started_again.unwrap_or_default());
        Ok(Restored { tracker, update, revision, is_outdated })
    }

    /// Evaluates events.
    pub(super) fn push(&self, tracker: &mut Tracker, events: impl IntoIterator<Item = Event>) -> Update {
        let mut buffers = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        tracker.push(events, &mut buffers)
    }

    /// Stores the checkpoint of an evaluation as the next revision.
    pub(super) async fn store(&self, key: &EvaluationKey, evaluation: &Evaluation) -> Result<(), PortError> {
        let Evaluation { tracker, revision, view, .. } = evaluation;
        let content = alert_checkpoint::encode(&tracker.checkpoint().with_visibility(view.visibility()));
        let content =
            content.map_err(|error| PortError::new(PortErrorKind::Internal, "encode a checkpoint").caused_by(error))?;
        let days = if tracker.has_alerts() { RAISED_DAYS } else { CLEARED_DAYS };
        let expires_at = self.clock.now().plus_ms(days * DAY_MS);
        self.checkpoints.replace(key, &AlertCheckpoint { revision: *revision + 1, content, expires_at }).await
    }

    /// Returns the events of the log before a time, as far as they fit into memory.
    async fn log_events_before(
        &self,
        pages: &mut LogPages,
        end: Timestamp,
        view: &View,
        rules: &VehicleRules,
        messages: &mut Messages<'_>,
    ) -> Result<Vec<Event>, PortError> {
        let (mut events, mut bytes) = (Vec::new(), 0);
        while pages.start() < end && bytes < RESTORED_BYTES {
            let Some(page) = pages.next(&self.log).await? else { break };
            messages.collect(&page);
            let selected: Vec<Event> = select(&page, view, rules);
            bytes += selected.iter().map(Event::memory_bytes).sum::<usize>();
            events.extend(selected);
        }
        Ok(events)
    }
}

/// The pages of the log from a time on.
pub(super) struct LogPages(Option<EventRange>);

impl LogPages {
    pub(super) fn from(key: &EvaluationKey, start: Timestamp) -> Self {
        // Consistent, because of alerts that were stored just before the instance before ended.
        Self(Some(EventRange {
            vid: key.vid.clone(),
            from: Eid::lower_bound(start),
            to: Eid::MAX,
            limit: PAGE_EVENTS,
            max_bytes: PAGE_BYTES,
            consistent: true,
        }))
    }

    /// The time at which the next page starts.
    pub(super) fn start(&self) -> Timestamp {
        self.0.as_ref().map_or(Eid::MAX.time(), |range| range.from.time())
    }

    pub(super) async fn next(&mut self, log: &impl EventLog) -> Result<Option<EventPage>, PortError> {
        let Some(range) = &mut self.0 else { return Ok(None) };
        let page = log.range(range).await?;
        match page.next {
            Some(next) => range.from = next,
            None => self.0 = None,
        }
        Ok(Some(page))
    }
}

/// The messages about alerts of an owner in the log.
pub(super) struct Messages<'k> {
    pub(super) owner: &'k RuleOwner,
    pub(super) alerts: Vec<Alert>,
}

impl Messages<'_> {
    pub(super) fn collect(&mut self, page: &EventPage) {
        for stored in &page.events {
            if let Body::Alert(alert) = &stored.event.body
                && alert.rule.fleet_id.as_ref() == self.owner.fleet_id()
            {
                self.alerts.push((**alert).clone());
            }
        }
    }
}

pub(super) fn select(page: &EventPage, view: &View, rules: &VehicleRules) -> Vec<Event> {
    page.events.iter().filter_map(|stored| view.select(rules, &stored.event)).collect()
}

fn add(update: &mut Update, more: Update) {
    let Update { alerts, too_late, duplicates, evaluated_again } = more;
    update.alerts.extend(alerts);
    update.too_late += too_late;
    update.duplicates += duplicates;
    update.evaluated_again += evaluated_again;
}

/// Reads a checkpoint. One that a version of Roadcast cannot read is replaced by what the log gives.
fn read_checkpoint(key: &EvaluationKey, stored: &AlertCheckpoint) -> Option<Checkpoint> {
    match alert_checkpoint::decode(&stored.content) {
        Ok(checkpoint) => Some(checkpoint),
        Err(error) => {
            let (vid, error) = (key.vid.as_str(), error.to_string());
            tracing::error!(vid, error, "the checkpoint of alerts of {vid} cannot be read: {error}");
            None
        }
    }
}
