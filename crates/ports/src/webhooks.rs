//! Webhooks: storage of endpoints and deliveries, the queues between the steps, and the HTTP requests.

use std::future::Future;

use roadcast_domain::audit::Change;
use roadcast_domain::dead_letter::RedriveId;
use roadcast_domain::fleet::Fleet;
use roadcast_domain::ids::{DeliveryId, EndpointId, FleetId, VehicleId};
use roadcast_domain::webhook::{
    Attempt, AttemptOutcome, Delivery, DeliveryKey, Endpoint, EndpointHealth, EndpointRedrive, EndpointUrl,
};
use roadcast_signals::Timestamp;
use serde::{Deserialize, Serialize};

use crate::PortError;

/// Storage of the endpoints of fleets.
///
/// The fleet states what its endpoints want ([`Fleet::webhooks`]). It is stored in the same transaction as an endpoint, under
/// the condition of its version, so that concurrent changes of two endpoints cannot lose what one of them wants.
pub trait Endpoints: Send + Sync {
    /// Stores a new endpoint, its change, and `fleet` with the next version. Fails with `Conflict` if the endpoint's id is
    /// stored, if the stored version of the fleet is not that of `fleet`, or if the fleet does not exist or is not active.
    fn create(
        &self,
        endpoint: &Endpoint,
        fleet: &Fleet,
        change: &Change,
    ) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Returns an endpoint of a fleet.
    fn get(
        &self,
        fleet_id: &FleetId,
        endpoint_id: &EndpointId,
    ) -> impl Future<Output = Result<Option<Endpoint>, PortError>> + Send;

    /// Returns all endpoints of a fleet, at most [`Endpoint::MAX_PER_FLEET`], by id.
    fn list(&self, fleet_id: &FleetId) -> impl Future<Output = Result<Vec<Endpoint>, PortError>> + Send;

    /// Replaces an endpoint with the next version, and stores the change. `fleet` is stored like by [`create`](Self::create),
    /// whatever its state; it is `None` if the event types of the endpoint do not change. Fails with `Conflict` unless the stored
    /// versions are those of `endpoint` and `fleet`.
    fn replace(
        &self,
        endpoint: &Endpoint,
        fleet: Option<&Fleet>,
        change: &Change,
    ) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Deletes an endpoint, and stores the change and `fleet`, whatever its state. Fails with `Conflict` unless the stored versions
    /// are those of `endpoint` and `fleet`.
    fn remove(
        &self,
        endpoint: &Endpoint,
        fleet: &Fleet,
        change: &Change,
    ) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// Storage of deliveries. They expire some time after they were created.
pub trait Deliveries: Send + Sync {
    /// Stores a new delivery, unless a delivery with its key is stored.
    fn put(&self, delivery: &Delivery) -> impl Future<Output = Result<DeliveryPut, PortError>> + Send;

    /// Returns a delivery.
    fn get(&self, key: &DeliveryKey) -> impl Future<Output = Result<Option<Delivery>, PortError>> + Send;

    /// Replaces a delivery; the stored revision is increased by one. Fails with `Conflict` unless the stored revision is that
    /// of `delivery`.
    fn replace(&self, delivery: &Delivery) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Returns a page of deliveries to an endpoint, newest event first, of at most `limit` (1 to 100) deliveries with an id less
    /// than `before`. The list ends with an empty page.
    fn list(
        &self,
        endpoint_id: &EndpointId,
        before: Option<DeliveryId>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Delivery>, PortError>> + Send;
}

/// The result of [`Deliveries::put`].
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum DeliveryPut {
    /// The delivery was stored.
    Stored,
    /// A delivery with this key was stored before, and is unchanged.
    Exists,
}

/// Storage of attempts. They expire.
pub trait Attempts: Send + Sync {
    /// Stores attempts. Storing an attempt again replaces it.
    fn record(&self, attempts: &[Attempt]) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Returns a page of attempts to an endpoint, newest first, before the position `before`. A page may be short, or empty,
    /// although more attempts follow.
    fn list(
        &self,
        endpoint_id: &EndpointId,
        before: Option<&AttemptPosition>,
        limit: usize,
    ) -> impl Future<Output = Result<AttemptPage, PortError>> + Send;
}

/// The position of an attempt in the list of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AttemptPosition {
    /// When it was started.
    pub at: Timestamp,
    /// The delivery.
    pub delivery_id: DeliveryId,
    /// The number of the attempt.
    pub number: u32,
}

/// A page of attempts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttemptPage {
    /// The attempts, newest first.
    pub attempts: Vec<Attempt>,
    /// The position of the next page; `None` on the last one.
    pub next: Option<AttemptPosition>,
}

