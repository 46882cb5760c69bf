//! Events over HTTP: sending them, and reading a vehicle's, or what came in about a fleet's vehicles.

mod batch;
mod body;
mod history;
mod read;
mod receipt;
mod refusal;

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
use roadcast_services::query::arrivals::Arrivals;
use serde_json::json;

use crate::batch::BatchReceiptView;
use crate::receipt::AcceptedEventView;

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
/// Arrivals are a fleet's own, as its feed is.
const FLEETS: Access = Access::Scopes(&[Scope::Read]);
const EVENTS: &str = "/vehicles/{vid}/events";

/// The operations' routes.
pub const ROUTES: &[Route<Operation>] = &[
    Route::new("POST", EVENTS, SENDERS, Operation::SendVehicleEvents),
    Route::new("POST", "/events", SENDERS, Operation::SendEvents),
    Route::new("GET", EVENTS, READERS, Operation::ListVehicleEvents)
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

/// Events over HTTP.
pub struct EventsApi<V, C, T, H, E, L, I, K> {
    /// Takes them in.
    pub ingest: Ingest<V, C, T, H, K>,
    /// Reads a vehicle's. Its state is another function's to tell.
    pub query: VehicleQueries<V, E, L, (), K>,
    /// Reads what came in.
    pub arrivals: Arrivals<E, L, I, K>,
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

    async fn call(&self, operation: Operation, request: &Request, caller: &Caller) -> Result<Response, Problem> {
        match operation {
            Operation::SendVehicleEvents => self.send_vehicle_events(request, caller).await,
            Operation::SendEvents => self.send_events(request, caller).await,
            Operation::ListVehicleEvents => read::list(&self.query, request, caller).await,
            Operation::GetVehicleEvent => read::get(&self.query, request, caller).await,
            Operation::GetVehicleHistory => history::get(&self.query, request, caller).await,
            Operation::ListEvents => read::arrivals(&self.arrivals, request, caller).await,
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
        let body = body::events(request)?;
        let refused = |error| refusal::of_upload(error, body::is_batch(&body));
        let taken = self.ingest.upload(caller, &vid, &body).await.map_err(refused)?;
        let accepted: Vec<AcceptedEventView<'_>> = taken.iter().map(AcceptedEventView::from).collect();
        Response::json(StatusCode::ACCEPTED, &json!({ "accepted": accepted }))
    }

    async fn send_events(&self, request: &Request, caller: &Caller) -> Result<Response, Problem> {
        let body = body::events(request)?;
        let refused = |error| refusal::of_upload(error, body::is_batch(&body));
        let receipt = self.ingest.batch(caller, &body).await.map_err(refused)?;
        BatchReceiptView::of(receipt).into_response()
    }
}
