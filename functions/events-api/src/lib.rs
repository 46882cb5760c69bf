//! The HTTP API of events: send events, query the events of a vehicle, and list the events of a fleet in order of arrival.

mod accepted_event;
mod batch_receipt;
mod history;
mod ingest_problem;
mod queries;
mod upload_body;

use http::StatusCode;
use roadcast_domain::caller::{Caller, Scope};
use roadcast_domain::ids::VehicleId;
use roadcast_lambda_kit::http::{Access, Api, Request, Response, Route};
use roadcast_lambda_kit::problem::Problem;
use roadcast_ports::clients::Clients;
use roadcast_ports::clock::Clock;
use roadcast_ports::entitlements::Entitlements;
use roadcast_ports::event_log::EventLog;
use roadcast_ports::feed::FeedIndex;
use roadcast_ports::schemas::Schemas;
use roadcast_ports::stream::TelemetryStream;
use roadcast_ports::vehicles::Vehicles;
use roadcast_services::ingest::Ingest;
use roadcast_services::query::VehicleQueries;
use roadcast_services::query::fleet_events::FleetEvents;
use serde_json::json;

use crate::accepted_event::AcceptedEventView;
use crate::batch_receipt::BatchReceiptView;

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
    /// `GET /vehicles/{vid}/history`
    GetVehicleHistory,
    /// `GET /events`
    ListEvents,
}

const SENDERS: Access = Access::Scopes(&[Scope::Ingest, Scope::Admin]);
const READERS: Access = Access::Scopes(&[Scope::Read, Scope::Admin]);
/// Only fleets list events in order of arrival, as they read their feed.
const FLEETS: Access = Access::Scopes(&[Scope::Read]);
const VEHICLE_EVENTS: &str = "/vehicles/{vid}/events";

/// The routes of the operations.
pub const ROUTES: &[Route<Operation>] = &[
    Route::new("POST", VEHICLE_EVENTS, SENDERS, Operation::SendVehicleEvents),
    Route::new("POST", "/events", SENDERS, Operation::SendEvents),
    Route::new("GET", VEHICLE_EVENTS, READERS, Operation::ListVehicleEvents)
        .with_query(&["from", "to", "type", "package", "signal", "fields", "limit", "cursor"]),
    Route::new("GET", "/vehicles/{vid}/events/{eid}", READERS, Operation::GetVehicleEvent),
    Route::new("GET", "/vehicles/{vid}/history", READERS, Operation::GetVehicleHistory).with_query(&[
        "from",
        "to",
        "package",
        "signal",
        "resolution",
        "limit",
        "cursor",
    ]),
    Route::new("GET", "/events", FLEETS, Operation::ListEvents)
        .with_query(&["from", "to", "type", "package", "signal", "fields", "limit", "cursor"]),
];

/// The HTTP API of events.
pub struct EventsApi<V, C, T, H, E, L, I, K> {
    /// Accepts events.
    pub ingest: Ingest<V, C, T, H, K>,
    /// Reads the events and the history of a vehicle. `vehicles-api` serves the state, so that no state store is needed.
    pub queries: VehicleQueries<V, E, L, (), K>,
    /// Lists the events of a fleet in order of arrival.
    pub fleet_events: FleetEvents<E, L, I, K>,
}

impl<V, C, T, H, E, L, I, K> Api for EventsApi<V, C, T, H, E, L, I, K>
where
    V: Vehicles,
    C: Clients,
    T: TelemetryStream,
    H: Schemas,
    E: Entitlements,
    L: EventLog,
    I: FeedIndex,
    K: Clock,
{
    type Operation = Operation;

    const ROUTES: &'static [Route<Operation>] = ROUTES;

    async fn handle(&self, operation: Operation, request: &Request, caller: &Caller) -> Result<Response, Problem> {
        match operation {
            Operation::SendVehicleEvents => self.send_vehicle_events(request, caller).await,
            Operation::SendEvents => self.send_events(request, caller).await,
            Operation::ListVehicleEvents => queries::list_vehicle_events(&self.queries, request, caller).await,
            Operation::GetVehicleEvent => queries::get_vehicle_event(&self.queries, request, caller).await,
            Operation::GetVehicleHistory => history::get(&self.queries, request, caller).await,
            Operation::ListEvents => queries::list_fleet_events(&self.fleet_events, request, caller).await,
        }
    }
}

impl<V, C, T, H, E, L, I, K> EventsApi<V, C, T, H, E, L, I, K>
where
    V: Vehicles,
    C: Clients,
    T: TelemetryStream,
    H: Schemas,
    K: Clock,
{
    async fn send_vehicle_events(&self, request: &Request, caller: &Caller) -> Result<Response, Problem> {
        let vid: VehicleId = request.path("vid")?;
        let body = upload_body::events_json(request)?;
        let to_problem = |error| ingest_problem::upload_problem(error, upload_body::is_batch(&body));
        let events = self.ingest.upload(caller, &vid, &body).await.map_err(to_problem)?;
        let accepted: Vec<AcceptedEventView<'_>> = events.iter().map(AcceptedEventView::from).collect();
        Response::json(StatusCode::ACCEPTED, &json!({ "accepted": accepted }))
    }

    async fn send_events(&self, request: &Request, caller: &Caller) -> Result<Response, Problem> {
        let body = upload_body::events_json(request)?;
        let to_problem = |error| ingest_problem::upload_problem(error, upload_body::is_batch(&body));
        let receipt = self.ingest.batch(caller, &body).await.map_err(to_problem)?;
        BatchReceiptView::of(receipt).into_response()
    }
}
