//! Webhooks: endpoints, deliveries, attempts and what belongs to them.

mod endpoints;
mod health;
mod waiting;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roadcast_domain::dead_letter::RedriveId;
use roadcast_domain::ids::{DeliveryId, EndpointId, FleetId, VehicleId};
use roadcast_domain::webhook::{Attempt, Delivery, DeliveryKey, Endpoint, EndpointHealth, EndpointRedrive};
use roadcast_ports::webhooks::{
    AttemptPage, AttemptPosition, Attempts, Deliveries, DeliveryPut, DeliveryQueue, DeliveryTask, EndpointRedrives,
    FailedDeliveries, Sealer, WaitingLine,
};
use roadcast_ports::{PortError, PortErrorKind};
use roadcast_signals::Timestamp;

use super::Memory;
use waiting::Line;

/// What the ports of webhooks store.
#[derive(Debug, Default)]
pub(super) struct WebhookStore {
    endpoints: BTreeMap<(FleetId, EndpointId), Endpoint>,
    deliveries: BTreeMap<DeliveryKey, Delivery>,
    /// How often each delivery reached a terminal state.
    ends: BTreeMap<DeliveryKey, usize>,
    attempts: BTreeMap<EndpointId, BTreeMap<AttemptPosition, Attempt>>,
    health: BTreeMap<EndpointId, EndpointHealth>,
    /// By endpoint and number: until when the slot is taken.
    slots: BTreeMap<(EndpointId, u32), Timestamp>,
    attempt_counts: BTreeMap<(EndpointId, Timestamp), u32>,
    lines: BTreeMap<WaitingLine, Line>,
    redrives: BTreeMap<(EndpointId, RedriveId), EndpointRedrive>,
    failed: Vec<String>,
}

impl Memory {
    /// Returns every webhook delivery, by endpoint and id.
    pub fn webhook_deliveries(&self) -> Vec<Delivery> {
        self.state().webhooks.deliveries.values().cloned().collect()
    }

    /// Returns how often each delivery reached a terminal state: once, unless a redrive made it pending again.
    pub fn webhook_ends(&self) -> BTreeMap<DeliveryKey, usize> {
        self.state().webhooks.ends.clone()
    }

    /// Returns the attempts to an endpoint, oldest first.
    pub fn webhook_attempts(&self, endpoint_id: &EndpointId) -> Vec<Attempt> {
        let state = self.state();
        state.webhooks.attempts.get(endpoint_id).into_iter().flat_map(BTreeMap::values).cloned().collect()
    }

    /// Returns the number of deliveries that wait in lines.
    pub fn waiting_deliveries(&self) -> usize {
        self.state().webhooks.lines.values().map(Line::len).sum()
    }

    /// Returns the earliest time at which a line is due; `None` if none is scheduled.
    pub fn next_line_due(&self) -> Option<Timestamp> {
        self.state().webhooks.lines.values().filter_map(Line::due_at).min()
    }

    /// Returns the records that were sent to the queue of dead letters, in order, including repeated ones.
    pub fn failed_deliveries(&self) -> Vec<String> {
        self.state().webhooks.failed.clone()
    }

    /// Returns whether a slot of an endpoint is taken at `now`.
    pub fn has_taken_slots(&self, endpoint_id: &EndpointId, now: Timestamp) -> bool {
        self.state().webhooks.slots.iter().any(|((of_slot, _), until)| of_slot == endpoint_id && *until > now)
    }
}

impl WebhookStore {
    /// Removes the deliveries of these vehicles, their attempts and what waits for them, and returns their number.
    pub(super) fn remove_of(&mut self, is_erased: impl Fn(&VehicleId) -> bool) -> usize {
        let count = |store: &Self| {
            store.deliveries.len() + store.attempts.values().map(BTreeMap::len).sum::<usize>() + store.lines.len()
        };
        let before = count(self);
        self.deliveries.retain(|_, delivery| !delivery.payload.vid().is_some_and(&is_erased));
        for attempts in self.attempts.values_mut() {
            attempts.retain(|_, attempt| !attempt.vid.as_ref().is_some_and(&is_erased));
        }
        self.lines.retain(|line, _| !line.vid.as_ref().is_some_and(&is_erased));
        before - count(self)
    }
}

fn conflict(context: &'static str) -> PortError {
    PortError::new(PortErrorKind::Conflict, context)
}

impl Deliveries for Memory {
    async fn put(&self, delivery: &Delivery) -> Result<DeliveryPut, PortError> {
        let mut state = self.state();
        if state.webhooks.deliveries.contains_key(&delivery.key) {
            return Ok(DeliveryPut::Exists);
        }
        if delivery.state.is_terminal() {
            *state.webhooks.ends.entry(delivery.key.clone()).or_default() += 1;
        }
        state.webhooks.deliveries.insert(delivery.key.clone(), delivery.clone());
        Ok(DeliveryPut::Stored)
    }

    async fn get(&self, key: &DeliveryKey) -> Result<Option<Delivery>, PortError> {
        Ok(self.state().webhooks.deliveries.get(key).cloned())
    }

    async fn replace(&self, delivery: &Delivery) -> Result<(), PortError> {
        let mut state = self.state();
        let webhooks = &mut state.webhooks;
        match webhooks.deliveries.get_mut(&delivery.key) {
            Some(stored) if stored.revision == delivery.revision => {
                *stored = Delivery { revision: delivery.revision + 1, ..delivery.clone() };
                if delivery.state.is_terminal() {
                    *webhooks.ends.entry(delivery.key.clone()).or_default() += 1;
                }
                Ok(())
            }
            _ => Err(conflict("replacing a delivery")),
        }
    }

