//! Vehicles over HTTP: the register, and last-known values.

mod view;

use http::StatusCode;
use roadcast_domain::caller::{Caller, Scope};
use roadcast_domain::ids::VehicleId;
use roadcast_domain::vehicle::{Vehicle, VehicleDetails};
use roadcast_lambda_kit::http::{Access, Api, Page, Request, Response, Route};
use roadcast_lambda_kit::problem::{Problem, ProblemType};
use roadcast_ports::clock::{Clock, Randomness};
use roadcast_ports::entitlements::Entitlements;
use roadcast_ports::event_log::EventLog;
use roadcast_ports::state::StateStore;
use roadcast_ports::vehicles::Vehicles;
use roadcast_services::query::Query;
use roadcast_services::vehicles::Register;
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
    /// `GET /vehicles/{vid}/state`
    GetVehicleState,
    /// `GET /health`
    GetHealth,
}

const ANYBODY: Access = Access::Scopes(&[Scope::Read, Scope::Ingest, Scope::Admin]);
const REGISTRARS: Access = Access::Scopes(&[Scope::Ingest, Scope::Admin]);
const READERS: Access = Access::Scopes(&[Scope::Read, Scope::Admin]);

/// The operations' routes.
pub const ROUTES: &[Route<Operation>] = &[
    Route { method: "GET", resource: "/vehicles", access: ANYBODY, operation: Operation::ListVehicles },
    Route { method: "POST", resource: "/vehicles", access: REGISTRARS, operation: Operation::RegisterVehicle },
    Route { method: "GET", resource: "/vehicles/{vid}", access: ANYBODY, operation: Operation::GetVehicle },
    Route { method: "PUT", resource: "/vehicles/{vid}", access: REGISTRARS, operation: Operation::ReplaceVehicle },
    Route { method: "GET", resource: "/vehicles/{vid}/state", access: READERS, operation: Operation::GetVehicleState },
    Route { method: "GET", resource: "/health", access: Access::Open, operation: Operation::GetHealth },
];

/// Vehicles over HTTP.
pub struct VehiclesApi<V, E, L, S, K, R> {
    /// The register.
    pub register: Register<V, E, K, R>,
    /// Last-known values.
    pub query: Query<V, E, L, S, K>,
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

    async fn call(&self, operation: Operation, request: &Request, caller: &Caller) -> Result<Response, Problem> {
        match operation {
            Operation::ListVehicles => self.list(request, caller).await,
            Operation::RegisterVehicle => self.register_vehicle(request, caller).await,
            Operation::GetVehicle => with_etag(&self.register.get(caller, &request.path("vid")?).await?, StatusCode::OK),
            Operation::ReplaceVehicle => self.replace(request, caller).await,
            Operation::GetVehicleState => self.state(request, caller).await,
            Operation::GetHealth => health(),
        }
    }

    fn call_open(&self, operation: Operation, _request: &Request) -> Result<Response, Problem> {
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
        let page = Page::of(request, caller);
        let list = self.register.list(caller, page.start::<VehicleId>()?, limit as usize).await?;
        let items: Vec<VehicleView<'_>> = list.vehicles.iter().map(VehicleView::from).collect();
        page.answer(json!({ "items": items }), list.next.as_ref())
    }

    async fn register_vehicle(&self, request: &Request, caller: &Caller) -> Result<Response, Problem> {
        let details: VehicleDetails = request.json()?;
        let (vehicle, new) = self.register.register(caller, details).await?;
        let status = if new { StatusCode::CREATED } else { StatusCode::OK };
        Ok(with_etag(&vehicle, status)?.with_header("location", format!("vehicles/{}", vehicle.vid)))
    }

    async fn replace(&self, request: &Request, caller: &Caller) -> Result<Response, Problem> {
        let vid: VehicleId = request.path("vid")?;
        let Some(tag) = request.header("if-match") else {
            let detail = "send If-Match with the ETag that GET answered";
            return Err(Problem::new(ProblemType::PreconditionRequired).with_detail(detail));
        };
        // A tag that is none of ours cannot match.
        let version = tag.trim().trim_matches('"').parse().unwrap_or(0);
        let details: VehicleDetails = request.json()?;
        with_etag(&self.register.replace(caller, &vid, details, version).await?, StatusCode::OK)
    }

    async fn state(&self, request: &Request, caller: &Caller) -> Result<Response, Problem> {
        let vid: VehicleId = request.path("vid")?;
        let (state, now) = self.query.state(caller, &vid).await?;
        Response::ok(&StateView::of(&vid, &state, now))
    }
}

fn health() -> Result<Response, Problem> {
    Response::ok(&json!({"status": "ok"}))
}

fn with_etag(vehicle: &Vehicle, status: StatusCode) -> Result<Response, Problem> {
    Ok(Response::json(status, &VehicleView::from(vehicle))?.with_header("etag", format!("\"{}\"", vehicle.version)))
}
