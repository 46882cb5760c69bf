//! The HTTP API of vehicles: the vehicle registry and last-known values.

mod view;

use http::StatusCode;
use roadcast_domain::caller::{Caller, Scope};
use roadcast_domain::external_id::ExternalId;
use roadcast_domain::ids::VehicleId;
use roadcast_domain::vehicle::{Vehicle, VehicleDetails};
use roadcast_lambda_kit::http::{Access, Api, Page, Request, Response, Route};
use roadcast_lambda_kit::problem::Problem;
use roadcast_ports::clock::{Clock, Randomness};
use roadcast_ports::entitlements::Entitlements;
use roadcast_ports::event_log::EventLog;
use roadcast_ports::state::StateStore;
use roadcast_ports::vehicles::Vehicles;
use roadcast_services::query::VehicleQueries;
use roadcast_services::vehicles::listing::VehicleFilter;
use roadcast_services::vehicles::registry::VehicleRegistry;
use serde_json::json;

use crate::view::{StateView, VehicleView};

/// The operations on vehicles.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `GET /vehicles`
    ListVehicles,
    /// `POST /vehicles`
    RegisterVehicle,
    /// `GET /vehicles/{vid}`
    GetVehicle,
    /// `PUT /vehicles/{vid}`
    ReplaceVehicle,
    /// `DELETE /vehicles/{vid}`
    RetireVehicle,
    /// `GET /vehicles/{vid}/state`
    GetVehicleState,
    /// `GET /health`
    GetHealth,
}

const ALL_CLIENTS: Access = Access::Scopes(&[Scope::Read, Scope::Ingest, Scope::Admin]);
const WRITERS: Access = Access::Scopes(&[Scope::Ingest, Scope::Admin]);
const READERS: Access = Access::Scopes(&[Scope::Read, Scope::Admin]);

/// The routes of the operations.
pub const ROUTES: &[Route<Operation>] = &[
    Route::new("GET", "/vehicles", ALL_CLIENTS, Operation::ListVehicles).with_query(&[
        "q",
        "externalId",
        "make",
        "model",
        "modelYear",
        "fuelType",
        "retired",
        "limit",
        "cursor",
    ]),
    Route::new("POST", "/vehicles", WRITERS, Operation::RegisterVehicle).with_idempotency_key(),
    Route::new("GET", "/vehicles/{vid}", ALL_CLIENTS, Operation::GetVehicle),
    Route::new("PUT", "/vehicles/{vid}", WRITERS, Operation::ReplaceVehicle),
    Route::new("DELETE", "/vehicles/{vid}", WRITERS, Operation::RetireVehicle),
    Route::new("GET", "/vehicles/{vid}/state", READERS, Operation::GetVehicleState),
    Route::new("GET", "/health", Access::Open, Operation::GetHealth),
];

/// The HTTP API of vehicles.
pub struct VehiclesApi<V, E, L, S, K, R> {
    /// Registers and lists vehicles.
    pub registry: VehicleRegistry<V, E, K, R>,
    /// Reads last-known values.
    pub queries: VehicleQueries<V, E, L, S, K>,
}

impl<V, E, L, S, K, R> Api for VehiclesApi<V, E, L, S, K, R>
where
    V: Vehicles,
    E: Entitlements,
    L: EventLog,
    S: StateStore,
    K: Clock,
    R: Randomness,
{
    type Operation = Operation;

    const ROUTES: &'static [Route<Operation>] = ROUTES;

    async fn handle(&self, operation: Operation, request: &Request, caller: &Caller) -> Result<Response, Problem> {
        match operation {
            Operation::ListVehicles => self.list(request, caller).await,
            Operation::RegisterVehicle => self.register_vehicle(request, caller).await,
            Operation::GetVehicle => with_etag(&self.registry.get(caller, &request.path("vid")?).await?, StatusCode::OK),
            Operation::ReplaceVehicle => self.replace(request, caller).await,
            Operation::RetireVehicle => self.retire(request, caller).await,
            Operation::GetVehicleState => self.state(request, caller).await,
            Operation::GetHealth => health(),
        }
    }

    fn handle_open(&self, operation: Operation, _request: &Request) -> Result<Response, Problem> {
        match operation {
            Operation::GetHealth => health(),
            _ => Err(Problem::not_found()),
        }
    }
}

impl<V, E, L, S, K, R> VehiclesApi<V, E, L, S, K, R>
where
    V: Vehicles,
    E: Entitlements,
    L: EventLog,
    S: StateStore,
    K: Clock,
    R: Randomness,
{
    async fn list(&self, request: &Request, caller: &Caller) -> Result<Response, Problem> {
        let limit = request.query_number("limit", 1..=100, 50)?;
        let filter = filter(request)?;
        let page = Page::new(request, caller);
        let list = self.registry.list(caller, &filter, page.start::<VehicleId>()?, limit).await?;
        let items: Vec<VehicleView<'_>> = list.vehicles.iter().map(VehicleView::from).collect();
        page.json_response(json!({ "items": items }), list.next.as_ref())
    }

    async fn register_vehicle(&self, request: &Request, caller: &Caller) -> Result<Response, Problem> {
        let details: VehicleDetails = request.json()?;
        let (vehicle, is_new) = self.registry.register(caller, details).await?;
        let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
        Ok(with_etag(&vehicle, status)?.with_header("location", format!("vehicles/{}", vehicle.vid)))
    }

    async fn replace(&self, request: &Request, caller: &Caller) -> Result<Response, Problem> {
        let vid: VehicleId = request.path("vid")?;
        let version = request.if_match().ok_or_else(Problem::precondition_required)?;
        let details: VehicleDetails = request.json()?;
        with_etag(&self.registry.replace(caller, &vid, details, version).await?, StatusCode::OK)
    }

    async fn retire(&self, request: &Request, caller: &Caller) -> Result<Response, Problem> {
        self.registry.retire(caller, &request.path("vid")?, request.if_match()).await?;
        Ok(Response::no_content())
    }

    async fn state(&self, request: &Request, caller: &Caller) -> Result<Response, Problem> {
        let vid: VehicleId = request.path("vid")?;
        let (state, now) = self.queries.state(caller, &vid).await?;
        Response::ok(&StateView::of(&vid, &state, now))
    }
}

fn filter(request: &Request) -> Result<VehicleFilter, Problem> {
    let text = |name| request.query_text(name);
    let external_id = match request.query::<String>("externalId", "a string")? {
        None => None,
        Some(id) => {
            let parts = id.split_once(':').ok_or_else(|| "must be scheme:value".to_owned());
            let parsed = parts.and_then(|(scheme, value)| ExternalId::new(scheme, value).map_err(|e| e.to_string()));
            Some(parsed.map_err(|detail| Problem::invalid_parameter("externalId", detail))?)
        }
    };
    Ok(VehicleFilter {
        text: text("q")?,
        external_id,
        make: text("make")?,
        model: text("model")?,
        model_year: request.query("modelYear", "a year")?,
        fuel_type: text("fuelType")?,
        retired: request.query("retired", "true or false")?.unwrap_or_default(),
    })
}

fn health() -> Result<Response, Problem> {
    Response::ok(&json!({"status": "ok"}))
}

fn with_etag(vehicle: &Vehicle, status: StatusCode) -> Result<Response, Problem> {
    Ok(Response::json(status, &VehicleView::from(vehicle))?.with_header("etag", format!("\"{}\"", vehicle.version)))
}