    async fn list(
        &self,
        endpoint_id: &EndpointId,
        before: Option<DeliveryId>,
        limit: usize,
    ) -> Result<Vec<Delivery>, PortError> {
        let state = self.state();
        let of_endpoint =
            state.webhooks.deliveries.values().rev().filter(|delivery| delivery.key.endpoint_id == *endpoint_id);
        let selected = of_endpoint.filter(|delivery| before.is_none_or(|before| delivery.key.delivery_id < before));
        Ok(selected.take(limit).cloned().collect())
    }
}

impl Attempts for Memory {
    async fn record(&self, attempts: &[Attempt]) -> Result<(), PortError> {
        let mut state = self.state();
        for attempt in attempts {
            let position = AttemptPosition { at: attempt.at, delivery_id: attempt.key.delivery_id, number: attempt.number };
            let of_endpoint = state.webhooks.attempts.entry(attempt.key.endpoint_id.clone()).or_default();
            of_endpoint.insert(position, attempt.clone());
        }
        Ok(())
    }

    async fn list(
        &self,
        endpoint_id: &EndpointId,
        before: Option<&AttemptPosition>,
        limit: usize,
    ) -> Result<AttemptPage, PortError> {
        let state = self.state();
        let mut page = AttemptPage::default();
        let Some(of_endpoint) = state.webhooks.attempts.get(endpoint_id) else { return Ok(page) };
        for (position, attempt) in of_endpoint.iter().rev().filter(|(at, _)| before.is_none_or(|before| *at < before)) {
            if page.attempts.len() == limit {
                return Ok(page);
            }
            page.attempts.push(attempt.clone());
            page.next = Some(position.clone());
        }
        page.next = None;
        Ok(page)
    }
}

impl EndpointRedrives for Memory {
    async fn create(&self, redrive: &EndpointRedrive) -> Result<(), PortError> {
        let key = (redrive.endpoint_id.clone(), redrive.redrive_id.clone());
        super::state::insert_new(&mut self.state().webhooks.redrives, key, redrive, "creating a redrive of an endpoint")
    }

    async fn get(&self, endpoint_id: &EndpointId, redrive_id: &RedriveId) -> Result<Option<EndpointRedrive>, PortError> {
        Ok(self.state().webhooks.redrives.get(&(endpoint_id.clone(), redrive_id.clone())).cloned())
    }

    async fn replace(&self, redrive: &EndpointRedrive) -> Result<(), PortError> {
        let key = (redrive.endpoint_id.clone(), redrive.redrive_id.clone());
        match self.state().webhooks.redrives.get_mut(&key) {
            Some(stored) if stored.revision == redrive.revision => {
                *stored = EndpointRedrive { revision: redrive.revision + 1, ..redrive.clone() };
                Ok(())
            }
            _ => Err(conflict("replacing a redrive of an endpoint")),
        }
    }
}

impl DeliveryQueue for Memory {
    async fn send(&self, tasks: &[(DeliveryTask, u32)]) -> Vec<Result<(), PortError>> {
        let send = |(task, delay_s): &(DeliveryTask, u32)| {
            if *delay_s > Self::MAX_DELAY_S {
                return Err(PortError::new(PortErrorKind::Rejected, "sending a delivery task"));
            }
            self.delivery_queue().send_after(body(task)?, i64::from(*delay_s) * 1000);
            Ok(())
        };
        tasks.iter().map(send).collect()
    }

    async fn send_ordered(&self, tasks: &[DeliveryTask]) -> Vec<Result<(), PortError>> {
        let send = |task: &DeliveryTask| {
            let (endpoint_id, vid) = match task {
                DeliveryTask::Attempt { key, vid, .. } => (&key.endpoint_id, vid),
                DeliveryTask::Line { line } => (&line.endpoint_id, &line.vid),
            };
            let vid = vid.as_ref().map_or("", |vid| vid.as_str());
            self.ordered_queue().send(format!("{}#{vid}", endpoint_id.as_str()), body(task)?);
            Ok(())
        };
        tasks.iter().map(send).collect()
    }
}

fn body(task: &DeliveryTask) -> Result<String, PortError> {
    serde_json::to_string(task).map_err(|error| PortError::new(PortErrorKind::Internal, "encoding a task").caused_by(error))
}

impl FailedDeliveries for Memory {
    async fn send(&self, record: &str) -> Result<(), PortError> {
        self.state().webhooks.failed.push(record.to_owned());
        Ok(())
    }
}

impl Sealer for Memory {
    async fn seal(&self, endpoint_id: &EndpointId, text: &str) -> Result<String, PortError> {
        Ok(STANDARD.encode(format!("{}|{text}", endpoint_id.as_str())))
    }

    async fn open(&self, endpoint_id: &EndpointId, sealed: &str) -> Result<String, PortError> {
        let rejected = || PortError::new(PortErrorKind::Rejected, "opening a sealed text");
        let text = STANDARD.decode(sealed).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(rejected)?;
        let (of_endpoint, text) = text.split_once('|').ok_or_else(rejected)?;
        if of_endpoint == endpoint_id.as_str() { Ok(text.to_owned()) } else { Err(rejected()) }
    }
}