/// Storage of the health of endpoints.
pub trait EndpointHealths: Send + Sync {
    /// Returns the health of an endpoint; [`EndpointHealth::healthy`] if nothing is stored.
    fn get(&self, endpoint_id: &EndpointId) -> impl Future<Output = Result<EndpointHealth, PortError>> + Send;

    /// Stores the health; the stored revision is increased by one. Fails with `Conflict` unless the stored revision is that of
    /// `health`.
    fn replace(&self, health: &EndpointHealth) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Takes one of `slots` slots of an endpoint until `until`, and returns its number; `None` if all are taken. A slot is free
    /// again after `until`, whether it was returned or not.
    fn take_slot(
        &self,
        endpoint_id: &EndpointId,
        slots: u32,
        now: Timestamp,
        until: Timestamp,
    ) -> impl Future<Output = Result<Option<u32>, PortError>> + Send;

    /// Adds an attempt to the count of an endpoint in the second that begins at `second`, and returns the count. Counts expire.
    fn count_attempt(
        &self,
        endpoint_id: &EndpointId,
        second: Timestamp,
    ) -> impl Future<Output = Result<u32, PortError>> + Send;

    /// Returns a slot before its time ends.
    fn return_slot(&self, endpoint_id: &EndpointId, slot: u32) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// Deliveries of one endpoint that wait in the store, or those of one vehicle if the endpoint requires order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WaitingLine {
    /// The fleet, which is needed to find the endpoint.
    pub fleet_id: FleetId,
    /// The endpoint.
    pub endpoint_id: EndpointId,
    /// The vehicle; absent if the endpoint does not require order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vid: Option<VehicleId>,
}

/// A delivery that waits in its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingDelivery {
    /// The delivery.
    pub delivery_id: DeliveryId,
    /// When it is due.
    pub due_at: Timestamp,
    /// When its time ends: from then on it fails, although its endpoint gets no attempts.
    pub expires_at: Timestamp,
}

/// The first deliveries of a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LineContent {
    /// The revision of the line, read before its deliveries; 0 if the line does not exist.
    pub revision: u64,
    /// The deliveries.
    pub waiting: Vec<WaitingDelivery>,
}

/// A line that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueLine {
    /// The line.
    pub line: WaitingLine,
    /// Its revision.
    pub revision: u64,
}

/// Storage of the deliveries that wait longer than a queue can delay a message, or behind another one.
///
/// A line has a revision, which each addition increments. A reader of the line changes when it is due under the condition of
/// that revision, so that a delivery which was added since is not left in a line that is not read again. No clocks are compared.
pub trait WaitingDeliveries: Send + Sync {
    /// Adds a delivery to its line, or changes when it is due, and then increments the revision of the line. The line is then
    /// found by [`lines`](Self::lines) from the earliest of these times on, or earlier.
    fn add(&self, line: &WaitingLine, waiting: &WaitingDelivery) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Returns the first deliveries of a line, at most `limit`: of an ordered line by id, of another one by when they are due.
    fn first(&self, line: &WaitingLine, limit: usize) -> impl Future<Output = Result<LineContent, PortError>> + Send;

