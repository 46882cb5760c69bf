//! Events over HTTP: sending them, and reading a vehicle's.

mod batch;
mod receipt;
mod refusal;

use http::StatusCode;
use roadcast_domain::Timestamp;
use roadcast_domain::caller::{Caller, Scope};
use roadcast_domain::cloudevent::{BATCH_MEDIA_TYPE, MEDIA_TYPE};
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_lambda_kit::http::{Access, Api, Page, Request, Response, Route};
use roadcast_lambda_kit::problem::{Problem, ProblemType};
use roadcast_ports::clients::Clients;
use roadcast_ports::clock::Clock;
use roadcast_ports::entitlements::Entitlements;
use roadcast_ports::event_log::EventLog;
use roadcast_ports::state::StateStore;
use roadcast_ports::stream::TelemetryStream;
use roadcast_ports::vehicles::Vehicles;
use roadcast_services::ingest::Ingest;
use roadcast_services::query::{HistoryRange, Query};
use serde_json::json;

use crate::batch::BatchReceiptView;
use crate::receipt::TakenView;

/// The operations on events.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `POST /vehicles/{vid}/events`
    SendVehicleEvents,
    /// `POST /events`
    SendEvents,
    /// `GET /vehicles/{vid}/events`
    ListVehicleEvents,
    /// `GET /vehicles/{vid}/events/{eid}`
    GetVehicleEvent,
}

const SENDERS: Access = Access::Scopes(&[Scope::Ingest, Scope::Admin]);
const READERS: Access = Access::Scopes(&[Scope::Read, Scope::Admin]);

/// The operations' routes.
pub const ROUTES: &[Route<Operation>] = &[
    Route { method: "POST", resource: "/vehicles/{vid}/events", access: SENDERS, operation: Operation::SendVehicleEvents },
    Route { method: "POST", resource: "/events", access: SENDERS, operation: Operation::SendEvents },
    Route { method: "GET", resource: "/vehicles/{vid}/events", access: READERS, operation: Operation::ListVehicleEvents },
    Route {
        method: "GET",
        resource: "/vehicles/{vid}/events/{eid}",
        access: READERS,
        operation: Operation::GetVehicleEvent,
    },
];

/// Events over HTTP.
pub struct EventsApi<V, C, T, E, L, S, K> {
    /// Takes them in.
    pub ingest: Ingest<V, C, T, K>,
    /// Reads them.
    pub query: Query<V, E, L, S, K>,
}

impl<V, C, T, E, L, S, K> Api for EventsApi<V, C, T, E, L, S, K>
where
    V: Vehicles,
    C: Clients,
    T: TelemetryStream,
    E: Entitlements,
    L: EventLog,
    S: StateStore,
    K: Clock,
{
    type Operation = Operation;

    const ROUTES: &'static [Route<Operation>] = ROUTES;

    async fn call(&self, operation: Operation, request: &Request, caller: &Caller) -> Result<Response, Problem> {
        match operation {
            Operation::SendVehicleEvents => self.send_vehicle_events(request, caller).await,
            Operation::SendEvents => self.send_events(request, caller).await,
            Operation::ListVehicleEvents => self.list(request, caller).await,
            Operation::GetVehicleEvent => self.get(request, caller).await,
        }
    }
}

impl<V, C, T, E, L, S, K> EventsApi<V, C, T, E, L, S, K>
where
    V: Vehicles,
    C: Clients,
    T: TelemetryStream,
    E: Entitlements,
    L: EventLog,
    S: StateStore,
    K: Clock,
{
    async fn send_vehicle_events(&self, request: &Request, caller: &Caller) -> Result<Response, Problem> {
        let vid: VehicleId = request.path("vid")?;
        let body = events_body(request)?;
        let taken =
            self.ingest.upload(caller, &vid, body).await.map_err(|error| refusal::of_upload(error, is_batch(body)))?;
        let accepted: Vec<TakenView<'_>> = taken.iter().map(TakenView::from).collect();
        Response::json(StatusCode::ACCEPTED, &json!({ "accepted": accepted }))
    }

    async fn send_events(&self, request: &Request, caller: &Caller) -> Result<Response, Problem> {
        let body = events_body(request)?;
        let receipt = self.ingest.batch(caller, body).await.map_err(|error| refusal::of_upload(error, is_batch(body)))?;
        BatchReceiptView::of(receipt).into_response()
    }

    async fn list(&self, request: &Request, caller: &Caller) -> Result<Response, Problem> {
        let time = "an RFC 3339 date and time";
        let from: Option<Timestamp> = request.query("from", time)?;
        let to: Option<Timestamp> = request.query("to", time)?;
        if let (Some(from), Some(to)) = (from, to)
            && to <= from
        {
            return Err(Problem::invalid_parameter("to", "must be later than from"));
        }
        let limit = request.query_number("limit", 1..=1000, 100)?;
        let mut range = HistoryRange::between(request.path("vid")?, from, to, limit as usize);
        let page = Page::of(request, caller);
        if let Some(start) = page.start::<Eid>()? {
            range.from = start;
        }
        let history = self.query.history(caller, &range).await?;
        let events: Vec<_> = history.events.iter().map(roadcast_domain::event::Event::to_cloud_event).collect();
        page.answer(json!({ "events": events }), history.next.as_ref())
    }

    async fn get(&self, request: &Request, caller: &Caller) -> Result<Response, Problem> {
        let event = self.query.event(caller, &request.path("vid")?, request.path("eid")?).await?;
        Response::ok(&event.to_cloud_event())
    }
}

/// The body of an upload, in one of the media types that events come in.
fn events_body(request: &Request) -> Result<&str, Problem> {
    request.expect_media_type(&[MEDIA_TYPE, BATCH_MEDIA_TYPE, "application/json"])?;
    let body = request.text()?;
    // The media type says one event or a batch; the body must agree.
    let said = request.header("content-type").unwrap_or_default();
    let disagrees =
        (said.starts_with(BATCH_MEDIA_TYPE) && !is_batch(body)) || (said.starts_with(MEDIA_TYPE) && is_batch(body));
    if disagrees && serde_json::from_str::<serde::de::IgnoredAny>(body).is_ok() {
        let detail = "the body is not what content-type says: one event is an object, a batch an array";
        return Err(Problem::new(ProblemType::BadRequest).with_error("", detail));
    }
    Ok(body)
}

fn is_batch(body: &str) -> bool {
    body.trim_start().starts_with('[')
}
