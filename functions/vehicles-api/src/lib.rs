//! The HTTP API of vehicles: the vehicle registry and last-known values.

mod view;

use http::StatusCode;
use http::header::{ETAG, LOCATION};
use roadcast_domain::external_id::ExternalId;
use roadcast_domain::ids::{ClientId, VehicleId};
use roadcast_domain::vehicle::{Vehicle, VehicleDetails};
use roadcast_lambda_kit::http::query::{integer, optional, search_text, text};
use roadcast_lambda_kit::http::{
    Api, ApiRequest as _, ApiResponse as _, Call, Operation, Page, Response, parameters, response, serve,
};
use roadcast_lambda_kit::problem::Problem;
use roadcast_ports::port_set::PortSet;
use roadcast_services::authz::{AnyClient, Reader, Sender};
use roadcast_services::query::StateQueries;
use roadcast_services::response_budget::take_fitting;
use roadcast_services::vehicles::listing::VehicleFilter;
use roadcast_services::vehicles::registry::VehicleRegistry;
use serde_json::json;

use crate::view::{StateView, VehicleView};

parameters! {
    /// The query of `GET /vehicles`.
    struct ListVehicles {
        text: Option<String> = "q" => search_text,
        external_id: Option<ExternalId> = "externalId" => external_id,
        make: Option<String> = "make" => search_text,
        model: Option<String> = "model" => search_text,
        model_year: Option<u16> = "modelYear" => optional("a year"),
        fuel_type: Option<String> = "fuelType" => search_text,
        registered_by: Option<ClientId> = "registeredBy" => client_id,
        retired: Option<bool> = "retired" => optional("true or false"),
        limit: usize = "limit" => integer(1..=100, 50),
        cursor: Option<String> = "cursor" => text,
    }
}

/// The HTTP API of vehicles.
pub struct VehiclesApi<Ports: PortSet> {
    /// Registers and lists vehicles.
    pub registry: VehicleRegistry<Ports>,
    /// Reads last-known values.
    pub states: StateQueries<Ports>,
}

impl<Ports: PortSet> Api for VehiclesApi<Ports> {
    const OPERATIONS: &'static [Operation<Self>] = &[
        Operation::new("GET", "/vehicles", serve!(list)),
        Operation::new("POST", "/vehicles", serve!(register)).with_idempotency_key(),
        Operation::new("GET", "/vehicles/{vid}", serve!(get)),
        Operation::new("PUT", "/vehicles/{vid}", serve!(replace)),
        Operation::new("DELETE", "/vehicles/{vid}", serve!(retire)),
        Operation::new("GET", "/vehicles/{vid}/state", serve!(get_state)),
        Operation::open("GET", "/health", |_| response::ok(&json!({"status": "ok"}))),
    ];
}

impl<Ports: PortSet> VehiclesApi<Ports> {
    async fn list(&self, Call { query, request, caller }: Call<'_, ListVehicles, AnyClient>) -> Result<Response, Problem> {
        let filter = VehicleFilter {
            text: query.text,
            external_id: query.external_id,
            make: query.make,
            model: query.model,
            model_year: query.model_year,
            fuel_type: query.fuel_type,
            registered_by: query.registered_by,
            retired: query.retired.unwrap_or_default(),
        };
        let page = Page::new(request, &caller, query.cursor);
        let list = self.registry.list(&caller, &filter, page.start::<VehicleId>().await?, query.limit).await?;
        let items = take_fitting(list.vehicles.iter().map(VehicleView::from));
        // A page of large vehicles may end before the requested number of vehicles.
        let (included, left_out) = list.vehicles.split_at(items.len());
        let next = if left_out.is_empty() { list.next.as_ref() } else { included.last().map(|vehicle| &vehicle.vid) };
        page.json_response(json!({ "items": items }), next).await
    }

    async fn register(&self, Call { request, caller, .. }: Call<'_, (), Sender>) -> Result<Response, Problem> {
        let details: VehicleDetails = request.json()?;
        let (vehicle, is_new) = self.registry.register(&caller, details).await?;
        let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
        with_etag(&vehicle, status)?.with_header(LOCATION, format!("vehicles/{}", vehicle.vid))
    }

    async fn get(&self, Call { request, caller, .. }: Call<'_, (), AnyClient>) -> Result<Response, Problem> {
        with_etag(&self.registry.get(&caller, &request.path_parameter("vid")?).await?, StatusCode::OK)
    }

    async fn replace(&self, Call { request, caller, .. }: Call<'_, (), Sender>) -> Result<Response, Problem> {
        let vid: VehicleId = request.path_parameter("vid")?;
        let condition = request.version_condition();
        if !condition.requires_existence() {
            return Err(Problem::precondition_required());
        }
        let details: VehicleDetails = request.json()?;
        with_etag(&self.registry.replace(&caller, &vid, details, condition).await?, StatusCode::OK)
    }

    async fn retire(&self, Call { request, caller, .. }: Call<'_, (), Sender>) -> Result<Response, Problem> {
        self.registry.retire(&caller, &request.path_parameter("vid")?, &request.version_condition()).await?;
        Ok(response::no_content())
    }

    async fn get_state(&self, Call { request, caller, .. }: Call<'_, (), Reader>) -> Result<Response, Problem> {
        let vid: VehicleId = request.path_parameter("vid")?;
        let (state, now) = self.states.state(&caller, &vid).await?;
        response::ok(&StateView::of(&vid, &state, now))
    }
}

fn client_id(name: &str, text: Option<&str>) -> Result<Option<ClientId>, Problem> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+".contains(&byte);
    match text {
        Some(id) if id.is_empty() || id.len() > 128 || !id.bytes().all(is_allowed) => {
            Err(Problem::invalid_parameter(name, "must be the id of a client"))
        }
        id => Ok(id.map(ClientId::new)),
    }
}

fn external_id(name: &str, text: Option<&str>) -> Result<Option<ExternalId>, Problem> {
    let parse = |id: &str| {
        let (scheme, value) = id.split_once(':').ok_or_else(|| "must be scheme:value".to_owned())?;
        ExternalId::new(scheme, value).map_err(|error| error.to_string())
    };
    text.map(parse).transpose().map_err(|detail| Problem::invalid_parameter(name, detail))
}

fn with_etag(vehicle: &Vehicle, status: StatusCode) -> Result<Response, Problem> {
    response::json(status, &VehicleView::from(vehicle))?.with_header(ETAG, format!("\"{}\"", vehicle.version))
}