    /// Removes deliveries from their line. Those that do not wait, or were added again with another time, have no effect.
    fn remove(&self, line: &WaitingLine, waiting: &[WaitingDelivery]) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Returns lines that are due at `now`, after the line `after`, at most `limit`. The list ends with an empty page.
    fn lines(
        &self,
        now: Timestamp,
        after: Option<&WaitingLine>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<DueLine>, PortError>> + Send;

    /// States when a line is due next; `None` removes it. Has no effect if the revision of the line is not `revision`. The
    /// revision stays.
    fn reschedule(
        &self,
        line: &WaitingLine,
        due_at: Option<Timestamp>,
        revision: u64,
    ) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// Storage of the records of redrives of endpoints. They expire.
pub trait EndpointRedrives: Send + Sync {
    /// Stores the record of a new redrive. Fails with `Conflict` if the endpoint has a record with its id.
    fn create(&self, redrive: &EndpointRedrive) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Returns the record of a redrive.
    fn get(
        &self,
        endpoint_id: &EndpointId,
        redrive_id: &RedriveId,
    ) -> impl Future<Output = Result<Option<EndpointRedrive>, PortError>> + Send;

    /// Replaces a record; the stored revision is increased by one. Fails with `Conflict` unless the stored revision is that
    /// of `redrive`.
    fn replace(&self, redrive: &EndpointRedrive) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// A message to the dispatcher.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum DeliveryTask {
    /// Attempt a delivery.
    Attempt {
        /// The fleet, which is needed to find the endpoint.
        fleet_id: FleetId,
        /// The delivery.
        #[serde(flatten)]
        key: DeliveryKey,
        /// The vehicle; absent if the endpoint does not require order.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        vid: Option<VehicleId>,
    },
    /// Attempt, or release, what is due in a line.
    Line {
        /// The line.
        line: WaitingLine,
    },
}

/// The queues of the dispatcher: one for deliveries in any order, one for those in the order of their vehicle.
pub trait DeliveryQueue: Send + Sync {
    /// Maximum delay of a message, in seconds.
    const MAX_DELAY_S: u32 = 900;

    /// Sends tasks to the unordered queue, each after its delay in seconds, and returns the result of each. Noisy endpoints do
    /// not delay others: the messages of an endpoint are one group.
    fn send(&self, tasks: &[(DeliveryTask, u32)]) -> impl Future<Output = Vec<Result<(), PortError>>> + Send;

    /// Sends tasks to the ordered queue, and returns the result of each. Tasks of one endpoint and vehicle are received one at a
    /// time and in order.
    fn send_ordered(&self, tasks: &[DeliveryTask]) -> impl Future<Output = Vec<Result<(), PortError>>> + Send;
}

/// Sends what failed for good to the collector of dead letters.
pub trait FailedDeliveries: Send + Sync {
    /// Sends the record of a failed delivery, a JSON text. Sending it again has no further effect.
    fn send(&self, record: &str) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// Seals texts under the key of the stack.
pub trait Sealer: Send + Sync {
    /// Seals a text of at most 4,096 bytes for an endpoint, and returns it in base64. It can be opened for the same endpoint only.
    fn seal(&self, endpoint_id: &EndpointId, text: &str) -> impl Future<Output = Result<String, PortError>> + Send;

    /// Opens a sealed text. Fails with `Rejected` if it was not sealed by this stack for this endpoint.
    fn open(&self, endpoint_id: &EndpointId, sealed: &str) -> impl Future<Output = Result<String, PortError>> + Send;
}

/// Sends the HTTP requests of attempts.
pub trait WebhookSender: Send + Sync {
    /// Posts a request and returns what happened, within [`WebhookRequest::TIMEOUT_MS`]. Every failure is an outcome.
    fn post(&self, request: &WebhookRequest) -> impl Future<Output = WebhookResponse> + Send;
}

/// The request of an attempt.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookRequest {
    /// Where it is sent.
    pub url: EndpointUrl,
    /// Whether an admin allowed another port than 443.
    pub any_port: bool,
    /// The headers, signatures included.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl WebhookRequest {
    /// The time of an attempt, in milliseconds: from the resolution of the name to the end of the response.
    pub const TIMEOUT_MS: u64 = 15_000;
    /// Maximum bytes of a response that are read.
    pub const MAX_RESPONSE_BYTES: usize = 16 * 1024;
    /// Maximum characters of an excerpt.
    pub const MAX_EXCERPT: usize = 256;
}

impl std::fmt::Debug for WebhookRequest {
    /// Omits headers and body, because they contain credentials and personal data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebhookRequest").field("url", &self.url).finish_non_exhaustive()
    }
}

/// The response to an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookResponse {
    /// The outcome.
    pub outcome: AttemptOutcome,
    /// The HTTP status, if a response was received.
    pub status: Option<u16>,
    /// The delay that the response requests (`Retry-After`), in seconds.
    pub retry_after_s: Option<u32>,
    /// The time that the request took, in milliseconds.
    pub latency_ms: u32,
    /// The start of the response body, or what is wrong with TLS; control characters are replaced.
    pub excerpt: Option<String>,
}
